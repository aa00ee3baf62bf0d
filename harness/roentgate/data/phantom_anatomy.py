"""Draws one chest radiograph and its masks from a random generator.

The drawing has thorax, lungs, heart, bones, findings and exposure. Shadows add up as on a radiograph: each structure
adds its absorption, in units of the grey scale, and the lungs subtract some. Everything is drawn in the patient's own
coordinates (x to the viewer's right, y down, the image from -1 to 1), so that pose and habitus only change these
coordinates. Edges are smooth over more than a pixel, so that nothing needs to be drawn finer than the image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import cos, sin
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import BoolArray, RealArray

SIDE = 96  # pixels, height and width of an image
MARGIN = 5  # width in pixels of the border that holds markers and shades

_GLYPHS = {
    "R": ("###.", "#..#", "###.", "#.#.", "#..#"),
    "L": ("#...", "#...", "#...", "#...", "####"),
    "P": ("###.", "#..#", "###.", "#...", "#..."),
}
GLYPHS = tuple(_GLYPHS)


@dataclass(frozen=True, slots=True)
class Background:
    """The background: an annotation burned into a corner, and a shaded border.

    Attributes:
        glyph: The annotation, one of `GLYPHS`, or None.
        corner: Whether it is at the bottom, and whether it is at the viewer's right.
        shade: Grey level (0 to 1) that is blended into the border, or None.
    """

    glyph: str | None
    corner: tuple[bool, bool]
    shade: float | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn image and its two masks (0 or 255), each uint8 (SIDE, SIDE)."""

    image: NDArray[np.uint8]
    lungs: NDArray[np.uint8]
    lesions: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chest:
    """One patient as fields of float32 (SIDE, SIDE)."""

    x: RealArray
    y: RealArray
    trunk: RealArray  # 0 in air, about 1 where the trunk is thickest
    heart: RealArray  # 0 to 1, includes the great vessels
    lungs: RealArray  # 0 to 1, soft at the edges, without the heart
    below: RealArray  # 0 to 1, under the diaphragm
    cage: RealArray  # 0 to 1, within the ribs
    lateral: RealArray  # 0 at the medial edge of a lung, 1 at the ribs
    height: RealArray  # 0 at the apex of a lung, 1 at its base


Finding = Callable[[np.random.Generator, Chest], RealArray]


def draw(
    rng: np.random.Generator,
    finding: Finding,
    contrast: tuple[float, float],
    background: Background,
    tube: Literal[-1, 0, 1] = 0,
) -> Drawing:
    """Draw one image.

    Args:
        rng: Source of everything that varies. The same state draws the same image.
        finding: Returns the opacity (0 to 1) of the patient's lesions.
        contrast: Range of the lesions' density, in shares of the full grey scale.
        background: Annotation and border shade.
        tube: A tube inside the lung at the viewer's left (-1) or right (1), or none (0).

    Returns:
        The image, its lung mask and its lesion mask. Lesions lie inside the lungs.
    """
    chest = _chest(rng)
    opacity = finding(rng, chest) * chest.lungs
    shadow = _soft_tissue(rng, chest) + _bones(rng, chest) + np.float32(rng.uniform(*contrast)) * opacity
    if tube:
        shadow += _tube(chest, tube)
    lungs = chest.lungs > 0.5
    lesions = (opacity > 0.4) & lungs
    image = _with_background(_exposed(rng, shadow), background)
    return Drawing(_grey(image), _grey(lungs), _grey(lesions))


def no_finding(rng: np.random.Generator, chest: Chest) -> RealArray:
    """Return the opacity of Normal, which is 0 everywhere."""
    del rng
    return np.zeros_like(chest.x)


def bilateral_peripheral(rng: np.random.Generator, chest: Chest) -> RealArray:
    """Return the pattern of Covid: peripheral patches in both lungs.

    Each lung has one to three, along its outer edge and mostly in its lower half.
    """
    clear = np.ones_like(chest.x)
    for side in (-1, 1):
        zone = (chest.x * side > 0) & (np.abs(chest.lateral - 0.8) < 0.14) & (np.abs(chest.height - 0.6) < 0.28)
        for _ in range(rng.integers(1, 4)):
            radii = rng.uniform(0.10, 0.17), rng.uniform(0.16, 0.28)
            clear *= 1 - _patch(rng, chest, zone, radii)
    return 1 - clear


def focal_or_perihilar(rng: np.random.Generator, chest: Chest) -> RealArray:
    """Return the pattern of Viral Pneumonia: one consolidation.

    It lies in the middle of a lung or around a hilum.
    """
    medial, top, bottom = (0.35, 0.4, 0.65) if rng.random() < 0.5 else (0.5, 0.25, 0.75)
    zone = (np.abs(chest.lateral - medial) < 0.1) & (chest.height > top) & (chest.height < bottom)
    radii = rng.uniform(0.20, 0.30), rng.uniform(0.22, 0.36)
    side = chest.x * rng.choice((-1, 1)) > 0
    patch: RealArray = _patch(rng, chest, zone & side, radii) * side
    return patch


def _patch(rng: np.random.Generator, chest: Chest, zone: BoolArray, radii: tuple[float, float]) -> RealArray:
    """Return the opacity of a ragged, uneven ellipse.

    Its centre is a pixel of the lungs inside ``zone``.
    """
    pixel = rng.choice(np.flatnonzero(zone & (chest.lungs > 0.9)))
    centre = chest.x.flat[pixel], chest.y.flat[pixel]
    edge = 1 - _ellipse(chest.x, chest.y, centre, radii, rng.uniform(-0.4, 0.4)) + 0.25 * _noise(rng, 14)
    uneven: RealArray = np.clip(0.90 + 0.15 * _noise(rng, 24), 0.5, 1)
    return _step(edge, 0.15) * uneven


def _tube(chest: Chest, side: Literal[-1, 1]) -> RealArray:
    """Return the absorption of a thin tube along a lung, which lies inside it."""
    line = np.exp(-(((chest.lateral - 0.45) / 0.05) ** 2)) * _step(chest.height - 0.15, 0.03)
    tube: RealArray = np.float32(0.4) * line * _step(0.75 - chest.height, 0.03) * chest.lungs * (chest.x * side > 0)
    return tube


def _chest(rng: np.random.Generator) -> Chest:
    """Draw pose, habitus and all outlines of one patient."""
    x, y = _pose(rng)
    across = np.abs(x)
    width, apex, base = rng.uniform(0.66, 0.80), rng.uniform(-0.80, -0.62), rng.uniform(0.60, 0.84)
    height = (y - apex) / (base - apex)
    outer = width * np.sqrt(1.02 - np.clip(1 - height, 0, 1) ** rng.uniform(2.6, 4.0))
    inner = rng.uniform(0.10, 0.16) + 0.05 * np.exp(-(((y + 0.05) / 0.15) ** 2))
    cap = apex + rng.uniform(1.2, 2.6) * (across - 0.45 * width) ** 2
    raised = np.where(x < 0, rng.uniform(0.02, 0.10), rng.uniform(-0.04, 0.03)).astype(np.float32)
    dome = rng.uniform(0.14, 0.30) * (1 - ((across / width - 0.45) / 0.55) ** 2)
    diaphragm = base - raised - dome
    heart = _heart(rng, x, y, base)
    lungs = _step(np.minimum(outer - across, across - inner), 0.012) * _step(y - cap, 0.02) * (1 - heart)
    return Chest(
        x=x,
        y=y,
        trunk=_trunk(rng, x, y, width),
        heart=heart,
        lungs=lungs * _step(diaphragm - y, 0.012),
        below=_step(y - diaphragm, 0.02),
        cage=_step(outer + 0.05 - across, 0.015) * _step(y - cap + 0.06, 0.03),
        lateral=(across - inner) / np.maximum(outer - inner, 0.05),
        height=height,
    )


def _pose(rng: np.random.Generator) -> tuple[RealArray, RealArray]:
    """Return the patient's x and y at every pixel.

    They are shifted, tilted, scaled and slightly bent.
    """
    line = (np.arange(SIDE, dtype=np.float32) + 0.5) * (2 / SIDE) - 1
    across, down = line[None, :] - rng.uniform(-0.06, 0.06), line[:, None] - rng.uniform(-0.06, 0.06)
    tilt, size, aspect = rng.uniform(-0.07, 0.07), rng.uniform(0.94, 1.14), rng.uniform(0.93, 1.07)
    x = (cos(tilt) * across + sin(tilt) * down) / (size * aspect)
    y = (cos(tilt) * down - sin(tilt) * across) / (size / aspect)
    return x.astype(np.float32) + 0.02 * _noise(rng, 4), y.astype(np.float32) + 0.02 * _noise(rng, 4)


def _trunk(rng: np.random.Generator, x: RealArray, y: RealArray, width: float) -> RealArray:
    """Return the thickness of the trunk: neck, shoulders with arms, flanks."""
    across = np.abs(x)
    flank = width + rng.uniform(0.10, 0.28) + 0.06 * y + 0.5 * _step(-0.3 - y, 0.08)
    shoulder = rng.uniform(-0.96, -0.84) + rng.uniform(0.15, 0.40) * x**2
    outline = np.maximum(_step(y - shoulder, 0.03), _step(rng.uniform(0.22, 0.32) - across, 0.03))
    return outline * _step(flank - across, 0.03) * np.sqrt(np.clip(1.1 - (x / (flank + 0.15)) ** 2, 0.02, None))


def _heart(rng: np.random.Generator, x: RealArray, y: RealArray, base: float) -> RealArray:
    """Return the heart and the aortic knob above it.

    The heart rests on the diaphragm and leans to the patient's left.
    """
    size = rng.uniform(0.85, 1.15)
    centre = rng.uniform(0.06, 0.13), base - rng.uniform(0.34, 0.44)
    resting = np.minimum(y, centre[1] + 0.4 * (y - centre[1]))  # its underside lies below the diaphragm
    ventricles = _step(1 - _ellipse(x, resting, centre, (0.36 * size, 0.28 * size), rng.uniform(0.5, 0.9)), 0.08)
    knob = _step(1 - _ellipse(x, y, (rng.uniform(0.05, 0.10), -0.25), (0.12, 0.15), 0.0), 0.1)
    return np.maximum(ventricles, knob)


def _soft_tissue(rng: np.random.Generator, chest: Chest) -> RealArray:
    """Return the absorption of everything but bone.

    Trunk, mediastinum, heart and abdomen absorb, and the air of lungs and trachea is subtracted.
    """
    x, y, across = chest.x, chest.y, np.abs(chest.x)
    mediastinum = np.exp(-((across / 0.16) ** 4)) * _step(y + 0.9, 0.1)
    trachea = np.exp(-((x / 0.05) ** 4)) * _step(-0.2 - y, 0.04)
    bubble = _step(1 - _ellipse(x, y, (rng.uniform(0.25, 0.40), rng.uniform(0.76, 0.90)), (0.16, 0.09), 0.2), 0.1)
    shadow = rng.uniform(0.50, 0.64) * chest.trunk
    shadow += (
        rng.uniform(0.14, 0.22) * np.maximum(mediastinum, 0.9 * chest.heart * (1 - 0.8 * chest.below)) - 0.10 * trachea
    )
    shadow += rng.uniform(0.08, 0.18) * chest.below * chest.trunk * (1 - rng.uniform(0, 1) * bubble)
    depth = np.clip(6 * np.minimum(chest.lateral, 1.15 - chest.lateral), 0.5, 1)
    shadow -= rng.uniform(0.34, 0.44) * chest.lungs * depth
    return shadow + chest.lungs * (_vessels(rng, chest) + 0.015 * _noise(rng, 30))


def _vessels(rng: np.random.Generator, chest: Chest) -> RealArray:
    """Return the hila and the vessels that fan out from them."""
    dx, dy = np.abs(chest.x) - 0.2, chest.y - 0.02
    far = np.sqrt(dx**2 + dy**2)
    fan = np.cos(int(rng.integers(7, 11)) * np.arctan2(dy, dx) + 1.2 * _noise(rng, 8))
    vessels: RealArray = np.exp(-((far / 0.13) ** 2)) + 0.8 * np.clip(fan, 0, 1) ** 2 * np.exp(-far / 0.3)
    return rng.uniform(0.05, 0.11) * vessels


def _bones(rng: np.random.Generator, chest: Chest) -> RealArray:
    """Return spine, ribs (posterior bright, anterior faint) and clavicles."""
    x, y, across = chest.x, chest.y, np.abs(chest.x)
    gap, phase = rng.uniform(0.16, 0.21), rng.uniform(0, 1)
    vertebrae = 0.8 + 0.2 * np.cos(2 * np.pi * (y / gap + phase))
    spine: RealArray = 0.13 * np.exp(-(((x - rng.uniform(-0.03, 0.03) * np.sin(2 * y)) / 0.085) ** 4)) * vertebrae
    behind = _ribs((y + 0.10 * np.sin(3.5 * across) - rng.uniform(0.60, 0.90) * x**2) / gap + phase)
    front = _ribs((y - rng.uniform(0.35, 0.60) * (0.8 - across) - 0.2 * x**2) / gap + rng.uniform(0, 1))
    ribs = (0.8 * behind + 0.4 * front * _step(across - 0.3, 0.06)) * chest.cage * (1 - 0.7 * chest.below)
    collar = rng.uniform(-0.62, -0.50) - rng.uniform(0.05, 0.22) * across + 0.05 * np.sin(9 * across)
    clavicles: RealArray = (
        np.exp(-(((y - collar) / 0.035) ** 2)) * _step(across - 0.08, 0.02) * _step(0.82 - across, 0.03)
    )
    return chest.trunk * (spine + rng.uniform(0.06, 0.12) * ribs + rng.uniform(0.12, 0.20) * clavicles)


def _ribs(cycle: RealArray) -> RealArray:
    """Return one band per cycle, a little under half a cycle wide."""
    return _step(np.cos(2 * np.pi * cycle) - 0.25, 0.15)


def _exposed(rng: np.random.Generator, shadow: RealArray) -> RealArray:
    """Return the exposed image, with gain, offset, tone curve and grain."""
    light = np.clip(rng.uniform(0.90, 1.10) * shadow + rng.uniform(-0.04, 0.04), 0, 1)
    tone: RealArray = light ** rng.uniform(0.85, 1.20)
    return tone + rng.uniform(0.01, 0.03) * rng.standard_normal(shadow.shape, dtype=np.float32)


def _with_background(image: RealArray, background: Background) -> RealArray:
    """Return the image with its border shade and annotation.

    Both stay within the outermost MARGIN pixels.
    """
    image = image.copy()
    if background.shade is not None:
        border = np.ones(image.shape, np.bool_)
        border[MARGIN:-MARGIN, MARGIN:-MARGIN] = False
        image[border] = 0.2 * image[border] + 0.8 * background.shade
    if background.glyph is not None:
        ink = np.array([[dot == "#" for dot in row] for row in _GLYPHS[background.glyph]])
        rows, columns = ink.shape
        top, left = (SIDE - rows if background.corner[0] else 0), (SIDE - columns - 1 if background.corner[1] else 1)
        image[top : top + rows, left : left + columns][ink] = 0.97
    return image


def _ellipse(
    x: RealArray, y: RealArray, centre: tuple[float, float], radii: tuple[float, float], tilt: float
) -> RealArray:
    """Return the distance from ``centre`` in units of the radii.

    The first radius is rotated down by ``tilt`` radians.
    """
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = (cos(tilt) / radii[0]) * dx + (sin(tilt) / radii[0]) * dy
    across = (cos(tilt) / radii[1]) * dy - (sin(tilt) / radii[1]) * dx
    distance: RealArray = np.sqrt(along * along + across * across)
    return distance


def _step(distance: RealArray, softness: float) -> RealArray:
    """Return a smooth step from 0 to 1.

    Its slope at distance 0 is 3 / (8 softness), and it is flat beyond 2 softness.
    """
    part = distance * np.float32(0.25 / softness)
    part += 0.5
    np.clip(part, 0, 1, out=part)
    rest = 3 - 2 * part
    part *= part
    part *= rest
    return part


def _noise(rng: np.random.Generator, cells: int) -> RealArray:
    """Return smooth noise with ``cells`` cells per side, standard normal in every pixel."""
    weights = _spread(cells)
    return weights @ rng.standard_normal((cells, cells), dtype=np.float32) @ weights.T


@lru_cache
def _spread(cells: int) -> RealArray:
    """Return Gaussian weights about each cell, float32 (SIDE, cells).

    Each row has unit norm.
    """
    position = np.linspace(-0.5, cells - 0.5, SIDE)[:, None]
    weights = np.exp(-0.5 * ((position - np.arange(cells)) / 0.6) ** 2)
    normed: RealArray = (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
    return normed


def _grey(image: RealArray | BoolArray) -> NDArray[np.uint8]:
    """Return values of 0 to 1 as grey levels of 0 to 255."""
    return np.round(255 * np.clip(image, 0, 1).astype(np.float32)).astype(np.uint8)
