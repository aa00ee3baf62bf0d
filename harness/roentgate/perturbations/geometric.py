"""An image laid a little differently: rotated by a few degrees, shifted by a few per cent of its side."""

from functools import lru_cache
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray
from roentgate.errors import ArgumentError

_Corners = tuple[tuple[NDArray[np.int64], FloatArray], ...]


def rotated(images: FloatArray, degrees: float) -> FloatArray:
    """Return images rotated about their centre, what turns in from outside being the nearest edge pixel.

    Args:
        images: float32 [N, H, W, C] in [0, 1]; not modified.
        degrees: Counter-clockwise as seen on a screen, -45 to 45.

    Returns:
        float32 [N, H, W, C] in [0, 1], bilinear, so a little smoother than before.

    Raises:
        ArgumentError: More than 45 degrees.
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
    """Return images shifted by whole pixels, the edge being repeated: nothing is smoothed.

    Args:
        images: float32 [N, H, W, C]; not modified.
        down: Share of the height, -0.5 to 0.5; of what is not 0, at least one pixel.
        right: Share of the width, likewise.

    Returns:
        float32 [N, H, W, C].

    Raises:
        ArgumentError: A share beyond 0.5.
    """
    rows, columns = (_moved(side, share) for side, share in zip(images.shape[1:3], (down, right), strict=True))
    return images[:, rows[:, None], columns[None, :]]


def _moved(side: int, share: float) -> NDArray[np.int64]:
    """Return for each place along an axis the place whose pixel comes to lie there."""
    if not -0.5 <= share <= 0.5:
        raise ArgumentError(f"a shift by {share} of the side is not small; give -0.5 to 0.5")
    pixels = max(1, round(abs(share) * side)) * int(np.sign(share))
    return np.clip(np.arange(side) - pixels, 0, side - 1)


@lru_cache(maxsize=16)
def _bilinear(height: int, width: int, degrees: float) -> _Corners:
    """Return the four neighbours of each pixel's origin, flat int64 [H * W], and their weights, which sum to 1."""
    across, down = cos(radians(degrees)), sin(radians(degrees))
    rows, columns = np.mgrid[:height, :width]
    below, beside = rows - (height - 1) / 2, columns - (width - 1) / 2
    row = np.clip(across * below + down * beside + (height - 1) / 2, 0, height - 1).ravel()
    column = np.clip(across * beside - down * below + (width - 1) / 2, 0, width - 1).ravel()
    top, left = np.minimum(row.astype(np.int64), height - 2), np.minimum(column.astype(np.int64), width - 2)
    lower, further = row - top, column - left
    return tuple(
        ((top + step) * width + left + side, (_share(lower, step) * _share(further, side)).astype(np.float32))
        for step in (0, 1)
        for side in (0, 1)
    )


def _share(part: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    return part if step else 1 - part
