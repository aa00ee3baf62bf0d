"""Kernels are those of the libraries, and the one that a stream uses is found."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from roentgate.evidence.streams import resizing_kernels
from roentgate.evidence.streams.resizing_kernels import KERNELS, fitting, matrix, resized, resized_rows
from tests.support.planted import image

SIDES = ((64, 80, 32, 32), (96, 70, 33, 50), (40, 40, 64, 90))


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("smooth", [False, True], ids=["plain", "antialiased"])
@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos3", "area"])
def test_a_kernel_is_that_of_tensorflow(name: str, smooth: bool, sides: tuple[int, int, int, int]) -> None:
    height, width, down, across = sides
    pixels = np.random.default_rng(0).random((height, width, 1), dtype=np.float32)
    expected = tf.image.resize(pixels, (down, across), method=name, antialias=smooth).numpy()
    rows, columns = matrix(name, down, height, smooth=smooth), matrix(name, across, width, smooth=smooth)
    np.testing.assert_allclose(np.einsum("ij,jkc,lk->ilc", rows, pixels, columns), expected, atol=1e-3)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Images of another size than the stream's, with noise that a kernel keeps or not."""
    rng, made = np.random.default_rng(0), []
    for seed in range(6):
        pixels = np.asarray(image(seed, 72), np.float64) + rng.normal(0, 8, (72, 72))
        made.append(tmp_path / f"{seed}.png")
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(made[-1])
    return made


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_kernel_of_a_stream_is_found(paths: list[Path], kernel: str) -> None:
    streamed = 255 * resized_rows(paths, (32, 32, 1), kernel)
    found = fitting(streamed, paths, 1, lambda images: images)
    assert kernel in found
    assert len(found) <= 3  # the others differ by rounding only
    alike = resized(paths[0], (32, 32, 1), found[0])
    np.testing.assert_allclose(alike, resized(paths[0], (32, 32, 1), kernel), atol=0.01)


@pytest.mark.parametrize("kernel", ["Pillow's nearest", "tf.image bilinear", "tf.image area"])
def test_a_blurred_or_turned_stream_fits_no_kernel(paths: list[Path], kernel: str) -> None:
    images = resized_rows(paths, (32, 32, 1), kernel)
    blurred = ndimage.gaussian_filter(images, (0, 1, 1, 0))
    turned = ndimage.rotate(images, 3, axes=(1, 2), reshape=False, mode="nearest")
    for altered in (blurred, turned, images[:, ::-1]):
        assert fitting(altered, paths, 1, lambda each: each) == []


def test_images_that_keep_their_size_have_no_kernel(paths: list[Path]) -> None:
    images = resized_rows(paths, (72, 72, 1), "Pillow's nearest")
    assert fitting(images, paths, 1, lambda each: each) == []


def test_the_kernel_of_a_card_is_one_of_them() -> None:
    assert resizing_kernels.card_kernel("hamming") in KERNELS
