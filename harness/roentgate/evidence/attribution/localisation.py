"""Does what spoke for an answer lie in the lungs, more than chance and habit would put it there?

Energy is the share of a map's positive attribution that lies inside the lungs, over the share of the image that they
take: 1 is an explanation that knows nothing of them. It means little by itself, for lungs lie in the middle and so do
most maps; hence the nulls, each compared on the same images:

* ``centre``: a Gaussian in the middle of the image, a quarter of the side in deviation;
* ``mean mask``: the mean of the other images' lungs, shown as if it were the map;
* ``another patient``: the image's own map, judged by the lungs of another patient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import BoolArray, RealArray
from roentgate.errors import ArgumentError
from roentgate.evidence.attribution.sanity_check import mean_of
from roentgate.stats import Estimate, proportion, undefined

Null = Literal["centre", "mean mask", "another patient"]
NULLS: Final[tuple[Null, ...]] = ("centre", "mean mask", "another patient")
CENTRE_SPREAD: Final = 0.25
"""Deviation of the centre Gaussian, as a share of the side."""


class Lungs(Protocol):
    """Where the lungs are on the images of one split, as `roentgate.lungs.lung_masks.LungFields` says."""

    @property
    def trusted(self) -> BoolArray:
        """Whether the mask of each row may be relied on: bool (n,)."""
        ...

    def take(self, rows: NDArray[np.int64]) -> BoolArray:
        """Return the masks of these rows, in the order given: bool (k, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class Located:
    """Maps beside the lungs they should lie in; only images with both.

    Attributes:
        maps: float (n, H, W); their positive part is what is located.
        lungs: bool (n, H, W).
        groups: The patient of each image, or the image's id where patients are unknown.
        left_out: Images without a trusted mask, and images whose map has no positive attribution.
        unit: What one group is.
    """

    maps: RealArray
    lungs: BoolArray
    groups: tuple[str, ...]
    left_out: tuple[int, int] = (0, 0)
    unit: str = "image"

    @property
    def words(self) -> str:
        """What was left out, "" where nothing was."""
        masks, empty = self.left_out
        parts = [f"{masks} image{'s' * (masks != 1)} without a trusted lung mask left out"] if masks else []
        parts += [f"{empty} image{'s' * (empty != 1)} without positive attribution left out"] if empty else []
        return "; ".join(parts)


def located(
    maps: RealArray, lungs: BoolArray, trusted: BoolArray, groups: Sequence[str], *, unit: str = "image"
) -> Located:
    """Put maps (n, H, W) and lungs (n, H, W) together, without images that lack a trusted mask or a positive map.

    Raises:
        ArgumentError: Masks and maps differ in number or size.
    """
    if maps.shape != lungs.shape or len(trusted) != len(maps) or len(groups) != len(maps):
        raise ArgumentError(f"maps {maps.shape} and lung masks {lungs.shape}: give one mask a map, of the same size")
    speaks = maps.max(axis=(1, 2), initial=0) > 0
    kept = trusted & speaks
    names = tuple(name for name, keep in zip(groups, kept, strict=True) if keep)
    left_out = int((~trusted).sum()), int((trusted & ~speaks).sum())
    return Located(maps[kept], lungs[kept], names, left_out, unit)


def energy(maps: RealArray, lungs: BoolArray) -> NDArray[np.float64]:
    """Return for each image the share of positive attribution in the lungs over the lungs' share of the image: (n,)."""
    return np.asarray(_inside(maps, lungs) / lungs.mean(axis=(1, 2)))


def energy_beyond(of: Located, null: Null) -> Estimate:
    """Energy in the lungs less that of a null, on the same images (0 is the null; higher is better).

    Returns:
        Mean of the paired differences and t interval over patients; NaN between minus and plus infinity of fewer than
        two patients. The words give both means, and what was left out.
    """
    if len(set(of.groups)) < 2:
        return _undefined(of, low=-math.inf, high=math.inf)
    own = energy(of.maps, of.lungs)
    if null == "another patient":
        beside = energy(of.maps, of.lungs[_others(of)])
    else:
        beside = energy(_null_maps(of, null), of.lungs)
    told = f"{own.mean():.2f} times the lungs' share of the image, {beside.mean():.2f} for the null"
    return _paired(own - beside, of, low=-math.inf, high=math.inf, detail=_words(told, of))


def pointing(of: Located) -> Estimate:
    """Share of images whose strongest pixel lies in the lungs (0 to 1): the pointing game, without tolerance.

    Where several pixels are strongest, most of them must lie inside.

    Returns:
        Value and Clopper-Pearson interval; NaN in [0, 1] without images.

    References:
        Zhang et al., Top-down neural attention by excitation backprop, IJCV 126 (2018) 1084-1102.
    """
    hits = _hits(of.maps, of.lungs) > 0.5
    return proportion(int(hits.sum()), len(hits), detail=of.words)


def pointing_beyond(of: Located, null: Null) -> Estimate:
    """Hits of the pointing game less those of a null (-1 to 1; 0 is the null; higher is better).

    A point of ``centre`` or ``mean mask`` is drawn from that map, so that its chance of a hit is the share of it that
    lies in the lungs; the point of ``another patient`` is the image's own, judged by that patient's lungs.

    Returns:
        Mean of the paired differences and t interval over patients; NaN in [-1, 1] of fewer than two.
    """
    if len(set(of.groups)) < 2:
        return _undefined(of, low=-1.0, high=1.0)
    own = _hits(of.maps, of.lungs)
    if null == "another patient":
        beside = _hits(of.maps, of.lungs[_others(of)])
    else:
        beside = _inside(_null_maps(of, null), of.lungs)
    told = f"{own.mean():.0%} of the points in the lungs, {beside.mean():.0%} of the null's"
    return _paired(own - beside, of, low=-1.0, high=1.0, detail=_words(told, of))


def centre(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a Gaussian in the middle of an image (H, W)."""
    rows, columns = (np.exp(-0.5 * np.square(((np.arange(n) + 0.5) / n - 0.5) / CENTRE_SPREAD)) for n in shape)
    return rows[:, None] * columns


def _null_maps(of: Located, null: Null) -> RealArray:
    if null == "centre":
        return np.broadcast_to(centre((of.maps.shape[1], of.maps.shape[2])), of.maps.shape)
    total, n = of.lungs.sum(axis=0, dtype=np.float64), len(of.lungs)
    return np.asarray((total - of.lungs) / (n - 1))


def _others(of: Located) -> NDArray[np.int64]:
    """Return for each image one of another patient: the one half the images further on, or else any other."""
    n, groups = len(of.groups), np.array(of.groups)
    found = (np.arange(n) + n // 2) % n
    for row in np.flatnonzero(groups[found] == groups):
        others = np.flatnonzero(groups != groups[row])
        found[row] = others[row % len(others)]
    return found


def _inside(maps: RealArray, lungs: BoolArray) -> NDArray[np.float64]:
    positive = np.maximum(maps, 0).astype(np.float64)
    return np.asarray((positive * lungs).sum(axis=(1, 2)) / positive.sum(axis=(1, 2)))


def _hits(maps: RealArray, lungs: BoolArray) -> NDArray[np.float64]:
    """Return the share of each map's strongest pixels that lie in the lungs: (n,)."""
    strongest = maps == maps.max(axis=(1, 2), keepdims=True, initial=0)
    return np.asarray((strongest & lungs).sum(axis=(1, 2)) / np.maximum(strongest.sum(axis=(1, 2)), 1))


def _paired(differences: RealArray, of: Located, *, low: float, high: float, detail: str) -> Estimate:
    """Return the mean over patients of the mean over their images."""
    names, rows = np.unique(np.array(of.groups), return_inverse=True)
    sums = np.bincount(rows, weights=differences, minlength=len(names))
    return mean_of(sums / np.bincount(rows, minlength=len(names)), low=low, high=high, unit=of.unit, detail=detail)


def _words(told: str, of: Located) -> str:
    return "; ".join(part for part in (told, of.words) if part)


def _undefined(of: Located, *, low: float, high: float) -> Estimate:
    words = _words("fewer than two patients to compare", of)
    return undefined(len(set(of.groups)), low=low, high=high, method="Student's t", unit=of.unit, detail=words)
