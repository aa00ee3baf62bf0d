"""Differences of two shares of the same rows: score intervals, over rows or over groups."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import special

from roentgate.arrays import BoolArray
from roentgate.errors import ArgumentError
from roentgate.stats import influence as influences
from roentgate.stats import intervals as limits
from roentgate.stats.estimate import Estimate, undefined
from roentgate.stats.intervals import NORMAL, TAIL


def paired_difference(gained: int, lost: int, n: int, *, z: float = NORMAL) -> Estimate:
    """Return the difference of two shares of the same rows.

    The difference is (gained - lost) / n, with Tango's score interval.

    Args:
        gained: Number of rows that count only the first time.
        lost: Number of rows that count only the second time.
        n: Number of all rows, including those that count both times or neither.
        z: Normal quantile of the limits. It is larger for the limit that shows a failure in a family.

    Returns:
        Value and interval in [-1, 1]. With ``n`` = 0, NaN in [-1, 1].

    Raises:
        ArgumentError: ``gained`` + ``lost`` is not among 0..``n``, or either is negative.

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908.

    Examples:
        >>> estimate = paired_difference(6, 16, 161)
        >>> print(f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]")
        -0.0621 [-0.1240, -0.0054]
    """
    _discordant(gained, lost, n)
    if n == 0:
        return undefined(0, low=-1.0, high=1.0, method="Tango")
    low, high = limits.tango(gained, lost, n, z)
    return Estimate(value=(gained - lost) / n, low=low, high=high, n=n, method="Tango")


def grouped_difference(  # noqa: PLR0913  what rows share, and how the limits are made
    gained: BoolArray,
    lost: BoolArray,
    groups: Sequence[str] | None,
    *,
    z: float = NORMAL,
    unit: str = "patient",
    donors: Sequence[str] | None = None,
) -> Estimate:
    """Return `paired_difference` for rows in groups.

    The interval is Tango's at the effective number of rows, as in `grouped_proportion`.

    Args:
        gained: (n,) whether the row counts only the first time.
        lost: (n,) whether the row counts only the second time.
        groups: (n,) the group of each row. None: rows are independent.
        z: As in `paired_difference`.
        unit: What one group is.
        donors: (n,) the donor of each row, or its group. Rows with the same donor depend on each other as well.

    Returns:
        Value over rows, interval in [-1, 1], n = number of groups, or of donors if these are fewer. With one row a
        group and a donor, or without both, exactly `paired_difference`. Without rows, NaN in [-1, 1].
    """
    n, ups, downs = len(gained), int(np.sum(gained)), int(np.sum(lost))
    named = {"image" if groups is None else unit: groups, "donor": donors}
    sizes = {name: n if given is None else len(set(given)) for name, given in named.items()}
    counted = min(sizes, key=lambda name: sizes[name])  # of equal numbers the first
    changes = gained.astype(np.float64) - lost
    influence = influences.of_rows(changes, named[counted])
    if sizes[counted] == n:
        return replace(paired_difference(ups, downs, n, z=z), unit=counted, influence=influence)
    fewest = sizes[counted]
    rows = limits.effective_rows(changes, *(given for given in named.values() if given is not None))
    low, high = limits.grouped_tango(ups / n, downs / n, rows, fewest, z)
    return Estimate(
        value=(ups - downs) / n,
        low=low,
        high=high,
        n=fewest,
        method="Tango at the effective size",
        unit=counted,
        influence=influence,
    )


def recovered_correlation(first: BoolArray, second: BoolArray, groups: Sequence[str] | None) -> float:
    """Return the correlation of two shares of the same rows.

    It is that of the two-by-two table with one more row, spread evenly over the cells. Equal answers thus do not count
    as proof that the shares are one. If rows are grouped, the correlation of the groups counts if it is smaller.

    Args:
        first: (n,) whether the row counts the first time.
        second: (n,) whether it counts the second time.
        groups: (n,) the group of each row. None: rows are independent.
    """
    both, only_first = float((first & second).sum()) + 0.25, float((first & ~second).sum()) + 0.25
    only_second, neither = float((~first & second).sum()) + 0.25, float((~first & ~second).sum()) + 0.25
    spread = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    found = (both * neither - only_first * only_second) / math.sqrt(spread)
    if groups is None:
        return found
    own, other = (influences.of_rows(each.astype(np.float64), groups) for each in (first, second))
    size = math.sqrt(float(own @ own) * float(other @ other))
    return min(found, float(own @ other) / size) if size else found


def of_family(at: Callable[[float], Estimate], family: int) -> Estimate:
    """Return one of several estimates that are judged by the worst of them.

    A larger value is worse. A failure is shown by one lower limit alone, which is therefore taken at 1 - 0.05 /
    ``family``
    (Bonferroni). A pass needs all upper limits, which need no correction.

    Args:
        at: Makes the estimate with limits at a normal quantile.
        family: How many are judged together; 1 for a single one.

    Returns:
        What ``at`` makes at 95 %, with that lower limit. It is undefined if that estimate is.

    Raises:
        ArgumentError: ``family`` is less than 1.
    """
    if family < 1:
        raise ArgumentError(f"a family of {family}; give the number of estimates judged together, 1 or more")
    usual, stricter = at(NORMAL), at(float(special.ndtri(1 - TAIL / family)))
    return replace(usual, low=min(usual.low, stricter.low))


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value that gains and losses are equally likely.

    It is 1.0 if no row is gained or lost.

    References:
        McNemar, Psychometrika 12 (1947) 153-157. The exact form is the sign test on the discordant pairs.
    """
    _discordant(gained, lost, gained + lost)
    return min(1.0, 2 * float(limits.reaching(max(gained, lost), gained + lost, 0.5)))


def _discordant(gained: int, lost: int, n: int) -> None:
    if min(gained, lost) < 0 or gained + lost > n:
        raise ArgumentError(f"{gained} gained and {lost} lost of {n} rows; give counts that fit into the rows")


def of_estimates(first: Estimate, second: Estimate, *, correlation: float = 0.0) -> Estimate:
    """First minus second, with limits from theirs and their correlation (MOVER).

    Returns:
        Value and interval, with the smaller n of the two. NaN between the extremes if either is undefined.

    References:
        Zou, Psychological Methods 12 (2007) 399-413.
    """
    n = min(first.n, second.n)
    if not (first.defined and second.defined):
        reason = next(part.detail for part in (first, second) if not part.defined)
        low, high = first.low - second.high, first.high - second.low
        return undefined(n, low=low, high=high, method="MOVER", unit=first.unit, detail=reason)
    value = first.value - second.value
    below = _reach(first.value - first.low, second.high - second.value, correlation)
    above = _reach(first.high - first.value, second.value - second.low, correlation)
    return Estimate(value=value, low=value - below, high=value + above, n=n, method="MOVER", unit=first.unit)


def _reach(own: float, other: float, correlation: float) -> float:
    return math.sqrt(max(own**2 + other**2 - 2 * correlation * own * other, 0.0))
