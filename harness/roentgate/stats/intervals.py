"""Confidence limits as bare numbers: the formulas behind `roentgate.stats.estimate`, each written once."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from roentgate.arrays import DoubleArray, IntArray

TAIL = 0.025
NORMAL = float(special.ndtri(1 - TAIL))

FEWEST = 30
"""Units that `bootstrap_t` needs: in fewer, the rare unit that weighs most is likely to be missing."""

_ROUNDING = 1e-12
_CELLS = 2_000_000


def tail(confidence: float) -> float:
    """Return the probability beyond one limit of a two-sided interval at this level."""
    return (1 - confidence) / 2


def reaching(hits: ArrayLike, n: ArrayLike, rate: ArrayLike) -> DoubleArray:
    """Probability that at least ``hits`` of ``n`` independent rows count, each at ``rate``; broadcasts."""
    k, rows = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    inside = special.betainc(np.clip(k, 1, np.maximum(rows, 1)), np.maximum(rows - k + 1, 1), rate)
    return np.asarray(np.where(k <= 0, 1.0, np.where(k > rows, 0.0, inside)), np.float64)


def clopper_pearson(hits: float, n: float, low_tail: float = TAIL, high_tail: float = TAIL) -> tuple[float, float]:
    """Exact limits of a proportion; ``hits`` and ``n`` may be effective numbers, not whole; n = 0 gives (0, 1)."""
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits, n - hits + 1, low_tail))
    high = 1.0 if hits >= n else float(special.betaincinv(hits + 1, n - hits, 1 - high_tail))
    return low, high


def settling(  # noqa: PLR0913  three counts and three levels
    hits: int, n: int, extra: NDArray[np.int64], *, bound: float, low_tail: float, high_tail: float
) -> DoubleArray:
    """Probability that ``extra`` further rows at the rate hits / n leave both exact limits on one side of the bound."""
    above = np.ceil(special.bdtrik(1 - low_tail, n + extra, bound)) + 1  # fewest hits with the low limit over it
    below = np.ceil(special.bdtrik(high_tail, n + extra, bound)) - 1  # most hits with the high limit under it
    rate = hits / n
    return reaching(above - hits, extra, rate) + 1 - reaching(below - hits + 1, extra, rate)


def effective_rows(values: DoubleArray, groups: Sequence[str]) -> float:
    """Number of independent rows that would pin down the mean of ``values`` (n,) as well as these grouped rows do.

    Rows over design effect, times (t of n - 1 over t of G - 1 degrees of freedom) squared, at most n (Korn and
    Graubard 1998). Where all values agree the design effect is undefined: each group then counts as one row. Where they
    do not and there is one group only, nothing is known of the spread between groups: 0.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    n, n_groups = len(values), len(names)
    residuals = values - values.mean()
    if not residuals.any():
        return float(n_groups)
    if n_groups == 1:
        return 0.0
    between = float(np.sum(np.bincount(index, residuals) ** 2)) * n_groups / (n_groups - 1)
    fewness = float(special.stdtrit(n - 1, 1 - TAIL) / special.stdtrit(n_groups - 1, 1 - TAIL)) ** 2
    rows = float(np.sum(residuals**2)) * n * fewness
    return rows / between if rows < between * n else float(n)


def korn_graubard(
    share: float, rows: float, groups: int, low_tail: float = TAIL, high_tail: float = TAIL
) -> tuple[float, float]:
    """Exact limits at `effective_rows`, neither nearer to 0 or 1 than where all groups agree, each as one row."""
    low, high = clopper_pearson(share * rows, rows, low_tail, high_tail)
    flawless = clopper_pearson(groups, groups, low_tail)[0], clopper_pearson(0, groups, high_tail=high_tail)[1]
    return min(low, flawless[0]), max(high, flawless[1])


def tango(gained: float, lost: float, n: float, z: float = NORMAL) -> tuple[float, float]:
    """Score limits of a paired difference (gained - lost) / n, Tango 1998; n = 0 gives (-1, 1)."""
    if n == 0:
        return -1.0, 1.0
    return -_tango_high(lost, gained, n, z), _tango_high(gained, lost, n, z)


def grouped_tango(gained: float, lost: float, rows: float, groups: int, z: float = NORMAL) -> tuple[float, float]:
    """Score limits of shares at `effective_rows`, no tighter than without losses or gains and each group as one row."""
    low, high = tango(gained * rows, lost * rows, rows, z)
    least, most = tango(gained * groups, 0, groups, z)[0], tango(0, lost * groups, groups, z)[1]
    return min(low, least), max(high, most)


def _tango_high(gained: float, lost: float, n: float, z: float) -> float:
    """Upper score limit: where the observed difference lies ``z`` deviations below the assumed one."""

    def excess(difference: float) -> float:
        slope = (2 * n - gained + lost) * difference - gained - lost
        constant = -lost * difference * (1 - difference)
        share_lost = (math.sqrt(max(slope * slope - 8 * n * constant, 0.0)) - slope) / (4 * n)
        variance = n * (2 * share_lost + difference * (1 - difference))
        return n * difference - (gained - lost) - z * math.sqrt(max(variance, 0.0))

    start = (gained - lost) / n + 1e-9  # without discordant rows the excess is 0 at the value itself
    return _root(excess, start, 1.0) if start < 1.0 else 1.0


def bootstrap_t(sums: DoubleArray, sizes: IntArray, draws: int, seed: int) -> tuple[float, float]:
    """Limits of the mean over rows of a skewed quantity, from its sum (G,) and the number of rows (G,) of each unit.

    A unit is a row, or a group of them. The distance of each redrawn mean counts in its own standard errors, so that a
    draw without the rare units that weigh most, which lies too near and seems too sure, counts for less than it does
    among percentiles. Infinite for fewer than `FEWEST` units and for units that are all alike; on one side where but a
    few differ from the rest, so that more than one draw of 40 leaves them all out. Order the units, or the limits
    depend on their order.

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
    """Return the mean over the units of the last axis, and its standard error (of a ratio, by linearisation)."""
    totals, units = sizes.sum(axis=-1), sums.shape[-1]
    means = sums.sum(axis=-1) / totals
    squares = np.square(sums - means[..., None] * sizes).sum(axis=-1)
    return means, np.sqrt(squares * units / (units - 1)) / totals


def portions(draws: int, width: int) -> Iterator[int]:
    """Yield how many draws of ``width`` cells to make at once, at most `_CELLS` cells or one draw, until all are."""
    each = max(1, _CELLS // width)
    for start in range(0, draws, each):
        yield min(each, draws - start)


def ratio_high(value: float, high: float, below: tuple[float, float, float]) -> float:
    """Upper MOVER-R limit of a ratio whose numerator is ``value`` with upper limit ``high``.

    ``below`` is the denominator as (low, value, high), low > 0. Its distance to the limit that makes the ratio larger
    counts: the low one where the ratio is positive, the high one where it is negative.
    """
    least, middle, most = below
    if high >= 0:
        square = least * (2 * middle - least)
        root = math.sqrt(max((value * middle) ** 2 - square * high * (2 * value - high), 0.0))
        return (value * middle + root) / square
    share = 1 - (high / value - 1) ** 2
    return value * share / (middle + math.sqrt(max(middle**2 - most * (2 * middle - most) * share, 0.0)))


def newcombe(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """Limits of one AUROC from its value and the two sample sizes alone: Newcombe's method 5, defined also at 0 and 1.

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
    """Mean one-vs-rest area, its limits, and whether they are Newcombe's.

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
    """One-vs-rest areas (K,), and the influence (n,) of each row on their mean given the class counts.

    A row wins its share of pairs in the curve of its own class, and as one of the rest in every other curve; there it
    weighs as much as its class among the rest. ``truth`` (n,) must hold every class; ``scores`` is (n, K).
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
    """Share of ``ordered`` (sorted) below each of ``values``; ties count one half."""
    sides = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(sides / (2 * len(ordered)), np.float64)


def stratified_variance(influence: DoubleArray, strata: NDArray[np.int64], units: NDArray[np.int64]) -> float:
    """Variance of a sum of stratum means, from the influence (n,) of each row; units (n,) number the groups.

    Each stratum must hold at least two units. Rounding noise of equal influences counts as none.
    """
    parts = np.zeros(len(influence))
    for stratum in np.unique(strata):
        rows = strata == stratum
        n_units = len(np.unique(units[rows]))
        residuals = np.round(influence[rows] - influence[rows].mean(), 12)
        parts[rows] = residuals / rows.sum() * math.sqrt(n_units / (n_units - 1))
    return float(np.sum(np.bincount(units, parts) ** 2))


def logit_interval(share: float, variance: float, quantile: float = NORMAL) -> tuple[float, float]:
    """Limits of a share strictly between 0 and 1, symmetric on the logit scale."""
    centre, reach = special.logit(share), quantile * math.sqrt(variance) / (share * (1 - share))
    return float(special.expit(centre - reach)), float(special.expit(centre + reach))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-12))
