"""One run of the suites: which models, on which data, under which policy; each made ready once."""

import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any, Literal

from roentgate.candidates import Candidate, Predictions, find_model
from roentgate.checks import Claims, read_claims
from roentgate.data import Card, open_card, open_store, read_classes
from roentgate.errors import ArgumentError
from roentgate.policy import Policy, load_policy, optional_suites
from roentgate.scorecard import Row
from roentgate.session.settings import Settings
from roentgate.stats import Verdict, unproven_words
from roentgate.store import Store, versions

LOOKS = ("ledger", "test_set_looks")


def folder_name(model: str) -> str:
    """Return the folder of a model's reports: its name, or the stem of its file."""
    stem = Path(model).stem if "/" in model or os.sep in model or model.endswith((".py", ".keras")) else model
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in stem)


class Gate:
    """The state of one run in one process.

    Args:
        settings: The command line.

    Attributes:
        members: What is judged, by name: a model and its seed; several where a model has replicates.
        candidates: The members that were made ready so far, by name.

    Raises:
        ArgumentError: Options that do not go together.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.options.weights and len(settings.models) > 1:
            raise ArgumentError("--weights goes with a single --model")
        if settings.options.weights and settings.seeds > 1:
            raise ArgumentError(f"--seeds {settings.seeds}: with --weights, which trains nothing, give 1")
        if settings.seeds > 1 and (ready := [name for name in settings.models if name.endswith((".keras", ".h5"))]):
            raise ArgumentError(f"--seeds {settings.seeds}: {ready[0]} is trained already; name a model that is built")
        by_folder: dict[str, str] = {}
        for name in settings.models:
            other = by_folder.setdefault(folder_name(name), name)
            if other != name:
                raise ArgumentError(
                    f"--model {other} and --model {name}: both reports would go to the folder '{folder_name(name)}'; "
                    "rename one file, or judge them in two runs with their own --report-dir"
                )
        self.settings = settings
        first, count = settings.options.seed, settings.seeds
        self.members: Mapping[str, tuple[str, int]] = {
            model if count == 1 else f"{model}, seed {seed}": (model, seed)
            for model in settings.models
            for seed in range(first, first + count)
        }
        self.store = open_store(settings.root)
        self.candidates: dict[str, Candidate] = {}
        self._evidence: dict[str, Any] = {}
        self._attributions: dict[str, Any] = {}
        self._beside: dict[str, Candidate] = {}
        self._resizing: dict[str, bool] = {}

    @cached_property
    def card(self) -> Card:
        """The data card."""
        return open_card(self.settings.data, self.settings.root / "data", self.store)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The class names, read from the card or the folder names."""
        return read_classes(self.card)

    @cached_property
    def policy(self) -> Policy:
        """The bounds in force for this data."""
        cards = [path.stem for path in (self.settings.root / "data").glob("*.toml")]
        return load_policy(self.settings.policy, data=self.card.name, classes=self.classes, known=cards)

    def candidate(self, name: str) -> Candidate:
        """Return a model made ready; trained on first use."""
        if name not in self.candidates:
            from roentgate.candidates import training

            model, seed = self.members[name]
            self._check_imports(model)
            options = replace(self.settings.options, seed=seed)
            self.candidates[name] = training.ready(model, self.card, options, self.store)
        return self.candidates[name]

    def check_follow_seeds(self) -> None:
        """Raise `ArgumentError` where several seeds are asked of a model that is the same with each."""
        options = self.settings.options
        for model in self.settings.models if self.settings.seeds > 1 else ():
            check_follows_seed(model, options.models, self.card.root, self.store, trust=options.trust)

    def replicates(self, model: str) -> list[str]:
        """Return the members that are this model, by seed."""
        return [name for name, (own, _) in self.members.items() if own == model]

    def decides(self, name: str) -> bool:
        """Whether a refused row of this member refuses its model."""
        return self.policy.gate.seeds == "worst" or self.replicates(self.members[name][0])[0] == name

    def _check_imports(self, name: str) -> None:
        """Refuse a model whose local imports an earlier model found elsewhere: Python keeps one module a name."""
        source = find_model(name, self.settings.options.models, trust=self.settings.options.trust)
        made = {self.members[member][0]: candidate for member, candidate in self.candidates.items()} | self._beside
        for other, candidate in made.items():
            taken = candidate.source.modules
            for module, path in source.modules.items():
                if taken.get(module, path) != path:
                    raise ArgumentError(
                        f"--model {other} and --model {name}: each imports a '{module}' of its own ({taken[module]}, "
                        f"{path}); rename one, or judge them in two runs"
                    )

    def folder(self, name: str) -> Path:
        """Return the folder of the report on a member, or on a model with replicates."""
        model, seed = self.members.get(name, (name, None))
        folder = self.settings.reports / self.card.name / folder_name(model)
        return folder / f"seed-{seed}" if seed is not None and self.settings.seeds > 1 else folder

    def clear(self) -> None:
        """Remove the outcomes of an earlier run from the folders of this one's reports; all of them, or none.

        Raises:
            ArgumentError: A folder for reports cannot be written to, or what to compare with is kept there.
        """
        from roentgate.evidence import stored_predictions as reference

        own = [self.folder(name) for name in dict.fromkeys([*self.settings.models, *self.members])]
        folders = [*own, *(seed for folder in own for seed in folder.glob("seed-*") if seed.is_dir())]
        for folder in folders:
            above = next(path for path in (folder, *folder.parents) if path.exists())
            if not above.is_dir() or not os.access(above, os.W_OK):
                raise ArgumentError(f"--report-dir: '{above}' is no folder that can be written to; choose another")
        reference.check_apart(self.settings.reference, folders)
        for folder, file in product(folders, ("scorecard.json", "scorecard.md", "scorecard.html")):
            folder.joinpath(file).unlink(missing_ok=True)

    def evidence(self, name: str) -> Any:  # noqa: ANN401 - an Evidence, imported on first use
        """Return the evidence on a model."""
        if name not in self._evidence:
            from roentgate.evidence import Evidence

            self._evidence[name] = Evidence(self.candidate(name))
        return self._evidence[name]

    def attributions(self, name: str) -> Any:  # noqa: ANN401 - an AttributionRecord, imported on first use
        """Return what spoke for the answers of a model, where, and which explainers may be believed."""
        if name not in self._attributions:
            from roentgate.evidence import AttributionRecord
            from roentgate.lungs import lung_fields

            lungs = None if self._lungs_lacking(name) else lung_fields(self.candidate(name).splits.test, self.store)
            self._attributions[name] = AttributionRecord(self.evidence(name), self.policy.attributions, lungs)
        return self._attributions[name]

    @cached_property
    def data_record(self) -> Any:  # noqa: ANN401 - a DataRecord, imported on first use
        """What was found of the films themselves."""
        from roentgate.audit import DataRecord

        return DataRecord(self.candidate(next(iter(self.members))).splits, self.store)

    def unseen(self, predictions: Predictions) -> Predictions:
        """Return the rows that have no twin in train; all of them where the policy counts twins too."""
        if self.policy.audit.twins == "counted":
            return predictions
        kept: Predictions = self.data_record.unseen(predictions)
        return kept

    @cached_property
    def reference(self) -> Any:  # noqa: ANN401 - an Evidence, or a Reference
        """What to compare with: the evidence on a model, trained where it must be, or what a stored one answered.

        Raises:
            ArgumentError: There is no ``--reference``, or its predictions cannot be read.
            DataError: A stored reference answered other films.
        """
        name = self.settings.reference
        if name is None:
            raise ArgumentError("a comparison needs a reference: pass --reference NAME, or the folder of a scorecard")
        if name in self.members and self.settings.options.weights is None:
            return self.evidence(name)
        from roentgate.candidates import training
        from roentgate.evidence import stored_predictions as reference

        path = reference.find_stored(name) if name else None
        if path is not None:
            stored = reference.read_predictions(path)
            reference.check_same_films(stored, self.candidate(next(iter(self.members))).splits.test, path)
            return stored
        reference.check_names_model(name, self.settings.options.models)
        from roentgate.evidence import Evidence

        self._check_imports(name)
        options = replace(self.settings.options, weights=None)
        self._beside[name] = training.ready(name, self.card, options, self.store)
        return Evidence(self._beside[name])

    @property
    def required(self) -> tuple[tuple[str, str], ...]:
        """The (suite, check) pairs without which nothing is accepted; of optional suites and of a cap if asked for."""
        pairs = list(optional_suites.required(self.policy.gate.required, self.settings))
        capped = self.policy.ledger.most_models is not None
        return tuple(dict.fromkeys([*pairs, LOOKS] if capped else pairs))

    @cached_property
    def claims(self) -> Claims:
        """The published figures to hold; `ArgumentError` without ``--claims``."""
        if self.settings.claims is None:
            raise ArgumentError("there are no published figures to hold: pass --claims FILE.toml")
        return read_claims(self.settings.claims)

    def check_claims(self, name: str) -> None:
        """Raise `DataError` where there are claims, about other rows than a member is judged on."""
        if self.settings.claims is not None:
            self.claims.check_rows(self.candidate(name).splits.test.counts(), f"test of data '{self.card.name}'")

    def forget(self) -> None:
        """Remove what no other run may use."""
        from roentgate.candidates import training

        for candidate in (*self.candidates.values(), *self._beside.values()):
            training.forget(candidate)

    def lacks(self, name: str, capability: str) -> str:
        """Return why a model or the data cannot have ``capability``; "" where it can.

        Raises:
            ArgumentError: An unknown capability.
        """
        from roentgate.audit import leakage

        candidate = self.candidate(name)
        layers = candidate.has_layers
        missing = self._lungs_lacking(name) if capability == "lungs" else ""
        lacks = leakage.lacking(candidate.splits, capability)
        known = {
            "layers": (layers, "the model has no layers to look at"),
            "training": (candidate.facts.kind == "build", "the model is not built here, so its training is unknown"),
            "gradients": (layers, "the model gives no gradients"),
            "augmentation": (
                not layers or capability != "augmentation" or self._declares_augmentation(name),
                "the network declares no augmentation layer",
            ),
            "lungs": (not missing, missing),
            "resizing": (
                capability != "resizing" or self._resizes(name),
                "every film has the size that the model wants",
            ),
            **dict.fromkeys(leakage.LACKING, (not lacks, lacks)),
        }
        if capability not in known:
            raise ArgumentError(f"needs('{capability}'): unknown; known: {', '.join(known)}")
        present, reason = known[capability]
        return "" if present else reason

    def _lungs_lacking(self, name: str) -> str:
        """Return why checks that need lung fields do not apply to the test films; "" where they do."""
        from roentgate.checks import LEAST_FILMS
        from roentgate.lungs import lung_fields

        test = self.candidate(name).splits.test
        labels = test.labels[lung_fields(test, self.store).trusted]
        for index, label in enumerate(self.classes):
            if (count := int((labels == index).sum())) < LEAST_FILMS:
                return f"a trusted lung field was found on {count} films of {label}, fewer than {LEAST_FILMS}"
        return ""

    def _resizes(self, name: str) -> bool:
        if name not in self._resizing:
            from roentgate.evidence import resizes

            self._resizing[name] = resizes(self.candidate(name).splits.test)
        return self._resizing[name]

    def _declares_augmentation(self, name: str) -> bool:
        from roentgate.checks import declares_augmentation

        return declares_augmentation(self.evidence(name).inference)


def check_follows_seed(name: str, models: Path, root: Path | None, store: Store, *, trust: bool = False) -> None:
    """Refuse to judge several seeds of a model that is the same with each, before anything is trained.

    A loaded model may still follow ``task.seed``: one that reads the weights of the seed that is asked.

    Args:
        name: As given to ``--model``.
        models: The folder of named models.
        root: The data root.
        store: Where it is kept what a model file declares.
        trust: Accept formats that can carry code.

    Raises:
        ArgumentError: It is loaded, and none of its sources reads a seed.
        ModelError: There is no such model, or it cannot be imported.
    """
    from roentgate.candidates import training

    source = find_model(name, models, trust=trust)
    facts, _ = training.find_facts(source, root, store)
    if facts.kind != "build" and not source.reads_seed:
        raise ArgumentError(
            f"model '{name}': it is loaded, not trained, and no source of it was found to read task.seed, so that "
            "every seed is the same model; judge it without --seeds"
        )


def row_of(verdict: Verdict, *, suite: str, check: str, subject: str, gate: Literal["point", "proven"]) -> Row:
    """Return a verdict as a row of the record; what would settle an unproven one is added to its detail."""
    estimate = verdict.estimate
    detail = verdict.detail
    if (
        estimate is not None
        and verdict.gates
        and not verdict.proven
        and verdict.bound is not None
        and verdict.direction
    ):
        by_value = gate == "point" and not verdict.must_prove
        words = unproven_words(estimate, verdict.bound, verdict.direction, by_value=by_value)
        detail = "; ".join(part for part in (detail, words) if part)
    return {
        "suite": suite,
        "check": check,
        "subject": subject,
        "verdict": verdict.outcome,
        "gates": verdict.gates,
        "accepted": verdict.accepted(gate),
        "proven": verdict.proven,
        "value": None if estimate is None else estimate.value,
        "low": None if estimate is None else estimate.low,
        "high": None if estimate is None else estimate.high,
        "n": 0 if estimate is None else estimate.n,
        "bound": verdict.bound,
        "direction": verdict.direction,
        "detail": detail,
        "offenders": list(verdict.offenders),
    }


def environment(passes: int, seconds: dict[str, float]) -> dict[str, Any]:
    """Return what may differ between two equal runs: versions, machine, timings, images sent through the model."""
    return {
        "versions": {**versions(), "roentgate": metadata.version("roentgate")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "forward_passes": passes,
        "seconds": {name: round(value, 3) for name, value in sorted(seconds.items())},
    }
