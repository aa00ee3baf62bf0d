"""One acceptance run: a sound one exits 0; whatever is filtered, missing, crashed or skipped does not."""

from __future__ import annotations

import json
import re
import signal
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.toy import Project, Result

pytest_plugins = ["tests.toy"]

ROOT = Path(__file__).resolve().parents[1]

EXTRA = """

def test_extra(predictions, accept):
    accept(at_least(metrics.accuracy(predictions.test), 0.5), subject="extra")
"""
"""One more check of the small suite, which nothing requires: what goes wrong in it must count all the same."""


def with_extra(project: Project, body: str, decorator: str = "", above: str = "") -> None:
    """Append a check to the small suite whose body, or decorator, does something wrong."""
    suite = project.folder / "suites" / "test_small.py"
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    text = suite.read_text("utf-8") + f"\n\n{above}\n\n{decorator}\ndef test_extra(predictions, accept):\n{indented}\n"
    suite.write_text(text, "utf-8")


def refused(result: Result, *, complete: bool = True) -> dict[str, Any]:
    """Assert that a run that wrote a scorecard was refused; return the scorecard."""
    record = result.record()
    assert result.status == 1, result.out
    assert not record["accepted"]
    assert record["complete"] is complete, result.out
    assert ("partial run, not a gate" in result.out) is not complete
    assert "REFUSED" in result.out
    return record


def usage_error(result: Result, *words: str) -> None:
    """Assert that a run ended with one sentence that has these words, and without a scorecard."""
    assert result.status == 4, result.out
    assert not (result.reports / "toy").exists()
    assert "Traceback" not in result.out
    sentence = next(line for line in result.out.splitlines() if line.startswith("ERROR: "))
    for word in words:
        assert word in sentence


ACCEPT = 'accept(at_least(metrics.accuracy(predictions.test), 0.5), subject="extra")'


# A sound run


def test_a_sound_run_of_the_small_suites_exits_0_and_is_proven(project: Project) -> None:
    result = project.run()
    assert result.status == 0, result.out
    record = result.record()
    assert record["accepted"]
    assert record["complete"]
    assert record["proven"]
    assert record["counts"] == {"pass": 5, "fail": 0, "inconclusive": 0, "skipped": 0}
    assert "PROVEN · 5 verdicts: 5 pass" in result.out
    assert "reports/toy/nearest/scorecard.md" in result.out


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, toy_films: Path, toy_store: Path) -> tuple[Project, Result]:
    """A project with the repository's own suites and policy, run once in a process of its own."""
    from tests.toy import make_project  # noqa: PLC0415 - a plugin: imported once its asserts are rewritten

    project = make_project(tmp_path_factory.mktemp("whole"), toy_films, toy_store)
    project.use_real_suites()
    return project, project.run_apart()


def test_a_sound_model_exits_0_under_the_repositorys_suites_and_policy(whole: tuple[Project, Result]) -> None:
    """A black box has no layers to look at: those two checks are skipped, and counted."""
    _, result = whole
    assert result.status == 0, result.out
    record = result.record()
    assert record["accepted"]
    assert record["complete"]
    assert not record["proven"]
    assert re.search(r"ACCEPTED, NOT PROVEN \(\d+ rows\) · 51 verdicts: .* 2 skipped", result.out)
    skipped = {row["check"]: row["detail"] for row in record["verdicts"] if row["verdict"] == "skipped"}
    assert skipped == {
        "augmentation_identity_at_inference": "the model has no layers to look at",
        "augmentation_active_in_training": "the model has no layers to look at",
    }


def test_the_repositorys_policy_requires_every_check_of_the_design_and_the_suites_offer_them(
    whole: tuple[Project, Result],
) -> None:
    """The ids are the published interface: scorecards of other versions are compared by them."""
    design = {
        "alignment": "stream_order_repeats stream_complete images_match_rows labels_match_rows class_columns_match "
        "predictions_match_rows",
        "inference": "predictions_repeat predictions_batch_invariant augmentation_identity_at_inference "
        "augmentation_active_in_training evaluation_streams_clean outputs_are_probabilities reload_preserves_predictions",
        "recall": "recall_floor confusion_ceiling macro_auroc_floor beats_majority",
        "border": "border_mask_flips border_masked_recall ring_transplant border_only_skill interior_mask_control",
    }
    wanted = {(suite, check) for suite, checks in design.items() for check in checks.split()}
    policy = tomllib.loads((ROOT / "suites" / "policy.toml").read_text("utf-8"))
    required = {(suite, check) for suite, checks in policy["gate"]["required"].items() for check in checks}
    assert required == wanted
    _, result = whole
    assert {(row["suite"], row["check"]) for row in result.record()["verdicts"]} == wanted


def test_the_same_inputs_give_the_same_scorecard_byte_for_byte_and_compute_nothing(
    whole: tuple[Project, Result],
) -> None:
    project, first = whole
    before = project.stored()
    second = project.run_apart(reports="again", python=["-c", NO_FRAMEWORK])
    assert second.status == 0, second.out
    assert second.bytes() == first.bytes()
    assert project.stored() == before
    run = json.loads((second.reports / "toy" / "nearest" / "run.json").read_text("utf-8"))
    assert run["forward_passes"] == 0


def test_two_workers_give_the_same_scorecard_byte_for_byte(whole: tuple[Project, Result]) -> None:
    project, serial = whole
    parallel = project.run_apart("-n", "2", reports="parallel")
    assert parallel.status == 0, parallel.out
    assert parallel.bytes() == serial.bytes()


def test_the_proven_gate_refuses_rows_that_are_only_accepted(whole: tuple[Project, Result]) -> None:
    project, point = whole
    result = project.run("--gate", "proven", "--report-dir", "proven")
    assert result.status == 1, result.out
    record = json.loads((project.folder / "proven" / "toy" / "nearest" / "scorecard.json").read_text("utf-8"))
    assert not record["accepted"]
    assert record["complete"]
    unproven = {row["check"] for row in point.record()["verdicts"] if row["gates"] and not row["proven"]}
    assert {row["check"] for row in record["verdicts"] if row["gates"] and not row["accepted"]} == unproven
    assert "recall_floor" in unproven


def test_an_inconclusive_verdict_shows_as_such_in_the_terminal(project: Project) -> None:
    project.write("suites/policy.toml", project_policy(project).replace("recall_floor = 0.5", "recall_floor = 0.9"))
    result = project.run("-v")
    assert result.status == 0, result.out
    assert "INCONCLUSIVE" in result.out
    assert "3 inconclusive" in result.out
    assert "would settle it" in result.rows("recall_floor")[0]["detail"]


def project_policy(project: Project) -> str:
    return (project.folder / "suites" / "policy.toml").read_text("utf-8")


NO_FRAMEWORK = ""
