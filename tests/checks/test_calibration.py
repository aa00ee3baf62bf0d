"""Calibration checks find probabilities that are too sure or not sure enough."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from roentgate.candidates.predictions import Predictions, taken
from roentgate.checks.calibration import (
    LEAST,
    brier_score,
    calibration_error,
    log_loss,
    reliability,
    temperature_scaling_gain,
)
from roentgate.errors import ArgumentError
from roentgate.stats import intervals
from roentgate.stats.estimate import CLUSTER, Estimate

CLASSES = ("Covid", "Normal", "Viral Pneumonia")
SCORES = [brier_score, log_loss, calibration_error]


def answers(probabilities: object, labels: object, groups: tuple[str, ...] | None = None) -> Predictions:
    values = np.asarray(probabilities, dtype=np.float32)
    return Predictions(
        ids=tuple(f"r{row}" for row in range(len(values))),
        classes=CLASSES[: values.shape[1]],
        labels=np.asarray(labels, dtype=np.int64),
        probabilities=values,
        groups=groups,
    )


def drawn(rows: int, seed: int, temperature: float = 1.0) -> Predictions:
    """Return answers sharpened by 1 / temperature after their labels were drawn."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 2, (rows, 3))
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = (generator.random((rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    sharpened = np.exp(scores / temperature)
    return answers(sharpened / sharpened.sum(axis=1, keepdims=True), np.minimum(labels, 2))


def test_the_scores_are_those_of_scikit_learn() -> None:
    found = drawn(200, 0)
    truth = np.eye(3)[found.labels]
    assert log_loss(found).value == pytest.approx(oracle.log_loss(found.labels, found.probabilities), rel=1e-5)
    columns = [oracle.brier_score_loss(truth[:, k], found.probabilities[:, k].clip(0, 1)) for k in range(3)]
    assert brier_score(found).value == pytest.approx(sum(columns), rel=1e-5)


def test_the_scores_by_hand() -> None:
    found = answers([[0.5, 0.5], [0.9, 0.1]], [0, 1])
    assert log_loss(found).value == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2, rel=1e-6)
    assert brier_score(found).value == pytest.approx((0.5 + 2 * 0.81) / 2, rel=1e-6)
    assert "class frequencies alone cost 0.693 nats" in log_loss(found).detail
    assert "class frequencies alone score 0.500" in brier_score(found).detail


def test_a_true_class_of_probability_0_is_counted_and_costs_a_finite_loss() -> None:
    found = log_loss(answers([[1.0, 0.0], [1.0, 0.0]], [0, 1]))
    assert found.value == pytest.approx(-np.log(LEAST) / 2, rel=1e-6)
    assert found.detail.startswith(
        "class frequencies alone cost 0.693 nats; the true class of 1 rows has a probability below 1.2e-07; "
    )
    assert found.method == "bootstrap-t"
    assert "below" not in log_loss(answers([[1.0, 0.0], [1 - LEAST, LEAST]], [0, 1])).detail


def test_the_chance_of_one_row_is_that_of_its_being_wrong() -> None:
    """A calibrated answer of 0.8 is wrong in one of five draws."""
    found = calibration_error(answers([[0.8, 0.2]], [1]), draws=4000)
    assert found.value == pytest.approx(0.2, abs=0.03)
    assert found.n == 4000


def test_a_sum_a_little_above_1_is_no_more_than_certainty() -> None:
    assert calibration_error(answers([[1.0009, 0.0]] * 20, [0] * 20)).detail.startswith("ECE 0.000;")


def test_certain_answers_that_are_all_right_are_as_sure_as_right() -> None:
    assert calibration_error(answers([[1.0, 0.0]] * 20, [0] * 20)).detail.endswith(
        "1.00, 1.00 right (as sure as right)"
    )


def test_as_sure_as_right_is_told_of_the_shares_as_they_are_shown() -> None:
    """Shares are compared as printed, since float32 does not hold 0.4 exactly."""
    two_of_five = answers([[0.4, 0.3, 0.3]] * 5, [0, 0, 1, 1, 2])
    assert calibration_error(two_of_five).detail.endswith("mean confidence 0.40, 0.40 right (as sure as right)")
    third = answers(np.full((3, 3), 1 / 3), [0, 1, 2])
    assert calibration_error(third).detail.endswith("mean confidence 0.33, 0.33 right (as sure as right)")
    for sure, way in ((0.504, "0.50, 0.50 right (as sure as right)"), (0.506, "0.51, 0.50 right (too sure)")):
        assert calibration_error(answers([[sure, 1 - sure]] * 4, [0, 0, 1, 1])).detail.endswith(way)


@pytest.mark.parametrize("confidences", [[0.5], [0.6, 0.8], [0.6, 0.7, 0.8, 0.9, 1.0]])
def test_no_order_among_equally_sure_answers_makes_them_uncalibrated(confidences: list[float]) -> None:
    """Rows are sorted by class, as in folders.

    Every answer is the first class, so the wrong ones come last.
    """
    sure = np.repeat(confidences, 200)
    labels = np.concatenate([np.arange(200) >= 200 * each for each in confidences]).astype(np.int64)
    by_class = np.argsort(labels, kind="stable")
    found = answers(np.stack([sure, 1 - sure], axis=1)[by_class], labels[by_class])
    assert calibration_error(found).value > 0.95
    assert [each.rows for each in reliability(found)] == [200] * len(confidences)
    assert [each.right for each in reliability(found)] == [round(200 * each) for each in confidences]


def test_equally_sure_answers_share_the_last_bin_that_would_begin_among_them() -> None:
    """With 20 rows a bin begins at every second row.

    The 5 rows of 0.7 hold the starts 4 and 6, and one of 0.8 holds the start 8.
    """
    sure = np.concatenate([[0.51, 0.52, 0.53], [0.7] * 5, np.linspace(0.8, 0.91, 12)])
    found = answers(np.stack([sure, 1 - sure], axis=1), np.zeros(20))
    assert [each.rows for each in reliability(found)] == [2, 1, 5, *[2] * 6]


def test_mostly_certain_answers_leave_the_others_their_bins() -> None:
    sure = np.concatenate([np.linspace(0.5, 0.9, 40), np.ones(60)])
    found = answers(np.stack([sure, 1 - sure], axis=1), np.zeros(100))
    assert [each.rows for each in reliability(found)] == [10, 10, 10, 10, 60]
    assert reliability(found)[-1].confidence == 1


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "values",
    [np.zeros((0, 2)), [[2.0, -1.0]], [[np.nan, 1.0]], [[0.7, 0.7]], [[5.0, 1.0]]],
    ids=["no rows", "negative", "NaN", "a sum of 1.4", "logits"],
)
def test_what_is_no_probabilities_has_no_calibration(score: Callable[..., Estimate], values: object) -> None:
    found = answers(values, np.zeros(len(np.asarray(values)), dtype=np.int64))
    estimate = score(found)
    assert not estimate.defined
    assert estimate.detail == ("the outputs are no probabilities" if len(found) else "no rows")
    assert estimate.n == len(found)
    assert (estimate.low, estimate.high, estimate.method) == {
        "brier_score": (0, 2, "bootstrap-t"),
        "log_loss": (0, np.inf, "bootstrap-t"),
        "calibration_error": (0, 1, "permutation"),
    }[score.__name__]
    sound = answers([[0.5, 0.5]], [0])
    for test, fitted_on in ((found, found), (found, sound), (sound, found)):
        gain = temperature_scaling_gain(test, fitted_on)
        assert not gain.defined
        assert (gain.low, gain.high, gain.n, gain.method) == (-np.inf, np.inf, len(test), "bootstrap-t")
        assert gain.detail == estimate.detail
    assert reliability(found) == []


def test_the_same_answers_give_the_same_intervals_and_another_seed_others() -> None:
    found = drawn(40, 0, 0.5)
    for score in (brier_score, log_loss, calibration_error):
        assert score(found) == score(found) == score(found, seed=0) != score(found, seed=1)
    assert temperature_scaling_gain(found, found) == temperature_scaling_gain(found, found, seed=0)
    assert temperature_scaling_gain(found, found).low != temperature_scaling_gain(found, found, seed=1).low
    assert reliability(found) == reliability(found, seed=0) != reliability(found, seed=1)


def test_copies_of_one_miss_are_one_miss_and_copies_of_a_miss_among_others_are_found() -> None:
    """Ten copies of one image answered wrongly at 0.9 are one surprise, ten images are ten."""
    sure = np.concatenate([np.linspace(0.55, 0.85, 20), np.full(10, 0.9)])
    labels = np.concatenate([np.arange(20) % 4 == 0, np.ones(10)])
    rows = answers(np.stack([sure, 1 - sure], axis=1), labels)
    copied = replace(rows, groups=(*rows.ids[:20], *["r20"] * 10), grouped_by=CLUSTER)
    assert calibration_error(rows).value < 0.01
    assert calibration_error(copied).value > 0.05
    assert calibration_error(replace(rows, groups=rows.ids)).value == calibration_error(rows).value
    worse = replace(rows, labels=np.ones(30, np.int64))
    assert calibration_error(replace(worse, groups=copied.groups)).value < 0.01
    assert brier_score(replace(copied, groups=copied.groups)).unit == CLUSTER


def test_groups_do_not_depend_on_the_order_of_rows() -> None:
    rows = replace(drawn(60, 3), groups=tuple(f"p{row % 20}" for row in range(60)))
    order = np.random.default_rng(0).permutation(60)
    assert calibration_error(taken(rows, order)) == calibration_error(rows)


def test_a_sum_may_miss_1_by_a_thousandth() -> None:
    assert brier_score(answers([[0.5, 0.5009]], [0])).defined
    assert not brier_score(answers([[0.5, 0.5011]], [0])).defined


def test_class_frequencies_are_those_of_each_class() -> None:
    """With 2, 1 and 1 rows, 1 - (1/4 + 1/16 + 1/16) = 0.625, and 1.5 ln 2 = 1.040 nats."""
    found = answers(np.full((4, 3), 1 / 3), [0, 0, 1, 2])
    assert brier_score(found).detail.startswith("class frequencies alone score 0.625; ")
    assert log_loss(found).detail.startswith("class frequencies alone cost 1.040 nats; ")
    for labels in ([0, 0, 1, 1], [0, 0, 2, 2], [1, 1, 2, 2]):
        missing = answers(np.full((4, 3), 1 / 3), labels)
        assert log_loss(missing).detail.startswith("class frequencies alone cost 0.693 nats; ")
    assert log_loss(answers([[0.9, 0.1]] * 2, [0, 0])).detail.startswith("class frequencies alone cost 0.000 nats; ")


def test_a_temperature_saves_nothing_of_right_certainty_and_even_odds() -> None:
    probabilities = np.array([[1 - 1e-12, 1e-12]] * 5 + [[0.5, 0.5]] * 5)
    found = answers(probabilities, [0] * 5 + [0, 1, 0, 1, 0])
    gain = temperature_scaling_gain(found, found)
    assert abs(gain.value) < 1e-6
    assert f"log loss {log_loss(found).value:.3f} would be" in gain.detail


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 10_000), st.sampled_from([0.3, 1.0, 3.0]))
def test_values_lie_in_their_intervals_and_do_not_depend_on_the_order_of_rows(
    rows: int, seed: int, temperature: float
) -> None:
    found = drawn(rows, seed, temperature)
    order = np.random.default_rng(seed).permutation(rows)
    reordered = answers(found.probabilities[order], found.labels[order])
    for score in (brier_score, log_loss):
        estimate = score(found, draws=200)
        assert estimate.low <= estimate.value <= estimate.high
        assert score(reordered, draws=200).value == pytest.approx(estimate.value, rel=1e-9)
    assert 0 < calibration_error(found, draws=200).value <= 1
    assert calibration_error(reordered, draws=200) == calibration_error(found, draws=200)
    assert reliability(reordered, draws=200) == reliability(found, draws=200)
    gain = temperature_scaling_gain(found, found, draws=200)
    assert gain.low <= gain.value <= gain.high
    assert gain.value >= -1e-9  # on the rows it was fitted on, a temperature never costs
    assert temperature_scaling_gain(reordered, reordered, draws=200).value == pytest.approx(gain.value, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40))
def test_no_bin_splits_equally_sure_answers(rows: list[tuple[float, bool]]) -> None:
    sure = np.array([confidence for confidence, _ in rows])
    labels = [int(wrong) for _, wrong in rows]
    found = answers(np.stack([sure, 1 - sure], axis=1), labels)
    reordered = answers(found.probabilities[::-1], labels[::-1])
    assert calibration_error(reordered, draws=50) == calibration_error(found, draws=50)
    bins = reliability(found, draws=50)
    assert bins == reliability(reordered, draws=50)
    assert sum(each.rows for each in bins) == len(rows)
    inner = np.cumsum([each.rows for each in bins])[:-1]
    assert all(np.sort(sure)[edge - 1] < np.sort(sure)[edge] for edge in inner)


def test_calibrated_probabilities_of_few_rows_are_seldom_told_apart_from_calibrated_ones() -> None:
    chances = [calibration_error(drawn(66, seed), draws=400).value for seed in range(200)]
    assert np.mean(np.array(chances) <= 0.05) <= 0.10  # at a true 5 %, 10 % of 200 has a chance of 1 in 500
    assert np.mean(chances) == pytest.approx(0.5, abs=0.12)


def test_the_error_of_calibrated_probabilities_of_66_rows_is_far_from_0() -> None:
    detail = calibration_error(drawn(66, 1)).detail
    assert 0.04 < float(detail.split("show ")[1].split(" ")[0]) < 0.15


@pytest.mark.parametrize(
    ("temperature", "way", "least"), [(0.25, "too sure", 0.1), (0.6, "too sure", 0.01), (4.0, "not sure enough", 0.1)]
)
def test_answers_too_sure_or_not_sure_enough_are_told(temperature: float, way: str, least: float) -> None:
    test, other = drawn(400, 0, temperature), drawn(200, 1, temperature)
    assert calibration_error(test).value < 0.01
    assert f"({way})" in calibration_error(test).detail
    gain = temperature_scaling_gain(test, other)
    assert gain.low > least
    fitted = float(gain.detail.split("temperature ")[1].split(" ")[0])
    assert fitted == pytest.approx(1 / temperature, rel=0.35)
    assert f"({way})" in gain.detail


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_the_temperature_is_that_of_the_least_log_loss(temperature: float) -> None:
    found = drawn(400, 3, temperature)
    logs = np.log(np.maximum(found.probabilities.astype(np.float64), LEAST))
    tried = np.geomspace(0.05, 20, 3000)
    scores = [logs / each for each in tried]
    losses = [(np.log(np.exp(each).sum(axis=1)) - each[np.arange(400), found.labels]).mean() for each in scores]
    detail = temperature_scaling_gain(found, found).detail
    assert float(detail.split("temperature ")[1].split(" ")[0]) == pytest.approx(tried[np.argmin(losses)], abs=0.011)


def test_a_temperature_saves_nothing_where_probabilities_mean_what_they_say() -> None:
    gain = temperature_scaling_gain(drawn(400, 0), drawn(400, 1))
    assert abs(gain.value) < 0.02
    assert gain.high < 0.1


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [([[0.5, 0.5]] * 4, [0, 1, 0, 1]), ([[1.0, 0.0]] * 4, [0] * 4), ([[0.8, 0.2]] * 10, [0] * 8 + [1] * 2)],
    ids=["even odds", "certain and right", "calibrated"],
)
def test_where_a_temperature_saves_nothing_no_way_is_named(probabilities: object, labels: list[int]) -> None:
    found = answers(probabilities, labels)
    gain = temperature_scaling_gain(found, found)
    assert gain.value == pytest.approx(0, abs=1e-6)
    assert f"fitted on {len(labels)} other rows (saves nothing): log loss" in gain.detail


def test_a_temperature_that_saves_less_than_is_shown_saves_nothing() -> None:
    """Seven of ten right cost 0.6111 nats at 0.71, and 0.6109 at 0.70."""
    found = answers([[0.71, 0.29]] * 10, [0] * 7 + [1] * 3)
    gain = temperature_scaling_gain(found, found)
    assert gain.value == pytest.approx(0.00024, abs=1e-5)
    assert "(saves nothing): log loss 0.611 would be 0.611" in gain.detail


def test_a_temperature_that_does_not_carry_over_saves_nothing() -> None:
    """The temperature fitted on images used in training is too low for the test images."""
    gain = temperature_scaling_gain(drawn(400, 0, 1.0), drawn(200, 1, 2.0))
    assert gain.high < 0
    assert "(saves nothing)" in gain.detail


def test_the_rows_that_surprised_most_are_named() -> None:
    test = answers([[0.9999, 0.0001], [0.9999, 0.0001], [0.6, 0.4]], [0, 1, 1])
    assert temperature_scaling_gain(test, test).failing == ("r1",)
    barely = answers([[0.9990005, 0.0009995], [0.9989, 0.0011], [0.6, 0.4]], [1, 1, 1])
    assert temperature_scaling_gain(barely, barely).failing == ("r0",)


def test_a_temperature_of_another_set_of_classes_is_refused() -> None:
    sentence = "a temperature is fitted on answers over the same classes; give both of one model"
    with pytest.raises(ArgumentError, match=f"^{sentence}$"):
        temperature_scaling_gain(drawn(10, 0), answers([[0.5, 0.5]], [0]))


def test_images_of_one_patient_count_as_one() -> None:
    alone = drawn(400, 0)
    groups = tuple(f"p{row // 10}" for row in range(400))
    together = answers(np.repeat(alone.probabilities[::10], 10, axis=0), np.repeat(alone.labels[::10], 10), groups)
    apart = answers(together.probabilities, together.labels)
    other = drawn(100, 1)
    pairs = [
        (log_loss(together), log_loss(apart)),
        (brier_score(together), brier_score(apart)),
        (temperature_scaling_gain(together, other), temperature_scaling_gain(apart, other)),
    ]
    for of_patients, of_images in pairs:
        assert of_patients.n == 40
        assert of_patients.value == pytest.approx(of_images.value)
        assert of_patients.high - of_patients.low > 2 * (of_images.high - of_images.low)


def test_patients_of_one_image_are_images_and_those_of_more_weigh_more() -> None:
    """Two thirds of the images are of every second patient.

    A mean over patients would be another number.
    """
    found = drawn(90, 0, 0.5)
    single = answers(found.probabilities, found.labels, tuple(f"p{row:02}" for row in range(90)))
    assert log_loss(single) == replace(log_loss(found), unit="patient")
    uneven = answers(found.probabilities, found.labels, tuple(f"p{row - row % 3 // 2}" for row in range(90)))
    assert log_loss(uneven).n == 60
    assert log_loss(uneven).value == pytest.approx(log_loss(found).value)


def spread(score: Callable[..., Estimate], found: Predictions) -> tuple[float, float]:
    return score(found).low, score(found).high


@pytest.mark.parametrize(("units", "known"), [(1, False), (29, False), (30, True)])
def test_few_images_or_patients_set_no_limit_to_a_mean_loss(units: int, known: bool) -> None:
    few = drawn(units, 3, 0.5)
    groups = tuple(f"p{row % units}" for row in range(120))
    patients = answers(drawn(120, 3, 0.5).probabilities, drawn(120, 3, 0.5).labels, groups)
    for found in (few, patients):
        assert (spread(brier_score, found) == (0, 2)) is not known
        assert (spread(log_loss, found) == (0, np.inf)) is not known
        gain = temperature_scaling_gain(found, drawn(50, 1))
        assert ((gain.low, gain.high) == (-np.inf, np.inf)) is not known
        assert gain.defined
        assert gain.n == units
        what = "rows" if found.groups is None else "patients"
        assert (f"; fewer than 30 {what} set no limits" in gain.detail) is not known
        assert ("limit" in gain.detail) is not known


def test_losses_that_are_all_alike_tell_nothing_of_those_that_are_not_there() -> None:
    alike = answers([[0.8, 0.2]] * 60, [0] * 60)
    assert spread(log_loss, alike) == (0, np.inf)
    assert log_loss(alike).value == pytest.approx(-np.log(0.8))
    assert log_loss(answers([[0.8, 0.2]] * 30, [0] * 30)).detail.endswith("; too few rows that differ set no limits")
    one_dear = answers([[0.8, 0.2]] * 60, [0] * 59 + [1])
    low, high = spread(log_loss, one_dear)
    assert low == pytest.approx(-np.log(0.8), abs=0.03)
    assert high == np.inf  # a third of the draws leave it out and have no spread
    assert log_loss(alike).detail.endswith("; too few rows that differ set no limits")
    assert log_loss(one_dear).detail.endswith("; too few rows that differ leave one side open")


def test_the_limits_of_a_mean_loss_do_not_depend_on_the_order_of_rows() -> None:
    found = drawn(66, 0, 0.5)
    order = np.random.default_rng(1).permutation(66)
    reordered = answers(found.probabilities[order], found.labels[order])
    for score in (brier_score, log_loss):
        assert spread(score, reordered) == pytest.approx(spread(score, found), rel=1e-9)
    groups = tuple(f"p{row // 2}" for row in range(66))
    paired = answers(found.probabilities, found.labels, groups)
    moved = answers(found.probabilities[order], found.labels[order], tuple(groups[row] for row in order))
    assert spread(log_loss, moved) == pytest.approx(spread(log_loss, paired), rel=1e-9)


def test_many_rows_are_drawn_in_parts_and_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws do not depend on how many are made at once.

    Draws of 32-bit numbers pair up, so parts of an even number of rows are compared.
    """
    found = drawn(300, 0)
    whole = log_loss(found), calibration_error(found), reliability(found)
    monkeypatch.setattr(intervals, "_CELLS", 1000)
    assert (log_loss(found), calibration_error(found), reliability(found)) == whole


def test_bins_hold_every_row_once_and_what_calibrated_answers_would_give() -> None:
    bins = reliability(drawn(105, 0))
    assert [each.rows for each in bins] == [11] * 5 + [10] * 5
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)
    assert all(each.low <= each.confidence <= each.high for each in bins)
    assert sum(each.low <= each.right / each.rows <= each.high for each in bins) >= 8
    assert len(reliability(drawn(3, 0))) == 3
