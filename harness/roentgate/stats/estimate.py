"""A number with its 95 % interval and the rows it rests on.

The intervals are exact, score and variance-recovery (MOVER) intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate.arrays import BoolArray, DoubleArray
from roentgate.errors import ArgumentError
from roentgate.stats import influence as influences
from roentgate.stats import intervals as limits
from roentgate.stats.intervals import TAIL

Direction = Literal["at_least", "at_most"]
State = Literal["ok", "uninformative", "undefined"]
"""Whether an estimate has a number that says something, a number that says nothing, or no number."""

CLUSTER: Final = "cluster of near-duplicates"
"""A unit where images are repeated and no patients are named."""

EXACT: Final = "Clopper-Pearson"
"""The method of a share of independent units. Its deciding limit is the exact 95 % one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its interval, and what it rests on.

    Attributes:
        value: The number; NaN if there is nothing to count.
        low: Lower limit. If the value is undefined, the least it could be.
        high: Upper limit. If the value is undefined, the most it could be.
        n: Number of rows, groups or draws behind the value.
        method: How the interval was made.
        unit: What is counted by n, in the singular: image, patient, cluster of near-duplicates, donor or draw.
        informative: False if the number says nothing, for instance because all rows got the same answer.
        hits: k of n if the number is a plain proportion of independent rows, else None.
        detail: One line of text for the scorecard. No decision depends on it.
        failing: Ids of the rows that do not meet the claim.
        parts: Name and value of each estimate that this one is the worst of, in the order judged. The value is None if
            that estimate is undefined or uninformative.
        influence: What each independent unit adds to the error of the value, or None if unknown. The sum of the squares
            is the variance of the value.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    unit: str = "image"
    informative: bool = True
    hits: int | None = None
    detail: str = ""
    failing: tuple[str, ...] = ()
    parts: tuple[tuple[str, float | None], ...] = ()
    influence: DoubleArray | None = field(default=None, repr=False, compare=False)

    @property
    def defined(self) -> bool:
        """Whether there was something to count."""
        return not math.isnan(self.value)

    @property
    def state(self) -> State:
        """Whether the estimate says something."""
        if not self.defined:
            return "undefined"
        return "ok" if self.informative else "uninformative"


def undefined(  # noqa: PLR0913  the parts of an estimate, each by name
    n: int, *, low: float, high: float, method: str, detail: str = "", unit: str = "image"
) -> Estimate:
    """Return an estimate without a value.

    Its interval [``low``, ``high``] holds everything possible.
    """
    return Estimate(value=math.nan, low=low, high=high, n=n, method=method, detail=detail, unit=unit)


def proportion(  # noqa: PLR0913  detail, ids and unit belong to every proportion
    hits: int,
    n: int,
    *,
    confidence: float = 0.95,
    low_confidence: float | None = None,
    detail: str = "",
    failing: tuple[str, ...] = (),
    unit: str = "image",
) -> Estimate:
    """Return the share ``hits`` / ``n`` of independent rows.

    The interval is the exact one of Clopper and Pearson.

    Args:
        hits: Rows that count, 0 to ``n``.
        n: All rows.
        confidence: Two-sided level of the interval.
        low_confidence: Two-sided level of the lower limit alone, 1 - 0.05 / m in a family of m. None takes
            ``confidence``.
        detail: Text for the scorecard.
        failing: Ids of the rows that do not meet the claim.
        unit: What one row is.

    Returns:
        Value and interval in [0, 1]. With ``n`` = 0, NaN in [0, 1].

    Raises:
        ArgumentError: ``hits`` is not among 0..``n``, or a level is not between 0 and 1.

    References:
        Clopper and Pearson, Biometrika 26 (1934) 404-413.

    Examples:
        >>> estimate = proportion(16, 20)
        >>> print(f"{estimate.value:.2f} [{estimate.low:.3f}, {estimate.high:.3f}]")
        0.80 [0.563, 0.943]
    """
    _counted(hits, n)
    if n == 0:
        return undefined(0, low=0.0, high=1.0, method=EXACT, detail=detail, unit=unit)
    low, high = limits.clopper_pearson(hits, n, limits.tail(low_confidence or confidence), limits.tail(confidence))
    return Estimate(
        value=hits / n, low=low, high=high, n=n, method=EXACT, unit=unit, hits=hits, detail=detail, failing=failing
    )


def census(hits: int, n: int, *, detail: str = "", failing: tuple[str, ...] = (), unit: str = "image") -> Estimate:
    """Return the share ``hits`` / ``n`` of rows that were all examined.

    There is no sampling, so both limits are the value.

    Returns:
        Value in [0, 1]. With ``n`` = 0, NaN in [0, 1].

    Raises:
        ArgumentError: ``hits`` is not among 0..``n``.
    """
    _counted(hits, n)
    if n == 0:
        return undefined(0, low=0.0, high=1.0, method="census", detail=detail, unit=unit)
    share = hits / n
    return Estimate(
        value=share, low=share, high=share, n=n, method="census", unit=unit, hits=hits, detail=detail, failing=failing
    )


def grouped_proportion(  # noqa: PLR0913  as `proportion`
    hits: BoolArray,
    groups: Sequence[str],
    *,
    confidence: float = 0.95,
    low_confidence: float | None = None,
    detail: str = "",
    failing: tuple[str, ...] = (),
    unit: str = "patient",
) -> Estimate:
    """Return the share of rows that are hits if rows are grouped.

    Rows of one group (patient) resemble each other. The interval is that of Korn and Graubard: the Clopper-Pearson
    interval
    at the effective number of rows. This number is n, reduced for the spread between groups and for the few groups that
    the
    spread was estimated from. If all rows agree, the spread says nothing, and each group counts as one row. No limit is
    nearer to 0 or 1 than it is in that case. Otherwise one miss could give a narrower interval than none.

    Args:
        hits: (n,) whether the row counts.
        groups: (n,) the group of each row.
        confidence: As in `proportion`.
        low_confidence: As in `proportion`.
        detail: As in `proportion`.
        failing: As in `proportion`.
        unit: What one group is.

    Returns:
        Value over rows, interval in [0, 1], n = number of groups. With one row a group, exactly `proportion`. If all
        rows agree, the exact interval of the groups. Without rows, NaN in [0, 1].

    Raises:
        ArgumentError: ``hits`` and ``groups`` differ in length.

    References:
        Korn and Graubard, Survey Methodology 24 (1998) 193-201.
    """
    if len(hits) != len(groups):
        raise ArgumentError(f"{len(hits)} rows but {len(groups)} groups; give each row its group")
    n_groups, count = len(set(groups)), int(np.sum(hits))
    if n_groups == len(hits):
        return proportion(
            count,
            n_groups,
            confidence=confidence,
            low_confidence=low_confidence,
            detail=detail,
            failing=failing,
            unit=unit,
        )
    value = count / len(hits)
    rows = limits.effective_rows(hits.astype(np.float64), groups)
    tails = limits.tail(low_confidence or confidence), limits.tail(confidence)
    low, high = limits.korn_graubard(value, rows, n_groups, *tails)
    method = EXACT if value in {0.0, 1.0} else "Korn-Graubard"
    return Estimate(
        value=value, low=low, high=high, n=n_groups, method=method, unit=unit, detail=detail, failing=failing
    )


def mean(
    parts: Sequence[Estimate], *, groups: Sequence[str] | None = None, labels: NDArray[np.int64] | None = None
) -> Estimate:
    """Return the mean of estimates, with an interval made from their limits (MOVER).

    Args:
        parts: At least one estimate. Recalls of the classes give balanced accuracy.
        groups: (n,) the group of each row, if groups are known.
        labels: (n,) which part each row belongs to, from 0. Parts are independent but for the groups they share. A
            shared group is assumed to be as good or as bad in all parts, which gives the widest interval.

    Returns:
        The mean, with n = the sum of theirs, or the number of groups. If a part is undefined, NaN between the least and
        the greatest limit of all parts.

    Raises:
        ArgumentError: No parts.

    References:
        Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702.
    """
    if not parts:
        raise ArgumentError("the mean of no estimates is not a number; give at least one")
    n = sum(part.n for part in parts) if groups is None else len(set(groups))
    method, unit = f"MOVER of {parts[0].method}", parts[0].unit
    if not all(part.defined for part in parts):
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        return undefined(n, low=low, high=high, method=method, unit=unit)
    value = math.fsum(part.value for part in parts) / len(parts)
    correlated = together(groups, labels, len(parts))
    below, above = (
        math.sqrt(reach @ correlated @ reach) / len(parts)
        for reach in np.array([[part.value - part.low, part.high - part.value] for part in parts]).T
    )
    influence = influences.of_mean([part.influence for part in parts], groups, labels)
    return Estimate(
        value=value, low=value - below, high=value + above, n=n, method=method, unit=unit, influence=influence
    )


def together(groups: Sequence[str] | None, labels: NDArray[np.int64] | None, parts: int) -> DoubleArray:
    """Return how strongly means over ``parts`` sets of rows can correlate.

    The result is (parts, parts), with 1 on the diagonal. Without groups the sets are independent. An entry is the
    cosine of the numbers of rows that two sets have of each group. It is 0 if they share no group, and 1 if all groups
    are in both in the same shares. If the means of a group vary alike in both sets, it is the largest correlation
    possible.
    """
    if groups is None or labels is None:
        return np.eye(parts)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    rows = np.zeros((parts, len(names)))
    np.add.at(rows, (labels, index), 1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows @ rows.T, np.float64)


def macro_auroc(
    truth: NDArray[np.int64],
    scores: NDArray[np.floating],
    *,
    groups: Sequence[str] | None = None,
    unit: str = "patient",
) -> Estimate:
    """Return the mean one-vs-rest area under the ROC curve.

    The mean is over the classes, between 0 and 1, with chance at 0.5. Ties count one half.

    The variance is that of each row's influence on the whole mean, within its true class. For two classes this is
    DeLong's
    variance. For more it keeps the covariance between the curves, which share rows. The interval is made on the logit
    scale.
    If the variance is 0 (perfect separation, a constant score) or unknown (a class of one row), the limits are the
    means of
    Newcombe's limits of the curves, as if all curves erred together. The lower limit is never above that of perfect
    separation. Otherwise one error could give a higher lower limit than none.

    Args:
        truth: (n,) true class indices.
        scores: (n, K) one score a class, larger for likelier, on any monotone scale.
        groups: (n,) the group (patient) of each row. Influences are then added up by group. None: rows are independent.
        unit: What one group is.

    Returns:
        Value and interval in [0, 1], with n = rows or groups. NaN in [0, 1] if a class has no rows, there is only one
        class, or a score is NaN or infinite.

    References:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845.
        Obuchowski, Biometrics 53 (1997) 567-578 (groups).
        Pohar Perme and Manevski, Statistical Methods in Medical Research 28 (2019) 3755-3768 (logit).
        Newcombe, Statistics in Medicine 25 (2006) 559-573 (method 5).
    """
    units = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    n, method, unit = len(np.unique(units)), "DeLong, logit", "image" if groups is None else unit
    if scores.shape[1] < 2 or np.bincount(truth, minlength=scores.shape[1]).min() == 0:
        return undefined(n, low=0.0, high=1.0, method=method, unit=unit, detail="a class has no rows to compare")
    if not np.isfinite(scores).all():
        return undefined(n, low=0.0, high=1.0, method=method, unit=unit, detail="a score is not finite")
    quantile = limits.NORMAL if groups is None else float(special.stdtrit(max(n - 1, 1), 1 - TAIL))
    value, low, high, flat = limits.macro_auroc(truth, scores, units, quantile)
    method = "Newcombe, method 5" if flat else method
    return Estimate(value=value, low=low, high=high, n=n, method=method, unit=unit)


def permutation_p(exceeding: int, draws: int) -> Estimate:
    """Return the p-value of a permutation test.

    Its interval is the uncertainty that the number of draws leaves.

    Args:
        exceeding: Number of draws at least as extreme as what was observed.
        draws: Number of all random draws.

    Returns:
        (exceeding + 1) / (draws + 1), which is never 0, with the Clopper-Pearson interval of exceeding / draws and n =
        draws. Without draws, NaN in [0, 1].

    Raises:
        ArgumentError: ``exceeding`` is not among 0..``draws``.

    References:
        Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010) 39.
    """
    _counted(exceeding, draws)
    if draws == 0:
        return undefined(0, low=0.0, high=1.0, method="permutation test", unit="draw")
    low, high = limits.clopper_pearson(exceeding, draws)
    value = (exceeding + 1) / (draws + 1)
    return Estimate(value=value, low=low, high=high, n=draws, method="permutation test", unit="draw")


def meets(value: float, bound: float, direction: Direction) -> bool:
    """Whether a number lies on the required side of a bound.

    A number that misses the bound by 1e-12 or less, the rounding of a mean, lies on it.
    """
    return value >= bound - 1e-12 if direction == "at_least" else value <= bound + 1e-12


def settled(estimate: Estimate, bound: float, direction: Direction) -> Literal["met", "missed"] | None:
    """Return "met" or "missed" if the whole interval meets or misses the bound.

    Return None in all other cases, an undefined estimate included.
    """
    if not estimate.defined:
        return None
    worst, best = (estimate.low, estimate.high) if direction == "at_least" else (estimate.high, estimate.low)
    return "met" if meets(worst, bound, direction) else None if meets(best, bound, direction) else "missed"


def in_plural(unit: str) -> str:
    """Return the plural of a unit, such as ``clusters of near-duplicates``."""
    noun, *rest = unit.split(" ")
    return " ".join([f"{noun}s", *rest])


def _counted(hits: int, n: int) -> None:
    if not 0 <= hits <= n:
        raise ArgumentError(f"{hits} hits of {n} rows; give a count between 0 and the number of rows")
