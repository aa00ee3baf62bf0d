"""Metrics equal scikit-learn and counts by hand, and are undefined without rows."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score, roc_auc_score

from roentgate.candidates.predictions import Predictions
from roentgate.checks import border, metrics
from roentgate.errors import ArgumentError, ModelError, UnknownClassError
from roentgate.stats import differences
from roentgate.stats.differences import paired_difference
from roentgate.stats.estimate import CLUSTER, Direction, Estimate, proportion
from roentgate.stats.verdict import at_most

CLASSES = ("Covid", "Normal", "Viral Pneumonia")


def answered(labels: list[int], answers: list[int], groups: tuple[str, ...] | None = None) -> Predictions:
    """Return rows r00, r01, ... with these labels and answers.

    An answer of -1 is a row of NaN.
    """
    probabilities = np.full((len(labels), 3), 0.1, np.float32)
    for row, answer in enumerate(answers):
        probabilities[row] = np.nan if answer < 0 else probabilities[row]
        probabilities[row, answer] = np.nan if answer < 0 else 0.8
    ids = tuple(f"r{row:02d}" for row in range(len(labels)))
    return Predictions(
        ids=ids, classes=CLASSES, labels=np.array(labels, np.int64), probabilities=probabilities, groups=groups
    )


def drawn(seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], (26, 20, 20))
    logits = rng.normal(size=(66, 3))
    logits[np.arange(66), labels] += 1.5
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(
        ids=tuple(f"r{i:02d}" for i in range(66)), classes=CLASSES, labels=labels, probabilities=probabilities
    )


def test_skill_is_what_lies_above_chance_and_its_limits_with_it() -> None:
    rows = drawn()
    found, balanced = metrics.adjusted_balanced_accuracy(rows), metrics.balanced_accuracy(rows)
    assert found.value == pytest.approx(balanced_accuracy_score(rows.labels, rows.answers, adjusted=True))
    assert (found.low, found.high) == pytest.approx((1.5 * balanced.low - 0.5, 1.5 * balanced.high - 0.5))
    assert found.n == balanced.n


def test_skill_of_exactly_the_least_is_enough_to_lose() -> None:
    """The mean of six recalls less 1/6 is 0.15 to the last bit."""
    labels, right = np.repeat(np.arange(6), 60), (26, 13, 14, 27, 16, 18)
    predicted = np.concatenate([np.where(np.arange(60) < k, label, (label + 1) % 6) for label, k in enumerate(right)])
    ids = tuple(f"r{row:03d}" for row in range(360))
    rows = Predictions(ids, tuple("ABCDEF"), labels, np.eye(6, dtype=np.float32)[predicted])
    assert metrics.balanced_accuracy(rows).value - 1 / 6 == border.LEAST_SKILL
    assert border.retained_skill(rows, rows).value == 1.0


def test_predictions_of_a_class_are_counted_and_the_wrong_ones_named() -> None:
    """r02 of Covid is predicted as Normal, and r03 of Normal as Covid."""
    rows = answered([0, 0, 0, 1, 1, 2], [0, 0, 1, 0, 1, 2])
    precise, spared = metrics.precision(rows, "Covid"), metrics.specificity(rows, "Covid")
    assert (precise.detail, precise.failing) == ("2 of 3 predicted as Covid are right", ("r03",))
    assert (spared.detail, spared.failing) == ("2 of 3 others are not predicted as Covid", ("r03",))
    assert metrics.f1(rows, "Covid").failing == ("r02", "r03")


def test_recall_accuracy_and_confusion_equal_scikit_learn() -> None:
    predictions = drawn()
    truth, answers = predictions.labels, predictions.answers
    recalls = recall_score(truth, answers, average=None)
    matrix = confusion_matrix(truth, answers, normalize="true")
    for row, label in enumerate(CLASSES):
        assert metrics.recall(predictions, label).value == pytest.approx(recalls[row])
        for column, predicted in enumerate(CLASSES):
            assert metrics.confusion(predictions, label, predicted).value == pytest.approx(matrix[row, column])
    assert metrics.accuracy(predictions).value == pytest.approx(accuracy_score(truth, answers))
    assert metrics.balanced_accuracy(predictions).value == pytest.approx(balanced_accuracy_score(truth, answers))
    expected = roc_auc_score(truth, predictions.probabilities, multi_class="ovr")
    assert metrics.macro_auroc(predictions).value == pytest.approx(expected, abs=1e-6)


def test_recall_counts_by_hand_and_reads_the_row_of_the_confusion_matrix() -> None:
    predictions = answered([2] * 6 + [0], [2, 2, 2, 1, 1, 0, 0])
    estimate = metrics.recall(predictions, "Viral Pneumonia")
    by_hand = proportion(3, 6)
    assert (estimate.value, estimate.low, estimate.high, estimate.hits, estimate.n) == (
        0.5,
        by_hand.low,
        by_hand.high,
        3,
        6,
    )
    assert estimate.detail == "of 6 Viral Pneumonia: 3 Viral Pneumonia, 1 Covid, 2 Normal"
    assert estimate.failing == ("r03", "r04", "r05")
    confusion = metrics.confusion(predictions, "Viral Pneumonia", "Normal")
    assert (confusion.hits, confusion.n, confusion.failing) == (2, 6, ("r03", "r04"))


def test_a_row_without_a_finite_answer_counts_as_wrong() -> None:
    predictions = answered([0, 0, 0, 1], [0, -1, 1, 1])
    assert predictions.answers.tolist() == [0, -1, 1, 1]
    estimate = metrics.recall(predictions, "Covid")
    assert estimate.hits == 1
    assert estimate.detail == "of 3 Covid: 1 Covid, 1 Normal, 1 without a finite answer"
    assert metrics.accuracy(predictions).failing == ("r01", "r02")


def test_one_infinite_entry_is_no_answer_and_no_auroc() -> None:
    predictions = drawn()
    predictions.probabilities[5, 2] = np.inf
    assert predictions.answers[5] == -1
    assert not metrics.macro_auroc(predictions).defined


def test_a_class_without_rows_has_no_recall_and_leaves_the_averages_undefined() -> None:
    predictions = answered([0, 0, 1], [0, 0, 1])
    missing = metrics.recall(predictions, "Viral Pneumonia")
    assert math.isnan(missing.value)
    assert (missing.low, missing.high, missing.n) == (0.0, 1.0, 0)
    assert missing.detail == "of 0 Viral Pneumonia: none to count"
    for estimate in (metrics.balanced_accuracy(predictions), metrics.macro_auroc(predictions)):
        assert math.isnan(estimate.value)
        assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_an_unknown_class_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownClassError, match="class 'Covd' is unknown; did you mean 'Covid'"):
        metrics.recall(drawn(), "Covd")
    with pytest.raises(UnknownClassError, match="class 'Healthy' is unknown; known: Covid, Normal"):
        metrics.confusion(drawn(), "Covid", "Healthy")


def test_patients_not_images_are_counted_where_they_are_known() -> None:
    predictions = answered([0] * 8, [0] * 6 + [1] * 2, groups=tuple("aabbccdd"))
    estimate = metrics.recall(predictions, "Covid")
    assert (estimate.value, estimate.n, estimate.method) == (0.75, 4, "Korn-Graubard")
    assert estimate.low < metrics.recall(replace(predictions, groups=None), "Covid").low
    assert estimate.detail == "of 8 Covid: 6 Covid, 2 Normal"
    assert estimate.failing == ("r06", "r07")


def test_a_family_widens_the_limit_that_settles_a_failure_over_patients_too() -> None:
    patients = tuple("aaaabbbbccccddddeeee")
    before, after = answered([0] * 20, [0] * 20, patients), answered([0] * 20, ([0] * 3 + [1]) * 4 + [1] * 4, patients)
    flips, flips_of_four = (border.flips(before, after, family=family) for family in (1, 4))
    assert flips_of_four.low < flips.low
    assert flips_of_four.high == flips.high
    recall, recall_of_four = (metrics.recall(after, "Covid", family=family) for family in (1, 4))
    assert recall_of_four.high > recall.high
    assert recall_of_four.low == recall.low


def test_balanced_accuracy_reads_the_recall_of_each_class_and_names_the_wrong_rows() -> None:
    estimate = metrics.balanced_accuracy(answered([2, 0, 0, 1], [1, 1, 0, 1]))
    assert estimate.detail == "recall: Covid 0.50, Normal 1.00, Viral Pneumonia 0.00"
    assert estimate.failing == ("r00", "r01")


def test_the_auroc_is_over_patients_where_they_are_known() -> None:
    predictions = replace(drawn(), groups=tuple(str(row // 2) for row in range(66)))
    assert metrics.macro_auroc(predictions).n == 33
    assert metrics.macro_auroc(drawn()).n == 66


def test_flips_are_counted_by_hand_and_name_the_rows() -> None:
    before, after = answered([0] * 5, [0, 0, 1, 2, 0]), answered([0] * 5, [0, 1, 1, 0, 0])
    estimate = border.flips(before, after)
    assert (estimate.hits, estimate.n, estimate.failing) == (2, 5, ("r01", "r03"))
    assert estimate.detail == "2 of 5 answers change"
    assert border.flips(before, before).value == 0.0
    assert estimate == border.flips(before, after, family=1)


def test_a_model_that_answers_nothing_is_not_steady() -> None:
    silent = answered([0, 1], [-1, -1])
    assert border.flips(silent, silent).value == 1.0


def test_a_family_of_infills_lowers_the_lower_limit_only() -> None:
    before, after = answered([0] * 20, [0] * 20), answered([0] * 20, [1] * 8 + [0] * 12)
    alone, family = border.flips(before, after), border.flips(before, after, family=4)
    assert family.low == proportion(8, 20, low_confidence=0.9875).low < alone.low
    assert family.high == alone.high
    with pytest.raises(ArgumentError, match="a family of 0"):
        border.flips(before, after, family=0)


@pytest.mark.parametrize(
    "other", [answered([0, 0, 0], [0, 0, 0]), replace(answered([0, 0], [0, 0]), ids=("r01", "r00"))]
)
def test_pairs_must_be_of_the_same_rows_in_the_same_order(other: Predictions) -> None:
    first = answered([0, 0], [0, 0])
    for pair in (border.flips, border.retained_skill):
        with pytest.raises(ArgumentError, match=r"^predictions of other rows, .* predict the same rows$"):
            pair(first, other)
    with pytest.raises(ArgumentError, match=r"^predictions of other rows, .* predict the same rows$"):
        border.net_switches(first, first, other, np.array([1, 1]))


LABELS = [0] * 20 + [1] * 20 + [2] * 20


def right_except(wrong: int) -> Predictions:
    """Return three classes of 20 rows, the first ``wrong`` of each predicted as the next."""
    return answered(LABELS, [(label + 1) % 3 if row % 20 < wrong else label for row, label in enumerate(LABELS)])


def test_retained_skill_is_the_ratio_of_skills_by_hand() -> None:
    estimate = border.retained_skill(right_except(2), right_except(8))
    assert estimate.value == pytest.approx((0.6 - 1 / 3) / (0.9 - 1 / 3))
    assert 0 < estimate.low < estimate.value < estimate.high < 1
    assert border.retained_skill(right_except(2), right_except(2)).value == pytest.approx(1.0)


def test_skill_below_chance_is_negative_not_none() -> None:
    estimate = border.retained_skill(right_except(2), right_except(20))
    assert estimate.value == pytest.approx(-(1 / 3) / (0.9 - 1 / 3))
    assert estimate.low <= estimate.value <= estimate.high < 0


def test_retained_skill_of_a_model_without_skill_is_undefined() -> None:
    estimate = border.retained_skill(right_except(11), right_except(0))
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high) == (-math.inf, math.inf)
    assert estimate.detail.startswith("too little skill to lose: 0.12")


def test_little_skill_above_chance_is_still_too_little_to_lose() -> None:
    labels = [0, 1, 2] * 300
    faint = answered(labels, [label if row % 20 < 9 else (label + 1) % 3 for row, label in enumerate(labels)])
    assert metrics.balanced_accuracy(faint).low > 1 / 3
    estimate = border.retained_skill(faint, faint)
    assert not estimate.defined
    assert estimate.detail == "too little skill to lose: 0.12 above chance"


def test_without_rows_of_a_class_there_is_no_skill_and_no_family_of_it() -> None:
    missing = answered([0, 0, 1, 1], [0, 0, 1, 1])
    for family in (1, 4):
        estimate = border.retained_skill(missing, missing, family=family)
        assert (estimate.defined, estimate.detail) == (False, "a class has no rows")


def test_the_lower_limit_of_retained_skill_falls_with_the_family() -> None:
    alone, two, four = (border.retained_skill(right_except(2), right_except(8), family=family) for family in (1, 2, 4))
    assert alone == border.retained_skill(right_except(2), right_except(8))
    assert four.low < two.low < alone.low
    assert alone.high == two.high == four.high


def test_a_cut_under_which_one_answer_takes_nine_rows_of_ten_is_uninformative() -> None:
    for stuck, uninformative in ((54, True), (53, False)):
        answers = [1] * stuck + [2] * (60 - stuck)
        estimate = border.retained_skill(right_except(2), answered(LABELS, answers))
        assert (estimate.state == "uninformative") == uninformative
        if uninformative:
            assert estimate.low == min(0.0, estimate.value)
            assert estimate.high == 1.0
    assert border.retained_skill(right_except(2), answered(LABELS, [-1] * 60)).state == "uninformative"


def test_the_worst_is_the_least_favourable_with_the_least_favourable_limits() -> None:
    named = {"black": proportion(9, 10), "mean": proportion(80, 100, detail="80 right"), "blur": proportion(7, 8)}
    floor, ceiling, parts = border.worst(named, "at_least"), border.worst(named, "at_most"), named.values()
    assert (floor.value, floor.low, floor.high) == (0.8, min(p.low for p in parts), min(p.high for p in parts))
    assert (ceiling.value, ceiling.low, ceiling.high) == (0.9, max(p.low for p in parts), max(p.high for p in parts))
    assert (floor.n, floor.detail, floor.hits) == (100, "80 right (mean)", None)


@pytest.mark.parametrize(("worth", "side"), [(metrics.recall, "high"), (border.retained_skill, "low")])
def test_the_limit_that_settles_a_failure_is_wider_in_a_family(worth: Callable[..., Estimate], side: str) -> None:
    """The limit that settles a pass needs no correction, since every member must meet it."""
    arguments = (right_except(8), "Covid") if worth is metrics.recall else (right_except(2), right_except(8))
    alone, four = worth(*arguments), worth(*arguments, family=4)
    other = "low" if side == "high" else "high"
    assert getattr(four, other) == getattr(alone, other)
    assert abs(getattr(four, side) - four.value) > abs(getattr(alone, side) - alone.value)
    assert four.value == alone.value


def test_a_failure_at_the_bound_is_rare_in_a_family() -> None:
    """Four independent estimates of a recall at the bound fail in at most 2.5 % of draws."""
    chances = binom.pmf(np.arange(81), 80, 0.8)

    def wrongly(confidence: float) -> float:
        failing = [proportion(k, 80, confidence=confidence).high < 0.8 for k in range(81)]
        return float(1 - (1 - chances[failing].sum()) ** 4)

    assert wrongly(1 - 0.05 / 4) <= 0.025
    assert wrongly(0.95) > 0.05


def test_an_undefined_part_is_the_worst() -> None:
    directions: tuple[Direction, ...] = ("at_least", "at_most")
    for direction in directions:
        assert not border.worst({"black": proportion(9, 10), "mean": proportion(0, 0)}, direction).defined


def test_the_limits_of_the_worst_need_not_be_its_own() -> None:
    wide = Estimate(value=0.70, low=0.40, high=0.95, n=10, method="given")
    narrow = Estimate(value=0.75, low=0.60, high=0.90, n=90, method="given")
    worst = border.worst({"black": wide, "mean": narrow}, "at_least")
    assert (worst.value, worst.low, worst.high) == (0.70, 0.40, 0.90)
    worst = border.worst({"black": wide, "mean": narrow}, "at_most")
    assert (worst.value, worst.low, worst.high) == (0.75, 0.60, 0.95)


def test_the_worst_of_one_is_that_one_with_its_counts() -> None:
    one = proportion(8, 10)
    assert border.worst({"black": one}, "at_least") == replace(one, detail=" (black)")
    assert border.worst({"black": one, "mean": one}, "at_least").hits is None


def test_the_worst_informative_infill_counts() -> None:
    clean, loud, stuck = right_except(2), right_except(8), answered(LABELS, [1] * 60)
    uninformative, informative = border.retained_skill(clean, stuck), border.retained_skill(clean, loud)
    worst = border.worst({"black": uninformative, "blur": informative}, "at_most")
    assert (worst.value, worst.low, worst.high) == (informative.value, informative.low, informative.high)
    assert border.worst({"black": uninformative}, "at_most").detail == f"{uninformative.detail} (black)"


def test_the_worst_of_uninformative_infills_is_undefined_and_accepted_by_no_rule() -> None:
    """Under every infill all images get one answer, so nothing is known of what the border decides."""
    stuck = {name: border.retained_skill(right_except(2), answered(LABELS, [1] * 60)) for name in ("black", "blur")}
    worst = border.worst(stuck, "at_most")
    assert (worst.state, worst.low, worst.high) == ("undefined", 0.0, 1.0)
    assert worst.parts == (("black", None), ("blur", None))
    for bound in (0.0, 0.5, 1.0, 2.0):
        assert not any(at_most(worst, bound).accepted(gate) for gate in ("simple", "guarded"))


def test_the_worst_of_infills_of_the_same_rows_allows_for_its_choice() -> None:
    """Four infills err in different rows, so the largest of them is larger than what they share."""
    labels = [0] * 40
    parts = {
        name: metrics.recall(answered(labels, [1] * 5 * (index == 0) + [0] * (40 - 5 * (index == 0))), "Covid")
        for index, name in enumerate(("alone", "perfect"))
    }
    assert border.worst(parts, "at_least").value == pytest.approx(35 / 40)
    several = {}
    for index in range(4):
        answers = np.zeros(40, np.int64)
        answers[8 * index : 8 * index + 5 + (index == 3)] = 1
        several[f"infill {index}"] = metrics.recall(answered(labels, answers.tolist()), "Covid")
    worst = border.worst(several, "at_least")
    assert 34 / 40 < worst.value <= 35 / 40
    assert [name for name, _ in worst.parts] == list(several)
    assert (worst.low, worst.high) == (min(p.low for p in several.values()), min(p.high for p in several.values()))


def test_equal_answers_retain_all_skill_within_what_the_rows_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 59 of 60 answers equal the interval is a third narrower than as if both were independent."""
    one_more = [*right_except(2).answers.tolist()]
    one_more[10] = (one_more[10] + 1) % 3
    clean, nearly = right_except(2), answered(LABELS, one_more)
    same, paired = border.retained_skill(clean, clean), border.retained_skill(clean, nearly)
    assert same.value == 1.0
    assert 0.75 < same.low < 0.95
    assert 1.05 < same.high < 1.25
    larger = border.retained_skill(*[repeated(clean, 8)] * 2)
    assert same.low < larger.low < 1.0 < larger.high < same.high
    monkeypatch.setattr(differences, "recovered_correlation", lambda *_: 0.0)
    independent = border.retained_skill(clean, nearly)
    assert paired.high - paired.low < 0.67 * (independent.high - independent.low)


def repeated(predictions: Predictions, times: int) -> Predictions:
    """Return the predictions repeated, as of other images."""
    return Predictions(
        ids=tuple(f"{name}-{copy}" for copy in range(times) for name in predictions.ids),
        classes=predictions.classes,
        labels=np.tile(predictions.labels, times),
        probabilities=np.tile(predictions.probabilities, (times, 1)),
    )


def test_the_worst_of_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^the worst of no estimates"):
        border.worst({}, "at_most")


def test_net_switches_are_counted_by_hand() -> None:
    """Rows 0-2 follow the other-class donor.

    Row 3 switches under both donors, row 4 only under its own, and row 6 was there before.
    """
    before = answered([0] * 8, [0, 0, 0, 0, 0, 0, 1, 0])
    other = answered([0] * 8, [1, 1, 1, 1, 0, 2, 1, 1])
    same = answered([0] * 8, [0, 0, 0, 1, 1, 0, 1, 0])
    donors = np.array([1, 1, 1, 1, 1, 1, 1, -1])
    estimate = border.net_switches(before, other, same, donors)
    expected = paired_difference(3, 1, 7)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (2 / 7, expected.low, expected.high, 7)
    assert estimate.failing == ("r00", "r01", "r02")
    assert estimate.detail == "4 of 7 follow the donor, 2 go there with a donor of their own class (McNemar p = 0.625)"


def test_net_switches_over_patients_are_no_narrower() -> None:
    patients = tuple(str(row // 4) for row in range(40))
    before, same = answered([0] * 40, [0] * 40), answered([0] * 40, [0] * 40)
    other, donors = answered([0] * 40, [1] * 12 + [0] * 28), np.ones(40, np.int64)
    images = border.net_switches(before, other, same, donors)
    grouped = border.net_switches(replace(before, groups=patients), other, same, donors)
    assert (grouped.value, grouped.n) == (images.value, 10)
    assert grouped.low < images.low < images.high < grouped.high
    assert grouped.detail == "12 of 40 follow the donor, 0 go there with a donor of their own class"
    assert grouped.failing == images.failing == before.ids[:12]


def test_net_switches_over_patients_subtract_the_control() -> None:
    patients = tuple(str(row // 4) for row in range(40))
    before = answered([0] * 40, [0] * 40, groups=patients)
    other, same = answered([0] * 40, [1] * 12 + [0] * 28), answered([0] * 40, [0] * 34 + [1] * 6)
    assert border.net_switches(before, other, same, np.ones(40, np.int64)).value == (12 - 6) / 40


def test_a_donor_of_the_first_class_is_a_donor() -> None:
    before, other = answered([1] * 4, [1] * 4), answered([1] * 4, [0, 0, 1, 1])
    estimate = border.net_switches(before, other, before, np.zeros(4, np.int64))
    assert (estimate.value, estimate.n) == (0.5, 4)


def test_without_donors_net_switches_are_undefined_and_a_missing_donor_list_is_refused() -> None:
    rows = answered([0, 1], [0, 1])
    estimate = border.net_switches(rows, rows, rows, np.array([-1, -1]))
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high) == (-1.0, 1.0)
    with pytest.raises(ArgumentError, match="1 donors for 2 rows"):
        border.net_switches(rows, rows, rows, np.array([1]))


def test_ten_copies_of_one_right_answer_count_once() -> None:
    """Of 20 images of a class 11 are one image: its ten copies add nothing."""
    copies = tuple(f"r{max(row - 9, 1):02d}" if row > 0 else "r00" for row in range(20))
    labels, given = [0] * 20, [1] + [0] * 19
    as_images = metrics.recall(answered(labels, given), "Covid")
    rows = replace(answered(labels, given, groups=copies), grouped_by=CLUSTER)
    found = metrics.recall(rows, "Covid")
    assert (found.value, found.n, found.unit, found.method) == (0.95, 11, CLUSTER, "Korn-Graubard")
    assert found.low < as_images.low - 0.05
    all_right = metrics.recall(replace(rows, probabilities=answered(labels, [0] * 20).probabilities), "Covid")
    assert (all_right.low, all_right.n) == (proportion(11, 11).low, 11)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_auroc", "adjusted_balanced_accuracy"])
def test_a_metric_says_that_its_units_are_clusters(name: str) -> None:
    rows = drawn()
    clusters = replace(rows, groups=("r00", "r00", *rows.ids[2:]), grouped_by=CLUSTER)
    found = getattr(metrics, name)(clusters)
    assert (found.unit, found.n) == (CLUSTER, 65)
    assert (getattr(metrics, name)(rows).unit, getattr(metrics, name)(rows).n) == ("image", 66)


def test_net_switches_of_a_donor_that_decides_for_all_who_wear_it_count_donors() -> None:
    before, same = answered([0] * 40, [0] * 40), answered([0] * 40, [0] * 40)
    other, labels = answered([0] * 40, [1] * 12 + [0] * 28), np.ones(40, np.int64)
    apart = border.net_switches(before, other, same, labels, donors=before.ids)
    assert apart == border.net_switches(before, other, same, labels)
    assert "McNemar" in apart.detail
    shared = border.net_switches(before, other, same, labels, donors=[str(row // 4) for row in range(40)])
    assert (shared.value, shared.n, shared.unit) == (apart.value, 10, "donor")
    assert shared.low < apart.low < apart.high < shared.high
    assert "McNemar" not in shared.detail
    patients = tuple(str(row % 20) for row in range(40))
    both = border.net_switches(
        replace(before, groups=patients), other, same, labels, donors=[str(row // 4) for row in range(40)]
    )
    assert both.high - both.low >= shared.high - shared.low


def test_probabilities_of_another_shape_are_the_models_fault() -> None:
    with pytest.raises(ModelError, match=r"shape \(2, 4\) where \(2, 3\) was expected"):
        Predictions(
            ids=("a", "b"), classes=CLASSES, labels=np.zeros(2, np.int64), probabilities=np.ones((2, 4), np.float32)
        )


def test_labels_and_groups_must_fit_the_rows() -> None:
    good = answered([0, 1], [0, 1])
    with pytest.raises(ArgumentError, match="give one to each row"):
        replace(good, labels=np.zeros(3, np.int64))
    with pytest.raises(ArgumentError, match="give one to each row"):
        replace(good, groups=("p",))
    with pytest.raises(ArgumentError, match=r"not among 0\.\.2"):
        replace(good, labels=np.array([0, 3]))


def test_one_patient_of_all_classes_proves_no_skill() -> None:
    """Three right images of each class, all of one patient, count as one case."""
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    found = metrics.balanced_accuracy(answered(labels, labels, groups=("p",) * 9))
    assert (found.value, found.n) == (1.0, 1)
    assert found.low == pytest.approx(metrics.recall(answered([0], [0]), "Covid").low)
    apart = metrics.balanced_accuracy(answered(labels, labels, groups=tuple("aaabbbccc")))
    assert apart.n == 3
    assert apart.low == pytest.approx(1 - (1 - found.low) / math.sqrt(3))


def test_skill_that_a_family_cannot_show_settles_no_failure() -> None:
    """14 of 20 right in both classes: above chance at 95 %, and not at 99 %."""
    labels = [0] * 20 + [1] * 20
    clean = Predictions(
        ids=tuple(map(str, range(40))),
        classes=("A", "B"),
        labels=np.array(labels),
        probabilities=np.eye(2, dtype=np.float32)[[0] * 14 + [1] * 6 + [1] * 14 + [0] * 6],
    )
    alone, five = border.retained_skill(clean, clean), border.retained_skill(clean, clean, family=5)
    assert np.isfinite(alone.low)
    assert (five.value, five.high) == (alone.value, alone.high)
    assert five.low == -np.inf
