"""Records of schema 1, put into today's words."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, get_args

from roentgate.scorecard.shape import MOST_FAILING
from roentgate.stats import Direction, Outcome, meets

SCHEMA: Final = "roentgate.scorecard/1"

_RULES: Final = {"point": "simple", "proven": "guarded"}


def converted(content: bytes) -> bytes | None:
    """Return a record of schema 1 as one of schema 2; None where it is none, or damaged.

    No number changes. Method and unit were not recorded and are None. Nor was the reason of a row without an estimate:
    it is read from whether the row gates. The words of the detail are not looked at.
    """
    try:
        old = json.loads(content)
        if old["schema"] != SCHEMA:
            return None
        rows = [_row(row) for row in old["verdicts"]]
        counts = Counter(row["outcome"] for row in rows)
        kept = {name: old[name] for name in ("complete", "model", "dataset", "task", "policy")}
        outcome = "pass" if old["proven"] else "conditional_pass" if old["accepted"] else "fail"
        record = {
            "schema": "roentgate.scorecard/2",
            "outcome": outcome,
            "gate": _RULES[old["gate"]],
            "counts": {name: counts[name] for name in get_args(Outcome)},
            **kept,
            "rows": rows,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return json.dumps(record).encode()


def evidence(content: bytes) -> bytes | None:
    """Return evidence in which the section on test-set evaluations has today's name; None where it is not older."""
    try:
        old = json.loads(content)
        new = {"evaluations" if name == "looks" else name: value for name, value in old.items()}
    except (ValueError, AttributeError, RecursionError):
        return None
    return None if new == old else json.dumps(new).encode()


def _row(old: Mapping[str, Any]) -> dict[str, object]:
    kept = (
        "suite",
        "check",
        "subject",
        "gates",
        "accepted",
        "value",
        "low",
        "high",
        "n",
        "bound",
        "direction",
        "detail",
    )
    failing: list[str] = old["offenders"]
    measured = any(old[name] is not None for name in ("value", "low", "high", "direction"))
    return {
        **{name: old[name] for name in kept},
        "outcome": _outcome(old),
        "unit": None,
        "method": None,
        "state": ("undefined" if old["value"] is None else "ok") if measured else None,
        "reason": None if measured else ("excused" if not old["gates"] else "crashed"),
        "failing": failing[:MOST_FAILING],
        "failing_total": len(failing),
    }


def _outcome(old: Mapping[str, object]) -> str:
    verdict, value, bound = old["verdict"], old["value"], old["bound"]
    if verdict == "skipped":
        return "skipped"
    if not old["gates"]:
        return "descriptive"
    if verdict != "inconclusive":
        return str(verdict)
    direction: Direction = "at_least" if old["direction"] == "at_least" else "at_most"
    met = isinstance(value, float | int) and isinstance(bound, float | int) and meets(value, bound, direction)
    return "conditional_pass" if met else "conditional_fail"
