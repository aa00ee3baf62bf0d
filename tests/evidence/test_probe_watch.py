"""A model that changes its answers during the run is refused, wherever the evidence comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from roentgate.evidence.evidence import Evidence
from roentgate.policy.bounds import BorderBounds

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

MODEL = '''
"""{title}"""

import numpy as np

from models import nearest

FILES = ("means.npz",)


class Changing:
    def __init__(self, sound):
        self.sound, self.asked = sound, 0

    def predict(self, images):
        self.asked += len(images)
        answers = self.sound.predict(images)
        {change}
        return answers


def load(task):
    return Changing(nearest.load(task))
'''
DRIFTING = MODEL.format(
    title="Answers the other way round after 600 images.",
    change="answers = np.roll(answers, 1, axis=1) if self.asked > 600 else answers",
)
FRAGILE = MODEL.format(
    title="Gives no finite answer to an image with a black border.",
    change="answers[images[:, 0].max(axis=(1, 2)) == 0] = np.nan",
)
SUITES = (
    "suites/test_inference.py::test_predictions_repeat",
    "suites/test_inference.py::test_answers_are_finite",
    "suites/test_inference.py::test_reload_preserves_predictions",
    "suites/test_inference.py::test_outputs_are_probabilities",
    "suites/test_border.py::test_border_mask_flips",
)
END = "probe images, at the end of the run"


@pytest.fixture
def alone(project: Project) -> Project:
    """A project with its own store and the real suites."""
    project.store = project.folder / "store"
    project.use_real_suites()
    project.write("models/drifting.py", DRIFTING)
    project.write("models/fragile.py", FRAGILE)
    return project


def rows(project: Project, model: str, reports: str) -> dict[tuple[str, str], dict[str, object]]:
    found = project.run(*SUITES, "--model", model, "--report-dir", reports, "--no-figures")
    record = (project.folder / reports / "toy" / model / "scorecard.json").read_bytes()
    assert found.status != 0
    return {(row["check"], row["subject"]): row for row in json.loads(record)["rows"]}


def test_a_model_that_changes_after_many_images_is_refused_although_its_reload_is_right(alone: Project) -> None:
    for reports in ("first", "from the store"):
        found = rows(alone, "drifting", reports)
        assert found["predictions_repeat", "probe images"]["outcome"] == "pass"
        assert found["reload_preserves_predictions", "probe images"]["outcome"] == "pass"
        assert found["predictions_repeat", END]["outcome"] == "fail"
        assert "after border perturbations" in str(found["predictions_repeat", END]["detail"])


def test_the_end_is_asked_of_a_model_that_was_asked_and_else_the_store_tells(alone: Project) -> None:
    first, again = (Evidence(alone.ready("nearest")) for _ in range(2))
    for evidence in (first, again):
        _ = evidence.inference, evidence.border(BorderBounds())
    before, kept = (
        first.candidate.passes,
        [f"after {each}" for each in ("border perturbations", "clean-test", "inference")],
    )
    assert list(first.ask_again().answers) == [*kept, "at the end of the run"]
    assert first.candidate.passes == before + 32
    watched = again.ask_again()
    assert list(watched.answers) == kept
    assert again.candidate.passes == 0
    for answers in watched.answers.values():
        np.testing.assert_array_equal(answers, np.broadcast_to(again.inference.repeats[0], answers.shape))


def test_a_model_without_a_finite_answer_to_a_changed_image_is_refused(alone: Project) -> None:
    for reports in ("first", "from the store"):
        found = rows(alone, "fragile", reports)
        assert found["outputs_are_probabilities", "test"]["outcome"] == "pass"
        finite = found["answers_are_finite", "all evidence of the run"]
        assert (finite["outcome"], finite["n"], finite["value"]) == ("fail", 36, 0.0)
        assert finite["detail"] == "without a finite answer: 36 test images"


def test_a_sound_model_stays_and_answers_all(alone: Project) -> None:
    found = rows(alone, "nearest", "reports")
    assert found["predictions_repeat", END]["outcome"] == "pass"
    assert found["answers_are_finite", "all evidence of the run"]["outcome"] == "pass"
    assert [name for name, row in found.items() if row["reason"] is None and not row["accepted"]] == []


def test_what_the_watch_asks_is_not_counted_twice(alone: Project) -> None:
    """Evidence that asks for other evidence counts only its own answers."""
    alone.write("models/never.py", MODEL.format(title="Never answers.", change="answers[:] = np.nan"))
    evidence = Evidence(alone.ready("never"))
    _ = evidence.classification
    watched = evidence.watched
    assert watched.others == {"clean-test": 36}
    assert list(watched.answers) == ["after clean-test"]
