"""Altered copies are found, and distinct images are not confused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from roentgate.audit import further_search
from roentgate.audit import near_duplicates as module
from roentgate.audit.near_duplicates import KINDS, Duplicates, find_duplicates
from roentgate.audit.scan import Survey, survey
from roentgate.data.registration import COPY
from roentgate.store import Store
from tests.support.planted import image as draw_image
from tests.support.planted import splits, tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tree(tmp_path / "images", images=8)


def found_in(images: Path, store: Store) -> tuple[Survey, Duplicates]:
    seen = survey(splits(images), store)
    return seen, find_duplicates(seen, store)


def pairs(seen: Survey, found: Duplicates) -> list[tuple[str, str, str]]:
    return [
        (seen.ids[first], seen.ids[second], KINDS[kind])
        for first, second, kind in zip(found.first, found.second, found.kind, strict=True)
    ]


def test_distinct_images_are_no_duplicates(images: Path, store: Store) -> None:
    _, found = found_in(images, store)
    assert len(found) == 0
    assert len(np.unique(found.clusters)) == len(found.clusters)
    assert (found.almost_similarity < COPY).all()


def test_equal_bytes_and_equal_pixels_are_different_kinds(images: Path, store: Store) -> None:
    shutil.copyfile(images / "test/A/000.png", images / "train/A/copy.png")
    with Image.open(images / "test/A/001.png") as image:
        image.save(images / "train/A/other.bmp")
    seen, found = found_in(images, store)
    assert pairs(seen, found) == [
        ("train/A/copy.png", "test/A/000.png", "identical bytes"),
        ("train/A/other.bmp", "test/A/001.png", "identical pixels"),
    ]
    assert found.similarity.tolist() == [1, 1]


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda image: image.resize((64, 64), Image.Resampling.BILINEAR),
    "brighter": lambda image: image.point(lambda grey: min(255, round(1.2 * grey))),
    "cropped": lambda image: image.crop((3, 3, image.width - 3, image.height - 3)),
    "mirrored": ImageOps.mirror,
    "mirrored and cropped": lambda image: ImageOps.mirror(image).crop((3, 3, image.width - 3, image.height - 3)),
}


@pytest.mark.parametrize("altered", ALTERED.values(), ids=ALTERED)
def test_an_altered_copy_is_found(
    images: Path, store: Store, altered: Callable[[Image.Image], Image.Image], request: pytest.FixtureRequest
) -> None:
    with Image.open(images / "test/B/003.png") as image:
        altered(image).save(images / "train/B/altered.png")
    seen, found = found_in(images, store)
    assert pairs(seen, found) == [("train/B/altered.png", "test/B/003.png", "near-duplicate")]
    assert found.mirrored.tolist() == ["mirrored" in request.node.name]
    assert found.similarity[0] >= COPY


def test_a_re_encoded_copy_is_found(images: Path, store: Store) -> None:
    with Image.open(images / "test/B/003.png") as image:
        image.save(images / "train/B/altered.jpg", quality=30)
    seen, found = found_in(images, store)
    assert pairs(seen, found) == [("train/B/altered.jpg", "test/B/003.png", "near-duplicate")]


def test_many_copies_are_one_cluster(images: Path, store: Store) -> None:
    qualities = range(60, 96, 3)
    with Image.open(images / "test/B/003.png") as image:
        for quality in qualities:
            image.save(images / f"train/B/again-{quality}.jpg", quality=quality)
    seen, found = found_in(images, store)
    same = [index for index, name in enumerate(seen.ids) if "again" in name or name == "test/B/003.png"]
    assert len(same) == len(qualities) + 1
    assert len(np.unique(found.clusters[same])) == 1
    assert len(np.unique(found.clusters)) == len(seen) - len(qualities)


def test_blank_images_are_equal_only_if_their_pixels_are(images: Path, store: Store) -> None:
    Image.new("L", (96, 96), 0).save(images / "train/A/black.png")
    Image.new("L", (96, 96), 9).save(images / "train/A/dark.png")
    Image.new("L", (96, 96), 0).save(images / "test/A/black.bmp")
    seen, found = found_in(images, store)
    assert pairs(seen, found) == [("train/A/black.png", "test/A/black.bmp", "identical pixels")]


def test_an_inverted_image_is_marked(images: Path, store: Store) -> None:
    rng = np.random.default_rng(0)
    shape = np.asarray(draw_image(500)).astype(np.float64)
    for path in sorted(images.rglob("*.png")):
        own = np.asarray(Image.open(path)).astype(np.float64)
        Image.fromarray(np.clip(shape + 0.3 * (own - own.mean()) + rng.normal(), 0, 255).astype(np.uint8)).save(path)
    with Image.open(images / "train/A/004.png") as image:
        ImageOps.invert(image).save(images / "train/A/004.png")
    seen, found = found_in(images, store)
    assert [seen.ids[row] for row in np.flatnonzero(found.inverted)] == ["train/A/004.png"]


def augmented(image: Image.Image, angle: float, zoom: float, *, mirrored: bool) -> Image.Image:
    """Return an image turned, cropped to a share of its side off the middle, and perhaps mirrored."""
    turned = image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=60)
    side = round(zoom * image.width)
    left = (image.width - side) // 3
    cut = turned.crop((left, left, left + side, left + side)).resize(image.size, Image.Resampling.BILINEAR)
    return ImageOps.mirror(cut) if mirrored else cut


ANGLES_AND_ZOOMS = [(25, 0.9), (-25, 0.9), (12, 0.8), (-8, 1.0), (18, 0.85), (25, 0.8)]


def plant_augmented(images: Path) -> set[str]:
    """Put altered copies of six test images into train, and return their names."""
    for index, (angle, zoom) in enumerate(ANGLES_AND_ZOOMS):
        with Image.open(images / f"test/B/{index:03d}.png") as image:
            copy = augmented(image, angle, zoom, mirrored=index % 2 == 1)
        copy.save(images / f"train/B/augmented{index}.png")
    return {f"test/B/{index:03d}.png" for index in range(len(ANGLES_AND_ZOOMS))}


def leaked(seen: Survey, found: Duplicates) -> set[str]:
    train = found.clusters[seen.of_split("train")]
    return {seen.ids[row] for row in seen.of_split("test") if found.clusters[row] in train}


def test_copies_turned_and_zoomed_are_found_where_some_copy_was_found(images: Path, store: Store) -> None:
    planted = plant_augmented(images)
    shutil.copyfile(images / "test/A/000.png", images / "train/A/copy.png")
    seen, found = found_in(images, store)
    assert found.further
    assert leaked(seen, found) <= planted | {"test/A/000.png"}
    assert len(leaked(seen, found) & planted) >= len(planted) - 1  # about 19 of 20 such copies are found


def test_the_further_search_is_not_made_where_no_copy_was_found(
    images: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(images / "train/A/000.png", images / "train/A/copy.png")  # within a split
    monkeypatch.setattr(further_search, "search", lambda *_, **__: pytest.fail("searched further"))
    _, found = found_in(images, store)
    assert not found.further
    assert len(found) == 1


def test_the_further_search_calls_distinct_images_distinct(images: Path, store: Store) -> None:
    shutil.copyfile(images / "test/A/000.png", images / "train/A/copy.png")
    seen, found = found_in(images, store)
    assert leaked(seen, found) == {"test/A/000.png"}
    assert len(found) == 1


def test_pairs_are_searched_once(images: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first = found_in(images, store)
    monkeypatch.setattr(module, "_search", lambda _seen: pytest.fail("searched again"))
    _, second = found_in(images, store)
    np.testing.assert_array_equal(first.clusters, second.clusters)


def test_what_is_found_does_not_depend_on_the_order_of_rows(images: Path, store: Store, tmp_path: Path) -> None:
    with Image.open(images / "test/B/003.png") as image:
        image.save(images / "train/B/zzz.jpg", quality=40)
        image.save(images / "train/A/aaa.jpg", quality=50)
    _, found = found_in(images, store)
    shutil.copytree(images, tmp_path / "other")
    (tmp_path / "other/train/B/zzz.jpg").rename(tmp_path / "other/train/B/000-first.jpg")
    _, moved = found_in(tmp_path / "other", store)
    assert len(np.unique(found.clusters)) == len(np.unique(moved.clusters)) == len(found.clusters) - 2


def test_two_images_are_enough_and_few_enough(tmp_path: Path, store: Store) -> None:
    images = tree(tmp_path / "few", images=1)
    _, found = found_in(images, store)
    assert len(found) == 0
