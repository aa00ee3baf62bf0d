"""Findings say what was missed, from the fields of rows and from no detail."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.scorecard import record as scorecard
from roentgate.scorecard.findings import Finding, findings
from roentgate.scorecard.record import empty_row
from roentgate.scorecard.shape import Record, Row
from tests.support.rows import CONDITIONAL, DESCRIPTIVE, FAILED, row

PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "covid19" / "baseline" / "scorecard.json"
OPEN: dict[str, Any] = {"outcome": "conditional_fail", "accepted": False, "value": 0.7, "low": 0.5, "high": 0.9}
CEILING: dict[str, Any] = {"direction": "at_most", "bound": 0.1}


def of(*rows: Row) -> list[Finding]:
    record: dict[str, Any] = {"rows": list(rows), "gate": "simple", "task": {}, "dataset": {"counts": {}}}
    return findings(record)  # type: ignore[arg-type]  # all that the findings read


def said(*rows: Row) -> str:
    return "\n".join(each.sentence for each in of(*rows))


def missed(check: str, subject: str = "test", /, suite: str = "attention", **changes: object) -> Row:
    return row(subject, **({"suite": suite, "check": check, "method": None} | FAILED | changes))


def test_what_is_met_is_no_finding() -> None:
    assert of(row(), row("Normal", **CONDITIONAL), row("x", **DESCRIPTIVE)) == []


def test_related_rows_become_one_finding() -> None:
    (found,) = of(row("Covid", **FAILED), row("Normal", **FAILED), row("Viral Pneumonia"))
    assert found.lead == "Sensitivity is too low for Covid and Normal."
    assert len(found.rows) == 2
    assert found.text == (
        "Covid: 20 of 40 images, 0.50 [0.40, 0.60], floor 0.80; Normal: 20 of 40 images, 0.50 [0.40, 0.60], floor 0.80."
    )


def test_what_the_interval_settles_stands_apart_and_first() -> None:
    first, second = of(row("Covid", **OPEN), row("Normal", **FAILED))
    assert (first.settled, first.lead) == (True, "Sensitivity is too low for Normal.")
    assert (second.settled, second.lead) == (False, "Sensitivity may be too low for Covid.")


def test_contamination_comes_first_and_counts_images() -> None:
    leak = missed(
        "images_in_two_splits", "test in train", suite="data", value=9 / 66, low=9 / 66, high=9 / 66, n=66,
        failing_total=9, bound=0.0, direction="at_most",
    )  # fmt: skip
    repeated = row("test", suite="data", check="duplicate_images", n=66, failing_total=5, **DESCRIPTIVE)
    first, second = of(row(**FAILED), leak, repeated)
    assert first.sentence == (
        "The test set is contaminated. 9 of 66 test images are also in train; 5 repeat another test image."
    )
    assert second.suite == "recall"
    assert "The validation set is contaminated." in said(leak | {"subject": "validation in train"})


def test_skill_without_lungs_is_told_beside_skill_with_lungs_only() -> None:
    without = missed("skill_without_lungs", "without lungs", value=1.05, low=0.57, high=1.68, **CEILING)
    only = row("", suite="attention", check="skill_with_lungs_only", value=0.78, low=0.47, high=1.2, **DESCRIPTIVE)
    assert "redundant cues" in said(without, only)
    assert "redundant cues" not in said(without, only | {"value": 0.2, "low": 0.1})
    assert "redundant cues" not in said(without)
    assert said(without).startswith("This model does not need the lungs. Without lungs, it retains of its skill")
    assert said(without | {"outcome": "conditional_fail"}).startswith("This model may not need the lungs.")


@pytest.mark.parametrize(
    ("value", "background", "text"),
    [
        (-26 / 61, 39, "39 of 61 images follow the background and 13 the lungs"),
        (-0.31, 39, "the share that follows the lungs less the background is"),
        (-26 / 61, 0, "the share that follows the lungs less the background is"),
    ],
)
def test_a_conflict_is_counted_only_where_the_counts_fit(value: float, background: int, text: str) -> None:
    conflict = missed(
        "lung_background_conflict", "backgrounds of another class", value=value, low=-0.6, high=-0.2, n=61,
        failing_total=background, bound=0.0, direction="at_least",
    )  # fmt: skip
    assert f"With lungs on backgrounds of another class, {text}" in said(conflict)
    auroc = [
        row(subject, suite="attention", check="background_swap_auroc", value=number, low=0.4, high=0.9, **DESCRIPTIVE)
        for subject, number in (("backgrounds of another class", 0.5), ("the same images as they are", 0.8))
    ]
    both = "AUROC of the lungs' class is 0.50 [0.40, 0.90] there and 0.80 [0.40, 0.90] on the images as they are."
    assert both in said(conflict, *auroc)
    assert "AUROC" not in said(conflict, auroc[0])


def test_a_border_is_not_blamed_for_what_is_missed_without_it() -> None:
    masked = missed("border_masked_recall", "Normal, 5% border", suite="border")
    same, lower = row("Normal", **FAILED), row("Normal", **CONDITIONAL)
    assert "The outer border" not in said(masked, same)
    assert "Sensitivity is too low, with the border masked as without." in said(masked, same)
    assert "Normal 0.50 (0.50 unmasked, n = 40 images)" in said(masked, same)
    assert "The outer border influences predictions." in said(masked, lower)


def test_the_span_over_infills_is_told_with_the_worst() -> None:
    rows = [
        row(f"5% border, {infill}", suite="border", check="border_mask_flips", **CEILING, **changes)
        for infill, changes in {
            "black": {"value": 0.05, "low": 0.01, "high": 0.2},
            "mean": OPEN | {"value": 0.15, "low": 0.05, "high": 0.3},
        }.items()
    ]
    assert "(5% border, mean): 6 of 40 images, 0.15 [0.05, 0.30], limit 0.10 (0.05 to 0.15 over 2 infills)" in said(
        *rows
    )


def test_parts_that_one_row_judges_are_spanned_and_not_counted() -> None:
    parts = {"black": 0.05, "mean": 0.15, "blur": None}
    flips = row("5% border", suite="border", check="border_mask_flips", **(CEILING | OPEN | {"parts": parts}))
    assert "(5% border): 0.70 [0.50, 0.90], n = 40 images, limit 0.10 (0.05 to 0.15 over 2 infills)" in said(flips)
    without = missed("skill_without_lungs", "without lungs", parts=parts, **CEILING)
    assert "limit 0.10 (0.05 to 0.15 over 2 infills)." in said(without)


def test_a_control_that_is_not_caught_is_said_first() -> None:
    control = missed("shuffled_answers_control", "recall_floor", suite="recall", unit="draw")
    first, _ = of(row(**FAILED), control)
    assert first.lead == "A control of this run was not caught, so that its check says nothing."


def test_a_floor_that_keeps_out_equality_reads_so() -> None:
    probe = missed("beats_trivial_probes", "border or background", suite="data", bound=1e-6)
    assert said(probe).startswith("A probe that sees no lungs does better.")
    assert said(probe).endswith("floor: above 0.")


def test_evidence_that_is_not_there_is_a_finding_of_its_own() -> None:
    gap = empty_row(suite="border", check="border_swap", subject="", reason="missing", detail="")
    crash = empty_row(suite="recall", check="recall_floor", subject="Covid", reason="crashed", detail="boom")
    nothing = missed("skill_without_lungs", "without lungs", value=None, low=0, high=1, state="undefined")
    text = said(gap, crash, nothing)
    assert "Required, but not recorded: border / border_swap; crashed: recall / recall_floor, Covid." in text
    assert "1 check has no informative evidence, which no rule accepts. Skill_without_lungs" not in text
    assert "1 check has no informative evidence, which no rule accepts. skill_without_lungs, without lungs." in text
    assert "boom" not in text


def test_a_check_without_words_gets_plain_ones() -> None:
    assert said(missed("toy_check", "left", suite="toy")) == (
        "A criterion of toy is not met. Toy_check, left: 0.50 [0.40, 0.60], n = 40 images, floor 0.80."
    )
    both = said(missed("a", suite="toy"), missed("b", suite="toy"))
    assert both.startswith("2 criteria of toy are not met.")


def test_a_unit_that_is_no_image_is_named() -> None:
    patients = row(**(FAILED | {"unit": "patient", "method": "Korn-Graubard", "n": 12}))
    assert "n = 12 patients" in said(patients)
    clusters = row(**(FAILED | {"unit": "cluster of near-duplicates", "method": "other"}))
    assert "n = 40 units" in said(clusters)


def test_no_word_comes_from_a_detail_and_every_refused_row_is_in_one_finding() -> None:
    record = scorecard.read(PUBLISHED)
    content = json.loads(PUBLISHED.read_text("utf-8"))
    for each in content["rows"]:
        each["detail"] = "zzz"
    bare: Record = content
    assert [each.sentence for each in findings(bare)] == [each.sentence for each in findings(record)]
    told = [(each["suite"], each["check"], each["subject"]) for finding in findings(record) for each in finding.rows]
    assert len(told) == len(set(told)) == sum(not each["accepted"] for each in record["rows"] if each["gates"])


CHECKS = st.sampled_from(
    [
        ("data", "images_in_two_splits"), ("data", "patients_in_two_splits"), ("data", "border_probe"),
        ("data", "metadata_probe"), ("data", "beats_trivial_probes"), ("attention", "skill_without_lungs"),
        ("attention", "lung_background_conflict"), ("border", "border_mask_flips"), ("border", "border_masked_recall"),
        ("border", "border_only_skill"), ("border", "border_swap"), ("recall", "recall_floor"),
        ("robustness", "small_shift"), ("alignment", "images_match_rows"), ("inference", "predictions_repeat"),
        ("comparison", "recall_noninferiority"), ("claims", "claim_reproduced"), ("toy", "toy"),
    ]
)  # fmt: skip
Drawn = tuple[tuple[str, str], float | None, float | None, float | None, str, int]
NUMBERS = st.one_of(st.none(), st.floats(-2, 2))


@given(st.lists(st.tuples(CHECKS, NUMBERS, NUMBERS, NUMBERS, st.text(max_size=12), st.integers(0, 9)), max_size=6))
def test_whatever_the_rows_each_is_told_in_a_sentence(rows: list[Drawn]) -> None:
    made = [
        row(subject, suite=suite, check=check, value=value, low=low, high=high, n=n, accepted=False, outcome="fail")
        for (suite, check), value, low, high, subject, n in rows
    ]
    found = of(*made)
    assert sum(len(each.rows) for each in found) == len(made)
    assert all(each.lead.endswith(".") and each.text.endswith(".") for each in found)
