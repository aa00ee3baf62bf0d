"""The drop in balanced accuracy is paired, and undefined without skill."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from roentgate.candidates.predictions import Predictions
from roentgate.checks import comparison, metrics, robustness
from roentgate.errors import ArgumentError
from roentgate.stats.verdict import at_most
from tests.checks.test_contracts import evidence
from tests.runs.test_suites import EACH, answered


def test_a_drop_is_the_balanced_accuracy_before_minus_after_with_the_paired_interval() -> None:
    clean, changed = answered(90, 100), answered(80, 94)
    found = robustness.balanced_accuracy(clean, changed)
    assert found.value == pytest.approx(0.08)
    change = comparison.balanced_change(clean, changed)
    assert (found.low, found.high) == pytest.approx((-change.high, -change.low))
    assert found.detail == "balanced accuracy 0.95 on clean images, 0.87 on these"
    assert len(found.failing) == (90 - 80) + (100 - 94)
    assert set(found.failing) == set(change.failing)


def test_nothing_lost_leaves_an_interval() -> None:
    found = robustness.balanced_accuracy(answered(90, 90), answered(90, 90))
    assert found.value == 0
    assert -0.05 < found.low < 0 < found.high < 0.05
    assert at_most(found, 0.05).outcome == "pass"


def test_images_won_are_set_against_images_lost() -> None:
    assert robustness.balanced_accuracy(answered(90, 90), answered(95, 85)).value == pytest.approx(0)
    assert robustness.balanced_accuracy(answered(90, 90), answered(95, 90)).value == pytest.approx(-0.025)


@pytest.mark.parametrize("right", [(EACH, 0), (0, EACH), (50, 50), (64, 65)])
def test_a_model_without_skill_has_nothing_to_lose_and_meets_no_bound(right: tuple[int, int]) -> None:
    found = robustness.balanced_accuracy(answered(*right), answered(*right))
    assert math.isnan(found.value)
    assert (found.low, found.high) == (-1, 1)
    assert found.detail.startswith("too little skill to lose")
    assert not at_most(found, 0.05).accepted("simple")


def test_skill_enough_is_015_above_chance() -> None:
    assert robustness.balanced_accuracy(answered(65, 65), answered(65, 65)).defined


def test_a_class_without_rows_leaves_the_drop_undefined() -> None:
    whole = answered(90, 90)
    part = replace(whole, ids=whole.ids[:EACH], labels=whole.labels[:EACH], probabilities=whole.probabilities[:EACH])
    found = robustness.balanced_accuracy(part, part)
    assert math.isnan(found.value)
    assert found.detail == "a class has no rows"


def test_a_family_asks_more_of_a_failure_and_no_more_of_a_pass() -> None:
    clean, changed = answered(95, 95), answered(80, 85)
    one, six = (robustness.balanced_accuracy(clean, changed, family=size) for size in (1, 6))
    assert (six.value, six.high) == (one.value, one.high)
    assert six.low < one.low
    assert at_most(one, 0.08).outcome == "fail"
    assert at_most(six, 0.08).outcome == "conditional_fail"


def test_a_patient_in_all_classes_does_not_prove_a_small_loss() -> None:
    """One patient has 20 images of each class, all lost or all kept.

    Another 20 patients have one image each. The true loss is 0.2.
    """
    rng, missed, each = np.random.default_rng(0), 0, 40
    groups = tuple("big" if row % each < 20 else f"p{row}" for row in range(2 * each))
    for _ in range(200):
        lost = np.where(np.array(groups) == "big", rng.random() < 0.2, rng.random(2 * each) < 0.2)
        labels = np.repeat([0, 1], each)
        ids = tuple(f"r{row}" for row in range(2 * each))
        clean, changed = (
            Predictions(ids, ("a", "b"), labels, np.eye(2, dtype=np.float32)[predicted], groups)
            for predicted in (labels, np.where(lost, 1 - labels, labels))
        )
        missed += robustness.balanced_accuracy(clean, changed).high < 0.2
    assert missed <= 12  # 2.5 % of 200 and three standard errors; 30 if its images are not weighed


def test_patients_with_several_images_count_as_patients() -> None:
    clean, changed = answered(95, 95), answered(80, 85)
    groups = tuple(f"p{row // 5}" for row in range(2 * EACH))
    single = robustness.balanced_accuracy(clean, changed)
    grouped = robustness.balanced_accuracy(replace(clean, groups=groups), replace(changed, groups=groups))
    assert grouped.value == pytest.approx(single.value)
    assert grouped.high - grouped.low > single.high - single.low
    assert grouped.n == 2 * EACH // 5


def test_a_row_without_an_answer_is_lost() -> None:
    clean = answered(EACH, EACH)
    blind = replace(clean, probabilities=np.where(np.arange(2 * EACH)[:, None] < 10, np.nan, clean.probabilities))
    assert robustness.balanced_accuracy(clean, blind).value == pytest.approx(0.05)


def test_other_rows_and_no_family_are_refused() -> None:
    clean = answered(90, 90)
    with pytest.raises(ArgumentError, match="predict the same rows"):
        robustness.balanced_accuracy(clean, replace(clean, ids=clean.ids[::-1]))
    with pytest.raises(ArgumentError, match="a family of 0"):
        robustness.balanced_accuracy(clean, clean, family=0)


@settings(deadline=None)
@given(rows=evidence())
def test_the_interval_holds_the_value_and_the_drop_is_that_of_the_balanced_accuracies(
    rows: tuple[Predictions, Predictions, Predictions],
) -> None:
    clean, changed, _ = rows
    found = robustness.balanced_accuracy(clean, changed, family=3)
    if found.defined:
        assert -1 <= found.low <= found.value <= found.high <= 1
        before, after = metrics.balanced_accuracy(clean), metrics.balanced_accuracy(changed)
        assert found.value == pytest.approx(before.value - after.value)
    assert set(found.failing) <= set(clean.ids)
