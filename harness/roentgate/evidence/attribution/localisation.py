"""Share of positive attribution that lies in the lungs, compared with nulls.

Energy is the share of a map's positive attribution inside the lungs, divided by the share of the image that the lungs
cover. It is 1 for a map that is unrelated to the lungs. It means little by itself, because lungs and most maps lie in
the middle of the image. Energy is therefore compared with nulls on the same images:

* ``centre``: a Gaussian in the middle of the image, with a standard deviation of a quarter of the side.
* ``mean mask``: the mean of the other images' lung masks, used as a map.
* ``another patient``: the image's own map with the lungs of another patient.
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
"""Standard deviation of the centre Gaussian, as a share of the side."""


class Lungs(Protocol):
    """Lung masks of one split, such as `roentgate.lungs.lung_masks.LungFields`."""

    @property
    def trusted(self) -> BoolArray:
        """Whether the mask of each row is trusted, bool (n,)."""
        ...

    def take(self, rows: NDArray[np.int64]) -> BoolArray:
        """Return these rows' masks in the given order, bool (k, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class Located:
    """Attribution maps with the lung masks of the same images.

    Attributes:
        maps: Maps float (n, H, W), of which the positive part is located.
        lungs: Lung masks bool (n, H, W).
        groups: The patient of each image, or its id if patients are unknown.
        left_out: Number of images without a trusted mask, and of images without positive attribution.
        unit: What one group is.
    """

    maps: RealArray
    lungs: BoolArray
    groups: tuple[str, ...]
    left_out: tuple[int, int] = (0, 0)
    unit: str = "image"

    @property
    def note(self) -> str:
        """Text that says which images were left out, or ""."""
        masks, empty = self.left_out
        parts = [f"{masks} image{'s' * (masks != 1)} without a trusted lung mask left out"] if masks else []
        parts += [f"{empty} image{'s' * (empty != 1)} without positive attribution left out"] if empty else []
        return "; ".join(parts)


def located(
    maps: RealArray, lungs: BoolArray, trusted: BoolArray, groups: Sequence[str], *, unit: str = "image"
) -> Located:
    """Return maps with lungs, without images that cannot be judged.

    Left out are images without a trusted mask and images without positive attribution.

    Args:
        maps: Attribution maps (n, H, W).
        lungs: Lung masks bool (n, H, W).
        trusted: Whether each mask is trusted, bool (n,).
        groups: The patient of each image, or its id if patients are unknown.
        unit: What one group is.

    Raises:
        ArgumentError: Masks and maps differ in number or size.
    """
    if maps.shape != lungs.shape or len(trusted) != len(maps) or len(groups) != len(maps):
        raise ArgumentError(f"maps {maps.shape} and lung masks {lungs.shape}: give one mask a map, of the same size")
    positive = maps.max(axis=(1, 2), initial=0) > 0
    kept = trusted & positive
    names = tuple(name for name, keep in zip(groups, kept, strict=True) if keep)
    left_out = int((~trusted).sum()), int((trusted & ~positive).sum())
    return Located(maps[kept], lungs[kept], names, left_out, unit)


def energy(maps: RealArray, lungs: BoolArray) -> NDArray[np.float64]:
    """Return the energy in the lungs of each image, float64 (n,).

    See the module for the definition.
    """
    return np.asarray(_inside(maps, lungs) / lungs.mean(axis=(1, 2)))


def energy_beyond(of: Located, null: Null) -> Estimate:
    """Energy in the lungs minus that of a null.

    Both are of the same images. 0 is as good as the null, and higher is better.

    Returns:
        Mean of the paired differences and t interval over patients. NaN between minus and plus infinity for fewer than
        two patients. The detail gives both means and says which images were left out.
    """
    if len(set(of.groups)) < 2:
        return _undefined(of, low=-math.inf, high=math.inf)
    own = energy(of.maps, of.lungs)
    if null == "another patient":
        control = energy(of.maps, of.lungs[_others(of)])
    else:
        control = energy(_null_maps(of, null), of.lungs)
    means = f"{own.mean():.2f} times the lungs' share of the image, {control.mean():.2f} for the null"
    return _paired(own - control, of, low=-math.inf, high=math.inf, detail=_detail(means, of))


def pointing(of: Located) -> Estimate:
    """Share of images whose strongest pixel lies in the lungs.

    It lies between 0 and 1. This is the pointing game without tolerance. If several pixels are equally strong, more
    than half of them must lie inside.

    Returns:
        Value and Clopper-Pearson interval. NaN in [0, 1] without images.

    References:
        Zhang et al., Top-down neural attention by excitation backprop, IJCV 126 (2018) 1084-1102.
    """
    hits = _hits(of.maps, of.lungs) > 0.5
    return proportion(int(hits.sum()), len(hits), detail=of.note)


def pointing_beyond(of: Located, null: Null) -> Estimate:
    """Hits of the pointing game minus those of a null.

    The difference lies between -1 and 1, 0 is as good as the null, and higher is better. The point of ``centre`` or
    ``mean mask`` is drawn from that map, so its chance of a hit is the share of the map that lies in the lungs. The
    point of ``another patient`` is the image's own point, compared with that patient's lungs.

    Returns:
        Mean of the paired differences and t interval over patients. NaN in [-1, 1] for fewer than two patients.
    """
    if len(set(of.groups)) < 2:
        return _undefined(of, low=-1.0, high=1.0)
    own = _hits(of.maps, of.lungs)
    if null == "another patient":
        control = _hits(of.maps, of.lungs[_others(of)])
    else:
        control = _inside(_null_maps(of, null), of.lungs)
    means = f"{own.mean():.0%} of the points in the lungs, {control.mean():.0%} of the null's"
    return _paired(own - control, of, low=-1.0, high=1.0, detail=_detail(means, of))


def centre(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a Gaussian in the middle of an image, float64 (H, W)."""
    rows, columns = (np.exp(-0.5 * np.square(((np.arange(n) + 0.5) / n - 0.5) / CENTRE_SPREAD)) for n in shape)
    return rows[:, None] * columns


def _null_maps(of: Located, null: Null) -> RealArray:
    if null == "centre":
        return np.broadcast_to(centre((of.maps.shape[1], of.maps.shape[2])), of.maps.shape)
    total, n = of.lungs.sum(axis=0, dtype=np.float64), len(of.lungs)
    return np.asarray((total - of.lungs) / (n - 1))


def _others(of: Located) -> NDArray[np.int64]:
    """Return for each image the index of an image of another patient.

    It is the image half the list further on, or else another one if that is of the same patient.
    """
    n, groups = len(of.groups), np.array(of.groups)
    partners = (np.arange(n) + n // 2) % n
    for row in np.flatnonzero(groups[partners] == groups):
        others = np.flatnonzero(groups != groups[row])
        partners[row] = others[row % len(others)]
    return partners


def _inside(maps: RealArray, lungs: BoolArray) -> NDArray[np.float64]:
    positive = np.maximum(maps, 0).astype(np.float64)
    return np.asarray((positive * lungs).sum(axis=(1, 2)) / positive.sum(axis=(1, 2)))


def _hits(maps: RealArray, lungs: BoolArray) -> NDArray[np.float64]:
    """Return the share of each map's strongest pixels inside the lungs, (n,)."""
    strongest = maps == maps.max(axis=(1, 2), keepdims=True, initial=0)
    return np.asarray((strongest & lungs).sum(axis=(1, 2)) / np.maximum(strongest.sum(axis=(1, 2)), 1))


def _paired(differences: RealArray, of: Located, *, low: float, high: float, detail: str) -> Estimate:
    """Return the mean over patients of the means over their images."""
    names, rows = np.unique(np.array(of.groups), return_inverse=True)
    sums = np.bincount(rows, weights=differences, minlength=len(names))
    return mean_of(sums / np.bincount(rows, minlength=len(names)), low=low, high=high, unit=of.unit, detail=detail)


def _detail(text: str, of: Located) -> str:
    return "; ".join(part for part in (text, of.note) if part)


def _undefined(of: Located, *, low: float, high: float) -> Estimate:
    detail = _detail("fewer than two patients to compare", of)
    return undefined(len(set(of.groups)), low=low, high=high, method="Student's t", unit=of.unit, detail=detail)
