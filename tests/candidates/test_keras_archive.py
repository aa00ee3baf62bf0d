"""The shape of a ``.keras`` archive is read without Keras, and equal networks are equal bytes."""

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from roentgate.candidates.backends import keras_archive as archive
from roentgate.candidates.backends.keras_backend import load_network, save_network, start_anew

NOTES = {"model": "small", "classes": ["A", "B", "C"]}


def write_config(path: Path, text: str) -> None:
    """Write an archive with this configuration."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)


def network(shape: tuple[int | None, ...] = (16, 12, 1)) -> keras.Model:
    """Return a small network whose weights depend on the seed alone."""
    start_anew(0)
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(2, 3, name="features"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, activation="softmax", name="scores"),
        ],
        name="small",
    )


def test_equal_networks_saved_at_other_times_are_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(network(), tmp_path / "one.keras", NOTES)
    later = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    save_network(network(), tmp_path / "other.keras", NOTES)
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "other.keras").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.keras", "other.keras"]


def test_other_weights_are_other_bytes(tmp_path: Path) -> None:
    first, second = network(), network()
    second.get_layer("scores").bias.assign([0.0, 0.0, 1e-6])
    save_network(first, tmp_path / "one.keras", NOTES)
    save_network(second, tmp_path / "other.keras", NOTES)
    assert (tmp_path / "one.keras").read_bytes() != (tmp_path / "other.keras").read_bytes()


def test_a_timeless_archive_loads_as_the_network_it_was(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((4, 16, 12, 1), dtype=np.float32)
    saved = network()
    save_network(saved, tmp_path / "small.keras", NOTES)
    assert np.array_equal(
        load_network(tmp_path / "small.keras").predict_on_batch(images), saved.predict_on_batch(images)
    )


def test_shared_objects_stay_shared_and_others_apart(tmp_path: Path) -> None:
    config = {"parts": [{"shared_object_id": 987}, {"shared_object_id": 123}, {"shared_object_id": 987}]}
    with zipfile.ZipFile(tmp_path / "raw.keras", "w") as raw:
        raw.writestr("config.json", json.dumps(config))
        raw.writestr("metadata.json", json.dumps({"keras_version": "3", "date_saved": "today"}))
        raw.writestr("model.weights.h5", b"weights")
    archive.copy_timeless(tmp_path / "raw.keras", tmp_path / "copy.keras", NOTES)
    with zipfile.ZipFile(tmp_path / "copy.keras") as copy:
        parts = json.loads(copy.read("config.json"))["parts"]
        assert [part["shared_object_id"] for part in parts] == [0, 1, 0]
        assert json.loads(copy.read("metadata.json"))["keras_version"] == "3"
        assert copy.read("model.weights.h5") == b"weights"
    assert archive.notes(tmp_path / "copy.keras") == NOTES
    assert archive.notes(tmp_path / "raw.keras") == {}
    assert archive.notes(tmp_path / "none.keras") == {}


@pytest.mark.parametrize(
    ("write", "shape"),
    [
        (lambda path: save_network(network(), path, NOTES), (16, 12, 1)),
        (lambda path: save_network(network((None, None, 3)), path, NOTES), (None, None, 3)),
        (lambda path: path.write_bytes(b"no archive"), (None, None, None)),
        (lambda path: zipfile.ZipFile(path, "w").close(), (None, None, None)),
        (lambda path: write_config(path, "[" * 100_000), (None, None, None)),
    ],
    ids=["a network", "a network of any size", "no archive", "an empty archive", "a deep configuration"],
)
def test_the_shape_of_an_archive_is_read_without_keras(
    write: Callable[[Path], object], shape: tuple[int | None, ...], tmp_path: Path
) -> None:
    write(tmp_path / "model.keras")
    assert archive.saved_shape(tmp_path / "model.keras") == shape


def test_a_configuration_too_large_to_be_one_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_network(network(), tmp_path / "model.keras", NOTES)
    with zipfile.ZipFile(tmp_path / "model.keras") as saved:
        size = saved.getinfo("config.json").file_size
    monkeypatch.setattr(archive, "_LARGEST_CONFIG", size)
    assert archive.saved_shape(tmp_path / "model.keras") == (16, 12, 1)
    monkeypatch.setattr(archive, "_LARGEST_CONFIG", size - 1)
    assert archive.saved_shape(tmp_path / "model.keras") == (None, None, None)
