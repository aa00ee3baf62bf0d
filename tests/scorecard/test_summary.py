"""Tests of the summary of a scorecard.

One sentence says how well the data predict the label, the other what the model uses.
"""

import pytest

from roentgate.scorecard.record import empty_row
from roentgate.scorecard.replicates import Deciding
from roentgate.scorecard.shape import Record, Row
from roentgate.scorecard.summary import sentences
from tests.support.rows import SKIPPED
from tests.support.rows import row as made

BORDER_PROBE, ONLY = ("data", "border_probe", "5 % border alone"), ("border", "border_only_skill", "5% border")
FLIPS = ("border", "border_mask_flips", "5% border, black")
WITHOUT = ("attention", "skill_without_lungs", "without lungs")
FOLLOWS = ("attention", "lung_background_conflict", "borders of another class")


def row(name: tuple[str, str, str], value: float | None, **changes: object) -> Row:
    limits = {} if value is None else {"low": value - 0.1, "high": value + 0.1}
    parts: dict[str, object] = {
        "suite": name[0],
        "check": name[1],
        "value": value,
        "low": None,
        "high": None,
        "bound": 0.5,
        "direction": "at_most",
        **limits,
    }
    return made(name[2], **(parts | changes))


def record(*rows: Row) -> Record:
    return {"task": {"image_shape": [96, 96, 1], "seed": 0}, "rows": list(rows)}  # type: ignore[typeddict-item]  # all that the sentences read


BASE = [row(BORDER_PROBE, 0.2), row(ONLY, 0.3), row(FLIPS, 0.04)]


def test_a_record_without_the_border_or_the_data_says_nothing() -> None:
    assert sentences(record(row(BORDER_PROBE, 0.2), row(ONLY, 0.3))) == []
    assert sentences(record(*BASE[1:])) == []


def test_the_data_and_the_model_are_kept_apart() -> None:
    data, model = sentences(record(*BASE))
    assert data.startswith(
        "The data: a linear model that sees the 5 % border alone tells no class from the others by more"
    )
    assert "it keeps 0.300 [0.200, 0.400] of its own skill" in model
    assert "lungs" not in model


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4, "the answer follows the lungs"),
        (-0.4, "the answer follows the background"),
        (0.05, "these images do not show which of the two the answer follows"),
        (-0.05, "these images do not show which of the two the answer follows"),
    ],
)
def test_the_model_is_said_to_follow_lungs_or_background_where_the_interval_says_so(value: float, text: str) -> None:
    _, model = sentences(record(*BASE, row(WITHOUT, 0.9), row(FOLLOWS, value)))
    assert "Without the lungs it keeps 0.900 [0.800, 1.000] of its skill." in model
    assert f"{text} (share that follows the lungs, less the background: {value:.3f} " in model


def test_limits_that_are_not_there_tell_nothing() -> None:
    _, model = sentences(record(*BASE, row(WITHOUT, 0.9), row(FOLLOWS, 0.6, low=None, high=None)))
    assert "these images do not show which" in model


def test_skill_that_is_too_little_is_not_kept() -> None:
    _, model = sentences(record(BASE[0], row(ONLY, None), BASE[2]))
    assert model.startswith(
        "This model: it has too little skill for any to be kept with the 5% border alone, and it changes "
    )


@pytest.mark.parametrize("name", [BORDER_PROBE, ONLY, FLIPS])
@pytest.mark.parametrize("subject", ["", "0.05"])
def test_what_is_missing_or_crashed_says_nothing_of_data_or_model(name: tuple[str, str, str], subject: str) -> None:
    gap = empty_row(suite=name[0], check=name[1], subject=subject, reason="missing", detail="no result was recorded")
    judged = [each for each in BASE if each["check"] != name[1]]
    assert sentences(record(*judged, gap)) == []
    skipped = made(name[2], suite=name[0], check=name[1], **SKIPPED)
    assert sentences(record(*judged, skipped)) == []


@pytest.mark.parametrize("name", [BORDER_PROBE, FLIPS])
def test_a_figure_without_a_value_says_nothing(name: tuple[str, str, str]) -> None:
    judged = [each for each in BASE if each["check"] != name[1]]
    assert sentences(record(*judged, row(name, None, accepted=False, outcome="conditional_fail"))) == []


def test_lungs_that_were_not_judged_are_not_mentioned() -> None:
    _, model = sentences(record(*BASE, row(WITHOUT, None), row(FOLLOWS, 0.4)))
    assert "Without the lungs" not in model


@pytest.mark.parametrize(
    ("deciding", "text"),
    [
        ("worst", "This model, in each figure the worst of 2 seeds: with the 5% border alone"),
        ("first", "This model, the first of 2 seeds: with the 5% border alone"),
    ],
)
def test_figures_of_several_seeds_say_whose_they_are(deciding: Deciding, text: str) -> None:
    several = record(*BASE)
    several["task"] |= {"seeds": [0, 1], "deciding": deciding}
    assert sentences(several)[1].startswith(text)
