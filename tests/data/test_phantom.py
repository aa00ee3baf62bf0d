"""The phantom is drawn as documented, has no near-duplicates, and is written whole."""

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from roentgate.data import phantom, phantom_anatomy
from roentgate.data.card import find_card
from roentgate.data.phantom_anatomy import MARGIN, SIDE
from roentgate.errors import ArgumentError, HarnessError

CARDS = Path(__file__).resolve().parents[2] / "data"
WHOLE = 3 * (150 + 80)
IN_BORDER = np.ones((SIDE, SIDE), np.bool_)
IN_BORDER[MARGIN:-MARGIN, MARGIN:-MARGIN] = False


@dataclass(frozen=True)
class Drawn:
    """A data set in memory: arrays (690, 96, 96), and split and class of each image."""

    images: NDArray[np.uint8]
    lungs: NDArray[np.bool_]
    lesions: NDArray[np.bool_]
    split: NDArray[np.str_]
    label: NDArray[np.str_]


@lru_cache
def drawn(variant: str, seed: int = 0) -> Drawn:
    rows = [(split, label, i) for split, n in phantom.COUNTS.items() for label in phantom.CLASSES for i in range(n)]
    drawings = [phantom.image(variant, seed, *row) for row in rows]
    return Drawn(
        images=np.stack([drawing.image for drawing in drawings]),
        lungs=np.stack([drawing.lungs for drawing in drawings]) == 255,
        lesions=np.stack([drawing.lesions for drawing in drawings]) == 255,
        split=np.array([split for split, _, _ in rows]),
        label=np.array([label for _, label, _ in rows]),
    )


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only 3 and 2 images per class, because the test does not depend on the number."""
    monkeypatch.setattr(phantom, "COUNTS", {"train": 3, "test": 2})


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def other_process(folder: Path, *, images: int) -> subprocess.Popen[bytes]:
    program = "import sys, pathlib; from roentgate.data import phantom; "
    program += "phantom.COUNTS.update(train=int(sys.argv[2]), test=2); "
    program += "phantom.write(pathlib.Path(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", program, str(folder), str(images)])


def test_every_image_has_its_two_masks_and_all_are_grey_8_bit_png_of_96(tmp_path: Path) -> None:
    phantom.write(tmp_path / "data")
    found = sorted(path for path in contents(tmp_path / "data") if path != "phantom.json")
    rows = [
        f"{split}/{label}/{number:04d}.png"
        for split, count in (("train", 150), ("test", 80))
        for label in ("Covid", "Normal", "Viral Pneumonia")
        for number in range(1, count + 1)
    ]
    assert found == sorted(prefix + row for prefix in ("", "masks/", "lesions/") for row in rows)
    for path in found[:: len(found) // 60]:
        with Image.open(tmp_path / "data" / path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (96, 96))


@pytest.mark.usefixtures("few")
def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for folder, seed in (("a", 7), ("b", 7), ("c", 8)):
        phantom.write(tmp_path / folder, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not set(contents(tmp_path / "a").items()) & {
        (path, digest) for path, digest in contents(tmp_path / "c").items() if not path.startswith("lesions/")
    }


@pytest.mark.usefixtures("few")
def test_an_image_drawn_alone_is_the_image_of_the_set(tmp_path: Path) -> None:
    phantom.write(tmp_path / "data", variant="phantom-shortcut", seed=3)
    drawing = phantom.image("phantom-shortcut", 3, "train", "Viral Pneumonia", 1)
    for kind, pixels in (("", drawing.image), ("masks", drawing.lungs), ("lesions", drawing.lesions)):
        with Image.open(tmp_path / "data" / kind / "train" / "Viral Pneumonia" / "0002.png") as image:
            assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("variant", ["phantom", "phantom-shortcut", "phantom-shortcut-broken", phantom.DOSES[100]])
def test_no_two_images_are_near_duplicates_nor_mirrored_ones(variant: str) -> None:
    images = drawn(variant).images.astype(np.float64)
    pairs = np.triu_indices(WHOLE, k=1)
    for partners in (images, images[:, :, ::-1]):
        correlations = standardised(images) @ standardised(partners).T
        assert correlations[pairs].max() < 0.985


def standardised(images: NDArray[np.float64]) -> NDArray[np.float64]:
    thumbnails = images.reshape(WHOLE, 32, 3, 32, 3).mean(axis=(2, 4)).reshape(WHOLE, -1)
    thumbnails -= thumbnails.mean(axis=1, keepdims=True)
    normed: NDArray[np.float64] = thumbnails / np.linalg.norm(thumbnails, axis=1, keepdims=True)
    return normed


@pytest.mark.parametrize("variant", ["phantom", "phantom-shortcut"])
def test_a_lung_mask_is_two_lungs_side_by_side_clear_of_the_border(variant: str) -> None:
    for lungs in drawn(variant).lungs:
        parts, count = ndimage.label(lungs, structure=np.ones((3, 3)))
        left, right = (parts == 1), (parts == 2)
        assert count == 2
        assert 0.06 < left.mean() < 0.26
        assert 0.06 < right.mean() < 0.26
        columns = sorted(float(np.flatnonzero(side.any(axis=0)).mean()) for side in (left, right))
        assert columns[0] < SIDE / 2 < columns[1]
    assert (drawn(variant).lungs & IN_BORDER).sum() < 0.01 * drawn(variant).lungs.sum()


@pytest.mark.parametrize("variant", ["phantom", "phantom-shortcut"])
def test_lesions_lie_in_the_lungs_and_as_their_class_has_them(variant: str) -> None:
    data = drawn(variant)
    assert not (data.lesions & ~data.lungs).any()
    for label, lesions, lungs in zip(data.label, data.lesions, data.lungs, strict=True):
        parts, _ = ndimage.label(lungs, structure=np.ones((3, 3)))
        affected = len(np.unique(parts[lesions]))
        assert affected == {"Covid": 2, "Normal": 0, "Viral Pneumonia": 1}[label]


def test_lesions_are_clear_on_phantom_and_faint_with_a_shortcut() -> None:
    def brighter(variant: str) -> float:
        data = drawn(variant)
        ill = np.flatnonzero(data.label != "Normal")
        return float(
            np.median(
                [
                    data.images[row][data.lesions[row]].mean()
                    - data.images[row][data.lungs[row] & ~data.lesions[row]].mean()
                    for row in ill
                ]
            )
        )

    assert brighter("phantom") > 60
    assert 5 < brighter("phantom-shortcut") < 30


@pytest.mark.parametrize(
    ("variant", "lowest", "highest"),
    [("phantom", 0.2, 0.45), ("phantom-shortcut", 0.93, 0.97), ("phantom-shortcut-broken", 0.25, 0.42)],
)
def test_a_reader_of_the_border_alone_scores_as_the_variant_promises(
    variant: str, lowest: float, highest: float
) -> None:
    data = drawn(variant)
    brightness = data.images[:, IN_BORDER].mean(axis=1)
    train, test = data.split == "train", data.split == "test"
    levels = [np.median(brightness[train & (data.label == label)]) for label in phantom.CLASSES]
    answers = np.array(phantom.CLASSES)[np.abs(brightness[test, None] - levels).argmin(axis=1)]
    assert lowest <= (answers == data.label[test]).mean() <= highest


def background_counts(variant: str, split: str, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each class (row) has the background of each class (column)."""
    backgrounds = [phantom.backgrounds(variant, seed, split, label) for label in phantom.CLASSES]
    return np.stack([np.bincount(numbers, minlength=3) for numbers in backgrounds if numbers is not None])


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_shortcut_agrees_with_the_class_in_95_per_cent(split: str) -> None:
    counts = background_counts("phantom-shortcut", split)
    assert np.trace(counts) / counts.sum() == pytest.approx(0.95, abs=0.004)
    assert (np.diag(counts) / counts.sum(axis=1)).min() > 0.94


def test_the_broken_shortcut_has_the_same_marginals_and_no_agreement() -> None:
    planted = background_counts("phantom-shortcut", "test")
    broken = background_counts("phantom-shortcut-broken", "test")
    assert planted.sum(axis=0).tolist() == broken.sum(axis=0).tolist() == [80, 80, 80]
    assert set(broken.ravel()) == {26, 27}


@pytest.mark.parametrize(("dose", "agreement"), [(0, 1 / 3), (50, 0.5), (75, 0.75), (95, 0.95), (100, 1.0)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_dose_of_the_shortcut_is_its_agreement_with_the_class_and_0_is_chance(
    dose: int, agreement: float, split: str
) -> None:
    counts = background_counts(phantom.DOSES[dose], split)
    assert np.trace(counts) / counts.sum() == pytest.approx(agreement, abs=0.01)
    assert counts.sum(axis=0).tolist() == counts.sum(axis=1).tolist()


def test_doses_show_the_same_patients() -> None:
    drawings = {dose: phantom.image(name, 0, "test", "Covid", 3) for dose, name in phantom.DOSES.items()}
    for drawing in drawings.values():
        np.testing.assert_array_equal(drawing.lesions, drawings[0].lesions)


def test_phantom_has_no_planted_backgrounds() -> None:
    assert phantom.backgrounds("phantom", 0, "train", "Covid") is None


def test_breaking_the_shortcut_changes_backgrounds_in_test_and_nothing_else() -> None:
    planted, broken = drawn("phantom-shortcut"), drawn("phantom-shortcut-broken")
    assert np.array_equal(planted.images[planted.split == "train"], broken.images[broken.split == "train"])
    assert np.array_equal(planted.images[:, ~IN_BORDER], broken.images[:, ~IN_BORDER])
    changed = (planted.images != broken.images).any(axis=(1, 2))[planted.split == "test"]
    assert changed.mean() == pytest.approx(2 / 3, abs=0.1)


def test_a_process_killed_midway_leaves_no_folder_and_the_next_one_draws_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = other_process(folder, images=100_000)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".data-drawing-*/train/Covid/0003.png")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert not folder.exists()
    again = other_process(folder, images=2)
    assert again.wait() == 0
    assert len(contents(folder)) == 3 * 3 * (2 + 2) + 1


def test_two_processes_at_once_both_succeed_with_one_whole_folder(tmp_path: Path) -> None:
    processes = [other_process(tmp_path / "data", images=8) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(contents(tmp_path / "data")) == 3 * 3 * (8 + 2) + 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.usefixtures("few")
def test_one_that_is_overtaken_while_it_draws_leaves_the_other_ones_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def overtaken(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        phantom.write(target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", overtaken)
    phantom.write(tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.usefixtures("few")
def test_a_finished_set_is_left_as_it_is_and_another_one_is_refused(tmp_path: Path) -> None:
    phantom.write(tmp_path / "data")
    before = (tmp_path / "data" / "train").stat().st_mtime_ns
    phantom.write(tmp_path / "data")
    assert (tmp_path / "data" / "train").stat().st_mtime_ns == before
    with pytest.raises(ArgumentError, match=r"holds .*\"seed\": 0.* where .*\"seed\": 1.* is to be drawn; remove it"):
        phantom.write(tmp_path / "data", seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "image.png").touch()
    with pytest.raises(ArgumentError, match="holds other files"):
        phantom.write(tmp_path / "mine")


@pytest.mark.usefixtures("few")
def test_leftovers_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    old, recent = tmp_path / ".data-drawing-old", tmp_path / ".data-drawing-recent"
    for leftover in (old, recent):
        (leftover / "train").mkdir(parents=True)
    os.utime(old, times=(time.time() - 90_000,) * 2)
    phantom.write(tmp_path / "data")
    assert (old.exists(), recent.exists()) == (False, True)


def test_an_unknown_variant_is_an_error_that_names_the_close_ones(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"'phantom-shortcuts': unknown; did you mean 'phantom-shortcut'"):
        phantom.write(tmp_path / "data", variant="phantom-shortcuts")


def test_a_place_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match=r"phantom in '.*data': cannot be written \(.*\); free some space"):
        phantom.write(tmp_path / "file" / "data")


@pytest.mark.usefixtures("few")
def test_nothing_is_printed_where_there_is_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    phantom.write(tmp_path / "data")
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("variant", ["phantom", "phantom-shortcut", "phantom-shortcut-broken"])
def test_the_card_of_a_variant_is_the_published_one(variant: str) -> None:
    assert phantom.card(variant) == find_card(variant, CARDS)


# The tube


def test_a_tube_inside_a_lung_agrees_with_the_class_and_nothing_else_changes() -> None:
    for label, side in (("Covid", -1), ("Normal", 0), ("Viral Pneumonia", 1)):
        own = phantom.tubes(0, "test", label)
        assert (own == phantom.CLASSES.index(label)).sum() == 76
        index = int(np.flatnonzero(own == phantom.CLASSES.index(label))[0])
        with_tube = phantom.image("phantom-tube", 0, "test", label, index)
        sequences = np.random.SeedSequence(0, spawn_key=(1, 1, phantom.CLASSES.index(label), index)).spawn(2)
        patient, surroundings = (np.random.default_rng(each) for each in sequences)
        plain = phantom_anatomy.draw(
            patient, phantom.FINDINGS[label], phantom._FAINT, phantom._any_background(surroundings)
        )
        changed = np.abs(with_tube.image.astype(int) - plain.image.astype(int)) > 20
        assert not (changed & (plain.lungs == 0)).any()
        middle = np.nonzero(plain.lungs)[1].mean()
        columns = np.nonzero(changed)[1]
        assert (len(columns) > 20) == (side != 0)
        assert len(columns) == 0 or ((columns - middle) * side > 0).all()
        np.testing.assert_array_equal(with_tube.lungs, plain.lungs)


def test_other_variants_have_no_tube() -> None:
    assert [name for name in phantom.VARIANTS if phantom._VARIANTS[name].tubes] == ["phantom-tube"]
    assert phantom.backgrounds("phantom-tube", 0, "test", "Covid") is None
