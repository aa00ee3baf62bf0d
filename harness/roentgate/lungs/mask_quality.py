"""Checks whether a mask can be the lung fields of its image.

They concern its area, shape, place and symmetry, and whether the image has an edge along the edge of the mask.
"""

import numpy as np
from PIL import Image
from scipy import ndimage, signal

from roentgate.arrays import BoolArray, FloatArray
from roentgate.lungs import segmenter

SIDE = 64
"""Height and width, in pixels, at which masks are judged."""

AREA = (0.06, 0.60)
"""Least and largest area, as a share of the image.

The 704 human masks of the tuberculosis images have 0.084 to 0.435. The figures below in brackets are of the same masks.
"""
MIDDLE = (0.36, 0.64)
"""Limits of the middle between the two lungs, as a share of the width (0.44 to 0.56)."""
CENTRE = (0.18, 0.68)
"""Limits of the centre of the fields, as a share of the height (0.22 to 0.61)."""
LEAST_SIZE = 0.3
"""Least height and width of the fields, as shares of those of the image (0.36 and 0.42)."""
LEAST_APART = 0.15
"""Least distance between the centres of the two lungs, as a share of the width (0.25)."""
LEAST_SYMMETRY = 0.25
"""Least area of the smaller lung, as a share of the larger one (0.27 in all but one)."""
LEAST_LEVEL = 0.4
"""Least number of rows that both lungs cover, as a share of those that either covers (0.50 in all but one)."""
LEAST_FIT = 0.65
"""Least contrast across the edge of the mask, as a share of the largest for the same outline (0.65 in all but three).

The largest is taken over the shifts of the outline by up to a third of the side.
"""
LEAST_CONTRAST = 0.10
"""Least contrast across the edge of the mask in grey ranks, which go from -1 to 1 (0.14)."""

_BAND = 3  # pixels on either side of the edge
_NEAR, _FAR = 2, 20  # pixels of shift that are tolerated, and that are searched
_FRAGMENT = 0.1


def doubts(masks: BoolArray, images: FloatArray) -> list[str]:
    """Return for each mask why it cannot be the lung fields of its image.

    The last check compares the mask with the image. The image must differ between the two sides of the edge of the
    mask, and the same outline must not fit much better anywhere within a third of the side. This reveals a shifted
    mask, or that of another image, without a second segmentation. It does not matter whether the image is inverted.

    Args:
        masks: bool (n, H, W).
        images: float32 (n, H, W, C) in [0, 1].

    Returns:
        n reasons, "" for a mask that passes.
    """
    ranks = segmenter.prepare(images)[:, :, :, 0].reshape(len(images), SIDE, 2, SIDE, 2).mean(axis=(2, 4))
    found = []
    for mask, rank in zip(masks, ranks, strict=True):
        thumbnail = Image.fromarray(mask.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
        small = np.asarray(thumbnail) > 0.5
        found.append(_area(small) or _shape(small) or _fit(small, rank))
    return found


def _area(mask: BoolArray) -> str:
    share, (least, most) = float(mask.mean()), AREA
    if not mask.any():
        return "no lung field found"
    return "" if least <= share <= most else f"area: {share:.0%} of the image, outside {least:.0%} to {most:.0%}"


def _shape(mask: BoolArray) -> str:
    """Return what is implausible about the shape, place and symmetry of a mask.

    The mask is neither empty nor full.
    """
    regions = ndimage.label(mask)[0]
    sizes = np.bincount(regions.ravel())[1:]
    large = [regions == 1 + region for region in np.flatnonzero(sizes >= _FRAGMENT * sizes.max())]
    rows, columns = np.nonzero(mask)
    height, width = (np.ptp(places) + 1 for places in (rows, columns))
    if len(large) > 2:
        return f"shape: {len(large)} separate fields, not two lungs"
    if min(height, width) < LEAST_SIZE * SIDE:
        return f"shape: {width / SIDE:.0%} by {height / SIDE:.0%} of the image is too small for a pair of lungs"
    return _pair(*large) if len(large) == 2 else _pair(*_halves(mask))


def _halves(mask: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Return the left and the right half of a field that covers both lungs."""
    columns = np.flatnonzero(mask.any(axis=0))
    left = np.arange(SIDE) < (columns[0] + columns[-1] + 1) / 2
    return mask & left, mask & ~left


def _pair(first: BoolArray, second: BoolArray) -> str:
    """Return what is implausible about two fields as a pair of lungs."""
    centres = _centre(first, 1), _centre(second, 1)
    height, middle = _centre(first | second, 0), (centres[0] + centres[1]) / 2
    symmetry = min(first.sum(), second.sum()) / max(first.sum(), second.sum())
    covered = first.any(axis=1), second.any(axis=1)
    level = (covered[0] & covered[1]).sum() / (covered[0] | covered[1]).sum()
    faults = (
        (abs(centres[0] - centres[1]) < LEAST_APART, "shape: no two lungs side by side"),
        (
            not MIDDLE[0] <= middle <= MIDDLE[1],
            f"place: the middle between the lungs lies at {middle:.0%} of the image's width",
        ),
        (
            not CENTRE[0] <= height <= CENTRE[1],
            f"place: the centre of the lungs lies at {height:.0%} of the image's height",
        ),
        (symmetry < LEAST_SYMMETRY, f"symmetry: the smaller lung has {symmetry:.0%} of the larger one's area"),
        (level < LEAST_LEVEL, f"symmetry: the two lungs have {level:.0%} of their height in common"),
    )
    return next((fault for found, fault in faults if found), "")


def _fit(mask: BoolArray, rank: FloatArray) -> str:
    """Return what is implausible about the image along the edge of the mask."""
    outside = ndimage.binary_dilation(mask, iterations=_BAND) & ~mask
    inside = mask & ~ndimage.binary_erosion(mask, iterations=_BAND)
    if not outside.any() or not inside.any():
        return "fit: the mask has no edge inside the image"
    kernel = outside / outside.sum() - inside / inside.sum()
    around = np.abs(signal.correlate(np.pad(rank, _FAR, mode="edge"), kernel, mode="valid", method="fft"))
    near = slice(_FAR - _NEAR, _FAR + _NEAR + 1)
    own, best = float(around[near, near].max()), float(around.max())
    if own < LEAST_CONTRAST:
        return f"fit: no contrast across the mask's edge ({own:.2f} of 2 ranks)"
    if own < LEAST_FIT * best:
        return f"fit: the outline fits the image better elsewhere ({own / best:.0%} of its contrast there)"
    return ""


def _centre(mask: BoolArray, axis: int) -> float:
    """Return the mean position along an axis, as a share of the side."""
    return float((np.nonzero(mask)[axis].mean() + 0.5) / SIDE)
