"""Weights are trained once: what is found again, what is trained anew, and what a killed training leaves behind."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness import candidate as candidate_module
from harness import training
from harness.candidate import Options
from harness.card import Card
from harness.errors import ArgumentError, ModelError
from harness.model import Recipe
from harness.modelfile import Facts
from harness.source import find_model
from harness.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.toy import Project

pytest_plugins = ["tests.toy"]

# Keras 3.15 on NumPy 2 says this of every variable it reads; harness.keras_model silences it outside pytest.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

EPOCHS = 4

LINEAR = f"""
import keras
from keras import layers

from harness import Recipe

RECIPE = Recipe(batch_size=12, epochs={EPOCHS})


def build(task):
    network = keras.Sequential(
        [keras.Input(task.image_shape), layers.Flatten(), layers.Dense(len(task.classes), activation="softmax")]
    )
    network.compile(optimizer=keras.optimizers.Adam(0.003), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
"""

LOAD = "\n\ndef load(task):\n    import types\n    return types.SimpleNamespace(predict=None)\n"


@pytest.fixture
def trained_here(project: Project) -> Project:
    """A project with a network of its own and a store of its own."""
    project.write("models/linear.py", LINEAR)
    project.store = project.folder / "store"
    return project


class Killed(BaseException):
    """What a test raises where a process would have been killed."""


def dying(function: Callable[..., Any], at: int) -> Callable[..., Any]:
    """Return the function; its call number ``at`` is the last thing that happens."""
    calls = []

    def call(*arguments: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == at:
            raise Killed
        return function(*arguments, **named)

    return call


def weights(project: Project, suffix: str) -> list[Path]:
    return sorted((project.store / "weights").glob(f"*{suffix}"))


# Before any training


def test_a_size_is_the_command_lines_or_the_models_or_the_cards() -> None:
    card = Card(name="toy", image_size=(64, 48))
    plain, wide = Facts(kind="load", recipe={}), Facts(kind="load", recipe={}, image_shape=(224, 200, 3))
    options = Options(models=Path())
    asked = Options(models=Path(), image_size=(96, 90))
    assert training.image_shape(plain, card, options) == (64, 48, 1)
    assert training.image_shape(wide, card, options) == (224, 200, 3)
    assert training.image_shape(plain, card, asked) == (96, 90, 1)
    assert training.image_shape(wide, card, asked) == (96, 90, 3)


def test_the_recipe_is_the_models_as_card_and_command_line_change_it(project: Project) -> None:
    text = "from harness import Recipe\nRECIPE = Recipe(batch_size=4, epochs=30)\n"
    project.write("models/own.py", text + LOAD.replace("None)", "len)"))
    assert project.ready("own").recipe == Recipe(batch_size=4, epochs=30)
    card = project.folder / "data" / "toy.toml"
    sound = card.read_text("utf-8")
    card.write_text(sound + "[recipe]\nepochs = 50\nbatch_size = 6\n", "utf-8")
    assert project.ready("own").recipe == Recipe(batch_size=6, epochs=30)  # a card's epochs are a limit
    card.write_text(sound + "[recipe]\nepochs = 10\n", "utf-8")
    assert project.ready("own").recipe.epochs == 10
    assert project.ready("own", epochs=40).recipe.epochs == 40
    card.write_text(sound + "[recipe]\nepoch = 10\n", "utf-8")
    with pytest.raises(ArgumentError, match="recipe: unknown field 'epoch'; did you mean 'epochs'"):
        project.ready("own")


def test_what_a_file_declares_is_read_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.store = project.folder / "store"
    text = "IMAGE_SHAPE = (16, 16, 1)\nINPUT_RANGE = (-1, 1)\nPOSITIVE = None\n"
    project.write("models/own.py", text + LOAD)
    source, store = find_model("own", project.folder / "models"), Store(project.store)
    first = training.find_facts(source, store)
    monkeypatch.setattr(training, "open_file", lambda *_: pytest.fail("imported again"))
    assert training.find_facts(source, store) == first
    assert (first.image_shape, first.input_range) == ((16, 16, 1), (-1.0, 1.0))


def saved(path: Path, config: object) -> Path:
    """Write an archive with the configuration of a ``.keras`` file, and nothing else."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"config": {"layers": [{"config": {"batch_shape": [None, 24, 20, 1]}}]}}, (24, 20, 1)),
        ({"build_config": {"input_shape": [None, 24, 20, 3]}}, (24, 20, 3)),
        ({"config": {"batch_shape": [None, None, None, 1]}}, None),
        ({"config": {"batch_shape": [None, 10]}}, None),
        ([], None),
    ],
)
def test_a_keras_file_says_what_it_takes(tmp_path: Path, config: object, shape: tuple[int, int, int] | None) -> None:
    assert training._saved_shape(saved(tmp_path / "kept.keras", config)) == shape


def test_a_damaged_keras_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept.keras"
    path.write_bytes(b"PK")
    assert training._saved_shape(path) is None
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    assert training._saved_shape(path) is None


def test_a_keras_file_is_judged_at_its_own_size_and_in_its_own_class_order(project: Project) -> None:
    path = saved(project.folder / "kept.keras", {"config": {"batch_shape": [None, 24, 20, 1]}})
    found = project.ready(str(path))
    assert (found.task.image_shape, found.origin, found.weights) == ((24, 20, 1), "loaded", path.resolve())
    assert found.file is None
    assert project.ready(str(path), image_size=(16, 16)).task.image_shape == (16, 16, 1)
    named = project.ready(str(path), classes=("Right", "Left", "Bottom"))
    assert named.task.classes == ("Bottom", "Left", "Right")
    assert named.options.classes == ("Right", "Left", "Bottom")


@pytest.mark.parametrize(
    ("model", "options", "error", "sentence"),
    [
        ("nearest", {"classes": ("Left", "Right")}, ArgumentError, "--classes Left, Right: must name each class once"),
        ("nearest", {"weights": Path("w.keras")}, ArgumentError, "loads itself .* nothing to put weights in"),
        ("linear", {"weights": Path("models/linear.py")}, ArgumentError, "must be a .keras file"),
        ("linear", {"weights": Path("absent.keras")}, ModelError, "absent.keras': no such file"),
        ("linear", {"weights": Path("w.h5")}, ModelError, "can execute code"),
    ],
)
def test_options_that_do_not_fit_the_model_are_refused(  # noqa: PLR0917  one case, each part by name
    trained_here: Project,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    options: dict[str, Any],
    error: type[Exception],
    sentence: str,
) -> None:
    monkeypatch.chdir(trained_here.folder)
    trained_here.write("w.keras", "")
    trained_here.write("w.h5", "")
    with pytest.raises(error, match=sentence):
        trained_here.ready(model, **options)


def test_a_model_that_reads_undeclared_files_has_keys_of_this_run_only(project: Project) -> None:
    project.store = project.folder / "store"
    model = project.folder / "models" / "nearest.py"
    declared = project.ready()
    assert declared.salt == ""
    model.write_text(model.read_text("utf-8").replace('FILES = ("means.npz",)', ""), "utf-8")
    for _ in range(2):  # the second time, from what is stored about it
        found = project.ready()
        assert found.salt == "this run"
        (name,) = found.facts.undeclared
        assert name.endswith("means.npz")


# Training: the framework is imported here


@pytest.mark.trains
def test_a_network_is_trained_once_and_found_again(trained_here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained_here.ready("linear")
    assert first.origin == "trained here"
    assert first.history is not None
    assert {name: len(values) for name, values in first.history.items()}["val_loss"] == EPOCHS
    assert weights(trained_here, ".backup.npz") == []
    monkeypatch.setattr(training, "_train", lambda *_: pytest.fail("trained again"))
    again = trained_here.ready("linear")
    assert again.weights == first.weights
    assert again.history == first.history
    assert again.fingerprint == first.fingerprint
    with pytest.raises(ModelError, match="its weights are not in the store"):
        training.ready(
            "linear",
            Card(name="toy", root=trained_here.films, image_size=(32, 32)),
            Options(models=trained_here.folder / "models", seed=1),
            Store(trained_here.store),
            train=False,
        )


@pytest.mark.trains
def test_recipe_seed_and_films_have_weights_of_their_own(trained_here: Project) -> None:
    keys = {training.weights_key(trained_here.ready("linear", epochs=1, seed=seed)) for seed in (0, 1)}
    keys.add(training.weights_key(trained_here.ready("linear", epochs=2)))
    films = shutil.copytree(trained_here.films, trained_here.folder / "films")
    (films / "train" / "Left" / "05.png").unlink()
    trained_here.write("data/fewer.toml", f"root = {json.dumps(str(films))}\nimage_size = [32, 32]\n")
    keys.add(training.weights_key(trained_here.ready("linear", data="fewer", epochs=1)))
    assert len(keys) == 4
    assert len(weights(trained_here, ".keras")) == 4


@pytest.mark.trains
@pytest.mark.parametrize("suffix", [".keras", ".json"])
def test_damaged_weights_are_trained_again(trained_here: Project, suffix: str) -> None:
    first = trained_here.ready("linear", epochs=1)
    (path,) = weights(trained_here, suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = trained_here.ready("linear", epochs=1)
    assert again.seconds["training"] > 0
    assert again.predict(again.splits.test.take([0])).shape == (1, 3)
    assert again.weights == first.weights


@pytest.mark.trains
def test_a_training_that_was_killed_goes_on_where_it_stopped(
    trained_here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import keras_model  # noqa: PLC0415 - imports the framework

    monkeypatch.setattr(keras_model, "BACKUP_EVERY_S", 0.0)
    told = keras_model._Progress.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(keras_model._Progress, "on_epoch_end", dying(told, at=3))
        with pytest.raises(Killed):
            trained_here.ready("linear")
    assert weights(trained_here, ".keras") == []
    (backup,) = weights(trained_here, ".backup.npz")
    assert backup.stat().st_size > 0

    epochs = []
    monkeypatch.setattr(keras_model._Progress, "on_epoch_end", lambda self, epoch, logs: epochs.append(epoch))
    found = trained_here.ready("linear")
    assert epochs == [3]  # the third epoch was kept before its bar moved
    assert found.history is not None
    assert len(found.history["loss"]) == EPOCHS
    assert found.history["loss"][-1] < found.history["loss"][0]
    assert not backup.exists()


@pytest.mark.trains
def test_a_training_killed_after_its_last_epoch_trains_no_more_and_keeps_the_best_weights(
    trained_here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import keras_model  # noqa: PLC0415

    monkeypatch.setattr(keras_model, "BACKUP_EVERY_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(candidate_module.Candidate, "predict", dying(len, at=1))
        with pytest.raises(Killed):
            trained_here.ready("linear")
    fit = keras_model.keras.Sequential.fit
    monkeypatch.setattr(keras_model.keras.Sequential, "fit", lambda *_, **__: pytest.fail("trained again"))
    found = trained_here.ready("linear")
    monkeypatch.setattr(keras_model.keras.Sequential, "fit", fit)
    assert found.history is not None
    assert len(found.history["val_loss"]) == EPOCHS
    answers = found.predict(found.splits.validation.take(range(36)))
    labels = found.splits.validation.labels
    loss = float(-np.log(answers[np.arange(36), labels]).mean())
    assert loss == pytest.approx(min(found.history["val_loss"]), abs=1e-4)


@pytest.mark.trains
@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_damaged_backup_is_discarded_and_training_starts_anew(
    trained_here: Project, monkeypatch: pytest.MonkeyPatch, keep: int
) -> None:
    from harness import keras_model  # noqa: PLC0415

    monkeypatch.setattr(keras_model, "BACKUP_EVERY_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(keras_model._Progress, "on_epoch_end", dying(keras_model._Progress.on_epoch_end, at=2))
        with pytest.raises(Killed):
            trained_here.ready("linear")
    (backup,) = weights(trained_here, ".backup.npz")
    backup.write_bytes(backup.read_bytes()[:keep])
    with pytest.warns(UserWarning, match="the backup is discarded, training starts anew"):
        found = trained_here.ready("linear")
    assert found.history is not None
    assert len(found.history["loss"]) == EPOCHS


@pytest.mark.trains
def test_a_backup_is_not_written_more_often_than_it_is_worth(
    trained_here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import keras_model  # noqa: PLC0415

    monkeypatch.setattr(keras_model._Backup, "_save", lambda *_: pytest.fail("saved"))
    trained_here.ready("linear", epochs=2)


@pytest.mark.trains
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return 3", r"build\(task\) must return a keras.Model, not int"),
        ("raise ValueError('no such layer')", r"build\(\) raised ValueError: no such layer"),
        ("return dense(2, compiled=True)", r"gives outputs of shape \(None, 2\), but there are 3 classes"),
        ("return dense(1, compiled=True)", "a single sigmoid needs POSITIVE and two classes"),
        ("return dense(3, compiled=False)", "must return a compiled network"),
        ("return dense(3, compiled=True, shape=(8, 8, 1))", r"takes images \(8, 8, 1\), but is given \(32, 32, 1\)"),
        ("return dense(3, compiled=True, loss='nothing')", "training failed"),
    ],
)
def test_a_network_that_does_not_fit_is_a_sentence_before_it_is_trained(
    trained_here: Project, body: str, sentence: str
) -> None:
    text = f"""
import keras
from keras import layers


def dense(units, *, compiled, shape=(32, 32, 1), loss="categorical_crossentropy"):
    network = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(units)])
    if compiled:
        network.compile(loss=loss)
    return network


def build(task):
    {body}
"""
    trained_here.write("models/faulty.py", text)
    with pytest.raises(ModelError, match=sentence):
        trained_here.ready("faulty", epochs=1)


@pytest.mark.trains
def test_what_training_read_undeclared_is_noted(trained_here: Project) -> None:
    trained_here.write("models/units.txt", "3")
    reads = "from pathlib import Path\nUNITS = int((Path(__file__).parent / 'units.txt').read_text())\n"
    model = trained_here.write("models/reader.py", reads + LINEAR)
    found = trained_here.ready("reader", epochs=1)
    assert found.salt == "this run"
    assert [Path(name).name for name in found.facts.undeclared] == ["units.txt"]
    assert found.weights is not None
    model.write_text('FILES = ("units.txt",)\n' + model.read_text("utf-8"), "utf-8")
    assert trained_here.ready("reader", epochs=1).salt == ""
