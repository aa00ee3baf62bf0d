"""A number with its interval and the rows it rests on: exact, score and variance-recovery intervals, all at 95 %."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate.arrays import BoolArray
from roentgate.errors import ArgumentError
from roentgate.stats import intervals as limits
from roentgate.stats.intervals import NORMAL, TAIL

Direction = Literal["at_least", "at_most"]
State = Literal["ok", "uninformative", "undefined"]
"""Whether an estimate says something: yes; there is a number that says nothing; there is no number."""

EXACT: Final = "Clopper-Pearson"
"""The method of a share of independent units whose deciding limit is the exact one of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its interval, and what it rests on.

    Attributes:
        value: The number; NaN where there is nothing to count.
        low: Lower limit; where the value is undefined, the least it could be.
        high: Upper limit; where the value is undefined, the most it could be.
        n: Rows (or draws, or groups) behind the number.
        method: How the interval was made.
        unit: What one of n is: an image, a patient, a random draw.
        informative: False where the number stands but says nothing, as where one answer is given to all.
        hits: k of n where the number is a plain proportion of independent rows, else None.
        detail: One line in words for the scorecard; nothing is decided by it.
        failing: Ids of the rows that broke the claim.
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

    @property
    def defined(self) -> bool:
        """Whether there was something to count."""
        return not math.isnan(self.value)

    @property
    def state(self) -> State:
        """Whether it says something."""
        if not self.defined:
            return "undefined"
        return "ok" if self.informative else "uninformative"


def undefined(  # noqa: PLR0913  the parts of an estimate, each by name
    n: int, *, low: float, high: float, method: str, detail: str = "", unit: str = "image"
) -> Estimate:
    """Return an estimate without a value, whose interval [``low``, ``high``] is everything possible."""
    return Estimate(value=math.nan, low=low, high=high, n=n, method=method, detail=detail, unit=unit)


def proportion(  # noqa: PLR0913  the two words at the end travel with every proportion
    hits: int,
    n: int,
    *,
    confidence: float = 0.95,
    low_confidence: float | None = None,
    detail: str = "",
    failing: tuple[str, ...] = (),
    unit: str = "image",
) -> Estimate:
    """Share ``hits`` / ``n`` of independent rows, with the exact Clopper-Pearson interval.

    Args:
        hits: Rows that count, 0 to ``n``.
        n: All rows.
        confidence: Two-sided level of the interval.
        low_confidence: Two-sided level of the lower limit alone (families: 1 - 0.05 / m); None for ``confidence``.
        detail: Words for the scorecard.
        failing: Ids of the rows that broke the claim.
        unit: What one row is.

    Returns:
        Value and interval in [0, 1]; with ``n`` = 0, NaN in [0, 1].

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
    """Share ``hits`` / ``n`` where every row there is was looked at: no sampling, so both limits are the value.

    Returns:
        Value in [0, 1]; with ``n`` = 0, NaN in [0, 1].

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
) -> Estimate:
    """Share of rows that are hits, where rows of one group (patient) resemble each other: Korn-Graubard interval.

    The Clopper-Pearson interval at the effective number of rows: what the spread between groups leaves of n, reduced
    for the few groups that spread was estimated from. Where all rows agree the spread says nothing, and each group
    counts as one row; no limit is nearer to 0 or 1 than it is then, or one miss would seem better proven than none.

    Args:
        hits: (n,) whether the row counts.
        groups: (n,) the group of each row.
        confidence: As in `proportion`, and so the other three.
        low_confidence: As there.
        detail: Words.
        failing: Ids.

    Returns:
        Value over rows, interval in [0, 1], n = number of groups; with one row a group, exactly `proportion`; where all
        rows agree, the exact interval of the groups; without rows, NaN in [0, 1].

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
            count, n_groups, confidence=confidence, low_confidence=low_confidence, detail=detail, failing=failing,
            unit="patient",
        )  # fmt: skip
    value = count / len(hits)
    rows = limits.effective_rows(hits.astype(np.float64), groups)
    tails = limits.tail(low_confidence or confidence), limits.tail(confidence)
    low, high = limits.korn_graubard(value, rows, n_groups, *tails)
    method = EXACT if value in {0.0, 1.0} else "Korn-Graubard"
    return Estimate(
        value=value, low=low, high=high, n=n_groups, method=method, unit="patient", detail=detail, failing=failing
    )


def mean(
    parts: Sequence[Estimate], *, groups: Sequence[str] | None = None, labels: NDArray[np.int64] | None = None
) -> Estimate:
    """Mean of estimates, its variance recovered from their own limits (MOVER).

    Args:
        parts: At least one estimate; recalls of the classes give balanced accuracy.
        groups: (n,) the group of each row, where groups are known.
        labels: (n,) which part each row belongs to, from 0. Parts are independent but for the groups they share; each
            of these is taken to be as good or as bad in all parts, the most that it can be.

    Returns:
        The mean, n = sum of theirs, or the number of groups; if a part is undefined, NaN between the least and the
        greatest limit of all parts.

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
    together = np.eye(len(parts)) if groups is None or labels is None else _together(groups, labels, len(parts))
    below, above = (
        math.sqrt(reach @ together @ reach) / len(parts)
        for reach in np.array([[part.value - part.low, part.high - part.value] for part in parts]).T
    )
    return Estimate(value=value, low=value - below, high=value + above, n=n, method=method, unit=unit)


def _together(groups: Sequence[str], labels: NDArray[np.int64], parts: int) -> NDArray[np.float64]:
    """Return how far means over ``parts`` sets of rows can go together: (parts, parts), of 1 on the diagonal.

    The cosine of the numbers of rows that two sets have of each group: 0 where they share none, 1 where all groups are
    in both in the same shares; with means of a group that vary alike in both, the largest correlation there can be.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    held = np.zeros((parts, len(names)))
    np.add.at(held, (labels, index), 1)
    held /= np.linalg.norm(held, axis=1, keepdims=True)
    together: NDArray[np.float64] = held @ held.T
    return together


def ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Ratio of two estimates, its limits recovered from theirs (MOVER-R).

    The limits are the ratios r at which the MOVER interval of numerator - r * denominator just reaches 0. The two are
    taken as independent; where both rest on the same rows and rise together, the interval is wider than it need be.

    Args:
        numerator: Of either sign.
        denominator: Must be positive throughout its interval.

    Returns:
        The ratio, n = the smaller of theirs; where either is undefined or the denominator's interval reaches 0, NaN
        between minus and plus infinity.

    References:
        Donner and Zou, Statistical Methods in Medical Research 21 (2012) 347-359 (MOVER-R).
    """
    n = min(numerator.n, denominator.n)
    if not (numerator.defined and denominator.defined and denominator.low > 0):
        return undefined(n, low=-math.inf, high=math.inf, method="MOVER-R", unit=numerator.unit)
    below = (denominator.low, denominator.value, denominator.high)
    low = -limits.ratio_high(-numerator.value, -numerator.low, below)
    high = limits.ratio_high(numerator.value, numerator.high, below)
    value = numerator.value / denominator.value
    return Estimate(value=value, low=low, high=high, n=n, method="MOVER-R", unit=numerator.unit)


def macro_auroc(
    truth: NDArray[np.int64], scores: NDArray[np.floating], *, groups: Sequence[str] | None = None
) -> Estimate:
    """Mean over the classes of the area under the one-vs-rest ROC curve (0 to 1, chance 0.5); ties count one half.

    The variance is that of each row's influence on the whole mean, within its true class: DeLong's for two classes; for
    more it keeps the covariance between the curves, which share rows. The interval is made on the logit scale. Where
    that variance is 0 (perfect separation, a constant score) or cannot be had (a class of one row), the limits are the
    means of Newcombe's limits of the curves, as if they erred together. The lower limit is nowhere above that of
    perfect separation, or a model with one error would seem better proven than one with none.

    Args:
        truth: (n,) true class indices.
        scores: (n, K) one score a class, larger for likelier; any monotone scale.
        groups: (n,) the group (patient) of each row, whose influences are then added up first; None: independent rows.

    Returns:
        Value and interval in [0, 1], n = rows, or groups; NaN in [0, 1] where a class has no rows, there is one class
        only, or a score is NaN or infinite.

    References:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845; Obuchowski, Biometrics 53 (1997) 567-578
        (groups); Pohar Perme and Manevski, Statistical Methods in Medical Research 28 (2019) 3755-3768 (logit);
        Newcombe, Statistics in Medicine 25 (2006) 559-573 (method 5).
    """
    units = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    n, method, unit = len(np.unique(units)), "DeLong, logit", "image" if groups is None else "patient"
    if scores.shape[1] < 2 or np.bincount(truth, minlength=scores.shape[1]).min() == 0:
        return undefined(n, low=0.0, high=1.0, method=method, unit=unit, detail="a class has no rows to compare")
    if not np.isfinite(scores).all():
        return undefined(n, low=0.0, high=1.0, method=method, unit=unit, detail="a score is not finite")
    quantile = limits.NORMAL if groups is None else float(special.stdtrit(max(n - 1, 1), 1 - TAIL))
    value, low, high, flat = limits.macro_auroc(truth, scores, units, quantile)
    method = "Newcombe, method 5" if flat else method
    return Estimate(value=value, low=low, high=high, n=n, method=method, unit=unit)


def paired_difference(gained: int, lost: int, n: int, *, z: float = NORMAL) -> Estimate:
    """Difference of two shares of the same rows, (gained - lost) / n, with Tango's score interval.

    Args:
        gained: Rows that count only the first time.
        lost: Rows that count only the second time.
        n: All rows, those that count both times or neither included.
        z: Normal quantile of the limits; larger for the one that proves a failure in a family.

    Returns:
        Value and interval in [-1, 1]; with ``n`` = 0, NaN in [-1, 1].

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


def grouped_difference(
    gained: BoolArray, lost: BoolArray, groups: Sequence[str] | None, *, z: float = NORMAL
) -> Estimate:
    """`paired_difference` over groups: Tango's interval at the effective number of rows, as in `grouped_proportion`.

    ``gained``, ``lost`` and ``groups`` are (n,), ``z`` is as there. Value over rows, interval in [-1, 1], n = groups;
    with one row a group, or None for groups, exactly `paired_difference`; without rows, NaN in [-1, 1].
    """
    n_groups, ups, downs = len(gained if groups is None else set(groups)), int(np.sum(gained)), int(np.sum(lost))
    unit = "image" if groups is None else "patient"
    if groups is None or n_groups == len(groups):
        return replace(paired_difference(ups, downs, n_groups, z=z), unit=unit)
    value, rows = (ups - downs) / len(groups), limits.effective_rows(gained.astype(np.float64) - lost, groups)
    low, high = limits.grouped_tango(ups / len(groups), downs / len(groups), rows, n_groups, z)
    return Estimate(value=value, low=low, high=high, n=n_groups, method="Tango at the effective size", unit=unit)


def of_family(at: Callable[[float], Estimate], family: int) -> Estimate:
    """Return one of several estimates that are judged together by their worst, where more is worse.

    A proven failure needs one lower limit, which is therefore taken at 1 - 0.05 / ``family`` (Bonferroni); a pass needs
    all upper limits, which need no care.

    Args:
        at: Makes the estimate with limits at a normal quantile.
        family: How many are judged together; 1 for none but this.

    Returns:
        What ``at`` makes at 95 %, with that lower limit; undefined where that is.

    Raises:
        ArgumentError: ``family`` is less than 1.
    """
    if family < 1:
        raise ArgumentError(f"a family of {family}; give the number of estimates judged together, 1 or more")
    usual, stricter = at(NORMAL), at(float(special.ndtri(1 - TAIL / family)))
    return replace(usual, low=min(usual.low, stricter.low))


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value that rows gained and lost are equally likely; 1.0 where none is either.

    References:
        McNemar, Psychometrika 12 (1947) 153-157; the exact form is the sign test on the discordant pairs.
    """
    _discordant(gained, lost, gained + lost)
    return min(1.0, 2 * float(limits.reaching(max(gained, lost), gained + lost, 0.5)))


def permutation_p(exceeding: int, draws: int) -> Estimate:
    """P-value of a permutation test, with the uncertainty that the number of draws leaves.

    Args:
        exceeding: Draws at least as extreme as what was observed.
        draws: All random draws.

    Returns:
        (exceeding + 1) / (draws + 1), which is never 0, and the Clopper-Pearson interval of exceeding / draws, n =
        draws; without draws, NaN in [0, 1].

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
    """Whether a number lies on the wanted side of a bound, or on it but for the rounding of a mean (1e-12)."""
    return value >= bound - 1e-12 if direction == "at_least" else value <= bound + 1e-12


def settled(estimate: Estimate, bound: float, direction: Direction) -> Literal["met", "missed"] | None:
    """Whether the whole interval meets the bound or the whole interval misses it; None where neither, or undefined."""
    if not estimate.defined:
        return None
    worst, best = (estimate.low, estimate.high) if direction == "at_least" else (estimate.high, estimate.low)
    return "met" if meets(worst, bound, direction) else None if meets(best, bound, direction) else "missed"


def _counted(hits: int, n: int) -> None:
    if not 0 <= hits <= n:
        raise ArgumentError(f"{hits} hits of {n} rows; give a count between 0 and the number of rows")


def _discordant(gained: int, lost: int, n: int) -> None:
    if min(gained, lost) < 0 or gained + lost > n:
        raise ArgumentError(f"{gained} gained and {lost} lost of {n} rows; give counts that fit into the rows")
