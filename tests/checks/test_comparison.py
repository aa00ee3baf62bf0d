"""Comparison tells worse candidates from better and from identical ones."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from roentgate.candidates.predictions import Predictions
from roentgate.checks import border, comparison, metrics
from roentgate.errors import ArgumentError, UnknownClassError
from roentgate.evidence.records import BorderRecord
from roentgate.policy.policy import Policy, load_policy
from roentgate.session.suite_runner import load_suite, verdicts
from roentgate.stats import differences, intervals
from roentgate.stats.differences import paired_difference
from roentgate.stats.estimate import Estimate, mean

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("A", "B", "C")
N = 100
LABELS = np.repeat(np.arange(3), N)


def answering(answers: NDArray[np.int64], *, sure: float = 0.8, groups: tuple[str, ...] | None = None) -> Predictions:
    probabilities = np.full((len(answers), 3), (1 - sure) / 2)
    probabilities[np.arange(len(answers)), answers] = sure
    ids = tuple(f"{row:03}" for row in range(len(answers)))
    labels = np.repeat(np.arange(3), len(answers) // 3)
    return Predictions(ids, CLASSES, labels, probabilities.astype(np.float32), groups)


def with_errors(*rows: int, labels: NDArray[np.int64] = LABELS) -> NDArray[np.int64]:
    """Return the right answers, except in these rows."""
    answers = labels.copy()
    answers[list(rows)] = (answers[list(rows)] + 1) % 3
    return answers


RIGHT = replace(answering(with_errors()), model="a")


def test_a_recall_that_falls_is_a_negative_change_with_tangos_interval() -> None:
    change = comparison.recall_change(answering(with_errors(0, 1)), answering(with_errors(1, 2, 3, 4, 150)), "A")
    assert change.value == pytest.approx(-0.02)
    assert (change.low, change.high) == intervals.tango(1, 3, N)
    assert change.failing == ("002", "003", "004")
    assert "98 of 100 right before, 96 now: 1 gained, 3 lost (McNemar p = 0.625)" in change.detail


def test_other_classes_are_no_part_of_a_recall() -> None:
    assert comparison.recall_change(RIGHT, answering(with_errors(150, 151), sure=0.7), "A").value == 0


@pytest.mark.parametrize(("n", "said"), [(72, True), (73, False)])
def test_a_class_with_too_few_rows_to_prove_the_margin_says_so(n: int, said: bool) -> None:
    labels = np.repeat(np.arange(3), n)
    before, now = answering(labels), answering(labels, sure=0.7)
    change = comparison.recall_change(before, now, "B", margin=0.05)
    assert (change.low < -0.05) is said
    assert (
        "without a row gained, fewer than 73 rows of a class cannot settle a margin of 0.05" in change.detail
    ) is said


def test_where_so_few_rows_do_prove_the_margin_nothing_is_said_against_it() -> None:
    labels = np.repeat(np.arange(3), 50)
    before = answering(with_errors(*range(10), labels=labels))
    change = comparison.recall_change(before, answering(labels), "A", margin=0.05)
    assert change.low > 0
    assert "cannot settle" not in change.detail


def test_what_few_rows_cannot_prove_is_said_of_them_alone() -> None:
    """With 50 rows a margin of 0.05 is settled by two gained rows and not by one.

    With 73 rows none need be gained.
    """
    for n, moved, said in ((50, (), True), (50, (0,), True), (50, (0, 1), False), (73, (), False)):
        labels = np.repeat(np.arange(3), n)
        change = comparison.recall_change(
            answering(with_errors(*moved, labels=labels)), answering(labels, sure=0.7), "A", margin=0.05
        )
        assert (change.low < -0.05) is said
        assert ("cannot settle" in change.detail) is said
    labels = np.repeat(np.arange(3), 73)
    lost = comparison.recall_change(answering(labels), answering(with_errors(0, labels=labels)), "A", margin=0.05)
    assert lost.low < -0.05
    assert "cannot settle" not in lost.detail


def test_exactly_as_many_rows_as_a_margin_needs_are_enough_to_prove_it() -> None:
    """The number of rows is whole except for rounding: 50.00000000000001."""
    margin = intervals.NORMAL**2 / (50 + intervals.NORMAL**2)
    labels = np.repeat(np.arange(3), 50)
    lost = comparison.recall_change(answering(labels), answering(with_errors(0, labels=labels)), "A", margin=margin)
    assert lost.low < -margin
    assert "cannot settle" not in lost.detail


def test_without_a_margin_or_rows_nothing_is_said_of_proofs() -> None:
    labels = np.repeat([0, 1], N)
    before, now = (Predictions(RIGHT.ids[:200], CLASSES, labels, RIGHT.probabilities[:200]) for _ in range(2))
    change = comparison.recall_change(before, now, "C")
    assert (change.low, change.high, change.n) == (-1, 1, 0)
    assert "cannot settle" not in change.detail


def test_balanced_accuracy_changes_by_the_mean_of_its_classes() -> None:
    """Of classes of 100, 100 and 50 images, B loses 10 of 100 and C gains 5 of 50."""
    kept = slice(0, 250)
    before, now = (
        Predictions(each.ids[kept], CLASSES, each.labels[kept], each.probabilities[kept])
        for each in (answering(with_errors(*range(200, 205))), answering(with_errors(*range(100, 110))))
    )
    change = comparison.balanced_change(before, now)
    parts = [comparison.recall_change(before, now, label) for label in CLASSES]
    expected = mean(parts)
    assert change.value == pytest.approx((0 - 0.1 + 0.1) / 3)
    assert (change.low, change.high, change.n) == (expected.low, expected.high, expected.n)
    assert change.failing == tuple(f"{row:03}" for row in range(100, 110))
    assert change.detail == (
        "balanced accuracy of the candidate 0.97, of the reference 0.97 on the same 250 images: "
        "5 right by the candidate only, 10 by the reference only (McNemar p = 0.302)"
    )


def test_one_model_is_said_to_be_the_same_and_changes_nothing() -> None:
    for n, change in zip(
        (100, 300, 300, metrics.macro_auroc(RIGHT).n),
        (
            comparison.recall_change(RIGHT, RIGHT, "A", margin=0.05),
            comparison.accuracy_change(RIGHT, RIGHT),
            comparison.balanced_change(RIGHT, RIGHT),
            comparison.auroc_change(RIGHT, RIGHT),
        ),
        strict=True,
    ):
        assert (change.value, change.low, change.high, change.n) == (0, 0, 0, n)
        assert change.method == "the same model"
        assert "the same model" in change.detail


def test_answers_of_one_model_that_are_no_numbers_are_the_same() -> None:
    silent = RIGHT.probabilities.copy()
    silent[0] = np.nan
    change = comparison.accuracy_change(replace(RIGHT, probabilities=silent), replace(RIGHT, probabilities=silent))
    assert change.method == "the same model"


@pytest.mark.parametrize("fingerprints", [("a", "b"), ("a", None), (None, None)])
def test_two_models_that_agree_on_every_image_are_not_known_to_be_one(fingerprints: tuple[str | None, ...]) -> None:
    """The interval of each change is the ordinary one, for no image that differs."""
    hard = answering(with_errors(0, 1), sure=1.0)
    before, now = (replace(hard, model=name) for name in fingerprints)
    recall = comparison.recall_change(before, now, "A", margin=0.05)
    assert (recall.value, recall.low, recall.high) == (0, *intervals.tango(0, 0, N))
    assert recall.method == "Tango"
    for change in (
        comparison.accuracy_change(before, now),
        comparison.balanced_change(before, now),
        comparison.auroc_change(before, now),
    ):
        assert change.low < change.value == 0 < change.high
        assert change.method != comparison.IDENTICAL


def test_twenty_equal_answers_of_two_models_settle_no_margin() -> None:
    """A true fall of the recall by 0.10 shows no image that differs in 0.9 ** 20 = 12 % of such tests."""
    hard = answering(np.repeat(np.arange(3), 20), sure=1.0)
    other = replace(hard, model="b")
    assert comparison.recall_change(replace(hard, model="a"), other, "A").low < -0.10
    assert comparison.auroc_change(replace(hard, model="a"), other).low < -0.05


def test_one_model_that_answers_differently_now_is_compared_as_another() -> None:
    change = comparison.accuracy_change(RIGHT, replace(answering(with_errors(), sure=0.7), model="a"))
    assert change.value == 0
    assert change.low < 0 < change.high


def test_patients_widen_the_interval() -> None:
    groups = tuple(f"patient {row // 4}" for row in range(3 * N))
    before, now = with_errors(), with_errors(*range(8))
    alone = comparison.recall_change(answering(before), answering(now), "A")
    grouped = comparison.recall_change(answering(before, groups=groups), answering(now, groups=groups), "A")
    assert grouped.n == 25
    assert grouped.low < alone.low


def test_images_of_one_patient_are_no_evidence_of_their_number() -> None:
    """All of the twenty images lost are of one patient.

    McNemar's test of images would give p = 2e-6.
    """
    groups = tuple("p" if row < 20 else f"p{row}" for row in range(300))
    change = comparison.recall_change(
        answering(with_errors(), groups=groups), answering(with_errors(*range(20)), groups=groups), "A", margin=0.01
    )
    assert "McNemar" not in change.detail
    assert change.detail.startswith("100 of 100 right before, 80 now: 0 gained, 20 lost")
    assert "without a row gained, fewer than 381 patients of a class cannot settle a margin of 0.01" in change.detail


def test_one_model_is_counted_in_patients_as_others_are() -> None:
    groups = tuple(f"p{row // 4}" for row in range(300))
    same = replace(answering(with_errors(), groups=groups), model="a")
    assert comparison.recall_change(same, same, "A").n == comparison.accuracy_change(same, same).n / 3 == 25


def test_balanced_accuracy_changes_as_uncertainly_as_its_classes_share_patients() -> None:
    labels = np.tile([0, 1, 2], 100)
    groups = tuple(f"p{row // 3}" for row in range(300))  # each with an image of every class
    ids = tuple(f"{row:03}" for row in range(300))

    def predicted(answers: NDArray[np.int64], patients: tuple[str, ...] | None) -> Predictions:
        return Predictions(ids, CLASSES, labels, np.eye(3, dtype=np.float32)[answers], patients)

    now = np.where(np.arange(300) < 60, (labels + 1) % 3, labels)
    shared, apart = (
        comparison.balanced_change(predicted(labels, patients), predicted(now, patients))
        for patients in (groups, tuple(f"{name}{label}" for name, label in zip(groups, labels, strict=True)))
    )
    assert (shared.n, apart.n) == (100, 300)
    assert shared.value == apart.value == pytest.approx(-0.2)
    assert shared.high - shared.value == pytest.approx(np.sqrt(3) * (apart.high - apart.value), rel=1e-6)


def test_negative_flips_are_counted_and_named() -> None:
    found = comparison.negative_flips(answering(with_errors(0)), answering(with_errors(1, 2)))
    assert (found.hits, found.n, found.failing) == (2, 299, ("001", "002"))
    assert found.detail == "2 of 299 rows right before are wrong now, 1 wrong ones are right"
    named = comparison.negative_flips(RIGHT, RIGHT, named="old (fingerprint 00)")
    assert named.detail == (
        "0 of 300 rows right before are wrong now, 0 wrong ones are right; the reference is old (fingerprint 00)"
    )


def test_a_reference_is_named_with_the_beginning_of_its_fingerprint() -> None:
    name = comparison.against(SimpleNamespace(name="old", fingerprint="0123456789abcdef"))
    assert name == "old (fingerprint 0123456789ab)"


OTHERS = [
    answering(np.repeat(np.arange(3), 50)),
    Predictions(RIGHT.ids, ("A", "B", "D"), LABELS, RIGHT.probabilities),
    Predictions(RIGHT.ids, CLASSES, LABELS[::-1], RIGHT.probabilities),
]


@pytest.mark.parametrize("now", OTHERS)
def test_other_rows_labels_or_classes_cannot_be_paired(now: Predictions) -> None:
    sentence = (
        "the reference answered other rows, labels or classes than the candidate, so nothing can be paired; "
        "judge both on the same data"
    )
    with pytest.raises(ArgumentError, match=f"^{sentence}$"):
        comparison.accuracy_change(RIGHT, now)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UnknownClassError):
        comparison.recall_change(RIGHT, RIGHT, "Z")


# The area under the curve


def drawn(
    rng: np.random.Generator, distance: float, shared: float, *, loss: float = 0.0, images: int = 40
) -> tuple[Predictions, Predictions]:
    """Return two models that share part of their noise.

    The classes of the second are nearer by ``loss``.
    """
    n = 3 * images
    labels = np.repeat(np.arange(3), images)
    own, common = rng.normal(size=(2, n, 3)), rng.normal(size=(n, 3))
    ids = tuple(map(str, range(n)))
    made = []
    for noise, apart in zip(own, (distance, distance - loss), strict=True):
        scores = shared * common + np.sqrt(1 - shared**2) * noise
        scores[np.arange(n), labels] += apart
        powers = np.exp(scores)
        made.append(Predictions(ids, CLASSES, labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)))
    return made[0], made[1]


@pytest.mark.parametrize(("distance", "shared"), [(1.0, 0.7), (3.5, 0.5)])
def test_an_interval_of_equal_areas_misses_zero_about_as_often_as_it_says(distance: float, shared: float) -> None:
    rng = np.random.default_rng(5)
    changes = [comparison.auroc_change(*drawn(rng, distance, shared)) for _ in range(400)]
    misses = sum(not change.low <= 0 <= change.high for change in changes)
    assert misses <= 31  # 5 % of 400 and two and a half standard errors


@pytest.mark.parametrize(("distance", "loss", "shared"), [(1.0, 0.2, 0.7), (2.0, 0.5, 0.97), (3.0, 1.25, 0.5)])
def test_a_loss_of_area_is_seldom_settled_as_smaller_near_separation_too(
    distance: float, loss: float, shared: float
) -> None:
    rng = np.random.default_rng(8)
    truth = comparison.auroc_change(*drawn(rng, distance, shared, loss=loss, images=8000)).value
    assert truth < -0.03
    changes = [comparison.auroc_change(*drawn(rng, distance, shared, loss=loss)) for _ in range(400)]
    assert sum(change.low > truth for change in changes) <= 18  # 2.5 % of 400 and two and a half standard errors
    assert sum(not change.low <= truth <= change.high for change in changes) <= 31


def copied(predictions: Predictions, times: int, *, as_patients: bool) -> Predictions:
    """Return predictions with each row repeated ``times`` times.

    The copies of a row are one patient's if ``as_patients``.
    """
    rows = np.repeat(np.arange(len(predictions)), times)
    return Predictions(
        ids=tuple(f"{index} of row {row}" for index, row in enumerate(rows)),
        classes=predictions.classes,
        labels=predictions.labels[rows],
        probabilities=predictions.probabilities[rows],
        groups=tuple(map(str, rows)) if as_patients else None,
    )


def test_copies_of_an_image_narrow_no_interval_of_areas_where_they_are_one_patients() -> None:
    before, now = drawn(np.random.default_rng(7), 1.0, 0.8, loss=0.2)
    single = comparison.auroc_change(before, now)
    images, patients = (
        comparison.auroc_change(copied(before, 4, as_patients=alike), copied(now, 4, as_patients=alike))
        for alike in (False, True)
    )
    assert images.value == pytest.approx(single.value, abs=1e-6)
    assert images.high - images.low == pytest.approx((single.high - single.low) / 2, rel=0.1)
    assert patients.high - patients.low == pytest.approx(single.high - single.low, rel=0.05)


def test_one_patient_of_a_class_tells_nothing_of_how_two_areas_go_together() -> None:
    before, now = drawn(np.random.default_rng(7), 1.0, 0.8, loss=0.2)
    groups = tuple("one" if label == 0 else str(row) for row, label in enumerate(before.labels))
    before, now = replace(before, groups=groups), replace(now, groups=groups)
    change = comparison.auroc_change(before, now)
    apart = differences.of_estimates(metrics.macro_auroc(now), metrics.macro_auroc(before))
    assert (change.value, change.low, change.high) == (apart.value, apart.low, apart.high)


def test_a_class_without_rows_leaves_the_change_of_areas_undefined() -> None:
    kept = slice(0, 2 * N)
    before, now = (
        Predictions(each.ids[kept], CLASSES, each.labels[kept], each.probabilities[kept])
        for each in (RIGHT, answering(with_errors(), sure=0.7))
    )
    change = comparison.auroc_change(before, now)
    assert not change.defined
    assert (change.low, change.high, change.n, change.method) == (-1, 1, metrics.macro_auroc(now).n, "MOVER")
    assert change.detail == metrics.macro_auroc(before).detail


def test_areas_of_answers_that_are_no_numbers_are_undefined_on_either_side() -> None:
    silent = replace(RIGHT, probabilities=np.full_like(RIGHT.probabilities, np.nan))
    why = metrics.macro_auroc(silent).detail
    for before, now, expected in (
        (RIGHT, silent, f"the candidate: {why}"),
        (silent, RIGHT, f"the reference: {why}"),
        (silent, silent, why),
    ):
        change = comparison.auroc_change(before, now)
        assert not change.defined
        assert change.detail == expected


def test_models_that_order_all_images_alike_may_differ_on_others() -> None:
    """Squares keep the order in each column.

    No image is ranked differently, so the images do not show how closely the two go together.
    """
    before, _ = drawn(np.random.default_rng(3), 1.0, 0.5)
    change = comparison.auroc_change(before, replace(before, probabilities=before.probabilities**2))
    area = metrics.macro_auroc(before)
    reach = np.hypot(area.high - area.value, area.value - area.low)
    assert (change.value, change.low, change.high) == pytest.approx((0, -reach, reach), abs=1e-6)
    assert change.detail == f"{area.value:.3f} before, {area.value:.3f} now"
    assert (change.method, change.n) == ("MOVER", area.n)


def test_a_change_of_areas_is_the_same_either_way_round() -> None:
    before, now = drawn(np.random.default_rng(4), 2.0, 0.9, loss=1.5)
    there, back = comparison.auroc_change(before, now), comparison.auroc_change(now, before)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_areas_of_which_one_is_whole_are_taken_as_independent() -> None:
    before, _ = drawn(np.random.default_rng(5), 1.0, 0.5, images=100)
    before = replace(before, ids=RIGHT.ids)
    change = comparison.auroc_change(before, RIGHT)
    apart = differences.of_estimates(metrics.macro_auroc(RIGHT), metrics.macro_auroc(before))
    assert (change.low, change.high) == (apart.low, apart.high)


def test_two_patients_of_each_class_tell_how_two_areas_go_together() -> None:
    before, now = drawn(np.random.default_rng(7), 1.0, 0.9, loss=0.2)
    groups = tuple(f"{label} {row % 2}" for row, label in enumerate(before.labels))
    before, now = replace(before, groups=groups), replace(now, groups=groups)
    change = comparison.auroc_change(before, now)
    apart = differences.of_estimates(metrics.macro_auroc(now), metrics.macro_auroc(before))
    assert (change.low, change.high) != (apart.low, apart.high)


def test_a_shared_error_narrows_the_interval_of_a_change() -> None:
    rng = np.random.default_rng(6)
    before, now = drawn(rng, 1.0, 0.95)
    paired = comparison.auroc_change(before, now)
    alone = differences.of_estimates(*(metrics.macro_auroc(each) for each in (now, before)))
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_perfect_separation_twice_still_has_an_interval() -> None:
    change = comparison.auroc_change(RIGHT, answering(with_errors(), sure=0.7))
    assert change.value == 0
    assert change.low < 0 < change.high


def test_a_difference_of_undefined_estimates_is_undefined() -> None:
    nothing = Estimate(value=np.nan, low=0.1, high=1.0, n=0, method="none", detail="no rows")
    something = Estimate(value=0.5, low=0.4, high=0.6, n=9, method="some")
    found = differences.of_estimates(something, nothing)
    assert np.isnan(found.value)
    assert (found.low, found.high) == pytest.approx((-0.6, 0.5))
    assert (found.n, found.method, found.detail) == (0, "MOVER", "no rows")


def test_a_difference_counts_the_rows_of_the_smaller() -> None:
    few = Estimate(value=0.5, low=0.4, high=0.6, n=9, method="some")
    found = differences.of_estimates(replace(few, n=20), few)
    assert (found.value, found.n, found.method) == (0, 9, "MOVER")
    assert (found.low, found.high) == pytest.approx((-np.hypot(0.1, 0.1), np.hypot(0.1, 0.1)))


# The border


@pytest.fixture
def policy() -> Policy:
    return load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=CLASSES)


def border_record(policy: Policy, masked: Predictions, only: Predictions, other: Predictions) -> BorderRecord:
    bounds = policy.border
    borders = [*bounds.borders, *bounds.stress_borders]
    only_borders = [*bounds.only_borders, *bounds.only_stress_borders]
    return BorderRecord(
        clean=RIGHT,
        masked=dict.fromkeys(itertools.product(borders, bounds.infills), masked),
        only=dict.fromkeys(itertools.product(only_borders, bounds.infills), only),
        interior=dict.fromkeys(borders, RIGHT),
        other=dict.fromkeys(borders, other),
        same=dict.fromkeys(borders, RIGHT),
        donor_labels=(LABELS + 1) % 3,
    )


@pytest.fixture
def inside(policy: Policy) -> BorderRecord:
    """A model that reads the inside of an image."""
    return border_record(policy, RIGHT, answering(np.arange(3 * N) % 3), RIGHT)


@pytest.fixture
def background(policy: Policy) -> BorderRecord:
    """A model that reads the background."""
    return border_record(policy, answering(np.arange(3 * N) % 3), RIGHT, answering((LABELS + 1) % 3))


def subjects(policy: Policy) -> list[str]:
    """Return the sorted subjects of the border verdicts of this policy."""
    bounds = policy.border
    hidden, alone = [*bounds.borders, *bounds.stress_borders], [*bounds.only_borders, *bounds.only_stress_borders]
    flips = [f"flips, {width:.0%} border, {infill}" for width in hidden for infill in bounds.infills]
    swaps = [f"border swap, {width:.0%} border" for width in hidden]
    recalls = [f"masked recall, {label}, {width:.0%} border" for label in CLASSES for width in bounds.borders]
    return sorted([*flips, *swaps, *recalls, *(f"skill of the border alone, {width:.0%} border" for width in alone)])


def directions(changes: list[comparison.BorderChange]) -> set[str]:
    return {found.change.detail.split(":")[0] for found in changes}


def test_one_answer_on_the_border_alone_is_no_change_of_a_model_from_itself(policy: Policy) -> None:
    """A reader of the inside may answer one class whatever border it is shown."""
    one = border_record(policy, RIGHT, answering(np.zeros(3 * N, np.int64)), RIGHT)
    itself = replace(one, clean=replace(one.clean, model="the same"))
    found = [each for each in comparison.border_changes(itself, itself, policy) if each.kind == "skill"]
    assert {each.change.method for each in found} == {comparison.IDENTICAL}
    other = replace(itself, clean=replace(one.clean, model="another"))
    assert not any(each.gates for each in comparison.border_changes(itself, other, policy) if each.kind == "skill")


def test_every_border_verdict_got_worse_better_or_stayed(
    policy: Policy, inside: BorderRecord, background: BorderRecord
) -> None:
    worse = list(comparison.border_changes(inside, background, policy))
    assert sorted(found.subject for found in worse) == subjects(policy)
    assert directions(worse) == {"got worse"}
    assert all(found.change.low > 0.05 for found in worse)
    assert [found.kind for found in worse].count("skill") == 4
    assert directions(list(comparison.border_changes(background, inside, policy))) == {"got better"}


def test_a_border_that_stays_is_no_change_for_the_worse(policy: Policy, inside: BorderRecord) -> None:
    changes = list(comparison.border_changes(inside, inside, policy))
    assert directions(changes) == {"the same"}
    assert all((found.change.low, found.change.high) == (0, 0) for found in changes)
    assert all("the same model" in found.change.detail for found in changes)
    assert {found.change.n for found in changes if "recall" not in found.subject} == {3 * N}


def test_equal_answers_of_another_model_prove_no_more_than_so_many_images_can(
    policy: Policy, inside: BorderRecord
) -> None:
    other = replace(inside, clean=answering(with_errors(), sure=0.7))
    changes = list(comparison.border_changes(inside, other, policy))
    assert directions(changes) == {"cannot tell"}
    assert all(found.change.low < found.change.value == 0 < found.change.high for found in changes)


def test_equal_flips_of_other_answers_are_not_the_same(policy: Policy, inside: BorderRecord) -> None:
    other = border_record(policy, answering(with_errors(0, 1)), inside.only[0.05, "black"], RIGHT)
    third = border_record(policy, answering(with_errors(2, 3)), inside.only[0.05, "black"], RIGHT)
    changes = {found.subject: found.change for found in comparison.border_changes(other, third, policy)}
    flips = changes["flips, 5% border, black"]
    assert flips.value == 0
    assert flips.low < 0 < flips.high
    assert flips.detail.startswith("cannot tell: 2 of 300 answers changed before, 2 now")


def test_each_change_of_the_border_is_of_its_own_rows_and_named(policy: Policy, inside: BorderRecord) -> None:
    """The candidate loses four images of B under one infill of the 5 % border.

    It gains none, and all else stays.
    """
    answers = answering(with_errors(110, 111, 112, 113))
    masked = {**inside.masked, (0.05, "mean"): answers}
    changes = {
        found.subject: found for found in comparison.border_changes(inside, replace(inside, masked=masked), policy)
    }
    moved = {subject for subject, found in changes.items() if found.change.value > 0}
    assert moved == {"flips, 5% border, mean", "masked recall, B, 5% border"}
    flips, recall = (changes[subject].change for subject in sorted(moved))
    assert flips.value == pytest.approx(4 / 300)
    assert (flips.n, recall.n) == (300, 100)
    assert flips.failing == recall.failing == ("110", "111", "112", "113")
    assert recall.value == pytest.approx(0.04)
    assert recall.low < 0.04 < recall.high
    assert "mean" in recall.detail
    assert {subject: found.change.n for subject, found in changes.items() if "recall" in subject} == {
        f"masked recall, {label}, 5% border": 100 for label in CLASSES
    }
    assert {subject for subject, found in changes.items() if found.gates} == {
        *(f"flips, 5% border, {infill}" for infill in policy.border.infills),
        "border swap, 5% border",
        *(f"masked recall, {label}, 5% border" for label in CLASSES),
        "skill of the border alone, 5% border",
        "skill of the border alone, 10% border",
    }
    assert all(isinstance(found.gates, bool) for found in changes.values())


def test_where_infills_disagree_the_worst_of_them_counts(policy: Policy, inside: BorderRecord) -> None:
    lost = answering(with_errors(*range(0, 300, 10)))
    before = replace(inside, masked={**inside.masked, (0.05, "black"): lost})
    now = replace(inside, masked={**inside.masked, (0.05, "blur"): lost})
    changes = {found.subject: found.change for found in comparison.border_changes(before, now, policy)}
    assert changes["masked recall, A, 5% border"].value == pytest.approx(0.1)
    seen = replace(inside, only={**inside.only, (0.05, "edge"): RIGHT})
    skill = {found.subject: found.change for found in comparison.border_changes(inside, seen, policy)}
    change = skill["skill of the border alone, 5% border"]
    assert change.value == pytest.approx(0.99)
    assert change.detail == "got worse: 0.01 kept before, 1.00 now"


FOUR_INFILLS = float(ndtri(1 - 0.025 / 4))


def test_got_worse_is_settled_at_the_level_of_all_infills_and_got_better_at_the_usual(
    policy: Policy, inside: BorderRecord
) -> None:
    assert len(policy.border.infills) == 4
    lost = answering(with_errors(*range(0, 3 * N, 10)))
    now = replace(inside, masked=dict.fromkeys(inside.masked, lost))
    changes = {found.subject: found.change for found in comparison.border_changes(inside, now, policy)}
    for subject, hits, n in (("masked recall, A, 5% border", 10, N), ("flips, 5% border, black", 30, 3 * N)):
        usual, stricter = paired_difference(hits, 0, n), paired_difference(hits, 0, n, z=FOUR_INFILLS)
        assert (changes[subject].low, changes[subject].high) == pytest.approx((stricter.low, usual.high))
    stress = changes["flips, 10% border, black"]
    assert stress.low == paired_difference(30, 0, 3 * N).low


def test_skill_of_the_border_got_worse_at_the_level_of_all_infills(policy: Policy, inside: BorderRecord) -> None:
    seen = replace(inside, only=dict.fromkeys(inside.only, answering(with_errors(*range(0, 3 * N, 3)))))
    before, now, of_four = (
        border.retained_skill(record.clean, record.only[0.05, "black"], family=family)
        for record, family in ((inside, 1), (seen, 1), (seen, 4))
    )
    changes = {found.subject: found.change for found in comparison.border_changes(inside, seen, policy)}
    change, usual = changes["skill of the border alone, 5% border"], differences.of_estimates(now, before)
    assert change.low == differences.of_estimates(of_four, before).low < usual.low
    assert (change.value, change.high) == (usual.value, usual.high)


def test_of_equally_good_models_few_are_said_to_be_worse_under_the_mask(policy: Policy, inside: BorderRecord) -> None:
    """The errors of the four infills are independent.

    At the usual level of each, about 9 of 100 would be worse.
    """
    rng, worse = np.random.default_rng(3), 0
    infills = policy.border.infills
    for _ in range(300):
        before, now = (
            replace(
                inside,
                clean=answering(with_errors(number)),
                masked={
                    **inside.masked,
                    **{
                        (0.05, infill): answering(with_errors(*np.flatnonzero(rng.random(3 * N) < 0.1)))
                        for infill in infills
                    },
                },
            )
            for number in (0, 1)
        )
        changes = {found.subject: found.change for found in comparison.border_changes(before, now, policy)}
        worse += changes["masked recall, B, 5% border"].detail.startswith("got worse")
    assert worse <= 14  # 2.5 % of 300 and two and a half standard errors


def test_rows_without_a_donor_are_not_counted_and_those_that_follow_are_named(
    policy: Policy, inside: BorderRecord
) -> None:
    donors = np.where(np.arange(300) < 10, -1, (LABELS + 1) % 3)
    before = replace(inside, donor_labels=donors)
    followed = answering(np.where(np.isin(np.arange(300), (150, 250)), donors, LABELS))
    again = answering(np.where(np.isin(np.arange(300), (150, 260)), donors, LABELS))
    first, second = (replace(before, other=dict.fromkeys(inside.other, each)) for each in (followed, again))
    changes = {found.subject: found.change for found in comparison.border_changes(first, second, policy)}
    found = changes["border swap, 5% border"]
    assert (found.value, found.n, found.failing) == (0, 290, ("260",))
    assert found.low == pytest.approx(-found.high)
    assert found.detail == "cannot tell: 0.01 net followed the donor before, 0.01 now"
    same = {each.subject: each.change for each in comparison.border_changes(first, first, policy)}[
        "border swap, 5% border"
    ]
    assert (same.value, same.n) == (0, 290)


def test_answers_that_change_as_often_with_a_donor_of_the_own_class_are_no_change_of_the_verdict(
    policy: Policy, inside: BorderRecord
) -> None:
    """A fifth of the rows switches with either kind of donor."""
    donors, every = inside.donor_labels, np.arange(3 * N)
    other, same = (answering(np.where(every % 5 == part, donors, LABELS)) for part in (0, 1))
    changed = replace(inside, other=dict.fromkeys(inside.other, other), same=dict.fromkeys(inside.same, same))
    found = {each.subject: each.change for each in comparison.border_changes(inside, changed, policy)}
    change = found["border swap, 5% border"]
    verdict = border.net_switches(RIGHT, other, same, donors)
    assert change.value == verdict.value == 0
    assert change.low <= verdict.low < 0 < verdict.high <= change.high
    assert change.detail == "cannot tell: 0.00 net followed the donor before, 0.00 now"


def test_a_change_of_what_follows_a_donor_is_that_of_the_two_verdicts(policy: Policy, inside: BorderRecord) -> None:
    donors, every = inside.donor_labels, np.arange(3 * N)
    before, now = (answering(np.where(every % every_nth == 0, donors, LABELS)) for every_nth in (20, 5))
    first, second = (replace(inside, other=dict.fromkeys(inside.other, each)) for each in (before, now))
    found = {each.subject: each.change for each in comparison.border_changes(first, second, policy)}
    change = found["border swap, 5% border"]
    once, twice = (border.net_switches(RIGHT, each, RIGHT, donors) for each in (before, now))
    apart = differences.of_estimates(twice, once)
    assert (change.value, change.low, change.high) == (apart.value, apart.low, apart.high)
    assert change.value == pytest.approx(0.15)
    assert set(change.failing) == {RIGHT.ids[row] for row in every if row % 5 == 0 and row % 20}
    assert change.detail == "got worse: 0.05 net followed the donor before, 0.20 now"


def test_without_rows_to_swap_no_model_is_the_same_as_itself(policy: Policy, inside: BorderRecord) -> None:
    """Nothing was measured, so nothing is known to have stayed."""
    without = replace(inside, donor_labels=np.full(3 * N, -1))
    changes = {found.subject: found.change for found in comparison.border_changes(without, without, policy)}
    change = changes.pop("border swap, 5% border")
    assert not change.defined
    assert (change.low, change.high, change.n) == (-2, 2, 0)
    assert change.detail.startswith("cannot tell: 0 of 0 follow the donor")
    assert {found.low for subject, found in changes.items() if "border swap" not in subject} == {0}


def test_a_record_of_no_images_is_undefined_throughout(policy: Policy) -> None:
    none = answering(np.zeros(0, np.int64))
    borders = border_record(policy, none, none, none)
    empty = replace(borders, clean=none, same=dict.fromkeys(borders.same, none), donor_labels=np.zeros(0, np.int64))
    changes = list(comparison.border_changes(empty, empty, policy))
    assert sorted(found.subject for found in changes) == subjects(policy)
    assert directions(changes) == {"cannot tell"}
    assert not any(found.change.defined for found in changes)
    assert {found.change.n for found in changes} == {0}


@pytest.mark.parametrize(("patients", "images"), [(40, 4), (60, 4), (20, 2)])
def test_over_patients_losing_an_image_proves_no_more_than_losing_none(patients: int, images: int) -> None:
    n = patients * images
    groups = tuple(f"patient {row // images}" for row in range(3 * n))
    labels = np.repeat(np.arange(3), n)
    before = answering(labels, groups=groups)
    lows = []
    for lost in range(4):
        now = answering(with_errors(*range(0, lost * images, images), labels=labels), sure=0.7, groups=groups)
        lows.append(comparison.recall_change(before, now, "A").low)
    assert max(lows[1:]) <= lows[0]


def test_a_skill_that_is_undefined_says_whose_and_gates_unless_it_is_the_references_alone(
    policy: Policy, inside: BorderRecord
) -> None:
    lost = answering(np.arange(3 * N) % 3)
    weak = replace(border_record(policy, lost, lost, lost), clean=lost)
    for before, now, reason, gating in (
        (inside, weak, "the candidate: too little skill to lose", 2),
        (weak, inside, "the reference: too little skill to lose", 0),
        (weak, replace(weak), "too little skill to lose", 2),
    ):
        found = [each for each in comparison.border_changes(before, now, policy) if each.kind == "skill"]
        assert all(each.change.detail.startswith(f"cannot tell: {reason}") for each in found)
        assert all(np.isnan(each.change.value) for each in found)
        assert sum(each.gates for each in found) == gating
    assert len(policy.border.only_borders) == 2


# The suite refuses a worse candidate, and no other


def judged(
    policy: Policy,
    before: SimpleNamespace,
    now: SimpleNamespace,
    unseen: Callable[[Predictions], Predictions] = lambda answers: answers,
) -> set[str]:
    suite = load_suite(ROOT / "suites" / "test_comparison.py")
    given = {"evidence": now, "border_answers": now.record, "reference": before, "unseen": unseen}
    return {check for check, _, verdict in verdicts(suite, given, policy, CLASSES) if not verdict.accepted("simple")}


def evidence(test: Predictions, record: BorderRecord) -> SimpleNamespace:
    return SimpleNamespace(test=test, record=record, border=lambda _: record, name="toy", fingerprint="0" * 64)


def test_each_gating_check_of_the_comparison_refuses_a_worse_candidate(
    policy: Policy, inside: BorderRecord, background: BorderRecord
) -> None:
    worse = evidence(answering(with_errors(*range(0, 300, 4))), background)
    assert judged(policy, evidence(RIGHT, inside), worse) == {
        "recall_noninferiority",
        "accuracy_noninferiority",
        "auroc_noninferiority",
        "border_change",
    }
    assert judged(policy, worse, evidence(RIGHT, inside)) == set()


def without(leaked: NDArray[np.bool_]) -> Callable[[Predictions], Predictions]:
    def unseen(answers: Predictions) -> Predictions:
        kept = np.flatnonzero(~leaked)
        return Predictions(
            tuple(answers.ids[row] for row in kept), CLASSES, answers.labels[kept], answers.probabilities[kept]
        )

    return unseen


def test_images_learned_by_heart_hide_no_loss(policy: Policy, inside: BorderRecord) -> None:
    """Half of the images of a class are in train too, and right in both.

    So 4 lost of 100 are 4 of the 50 that count.
    """
    leaked = np.arange(3 * N) % N >= N // 2
    now = answering(with_errors(0, 1, 2, 3))
    masked = dict.fromkeys(inside.masked, answering(with_errors(*range(8))))
    worse = evidence(now, replace(inside, masked=masked))
    assert judged(policy, evidence(RIGHT, inside), worse) == set()
    refused = judged(policy, evidence(RIGHT, inside), worse, without(leaked))
    assert refused == {"recall_noninferiority", "border_change"}
    changes = comparison.border_changes(inside, worse.record, policy, unseen=without(leaked))
    counted = {each.subject: each.change for each in changes}
    assert counted["masked recall, A, 5% border"].value == pytest.approx(0.16)
    assert counted["flips, 5% border, black"].n == 3 * N


def test_images_learned_by_heart_make_no_loss(policy: Policy, inside: BorderRecord) -> None:
    leaked = np.arange(3 * N) < 10
    worse = evidence(answering(with_errors(*range(10))), inside)
    assert "recall_noninferiority" in judged(policy, evidence(RIGHT, inside), worse)
    assert judged(policy, evidence(RIGHT, inside), worse, without(leaked)) == set()


def test_stress_borders_are_descriptive(policy: Policy, inside: BorderRecord) -> None:
    gating = {found.subject for found in comparison.border_changes(inside, inside, policy) if found.gates}
    assert "flips, 5% border, black" in gating
    assert "flips, 10% border, black" not in gating
    assert "skill of the border alone, 25% border" not in gating
