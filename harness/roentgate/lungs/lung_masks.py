"""Lung fields of the images of a data set, and which of them are trusted.

They are the masks of the data set or, if it has none, those of the segmenter.
"""

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
from roentgate.data import images as reader
from roentgate.lungs import mask_quality, segmenter
from roentgate.store import Arrays, Store, digest, file_digest, pack, unpack

Predict = Callable[[FloatArray], RealArray]

LEAST_CERTAINTY = 0.92
"""Least certainty of a mask of the segmenter, as `roentgate.lungs.segmenter.certainty` computes it.

With this limit all images that the segmenter was trained with are kept, and 9 % of those turned upside down. With 0.90
it was 35 %. The model card (models/segmenter/README.md) lists what else was known when the limit was set.
"""

LEAST_AGREEMENT = 0.70
"""Least Dice coefficient between a mask of the data and a trusted mask of the segmenter.

A segmenter trained on one hospital reaches at least 0.72 on the images of the other. On drawn images it reaches 0.84.
"""

_BATCH = 32
_SAME_ASPECT = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class LungFields:
    """The lung fields of n images, in one bit for each pixel.

    Attributes:
        shape: (H, W) of the images.
        packed: The bits of the masks, uint8 (n, ceil(H W / 8)), which `take` unpacks.
        reasons: Why the mask of each row is not trusted, "" if it is trusted.
        source: ``data`` for masks that came with the images, ``segmenter`` for masks that it found.
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
        """Digest of the masks and the reasons."""
        return digest(self.shape, hashlib.sha256(self.packed.tobytes()).hexdigest(), self.reasons)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> BoolArray:
        """Return the masks of the given rows, trusted or not.

        Args:
            rows: Row indices (k,). Negative ones count from the end.

        Returns:
            bool (k, H, W), true in the lungs, in the order of ``rows``.

        Raises:
            IndexError: There is no such row.
        """
        bits = np.unpackbits(self.packed[np.asarray(rows, dtype=np.int64)], axis=1, count=self.shape[0] * self.shape[1])
        return bits.view(np.bool_).reshape(-1, *self.shape)


def lung_fields(data: Dataset, store: Store) -> LungFields:
    """Return the lung fields of a split, computed once and stored.

    The masks of the data set are used if it has any, else those of the segmenter. Every mask must be plausible and fit
    its image (`roentgate.lungs.mask_quality`). A mask of the data must also have the proportions of its image, and it
    must not contradict a mask of the segmenter that is certain. The latter reveals the mask of another image. A mask
    of the segmenter must be certain. The reason is kept for each row whose mask fails. Checks that need masks leave
    such a row out and report it.

    Args:
        data: The rows. The masks of a data set are image files, resized like the images (nearest neighbour). A pixel
            is lung if it is brighter than half of the brightest pixel of the mask.
        store: Keeps the result, by images, masks, weights of the segmenter and code.

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
    """Return the lung fields that the segmenter finds, and the reasons against them.

    Args:
        predict: The network of the segmenter, as `roentgate.lungs.segmenter.lung_probabilities` takes it.
        images: float32 (k, H, W, C) in [0, 1].

    Returns:
        bool (k, H, W), and k reasons, "" for a mask that is trusted.
    """
    probabilities = segmenter.lung_probabilities(predict, images)
    masks = np.stack([segmenter.fields(probability) for probability in probabilities])
    uncertain = [_uncertain(*pair) for pair in zip(probabilities, masks, strict=True)]
    implausible = mask_quality.doubts(masks, images)
    return masks, [quality or certainty for quality, certainty in zip(implausible, uncertain, strict=True)]


def doubted(predict: Predict, masks: BoolArray, images: FloatArray) -> list[str]:
    """Return the reasons against masks that came with images.

    A mask may be implausible, or the segmenter may contradict it.

    Args:
        predict: The network of the segmenter, as `roentgate.lungs.segmenter.lung_probabilities` takes it.
        masks: bool (k, H, W).
        images: float32 (k, H, W, C) in [0, 1].

    Returns:
        k reasons, "" for a mask that is trusted.
    """
    found, uncertain = segmented(predict, images)
    reasons = mask_quality.doubts(masks, images)
    for row, (mask, segmenter_mask) in enumerate(zip(masks, found, strict=True)):
        agreement = segmenter.dice(mask, segmenter_mask)
        if not reasons[row] and not uncertain[row] and agreement < LEAST_AGREEMENT:
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
            found = doubted(predict, masks, images)
            doubts = [geometry or content for geometry, content in zip(distorted, found, strict=True)]
        packed[rows] = np.packbits(masks.reshape(len(masks), -1), axis=1)
        reasons += doubts
    return {"packed": packed, "reasons": pack(reasons)}


def _read(paths: Sequence[Path], shape: reader.Shape) -> BoolArray:
    """Return masks of the data: bool (k, H, W)."""
    read = reader.read_each(paths, (*shape[:2], 1), "nearest")
    pixels = np.stack([reader.unit(mask)[:, :, 0] for mask in read])
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
    value = segmenter.certainty(probability, mask)
    return f"certainty: {value:.2f}, below {LEAST_CERTAINTY:.2f}" if mask.any() and value < LEAST_CERTAINTY else ""


def _distorted(image: Path, mask: Path) -> str:
    of_image, of_mask = read_header(image), read_header(mask)
    ratio = (of_mask.width / of_mask.height) / (of_image.width / of_image.height)
    if abs(ratio - 1) <= _SAME_ASPECT:
        return ""
    size = f"{of_mask.width} x {of_mask.height}"
    return f"geometry: the mask is {size}, its image {of_image.width} x {of_image.height} pixels"
