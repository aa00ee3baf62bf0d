"""Whether an explainer finds lesions where they are known, as on drawn images.

Only images count whose answer changes when their lesions are masked: a map of a model that does not use a lesion need
not show it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from roentgate.arrays import BoolArray, Images, IntArray
from roentgate.candidates import Model
from roentgate.data import images as reader
from roentgate.evidence.attribution.localisation import energy_beyond, located
from roentgate.perturbations import regions
from roentgate.stats import Estimate

FEWEST = 10
"""Least number of images on which an explainer can fail to find lesions."""

_MARGIN = 0.02  # of the side, by which a masked lesion is wider than its mask


def read(paths: Sequence[Path], shape: tuple[int, int]) -> BoolArray:
    """Return the lesions of images, bool (k, H, W)."""
    found = [reader.unit(mask)[:, :, 0] > 0.5 for mask in reader.read_each(paths, (*shape, 1), "nearest")]
    return np.stack(found) if found else np.zeros((0, *shape), dtype=bool)


def decide(model: Model, images: Images, predicted: IntArray, lesions: BoolArray) -> BoolArray:
    """Return which answers change when the lesions are masked, bool (k,).

    Args:
        model: The model.
        images: float32 (k, H, W, C) in [0, 1].
        predicted: Its answers to them, int64 (k,).
        lesions: bool (k, H, W).
    """
    reach = max(1, round(_MARGIN * min(lesions.shape[1:])))
    masks = np.stack([ndimage.binary_dilation(lesion, iterations=reach) for lesion in lesions])
    ((_, changed),) = regions.hide(images, masks, ["blur"], np.arange(len(images)), 0)
    deciding: BoolArray = (model.predict(changed).argmax(axis=1) != predicted) & lesions.any(axis=(1, 2))
    return deciding


def found_by(maps: Images, lesions: BoolArray, deciding: BoolArray, groups: Sequence[str], unit: str) -> Estimate:
    """Density of positive attribution in the lesions, minus that in another image's.

    Returns:
        As `roentgate.evidence.attribution.localisation.energy_beyond`, over the images whose lesions decide.
    """
    of = located(maps, lesions & deciding[:, None, None], deciding, groups, unit=unit)
    found = energy_beyond(of, "another patient")
    return replace(
        found, detail=f"{len(of.maps)} of {len(maps)} images whose answer changes when its lesions are masked"
    )


def missed(found: Estimate) -> bool:
    """Return whether an explainer fails to find lesions that decide: the interval is not above 0."""
    return found.defined and found.n >= FEWEST and not found.low > 0
