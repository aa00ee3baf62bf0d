"""Evidence that needs the live model: what a stream delivered, label by label, and the same films asked again."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness import collect
from harness.candidate import Candidate
from harness.collect import answer_afresh, class_indices, limited, observe_stream, probe, stream_record
from harness.errors import ModelError
from harness.model import Streams
from harness.store import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.toy import Project

pytest_plugins = ["tests.toy"]

Batch = tuple[Any, Any]


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return project.ready()


class Again:
    """A stream made anew by a function each time it is iterated."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Batch]:
        return self._make()


def streaming(candidate: Candidate, make: Callable[[], Iterator[Batch]]) -> Candidate:
    """Let the candidate's test stream be this one."""
    candidate.streams = Streams([], [], Again(make))
    return candidate


# Labels


@pytest.mark.parametrize(
    ("labels", "indices"),
    [
        ([[1, 0, 0], [0, 0, 1]], [0, 2]),
        ([[1, 1, 0], [0, 0, 0]], [-1, -1]),
        ([[0.9, 0.1, 0.0], [0, 1, 0]], [-1, 1]),
        ([2, 0], [2, 0]),
        ([[2], [0]], [2, 0]),
        ([3, -1], [-1, -1]),
        ([0.5, 1.0], [-1, 1]),
        ([[0, 1], [1, 0]], [-1, -1]),
        ([1], [-1, -1]),
        (None, [-1, -1]),
        ([np.nan, 1], [-1, 1]),
    ],
)
def test_labels_become_class_indices_or_none(labels: Any, indices: list[int]) -> None:  # noqa: ANN401
    given = None if labels is None else np.array(labels)
    found = class_indices(given, 2, 3)
    assert found.dtype == np.int64
    assert found.tolist() == indices


def test_a_column_of_zeros_and_ones_is_two_classes() -> None:
    assert class_indices(np.array([[0.0], [1.0]]), 2, 2).tolist() == [0, 1]


# Streams


def test_a_stream_without_end_is_left_one_batch_after_its_rows() -> None:
    endless = ((np.zeros((4, 1)), np.zeros(4)) for _ in itertools.count())
    assert sum(len(images) for images, _ in limited(endless, 10)) == 16


def test_a_stream_that_ends_is_taken_whole() -> None:
    batches = [(np.zeros((4, 1)), np.zeros(4)), (np.zeros((3, 1)), np.zeros(3))]
    assert [len(images) for images, _ in limited(batches, 7)] == [4, 3]


def test_the_harnesss_own_stream_is_seen_as_it_is(candidate: Candidate) -> None:
    test = candidate.splits.test
    canonical = candidate.predict(test.take(range(len(test))))
    arrays = observe_stream(candidate, test)
    record = stream_record(candidate, test, arrays, canonical)
    assert len(record.passes) == 3
    for each in record.passes:
        np.testing.assert_array_equal(each.best, np.arange(36))
        assert not each.endless
    np.testing.assert_array_equal(record.stream_labels, test.labels)
    np.testing.assert_allclose(record.gain, 1, atol=1e-5)
    np.testing.assert_allclose(record.offset, 0, atol=1e-5)
    np.testing.assert_allclose(record.stream_probabilities, canonical, atol=1e-6)
    assert record.batch_size == candidate.recipe.batch_size
    assert record.other_splits == ("train", "validation")
    assert 0 <= record.lowest < record.highest <= 1
    assert record.ids == test.ids


def test_each_pass_is_seen_for_itself(candidate: Candidate) -> None:
    test = candidate.splits.test
    passes = itertools.count()

    def make() -> Iterator[Batch]:
        order = np.arange(36)[::-1] if next(passes) == 1 else np.arange(36)
        yield test.take(order), test.labels[order]

    record = stream_record(
        candidate, test, observe_stream(streaming(candidate, make), test), np.zeros((36, 3), np.float32)
    )
    assert [each.best[0] for each in record.passes] == [0, 35, 0]


def test_an_endless_stream_is_known_as_such(candidate: Candidate) -> None:
    test = candidate.splits.test

    def make() -> Iterator[Batch]:
        while True:
            yield test.take(range(12)), test.labels[:12]

    arrays = observe_stream(streaming(candidate, make), test)
    record = stream_record(candidate, test, arrays, np.zeros((36, 3), np.float32))
    assert all(each.endless for each in record.passes)
    assert len(record.passes[0].best) == 48


def test_a_film_of_no_row_has_no_fit(candidate: Candidate) -> None:
    test = candidate.splits.test
    noise = np.random.default_rng(0).random((4, 32, 32, 1), dtype=np.float32)
    batches = [(test.take(range(36)), test.labels), (noise, test.labels[:4])]
    arrays = observe_stream(streaming(candidate, lambda: iter(batches)), test)
    assert (arrays["pass 2 best"][36:] == -1).all()
    for name in ("gain", "offset", "residual"):
        assert np.isfinite(arrays[name][:36]).all()
        assert np.isnan(arrays[name][36:]).all()


def broken() -> Iterator[Batch]:
    yield np.zeros((4, 32, 32, 1), np.float32), np.zeros(4)
    raise OSError("gone\nfor good")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (broken, "model 'nearest': the test stream raised OSError: gone for good"),
        (lambda: iter([]), "the test stream delivered nothing; streams() must yield (images, labels)"),
        (lambda: iter([(np.zeros((4, 32, 32)), np.zeros(4))]), "the test stream gave (4, 32, 32), not [N, H, W, C]"),
        (lambda: iter([3]), "the test stream raised TypeError"),
    ],
)
def test_a_stream_that_does_not_deliver_is_a_sentence(
    candidate: Candidate, make: Callable[[], Iterator[Batch]], sentence: str
) -> None:
    with pytest.raises(ModelError) as caught:
        observe_stream(streaming(candidate, make), candidate.splits.test)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


# The same films again


def test_the_probe_asks_again_in_other_batches_and_after_reloading(candidate: Candidate) -> None:
    rows = candidate.probe_rows()
    kept = probe(candidate, rows)
    canonical = candidate.predict(candidate.splits.test.take(rows))
    assert kept["repeats"].shape == (5, len(rows), 3)
    for name, answers in kept.items():
        if name.startswith("batching") or name in {"before saving", "reloaded"}:
            np.testing.assert_allclose(answers, canonical, atol=1e-6, err_msg=name)
    assert unpack(kept["words"]) == {"layers": None, "displacement": "", "reload_error": ""}


def test_a_model_that_a_fresh_process_cannot_load_says_why(project: Project) -> None:
    text = """
import os
import numpy as np

class Answers:
    def predict(self, images):
        return np.tile(np.float32([1, 0, 0]), (len(images), 1))

def load(task):
    if os.getpid() != PID:
        raise OSError("only here")
    return Answers()
"""
    project.write("models/here.py", f"PID = {os.getpid()}\n{text}")
    candidate = project.ready("here")
    kept = probe(candidate, candidate.probe_rows()[:3])
    assert "reloaded" not in kept
    told = unpack(kept["words"])["reload_error"]
    assert told.startswith("a fresh process could not load it: ")
    assert "load() raised OSError: only here" in told


def test_a_fresh_process_that_never_answers_is_given_up(candidate: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr("subprocess.run", run)
    kept = probe(candidate, candidate.probe_rows()[:3])
    assert unpack(kept["words"])["reload_error"] == "a fresh process did not answer within 900 s"


def test_a_fresh_process_that_says_nothing_is_said_to(candidate: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess("python", 1, "", "")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    kept = probe(candidate, candidate.probe_rows()[:3])
    assert unpack(kept["words"])["reload_error"] == "a fresh process could not load it: no message"


def test_the_job_of_the_fresh_process_can_be_done_here(
    candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = candidate.splits.test.take([0, 12])

    def here(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        answer_afresh(command[-1])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", here)
    np.testing.assert_allclose(collect._reload(candidate, films), candidate.predict(films), atol=1e-6)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", "odd"))
    with pytest.raises(ModelError, match="could not load it: odd"):
        collect._reload(candidate, films)


def test_a_keras_file_without_weights_is_nothing_to_load(tmp_path: Path) -> None:
    (tmp_path / "kept.keras").write_bytes(b"")
    task = {"classes": ["A", "B"], "image_shape": [8, 8, 1], "seed": 0}
    job = {"model": str(tmp_path / "kept.keras"), "models": "", "weights": None, "trust": False, "task": task}
    (tmp_path / "job.json").write_text(json.dumps(job), "utf-8")
    with pytest.raises(ModelError, match="nothing to load"):
        answer_afresh(str(tmp_path))
