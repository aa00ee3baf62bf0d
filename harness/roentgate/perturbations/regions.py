"""Images with regions hidden, with another background, or without a chest."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.arrays import BoolArray, FloatArray, IntArray, RealArray
from roentgate.perturbations.border import blurred

Infill = Literal["black", "mean", "edge", "blur", "noise"]
REGION_INFILLS: tuple[Infill, ...] = ("black", "mean", "edge", "blur", "noise")
"""What hidden pixels are replaced by.

Each is computed from the kept pixels alone. Noise has their mean and standard deviation.
"""

MILDEST_FIRST: tuple[Infill, ...] = ("mean", "blur", "edge", "noise", "black")
"""The same infills, mildest first.

The order is that of the mean absolute change (0 to 1) of the pixels of the usual lung region: mean 0.15, 0.24 and 0.22
in Shenzhen, in Montgomery and on ``phantom``, blur 0.17, 0.24 and 0.22, edge 0.18, 0.24 and 0.23, noise 0.26, 0.33 and
0.29, black 0.63, 0.45 and 0.43.
"""

SEAM = 0.01
"""Standard deviation of the feathered edge between lungs and background, as a share of the side."""
LETTER = 0.08
"""Height of a drawn letter, as a share of the image's shorter side."""
BLANKS = {"black": 0.0, "grey": 0.5, "white": 1.0}
DRAWN = 16
"""Number of noise images, and of limb images, that `blanks` returns."""

_BAND = 0.03
_BLOB = 0.08
_SIDE = 0.1  # least area of a lung, as a share of both
_EVEN = 0.01  # standard deviation that smooths the bounds of a lung, as a share of the height


def hide(
    images: FloatArray, masks: BoolArray, infills: Iterable[Infill], rows: IntArray, seed: int
) -> Iterator[tuple[Infill, FloatArray]]:
    """Yield each infill and the images with a region hidden under it.

    Args:
        images: float32 [b, H, W, C] in [0, 1], not modified.
        masks: bool [b, H, W], the pixels to hide. An image without any kept pixel is black under every infill.
        infills: Among `REGION_INFILLS`.
        rows: int64 (b,). Row and seed fix the noise of an image, whatever other images come with it.
        seed: Of the noise.
    """
    nearest: FloatArray | None = None
    for infill in infills:
        if infill in {"edge", "blur"} and nearest is None:
            nearest = np.stack([_nearest_kept(*pair) for pair in zip(images, masks, strict=True)])
        if infill == "edge" and nearest is not None:
            replacement = nearest
        elif infill == "blur" and nearest is not None:
            replacement = blurred(nearest)
        elif infill == "black":
            replacement = np.zeros_like(images)
        else:
            replacement = np.stack(
                [
                    _level(image, mask, infill, (seed, int(row)))
                    for image, mask, row in zip(images, masks, rows, strict=True)
                ]
            )
        yield infill, np.where(masks[..., None], replacement, images)


def random_regions(areas: IntArray, shape: tuple[int, int], rows: IntArray, seed: int) -> BoolArray:
    """Return smooth random regions anywhere on the image: bool [b, H, W].

    Args:
        areas: Number of pixels of each region, int64 (b,).
        shape: (H, W).
        rows: int64 (b,). Row and seed fix a region.
        seed: Of the regions.
    """
    regions = np.zeros((len(areas), *shape), dtype=bool)
    for region, area, row in zip(regions, areas, rows, strict=True):
        noise = np.random.default_rng((seed, int(row), 1)).standard_normal(shape)
        smooth = ndimage.gaussian_filter(noise, _BLOB * min(shape), mode="wrap")
        region.reshape(-1)[np.argsort(-smooth, axis=None, kind="stable")[:area]] = True
    return regions


def into_background(image: FloatArray, lungs: BoolArray, background: FloatArray, hole: BoolArray) -> FloatArray:
    """Return the lungs of one image on the background of another.

    Each lung is fitted into its counterpart by itself, row by row: the bounds of a row of the lung become those of the
    row at the same height of its counterpart. No side of a lung is cut off, and no chest wall comes in. The seam is
    feathered (`SEAM`). Brightness and contrast of the lungs are adjusted so that the tissue around them matches
    the tissue around the lungs of the background. The result therefore has the exposure of the background. The contrast
    is lower if more than 1 % of the lungs would otherwise come out black or white and lose their detail.

    Args:
        image: float32 [H, W, C], from which the lungs are taken.
        lungs: bool [H, W], the lungs of ``image``, not empty.
        background: float32 [H, W, C], from which the background is taken.
        hole: bool [H, W], the lungs of ``background``, not empty.

    Returns:
        float32 [H, W, C] in [0, 1].
    """
    aligned = fitted(image, lungs, hole)
    own, target = _tissue(image, lungs), _tissue(background, hole)
    gain = np.clip((target[1] - target[0]) / max(own[1] - own[0], 1e-3), 0.5, 2.0)
    darkest, brightest = np.quantile(aligned[hole], (0.01, 0.99)) - own.mean()
    gain = min(gain, target.mean() / max(-darkest, 1e-3), (1 - target.mean()) / max(brightest, 1e-3))
    aligned = (aligned - own.mean()) * gain + target.mean()
    alpha = ndimage.gaussian_filter(hole.astype(np.float32), SEAM * min(hole.shape))[:, :, None]
    swapped: FloatArray = np.clip(background * (1 - alpha) + aligned * alpha, 0, 1).astype(np.float32)
    return swapped


def lung_sides(mask: BoolArray) -> list[BoolArray]:
    """Return the left and the right lung of a mask, by their place in the image.

    A field that covers both is cut in the middle of its width. A mask that cannot be divided is returned alone.

    Args:
        mask: bool [H, W], not empty.
    """
    joined, count = ndimage.label(mask)
    sizes = np.bincount(joined.ravel(), minlength=count + 1)[1:]
    large = [
        joined == index + 1 for index in np.argsort(-sizes, kind="stable")[:2] if sizes[index] >= _SIDE * mask.sum()
    ]
    if len(large) == 2:
        return sorted(large, key=lambda side: float(np.nonzero(side)[1].mean()))
    _, _, left, right = _box(mask)
    leftmost = np.arange(mask.shape[1]) < (left + right) / 2
    halves = [mask & leftmost, mask & ~leftmost]
    return halves if all(half.any() for half in halves) else [mask]


def fitted(image: FloatArray, lungs: BoolArray, hole: BoolArray) -> FloatArray:
    """Return an image with each of its lungs moved into its counterpart of a mask.

    Args:
        image: float32 [H, W, C].
        lungs: bool [H, W], its lungs, not empty.
        hole: bool [H, W], where they belong, not empty.

    Returns:
        float32 [H, W, C]. Pixels outside the hole show what lies outside the nearest lung.
    """
    pairs = list(zip(lung_sides(hole), lung_sides(lungs), strict=False))
    if len(lung_sides(hole)) != len(lung_sides(lungs)):
        pairs = [(hole, lungs)]
    nearest = np.argmin([ndimage.distance_transform_edt(~target) for target, _ in pairs], axis=0)
    places = np.empty((2, *hole.shape))
    for index, pair in enumerate(pairs):
        places[:, nearest == index] = _places(*pair)[:, nearest == index]
    channels = [
        ndimage.map_coordinates(image[:, :, channel], places, order=1, mode="nearest")
        for channel in range(image.shape[2])
    ]
    return np.stack(channels, axis=2)


def limbs(shape: tuple[int, int, int], seed: int) -> FloatArray:
    """Return drawn images of limbs: float32 [DRAWN, H, W, C] in [0, 1].

    Each shows two long bones in soft tissue.
    """
    generator = np.random.default_rng((seed, 2))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    images = []
    for _ in range(DRAWN):
        angle, bend = generator.uniform(-0.6, 0.6), generator.uniform(-0.1, 0.1)
        along = np.cos(angle) * y + np.sin(angle) * x
        across = np.cos(angle) * x - np.sin(angle) * y + bend * along**2
        flesh = 1 / (1 + np.exp((np.abs(across) - generator.uniform(0.35, 0.55)) / 0.02))
        image = 0.05 + generator.uniform(0.3, 0.45) * flesh
        for place, width in ((-0.14, generator.uniform(0.07, 0.11)), (0.16, generator.uniform(0.05, 0.09))):
            off = np.abs(across - place) / (width * (1 + 0.6 * along**4))
            image += 0.4 * np.exp(-((off / 1.0) ** 6)) * (0.6 + 0.4 * np.clip(off, 0, 1) ** 2)
        images.append(np.clip(image + 0.02 * generator.standard_normal(image.shape), 0, 1))
    return np.repeat(np.stack(images)[..., None], shape[2], axis=3).astype(np.float32)


@lru_cache(maxsize=8)
def letter(shape: tuple[int, int]) -> BoolArray:
    """Return the strokes of an R in its bounding box: bool [h, w].

    Its height is `LETTER` times the shorter side of the image.
    """
    from PIL import Image, ImageDraw, ImageFont

    size = max(7, round(LETTER * min(shape)))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox("R")
    canvas = Image.new("L", (round(right - left) + 2, round(bottom - top) + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), "R", fill=255, font=font)
    strokes: BoolArray = np.asarray(canvas) > 127
    strokes.flags.writeable = False
    return strokes


def lettered(images: FloatArray, *, plain: bool) -> FloatArray:
    """Return images with an R burned into the upper left corner.

    The letter is as bright as the brightest pixel of the image.

    Args:
        images: float32 [b, H, W, C], not modified.
        plain: Draw a flat patch of the same size and mean brightness instead.
    """
    strokes = letter((images.shape[1], images.shape[2]))
    box = np.s_[:, 2 : 2 + strokes.shape[0], 2 : 2 + strokes.shape[1]]
    changed = images.copy()
    bright = images.max(axis=(1, 2), keepdims=True)
    inked = np.where(strokes[:, :, None], bright, images[box])
    changed[box] = inked.mean(axis=(1, 2), keepdims=True) if plain else inked
    return changed


def blanks(shape: tuple[int, int, int], seed: int) -> dict[str, FloatArray]:
    """Return images that show no chest, by name: float32 [k, H, W, C] each.

    The names are those of `BLANKS` (one image each), ``noise`` and ``limb`` (`DRAWN` images each).
    """
    noise = np.random.default_rng((seed, 3)).random((DRAWN, *shape), dtype=np.float32)
    flat = {name: np.full((1, *shape), grey, np.float32) for name, grey in BLANKS.items()}
    return {**flat, "noise": noise, "limb": limbs(shape, seed)}


def _level(image: FloatArray, mask: BoolArray, infill: Infill, seed: tuple[int, int]) -> FloatArray:
    """Return the mean of the kept pixels, or noise around it: float32 [H, W, C]."""
    kept = image[~mask]
    if not len(kept):
        return np.zeros_like(image)
    mean = kept.mean(axis=0)
    if infill == "mean":
        return np.broadcast_to(mean, image.shape).astype(np.float32)
    grain = np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32)
    noise: FloatArray = np.clip(mean + kept.std(axis=0) * grain, 0, 1).astype(np.float32)
    return noise


def _nearest_kept(image: FloatArray, mask: BoolArray) -> FloatArray:
    """Return the image with each hidden pixel replaced by the nearest kept one."""
    if mask.all():
        return np.zeros_like(image)
    row, column = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    nearest: FloatArray = image[row, column]
    return nearest


def _places(target: BoolArray, source: BoolArray) -> NDArray[np.float64]:
    """Return for each pixel the row and the column of a source that are shown there: float64 (2, H, W).

    The rows of the source are stretched to the height of the target, and each row to its width.
    """
    (top, bottom, _, _), (first, last, _, _) = _box(target), _box(source)
    rows = np.arange(target.shape[0])
    down = first + (rows - top + 0.5) * (last - first) / (bottom - top) - 0.5
    (left, right), (start, end) = _bounds(target, rows.astype(np.float64)), _bounds(source, down)
    scale = (end - start) / (right - left)
    across = start[:, None] + (np.arange(target.shape[1]) + 0.5 - left[:, None]) * scale[:, None] - 0.5
    return np.stack([np.broadcast_to(down[:, None], target.shape), across])


def _bounds(mask: BoolArray, rows: RealArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smoothed left and right bounds of a mask at rows, which may lie between its own.

    In the lower half a lung does not get narrower: beside the dome of the diaphragm only a narrow angle is left, and
    its rows would be smeared over the width of another lung.
    """
    own = np.flatnonzero(mask.any(axis=1))
    every = np.arange(own[0], own[-1] + 1)
    ends = mask[own].argmax(axis=1), mask.shape[1] - mask[own, ::-1].argmax(axis=1)
    left, right = (np.interp(every, own, end) for end in ends)
    lower = slice(len(every) // 2, None)
    left[lower], right[lower] = np.minimum.accumulate(left[lower]), np.maximum.accumulate(right[lower])
    smooth = [ndimage.gaussian_filter1d(end, _EVEN * len(mask), mode="nearest") for end in (left, right)]
    left, right = (np.interp(rows, every, end) for end in smooth)
    return left, right


def _box(mask: BoolArray) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of a mask, the ends not included."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _tissue(image: FloatArray, lungs: BoolArray) -> FloatArray:
    """Return the dark and the bright grey of the tissue just around the lungs.

    They are the 20th and the 80th percentile.
    """
    reach = ndimage.binary_dilation(lungs, iterations=max(1, round(_BAND * min(lungs.shape))))
    band = image[reach & ~lungs]
    levels: FloatArray = np.quantile(band if len(band) else image, (0.2, 0.8))
    return levels
