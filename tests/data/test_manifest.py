"""Tests of manifests, of the splits made for them, and of their class folders."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from PIL import Image

from roentgate.__main__ import main
from roentgate.candidates.candidate import open_file
from roentgate.candidates.discovery import find_model
from roentgate.candidates.protocols import Recipe, Streams, Task
from roentgate.data import link_tree
from roentgate.data.card import Card, find_card
from roentgate.data.dataset import Dataset, Splits, write_manifest
from roentgate.data.read_splits import read_classes, read_splits
from roentgate.errors import ArgumentError, DataError
from roentgate.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

CARDS = Path(__file__).resolve().parents[2] / "data"
SUITES = CARDS.parent / "suites"
SHAPE = (12, 10, 1)
HEADER = ["path", "label", "group", "source"]


def image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 20), dtype=np.uint8)).save(path)


def table(file: Path, rows: list[list[str]], header: list[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Forty images of twenty patients, two classes and two sources.

    ``rows.csv`` names them in random order.
    """
    root = tmp_path / "images"
    rows = []
    for i in range(40):
        name = f"{'ab'[i % 2]}/image {i}.png"
        image(root / name, i)
        rows.append([name, "ill" if i // 2 % 5 < 3 else "well", f"p{i // 2}", "north" if i < 24 else "south"])
    random.Random(0).shuffle(rows)
    table(root / "rows.csv", rows, HEADER)
    return root


def mine(root: Path, **card: object) -> Card:
    return Card.model_validate({"name": "mine", "root": root, "manifest": "rows.csv", **card})


def splits(root: Path, store: Store | None = None, /, **card: object) -> Splits:
    return read_splits(mine(root, **card), image_shape=SHAPE, cache=None, store=store)


def each(data: Splits) -> tuple[Dataset, Dataset, Dataset]:
    return data.train, data.validation, data.test


def rewrite(root: Path, change: Callable[[int, list[str]], list[str]], header: list[str] | None = None) -> None:
    """Pass the lines of the manifest through ``change``, as lists."""
    with (root / "rows.csv").open(newline="") as stream:
        _, *rows = csv.reader(stream)
    table(root / "rows.csv", [change(i, row) for i, row in enumerate(sorted(rows))], header or HEADER)


# Rows


def test_rows_are_by_class_then_by_folder_then_by_name(root: Path) -> None:
    data = splits(root)
    assert data.classes == read_classes(mine(root)) == ("ill", "well")
    with (root / "rows.csv").open(newline="") as stream:
        lines = {row["path"]: row for row in csv.DictReader(stream)}
    for split in each(data):
        keys = [(lines[row]["label"], *row.split("/")) for row in split.ids]
        assert keys == sorted(keys)
        assert [split.classes[label] for label in split.labels] == [lines[row]["label"] for row in split.ids]
        assert split.groups == tuple(lines[row]["group"] for row in split.ids)
        assert split.sources == tuple(lines[row]["source"] for row in split.ids)
        assert split.paths == tuple(root / row for row in split.ids)
    assert sum(map(len, each(data))) == 40


def test_columns_and_the_folder_of_images_have_the_names_of_the_card(root: Path) -> None:
    plain = splits(root)
    fingerprint = plain.fingerprint
    (root / "images").mkdir()
    for folder in ("a", "b"):
        (root / folder).rename(root / "images" / folder)
    rewrite(root, lambda _, row: row, ["file", "finding", "patient", "site"])
    columns = {"path": "file", "label": "finding", "group": "patient", "source": "site"}
    named = splits(root, images="images", columns=columns)
    for before, after in zip(each(plain), each(named), strict=True):
        assert (before.ids, before.groups, before.sources) == (after.ids, after.groups, after.sources)
        assert after.paths == tuple(root / "images" / row for row in after.ids)
    assert named.fingerprint == fingerprint


def test_a_byte_order_mark_blanks_and_empty_lines_do_not_count(root: Path) -> None:
    before = splits(root)
    text = (root / "rows.csv").read_text().replace(",", " , ").replace("\n", "\n\n")
    (root / "rows.csv").write_text(text, "utf-8-sig")
    assert [split.ids for split in each(splits(root))] == [split.ids for split in each(before)]


def test_columns_that_nothing_asks_for_are_ignored(root: Path) -> None:
    rewrite(root, lambda i, row: [*row, str(i)], [*HEADER, "age"])
    assert len(splits(root).train) > 0


def test_a_column_that_is_not_there_is_unknown(root: Path) -> None:
    rewrite(root, lambda _, row: row[:2], HEADER[:2])
    data = splits(root).test
    assert (data.groups, data.sources, data.masks) == (None, None, None)


def test_the_patient_may_be_found_by_a_pattern(root: Path) -> None:
    test = splits(root, group=r"image (\d+)").test
    assert test.groups is not None
    assert set(test.groups) <= {str(i) for i in range(40)}
    with pytest.raises(DataError, match=r"line \d+: group pattern .* finds no patient in 'a/image"):
        splits(root, group=r"patient (\d+)")


@pytest.mark.parametrize("named_by", ["pattern", "column"])
def test_masks_are_named_by_a_pattern_or_a_column(root: Path, named_by: str) -> None:
    for i in range(40):
        image(root / "masks" / f"{'ab'[i % 2]}/image {i}.png", i)
    if named_by == "column":
        rewrite(root, lambda _, row: [*row, f"masks/{row[0]}"], [*HEADER, "mask"])
    card: dict[str, Any] = {"masks": "masks/{id}"} if named_by == "pattern" else {}
    test = splits(root, **card).test
    assert test.masks == tuple(root / "masks" / row for row in test.ids)
    test.masks[0].unlink()
    with pytest.raises(DataError, match=r"mask 'masks/.*' of image '.*' is missing; restore it"):
        splits(root, **card)


def test_an_image_that_cannot_be_decoded_is_an_error_when_read(root: Path) -> None:
    data = splits(root).test
    data.paths[0].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"image '.*': is not a .*JPEG, PNG.* image"):
        splits(root).test.take([0])


# What is refused

GOOD = "path,label\na.png,ill\nb.png,well\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: column 'path' is missing \(none is known\)"),
        ("path,label\n", "holds no image; add a line for each"),
        (
            "path,lable\na.png,ill\n",
            r"line 1: column 'label' is missing \(did you mean 'lable'\?\); rename it, or name",
        ),
        ("file,label\na.png,ill\n", r"column 'path' is missing \(known: file\); .* columns = \{ path = \.\.\. \}"),
        ("path;label\na.png;ill\n", "line 1: is separated by ';'; save it with commas"),
        ("path\tlabel\na.png\till\n", "line 1: is separated by tabs; save it with commas"),
        ("path,label,path\na.png,ill,b\n", "line 1: column 'path' stands twice"),
        ("path,label,Split\na.png,ill,test\n", "column 'Split' would not be read as 'split'; rename it, or name it in"),
        ("path,label,groups\na.png,ill,p\n", "column 'groups' would not be read as 'group'"),
        (GOOD + "c.png\n", "line 4: has 1 values for 2 columns; put quotes around a value that holds a comma"),
        (GOOD + "c.png,ill,more\n", "line 4: has 3 values for 2 columns"),
        (GOOD + ",ill\n", "line 4: column 'path' is empty; fill it in, or remove the line$"),
        (GOOD + "c.png, \n", "line 4: column 'label' is empty; fill it in, or remove the line$"),
        (
            "path,label,group\na.png,ill,\n",
            "line 2: column 'group' is empty; fill it in, or remove the line or the col",
        ),
        (GOOD + "a.png,well\n", "line 4: path 'a.png' stands in line 2 already; remove one of the lines"),
        (GOOD + "./a.png,well\n", "line 4: path 'a.png' stands in line 2 already"),
        (
            GOOD + "c.png,ill\n",
            r"line 4: image 'c.png' is missing in '.*images'; restore it or remove the line, or pass",
        ),
        (
            GOOD + "/etc/c.png,ill\n",
            "line 4: path '/etc/c.png' leads out of the folder it is relative to; write it rel",
        ),
        (GOOD + "x/../../c.png,ill\n", "line 4: path 'x/../../c.png' leads out of"),
        (GOOD + "x\\c.png,ill\n", r"line 4: path 'x\\\\c.png' holds a backslash or a control sign; write it with '/'"),
        (GOOD + "c.png,a/b\n", "line 4: label 'a/b' cannot be the name of a folder; write it without slashes"),
        (GOOD + "c.png,.ill\n", "line 4: label '.ill' cannot be the name of a folder"),
        (GOOD + "c.png,..\n", r"line 4: label '\.\.' cannot be the name of a folder"),
        ("path,label\na.png,ill\n", r"at least two classes are needed \(found: ill\); add images of another one"),
        ("path,label\na.png,ill\nb.png,Ill\n", "labels ill, Ill differ only in case or Unicode form; write them alike"),
        ('path,label\n"a.png,ill\n', r"line \d: is not CSV \(.*\); correct it"),
        ("path,label,split\na.png,ill,tset\nb.png,well,test\n", "line 2: split 'tset' is unknown; did you mean 'test'"),
        (
            "path,label,split\na.png,ill,train\nb.png,well,test\n",
            r"split train: class 'well' has no image \(found: ill\)",
        ),
        (
            GOOD,
            "class 'ill' has images of no more than 1 groups, .*; add images, or say the splits in a column 'split'",
        ),
    ],
)
def test_a_wrong_manifest_is_a_sentence_that_names_file_line_and_remedy(root: Path, text: str, sentence: str) -> None:
    image(root / "a.png", 0)
    image(root / "b.png", 1)
    (root / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        splits(root)
    assert str(caught.value).startswith("data 'mine', manifest 'rows.csv'")


def test_a_manifest_that_cannot_be_read_is_a_sentence(root: Path) -> None:
    (root / "rows.csv").write_bytes(GOOD.encode() + b"c.png,\xe4\n")
    with pytest.raises(DataError, match=r"is not UTF-8 \(byte 38\); save it as UTF-8"):
        splits(root)
    (root / "rows.csv").unlink()
    with pytest.raises(DataError, match=r"cannot be read in '.*' \(No such file or directory\); restore it, or pass"):
        splits(root)
    with pytest.raises(DataError, match=r"root '.*' does not exist; pass --data mine=PATH with the folder that holds"):
        splits(root / "elsewhere")


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"classes": ["ill", "wel"]}, r"labels ill, well are not the classes of the card \(ill, wel\); correct one"),
        ({"columns": {"group": "patient"}}, "column 'patient' is missing .known: group.; rename it, or"),
        ({"test_sources": ["nort"]}, "no image is of source 'nort', which 'test_sources' names; did you mean 'north'"),
        ({"test_sources": ["north", "south"]}, "'test_sources' names every source; leave one for train and validation"),
    ],
)
def test_a_card_that_does_not_fit_its_manifest_is_a_sentence(
    root: Path, card: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        splits(root, **card)


def test_test_sources_need_a_source_and_no_other_splits(root: Path) -> None:
    rewrite(root, lambda _, row: [*row, "test"], [*HEADER, "split"])
    with pytest.raises(DataError, match="has a column 'split', and the card names 'test_sources'; remove one"):
        splits(root, test_sources=["north"])
    rewrite(root, lambda _, row: row[:3], HEADER[:3])
    with pytest.raises(
        DataError, match="'test_sources' of the card needs a column that says where an image comes from"
    ):
        splits(root, test_sources=["north"])


# Splits


def assert_about(sizes: list[int], data: Splits) -> None:
    """Assert the number of images of each split, to within one patient."""
    assert all(abs(len(split) - size) <= 2 for split, size in zip(each(data), sizes, strict=True))


def test_splits_made_keep_groups_whole_and_shares(root: Path) -> None:
    data = splits(root)
    groups = [set(split.groups or ()) for split in each(data)]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 20
    assert_about([24, 8, 8], data)
    assert_about([20, 4, 16], splits(root, split_shares=[0.5, 0.1, 0.4]))


def test_splits_do_not_depend_on_the_order_of_the_lines(root: Path) -> None:
    before = splits(root)
    rewrite(root, lambda _, row: row)
    after = splits(root)
    assert [split.ids for split in each(before)] == [split.ids for split in each(after)]
    assert before.fingerprint == after.fingerprint


def test_another_seed_makes_other_splits(root: Path) -> None:
    assert splits(root, split_seed=0).test.ids == splits(root).test.ids
    assert splits(root, split_seed=1).test.ids != splits(root).test.ids


def test_images_of_the_test_sources_are_the_test_split(root: Path) -> None:
    data = splits(root, test_sources=["south"])
    assert [Counter(split.sources) for split in each(data)] == [{"north": 18}, {"north": 6}, {"south": 16}]


def test_every_class_has_images_in_and_out_of_the_test_sources(root: Path) -> None:
    rewrite(root, lambda _, row: [*row[:3], {"ill": "south", "well": row[3]}[row[1]]])
    with pytest.raises(DataError, match="split train: class 'ill' has no image that is not of a test source; add some"):
        splits(root, test_sources=["south"])
    with pytest.raises(DataError, match=r"split test: class 'ill' has no image \(found: well\); add some, or remove"):
        splits(root, test_sources=["north"])


def test_a_patient_of_a_test_source_and_another_is_refused(root: Path) -> None:
    rewrite(root, lambda i, row: [*row[:2], str(i % 20), row[3]])
    with pytest.raises(
        DataError, match=r"line \d+: group '\d+' has images of 'south', a test source, and 'north'; give"
    ):
        splits(root, test_sources=["south"])


def test_a_column_says_the_splits_and_without_validation_it_is_made_of_train(root: Path) -> None:
    names = ("train", "train", "validation", "test")
    rewrite(root, lambda _, row: [*row, names[int(row[2][1:]) // 5]], [*HEADER, "split"])
    data = splits(root)
    assert [len(split) for split in each(data)] == [20, 10, 10]
    rewrite(root, lambda _, row: [*row[:4], row[4].replace("validation", "train")], [*HEADER, "split"])
    made = splits(root)
    assert made.test.ids == data.test.ids
    assert_about([22, 8, 10], made)
    assert not set(made.train.groups or ()) & set(made.validation.groups or ())


def test_splits_made_are_stored_and_read_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    made = splits(root, store)
    assert [split.ids for split in each(made)] == [split.ids for split in each(splits(root))]
    (kept,) = (tmp_path / "store" / "splits").glob("*.csv")
    assert kept.read_text().splitlines()[0] == "path,label,split,group,source"
    with monkeypatch.context() as patch:
        patch.delattr("roentgate.data.manifest.divide")
        assert splits(root, store).fingerprint == made.fingerprint
    kept.write_text(kept.read_text().replace(",test,", ",train,"))  # changed by hand, so the splits are made again
    assert splits(root, store).fingerprint == made.fingerprint
    splits(root, store, split_seed=1)
    rewrite(root, lambda _, row: row)
    splits(root, store)
    assert len(list((tmp_path / "store" / "splits").glob("*.csv"))) == 3


def test_splits_written_out_are_a_manifest_that_gives_them_again(root: Path) -> None:
    for i in range(40):
        image(root / "masks" / f"{'ab'[i % 2]}/image {i}.png", i)
    data = splits(root, masks="masks/{id}", split_seed=5)
    write_manifest(data, root / "rows.csv")
    again = splits(root)
    assert again.fingerprint == data.fingerprint
    for before, after in zip(each(data), each(again), strict=True):
        assert (before.groups, before.sources, before.masks) == (after.groups, after.sources, after.masks)


# Class folders


def assert_shows(split: Dataset) -> None:
    """Assert that a Keras generator on ``root`` gives the rows in order."""
    rows = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        str(split.root),
        target_size=SHAPE[:2],
        color_mode="grayscale",
        batch_size=64,
        shuffle=False,
        interpolation=split.interpolation,
    )
    assert tuple(rows.class_indices) == split.classes
    assert rows.classes.tolist() == split.labels.tolist()
    np.testing.assert_array_equal(np.concatenate([rows[i][0] for i in range(len(rows))]), split.take(range(len(split))))


@pytest.fixture(params=["symbolic links", "hard links", "copies"])
def link_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of link that the file system allows."""

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    if request.param != "symbolic links":
        monkeypatch.setattr(os, "symlink", refuse)
    if request.param == "copies":
        monkeypatch.setattr(os, "link", refuse)
    return str(request.param)


def test_the_root_of_a_split_is_class_folders_that_show_its_rows(root: Path, tmp_path: Path, link_kind: str) -> None:
    data = splits(root, Store(tmp_path / "store"))
    for split in each(data):
        assert split.root.name == split.name
        assert_shows(split)
    shown = next(path for path in data.test.root.rglob("*.png"))
    assert shown.is_symlink() == (link_kind == "symbolic links")
    assert (shown.stat().st_nlink > 1) == (link_kind == "hard links")


def test_class_folders_are_made_anew_where_they_do_not_show_the_images(
    root: Path, tmp_path: Path, link_kind: str
) -> None:
    store = Store(tmp_path / "store")
    before = splits(root, store).test
    shown = sorted(before.root.rglob("*.png"))
    times = [path.lstat().st_mtime_ns for path in shown]
    assert [path.lstat().st_mtime_ns for path in sorted(splits(root, store).test.root.rglob("*.png"))] == times
    (tmp_path / "store" / "splits" / f".tmp-{before.root.parent.name}" / "train").mkdir(parents=True)  # a killed run
    shown[0].unlink()
    (before.root / "ill" / "more.png").write_bytes(b"")
    before.paths[1].unlink()
    image(before.paths[1], 99)
    os.utime(before.paths[1], (0, 0))
    after = splits(root, store).test
    assert after.root == before.root
    assert not list((tmp_path / "store" / "splits").glob(".tmp-*"))
    assert_shows(after)
    assert link_kind


def test_the_baselines_own_generators_read_a_manifest(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    data = splits(root, store)
    baseline = open_file(find_model("baseline", CARDS.parent / "models", trust=False), root, store)
    streams = baseline.call("streams", data, Recipe(), Task(data.classes, SHAPE, 0))
    assert isinstance(streams, Streams)
    for stream, split in ((streams.validation, data.validation), (streams.test, data.test)):
        np.testing.assert_array_equal(
            np.concatenate([stream[i][0] for i in range(len(stream))]), split.take(range(len(split)))
        )
        assert stream.classes.tolist() == split.labels.tolist()
    assert len(streams.train.classes) == len(data.train)


def test_odd_names_are_shown_in_the_order_of_the_rows(tmp_path: Path) -> None:
    names = ["é.png", "a b.PNG", "a/ü/c.png", "a-b/c.png", "a/c.png", ".hidden.png", "z" * 200 + ".png", "x%0A.png"]
    rows = []
    for i, (name, label) in enumerate((name, label) for label in ("Über", "has blank") for name in names):
        image(tmp_path / label / name, i)
        rows.append([f"{label}/{name}", label, ("train", "validation", "test")[i % 3]])
    table(tmp_path / "rows.csv", rows, ["path", "label", "split"])
    for split in each(splits(tmp_path, Store(tmp_path / "store"))):
        assert_shows(split)


def test_fingerprints_do_not_depend_on_where_store_and_images_lie(root: Path, tmp_path: Path) -> None:
    original = splits(root, Store(tmp_path / "store"))
    shutil.copytree(root, tmp_path / "elsewhere")
    copy = splits(tmp_path / "elsewhere", Store(tmp_path / "another store"))
    assert original.fingerprint == copy.fingerprint == splits(root).fingerprint
    assert original.surroundings == copy.surroundings
    assert original.train.root != copy.train.root


def test_a_store_that_cannot_be_written_is_a_sentence(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(link_tree, "_link", full)
    with pytest.raises(ArgumentError, match=r"cannot be written \(No space left on device\); free some space, or"):
        splits(root, Store(tmp_path / "store"))
    assert not [path for path in (tmp_path / "store" / "splits").iterdir() if path.is_dir()]


# From the command line to the scorecard


@pytest.fixture
def patients(project: Project, tmp_path: Path) -> Project:
    """A project whose manifest names three images of each patient.

    Two of its columns have names of their own.
    """
    from tests.support.toy import CLASSES, image

    rng = np.random.default_rng(1)
    rows = []
    for i in range(90):
        label = i // 3 % 3
        path = tmp_path / "listed" / "images" / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image(label, rng)).save(path)
        rows.append([path.name, CLASSES[label], f"p{i // 3}", "AB"[i // 9 % 2]])
    table(tmp_path / "listed" / "rows.csv", rows, ["file", "label", "patient", "source"])
    project.write(
        "data/toy.toml",
        f'title = "Blobs"\nroot = {json.dumps(str(tmp_path / "listed"))}\nimage_size = [32, 32]\n'
        'manifest = "rows.csv"\nimages = "images"\ncolumns = { path = "file", group = "patient" }\n',
    )
    return project


def test_intervals_of_a_manifest_with_patients_are_by_patient(patients: Project) -> None:
    result = patients.run()
    assert result.status == 0, result.out
    candidate = patients.ready()
    test = candidate.splits.test
    assert (len(test), len(set(test.groups or ()))) == (18, 6)
    (row,) = result.rows("accuracy")
    assert row["value"] == 1
    assert row["low"] == pytest.approx(0.025 ** (1 / 6))  # Clopper-Pearson of 6 patients, not of 18 images
    kept = json.loads((patients.folder / "reports" / "toy" / "nearest" / "predictions.json").read_text())
    assert kept["groups"] == list(test.groups or ())
    shutil.copy(SUITES / "test_comparison.py", patients.folder / "suites")
    patients.write("suites/policy.toml", '[gate.required]\ncomparison = ["accuracy_noninferiority"]\n')
    shutil.copytree(patients.folder / "reports" / "toy" / "nearest", patients.folder / "before")
    (row,) = patients.run("--reference", "before").rows("accuracy_noninferiority")
    assert (row["value"], row["n"]) == (0, 6)


def test_one_manifest_is_shown_with_groups_and_sources(
    patients: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(patients.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(patients.store))
    assert main(["data", "toy", "--splits", "splits.csv"]) == 0
    shown = capsys.readouterr().out
    assert "  test            18 images: Bottom 6, Left 6, Right 6; 6 groups; sources A 9, B 9\n" in shown
    assert "  splits: splits.csv\n" in shown
    assert (patients.folder / "splits.csv").read_text().startswith("path,label,split,group,source\n")
    assert main(["data", "--splits", "splits.csv"]) == 2
    assert "show one data set; name it" in capsys.readouterr().err


STREAMS = '''
"""Streams that read the class folders themselves."""

import numpy as np
from PIL import Image

from roentgate import Streams

FILES = ("means.npz",)


class Folder:
    def __init__(self, data):
        self.data = data

    def __iter__(self):
        for index, label in enumerate(self.data.classes):
            for path in sorted((self.data.root / label).iterdir()):
                with path.open("rb") as file:
                    yield np.asarray(Image.open(file), "float32")[None, :, :, None] / 255, np.eye(3)[[index]]


def streams(data, recipe, task):
    return Streams(train=Folder(data.train), validation=Folder(data.validation), test=Folder(data.test))
'''


def test_streams_of_a_models_own_may_read_the_images_of_a_manifest_and_not_the_manifest(patients: Project) -> None:
    nearest = (patients.folder / "models" / "nearest.py").read_text().split('"""', 2)[2]
    patients.write("models/own.py", STREAMS + nearest.replace("from pathlib", "from pathlib", 1))
    candidate = patients.ready("own")
    with candidate.watched():
        labels = [int(label[0].argmax()) for _, label in candidate.streams.test]
    assert labels == candidate.splits.test.labels.tolist()
    assert not candidate.undeclared
    with candidate.watched():
        (candidate.splits.root / "rows.csv").read_text()
    assert [name.rsplit("/", 1)[-1] for name in candidate.undeclared] == ["rows.csv"]


# The tuberculosis images


@pytest.mark.real_data("tb-lungs")
def test_the_tuberculosis_images_are_divided_at_random(real_data: Path, tmp_path: Path) -> None:
    card = find_card(f"tb-lungs={real_data / 'tb-lungs'}", CARDS)
    data = read_splits(card, image_shape=SHAPE, cache=None, store=Store(tmp_path))
    assert [split.counts() for split in each(data)] == [
        {"normal": 215, "tuberculosis": 207},
        {"normal": 72, "tuberculosis": 69},
        {"normal": 72, "tuberculosis": 69},
    ]
    assert [Counter(split.sources)["Montgomery"] for split in each(data)] == [83, 28, 27]
    for split in each(data):
        assert split.masks == tuple(real_data / "tb-lungs" / "masks" / row for row in split.ids)
    assert_shows(data.test)


@pytest.mark.real_data("tb-lungs")
def test_across_the_hospitals_the_test_images_are_montgomerys(real_data: Path) -> None:
    card = find_card(f"tb-lungs-across={real_data / 'tb-lungs'}", CARDS)
    data = read_splits(card, image_shape=SHAPE, cache=None)
    assert [Counter(split.sources) for split in each(data)] == [
        {"Shenzhen": 424},
        {"Shenzhen": 142},
        {"Montgomery": 138},
    ]
