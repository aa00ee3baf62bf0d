"""The shape of a record and of the evidence beside it, as pydantic reads them."""

from typing import Annotated, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic reads this one on Python 3.11

from roentgate.stats import Direction, Gate, Outcome, State

MOST_FAILING: Final = 100
"""Largest number of failing rows that a row of the record names. Their count has no limit."""

Reason = Literal[
    "missing", "crashed", "excused", "skip_not_allowed", "expected_failure", "repeated", "not_in_every_seed"
]
"""Why a row has no estimate of its own."""

RunOutcome = Literal["pass", "conditional_pass", "fail"]

Key = tuple[str, str, str]
"""What identifies a row: (suite, check, subject)."""

_Name = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]
_EXACT: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@with_config(_EXACT)
class Row(TypedDict):
    """One verdict of the record: an estimate compared with a bound.

    ``method``, ``unit`` and ``state`` are None if there is no estimate, and ``reason`` then says why. A record of
    schema 1 had no method and no unit. ``parts`` is there if the row is the worst of several estimates. It holds the
    value of each by name, such as the infill. Older records lack it.
    """

    suite: _Name
    check: _Name
    subject: str
    outcome: Outcome
    accepted: bool
    gates: bool
    value: float | None
    low: float | None
    high: float | None
    n: _Count
    unit: str | None
    bound: float | None
    direction: Direction | None
    method: str | None
    state: State | None
    reason: Reason | None
    detail: str
    failing: Annotated[list[str], Field(max_length=MOST_FAILING)]
    failing_total: _Count
    parts: NotRequired[dict[str, float | None]]


@with_config(_EXACT)
class ModelEntry(TypedDict):
    """The model, identified by the content of its source and weights."""

    name: _Name
    source: str
    fingerprint: str
    weights: Literal["trained here", "loaded"]


@with_config(_EXACT)
class StudyEntry(TypedDict):
    """What the data card states of the patients and their images, "" if nothing."""

    ages: str
    sexes: str
    sites: str
    dates: str
    view: str
    devices: str
    reference_standard: str


@with_config(_EXACT)
class UnitCount(TypedDict):
    """What one independent unit of a split is, and how many there are."""

    unit: _Name
    n: _Count


@with_config(_EXACT)
class UnitsEntry(TypedDict):
    """The independent units behind each n, and whether the data name patients.

    Without patients, images that are no near-duplicates of each other are assumed to be independent.
    """

    test: UnitCount
    patients: bool


@with_config(_EXACT)
class DatasetEntry(TypedDict):
    """The data set: its digest, its classes, and the images of each class in each split.

    ``prior_evaluations`` is the least number of models judged on the test images before the ledger began. Records of
    earlier versions have neither it nor ``study`` or ``units``.
    """

    name: _Name
    fingerprint: str
    classes: list[str]
    counts: dict[str, dict[str, _Count]]
    study: NotRequired[StudyEntry]
    prior_evaluations: NotRequired[_Count]
    units: NotRequired[UnitsEntry]


@with_config(_EXACT)
class TaskEntry(TypedDict):
    """The task of the model: image shape (H, W, C) and seed.

    A record of several trainings also names all seeds, and which of them decide.
    """

    image_shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=3, max_length=3)]
    seed: int
    seeds: NotRequired[Annotated[list[int], Field(min_length=2)]]
    deciding: NotRequired[Literal["worst", "first"]]


@with_config(_EXACT)
class PolicyEntry(TypedDict):
    """The policy, identified by the content of its bounds."""

    fingerprint: str


@with_config(_EXACT)
class Record(TypedDict):
    """The whole scorecard, as in ``scorecard.json``."""

    schema: Literal["roentgate.scorecard/2"]
    outcome: RunOutcome
    complete: bool
    gate: Gate
    counts: dict[Outcome, _Count]
    model: ModelEntry
    dataset: DatasetEntry
    task: TaskEntry
    policy: PolicyEntry
    rows: list[Row]


@with_config(_EXACT)
class Confusion(TypedDict):
    """Number of rows by true class (first index) and predicted class (second index)."""

    classes: list[str]
    counts: list[list[_Count]]


@with_config(_EXACT)
class Layer(TypedDict):
    """One layer of a network.

    The output shape is without the batch, (H, W, C) or (N,). ``parameters`` is the number of its weights.
    """

    name: str
    type: str
    shape: list[int | None]
    parameters: _Count


@with_config(_EXACT)
class FigureNote(TypedDict):
    """A figure in the folder of the scorecard.

    ``file`` is a plain file name, so that no page can be made to read from another folder.
    """

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.png$")]
    title: str
    alt: str


@with_config(_EXACT)
class EvidenceRecord(TypedDict):
    """What a scorecard shows besides the verdicts.

    With the record it is enough to render all pages again.
    """

    confusion: Confusion | None
    report: str
    history: dict[str, list[float | None]] | None
    layers: list[Layer] | None
    figures: list[FigureNote]
    notes: list[str]
    evaluations: NotRequired[list[str]]
