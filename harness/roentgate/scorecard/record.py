"""The record of one run: built, validated, written and read.

A record says what was judged and how. Everything that a reader sees is rendered from it and from the evidence in the
same folder. Anything that is missing refuses the model.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from roentgate.errors import ArgumentError
from roentgate.scorecard import schema_1
from roentgate.scorecard.shape import EvidenceRecord, Key, Reason, Record, Row, RunOutcome
from roentgate.stats import Gate, Outcome, meets
from roentgate.store import atomic

SCHEMA: Final = "roentgate.scorecard/2"
SCORECARD_FILE: Final = "scorecard.json"
EVIDENCE_FILE: Final = "evidence.json"
NOT_RECORDED: Final = "required, but not recorded"

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
    """Return the record of a run.

    Anything that is missing, repeated or broken refuses the model.

    Args:
        rows: The verdicts, in the order the record keeps.
        model: ``name``, ``source``, ``fingerprint``, ``weights``.
        dataset: ``name``, ``fingerprint``, ``classes``, ``counts`` (split -> class -> images).
        task: ``image_shape`` (H, W, C) and ``seed``. Of several trainings also ``seeds`` and ``deciding``.
        gate: The decision rule.
        policy: ``fingerprint``.
        required: The (suite, check) pairs without which nothing is accepted.
        complete: Whether all suites were run. False for a filtered run.

    Returns:
        A valid record. A required pair without a row, and a row that is recorded twice, become failing rows without a
        value. A run without a gating row is not complete. Numbers are rounded to 6 significant digits. NaN and
        infinity become None.

    Raises:
        ArgumentError: The parts do not make a valid record.
    """
    recorded = {(row["suite"], row["check"]) for row in rows}
    missing = [pair for pair in dict.fromkeys(required) if pair not in recorded]
    judged = [
        *_each_once(rows),
        *(
            empty_row(suite=suite, check=check, subject="", reason="missing", detail=NOT_RECORDED)
            for suite, check in missing
        ),
    ]
    whole = complete and not missing and any(row["gates"] for row in rows)
    parts = {
        "schema": SCHEMA,
        "outcome": _outcome(judged, complete=whole),
        "complete": whole,
        "gate": gate,
        "counts": _tally(judged),
        "model": model,
        "dataset": dataset,
        "task": task,
        "policy": policy,
        "rows": judged,
    }
    return validate(_plain(parts))


def accepted(record: Record) -> bool:
    """Whether the run is complete and every gating row is accepted."""
    return record["outcome"] != "fail"


def empty_row(  # noqa: PLR0913  the parts of a row, each by name
    *, suite: str, check: str, subject: str, reason: Reason, detail: str, outcome: Literal["fail", "skipped"] = "fail"
) -> Row:
    """Return a row without an estimate, for a gap, a crash or a skip.

    Only an excused skip is accepted.
    """
    excused = reason == "excused"
    return {
        "suite": suite,
        "check": check,
        "subject": subject,
        "outcome": outcome,
        "accepted": excused,
        "gates": not excused,
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "unit": None,
        "bound": None,
        "direction": None,
        "method": None,
        "state": None,
        "reason": reason,
        "detail": detail,
        "failing": [],
        "failing_total": 0,
    }


def validate(record: object) -> Record:
    """Return ``record`` if it has the published shape and is consistent.

    Raises:
        ArgumentError: It is not valid. The message names the first faulty entry.
    """
    return _consistent(_parse(_RECORD, json.dumps(record), "this record"), "this record")


def headline(record: Record) -> str:
    """Return the outcome in one line of markdown.

    The line holds no name that a user chose.

    Examples:
        ``**CONDITIONAL PASS (2 rows)** · 31 rows: 28 pass, 2 conditional pass, 1 skipped``
    """
    gating = [row for row in record["rows"] if row["gates"]]
    conditional = sum(row["outcome"] != "pass" for row in gating)
    refusing = sum(not row["accepted"] for row in gating)
    outcomes = {
        "pass": "**PASS**",
        "conditional_pass": f"**CONDITIONAL PASS ({conditional} {'row' if conditional == 1 else 'rows'})**",
        "fail": "**FAIL**",
    }
    parts = [outcomes[record["outcome"]]]
    if not record["complete"]:
        parts.append("partial run, not a gate")
    if refusing:
        parts.append(f"{refusing} of {len(gating)} gating rows not accepted")
    counts = [f"{count} {in_words(outcome)}" for outcome, count in record["counts"].items() if count]
    rows = "1 row" if len(record["rows"]) == 1 else f"{len(record['rows'])} rows"
    return " · ".join([*parts, f"{rows}: {', '.join(counts)}" if counts else "no row recorded"])


def in_words(outcome: Outcome) -> str:
    """Return an outcome as a reader sees it, such as ``conditional pass``."""
    return outcome.replace("_", " ")


def key(row: Row) -> Key:
    """Return what identifies a row within its record."""
    return row["suite"], row["check"], row["subject"]


def compare(records: Sequence[Record]) -> list[tuple[Key, tuple[Row | None, ...]]]:
    """Return all rows of several records, matched by their keys.

    Every row that any record has comes once, with the row of each record, or None if a record lacks it.
    """
    by_key = [{key(row): row for row in record["rows"]} for record in records]
    keys = dict.fromkeys(name for rows in by_key for name in rows)
    return [(name, tuple(rows.get(name) for rows in by_key)) for name in keys]


def write(record: Record, folder: Path) -> Path:
    """Write ``scorecard.json`` into ``folder`` and return its path.

    The file is written whole or not at all. Equal records give equal bytes.
    """
    return _write(folder / SCORECARD_FILE, validate(record))


def as_written(evidence: EvidenceRecord) -> EvidenceRecord:
    """Return evidence as a reader of ``evidence.json`` finds it.

    Writer and reader thus draw the same.
    """
    return _parse(_EVIDENCE, json.dumps(_plain(evidence)), "this evidence")


def write_evidence(evidence: EvidenceRecord, folder: Path) -> Path:
    """Write ``evidence.json`` into ``folder`` and return its path.

    The file is written whole or not at all.
    """
    return _write(folder / EVIDENCE_FILE, as_written(evidence))


def read(path: Path) -> Record:
    """Read and validate a record, of this schema or of schema 1.

    Raises:
        ArgumentError: There is no such file, or it is damaged. The message names the entry.
    """
    label = f"scorecard '{path}'"
    content = _load(path, label)
    return _consistent(_parse(_RECORD, schema_1.converted(content) or content, label), label)


def read_evidence(path: Path) -> EvidenceRecord:
    """Read the evidence that belongs to a record.

    Raises:
        ArgumentError: There is no such file, or it is damaged. The message names the entry.
    """
    label = f"evidence '{path}'"
    content = _load(path, label)
    return _parse(_EVIDENCE, schema_1.evidence(content) or content, label)


def _tally(rows: Sequence[Row]) -> dict[str, int]:
    found = Counter(row["outcome"] for row in rows)
    return {outcome: found[outcome] for outcome in get_args(Outcome)}


def _outcome(rows: Sequence[Row], *, complete: bool) -> RunOutcome:
    gating = [row for row in rows if row["gates"]]
    if not (complete and gating and all(row["accepted"] for row in gating)):
        return "fail"
    return "pass" if all(row["outcome"] == "pass" for row in gating) else "conditional_pass"


def _each_once(rows: Sequence[Row]) -> list[Row]:
    """Return the rows in their order, each key once.

    A row that was recorded more than once becomes a failing row.
    """
    by_key: dict[Key, list[Row]] = {}
    for row in rows:
        by_key.setdefault(key(row), []).append(row)
    return [same[0] if len(same) == 1 else _doubled(same) for same in by_key.values()]


def _doubled(same: Sequence[Row]) -> Row:
    outcomes = " / ".join(in_words(row["outcome"]) + (f" ({row['detail']})" if row["detail"] else "") for row in same)
    suite, check, subject = key(same[0])
    detail = f"recorded {len(same)} times, once is wanted: {outcomes}"
    return empty_row(suite=suite, check=check, subject=subject, reason="repeated", detail=detail)


def _plain(value: object) -> object:
    """Return ``value`` as JSON can hold it.

    Numbers are finite and have 6 significant digits. Text can be encoded as UTF-8.
    """
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
    """Return ``record`` unless its parts contradict each other.

    They may after an edit by hand.
    """
    rows = record["rows"]
    gating = [row for row in rows if row["gates"]]
    faults = [
        *(f"{name} is there {count} times" for name, count in Counter(map(key, rows)).items() if count > 1),
        *(f"{key(row)} {fault}" for row in gating if (fault := _fault(row, record["gate"]))),
    ]
    if record["counts"] != _tally(rows):
        faults.append("'counts' are not those of its rows")
    if record["outcome"] != (outcome := _outcome(rows, complete=record["complete"])):
        faults.append(f"'outcome' is {record['outcome']}, but its rows make it {outcome}")
    if faults:
        raise ArgumentError(f"{label} contradicts itself: {faults[0]}; restore it, or run the suites again")
    return record


def _fault(row: Row, gate: Gate) -> str:
    """Return why a gating row cannot be true, or "" if it can."""
    outcome = row["outcome"]
    if outcome == "descriptive":
        return "is descriptive and gates all the same"
    if not row["accepted"]:
        return ""
    if outcome not in {"pass", "conditional_pass"}:
        return f"is a {in_words(outcome)} and accepted all the same"
    conditional = outcome == "conditional_pass"
    if conditional and gate == "guarded":
        return "is a conditional pass and accepted, but the decision rule is 'guarded'"
    decisive = row["value"] if conditional else row["low"] if row["direction"] == "at_least" else row["high"]
    if row["bound"] is None or (decisive is not None and meets(decisive, row["bound"], row["direction"] or "at_most")):
        return ""
    return "is accepted, but its numbers miss the bound"
