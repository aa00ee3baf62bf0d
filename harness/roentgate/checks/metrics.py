"""Classification metrics with their intervals.

A row whose entries are not all finite has no answer: it counts as wrong, and as changed. If the rows have groups
(patients, clusters of near-duplicates), intervals are over groups.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roentgate.arrays import BoolArray
from roentgate.candidates import Predictions
from roentgate.errors import ArgumentError, UnknownClassError, did_you_mean
from roentgate.stats import Estimate, influence
from roentgate.stats import estimate as estimates

__all__ = [
    "accuracy",
    "adjusted_balanced_accuracy",
    "balanced_accuracy",
    "confusion",
    "f1",
    "macro_auroc",
    "precision",
    "recall",
    "specificity",
]


def recall(predictions: Predictions, label: str, *, family: int = 1) -> Estimate:
    """Share of the rows of ``label`` that are predicted as ``label`` (0 to 1, higher is better).

    Args:
        predictions: Probabilities float32 (n, K) and true labels (n,), keyed by row.
        label: A class name of ``predictions.classes``.
        family: How many such estimates are judged together by their worst (see `roentgate.checks.border.flips`). One
            upper limit below the bound settles a failure.

    Returns:
        Value and exact 95 % Clopper-Pearson interval over the rows of that class (Korn-Graubard over groups). NaN in
        [0, 1] without such rows. Failing: the rows predicted as another class.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.

    References:
        Clopper and Pearson, Biometrika 26 (1934) 404-413.
        Korn and Graubard, Survey Methodology 24 (1998) 193-201.
    """
    return _recall(predictions, label, confidence=stricter_confidence(family), low_confidence=0.95)


def confusion(predictions: Predictions, truth: str, predicted: str) -> Estimate:
    """Share of the rows of ``truth`` predicted as ``predicted`` (0 to 1).

    Lower is better for two different classes.

    Returns:
        As `recall`. NaN in [0, 1] without rows of ``truth``. Uninformative if none of them has a finite answer,
        and if all rows get one answer and it is another class. Failing: the rows predicted as ``predicted``.

    Raises:
        UnknownClassError: ``truth`` or ``predicted`` is not a class of these predictions.
    """
    index = _index(predictions, truth)
    hit = predictions.answers == _index(predictions, predicted)
    own = predictions.labels == index
    share = share_of_rows(predictions, hit, own, failing=hit, detail=_matrix_row(predictions, index))
    answered = bool((predictions.answers[own] >= 0).any())
    return replace(share, informative=not own.any() or (answered and (not predictions.one_answer or bool(hit.any()))))


def precision(predictions: Predictions, label: str) -> Estimate:
    """Share of the rows predicted as ``label`` that are of ``label`` (0 to 1, higher is better).

    Returns:
        As `recall`, over the rows predicted as ``label``, their number taken as given. NaN in [0, 1] without such
        rows. Failing: the rows of other classes among them.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.
    """
    index = _index(predictions, label)
    predicted, right = predictions.answers == index, predictions.labels == index
    detail = f"{(predicted & right).sum()} of {predicted.sum()} predicted as {label} are right"
    return share_of_rows(predictions, right, predicted, failing=~right, detail=detail)


def specificity(predictions: Predictions, label: str) -> Estimate:
    """Share of the rows of other classes that are not predicted as ``label`` (0 to 1, higher is better).

    Returns:
        As `recall`, over the rows of other classes. NaN in [0, 1] without such rows. Failing: the rows predicted as
        ``label``.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.
    """
    index = _index(predictions, label)
    spared, others = predictions.answers != index, predictions.labels != index
    detail = f"{(spared & others).sum()} of {others.sum()} others are not predicted as {label}"
    return share_of_rows(predictions, spared, others, failing=~spared, detail=detail)


def f1(predictions: Predictions, label: str) -> Estimate:
    """Harmonic mean of recall and precision of ``label`` (0 to 1, higher is better).

    It is 2 J / (1 + J). J is the share of the rows that are of ``label`` and predicted as ``label``, among the rows
    that are either. The limits follow from those of J in the same way.

    Returns:
        As `recall`, over the rows that are either, their number taken as given. NaN in [0, 1] without such rows.
        Failing: the rows that are one and not the other.

    Raises:
        UnknownClassError: ``label`` is not a class of these predictions.
    """
    index = _index(predictions, label)
    predicted, own = predictions.answers == index, predictions.labels == index
    both, either = predicted & own, predicted | own
    detail = f"{both.sum()} of {either.sum()} that are or are predicted as {label} are both"
    share = share_of_rows(predictions, both, either, failing=~both, detail=detail)
    value, low, high = (2 * part / (1 + part) for part in (share.value, share.low, share.high))
    return replace(share, value=value, low=low, high=high, hits=None)


def accuracy(predictions: Predictions) -> Estimate:
    """Share of all rows that are predicted as their class (0 to 1, higher is better).

    Returns:
        As `recall`, over all rows. NaN in [0, 1] without rows. Failing: the wrong rows.
    """
    right = predictions.answers == predictions.labels
    everything = np.ones(len(predictions), np.bool_)
    return share_of_rows(
        predictions, right, everything, failing=~right, detail=f"{right.sum()} of {len(predictions)} right"
    )


def balanced_accuracy(predictions: Predictions) -> Estimate:
    """Mean of the recalls of all classes (0 to 1, chance 1/K, higher is better).

    Returns:
        Value and MOVER interval from the intervals of the recalls, which are correlated as far as the classes share
        their patients. NaN in [0, 1] if a class has no rows. Failing: the wrong rows.

    References:
        Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702.
        Brodersen et al., ICPR (2010) 3121-3124.
    """
    return mean_recall(predictions, confidence=0.95)


def adjusted_balanced_accuracy(predictions: Predictions) -> Estimate:
    """Balanced accuracy rescaled so that 0 is chance and 1 is perfect.

    It is (balanced accuracy - 1/K) / (1 - 1/K) and may be below 0. For two classes it is Youden's index.

    Returns:
        Value and limits of `balanced_accuracy`, rescaled. NaN over the rescaled range if that is undefined.
    """
    balanced, chance = mean_recall(predictions, confidence=0.95), 1 / len(predictions.classes)
    value, low, high = ((part - chance) / (1 - chance) for part in (balanced.value, balanced.low, balanced.high))
    return replace(balanced, value=value, low=low, high=high)


def macro_auroc(predictions: Predictions) -> Estimate:
    """Mean area under the one-vs-rest ROC curves (chance 0.5, higher is better).

    Returns:
        Value (0 to 1) and interval of `roentgate.stats.estimate.macro_auroc`. NaN in [0, 1] if a class has no rows or
        an entry is NaN or infinite. Columns are used as given, so probabilities that float32 rounds to 1 are ties.
    """
    return estimates.macro_auroc(
        predictions.labels, predictions.probabilities, groups=predictions.groups, unit=predictions.unit
    )


def stricter_confidence(family: int) -> float:
    """Return the confidence of the limit that settles one failure of ``family`` (Bonferroni)."""
    if family < 1:
        raise ArgumentError(f"a family of {family}; give the number of perturbations judged together, 1 or more")
    return 1 - 0.05 / family


def _recall(
    predictions: Predictions, label: str, *, confidence: float, low_confidence: float | None = None
) -> Estimate:
    index = _index(predictions, label)
    right = predictions.answers == index
    return share_of_rows(
        predictions,
        right,
        predictions.labels == index,
        failing=~right,
        detail=_matrix_row(predictions, index),
        confidence=confidence,
        low_confidence=low_confidence,
    )


def class_recalls(predictions: Predictions, *, confidence: float) -> list[Estimate]:
    """Return the recall of each class at ``confidence``, in class order."""
    return [_recall(predictions, label, confidence=confidence) for label in predictions.classes]


def mean_recall(predictions: Predictions, *, confidence: float) -> Estimate:
    """Return the mean recall with a MOVER interval at ``confidence``."""
    recalls = class_recalls(predictions, confidence=confidence)
    parts = ", ".join(f"{label} {part.value:.2f}" for label, part in zip(predictions.classes, recalls, strict=True))
    failing = tuple(sorted(row for part in recalls for row in part.failing))
    balanced = estimates.mean(recalls, groups=predictions.groups, labels=predictions.labels)
    return replace(balanced, detail=f"recall: {parts}", failing=failing)


def share_of_rows(  # noqa: PLR0913
    predictions: Predictions,
    hits: BoolArray,
    rows: BoolArray,
    *,
    failing: BoolArray,
    detail: str,
    confidence: float = 0.95,
    low_confidence: float | None = None,
) -> Estimate:
    """Share of ``rows`` that are ``hits``; all masks are (n,).

    The interval is over groups if they are known. The ids of ``rows`` that are ``failing`` go with the estimate.
    """
    failing_ids = ids_where(predictions, rows & failing)
    groups = None if predictions.groups is None else pick(predictions.groups, rows)
    if groups is None:
        counts = int((hits & rows).sum()), int(rows.sum())
        share = estimates.proportion(
            *counts, confidence=confidence, low_confidence=low_confidence, detail=detail, failing=failing_ids
        )
    else:
        share = estimates.grouped_proportion(
            hits[rows],
            groups,
            confidence=confidence,
            low_confidence=low_confidence,
            detail=detail,
            failing=failing_ids,
            unit=predictions.unit,
        )
    return replace(share, influence=influence.of_rows(hits[rows].astype(np.float64), groups))


def _matrix_row(predictions: Predictions, truth: int) -> str:
    """Describe one row of the confusion matrix, as ``of 20 Normal: 16 Normal, 4 Covid``."""
    answers = predictions.answers[predictions.labels == truth]
    names = [*predictions.classes, "without a finite answer"]
    order = [truth, *(index for index in range(len(names)) if index != truth)]
    counts = [(int((answers == (index if index < len(names) - 1 else -1)).sum()), names[index]) for index in order]
    parts = ", ".join(f"{count} {name}" for count, name in counts if count)
    return f"of {len(answers)} {predictions.classes[truth]}: {parts or 'none to count'}"


def _index(predictions: Predictions, label: str) -> int:
    if label not in predictions.classes:
        raise UnknownClassError(f"class '{label}' is unknown; {did_you_mean(label, predictions.classes)}")
    return predictions.classes.index(label)


def ids_where(predictions: Predictions, rows: BoolArray) -> tuple[str, ...]:
    """Return the sorted ids of ``rows``, a mask (n,)."""
    return tuple(sorted(pick(predictions.ids, rows)))


def pick(names: Sequence[str], rows: BoolArray) -> list[str]:
    """Return the names of ``rows``, a mask (n,)."""
    return [name for name, chosen in zip(names, rows, strict=True) if chosen]
