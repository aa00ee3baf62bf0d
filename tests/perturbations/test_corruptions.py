"""Corruptions stay in range, depend on seed and row alone, and grow with severity.

They also agree with other implementations.
"""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy import ndimage

from roentgate.errors import ArgumentError
from roentgate.perturbations import corruptions
from roentgate.perturbations.corruptions import GROUPS, KINDS, SEVERITIES, Corruption, apply_each, group_of

Images = NDArray[np.float32]
NOISES = [kind for kind in KINDS if group_of(kind) == "noise"]
SHAPES = st.tuples(st.integers(8, 40), st.integers(8, 40), st.sampled_from([1, 3]))


def smooth_images(shape: tuple[int, int, int], count: int = 3, seed: int = 0) -> Images:
    """Return smooth images of 256 grey levels, with some structure as in radiographs."""
    noise = np.random.default_rng(seed).normal(size=(count, *shape[:2], 1))
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 0))
    smooth = 0.5 + 0.2 * smooth / max(smooth.std(), 1e-6)
    grey = np.round(np.clip(smooth, 0, 1) * 255).astype(np.float32) / np.float32(255)
    return np.repeat(grey, shape[2], axis=3)


def distance(first: Images, second: Images) -> float:
    return float(np.sqrt(np.mean(np.square(first - second))))


@pytest.mark.parametrize("kind", KINDS)
@given(shape=SHAPES, severity=st.sampled_from(SEVERITIES), seed=st.integers(0, 3))
def test_images_stay_images(kind: str, shape: tuple[int, int, int], severity: int, seed: int) -> None:
    images = np.random.default_rng(seed).random((2, *shape), dtype=np.float32)
    images[0, : shape[0] // 2] = 0
    images[1, : shape[0] // 2] = 1
    before = images.copy()
    changed = Corruption(kind, severity)(images, np.array([4, 7]), seed=seed)
    assert changed.shape == images.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert np.array_equal(images, before)


@pytest.mark.parametrize("kind", KINDS)
@given(rows=st.lists(st.integers(0, 10**6), min_size=2, max_size=5, unique=True), severity=st.sampled_from(SEVERITIES))
def test_what_becomes_of_an_image_does_not_depend_on_its_company(kind: str, rows: list[int], severity: int) -> None:
    images, corruption = smooth_images((12, 10, 1), len(rows)), Corruption(kind, severity)
    together = corruption(images, np.array(rows), seed=0)
    alone = [corruption(images[[place]], np.array([row]), seed=0)[0] for place, row in enumerate(rows)]
    np.testing.assert_array_equal(together, np.stack(alone))
    backwards = corruption(images[::-1], np.array(rows[::-1]), seed=0)
    np.testing.assert_array_equal(together, backwards[::-1])


@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_another_with_another_seed_row_or_kind(kind: str) -> None:
    images = np.repeat(smooth_images((32, 32, 1), 1), 2, axis=0)
    noisy = Corruption(kind, 3)(images, np.array([0, 1]), seed=0)
    assert not np.array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], Corruption(kind, 3)(images, np.array([0, 1]), seed=1)[0])
    np.testing.assert_array_equal(noisy, Corruption(kind, 3)(images, np.array([0, 1]), seed=0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [96, 128])
def test_a_higher_severity_is_further_from_the_image(kind: str, side: int) -> None:
    images = smooth_images((side, side, 1), 4)
    changed = [Corruption(kind, severity)(images, np.arange(4), seed=0) for severity in SEVERITIES]
    distances = [distance(images, each) for each in changed]
    assert distances[0] > 0.001
    assert all(low < high for low, high in pairwise(distances)), distances


@pytest.mark.parametrize("kind", ["gaussian noise", "speckle noise", "impulse noise"])
@given(seed=st.integers(0, 50))
def test_a_higher_severity_is_more_of_the_same_noise_in_every_pixel(kind: str, seed: int) -> None:
    images = smooth_images((16, 16, 1), 1)
    differences = [np.abs(Corruption(kind, each)(images, np.array([3]), seed=seed) - images) for each in SEVERITIES]
    for low, high in pairwise(differences):
        assert (high >= low - 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_image_read_as_three_channels_stays_grey(kind: str) -> None:
    changed = Corruption(kind, 5)(smooth_images((24, 24, 3)), np.arange(3), seed=0)
    np.testing.assert_allclose(changed[..., 0], changed[..., 1], atol=0.01 if kind == "JPEG" else 0)
    np.testing.assert_allclose(changed[..., 0], changed[..., 2], atol=0.01 if kind == "JPEG" else 0)


def test_noise_has_the_strength_of_the_table() -> None:
    grey = np.full((4, 128, 128, 1), 0.5, np.float32)

    def spread(kind: str, severity: int) -> float:
        return float(Corruption(kind, severity)(grey, np.arange(4), seed=0).std())

    assert spread("gaussian noise", 3) == pytest.approx(0.06, rel=0.02)
    assert spread("speckle noise", 5) == pytest.approx(0.20 * 0.5, rel=0.02)
    assert spread("shot noise", 5) == pytest.approx(np.sqrt(0.5 / 80), rel=0.02)
    salted = Corruption("impulse noise", 5)(grey, np.arange(4), seed=0)
    assert (salted == 0).mean() == pytest.approx(0.01, rel=0.1)
    assert (salted == 1).mean() == pytest.approx(0.01, rel=0.1)


def test_jpeg_is_what_pillow_writes() -> None:
    images = smooth_images((40, 33, 1), 1)
    file = io.BytesIO()
    Image.fromarray(np.round(images[0, :, :, 0] * 255).astype(np.uint8)).save(file, "JPEG", quality=15)
    expected = np.asarray(Image.open(file), np.float32) / np.float32(255)
    np.testing.assert_array_equal(Corruption("JPEG", 3)(images, np.arange(1), seed=0)[0, :, :, 0], expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_coarser_pixels_are_means_over_their_area(severity: int) -> None:
    images, corruption = smooth_images((60, 48, 1), 1), Corruption("pixelate", severity)
    down, across = round(60 * corruption.parameter), round(48 * corruption.parameter)
    fine = images[0, :, :, 0].repeat(down, axis=0).repeat(across, axis=1)  # as many parts of each pixel as coarse ones
    coarse = fine.reshape(down, 60, across, 48).mean(axis=(1, 3))
    rows, columns = ((2 * np.arange(side) + 1) * parts // (2 * side) for side, parts in ((60, down), (48, across)))
    expected = coarse[np.ix_(rows, columns)]
    np.testing.assert_allclose(corruption(images, np.arange(1), seed=0)[0, :, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize(("side", "scale"), [(224, 1.0), (112, 0.5)])
def test_a_blur_is_a_gaussian_of_the_same_share_of_the_side(side: int, scale: float) -> None:
    images = smooth_images((side, side, 1), 1)
    deviation = scale * (0.15 * 11 + 0.35)
    expected = ndimage.gaussian_filter(images[0, :, :, 0], deviation, mode="nearest")
    blurred = Corruption("blur", 5)(images, np.arange(1), seed=0)[0, :, :, 0]
    np.testing.assert_allclose(blurred, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "enhance"), [("brightness down", ImageEnhance.Brightness), ("contrast up", ImageEnhance.Contrast)]
)
def test_brightness_and_contrast_are_pillows_to_its_grey_levels(
    kind: str, enhance: type[ImageEnhance.Brightness | ImageEnhance.Contrast]
) -> None:
    images, corruption = smooth_images((40, 40, 1), 1), Corruption(kind, 5)
    image = Image.fromarray(np.round(images[0, :, :, 0] * 255).astype(np.uint8))
    expected = np.asarray(enhance(image).enhance(corruption.parameter), np.float32) / np.float32(255)
    changed = corruption(images, np.arange(1), seed=0)[0, :, :, 0]
    np.testing.assert_allclose(changed, expected, atol=1.6 / 255)


def test_gamma_up_darkens_and_down_brightens_and_black_and_white_stay() -> None:
    images = np.array([0, 0.25, 1], np.float32).reshape(1, 1, 3, 1)
    for kind, exponent in (("gamma up", 1.6), ("gamma down", 0.4)):
        changed = Corruption(kind, 5)(images, np.arange(1), seed=0).ravel()
        np.testing.assert_allclose(changed, [0, 0.25**exponent, 1], atol=1e-6)


def test_applying_each_gives_what_each_corruption_gives_alone_in_order() -> None:
    images, rows = smooth_images((24, 20, 1)), np.array([5, 0, 9])
    everything = [Corruption(kind, severity) for kind in KINDS for severity in SEVERITIES]
    found = list(apply_each(images, rows, everything, seed=2))
    assert [name for name, _ in found] == [each.name for each in everything]
    for each, (_, changed) in zip(everything, found, strict=True):
        np.testing.assert_array_equal(changed, each(images, rows, seed=2))


def test_what_a_consumer_does_to_its_images_reaches_no_other() -> None:
    images, rows = smooth_images((16, 16, 1)), np.arange(3)
    everything = [Corruption(kind, severity) for kind in KINDS for severity in (1, 2)]
    for each, (_, changed) in zip(everything, apply_each(images, rows, everything, seed=0), strict=True):
        np.testing.assert_array_equal(changed, each(smooth_images((16, 16, 1)), rows, seed=0))
        changed[:] = 0
    np.testing.assert_array_equal(images, smooth_images((16, 16, 1)))


def test_names_tell_corruptions_apart_and_every_group_has_one() -> None:
    names = {Corruption(kind, severity).name for kind in KINDS for severity in SEVERITIES}
    assert len(names) == len(KINDS) * len(SEVERITIES)
    assert Corruption("JPEG", 2).name == "JPEG 2"
    assert [group for group in GROUPS if any(group_of(kind) == group for kind in KINDS)] == list(GROUPS)


def test_what_is_no_corruption_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ArgumentError, match="corruption 'jpg': unknown; known: JPEG"):
        Corruption("jpg", 1)
    with pytest.raises(ArgumentError, match="did you mean 'gaussian noise'"):
        corruptions.check_kind("gausian noise")
    with pytest.raises(ArgumentError, match="severity 6: there are 1 to 5"):
        Corruption("blur", 6)


def test_images_of_another_type_or_without_rows_are_refused() -> None:
    images = smooth_images((16, 16, 1))
    with pytest.raises(ArgumentError, match=r"float64; give float32 \[N, H, W, C\]"):
        Corruption("blur", 1)(images.astype(np.float64), np.arange(3), seed=0)
    with pytest.raises(ArgumentError, match="give the row of each"):
        Corruption("blur", 1)(images, np.arange(2), seed=0)
