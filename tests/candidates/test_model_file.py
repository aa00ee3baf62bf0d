"""Imported model files: declarations, errors of their functions, and undeclared inputs."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roentgate.candidates.discovery import find_model
from roentgate.candidates.model_file import ModelFile, declared_files
from roentgate.candidates.protocols import Recipe
from roentgate.errors import ModelError

LOAD = "\ndef load(task):\n    return None\n"


@pytest.fixture(autouse=True)
def _import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the folders that a model file adds to the import path after each test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def opened(folder: Path, text: str, allowed: tuple[Path, ...] = ()) -> ModelFile:
    """Return the imported model file with this text."""
    path = folder / "net.py"
    path.write_text(text, "utf-8")
    return ModelFile(find_model(str(path), folder), allowed)


def test_what_it_does_not_declare_has_a_default(tmp_path: Path) -> None:
    facts = opened(tmp_path, "def build(task): ...\n").facts
    assert facts.kind == "build"
    assert Recipe(**facts.recipe) == Recipe()
    assert (facts.image_shape, facts.input_range, facts.positive, facts.files) == (None, (0.0, 1.0), None, ())
    assert not facts.has_streams
    assert facts.undeclared == ()


def test_what_it_declares_is_read(tmp_path: Path) -> None:
    text = """
from roentgate import Recipe
RECIPE = Recipe(epochs=3)
IMAGE_SHAPE = [224, 192, 3]
INPUT_RANGE = (-1, 1)
POSITIVE = "Covid"
FILES = ("a.bin",)
def streams(data, recipe, task): ...
"""
    facts = opened(tmp_path, text + LOAD).facts
    assert facts.kind == "load"
    assert facts.recipe["epochs"] == 3
    assert (facts.image_shape, facts.input_range) == ((224, 192, 3), (-1.0, 1.0))
    assert (facts.positive, facts.files, facts.has_streams) == ("Covid", ("a.bin",), True)


def test_load_wins_over_build(tmp_path: Path) -> None:
    assert opened(tmp_path, "def build(task): ...\n" + LOAD).facts.kind == "load"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"offers neither build\(task\) nor load\(task\)"),
        ("def built(task): ...\n", r"neither build\(task\) nor load\(task\) \(did you mean 'built'\?\)"),
        ("RECIPE = {}\n" + LOAD, "RECIPE must be a roentgate.Recipe, not dict"),
        ("IMAGE_SHAPE = (8, 8)\n" + LOAD, r"IMAGE_SHAPE must be three positive integers \(H, W, C\), not \(8, 8\)"),
        ("IMAGE_SHAPE = (8, 0, 1)\n" + LOAD, "IMAGE_SHAPE must be three positive integers"),
        ("IMAGE_SHAPE = (8, 8, 4)\n" + LOAD, "IMAGE_SHAPE asks for 4 channels; images are read with 1 or 3"),
        ("INPUT_RANGE = 1\n" + LOAD, r"INPUT_RANGE must be \(low, high\) with low < high, not 1"),
        ("INPUT_RANGE = (1, 0)\n" + LOAD, "INPUT_RANGE must be"),
        ("INPUT_RANGE = (0, float('inf'))\n" + LOAD, "INPUT_RANGE must be"),
        ("FILES = 'a.bin'\n" + LOAD, "FILES must be a tuple of paths, not 'a.bin'"),
        ("FILES = (3,)\n" + LOAD, "FILES must be a tuple of paths"),
        ("raise OSError('gone')\n", "importing it raised OSError: gone"),
        ("import sys; sys.exit(0)\n", "importing it raised SystemExit: 0"),
        ("import nothing_is_called_so\n", "importing it raised ModuleNotFoundError"),
        (
            "from roentgate import Recipe\nRecipe(epochs=0)\n",
            "importing it raised ArgumentError: recipe: epochs must be",
        ),
    ],
)
def test_a_fault_is_a_sentence_that_names_the_file(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence) as caught:
        opened(tmp_path, text)
    assert str(tmp_path / "net.py") in str(caught.value)


def test_an_interrupt_is_not_the_models_fault(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, "raise KeyboardInterrupt\n")
    file = opened(tmp_path, "def load(task):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        file.call("load", None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('no')", "load() raised ValueError: no"),
        ("raise SystemExit(0)", "load() raised SystemExit: 0"),
    ],
)
def test_what_a_function_raises_names_file_and_function(tmp_path: Path, body: str, sentence: str) -> None:
    file = opened(tmp_path, f"def load(task):\n    {body}\n")
    with pytest.raises(ModelError) as caught:
        file.call("load", None)
    assert str(caught.value) == f"model file {tmp_path / 'net.py'}: {sentence}"


def test_a_sentence_from_below_is_passed_on(tmp_path: Path) -> None:
    text = "from roentgate.errors import ModelError\ndef load(task):\n    raise ModelError('said so')\n"
    with pytest.raises(ModelError, match=r"^said so$"):
        opened(tmp_path, text).call("load", None)


def test_images_pass_unchanged_where_nothing_is_prepared(tmp_path: Path) -> None:
    images = np.zeros((2, 4, 4, 1), np.float32)
    assert opened(tmp_path, LOAD).prepare(images) is images


def test_images_are_prepared_by_the_models_own_function(tmp_path: Path) -> None:
    file = opened(tmp_path, "def prepare(images):\n    return images[:, ::2] + 1.0\n" + LOAD)
    prepared = file.prepare(np.zeros((2, 4, 4, 1), np.float32))
    assert prepared.shape == (2, 2, 4, 1)
    assert prepared.dtype == np.float32
    assert (prepared == 1).all()


@pytest.mark.parametrize("body", ["images[:1]", "images[..., 0]"])
def test_a_prepare_that_loses_images_or_channels_is_refused(tmp_path: Path, body: str) -> None:
    file = opened(tmp_path, f"def prepare(images):\n    return {body}\n" + LOAD)
    with pytest.raises(ModelError, match=r"prepare\(\) gave .* for \(2, 4, 4, 1\), not \(n, H, W, C\)"):
        file.prepare(np.zeros((2, 4, 4, 1), np.float32))


# What it reads

READS = "from pathlib import Path\nHERE = Path(__file__).parent\n"


def undeclared(file: ModelFile, folder: Path) -> list[str]:
    return [str(Path(name).relative_to(folder.resolve())) for name in file.undeclared]


def test_a_file_that_is_read_and_not_declared_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    (tmp_path / "b.bin").write_bytes(b"b")
    text = READS + "(HERE / 'a.bin').read_bytes()\ndef load(task):\n    return open(HERE / 'b.bin', 'rb').close()\n"
    file = opened(tmp_path, text)
    assert undeclared(file, tmp_path) == ["a.bin", "b.bin"]  # the second is named in the source, and not read yet


def test_a_file_whose_name_is_made_up_while_running_is_noted_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"b")
    text = READS + "def load(task):\n    return open(HERE / ('b' + '.bin'), 'rb').close()\n"
    file = opened(tmp_path, text)
    assert undeclared(file, tmp_path) == []
    file.call("load", None)
    assert undeclared(file, tmp_path) == ["b.bin"]


def test_a_file_that_compiled_code_opens_is_noted_by_its_name_in_the_source(tmp_path: Path) -> None:
    (tmp_path / "w.weights.h5").write_bytes(b"h5py opens without Python's open")
    text = READS + "def load(task):\n    return str(HERE / 'w.weights.h5')\n"
    assert undeclared(opened(tmp_path, text), tmp_path) == ["w.weights.h5"]
    assert undeclared(opened(tmp_path, "FILES = ('w.weights.h5',)\n" + text), tmp_path) == []


def test_a_local_module_imported_by_name_is_noted(tmp_path: Path) -> None:
    (tmp_path / "hidden_part.py").write_text("K = 1\n", "utf-8")
    text = "import importlib\npart = importlib.import_module('hidden' + '_part')\n" + LOAD
    assert undeclared(opened(tmp_path, text), tmp_path) == ["hidden_part.py"]
    sys.modules.pop("hidden_part")


def test_what_a_model_reads_while_it_answers_is_noted(tmp_path: Path) -> None:
    (tmp_path / "late.txt").write_text("late", "utf-8")
    text = READS + "def read():\n    return (HERE / ('late' + '.txt')).read_text()\n" + LOAD
    file = opened(tmp_path, text)
    with file.watched():
        file.module.read()
    assert undeclared(file, tmp_path) == ["late.txt"]


def test_a_declared_file_a_local_import_and_an_allowed_folder_are_not_noted(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    (tmp_path / "helper_of_net.py").write_text("x = 1\n", "utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "image.png").write_bytes(b"")
    text = (
        READS + "import json, helper_of_net\nFILES = ('a.bin',)\n(HERE / 'a.bin').read_bytes()\n"
        "(HERE / 'data' / 'image.png').read_bytes()\n" + LOAD
    )
    assert undeclared(opened(tmp_path, text, (tmp_path / "data",)), tmp_path) == []
    assert undeclared(opened(tmp_path, text), tmp_path) == ["data/image.png"]


def test_what_is_written_is_no_input(tmp_path: Path) -> None:
    text = (
        READS
        + "import os\n(HERE / 'log.txt').write_text('x')\nos.close(os.open(HERE / 'o', os.O_WRONLY | os.O_CREAT))\n"
    )
    assert undeclared(opened(tmp_path, text + LOAD), tmp_path) == []


def test_every_way_to_open_a_file_is_seen(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_bytes(b"")
    text = READS + (
        "import os\nopen(str(HERE / 'a')).close()\nopen(bytes(HERE / 'b')).close()\n"
        "os.close(os.open(HERE / 'c', os.O_RDONLY))\n"
        "with open(HERE / 'd') as file:\n    open(file.fileno(), closefd=False).close()\n"
    )
    assert undeclared(opened(tmp_path, text + LOAD), tmp_path) == ["a", "b", "c", "d"]


def test_reading_after_the_model_files_own_functions_is_not_its_doing(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    file = opened(tmp_path, LOAD)
    file.call("load", None)
    (tmp_path / "a.bin").read_bytes()
    assert file.undeclared == ()


def test_a_declared_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = opened(tmp_path, "FILES = ('absent.bin',)\n" + LOAD)
    with pytest.raises(ModelError, match=r"FILES names .*absent.bin, which does not exist"):
        declared_files(file.source, file.facts.files)


def test_declared_files_are_seen_from_the_model_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    file = opened(tmp_path, f"FILES = ('a.bin', {str(tmp_path / 'net.py')!r})\n" + LOAD)
    assert declared_files(file.source, file.facts.files) == (
        (tmp_path / "a.bin").resolve(),
        (tmp_path / "net.py").resolve(),
    )


def test_a_model_file_can_import_from_the_projects_models(tmp_path: Path) -> None:
    models = tmp_path / "models" / "known_bad"
    models.mkdir(parents=True)
    (tmp_path / "models" / "shared_by_test.py").write_text("VALUE = 7\n", "utf-8")
    file: Any = opened(models, "from models.shared_by_test import VALUE\n" + LOAD)
    assert file.module.VALUE == 7
