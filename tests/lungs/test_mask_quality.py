"""True lung fields pass the checks of mask quality, and other masks fail with a reason."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from roentgate.data import phantom
from roentgate.data.images import unit
from roentgate.data.phantom import CLASSES
from roentgate.lungs.mask_quality import doubts

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

DRAWN = [phantom.image("phantom", 0, "train", label, index) for label in CLASSES for index in range(8)]
IMAGES = unit(np.stack([image.image for image in DRAWN])[:, :, :, None])
LUNGS = np.stack([image.lungs for image in DRAWN]) > 127


def moved(masks: BoolArray, down: float, across: float) -> BoolArray:
    """Return masks shifted by shares of the side."""
    by = (0, round(down * masks.shape[1]), round(across * masks.shape[2]))
    shifted: BoolArray = ndimage.shift(masks.astype(np.uint8), by, order=0) > 0
    return shifted


def kinds(masks: BoolArray, images: FloatArray = IMAGES) -> list[str]:
    return [reason.partition(":")[0] for reason in doubts(masks, images)]


def test_the_images_own_masks_are_believed() -> None:
    assert doubts(LUNGS, IMAGES) == [""] * len(LUNGS)


@pytest.mark.parametrize("images", [1 - IMAGES, IMAGES * 0.3 + 0.6, IMAGES**2, np.repeat(IMAGES, 3, axis=3)])
def test_neither_inversion_nor_exposure_raises_doubts(images: FloatArray) -> None:
    assert doubts(LUNGS, images) == [""] * len(LUNGS)


@pytest.mark.parametrize("size", [(40, 48), (200, 150)])
def test_masks_of_any_size_are_judged(size: tuple[int, int]) -> None:
    rows, columns = (np.arange(side) * 96 // side for side in size)
    assert doubts(LUNGS[:, rows[:, None], columns], IMAGES[:, rows[:, None], columns]) == [""] * len(LUNGS)


@pytest.mark.parametrize(("down", "across"), [(0, 0.15), (0, -0.15), (0.2, 0), (0.15, 0.15)])
def test_a_shifted_mask_is_found_out(down: float, across: float) -> None:
    assert all(doubts(moved(LUNGS, down, across), IMAGES))


def test_a_shift_that_leaves_the_mask_plausible_is_found_out_by_the_image() -> None:
    assert kinds(moved(LUNGS, -0.12, 0)).count("fit") > 0.9 * len(LUNGS)


def test_the_mask_of_an_image_that_lies_elsewhere_is_found_out() -> None:
    elsewhere = np.roll(IMAGES, (0, 12), axis=(1, 2))
    assert all(doubts(LUNGS, elsewhere))


def test_an_empty_mask_and_a_full_one_are_found_out() -> None:
    assert doubts(LUNGS & False, IMAGES) == ["no lung field found"] * len(LUNGS)
    assert doubts(LUNGS | True, IMAGES) == ["area: 100% of the image, outside 6% to 60%"] * len(LUNGS)
    assert all(doubts(~LUNGS, IMAGES))


def test_an_image_without_edges_supports_no_mask() -> None:
    blank, noise = np.zeros_like(IMAGES), np.random.default_rng(0).random(IMAGES.shape, dtype=np.float32)
    assert set(doubts(LUNGS, blank)) == {"fit: no contrast across the mask's edge (0.00 of 2 ranks)"}
    assert kinds(LUNGS, noise).count("fit") >= 0.9 * len(LUNGS)


def test_one_lung_or_many_pieces_are_no_pair_of_lungs() -> None:
    left = LUNGS.copy()
    left[:, :, 48:] = False
    assert all(doubts(left, IMAGES))
    pieces = np.zeros_like(LUNGS)
    for top in (10, 60):
        for side in (10, 40, 70):
            pieces[:, top : top + 25, side : side + 20] = True
    assert doubts(pieces, IMAGES) == ["shape: 6 separate fields, not two lungs"] * len(LUNGS)


def test_unequal_lungs_are_found_out() -> None:
    shrunk = LUNGS.copy()
    rows = np.arange(96)
    shrunk[:, :, 48:] = LUNGS[:, :, 48:] & ((rows > 45) & (rows < 56))[None, :, None]
    assert set(kinds(shrunk)) <= {"symmetry", "shape"}


def test_one_wide_field_over_both_lungs_is_a_pair() -> None:
    joined = np.stack([ndimage.binary_closing(np.pad(mask, 20), iterations=12)[20:-20, 20:-20] for mask in LUNGS])
    assert all(ndimage.label(mask)[1] == 1 for mask in joined)
    assert "shape" not in kinds(joined)


def test_no_images_raise_no_doubts() -> None:
    assert doubts(LUNGS[:0], IMAGES[:0]) == []
