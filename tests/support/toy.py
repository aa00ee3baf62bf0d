"""A small project to run the suites in, as a pytest plugin.

It holds easy images, a sound model that needs no TensorFlow, and a policy. Each image shows the blob of its class in
the middle, so that the nearest class mean is right for all of them, with and without their border.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from roentgate.candidates import training
from roentgate.candidates.candidate import Candidate, Options
from roentgate.data.card import find_card
from roentgate.report import figure_set
from roentgate.scorecard import Record, Row
from roentgate.session.settings import Settings
from roentgate.store import Store

DRAW = figure_set.draw
Draw = Callable[..., object]
ROOT = Path(__file__).resolve().parents[2]
SIDE = 32
CLASSES = ("Bottom", "Left", "Right")
BLOBS = ((22, 16), (13, 10), (13, 22), (7, 16))

CARD = """
title = "Blobs"
root = {root}
image_size = [32, 32]
"""

NEAREST = '''
"""Nearest class mean over the middle of the image."""

from pathlib import Path

import numpy as np

FILES = ("means.npz",)


class Nearest:
    def __init__(self, means):
        self.means = means

    def predict(self, images):
        distance = ((images[:, None, :, :, 0] - self.means[None]) ** 2)[:, :, 6:26, 6:26].sum(axis=(2, 3))
        odds = np.exp(-(distance - distance.min(axis=1, keepdims=True)))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def load(task):
    with np.load(Path(__file__).parent / "means.npz") as archive:
        return Nearest(archive["means"])
'''

SUITE = '''
"""Two checks of a small suite."""

import pytest

from roentgate import at_least, metrics


def test_recall_floor(evidence, policy, accept, label):
    """Recall of each class."""
    accept(at_least(metrics.recall(evidence.test, label), policy.recall.floor(label)), subject=label)


def test_accuracy(evidence, accept):
    """Accuracy of all."""
    accept(at_least(metrics.accuracy(evidence.test), 0.5), subject="test")
'''

SECOND_SUITE = '''
"""One check of another small suite."""

from roentgate import at_least, metrics


def test_balanced(evidence, accept):
    """Balanced accuracy."""
    accept(at_least(metrics.balanced_accuracy(evidence.test), 0.5), subject="test")
'''

POLICY = """
[gate.required]
small = ["recall_floor", "accuracy"]
second = ["balanced"]

[recall]
recall_floor = 0.5
"""


def image(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image, uint8 (32, 32): a smooth random field with a blob.

    The place of the blob tells the class.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = np.add(BLOBS[label], rng.uniform(-1, 1, 2))
    blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18)
    noise = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2.5)
    grey = 0.35 + 0.5 * blob + 0.12 * noise / noise.std()
    pixels: NDArray[np.uint8] = (np.clip(grey, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def write_images(root: Path, classes: Sequence[str] = CLASSES, *, images: int = 12) -> Path:
    """Write class folders for train, validation and test, and return their root.

    Each class folder holds ``images`` uncompressed PNG images. The size of a compressed file depends on what the image
    shows, and would predict its class.
    """
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for index, label in enumerate(classes):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(images):
                Image.fromarray(image(index, rng)).save(folder / f"{number:02}.png", compress_level=0)
    return root


def means(root: Path, classes: Sequence[str] = CLASSES) -> NDArray[np.float32]:
    """Return the mean training image of each class, float32 (K, 32, 32) in [0, 1]."""

    def read(label: str) -> list[NDArray[np.float32]]:
        paths = (root / "train" / label).iterdir()
        return [np.asarray(Image.open(path), np.float32) / np.float32(255) for path in paths]

    return np.stack([np.mean(read(label), axis=0) for label in classes]).astype(np.float32)


@dataclass
class Result:
    """Exit status of a run, its output, and the folder of its scorecards."""

    status: int
    out: str
    reports: Path

    def bytes(self, model: str = "nearest") -> bytes:
        """Return the bytes of ``scorecard.json``."""
        return (self.reports / "toy" / model / "scorecard.json").read_bytes()

    def record(self, model: str = "nearest") -> Record:
        """Return ``scorecard.json``, parsed."""
        found: Record = json.loads(self.bytes(model))
        return found

    def rows(self, check: str, model: str = "nearest") -> list[Row]:
        """Return the verdicts of one check."""
        return [row for row in self.record(model)["rows"] if row["check"] == check]


class RunOptions(TypedDict, total=False):
    """Options of the command line besides the model's name, as in `Options`."""

    seed: int
    image_size: tuple[int, int]
    weights: Path
    epochs: int


@dataclass
class Project:
    """A project folder with models, data, suites and their policy.

    Several projects may share a store.
    """

    folder: Path
    store: Path
    images: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def use_real_suites(self) -> None:
        """Replace the small suites by the repository's own, with its policy."""
        shutil.rmtree(self.folder / "suites")
        shutil.copytree(ROOT / "suites", self.folder / "suites", ignore=shutil.ignore_patterns("__pycache__"))

    def arguments(self, given: Sequence[str | Path]) -> list[str]:
        """Return the whole command line for the given arguments.

        Suites and model are added if the given arguments name none.
        """
        texts = [str(argument) for argument in given]
        suites = [] if any(text.startswith("suites") for text in texts) else ["suites"]
        model = [] if "--model" in texts else ["--model", "nearest"]
        return [*suites, *model, "--data", "toy", "-p", "no:faulthandler", *texts]

    def _variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        return kept | {"ROENTGATE_STORE": str(self.store)} | self.environment

    def run(self, *given: str | Path) -> Result:
        """Run pytest in this process and return how it ended."""
        printed = io.StringIO()
        with _restoring(self._variables()), contextlib.chdir(self.folder):
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                status = pytest.main([*self.arguments(given), "--capture=sys"])
            _forget_modules(self.folder)
        return Result(int(status), printed.getvalue(), self.folder / "reports")

    def start(
        self, *given: str | Path, reports: str = "reports", python: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        """Start pytest in its own process, as a user would."""
        command = [sys.executable, *python, "-m", "pytest", *self.arguments(given), "--report-dir", reports]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_apart(self, *given: str | Path, reports: str = "reports", python: Sequence[str] = ()) -> Result:
        """Run pytest in its own process and wait for it."""
        with self.start(*given, reports=reports, python=python) as process:
            out, _ = process.communicate(timeout=600)
        return Result(process.returncode, out, self.folder / reports)

    def ready(self, model: str = "nearest", *, data: str = "toy", **options: Unpack[RunOptions]) -> Candidate:
        """Return a candidate as a run has it before the first test."""
        run_options = Options(models=self.folder / "models", run_id="this run", **options)
        return training.ready(model, find_card(data, self.folder / "data"), run_options, Store(self.store))

    def settings(self, *models: str) -> Settings:
        """Return the settings of a run that judges these models."""
        folder = self.folder
        return Settings(
            models=models,
            data="toy",
            root=folder,
            policy=folder / "suites" / "policy.toml",
            gate="simple",
            reports=folder / "reports",
            options=Options(models=folder / "models", run_id="this run"),
        )

    def stored(self) -> dict[str, int]:
        """Return the modification time of each file of the store.

        Keys are paths relative to the store, values are nanoseconds. Lock files are left out.
        """
        return {
            str(path.relative_to(self.store)): path.stat().st_mtime_ns
            for path in self.store.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }


@contextlib.contextmanager
def _restoring(variables: dict[str, str]) -> Iterator[None]:
    """Set the environment, and restore it and the import path at the end."""
    environment, path = dict(os.environ), list(sys.path)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path


def _forget_modules(folder: Path) -> None:
    """Remove a project's modules, so that another can use the same names."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)) or name.partition(".")[0] == "suites":
            del sys.modules[name]


def make_project(folder: Path, images: Path, store: Path, classes: Sequence[str] = CLASSES) -> Project:
    """Write a project whose small suites the model ``nearest`` passes."""
    project = Project(folder, store, images)
    project.write("pyproject.toml", '[tool.pytest]\naddopts = ["--import-mode=importlib"]\n')
    project.write("data/toy.toml", CARD.format(root=json.dumps(str(images))))
    project.write("models/nearest.py", NEAREST)
    np.savez(folder / "models" / "means.npz", means=means(images, classes))
    project.write("suites/test_small.py", SUITE)
    project.write("suites/test_second.py", SECOND_SUITE)
    project.write("suites/policy.toml", POLICY)
    return project


@pytest.fixture(scope="session")
def toy_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of the class folders."""
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests share.

    Its entries are addressed by content, so sharing it changes no result.
    """
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def real_draw() -> Draw:
    """The function that draws the figures, which `project` replaces."""
    return DRAW


@pytest.fixture
def project(tmp_path: Path, toy_images: Path, toy_store: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A new project with the shared store.

    Runs in this process draw no figures.
    """
    monkeypatch.setattr(figure_set, "draw", lambda *_: [])
    return make_project(tmp_path / "project", toy_images, toy_store)
