"""The formulas behind the intervals, against SciPy and the jackknife."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from harness import limits
from harness.estimate import macro_auroc


@example((1, 10), 0.3)
@example((0, 0), 0.5)
@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0, 1))
def test_reaching_is_the_binomial_tail(counts: tuple[int, int], rate: float) -> None:
    hits, n = counts
    assert limits.reaching(hits, n, rate) == pytest.approx(stats.binom.sf(hits - 1, n, rate), abs=1e-9)
    assert limits.reaching(n + 1, n, rate) == 0.0


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
    """Tango's score by brute force: the constrained likelihood maximised numerically."""

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
def test_grouped_changes_prove_no_more_than_groups_of_one_row_that_all_agree(z: float) -> None:
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
