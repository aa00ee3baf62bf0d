"""Confidence limits as bare numbers.

These are the formulas behind `roentgate.stats.estimate`, each written once.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from roentgate.arrays import DoubleArray, IntArray

TAIL = 0.025
NORMAL = float(special.ndtri(1 - TAIL))

FEWEST = 30
"""Least number of units for `bootstrap_t`. In fewer, the rare unit of most weight is likely to be missing."""

_ROUNDING = 1e-12
_CELLS = 2_000_000
_ENDLESS = 2.0**40  # where the search for a limit ends


def tail(confidence: float) -> float:
    """Return the probability beyond one limit of a two-sided interval."""
    return (1 - confidence) / 2


def reaching(hits: ArrayLike, n: ArrayLike, rate: ArrayLike) -> DoubleArray:
    """Return the probability of at least ``hits`` successes in ``n`` trials.

    The trials are independent and succeed with probability ``rate``. The arguments are broadcast.
    """
    k, rows = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    inside = special.betainc(np.clip(k, 1, np.maximum(rows, 1)), np.maximum(rows - k + 1, 1), rate)
    return np.asarray(np.where(k <= 0, 1.0, np.where(k > rows, 0.0, inside)), np.float64)


def clopper_pearson(hits: float, n: float, low_tail: float = TAIL, high_tail: float = TAIL) -> tuple[float, float]:
    """Return the exact limits of a proportion.

    ``hits`` and ``n`` may be effective numbers, which need not be whole. With n = 0 the limits are (0, 1).
    """
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits, n - hits + 1, low_tail))
    high = 1.0 if hits >= n else float(special.betaincinv(hits + 1, n - hits, 1 - high_tail))
    return low, high


def settling(rate: float, n: NDArray[np.int64], *, bound: float, low_tail: float, high_tail: float) -> DoubleArray:
    """Return the probability that ``n`` rows settle a verdict by themselves.

    It is settled if both exact limits lie on one side of the bound. The rows count at the given rate.
    """
    above = np.ceil(special.bdtrik(1 - low_tail, n, bound)) + 1  # fewest hits with the low limit over it
    below = np.ceil(special.bdtrik(high_tail, n, bound)) - 1  # most hits with the high limit under it
    return reaching(above, n, rate) + 1 - reaching(below + 1, n, rate)


def effective_rows(values: DoubleArray, *groupings: Sequence[str]) -> float:
    """Return how many independent rows would be as informative as these.

    Independent rows of this number would determine the mean of ``values`` (n,) as well as the grouped rows do. It is
    the
    number of rows over the design effect, times (t of n - 1 over t of G - 1 degrees of freedom) squared, at most n
    (Korn
    and Graubard 1998). If all values agree, the design effect is undefined, and each group counts as one row. If they
    differ and there is only one group, nothing is known of the spread between groups, and the result is 0.

    Rows may be grouped in several ways, by who wears a part and by who gave it. The design effect is then 1 and what
    each way has above 1 (Cameron, Gelbach and Miller 2011, without the negative parts), and G is that of the fewest
    groups.
    """
    n, n_groups = len(values), min(len(set(groups)) for groups in groupings)
    residuals = values - values.mean()
    if not residuals.any():
        return float(n_groups)
    if n_groups == 1:
        return 0.0
    within = float(np.sum(residuals**2))
    spreads = [_between(residuals, groups) for groups in groupings]
    between = spreads[0] if len(spreads) == 1 else within + sum(max(spread - within, 0.0) for spread in spreads)
    fewness = float(special.stdtrit(n - 1, 1 - TAIL) / special.stdtrit(n_groups - 1, 1 - TAIL)) ** 2
    rows = within * n * fewness
    return rows / between if rows < between * n else float(n)


def _between(residuals: DoubleArray, groups: Sequence[str]) -> float:
    """Return the sum of squares of the groups' sums, for at least two groups."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    return float(np.sum(np.bincount(index, residuals) ** 2)) * len(names) / (len(names) - 1)


def korn_graubard(
    share: float, rows: float, groups: int, low_tail: float = TAIL, high_tail: float = TAIL
) -> tuple[float, float]:
    """Return exact limits of a proportion at its `effective_rows`.

    Neither limit is nearer to 0 or 1 than it would be if all groups agreed and each counted as one row.
    """
    low, high = clopper_pearson(share * rows, rows, low_tail, high_tail)
    flawless = clopper_pearson(groups, groups, low_tail)[0], clopper_pearson(0, groups, high_tail=high_tail)[1]
    return min(low, flawless[0]), max(high, flawless[1])


def tango(gained: float, lost: float, n: float, z: float = NORMAL) -> tuple[float, float]:
    """Return score limits of a paired difference (gained - lost) / n.

    This is the interval of Tango 1998. With n = 0 the limits are (-1, 1).
    """
    if n == 0:
        return -1.0, 1.0
    return -_tango_high(lost, gained, n, z), _tango_high(gained, lost, n, z)


def grouped_tango(gained: float, lost: float, rows: float, groups: int, z: float = NORMAL) -> tuple[float, float]:
    """Return score limits of a paired difference at its `effective_rows`.

    ``gained`` and ``lost`` are shares. Neither limit is tighter than it would be without losses (or gains) and with
    each
    group counted as one row.
    """
    low, high = tango(gained * rows, lost * rows, rows, z)
    least, most = tango(gained * groups, 0, groups, z)[0], tango(0, lost * groups, groups, z)[1]
    return min(low, least), max(high, most)


def _tango_high(gained: float, lost: float, n: float, z: float) -> float:
    """Return the upper score limit of a paired difference.

    At this limit the observed difference lies ``z`` standard deviations below the assumed one.
    """

    def excess(difference: float) -> float:
        slope = (2 * n - gained + lost) * difference - gained - lost
        constant = -lost * difference * (1 - difference)
        share_lost = (math.sqrt(max(slope * slope - 8 * n * constant, 0.0)) - slope) / (4 * n)
        variance = n * (2 * share_lost + difference * (1 - difference))
        return n * difference - (gained - lost) - z * math.sqrt(max(variance, 0.0))

    start = (gained - lost) / n + 1e-9  # without discordant rows, the excess is 0 at the value itself
    return _root(excess, start, 1.0) if start < 1.0 else 1.0


def bootstrap_t(sums: DoubleArray, sizes: IntArray, draws: int, seed: int) -> tuple[float, float]:
    """Return limits of the mean over rows of a skewed quantity.

    The input is the sum (G,) and the number of rows (G,) of each unit. A unit is a row or a group of rows. The distance
    of
    each redrawn mean is measured in its own standard errors. A draw without the rare units of most weight lies too near
    and
    seems too certain, so it counts for less than it would in a percentile interval.

    Both limits are infinite for fewer than `FEWEST` units and for units that are all alike. One limit is infinite if so
    few
    units differ from the rest that more than one draw in 40 leaves them all out. The limits depend on the order of the
    units, so pass them in a fixed order.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993) 12.5.
    """
    if len(sums) < FEWEST:
        return -math.inf, math.inf
    mean, error = (float(part) for part in _mean_and_error(sums, sizes))
    if error < _ROUNDING:
        return -math.inf, math.inf
    generator = np.random.default_rng(seed)
    distances: list[DoubleArray] = []
    for part in portions(draws, len(sums)):
        drawn = generator.integers(len(sums), size=(part, len(sums)))
        means, errors = _mean_and_error(sums[drawn], sizes[drawn])
        gaps, errors = means - mean, np.where(errors < _ROUNDING, 0.0, errors)
        with np.errstate(divide="ignore", invalid="ignore"):
            distances.append(np.where(np.abs(gaps) < _ROUNDING, 0.0, gaps / errors))
    ranked, rank = np.sort(np.concatenate(distances)), int(TAIL * draws)
    return mean - float(ranked[-1 - rank]) * error, mean - float(ranked[rank]) * error


def _mean_and_error(sums: DoubleArray, sizes: IntArray) -> tuple[DoubleArray, DoubleArray]:
    """Return the mean over the units of the last axis and its standard error.

    The error is that of a ratio, by linearisation.
    """
    totals, units = sizes.sum(axis=-1), sums.shape[-1]
    means = sums.sum(axis=-1) / totals
    squares = np.square(sums - means[..., None] * sizes).sum(axis=-1)
    return means, np.sqrt(squares * units / (units - 1)) / totals


def portions(draws: int, width: int) -> Iterator[int]:
    """Yield how many draws to make at once until all are made.

    A draw has ``width`` cells. A portion has at most `_CELLS` cells, or is one draw.
    """
    each = max(1, _CELLS // width)
    for start in range(0, draws, each):
        yield min(each, draws - start)


def ratio_limits(
    numerators: DoubleArray,
    denominators: DoubleArray,
    correlations: DoubleArray,
    *,
    chance: float,
    together: DoubleArray,
) -> tuple[float, float]:
    """Return MOVER-R limits of a ratio of two skills that are measured on the same rows.

    A skill is the mean of K shares, less ``chance``. The limits are the ratios r at which the MOVER interval of
    numerator - r * denominator just reaches 0.

    Args:
        numerators: Lower limit, value and upper limit of each share, (3, K).
        denominators: As ``numerators``. Their skill must be positive throughout its interval.
        correlations: Correlation of the two shares of each class, (K,).
        chance: What is taken from both means.
        together: Correlation of the shares of different classes, (K, K), with 1 on the diagonal.

    Returns:
        Both limits. One is infinite if the denominator's own reach covers it.

    References:
        Donner and Zou, Statistical Methods in Medical Research 21 (2012) 347-359.
        Newcombe, Statistical Methods in Medical Research 25 (2016) 1774-1778 (recovered correlation).
    """
    classes = len(correlations)
    top, bottom = numerators[1].mean() - chance, denominators[1].mean() - chance

    def beyond(ratio: float, side: int) -> float:
        """Return numerator - ratio * denominator, and its reach on one side, 1 for above and -1 for below."""
        own = np.abs(numerators[1 + side] - numerators[1])
        other = abs(ratio) * np.abs(denominators[1 - side if ratio > 0 else 1 + side] - denominators[1])
        sign = 1.0 if ratio > 0 else -1.0
        squares = own**2 + other**2 - 2 * sign * correlations * own * other
        reach = np.sqrt(np.maximum(squares, 0.0)) / classes
        return float(top - ratio * bottom + side * math.sqrt(reach @ together @ reach))

    found = []
    for side in (-1, 1):
        step = 1.0
        while step < _ENDLESS and side * beyond(top / bottom + side * step, side) > 0:
            step *= 2
        if step >= _ENDLESS:
            found.append(side * math.inf)
            continue
        start, end = sorted((float(top / bottom), float(top / bottom + side * step)))
        found.append(_root(lambda ratio, side=side: beyond(ratio, side), start, end))  # type: ignore[misc]
    return found[0], found[1]


def newcombe(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return limits of one AUROC from its value and sample sizes.

    This is Newcombe's method 5. It needs nothing else, and is defined at 0 and 1 too.

    References:
        Newcombe, Statistics in Medicine 25 (2006) 559-573.
    """
    return _newcombe_low(area, positives, negatives), 1 - _newcombe_low(1 - area, positives, negatives)


def _newcombe_low(area: float, positives: int, negatives: int) -> float:
    size = (positives + negatives) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + size * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return area - theta - NORMAL * math.sqrt(theta * (1 - theta) * spread / (positives * negatives))

    return _root(excess, 0.0, area - 1e-12) if area > 1e-9 else 0.0


def macro_auroc(
    truth: NDArray[np.int64], scores: NDArray[np.floating], units: NDArray[np.int64], quantile: float
) -> tuple[float, float, float, bool]:
    """Return the mean one-vs-rest area, its limits, and whether they are Newcombe's.

    See `roentgate.stats.estimate.macro_auroc`.
    """
    areas, influence = auroc_influence(truth, scores)
    sizes = [
        (np.unique(units[truth == label]).size, np.unique(units[truth != label]).size) for label in range(len(areas))
    ]
    value = float(areas.mean())
    variance = stratified_variance(influence, truth, units) if min(members for members, _ in sizes) > 1 else 0.0
    if variance == 0:
        curves = [newcombe(float(area), *size) for area, size in zip(areas, sizes, strict=True)]
        return value, float(np.mean([low for low, _ in curves])), float(np.mean([high for _, high in curves])), True
    low, high = logit_interval(value, variance, quantile)
    return value, min(low, float(np.mean([newcombe(1.0, *size)[0] for size in sizes]))), high, False


def auroc_influence(truth: NDArray[np.int64], scores: NDArray[np.floating]) -> tuple[DoubleArray, DoubleArray]:
    """Return one-vs-rest areas (K,) and the influence (n,) of each row.

    The influence is that on the mean of the areas, given the class counts. A row wins its share of pairs in the curve
    of
    its own class. In every other curve it is one of the rest, and weighs as much as its class does among the rest.
    ``truth`` (n,) must hold every class. ``scores`` is (n, K).
    """
    classes = scores.shape[1]
    counts = np.bincount(truth, minlength=classes)
    areas, influence = np.zeros(classes), np.zeros(len(truth))
    for label in range(classes):
        own = truth == label
        positives, negatives = np.sort(scores[own, label]), np.sort(scores[~own, label])
        wins = _below(negatives, scores[own, label])
        areas[label] = wins.mean()
        influence[own] += wins
        influence[~own] += (1 - _below(positives, scores[~own, label])) * counts[truth[~own]] / len(negatives)
    return areas, influence / classes


def _below(ordered: NDArray[np.floating], values: NDArray[np.floating]) -> DoubleArray:
    """Return the share of ``ordered`` (sorted) that lies below each of ``values``.

    Ties count one half.
    """
    sides = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(sides / (2 * len(ordered)), np.float64)


def stratified_variance(influence: DoubleArray, strata: NDArray[np.int64], units: NDArray[np.int64]) -> float:
    """Return the variance of a sum of stratum means.

    It is computed from the influence (n,) of each row. ``units`` (n,) number the groups. Each stratum must hold at
    least two
    units. Rounding noise of equal influences counts as none.
    """
    parts = np.zeros(len(influence))
    for stratum in np.unique(strata):
        rows = strata == stratum
        n_units = len(np.unique(units[rows]))
        residuals = np.round(influence[rows] - influence[rows].mean(), 12)
        parts[rows] = residuals / rows.sum() * math.sqrt(n_units / (n_units - 1))
    return float(np.sum(np.bincount(units, parts) ** 2))


def logit_interval(share: float, variance: float, quantile: float = NORMAL) -> tuple[float, float]:
    """Return limits of a share in (0, 1), symmetric on the logit scale."""
    centre, reach = special.logit(share), quantile * math.sqrt(variance) / (share * (1 - share))
    return float(special.expit(centre - reach)), float(special.expit(centre + reach))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-12))
