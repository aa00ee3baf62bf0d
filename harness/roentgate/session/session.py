"""One run of the suites: its models, its data and its policy.

Each model is made ready once.
"""

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
from roentgate.data import Card, Splits, open_card, open_store, read_classes
from roentgate.errors import ArgumentError
from roentgate.policy import Policy, load_policy, optional_suites
from roentgate.scorecard import MOST_FAILING, Row, record
from roentgate.session.preconditions import check_follows_seed, check_imports, check_options
from roentgate.session.settings import Settings, folder_name
from roentgate.stats import Gate, Verdict, settling_words
from roentgate.store import Store, versions

if TYPE_CHECKING:
    from roentgate.audit import DataRecord
    from roentgate.evidence import AttributionRecord, Evidence, Reference

EVALUATIONS = ("ledger", "test_set_evaluations")


class Session:
    """The models and data of one run, in one process.

    Args:
        settings: The settings of the run.
        store: Keeps everything that is computed.
        find_card: Returns the data card. It is called once, on first use.

    Attributes:
        members: (model, seed) of everything that is judged, by name. A model with replicates has several members.
        candidates: The members that are ready so far, by name.
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
        self._references: dict[str, Candidate] = {}
        self._lacking: dict[tuple[str, str], str] = {}
        self._record: DataRecord | None = None

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
        normal = self.card.normal
        return load_policy(self.settings.policy, data=self.card.name, classes=self.classes, known=cards, normal=normal)

    def candidate(self, name: str) -> Candidate:
        """Return a member that is ready to be judged, trained on first use."""
        if name not in self.candidates:
            model, seed = self.members[name]
            self.candidates[name] = self._made_ready(model, replace(self.settings.options, seed=seed))
        return self.candidates[name]

    def _made_ready(self, model: str, options: Options) -> Candidate:
        from roentgate.candidates import training

        made = {self.members[member][0]: candidate for member, candidate in self.candidates.items()} | self._references
        check_imports(model, options, made)
        return training.ready(model, self.card, options, self.store, add_units=self._with_clusters)

    def _with_clusters(self, splits: Splits) -> Splits:
        """Return the rows with their clusters of near-duplicates, looked for once in a run."""
        from roentgate.audit import DataRecord

        if self._record is None:
            self._record = DataRecord(splits, self.store)
        return self._record.with_clusters(splits)

    def check_follow_seeds(self) -> None:
        """Raise `ArgumentError` if several seeds are asked of a model that ignores them."""
        for model in self.settings.models if self.settings.seeds > 1 else ():
            check_follows_seed(model, self.settings.options, self.card.root, self.store)

    def replicates(self, model: str) -> list[str]:
        """Return the members that belong to a model, by seed."""
        return [name for name, (own, _) in self.members.items() if own == model]

    def decides(self, name: str) -> bool:
        """Whether a refused row of this member refuses its model."""
        return self.policy.gate.seeds == "worst" or self.replicates(self.members[name][0])[0] == name

    def folder(self, name: str) -> Path:
        """Return the report folder of a member or of a model with replicates."""
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
        """Return the attributions of a model's predictions.

        They come with the sanity check of each explainer, and with lung fields if there are any.
        """
        if name not in self._attributions:
            from roentgate.evidence import AttributionRecord
            from roentgate.lungs import lung_fields

            lungs = None if self.lacks(name, "lungs") else lung_fields(self.candidate(name).splits.test, self.store)
            self._attributions[name] = AttributionRecord(self.evidence(name), self.policy.attributions, lungs)
        return self._attributions[name]

    @property
    def data_record(self) -> "DataRecord":
        """The findings on the images themselves."""
        if self._record is None:
            self.candidate(next(iter(self.members)))  # reads the data
        assert self._record is not None
        return self._record

    def unseen(self, predictions: Predictions) -> Predictions:
        """Return the rows that have no near-duplicate in train.

        If the policy counts near-duplicates too, return all rows.
        """
        return predictions if self.policy.audit.near_duplicates == "counted" else self.data_record.unseen(predictions)

    @cached_property
    def reference(self) -> "Evidence | Reference":
        """The evidence on the reference, or its stored predictions.

        A reference that is a model is trained if necessary.

        Raises:
            ArgumentError: There is no ``--reference``, or its predictions cannot be read.
            DataError: The stored predictions are on other images.
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
            return stored_predictions.in_units(stored, test)
        stored_predictions.check_names_model(name, self.settings.options.models)
        self._references[name] = self._made_ready(name, replace(self.settings.options, weights=None))
        return Evidence(self._references[name])

    @property
    def required(self) -> tuple[tuple[str, str], ...]:
        """The (suite, check) pairs that the run must record.

        Those of optional suites and of a cap on models are among them if asked for.
        """
        pairs = list(optional_suites.required(self.policy.gate.required, self.settings))
        capped = self.policy.ledger.most_models is not None
        return tuple(dict.fromkeys([*pairs, EVALUATIONS] if capped else pairs))

    @cached_property
    def claims(self) -> Claims:
        """The published figures.

        Without ``--claims`` this raises `ArgumentError`.
        """
        if self.settings.claims is None:
            raise ArgumentError("there are no published figures to hold: pass --claims FILE.toml")
        return read_claims(self.settings.claims)

    def check_claims(self, name: str) -> None:
        """Raise `DataError` if the claims are about other rows than are judged.

        ``name`` is a member of the run. Without claims nothing is checked.
        """
        if self.settings.claims is not None:
            self.claims.check_rows(self.candidate(name).splits.test.counts(), f"test of data '{self.card.name}'")

    def lacks(self, name: str, capability: str) -> str:
        """Return why a model or the data lack ``capability``, or "" if they have it.

        Raises:
            ArgumentError: An unknown capability.
        """
        from roentgate.session.capabilities import lacking

        key = name, capability
        if key not in self._lacking:
            self._lacking[key] = lacking(self.evidence(name), capability)
        return self._lacking[key]

    def unsteady(self) -> list[str]:
        """Return a sentence on each model that changed its answers during the run, as far as this process saw.

        The check `predictions_repeat` says so too, but only of the process that it runs in.
        """
        from roentgate.checks import inference

        tolerance = self.policy.inference.tolerance
        return [
            f"{name}: answers to the same images changed during the run"
            for name, evidence in self._evidence.items()
            if not inference.steady(evidence.watched, tolerance=tolerance)
        ]

    def forget(self) -> None:
        """Remove what no other run may use."""
        from roentgate.candidates import training

        for candidate in (*self.candidates.values(), *self._references.values()):
            training.forget(candidate)


def open_session(settings: Settings) -> Session:
    """Return the session of a run, with the project's store.

    Raises:
        ArgumentError: The options contradict each other.
    """
    check_options(settings)
    store = open_store(settings.root)
    return Session(settings, store, lambda: open_card(settings.data, settings.root / "data", store))


def row_of(verdict: Verdict, *, suite: str, check: str, subject: str, gate: Gate) -> Row:
    """Return a verdict as a row of the record.

    The detail of a conditional verdict also says what would settle it.
    """
    estimate = verdict.estimate
    if estimate is None:
        return record.empty_row(
            suite=suite, check=check, subject=subject, reason="excused", detail=verdict.detail, outcome="skipped"
        )
    detail = verdict.detail
    if verdict.conditional and verdict.bound is not None and verdict.direction is not None:
        by_value = gate == "simple" and not verdict.guarded
        settling = settling_words(estimate, verdict.bound, verdict.direction, by_value=by_value)
        detail = "; ".join(part for part in (detail, settling) if part)
    row: Row = {
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
        "failing": list(verdict.failing[:MOST_FAILING]),
        "failing_total": len(verdict.failing),
    }
    if estimate.parts:
        row["parts"] = dict(estimate.parts)
    return row


class Environment(TypedDict):
    """Everything that may differ between two equal runs."""

    versions: dict[str, str]
    python: str
    platform: str
    cores: int | None
    forward_passes: int
    seconds: dict[str, float]


def environment(passes: int, seconds: Mapping[str, float]) -> Environment:
    """Return everything that may differ between two equal runs.

    These are versions, machine, timings, and the number of images sent through the model.
    """
    return {
        "versions": {**versions(), "roentgate": metadata.version("roentgate")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "forward_passes": passes,
        "seconds": {name: round(value, 3) for name, value in sorted(seconds.items())},
    }
