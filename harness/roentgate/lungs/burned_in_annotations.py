"""Letters and stamps burnt into an image: bright, sharp strokes on an even ground outside the lungs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.arrays import BoolArray, FloatArray
from roentgate.code_key import code_digest
from roentgate.data import Dataset
from roentgate.lungs.lung_masks import LungFields
from roentgate.store import Store, digest

INK = 0.28
"""How far strokes stand out from what a small opening leaves, as a share of the image's grey range."""
GROUND = 0.20
"""Largest spread of the ground around a burned-in annotation (10 to 90 %): ribs and shoulders have livelier
neighbours."""
STEP = 0.25
"""How much brighter the strokes are than that ground, at least."""
SHARP = 0.09
"""Least gradient (90th percentile, a pixel) inside the box: letters have edges, bones have slopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A box: rows ``top`` to ``bottom`` - 1, columns ``left`` to ``right`` - 1, and the grey of its surroundings."""

    top: int
    bottom: int
    left: int
    right: int
    ground: float

    @property
    def box(self) -> tuple[slice, slice]:
        """The box as an index into [H, W]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def find(image: FloatArray, lungs: BoolArray) -> list[Annotation]:
    """Return the burned-in annotations of an image, from the top left.

    It misses letters on an uneven ground and those larger than a fifth of the side: what it returns is to be pasted
    elsewhere, so that a rib taken for a letter would cost more than a letter overlooked.

    Args:
        image: float32 (H, W) in [0, 1].
        lungs: bool (H, W); nothing that touches them is a burned-in annotation.
    """
    height, width = image.shape
    side = min(height, width)
    low = np.quantile(image, 0.01)
    span = max(float(image.max() - low), 1e-6)
    ink = image - ndimage.grey_opening(image, size=max(3, round(0.04 * side) | 1)) > INK * span
    joined, _ = ndimage.label(ndimage.binary_dilation(ink, iterations=max(1, round(0.008 * side))))
    found = []
    for index, box in enumerate(ndimage.find_objects(joined), start=1):
        strokes = ink[box] & (joined[box] == index)
        tall, wide = strokes.shape[0] / height, strokes.shape[1] / width
        fits = 0.02 <= tall <= 0.2 and 0.015 <= wide <= 0.5 and strokes.sum() >= 0.0003 * height * width
        if fits and not lungs[box].any() and (ground := _ground(image, box, strokes, span)) is not None:
            rows, columns = box
            found.append(
                Annotation(top=rows.start, bottom=rows.stop, left=columns.start, right=columns.stop, ground=ground)
            )
    return found


def _ground(image: FloatArray, box: tuple[slice, slice], strokes: BoolArray, span: float) -> float | None:
    """Return the grey around a box whose strokes stand out sharply from an even ground; None for another."""
    margin = max(2, round(0.012 * min(image.shape)))
    rows, columns = box
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    wider = image[top : rows.stop + margin, left : columns.stop + margin]
    around = np.ones(wider.shape, dtype=bool)
    around[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = False
    dark, bright, upper = np.quantile(wider[around], (0.1, 0.9, 0.75))
    slopes = np.hypot(*np.gradient(image[box]))
    even = bright - dark <= GROUND * span
    plain = np.median(image[box][strokes]) - upper >= STEP * span and np.quantile(slopes, 0.9) >= SHARP * span
    return float(np.median(wider[around])) if even and plain else None


def find_each(data: Dataset, fields: LungFields, store: Store) -> list[list[Annotation]]:
    """Return the burned-in annotations of every row of a split; none for a row whose lung field is not trusted. Found
    once, stored.

    Args:
        data: The rows.
        fields: Their lung fields.
        store: Keeps the boxes, by images, lung fields and code.
    """

    def compute() -> dict[str, NDArray[np.float64]]:
        boxes = []
        for start in range(0, len(data), 32):
            rows = np.arange(start, min(start + 32, len(data)))
            for row, image, lungs in zip(rows, data.take(rows).mean(axis=3), fields.take(rows), strict=True):
                if fields.trusted[row]:
                    boxes += [(row, b.top, b.bottom, b.left, b.right, b.ground) for b in find(image, lungs)]
        return {"boxes": np.array(boxes, dtype=np.float64).reshape(-1, 6)}

    kept = store.arrays(
        digest("burned-in annotations", data.fingerprint, fields.fingerprint, code_digest(__name__)), compute
    )
    found: list[list[Annotation]] = [[] for _ in range(len(data))]
    for row, top, bottom, left, right, ground in kept["boxes"].tolist():
        found[int(row)].append(
            Annotation(top=int(top), bottom=int(bottom), left=int(left), right=int(right), ground=ground)
        )
    return found
