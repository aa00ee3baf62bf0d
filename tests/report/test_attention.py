"""Pictures of attention show the model's images, decisive rows first."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from roentgate.evidence.lung_answers import AttentionRecord, attend, lung_perturbations_of
from roentgate.lungs.lung_perturbations import LungPerturbations
from roentgate.report import attention as attention_figures
from roentgate.report.attention import ANNOTATIONS, BACKGROUNDS, LUNGS, MASKS, SHOWN, chosen
from tests.checks.test_attention import chests, evidence, images
from tests.report.test_figures import size

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.toy import Draw, Project

pytest_plugins = ["tests.support.toy"]
__all__ = ["chests", "images"]  # fixtures


@pytest.fixture
def seen(chests: Project) -> tuple[AttentionRecord, LungPerturbations]:
    """The answers of a model that reads burned-in annotations."""
    made = evidence(chests, "markers")
    return attend(made), lung_perturbations_of(made)


def test_pictures_are_the_same_bytes_each_time_and_say_what_they_count(
    seen: tuple[AttentionRecord, LungPerturbations], tmp_path: Path
) -> None:
    kept = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        notes = attention_figures.draw(*seen, folder)
        kept.append([(folder / note["file"]).read_bytes() for note in notes])
    assert kept[0] == kept[1]
    assert [note["file"] for note in notes] == [MASKS, LUNGS, BACKGROUNDS, ANNOTATIONS]
    assert [size(tmp_path / "one" / note["file"])[0] for note in notes] == [1440] * 4
    assert max(map(len, kept[0])) <= 400_000
    count = len(seen[0].rows)
    each = count // 3
    counts = f"Covid {each} of {each}, Normal {each} of {each}, Viral Pneumonia {each} of {each}"
    assert notes[0]["alt"] == f"Trusted lung fields: {counts} ({SHOWN} shown)"
    assert notes[1]["alt"].startswith("Usual lung region masked (blur): ")
    assert notes[1]["alt"].endswith(f"{count} of {count} right answers stay right ({SHOWN} shown)")
    assert f"{count} of {count} answers are the background's class, 0 the lungs'" in notes[2]["alt"]
    assert f"{count} of {count} answers follow, 0 a flat patch" in notes[3]["alt"]


def test_images_without_a_trusted_lung_field_are_shown_first_with_the_reason(
    seen: tuple[AttentionRecord, LungPerturbations],
) -> None:
    _, perturbations = seen
    doubts = {4: "area: 1% of the image", 17: "certainty: 0.80, below 0.92"}
    count = len(perturbations.fields)
    perturbations.fields = replace(perturbations.fields, reasons=tuple(doubts.get(row, "") for row in range(count)))
    heading, stacks = attention_figures._masks(perturbations)
    captions = [panel.caption for (panel,) in stacks]
    assert [caption.rpartition("\n")[2] for caption in captions] == ["area", "certainty"] + ["trusted"] * (SHOWN - 2)
    assert heading.startswith(f"Trusted lung fields: Covid {count // 3 - 1} of {count // 3}, ")


def test_other_answers_are_another_picture(seen: tuple[AttentionRecord, LungPerturbations], tmp_path: Path) -> None:
    record, perturbations = seen
    record = replace(record, annotation_labels=np.full(len(record.rows), -1))
    other = replace(record, swapped=replace(record.swapped, probabilities=record.swapped.probabilities[::-1].copy()))
    pictures = []
    for each in (record, other):
        attention_figures.draw(each, perturbations, tmp_path)
        pictures.append([(tmp_path / name).read_bytes() for name in (LUNGS, BACKGROUNDS)])
    assert [first == second for first, second in zip(*pictures, strict=True)] == [True, False]


def test_what_there_is_no_row_for_is_not_drawn(seen: tuple[AttentionRecord, LungPerturbations], tmp_path: Path) -> None:
    record, perturbations = seen
    none = np.full(len(record.rows), -1)
    alone = replace(record, annotation_labels=none, donor_rows=none)
    assert [note["file"] for note in attention_figures.draw(alone, perturbations, tmp_path)] == [MASKS, LUNGS]
    assert {path.name for path in tmp_path.glob("*.png")} == {MASKS, LUNGS}


def test_where_no_lungs_were_found_nothing_is_drawn(
    seen: tuple[AttentionRecord, LungPerturbations], tmp_path: Path
) -> None:
    record, perturbations = seen
    none = np.zeros(0, np.int64)
    empty = replace(record, rows=none, annotation_labels=none, donor_rows=none)
    perturbations.rows = none
    assert attention_figures.draw(empty, perturbations, tmp_path) == []
    assert not list(tmp_path.glob("*.png"))


def test_a_row_without_an_answer_is_drawn_as_such(
    seen: tuple[AttentionRecord, LungPerturbations], tmp_path: Path
) -> None:
    record, perturbations = seen
    missing = replace(record.clean, probabilities=np.full_like(record.clean.probabilities, np.nan))
    record = replace(record, clean=missing, swapped=missing, annotated=missing)
    notes = attention_figures.draw(record, perturbations, tmp_path)
    assert "0 of 0 right answers stay right" in notes[1]["alt"]
    assert len(notes) == 4


SUITE = '''
"""Lungs."""

import pytest

from roentgate import attention as lungs
from roentgate import descriptive


@pytest.mark.needs("lungs")
def test_skill_without_lungs(attention, accept):
    """Skill."""
    accept(descriptive(lungs.skill_without(attention, "lungs")), subject="lungs")
'''
SMALL = '''
"""Accuracy."""

from roentgate import at_least, metrics


def test_accuracy(evidence, accept):
    """Accuracy."""
    accept(at_least(metrics.accuracy(evidence.test), 0.2), subject="test")
'''
POLICY = """
[gate.required]
small = ["accuracy"]
attention = ["skill_without_lungs"]
"""


@pytest.mark.parametrize(("data", "model"), [("chests", "markers"), ("toy", "nearest")])
def test_a_scorecard_has_the_pictures_where_lungs_were_found(
    chests: Project,
    monkeypatch: pytest.MonkeyPatch,
    real_draw: Draw,
    data: str,
    model: str,
) -> None:
    drawn = data == "chests"  # the toy images show no lungs
    monkeypatch.setattr("roentgate.report.figure_set.draw", real_draw)
    old = chests.write(f"reports/{data}/{model}/{LUNGS}", "of an older run")
    for suite in (chests.folder / "suites").glob("test_*.py"):
        suite.unlink()
    chests.write("suites/test_attention.py", SUITE)
    chests.write("suites/test_small.py", SMALL)
    chests.write("suites/policy.toml", POLICY)
    result = chests.run("--model", model, "--data", data)
    verdicts = json.loads((result.reports / data / model / "scorecard.json").read_text("utf-8"))["rows"]
    (outcome,) = (row["outcome"] for row in verdicts if row["check"] == "skill_without_lungs")
    assert (outcome == "skipped") != drawn, result.out
    assert old.exists() == drawn
    page = (old.parent / "scorecard.md").read_text("utf-8")
    for name in (MASKS, LUNGS, BACKGROUNDS, ANNOTATIONS):
        assert (name in page) == drawn
        assert (old.parent / name).exists() == drawn
    if drawn:
        assert old.read_bytes()[:4] == b"\x89PNG"


# Which rows


def booleans(text: str) -> NDArray[np.bool_]:
    return np.array([each == "x" for each in text])


@pytest.mark.parametrize(
    ("first", "labels", "rows"),
    [
        ("....", [0, 0, 1, 1], [0, 2, 1, 3]),
        ("..x.", [0, 0, 1, 1], [2, 0, 3, 1]),
        ("xx.x", [0, 0, 1, 1], [0, 3, 1, 2]),
        ("xxx.", [0, 0, 0, 1], [0, 1, 2, 3]),
    ],
)
def test_rows_against_the_model_come_first_and_classes_take_turns(
    first: str, labels: list[int], rows: list[int]
) -> None:
    assert chosen(booleans(first), np.array(labels), 4).tolist() == rows


@given(
    data=st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=30),
    most=st.integers(0, 12),
)
def test_as_many_rows_as_there_are_and_none_twice(data: list[tuple[bool, int]], most: int) -> None:
    first = np.array([each for each, _ in data], dtype=bool)
    labels = np.array([label for _, label in data], dtype=np.int64)
    rows = chosen(first, labels, most)
    assert len(rows) == len(set(rows.tolist())) == min(most, len(data))
    if first.sum() >= most:
        assert first[rows].all()
    else:
        assert first[rows].sum() == first.sum()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_image_is_shown_smaller_and_no_darker(channels: int) -> None:
    image = np.random.default_rng(0).random((401, 300, channels), dtype=np.float32)
    shown = attention_figures._reduced(image)
    assert shown.shape == ((133, 100) if channels == 1 else (133, 100, 3))
    assert abs(shown.mean() - image.mean()) < 0.01
