"""Estimates of how far answers depend on the border of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import DoubleArray
from roentgate.candidates import Predictions
from roentgate.checks.metrics import (
    class_recalls,
    ids_where,
    macro_auroc,
    mean_recall,
    pick,
    share_of_rows,
    stricter_confidence,
)
from roentgate.errors import ArgumentError
from roentgate.stats import Direction, Estimate, differences, families, influence, intervals
from roentgate.stats import estimate as estimates

__all__ = ["flips", "net_switches", "retained_skill", "worst"]

CHANCE_AUROC = 0.5
LEAST_SKILL = 0.15
"""Least balanced accuracy above chance of which a share can be measured."""


def flips(before: Predictions, after: Predictions, *, family: int = 1) -> Estimate:
    """Share of the rows whose answer changes (0 to 1, lower is better).

    Args:
        before: Answers on the images as they are.
        after: Answers on the same rows, perturbed.
        family: How many such estimates are judged together by their worst. One lower limit above the bound settles a
            failure, so it is taken at 1 - 0.05 / ``family`` (Bonferroni). A pass needs all upper limits, which need
            no correction.

    Returns:
        As `recall`, over all rows. NaN in [0, 1] without rows. Uninformative if all rows get one answer before, which
        never changes. Failing: the rows that changed.

    Raises:
        ArgumentError: The two are not of the same rows in the same order, or ``family`` is less than 1.
    """
    _same_rows(before, after)
    low_confidence = stricter_confidence(family)
    changed = (before.answers != after.answers) | (before.answers < 0)
    everything = np.ones(len(before), np.bool_)
    detail = f"{changed.sum()} of {len(before)} answers change"
    found = share_of_rows(before, changed, everything, failing=changed, detail=detail, low_confidence=low_confidence)
    return replace(found, informative=not before.one_answer)


def retained_skill(clean: Predictions, cut: Predictions, *, family: int = 1, ranked: bool = True) -> Estimate:
    """Skill on a cut-down input over skill on the whole one.

    Skill is balanced accuracy above chance. 0 means that none is left.

    Args:
        clean: Answers on the images as they are.
        cut: Answers on the same rows, cut down.
        family: As in `flips`.
        ranked: Whether the probabilities may be asked where nearly all answers are one. A stored reference has answers
            alone.

    Returns:
        Value and MOVER-R interval, of either sign, with the correlation of both recalls taken from the rows. NaN
        between minus and plus infinity if clean skill is below `LEAST_SKILL`, its interval reaches 0, or a class has no
        rows. If one answer takes 90 % of the cut rows or more, balanced accuracy says little, and the ratio is that of
        macro AUROC above chance instead. In a family such a ratio settles no failure. If nothing is ranked either, the
        cut is uninformative: the value stays, and the interval reaches from 0 (the value, if less) to 1 (the value, if
        more).

    Raises:
        ArgumentError: The two are not of the same rows in the same order.

    References:
        Donner and Zou, Statistical Methods in Medical Research 21 (2012) 347-359.
        Newcombe, Statistical Methods in Medical Research 25 (2016) 1774-1778.
    """
    _same_rows(clean, cut)
    whole, left = _skill(clean), _skill(cut)
    unmeasured = estimates.undefined(whole.n, low=-np.inf, high=np.inf, method="MOVER-R", unit=whole.unit)
    if not whole.defined:
        return replace(unmeasured, detail="a class has no rows")
    if not estimates.meets(whole.value, LEAST_SKILL, "at_least"):
        return replace(unmeasured, detail=f"too little skill to lose: {whole.value:.2f} above chance")
    text = f"balanced accuracy above chance {left.value:.2f} of {whole.value:.2f}"
    if whole.low <= 0:
        return replace(unmeasured, detail=text)
    value = left.value / whole.value
    low, high = _ratio_limits(clean, cut, 0.95)
    if family > 1:
        strict = stricter_confidence(family)
        settled = mean_recall(clean, confidence=strict).low > 1 / len(clean.classes)
        low = min(low, _ratio_limits(clean, cut, strict)[0]) if settled else -np.inf
    kept = Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=whole.n,
        method="MOVER-R",
        unit=whole.unit,
        detail=text,
        influence=_skill_influence(clean, cut, value) / whole.value,
    )
    commonest = np.unique(cut.answers, return_counts=True)[1].max(initial=0)
    if commonest < 0.9 * len(cut):
        return kept
    one_answer = f"one answer takes {commonest} of {len(cut)} rows"
    ranking = _retained_ranking(clean, cut) if ranked else None
    if ranking is not None:
        low = min(0.0, ranking.low) if family > 1 else ranking.low
        return replace(ranking, low=low, detail=f"{one_answer}, so by their ranking: {ranking.detail}")
    low, high = min(0.0, value), max(1.0, value)
    return replace(kept, low=low, high=high, informative=False, detail=f"uninformative: {one_answer}; {text}")


def _retained_ranking(clean: Predictions, cut: Predictions) -> Estimate | None:
    """Return macro AUROC above chance on the cut-down input over that on the whole one.

    A reader of the lungs gives one answer without them, and so does a reader of a marker that an infill has swamped.
    The probabilities of the second still rank the classes.

    Returns:
        Value and MOVER-R interval, as if the two were independent, which is too wide rather than too narrow. None if
        either is undefined, if whole images are not ranked better than by chance, or if more than half of the rows
        share one set of probabilities, so that nothing can be ranked.
    """
    whole, left = macro_auroc(clean), macro_auroc(cut)
    alike = np.unique(cut.probabilities, axis=0, return_counts=True)[1].max(initial=0)
    if not (whole.defined and left.defined and whole.low > CHANCE_AUROC) or 2 * alike > len(cut):
        return None
    low, high = intervals.ratio_limits(
        _limits([left]), _limits([whole]), np.zeros(1), chance=CHANCE_AUROC, together=np.ones((1, 1))
    )
    above, of = left.value - CHANCE_AUROC, whole.value - CHANCE_AUROC
    own, other = (intervals.auroc_influence(each.labels, each.probabilities)[1] for each in (cut, clean))
    return Estimate(
        value=above / of,
        low=low,
        high=high,
        n=whole.n,
        method="MOVER-R of AUROC",
        unit=whole.unit,
        detail=f"AUROC above chance {above:.2f} of {of:.2f}",
        influence=_within_classes(own - above / of * other, clean) / of,
    )


def worst(parts: Mapping[str, Estimate], direction: Direction) -> Estimate:
    """The least favourable of several estimates that must all meet a bound.

    Uninformative estimates (see `retained_skill`) are left out. The interval reaches from the least favourable lower to
    the least favourable upper limit, so that it meets the bound only if every part does. The value is
    `roentgate.stats.families.median_unbiased_maximum` of the parts: the least favourable value itself is too
    unfavourable, since it was chosen for being so.

    Args:
        parts: At least one estimate, keyed by its condition (such as the infill of a mask).
        direction: The smallest is worst for ``at_least``, the largest for ``at_most``.

    Returns:
        The worst part with that value and interval. Its name is in the detail, and the value of each part in ``parts``.
        If the parts do not say which rows they rest on, the value is that of the worst part. The first undefined part
        if there is one, and an undefined estimate if all parts are uninformative. There are no ``hits`` if there are
        several parts: what settles one part does not settle them all.

    Raises:
        ArgumentError: No parts.

    References:
        Berger, Technometrics 24 (1982) 295-300 (intersection-union test).
    """
    if not parts:
        raise ArgumentError("the worst of no estimates is none; give at least one")
    values = {name: part.value if part.state == "ok" else None for name, part in parts.items()}
    named = tuple(values.items()) if len(parts) > 1 else ()
    informative = {name: part for name, part in parts.items() if part.informative}
    for part in informative.values():
        if not part.defined:
            return replace(part, parts=named)
    if not informative:
        name, part = next(iter(parts.items()))
        low, high = (min(part.low for part in parts.values()), max(part.high for part in parts.values()))
        detail = f"{part.detail} ({name}, as with every other)" if named else f"{part.detail} ({name})"
        nothing = estimates.undefined(part.n, low=low, high=high, method=part.method, unit=part.unit, detail=detail)
        return replace(nothing, parts=named)
    pick = min if direction == "at_least" else max
    name = pick(informative, key=lambda name: informative[name].value)
    low, high = (pick(getattr(part, side) for part in informative.values()) for side in ("low", "high"))
    value = _typical_worst(list(informative.values()), direction)
    return replace(
        informative[name],
        value=min(max(value, low), high),
        low=low,
        high=high,
        hits=informative[name].hits if len(informative) == 1 else None,
        detail=f"{informative[name].detail} ({name})",
        parts=named,
        influence=None,
    )


def _typical_worst(parts: Sequence[Estimate], direction: Direction) -> float:
    """Return the worst value, corrected for its choice if the rows behind it are known."""
    sign = 1.0 if direction == "at_most" else -1.0
    values = sign * np.array([part.value for part in parts])
    known = [part.influence for part in parts if part.influence is not None]
    if len(known) < len(parts) or len({len(each) for each in known}) > 1:
        return float(sign * values.max())
    return sign * families.median_unbiased_maximum(values, np.stack(known))


def net_switches(  # noqa: PLR0913  the last three arguments are about the donors
    before: Predictions,
    other: Predictions,
    same: Predictions,
    donor_labels: NDArray[np.int64],
    *,
    donors: Sequence[str] | None = None,
    given: str = "the donor",
    control: str = "a donor of their own class",
) -> Estimate:
    """Share of answers that switch to the donor's class, minus a control's.

    The donor is an image of another class that lends a part, such as its border. The control counts switches to the
    same class when an image of the row's own class lends that part.

    Args:
        before: Answers on the images as they are.
        other: Answers on the same rows with a part taken from an image of another class.
        same: Answers on the same rows with that part from another image of their own class.
        donor_labels: (n,) class index of the other-class donor, or -1 for a row without one, which is left out.
        donors: (n,) the unit of each row's other-class donor, such as its patient. Rows with the same one depend on
            each other. None if each row has its own.
        given: Name of the other-class donor in the detail.
        control: Name of the same-class donor in the detail.

    Returns:
        Paired difference (-1 to 1, lower is better, 0: the donor does not matter) with Tango's score interval, at the
        effective size if rows or donors are grouped. The detail holds the exact McNemar p-value if they are not. NaN
        in [-1, 1] without rows. Uninformative if all rows get one answer before, which never switches. Failing: rows
        that follow the donor of another class and not the donor of their own.

    Raises:
        ArgumentError: The three are not of the same rows in the same order, or ``donor_labels`` is not (n,).

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908; McNemar, Psychometrika 12 (1947) 153-157.
    """
    _same_rows(before, other)
    _same_rows(before, same)
    if len(donor_labels) != len(before):
        raise ArgumentError(f"{len(donor_labels)} donors for {len(before)} rows; give one to each row, or -1")
    rows = donor_labels >= 0
    free = rows & (before.answers != donor_labels)
    followed, by_control = free & (other.answers == donor_labels), free & (same.answers == donor_labels)
    gained, lost = followed & ~by_control, by_control & ~followed
    detail = f"{followed.sum()} of {rows.sum()} follow {given}, {by_control.sum()} go there with {control}"
    failing = ids_where(before, gained)
    lent = None if donors is None else pick(donors, rows)
    if before.groups is None and (lent is None or len(set(lent)) == len(lent)):
        detail += f" (McNemar p = {differences.mcnemar(int(gained.sum()), int(lost.sum())):.3g})"
    groups = None if before.groups is None else pick(before.groups, rows)
    followed_more = differences.grouped_difference(gained[rows], lost[rows], groups, unit=before.unit, donors=lent)
    return replace(followed_more, detail=detail, failing=failing, informative=not before.one_answer)


def _skill(predictions: Predictions) -> Estimate:
    balanced, chance = mean_recall(predictions, confidence=0.95), 1 / len(predictions.classes)
    return replace(
        balanced, value=balanced.value - chance, low=balanced.low - chance, high=balanced.high - chance, failing=()
    )


def _ratio_limits(clean: Predictions, cut: Predictions, confidence: float) -> tuple[float, float]:
    """Return the limits of the retained skill. Both sets of answers must have rows of every class."""
    whole, left = (class_recalls(each, confidence=confidence) for each in (clean, cut))
    right = [each.answers == each.labels for each in (clean, cut)]
    rows = [clean.labels == label for label in range(len(clean.classes))]
    correlations = [
        differences.recovered_correlation(
            right[0][own], right[1][own], None if clean.groups is None else pick(clean.groups, own)
        )
        for own in rows
    ]
    return intervals.ratio_limits(
        _limits(left),
        _limits(whole),
        np.array(correlations),
        chance=1 / len(rows),
        together=estimates.together(clean.groups, clean.labels, len(rows)),
    )


def _limits(shares: Sequence[Estimate]) -> DoubleArray:
    """Return lower limits, values and upper limits: (3, K)."""
    return np.array([(each.low, each.value, each.high) for each in shares], np.float64).T


def _skill_influence(clean: Predictions, cut: Predictions, ratio: float) -> DoubleArray:
    """Return the influence of each unit on the mean over classes of (right when cut) - ``ratio`` * (right)."""
    gap = (cut.answers == cut.labels) - ratio * (clean.answers == clean.labels)
    return _within_classes(gap / len(clean.classes), clean)


def _within_classes(values: DoubleArray, rows: Predictions) -> DoubleArray:
    """Return the influence of each unit on the sum of the classes' means of ``values`` (n,)."""
    residuals = np.zeros(len(rows))
    for label in range(len(rows.classes)):
        own = rows.labels == label
        residuals[own] = (values[own] - values[own].mean()) / own.sum()
    return residuals if rows.groups is None else influence.by_group(residuals, rows.groups)


def _same_rows(first: Predictions, second: Predictions) -> None:
    if first.ids != second.ids or first.classes != second.classes:
        raise ArgumentError("predictions of other rows, classes or order cannot be paired; predict the same rows")
