"""One acceptance run in one process: training before the tests, verdicts during them, an honest exit status after."""

import contextlib
import json
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.checks import Outcome
    from harness.scorecard import Row

ROWS = "roentgate"


def is_ours(fixture_names: Sequence[str]) -> bool:
    """Whether a test judges a model, and so owes a verdict; no other is touched."""
    return "model_name" in fixture_names


def one_thread() -> None:
    """Let NumPy's linear algebra run on one thread, if NumPy is not loaded yet.

    The products here are small: more threads cost up to 60 times as much on a busy machine, and change last bits.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Make a harness error inside a usage error: one sentence, no traceback, exit status 4."""
    try:
        yield
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


class Run:
    """The state of one acceptance run in one process; all hooks that need it.

    Args:
        config: pytest's configuration, with at least one ``--model``.
    """

    def __init__(self, config: pytest.Config) -> None:
        one_thread()
        from harness.gate import Gate, read_settings  # noqa: PLC0415 - nothing heavy where no model is judged

        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        with usage_errors():
            self.gate: Gate = Gate(read_settings(config))
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in self.gate.settings.models}
        self.partial: list[str] = []
        self.collected: set[str] = set()
        self.answered: set[str] = set()
        self.finished: set[str] = set()
        self.passes = 0
        self.seconds: dict[str, float] = {}
        self.summary: list[str] = []
        self._fault: HarnessError | None = None
        self._order: dict[str, int] = {}
        self._suites: set[str] = set()

    # Collection

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise a test of a suite; what stands against it is said once, when all suites are collected."""
        try:
            self._own_table(metafunc.module)
            for name, values, ids in self._parameters():
                if name in metafunc.fixturenames:
                    metafunc.parametrize(name, values, ids=ids, scope="session" if name == "model_name" else None)
        except HarnessError as error:
            self._fault = self._fault or error

    def _parameters(self) -> Iterator[tuple[str, list[Any], list[str] | None]]:
        """Yield (fixture name, values, ids) of everything a suite's test may be parametrised by."""
        policy, classes = self.gate.policy, self.gate.classes
        pairs = policy.recall.pairs(classes)
        yield "model_name", list(self.gate.settings.models), None
        yield "split", ["validation", "test"], None
        yield "label", list(classes), None
        yield "pair", pairs, [f"{truth}>{called}" for truth, called in pairs]
        yield "ring", list(dict.fromkeys([*policy.border.rings, *policy.border.stress_rings])), None
        yield "gating_ring", list(dict.fromkeys(policy.border.rings)), None
        yield "only_ring", list(dict.fromkeys([*policy.border.only_rings, *policy.border.only_stress_rings])), None
        yield "fill", list(dict.fromkeys(policy.border.fills)), None

    def _own_table(self, module: Any) -> None:  # noqa: ANN401 - a test module
        """Let a suite file type its own policy table by a class ``Bounds``."""
        from harness.policy import Table  # noqa: PLC0415

        name = Path(module.__file__).stem.removeprefix("test_")
        bounds = getattr(module, "Bounds", None)
        if name not in self._suites and isinstance(bounds, type) and issubclass(bounds, Table):
            self.gate.policy.add(name, bounds)
        self._suites.add(name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Number the tests as the suites list them, so that rows have one order whoever runs them, and when."""
        self._order = {item.nodeid: index for index, item in enumerate(_ours(items))}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note whether anything left tests out; stop where policy, data and suites do not fit together."""
        self.collected = {item.nodeid for item in _ours(session.items)}
        left_out = len(self._order) - len(self.collected)
        if left_out:
            self._note_partial(f"{left_out} tests were deselected")
        if self.collected:
            try:
                self._check_policy()
            except HarnessError as error:
                if not self.is_worker:
                    raise pytest.UsageError(str(error)) from None
                self._note_partial(str(error))  # a worker's usage error would not reach the terminal
                session.items.clear()
                self.collected.clear()

    def _check_policy(self) -> None:
        if self._fault is not None:
            raise self._fault
        beside = {path.stem.removeprefix("test_") for path in self.gate.settings.policy.parent.glob("test_*.py")}
        self.gate.policy.check_owned(self._suites | beside)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a suite that could not be collected."""
        if report.failed:
            self._note_partial(f"{report.nodeid} could not be collected")

    def _note_partial(self, reason: str) -> None:
        if reason not in self.partial:
            self.partial.append(reason)

    # Before the tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Make every model ready, trained where it must be, before the first test and in one process."""
        wanted = bool(self.collected) or session.config.pluginmanager.hasplugin("dsession")
        if self.is_worker or not wanted or self.config.option.collectonly or session.testsfailed:
            return
        self.gate.store.sweep()
        with usage_errors():
            for name in self.gate.settings.models:
                self.gate.candidate(name)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist's controller of a worker
        """Tell a worker which run it belongs to."""
        node.workerinput["roentgate_run"] = self.gate.settings.options.run_id

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ANN401 - as above
        """Gather what a worker collected, left out and computed."""
        output = getattr(node, "workeroutput", {}).get("roentgate")
        if output is None:
            self._note_partial("a worker process died" if error else "a worker process reported nothing")
            return
        told = json.loads(output)
        self.collected.update(told["collected"])
        for reason in told["partial"]:
            self._note_partial(reason)
        self.passes += told["passes"]
        self.seconds |= told["seconds"]

    # During a test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a check that needs what this model or data cannot have, and record why."""
        name = _parameter(item, "model_name")
        if name is None:
            return
        for marker in item.iter_markers("needs"):
            for capability in marker.args:
                reason = self.gate.lacks(name, capability)
                if reason:
                    from harness.checks import skipped  # noqa: PLC0415

                    self.record(item, name, skipped(reason), "")
                    pytest.skip(reason)

    def record(self, item: pytest.Item, model: str, verdict: Any, subject: str) -> None:  # noqa: ANN401 - a Verdict
        """Add a row to a test's report; a skip is accepted only where the test declares what it needs."""
        from harness.gate import row_of  # noqa: PLC0415

        suite, check = _names(item)
        row = row_of(verdict, suite=suite, check=check, subject=subject, gate=self.gate.settings.gate)
        if verdict.outcome == "skipped":
            excused = item.get_closest_marker("needs") is not None and check not in self.gate.policy.gate.never_skip
            row["accepted"], row["gates"] = excused, not excused
            if not excused:
                row["detail"] += "; the policy accepts no skip here"
        self._append(item, model, row)

    def _append(self, item: pytest.Item, model: str, row: "Row") -> None:
        order = self._order.get(item.nodeid, len(self._order))
        item.user_properties.append((ROWS, json.dumps({"model": model, "order": order, "row": row})))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Fail a test once, at its end, for the rows that are not accepted."""
        yield
        if not is_ours(getattr(item, "fixturenames", ())):
            return
        rows = [entry["row"] for entry in _entries(item.user_properties)]
        if not rows:
            pytest.fail("recorded no verdict: call accept(...)", pytrace=False)
        refused = [row for row in rows if not row["accepted"]]
        if refused:
            pytest.fail("\n".join(_sentence(row) for row in refused), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn whatever is not an accepted row into a refused one: a crash, an undeclared skip, an xfail."""
        report = yield
        model = _parameter(item, "model_name")
        if model is None or call.when == "teardown":
            return report
        if call.excinfo is not None and isinstance(call.excinfo.value, HarnessError):
            report.longrepr = str(call.excinfo.value)
        problem = _problem(item, call, report)
        if problem:
            from harness.scorecard import refused_row  # noqa: PLC0415

            suite, check = _names(item)
            verdict: Outcome = "skipped" if report.skipped and not hasattr(report, "wasxfail") else "fail"
            row = refused_row(suite=suite, check=check, subject=_subject(item), detail=problem, verdict=verdict)
            self._append(item, model, row)
            report.user_properties = list(item.user_properties)
        return report

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show an accepted but unproven test as such."""
        if report.when == "call" and report.passed:
            rows = [entry["row"] for entry in _entries(report.user_properties)]
            if any(row["gates"] and not row["proven"] for row in rows):
                return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the rows, from this process or from a worker's report."""
        entries = _entries(report.user_properties)
        if report.when == "teardown":
            if report.failed:
                self._note_partial(f"{report.nodeid} failed in its teardown")
            if report.nodeid in self.answered:
                self.finished.add(report.nodeid)
            return
        if report.when == "setup" and report.passed:
            return
        self.answered.add(report.nodeid)
        for entry in entries:
            self.rows[entry["model"]].append(entry)

    # At the end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the scorecards and set the exit status: 0 exactly when every record is complete and accepted."""
        self._note_own_work()
        if self.is_worker:
            told = {name: getattr(self, name) for name in ("partial", "passes", "seconds")}
            told["collected"] = sorted(self.collected)
            self.config.workeroutput["roentgate"] = json.dumps(told)  # type: ignore[attr-defined]
        elif self.config.option.collectonly or not (self.collected or any(self.rows.values())):
            self.summary = [*self.partial, "partial run, not a gate: nothing was judged"]
            if exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        elif exitstatus != pytest.ExitCode.USAGE_ERROR:
            self._find_gaps(exitstatus)
            if not self._close() and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _close(self) -> bool:
        """Write the scorecards; return whether every model was judged in full and accepted."""
        from harness import report  # noqa: PLC0415

        judged = {
            name: [entry["row"] for entry in sorted(entries, key=lambda entry: entry["order"])]
            for name, entries in self.rows.items()
            if name in self.gate.candidates
        }
        work = {"passes": self.passes, "seconds": self.seconds}
        try:
            accepted, self.summary = report.close(self.gate, judged, self.partial, work)
        except (HarnessError, OSError) as error:
            self.summary = [f"no scorecard: {error}"]
            return False
        absent = [name for name in self.rows if name not in judged]
        self.summary += [f"{name}: no scorecard, the model was not made ready" for name in absent]
        return accepted and not absent

    def _note_own_work(self) -> None:
        for name, candidate in self.gate.candidates.items():
            self.passes += candidate.passes
            self.seconds |= {f"{name}: {what}": value for what, value in candidate.seconds.items()}

    def _find_gaps(self, exitstatus: int) -> None:
        option = self.config.option
        asked = {
            "-k": option.keyword, "-m": option.markexpr, "--deselect": option.deselect,
            "--last-failed": getattr(option, "lf", False), "--stepwise": getattr(option, "stepwise", False),
        }  # fmt: skip
        for name, value in asked.items():
            if value:
                self._note_partial(f"filtered by {name}")
        if any("::" in str(argument) for argument in self.config.args):
            self._note_partial("single tests were named")
        if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self._note_partial("the run did not reach its end")
        silent = self.collected - self.finished
        if silent:
            self._note_partial(f"{len(silent)} collected tests reported nothing")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 - pytest's reporter
        """Close with a compact table and the path of each scorecard."""
        if self.summary and not self.is_worker:
            terminalreporter.section("roentgate", sep="=")
            for line in self.summary:
                terminalreporter.write_line(line)


def _entries(properties: Sequence[tuple[str, object]]) -> list[dict[str, Any]]:
    return [json.loads(str(value)) for name, value in properties if name == ROWS]


def _ours(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    return [item for item in items if is_ours(getattr(item, "fixturenames", ()))]


def _parameter(item: pytest.Item, name: str) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(name)


def _names(item: pytest.Item) -> tuple[str, str]:
    function = getattr(item, "originalname", None) or item.name
    return item.path.stem.removeprefix("test_"), function.removeprefix("test_")


def _subject(item: pytest.Item) -> str:
    parameters: dict[str, object] = getattr(item, "callspec").params  # noqa: B009 - only a parametrised item has it
    return ", ".join(str(value) for name, value in parameters.items() if name != "model_name")


def _problem(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    """Say why a report is no evidence; "" where its rows speak for themselves."""
    rows = _entries(item.user_properties)
    if call.when == "setup" and report.passed:
        return ""
    if hasattr(report, "wasxfail") or item.get_closest_marker("xfail") is not None:
        return "marked xfail: an expected failure is no evidence"
    if report.skipped and (call.when == "call" or not rows):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason given"
        return f"skipped, although the check declares no need: {reason.removeprefix('Skipped: ')}"
    if report.failed and all(entry["row"]["accepted"] for entry in rows):
        error = call.excinfo.value if call.excinfo else None
        kind = "" if isinstance(error, (HarnessError, pytest.fail.Exception)) else f"{type(error).__name__}: "
        return f"the check did not finish: {kind}{' '.join(str(error).split())[:300]}"
    return ""


def _sentence(row: dict[str, Any]) -> str:
    name = f"{row['check']} [{row['subject']}]" if row["subject"] else row["check"]
    if row["value"] is None or row["bound"] is None:
        return f"{name}: {row['detail'] or 'not accepted'}"
    sign = {"at_least": "at least", "at_most": "at most"}[row["direction"]]
    interval = f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}], n = {row['n']}"
    return f"{name}: {interval}; must be {sign} {row['bound']:.3g} ({row['verdict']})" + (
        f"; {row['detail']}" if row["detail"] else ""
    )
