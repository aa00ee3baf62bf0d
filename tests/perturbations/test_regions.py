"""Kept pixels stay, draws repeat, and lungs on another background keep their detail."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.data import phantom
from roentgate.data.phantom import CLASSES
from roentgate.perturbations import regions as interventions
from roentgate.perturbations.regions import (
    BLANKS,
    DRAWN,
    LETTER,
    REGION_INFILLS,
    Infill,
    blanks,
    hide,
    into_background,
    letter,
    lettered,
    limbs,
    random_regions,
)

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

DRAWN_IMAGES = [phantom.image("phantom", 0, "test", CLASSES[index % 3], index) for index in range(6)]
IMAGES = np.stack([image.image for image in DRAWN_IMAGES])[..., None].astype(np.float32) / np.float32(255)
LUNGS = np.stack([image.lungs for image in DRAWN_IMAGES]) > 127
seeds = st.integers(0, 2**32 - 1)


def some(seed: int, *, count: int = 3, channels: int = 1) -> tuple[FloatArray, BoolArray]:
    """Return random images and ragged masks.

    The images are float32 (n, 20, 24, C) in [0, 1], the masks bool (n, 20, 24).
    """
    generator = np.random.default_rng(seed)
    images = generator.random((count, 20, 24, channels), dtype=np.float32)
    masks = ndimage.gaussian_filter(generator.standard_normal((count, 20, 24)), (0, 2, 2)) > 0
    return images, masks


def hidden(images: FloatArray, masks: BoolArray, infill: Infill, rows: list[int], seed: int = 0) -> FloatArray:
    ((_, changed),) = hide(images, masks, [infill], np.array(rows), seed)
    return changed


# Hiding


@given(seed=seeds, infill=st.sampled_from(REGION_INFILLS), channels=st.sampled_from([1, 3]))
@settings(max_examples=40)
def test_kept_pixels_stay_and_hidden_ones_are_grey_levels(seed: int, infill: Infill, channels: int) -> None:
    images, masks = some(seed, channels=channels)
    before = images.copy()
    changed = hidden(images, masks, infill, [4, 5, 6])
    assert changed.dtype == np.float32
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    np.testing.assert_array_equal(changed[~masks], images[~masks])
    np.testing.assert_array_equal(images, before)


@given(seed=seeds, infill=st.sampled_from(REGION_INFILLS))
@settings(max_examples=40)
def test_what_is_hidden_leaves_no_trace(seed: int, infill: Infill) -> None:
    images, masks = some(seed)
    altered = np.where(masks[..., None], 1 - images, images)
    first, second = (hidden(each, masks, infill, [4, 5, 6]) for each in (images, altered))
    np.testing.assert_array_equal(first, second)


@given(seed=seeds, infill=st.sampled_from(REGION_INFILLS))
@settings(max_examples=40)
def test_an_infill_does_not_depend_on_the_other_images(seed: int, infill: Infill) -> None:
    images, masks = some(seed)
    together = hidden(images, masks, infill, [4, 5, 6], seed=7)
    alone = hidden(images[1:2], masks[1:2], infill, [5], seed=7)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-6)  # a blur is a product of matrices
    if infill != "blur":
        np.testing.assert_array_equal(together[1:2], alone)


def test_noise_is_that_of_the_row_and_of_the_seed() -> None:
    images, masks = some(0, count=1)
    drawn = [hidden(images, masks, "noise", [row], seed) for row, seed in ((3, 0), (3, 0), (4, 0), (3, 1))]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert all((drawn[0] != each).any() for each in drawn[2:])


def test_infills_are_what_their_names_say() -> None:
    images, mask = IMAGES[:1], LUNGS[:1]
    kept = images[~mask]
    assert not hidden(images, mask, "black", [0])[mask].any()
    np.testing.assert_allclose(hidden(images, mask, "mean", [0])[mask], kept.mean(), atol=1e-6)
    noise = hidden(images, mask, "noise", [0])[mask]
    assert abs(noise.mean() - kept.mean()) < 0.03
    assert abs(noise.std() - kept.std()) < 0.05
    assert np.isin(hidden(images, mask, "edge", [0])[mask], kept).all()
    edge, blur = (
        hidden(images, mask, infill, [0])[0, :, :, 0] for infill in get_args(Infill) if infill in {"edge", "blur"}
    )
    inside = ndimage.binary_erosion(mask[0], iterations=2)
    roughness = [np.abs(np.diff(each, axis=0))[inside[1:]].mean() for each in (edge, blur)]
    assert roughness[1] < roughness[0]


@pytest.mark.parametrize("infill", REGION_INFILLS)
def test_an_image_of_which_nothing_is_kept_is_black(infill: Infill) -> None:
    everything = np.ones((1, 96, 96), dtype=bool)
    assert not hidden(IMAGES[:1], everything, infill, [0]).any()


# Random regions


@given(areas=st.lists(st.integers(0, 24 * 20), min_size=1, max_size=4), seed=st.integers(0, 100))
@settings(max_examples=40)
def test_a_random_region_is_as_large_as_asked(areas: list[int], seed: int) -> None:
    regions = random_regions(np.array(areas), (20, 24), np.arange(len(areas)), seed)
    assert regions.dtype == bool
    assert regions.sum(axis=(1, 2)).tolist() == areas
    alone = random_regions(np.array(areas[-1:]), (20, 24), np.array([len(areas) - 1]), seed)
    np.testing.assert_array_equal(regions[-1:], alone)


def test_random_regions_are_smooth_and_lie_anywhere() -> None:
    regions = random_regions(np.full(60, 2000), (96, 96), np.arange(60), 0)
    assert all(ndimage.label(region)[1] <= 12 for region in regions)
    share = regions.mean(axis=0)
    assert share.min() > 0
    assert share.max() < 0.5


# Backgrounds


@pytest.mark.parametrize("index", range(6))
def test_an_image_in_its_own_background_is_itself(index: int) -> None:
    image = IMAGES[index]
    np.testing.assert_allclose(into_background(image, LUNGS[index], image, LUNGS[index]), image, atol=1e-6)


@given(pair=st.tuples(st.integers(0, 5), st.integers(0, 5)), gamma=st.floats(0.4, 2.5))
@settings(max_examples=30)
def test_all_but_the_lungs_is_the_background(pair: tuple[int, int], gamma: float) -> None:
    lungs, background = pair
    image = IMAGES[lungs] ** np.float32(gamma)
    made = into_background(image, LUNGS[lungs], IMAGES[background], LUNGS[background])
    assert made.dtype == np.float32
    assert made.shape == image.shape
    assert made.min() >= 0
    assert made.max() <= 1
    margin = 5  # four standard deviations of the seam, and one pixel
    far = ~ndimage.binary_dilation(LUNGS[background], iterations=margin)
    np.testing.assert_allclose(made[far], IMAGES[background][far], atol=2e-3)


@pytest.mark.parametrize("gamma", [0.4, 1.0, 2.5])
def test_the_lungs_that_are_set_in_keep_their_detail(gamma: float) -> None:
    lost = []
    for lungs, background in ((0, 1), (1, 2), (2, 0), (3, 5)):
        made = into_background(IMAGES[lungs], LUNGS[lungs], IMAGES[background] ** np.float32(gamma), LUNGS[background])
        inside = ndimage.binary_erosion(LUNGS[background], iterations=3)
        lost.append(((made[inside] <= 0) | (made[inside] >= 1)).mean())
    assert max(lost) <= 0.03, "black or white where the image had detail"


def test_a_lesion_comes_along_and_that_of_the_background_does_not() -> None:
    image, background = IMAGES[1], IMAGES[4]
    spot = np.zeros((96, 96), dtype=bool)
    y, x = np.argwhere(ndimage.binary_erosion(LUNGS[1], iterations=5))[0]
    spot[y - 3 : y + 4, x - 3 : x + 4] = True
    with_spot = image + np.float32(0.3) * spot[..., None]
    given, plain = (into_background(each, LUNGS[1], background, LUNGS[4]) for each in (with_spot, image))
    assert (given - plain).max() > 0.1
    y, x = np.argwhere(ndimage.binary_erosion(LUNGS[4], iterations=5))[0]
    scarred = background.copy()
    scarred[y, x] = 1
    np.testing.assert_allclose(into_background(image, LUNGS[1], scarred, LUNGS[4]), plain, atol=1e-5)


def drawn_lungs(left: tuple[float, float, int], right: tuple[float, float, int], bottom: int) -> BoolArray:
    """Return two lungs, bool (96, 96), each with bounds that lean outwards from its apex down.

    The numbers of a lung are its medial bound, its lateral bound at the apex, and how far the latter leans outwards.
    """
    y, x = np.mgrid[:96, :96]
    lean = (y - 15) / (bottom - 15)
    inside = [
        (x * sign < (medial * sign)) & (x * sign > (lateral * sign - out * lean))
        for sign, (medial, lateral, out) in ((1, left), (-1, right))
    ]
    return np.asarray((inside[0] | inside[1]) & (y >= 15) & (y < bottom))


def test_no_chest_wall_comes_in_at_the_sides_and_no_side_of_a_lung_is_cut_off() -> None:
    lungs, hole = drawn_lungs((44, 34, 26), (52, 60, 24), 75), drawn_lungs((40, 24, 4), (56, 82, 9), 86)
    image = np.where(lungs, 0.25, 0.75)[..., None].astype(np.float32)
    made = interventions.fitted(image, lungs, hole)[..., 0]
    assert made[ndimage.binary_erosion(hole, iterations=3)].max() < 0.3, "chest wall inside the lungs"
    rim = image.copy()  # the outermost pixels of both lungs, brighter than the lungs themselves
    rim[lungs & ~ndimage.binary_erosion(lungs, structure=np.ones((1, 3)), iterations=4)] = 0.5
    given = interventions.fitted(rim, lungs, hole)[..., 0]
    for side in interventions.lung_sides(hole):
        rows = np.flatnonzero(side.any(axis=1))[5:-5]
        assert all(given[row, side[row]].max() > 0.4 for row in rows), "the side of a lung is missing"


def test_each_lung_has_its_own_place() -> None:
    lungs, hole = drawn_lungs((44, 34, 20), (52, 60, 20), 75), drawn_lungs((48, 40, 6), (62, 80, 9), 86)
    left, right = interventions.lung_sides(lungs)
    image = np.zeros((96, 96, 1), np.float32)
    image[left], image[right] = 0.3, 0.7
    moved = interventions.fitted(image, lungs, hole)[..., 0]
    for side, grey in zip(interventions.lung_sides(hole), (0.3, 0.7), strict=True):
        assert abs(moved[ndimage.binary_erosion(side, iterations=3)] - grey).max() < 0.01


def test_lungs_that_are_one_field_are_cut_in_the_middle() -> None:
    field = np.zeros((20, 30), dtype=bool)
    field[3:17, 4:24] = True
    left, right = interventions.lung_sides(field)
    assert (left | right == field).all()
    assert np.flatnonzero(left.any(axis=0)).tolist() == list(range(4, 14))
    alone = np.zeros((20, 30), dtype=bool)
    alone[3:17, 4] = True
    assert len(interventions.lung_sides(alone)) == 1
    moved = interventions.fitted(np.ones((20, 30, 1), np.float32), alone, field)
    assert (moved == 1).all()


# Letters


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(32, 48), (96, 96), (256, 200)])
def test_a_letter_is_as_bright_as_the_image_and_a_patch_as_bright_as_the_letter(
    shape: tuple[int, int], channels: int
) -> None:
    images = np.random.default_rng(0).random((3, *shape, channels), dtype=np.float32) * np.float32(0.8)
    before = images.copy()
    inked, flat = (lettered(images, plain=plain) for plain in (False, True))
    np.testing.assert_array_equal(images, before)
    strokes = letter(shape)
    assert abs(strokes.shape[0] - max(7, LETTER * min(shape))) <= 4
    assert 0.15 < strokes.mean() < 0.6
    box, ink = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    box[2 : 2 + strokes.shape[0], 2 : 2 + strokes.shape[1]] = True
    ink[2 : 2 + strokes.shape[0], 2 : 2 + strokes.shape[1]] = strokes
    for image, changed, patch in zip(images, inked, flat, strict=True):
        assert changed.dtype == patch.dtype == np.float32
        np.testing.assert_allclose(changed[ink], np.broadcast_to(image.max(axis=(0, 1)), changed[ink].shape))
        np.testing.assert_array_equal(changed[~ink], image[~ink])
        np.testing.assert_array_equal(patch[~box], image[~box])
        np.testing.assert_allclose(patch[box].std(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(patch[box].mean(axis=0), changed[box].mean(axis=0), atol=1e-5)


# No chest


@pytest.mark.parametrize("shape", [(24, 32, 1), (32, 24, 3)])
def test_images_without_a_chest(shape: tuple[int, int, int]) -> None:
    made = blanks(shape, seed=3)
    assert list(made) == [*BLANKS, "noise", "limb"]
    for name, images in made.items():
        assert images.shape == ((1 if name in BLANKS else DRAWN), *shape), name
        assert images.dtype == np.float32, name
        assert images.min() >= 0, name
        assert images.max() <= 1, name
    assert {name: float(made[name].mean()) for name in BLANKS} == BLANKS
    again = blanks(shape, seed=3)
    assert all((made[name] == again[name]).all() for name in made)
    assert (blanks(shape, seed=4)["noise"] != made["noise"]).any()


def test_limbs_differ_and_have_bone_in_flesh_in_air() -> None:
    drawn = limbs((64, 64, 1), 0)
    assert len(np.unique(drawn.reshape(DRAWN, -1), axis=0)) == DRAWN
    for limb in drawn:
        dark, bright = np.quantile(limb, (0.1, 0.95))
        assert dark < 0.2
        assert bright > 0.5


def test_a_seam_is_narrower_than_a_rib() -> None:
    assert interventions.SEAM * 96 < 2
