"""Images rotated by a few degrees or shifted by a few per cent."""

from functools import lru_cache
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray
from roentgate.errors import ArgumentError

_Corners = tuple[tuple[NDArray[np.int64], FloatArray], ...]


def rotated(images: FloatArray, degrees: float) -> FloatArray:
    """Return images rotated about their centre.

    Pixels from beyond the image take the value of the nearest edge pixel.

    Args:
        images: float32 [N, H, W, C] in [0, 1], not modified.
        degrees: Counter-clockwise as seen on a screen, -45 to 45.

    Returns:
        float32 [N, H, W, C] in [0, 1]. Bilinear interpolation makes them slightly smoother.

    Raises:
        ArgumentError: The angle is beyond 45 degrees.
    """
    if not -45 <= degrees <= 45:
        raise ArgumentError(f"a rotation by {degrees} degrees is not small; give -45 to 45")
    flat = images.reshape(len(images), -1, images.shape[3])
    corners = _bilinear(images.shape[1], images.shape[2], degrees)
    result: FloatArray = np.zeros_like(flat)
    for places, weights in corners:
        result += np.take(flat, places, axis=1) * weights[:, None]
    return np.clip(result, 0, 1).reshape(images.shape)


def shifted(images: FloatArray, down: float, right: float) -> FloatArray:
    """Return images shifted by whole pixels, with the edge repeated.

    Args:
        images: float32 [N, H, W, C], not modified.
        down: Share of the height, -0.5 to 0.5. A share other than 0 shifts by at least one pixel.
        right: Share of the width, with the same limits.

    Returns:
        float32 [N, H, W, C], without smoothing.

    Raises:
        ArgumentError: A share is beyond 0.5.
    """
    rows, columns = (_origins(side, share) for side, share in zip(images.shape[1:3], (down, right), strict=True))
    return images[:, rows[:, None], columns[None, :]]


def _origins(side: int, share: float) -> NDArray[np.int64]:
    """Return the position that each pixel along an axis is taken from."""
    if not -0.5 <= share <= 0.5:
        raise ArgumentError(f"a shift by {share} of the side is not small; give -0.5 to 0.5")
    pixels = max(1, round(abs(share) * side)) * int(np.sign(share))
    return np.clip(np.arange(side) - pixels, 0, side - 1)


@lru_cache(maxsize=16)
def _bilinear(height: int, width: int, degrees: float) -> _Corners:
    """Return the four pixels that each pixel is interpolated from, and their weights.

    Each of the four is a pair of flat indices int64 [H * W] and weights float32 [H * W]. The weights of a pixel sum
    to 1.
    """
    cosine, sine = cos(radians(degrees)), sin(radians(degrees))
    rows, columns = np.mgrid[:height, :width]
    y, x = rows - (height - 1) / 2, columns - (width - 1) / 2
    row = np.clip(cosine * y + sine * x + (height - 1) / 2, 0, height - 1).ravel()
    column = np.clip(cosine * x - sine * y + (width - 1) / 2, 0, width - 1).ravel()
    top, left = np.minimum(row.astype(np.int64), height - 2), np.minimum(column.astype(np.int64), width - 2)
    below, right = row - top, column - left
    return tuple(
        ((top + down) * width + left + across, (_weight(below, down) * _weight(right, across)).astype(np.float32))
        for down in (0, 1)
        for across in (0, 1)
    )


def _weight(fraction: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    return fraction if step else 1 - fraction
