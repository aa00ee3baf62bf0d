"""Spoiled answers are refused, unless bounds or images are such that anything would pass."""

import numpy as np
import pytest

from roentgate.candidates.predictions import Predictions
from roentgate.checks import controls
from roentgate.stats.verdict import Gate, at_least, at_most

GATES: tuple[Gate, ...] = ("simple", "guarded")


def answered(each: int, right: int, classes: int = 3) -> Predictions:
    """Return answers with ``each`` rows a class, of which ``right`` are right."""
    labels = np.repeat(np.arange(classes), each)
    place = np.tile(np.arange(each), classes)
    answers = np.where(place < right, labels, (labels + 1) % classes)
    return Predictions(
        ids=tuple(f"r{row:03d}" for row in range(len(labels))),
        classes=tuple("ABCDE"[:classes]),
        labels=labels,
        probabilities=np.eye(classes, dtype=np.float32)[answers],
    )


def floors(floor: float, classes: int = 3) -> dict[str, float]:
    return dict.fromkeys("ABCDE"[:classes], floor)


@pytest.mark.parametrize("right", [20, 18, 7, 0])
def test_shuffled_answers_are_refused_however_good_the_model(right: int) -> None:
    found = controls.shuffled_answers(answered(20, right), floors(0.8))
    assert (found.value, found.unit, found.hits) == (1.0, "draw", None)
    assert all(at_least(found, controls.CAUGHT).accepted(gate) for gate in GATES)


@pytest.mark.parametrize(("each", "floor"), [(20, 0.2), (1, 0.8)])
def test_floors_that_chance_reaches_fail_the_run(each: int, floor: float) -> None:
    found = controls.shuffled_answers(answered(each, each), floors(floor))
    assert found.value < controls.CAUGHT
    assert not any(at_least(found, controls.CAUGHT).accepted(gate) for gate in GATES)


def test_the_orders_follow_the_seed_alone() -> None:
    rows = answered(6, 6)
    assert controls.shuffled_answers(rows, floors(0.5)) == controls.shuffled_answers(rows, floors(0.5))
    assert controls.shuffled_answers(rows, floors(0.5)) != controls.shuffled_answers(rows, floors(0.5), seed=1)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_exchanged_columns_are_refused_where_the_model_has_skill(classes: int) -> None:
    found = controls.exchanged_columns(answered(20, 18, classes))
    assert found.value < 0.001
    assert all(at_most(found, 0.01).accepted(gate) for gate in GATES)
    assert found.detail.startswith("columns of A and ")


def test_the_two_columns_that_lose_most_are_exchanged() -> None:
    """A and B are told apart by nobody, so that their exchange would not show."""
    labels = np.repeat([0, 1, 2], 20)
    answers = np.where(labels == 2, 2, np.arange(60) % 2)
    rows = Predictions(tuple(map(str, range(60))), ("A", "B", "C"), labels, np.eye(3, dtype=np.float32)[answers])
    found = controls.exchanged_columns(rows)
    assert "C" in found.detail.partition(" exchanged")[0]
    assert found.value < 0.001


def test_without_skill_or_rows_nothing_is_exchanged() -> None:
    constant = answered(20, 20)
    constant.probabilities[:] = (1, 0, 0)
    for rows in (constant, answered(5, 5)):
        found = controls.exchanged_columns(rows)
        assert not found.defined
        assert not any(at_most(found, 0.01).accepted(gate) for gate in GATES)


def test_few_rows_take_those_of_the_other_split() -> None:
    assert controls.exchanged_columns(answered(5, 5), answered(20, 19)).value < 0.001
