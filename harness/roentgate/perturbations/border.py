"""Images with the border, the interior or any other pixels hidden.

A border can also be replaced by that of another image, the donor.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.arrays import BoolArray, FloatArray, IntArray
from roentgate.errors import ArgumentError, did_you_mean

Shape = tuple[int, int]

Infill = Literal["black", "mean", "edge", "blur"]
INFILLS: tuple[Infill, ...] = ("black", "mean", "edge", "blur")
"""What hidden pixels are replaced by. Each is computed from the kept pixels alone, so nothing hidden survives in it."""

BLUR = 0.05
"""Standard deviation of the blur infill, as a share of the side."""


def border_pixels(shape: Shape, width: float) -> Shape:
    """Return the thickness of a border in pixels: (rows, columns).

    Each is at least 1, and the border leaves something inside.

    Args:
        shape: (H, W) of the image.
        width: Thickness as a share of each side.

    Raises:
        ArgumentError: ``width`` is not in (0, 0.5), or the border would cover an image of this size.

    Examples:
        >>> border_pixels((256, 128), 0.05)
        (13, 6)
    """
    if not 0 < width < 0.5:
        raise ArgumentError(
            f"border width {width}: not between 0 and 0.5; give the share of the side that one edge of the border takes"
        )
    rows, columns = (max(1, round(width * side)) for side in shape)
    if 2 * rows >= shape[0] or 2 * columns >= shape[1]:
        raise ArgumentError(
            f"border width {width}: hides all of a {shape[0]}x{shape[1]} image; use a narrower border or larger images"
        )
    return rows, columns


@lru_cache(maxsize=64)
def border_mask(shape: Shape, width: float) -> BoolArray:
    """Return the pixels of the outer border: read-only bool [H, W].

    Raises:
        ArgumentError: As `border_pixels`.
    """
    rows, columns = border_pixels(shape, width)
    mask = np.ones(shape, dtype=bool)
    mask[rows:-rows, columns:-columns] = False
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=64)
def interior_mask(shape: Shape, width: float) -> BoolArray:
    """Return a centred rectangle as large as the border: read-only bool [H, W].

    It has the aspect ratio of the image and, up to rounding, the area of the border. At least one pixel is kept on
    every side.

    Raises:
        ArgumentError: As `border_pixels`.
    """
    area = int(border_mask(shape, width).sum())
    height = min(round(shape[0] * sqrt(area / (shape[0] * shape[1]))), shape[0] - 2)
    breadth = min(round(area / height), shape[1] - 2)
    top, left = (shape[0] - height) // 2, (shape[1] - breadth) // 2
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + height, left : left + breadth] = True
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=64)
def core_mask(shape: Shape, width: float) -> BoolArray:
    """Return the pixels inside the border: read-only bool [H, W].

    Raises:
        ArgumentError: As `border_pixels`.
    """
    mask = ~border_mask(shape, width)
    mask.flags.writeable = False
    return mask


class _Batch:
    """A batch of images and its latest edge infill.

    Perturbations that hide the same pixels share that infill.
    """

    def __init__(self, images: FloatArray) -> None:
        self.images = images
        self.shape: Shape = (images.shape[1], images.shape[2])
        self._hidden: BoolArray | None = None
        self._edge = images

    def edge(self, hidden: BoolArray) -> FloatArray:
        """Return the images under the edge infill, not to be modified."""
        if hidden is not self._hidden:  # masks are cached, so the same mask is the same object
            self._hidden, self._edge = hidden, _with_edge_infill(self.images, hidden)
        return self._edge


@dataclass(frozen=True)
class Perturbation(ABC):
    """Hides part of every image.

    Applied to float32 [N, H, W, C] in [0, 1], it returns a new array of that shape.

    Args:
        width: Of the border, as a share of the side.
        infill: One of `INFILLS`.

    Raises:
        ArgumentError: The infill is unknown. When applied: `border_pixels` refuses the width.
    """

    width: float
    infill: str

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if self.infill not in INFILLS:
            raise ArgumentError(f"infill {self.infill!r}: unknown; {did_you_mean(self.infill, INFILLS)}")

    @property
    def name(self) -> str:
        """A short stable name such as ``border-0.05-black``, part of evidence keys."""
        return f"{self.kind}-{self.width:g}-{self.infill}"

    @abstractmethod
    def hidden(self, shape: Shape) -> BoolArray:
        """Return the pixels that are hidden: read-only bool [H, W]."""

    def __call__(self, images: FloatArray) -> FloatArray:
        """Return the perturbed images: float32 [N, H, W, C]."""
        return self.apply(_Batch(images))

    def apply(self, batch: _Batch) -> FloatArray:
        """Return the perturbed images of a batch, whose edge infill may already be known."""
        return _infilled(batch, self.hidden(batch.shape), self.infill)


class Border(Perturbation):
    """Hides the border."""

    kind = "border"

    def hidden(self, shape: Shape) -> BoolArray:
        """Return the outer border: read-only bool [H, W]."""
        return border_mask(shape, self.width)


class KeepBorder(Perturbation):
    """Hides everything but the border."""

    kind = "keep-border"

    def hidden(self, shape: Shape) -> BoolArray:
        """Return all but the outer border: read-only bool [H, W]."""
        return core_mask(shape, self.width)


class Interior(Perturbation):
    """Hides a centred rectangle as large as the border."""

    kind = "interior"

    def hidden(self, shape: Shape) -> BoolArray:
        """Return the rectangle: read-only bool [H, W]."""
        return interior_mask(shape, self.width)


def hide(images: FloatArray, hidden: BoolArray, infill: str) -> FloatArray:
    """Return the images with a given set of pixels hidden: float32 [N, H, W, C].

    Args:
        images: float32 [N, H, W, C] in [0, 1], not modified.
        hidden: bool [H, W], the pixels to hide. At least one is kept.
        infill: One of `INFILLS`.

    Raises:
        ArgumentError: The infill is unknown, no pixel is kept, or the shapes differ.
    """
    if infill not in INFILLS:
        raise ArgumentError(f"infill {infill!r}: unknown; {did_you_mean(infill, INFILLS)}")
    if hidden.shape != images.shape[1:3] or hidden.all():
        raise ArgumentError(
            f"a mask of shape {hidden.shape} that hides {int(hidden.sum())} pixels does not fit images of shape "
            f"{images.shape}; hide part of an image of that size"
        )
    return _infilled(_Batch(images), hidden, infill)


def apply_each(images: FloatArray, perturbations: Iterable[Perturbation]) -> Iterator[tuple[str, FloatArray]]:
    """Yield the name and the images of each perturbation.

    Consecutive perturbations that hide the same pixels share their work.

    Args:
        images: float32 [N, H, W, C] in [0, 1], not modified.
        perturbations: Fastest in an order that keeps those of one kind and width together.
    """
    batch = _Batch(images)
    for perturbation in perturbations:
        yield perturbation.name, perturbation.apply(batch)


def swap_border(images: FloatArray, donors: FloatArray, width: float) -> FloatArray:
    """Return the images with the borders of their donors: float32 [N, H, W, C].

    Args:
        images: float32 [N, H, W, C], which keep their interior.
        donors: One for each image, of the same shape.
        width: Of the border, as a share of the side.

    Raises:
        ArgumentError: The shapes differ, or `border_pixels` refuses the width.
    """
    if images.shape != donors.shape:
        raise ArgumentError(
            f"donors of shape {donors.shape} do not fit images of shape {images.shape}; give one donor an image"
        )
    border = border_mask((images.shape[1], images.shape[2]), width)
    return np.where(border[:, :, None], donors, images)


def donors(labels: IntArray, classes: Sequence[str], seed: int) -> tuple[IntArray, IntArray]:
    """Return two random donors for every row, each row being a donor once.

    One donor is of another class, the other is of the same class and never the row itself. No row gives its part to
    two rows, so that answers which a donor decides are as independent as the rows. If one class has more than half of
    all rows, the others are too few to give to all of it, and a random part of it has no donor of another class.

    Args:
        labels: Class indices int64 [n].
        classes: The class names. A class without rows gives no donors.
        seed: The same seed gives the same donors.

    Returns:
        Row indices int64 [n] of the donors of another class, and of those of the same class. -1 stands for none.
    """
    generator = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=len(classes))
    largest, same = int(counts.argmax()), np.full(len(labels), -1, dtype=np.int64)
    for label in np.flatnonzero(counts > 1):
        circle = generator.permutation(np.flatnonzero(labels == label))
        same[circle] = np.roll(circle, 1)
    if 2 * counts[largest] < len(labels):
        return _dealt(labels, generator), same
    other = np.full(len(labels), -1, dtype=np.int64)
    many, few = (generator.permutation(np.flatnonzero(rows)) for rows in (labels == largest, labels != largest))
    other[many[: len(few)]] = generator.permutation(few)
    other[few] = generator.permutation(many)[: len(few)]
    return other, same


def _dealt(labels: IntArray, generator: np.random.Generator) -> IntArray:
    """Return a random order of all rows in which each place has a row of another class: int64 [n].

    No class may have half of all rows or more. Then a row that lies in a place of its own class can always be exchanged
    with one for which neither of the two places is of its class.
    """
    dealt = generator.permutation(len(labels))
    for place in np.flatnonzero(labels[dealt] == labels):
        own = labels[place]
        if labels[dealt[place]] == own:
            fitting = np.flatnonzero((labels != own) & (labels[dealt] != own))
            partner = generator.choice(fitting)
            dealt[[place, partner]] = dealt[[partner, place]]
    return dealt


def _infilled(batch: _Batch, hidden: BoolArray, infill: str) -> FloatArray:
    """Return the images of a batch with the hidden pixels replaced."""
    if infill == "edge":
        return batch.edge(hidden).copy()
    if infill == "black":
        return np.where(hidden[:, :, None], np.float32(0), batch.images)
    if infill == "mean":
        return np.where(hidden[:, :, None], _kept_mean(batch.images, hidden)[:, None, None], batch.images)
    return np.where(hidden[:, :, None], blurred(batch.edge(hidden)), batch.images)


@lru_cache(maxsize=64)
def _nearest_kept(shape: Shape, packed: bytes) -> IntArray:
    """Return the flat index of the kept pixel nearest to every pixel: int64 [H * W].

    A kept pixel is nearest to itself. ``packed`` is the mask of hidden pixels as `numpy.packbits` gives it, so that
    it can be a key of the cache.
    """
    hidden = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=shape[0] * shape[1]).astype(bool).reshape(shape)
    row, column = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    nearest: IntArray = row.astype(np.int64) * shape[1] + column
    return nearest.ravel()


def _with_edge_infill(images: FloatArray, hidden: BoolArray) -> FloatArray:
    """Return the images with every hidden pixel replaced by the nearest kept one.

    For a border this is what `numpy.pad` with ``mode="edge"`` gives.
    """
    nearest = _nearest_kept((hidden.shape[0], hidden.shape[1]), np.packbits(hidden).tobytes())
    return np.take(images.reshape(len(images), -1, images.shape[3]), nearest, axis=1).reshape(images.shape)


def _kept_mean(images: FloatArray, hidden: BoolArray) -> FloatArray:
    """Return the mean of the kept pixels: float32 [N, C]."""
    weights: FloatArray = (~hidden / (~hidden).sum()).astype(np.float32).ravel()
    return weights @ images.reshape(len(images), -1, images.shape[3])


def blurred(images: FloatArray) -> FloatArray:
    """Return the images under a Gaussian blur: float32 [N, H, W, C].

    Its standard deviation is `BLUR` times the side. At the border the weights are renormalised.
    """
    planes: NDArray[Any] = np.moveaxis(images, 3, 1)
    (down, rows), (along, columns) = _gaussian(images.shape[1]), _gaussian(images.shape[2])
    return np.moveaxis(down @ (rows @ planes @ columns.T) @ along.T, 1, 3)


@lru_cache(maxsize=16)
def _gaussian(side: int) -> tuple[FloatArray, FloatArray]:
    """Return two thin factors of the matrix that blurs along one axis.

    They are float32 [side, r] and [r, side], and each row of their product sums to 1. A Gaussian this wide lets few
    frequencies through, so that r stays near 40 at any size, to the precision of float32.
    """
    places = np.arange(side)
    weights = np.exp(-0.5 * np.square((places[:, None] - places) / (BLUR * side)))
    outer, strength, inner = np.linalg.svd(weights / weights.sum(axis=1, keepdims=True))
    kept = strength > np.finfo(np.float32).eps * strength[0]
    return (outer[:, kept] * strength[kept]).astype(np.float32), inner[kept].astype(np.float32)
