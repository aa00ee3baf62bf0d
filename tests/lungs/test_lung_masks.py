"""Lung fields of a data set: their source, storage, and which of them are trusted."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_image

from roentgate.candidates import keras_backend
from roentgate.data import phantom
from roentgate.data.dataset import Dataset
from roentgate.data.images import unit
from roentgate.data.phantom import CLASSES
from roentgate.errors import DataError
from roentgate.lungs import lung_masks as lungs
from roentgate.lungs import mask_quality, segmenter
from roentgate.lungs.lung_masks import doubted, lung_fields, segmented
from roentgate.store import Store

FloatArray = NDArray[np.float32]

DRAWN = [phantom.image("phantom", 0, "test", CLASSES[index % len(CLASSES)], index) for index in range(6)]
LUNGS = np.stack([image.lungs for image in DRAWN]) > 127
SOUND = "CHNCXR_0008_0.png", "CHNCXR_0016_0.png", "MCUCXR_0316_1.png", "MCUCXR_0390_1.png"  # held out in training


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def drawn(tmp_path: Path) -> Dataset:
    """Return six drawn images with masks of their own."""
    for index, image in enumerate(DRAWN):
        for kind, pixels in (("images", image.image), ("masks", image.lungs)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / kind / f"{index}.png")
    names = tuple(f"{index}.png" for index in range(len(DRAWN)))
    return Dataset(
        name="test",
        ids=names,
        paths=tuple(tmp_path / "images" / name for name in names),
        labels=np.arange(len(names), dtype=np.int64) % len(CLASSES),
        classes=CLASSES,
        root=tmp_path / "images",
        image_shape=(96, 96, 1),
        masks=tuple(tmp_path / "masks" / name for name in names),
    )


def rewrite(data: Dataset, row: int, pixels: NDArray[np.uint8]) -> None:
    assert data.masks is not None
    Image.fromarray(pixels).save(data.masks[row])


def network() -> keras_backend.KerasModel:
    return keras_backend.KerasModel(keras_backend.load_network(segmenter.WEIGHTS), "lung fields")


# Masks of the data


def test_the_masks_of_the_data_are_used_and_trusted(drawn: Dataset, store: Store) -> None:
    fields = lung_fields(drawn, store)
    assert (len(fields), fields.source, fields.shape) == (6, "data", (96, 96))
    assert fields.reasons == ("",) * 6
    assert fields.trusted.tolist() == [True] * 6
    np.testing.assert_array_equal(fields.take(range(6)), LUNGS)


def test_masks_come_in_the_order_asked_for(drawn: Dataset, store: Store) -> None:
    fields = lung_fields(drawn, store)
    np.testing.assert_array_equal(fields.take([4, 0, -1, 4]), LUNGS[[4, 0, 5, 4]])
    assert fields.take([]).shape == (0, 96, 96)
    with pytest.raises(IndexError):
        fields.take([6])


def test_masks_take_an_eighth_of_a_byte_a_pixel(drawn: Dataset, store: Store) -> None:
    assert lung_fields(drawn, store).packed.nbytes == 6 * 96 * 96 // 8
    odd = lung_fields(replace(drawn, image_shape=(75, 61, 1)), store)
    assert odd.packed.nbytes == 6 * -(-75 * 61 // 8)
    assert odd.take([0]).shape == (1, 75, 61)
    assert odd.trusted.all()


def test_a_mask_of_zeros_and_ones_is_a_mask(drawn: Dataset, store: Store) -> None:
    rewrite(drawn, 2, DRAWN[2].lungs // 255)
    fields = lung_fields(drawn, store)
    np.testing.assert_array_equal(fields.take([2]), LUNGS[[2]])


def test_a_mask_of_other_proportions_is_not_trusted(drawn: Dataset, store: Store) -> None:
    rewrite(drawn, 1, np.asarray(Image.fromarray(DRAWN[1].lungs).resize((96, 128))))
    fields = lung_fields(drawn, store)
    assert fields.reasons[1] == "geometry: the mask is 96 x 128, its image 96 x 96 pixels"
    assert fields.trusted.tolist() == [True, False, True, True, True, True]


@pytest.mark.parametrize(
    "mask", [np.roll(DRAWN[0].lungs, 15, axis=1), DRAWN[0].lungs * 0, np.full((96, 96), 255, "u1")]
)
def test_a_mask_that_cannot_be_the_images_is_not_trusted(drawn: Dataset, store: Store, mask: NDArray[np.uint8]) -> None:
    rewrite(drawn, 0, mask)
    assert lung_fields(drawn, store).trusted.tolist() == [False, True, True, True, True, True]


def test_a_mask_that_is_no_picture_is_an_error(drawn: Dataset, store: Store) -> None:
    assert drawn.masks is not None
    drawn.masks[3].write_text("lungs", "utf-8")
    with pytest.raises(DataError, match=r"3\.png"):
        lung_fields(drawn, store)


# Storing


def test_fields_are_computed_once_and_anew_where_a_mask_has_changed(
    drawn: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lung_fields(drawn, store)
    with monkeypatch.context() as patched:
        patched.setattr(lungs, "_computed", lambda _: pytest.fail("computed twice"))
        np.testing.assert_array_equal(lung_fields(drawn, store).packed, first.packed)
    rewrite(drawn, 0, np.roll(DRAWN[0].lungs, 1, axis=1))
    np.testing.assert_array_equal(lung_fields(drawn, store).take([0]), np.roll(LUNGS[[0]], 1, axis=2))


def test_fields_of_the_segmenter_are_computed_once(
    drawn: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(drawn, masks=None)
    first = lung_fields(bare, store)
    assert first.source == "segmenter"
    assert first.take([0]).any()
    monkeypatch.setattr(keras_backend, "load_network", lambda _: pytest.fail("loaded twice"))
    again = lung_fields(bare, store)
    np.testing.assert_array_equal(again.packed, first.packed)
    assert again.reasons == first.reasons


def test_importing_lungs_does_not_import_keras() -> None:
    code = "import sys, roentgate.lungs.lung_masks; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What the segmenter says of masks that came with the images


def test_a_mask_that_agrees_with_a_sure_segmenter_is_believed() -> None:
    assert doubted(blobs, two_lungs()[:, :, :, 0] == 0, two_lungs()) == [""]


def test_a_mask_that_a_sure_segmenter_contradicts_is_not_believed() -> None:
    lungs, cores = two_lungs() == 0, two_lungs(scale=0.65) == 0
    images = (1 - 0.5 * lungs - 0.5 * cores).astype(np.float32)
    assert mask_quality.doubts(lungs[:, :, :, 0], images) == [""]
    (reason,) = doubted(lambda prepared: (prepared < -0.75).astype(np.float32), lungs[:, :, :, 0], images)
    assert reason.startswith("agreement: the segmenter, sure of itself, finds other lungs (Dice 0.")


def test_a_segmenter_that_hesitates_contradicts_nobody() -> None:
    images = two_lungs()
    assert doubted(lambda prepared: 0.6 * (prepared > 0), images[:, :, :, 0] == 0, images) == [""]


# The segmenter's distrust of itself


def blobs(prepared: FloatArray) -> FloatArray:
    """Return 1 for dark pixels and 0 for others, in place of a network."""
    return (prepared < -0.2).astype(np.float32)


def two_lungs(*, scale: float = 1) -> FloatArray:
    """Return an image of two dark ellipses on white."""
    y, x = np.indices((96, 96)) / 96
    dark = [((x - centre) / 0.15) ** 2 + ((y - 0.45) / 0.3) ** 2 < scale**2 for centre in (0.27, 0.73)]
    image: FloatArray = (1 - (dark[0] | dark[1])).astype(np.float32)
    return image[None, :, :, None]


def test_a_sure_network_with_plausible_answers_is_trusted() -> None:
    masks, reasons = segmented(blobs, two_lungs())
    assert reasons == [""]
    assert segmenter.dice(masks[0], two_lungs()[0, :, :, 0] == 0) > 0.97


def test_a_network_that_hesitates_is_not_trusted() -> None:
    _, reasons = segmented(lambda images: 0.75 * blobs(images) + 0.05, two_lungs())
    assert [reason.partition(":")[0] for reason in reasons] == ["certainty"]


def test_a_network_that_says_otherwise_of_the_mirror_image_is_not_trusted() -> None:
    def upper_left(images: FloatArray) -> FloatArray:
        answer = blobs(images)
        answer[:, 40:, 64:] *= 0.2
        return answer

    assert segmented(upper_left, two_lungs())[1][0] != ""


def test_a_network_that_finds_nothing_says_so() -> None:
    assert segmented(np.zeros_like, two_lungs())[1] == ["no lung field found"]


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photograph_has_no_trusted_lungs(name: str) -> None:
    photograph = load_sample_image(name).mean(axis=2).astype(np.float32)[:400, :400, None] / np.float32(255)
    pieces = np.stack([photograph, photograph[::-1], photograph.transpose(1, 0, 2)])
    assert all(segmented(network().predict, pieces)[1])


def test_noise_and_a_blank_image_have_no_trusted_lungs() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((4, 128, 128, 1), dtype=np.float32)
    noise[2:] = ndimage.gaussian_filter(noise[2:], (0, 6, 6, 0))
    noise[3] = 0.5
    assert all(segmented(network().predict, noise)[1])


# Real images


def real_images(folder: Path, names: tuple[str, ...]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return real images and their human masks."""

    def pixels(kind: str) -> NDArray[np.uint8]:
        return np.stack([np.asarray(Image.open(folder / kind / name).convert("L")) for name in names])

    return unit(pixels("images")[:, :, :, None]), pixels("masks") > 127


@pytest.mark.real_data("tb-lungs")
def test_lungs_of_real_images_are_found_inverted_or_not(real_data: Path) -> None:
    images, human = real_images(real_data / "tb-lungs", SOUND)
    for shown in (images, 1 - images, images * 0.4 + 0.3, images**2):
        masks, reasons = segmented(network().predict, shown)
        assert reasons == [""] * len(SOUND)
        assert min(segmenter.dice(*pair) for pair in zip(masks, human, strict=True)) > 0.88


@pytest.mark.real_data("tb-lungs")
def test_human_masks_are_believed_and_shifted_ones_are_not(real_data: Path) -> None:
    images, human = real_images(real_data / "tb-lungs", SOUND)
    assert mask_quality.doubts(human, images) == [""] * len(SOUND)
    for by in ((52, 0), (0, 40), (0, -40), (-26, 0)):
        assert all(mask_quality.doubts(np.roll(human, by, axis=(1, 2)), images))
