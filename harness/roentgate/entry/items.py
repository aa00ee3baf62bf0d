"""What pytest's items and reports say about a check.

Its name, its rows, whether it must record a verdict, and what went wrong.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import pytest

from roentgate.errors import UNFINISHED, HarnessError

if TYPE_CHECKING:
    from roentgate.scorecard import Reason, Row

ROWS = "roentgate"
"""Name of the user property that holds a row; xdist and JUnit pass it on."""


def is_ours(fixture_names: Sequence[str]) -> bool:
    """Whether a test judges a model and must record a verdict."""
    return "model_name" in fixture_names


class Recorded(TypedDict):
    """A row as a test reports it, with model and id."""

    id: str
    model: str
    order: int
    row: "Row"


def recorded(properties: Sequence[tuple[str, object]]) -> list[Recorded]:
    """Return the rows that a test has recorded, each with its model."""
    return [json.loads(str(value)) for name, value in properties if name == ROWS]


def suite_tests(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that judge a model."""
    return [item for item in items if is_ours(getattr(item, "fixturenames", ()))]


def numbered(items: list[pytest.Item]) -> dict[str, int]:
    """Return the place of each test's rows in the record, in the order of the suites.

    Tests that are marked ``last`` are moved to the end of ``items``, since they judge the evidence of all others.
    """
    by_file = sorted(suite_tests(items), key=lambda item: item.path.as_posix())
    order = {item.nodeid: index for index, item in enumerate(by_file)}
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    return order


def parameter_of(item: pytest.Item, name: str) -> str | None:
    """Return the value of a test's parameter, or None."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(name)


def names_of(item: pytest.Item) -> tuple[str, str]:
    """Return the names of a test's suite and check."""
    function = getattr(item, "originalname", None) or item.name
    return item.path.stem.removeprefix("test_"), function.removeprefix("test_")


def subject_of(item: pytest.Item) -> str:
    """Return a subject made of a test's parameters without the model.

    It is for a row whose subject the test did not give.
    """
    parameters: dict[str, object] = getattr(item, "callspec").params  # noqa: B009 - only a parametrised item has it
    return ", ".join(str(value) for name, value in parameters.items() if name != "model_name")


def problem_with(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> "tuple[Reason, str] | None":
    """Return why a report is no evidence, as reason and text.

    The result is None if the rows of the report can stand as they are.
    """
    rows = recorded(item.user_properties)
    if call.when == "setup" and report.passed:
        return None
    if hasattr(report, "wasxfail") or item.get_closest_marker("xfail") is not None:
        return "expected_failure", "marked xfail: an expected failure is no evidence"
    if report.skipped and (call.when == "call" or not rows):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason given"
        text = f"skipped, although the check declares no need: {reason.removeprefix('Skipped: ')}"
        return "skip_not_allowed", text
    if report.failed and all(entry["row"]["accepted"] for entry in rows):
        error = call.excinfo.value if call.excinfo else None
        kind = "" if isinstance(error, (HarnessError, pytest.fail.Exception)) else f"{type(error).__name__}: "
        return "crashed", f"{UNFINISHED}: {kind}{' '.join(str(error).split())[:300]}"
    return None


def sentence_on(row: "Row") -> str:
    """Return one sentence on a row that is not accepted."""
    name = f"{row['check']} [{row['subject']}]" if row["subject"] else row["check"]
    if row["value"] is None or row["bound"] is None:
        return f"{name}: {row['detail'] or 'not accepted'}"
    from roentgate.scorecard import bound, in_words, measured  # a run with all rows accepted never imports it

    numbers = f"{measured(row)}, n = {row['n']}; must be {bound(row)} ({in_words(row['outcome'])})"
    return f"{name}: {numbers}" + (f"; {row['detail']}" if row["detail"] else "")
