"""The record of one run: built so that whatever is missing refuses, validated, written atomically, read back.

A record says what was judged and how; everything a reader sees is rendered from it and from the evidence beside it.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NotRequired, TypeVar, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic reads this one on Python 3.11

from roentgate.errors import ArgumentError
from roentgate.stats import Direction, Outcome, meets
from roentgate.store import atomic

SCHEMA: Final = "roentgate.scorecard/1"
SCORECARD_FILE: Final = "scorecard.json"
EVIDENCE_FILE: Final = "evidence.json"
NOT_RECORDED: Final = "required, but not recorded"

Gate = Literal["point", "proven"]
Key = tuple[str, str, str]
"""What names a row: (suite, check, subject)."""

_Name = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]
_EXACT: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@with_config(_EXACT)
class Row(TypedDict):
    """One verdict of the record: a number, its interval and n, held against a bound."""

    suite: _Name
    check: _Name
    subject: str
    verdict: Outcome
    gates: bool
    accepted: bool
    proven: bool
    value: float | None
    low: float | None
    high: float | None
    n: _Count
    bound: float | None
    direction: Direction | None
    detail: str
    offenders: list[str]


@with_config(_EXACT)
class ModelEntry(TypedDict):
    """Which model, by the content of its source and its weights."""

    name: _Name
    source: str
    fingerprint: str
    weights: Literal["trained here", "loaded"]


@with_config(_EXACT)
class DatasetEntry(TypedDict):
    """Which films, by content, and how many of each class in each split."""

    name: _Name
    fingerprint: str
    classes: list[str]
    counts: dict[str, dict[str, _Count]]


@with_config(_EXACT)
class TaskEntry(TypedDict):
    """What the model was asked: image shape (H, W, C) and seed."""

    image_shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=3, max_length=3)]
    seed: int


@with_config(_EXACT)
class PolicyEntry(TypedDict):
    """Which bounds, by content."""

    fingerprint: str


@with_config(_EXACT)
class Record(TypedDict):
    """The whole scorecard, as ``scorecard.json`` holds it."""

    schema: Literal["roentgate.scorecard/1"]
    accepted: bool
    proven: bool
    complete: bool
    counts: dict[Outcome, _Count]
    model: ModelEntry
    dataset: DatasetEntry
    task: TaskEntry
    gate: Gate
    policy: PolicyEntry
    verdicts: list[Row]


@with_config(_EXACT)
class Confusion(TypedDict):
    """Rows by true class (first index) and called class (second index)."""

    classes: list[str]
    counts: list[list[_Count]]


@with_config(_EXACT)
class Layer(TypedDict):
    """One layer: its output shape without the batch, (H, W, C) or (N,), and how many weights it holds."""

    name: str
    type: str
    shape: list[int | None]
    parameters: _Count


@with_config(_EXACT)
class FigureNote(TypedDict):
    """A picture beside the scorecard; a plain file name, so that no rendering can be made to read another folder."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.png$")]
    title: str
    alt: str


@with_config(_EXACT)
class EvidenceRecord(TypedDict):
    """What the author looked at, beside the verdicts: enough to draw and render everything again from JSON alone."""

    confusion: Confusion | None
    report: str
    history: dict[str, list[float | None]] | None
    layers: list[Layer] | None
    figures: list[FigureNote]
    notes: list[str]
    looks: NotRequired[list[str]]


_RECORD: Final = TypeAdapter(Record)
_EVIDENCE: Final = TypeAdapter(EvidenceRecord)
_Parsed = TypeVar("_Parsed")


def build(  # noqa: PLR0913  the parts of a record, each by name
    *,
    rows: Sequence[Row],
    model: Mapping[str, object],
    dataset: Mapping[str, object],
    task: Mapping[str, object],
    gate: Gate,
    policy: Mapping[str, object],
    required: Sequence[tuple[str, str]],
    complete: bool,
) -> Record:
    """Return the record of a run, refusing for whatever is missing, doubled or broken.

    Args:
        rows: The verdicts, in the order the record keeps.
        model: ``name``, ``source``, ``fingerprint``, ``weights``.
        dataset: ``name``, ``fingerprint``, ``classes``, ``counts`` (split -> class -> films).
        task: ``image_shape`` (H, W, C) and ``seed``.
        gate: What an accepted row takes: its point estimate, or proof.
        policy: ``fingerprint``.
        required: The (suite, check) pairs without which nothing is accepted.
        complete: Whether the whole gate was run; False for a filtered run.

    Returns:
        A valid record. A required pair that no row has, and a row recorded twice, become failing rows without a value.
        A run that records nothing that gates is not complete. Numbers are rounded to 6 significant digits, NaN and
        infinity become None.

    Raises:
        ArgumentError: The parts do not make a valid record.
    """
    recorded = {(row["suite"], row["check"]) for row in rows}
    missing = [pair for pair in dict.fromkeys(required) if pair not in recorded]
    verdicts = [
        *_each_once(rows),
        *(refused_row(suite=suite, check=check, subject="", detail=NOT_RECORDED) for suite, check in missing),
    ]
    whole = complete and not missing and any(row["gates"] for row in rows)
    parts = {
        "schema": SCHEMA,
        "accepted": (accepted := whole and all(row["accepted"] for row in verdicts if row["gates"])),
        "proven": accepted and all(row["proven"] for row in verdicts if row["gates"]),
        "complete": whole,
        "counts": _tally(verdicts),
        "model": model,
        "dataset": dataset,
        "task": task,
        "gate": gate,
        "policy": policy,
        "verdicts": verdicts,
    }
    return validate(_plain(parts))


def refused_row(*, suite: str, check: str, subject: str, detail: str, verdict: Outcome = "fail") -> Row:
    """Return a gating row without a value that nothing accepts: a gap, a crash, a skip that nobody declared."""
    return {
        "suite": suite, "check": check, "subject": subject, "verdict": verdict, "gates": True, "accepted": False,
        "proven": False, "value": None, "low": None, "high": None, "n": 0, "bound": None, "direction": None,
        "detail": detail, "offenders": [],
    }  # fmt: skip


def validate(record: object) -> Record:
    """Return ``record`` if it has the published shape and does not contradict itself.

    Raises:
        ArgumentError: It does not; the message names the first entry at fault.
    """
    return _consistent(_parse(_RECORD, json.dumps(record), "this record"), "this record")


def headline(record: Record) -> str:
    """Return the outcome in one line of markdown, without any name that a user chose.

    Examples:
        ``**ACCEPTED, NOT PROVEN (2 rows)** · 31 verdicts: 28 pass, 2 inconclusive, 1 skipped``
    """
    gating = [row for row in record["verdicts"] if row["gates"]]
    unproven = sum(not row["proven"] for row in gating)
    refusing = sum(not row["accepted"] for row in gating)
    if record["proven"]:
        outcome = ["**PROVEN**"]
    elif record["accepted"]:
        outcome = [f"**ACCEPTED, NOT PROVEN ({unproven} {'row' if unproven == 1 else 'rows'})**"]
    else:
        outcome = ["**REFUSED**"]
    if not record["complete"]:
        outcome.append("partial run, not a gate")
    if refusing:
        outcome.append(f"{refusing} of {len(gating)} gating rows not accepted")
    told = [f"{count} {verdict}" for verdict, count in _tally(gating).items() if count]
    rest = [row for row in record["verdicts"] if not row["gates"]]
    skips = sum(row["verdict"] == "skipped" for row in rest)
    told += [f"{skips} skipped"] * bool(skips) + [f"{len(rest) - skips} inform"] * (len(rest) > skips)
    verdicts = "1 verdict" if len(record["verdicts"]) == 1 else f"{len(record['verdicts'])} verdicts"
    return " · ".join([*outcome, f"{verdicts}: {', '.join(told)}" if told else "no verdict recorded"])


def key(row: Row) -> Key:
    """Return what names a row within its record."""
    return row["suite"], row["check"], row["subject"]


def compare(records: Sequence[Record]) -> list[tuple[Key, tuple[Row | None, ...]]]:
    """Return every row that any of ``records`` has, once, with what each record says of it (None: nothing)."""
    by_key = [{key(row): row for row in record["verdicts"]} for record in records]
    keys = dict.fromkeys(name for rows in by_key for name in rows)
    return [(name, tuple(rows.get(name) for rows in by_key)) for name in keys]


def write(record: Record, folder: Path) -> Path:
    """Write ``scorecard.json`` into ``folder``, whole or not at all; return its path. Equal records, equal bytes."""
    return _write(folder / SCORECARD_FILE, validate(record))


def as_written(evidence: EvidenceRecord) -> EvidenceRecord:
    """Return evidence as a reader of ``evidence.json`` finds it, so that both draw the same."""
    return _parse(_EVIDENCE, json.dumps(_plain(evidence)), "this evidence")


def write_evidence(evidence: EvidenceRecord, folder: Path) -> Path:
    """Write ``evidence.json`` into ``folder``, whole or not at all, and return its path."""
    return _write(folder / EVIDENCE_FILE, as_written(evidence))


def read(path: Path) -> Record:
    """Read a record and hold it against its shape and against itself.

    Raises:
        ArgumentError: There is no such file, or it is damaged; the message names the entry.
    """
    label = f"scorecard '{path}'"
    return _consistent(_parse(_RECORD, _load(path, label), label), label)


def read_evidence(path: Path) -> EvidenceRecord:
    """Read what lies beside a record.

    Raises:
        ArgumentError: There is no such file, or it is damaged; the message names the entry.
    """
    label = f"evidence '{path}'"
    return _parse(_EVIDENCE, _load(path, label), label)


def _tally(rows: Sequence[Row]) -> dict[str, int]:
    found = Counter(row["verdict"] for row in rows)
    return {verdict: found[verdict] for verdict in get_args(Outcome)}


def _each_once(rows: Sequence[Row]) -> list[Row]:
    """Return the rows in their order; of a row recorded more than once, none is believed."""
    by_key: dict[Key, list[Row]] = {}
    for row in rows:
        by_key.setdefault(key(row), []).append(row)
    return [same[0] if len(same) == 1 else _doubled(same) for same in by_key.values()]


def _doubled(same: Sequence[Row]) -> Row:
    told = " / ".join(f"{row['verdict']} ({row['detail']})" if row["detail"] else row["verdict"] for row in same)
    suite, check, subject = key(same[0])
    return refused_row(
        suite=suite, check=check, subject=subject, detail=f"recorded {len(same)} times, once is wanted: {told}"
    )


def _plain(value: object) -> object:
    """Return ``value`` as JSON holds it: finite numbers of 6 significant digits, text that UTF-8 can write."""
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") + 0.0 if math.isfinite(value) else None
    if isinstance(value, str):  # a file name that is not UTF-8 holds surrogates, which UTF-8 cannot write
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_plain(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, Sequence):
        return [_plain(entry) for entry in value]
    return value


def _write(path: Path, parsed: Record | EvidenceRecord) -> Path:
    text = json.dumps(parsed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic(path) as draft:
        draft.write_bytes(text.encode())
    return path


def _load(path: Path, label: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = (
            f"{label} cannot be read ({error.strerror}); run the suites to write one, or pass the folder of another"
        )
        raise ArgumentError(message) from error


def _parse(adapter: TypeAdapter[_Parsed], content: str | bytes, label: str) -> _Parsed:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        message = f"{label} is damaged: {where}: {first['msg']}; restore it, or run the suites again"
        raise ArgumentError(message) from error


def _consistent(record: Record, label: str) -> Record:
    """Return ``record`` unless its parts disagree, as after an edit by hand."""
    rows = record["verdicts"]
    gating = [row for row in rows if row["gates"]]
    accepted = record["complete"] and bool(gating) and all(row["accepted"] for row in gating)
    proven = accepted and all(row["proven"] for row in gating)
    faults = [
        *(f"{name} is there {count} times" for name, count in Counter(map(key, rows)).items() if count > 1),
        *(f"{key(row)} {fault}" for row in gating if (fault := _fault(row, record["gate"]))),
    ]
    if record["counts"] != _tally(rows):
        faults.append("'counts' are not those of its verdicts")
    if record["accepted"] != accepted:
        faults.append(f"'accepted' is {record['accepted']}, but its verdicts make it {accepted}")
    if record["proven"] != proven:
        faults.append(f"'proven' is {record['proven']}, but its verdicts make it {proven}")
    if faults:
        raise ArgumentError(f"{label} contradicts itself: {faults[0]}; restore it, or run the suites again")
    return record


def _fault(row: Row, gate: Gate) -> str:
    """Say why a gating row cannot be what it claims to be; "" where its own numbers bear it out."""
    inconclusive = row["verdict"] == "inconclusive"
    if inconclusive and row["proven"]:
        return "is inconclusive and proven all the same"
    if not row["accepted"] or row["verdict"] == "skipped":
        return ""
    if row["verdict"] == "fail":
        return "fails and is accepted all the same"
    if inconclusive and gate == "proven":
        return "is accepted without proof, but the gate is 'proven'"
    decisive = row["value"] if inconclusive else row["low"] if row["direction"] == "at_least" else row["high"]
    if row["bound"] is None or (decisive is not None and meets(decisive, row["bound"], row["direction"] or "at_most")):
        return ""
    return "is accepted, but its numbers miss the bound"
