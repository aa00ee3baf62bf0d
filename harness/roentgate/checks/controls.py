"""Controls that every run carries: the model's own answers, spoiled, must be refused.

A check that accepts spoiled answers would accept anything on these images, so that what it says of the model is worth
nothing. The controls cost no further answer.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from roentgate.arrays import IntArray
from roentgate.candidates import Predictions
from roentgate.checks.alignment import columns_match
from roentgate.stats import Estimate, meets, proportion

__all__ = ["exchanged_columns", "shuffled_answers"]

DRAWS = 500
CAUGHT = 0.95
"""Least share of random orders of the answers that recall floors must refuse."""


def shuffled_answers(predictions: Predictions, floors: Mapping[str, float], *, seed: int = 0) -> Estimate:
    """Share of random orders of the answers that miss a recall floor (0 to 1, higher is better).

    An order is refused if the recall of any class lies below its floor, or if a class has no rows. Floors that chance
    reaches, because they are low or the rows are few, catch less.

    Args:
        predictions: Answers of the model.
        floors: Recall floor of each class.
        seed: Seed of the orders.

    Returns:
        Share of `DRAWS` orders, with the interval that their number leaves.
    """
    generator = np.random.default_rng(seed)
    caught = 0
    for _ in range(DRAWS):
        answers = generator.permutation(predictions.answers)
        right = answers == predictions.labels
        rows = [predictions.labels == index for index in range(len(predictions.classes))]
        caught += any(
            not own.any() or not meets(float(right[own].mean()), floors[label], "at_least")
            for label, own in zip(predictions.classes, rows, strict=True)
        )
    detail = f"{caught} of {DRAWS} random orders of the answers miss a recall floor"
    return replace(proportion(caught, DRAWS, unit="draw", detail=detail), method="random orders", hits=None)


def exchanged_columns(predictions: Predictions, other_split: Predictions | None = None) -> Estimate:
    """P-value for columns in their right places after two of them were exchanged (lower is better).

    The two whose exchange loses most right answers are exchanged.

    Args:
        predictions: Answers of the model.
        other_split: As in `roentgate.checks.alignment.columns_match`.

    Returns:
        As `roentgate.checks.alignment.columns_match`. NaN in [0, 1] if the model has no skill that an exchange could
        hide.
    """
    labels, answers, count = predictions.labels, predictions.answers, len(predictions.classes)
    known = answers >= 0
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (labels[known], answers[known]), 1)
    right = np.diag(table)
    lost = right[:, None] + right - table - table.T
    np.fill_diagonal(lost, np.iinfo(np.int64).min)
    first, second = (int(index) for index in np.unravel_index(int(np.argmax(lost)), lost.shape))
    order = np.arange(count)
    order[[first, second]] = second, first
    other = None if other_split is None else _reordered(other_split, order)
    found = columns_match(_reordered(predictions, order), other)
    names = f"{predictions.classes[first]} and {predictions.classes[second]}"
    return replace(found, detail=f"columns of {names} exchanged: {found.detail}")


def _reordered(predictions: Predictions, order: IntArray) -> Predictions:
    return replace(predictions, probabilities=predictions.probabilities[:, order])
