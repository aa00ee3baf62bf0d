"""Each known-bad model is rejected by the checks it names, for its reason.

Sound models of all kinds are accepted.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roentgate.policy import load_policy
from roentgate.policy.optional_suites import SUITES
from tests.validation.planted_models import Check, read_planted_models

ROOT = Path(__file__).resolve().parents[2]
PLANTED_MODELS = {planted.name: planted for planted in read_planted_models(ROOT / "models")}
SEEN = [name for name, planted in PLANTED_MODELS.items() if planted.checks]
SOUND = [name for name, planted in PLANTED_MODELS.items() if planted.sound]
CONTROL = "sound.small"
"""The network in which most faults are planted, without a fault."""

DESCRIPTIVE = {
    ("border", "interior_mask_control"),
    ("robustness", "corruption_curve"),
    ("border", "smallest_flipping_mask"),
    ("border", "border_invariance"),
    ("attention", "lung_fields_found"),
    ("attention", "skill_with_lungs_only"),
    ("attention", "retained_skill_by_infill"),
    ("attention", "redundant_cues"),
    ("attention", "lungs_versus_random_region"),
    ("attention", "background_swap_control"),
    ("attention", "background_swap_positive_control"),
    ("attention", "background_swap_auroc"),
    ("attention", "drawn_marker"),
    ("attention", "inverted_images"),
    ("attention", "non_chest_output"),
    ("calibration", "brier_score"),
    ("calibration", "log_loss"),
    ("calibration", "calibration_error"),
    ("calibration", "training_curve"),
}
CONTROLS = {("alignment", "exchanged_columns_control"), ("recall", "shuffled_answers_control")}
"""Checks that refuse bounds and images on which spoiled answers would pass, and no model of its own fault."""

TIMEOUT_S = 1800

Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Known-bad models that one command judges, so that TensorFlow is imported once.

    Attributes:
        checks: The checks that the command runs, just enough to find the faults.
        data: The data that they are trained on.
        epochs: Epochs of training, 1 if it does not matter what they have learned.
        controls: Sound models that this command must accept.
        options: Further options of the command.
    """

    checks: tuple[str, ...]
    data: str = "phantom"
    epochs: int = 6
    controls: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


GROUPS = {
    "streams and outputs": Group(
        (
            "suites/test_alignment.py",
            "suites/test_inference.py::test_evaluation_streams_clean",
            "suites/test_inference.py::test_outputs_are_probabilities",
            "suites/test_calibration.py",
        ),
        controls=(CONTROL,),
    ),
    "layers": Group(
        (
            "suites/test_inference.py::test_predictions_repeat",
            "suites/test_inference.py::test_predictions_batch_invariant",
            "suites/test_inference.py::test_augmentation_identity_at_inference",
            "suites/test_inference.py::test_augmentation_active_in_training",
            "suites/test_inference.py::test_reload_preserves_predictions",
        ),
        epochs=1,
        controls=(CONTROL,),
    ),
    "robustness": Group(("suites/test_robustness.py",), epochs=20, options=("--robustness",)),
    "recall, border and attention": Group(
        (
            "suites/test_recall.py",
            "suites/test_border.py::test_border_mask_flips",
            "suites/test_border.py::test_border_masked_recall",
            "suites/test_border.py::test_border_swap",
            "suites/test_border.py::test_border_only_skill",
            "suites/test_attention.py::test_skill_without_lungs",
            "suites/test_attention.py::test_lung_background_conflict",
            "suites/test_attention.py::test_annotation_swap",
            "suites/test_inference.py::test_predictions_repeat",
            "suites/test_inference.py::test_answers_are_finite",
        ),
        data="phantom-shortcut",
    ),
}


def required() -> set[Check]:
    """Return the required checks of a model, without those of options and data."""
    policy = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=())
    elsewhere = {*SUITES, "ledger", "data"} - {"robustness"}
    return {(suite, check) for suite, check in policy.gate.pairs if suite not in elsewhere}


def group_of(checks: Iterable[Check]) -> str:
    pairs = set(checks)
    light = {("inference", "evaluation_streams_clean"), ("inference", "outputs_are_probabilities")}
    if {suite for suite, _ in pairs} & {"recall", "border", "attention"}:
        return "recall, border and attention"
    if any(suite == "robustness" for suite, _ in pairs):
        return "robustness"
    return "layers" if {pair for pair in pairs if pair[0] == "inference"} - light else "streams and outputs"


def judge(models: list[str], group: Group, reports: Path) -> tuple[int, dict[str, list[Row]]]:
    """Return the exit status of one acceptance run and the rows of each model."""
    options = ["--data", group.data, "--epochs", str(group.epochs), "--report-dir", str(reports), "-q", "--tb=line"]
    named = [argument for model in models for argument in ("--model", model)]
    command = [sys.executable, "-m", "pytest", *group.checks, *options, *group.options, *named]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    records = [json.loads(path.read_text("utf-8")) for path in reports.glob("*/*/scorecard.json")]
    rows = {
        record["model"]["name"]: [row for row in record["rows"] if row["reason"] != "missing"] for record in records
    }
    if missing := [model for model in models if not rows.get(model)]:
        pytest.fail(f"nothing recorded on {', '.join(missing)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.returncode, {model: rows[model] for model in models}


def refused(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row["accepted"]]


def shortcomings(name: str, rows: list[Row]) -> list[str]:
    """Return the promises of a model's docstring that its scorecard does not keep."""
    planted = PLANTED_MODELS[name]
    against = [row for row in refused(rows) if (row["suite"], row["check"]) in planted.checks]
    seen = {(row["suite"], row["check"]) for row in against}
    missed = [
        f"{name}: not refused by {suite}/{check}" for suite, check in planted.checks if (suite, check) not in seen
    ]
    if any(planted.diagnosis in row["detail"] for row in against):
        return missed
    return [*missed, f"'{planted.diagnosis}' is not said by", *(described(name, row) for row in against)]


def described(name: str, row: Row) -> str:
    return f"{name}: {row['check']} [{row['subject']}] {row['outcome']}: {row['detail']}"


@pytest.mark.parametrize("name", SEEN)
def test_a_known_bad_model_names_checks_that_the_policy_requires(name: str) -> None:
    assert set(PLANTED_MODELS[name].checks) <= required()


def test_every_gating_check_rejects_some_known_bad_model() -> None:
    assert {pair for name in SEEN for pair in PLANTED_MODELS[name].checks} == required() - DESCRIPTIVE - CONTROLS


@pytest.mark.trains
@pytest.mark.parametrize("name", GROUPS)
def test_known_bad_models_are_rejected_for_their_fault_and_sound_controls_are_not(name: str, tmp_path: Path) -> None:
    group = GROUPS[name]
    models = [model for model in SEEN if group_of(PLANTED_MODELS[model].checks) == name]
    status, records = judge([*models, *group.controls], group, tmp_path)
    assert status != 0
    assert [line for model in models for line in shortcomings(model, records[model])] == []
    assert [described(control, row) for control in group.controls for row in refused(records[control])] == []


@pytest.mark.trains
def test_sound_streams_and_outputs_of_every_kind_are_accepted(tmp_path: Path) -> None:
    _, records = judge(SOUND, GROUPS["streams and outputs"], tmp_path)
    assert [described(name, row) for name, rows in records.items() for row in refused(rows)] == []


@pytest.mark.trains
def test_sound_layers_nested_or_none_at_all_are_accepted(tmp_path: Path) -> None:
    kinds = ["sound.nested_backbone", "sound.dropout_in_training", "sound.numpy_linear"]
    _, records = judge(kinds, GROUPS["layers"], tmp_path)
    assert [described(name, row) for name, rows in records.items() for row in refused(rows)] == []
    skipped = {row["check"] for row in records["sound.numpy_linear"] if row["outcome"] == "skipped"}
    assert skipped == {"augmentation_identity_at_inference", "augmentation_active_in_training"}
