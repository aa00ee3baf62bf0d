"""Altered copies agree with the original, and other images do not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from roentgate.data.registration import FINE, align
from tests.support.planted import image

FloatArray = NDArray[np.float32]


def thumbnail(image: Image.Image) -> FloatArray:
    grey = Image.fromarray(np.asarray(image.convert("L"), dtype=np.float32))
    return np.asarray(grey.resize((FINE, FINE), Image.Resampling.BOX))


def together(*images: Image.Image) -> FloatArray:
    return np.stack([thumbnail(each) for each in images])


BIG = image(5, side=256)


def cropped(image: Image.Image, share: float) -> Image.Image:
    edge = round(share * image.width)
    return image.crop((edge, edge, image.width - edge, image.height - edge))


@pytest.mark.parametrize(
    ("altered", "zoom"),
    [
        (BIG, 1.0),
        (BIG.resize((128, 128), Image.Resampling.BILINEAR), 1.0),
        (BIG.point(lambda grey: round(40 + 0.6 * grey)), 1.0),
        (cropped(BIG, 0.02), 0.95),
        (cropped(BIG, 0.05), 0.9),
        (BIG.rotate(2, Image.Resampling.BILINEAR, fillcolor=128), 1.0),
    ],
    ids=["same", "smaller", "paler", "cropped 2 %", "cropped 5 %", "rotated 2 degrees"],
)
def test_an_altered_image_agrees_with_the_original(altered: Image.Image, zoom: float) -> None:
    found = align(together(altered), together(BIG), np.array([zoom], np.float32), at_least=0.9)
    assert found.agreement[0] > 0.96
    assert found.detail[0] > 0.9


def test_another_image_does_not(subtests: pytest.Subtests) -> None:
    others = [image(seed, side=256) for seed in range(6, 16)]
    found = align(together(*others), together(*[BIG] * 10), np.ones(10, np.float32), at_least=0.0)
    for row in range(10):
        with subtests.test(str(row)):
            assert found.detail[row] < 0.6


def test_a_mirrored_image_must_be_mirrored_back() -> None:
    mirrored = together(ImageOps.mirror(BIG))
    assert align(mirrored, together(BIG), np.ones(1, np.float32), at_least=0.0).detail[0] < 0.6
    assert align(mirrored[:, :, ::-1], together(BIG), np.ones(1, np.float32), at_least=0.9).detail[0] > 0.999


def test_detail_is_not_looked_at_below_the_agreement_asked_for() -> None:
    found = align(together(image(6)), together(BIG), np.ones(1, np.float32), at_least=0.99)
    assert np.isnan(found.detail[0])


def test_a_constant_image_agrees_with_nothing() -> None:
    flat = np.full((1, FINE, FINE), 7, np.float32)
    found = align(flat, together(BIG), np.ones(1, np.float32), at_least=0.5)
    assert found.agreement[0] <= 0
    assert np.isnan(found.detail[0])


def test_pairs_do_not_depend_on_their_company() -> None:
    images = together(*[image(seed, side=256) for seed in range(20, 26)])
    order = np.array([3, 1, 0, 5, 2, 4])
    whole = align(images, images[::-1], np.ones(6, np.float32), at_least=0.0)
    mixed = align(images[order], images[::-1][order], np.ones(6, np.float32), at_least=0.0)
    np.testing.assert_allclose(mixed.detail, whole.detail[order], atol=1e-5)


def test_no_pairs_are_no_trouble() -> None:
    nothing = np.zeros((0, FINE, FINE), np.float32)
    assert len(align(nothing, nothing, np.zeros(0, np.float32), at_least=0.9).agreement) == 0
