"""Tests of the record of a run.

Anything that is missing refuses the model and is named. Equal evidence gives equal bytes.
"""

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
from roentgate.scorecard.shape import DatasetEntry, EvidenceRecord, Record, Row, StudyEntry
from tests.support.rows import CONDITIONAL, DESCRIPTIVE, FAILED, SKIPPED, row

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
    "gate": "simple",
    "policy": {"fingerprint": "ef" * 32},
    "required": [("recall", "recall_floor")],
    "complete": True,
}


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


def test_rows_that_pass_make_a_scorecard_that_passes() -> None:
    record = build()
    assert (record["outcome"], record["complete"]) == ("pass", True)
    assert scorecard.headline(record) == "**PASS** · 1 row: 1 pass"


def test_a_conditional_pass_is_accepted_and_counted_as_such() -> None:
    record = build(row(), row("Normal", **CONDITIONAL))
    assert record["outcome"] == "conditional_pass"
    assert scorecard.headline(record) == "**CONDITIONAL PASS (1 row)** · 2 rows: 1 pass, 1 conditional pass"


def test_one_row_that_is_not_accepted_fails_the_model() -> None:
    record = build(row(), row("Normal", **FAILED))
    assert (record["outcome"], record["complete"]) == ("fail", True)
    assert scorecard.headline(record).startswith("**FAIL** · 1 of 2 gating rows not accepted · 2 rows: 1 pass, 1 fail")


def test_a_descriptive_row_refuses_nothing() -> None:
    record = build(row(), row(check="control", value=None, state="undefined", **DESCRIPTIVE))
    assert record["outcome"] == "pass"


def test_skips_are_counted_in_the_headline() -> None:
    assert "1 skipped" in scorecard.headline(build(row(), row(check="gradients", **SKIPPED)))


# Fail closed


def test_a_missing_required_check_is_a_failing_row_and_the_run_is_not_complete() -> None:
    record = build(required=[("recall", "recall_floor"), ("border", "border_swap")])
    assert (record["outcome"], record["complete"]) == ("fail", False)
    missing = record["rows"][-1]
    assert (missing["suite"], missing["check"], missing["outcome"]) == ("border", "border_swap", "fail")
    assert (missing["value"], missing["reason"], missing["detail"]) == (None, "missing", "required, but not recorded")
    assert "partial run, not a gate" in scorecard.headline(record)


def test_a_row_recorded_twice_is_believed_in_neither_version() -> None:
    record = build(row(), row(outcome="fail", accepted=False, detail="the check did not finish"))
    (only,) = record["rows"]
    assert (only["outcome"], only["accepted"], only["value"], only["reason"]) == ("fail", False, None, "repeated")
    assert only["detail"] == "recorded 2 times, once is wanted: pass / fail (the check did not finish)"
    assert record["outcome"] == "fail"


def test_nothing_recorded_is_nothing_accepted() -> None:
    record = scorecard.build(rows=[], **(PARTS | {"required": []}))
    assert (record["outcome"], record["complete"]) == ("fail", False)
    assert scorecard.headline(record) == "**FAIL** · partial run, not a gate · no row recorded"


def test_descriptive_rows_alone_accept_nothing() -> None:
    record = build(row(**DESCRIPTIVE))
    assert (record["outcome"], record["complete"]) == ("fail", False)


def test_a_partial_run_is_refused_whatever_its_rows_say() -> None:
    record = build(complete=False)
    assert record["outcome"] == "fail"
    assert scorecard.headline(record).startswith("**FAIL** · partial run, not a gate")


@given(st.lists(st.sampled_from(["pass", "conditional", "fail", "descriptive"]), max_size=8), st.booleans())
def test_a_run_fails_unless_it_is_complete_and_every_gating_row_is_accepted(kinds: list[str], whole: bool) -> None:
    changes = {"pass": {}, "conditional": CONDITIONAL, "fail": FAILED, "descriptive": DESCRIPTIVE}
    rows = [row(str(index), **changes[kind]) for index, kind in enumerate(kinds)]
    record = scorecard.build(rows=rows, **(PARTS | {"complete": whole, "required": []}))
    gating = {kind for kind in kinds if kind != "descriptive"}
    assert record["complete"] == (whole and bool(gating))
    expected = "fail" if not record["complete"] or "fail" in gating else "pass"
    assert record["outcome"] == ("conditional_pass" if expected == "pass" and "conditional" in gating else expected)


# Numbers and bytes


def test_undefined_and_infinite_numbers_are_null() -> None:
    record = build(row(), row("Normal", **(CONDITIONAL | {"accepted": False, "value": math.nan, "high": math.inf})))
    assert (record["rows"][1]["value"], record["rows"][1]["high"]) == (None, None)


def test_numpy_numbers_are_plain_and_the_last_bits_do_not_matter() -> None:
    rounded = build(row(value=np.float32(0.95), n=np.int64(40), gates=np.True_))
    neighbour = build(row(value=np.nextafter(0.95, 1)))
    assert rounded == neighbour


def test_equal_records_are_equal_bytes_in_the_order_given(tmp_path: Path) -> None:
    rows = [row("Z"), row("A")]
    first = scorecard.write(build(*rows), tmp_path / "a").read_bytes()
    assert first == scorecard.write(build(*copy.deepcopy(rows)), tmp_path / "b").read_bytes()
    assert [entry["subject"] for entry in json.loads(first)["rows"]] == ["Z", "A"]
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
    record = build(row(failing=["test/\udcff.png"]))
    assert scorecard.read(scorecard.write(record, tmp_path))["rows"][0]["failing"] == ["test/\\udcff.png"]


# Damage


def damage(change: Callable[[Any], object]) -> dict[str, Any]:
    record: Any = copy.deepcopy(build(row(), row("Normal", **CONDITIONAL), row("Other", **FAILED)))
    change(record)
    return dict(record)


BROKEN: dict[str, Callable[[Any], object]] = {
    "a key is missing": lambda record: record.pop("gate"),
    "a key is unknown": lambda record: record.update(score=1),
    "another schema": lambda record: record.update(schema="roentgate.scorecard/1"),
    "a row lacks n": lambda record: record["rows"][0].pop("n"),
    "a row says more": lambda record: record["rows"][0].update(further=3),
    "an unknown outcome": lambda record: record["rows"][0].update(outcome="passed"),
    "a number as text": lambda record: record["rows"][0].update(value="0.9"),
    "a negative n": lambda record: record["rows"][0].update(n=-1),
    "a flag as a number": lambda record: record.update(complete=1),
    "an image without channels": lambda record: record["task"].update(image_shape=[96, 96]),
    "passed against a row": lambda record: record.update(outcome="pass"),
    "conditionally passed against a row": lambda record: record.update(outcome="conditional_pass"),
    "a failing row accepted": lambda record: record["rows"][2].update(accepted=True),
    "a descriptive row that gates": lambda record: record["rows"][1].update(outcome="descriptive"),
    "an unknown state": lambda record: record["rows"][0].update(state="fine"),
    "an unknown reason": lambda record: record["rows"][0].update(reason="bad luck"),
    "more failing rows than are listed": lambda record: record["rows"][0].update(failing=["a"] * 101),
}
CONTRADICTIONS: dict[str, Callable[[Any], object]] = {
    "counts of other rows": lambda record: record["counts"].update({"pass": 7}),
    "a row twice": lambda record: (
        record["rows"].append(record["rows"][0]),
        record["counts"].update({"pass": 2}),
    ),
    "a pass below its floor": lambda record: record["rows"][0].update(low=0.79),
    "an accepted value below its floor": lambda record: record["rows"][1].update(value=0.79),
    "an accepted row without a value": lambda record: record["rows"][1].update(value=None),
    "a conditional pass accepted under the guarded rule": lambda record: record.update(gate="guarded"),
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


@pytest.mark.parametrize(
    "rows", [[], [row()], [row(**CONDITIONAL)], [row(**FAILED)], [row(**DESCRIPTIVE), row("Normal")]]
)
def test_whatever_is_built_has_the_published_shape(rows: list[Row]) -> None:
    SHAPE.validate(build(*rows))
    SHAPE.validate(build(*rows, required=[("border", "gone")]))


STUDY = dict.fromkeys(StudyEntry.__annotations__, "") | {"ages": "adults"}


def test_a_record_may_say_what_is_known_of_its_study_and_need_not() -> None:
    older = PARTS["dataset"]
    for dataset in (older, older | {"study": STUDY}, older | {"study": STUDY, "prior_evaluations": 17}):
        record = build(dataset=dataset)
        SHAPE.validate(record)
        assert record["dataset"] == dataset
    faults: tuple[dict[str, Any], ...] = (
        {"study": {"ages": "adults"}},
        {"study": STUDY | {"age": "adults"}},
        {"prior_evaluations": -1},
    )
    for fault in faults:
        faulty = build().copy() | {"dataset": older | fault}
        assert not SHAPE.is_valid(faulty)
        with pytest.raises(ArgumentError, match="this record is damaged: dataset"):
            scorecard.validate(faulty)


def test_the_published_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"].keys() == Record.__annotations__.keys()
    assert SCHEMA["$defs"]["row"]["properties"].keys() == Row.__annotations__.keys()
    assert SCHEMA["properties"]["dataset"]["properties"].keys() == DatasetEntry.__annotations__.keys()


def test_a_damaged_file_gets_a_sentence_that_names_the_entry(tmp_path: Path) -> None:
    path = scorecard.write(build(), tmp_path)
    path.write_text(path.read_text().replace('"value": 0.95', '"value": NaN'))
    with pytest.raises(
        ArgumentError, match=r"scorecard '.*scorecard\.json' is damaged: rows\.0\.value: .*; restore it"
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
    one, other = build(row(), row("Normal")), build(row("Other"), row(**CONDITIONAL))
    compared = scorecard.compare([one, other])
    assert [name[2] for name, _ in compared] == ["Covid", "Normal", "Other"]
    assert [[entry and entry["outcome"] for entry in entries] for _, entries in compared] == [
        ["pass", "conditional_pass"],
        ["pass", None],
        [None, "pass"],
    ]
