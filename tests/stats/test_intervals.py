"""Tests of the interval formulas against SciPy and the jackknife."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from roentgate.stats import intervals as limits
from roentgate.stats.estimate import macro_auroc


@example((1, 10), 0.3)
@example((0, 0), 0.5)
@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0, 1))
def test_reaching_is_the_binomial_tail(counts: tuple[int, int], rate: float) -> None:
    hits, n = counts
    assert limits.reaching(hits, n, rate) == pytest.approx(stats.binom.sf(hits - 1, n, rate), abs=1e-9)
    assert limits.reaching(n + 1, n, rate) == 0.0


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13, 66])
def test_rows_that_are_all_gained_have_a_lower_limit_in_closed_form_and_no_upper_one(n: int) -> None:
    """If all rows are gained, the lower limit has a closed form.

    The likeliest losses then leave no row unchanged, and the score is z at d = (n - z²)/(n + z²).
    """
    low = (n - limits.NORMAL**2) / (n + limits.NORMAL**2)
    assert list(limits.tango(n, 0, n)) == pytest.approx([low, 1.0], abs=1e-9)
    assert list(limits.tango(0, n, n)) == pytest.approx([-1.0, -low], abs=1e-9)


def test_newcombes_limits_mirror_and_shrink_with_rows() -> None:
    low, high = limits.newcombe(0.8, 20, 40)
    mirrored = limits.newcombe(0.2, 40, 20)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))
    assert limits.newcombe(1.0, 20, 40)[0] < limits.newcombe(1.0, 40, 80)[0] < 1.0
    assert limits.newcombe(0.0, 3, 3)[0] == 0.0


def test_for_three_classes_the_variance_is_the_jackknifes() -> None:
    truth = np.repeat([0, 1, 2], (60, 50, 40))
    scores = np.random.default_rng(3).normal(size=(150, 3)) + np.eye(3)[truth]
    _, influence = limits.auroc_influence(truth, scores)
    variance = limits.stratified_variance(influence, truth, np.arange(150))
    parts = []
    for label in range(3):
        rows = np.flatnonzero(truth == label)
        kept = [np.delete(np.arange(150), row) for row in rows]
        left_out = [macro_auroc(truth[keep], scores[keep]).value for keep in kept]
        parts.append((len(rows) - 1) ** 2 / len(rows) * np.var(left_out, ddof=1))
    assert math.sqrt(variance) == pytest.approx(math.sqrt(sum(parts)), rel=0.05)


def tango_statistic(difference: float, gained: int, lost: int, n: int) -> float:
    """Return Tango's score by brute force.

    The constrained likelihood is maximised numerically.
    """

    def minus_log_likelihood(share_lost: float) -> float:
        shares = (share_lost + difference, share_lost, 1 - 2 * share_lost - difference)
        counts = (gained, lost, n - gained - lost)
        return -sum(c * math.log(max(s, 1e-300)) for c, s in zip(counts, shares, strict=True) if c)

    least, most = max(0.0, -difference), (1 - difference) / 2
    share_lost = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(least, most), method="bounded", options={"xatol": 1e-12}
    ).x
    variance = n * (2 * share_lost + difference * (1 - difference))
    return float((gained - lost - n * difference) / math.sqrt(variance))


@pytest.mark.parametrize(("gained", "lost", "n"), [(6, 16, 161), (3, 1, 20), (9, 2, 12), (5, 5, 30), (1, 4, 66)])
def test_tango_limits_are_where_the_maximised_score_is_196(gained: int, lost: int, n: int) -> None:
    low, high = limits.tango(gained, lost, n)
    assert tango_statistic(low, gained, lost, n) == pytest.approx(limits.NORMAL, abs=1e-4)
    assert tango_statistic(high, gained, lost, n) == pytest.approx(-limits.NORMAL, abs=1e-4)


@pytest.mark.parametrize("n", [0.5, 1, 20])
def test_without_discordant_rows_tango_has_its_closed_form_also_for_effective_sizes(n: float) -> None:
    reach = limits.NORMAL**2 / (n + limits.NORMAL**2)
    assert limits.tango(0, 0, n) == pytest.approx((-reach, reach))


def test_tango_stays_within_minus_one_and_one() -> None:
    assert limits.tango(0, 0, 0) == (-1.0, 1.0)
    assert limits.tango(5, 0, 5)[1] == 1.0
    assert limits.tango(0, 5, 5)[0] == -1.0


@pytest.mark.parametrize("z", [limits.NORMAL, 2.5])
def test_grouped_changes_show_no_more_than_groups_of_one_row_that_all_agree(z: float) -> None:
    gaining, losing = limits.grouped_tango(0.5, 0.2, 10_000, 10, z), limits.grouped_tango(0.2, 0.5, 10_000, 10, z)
    assert gaining == (limits.tango(5, 0, 10, z)[0], limits.tango(5_000, 2_000, 10_000, z)[1])
    assert losing == (limits.tango(2_000, 5_000, 10_000, z)[0], limits.tango(0, 5, 10, z)[1])
    many_groups = limits.grouped_tango(0.5, 0.2, 40, 10_000, z)
    assert many_groups == limits.tango(20, 8, 40, z)


def test_each_grouped_limit_is_held_back_on_its_own() -> None:
    only_gains = limits.grouped_tango(1.0, 0.0, 500, 12)
    assert only_gains == (limits.tango(12, 0, 12)[0], 1.0)
    only_losses = limits.grouped_tango(0.0, 1.0, 500, 12)
    assert only_losses == (-1.0, limits.tango(0, 12, 12)[1])


@pytest.mark.parametrize(
    ("draws", "width", "parts"),
    [
        (10, 100, [5, 5]),
        (11, 100, [5, 5, 1]),
        (3, 250, [2, 1]),
        (2, 5000, [1, 1]),
        (4, 10, [4]),
    ],
)
def test_draws_are_made_inportions_of_so_many_cells(
    draws: int, width: int, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_CELLS", 500)
    assert list(limits.portions(draws, width)) == parts


def test_gains_that_cancel_are_no_distance() -> None:
    """A draw of nothing but the many zeros lies at the mean.

    It is neither above nor below it.
    """
    sums = np.concatenate([[-1.0], np.zeros(58), [1.0]])
    low, high = limits.bootstrap_t(sums, np.ones(60, np.int64), 2000, 0)
    assert -1 < low < 0 < high < 1


@pytest.mark.parametrize(("units", "images"), [(66, 1), (40, 4)])
def test_limits_of_skewed_costs_seldom_lie_below_their_mean(units: int, images: int) -> None:
    """The limits of rare large costs with mean 2 seldom miss it.

    The percentiles of the same draws lie below 2 in 9 % and in 14 % of sets.
    """
    costs = np.random.default_rng(0).exponential(size=(400, units)) ** 2
    found = [limits.bootstrap_t(np.sort(row) * images, np.full(units, images), 400, 0) for row in costs]
    assert np.mean([high < 2 for _, high in found]) <= 0.045
    assert np.mean([low > 2 for low, _ in found]) <= 0.045


def test_the_bootstrap_of_a_plain_mean_is_near_students_interval() -> None:
    values = np.sort(np.random.default_rng(0).normal(3, 2, 200))
    low, high = limits.bootstrap_t(values, np.ones(200, np.int64), 20_000, 0)
    exact = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(exact, abs=0.02)


def test_the_error_of_a_mean_over_uneven_units_is_that_of_a_ratio() -> None:
    """The error of a mean over uneven units is that of a ratio.

    By Cochran's formula: sums 1, 5, 6 of 1, 2, 3 rows have the mean 2 and the residuals -1, 1, 0.
    """
    mean, error = limits._mean_and_error(np.array([1.0, 5.0, 6.0]), np.array([1, 2, 3]))
    assert mean == 2.0
    assert error == pytest.approx(math.sqrt(2 * 3 / 2) / 6)


@pytest.mark.parametrize(("units", "known"), [(29, False), (30, True)])
def test_few_units_set_no_limit(units: int, known: bool) -> None:
    found = limits.bootstrap_t(np.arange(float(units)), np.ones(units, np.int64), 500, 0)
    assert (found == (-math.inf, math.inf)) is not known


def test_units_that_are_all_alike_set_no_limit_and_two_that_differ_set_both() -> None:
    alike = np.full(50, 0.1)
    assert limits.bootstrap_t(alike * np.repeat([1, 3], 25), np.repeat([1, 3], 25), 500, 0) == (-math.inf, math.inf)
    assert np.isfinite(limits.bootstrap_t(np.repeat([0.0, 1.0], 25), np.ones(50, np.int64), 500, 0)).all()


def test_a_dear_unit_among_equal_ones_sets_no_limit_on_its_side() -> None:
    """One large unit among equal ones leaves one limit infinite.

    A third of the draws leave it out, have no spread, and so lie infinitely far from the mean.
    """
    values = np.concatenate([np.full(59, 0.1), [3.0]])
    low, high = limits.bootstrap_t(values, np.ones(60, np.int64), 500, 0)
    assert 0 < low < 0.148
    assert high == math.inf
    low, high = limits.bootstrap_t(-values[::-1], np.ones(60, np.int64), 500, 0)
    assert low == -math.inf
    assert -0.148 < high < 0


def test_limits_are_the_studentised_distances_at_equal_ranks_from_either_end() -> None:
    """Forty draws leave one beyond each limit.

    They are drawn again here one by one.
    """
    rng = np.random.default_rng(5)
    sums, sizes = np.sort(rng.exponential(size=35)), rng.integers(1, 4, 35)
    generator, distances = np.random.default_rng(9), []
    mean, error = limits._mean_and_error(sums, sizes)
    for drawn in generator.integers(35, size=(40, 35)):
        again, its_error = limits._mean_and_error(sums[drawn], sizes[drawn])
        distances.append(float((again - mean) / its_error))
    distances.sort()
    expected = [mean - distances[-2] * error, mean - distances[1] * error]
    assert list(limits.bootstrap_t(sums, sizes, 40, 9)) == pytest.approx(expected, rel=1e-12)


def test_the_same_units_and_seed_give_the_same_limits_and_another_seed_others() -> None:
    values = np.arange(40.0) ** 2
    first, again, other_seed = (limits.bootstrap_t(values, np.ones(40, np.int64), 500, seed) for seed in (0, 0, 1))
    assert first == again != other_seed


def test_korn_graubards_limits_are_held_back_at_the_tail_that_is_asked_for() -> None:
    assert limits.korn_graubard(0.0, 500, 10, 0.1, 0.001)[1] == limits.clopper_pearson(0, 10, high_tail=0.001)[1]
    assert limits.korn_graubard(1.0, 500, 10, 0.1, 0.001)[0] == limits.clopper_pearson(10, 10, 0.1)[0]


def test_groups_as_mixed_as_the_whole_count_with_all_their_rows() -> None:
    values = np.array([1.0, 0.0, 1.0, 0.0])
    assert limits.effective_rows(values, ["a", "a", "b", "b"]) == 4.0
    assert limits.effective_rows(np.tile(values, 3), [name for name in "abcdef" for _ in range(2)]) == 12.0
    closer = np.array([1.0, 0.0] * 28 + [1.0, 1.0, 0.0, 0.0])  # than pairs drawn at random would be
    assert limits.effective_rows(closer, [str(row // 2) for row in range(60)]) == 60.0


def test_where_the_classes_separate_every_row_carries_the_whole_area() -> None:
    areas, influence = limits.auroc_influence(np.array([0, 0, 1, 1, 1]), np.array([[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 3))
    assert areas.tolist() == [1.0, 1.0]
    assert influence == pytest.approx([1 / 2 + 1 / 2] * 5)


def test_two_rows_of_a_class_are_enough_for_delongs_variance() -> None:
    truth, score = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.5, 0.7, 0.8])
    scores = np.stack([1 - score, score], axis=1)
    assert macro_auroc(truth, scores).method == "DeLong, logit"
    assert macro_auroc(truth[1:], scores[1:]).method == "Newcombe, method 5"


def test_few_patients_take_students_quantile() -> None:
    truth = np.repeat([0, 1], 8)
    score = np.random.default_rng(1).normal(size=16) + truth
    scores = np.stack([-score, score], axis=1)
    rows = macro_auroc(truth, scores)
    patients = macro_auroc(truth, scores, groups=[str(row) for row in range(16)])
    reach = [special.logit(each.high) - special.logit(each.value) for each in (patients, rows)]
    assert reach[0] / reach[1] == pytest.approx(stats.t.ppf(0.975, 15) / stats.norm.ppf(0.975))


def ratio(
    top: tuple[float, float, float], bottom: tuple[float, float, float], correlation: float = 0.0
) -> tuple[float, float]:
    """Return the limits of a ratio of two shares, each (low, value, high)."""
    above, below = (np.array(part, np.float64)[:, None] for part in (top, bottom))
    return limits.ratio_limits(above, below, np.array([correlation]), chance=0.0, together=np.eye(1))


def test_mover_ratio_reproduces_the_published_interval() -> None:
    """The published MOVER-R interval of independent Wilson limits is 1.1537 to 41.9763.

    Source: Perondi 2004 in Fagerland, Lydersen and Laake (2017), ch. 4.
    """
    wilson = [stats.binomtest(hits, 34).proportion_ci(method="wilson") for hits in (7, 1)]
    top, bottom = ((part.low, hits / 34, part.high) for part, hits in zip(wilson, (7, 1), strict=True))
    assert ratio(top, bottom) == pytest.approx((1.1537, 41.9763), abs=5e-5)


@given(
    st.floats(-1, 1),
    st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
    st.floats(0.15, 1),
    st.floats(0.01, 0.99),
    st.floats(-0.9, 0.99),
)
def test_ratio_limits_are_where_the_mover_difference_reaches_zero(
    top: float, apart: tuple[float, float], bottom: float, reach: float, correlation: float
) -> None:
    below, above = apart
    low, high = ratio((top - below, top, top + above), (bottom * (1 - reach), bottom, bottom * 1.3), correlation)
    assert low <= top / bottom + 1e-9
    assert high >= top / bottom - 1e-9
    for limit, distance, sign in ((low, below, -1), (high, above, 1)):
        side = abs(limit) * (bottom * reach if (limit > 0) == (sign > 0) else bottom * 0.3)
        squares = distance**2 + side**2 - 2 * math.copysign(correlation, correlation * limit) * distance * side
        gap = top - limit * bottom + sign * math.sqrt(max(squares, 0.0))
        assert gap == pytest.approx(0, abs=1e-6 * max(1, abs(limit)))


def test_a_ratio_of_shares_that_rise_together_has_a_narrower_interval() -> None:
    low, high = ratio((0.4, 0.5, 0.6), (0.7, 0.8, 0.9))
    paired = ratio((0.4, 0.5, 0.6), (0.7, 0.8, 0.9), 0.9)
    assert low < paired[0] < 0.5 / 0.8 < paired[1] < high
