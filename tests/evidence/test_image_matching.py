"""Tests of image matching: thumbnails, fits, passes and real images."""

import os
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import ndimage

from roentgate.errors import ArgumentError
from roentgate.evidence.streams.image_matching import NEAR_DUPLICATE, SURE, Matcher, fit_affine, near, thumbnails
from roentgate.evidence.streams.passes import Observer, observe_pass

Array = NDArray[np.float32]
Images = list[Image.Image]

REAL = Path(os.environ.get("ROENTGATE_REAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def random(count: int, side: int = 64, channels: int = 1, seed: int = 0) -> Array:
    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth: Array = ndimage.gaussian_filter(noise, (0, 3, 3, 0)).astype(np.float32)
    return smooth


def test_a_thumbnail_is_the_area_average_centred_and_of_unit_length() -> None:
    images = random(3, side=96)
    expected = images[..., 0].reshape(3, 32, 3, 32, 3).mean(axis=(2, 4)).reshape(3, -1).astype(np.float64)
    expected -= expected.mean(axis=1, keepdims=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    result = thumbnails(images)
    assert result.dtype == np.float32
    assert np.allclose(result, expected, atol=1e-6)


def test_a_thumbnail_of_an_odd_size_shares_pixels_between_its_areas() -> None:
    image = random(1, side=100)
    finer = np.repeat(np.repeat(image, 8, axis=1), 8, axis=2)[0, :, :, 0]
    expected = finer.reshape(32, 25, 32, 25).mean(axis=(1, 3)).ravel()
    assert float(np.corrcoef(expected, thumbnails(image)[0])[0, 1]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda images: 3 * images - 7,
        lambda images: np.repeat(images, 3, axis=3),
        lambda images: np.repeat(np.repeat(images, 2, axis=1), 2, axis=2),
        lambda images: images.astype(np.float64),
    ],
    ids=["range", "channels", "size", "type"],
)
def test_a_thumbnail_forgets_range_channels_size_and_number_type(change: Callable[[Array], Array]) -> None:
    images = random(4)
    assert np.allclose(thumbnails(change(images)), thumbnails(images), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 255.0, np.nan, np.inf])
def test_a_blank_or_broken_image_has_no_thumbnail(value: float) -> None:
    assert not thumbnails(np.full((1, 50, 70, 1), value, np.float32)).any()


def test_images_smaller_than_a_thumbnail_are_enlarged() -> None:
    images = random(2, side=8)
    assert np.allclose(thumbnails(images), thumbnails(np.repeat(np.repeat(images, 4, axis=1), 4, axis=2)), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 0, 32, 1), (3, 32, 32, 0)])
def test_what_is_not_a_batch_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="channels last"):
        thumbnails(np.zeros(shape, np.float32))


@given(
    gain=st.floats(0.01, 300) | st.floats(-300, -0.01),
    offset=st.floats(-100, 100),
    noise=st.floats(0, 1),
)
def test_a_fit_is_the_least_squares_line_with_its_residual(gain: float, offset: float, noise: float) -> None:
    image = random(1, side=24) - random(1, side=24).min()
    streamed = gain * image + offset + np.float32(noise * gain) * random(1, side=24, seed=1)
    line = np.polyfit(image.ravel().astype(float), streamed.ravel().astype(float), 1)
    rest = streamed.ravel() - np.polyval(line, image.ravel())
    fit = fit_affine(streamed, image)
    assert fit[0][0] == pytest.approx(line[0], rel=1e-3)
    assert fit[1][0] == pytest.approx(line[1], rel=1e-3, abs=1e-3 * abs(gain))
    assert fit[2][0] == pytest.approx(float(rest.var() / streamed.var()), abs=1e-3)


def test_a_fit_goes_over_channel_means_and_resized_images_where_shapes_differ() -> None:
    image = random(2)
    halved = image.reshape(2, 32, 2, 32, 2, 1).mean(axis=(2, 4))
    for streamed in (np.repeat(2 * image + 1, 3, axis=3), 2 * halved + 1):
        gain, offset, residual = fit_affine(streamed, image)
        assert np.allclose(gain, 2, rtol=1e-4)
        assert np.allclose(offset, 1, atol=1e-4)
        assert residual.max() < 1e-6


def test_a_fit_without_contrast_is_undefined_and_never_perfect_by_accident() -> None:
    image, blank = random(1), np.full((1, 64, 64, 1), 0.3, np.float32)
    assert np.isnan(fit_affine(image, blank)[0][0])
    assert fit_affine(image, blank)[2][0] == 1
    assert fit_affine(blank, image)[2][0] == 1
    assert fit_affine(blank, blank)[2][0] == 0
    assert np.isnan(fit_affine(np.full_like(blank, np.nan), image)[2][0])


@given(seed=st.integers(0, 50), scale=st.floats(0, 0.2))
def test_whatever_is_closer_than_a_sure_row_is_its_near_duplicate(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    image, *rows = (
        vector / np.linalg.norm(vector) for vector in generator.normal(size=(3, 5)) * scale + np.eye(3, 5)[0]
    )
    first, second = sorted(rows, key=lambda row: float(row @ image))
    if first @ image >= SURE:
        assert first @ second >= NEAR_DUPLICATE - 1e-9


def test_near_means_a_hundredth_or_half_of_what_the_best_lacks() -> None:
    assert near(np.array([0.985, 0.995, 0.86, 0.84]), np.array([1, 1, 0.9, 0.9])).tolist() == [False, True, True, False]


def test_near_duplicates_change_places_until_no_row_is_left_out() -> None:
    canonical = thumbnails(random(6))
    canonical[4] = canonical[1]
    matcher = Matcher(canonical)
    assert matcher.settle(np.array([0, 1, 2, 3, 1, 5])).tolist() == [0, 1, 2, 3, 4, 5]
    assert matcher.settle(np.array([1, 0, 5, 1, 3, 2])).tolist() == [1, 0, 5, 4, 3, 2]
    assert matcher.settle(np.array([0, 0, 2, 3, 4, 5])).tolist() == [0, 0, 2, 3, 4, 5]


def test_the_near_duplicate_of_a_match_is_measured_between_rows_and_unknown_past_the_end() -> None:
    images = random(10)
    canonical = thumbnails(images)
    matched = Matcher(canonical).match(images[[3, 1, 9, 0]], start=7)
    assert matched.best.tolist() == [3, 1, 9, 0]
    assert matched.near_duplicate[:3] == pytest.approx(
        [canonical[3] @ canonical[7], canonical[1] @ canonical[8], 1], abs=1e-6
    )
    assert np.isnan(matched.near_duplicate[3])
    assert np.isnan(matched.own[3])
    assert matched.own[2] == pytest.approx(1)


def test_nothing_is_recognised_in_a_split_without_rows() -> None:
    seen = observe_pass(Matcher(np.zeros((0, 1024), np.float32), {"train": thumbnails(random(3))}), [random(3)])
    assert seen.best.tolist() == [-1, -1, -1]
    assert not seen.placed.any()


def test_an_image_of_another_split_is_named_even_if_it_resembles_a_row() -> None:
    images, train = random(10), random(10, seed=1)
    blend = 0.8 * images + 0.6 * train
    matcher = Matcher(thumbnails(images), {"validation": thumbnails(random(4, seed=2)), "train": thumbnails(blend)})
    assert matcher.match(blend, start=0).foreign.tolist() == [1] * 10
    assert matcher.match(images, start=0).foreign.tolist() == [-1] * 10


def test_an_endless_pass_is_left_after_the_rows_and_one_batch() -> None:
    images = random(10)
    seen = observe_pass(Matcher(thumbnails(images)), repeat(images[:4]))
    assert seen.endless
    assert len(seen) == 12 + 4  # three batches cover the rows
    assert not observe_pass(Matcher(thumbnails(images)), iter([images[:4], images[4:8], images[8:]])).endless


def test_equal_content_has_equal_digests_and_one_changed_pixel_another() -> None:
    images = random(3)
    images[1] = images[0]
    images[2] = images[0]
    images[2, 5, 5] += 1e-3
    digest = observe_pass(Matcher(thumbnails(random(3))), [images]).digest
    assert digest.dtype == np.uint64
    assert digest[0] == digest[1] != digest[2]


def test_brightness_is_the_mean_of_what_was_streamed() -> None:
    images = random(5)
    seen = observe_pass(Matcher(thumbnails(images)), [images[:3], images[3:]])
    assert np.allclose(seen.brightness, images.mean(axis=(1, 2, 3)))


def test_the_memory_of_a_pass_is_that_of_its_thumbnails_not_of_its_images() -> None:
    images = random(40, side=128)
    matcher = Matcher(np.tile(thumbnails(images), (10, 1)))

    def batches() -> Iterator[Array]:
        for start in range(0, 400, 8):
            yield images[np.arange(start, start + 8) % 40] + np.float32(0)

    tracemalloc.start()
    observer = Observer(matcher)
    for batch in batches():
        observer.see(batch)
    observer.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6, "400 images of 128x128 would take 26 MB"


@cache
def covid() -> tuple[Image.Image, ...]:
    folder = REAL / "covid19-dataset" / "test"
    if not folder.is_dir():
        reason = f"no real images 'covid19-dataset' in {REAL}; set ROENTGATE_REAL_DATA to the folder that holds them"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return tuple(Image.open(path).convert("L") for path in sorted(folder.rglob("*.*")) if path.is_file())


def decoded(images: Images, side: int = 256, kernel: Image.Resampling = Image.Resampling.NEAREST) -> Array:
    pixels = np.stack([np.asarray(image.resize((side, side), kernel)) for image in images])
    return pixels[..., None].astype(np.float32) / np.float32(255)


def cropped(images: Images, share: float) -> Images:
    return [ImageOps.crop(image, round(share * image.width)) for image in images]


def rotated(images: Images) -> Images:
    angles = np.random.default_rng(0).uniform(-15, 15, len(images))
    return [image.rotate(float(angle), Image.Resampling.BILINEAR) for image, angle in zip(images, angles, strict=True)]


def shifted(images: Images) -> Images:
    moves = np.random.default_rng(1).uniform(-0.1, 0.1, (len(images), 2)) * images[0].width
    kind = Image.Transform.AFFINE
    return [image.transform(image.size, kind, (1, 0, x, 0, 1, y)) for image, (x, y) in zip(images, moves, strict=True)]


UNDECLARED: dict[str, tuple[Callable[[Images], Array], int]] = {
    "none": (decoded, 0),
    "bilinear": (lambda images: decoded(images, kernel=Image.Resampling.BILINEAR), 0),
    "bicubic at 224": (lambda images: decoded(images, 224, Image.Resampling.BICUBIC), 0),
    "nearest at 64": (lambda images: decoded(images, 64), 0),
    "mirrored": (lambda images: decoded(images)[:, :, ::-1], 0),
    "inverted": (lambda images: 1 - decoded(images), 0),
    "gamma 0.5": (lambda images: decoded(images) ** 0.5, 1),
    "equalised": (lambda images: decoded([ImageOps.equalize(image) for image in images]), 2),
    "cropped by 3 %": (lambda images: decoded(cropped(images, 0.03)), 0),
    "cropped by 6 %": (lambda images: decoded(cropped(images, 0.06)), 0),
    "cropped by 10 %": (lambda images: decoded(cropped(images, 0.10)), 1),
    "rotated up to 15 degrees": (lambda images: decoded(rotated(images)), 0),
    "shifted up to 10 %": (lambda images: decoded(shifted(images)), 2),
    "noise of 0.1": (
        lambda images: decoded(images) + np.random.default_rng(0).normal(0, 0.1, (66, 256, 256, 1)).astype(np.float32),
        0,
    ),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", UNDECLARED)
def test_real_images_are_recognised_under_undeclared_preprocessing_but_for_a_few(name: str) -> None:
    change, misplaced = UNDECLARED[name]
    images = list(covid())
    streamed = change(images)
    seen = observe_pass(Matcher(thumbnails(decoded(images))), np.array_split(streamed, 9))
    assert int((~seen.placed).sum()) <= misplaced


@pytest.mark.real_data
def test_real_images_in_another_order_are_all_found_there() -> None:
    images = decoded(list(covid()))
    order = np.random.default_rng(0).permutation(len(images))
    canonical = thumbnails(images)
    seen = observe_pass(Matcher(canonical), np.array_split(images[order], 9))
    exact = np.einsum("ij,ij->i", canonical[seen.best], canonical[order]) >= NEAR_DUPLICATE
    assert exact.all()
    assert sorted(seen.best) == list(range(len(images)))
    assert seen.placed.mean() < 0.15
