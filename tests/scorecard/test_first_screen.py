"""The first screen says what was judged, what was met, and what a record cannot say."""

import re
from pathlib import Path
from typing import Any

import pytest

from roentgate.scorecard import first_screen
from roentgate.scorecard import record as scorecard
from roentgate.scorecard.shape import Record, Row
from tests.support.rows import CONDITIONAL, DESCRIPTIVE, FAILED, SKIPPED, row

PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "covid19" / "baseline" / "scorecard.json"


def of(*rows: Row, **changes: object) -> Record:
    made: Any = {
        "rows": list(rows),
        "gate": "simple",
        "complete": True,
        "task": {"image_shape": [64, 64, 1], "seed": 3},
        "dataset": {"counts": {"test": {"Covid": 40, "Normal": 26}}},
    }
    return made | changes  # type: ignore[no-any-return]  # all that the first screen reads


def leak(number: int) -> Row:
    return row("test in train", suite="data", check="images_in_two_splits", n=66, failing_total=number)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([row()], "1 criterion met."),
        ([row(), row("b")], "All 2 criteria met."),
        ([row(), row("b", **CONDITIONAL)], "All 2 criteria met (1 on the estimate only)."),
        ([row(**FAILED)], "1 criterion failed, none met."),
        (
            [row(**FAILED), row("b", outcome="conditional_fail", accepted=False), row("c", **CONDITIONAL)],
            "1 criterion failed, 1 more missed on the estimate, 1 met (1 on the estimate only).",
        ),
    ],
)
def test_the_verdict_counts_criteria(rows: list[Row], text: str) -> None:
    assert first_screen.verdict(of(*rows)) == text


def test_a_partial_run_says_that_it_accepts_nothing() -> None:
    assert "partial run, not a gate: nothing is accepted" in first_screen.verdict(of(row(), complete=False))


def test_images_that_are_also_in_train_are_left_out_of_the_count_where_they_are_left_out() -> None:
    out = first_screen.setting(of(row(n=57), leak(9)))
    assert out[0] == "64 \u00d7 64 pixels, seed 3, 57 unseen test images (66 less 9 that are also in train)."
    counted = first_screen.setting(of(row(n=66), leak(9)))
    assert counted[0] == "64 \u00d7 64 pixels, seed 3, 66 test images, 9 of which are also in train."
    assert first_screen.setting(of(row(n=66), leak(0)))[0].endswith("66 test images.")


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([row()], "No patient ids: images are assumed independent."),
        ([row(unit=None)], "No patient ids: images are assumed independent."),
        (
            [row(unit="cluster of near-duplicates")],
            "No patient ids: near-duplicates count as one unit, and units are assumed independent.",
        ),
        ([row(unit="patient")], "Patients are named: intervals are over patients."),
        ([row(), row("", suite="data", check="patients_in_two_splits")], "Patients are named."),
        (
            [row(), row("", suite="data", check="patients_in_two_splits", **SKIPPED)],
            "No patient ids: images are assumed independent.",
        ),
    ],
)
def test_what_is_taken_as_independent_is_said(rows: list[Row], text: str) -> None:
    assert first_screen.independence(of(*rows)) == text


def test_chance_is_stated_beside_the_headline() -> None:
    (text,) = first_screen.power(of(*(row(f"c{index}", n=20) for index in range(10))))
    assert text.startswith("With so few images a model truly 0.05 better than every criterion would still fail on ")
    (text,) = first_screen.power(of(row(n=4000)))
    assert text.startswith("A model truly 0.05 better than every criterion would still fail on 0 %")
    assert first_screen.power(of(row(method=None))) == []
    published = first_screen.setting(scorecard.read(PUBLISHED))
    assert re.search(r"would still fail on (more than )?\d+ % of such test sets", published[-1])


def test_the_table_of_performance_has_counts_and_criteria() -> None:
    lines = first_screen.performance(of(row(value=0.95, n=40), row("", check="macro_auroc_floor", n=40)))
    assert [(line.name, line.counted) for line in lines] == [
        ("Sensitivity, Covid", "38 of 40 images"),
        ("Macro AUROC", "n = 40 images"),
    ]
    assert first_screen.criterion(lines[0].row) == "≥ 0.80"


def test_what_passed_names_its_claims_and_its_subjects_only_where_others_failed() -> None:
    rows = [row("Covid"), row("Normal"), row("x", suite="alignment", check="images_match_rows", low=1.0, high=1.0)]
    assert first_screen.passed(of(*rows)) == [
        ("Performance", "2 of 2: Sensitivity."),
        ("Pipeline", "1 of 1: Images."),
    ]
    some = dict(first_screen.passed(of(*rows[:2], row("Viral Pneumonia", **FAILED), row("D", **CONDITIONAL))))
    assert some["Performance"].startswith("3 of 4: Sensitivity (Covid · Normal). On the estimate only: sensitivity (D")
    control = row("c", suite="toy", check="control_caught", low=0.1, high=0.9)
    assert "Control caught" in dict(first_screen.passed(of(control)))["toy"]


def test_limits_follow_what_the_record_has() -> None:
    bare = "\n".join(first_screen.limits(of(row())))
    assert "no patients are named" in bare
    assert "age, sex, view and device of the images are not stated" in bare
    assert "another seed: one training was judged" in bare
    assert "Anything about" in bare
    known = of(
        row("", suite="data", check="patients_in_two_splits"),
        task={"image_shape": [64, 64, 1], "seed": 0, "seeds": [0, 1], "deciding": "worst"},
        dataset={
            "counts": {},
            "study": {"ages": "adults", "sexes": "", "views": "PA", "devices": None},
            "prior_evaluations": 17,
        },
    )
    text = "\n".join(first_screen.limits(known))
    assert "no patients are named" not in text
    assert "another seed" not in text
    assert "sex and device of the images are not stated" in text
    assert "at least 17 models were evaluated on these test images before" in text


def test_a_study_is_told_field_by_field() -> None:
    record = of(
        row(), dataset={"counts": {}, "study": {"ages": {"Covid": "adults"}, "sites": [], "reference_standard": ""}}
    )
    assert first_screen.studied(record) == [("ages", "Covid: adults"), ("sites, reference standard", "not stated")]
    assert first_screen.studied(of(row())) == []


def test_explainers_without_a_voice_are_named_as_a_limit() -> None:
    mute = row("grad_cam", suite="attention", check="attribution_in_lungs", **(DESCRIPTIVE | {"value": None}))
    assert any("no explainer passed" in text for text in first_screen.limits(of(mute)))
    assert not any("no explainer passed" in text for text in first_screen.limits(of(mute, mute | {"value": 0.5})))
