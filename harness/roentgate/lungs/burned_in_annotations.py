"""Burned-in annotations: letters and stamps outside the lungs.

They are found as bright, sharp strokes on an even ground.
"""

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
"""Least contrast of a stroke to a small morphological opening of the image, as a share of its grey range."""
GROUND = 0.20
"""Largest spread of the ground around an annotation, from the 10th to the 90th percentile.

The surroundings of ribs and shoulders vary more. Like the two limits below, it is a share of the grey range.
"""
STEP = 0.25
"""Least difference in brightness between the strokes and the ground."""
SHARP = 0.09
"""Least gradient per pixel inside the box (90th percentile). Letters have sharper edges than bones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """The box of a burned-in annotation.

    Attributes:
        top: First row.
        bottom: Row after the last.
        left: First column.
        right: Column after the last.
        ground: Median grey of the surroundings, 0 to 1.
    """

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

    Letters on an uneven ground are missed, and so are those taller than a fifth of the image. What is found is pasted
    into other images, so that a rib taken for a letter does more harm than a letter overlooked.

    Args:
        image: float32 (H, W) in [0, 1].
        lungs: bool (H, W). Nothing that touches them counts as an annotation.
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
    """Return the median grey around a box.

    None is returned unless the strokes stand out sharply from an even ground.
    """
    margin = max(2, round(0.012 * min(image.shape)))
    rows, columns = box
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    wider = image[top : rows.stop + margin, left : columns.stop + margin]
    around = np.ones(wider.shape, dtype=bool)
    around[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = False
    dark, bright, upper = np.quantile(wider[around], (0.1, 0.9, 0.75))
    slopes = np.hypot(*np.gradient(image[box]))
    even = bright - dark <= GROUND * span
    distinct = np.median(image[box][strokes]) - upper >= STEP * span and np.quantile(slopes, 0.9) >= SHARP * span
    return float(np.median(wider[around])) if even and distinct else None


def find_each(data: Dataset, fields: LungFields, store: Store) -> list[list[Annotation]]:
    """Return the burned-in annotations of every row of a split.

    A row whose lung field is not trusted has none. The boxes are computed once and stored.

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
