"""The attention suite accepts a reader of the lungs and refuses one of annotations."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from roentgate.candidates.predictions import Predictions, taken
from roentgate.checks import attention, border
from roentgate.checks.attention import (
    GATING,
    KEPT,
    LEAST_IMAGES,
    annotation_swap,
    background_swap_auroc,
    background_swap_control,
    background_swap_positive_control,
    drawn_marker,
    inverted_flips,
    lung_background_conflict,
    lung_fields_found,
    lungs_versus_random_region,
    non_chest_output,
    redundant_cues,
    retained_by_infill,
    shown_infill,
    skill_without,
)
from roentgate.data import phantom, phantom_anatomy
from roentgate.data.dataset import Dataset
from roentgate.errors import ArgumentError
from roentgate.evidence.evidence import Evidence
from roentgate.evidence.lung_answers import AttentionRecord, attend, lung_perturbations_of
from roentgate.lungs import burned_in_annotations
from roentgate.lungs.burned_in_annotations import Annotation
from roentgate.lungs.lung_masks import LungFields
from roentgate.lungs.lung_perturbations import CHANGES, REGIONS
from roentgate.perturbations.regions import REGION_INFILLS
from roentgate.stats import Estimate
from roentgate.store import Store
from tests.runs.test_suites import EACH, EVEN, answered, attended, without_lungs
from tests.support.altered import altered

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

IMAGES = LEAST_IMAGES
MARKS = {"Covid": ("R", 8), "Normal": ("L", 44), "Viral Pneumonia": ("P", 80)}
"""The annotation of each class and its column in a black strip at the top."""

NUMPY = '''
"""{title}"""

import numpy as np


class Reader:
    def predict(self, images):
        grey = images[..., 0]
        seen = {seen}
        odds = np.exp({sure} * np.stack(seen, axis=1))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def load(task):
    return Reader()
'''
LUNGS = NUMPY.format(
    title="Reads where the lungs are denser than the other one: left, right, or neither.",
    seen="""[
            grey[:, 30:46, 22:34].mean(axis=(1, 2)) - grey[:, 30:46, 62:74].mean(axis=(1, 2)),
            grey[:, 30:46, 62:74].mean(axis=(1, 2)) - grey[:, 30:46, 22:34].mean(axis=(1, 2)),
            np.full(len(grey), 0.2),
        ]""",
    sure=40,
)
MARKERS = NUMPY.format(
    title="Reads the burned-in annotations at the top, and nothing else.",
    seen="[(grey[:, 2:7, left : left + 4] > 0.9).mean(axis=(1, 2)) for left in (8, 44, 80)]",
    sure=20,
)
CONSTANT = NUMPY.format(
    title="Gives the same answer to every image.",
    seen="[np.full(len(grey), each) for each in (0.1, 0.3, 0.2)]",
    sure=1,
)
MODELS = {"lungs": LUNGS, "markers": MARKERS, "constant": CONSTANT}
CARD = """
title = "Chests"
root = {root!r}
image_size = [96, 96]
masks = "masks/{{id}}"
"""


def chest(split: str, label: str, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image and its lungs.

    Its denser lung and its burned-in annotation both predict the class.
    """
    rng = np.random.default_rng((len(split), phantom.CLASSES.index(label), index))
    drawn = phantom_anatomy.draw(
        rng, phantom_anatomy.no_finding, (0.5, 0.5), phantom_anatomy.Background(None, (False, False), None)
    )
    image, inside = drawn.image.astype(np.float64), drawn.lungs > 127
    halves = {"Covid": np.arange(96) < 48, "Normal": np.arange(96) >= 48, "Viral Pneumonia": np.zeros(96, bool)}
    image += 110 * ndimage.gaussian_filter((inside & halves[label]).astype(np.float64), 1)
    glyph, left = MARKS[label]
    image[:12] = 8
    ink = np.array([[dot == "#" for dot in row] for row in phantom_anatomy._GLYPHS[glyph]])
    image[2:7, left : left + ink.shape[1]][ink] = 250
    lungs = drawn.lungs.copy()
    lungs[:12] = 0
    return np.clip(image, 0, 255).astype(np.uint8), lungs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of such images, with their lung masks."""
    root = tmp_path_factory.mktemp("chests")
    for split, count in (("train", 5), ("test", IMAGES)):
        for label in phantom.CLASSES:
            for index in range(count):
                for folder, pixels in zip((root, root / "masks"), chest(split, label, index), strict=True):
                    path = folder / split / label / f"{index:02}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(path)
    return root


@pytest.fixture
def chests(project: Project, images: Path) -> Project:
    """A project with those images and the `MODELS`."""
    for name, text in MODELS.items():
        project.write(f"models/{name}.py", text)
    project.write("data/chests.toml", CARD.format(root=str(images)))
    return project


def evidence(project: Project, model: str) -> Evidence:
    return Evidence(project.ready(model, data="chests"))


# Models with a known shortcut or none


def test_the_suite_accepts_a_reader_of_the_lungs_and_refuses_a_reader_of_annotations(chests: Project) -> None:
    chests.use_real_suites()
    models = [word for name in MODELS for word in ("--model", name)]
    result = chests.run("suites/test_attention.py", "-k", "not attribution", "--data", "chests", *models)
    gating: dict[str, dict[str, bool]] = {}
    for name in MODELS:
        record = json.loads((result.reports / "chests" / name / "scorecard.json").read_text("utf-8"))
        rows = [row for row in record["rows"] if row["suite"] == "attention"]
        assert not any(row["outcome"] == "skipped" for row in rows)
        gating[name] = {row["check"]: row["accepted"] for row in rows if row["gates"]}
    every = ("skill_without_lungs", "lung_background_conflict", "annotation_swap")
    assert gating["lungs"] == dict.fromkeys(every, True)
    assert gating["markers"] == dict.fromkeys(every, False)
    assert not gating["constant"]["skill_without_lungs"], "there is no skill to lose"


def test_a_reader_of_the_lungs_is_known_by_every_intervention(chests: Project) -> None:
    record = attend(evidence(chests, "lungs"))
    assert (len(record.rows), record.left_out) == (3 * IMAGES, 0)
    assert (record.clean.answers == record.clean.labels).all()
    without = border.retained_skill(record.clean, record.hidden["lungs", "black"])
    assert without.value == pytest.approx(0, abs=1e-9)
    assert without.state == "uninformative"
    assert skill_without(record, "lungs").value < 0.4  # the nearest edge of one lung is the heart
    assert skill_without(record, "background").value > 0.9
    assert lungs_versus_random_region(record).value > 0.3
    assert lung_background_conflict(record).value > 0.8
    assert background_swap_control(record).value >= KEPT
    assert annotation_swap(record).value == 0


def test_a_reader_of_annotations_is_known_by_every_intervention(chests: Project) -> None:
    record = attend(evidence(chests, "markers"))
    assert (record.clean.answers == record.clean.labels).all()
    assert skill_without(record, "lungs").value == 1
    assert lungs_versus_random_region(record).value <= 0
    assert lung_background_conflict(record).value == -1
    assert set(lung_background_conflict(record).failing) == set(record.clean.ids)
    assert background_swap_control(record).value == 1
    assert annotation_swap(record).value == 1
    assert inverted_flips(record).value > 0.5


def test_the_images_are_predicted_once(chests: Project) -> None:
    chests.store = chests.folder / "store"
    first = evidence(chests, "markers")
    record = attend(first)
    changes = len(REGIONS) * len(REGION_INFILLS) + len(CHANGES)
    blank = sum(len(answers) for answers in record.blanks.values())
    asked_again = 3 * len(first.candidate.probe_rows())
    assert first.candidate.passes == 3 * IMAGES * (1 + changes) + blank + asked_again
    again = evidence(chests, "markers")
    assert lung_background_conflict(attend(again)) == lung_background_conflict(record)
    assert again.candidate.passes == 0


def test_without_trusted_lung_fields_the_suite_is_skipped_and_says_why(project: Project) -> None:
    project.use_real_suites()
    result = project.run("suites/test_attention.py", "-k", "not attribution")
    attention_rows = [row for row in result.record()["rows"] if row["suite"] == "attention"]
    found = [(row["value"], row["detail"]) for row in attention_rows if row["check"] == "lung_fields_found"]
    assert [value for value, _ in found] == [0, 0, 0]
    assert all(detail.startswith("left out: ") for _, detail in found)
    rows = [row for row in attention_rows if row["check"] != "lung_fields_found"]
    assert {row["outcome"] for row in rows} == {"skipped"}
    reason = "a trusted lung field was found on 0 images of Bottom, "
    assert all(row["detail"].startswith(reason) for row in rows)
    assert all(row["detail"].endswith(f", fewer than {LEAST_IMAGES} of every class") for row in rows)


def test_lungs_that_are_missing_in_one_class_refuse_the_model(chests: Project, images: Path, tmp_path: Path) -> None:
    """A data set whose lungs are cropped away in one class was skipped with an excuse."""
    cropped = shutil.copytree(images, tmp_path / "cropped")
    for mask in (cropped / "masks" / "test" / "Normal").iterdir():
        Image.fromarray(np.zeros((96, 96), np.uint8)).save(mask)
    chests.write("data/chests.toml", CARD.format(root=str(cropped)))
    chests.use_real_suites()
    chests.run("suites/test_attention.py", "-k", "not attribution", "--model", "lungs", "--data", "chests")
    path = chests.folder / "reports" / "chests" / "lungs" / "scorecard.json"
    rows = [row for row in json.loads(path.read_bytes())["rows"] if row["suite"] == "attention"]
    gating = [row for row in rows if row["direction"]]
    assert {row["check"] for row in gating} == {"skill_without_lungs", "lung_background_conflict", "annotation_swap"}
    for row in gating:
        assert (row["outcome"], row["state"], row["accepted"]) == ("conditional_fail", "undefined", False)
        assert f"on 0 images of Normal, fewer than {LEAST_IMAGES}, but on enough of another class" in row["detail"]
        assert row["failing_total"] == IMAGES
        assert all("Normal" in name for name in row["failing"])


def test_images_without_a_trusted_lung_field_are_counted_by_class(
    chests: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = evidence(chests, "lungs")
    fields = lung_perturbations_of(made).fields
    doubts = {0: "area: 1% of the image", 3: "certainty: 0.80, below 0.92", IMAGES: "area: 2% of the image"}
    some = replace(fields, reasons=tuple(doubts.get(row, "") for row in range(len(fields))))
    monkeypatch.setattr(attention, "lung_fields", lambda *_: some)
    found = {label: lung_fields_found(made, label) for label in phantom.CLASSES}
    assert [estimate.value for estimate in found.values()] == pytest.approx([1 - 2 / IMAGES, 1 - 1 / IMAGES, 1])
    assert [estimate.detail for estimate in found.values()] == [
        "left out: 1 area, 1 certainty",
        "left out: 1 area",
        "none left out",
    ]
    assert found["Covid"].failing == (made.test.ids[0], made.test.ids[3])
    assert {estimate.n for estimate in found.values()} == {IMAGES}


def test_where_the_findings_do_not_lie_in_the_lungs_the_lung_checks_are_skipped(chests: Project) -> None:
    chests.use_real_suites()
    card = chests.folder / "data" / "chests.toml"
    card.write_text(card.read_text("utf-8") + '\n[anatomy]\nregion = "none"\n', "utf-8")
    result = chests.run("suites/test_attention.py", "-k", "not attribution", "--data", "chests", "--model", "markers")
    record = json.loads((result.reports / "chests" / "markers" / "scorecard.json").read_text("utf-8"))
    rows = [row for row in record["rows"] if row["suite"] == "attention"]
    assert [row for row in rows if (row["outcome"], row["accepted"]) != ("skipped", True)] == []
    assert {row["detail"] for row in rows} == {"the data card says that the findings do not lie in the lungs"}


def test_an_annotation_of_train_alone_is_pasted_too(chests: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made = evidence(chests, "markers")
    real = burned_in_annotations.find_each

    def only_in_train(data: Dataset, fields: LungFields, store: Store) -> list[list[Annotation]]:
        found = real(data, fields, store)
        return found if data.name == "train" else [[] for _ in found]

    monkeypatch.setattr("roentgate.lungs.burned_in_annotations.find_each", only_in_train)
    perturbations = lung_perturbations_of(made)
    assert all(marker is not None for marker in perturbations.markers)
    assert (perturbations.marker_rows >= len(perturbations.test)).all()
    assert (perturbations.marker_labels != perturbations.test.labels).all()
    marker = perturbations.markers[0]
    assert marker is not None
    lent = made.candidate.splits.train.take([perturbations.marker_rows[0] - len(perturbations.test)])[0]
    np.testing.assert_array_equal(perturbations.changed("annotated", np.array([0]))[0][marker.box], lent[marker.box])


# What is done to the images


def test_pictures_repeat_what_the_model_was_shown(chests: Project) -> None:
    made = evidence(chests, "markers")
    record, perturbations = attend(made), lung_perturbations_of(made)
    rows = np.array([21, 3, 14])
    for change in CHANGES:
        given = made.candidate.predict(perturbations.changed(change, record.rows[rows]))
        np.testing.assert_allclose(given, getattr(record, change).probabilities[rows], atol=1e-6)
    for hidden, answers in record.hidden.items():
        given = made.candidate.predict(perturbations.changed(hidden, record.rows[rows]))
        np.testing.assert_allclose(given, answers.probabilities[rows], atol=1e-6)


def test_partners_are_of_another_class_and_of_the_own(chests: Project) -> None:
    record, perturbations = attend(evidence(chests, "markers")), lung_perturbations_of(evidence(chests, "markers"))
    labels = record.clean.labels
    assert (labels[record.donor_rows] != labels).all()
    assert (labels[record.same_class_rows] == labels).all()
    assert (record.same_class_rows != np.arange(len(labels))).all()
    assert (record.annotation_labels != labels).all()
    for row in record.rows:
        marker = perturbations.markers[row]
        assert marker is not None
        assert marker in [*perturbations.found, *perturbations.lent][perturbations.marker_rows[row]]
        assert not perturbations.fields.take([row])[0][marker.box].any()


def test_a_pasted_annotation_is_the_donors_and_the_images_own_is_covered(chests: Project) -> None:
    perturbations = lung_perturbations_of(evidence(chests, "markers"))
    row = np.array([0])
    image, annotated, plain = (
        perturbations.test.take(row)[0],
        perturbations.changed("annotated", row)[0],
        perturbations.changed("plain", row)[0],
    )
    marker, (own,) = perturbations.markers[0], perturbations.found[0]
    assert marker is not None
    donor = perturbations._lenders(perturbations.marker_rows[:1])[0]
    np.testing.assert_array_equal(annotated[marker.box], donor[marker.box])
    np.testing.assert_allclose(annotated[own.box], own.ground, atol=1e-6)
    np.testing.assert_allclose(plain[marker.box], marker.ground, atol=1e-6)
    np.testing.assert_array_equal(plain[own.box], image[own.box])
    elsewhere = np.ones(image.shape[:2], dtype=bool)
    elsewhere[own.box] = elsewhere[marker.box] = False
    np.testing.assert_array_equal(annotated[elsewhere], image[elsewhere])


def test_an_annotation_that_would_cover_lungs_is_not_pasted(chests: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made = evidence(chests, "markers")
    fields = lung_perturbations_of(made).fields
    usual = np.argwhere(fields.take(range(len(fields))).mean(axis=0) > 0.5)[0]  # in the lungs of most, not of all
    top, left = (int(edge) for edge in usual)
    mark = Annotation(top=top, bottom=top + 1, left=left, right=left + 1, ground=0.5)
    monkeypatch.setattr(
        "roentgate.lungs.burned_in_annotations.find_each", lambda data, *_: [[mark] for _ in range(len(data))]
    )
    given = [marker is not None for marker in lung_perturbations_of(made).markers]
    assert given == [not lungs[top, left] for lungs in fields.take(range(len(fields)))]
    assert {*given} == {True, False}


def test_regions_are_as_named_and_empty_for_an_untrusted_lung_field(chests: Project) -> None:
    perturbations = lung_perturbations_of(evidence(chests, "markers"))
    rows = np.array([0, 11, 29])
    own = perturbations.fields.take(rows)
    np.testing.assert_array_equal(perturbations.regions("lungs", rows), own)
    np.testing.assert_array_equal(perturbations.regions("background", rows), ~own)
    np.testing.assert_array_equal(
        perturbations.regions("another", rows), perturbations.fields.take(perturbations.background[rows])
    )
    usual = 10 * perturbations.fields.take(perturbations.rows).sum(axis=0) >= len(perturbations.rows)
    np.testing.assert_array_equal(perturbations.regions("common", rows), np.repeat(usual[None], 3, axis=0))
    assert perturbations.regions("region", rows).sum(axis=(1, 2)).tolist() == own.sum(axis=(1, 2)).tolist()
    reasons = tuple("area" if row == 11 else "" for row in range(3 * IMAGES))
    perturbations.fields = replace(perturbations.fields, reasons=reasons)
    for region in REGIONS:
        assert perturbations.regions(region, rows).any(axis=(1, 2)).tolist() == [True, False, True]


def test_an_unknown_change_or_region_is_a_sentence(chests: Project) -> None:
    perturbations = lung_perturbations_of(evidence(chests, "markers"))
    with pytest.raises(ArgumentError, match=r"change 'swap': unknown; did you mean 'swapped'\?"):
        perturbations.changed("swap", np.array([0]))
    with pytest.raises(ArgumentError, match=r"region 'lung': unknown; did you mean 'lungs'"):
        perturbations.changed(("lung", "black"), np.array([0]))


# Estimates from answers


def silent(predictions: Predictions, rows: slice) -> Predictions:
    """Return predictions that are not finite on some rows."""
    probabilities = predictions.probabilities.copy()
    probabilities[rows] = np.nan
    return replace(predictions, probabilities=probabilities)


def few(record: AttentionRecord, rows: NDArray[np.int64], **changes: object) -> AttentionRecord:
    """Return a record of some of its rows, without partners and markers."""
    cut = {name: taken(getattr(record, name), rows) for name in ("clean", "probe", "probe_swapped", *CHANGES)}
    nobody = np.full(len(rows), -1, dtype=np.int64)
    return altered(
        record,
        rows=record.rows[rows],
        hidden={key: taken(answers, rows) for key, answers in record.hidden.items()},
        donor_rows=nobody,
        same_class_rows=nobody,
        annotation_labels=nobody,
        marker_boxes=np.full((len(rows), 4), -1),
        **{**cut, **changes},
    )


def test_the_worst_infill_is_the_one_that_keeps_most_skill() -> None:
    record = without_lungs(answered(90, 90))
    assert skill_without(record, GATING).value == pytest.approx(0.8)
    assert f"({REGION_INFILLS[-1]})" in skill_without(record, GATING).detail


def one_answer(quality: float) -> Predictions:
    """Return answers that are all the first class; ``quality`` (0 to 1) says how well they rank."""
    sound = answered(EACH, EACH)
    noise = np.random.default_rng(0).random(2 * EACH)
    second = 0.1 + 0.3 * (quality * sound.labels + (1 - quality) * noise)
    return replace(sound, probabilities=np.stack([1 - second, second], axis=1).astype(np.float32))


def test_one_answer_for_all_is_judged_by_its_ranking() -> None:
    def judged(answers: Predictions) -> Estimate:
        hidden = {key: answers for key in attended().hidden}
        return skill_without(attended(hidden=hidden), GATING)

    lost, kept = judged(one_answer(0)), judged(one_answer(1 - 1e-3))
    assert lost.state == kept.state == "ok"
    assert abs(lost.value) < 0.2
    assert lost.high < 0.5
    assert kept.value == pytest.approx(1, abs=0.01)
    assert kept.low <= 0, "in a family it settles no failure"
    assert judged(answered(EACH, 0)).state == "undefined", "nothing can be ranked"


def test_pictures_show_a_soft_infill_that_leaves_more_than_one_answer() -> None:
    assert shown_infill(attended(), GATING) == "blur"
    hidden = {**attended().hidden, (GATING, "blur"): answered(EACH, 0)}
    assert shown_infill(attended(hidden=hidden), GATING) == "mean"
    hidden[GATING, "mean"] = answered(EACH, 0)
    assert shown_infill(attended(hidden=hidden), GATING) == "blur"


def hidden_as(without: Predictions, only: Predictions) -> AttentionRecord:
    """Return a record with the same answers under every infill."""
    answers = {GATING: without, "background": only}
    return attended(hidden={key: answers.get(key[0], EVEN) for key in attended().hidden})


def test_cues_are_redundant_where_each_side_alone_suffices() -> None:
    both = redundant_cues(hidden_as(answered(90, 90), answered(95, 95)))
    assert both.value == pytest.approx(0.8)
    assert both.low > 0.5
    assert both.detail == "mean: 0.80 without the usual lung region, 0.90 with the lungs only"
    assert redundant_cues(hidden_as(EVEN, answered(95, 95))).value == pytest.approx(0)
    assert redundant_cues(hidden_as(answered(95, 95), EVEN)).value == pytest.approx(0)


def test_redundant_cues_take_the_mildest_infill_that_says_something_of_both() -> None:
    record = hidden_as(answered(90, 90), answered(95, 95))
    hidden = {**record.hidden, ("background", "mean"): answered(EACH, 0)}
    assert redundant_cues(attended(hidden=hidden)).detail.startswith("blur: ")
    every = redundant_cues(hidden_as(answered(EACH, 0), answered(95, 95)))
    assert every.state == "uninformative"
    assert redundant_cues(attended(clean=EVEN)).state == "undefined"


def test_retained_skill_of_one_infill_is_not_that_of_another() -> None:
    record = without_lungs(answered(90, 90))
    assert retained_by_infill(record, GATING, REGION_INFILLS[-1]).value == pytest.approx(0.8)
    assert retained_by_infill(record, GATING, REGION_INFILLS[0]).value == pytest.approx(0)


def test_an_infill_that_leaves_one_answer_is_left_out_while_another_is_informative() -> None:
    uninformative = attended(hidden={**attended().hidden, ("lungs", "black"): answered(EACH, 0)})
    assert skill_without(uninformative, "lungs").value == pytest.approx(0)
    every = attended(hidden={key: answered(EACH, 0) for key in attended().hidden})
    assert skill_without(every, "lungs").state == "undefined"
    assert (skill_without(every, "lungs").low, skill_without(every, "lungs").high) == (0, 1)


def test_skill_that_is_not_there_cannot_be_kept() -> None:
    estimate = skill_without(attended(clean=EVEN), "lungs")
    assert not estimate.defined
    assert (estimate.low, estimate.high) == (-np.inf, np.inf)


@given(lost=st.integers(0, EACH), other=st.integers(0, EACH))
@settings(max_examples=25)
def test_following_is_a_hand_count(lost: int, other: int) -> None:
    estimate = lung_background_conflict(attended(swapped=answered(EACH - lost, EACH - other)))
    assert estimate.value == pytest.approx((2 * EACH - 2 * (lost + other)) / (2 * EACH))
    assert estimate.low <= estimate.value <= estimate.high
    assert len(estimate.failing) == lost + other


@pytest.mark.parametrize(("survive", "informative"), [(90, True), (89, False)])
def test_following_means_nothing_where_the_exchange_itself_decides(survive: int, informative: bool) -> None:
    record = attended(same_class=answered(survive, survive))
    estimate = lung_background_conflict(record)
    assert background_swap_control(record).value == pytest.approx(survive / EACH)
    assert estimate.value == 1
    assert (estimate.low > 0.9) == informative
    assert (estimate.state == "ok") == informative


@pytest.mark.parametrize(("follow", "informative"), [(60, True), (50, False)])
def test_following_means_nothing_where_a_reader_of_the_lungs_cannot_follow_them(follow: int, informative: bool) -> None:
    record = attended(probe_swapped=answered(follow, follow))
    control = background_swap_positive_control(record)
    assert control.value == pytest.approx((2 * follow - EACH) / EACH)
    estimate = lung_background_conflict(record)
    assert estimate.value == 1
    assert (estimate.state == "ok") == informative
    assert (estimate.low > 0.9) == informative


def test_a_probe_that_cannot_read_the_lungs_says_nothing_of_the_swap() -> None:
    record = attended(probe=answered(60, 60), probe_swapped=EVEN)
    control = background_swap_positive_control(record)
    assert control.state == "undefined"
    assert "balanced accuracy 0.10 above chance" in control.detail
    assert lung_background_conflict(record).state == "ok"


def test_a_ranking_by_the_background_is_below_chance() -> None:
    flipped = answered(10, 10)
    assert background_swap_auroc(attended(swapped=flipped)).value == pytest.approx(0.1)
    assert background_swap_auroc(attended(swapped=flipped), swapped=False).value == 1
    assert background_swap_auroc(few(attended(), np.arange(EACH))).n == 0


def test_without_pairs_that_are_answered_alike_the_control_is_undefined() -> None:
    alone = attended(same_class_rows=np.full(2 * EACH, -1))
    assert not background_swap_control(alone).defined
    assert (lung_background_conflict(alone).low, lung_background_conflict(alone).high) == (-1, 1)


def test_the_control_leaves_out_pairs_that_are_answered_differently() -> None:
    clean = answered(99, EACH)  # one image of the first class is predicted as the second
    estimate = background_swap_control(attended(clean=clean, same_class=clean))
    assert estimate.n == 2 * EACH - 2
    assert estimate.value == 1
    assert len(background_swap_control(attended(clean=clean)).failing) == 0


def test_without_rows_nothing_is_invented() -> None:
    none = few(attended(), np.zeros(0, dtype=np.int64))
    for estimate in (
        skill_without(none, "lungs"),
        lungs_versus_random_region(none),
        lung_background_conflict(none),
        background_swap_control(none),
        annotation_swap(none),
        drawn_marker(none),
        inverted_flips(none),
        redundant_cues(none),
        background_swap_auroc(none),
        background_swap_positive_control(none),
    ):
        assert not estimate.defined
        assert estimate.n == 0
    assert shown_infill(none, "lungs") in REGION_INFILLS


def test_without_partners_and_markers_nothing_is_followed() -> None:
    alone = few(attended(), np.arange(EACH))
    assert not lung_background_conflict(alone).defined
    assert not annotation_swap(alone).defined
    assert (annotation_swap(alone).low, annotation_swap(alone).high) == (-1, 1)
    assert "no burned-in annotation" in annotation_swap(alone).detail


def test_a_flat_patch_that_does_the_same_clears_the_annotation() -> None:
    moved = answered(60, EACH)
    assert annotation_swap(attended(annotated=moved)).value == pytest.approx(0.2)
    assert annotation_swap(attended(annotated=moved, plain=moved)).value == 0
    detail = annotation_swap(attended(annotated=moved)).detail
    assert detail.startswith("40 of 200 follow the burned-in annotation, 0 go there with a flat patch")


def test_a_drawn_letter_is_held_against_a_flat_patch() -> None:
    estimate = drawn_marker(attended(letter=answered(70, EACH), patch=answered(90, EACH)))
    assert estimate.value == pytest.approx((30 - 10) / 200)
    assert estimate.detail == "30 of 200 change with the letter, 10 with the patch"
    assert estimate.failing == tuple(f"r{row:03d}" for row in range(70, 90))


def test_hiding_lungs_is_held_against_hiding_as_much_elsewhere() -> None:
    hidden = {**attended().hidden, ("lungs", "mean"): answered(20, EACH), ("region", "mean"): answered(90, EACH)}
    estimate = lungs_versus_random_region(attended(hidden=hidden))
    assert estimate.value == pytest.approx((80 - 10) / 200)
    assert estimate.detail == "80 of 200 change without lungs, 10 without the random region"


def test_a_row_without_an_answer_counts_as_changed() -> None:
    assert inverted_flips(attended()).value == 0
    gone = silent(answered(EACH, EACH), np.s_[:20])
    assert inverted_flips(attended(inverted=gone)).value == pytest.approx(0.1)
    assert inverted_flips(attended(clean=gone, inverted=gone)).value == pytest.approx(0.1)
    detail = drawn_marker(attended(clean=gone, letter=gone, patch=gone)).detail
    assert detail == "20 of 200 change with the letter, 20 with the patch"
    assert "20 without an answer" in inverted_flips(attended(inverted=gone)).detail


def test_patients_make_intervals_wider() -> None:
    def grouped(predictions: Predictions) -> Predictions:
        return replace(predictions, groups=tuple(f"p{row // 10}" for row in range(2 * EACH)))

    def of(record: AttentionRecord) -> AttentionRecord:
        return replace(record, clean=grouped(record.clean))

    record = attended(same_class=answered(90, EACH), swapped=answered(80, EACH))
    for estimate in (background_swap_control, lung_background_conflict):
        single, patients = estimate(record), estimate(of(record))
        assert patients.value == single.value
        assert patients.high - patients.low > single.high - single.low


# The output on non-chest images


def blank(*probabilities: tuple[float, float]) -> AttentionRecord:
    return attended(blanks={"noise": np.array(probabilities, np.float32)})


def test_the_non_chest_output_is_the_commonest_answer() -> None:
    estimate = non_chest_output(blank((0.9, 0.1), (0.2, 0.8), (0.4, 0.6), (0.3, 0.7)), "noise")
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (0.75, 0.75, 0.75, 4)
    assert estimate.detail == "3 Normal, 1 Covid, at a mean probability of 0.55"


def test_an_image_without_an_answer_is_no_answer_of_the_first_class() -> None:
    gone = (np.nan, np.nan)
    estimate = non_chest_output(blank(gone, gone, gone, (0.2, 0.8)), "noise")
    assert estimate.value == 0.25
    assert estimate.detail == "1 Normal, 3 without an answer, at a mean probability of 0.80"


def test_where_no_image_is_answered_there_is_no_non_chest_output() -> None:
    estimate = non_chest_output(blank((np.nan, 0.5), (np.inf, 0.1)), "noise")
    assert not estimate.defined
    assert estimate.detail == "2 without an answer"


def test_what_the_module_offers_is_what_the_suite_asks_for() -> None:
    assert all(hasattr(attention, name) for name in attention.__all__)
