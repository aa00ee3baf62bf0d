"""Rows, splits and pixels equal those of Keras' own iterators.

Fingerprints follow content, and memory does not grow with the number of rows.
"""

import csv
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from numpy.typing import NDArray
from PIL import Image

from roentgate.data import images
from roentgate.data.card import Card
from roentgate.data.dataset import Dataset, Splits
from roentgate.data.read_splits import read_classes, read_splits
from roentgate.data.study import Study
from roentgate.errors import ArgumentError, DataError

SHAPE = (12, 10, 1)
REAL = Path(os.environ.get("ROENTGATE_REAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def real(name: str) -> Path:
    folder = REAL / name
    if not folder.is_dir():
        why = f"the real images '{name}' are not at {REAL}; set ROENTGATE_REAL_DATA to the folder that holds them"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return folder


def image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 20), dtype=np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of two classes, with ten and five train images.

    It has three and two test images. All images differ.
    """
    seed = 0
    for split, label, n in (("train", "ill", 10), ("train", "well", 5), ("test", "ill", 3), ("test", "well", 2)):
        for i in range(n):
            image(tmp_path / "images" / split / label / f"p{i}_{label}.png", seed := seed + 1)
    return tmp_path / "images"


def splits(root: Path, *, cache: Path | None = None, shape: images.Shape = SHAPE, **card: object) -> Splits:
    return read_splits(Card.model_validate({"name": "mine", "root": root, **card}), image_shape=shape, cache=cache)


def pixels(data: Dataset) -> NDArray[np.float32]:
    return np.concatenate(list(data.batches(4)))


def test_rows_are_in_class_order_with_their_labels(root: Path) -> None:
    data = splits(root)
    assert data.test.ids == (
        "test/ill/p0_ill.png",
        "test/ill/p1_ill.png",
        "test/ill/p2_ill.png",
        "test/well/p0_well.png",
        "test/well/p1_well.png",
    )
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.test.labels.dtype == np.int64
    assert data.test.paths == tuple(root / row for row in data.test.ids)
    assert (data.classes, data.name, data.root) == (("ill", "well"), "mine", root)
    assert data.train.counts() == {"ill": 8, "well": 4}
    assert data.validation.counts() == {"ill": 2, "well": 1}
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 3, 5)
    assert (data.train.root, data.validation.root, data.test.root) == (root / "train", root / "train", root / "test")


def test_labels_cannot_be_changed(root: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        splits(root).test.labels[0] = 1


def test_batches_are_the_rows_in_order_and_the_last_may_be_short(root: Path) -> None:
    data = splits(root).test
    batches = list(data.batches(2))
    assert [batch.shape for batch in batches] == [(2, *SHAPE), (2, *SHAPE), (1, *SHAPE)]
    assert all(batch.dtype == np.float32 for batch in batches)
    for path, row in zip(data.paths, np.concatenate(batches), strict=True):
        np.testing.assert_array_equal(row, images.unit(images.read(path, SHAPE, "nearest")))


@pytest.mark.parametrize("kept", [False, True])
def test_rows_are_taken_in_the_order_asked_for(root: Path, tmp_path: Path, *, kept: bool) -> None:
    data = splits(root, cache=tmp_path / "cache" if kept else None).test
    everything = pixels(splits(root).test)
    np.testing.assert_array_equal(data.take([3, 0, -1, 3]), everything[[3, 0, 4, 3]])
    np.testing.assert_array_equal(data.take(np.array([2])), everything[[2]])
    assert data.take([]).shape == (0, *SHAPE)
    with pytest.raises(IndexError):
        data.take([5])


@pytest.mark.parametrize("shape", [(12, 10, 1), (24, 20, 3)])
def test_kept_pixels_equal_decoded_ones(root: Path, tmp_path: Path, shape: images.Shape) -> None:
    plain, kept = splits(root, shape=shape), splits(root, shape=shape, cache=tmp_path / "cache")
    for _ in range(2):
        np.testing.assert_array_equal(pixels(kept.train), pixels(plain.train))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_kept_pixels_are_not_used_for_other_content_shape_or_interpolation(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pixels(splits(root, cache=cache).test)
    image(root / "test" / "well" / "p1_well.png", 99)
    for changes in ({}, {"shape": (10, 12, 1)}, {"interpolation": "box"}):
        changed = splits(root, cache=cache, **changes).test
        np.testing.assert_array_equal(pixels(changed), pixels(replace(changed, cache=None)))
    assert len(list(cache.iterdir())) == 4


def test_kept_pixels_are_not_used_after_the_decoding_code_changed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels(splits(root, cache=tmp_path / "cache").test)
    monkeypatch.setattr(images, "code_fingerprint", lambda: "another")
    pixels(splits(root, cache=tmp_path / "cache").test)
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("kept", [False, True])
def test_an_image_that_cannot_be_decoded_is_named_in_every_split(
    root: Path, tmp_path: Path, split: str, *, kept: bool
) -> None:
    data: Dataset = getattr(splits(root, cache=tmp_path / "cache" if kept else None), split)
    for row in (1, 2):
        data.paths[row].write_bytes(data.paths[row].read_bytes()[:60])
    with pytest.raises(DataError, match=rf"image '.*{data.ids[1]}': cannot be decoded"):
        pixels(data)


def test_the_fingerprint_does_not_depend_on_where_the_root_lies(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "elsewhere")
    original, copy = splits(root), splits(tmp_path / "elsewhere")
    assert original.test.fingerprint == copy.test.fingerprint
    assert original.fingerprint == copy.fingerprint
    assert len({original.train.fingerprint, original.validation.fingerprint, original.test.fingerprint}) == 3


def test_a_study_describes_images_and_changes_no_fingerprint(root: Path) -> None:
    plain, described = splits(root), splits(root, study=Study(ages="adults"))
    assert described.study.ages == "adults"
    assert described.fingerprint == plain.fingerprint
    assert described.test.content_digest == plain.test.content_digest


def changed_content(root: Path) -> Splits:
    image(root / "test" / "ill" / "p0_ill.png", 99)
    return splits(root)


def changed_name(root: Path) -> Splits:
    (root / "test" / "ill" / "p0_ill.png").rename(root / "test" / "ill" / "p00.png")
    return splits(root)


@pytest.mark.parametrize(
    "change",
    [
        changed_content,
        changed_name,
        lambda root: splits(root, shape=(12, 10, 3)),
        lambda root: splits(root, interpolation="bilinear"),
    ],
    ids=["content", "name", "shape", "interpolation"],
)
def test_the_fingerprint_follows_what_a_model_would_see(root: Path, change: Callable[[Path], Splits]) -> None:
    before = splits(root)
    fingerprints = before.fingerprint, before.test.fingerprint
    after = change(root)
    assert after.test.fingerprint != fingerprints[1]
    assert after.fingerprint != fingerprints[0]


def test_content_is_read_once_for_a_fingerprint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def record(path: Path) -> str:
        asked.append(path)
        return ""

    monkeypatch.setattr(images, "file_digest", record)
    data = splits(root).test
    assert data.fingerprint == data.fingerprint
    assert len({data.content_digest, data.rows_digest, data.fingerprint}) == 3
    assert sorted(asked) == sorted(data.paths)


def test_digests_that_records_hold_are_what_they_were(tmp_path: Path) -> None:
    for folder, names in (("train/ill", "abcde"), ("train/well", "fghij"), ("test/ill", "kl"), ("test/well", "mn")):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / f"{name}.png").write_text(name)
    data = splits(tmp_path)
    assert data.test.content_digest == "af0eedb0e747ba5a82445c4718f4524286db46a0d34abd8793e93dbbb0340330"
    assert data.test.rows_digest == "8e9a73aa4c7519b81bbbffc7b1a2f7280d6672d1d898e6242112b591fed019ac"
    assert data.test.fingerprint == "62389f2b7d6c829c24df370adf18069bfede82ab3dcc568fe68c9eeab0b42cb8"
    assert data.fingerprint == "5d6be94920b10d2da52dd5c04eb68b4fec4b5f8a113e8d1e6f00a05e1afabe28"


def test_images_are_the_same_set_under_other_names_and_in_another_order(root: Path) -> None:
    data = splits(root).test
    back = list(reversed(range(len(data))))
    reversed_rows = replace(data, paths=tuple(data.paths[row] for row in back), labels=data.labels[back])
    assert reversed_rows.content_digest == data.content_digest
    assert reversed_rows.rows_digest != data.rows_digest
    assert replace(data, classes=("ill", "other")).content_digest != data.content_digest
    fewer = replace(data, ids=data.ids[1:], paths=data.paths[1:], labels=data.labels[1:])
    assert fewer.content_digest != data.content_digest
    larger = replace(data, image_shape=(24, 20, 1))
    assert (larger.content_digest, larger.rows_digest) == (data.content_digest, data.rows_digest)


def test_groups_are_found_in_the_ids(root: Path) -> None:
    assert splits(root).test.groups is None
    assert splits(root, group=r"/(p\d+)_").test.groups == ("p0", "p1", "p2", "p0", "p1")
    with pytest.raises(DataError, match=r"split train: group pattern .* finds no patient in 'train/ill/p2_ill\.png'"):
        splits(root, group=r"/(p1)_|(?:validation)")


@pytest.mark.parametrize(("pattern", "name"), [("masks/{id}", "p0_ill.png"), ("masks/{stem}.gif", "p0_ill.gif")])
def test_masks_lie_where_the_card_says_and_a_missing_one_is_named(root: Path, pattern: str, name: str) -> None:
    assert splits(root).test.masks is None
    for row in (*splits(root).train.ids, *splits(root).validation.ids, *splits(root).test.ids):
        image((root / "masks" / row).with_suffix(Path(name).suffix), 1)
    masks = splits(root, masks=pattern).test.masks
    assert masks is not None
    assert masks[0] == root / "masks" / "test" / "ill" / name
    masks[0].unlink()
    with pytest.raises(
        DataError, match=rf"split test: mask 'masks/test/ill/{name}' of image .* is missing; restore it"
    ):
        splits(root, masks=pattern)


def test_other_files_are_reported_by_the_split_they_lie_in(root: Path) -> None:
    (root / "test" / "ill" / "notes.txt").write_text("x")
    data = splits(root)
    assert (data.train.ignored, data.validation.ignored, data.test.ignored) == ((), (), ("test/ill/notes.txt",))


@pytest.mark.parametrize("shape", [(12, 10, 2), (12, 10, 4), (0, 10, 1)])
def test_an_image_shape_that_images_cannot_have_is_refused(root: Path, shape: images.Shape) -> None:
    with pytest.raises(ArgumentError, match=r"image shape .*: must be \(height, width, 1\) or \(height, width, 3\)"):
        splits(root, shape=shape)


def test_a_card_without_root_takes_the_callers(root: Path) -> None:
    card = Card(name="drawn", generator="phantom", source="a generator")
    assert read_classes(card, root=root) == ("ill", "well")
    assert read_splits(card, image_shape=SHAPE, cache=None, root=root).root == root
    with pytest.raises(
        ArgumentError, match=r"'drawn': the card has no root; pass --data drawn=PATH \(get it from a gen"
    ):
        read_splits(card, image_shape=SHAPE, cache=None)


def test_classes_are_known_from_the_card_before_any_image_exists() -> None:
    assert read_classes(Card(name="drawn", generator="phantom", classes=("a", "b"))) == ("a", "b")


def peak(data: Dataset) -> int:
    tracemalloc.start()
    for batch in data.batches(4):
        assert len(batch)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_ten_times_the_rows_take_no_more_memory(root: Path, tmp_path: Path) -> None:
    few = splits(root, shape=(128, 128, 1), cache=tmp_path / "cache").train
    many = replace(few, ids=few.ids * 10, paths=few.paths * 10, labels=np.tile(few.labels, 10))
    for data in (few, many):
        data.take([0])  # decoded and kept
    assert peak(many) < peak(few) + 128 * 128  # less than one row more, of 108 more


def keras_rows(
    folder: Path, data: Dataset, subset: str | None
) -> tuple[list[str], list[int], Iterator[NDArray[np.float32]]]:
    generator = ImageDataGenerator(rescale=1 / 255, validation_split=0.2 if subset else 0.0)
    rows = generator.flow_from_directory(
        str(folder),
        target_size=data.image_shape[:2],
        color_mode="grayscale" if data.image_shape[2] == 1 else "rgb",
        interpolation=data.interpolation,
        batch_size=8,
        shuffle=False,
        subset=subset,
    )
    return rows.filenames, rows.classes.tolist(), (rows[i][0] for i in range(len(rows)))


def assert_equals_keras(data: Splits) -> None:
    for split, subset in ((data.train, "training"), (data.validation, "validation"), (data.test, None)):
        names, labels, batches = keras_rows(split.root, split, subset)
        assert [f"{split.root.name}/{name}" for name in names] == list(split.ids)
        assert labels == split.labels.tolist()
        for ours, theirs in zip(split.batches(8), batches, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("shape", "interpolation"),
    [
        ((256, 256, 1), "nearest"),
        ((256, 256, 1), "bilinear"),
        ((96, 96, 1), "nearest"),
        ((96, 96, 1), "bilinear"),
        ((256, 256, 3), "nearest"),
        ((96, 96, 3), "bilinear"),
    ],
)
def test_order_split_and_pixels_equal_keras_on_the_real_images(
    tmp_path: Path, shape: images.Shape, interpolation: images.Interpolation
) -> None:
    data = splits(real("covid19-dataset"), shape=shape, interpolation=interpolation, cache=tmp_path)
    assert data.classes == ("Covid", "Normal", "Viral Pneumonia")
    assert data.validation.counts() == {"Covid": 22, "Normal": 14, "Viral Pneumonia": 14}
    assert data.test.counts() == {"Covid": 26, "Normal": 20, "Viral Pneumonia": 20}
    assert_equals_keras(data)


@pytest.mark.real_data
def test_a_tree_of_links_to_other_images_with_other_classes_works_too(tmp_path: Path) -> None:
    source = real("tb-lungs")
    with (source / "rows.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["site"] == "Montgomery"]
    for i, row in enumerate(rows):
        link = tmp_path / "images" / ("test" if i % 4 == 0 else "train") / row["label"] / row["file"]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source / "images" / row["file"])
    data = splits(tmp_path / "images", shape=(64, 80, 1), interpolation="bilinear", cache=tmp_path / "cache")
    assert len(data.classes) == 2
    assert len(data.train) + len(data.validation) + len(data.test) == len(rows)
    assert_equals_keras(data)
