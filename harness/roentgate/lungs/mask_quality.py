"""Could this mask be the lung fields of this image? Area, shape, place, symmetry, and whether the image has its
edge."""

import numpy as np
from PIL import Image
from scipy import ndimage, signal

from roentgate.arrays import BoolArray, FloatArray
from roentgate.lungs import segmenter

SIDE = 64
"""Pixels, height and width at which masks are judged."""

AREA = (0.06, 0.60)
"""Share of the image; of the 704 human masks of the tuberculosis images the smallest has 0.084, the largest 0.435."""
MIDDLE = (0.36, 0.64)
"""Where, in shares of the width, the middle between the two lungs may lie (human: 0.44 to 0.56)."""
CENTRE = (0.18, 0.68)
"""Where, in shares of the height, the fields' centre may lie (human: 0.22 to 0.61)."""
LEAST_SIZE = 0.3
"""Least height and width of the fields, in shares of the image's (human: 0.36 and 0.42)."""
LEAST_APART = 0.15
"""Least distance between the centres of the two lungs, in shares of the width (human: 0.25)."""
LEAST_SYMMETRY = 0.25
"""The smaller lung's share of the larger one's area (human: 0.27 in all but one)."""
LEAST_LEVEL = 0.4
"""Rows that both lungs cover, of those that either covers (human: 0.50 in all but one)."""
LEAST_FIT = 0.65
"""Contrast across the mask's edge, of the most that the same outline has elsewhere (human: 0.65 in all but three)."""
LEAST_CONTRAST = 0.10
"""Contrast across the mask's edge in grey ranks, which go from -1 to 1 (human: 0.14)."""

_BAND = 3  # pixels inside the edge, and outside it
_NEAR, _FAR = 2, 20  # pixels that a mask may lie off, and that it is looked for
_CRUMB = 0.1


def doubts(masks: BoolArray, images: FloatArray) -> list[str]:
    """Return, image by image, why the mask cannot be trusted to be its lung fields: "" where there is no reason.

    The last check asks the image: what lies along the edge inside the mask differs from what lies outside, and nowhere
    within a third of the side does the same outline fit much better. So a shifted mask, or another image's, is found
    out without a second opinion. An image that is reversed does as well as one that is not.

    Args:
        masks: bool (n, H, W).
        images: The images, float32 (n, H, W, C) in [0, 1].
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
    """Return what is odd about shape, place and symmetry of a mask that is neither empty nor full."""
    regions = ndimage.label(mask)[0]
    sizes = np.bincount(regions.ravel())[1:]
    large = [regions == 1 + region for region in np.flatnonzero(sizes >= _CRUMB * sizes.max())]
    rows, columns = np.nonzero(mask)
    height, width = (np.ptp(places) + 1 for places in (rows, columns))
    if len(large) > 2:
        return f"shape: {len(large)} separate fields, not two lungs"
    if min(height, width) < LEAST_SIZE * SIDE:
        return f"shape: {width / SIDE:.0%} by {height / SIDE:.0%} of the image is too small for a pair of lungs"
    return _pair(*large) if len(large) == 2 else _pair(*_halves(mask))


def _halves(mask: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Return one field that covers both lungs, parted down its middle."""
    columns = np.flatnonzero(mask.any(axis=0))
    left = np.arange(SIDE) < (columns[0] + columns[-1] + 1) / 2
    return mask & left, mask & ~left


def _pair(first: BoolArray, second: BoolArray) -> str:
    """Return what is odd about two fields as a pair of lungs."""
    one, other = _centre(first, 1), _centre(second, 1)
    height, middle = _centre(first | second, 0), (one + other) / 2
    symmetry = min(first.sum(), second.sum()) / max(first.sum(), second.sum())
    covered = first.any(axis=1), second.any(axis=1)
    level = (covered[0] & covered[1]).sum() / (covered[0] | covered[1]).sum()
    faults = (
        (abs(one - other) < LEAST_APART, "shape: no two lungs side by side"),
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
    return next((fault for odd, fault in faults if odd), "")


def _fit(mask: BoolArray, rank: FloatArray) -> str:
    """Return what is odd about the image along the mask's edge."""
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
    """Return the mean position along an axis, in shares of the side."""
    return float((np.nonzero(mask)[axis].mean() + 0.5) / SIDE)
