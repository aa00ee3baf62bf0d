"""Rotations and shifts agree with Pillow, SciPy and slices, and stay within the image's greys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from roentgate.errors import ArgumentError
from roentgate.perturbations.geometric import rotated, shifted
from tests.perturbations.test_corruptions import smooth_images


@pytest.mark.parametrize("degrees", [-3, 2.5, 20])
def test_a_rotation_is_pillows_but_for_the_edges(degrees: float) -> None:
    images = smooth_images((60, 48, 1), 1)
    expected = np.asarray(Image.fromarray(images[0, :, :, 0]).rotate(degrees, Image.Resampling.BILINEAR))
    inside = (slice(14, -14), slice(14, -14))
    np.testing.assert_allclose(rotated(images, degrees)[0, :, :, 0][inside], expected[inside], atol=0.01)


def test_what_turns_in_from_outside_is_the_nearest_edge_pixel() -> None:
    images = smooth_images((31, 40, 3), 2)
    result = rotated(images, 10)
    expected = [ndimage.rotate(image, 10, reshape=False, order=1, mode="nearest") for image in images]
    np.testing.assert_allclose(result, expected, atol=1e-5)


@given(degrees=st.floats(-45, 45), height=st.integers(2, 30), width=st.integers(2, 30))
def test_a_rotation_stays_within_the_greys_of_the_image(degrees: float, height: int, width: int) -> None:
    images = np.random.default_rng(0).random((2, height, width, 1), dtype=np.float32)
    result = rotated(images, degrees)
    assert result.shape == images.shape
    assert result.dtype == np.float32
    for before, after in zip(images, result, strict=True):
        assert before.min() - 1e-6 <= after.min() <= after.max() <= before.max() + 1e-6


def test_no_rotation_and_no_shift_change_nothing() -> None:
    images = smooth_images((20, 24, 1))
    np.testing.assert_allclose(rotated(images, 0), images, atol=1e-6)
    np.testing.assert_array_equal(shifted(images, 0, 0), images)


@pytest.mark.parametrize(("share", "pixels"), [(0.03, 3), (0.001, 1), (0.1, 10)])
def test_a_shift_is_by_whole_pixels_and_at_least_one(share: float, pixels: int) -> None:
    images = smooth_images((100, 100, 1))
    down, left = shifted(images, share, 0), shifted(images, 0, -share)
    np.testing.assert_array_equal(down[:, pixels:], images[:, :-pixels])
    np.testing.assert_array_equal(down[:, :pixels], np.repeat(images[:, :1], pixels, axis=1))
    np.testing.assert_array_equal(left[:, :, :-pixels], images[:, :, pixels:])
    np.testing.assert_array_equal(left[:, :, -pixels:], np.repeat(images[:, :, -1:], pixels, axis=2))


def test_what_is_not_small_is_refused() -> None:
    images = smooth_images((20, 20, 1))
    with pytest.raises(ArgumentError, match="a rotation by 90 degrees is not small"):
        rotated(images, 90)
    with pytest.raises(ArgumentError, match=r"a shift by 0.6 of the side is not small"):
        shifted(images, 0.6, 0)
