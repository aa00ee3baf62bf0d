"""Each image is read once, and only changed files are read again."""

import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roentgate.audit import scan as module
from roentgate.audit.scan import inspect, survey
from roentgate.errors import HarnessError
from roentgate.store import Store
from tests.support.planted import image, splits, tree


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tree(tmp_path / "images", images=3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that were read, in order."""
    paths: list[Path] = []

    def recording(path: Path) -> tuple[module.ImageFacts, bytes | None]:
        paths.append(path)
        return inspect(path)

    monkeypatch.setattr(module, "inspect", recording)
    return paths


def test_rows_come_in_the_order_of_the_splits(images: Path, store: Store) -> None:
    data = splits(images)
    seen = survey(data, store)
    assert seen.ids == data.train.ids + data.validation.ids + data.test.ids
    assert seen.labels.tolist() == [0, 0, 0, 1, 1, 1] * 3
    assert seen.of_split("test").tolist() == list(range(12, 18))
    assert (seen.groups, seen.sources) == (None, None)


def test_facts_are_those_of_the_image(images: Path, store: Store) -> None:
    seen = survey(splits(images), store)
    pixels = np.asarray(Image.open(images / "train/A/000.png"), dtype=np.float64) / 255
    facts = seen.images[0]
    assert facts.mean == pytest.approx(pixels.mean(), abs=1e-6)
    assert facts.deviation == pytest.approx(pixels.std(), abs=1e-6)
    assert sum(facts.histogram) == pytest.approx(1)
    thumbnail = seen.thumbnails([0])[0] / 255
    assert thumbnail.mean() == pytest.approx(pixels.mean(), abs=0.01)


def test_an_image_is_read_once(images: Path, store: Store, inspected: list[Path]) -> None:
    first = survey(splits(images), store)
    every = sorted(images.rglob("*.png"))
    assert sorted(inspected) == every
    assert len(first) == len(every)
    second = survey(splits(images), store)
    assert len(inspected) == len(every)
    assert second.fingerprint == first.fingerprint
    assert second.images == first.images


def test_only_what_changed_is_read_again(images: Path, store: Store, inspected: list[Path]) -> None:
    before = survey(splits(images), store).fingerprint
    image(999).save(images / "test/B/001.png")
    image(998).save(images / "test/B/new.png")
    inspected.clear()
    after = survey(splits(images), store)
    assert sorted(path.name for path in inspected) == ["001.png", "new.png"]
    assert after.fingerprint != before


def test_a_pass_that_is_broken_off_goes_on_where_it_was(
    images: Path, store: Store, inspected: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMMIT_EVERY", 4)

    def broken(path: Path) -> tuple[module.ImageFacts, bytes | None]:
        if len(inspected) == 10:
            raise KeyboardInterrupt
        inspected.append(path)
        return inspect(path)

    monkeypatch.setattr(module, "inspect", broken)
    with pytest.raises(KeyboardInterrupt):
        survey(splits(images), store)
    kept = len(inspected)
    inspected.clear()
    monkeypatch.setattr(module, "inspect", inspect)
    with sqlite3.connect(store.root.glob("survey/*.sqlite").__next__()) as database:
        (stored,) = database.execute("SELECT count(*) FROM image").fetchone()
    database.close()
    assert 4 <= stored <= kept
    assert survey(splits(images), store).readable.all()


def test_the_same_images_elsewhere_have_the_same_fingerprint(images: Path, store: Store, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "moved")
    assert survey(splits(tmp_path / "moved"), store).fingerprint == survey(splits(images), store).fingerprint


def test_an_image_that_cannot_be_read_is_reported_and_stops_nothing(images: Path, store: Store) -> None:
    broken = images / "train/A/001.png"
    broken.write_bytes(broken.read_bytes()[:200])
    seen = survey(splits(images), store)
    assert seen.readable.sum() == 17
    assert "001.png" in seen.images[1].fault
    assert not seen.thumbnails([1]).any()


def test_a_grey_image_in_colour_has_the_same_pixels(tmp_path: Path) -> None:
    image(0).save(tmp_path / "grey.png")
    image(0).convert("RGB").save(tmp_path / "colour.png")
    image(0).save(tmp_path / "other.bmp")
    grey, colour, other = (inspect(tmp_path / name)[0] for name in ("grey.png", "colour.png", "other.bmp"))
    assert grey.pixels == colour.pixels == other.pixels
    assert not colour.colour
    assert grey.header is not None
    assert colour.header is not None
    assert grey.header.digest != colour.header.digest


def test_a_coloured_image_is_distinguished_from_a_grey_one(tmp_path: Path) -> None:
    tinted = Image.merge("RGB", [image(0), image(0), image(1)])
    tinted.save(tmp_path / "tinted.png")
    image(0).save(tmp_path / "grey.png")
    assert inspect(tmp_path / "tinted.png")[0].colour
    assert inspect(tmp_path / "tinted.png")[0].pixels != inspect(tmp_path / "grey.png")[0].pixels


def test_a_deep_image_is_inspected(tmp_path: Path) -> None:
    deep = (np.asarray(image(0)).astype(np.uint16)) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    image(0).save(tmp_path / "grey.png")
    found, plain = inspect(tmp_path / "deep.png")[0], inspect(tmp_path / "grey.png")[0]
    assert found.header is not None
    assert found.header.bits == 16
    values = np.asarray(image(0)).astype(np.float64)
    stretched = (values - values.min()) / (values.max() - values.min())  # from its darkest to its brightest
    assert found.mean == pytest.approx(stretched.mean(), abs=1e-3)
    assert plain.mean == pytest.approx(values.mean() / 255, abs=1e-3)


def test_a_damaged_database_is_made_again(images: Path, store: Store) -> None:
    first = survey(splits(images), store)
    first.database.write_bytes(b"this is no database" * 100)
    assert survey(splits(images), store).images == first.images


def test_a_database_that_cannot_be_written_is_a_sentence(images: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(HarnessError, match=r"survey .*free some space, or remove the file and run again"):
        survey(splits(images), Store(blocked))


def test_thumbnails_of_an_image_that_left_the_database_are_a_sentence(images: Path, store: Store) -> None:
    seen = survey(splits(images), store)
    with sqlite3.connect(seen.database) as database:
        database.execute("DELETE FROM image WHERE path = ?", (str(seen.paths[0].absolute()),))
    database.close()
    with pytest.raises(HarnessError, match="is gone from it, or has changed; run again"):
        seen.thumbnails([0])


def test_a_file_that_vanishes_between_listing_and_reading_is_reported(images: Path, store: Store) -> None:
    data = splits(images)
    os.unlink(images / "test/A/000.png")
    seen = survey(data, store)
    assert seen.readable.sum() == 17
    assert "No such file" in seen.images[12].fault


def test_groups_change_the_fingerprint(images: Path, store: Store) -> None:
    seen = survey(splits(images), store)
    assert replace(seen, groups=seen.ids).fingerprint != seen.fingerprint


def test_what_other_code_has_seen_is_put_away(images: Path, store: Store) -> None:
    first = survey(splits(images), store)
    old = first.database.with_name(first.database.name.partition("-")[0] + ".sqlite")
    with sqlite3.connect(old) as database:
        database.execute("CREATE TABLE image (id TEXT PRIMARY KEY)")
    database.close()
    first.database.unlink()
    assert survey(splits(images), store).images == first.images
    assert not old.exists()
