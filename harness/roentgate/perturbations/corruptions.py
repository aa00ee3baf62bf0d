"""Image corruptions that acquisition can cause, each at five severities.

They are coarser pixels, compression, noise, blur and changes of exposure. The parameters are those of MedMNIST-C for
chest images, which are defined at 224 x 224. The code is this project's own.

At another size a blur keeps its share of the side, so that it hides as much of the chest. All other parameters apply
to the pixels that the model is given, as in the table. Noise has its strength in each pixel, coarser pixels are
coarser by a factor, and a JPEG block is 8 pixels wide. At 96 x 96 such a block covers more than twice the share of
the chest.

References:
    Di Salvo, Doerrich and Ledig, MedMNIST-C, arXiv:2406.17536 (2024).
    Hendrycks and Dietterich, ICLR (2019).
"""

import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from roentgate.arrays import FloatArray, IntArray
from roentgate.errors import ArgumentError, did_you_mean

Group = Literal["detail", "noise", "exposure"]

SEVERITIES: Final = (1, 2, 3, 4, 5)
GROUPS: Final[tuple[Group, ...]] = ("detail", "noise", "exposure")
REFERENCE_SIDE: Final = 224
"""Side of the images, in pixels, for which the table gives its blur kernels."""


class _Batch:
    """Images, their rows, and the random numbers of the latest kind of noise.

    The severities of a kind share those numbers.
    """

    def __init__(self, images: FloatArray, rows: IntArray, seed: int) -> None:
        self.images, self.rows, self.seed = images, rows, seed
        self._kind, self._drawn = "", images

    def generator(self, kind: str, index: int) -> np.random.Generator:
        """Return the random generator of one image under one kind of noise.

        It depends on the row of the image, not on the other images of the batch.
        """
        return np.random.default_rng([self.seed, zlib.crc32(kind.encode()), int(self.rows[index])])

    def normal(self, kind: str) -> FloatArray:
        """Return standard normal deviates, not to be modified: float32 [N, H, W, 1].

        There is one for each pixel, so that a grey image of three channels stays grey.
        """
        if kind != self._kind:
            drawn = np.empty((*self.images.shape[:3], 1), np.float32)
            for index, plane in enumerate(drawn):
                self.generator(kind, index).standard_normal(dtype=np.float32, out=plane)
            self._kind, self._drawn = kind, drawn
        return self._drawn

    def uniform(self, kind: str) -> FloatArray:
        """Return numbers uniform in [0, 1), not to be modified: float32 [N, H, W, 1]."""
        if kind != self._kind:
            drawn = np.empty((*self.images.shape[:3], 1), np.float32)
            for index, plane in enumerate(drawn):
                self.generator(kind, index).random(dtype=np.float32, out=plane)
            self._kind, self._drawn = kind, drawn
        return self._drawn


def _pixelate(batch: _Batch, kind: str, factor: float) -> FloatArray:
    """Return the images averaged over pixels 1 / ``factor`` wide."""
    height, width = batch.images.shape[1:3]
    return _along_both(batch.images, _coarse(height, factor), _coarse(width, factor))


def _jpeg(batch: _Batch, kind: str, quality: float) -> FloatArray:
    """Return the images as an 8-bit JPEG file of this quality holds them."""
    result = np.empty_like(batch.images)
    grey = batch.images.shape[3] == 1
    for pixels, target in zip(np.round(batch.images * 255).astype(np.uint8), result, strict=True):
        file = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if grey else pixels).save(file, "JPEG", quality=int(quality))
        with Image.open(file) as image:
            target[:] = np.asarray(image, np.float32).reshape(pixels.shape)
    return result / np.float32(255)


def _gaussian(batch: _Batch, kind: str, deviation: float) -> FloatArray:
    return batch.images + np.float32(deviation) * batch.normal(kind)


def _speckle(batch: _Batch, kind: str, deviation: float) -> FloatArray:
    return batch.images + batch.images * (np.float32(deviation) * batch.normal(kind))


def _impulse(batch: _Batch, kind: str, share: float) -> FloatArray:
    """Return the images with this share of their pixels black or white."""
    drawn, half = batch.uniform(kind), np.float32(share / 2)
    salted: FloatArray = batch.images.copy()
    np.copyto(salted, np.float32(0), where=drawn < half)
    np.copyto(salted, np.float32(1), where=drawn >= 1 - half)
    return salted


def _shot(batch: _Batch, kind: str, photons: float) -> FloatArray:
    """Return the images as Poisson counts of photons.

    ``photons`` is the mean count of a white pixel. A darker pixel has proportionally fewer.
    """
    result = np.empty_like(batch.images)
    for index in range(len(result)):
        for channel in range(result.shape[3]):  # from the same numbers, so that equal channels stay equal
            expected = batch.images[index, :, :, channel] * np.float32(photons)
            result[index, :, :, channel] = batch.generator(kind, index).poisson(expected)
    return result / np.float32(photons)


def _blur(batch: _Batch, kind: str, kernel: float) -> FloatArray:
    """Return the images under a Gaussian blur.

    ``kernel`` is the width in pixels at 224 x 224. The blur has the same share of each side at any size.
    """
    height, width = batch.images.shape[1:3]
    return _along_both(batch.images, _gaussian_matrix(height, kernel), _gaussian_matrix(width, kernel))


def _brightness(batch: _Batch, kind: str, factor: float) -> FloatArray:
    return batch.images * np.float32(factor)


def _contrast(batch: _Batch, kind: str, factor: float) -> FloatArray:
    """Return the images stretched around the mean grey of each."""
    mean: FloatArray = batch.images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + np.float32(factor) * (batch.images - mean)


def _gamma(batch: _Batch, kind: str, exponent: float) -> FloatArray:
    changed: FloatArray = np.power(batch.images, np.float32(exponent))
    return changed


@dataclass(frozen=True, slots=True)
class _Kind:
    group: Group
    parameters: tuple[float, float, float, float, float]
    apply: Callable[[_Batch, str, float], FloatArray]


_KINDS: Final[Mapping[str, _Kind]] = {
    "pixelate": _Kind("detail", (0.8, 0.7, 0.6, 0.5, 0.4), _pixelate),
    "blur": _Kind("detail", (3, 5, 7, 9, 11), _blur),
    "JPEG": _Kind("detail", (50, 30, 15, 10, 7), _jpeg),
    "gaussian noise": _Kind("noise", (0.04, 0.05, 0.06, 0.07, 0.08), _gaussian),
    "speckle noise": _Kind("noise", (0.05, 0.07, 0.10, 0.15, 0.20), _speckle),
    "impulse noise": _Kind("noise", (0.005, 0.01, 0.013, 0.017, 0.02), _impulse),
    "shot noise": _Kind("noise", (300, 200, 150, 100, 80), _shot),
    "brightness up": _Kind("exposure", (1.1, 1.2, 1.3, 1.4, 1.5), _brightness),
    "brightness down": _Kind("exposure", (0.9, 0.8, 0.7, 0.6, 0.5), _brightness),
    "contrast up": _Kind("exposure", (1.1, 1.2, 1.3, 1.4, 1.6), _contrast),
    "contrast down": _Kind("exposure", (0.9, 0.8, 0.7, 0.6, 0.4), _contrast),
    "gamma up": _Kind("exposure", (1.1, 1.2, 1.3, 1.4, 1.6), _gamma),
    "gamma down": _Kind("exposure", (0.9, 0.8, 0.7, 0.6, 0.4), _gamma),
}

KINDS: Final = tuple(_KINDS)
"""The names of the corruptions, group by group."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One corruption of `KINDS` at one of `SEVERITIES`.

    Raises:
        ArgumentError: There is no such corruption or severity.
    """

    kind: str
    severity: int

    def __post_init__(self) -> None:
        check_kind(self.kind)
        if self.severity not in SEVERITIES:
            raise ArgumentError(f"severity {self.severity}: there are {SEVERITIES[0]} to {SEVERITIES[-1]}; name one")

    @property
    def name(self) -> str:
        """A short stable name, part of evidence keys: ``gaussian noise 3``."""
        return f"{self.kind} {self.severity}"

    @property
    def parameter(self) -> float:
        """The parameter that the table gives for this severity.

        Depending on the kind it is a factor, a quality, a standard deviation, a share of pixels, a number of photons,
        a width in pixels at 224 x 224, or an exponent.
        """
        return _KINDS[self.kind].parameters[self.severity - 1]

    def __call__(self, images: FloatArray, rows: IntArray, *, seed: int) -> FloatArray:
        """Return the corrupted images, as `apply_each` does."""
        return next(apply_each(images, rows, [self], seed=seed))[1]


def check_kind(kind: str) -> None:
    """Raise an error if this is none of `KINDS`.

    Raises:
        ArgumentError: There is no such corruption. The message gives the nearest names.
    """
    if kind not in _KINDS:
        raise ArgumentError(f"corruption {kind!r}: unknown; {did_you_mean(kind, KINDS)}")


def group_of(kind: str) -> Group:
    """Return the group of a corruption, one of `GROUPS`.

    Raises:
        ArgumentError: There is no such corruption.
    """
    check_kind(kind)
    return _KINDS[kind].group


def apply_each(
    images: FloatArray, rows: IntArray, corruptions: Iterable[Corruption], *, seed: int
) -> Iterator[tuple[str, FloatArray]]:
    """Yield the name of each corruption and the corrupted images.

    The noise of an image depends on the seed, the kind and its row, not on the other images. The severities of a kind
    share it. A higher severity is therefore more of the same noise, and a curve over the severities does not depend
    on separate draws.

    Args:
        images: float32 [N, H, W, C] in [0, 1], not modified.
        rows: Row of each image, int64 [N], 0 or more.
        corruptions: Fastest in an order that keeps the severities of one kind together.
        seed: Of the noise, 0 or more.

    Yields:
        (name, float32 [N, H, W, C] in [0, 1]), a new array each time.

    Raises:
        ArgumentError: ``images`` are not of that shape and type, or ``rows`` do not number N.
    """
    if images.ndim != 4 or images.dtype != np.float32:
        raise ArgumentError(f"images of shape {images.shape}, {images.dtype}; give float32 [N, H, W, C]")
    if rows.shape != (len(images),):
        raise ArgumentError(f"rows of shape {rows.shape} for {len(images)} images; give the row of each")
    batch = _Batch(images, rows, seed)
    for corruption in corruptions:
        changed = _KINDS[corruption.kind].apply(batch, corruption.kind, corruption.parameter)
        yield corruption.name, np.clip(changed, 0, 1, dtype=np.float32)


def _along_both(images: FloatArray, down: FloatArray, across: FloatArray) -> FloatArray:
    """Return the images with a matrix applied along each axis.

    ``down`` is [H, H], ``across`` is [W, W].
    """
    planes: NDArray[Any] = np.moveaxis(images, 3, 1)
    changed: FloatArray = down @ planes @ across.T
    return np.moveaxis(changed, 1, 3)


@lru_cache(maxsize=32)
def _coarse(side: int, factor: float) -> FloatArray:
    """Return the matrix that averages over coarser pixels: float32 [side, side].

    Each pixel gets the mean of the coarse pixel in which its centre lies.
    """
    coarse = max(1, round(side * factor))
    width = side / coarse
    starts, pixels = np.arange(coarse)[:, None] * width, np.arange(side)[None, :]
    overlap = np.clip(np.minimum(starts + width, pixels + 1) - np.maximum(starts, pixels), 0, None) / width
    nearest = (2 * np.arange(side) + 1) * coarse // (2 * side)
    matrix: FloatArray = overlap[nearest].astype(np.float32)
    return matrix


@lru_cache(maxsize=32)
def _gaussian_matrix(side: int, kernel: float) -> FloatArray:
    """Return the matrix that blurs along one axis: float32 [side, side].

    The edge pixel is repeated beyond the image. A kernel of k pixels has the standard deviation that OpenCV and
    torchvision give it, 0.15 k + 0.35.
    """
    deviation = (0.15 * kernel + 0.35) * side / REFERENCE_SIDE
    blurred = ndimage.gaussian_filter1d(np.eye(side), deviation, axis=0, mode="nearest")
    matrix: FloatArray = blurred.astype(np.float32)
    return matrix
