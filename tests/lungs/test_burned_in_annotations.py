"""Burned-in annotations: planted letters are found, ribs are not.

Nothing that touches the lungs counts as an annotation.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from roentgate.data import phantom
from roentgate.data.dataset import Dataset
from roentgate.data.phantom import CLASSES
from roentgate.lungs import burned_in_annotations
from roentgate.lungs.burned_in_annotations import Annotation, find, find_each
from roentgate.lungs.lung_masks import LungFields
from roentgate.store import Store

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
SIDE = 192


def chest(index: int) -> tuple[FloatArray, BoolArray]:
    """Return a drawn image without markers, and its lungs.

    The image is float32 (192, 192) in [0, 0.8].
    """
    drawn = phantom.image("phantom", 0, "test", CLASSES[index % 3], index)
    image = ndimage.zoom(drawn.image[5:-5, 5:-5].astype(np.float32) / 255, SIDE / 86, order=1)
    lungs = ndimage.zoom(drawn.lungs[5:-5, 5:-5], SIDE / 86, order=0) > 127
    return np.clip(image * 0.8, 0, 0.8).astype(np.float32), lungs


def written(image: FloatArray, text: str, at: tuple[int, int], size: int = 14) -> tuple[FloatArray, BoolArray]:
    """Return the image with white letters on an even dark label, and their pixels.

    ``at`` is (top, left).
    """
    plate = Image.new("L", (SIDE, SIDE))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(plate).text((at[1], at[0]), text, font=font, fill=255)
    ink = np.asarray(plate) > 127
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    label = np.s_[max(rows[0] - 6, 0) : rows[-1] + 7, max(columns[0] - 6, 0) : columns[-1] + 7]
    changed = image.copy()
    changed[label] = 0.1
    changed[ink] = 1.0
    return changed, ink


def covered(found: list[Annotation], ink: BoolArray) -> float:
    """Return the share of the letters' pixels that lie in boxes."""
    boxes = np.zeros(ink.shape, dtype=bool)
    for each in found:
        boxes[each.box] = True
    return float((boxes & ink).sum() / ink.sum())


@given(
    index=st.integers(0, 20),
    text=st.sampled_from(["R", "L", "A1", "AP", "17:42"]),
    top=st.integers(2, 8),
    left=st.integers(4, 130),
)
@settings(max_examples=40)
def test_letters_that_are_planted_are_found(index: int, text: str, top: int, left: int) -> None:
    image, _ = chest(index)
    nowhere = np.zeros(image.shape, dtype=bool)
    changed, ink = written(image, text, (top, left))
    found = find(changed, nowhere)
    assert covered(found, ink) > 0.8
    assert all(abs(each.ground - 0.1) < 0.02 for each in found if ink[each.box].any())


@pytest.mark.parametrize("index", range(24))
def test_ribs_and_shoulders_are_no_letters(index: int) -> None:
    image, lungs = chest(index)
    assert find(image, lungs) == []


@given(index=st.integers(0, 20), top=st.integers(0, 160), left=st.integers(0, 160))
@settings(max_examples=40)
def test_nothing_that_touches_the_lungs_is_an_annotation(index: int, top: int, left: int) -> None:
    image, lungs = chest(index)
    changed, _ = written(image, "R", (top, left))
    for each in find(changed, lungs):
        assert not lungs[each.box].any()
        assert 0 <= each.top < each.bottom <= SIDE
        assert 0 <= each.left < each.right <= SIDE
        assert 0 <= each.ground <= 1


def test_a_letter_in_the_lungs_is_left_alone() -> None:
    image, lungs = chest(0)
    y, x = ndimage.center_of_mass(lungs & (np.arange(SIDE) < SIDE // 2))
    changed, ink = written(image, "R", (int(y), int(x)))
    assert covered(find(changed, np.zeros_like(lungs)), ink) > 0.8
    assert covered(find(changed, lungs), ink) == 0


def test_brightness_and_contrast_of_the_image_do_not_matter() -> None:
    image, lungs = chest(3)
    changed, _ = written(image, "L", (4, 150))
    lighter, fainter = changed + np.float32(0.2), (0.3 * changed).astype(np.float32)
    boxes = [[each.box for each in find(pixels, lungs)] for pixels in (lighter, fainter)]
    assert boxes[0] == boxes[1] != []


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_an_even_image_has_none(grey: float) -> None:
    assert find(np.full((64, 64), grey, np.float32), np.zeros((64, 64), dtype=bool)) == []


@pytest.mark.parametrize("side", [8, 20, 32])
def test_a_dot_in_the_corner_of_a_small_image_is_no_error(side: int) -> None:
    image = np.zeros((side, side), np.float32)
    image[0, 0] = 1
    for each in find(image, np.zeros((side, side), dtype=bool)):
        assert each.bottom <= side


def markers(variant: str, glyph: str) -> tuple[int, int]:
    """Return the number of images whose planted marker is found, and of boxes elsewhere.

    There are 24 images, with the marker of one glyph.
    """
    label = {"R": "Covid", "L": "Normal", "P": "Viral Pneumonia"}[glyph]
    place = {"R": np.s_[0:6, 0:6], "L": np.s_[0:6, 90:96], "P": np.s_[90:96, 0:6]}[glyph]
    hits = elsewhere = 0
    for index in range(24):
        drawn = phantom.image(variant, 0, "test", label, index)
        found = find((drawn.image / 255).astype(np.float32), drawn.lungs > 127)
        in_place = [each for each in found if each.box == place]
        hits += bool(in_place)
        elsewhere += len(found) - len(in_place)
    return hits, elsewhere


@pytest.mark.parametrize(("glyph", "least"), [("R", 16), ("L", 2)])
def test_markers_of_the_drawn_images_are_found_where_their_ground_is_even(glyph: str, least: int) -> None:
    hits, elsewhere = markers("phantom-shortcut-100", glyph)
    assert hits >= least
    assert elsewhere == 0


def test_a_white_marker_on_a_white_border_is_not() -> None:
    assert markers("phantom-shortcut-100", "P") == (0, 0)


# A split


@pytest.fixture
def split(tmp_path: Path) -> Dataset:
    for index in range(4):
        image, _ = chest(index)
        image = written(image, "R", (4, 4))[0] if index % 2 else image
        Image.fromarray((255 * image).round().astype(np.uint8)).save(tmp_path / f"{index}.png")
    names = tuple(f"{index}.png" for index in range(4))
    return Dataset(
        name="test",
        ids=names,
        paths=tuple(tmp_path / name for name in names),
        labels=np.array([0, 1, 0, 1]),
        classes=CLASSES[:2],
        root=tmp_path,
        image_shape=(SIDE, SIDE, 1),
    )


def fields(*reasons: str) -> LungFields:
    lungs = np.stack([chest(index)[1] for index in range(4)])
    packed = np.packbits(lungs.reshape(4, -1), axis=1)
    return LungFields(shape=(SIDE, SIDE), packed=packed, reasons=reasons, source="data")


def test_each_image_has_its_own_and_one_without_a_trusted_lung_field_none(split: Dataset, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    found = find_each(split, fields("", "", "", ""), store)
    assert [len(each) for each in found] == [0, 1, 0, 1]
    assert found[1] == find(split.take([1])[0, :, :, 0], fields("", "", "", "").take([1])[0])
    doubted = find_each(split, fields("", "", "", "area"), store)
    assert [len(each) for each in doubted] == [0, 1, 0, 0]


def test_images_are_searched_once(split: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    first = find_each(split, fields("", "", "", ""), store)
    monkeypatch.setattr(burned_in_annotations, "find", lambda *_: pytest.fail("searched again"))
    assert find_each(split, fields("", "", "", ""), store) == first
