"""Recognition of what an operation does to the geometry of an image.

Cropping, padding, resizing and rescaling are allowed. Flips, rotations, shifts and blur are not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from roentgate.arrays import Array, Images

ALIKE = 0.995
"""Least R^2 at which one image counts as an affine rescale of another."""


def keeps(before: Array, after: Array) -> bool:
    """Whether an operation keeps the content of its images.

    It does if images come out unchanged, with repeated channels, rescaled, cut into patches, or smaller.
    """
    if _repeats_channels(before, after) or _is_patches(before, after) or _rescales(before, after):
        return True
    smaller = before.ndim == after.ndim == 4 and all(
        new < old for new, old in zip(after.shape[1:3], before.shape[1:3], strict=True)
    )
    return smaller and not displaced_any(before, after)


def _rescales(before: Array, after: Array) -> bool:
    """Whether every channel is rescaled with positive gain, up to rounding."""
    if before.ndim != 4 or before.shape != after.shape:
        return False
    pixels = (len(before), -1, before.shape[3])
    x, y = (np.asarray(each, np.float64).reshape(pixels) for each in (before, after))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    spread = (x * x).sum(axis=1, keepdims=True)
    gain = np.divide((x * y).sum(axis=1, keepdims=True), spread, out=np.zeros_like(spread), where=spread > 0)
    rounding = 1e-5 * np.maximum(np.abs(after).max(initial=0), np.abs(y).max(initial=0))
    return bool((np.abs(y - gain * x) <= rounding).all() and (gain > 0).all())


def _is_patches(before: Array, after: Array) -> bool:
    """Whether images were only reshaped or cut into square patches."""
    if len(before) != len(after) or before.size != after.size:
        return False
    if _same(before.reshape(after.shape), after):
        return True
    if before.ndim != 4 or after.ndim not in {3, 4}:
        return False
    _, height, width, channels = before.shape
    side = round((after.shape[-1] / channels) ** 0.5)
    if side < 1 or height % side or width % side or side * side * channels != after.shape[-1]:
        return False
    rows, columns = height // side, width // side
    patches = before.reshape(-1, rows, side, columns, side, channels).swapaxes(2, 3)
    return _same(patches.reshape(after.shape), after)


def _repeats_channels(before: Array, after: Array) -> bool:
    """Whether every output channel equals an input channel bit for bit."""
    if before.ndim != 4 or after.ndim != 4 or before.shape[:3] != after.shape[:3]:
        return _same(before, after)
    channels = range(before.shape[3])
    return all(any(_same(before[..., i], after[..., j]) for i in channels) for j in range(after.shape[3]))


def _same(first: Array, second: Array) -> bool:
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=True))


def displaced_any(images: Array, outputs: Array) -> str:
    """Return the first description that `displaced` gives of any image.

    "" if it gives none. Outputs that are not one per image are judged by the first.
    """
    if len(images) != len(outputs):
        return displaced(images, outputs)
    pairs = zip(images, outputs, strict=True)
    descriptions = (displaced(image[None], output[None]) for image, output in pairs)
    return next((description for description in descriptions if description), "")


def displaced(images: Array, outputs: Array) -> str:
    """Return how ``outputs`` displace the first of ``images``.

    Args:
        images: Probe images (n, H, W, C).
        outputs: The images after the operation, (n, h, w, c). Other shapes are not judged.

    Returns:
        A description such as "flips the image left to right". "" if the image is only cropped, padded, resized or
        rescaled.
    """
    if outputs.ndim != 4 or outputs.shape[1] < 8 or outputs.shape[2] < 8:
        return ""
    source = np.asarray(images[0].mean(axis=-1), np.float64)
    target = np.asarray(outputs[0].mean(axis=-1), np.float64)
    inside, corner = _trim(target)
    place = corner if target.shape == source.shape else None
    plain = _fit(source, inside, place)
    if plain >= ALIKE:
        return ""
    operations = {
        "flips the image left to right": source[:, ::-1],
        "flips the image upside down": source[::-1],
        "rotates the image by 180 degrees": source[::-1, ::-1],
        "rotates the image by 90 degrees": np.rot90(source),
        "rotates the image by 270 degrees": np.rot90(source, 3),
        "blurs the image": ndimage.gaussian_filter(source, 2.0),
        "shifts the image": _shifted(source, inside),
    }
    fits = {description: _fit(image, inside, place) for description, image in operations.items()}
    best = max(fits, key=lambda description: fits[description])
    # The description must explain at least half of the variance that the unchanged image leaves unexplained.
    explains = fits[best] >= max(0.9, plain + (1 - plain) / 2)
    return best if explains else "changes the image by more than crop, pad, resize and rescale"


def _trim(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return an image without constant padding, and where its corner was."""
    rows = np.flatnonzero(np.ptp(image, axis=1) > 0)
    columns = np.flatnonzero(np.ptp(image, axis=0) > 0)
    if not len(rows) or not len(columns):
        return image, (0, 0)
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (int(rows[0]), int(columns[0]))


def _fit(source: NDArray[np.float64], target: NDArray[np.float64], place: tuple[int, int] | None) -> float:
    """Return the best R^2 of the target against allowed changes of the source.

    Allowed are the resized source and crops of it.

    Args:
        source: Image (H, W).
        target: Image (h, w).
        place: Top left corner of the crop for an image that keeps its size, since any other place is a shift. None
            allows every place.
    """
    height, width = target.shape
    fits = [0.0]
    if height <= source.shape[0] and width <= source.shape[1]:
        top, left = place or _best_crop(source, target)
        fits.append(_r2(source[top : top + height, left : left + width], target))
    zoom = (height / source.shape[0], width / source.shape[1])
    for order in () if target.shape == source.shape else (0, 1, 3):
        resized = ndimage.zoom(source, zoom, order=order, grid_mode=True, mode="nearest")
        fits.append(_r2(resized, target))
    return max(fits)


def _best_crop(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[int, int]:
    """Return the top left corner of the crop that correlates best."""
    kernel = target - target.mean()
    ones = np.ones_like(target)
    sums, squares = (signal.fftconvolve(values, ones, mode="valid") for values in (source, source**2))
    spread = np.maximum(squares - sums**2 / target.size, 1e-9)
    matches = signal.fftconvolve(source, kernel[::-1, ::-1], mode="valid") ** 2 / spread
    top, left = np.unravel_index(int(matches.argmax()), matches.shape)
    return int(top), int(left)


def _shifted(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the source, shifted to where it correlates best with the target.

    The shift is in whole pixels and wraps around.
    """
    if source.shape != target.shape:
        return source
    spectrum = np.fft.rfft2(source - source.mean()) * np.conj(np.fft.rfft2(target - target.mean()))
    peak = np.unravel_index(np.argmax(np.fft.irfft2(spectrum, source.shape)), source.shape)
    return np.roll(source, (-int(peak[0]), -int(peak[1])), axis=(0, 1))


def _r2(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if first.shape != second.shape or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1]) ** 2


def probe_images(images: Images) -> Images:
    """Return images with an added asymmetric pattern.

    Any flip, rotation or shift is visible in it.
    """
    height, width = images.shape[1:3]
    rows, columns = np.mgrid[0:height, 0:width]
    pattern = 0.5 * rows / height + 0.3 * columns / width
    pattern[: height // 5, : width // 8] += 0.2
    mixed = 0.6 * images + 0.4 * pattern[None, :, :, None].astype(np.float32)
    return np.ascontiguousarray(mixed, dtype=np.float32)
