"""Augmentation of the training images of the segmenter.

It covers differences between hospitals, and opacities that hide parts of the lungs.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from roentgate import SIDE

FloatArray = NDArray[np.float32]
_LETTERS = ("R", "L", "AP", "PA", "SUPINE", "PORTABLE", "12:45", "ERECT", "A", "RECHTS", "2")


def augmented(rng: np.random.Generator, image: FloatArray, lungs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return one image and its lungs, changed at random.

    Args:
        rng: The random generator. The same state gives the same change.
        image: Grey levels (H, W) in [0, 1].
        lungs: (H, W), 1 in the lung fields and 0 elsewhere.

    Returns:
        Image in [0, 1] and lungs, both float32 (128, 128). Lung under an opacity remains lung. Lung under a border or
        beyond the edge does not.
    """
    image, lungs = _moved(rng, image, lungs)
    if rng.random() < 0.55:
        image = _clouded(rng, image, lungs)
    if rng.random() < 0.5:
        image = image + rng.uniform(0.05, 0.35) * _clouds(rng, int(rng.integers(2, 4)))
    if rng.random() < 0.25:
        image = _lined(rng, image)
    image = _exposed(rng, image)
    if rng.random() < 0.4:
        image = _lettered(rng, image)
    if rng.random() < 0.3:
        image, lungs = _bordered(rng, image, lungs)
    if rng.random() < 0.12:
        image = 1 - image
    return image.astype(np.float32), lungs


def _moved(rng: np.random.Generator, image: FloatArray, lungs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both rotated, zoomed, stretched, shifted, mirrored and resized for the network."""
    angle = math.radians(rng.normal(0, 6) if rng.random() < 0.9 else rng.uniform(-25, 25))
    zoom, stretch = math.exp(rng.normal(-0.02, 0.16)), math.exp(rng.normal(0, 0.08))
    across = zoom * stretch * (-1 if rng.random() < 0.3 else 1)
    down = zoom / stretch
    height, width = image.shape
    middle = np.array([width / 2 + rng.normal(0, 0.05) * width, height / 2 + rng.normal(0, 0.05) * height])
    step = np.array([width, height]) / SIDE
    linear = np.array(
        [[math.cos(angle) / across, math.sin(angle) / across], [-math.sin(angle) / down, math.cos(angle) / down]]
    )
    linear = linear * step[:, None]
    offset = middle - linear @ np.array([SIDE / 2, SIDE / 2])
    data = (linear[0, 0], linear[0, 1], offset[0], linear[1, 0], linear[1, 1], offset[1])

    def warped(values: FloatArray) -> FloatArray:
        moved = Image.fromarray(np.ascontiguousarray(values)).transform(
            (SIDE, SIDE), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
        )
        return np.array(moved)

    inside = warped(np.ones_like(image))
    outside = rng.choice([0.0, 1.0, float(image.mean()), float(rng.random())], p=[0.6, 0.1, 0.15, 0.15])
    return warped(image) + (1 - inside) * np.float32(outside), (warped(lungs) > 0.5).astype(np.float32)


def _clouded(rng: np.random.Generator, image: FloatArray, lungs: FloatArray) -> FloatArray:
    """Return the image with opacities: patches, a fluid level, or a white lung."""
    if not lungs.any() or lungs.all():
        return image
    around = image[lungs == 0]
    white = np.float32(np.quantile(around, rng.uniform(0.5, 0.95)))
    rows, columns = np.nonzero(lungs)
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))
    density: NDArray[np.floating[Any]] = np.zeros_like(image)
    kind = rng.random()
    if kind < 0.55:
        for _ in range(rng.integers(1, 9)):
            at = rng.integers(len(rows))
            radii = rng.uniform(3, 20, 2)
            far = ((x - columns[at]) / radii[0]) ** 2 + ((y - rows[at]) / radii[1]) ** 2
            density = np.maximum(density, rng.uniform(0.3, 1) * np.exp(-(far ** rng.uniform(0.7, 2))))
    elif kind < 0.8:
        level = np.quantile(rows, rng.uniform(0.35, 0.95)) + rng.uniform(-0.4, 0.4) * (x - SIDE / 2)
        density = rng.uniform(0.5, 1) / (1 + np.exp((level - y) / rng.uniform(1, 8)))
        if rng.random() < 0.6:
            density = density * ((x < SIDE / 2) == (rng.random() < 0.5))
    else:
        density = np.full_like(image, rng.uniform(0.4, 0.95))
        if rng.random() < 0.6:
            density = density * ((x < np.median(columns)) == (rng.random() < 0.5))
    density = np.clip(density * (1 + rng.uniform(0, 0.5) * _clouds(rng, int(rng.integers(4, 20)))), 0, 1)
    spread = _blurred(lungs, 2.0 if rng.random() < 0.5 else 1.0)
    density = density * spread
    clouded: FloatArray = (image * (1 - density) + density * np.maximum(white, image)).astype(np.float32)
    return clouded


def _clouds(rng: np.random.Generator, cells: int) -> FloatArray:
    """Return smooth noise (128, 128) with this many cells a side.

    Its standard deviation is about 1.
    """
    coarse = rng.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _lined(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Return the image with tubes, wires and electrodes."""
    canvas = Image.fromarray(image.copy())
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 5)):
        points = [tuple(point) for point in (rng.uniform(0, SIDE, 2) + rng.normal(0, 18, (4, 2)).cumsum(axis=0))]
        draw.line(points, fill=float(rng.uniform(0.6, 1)), width=int(rng.integers(1, 3)), joint="curve")
    for _ in range(rng.integers(0, 4)):
        (x, y), radius = rng.uniform(10, SIDE - 10, 2), rng.uniform(1.5, 5)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=float(rng.uniform(0.5, 1)))
    return np.asarray(canvas)


def _exposed(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Return the image with other exposure and digitisation.

    These are tone, clipping, blur or sharpening, and grain.
    """
    low, high = np.quantile(image, [rng.uniform(0, 0.12), 1 - rng.uniform(0, 0.12)])
    image = np.clip((image - low) / max(high - low, 0.05), 0, 1)
    image = image ** np.float32(math.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.3:
        image = _blurred(image, rng.uniform(0.4, 1.5))
    elif rng.random() < 0.3:
        image = image + rng.uniform(0.5, 2) * (image - _blurred(image, rng.uniform(1, 8)))
    if rng.random() < 0.5:
        image = image + rng.uniform(0, 0.08) * rng.standard_normal(image.shape, dtype=np.float32)
    if rng.random() < 0.3:
        image = image * rng.uniform(0.3, 1) + rng.uniform(0, 0.3)
    return np.clip(image, 0, 1)


def _lettered(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Return the image with burned-in markers and text, mostly near its edges."""
    canvas = Image.fromarray(image.copy())
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 4)):
        near = rng.random() < 0.7
        x = rng.choice([rng.uniform(0, 25), rng.uniform(95, 122)]) if near else rng.uniform(0, 110)
        y = rng.uniform(0, 30) if rng.random() < 0.7 else rng.uniform(0, 115)
        ink = float(rng.uniform(0.75, 1) if rng.random() < 0.85 else rng.uniform(0, 0.2))
        font = ImageFont.load_default(size=float(rng.uniform(5, 14)))
        draw.text((x, y), str(rng.choice(_LETTERS)), fill=ink, font=font)
    return np.asarray(canvas)


def _bordered(rng: np.random.Generator, image: FloatArray, lungs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both with black, white or grey bands along some of the edges.

    No lung is left under them.
    """
    image, lungs = image.copy(), lungs.copy()
    shade = np.float32(rng.choice([0, 1, rng.random()], p=[0.6, 0.2, 0.2]))
    for edge in range(4):
        width = int(rng.integers(1, 15)) if rng.random() < 0.5 else 0
        if width:
            for values, value in ((image, shade), (lungs, np.float32(0))):
                np.rot90(values, edge)[:width] = value
    return image, lungs


def _blurred(image: FloatArray, sigma: float) -> FloatArray:
    from scipy import ndimage

    blurred: FloatArray = ndimage.gaussian_filter(image, sigma)
    return blurred
