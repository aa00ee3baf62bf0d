"""Balanced accuracy lost when the images are changed, as a paired difference."""

from dataclasses import replace
from functools import partial

import numpy as np

from roentgate.arrays import BoolArray
from roentgate.candidates import Predictions
from roentgate.checks import border, metrics
from roentgate.stats import Estimate, differences
from roentgate.stats import estimate as estimates


def balanced_accuracy(clean: Predictions, changed: Predictions, *, family: int = 1) -> Estimate:
    """Balanced accuracy on clean images minus that on changed ones.

    Lower is better, and 0 means that none is lost. It is the mean of the recalls lost. A constant model loses nothing,
    so the drop is undefined without skill on the clean images, and no bound is met.

    Args:
        clean: Answers on the images as they are.
        changed: Answers on the same rows, changed.
        family: How many such drops are judged together by their worst, as in `roentgate.stats.differences.of_family`.

    Returns:
        Value and interval in [-1, 1] (over groups, at the effective size), with limits from Tango's limits of each
        recall (MOVER). NaN in [-1, 1] if a class has no rows or clean skill is below
        `roentgate.checks.border.LEAST_SKILL`. Failing: rows right before and wrong under the change.

    Raises:
        ArgumentError: The two are not of the same rows in the same order, or ``family`` is less than 1.

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908.
        Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702.
    """
    border.flips(clean, changed)  # refuses other rows
    before, after = metrics.balanced_accuracy(clean), metrics.balanced_accuracy(changed)
    if not before.defined:
        return _undefined(before, "a class has no rows")
    if not estimates.meets(before.value - 1 / len(clean.classes), border.LEAST_SKILL, "at_least"):
        return _undefined(before, f"too little skill to lose: balanced accuracy {before.value:.2f} on clean images")
    drop = differences.of_family(partial(_mean_loss, clean, changed), family)
    lost = (clean.answers == clean.labels) & (changed.answers != changed.labels)
    return replace(
        drop,
        detail=f"balanced accuracy {before.value:.2f} on clean images, {after.value:.2f} on these",
        failing=tuple(sorted(name for name, chosen in zip(clean.ids, lost, strict=True) if chosen)),
    )


def _mean_loss(clean: Predictions, changed: Predictions, z: float) -> Estimate:
    losses = [_loss(clean, changed, clean.labels == label, z) for label in range(len(clean.classes))]
    return estimates.mean(losses, groups=clean.groups, labels=clean.labels)


def _loss(clean: Predictions, changed: Predictions, rows: BoolArray, z: float) -> Estimate:
    """Return the recall lost on ``rows`` (n,), all of one class."""
    before, after = (part.answers[rows] == part.labels[rows] for part in (clean, changed))
    lost, gained = before & ~after, after & ~before
    groups = None if clean.groups is None else [clean.groups[row] for row in np.flatnonzero(rows)]
    return differences.grouped_difference(lost, gained, groups, z=z, unit=clean.unit)


def _undefined(of: Estimate, detail: str) -> Estimate:
    return estimates.undefined(of.n, low=-1.0, high=1.0, method="MOVER of Tango", unit=of.unit, detail=detail)
