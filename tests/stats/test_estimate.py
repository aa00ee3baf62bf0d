"""Tests of estimates against SciPy, scikit-learn, published examples and hand counts."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from roentgate.errors import ArgumentError
from roentgate.stats import intervals as limits
from roentgate.stats.differences import grouped_difference, mcnemar, of_family, paired_difference
from roentgate.stats.estimate import (
    Estimate,
    census,
    grouped_proportion,
    macro_auroc,
    mean,
    meets,
    permutation_p,
    proportion,
    settled,
    undefined,
)

COUNTS = st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def known(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=100, method="given")


def wilson(hits: int, n: int) -> Estimate:
    low, high = stats.binomtest(hits, n).proportion_ci(method="wilson")
    return known(hits / n, low, high)


@given(COUNTS)
def test_proportion_equals_scipys_exact_interval(counts: tuple[int, int]) -> None:
    hits, n = counts
    if n == 0:
        return
    estimate = proportion(hits, n)
    exact = stats.binomtest(hits, n).proportion_ci(method="exact")
    assert estimate.value == hits / n
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_zero_misses_settle_080_from_17_rows_090_from_36_and_095_from_72() -> None:
    for bound, n in ((0.80, 17), (0.90, 36), (0.95, 72)):
        assert proportion(n, n).low >= bound
        assert proportion(n - 1, n - 1).low < bound


def test_a_family_level_widens_the_lower_limit_only() -> None:
    plain, family = proportion(8, 40), proportion(8, 40, low_confidence=1 - 0.05 / 4)
    expected = stats.binomtest(8, 40).proportion_ci(0.9875, method="exact").low
    assert family.low == pytest.approx(expected)
    assert family.low < plain.low
    assert family.high == plain.high


@pytest.mark.parametrize("make", [proportion, census])
def test_a_share_of_nothing_is_undefined_and_excludes_nothing(make: Callable[..., Estimate]) -> None:
    estimate = make(0, 0)
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.n, estimate.defined) == (0.0, 1.0, 0, False)
    assert make(0, 0).method == make(1, 2).method == {proportion: "Clopper-Pearson", census: "census"}[make]
    assert make(0, 0, detail="none of this class").detail == "none of this class"


def test_more_hits_than_rows_are_refused() -> None:
    for make in (proportion, census, permutation_p):
        with pytest.raises(ArgumentError, match="5 hits of 4 rows"):
            make(5, 4)
        with pytest.raises(ArgumentError, match="-1 hits"):
            make(-1, 4)


def test_a_census_has_no_sampling_error() -> None:
    estimate = census(3, 4, detail="3 of 4", failing=("a",))
    assert estimate == Estimate(
        value=0.75, low=0.75, high=0.75, n=4, method="census", hits=3, detail="3 of 4", failing=("a",)
    )
    assert (census(3, 4).detail, census(3, 4).failing) == ("", ())


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_groups_of_one_row_give_the_exact_interval(hits: list[bool]) -> None:
    grouped = grouped_proportion(np.array(hits), [f"p{i}" for i in range(len(hits))])
    assert grouped == proportion(sum(hits), len(hits), unit="patient")


@pytest.mark.parametrize("images", [1, 3])
def test_levels_detail_and_failing_rows_are_those_of_the_grouped_share(images: int) -> None:
    hits, patients = np.repeat([True] * 7 + [False] * 3, images), [str(row // images) for row in range(10 * images)]
    hits[0] = False
    estimate = grouped_proportion(
        hits, patients, confidence=0.99, low_confidence=0.9, detail="text", failing=("a", "b")
    )
    rows = limits.effective_rows(hits.astype(float), patients)
    expected = (
        limits.clopper_pearson(hits.mean() * rows, rows, 0.05, 0.005)
        if images > 1
        else (proportion(6, 10, confidence=0.9).low, proportion(6, 10, confidence=0.99).high)
    )
    assert (estimate.low, estimate.high) == pytest.approx(expected)
    assert (estimate.detail, estimate.failing) == ("text", ("a", "b"))
    assert (grouped_proportion(hits, patients).detail, undefined(0, low=0.0, high=1.0, method="x").detail) == ("", "")


def test_grouped_interval_follows_korn_and_graubard_by_hand() -> None:
    """Groups of 2 of 2, 1 of 2, 0 of 4 and 3 of 4."""
    hits = np.array([1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0], bool)
    groups = ["a"] * 2 + ["b"] * 2 + ["c"] * 4 + ["d"] * 4
    variance = 4 / 3 * (1**2 + 0**2 + 2**2 + 1**2) / 12**2
    rows = 0.25 / variance * (stats.t.isf(0.025, 11) / stats.t.isf(0.025, 3)) ** 2
    estimate = grouped_proportion(hits, groups)
    assert estimate.n == 4
    assert estimate.hits is None
    assert estimate.value == 0.5
    assert estimate.low == pytest.approx(stats.beta.ppf(0.025, rows / 2, rows / 2 + 1))
    assert estimate.high == pytest.approx(stats.beta.isf(0.025, rows / 2 + 1, rows / 2))


def test_rows_that_repeat_their_patient_add_no_certainty() -> None:
    hits = np.repeat([True] * 8 + [False] * 2, 10)
    patients = [f"p{i // 10}" for i in range(100)]
    grouped, single = grouped_proportion(hits, patients), proportion(8, 10)
    assert grouped.low <= single.low + 0.01
    assert grouped.high >= single.high - 0.01
    unanimous = grouped_proportion(np.ones(100, bool), patients)
    assert unanimous.low == proportion(10, 10).low


@pytest.mark.parametrize("low_confidence", [None, 1 - 0.05 / 4])
def test_one_miss_of_a_patient_never_narrows_the_interval(low_confidence: float | None) -> None:
    """One missed image of 40 patients with 5 images each.

    Its spread alone would count as 155 rows. With no miss, 40 rows count.
    """
    patients = [f"p{i // 5}" for i in range(200)]
    flawless, flawed = np.ones(200, bool), np.arange(200) > 0
    without_miss, with_miss = (
        grouped_proportion(hits, patients, low_confidence=low_confidence) for hits in (flawless, flawed)
    )
    assert with_miss.low == without_miss.low
    some, all_missed = (
        grouped_proportion(~hits, patients, low_confidence=low_confidence) for hits in (flawed, flawless)
    )
    assert some.high == all_missed.high
    assert (all_missed.high, without_miss.value) == (proportion(0, 40).high, 1.0)


def test_one_patient_alone_says_nothing_about_others() -> None:
    estimate = grouped_proportion(np.array([True, False, True]), ["p"] * 3)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (2 / 3, 0.0, 1.0, 1)


def test_each_row_needs_its_group() -> None:
    with pytest.raises(ArgumentError, match="2 rows but 1 groups"):
        grouped_proportion(np.array([True, False]), ["p"])


def test_grouped_shares_of_nothing_are_undefined() -> None:
    empty = np.zeros(0, bool)
    assert not grouped_proportion(empty, []).defined
    assert not grouped_difference(empty, empty, []).defined


def test_mover_mean_reproduces_the_published_newcombe_interval() -> None:
    """The published interval is 7/34 - 1/34 = 0.1765 (0.0189 to 0.3404).

    Source: Perondi 2004 in Fagerland, Lydersen and Laake (2017), ch. 4.
    """
    first, second = wilson(7, 34), wilson(1, 34)
    half = mean([first, known(-second.value, -second.high, -second.low)])
    assert (2 * half.value, 2 * half.low, 2 * half.high) == pytest.approx((0.1765, 0.0189, 0.3404), abs=5e-5)


def test_mean_of_one_estimate_is_that_estimate_and_n_adds_up() -> None:
    one = proportion(7, 10)
    alone = mean([one])
    assert (alone.value, alone.low, alone.high) == pytest.approx((one.value, one.low, one.high))
    assert mean([one, proportion(3, 20)]).n == 30


def halves(patients: int, both: int) -> tuple[list[str], np.ndarray]:
    """Return groups and labels of two parts of ``patients`` each.

    ``both`` of the patients are in both parts.
    """
    first = [f"p{row}" for row in range(patients)]
    second = [f"p{row}" if row < both else f"q{row}" for row in range(patients)]
    return first + second, np.repeat([0, 1], patients)


@pytest.mark.parametrize("both", [0, 1, 5, 10])
def test_parts_go_together_as_far_as_they_share_their_groups(both: int) -> None:
    parts = [proportion(8, 10), proportion(5, 10)]
    groups, labels = halves(10, both)
    found, apart = mean(parts, groups=groups, labels=labels), mean(parts)
    below = [part.value - part.low for part in parts]
    squares = below[0] ** 2 + below[1] ** 2 + 2 * both / 10 * below[0] * below[1]
    assert found.low == pytest.approx(found.value - math.sqrt(squares) / 2)
    assert (found.value, found.n) == (apart.value, 20 - both)
    assert found.high >= apart.high - 1e-12


def test_a_patient_of_many_images_ties_parts_together_by_their_number() -> None:
    """One patient has half of the images of each part.

    Each part has 20 images of this patient and 20 of others. The cosine is 400 / (400 + 20).
    """
    groups = ["shared"] * 20 + [f"a{row}" for row in range(20)] + ["shared"] * 20 + [f"b{row}" for row in range(20)]
    parts = [proportion(32, 40), proportion(20, 40)]
    found = mean(parts, groups=groups, labels=np.repeat([0, 1], 40))
    above = [part.high - part.value for part in parts]
    squares = above[0] ** 2 + above[1] ** 2 + 2 * 400 / 420 * above[0] * above[1]
    assert found.high == pytest.approx(found.value + math.sqrt(squares) / 2)
    assert found.n == 41


def test_parts_of_one_patient_are_as_uncertain_together_as_each() -> None:
    parts = [Estimate(value=0.9, low=0.0, high=1.0, n=1, method="given"), proportion(1, 1)]
    found = mean(parts, groups=["p"] * 7, labels=np.array([0, 0, 0, 1, 1, 1, 1]))
    assert found.low == pytest.approx((parts[0].low + parts[1].low) / 2)
    assert found.high == pytest.approx(1.0)
    assert found.n == 1


def test_mean_with_an_undefined_part_is_undefined() -> None:
    estimate = mean([proportion(7, 10), proportion(0, 0)])
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^the mean of no estimates"):
        mean([])


def test_paired_difference_reproduces_a_published_tango_interval() -> None:
    """The published interval is -0.0621 (-0.1240 to -0.0054).

    Source: Cavo 2012 in Fagerland, Lydersen and Laake (2017), ch. 8.
    """
    cavo = paired_difference(6, 16, 161)
    assert (cavo.value, cavo.low, cavo.high) == pytest.approx((-0.0621, -0.1240, -0.0054), abs=5e-5)


def test_without_discordant_rows_the_paired_interval_has_its_closed_form() -> None:
    estimate = paired_difference(0, 0, 20)
    reach = limits.NORMAL**2 / (20 + limits.NORMAL**2)
    assert (estimate.low, estimate.high) == pytest.approx((-reach, reach))


def test_recall_non_inferiority_at_005_cannot_be_shown_from_identical_answers_below_73_rows() -> None:
    assert paired_difference(0, 0, 72).low < -0.05 <= paired_difference(0, 0, 73).low


def test_paired_difference_of_nothing_is_undefined_and_bad_counts_are_refused() -> None:
    estimate = paired_difference(0, 0, 0)
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.n) == (-1.0, 1.0, 0)
    assert estimate.method == paired_difference(1, 0, 5).method == "Tango"
    for gained, lost, n in ((3, 3, 5), (-1, 0, 5)):
        with pytest.raises(ArgumentError, match="gained and"):
            paired_difference(gained, lost, n)


def test_grouped_difference_is_tangos_for_single_rows_and_wider_for_repeated_ones() -> None:
    gained, lost = np.array([True] * 6 + [False] * 14), np.array([False] * 18 + [True] * 2)
    single = paired_difference(6, 2, 20)
    assert grouped_difference(gained, lost, [str(i) for i in range(20)]) == replace(single, unit="patient")
    repeated = grouped_difference(np.repeat(gained, 5), np.repeat(lost, 5), [str(i // 5) for i in range(100)])
    assert repeated.value == single.value
    assert repeated.n == 20
    assert repeated.low == pytest.approx(single.low, abs=0.03)
    assert repeated.high == pytest.approx(single.high, abs=0.03)
    assert paired_difference(30, 10, 100).high < repeated.high
    assert repeated.method == "Tango at the effective size"


def test_a_paired_difference_at_another_quantile_is_tangos_there_for_rows_and_for_groups() -> None:
    assert (paired_difference(6, 2, 20, z=2.5).low, paired_difference(6, 2, 20, z=2.5).high) == limits.tango(
        6, 2, 20, 2.5
    )
    gained, lost = np.array([True] * 6 + [False] * 14), np.array([False] * 18 + [True] * 2)
    single = replace(paired_difference(6, 2, 20, z=2.5), unit="patient")
    assert grouped_difference(gained, lost, [str(i) for i in range(20)], z=2.5) == single
    pairs = [str(i // 2) for i in range(20)]
    apart, usual = grouped_difference(gained, lost, pairs, z=2.5), grouped_difference(gained, lost, pairs)
    rows = limits.effective_rows(gained.astype(np.float64) - lost, pairs)
    assert (apart.low, apart.high) == limits.grouped_tango(6 / 20, 2 / 20, rows, 10, 2.5)
    assert apart.low < usual.low < usual.high < apart.high


def test_rows_without_groups_are_each_their_own() -> None:
    gained, lost = np.array([True] * 6 + [False] * 14), np.array([False] * 18 + [True] * 2)
    assert grouped_difference(gained, lost, None, z=2.5) == paired_difference(6, 2, 20, z=2.5)
    assert not grouped_difference(gained[:0], lost[:0], None).defined


def test_one_of_a_family_takes_the_limit_of_a_failure_at_the_level_of_all() -> None:
    at = partial(paired_difference, 6, 2, 20)
    assert of_family(lambda z: at(z=z), 1) == at()
    several = of_family(lambda z: at(z=z), 4)
    assert several.low == pytest.approx(at(z=2.4977054744).low)  # the quantile of 1 - 0.025 / 4, from tables: 2.498
    assert (several.value, several.high) == (at().value, at().high)
    with pytest.raises(
        ArgumentError, match=r"^a family of 0; give the number of estimates judged together, 1 or more$"
    ):
        of_family(lambda z: at(z=z), 0)


def test_a_family_narrows_no_limit() -> None:
    """A limit that a larger quantile would narrow stays as it is.

    This happens if the limits of an interval are not nested.
    """
    odd = of_family(lambda z: Estimate(value=0.0, low=z, high=5.0, n=1, method=""), 4)
    assert odd.low == limits.NORMAL


def test_rows_gained_and_lost_by_one_patient_cancel() -> None:
    """A row gained and a row lost by the same patient cancel.

    Ten patients gain and lose one row each, and ten do neither. Patients do not differ, so all rows count.
    """
    gained, lost = np.array([True, False] * 10 + [False] * 20), np.array([False, True] * 10 + [False] * 20)
    estimate = grouped_difference(gained, lost, [str(row // 2) for row in range(40)])
    assert (estimate.low, estimate.high) == pytest.approx(limits.tango(10, 10, 40))


def test_mcnemar_equals_the_binomial_test_and_the_published_value() -> None:
    assert mcnemar(6, 16) == pytest.approx(0.052479, abs=5e-7)  # Cavo 2012, as above
    assert mcnemar(0, 0) == 1.0
    for gained, lost in product(range(6), repeat=2):
        if gained + lost:
            assert mcnemar(gained, lost) == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)


def test_a_permutation_p_is_never_zero_and_its_draws_leave_an_interval() -> None:
    estimate = permutation_p(0, 2000)
    assert estimate.value == 1 / 2001
    assert estimate.high == pytest.approx(1 - 0.025 ** (1 / 2000))
    assert (estimate.method, estimate.n, estimate.unit) == ("permutation test", 2000, "draw")
    assert estimate.n == 2000
    nothing = permutation_p(0, 0)
    assert (nothing.defined, nothing.low, nothing.high, nothing.n) == (False, 0.0, 1.0, 0)
    assert (nothing.method, nothing.n, nothing.unit) == ("permutation test", 0, "draw")
    for draws in (1, 2, 50):
        for exceeding in range(draws + 1):
            p = permutation_p(exceeding, draws)
            assert p.low <= p.value <= p.high


def scores_of(seed: int, counts: tuple[int, ...], shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    scores = rng.normal(size=(len(truth), len(counts)))
    scores[np.arange(len(truth)), truth] += shift
    return truth, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("counts", [(26, 20, 20), (3, 9, 30), (5, 5, 5, 5)])
def test_macro_auroc_equals_scikit_learn_with_and_without_ties(counts: tuple[int, ...]) -> None:
    truth, scores = scores_of(1, counts)
    assert macro_auroc(truth, scores).value == pytest.approx(roc_auc_score(truth, scores, multi_class="ovr"))
    coarse = np.round(scores, 1)
    by_hand = np.mean([roc_auc_score(truth == k, coarse[:, k]) for k in range(len(counts))])
    assert macro_auroc(truth, coarse).value == pytest.approx(by_hand)


def test_for_two_classes_the_variance_is_delongs() -> None:
    truth, scores = scores_of(2, (30, 20))
    positives, negatives = scores[truth == 1, 1], scores[truth == 0, 1]
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    variance = wins.mean(axis=1).var(ddof=1) / 20 + wins.mean(axis=0).var(ddof=1) / 30
    share = wins.mean()
    reach = limits.NORMAL * math.sqrt(variance) / (share * (1 - share))
    estimate = macro_auroc(truth, scores)
    assert estimate.method == "DeLong, logit"
    for limit, sign in ((estimate.low, -1), (estimate.high, 1)):
        assert math.log(limit / (1 - limit)) == pytest.approx(math.log(share / (1 - share)) + sign * reach)


def test_perfect_separation_takes_newcombes_limit() -> None:
    """Newcombe's method 5 at an area of 1, by substitution.

    With 30 and 20 rows, 1 - theta = 1.96 * sqrt(theta (1 - theta) (1 + 24 (..)) / 600).
    """
    truth = np.repeat([0, 1], [30, 20])
    scores = np.eye(2)[truth]
    estimate = macro_auroc(truth, scores)
    theta = estimate.low
    variance = theta * (1 - theta) * (1 + 24 * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / 600
    assert (estimate.value, estimate.high, estimate.method) == (1.0, 1.0, "Newcombe, method 5")
    assert 1 - theta == pytest.approx(limits.NORMAL * math.sqrt(variance), abs=1e-9)
    assert 0.9 < theta < 0.95


def test_one_error_never_raises_the_lower_limit() -> None:
    truth = np.repeat([0, 1, 2], 20)
    flawless = np.eye(3)[truth] + 0.01 * np.arange(60)[:, None] / 60
    flawed = flawless.copy()
    flawed[0, 0] = (flawed[58, 0] + flawed[59, 0]) / 2
    with_error, without = macro_auroc(truth, flawed), macro_auroc(truth, flawless)
    assert (with_error.value, without.value) == pytest.approx((1 - 1 / 800 / 3, 1.0))
    assert with_error.low <= without.low


def test_a_constant_score_is_half_with_an_honest_interval() -> None:
    estimate = macro_auroc(np.repeat([0, 1], 10), np.full((20, 2), 0.5))
    assert estimate.value == 0.5
    assert estimate.low < 0.3
    assert estimate.high > 0.7


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_leaves_the_auroc_undefined(bad: float) -> None:
    truth, scores = scores_of(4, (5, 5))
    scores[3, 1] = bad
    estimate = macro_auroc(truth, scores)
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.n) == (0.0, 1.0, 10)
    assert estimate.detail == "a score is not finite"


def test_a_class_without_rows_or_without_rest_leaves_the_auroc_undefined() -> None:
    truth, scores = scores_of(5, (5, 5, 5))
    two = truth < 2
    for t, s in ((truth[two], scores[two]), (truth[:0], scores[:0]), (np.zeros(4, np.int64), np.ones((4, 1)))):
        estimate = macro_auroc(t, s)
        assert not estimate.defined
        assert estimate.detail == "a class has no rows to compare"


def test_a_class_of_one_row_still_has_an_interval() -> None:
    estimate = macro_auroc(np.array([0, 0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]]))
    assert estimate.method == "Newcombe, method 5"
    assert 0 < estimate.low < 2 / 3 < estimate.high < 1


def test_two_patients_with_images_of_both_classes_leave_one_degree_of_freedom() -> None:
    """Patient b has one of his images in the wrong order.

    A Student quantile of two degrees of freedom would reach down to 0.05.
    """
    truth = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    score = np.array([0.1, 0.9, 0.2, 0.8, 0.6, 0.5, 0.3, 0.7])
    found = macro_auroc(truth, np.stack([1 - score, score], axis=1), groups=list("aaaabbbb"))
    assert found.n == 2
    assert 0 < found.low < 0.001
    assert found.high > 0.9999


def test_repeated_images_of_a_patient_do_not_narrow_the_auroc() -> None:
    truth, scores = scores_of(6, (30, 30, 30))
    single = macro_auroc(truth, scores)
    repeated = macro_auroc(np.repeat(truth, 4), np.repeat(scores, 4, axis=0), groups=[str(i // 4) for i in range(360)])
    assert repeated.value == pytest.approx(single.value)
    assert repeated.n == 90
    assert repeated.high - repeated.low == pytest.approx(single.high - single.low, rel=0.02)
    assert macro_auroc(np.repeat(truth, 4), np.repeat(scores, 4, axis=0)).low > repeated.low


@pytest.mark.parametrize("room", [1e-15, -1e-15, 0.0])
def test_a_bound_is_met_on_it_whatever_a_mean_rounds_to(room: float) -> None:
    """A mean that rounds to the bound meets it.

    Three classes that lose 0.05 each lose 0.05 on average, and so do classes that lose 0.15, 0 and 0.
    """
    for direction in ("at_least", "at_most"):
        assert meets(0.05 + room, 0.05, direction)
        assert settled(known(0.05, 0.05 + room, 0.05 + room), 0.05, direction) == "met"
    assert not meets(0.05 + 1e-9, 0.05, "at_most")
    assert not meets(0.05 - 1e-9, 0.05, "at_least")


@pytest.mark.parametrize(
    ("low", "high", "floor", "ceiling"),
    [
        (0.6, 0.8, "met", "missed"),
        (0.5, 0.8, "met", None),
        (0.3, 0.4, "missed", "met"),
        (0.3, 0.5, None, "met"),
        (0.4, 0.6, None, None),
    ],
)
def test_a_verdict_is_settled_by_both_limits(low: float, high: float, floor: str | None, ceiling: str | None) -> None:
    estimate = known((low + high) / 2, low, high)
    assert (settled(estimate, 0.5, "at_least"), settled(estimate, 0.5, "at_most")) == (floor, ceiling)
    assert settled(undefined(5, low=low, high=high, method="none"), 0.5, "at_least") is None
