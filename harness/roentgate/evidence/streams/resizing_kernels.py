"""The kernels by which streams usually resize images, and which of them a stream uses.

Kernels of Pillow are Pillow's own. Those of ``tf.image`` are matrices, so that TensorFlow need not be imported.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray, Images
from roentgate.data import Interpolation, area_matrix, images, read_header
from roentgate.evidence.streams.image_matching import fit_affine

Weight = Callable[[NDArray[np.float64]], NDArray[np.float64]]

FITS = 1e-3
"""Largest residual of a kernel that fits."""
SAMPLE = 16
"""Number of images by which a kernel is found."""

_ROUNDING = 5e-5  # residual that rounding to whole grey levels leaves
_AS_GOOD = 3.0


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.clip(1 - np.abs(x), 0, None)
    return weights


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' kernel with a = -0.5."""
    x = np.abs(x)
    inner, outer = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_WEIGHTS: Final[dict[str, Weight]] = {"bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos}
_PILLOW: Final[dict[str, Interpolation]] = {f"Pillow's {name}": name for name in get_args(Interpolation)}
_TENSORFLOW: Final = {
    **{f"tf.image {name}": (name, False) for name in _WEIGHTS},
    **{f"tf.image {name} with antialiasing": (name, True) for name in _WEIGHTS},
    "tf.image area": ("area", False),
    "tf.image nearest": ("nearest", False),
    "tf.image nearest of version 1": ("first nearest", False),
    "tf.image bilinear of version 1": ("first bilinear", False),
}
KERNELS: Final = (*_PILLOW, *_TENSORFLOW)
"""Names of the kernels."""


def card_kernel(interpolation: Interpolation) -> str:
    """Return the name of the kernel that a data card names."""
    return f"Pillow's {interpolation}"


def resized(path: Path, shape: tuple[int, int, int], kernel: str) -> FloatArray:
    """Return an image resized by a kernel, float32 (H, W, C) in [0, 1].

    Kernels of Pillow round to whole grey levels, those of ``tf.image`` do not.

    Raises:
        DataError: The image cannot be read.
    """
    if kernel in _PILLOW:
        return images.unit(images.read(path, shape, _PILLOW[kernel]))
    header = read_header(path)
    whole = images.unit(images.read(path, (header.height, header.width, shape[2]), "nearest"))
    name, smooth = _TENSORFLOW[kernel]
    rows, columns = (matrix(name, out, side, smooth=smooth) for out, side in zip(shape, whole.shape[:2], strict=False))
    moved: FloatArray = np.einsum("ij,jkc,lk->ilc", rows, whole, columns, optimize=True).astype(np.float32)
    return moved


def resized_rows(paths: Sequence[Path], shape: tuple[int, int, int], kernel: str) -> FloatArray:
    """Return images resized by a kernel, float32 (n, H, W, C)."""
    return np.stack([resized(path, shape, kernel) for path in paths])


@lru_cache(maxsize=256)
def matrix(name: str, out: int, side: int, *, smooth: bool) -> FloatArray:
    """Return float32 (out, side) that resizes ``side`` pixels to ``out``.

    Args:
        name: ``nearest``, ``bilinear``, ``bicubic``, ``lanczos3`` or ``area``, or ``first nearest`` and ``first
            bilinear``, whose pixels begin at the corner.
        out: New number of pixels.
        side: Old number of pixels.
        smooth: Whether the kernel is widened where pixels are left out (antialiasing).
    """
    if name == "area":
        return area_matrix(out, side)
    scale, pixels = side / out, np.arange(side)
    if name == "first bilinear":
        corner: FloatArray = _triangle(pixels - np.minimum(np.arange(out) * scale, side - 1)[:, None]).astype(
            np.float32
        )
        return corner
    if name.endswith("nearest"):  # in single precision, as there, which decides ties
        place = (np.arange(out, dtype=np.float32) + np.float32(name == "nearest") / 2) * np.float32(scale)
        taken: FloatArray = (pixels == np.minimum(np.floor(place), side - 1)[:, None]).astype(np.float32)
        return taken
    place = (np.arange(out) + 0.5) * scale - 0.5
    weights = _WEIGHTS[name]((pixels - place[:, None]) / (max(scale, 1.0) if smooth else 1.0))
    rows: FloatArray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


def fitting(
    streamed: NDArray[np.generic], paths: Sequence[Path], channels: int, prepare: Callable[[Images], Images]
) -> list[str]:
    """Return the kernels by which images may have been resized, the best first.

    Several may be alike, such as all of them where an image keeps its size. None is returned if no kernel fits, or if
    no image was resized.

    Args:
        streamed: Images (n, H, W, C) as the stream delivered them. A mirrored image fits as well.
        paths: Their files.
        channels: Channels of the canonical images.
        prepare: What the model file does to canonical images.
    """
    chosen = [index for index, path in enumerate(paths) if not _keeps_size(path, streamed.shape)][:SAMPLE]
    if not chosen:
        return []
    shape = (streamed.shape[1], streamed.shape[2], channels)
    residuals: dict[str, float] = {}
    for kernel in KERNELS:
        canonical = prepare(resized_rows([paths[index] for index in chosen], shape, kernel))
        plain, mirrored = (fit_affine(each, canonical)[2] for each in (streamed[chosen], streamed[chosen][:, :, ::-1]))
        residuals[kernel] = float(np.nanmedian(np.fmin(plain, mirrored)))
    best = min(residuals.values())
    if not best <= FITS:
        return []
    limit = min(max(_AS_GOOD * best, _ROUNDING), FITS)
    return sorted((name for name in KERNELS if residuals[name] <= limit), key=lambda name: residuals[name])


def _keeps_size(path: Path, shape: tuple[int, ...]) -> bool:
    header = read_header(path)
    return (header.height, header.width) == shape[1:3]
