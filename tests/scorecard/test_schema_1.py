"""Tests that records of schema 1 are read without a changed number or decision."""

import json
from pathlib import Path
from typing import Any

import pytest

from roentgate.errors import ArgumentError
from roentgate.scorecard import record as scorecard
from roentgate.scorecard.schema_1 import converted
from roentgate.scorecard.shape import Record

ROW: dict[str, Any] = {
    "suite": "recall",
    "check": "recall_floor",
    "subject": "Covid",
    "verdict": "pass",
    "gates": True,
    "accepted": True,
    "proven": True,
    "value": 0.95,
    "low": 0.85,
    "high": 0.99,
    "n": 40,
    "bound": 0.8,
    "direction": "at_least",
    "detail": "uninformative",
    "offenders": ["a", "b"],
}
NOTHING: dict[str, Any] = dict.fromkeys(("value", "low", "high", "bound", "direction")) | {"n": 0}


def old(*changes: dict[str, object], **parts: object) -> bytes:
    rows = [ROW | {"subject": str(index)} | change for index, change in enumerate(changes)]
    counts = {name: sum(row["verdict"] == name for row in rows) for name in ("pass", "fail", "inconclusive", "skipped")}
    record = {
        "schema": "roentgate.scorecard/1",
        "accepted": True,
        "proven": True,
        "complete": True,
        "counts": counts,
        "model": {"name": "m", "source": "m.py", "fingerprint": "ab", "weights": "loaded"},
        "dataset": {"name": "d", "fingerprint": "cd", "classes": ["A"], "counts": {"test": {"A": 4}}},
        "task": {"image_shape": [8, 8, 1], "seed": 0},
        "gate": "point",
        "policy": {"fingerprint": "ef"},
        "verdicts": rows,
    }
    return json.dumps(record | parts).encode()


def read(tmp_path: Path, content: bytes) -> Record:
    path = tmp_path / "scorecard.json"
    path.write_bytes(content)
    return scorecard.read(path)


@pytest.mark.parametrize(
    ("change", "outcome", "state", "reason"),
    [
        ({}, "pass", "ok", None),
        ({"verdict": "inconclusive", "proven": False, "low": 0.7}, "conditional_pass", "ok", None),
        (
            {"verdict": "inconclusive", "proven": False, "accepted": False, "value": 0.7, "low": 0.6},
            "conditional_fail",
            "ok",
            None,
        ),
        (
            {"verdict": "inconclusive", "proven": False, "accepted": False, "value": None},
            "conditional_fail",
            "undefined",
            None,
        ),
        ({"verdict": "fail", "accepted": False, "value": 0.5, "low": 0.4, "high": 0.6}, "fail", "ok", None),
        ({"verdict": "fail", "accepted": False} | NOTHING, "fail", None, "crashed"),
        ({"gates": False, "bound": None, "direction": None}, "descriptive", "ok", None),
        ({"verdict": "skipped", "gates": False} | NOTHING, "skipped", None, "excused"),
    ],
)
def test_a_row_keeps_its_numbers_and_gets_its_outcome(
    tmp_path: Path, change: dict[str, object], outcome: str, state: str | None, reason: str | None
) -> None:
    refused = not (ROW | change)["accepted"]
    unsettled = change.get("proven") is False
    content = old({}, change, accepted=not refused, proven=not (refused or unsettled))
    record = read(tmp_path, content)
    row = record["rows"][1]
    assert (row["outcome"], row["state"], row["reason"]) == (outcome, state, reason)
    assert (row["unit"], row["method"], row["failing"], row["failing_total"]) == (None, None, ["a", "b"], 2)
    for name in ("value", "low", "high", "n", "bound", "direction", "accepted", "gates"):
        assert row[name] == (ROW | change)[name]
    assert (record["outcome"] != "fail") == (not refused)


@pytest.mark.parametrize(("was", "now"), [("point", "simple"), ("proven", "guarded")])
def test_the_decision_rule_gets_its_name(tmp_path: Path, was: str, now: str) -> None:
    assert read(tmp_path, old({}, gate=was))["gate"] == now


def test_what_is_no_record_of_schema_1_is_left_to_the_reader(tmp_path: Path) -> None:
    for content in (b"", b"[]", b"{", b'{"schema": "roentgate.scorecard/2"}', b'{"schema": "roentgate.scorecard/1"}'):
        assert converted(content) is None
        with pytest.raises(ArgumentError, match="is damaged"):
            read(tmp_path, content)


def test_a_record_of_schema_1_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="contradicts itself"):
        read(tmp_path, old({"low": 0.7}))
