# Everything runs from .venv, which these targets make and keep up to date: there is nothing to set up by hand.

PYTHON ?= python3
MODEL ?= baseline
DATA ?= phantom
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
INPUTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help scorecard test end-to-end lint types format coverage benchmarks matrix statistics mutation peers duplicates audit-scale clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  MODEL=NAME and DATA=NAME choose what 'make scorecard' judges; ARGS='...' is passed on; PYTHON=... makes .venv"

scorecard: $(RUN) ## judge a model (MODEL=baseline DATA=phantom); exits 0 only when it is accepted
	$(BIN)/python -m pytest suites/ --model "$(MODEL)" --data "$(DATA)" $(ARGS)

test: $(DEV) ## run the tests of the harness itself
	$(BIN)/python -m pytest tests/ -n 2 $(ARGS)

end-to-end: $(DEV) ## run the suites on the real images, as CI does
	$(BIN)/python -m pytest tests/runs/test_end_to_end.py $(ARGS)

lint: $(DEV) types ## check style and types
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/lint-imports

types: $(DEV) ## check types
	$(BIN)/python -m mypy

format: $(DEV) ## put the sources into the project's style
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

coverage: $(DEV) ## run the tests and show what they do not reach
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest tests/ -n 2 $(ARGS); status=$$?; \
	$(BIN)/python -m coverage combine --quiet; \
	$(BIN)/python -m coverage report --show-missing --skip-covered; exit $$status

benchmarks: $(DEV) ## measure speed and memory
	$(BIN)/python tests/benchmarks $(ARGS)

mutation: $(DEV) ## change the deciding modules one operator at a time: do the tests notice?
	$(BIN)/python tests/benchmarks/mutation.py $(ARGS)

peers: $(DEV) ## write reports/peers.md: what other tools decide on the same inputs (12 GB of environments)
	$(BIN)/python tests/benchmarks/peers $(ARGS)

matrix: $(DEV) ## judge every faulty and every sound model by every check: reports/detection_matrix.md (hours)
	$(BIN)/python -m tests.validation matrix $(ARGS)

statistics: $(DEV) ## try every interval and both gates where the truth is known: reports/statistics.md (minutes)
	$(BIN)/python -m tests.validation simulate $(ARGS)

duplicates: $(DEV) ## write reports/duplicates.md: planted copies, found by six tools or not (9 GB of environments)
	$(BIN)/python tests/benchmarks/duplicates $(ARGS)

audit-scale: $(DEV) ## write reports/audit-scale.md: survey and search of up to 100,000 films (20 GB, 20 minutes)
	$(BIN)/python tests/benchmarks/scale.py $(ARGS)

clean: ## remove what was installed and cached; trained weights and evidence stay in .roentgate
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
	find harness models suites tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written when an installation has ended, so one that was broken off is begun again.

$(RUN): $(INPUTS)
	$(call install,.)
	@touch $@

$(DEV): $(INPUTS)
	$(call install,.[dev])
	@touch $(RUN) $@

define install
@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	echo "roentgate needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	"Name another one: make PYTHON=python3.11" >&2; exit 1; }
@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
@echo "Installing into $(VENV) (once; TensorFlow alone is some 270 MB) ..."
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)'
endef
