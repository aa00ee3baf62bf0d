"""Tests of class folders: the canonical order, and messages about faulty trees."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from roentgate.data.class_folders import Listing, Tree
from roentgate.errors import DataError


def image(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(path, format="PNG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A valid tree: classes a and b, five train images and one test image each."""
    for label in "ab":
        image(tmp_path / "test" / label / "0.png")
        for i in range(5):
            image(tmp_path / "train" / label / f"{i}.png")
    return tmp_path


def listing(root: Path, split: str = "train") -> Listing:
    return {str(name): found for name, found in Tree(name="mine", root=root).listings().items()}[split]


def test_without_a_validation_folder_the_first_fifth_of_each_class_is_carved(root: Path) -> None:
    for i in range(5, 9):
        image(root / "train" / "b" / f"{i}.png")
    assert listing(root, "validation").rows == (("train/a/0.png",), ("train/b/0.png",))
    assert listing(root, "train").rows[0] == tuple(f"train/a/{i}.png" for i in range(1, 5))
    assert listing(root, "validation").folder == root / "train"


def test_a_validation_folder_is_read_and_nothing_carved(root: Path) -> None:
    for label in "ab":
        image(root / "validation" / label / "v.png")
    assert listing(root, "validation").rows == (("validation/a/v.png",), ("validation/b/v.png",))
    assert len(listing(root, "train").rows[0]) == 5


def test_sub_folders_are_walked_in_the_order_of_keras(root: Path) -> None:
    for name in ("x/9.png", "x y/8.png", "x/deep/7.png", "Z/6.png", "10.png"):
        image(root / "test" / "a" / name)
    names = ("0.png", "10.png", "Z/6.png", "x/9.png", "x y/8.png", "x/deep/7.png")
    walked = [(folder, name) for folder, _, files in sorted(os.walk(root / "test" / "a")) for name in sorted(files)]
    assert listing(root, "test").rows[0] == tuple(f"test/a/{name}" for name in names)
    assert [str(root / row) for row in listing(root, "test").rows[0]] == [f"{folder}/{name}" for folder, name in walked]


def test_hidden_files_are_skipped_and_other_files_are_counted(root: Path) -> None:
    folder = root / "train" / "a"
    for name in (".DS_Store", "._0.png", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/0.png"):
        image(folder / name)
    image(root / "train" / ".git" / "0.png")
    (folder / "notes.txt").write_text("x")
    (folder / "zip").write_bytes(b"PK")
    image(folder / "no_extension")
    (root / "train" / "README").write_text("x")
    os.mkfifo(folder / "pipe.png")
    found = listing(root)
    assert found.ignored == ("train/README", "train/a/notes.txt", "train/a/pipe.png", "train/a/zip")
    assert found.rows[0] == (*(f"train/a/{i}.png" for i in range(1, 5)), "train/a/no_extension")


@pytest.mark.parametrize("name", ["a|b.png", "<b>.png", "a\nb.png", "Röntgen 肺.png", "{id}.png"])
def test_any_name_is_kept_as_it_is(root: Path, name: str) -> None:
    image(root / "test" / "a" / name)
    assert f"test/a/{name}" in listing(root, "test").rows[0]


def test_links_to_images_and_folders_are_followed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    image(elsewhere / "1.png")
    (root / "test" / "a" / "folder").symlink_to(elsewhere)
    (root / "test" / "a" / "link.png").symlink_to(elsewhere / "1.png")
    assert listing(root, "test").rows[0] == ("test/a/0.png", "test/a/link.png", "test/a/folder/1.png")


@pytest.mark.parametrize("target", [".", "..", "../..", "inner"])
def test_a_link_that_leads_back_is_ignored_and_counted(root: Path, target: str) -> None:
    folder = root / "test" / "a"
    image(folder / "inner" / "1.png")
    (folder / "inner" / "loop").symlink_to((folder / target).resolve())
    found = listing(root, "test")
    assert found.rows == (("test/a/0.png", "test/a/inner/1.png"), ("test/b/0.png",))
    assert found.ignored == ("test/a/inner/loop",)


@pytest.mark.parametrize("target", ["nowhere.png", "link.png"])
def test_a_broken_link_is_named(root: Path, target: str) -> None:
    (root / "test" / "a" / "link.png").symlink_to(target)
    with pytest.raises(
        DataError, match=r"data 'mine': link '.*/test/a/link\.png' leads nowhere; restore .*, or remove it"
    ):
        listing(root)


def remove(*names: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for name in names:
            for file in sorted((root / name).rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            (root / name).rmdir()

    return change


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / old).rename(root / new)


def only_notes(root: Path) -> None:
    (root / "test/a/0.png").unlink()
    (root / "test/a/notes.txt").write_text("x")


def accented(root: Path) -> None:
    (root / "train" / "b").rename(root / "train" / unicodedata.normalize("NFC", "bé"))
    (root / "test" / "b").rename(root / "test" / unicodedata.normalize("NFD", "bé"))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "class missing in test": (
        remove("test/b"),
        r"data 'mine', split test: class folder 'b' is missing \(found: a\); restore it, or pass --data with the right",
    ),
    "class extra in test": (
        lambda root: image(root / "test/c/0.png"),
        r"split test: class folder 'c' is not one of train's \(a, b\); remove it, or add it to train",
    ),
    "class extra in validation": (
        lambda root: image(*(root / "validation" / label / "0.png" for label in "abc")),
        "split validation: class folder 'c' is not one of train's",
    ),
    "class differing in case": (
        rename("test/b", "test/B"),
        "split test: class folders b, B, of train and of test, differ only in case or Unicode form; give them the same",
    ),
    "class differing in Unicode form": (accented, "split test: class folders .* differ only in case or Unicode form"),
    "two train classes differing in case": (
        lambda root: image(root / "train/B/0.png", root / "test/B/0.png"),
        "split train: class folders b, B differ only in case or Unicode form; merge them",
    ),
    "empty class": (
        lambda root: (root / "test/a/0.png").unlink(),
        "split test: class folder 'a' holds no image; add .*JPEG, PNG.* images, or remove the class",
    ),
    "class without images": (
        only_notes,
        r"class folder 'a' holds no image \(1 other files, such as 'test/a/notes\.txt'\)",
    ),
    "one class only": (
        remove("train/b", "test/b"),
        r"split train: at least two class folders are needed \(found: a\); lay the images out as train/<class>/\*",
    ),
    "no train folder": (
        rename("train", "training"),
        r"split train: folder train/ is missing in '.*' \(found: test, training\); lay the images out as train/<class>",
    ),
    "train folder differing in case": (
        rename("train", "Train"),
        r"folder train/ is missing in .* \(found: Train, test\)",
    ),
    "no test folder": (remove("test"), r"split test: folder test/ is missing in '.*' \(found: train\); lay"),
    "validation folder under another name": (
        lambda root: (root / "val").mkdir(),
        "folder 'val' would not be read; rename it to 'validation', or move it away",
    ),
    "too few images to carve from": (
        lambda root: (root / "train/b/4.png").unlink(),
        r"split train: class 'b' has 4 images, too few to carve .*; add images \(5 at least\), or a folder validation/",
    ),
    "root that does not exist": (
        remove("train", "test", "."),
        "data 'mine': root '.*' does not exist; pass --data mine=PATH with the folder that holds train/ and test/",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_tree_gets_a_sentence_with_the_remedy(root: Path, case: str) -> None:
    change, sentence = WRONG[case]
    change(root)
    with pytest.raises(DataError, match=sentence):
        listing(root)


def test_a_root_that_is_a_file_gets_a_sentence(root: Path) -> None:
    with pytest.raises(DataError, match="is not a folder; pass --data mine=PATH"):
        listing(root / "test/a/0.png")


def test_classes_other_than_the_cards_are_named(root: Path) -> None:
    tree = Tree(name="mine", root=root, expected=("a", "c"))
    with pytest.raises(
        DataError, match=r"class folders a, b are not those of the card \(a, c\); restore them, or pass"
    ):
        _ = tree.classes
    assert Tree(name="mine", root=root, expected=("a", "b")).classes == ("a", "b")


def test_an_unreadable_folder_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if folder == root / "test" / "a":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        DataError, match=r"folder '.*/test/a' cannot be read \(Permission denied\); check its permissions"
    ):
        listing(root)


def test_a_name_that_is_not_utf8_is_refused(root: Path) -> None:
    try:
        image(root / "test" / "a" / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    with pytest.raises(DataError, match=r"split test: the name of 'test/a/\\udcff\.png' is not UTF-8; rename it"):
        listing(root)


def test_a_sentence_names_a_few_of_many_folders_on_one_line(root: Path) -> None:
    for i in range(20):
        (root / f"{i:02}\n").mkdir()
    remove("train")(root)
    with pytest.raises(DataError, match=r"\(found: 00\\n, .*, 07\\n and 13 more\)") as caught:
        listing(root)
    assert "\n" not in str(caught.value)
