"""Tests of evidence: computed on first use, stored, and never computed twice."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from roentgate.evidence.evidence import Evidence
from roentgate.evidence.records import BorderRecord
from roentgate.perturbations.border import Border
from roentgate.policy.bounds import BorderBounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

BOUNDS = BorderBounds(
    borders=[0.05], stress_borders=[0.1], infills=["black", "mean"], only_borders=[0.1], only_stress_borders=[]
)
FORWARD_PASSES = (2 * 2 + 2 + 2 + 2 * 2) * 36
"""Borders by infill, complements by infill, interiors, and two border swaps per width, with 36 images each."""


@pytest.fixture
def alone(project: Project) -> Project:
    """A project with its own store."""
    project.store = project.folder / "store"
    return project


def evidence(project: Project, model: str = "nearest") -> Evidence:
    return Evidence(project.ready(model))


def test_answers_are_keyed_by_row_and_kept(alone: Project) -> None:
    first = evidence(alone)
    assert first.test.ids == first.candidate.splits.test.ids
    assert (first.test.answers == first.test.labels).all()
    assert first.validation.ids == first.candidate.splits.validation.ids
    asked_again = 2 * len(first.candidate.probe_rows())
    assert first.candidate.passes == len(first.test) + len(first.validation) + asked_again
    again = evidence(alone)
    np.testing.assert_array_equal(again.test.probabilities, first.test.probabilities)
    assert again.candidate.passes == 0


def test_everything_is_kept_and_nothing_is_computed_twice(alone: Project) -> None:
    first = evidence(alone)
    collected = (first.stream("test"), first.inference, first.border(BOUNDS), first.classification, first.notes)
    assert first.candidate.passes > FORWARD_PASSES
    again = evidence(alone)
    recalled = (again.stream("test"), again.inference, again.border(BOUNDS), again.classification, again.notes)
    assert again.candidate.passes == 0
    assert again.candidate.seconds == {}
    np.testing.assert_array_equal(recalled[0].stream_probabilities, collected[0].stream_probabilities)
    np.testing.assert_array_equal(recalled[1].repeats, collected[1].repeats)
    assert recalled[3:] == collected[3:]


def test_only_what_is_missing_of_the_border_perturbations_is_computed(alone: Project) -> None:
    first = evidence(alone)
    assert len(first.test) == 36
    first.border(BOUNDS)
    asked_again = len(first.candidate.probe_rows())
    assert first.candidate.passes == 36 + FORWARD_PASSES + 2 * asked_again
    alone.store.joinpath("evidence", f"{first._key(Border(0.05, 'mean').name, Evidence)}.npz").unlink()
    again = evidence(alone)
    again.border(BOUNDS)
    assert again.candidate.passes == 36 + asked_again
    wider = BOUNDS.model_copy(update={"stress_borders": [0.1, 0.2]})
    again.border(wider)
    assert again.candidate.passes == 36 + (2 + 1 + 2) * 36 + 2 * asked_again


def test_the_border_record_has_every_mask_the_policy_names(alone: Project) -> None:
    found = evidence(alone)
    border = found.border(BOUNDS)
    assert isinstance(border, BorderRecord)
    assert set(border.masked) == {(width, infill) for width in (0.05, 0.1) for infill in ("black", "mean")}
    assert set(border.only) == {(0.1, "black"), (0.1, "mean")}
    assert set(border.interior) == set(border.other) == set(border.same) == {0.05, 0.1}
    assert (border.donor_labels != found.test.labels).all()
    images = found.candidate.splits.test.take([3])
    expected = found.candidate.predict(Border(0.1, "black")(images))
    np.testing.assert_allclose(border.masked[0.1, "black"].probabilities[3], expected[0], atol=1e-6)


def test_an_image_without_a_donor_of_its_class_keeps_its_border(alone: Project) -> None:
    candidate = alone.ready()
    test = candidate.splits.test
    rows = np.concatenate([np.arange(12), [12], np.arange(24, 36)])
    fewer = dataclasses.replace(
        test, ids=tuple(test.ids[i] for i in rows), paths=tuple(test.paths[i] for i in rows), labels=test.labels[rows]
    )
    candidate.splits = dataclasses.replace(candidate.splits, test=fewer)
    border = Evidence(candidate).border(BOUNDS)
    np.testing.assert_allclose(border.same[0.1].probabilities[12], border.clean.probabilities[12], atol=1e-6)


ANSWERS = """
import numpy as np

class Answers:
    def predict(self, images):
        answers = np.tile(np.float32([1, 0, 0]), (len(images), 1))
        answers[images.mean(axis=(1, 2, 3)) > {limit}] = np.nan
        return answers

def load(task):
    return Answers()
"""


def test_the_confusion_counts_rows_by_truth_and_answer(alone: Project) -> None:
    counts, report = evidence(alone).classification
    assert counts == [[12, 0, 0], [0, 12, 0], [0, 0, 12]]
    assert "Bottom" in report
    alone.write("models/constant.py", ANSWERS.format(limit=9))
    counts, report = evidence(alone, "constant").classification
    assert counts == [[12, 0, 0], [12, 0, 0], [12, 0, 0]]
    assert "nan" in report


def test_a_row_without_an_answer_is_counted_nowhere(alone: Project) -> None:
    alone.write("models/nan.py", ANSWERS.format(limit=-1))
    counts, _ = evidence(alone, "nan").classification
    assert sum(map(sum, counts)) == 0


def test_a_black_box_has_no_architecture(alone: Project) -> None:
    assert evidence(alone).architecture == []
    assert evidence(alone).inference.layers is None


def test_a_trained_model_that_never_beat_the_majority_is_warned_of_by_name(alone: Project) -> None:
    alone.write("models/constant.py", ANSWERS.format(limit=9))
    found = evidence(alone, "constant")
    assert found.notes == []  # a model that was not trained in this run gets no warning about training
    found = evidence(alone, "constant")
    found.candidate.history = {"loss": [1.1, 1.1]}
    (note,) = found.notes
    assert note.startswith("never beat the majority: constant answers 33% of the validation images right")
    sound = evidence(alone)
    sound.candidate.history = {"loss": [1.1, 0.1]}
    assert sound.notes == []


def test_what_is_not_cached_is_said(alone: Project) -> None:
    model = alone.folder / "models" / "nearest.py"
    model.write_text(model.read_text("utf-8").replace('FILES = ("means.npz",)', ""), "utf-8")
    (note,) = evidence(alone).notes
    assert note.startswith("not cached: the model file reads what it does not declare (")
    assert note.endswith("means.npz); add it to FILES")


def test_groups_of_the_data_travel_with_the_answers(alone: Project) -> None:
    candidate = alone.ready()
    patients = tuple(f"p{row // 2}" for row in range(36))
    test = dataclasses.replace(candidate.splits.test, groups=patients)
    candidate.splits = dataclasses.replace(candidate.splits, test=test)
    found = Evidence(candidate)
    assert found.test.groups == patients
    assert found.border(BOUNDS).masked[0.05, "mean"].groups == patients


def test_another_batch_size_or_model_has_evidence_of_its_own(alone: Project) -> None:
    keys = {evidence(alone)._key("clean-test", Evidence)}
    candidate = alone.ready()
    candidate.recipe = candidate.recipe.replace(batch_size=4)
    keys.add(Evidence(candidate)._key("clean-test", Evidence))
    keys.add(Evidence(alone.ready(seed=3))._key("clean-test", Evidence))
    keys.add(Evidence(alone.ready())._key("clean-validation", Evidence))
    assert len(keys) == 4


def test_what_a_module_above_makes_is_kept_by_all_that_it_depends_on(alone: Project) -> None:
    def count(kept: Evidence, of: object, module: str = "roentgate.perturbations.masks") -> int:
        calls: list[int] = []

        def compute() -> dict[str, NDArray[np.int64]]:
            calls.append(1)
            return {"answer": np.array([42])}

        compute.__module__ = module
        for _ in range(2):
            assert kept.keep("question", compute, of=of)["answer"] == 42
        return len(calls)

    first = evidence(alone)
    assert [
        count(first, "this"),
        count(first, "that"),
        count(first, "this", "roentgate.perturbations.mask_search"),
    ] == [1, 1, 1]
    assert first.candidate.seconds["question"] >= 0
    again = evidence(alone)
    assert [count(again, "this"), count(again, "that"), count(again, "another")] == [0, 0, 1]
