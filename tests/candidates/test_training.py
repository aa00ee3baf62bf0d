"""Training is done once, stored by content, and resumed after a kill."""

import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from roentgate.candidates import keras_backend, training
from roentgate.candidates.backends import keras_archive, keras_layers
from roentgate.candidates.candidate import Candidate, Options
from roentgate.data.card import Card
from roentgate.data.read_splits import read_splits
from roentgate.errors import ArgumentError, DataError, ModelError
from roentgate.store import Store, file_digest
from tests.support.toy import write_images

NETWORK = '''
"""Tiny: one convolution."""

import keras
from keras import layers

from roentgate import Recipe

RECIPE = Recipe(batch_size=4, epochs=4, patience=4)


def build(task):
    network = keras.Sequential(
        [
            keras.Input(task.image_shape),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(task.classes), activation="softmax"),
        ]
    )
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return network
'''


class KilledError(KeyboardInterrupt):
    """Raised in place of a kill between two epochs."""


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), images=5)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "tiny.py"
    path.parent.mkdir()
    path.write_text(NETWORK, "utf-8")
    return path


def ready(model: Path, image_folder: Path, store: Path, *, seed: int = 0, **card: object) -> Candidate:
    options = Options(models=model.parent, seed=seed, image_size=(32, 32), run_id="test")
    data = Card.model_validate({"name": "toy", "root": image_folder, **card})
    return training.ready("tiny", data, options, Store(store))


def test_a_network_is_trained_once_and_then_found(model: Path, image_folder: Path, tmp_path: Path) -> None:
    first = ready(model, image_folder, tmp_path / "store")
    second = ready(model, image_folder, tmp_path / "store")
    assert first.weights == second.weights
    assert "training" in first.seconds
    assert "training" not in second.seconds
    assert first.origin == second.origin == "trained here"
    assert first.history == second.history


def test_seed_source_and_recipe_each_mean_other_weights(model: Path, image_folder: Path, tmp_path: Path) -> None:
    weights = [
        ready(model, image_folder, tmp_path / "store").weights,
        ready(model, image_folder, tmp_path / "store", seed=1).weights,
    ]
    weights.append(ready(model, image_folder, tmp_path / "store", recipe={"epochs": 1}).weights)
    model.write_text(NETWORK.replace("Conv2D(4", "Conv2D(5"), "utf-8")
    weights.append(ready(model, image_folder, tmp_path / "store").weights)
    assert len(set(weights)) == 4


def test_a_card_limits_the_epochs_and_does_not_add_any(model: Path, image_folder: Path, tmp_path: Path) -> None:
    assert ready(model, image_folder, tmp_path / "store", recipe={"epochs": 2}).recipe.epochs == 2
    assert ready(model, image_folder, tmp_path / "store", recipe={"epochs": 99}).recipe.epochs == 4


def test_a_card_with_an_unknown_recipe_key_names_the_nearest(model: Path, image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data card 'toy': recipe: unknown field 'epoch'; did you mean 'epochs'"):
        ready(model, image_folder, tmp_path / "store", recipe={"epoch": 2})


def test_damaged_weights_are_trained_again(model: Path, image_folder: Path, tmp_path: Path) -> None:
    weights = ready(model, image_folder, tmp_path / "store").weights
    assert weights is not None
    weights.write_bytes(weights.read_bytes()[:100])
    again = ready(model, image_folder, tmp_path / "store")
    assert "training" in again.seconds
    assert again.weights is not None
    assert zipfile.is_zipfile(again.weights)


def test_a_killed_training_goes_on_where_it_was(
    model: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []
    progress = keras_backend._Progress.on_epoch_end

    def killed(self: keras_backend._Progress, epoch: int, logs: dict[str, float] | None = None) -> None:
        epochs.append(epoch)
        if len(epochs) == 2:
            raise KilledError
        progress(self, epoch, logs)

    monkeypatch.setattr(keras_backend, "BACKUP_EVERY_S", 0.0)
    monkeypatch.setattr(keras_backend._Progress, "on_epoch_end", killed)
    with pytest.raises(KilledError):
        ready(model, image_folder, tmp_path / "store")
    backups = list((tmp_path / "store" / "weights").glob("*.backup.npz"))
    assert len(backups) == 1
    candidate = ready(model, image_folder, tmp_path / "store")
    assert epochs == [0, 1, 2, 3]
    assert candidate.history is not None
    assert len(candidate.history["val_loss"]) == 4
    assert not backups[0].exists()


def test_a_damaged_backup_is_discarded_with_a_warning(model: Path, image_folder: Path, tmp_path: Path) -> None:
    candidate = ready(model, image_folder, tmp_path / "store")
    assert candidate.weights is not None
    key = candidate.weights.stem
    store = Store(tmp_path / "store")
    candidate.weights.unlink()
    store.path("weights", key, ".backup.npz").write_bytes(b"half")
    with pytest.warns(UserWarning, match="the backup is discarded"):
        again = ready(model, image_folder, tmp_path / "store")
    assert again.history is not None
    assert len(again.history["loss"]) == 4


def test_a_worker_that_finds_no_weights_says_so(model: Path, image_folder: Path, tmp_path: Path) -> None:
    options = Options(models=model.parent, image_size=(32, 32))
    with pytest.raises(ModelError, match="its weights are not in the store"):
        training.ready("tiny", Card(name="toy", root=image_folder), options, Store(tmp_path / "store"), train=False)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_archive_of_a_killed_training_is_discarded(
    model: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    def killed(self: keras_backend._Progress, epoch: int, logs: dict[str, float] | None = None) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(keras_backend, "BACKUP_EVERY_S", 0.0)
        patch.setattr(keras_backend._Progress, "on_epoch_end", killed)
        with pytest.raises(KilledError):
            ready(model, image_folder, tmp_path / "store")
    (backup,) = (tmp_path / "store" / "weights").glob("*.backup.npz")
    content = bytearray(backup.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    backup.write_bytes(content if damage == "flipped" else content[:-40])
    with pytest.warns(UserWarning, match="the backup is discarded"):
        candidate = ready(model, image_folder, tmp_path / "store")
    assert candidate.history is not None
    assert len(candidate.history["val_loss"]) == 4


def test_a_resumed_training_goes_on_with_the_order_of_its_epoch(image_folder: Path) -> None:
    splits = read_splits(Card(name="toy", root=image_folder), image_shape=(32, 32, 1), cache=None)
    whole = keras_backend.ImageSequence(splits.train, 4, lambda images: images, seed=3)
    whole.on_epoch_end()
    whole.on_epoch_end()
    resumed = keras_backend.ImageSequence(splits.train, 4, lambda images: images, seed=3)
    assert not np.array_equal(resumed._order, whole._order)
    resumed.start_at(2)
    assert np.array_equal(resumed._order, whole._order)


def test_weights_are_kept_before_the_backup_goes(
    model: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(keras_backend, "BACKUP_EVERY_S", 0.0)
        patch.setattr(training, "save_weights", killed)
        with pytest.raises(KilledError):
            ready(model, image_folder, tmp_path / "store")
    assert list((tmp_path / "store" / "weights").glob("*.backup.npz"))
    again = ready(model, image_folder, tmp_path / "store")
    assert again.history is not None
    assert len(again.history["val_loss"]) == 4


def test_a_function_of_the_model_file_in_the_network_is_found_when_it_is_loaded(
    model: Path, image_folder: Path, tmp_path: Path
) -> None:
    custom = NETWORK.replace('activation="relu"', "activation=squash").replace(
        "def build", "def squash(x):\n    return x / (1 + keras.ops.abs(x))\n\n\ndef build"
    )
    model.write_text(custom, "utf-8")
    candidate = ready(model, image_folder, tmp_path / "store")
    assert candidate.predict(candidate.splits.test.take(range(4))).shape == (4, 3)


@pytest.mark.parametrize("error", ["KeyError('images')", "RuntimeError('no more')", "SystemExit(3)"])
def test_what_a_stream_raises_in_training_is_a_sentence(
    model: Path, image_folder: Path, tmp_path: Path, error: str
) -> None:
    broken = f"""
class Broken(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise {error}


def streams(data, recipe, task):
    from roentgate import Streams
    return Streams(Broken(), Broken(), Broken())
"""
    model.write_text(NETWORK + broken, "utf-8")
    with pytest.raises(ModelError, match=r"training failed with \w+"):
        ready(model, image_folder, tmp_path / "store")


def test_the_seed_and_the_epochs_of_a_run_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="--seed -1: must lie between"):
        Options(models=tmp_path, seed=-1)
    with pytest.raises(ArgumentError, match="--epochs 0: must be at least 1"):
        Options(models=tmp_path, epochs=0)


def test_a_trained_file_takes_no_other_weights_and_a_model_file_no_class_order(
    model: Path, image_folder: Path, tmp_path: Path
) -> None:
    card, store = Card(name="toy", root=image_folder), Store(tmp_path / "store")
    weights = ready(model, image_folder, tmp_path / "store").weights
    with pytest.raises(ArgumentError, match="is itself a trained file"):
        training.ready(str(weights), card, Options(models=model.parent, weights=weights), store)
    with pytest.raises(ArgumentError, match="goes with a bare"):
        training.ready("tiny", card, Options(models=model.parent, classes=("a", "b", "c")), store)
    with pytest.raises(ArgumentError, match=r"--classes A, A, B: must name each class once \("):
        training.ready(str(weights), card, Options(models=model.parent, classes=("A", "A", "B")), store)
    with pytest.raises(ArgumentError, match=r"--weights .*tiny\.py: must be a \.keras file"):
        training.ready("tiny", card, Options(models=model.parent, weights=model), store)


def test_another_class_order_is_another_model(model: Path, image_folder: Path, tmp_path: Path) -> None:
    card, store = Card(name="toy", root=image_folder), Store(tmp_path / "store")
    weights = str(ready(model, image_folder, tmp_path / "store").weights)
    plain = training.ready(weights, card, Options(models=model.parent), store)
    order = (*plain.task.classes[1:], plain.task.classes[0])
    reordered = training.ready(weights, card, Options(models=model.parent, classes=order), store)
    assert reordered.fingerprint != plain.fingerprint
    rows = plain.splits.test.take(range(4))
    assert not np.array_equal(reordered.predict(rows), plain.predict(rows))


def test_files_beside_the_images_count_for_a_model_with_streams_of_its_own(
    model: Path, image_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "images"
    shutil.copytree(image_folder, root)

    def seen() -> tuple[str, str]:
        splits = read_splits(Card(name="toy", root=root), image_shape=(32, 32, 1), cache=None)
        return splits.fingerprint, splits.surroundings

    before = seen()
    hidden = next((root / "test").iterdir()) / "._hidden.png"
    hidden.write_bytes(b"Keras reads this one")
    after = seen()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_an_uncompiled_network_is_refused(model: Path, image_folder: Path, tmp_path: Path) -> None:
    compiling = next(line for line in NETWORK.splitlines() if "compile(" in line)
    model.write_text(NETWORK.replace(compiling, ""), "utf-8")
    with pytest.raises(ModelError, match="must return a compiled network"):
        ready(model, image_folder, tmp_path / "store")


def test_trained_weights_judged_as_an_artefact_answer_alike(model: Path, image_folder: Path, tmp_path: Path) -> None:
    trained = ready(model, image_folder, tmp_path / "store")
    assert trained.weights is not None
    options = Options(models=model.parent, image_size=(32, 32), weights=trained.weights)
    loaded = training.ready("tiny", Card(name="toy", root=image_folder), options, Store(tmp_path / "other"))
    rows = trained.splits.test.take(range(4))
    assert loaded.origin == "loaded"
    assert np.array_equal(loaded.predict(rows), trained.predict(rows))
    record = json.loads((tmp_path / "store" / "weights" / f"{trained.weights.stem}.json").read_text("utf-8"))
    assert set(record) == {"history", "probe", "sha256"}


def test_an_artefact_of_another_model_or_size_is_refused(model: Path, image_folder: Path, tmp_path: Path) -> None:
    card, store = Card(name="toy", root=image_folder), Store(tmp_path / "store")
    weights = ready(model, image_folder, tmp_path / "store").weights
    (model.parent / "other.py").write_text(NETWORK, "utf-8")
    with pytest.raises(ArgumentError, match="its model is tiny, not other; pass --model tiny"):
        training.ready("other", card, Options(models=model.parent, image_size=(32, 32), weights=weights), store)
    with pytest.raises(ArgumentError, match=r"its image shape is \[32, 32, 1\], .*; pass --image-size 32x32"):
        training.ready("tiny", card, Options(models=model.parent, image_size=(16, 16), weights=weights), store)


def with_lambda(model: Path) -> None:
    """Put a Lambda layer, whose function is stored as code, into the network."""
    text = model.read_text("utf-8")
    first = text.index("keras.Input(task.image_shape)") + len("keras.Input(task.image_shape)")
    layer = "layers.Lambda(lambda images: images * 2.0 - 1.0)"
    model.write_text(f"{text[:first]}, {layer}{text[first:]}", "utf-8")


def test_a_lambda_layer_of_the_model_file_is_judged_and_its_stored_code_is_not_run(
    model: Path, image_folder: Path, tmp_path: Path
) -> None:
    with_lambda(model)
    trained = ready(model, image_folder, tmp_path / "store")
    rows = trained.splits.test.take(range(4))
    answers = trained.predict(rows)
    assert trained.weights is not None
    assert keras_archive.holds_code(trained.weights)
    np.testing.assert_allclose(trained.probe[:4] if trained.probe is not None else [], answers, atol=1e-6)
    again = ready(model, image_folder, tmp_path / "store")
    np.testing.assert_array_equal(again.predict(rows), answers)
    names, once = ([layer.name for layer in keras_layers.inner_layers(each.network)] for each in (again, trained))
    assert names == once
    with pytest.raises(ModelError, match="holds code"):
        keras_backend.load_network(trained.weights)
    (model.parent / "bare.keras").write_bytes(trained.weights.read_bytes())
    bare = training.ready(
        str(model.parent / "bare.keras"),
        Card(name="toy", root=image_folder),
        Options(models=model.parent, image_size=(32, 32)),
        Store(tmp_path / "store"),
    )
    with pytest.raises(ModelError, match="holds code"):
        bare.predict(rows)


def test_code_in_a_tampered_artefact_is_not_run(model: Path, image_folder: Path, tmp_path: Path) -> None:
    """Neither if the digest in the store was changed as well."""
    with_lambda(model)
    candidate = ready(model, image_folder, tmp_path / "store")
    rows = candidate.splits.test.take(range(4))
    answers = candidate.predict(rows)
    assert candidate.weights is not None
    network: keras.Model = candidate.network
    (layer,) = [layer for layer in network.layers if isinstance(layer, keras.layers.Lambda)]
    layer.function = lambda images: images * 0.0
    keras_backend.save_network(network, candidate.weights, {})
    file = candidate.weights.with_suffix(".json")
    file.write_text(
        json.dumps(json.loads(file.read_text("utf-8")) | {"sha256": file_digest(candidate.weights)}), "utf-8"
    )
    np.testing.assert_array_equal(ready(model, image_folder, tmp_path / "store").predict(rows), answers)


def test_what_is_no_keras_archive_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(b"half")
    with pytest.raises(ModelError, match="not a Keras archive"):
        keras_backend.load_network(tmp_path / "net.keras")


def test_a_single_sigmoid_is_trained_on_the_default_streams(model: Path, tmp_path: Path) -> None:
    root = write_images(tmp_path / "two", ("Bottom", "Left"))
    sigmoid = NETWORK.replace(
        'layers.Dense(len(task.classes), activation="softmax")', 'layers.Dense(1, activation="sigmoid")'
    )
    sigmoid = sigmoid.replace("categorical_crossentropy", "binary_crossentropy")
    model.write_text(sigmoid + '\n\nPOSITIVE = "Bottom"\n', "utf-8")
    options = Options(models=model.parent, image_size=(32, 32))
    candidate = training.ready("tiny", Card(name="two", root=root), options, Store(tmp_path / "store"))
    assert np.allclose(candidate.predict(candidate.splits.test.take(range(4))).sum(axis=1), 1)
    assert candidate.streams.test[0][1].tolist() == [[1.0]] * 4


SUBCLASSED = '''
"""A network without a graph."""

import keras
from keras import layers

from roentgate import Recipe

RECIPE = Recipe(batch_size=4, epochs=1)


class Net(keras.Model):
    def __init__(self, outputs, **options):
        super().__init__(**options)
        self.units = outputs
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(outputs, activation="softmax")

    def call(self, images):
        return self.head(self.pool(images))

    def get_config(self):
        return {"outputs": self.units}


def build(task):
    network = Net(len(task.classes))
    network.compile("adam", "categorical_crossentropy")
    return network
'''


def test_a_subclassed_network_that_tells_no_shapes_answers(model: Path, image_folder: Path, tmp_path: Path) -> None:
    model.write_text(SUBCLASSED, "utf-8")
    candidate = ready(model, image_folder, tmp_path / "store")
    assert candidate.predict(candidate.splits.test.take(range(4))).shape == (4, 3)
