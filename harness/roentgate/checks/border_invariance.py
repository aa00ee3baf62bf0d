"""How far a fixed family of border contents moves the answers.

All contents of the family are tried, so the figure is exact for them. It does not move for a model that crops the
border from its input. For any other model it says nothing about contents that were not tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray, IntArray
from roentgate.errors import ArgumentError
from roentgate.evidence import Evidence
from roentgate.perturbations import border_mask
from roentgate.stats import Estimate, undefined
from roentgate.store import Arrays

CONTENTS = 100
"""Number of border contents that are tried."""

_TITLE = "border contents"


@dataclass(frozen=True)
class InvarianceRecord:
    """Changes of the answers under each border content.

    Attributes:
        ids: Ids of the rows tried.
        width: Width of the border, as a share of the side.
        moved: (contents, rows) largest change of any of a row's probabilities, NaN if the row has no answer.
        flipped: bool (contents, rows) whether the answer changes.
    """

    ids: tuple[str, ...]
    width: float
    moved: NDArray[np.float64]
    flipped: NDArray[np.bool_]


def contents(shape: tuple[int, int, int], seed: int, *, count: int = CONTENTS) -> Iterator[FloatArray]:
    """Yield ``count`` images of random noise: float32 (H, W, C) in [0, 1].

    The noise of each image lies between two random grey levels.

    Raises:
        ArgumentError: ``count`` is less than 1.
    """
    if count < 1:
        raise ArgumentError(f"{count} border contents; give 1 or more")
    generator = np.random.default_rng(seed)
    for _ in range(count):
        low, high = np.sort(generator.random(2, dtype=np.float32))
        yield low + (high - low) * generator.random(shape, dtype=np.float32)


def border_contents(evidence: Evidence, width: float, *, count: int = CONTENTS) -> InvarianceRecord:
    """Return how the answers on the probe rows move with the border.

    The record is computed once and stored.

    Args:
        evidence: Evidence on the model.
        width: Width of the border, as a share of the side.
        count: Number of border contents.

    Raises:
        ArgumentError: ``width`` is refused by `roentgate.perturbations.border.border_pixels`, or ``count`` is less
            than 1.
        ModelError: The model cannot answer.
    """
    rows, test = evidence.candidate.probe_rows(), evidence.test
    kept = evidence.keep(f"{_TITLE} {width:g}", lambda: _compute(evidence, rows, width, count), of=[width, count])
    return InvarianceRecord(
        ids=tuple(test.ids[row] for row in rows), width=width, moved=kept["moved"], flipped=kept["flipped"]
    )


def _compute(evidence: Evidence, rows: IntArray, width: float, count: int) -> Arrays:
    candidate = evidence.candidate
    images = candidate.splits.test.take(rows)
    whole = candidate.predict(images)
    border = border_mask((images.shape[1], images.shape[2]), width)[:, :, None]
    moved, flipped = [], []
    for content in contents(candidate.task.image_shape, candidate.task.seed, count=count):
        answers = candidate.predict(np.where(border, content, images))
        moved.append(np.abs(answers.astype(np.float64) - whole).max(axis=1))
        flipped.append(answers.argmax(axis=1) != whole.argmax(axis=1))
    return {"moved": np.stack(moved), "flipped": np.stack(flipped)}


def largest_change(record: InvarianceRecord) -> Estimate:
    """Largest change of a probability under any content (lower is better).

    0 means that the border is not read.

    Returns:
        Maximum over contents, rows and classes (0 to 1). The limits equal the value, since the whole family was tried.
        n is the number of rows. NaN in [0, 1] without rows, or if a row has no answer. Failing: the rows whose answer
        changes, those that move most first.
    """
    tried, n = record.moved.shape
    width = f"{100 * record.width:g}% border"
    if not n or not np.isfinite(record.moved).all():
        reason = "no rows" if not n else "a row has no answer"
        return undefined(n, low=0.0, high=1.0, method="census", detail=f"{reason}: {tried} contents of the {width}")
    largest, order = record.moved.max(axis=0), np.argsort(-record.moved.max(axis=0), kind="stable")
    flipped: NDArray[np.bool_] = np.any(record.flipped, axis=0)
    value = float(largest.max())
    detail = (
        f"{tried} random contents of the {width}, all tried on {n} rows: {int(flipped.sum())} rows change their answer "
        f"under some content, {int(record.flipped.sum())} of {tried * n} answers change"
    )
    return Estimate(
        value=value,
        low=value,
        high=value,
        n=n,
        method="census",
        detail=detail,
        failing=tuple(record.ids[row] for row in order if flipped[row]),
    )
