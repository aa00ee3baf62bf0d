"""One run of the suites: which models, on which data, under which policy; each made ready once."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from roentgate.candidates import Candidate, Options, Predictions
from roentgate.checks import Claims, read_claims
from roentgate.data import Card, open_card, open_store, read_classes
from roentgate.errors import ArgumentError
from roentgate.policy import Policy, load_policy, optional_suites
from roentgate.scorecard import Row, record
from roentgate.session.preconditions import check_follows_seed, check_imports, check_options
from roentgate.session.settings import Settings, folder_name
from roentgate.stats import Gate, Verdict, settling_words
from roentgate.store import Store, versions

if TYPE_CHECKING:
    from roentgate.audit import DataRecord
    from roentgate.evidence import AttributionRecord, Evidence, Reference

EVALUATIONS = ("ledger", "test_set_evaluations")


class Session:
    """What is judged on what, in one process.

    Args:
        settings: The command line.
        store: Where everything that is computed is kept.
        find_card: Returns the data card. It is called once, on first use.

    Attributes:
        members: What is judged, by name: a model and its seed; several where a model has replicates.
        candidates: The members that were made ready so far, by name.
    """

    def __init__(self, settings: Settings, store: Store, find_card: Callable[[], Card]) -> None:
        self.settings = settings
        self.store = store
        self._find_card = find_card
        first, count = settings.options.seed, settings.seeds
        self.members: Mapping[str, tuple[str, int]] = {
            model if count == 1 else f"{model}, seed {seed}": (model, seed)
            for model in settings.models
            for seed in range(first, first + count)
        }
        self.candidates: dict[str, Candidate] = {}
        self._evidence: dict[str, Evidence] = {}
        self._attributions: dict[str, AttributionRecord] = {}
        self._beside: dict[str, Candidate] = {}
        self._lacking: dict[tuple[str, str], str] = {}

    @cached_property
    def card(self) -> Card:
        """The data card."""
        return self._find_card()

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
            model, seed = self.members[name]
            self.candidates[name] = self._made_ready(model, replace(self.settings.options, seed=seed))
        return self.candidates[name]

    def _made_ready(self, model: str, options: Options) -> Candidate:
        from roentgate.candidates import training

        made = {self.members[member][0]: candidate for member, candidate in self.candidates.items()} | self._beside
        check_imports(model, options, made)
        return training.ready(model, self.card, options, self.store)

    def check_follow_seeds(self) -> None:
        """Raise `ArgumentError` where several seeds are asked of a model that is the same with each."""
        for model in self.settings.models if self.settings.seeds > 1 else ():
            check_follows_seed(model, self.settings.options, self.card.root, self.store)

    def replicates(self, model: str) -> list[str]:
        """Return the members that are this model, by seed."""
        return [name for name, (own, _) in self.members.items() if own == model]

    def decides(self, name: str) -> bool:
        """Whether a refused row of this member refuses its model."""
        return self.policy.gate.seeds == "worst" or self.replicates(self.members[name][0])[0] == name

    def folder(self, name: str) -> Path:
        """Return the folder of the report on a member, or on a model with replicates."""
        model, seed = self.members.get(name, (name, None))
        folder = self.settings.reports / self.card.name / folder_name(model)
        return folder / f"seed-{seed}" if seed is not None and self.settings.seeds > 1 else folder

    def evidence(self, name: str) -> "Evidence":
        """Return the evidence on a model."""
        if name not in self._evidence:
            from roentgate.evidence import Evidence

            self._evidence[name] = Evidence(self.candidate(name))
        return self._evidence[name]

    def attributions(self, name: str) -> "AttributionRecord":
        """Return what spoke for the answers of a model, where, and which explainers may be believed."""
        if name not in self._attributions:
            from roentgate.evidence import AttributionRecord
            from roentgate.lungs import lung_fields

            lungs = None if self.lacks(name, "lungs") else lung_fields(self.candidate(name).splits.test, self.store)
            self._attributions[name] = AttributionRecord(self.evidence(name), self.policy.attributions, lungs)
        return self._attributions[name]

    @cached_property
    def data_record(self) -> "DataRecord":
        """What was found of the images themselves."""
        from roentgate.audit import DataRecord

        return DataRecord(self.candidate(next(iter(self.members))).splits, self.store)

    def unseen(self, predictions: Predictions) -> Predictions:
        """Return the rows that have no near-duplicate in train; all of them where the policy counts near-duplicates
        too."""
        return predictions if self.policy.audit.near_duplicates == "counted" else self.data_record.unseen(predictions)

    @cached_property
    def reference(self) -> "Evidence | Reference":
        """What to compare with: the evidence on a model, trained where it must be, or what a stored one answered.

        Raises:
            ArgumentError: There is no ``--reference``, or its predictions cannot be read.
            DataError: A stored reference answered other images.
        """
        name = self.settings.reference
        if name is None:
            raise ArgumentError("a comparison needs a reference: pass --reference NAME, or the folder of a scorecard")
        if name in self.members and self.settings.options.weights is None:
            return self.evidence(name)
        from roentgate.evidence import Evidence, stored_predictions

        path = stored_predictions.find_stored(name) if name else None
        if path is not None:
            stored = stored_predictions.read_predictions(path)
            test = self.candidate(next(iter(self.members))).splits.test
            stored_predictions.check_same_images(stored, test, path)
            return stored
        stored_predictions.check_names_model(name, self.settings.options.models)
        self._beside[name] = self._made_ready(name, replace(self.settings.options, weights=None))
        return Evidence(self._beside[name])

    @property
    def required(self) -> tuple[tuple[str, str], ...]:
        """The (suite, check) pairs without which nothing is accepted; of optional suites and of a cap if asked for."""
        pairs = list(optional_suites.required(self.policy.gate.required, self.settings))
        capped = self.policy.ledger.most_models is not None
        return tuple(dict.fromkeys([*pairs, EVALUATIONS] if capped else pairs))

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

    def lacks(self, name: str, capability: str) -> str:
        """Return why a model or the data cannot have ``capability``; "" where it can.

        Raises:
            ArgumentError: An unknown capability.
        """
        from roentgate.session.capabilities import lacking

        asked = name, capability
        if asked not in self._lacking:
            self._lacking[asked] = lacking(self.evidence(name), capability)
        return self._lacking[asked]

    def forget(self) -> None:
        """Remove what no other run may use."""
        from roentgate.candidates import training

        for candidate in (*self.candidates.values(), *self._beside.values()):
            training.forget(candidate)


def open_session(settings: Settings) -> Session:
    """Return the session that a command line asks for, with the project's store.

    Raises:
        ArgumentError: Options that do not go together.
    """
    check_options(settings)
    store = open_store(settings.root)
    return Session(settings, store, lambda: open_card(settings.data, settings.root / "data", store))


def row_of(verdict: Verdict, *, suite: str, check: str, subject: str, gate: Gate) -> Row:
    """Return a verdict as a row of the record; what would settle a conditional one is added to its detail."""
    estimate = verdict.estimate
    if estimate is None:
        return record.empty_row(
            suite=suite, check=check, subject=subject, reason="excused", detail=verdict.detail, outcome="skipped"
        )
    detail = verdict.detail
    if verdict.conditional and verdict.bound is not None and verdict.direction is not None:
        by_value = gate == "simple" and not verdict.guarded
        words = settling_words(estimate, verdict.bound, verdict.direction, by_value=by_value)
        detail = "; ".join(part for part in (detail, words) if part)
    return {
        "suite": suite,
        "check": check,
        "subject": subject,
        "outcome": verdict.outcome,
        "accepted": verdict.accepted(gate),
        "gates": verdict.gates,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "unit": estimate.unit,
        "bound": verdict.bound,
        "direction": verdict.direction,
        "method": estimate.method,
        "state": estimate.state,
        "reason": None,
        "detail": detail,
        "failing": list(verdict.failing[: record.MOST_FAILING]),
        "failing_total": len(verdict.failing),
    }


class Environment(TypedDict):
    """What may differ between two equal runs."""

    versions: dict[str, str]
    python: str
    platform: str
    cores: int | None
    forward_passes: int
    seconds: dict[str, float]


def environment(passes: int, seconds: Mapping[str, float]) -> Environment:
    """Return what may differ between two equal runs: versions, machine, timings, images sent through the model."""
    return {
        "versions": {**versions(), "roentgate": metadata.version("roentgate")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "forward_passes": passes,
        "seconds": {name: round(value, 3) for name, value in sorted(seconds.items())},
    }
