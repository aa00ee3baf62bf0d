"""Estimates of how far answers depend on the border of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roentgate.candidates import Predictions
from roentgate.checks.metrics import ids_where, mean_recall, pick, share_of_rows, stricter_confidence
from roentgate.errors import ArgumentError
from roentgate.stats import Direction, Estimate, differences
from roentgate.stats import estimate as estimates

__all__ = ["flips", "net_switches", "retained_skill", "worst"]

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
        As `recall`, over all rows. NaN in [0, 1] without rows. Failing: the rows that changed.

    Raises:
        ArgumentError: The two are not of the same rows in the same order, or ``family`` is less than 1.
    """
    _same_rows(before, after)
    low_confidence = stricter_confidence(family)
    changed = (before.answers != after.answers) | (before.answers < 0)
    everything = np.ones(len(before), np.bool_)
    detail = f"{changed.sum()} of {len(before)} answers change"
    return share_of_rows(before, changed, everything, failing=changed, detail=detail, low_confidence=low_confidence)


def retained_skill(clean: Predictions, cut: Predictions, *, family: int = 1) -> Estimate:
    """Skill on a cut-down input over skill on the whole one.

    Skill is balanced accuracy above chance. 0 means that none is left.

    Args:
        clean: Answers on the images as they are.
        cut: Answers on the same rows, cut down.
        family: As in `flips`.

    Returns:
        Value and MOVER-R interval, of either sign, as if the two were independent (on the same rows this is too wide
        rather than too narrow). NaN between minus and plus infinity if clean skill is below `LEAST_SKILL`, its
        interval reaches 0, or a class has no rows. A cut is uninformative if one answer takes 90 % of the rows or more:
        the value stays, and the interval reaches from 0 (the value, if less) to 1 (the value, if more).

    Raises:
        ArgumentError: The two are not of the same rows in the same order.

    References:
        Donner and Zou, Statistical Methods in Medical Research 21 (2012) 347-359.
    """
    _same_rows(clean, cut)
    whole, left = _skill(clean, 0.95), _skill(cut, 0.95)
    text = f"balanced accuracy above chance {left.value:.2f} of {whole.value:.2f}"
    if not whole.defined:
        text = "a class has no rows"
    elif not estimates.meets(whole.value, LEAST_SKILL, "at_least"):
        whole, text = replace(whole, value=np.nan), f"too little skill to lose: {whole.value:.2f} above chance"
    kept = replace(estimates.ratio(left, whole), detail=text)
    if family > 1 and kept.defined:
        stricter = estimates.ratio(*(_skill(each, stricter_confidence(family)) for each in (cut, clean)))
        kept = replace(kept, low=min(kept.low, stricter.low))
    commonest = np.unique(cut.answers, return_counts=True)[1].max(initial=0)
    if kept.defined and commonest >= 0.9 * len(cut):
        detail = f"uninformative: one answer takes {commonest} of {len(cut)} rows; {text}"
        low, high = min(0.0, kept.value), max(1.0, kept.value)
        return replace(kept, low=low, high=high, informative=False, detail=detail)
    return kept


def worst(parts: Mapping[str, Estimate], direction: Direction) -> Estimate:
    """The least favourable of several estimates that must all meet a bound.

    Uninformative estimates (see `retained_skill`) are left out unless there are no others. The interval reaches from
    the least favourable lower to the least favourable upper limit, so that it meets the bound only if every part does.

    Args:
        parts: At least one estimate, keyed by its condition (such as the infill of a mask).
        direction: The smallest is worst for ``at_least``, the largest for ``at_most``.

    Returns:
        The worst part with that interval and its name in the detail, or the first undefined part if there is one. It
        has no ``hits`` if there are several parts: what settles one part does not settle them all.

    Raises:
        ArgumentError: No parts.

    References:
        Berger, Technometrics 24 (1982) 295-300 (intersection-union test).
    """
    if not parts:
        raise ArgumentError("the worst of no estimates is none; give at least one")
    informative = {name: part for name, part in parts.items() if part.informative} or dict(parts)
    for part in informative.values():
        if not part.defined:
            return part
    pick = min if direction == "at_least" else max
    name = pick(informative, key=lambda name: informative[name].value)
    return replace(
        informative[name],
        low=pick(part.low for part in informative.values()),
        high=pick(part.high for part in informative.values()),
        hits=informative[name].hits if len(informative) == 1 else None,
        detail=f"{informative[name].detail} ({name})",
    )


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
        in [-1, 1] without rows. Failing: rows that follow the donor of another class and not the donor of their own.

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
    return replace(followed_more, detail=detail, failing=failing)


def _skill(predictions: Predictions, confidence: float) -> Estimate:
    balanced, chance = mean_recall(predictions, confidence=confidence), 1 / len(predictions.classes)
    return replace(
        balanced, value=balanced.value - chance, low=balanced.low - chance, high=balanced.high - chance, failing=()
    )


def _same_rows(first: Predictions, second: Predictions) -> None:
    if first.ids != second.ids or first.classes != second.classes:
        raise ArgumentError("predictions of other rows, classes or order cannot be paired; predict the same rows")
