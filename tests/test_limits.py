"""The formulas behind the intervals, against SciPy and the jackknife."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from harness import limits
from harness.estimate import macro_auroc


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
