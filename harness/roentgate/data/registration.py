"""Decides whether two images show the same picture.

One is laid over the other by an affine map, many pairs at a time.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.arrays import FloatArray

COARSE, FINE = 32, 128
"""Sides in pixels of two kinds of thumbnails: laid over each other, and compared in detail."""

COPY = 0.90
"""Correlation of detail from which two images are the same.

Copies reach 0.96 and other images 0.88 (reports/duplicates.md).
"""

_STEPS = 12
_LARGEST_STEP = 0.1
LEAST_OVERLAP = 0.7
# Blurs in pixels of FINE. Ribs, vessels and text lie between them, noise and the shape common to all chests do not.
_BAND = (1.0, 4.0)
_NEIGHBOURHOOD = 8.0
_LEAST_CONTRAST = 0.1
_NOTHING = 1e-6
_EDGE = FINE // 16
_BLOCK = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How well pairs of images agree once one is laid over the other.

    Attributes:
        agreement: Correlation (n,) of the overlap at 32x32, or -1 if they overlap too little.
        detail: Correlation (n,) of the overlap at 128x128, band-passed between a blur of 1 and of 4 pixels, with the
            contrast evened out over 8 pixels. NaN if ``agreement`` is below the level asked for.
    """

    agreement: FloatArray
    detail: FloatArray


def align(
    first: FloatArray, second: FloatArray, start: FloatArray, *, at_least: float, overlap: float = LEAST_OVERLAP
) -> Alignment:
    """Return the agreement of image pairs after laying one over the other.

    Brightness and contrast do not count. Inverse-compositional Gauss-Newton steps find shifts, zooms, crops and
    rotations of a few percent around the given zoom. A mirrored image must be mirrored back before.

    Args:
        first: Thumbnails float32 (n, 128, 128).
        second: Those of their partners, float32 (n, 128, 128).
        start: Starting point: the share of the partner's side that the image is taken to show (n,), or the affine
            maps (n, 2, 3) from the image to its partner, whose coordinates run from -1 to 1.
        at_least: Agreement below which the detail is not compared.
        overlap: Least share of the image that its partner must cover.

    References:
        Baker and Matthews, International Journal of Computer Vision 56 (2004) 221-255.
    """
    agreement = np.full(len(first), -1, np.float32)
    detail = np.full(len(first), np.nan, np.float32)
    for begin in range(0, len(first), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        agreement[rows], maps = _registered(_shrunk(first[rows]), _shrunk(second[rows]), start[rows], overlap)
        near = begin + np.flatnonzero(agreement[rows] >= at_least)
        if near.size:
            detail[near] = _detail(first[near], second[near], maps[near - begin])
    return Alignment(agreement=agreement, detail=detail)


def standard_size(images: NDArray[np.generic]) -> FloatArray:
    """Return images (n, H, W, C) as thumbnails float32 (n, 128, 128).

    Images may have any size and range. Channels are averaged, pixels averaged by area, and brightness runs from 0 to 1
    in each image. A constant image becomes 0.
    """
    grey = images.mean(axis=3, dtype=np.float32)
    small = area_matrix(FINE, grey.shape[1]) @ grey @ area_matrix(FINE, grey.shape[2]).T
    small -= small.min(axis=(1, 2), keepdims=True)
    most = small.max(axis=(1, 2), keepdims=True)
    standard: FloatArray = np.divide(small, most, out=np.zeros_like(small), where=most > 0)
    return standard


@lru_cache(maxsize=32)
def area_matrix(out: int, side: int) -> FloatArray:
    """Return float32 (out, side) that averages ``side`` pixels into ``out`` equal stretches."""
    edges, pixels = np.linspace(0, side, out + 1), np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0, None)
    matrix: FloatArray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def _registered(
    first: FloatArray, second: FloatArray, start: FloatArray, overlap: float
) -> tuple[FloatArray, FloatArray]:
    """Return the best agreement (n,) of all steps, and its map (n, 2, 3)."""
    template = _standard(first, np.ones_like(first))
    jacobian = _jacobian(template)
    hessian = np.einsum("npi,npj->nij", jacobian, jacobian)
    inverse = np.linalg.pinv(hessian + 1e-4 * np.trace(hessian, axis1=1, axis2=2)[:, None, None] * np.eye(6))
    maps = np.zeros((len(first), 2, 3), np.float32)
    if start.ndim == 1:
        maps[:, 0, 0] = maps[:, 1, 1] = start
    else:
        maps[:] = start
    best, kept = np.full(len(first), -1, np.float32), maps.copy()
    for _ in range(_STEPS + 1):
        moved, inside = _warped(second, maps)
        image, partner = _standard(first, inside), _standard(moved, inside)
        agreement = (image * partner).sum(axis=(1, 2))
        agreement[inside.mean(axis=(1, 2)) < overlap] = -1
        better = agreement > best
        best[better], kept[better] = agreement[better], maps[better]
        error = ((partner - image) * inside).reshape(len(first), -1, 1)
        step = (inverse @ (jacobian.transpose(0, 2, 1) @ error))[:, :, 0]
        maps = _composed(maps, np.clip(step, -_LARGEST_STEP, _LARGEST_STEP))
    return best, kept


def _jacobian(template: FloatArray) -> FloatArray:
    """Return the derivative of the template's pixels by a map's six numbers.

    The shape is (n, pixels, 6).
    """
    x, y = _grid(template.shape[1])
    half = template.shape[1] / 2
    down, across = np.gradient(template, axis=(1, 2))
    parts = [across * half, across * half * x, across * half * y, down * half, down * half * x, down * half * y]
    return np.stack(parts, axis=-1).reshape(len(template), -1, 6).astype(np.float32)


def _composed(maps: FloatArray, step: NDArray[np.floating]) -> FloatArray:
    """Return each map composed with the inverse map of its step.

    The six numbers of a step are (shift, x, y) across, then (shift, x, y) down.
    """
    matrix = np.zeros((len(maps), 3, 3))
    matrix[:, 0] = step[:, [1, 2, 0]]
    matrix[:, 1] = step[:, [4, 5, 3]]
    matrix += np.eye(3)
    whole = np.concatenate([maps, np.broadcast_to([[0.0, 0.0, 1.0]], (len(maps), 1, 3))], axis=1)
    composed: FloatArray = (whole @ np.linalg.inv(matrix))[:, :2].astype(np.float32)
    return composed


def _detail(first: FloatArray, second: FloatArray, maps: FloatArray) -> FloatArray:
    """Return the correlation (n,) of both images' fine structure.

    It is taken over their overlap, without the outermost pixels.
    """
    moved, inside = _warped(second, maps)
    inside = inside.copy()
    for edge in (np.s_[:, :_EDGE], np.s_[:, -_EDGE:], np.s_[:, :, :_EDGE], np.s_[:, :, -_EDGE:]):
        inside[edge] = 0
    image, partner = (_standard(_band(pixels), inside) for pixels in (first, moved))
    correlation: FloatArray = (image * partner).sum(axis=(1, 2))
    return correlation


def _band(images: FloatArray) -> FloatArray:
    """Return the fine structure of images with equal contrast everywhere.

    This undoes a display window that lifts dark or bright parts.
    """
    fine, broad = (_blurred(images, blur) for blur in _BAND)
    band = fine - broad
    contrast = np.sqrt(np.maximum(_blurred(band * band, _NEIGHBOURHOOD), 0))
    even: FloatArray = band / (contrast + _LEAST_CONTRAST * contrast.mean(axis=(1, 2), keepdims=True) + 1e-3)
    return even


def _blurred(images: FloatArray, blur: float) -> FloatArray:
    blurred: FloatArray = ndimage.gaussian_filter(images, (0, blur, blur), mode="nearest")
    return blurred


def _standard(images: FloatArray, inside: FloatArray) -> FloatArray:
    """Return images centred and of unit length over the pixels inside.

    They are 0 outside. A constant image becomes 0.
    """
    mean = (images * inside).sum(axis=(1, 2), keepdims=True) / np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1)
    centred = (images - mean) * inside
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    standard: FloatArray = np.divide(centred, length, out=np.zeros_like(centred), where=length > _NOTHING)
    return standard


def _warped(images: FloatArray, maps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return images (n, s, s) moved by the maps, and their extent.

    Pixels are interpolated bilinearly. The extent is 1 inside the original image and 0 outside.
    """
    side = images.shape[1]
    x, y = _grid(side)
    across, down = (
        maps[:, axis, 0, None, None] * x + maps[:, axis, 1, None, None] * y + maps[:, axis, 2, None, None]
        for axis in (0, 1)
    )
    inside = ((np.abs(across) <= 1) & (np.abs(down) <= 1)).astype(np.float32)
    column = np.clip((across + 1) * (side / 2) - 0.5, 0, side - 1.001)
    row = np.clip((down + 1) * (side / 2) - 0.5, 0, side - 1.001)
    left, top = column.astype(np.int64), row.astype(np.int64)
    right, low = (column - left).astype(np.float32), (row - top).astype(np.float32)
    flat = images.reshape(-1)
    corner = np.arange(len(images))[:, None, None] * (side * side) + top * side + left
    upper = flat[corner] * (1 - right) + flat[corner + 1] * right
    lower = flat[corner + side] * (1 - right) + flat[corner + side + 1] * right
    return upper * (1 - low) + lower * low, inside


@lru_cache(maxsize=4)
def _grid(side: int) -> tuple[FloatArray, FloatArray]:
    """Return the x and y of each pixel's centre, from -1 to 1."""
    centres = ((np.arange(side) + 0.5) * (2 / side) - 1).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    return x, y


def _shrunk(images: FloatArray) -> FloatArray:
    """Return images (n, 128, 128) averaged to (n, 32, 32)."""
    share = FINE // COARSE
    shrunk: FloatArray = images.reshape(len(images), COARSE, share, COARSE, share).mean(axis=(2, 4))
    return shrunk
