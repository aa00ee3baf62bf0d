"""What can be exact of the border: a finite family of border contents, tried in full, and how far they move answers.

A model that cuts the border off before it looks does not move at all. For any other the figure holds for the contents
that were tried, and promises nothing of those that were not.
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
"""Border contents tried."""

_TITLE = "border contents"


@dataclass(frozen=True)
class InvarianceRecord:
    """How far answers move when the border shows something else.

    Attributes:
        ids: Of the rows tried.
        width: Of the border, as a share of the side.
        moved: (contents, rows) the largest change of any of a row's probabilities; NaN where it has no answer.
        flipped: bool (contents, rows) whether the answer is another one.
    """

    ids: tuple[str, ...]
    width: float
    moved: NDArray[np.float64]
    flipped: NDArray[np.bool_]


def contents(shape: tuple[int, int, int], seed: int, *, count: int = CONTENTS) -> Iterator[FloatArray]:
    """Yield ``count`` random pictures float32 (H, W, C) in [0, 1]: each of noise between two grey levels of its own.

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
    """Return how the answers on the probe rows move when the border shows other things; computed once, then stored.

    Args:
        evidence: On the model.
        width: Of the border, as a share of the side.
        count: How many contents.

    Raises:
        ArgumentError: As `roentgate.perturbations.border.border_pixels`, or ``count`` is less than 1.
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
    ring = border_mask((images.shape[1], images.shape[2]), width)[:, :, None]
    moved, flipped = [], []
    for content in contents(candidate.task.image_shape, candidate.task.seed, count=count):
        answers = candidate.predict(np.where(ring, content, images))
        moved.append(np.abs(answers.astype(np.float64) - whole).max(axis=1))
        flipped.append(answers.argmax(axis=1) != whole.argmax(axis=1))
    return {"moved": np.stack(moved), "flipped": np.stack(flipped)}


def largest_change(record: InvarianceRecord) -> Estimate:
    """Largest change of a probability under any of the contents (0 to 1, lower is better, 0: the border is not read).

    Returns:
        The maximum over contents, rows and classes, which is its own interval: all that the family holds was tried. n
        is the number of rows; without rows, or where a row has no answer, NaN in [0, 1]. Failing: the rows whose
        answer becomes another one, those that move most first.
    """
    tried, n = record.moved.shape
    width = f"{100 * record.width:g}% border"
    if not n or not np.isfinite(record.moved).all():
        words = "no rows" if not n else "a row has no answer"
        return undefined(n, low=0.0, high=1.0, method="census", detail=f"{words}: {tried} contents of the {width}")
    largest, order = record.moved.max(axis=0), np.argsort(-record.moved.max(axis=0), kind="stable")
    lost: NDArray[np.bool_] = np.any(record.flipped, axis=0)
    value = float(largest.max())
    detail = (
        f"{tried} random contents of the {width}, all tried on {n} rows: {int(lost.sum())} rows change their answer "
        f"under some content, {int(record.flipped.sum())} of {tried * n} answers change"
    )
    return Estimate(
        value=value, low=value, high=value, n=n, method="census", detail=detail,
        failing=tuple(record.ids[row] for row in order if lost[row]),
    )  # fmt: skip
