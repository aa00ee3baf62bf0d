"""Candidates: fingerprint, streams, inputs and columns of the answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from roentgate.candidates.candidate import Candidate, Options
from roentgate.candidates.discovery import Source
from roentgate.candidates.model_file import Facts
from roentgate.candidates.protocols import Recipe, Task
from roentgate.errors import ModelError
from roentgate.store import Store

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

ANSWERS = """
import numpy as np

class Answers:
    def predict(self, images):
        return np.tile(np.float32([1, 0, 0]), (len(images), 1))

def load(task):
    return Answers()
"""


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return project.ready()


def bare(positive: str | None = None, classes: tuple[str, ...] = ("A", "B")) -> Candidate:
    """Return a candidate without data, for tests of its columns."""
    facts = Facts(kind="load", recipe={}, positive=positive)
    source = Source("bare", Path("bare.py"), (), ())
    task = Task(classes, (8, 8, 1), 0)
    splits: Any = None
    return Candidate(source, facts, task, Recipe(), splits, Store(Path("x")), Options(models=Path("x")))


def test_a_ready_model_of_another_framework_has_no_layers(candidate: Candidate) -> None:
    assert candidate.name == "nearest"
    assert not candidate.has_layers
    assert candidate.origin == "loaded"
    assert candidate.history is None
    with pytest.raises(ModelError, match="model 'nearest': has no Keras layers"):
        assert candidate.network


def test_it_answers_and_its_passes_are_counted(candidate: Candidate) -> None:
    images = candidate.splits.test.take([0, 12, 24])
    answers = candidate.predict(images)
    assert answers.dtype == np.float32
    assert answers.argmax(axis=1).tolist() == [0, 1, 2]
    assert candidate.passes == 3


def test_the_fingerprint_knows_sources_files_and_task(project: Project) -> None:
    first = project.ready().fingerprint
    assert project.ready().fingerprint == first
    assert project.ready(seed=1).fingerprint != first
    assert project.ready(image_size=(16, 16)).fingerprint != first
    means = project.folder / "models" / "means.npz"
    content = means.read_bytes()
    np.savez(means, means=np.zeros((3, 32, 32), np.float32))
    assert project.ready().fingerprint != first
    means.write_bytes(content)
    model = project.folder / "models" / "nearest.py"
    model.write_text(model.read_text("utf-8") + "\nEXTRA = 1\n", "utf-8")
    assert project.ready().fingerprint != first


def test_its_stream_gives_every_image_in_order_with_its_label(candidate: Candidate) -> None:
    for split in ("train", "validation", "test"):
        data = getattr(candidate.splits, split)
        batches = list(getattr(candidate.streams, split))
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        np.testing.assert_array_equal(images, data.take(range(len(data))))
        np.testing.assert_array_equal(labels.argmax(axis=1), data.labels)
        assert len(batches[0][0]) == candidate.recipe.batch_size


def test_a_pipeline_of_its_own_is_used_and_must_be_streams(project: Project) -> None:
    own = "from roentgate import Streams\n\ndef streams(data, recipe, task):\n    print('found')\n    return {}\n"
    project.write("models/own.py", ANSWERS + own.format("Streams([1], [2], [3])"))
    assert project.ready("own").streams.test == [3]
    project.write("models/wrong.py", ANSWERS + own.format("[1, 2, 3]"))
    with pytest.raises(ModelError, match=r"streams\(\) must return a roentgate.Streams"):
        assert project.ready("wrong").streams


def test_inputs_are_prepared_and_in_the_declared_range(project: Project) -> None:
    text = "INPUT_RANGE = (-1, 1)\n\ndef prepare(images):\n    return 1 - images\n"
    project.write("models/own.py", ANSWERS + text)
    candidate = project.ready("own")
    images = candidate.splits.test.take([0])
    np.testing.assert_allclose(candidate.prepared(images), 1 - images)
    np.testing.assert_allclose(candidate.to_input(images), 2 * (1 - images) - 1, atol=1e-6)


def test_canonical_images_go_in_as_they_are_where_nothing_is_declared(candidate: Candidate) -> None:
    images = candidate.splits.test.take([0])
    assert candidate.to_input(images) is images


# Columns


def test_a_single_sigmoid_becomes_two_columns_in_class_order() -> None:
    sigmoid = np.array([[0.9], [0.2]])
    np.testing.assert_allclose(bare("B").columns(sigmoid, 2), [[0.1, 0.9], [0.8, 0.2]], atol=1e-6)
    np.testing.assert_allclose(bare("A").columns(sigmoid, 2), [[0.9, 0.1], [0.2, 0.8]], atol=1e-6)


def test_a_class_order_of_its_own_is_put_in_that_of_the_data() -> None:
    outputs = np.array([[0.7, 0.2, 0.1]])
    candidate = bare(classes=("A", "B", "C"))
    np.testing.assert_allclose(candidate.columns(outputs, 1), outputs, atol=1e-6)
    candidate.options = dataclasses.replace(candidate.options, classes=("C", "A", "B"))
    np.testing.assert_allclose(candidate.columns(outputs, 1), [[0.2, 0.1, 0.7]], atol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        (
            np.zeros((2, 3)),
            r"gives outputs of shape \(2, 3\), but there are 2 classes \(A, B\); build for task.classes",
        ),
        (np.zeros((2, 1)), "a single sigmoid needs POSITIVE and two classes"),
        (np.zeros((3, 2)), r"predict gave \(3, 2\) float64 for 2 images"),
        (np.zeros(2), r"predict gave \(2,\) float64 for 2 images"),
        (np.array([["a", "b"], ["c", "d"]]), "predict gave .* <U1 for 2 images"),
    ],
)
def test_other_outputs_are_refused(outputs: np.ndarray, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        bare().columns(outputs, 2)


def test_two_columns_beside_a_positive_class_are_refused() -> None:
    with pytest.raises(ModelError, match="gives outputs of shape"):
        bare("A").columns(np.zeros((2, 2)), 2)


def test_nan_and_logits_are_passed_on_as_they_are() -> None:
    outputs = np.array([[np.nan, 1], [-5, 7]])
    np.testing.assert_array_equal(bare().columns(outputs, 2), outputs)


@pytest.mark.parametrize("error", [ValueError("bad\n  image"), SystemExit(0), RuntimeError()])
def test_what_predict_raises_is_a_sentence(error: BaseException) -> None:
    def predict(_: object) -> np.ndarray:
        raise error

    with pytest.raises(ModelError, match=f"model 'bare': predict raised {type(error).__name__}") as caught:
        bare().answer(predict, np.zeros((1, 8, 8, 1), np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ModelError("said so")])
def test_what_is_not_the_models_fault_is_passed_on(error: BaseException) -> None:
    def predict(_: object) -> np.ndarray:
        raise error

    with pytest.raises(type(error)):
        bare().answer(predict, np.zeros((1, 8, 8, 1), np.float32))


def test_without_a_file_and_without_weights_there_is_no_model(tmp_path: Path) -> None:
    candidate = bare()
    candidate.source = Source("kept", tmp_path / "kept.keras", (), ())
    with pytest.raises(ModelError, match="model 'kept': has no weights"):
        assert candidate.model


# Probe rows


def test_the_probe_takes_the_classes_in_turn(candidate: Candidate) -> None:
    rows = candidate.probe_rows()
    assert len(rows) == 32
    assert np.bincount(candidate.splits.test.labels[rows]).tolist() == [11, 11, 10]
    assert (np.diff(rows) > 0).all()
    assert rows.tolist()[:3] == [0, 1, 2]


def test_the_probe_takes_all_rows_of_a_small_class(candidate: Candidate) -> None:
    test = candidate.splits.test
    rows = np.flatnonzero((test.labels != 1) | (np.arange(len(test)) == 12))
    fewer = dataclasses.replace(
        test, ids=tuple(test.ids[i] for i in rows), paths=tuple(test.paths[i] for i in rows), labels=test.labels[rows]
    )
    candidate.splits = dataclasses.replace(candidate.splits, test=fewer)
    assert np.bincount(fewer.labels[candidate.probe_rows()]).tolist() == [12, 1, 12]
