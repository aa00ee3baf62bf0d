"""Tests of repeated answers: same batch, other batches, and a reloaded model."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from roentgate.candidates.candidate import Candidate
from roentgate.errors import ModelError
from roentgate.evidence import inference_probe
from roentgate.evidence.inference_probe import answer_afresh, probe
from roentgate.store import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

Batch = tuple[Any, Any]


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return project.ready()


# The same images again


def test_the_probe_asks_again_in_other_batches_and_after_reloading(candidate: Candidate) -> None:
    rows = candidate.probe_rows()
    kept = probe(candidate, rows)
    canonical = candidate.predict(candidate.splits.test.take(rows))
    assert kept["repeats"].shape == (5, len(rows), 3)
    for name, answers in kept.items():
        if name.startswith("batching") or name in {"before saving", "reloaded"}:
            np.testing.assert_allclose(answers, canonical, atol=1e-6, err_msg=name)
    assert unpack(kept["facts"]) == {"layers": None, "displacement": "", "reload_error": ""}


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
    message = unpack(kept["facts"])["reload_error"]
    assert message.startswith("a fresh process could not load it: ")
    assert "load() raised OSError: only here" in message


def test_a_fresh_process_that_never_answers_is_given_up(candidate: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr("subprocess.run", run)
    kept = probe(candidate, candidate.probe_rows()[:3])
    assert unpack(kept["facts"])["reload_error"] == "a fresh process did not answer within 900 s"


def test_a_fresh_process_without_a_message_is_reported(candidate: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess("python", 1, "", "")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    kept = probe(candidate, candidate.probe_rows()[:3])
    assert unpack(kept["facts"])["reload_error"] == "a fresh process could not load it: no message"


def test_the_job_of_the_fresh_process_can_be_done_here(
    candidate: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = candidate.splits.test.take([0, 12])

    def here(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        answer_afresh(command[-1])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", here)
    np.testing.assert_allclose(inference_probe._reload(candidate, images), candidate.predict(images), atol=1e-6)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", "odd"))
    with pytest.raises(ModelError, match="could not load it: odd"):
        inference_probe._reload(candidate, images)


def test_a_keras_file_without_weights_is_nothing_to_load(tmp_path: Path) -> None:
    (tmp_path / "kept.keras").write_bytes(b"")
    task = {"classes": ["A", "B"], "image_shape": [8, 8, 1], "seed": 0}
    job = {"model": str(tmp_path / "kept.keras"), "models": "", "weights": None, "trust": False, "task": task}
    (tmp_path / "job.json").write_text(json.dumps(job), "utf-8")
    with pytest.raises(ModelError, match="nothing to load"):
        answer_afresh(str(tmp_path))
