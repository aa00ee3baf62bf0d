"""The record of a run: it refuses for whatever is missing, says so by name, and equal evidence is equal bytes."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.errors import ArgumentError
from roentgate.scorecard import record as scorecard
from roentgate.scorecard.record import EvidenceRecord, Record, Row

SCHEMA = json.loads(Path(scorecard.__file__).with_name("scorecard.schema.json").read_text("utf-8"))
SHAPE = jsonschema.Draft202012Validator(SCHEMA)
PARTS: dict[str, Any] = {
    "model": {"name": "baseline", "source": "models/baseline.py", "fingerprint": "ab" * 32, "weights": "loaded"},
    "dataset": {
        "name": "phantom",
        "fingerprint": "cd" * 32,
        "classes": ["Covid", "Normal"],
        "counts": {"test": {"Covid": 20, "Normal": 20}},
    },
    "task": {"image_shape": (96, 96, 1), "seed": 0},
    "gate": "point",
    "policy": {"fingerprint": "ef" * 32},
    "required": [("recall", "recall_floor")],
    "complete": True,
}


def row(subject: str = "Covid", **changes: object) -> Row:
    made: dict[str, Any] = {
        "suite": "recall", "check": "recall_floor", "subject": subject, "verdict": "pass", "gates": True,
        "accepted": True, "proven": True, "value": 0.95, "low": 0.85, "high": 0.99, "n": 40, "bound": 0.8,
        "direction": "at_least", "detail": "", "offenders": [],
    }  # fmt: skip
    made.update(changes)
    return made  # type: ignore[return-value]


UNPROVEN: dict[str, Any] = {"verdict": "inconclusive", "proven": False, "low": 0.7}
REFUSED: dict[str, Any] = {"verdict": "fail", "accepted": False, "value": 0.5, "low": 0.4, "high": 0.6}
INFORMS: dict[str, Any] = {"gates": False, "bound": None, "direction": None}


def build(*rows: Row, **changes: object) -> Record:
    parts: dict[str, Any] = PARTS | changes
    return scorecard.build(rows=rows or (row(),), **parts)


def evidence() -> EvidenceRecord:
    return {
        "confusion": {"classes": ["Covid", "Normal"], "counts": [[19, 1], [0, 20]]},
        "report": "precision",
        "history": {"loss": [1.0, None]},
        "layers": None,
        "figures": [{"file": "verdicts.png", "title": "Verdicts", "alt": "all"}],
        "notes": [],
    }


# What is accepted


def test_proven_rows_make_a_proven_scorecard() -> None:
    record = build()
    assert (record["accepted"], record["proven"], record["complete"]) == (True, True, True)
    assert scorecard.headline(record) == "**PROVEN** · 1 verdict: 1 pass"


def test_one_unproven_row_is_accepted_and_counted_as_such() -> None:
    record = build(row(), row("Normal", **UNPROVEN))
    assert (record["accepted"], record["proven"]) == (True, False)
    assert scorecard.headline(record) == "**ACCEPTED, NOT PROVEN (1 row)** · 2 verdicts: 1 pass, 1 inconclusive"


def test_one_refused_row_refuses() -> None:
    record = build(row(), row("Normal", **REFUSED))
    assert (record["accepted"], record["proven"], record["complete"]) == (False, False, True)
    assert scorecard.headline(record).startswith("**REFUSED** · 1 of 2 gating rows not accepted")


def test_a_row_that_informs_refuses_nothing_and_proves_nothing() -> None:
    record = build(row(), row(check="control", verdict="inconclusive", value=None, proven=True, **INFORMS))
    assert record["proven"]


def test_skips_are_counted_in_the_headline() -> None:
    skip = row(check="gradients", verdict="skipped", value=None, low=None, high=None, n=0, **INFORMS)
    assert "1 skipped" in scorecard.headline(build(row(), skip))


# Fail closed


def test_a_missing_required_check_is_a_failing_row_and_the_run_is_not_complete() -> None:
    record = build(required=[("recall", "recall_floor"), ("border", "ring_transplant")])
    assert (record["accepted"], record["complete"]) == (False, False)
    missing = record["verdicts"][-1]
    assert (missing["suite"], missing["check"], missing["verdict"]) == ("border", "ring_transplant", "fail")
    assert (missing["value"], missing["detail"]) == (None, "required, but not recorded")
    assert "partial run, not a gate" in scorecard.headline(record)


def test_a_row_recorded_twice_is_believed_in_neither_version() -> None:
    record = build(row(), row(verdict="fail", accepted=False, detail="the check did not finish"))
    (only,) = record["verdicts"]
    assert (only["verdict"], only["accepted"], only["value"]) == ("fail", False, None)
    assert only["detail"] == "recorded 2 times, once is wanted: pass / fail (the check did not finish)"
    assert not record["accepted"]


def test_nothing_recorded_is_nothing_accepted() -> None:
    record = scorecard.build(rows=[], **(PARTS | {"required": []}))
    assert (record["accepted"], record["complete"]) == (False, False)
    assert scorecard.headline(record) == "**REFUSED** · partial run, not a gate · no verdict recorded"


def test_rows_that_only_inform_accept_nothing() -> None:
    record = build(row(**INFORMS))
    assert (record["accepted"], record["complete"]) == (False, False)


def test_a_partial_run_is_refused_whatever_its_rows_say() -> None:
    record = build(complete=False)
    assert (record["accepted"], record["proven"]) == (False, False)
    assert scorecard.headline(record).startswith("**REFUSED** · partial run, not a gate")


@given(st.lists(st.sampled_from(["proven", "unproven", "refused", "informs"]), max_size=8), st.booleans())
def test_accepted_is_exactly_complete_and_every_gating_row_accepted(kinds: list[str], whole: bool) -> None:  # noqa: FBT001
    changes = {"proven": {}, "unproven": UNPROVEN, "refused": REFUSED, "informs": INFORMS}
    rows = [row(str(index), **changes[kind]) for index, kind in enumerate(kinds)]
    record = scorecard.build(rows=rows, **(PARTS | {"complete": whole, "required": []}))
    gating = [kind for kind in kinds if kind != "informs"]
    assert record["complete"] == (whole and bool(gating))
    assert record["accepted"] == (record["complete"] and "refused" not in gating)
    assert record["proven"] == (record["accepted"] and "unproven" not in gating)


# Numbers and bytes


def test_undefined_and_infinite_numbers_are_null() -> None:
    record = build(row(), row("Normal", **(UNPROVEN | {"accepted": False, "value": math.nan, "high": math.inf})))
    assert (record["verdicts"][1]["value"], record["verdicts"][1]["high"]) == (None, None)


def test_numpy_numbers_are_plain_and_the_last_bits_do_not_matter() -> None:
    one = build(row(value=np.float32(0.95), n=np.int64(40), gates=np.True_))
    other = build(row(value=np.nextafter(0.95, 1)))
    assert one == other


def test_equal_records_are_equal_bytes_in_the_order_given(tmp_path: Path) -> None:
    rows = [row("Z"), row("A")]
    first = scorecard.write(build(*rows), tmp_path / "a").read_bytes()
    assert first == scorecard.write(build(*copy.deepcopy(rows)), tmp_path / "b").read_bytes()
    assert [entry["subject"] for entry in json.loads(first)["verdicts"]] == ["Z", "A"]
    assert first.endswith(b"}\n")


def test_writing_leaves_no_other_file_and_reads_back(tmp_path: Path) -> None:
    record = build(row("Lungenentzündung 肺炎"))
    path = scorecard.write(record, tmp_path)
    assert scorecard.write_evidence(evidence(), tmp_path).is_file()
    assert {entry.name for entry in tmp_path.iterdir()} == {"scorecard.json", "evidence.json"}
    assert "肺炎" in path.read_text("utf-8")
    assert scorecard.read(path) == record
    assert scorecard.read_evidence(tmp_path / "evidence.json") == evidence()


def test_a_file_name_that_is_not_utf8_can_be_written(tmp_path: Path) -> None:
    record = build(row(offenders=["test/\udcff.png"]))
    assert scorecard.read(scorecard.write(record, tmp_path))["verdicts"][0]["offenders"] == ["test/\\udcff.png"]


# Damage


def damage(change: Callable[[Any], object]) -> dict[str, Any]:
    record: Any = copy.deepcopy(build(row(), row("Normal", **UNPROVEN), row("Other", **REFUSED)))
    change(record)
    return dict(record)


BROKEN: dict[str, Callable[[Any], object]] = {
    "a key is missing": lambda record: record.pop("gate"),
    "a key is unknown": lambda record: record.update(score=1),
    "another schema": lambda record: record.update(schema="roentgate.scorecard/2"),
    "a row lacks n": lambda record: record["verdicts"][0].pop("n"),
    "a row says more": lambda record: record["verdicts"][0].update(further=3),
    "an unknown verdict": lambda record: record["verdicts"][0].update(verdict="passed"),
    "a number as text": lambda record: record["verdicts"][0].update(value="0.9"),
    "a negative n": lambda record: record["verdicts"][0].update(n=-1),
    "a flag as a number": lambda record: record.update(complete=1),
    "an image without channels": lambda record: record["task"].update(image_shape=[96, 96]),
    "accepted against a row": lambda record: record.update(accepted=True),
    "proven but not accepted": lambda record: record.update(proven=True),
    "a failing row accepted": lambda record: record["verdicts"][2].update(accepted=True),
    "an inconclusive row proven": lambda record: record["verdicts"][1].update(proven=True),
}
CONTRADICTIONS: dict[str, Callable[[Any], object]] = {
    "counts of other verdicts": lambda record: record["counts"].update({"pass": 7}),
    "a row twice": lambda record: (
        record["verdicts"].append(record["verdicts"][0]),
        record["counts"].update({"pass": 2}),
    ),
    "a pass below its floor": lambda record: record["verdicts"][0].update(low=0.79),
    "an accepted value below its floor": lambda record: record["verdicts"][1].update(value=0.79),
    "an accepted row without a value": lambda record: record["verdicts"][1].update(value=None),
    "an unproven row under the gate of proof": lambda record: record.update(gate="proven"),
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in BROKEN.items()])
def test_the_published_schema_and_the_reader_refuse_the_same(change: Callable[[Any], object]) -> None:
    record = damage(change)
    assert not SHAPE.is_valid(record)
    with pytest.raises(ArgumentError, match=r"this record (is damaged|contradicts itself): .*; restore it"):
        scorecard.validate(record)


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CONTRADICTIONS.items()])
def test_a_record_edited_by_hand_contradicts_itself(change: Callable[[Any], object]) -> None:
    with pytest.raises(ArgumentError, match="this record contradicts itself: "):
        scorecard.validate(damage(change))


@pytest.mark.parametrize("rows", [[], [row()], [row(**UNPROVEN)], [row(**REFUSED)], [row(**INFORMS), row("Normal")]])
def test_whatever_is_built_has_the_published_shape(rows: list[Row]) -> None:
    SHAPE.validate(build(*rows))
    SHAPE.validate(build(*rows, required=[("border", "gone")]))


def test_the_published_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"].keys() == Record.__annotations__.keys()
    assert SCHEMA["$defs"]["verdict"]["properties"].keys() == Row.__annotations__.keys()


def test_a_damaged_file_gets_a_sentence_that_names_the_entry(tmp_path: Path) -> None:
    path = scorecard.write(build(), tmp_path)
    path.write_text(path.read_text().replace('"value": 0.95', '"value": NaN'))
    with pytest.raises(
        ArgumentError, match=r"scorecard '.*scorecard\.json' is damaged: verdicts\.0\.value: .*; restore it"
    ):
        scorecard.read(path)
    path.write_text(path.read_text()[:40])
    with pytest.raises(ArgumentError, match="is damaged: the file: "):
        scorecard.read(path)


def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"scorecard '.*' cannot be read .*; run the suites"):
        scorecard.read(tmp_path / "scorecard.json")


@pytest.mark.parametrize("name", ["../other.png", "/etc/passwd", "a.svg", "a b.png", ""])
def test_evidence_cannot_point_outside_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match=r"figures\.0\.file"):
        scorecard.write_evidence({**evidence(), "figures": [{"file": name, "title": "", "alt": ""}]}, tmp_path)


# Several records


def test_records_are_compared_row_by_row() -> None:
    one, other = build(row(), row("Normal")), build(row("Other"), row(**UNPROVEN))
    compared = scorecard.compare([one, other])
    assert [name[2] for name, _ in compared] == ["Covid", "Normal", "Other"]
    assert [[entry and entry["verdict"] for entry in entries] for _, entries in compared] == [
        ["pass", "inconclusive"],
        ["pass", None],
        [None, "pass"],
    ]
