"""From evidence to estimates: how often a model is right, which way it errs, and what a cut-down input does to it.

A row whose entries are not all finite has no answer: it counts as wrong, and as changed. Where the rows have groups
(patients), intervals are over groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness import estimate as estimates
from harness.errors import ArgumentError, UnknownClassError, did_you_mean
from harness.estimate import BoolArray, Direction, Estimate
from harness.predictions import Predictions

__all__ = [
    "accuracy",
    "adjusted_balanced_accuracy",
    "balanced_accuracy",
    "confusion",
    "directed_flips",
    "f1",
    "flips",
    "macro_auroc",
    "precision",
    "recall",
    "skill_kept",
    "specificity",
    "worst",
]

UNINFORMATIVE = "uninformative"
LEAST_SKILL = 0.15  # balanced accuracy above chance, without which there is none to lose


def recall(predictions: Predictions, label: str, *, family: int = 1) -> Estimate:
    """Share of the rows of ``label`` that are called ``label`` (0 to 1, higher is better).

    Args:
        predictions: Probabilities float32 (n, K) and true labels (n,), keyed by row.
        label: A class name of ``predictions.classes``.
        family: How many such estimates are judged together by their worst (see `flips`); a proven failure needs one
            upper limit.

    Returns:
        Value and exact 95 % Clopper-Pearson interval over the rows of that class (Korn-Graubard over groups); with no
        such row, NaN in [0, 1]. Offenders: the rows called otherwise.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.

    References:
        Clopper and Pearson, Biometrika 26 (1934) 404-413; Korn and Graubard, Survey Methodology 24 (1998) 193-201.
    """
    return _recall(predictions, label, confidence=_stricter(family), low_confidence=0.95)


def confusion(predictions: Predictions, truth: str, called: str) -> Estimate:
    """Share of the rows of ``truth`` that are called ``called`` (0 to 1; for two different classes, lower is better).

    Returns:
        As `recall`; with no row of ``truth``, NaN in [0, 1]. Offenders: the rows called ``called``.

    Raises:
        UnknownClassError: ``truth`` or ``called`` is not a class of these predictions.
    """
    index = _index(predictions, truth)
    hit = predictions.answers == _index(predictions, called)
    return _share(predictions, hit, predictions.labels == index, offends=hit, detail=_reading(predictions, index))


def precision(predictions: Predictions, label: str) -> Estimate:
    """Share of the rows called ``label`` that are of ``label`` (0 to 1, higher is better).

    Returns:
        As `recall`, over the rows called so, their number taken as given; with no such row, NaN in [0, 1]. Offenders:
        the rows of other classes among them.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.
    """
    index = _index(predictions, label)
    called, right = predictions.answers == index, predictions.labels == index
    detail = f"{(called & right).sum()} of {called.sum()} called {label} are right"
    return _share(predictions, right, called, offends=~right, detail=detail)


def specificity(predictions: Predictions, label: str) -> Estimate:
    """Share of the rows of other classes that are not called ``label`` (0 to 1, higher is better).

    Returns:
        As `recall`, over the rows of other classes; with no such row, NaN in [0, 1]. Offenders: the rows called so.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.
    """
    index = _index(predictions, label)
    spared, others = predictions.answers != index, predictions.labels != index
    detail = f"{(spared & others).sum()} of {others.sum()} others are not called {label}"
    return _share(predictions, spared, others, offends=~spared, detail=detail)


def f1(predictions: Predictions, label: str) -> Estimate:
    """Harmonic mean of recall and precision of ``label`` (0 to 1, higher is better).

    It is 2 J / (1 + J) with J the share of the rows of ``label`` or called so that are both, and so are its limits.

    Returns:
        As `recall`, over those rows, their number taken as given; with no such row, NaN in [0, 1]. Offenders: those
        that are one and not the other.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.
    """
    index = _index(predictions, label)
    called, own = predictions.answers == index, predictions.labels == index
    both, either = called & own, called | own
    detail = f"{both.sum()} of {either.sum()} that are or are called {label} are both"
    share = _share(predictions, both, either, offends=~both, detail=detail)
    value, low, high = (2 * part / (1 + part) for part in (share.value, share.low, share.high))
    return replace(share, value=value, low=low, high=high, hits=None)


def accuracy(predictions: Predictions) -> Estimate:
    """Share of all rows that are called by their class (0 to 1, higher is better).

    Returns:
        As `recall`, over all rows; without rows, NaN in [0, 1]. Offenders: the wrong rows.
    """
    right = predictions.answers == predictions.labels
    everything = np.ones(len(predictions), np.bool_)
    return _share(predictions, right, everything, offends=~right, detail=f"{right.sum()} of {len(predictions)} right")


def balanced_accuracy(predictions: Predictions) -> Estimate:
    """Mean of the recalls of all classes (0 to 1, chance 1/K, higher is better).

    Returns:
        Value and MOVER interval from the interval of each recall, which go together as far as the classes share their
        patients; if a class has no rows, NaN in [0, 1]. Offenders: the wrong rows.

    References:
        Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702; Brodersen et al., ICPR (2010) 3121-3124.
    """
    return _balanced(predictions, confidence=0.95)


def adjusted_balanced_accuracy(predictions: Predictions) -> Estimate:
    """Balanced accuracy above chance, as a share of what lies above chance (0: chance, 1: perfect; below 0 possible).

    Returns:
        (balanced accuracy - 1/K) / (1 - 1/K), its limits transformed alike; NaN over the whole range as
        `balanced_accuracy`. For two classes it is Youden's index.
    """
    balanced, chance = _balanced(predictions, confidence=0.95), 1 / len(predictions.classes)
    value, low, high = ((part - chance) / (1 - chance) for part in (balanced.value, balanced.low, balanced.high))
    return replace(balanced, value=value, low=low, high=high)


def macro_auroc(predictions: Predictions) -> Estimate:
    """Mean over the classes of the area under the one-vs-rest ROC curve (0 to 1, chance 0.5, higher is better).

    Returns:
        Value and interval of `harness.estimate.macro_auroc`; NaN in [0, 1] where a class has no rows or an entry is NaN
        or infinite. Columns are taken as they were given: probabilities that float32 rounds to 1 are ties.
    """
    return estimates.macro_auroc(predictions.labels, predictions.probabilities, groups=predictions.groups)


def flips(before: Predictions, after: Predictions, *, family: int = 1) -> Estimate:
    """Share of the rows whose answer changes (0 to 1, lower is better).

    Args:
        before: Answers on the films as they are.
        after: Answers on the same rows, perturbed.
        family: How many such estimates are judged together by their worst: a proven failure needs one lower limit,
            therefore taken at 1 - 0.05 / ``family`` (Bonferroni); a pass needs all upper limits, which need no care.

    Returns:
        As `recall`, over all rows; without rows, NaN in [0, 1]. Offenders: the rows that changed.

    Raises:
        ArgumentError: The two are not of the same rows in the same order, or ``family`` is less than 1.
    """
    _same_rows(before, after)
    low_confidence = _stricter(family)
    changed = (before.answers != after.answers) | (before.answers < 0)
    everything = np.ones(len(before), np.bool_)
    detail = f"{changed.sum()} of {len(before)} answers change"
    return _share(before, changed, everything, offends=changed, detail=detail, low_confidence=low_confidence)


def skill_kept(clean: Predictions, cut: Predictions, *, family: int = 1) -> Estimate:
    """Skill on a cut-down input over skill on the whole one; skill is balanced accuracy above chance (0: none is left).

    Args:
        clean: Answers on the films as they are.
        cut: Answers on the same rows, cut down.
        family: As in `flips`.

    Returns:
        Value and MOVER-R interval, of either sign, as if the two were independent (on the same rows this is too wide
        rather than too narrow). NaN between minus and plus infinity where clean skill is below `LEAST_SKILL`, its
        interval reaches 0, or a class has no rows. A cut under which one answer takes 90 % of the rows or more is
        uninformative: the value stands, and the interval reaches from 0 (the value, if less) to 1 (the value, if more).

    Raises:
        ArgumentError: The two are not of the same rows in the same order.

    References:
        Donner and Zou, Statistical Methods in Medical Research 21 (2012) 347-359.
    """
    _same_rows(clean, cut)
    whole, left = _skill(clean, 0.95), _skill(cut, 0.95)
    words = f"balanced accuracy above chance {left.value:.2f} of {whole.value:.2f}"
    if not whole.defined:
        words = "a class has no rows"
    elif not estimates.meets(whole.value, LEAST_SKILL, "at_least"):
        whole, words = replace(whole, value=np.nan), f"too little skill to lose: {whole.value:.2f} above chance"
    kept = replace(estimates.ratio(left, whole), detail=words)
    if family > 1 and kept.defined:
        stricter = estimates.ratio(*(_skill(each, _stricter(family)) for each in (cut, clean)))
        kept = replace(kept, low=min(kept.low, stricter.low))
    commonest = np.unique(cut.answers, return_counts=True)[1].max(initial=0)
    if kept.defined and commonest >= 0.9 * len(cut):
        detail = f"{UNINFORMATIVE}: one answer takes {commonest} of {len(cut)} rows; {words}"
        return replace(kept, low=min(0.0, kept.value), high=max(1.0, kept.value), detail=detail)
    return kept


def worst(parts: Mapping[str, Estimate], direction: Direction) -> Estimate:
    """The least favourable of several estimates that must all meet one bound.

    Uninformative ones (`skill_kept`) are left out while another remains. The interval reaches from the least favourable
    lower to the least favourable upper limit, so that it meets the bound only if every part does.

    Args:
        parts: At least one estimate, by what it was taken under (the fill of a mask).
        direction: ``at_least``: the smallest is worst; ``at_most``: the largest.

    Returns:
        The worst part with that interval and its name in the detail; the first undefined part where there is one. No
        ``hits``: what one part alone would need to be settled does not settle them all.

    Raises:
        ArgumentError: No parts.

    References:
        Berger, Technometrics 24 (1982) 295-300 (intersection-union test).
    """
    if not parts:
        raise ArgumentError("the worst of no estimates is none; give at least one")
    heard = {name: part for name, part in parts.items() if not part.detail.startswith(UNINFORMATIVE)} or dict(parts)
    for part in heard.values():
        if not part.defined:
            return part
    pick = min if direction == "at_least" else max
    name = pick(heard, key=lambda name: heard[name].value)
    return replace(
        heard[name],
        low=pick(part.low for part in heard.values()),
        high=pick(part.high for part in heard.values()),
        hits=heard[name].hits if len(heard) == 1 else None,
        detail=f"{heard[name].detail} ({name})",
    )


def directed_flips(
    before: Predictions, other: Predictions, same: Predictions, donor_labels: NDArray[np.int64]
) -> Estimate:
    """Flips towards the class of a transplant's donor, minus those that a donor of the row's own class brings about.

    Args:
        before: Answers on the films as they are.
        other: Answers on the same rows with a part taken from a film of another class.
        same: Answers on the same rows with that part from another film of their own class.
        donor_labels: (n,) class index of the other-class donor; -1 for a row without one, which is left out.

    Returns:
        Paired difference (-1 to 1, lower is better, 0: the donor does not matter) with Tango's score interval, and the
        exact McNemar p-value in the detail where rows are independent; without rows, NaN in [-1, 1]. Offenders: rows
        that follow the donor of another class and not the one of their own.

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
    followed, control = free & (other.answers == donor_labels), free & (same.answers == donor_labels)
    gained, lost = followed & ~control, control & ~followed
    detail = (
        f"{followed.sum()} of {rows.sum()} follow the donor, {control.sum()} go there with a donor of their own class"
    )
    offenders = _ids(before, gained)
    if before.groups is None:
        detail += f" (McNemar p = {estimates.mcnemar(int(gained.sum()), int(lost.sum())):.3g})"
    groups = None if before.groups is None else _of(before.groups, rows)
    followed_more = estimates.grouped_difference(gained[rows], lost[rows], groups)
    return replace(followed_more, detail=detail, offenders=offenders)


def _stricter(family: int) -> float:
    """Return the level of the limit that proves a failure of one of ``family`` estimates (Bonferroni)."""
    if family < 1:
        raise ArgumentError(f"a family of {family}; give the number of perturbations judged together, 1 or more")
    return 1 - 0.05 / family


def _recall(
    predictions: Predictions, label: str, *, confidence: float, low_confidence: float | None = None
) -> Estimate:
    index = _index(predictions, label)
    right = predictions.answers == index
    return _share(
        predictions, right, predictions.labels == index, offends=~right, detail=_reading(predictions, index),
        confidence=confidence, low_confidence=low_confidence,
    )  # fmt: skip


def _balanced(predictions: Predictions, *, confidence: float) -> Estimate:
    recalls = [_recall(predictions, label, confidence=confidence) for label in predictions.classes]
    words = ", ".join(f"{label} {part.value:.2f}" for label, part in zip(predictions.classes, recalls, strict=True))
    offenders = tuple(sorted(row for part in recalls for row in part.offenders))
    balanced = estimates.mean(recalls, groups=predictions.groups, labels=predictions.labels)
    return replace(balanced, detail=f"recall: {words}", offenders=offenders)


def _share(  # noqa: PLR0913
    predictions: Predictions,
    hits: BoolArray,
    rows: BoolArray,
    *,
    offends: BoolArray,
    detail: str,
    confidence: float = 0.95,
    low_confidence: float | None = None,
) -> Estimate:
    """Share of ``rows`` that are ``hits``, over groups where they are known; all masks are (n,)."""
    offenders = _ids(predictions, rows & offends)
    if predictions.groups is None:
        counts = int((hits & rows).sum()), int(rows.sum())
        return estimates.proportion(
            *counts, confidence=confidence, low_confidence=low_confidence, detail=detail, offenders=offenders
        )
    groups = _of(predictions.groups, rows)
    return estimates.grouped_proportion(
        hits[rows], groups, confidence=confidence, low_confidence=low_confidence, detail=detail, offenders=offenders
    )


def _skill(predictions: Predictions, confidence: float) -> Estimate:
    balanced, chance = _balanced(predictions, confidence=confidence), 1 / len(predictions.classes)
    return replace(
        balanced, value=balanced.value - chance, low=balanced.low - chance, high=balanced.high - chance, offenders=()
    )


def _reading(predictions: Predictions, truth: int) -> str:
    """One row of the confusion matrix in words: ``of 20 Viral Pneumonia: 16 Viral Pneumonia, 4 Normal``."""
    answers = predictions.answers[predictions.labels == truth]
    names = [*predictions.classes, "without a finite answer"]
    order = [truth, *(index for index in range(len(names)) if index != truth)]
    counts = [(int((answers == (index if index < len(names) - 1 else -1)).sum()), names[index]) for index in order]
    words = ", ".join(f"{count} {name}" for count, name in counts if count)
    return f"of {len(answers)} {predictions.classes[truth]}: {words or 'none to count'}"


def _index(predictions: Predictions, label: str) -> int:
    if label not in predictions.classes:
        raise UnknownClassError(f"class '{label}' is unknown; {did_you_mean(label, predictions.classes)}")
    return predictions.classes.index(label)


def _ids(predictions: Predictions, rows: BoolArray) -> tuple[str, ...]:
    return tuple(sorted(_of(predictions.ids, rows)))


def _of(names: Sequence[str], rows: BoolArray) -> list[str]:
    return [name for name, chosen in zip(names, rows, strict=True) if chosen]


def _same_rows(first: Predictions, second: Predictions) -> None:
    if first.ids != second.ids or first.classes != second.classes:
        raise ArgumentError("predictions of other rows, classes or order cannot be paired; predict the same rows")
