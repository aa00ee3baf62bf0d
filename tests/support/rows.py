"""Rows of a record for tests: one that passes, and changes that make others."""

from typing import Any, Final

from roentgate.scorecard.record import empty_row
from roentgate.scorecard.shape import Row

CONDITIONAL: Final[dict[str, Any]] = {"outcome": "conditional_pass", "low": 0.7}
FAILED: Final[dict[str, Any]] = {"outcome": "fail", "accepted": False, "value": 0.5, "low": 0.4, "high": 0.6}
DESCRIPTIVE: Final[dict[str, Any]] = {"outcome": "descriptive", "gates": False, "bound": None, "direction": None}
SKIPPED: Final[dict[str, Any]] = {
    name: value
    for name, value in empty_row(suite="", check="", subject="", reason="excused", outcome="skipped", detail="").items()
    if name not in {"suite", "check", "subject"}
}


def row(subject: str = "Covid", /, **changes: object) -> Row:
    """Return a passing row of `recall_floor` with some fields changed.

    The changes are not checked, so that a test can make an invalid row.
    """
    made: dict[str, Any] = {
        "suite": "recall",
        "check": "recall_floor",
        "subject": subject,
        "outcome": "pass",
        "accepted": True,
        "gates": True,
        "value": 0.95,
        "low": 0.85,
        "high": 0.99,
        "n": 40,
        "unit": "image",
        "bound": 0.8,
        "direction": "at_least",
        "method": "Clopper-Pearson",
        "state": "ok",
        "reason": None,
        "detail": "",
        "failing": [],
        "failing_total": 0,
    }
    made.update(changes)
    if "failing" in changes and "failing_total" not in changes:
        made["failing_total"] = len(made["failing"])
    return made  # type: ignore[return-value]
