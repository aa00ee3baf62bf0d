"""Recognition of filters that smooth an image, or even out its contrast, in place.

Such a stem treats every image alike and displaces nothing, so it is no augmentation.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.arrays import Array
from roentgate.data import area_matrix

Plane = NDArray[np.float64]

LINEAR, EVENED = 0.99, 0.9
"""Least R^2 at which an image counts as a smoothed image, and as one with evened contrast.

The second is lower because the window and the exponent of such a layer are not known.
"""
_BLURS = (0.5, 1.0, 2.0, 4.0, 8.0)
_WINDOWS = (2.0, 4.0, 8.0)
_LEAST_SIDE = 16
_MARGIN = 1 / 10
_FARTHEST = 0.75  # pixels. The windows of even length that pooling uses shift by half a pixel
_INVERTED = -0.3


def filters(before: Array, after: Array) -> bool:
    """Whether every image comes out smoothed, or with even contrast, where it was.

    Args:
        before: Images (n, H, W, C).
        after: The same images after the operation, (n, h, w, c), of the same size or smaller.
    """
    if before.ndim != 4 or after.ndim != 4 or len(before) != len(after):
        return False
    sides = zip(after.shape[1:3], before.shape[1:3], strict=True)
    if min(after.shape[1:3]) < _LEAST_SIDE or any(new > old for new, old in sides):
        return False
    return all(_in_place(*pair) for pair in _planes(before, after))


def _planes(before: Array, after: Array) -> Iterator[tuple[Plane, Plane]]:
    """Yield each image's source and result as grey planes of the same size."""
    rows, columns = (area_matrix(after.shape[axis], before.shape[axis]) for axis in (1, 2))
    for image, result in zip(before, after, strict=True):
        source: Plane = np.asarray(rows @ image.mean(axis=-1, dtype=np.float64) @ columns.T, np.float64)
        yield source, np.asarray(result.mean(axis=-1), np.float64)


def _in_place(source: Plane, target: Plane) -> bool:
    fitted, unexplained = _regressed(_inner(_smoothed(source)), _inner(target[None]))
    if 1 - unexplained < LINEAR:
        evened, left = _regressed(_inner(_evened(source)), _inner(target[None]))
        if 1 - left < EVENED or left > unexplained / 2:  # a bent curve of greys is half a smoothed image as well
            return False
        fitted, unexplained = evened, left
    return _alike(source, target) and not _elsewhere(source, target, fitted, unexplained)


def _smoothed(source: Plane) -> Plane:
    return np.stack([source, *(ndimage.gaussian_filter(source, blur) for blur in _BLURS)])


def _evened(source: Plane) -> Plane:
    """Return an image with its contrast evened over windows of several sizes."""
    parts = []
    for window in _WINDOWS:
        mean = ndimage.gaussian_filter(source, window)
        contrast = np.sqrt(ndimage.gaussian_filter((source - mean) ** 2, window))
        parts += [(source - mean) / (contrast + share * contrast.mean() + 1e-9) for share in (0.01, 0.3)]
    return np.stack([*parts, *_smoothed(source)])


def _inner(planes: Plane) -> Plane:
    """Return planes (k, h, w) without the edge, where filters differ in what they see outside."""
    height, width = (round(_MARGIN * side) for side in planes.shape[1:])
    return planes[:, height:-height, width:-width]


def _regressed(bank: Plane, target: Plane) -> tuple[Plane, float]:
    """Return the least-squares fit of a target (1, h, w) by a bank (k, h, w), and 1 - R squared."""
    x, y = bank.reshape(len(bank), -1).T, target.ravel()
    x, y = x - x.mean(axis=0), y - y.mean()
    spread = float(y @ y)
    if spread <= 1e-12 * max(1.0, float(np.square(target).sum())):
        return np.zeros_like(target[0]), 1.0
    fitted = x @ np.linalg.lstsq(x, y, rcond=1e-10)[0]
    return fitted.reshape(target.shape[1:]), float(np.square(y - fitted).sum()) / spread


def _alike(source: Plane, target: Plane) -> bool:
    """Whether bright stays bright."""
    return bool(np.corrcoef(source.ravel(), target.ravel())[0, 1] > _INVERTED)


def _elsewhere(source: Plane, target: Plane, fitted: Plane, unexplained: float) -> bool:
    """Whether the target is better explained by a source that was flipped, turned or shifted.

    It is if at most half as much is left unexplained.
    """
    turned = [source[:, ::-1], source[::-1], source[::-1, ::-1]]
    turned += [np.rot90(source), np.rot90(source, 3)] if source.shape[0] == source.shape[1] else []
    for other in turned:
        bank = np.concatenate([_smoothed(other), _evened(other)])
        if _regressed(_inner(bank), _inner(target[None]))[1] <= unexplained / 2:
            return True
    return _moved(fitted, _inner(target[None]), unexplained)


def _moved(fitted: Plane, target: Plane, unexplained: float) -> bool:
    """Whether a small shift, rotation or zoom of the fit explains half of what it leaves."""
    down, across = np.gradient(fitted)
    height, width = fitted.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    moves = [down, across, x * down * width / height - y * across * height / width, x * across + y * down]
    bank = np.stack([fitted, *moves]).reshape(5, -1).T
    bank, values = bank - bank.mean(axis=0), target.ravel() - target.mean()
    weights = np.linalg.lstsq(bank, values, rcond=None)[0]
    left = float(np.square(values - bank @ weights).sum()) / max(float(values @ values), 1e-300)
    farthest = float(np.abs(weights[1:]).max() / max(abs(weights[0]), 1e-9))
    return left <= unexplained / 2 and farthest > _FARTHEST
