"""Lung fields of a data set's images: its own masks, or the segmenter's; which of them are trusted, and why not."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roentgate.arrays import BoolArray, FloatArray, RealArray
from roentgate.code_key import code_digest
from roentgate.data import Dataset, read_header
from roentgate.data import images as images
from roentgate.lungs import mask_quality, segmenter
from roentgate.store import Arrays, Store, digest, file_digest, pack, unpack

Predict = Callable[[FloatArray], RealArray]

LEAST_CERTAINTY = 0.92
"""The Dice coefficient that the segmenter must expect of its own mask; see `roentgate.lungs.segmenter.certainty`.

Of images it was trained with this keeps all, and 9 % of those turned upside down, where 0.90 kept 35 %. The card of the
segmenter (models/segmenter/README.md) says what else had been seen when it was set.
"""

LEAST_AGREEMENT = 0.70
"""The Dice coefficient of a mask of the data with the segmenter's, where that one is trusted.

Such a pair has 0.72 or more on each hospital's images by the training on the other hospital's, and 0.84 on drawn
images.
"""

_BATCH = 32
_SAME_ASPECT = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class LungFields:
    """The lung fields of n images, an eighth of a byte a pixel.

    Attributes:
        shape: (H, W) of the images.
        packed: The masks' bits, uint8 (n, ceil(H W / 8)); `take` unpacks them.
        reasons: Why the mask of each row is not trusted; "" where it is.
        source: ``data``: masks that came with the images; ``segmenter``: found by it.
    """

    shape: tuple[int, int]
    packed: NDArray[np.uint8]
    reasons: tuple[str, ...]
    source: Literal["data", "segmenter"]

    def __len__(self) -> int:
        return len(self.reasons)

    @cached_property
    def trusted(self) -> BoolArray:
        """Whether the mask of each row may be used: bool (n,), read-only."""
        trusted = np.array([not reason for reason in self.reasons], dtype=np.bool_)
        trusted.setflags(write=False)
        return trusted

    @cached_property
    def fingerprint(self) -> str:
        """Digest of masks and reasons: whatever is computed with them depends on it."""
        return digest(self.shape, hashlib.sha256(self.packed.tobytes()).hexdigest(), self.reasons)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> BoolArray:
        """Return the masks of the given rows, in the order given, trusted or not.

        Args:
            rows: Row indices (k,); negative ones count from the end.

        Returns:
            bool (k, H, W), true in the lungs.

        Raises:
            IndexError: There is no such row.
        """
        bits = np.unpackbits(self.packed[np.asarray(rows, dtype=np.int64)], axis=1, count=self.shape[0] * self.shape[1])
        return bits.view(np.bool_).reshape(-1, *self.shape)


def lung_fields(data: Dataset, store: Store) -> LungFields:
    """Return the lung fields of a split: its own masks where it has any, else the segmenter's; computed once, stored.

    No mask is taken on trust. It must be plausible and fit its image (`roentgate.lungs.mask_quality`); a mask of the
    data must have the proportions of its image, and where the segmenter trusts its own answer the two must not
    contradict each other (another image's mask is found out so); one of the segmenter must be certain. A row whose mask
    fails has a reason; checks that need masks leave it out, and say so.

    Args:
        data: The rows. Own masks are files that the harness reads as images, resized like them (nearest neighbour);
            lung is what is brighter than half of the mask's brightest pixel.
        store: Keeps the result, by the images, the masks, the segmenter's weights, and the code.

    Raises:
        DataError: An image or mask cannot be decoded.
        ModelError: The segmenter's weights are damaged.
    """
    source: Literal["data", "segmenter"] = "segmenter" if data.masks is None else "data"
    files = (segmenter.WEIGHTS, *(data.masks or ()))
    key = digest("lung fields", data.fingerprint, [file_digest(file) for file in files], code_digest(__name__))
    kept = store.arrays(key, lambda: _computed(data))
    return LungFields(
        shape=data.image_shape[:2], packed=kept["packed"], reasons=tuple(unpack(kept["reasons"])), source=source
    )


def segmented(predict: Predict, images: FloatArray) -> tuple[BoolArray, list[str]]:
    """Return what the segmenter takes for the lung fields of images, and the reasons against it: "" for none.

    Args:
        predict: The segmenter's network, as `roentgate.lungs.segmenter.lung_probabilities` wants it.
        images: float32 (k, H, W, C) in [0, 1].

    Returns:
        bool (k, H, W), and k reasons.
    """
    probabilities = segmenter.lung_probabilities(predict, images)
    masks = np.stack([segmenter.fields(probability) for probability in probabilities])
    unsure = [_uncertain(*pair) for pair in zip(probabilities, masks, strict=True)]
    return masks, [seen or own for seen, own in zip(mask_quality.doubts(masks, images), unsure, strict=True)]


def doubted(predict: Predict, masks: BoolArray, images: FloatArray) -> list[str]:
    """Return why masks that came with images are implausible, or contradicted by the segmenter: "" where they are not.

    Args:
        predict: The segmenter's network, as `roentgate.lungs.segmenter.lung_probabilities` wants it.
        masks: bool (k, H, W).
        images: float32 (k, H, W, C) in [0, 1].
    """
    found, unsure = segmented(predict, images)
    reasons = mask_quality.doubts(masks, images)
    for row, (mask, other) in enumerate(zip(masks, found, strict=True)):
        agreement = segmenter.dice(mask, other)
        if not reasons[row] and not unsure[row] and agreement < LEAST_AGREEMENT:
            reasons[row] = f"agreement: the segmenter, sure of itself, finds other lungs (Dice {agreement:.2f})"
    return reasons


def _computed(data: Dataset) -> Arrays:
    from roentgate.candidates import keras_backend

    predict = keras_backend.KerasModel(keras_backend.load_network(segmenter.WEIGHTS), "lung fields").predict
    packed = np.zeros((len(data), -(-data.image_shape[0] * data.image_shape[1] // 8)), np.uint8)
    reasons: list[str] = []
    for images in _batches(data):
        rows = slice(len(reasons), len(reasons) + len(images))
        if data.masks is None:
            masks, doubts = segmented(predict, images)
        else:
            masks = _read(data.masks[rows], data.image_shape)
            distorted = [_distorted(*pair) for pair in zip(data.paths[rows], data.masks[rows], strict=True)]
            doubts = [own or seen for own, seen in zip(distorted, doubted(predict, masks, images), strict=True)]
        packed[rows] = np.packbits(masks.reshape(len(masks), -1), axis=1)
        reasons += doubts
    return {"packed": packed, "reasons": pack(reasons)}


def _read(paths: Sequence[Path], shape: images.Shape) -> BoolArray:
    """Return masks of the data, bool (k, H, W)."""
    read = images.read_each(paths, (*shape[:2], 1), "nearest")
    pixels = np.stack([images.unit(mask)[:, :, 0] for mask in read])
    masks: BoolArray = pixels > pixels.max(axis=(1, 2), keepdims=True) / 2
    return masks


def _batches(data: Dataset) -> Iterator[FloatArray]:
    bar: tqdm[Any] = tqdm(
        total=len(data), desc=f"lung fields, {data.name}", unit="image", leave=False, mininterval=0.5, delay=1.0
    )
    with bar:
        for images in data.batches(_BATCH):
            yield images
            bar.update(len(images))


def _uncertain(probability: FloatArray, mask: BoolArray) -> str:
    certain = segmenter.certainty(probability, mask)
    return f"certainty: {certain:.2f}, below {LEAST_CERTAINTY:.2f}" if mask.any() and certain < LEAST_CERTAINTY else ""


def _distorted(image: Path, mask: Path) -> str:
    ours, theirs = read_header(image), read_header(mask)
    ratio = (theirs.width / theirs.height) / (ours.width / ours.height)
    if abs(ratio - 1) <= _SAME_ASPECT:
        return ""
    return f"geometry: the mask is {theirs.width} x {theirs.height}, its image {ours.width} x {ours.height} pixels"
