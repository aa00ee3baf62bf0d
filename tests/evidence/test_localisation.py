"""Tests of attribution in the lungs against hand counts and nulls."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.arrays import RealArray
from roentgate.errors import ArgumentError
from roentgate.evidence.attribution import localisation
from roentgate.evidence.attribution.localisation import Located

SIDE, IMAGES = 20, 8


def lungs(count: int = IMAGES) -> NDArray[np.bool_]:
    """Return masks of two bars that cover a fifth of each image.

    The bars shift from image to image.
    """
    found = np.zeros((count, SIDE, SIDE), dtype=bool)
    for row in range(count):
        found[row, 5:15, 2 + row % 3 : 6 + row % 3] = found[row, 5:15, 12 + row % 3 : 16 + row % 3] = True
    return found


def of(maps: RealArray, masks: NDArray[np.bool_] | None = None, groups: tuple[str, ...] = ()) -> Located:
    masks = lungs(len(maps)) if masks is None else masks
    names = groups or tuple(f"image {row}" for row in range(len(maps)))
    return localisation.located(maps, masks, np.ones(len(maps), dtype=bool), names)


def test_energy_is_one_where_a_map_knows_nothing_and_the_whole_over_the_share_where_it_is_all_inside() -> None:
    flat = np.ones((IMAGES, SIDE, SIDE))
    np.testing.assert_allclose(localisation.energy(flat, lungs()), 1)
    np.testing.assert_allclose(localisation.energy(lungs() * 3.0, lungs()), 5)
    # Negative attribution outside the lungs does not count.
    np.testing.assert_allclose(localisation.energy(lungs() - 2.0 * ~lungs(), lungs()), 5)
    np.testing.assert_allclose(localisation.energy(1.0 * ~lungs(), lungs()), 0)


@pytest.mark.parametrize("null", localisation.NULLS)
def test_a_map_of_the_own_lungs_beats_every_null_and_one_of_the_background_is_beaten_by_each(
    null: localisation.Null,
) -> None:
    inside, outside = of(lungs() * 1.0), of(1.0 * ~lungs())
    assert localisation.energy_beyond(inside, null).low > 0
    assert localisation.pointing_beyond(inside, null).low > 0
    if null != "another patient":  # a map outside the own lungs may lie in another patient's
        assert localisation.energy_beyond(outside, null).high < 0
        assert localisation.pointing_beyond(outside, null).high < 0


def test_a_map_that_is_the_null_is_no_better_than_it() -> None:
    middle = np.tile(localisation.centre((SIDE, SIDE)), (IMAGES, 1, 1))
    assert localisation.energy_beyond(of(middle), "centre").value == pytest.approx(0)
    masks = lungs()
    mean_masks = (masks.sum(axis=0) - masks) / (IMAGES - 1)
    assert localisation.energy_beyond(of(mean_masks), "mean mask").value == pytest.approx(0)
    assert (
        localisation.energy_beyond(of(lungs() * 1.0, np.tile(lungs(1), (IMAGES, 1, 1))), "another patient").value == 0
    )


def test_the_point_counts_where_most_of_the_strongest_pixels_lie() -> None:
    maps = np.zeros((3, SIDE, SIDE))
    maps[:, 0, 0] = 0.5
    maps[0, 10, 4] = 1  # inside
    maps[1, 0, 10] = 1  # outside
    maps[2, 10, 4:6], maps[2, 0, 10] = 1, 1  # two of three inside
    found = localisation.pointing(of(maps, np.tile(lungs(1), (3, 1, 1))))
    assert (found.hits, found.n) == (2, 3)
    assert "Clopper" in found.method


def test_images_without_a_mask_or_without_positive_attribution_are_left_out_and_counted() -> None:
    maps = lungs() * 1.0
    maps[3] = -1
    trusted = np.arange(IMAGES) > 1
    found = localisation.located(maps, lungs(), trusted, [str(row) for row in range(IMAGES)])
    assert found.groups == ("2", "4", "5", "6", "7")
    assert found.left_out == (2, 1)
    estimate = localisation.energy_beyond(found, "centre")
    assert estimate.n == 5
    assert "; 2 images without a trusted lung mask left out; 1 image without positive" in estimate.detail


def test_two_images_of_one_patient_are_one_and_neither_lends_the_other_its_mask() -> None:
    groups = ("a", "a", "b", "b", "c", "c", "d", "d")
    found = of(lungs() * 1.0, groups=groups)
    assert localisation.energy_beyond(found, "centre").n == 4
    partners = localisation._others(of(lungs() * 1.0, groups=("a", "b", "c", "d", "a", "b", "c", "d")))
    assert all(row % 4 != partner % 4 for row, partner in enumerate(partners))


def test_nothing_to_compare_is_undefined() -> None:
    for count in (0, 1):
        found = of(lungs(count) * 1.0)
        for null in localisation.NULLS:
            energy, points = localisation.energy_beyond(found, null), localisation.pointing_beyond(found, null)
            assert not energy.defined
            assert not points.defined
            assert (points.low, points.high, energy.low) == (-1, 1, -np.inf)
    assert not localisation.pointing(of(lungs(0) * 1.0)).defined


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(ArgumentError, match="give one mask a map, of the same size"):
        of(np.ones((2, SIDE, SIDE + 1)), lungs(2))
