"""A sound acceptance run exits 0.

A run with filtered, missing, crashed or unexcused skipped checks does not.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from roentgate.policy import load_policy

if TYPE_CHECKING:
    from roentgate.scorecard import Record
    from tests.support.toy import Project, Result

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).resolve().parents[2]


def with_extra(project: Project, body: str, decorator: str = "", above: str = "") -> None:
    """Append a check with this body and decorator to the small suite."""
    suite = project.folder / "suites" / "test_small.py"
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    text = suite.read_text("utf-8") + f"\n\n{above}\n\n{decorator}\ndef test_extra(evidence, accept):\n{indented}\n"
    suite.write_text(text, "utf-8")


def refused(result: Result, *, complete: bool = True, model: str = "nearest") -> Record:
    """Assert that a run with a scorecard was refused, and return the scorecard."""
    record = result.record(model)
    assert result.status == 1, result.out
    assert record["outcome"] == "fail"
    assert record["complete"] is complete, result.out
    assert ("partial run, not a gate" in result.out) is not complete
    assert "FAIL · " in result.out
    return record


def usage_error(result: Result, *parts: str) -> None:
    """Assert that a run ended with one sentence with these parts and no scorecard."""
    assert result.status == 4, result.out
    assert not (result.reports / "toy").exists()
    assert "Traceback" not in result.out
    sentence = next(line for line in result.out.splitlines() if line.startswith("ERROR: "))
    for part in parts:
        assert part in sentence


def without_frameworks(project: Project) -> Project:
    """Return the project with a Python in which importing Keras or TensorFlow raises."""
    project.write("blocked/sitecustomize.py", BLOCKED)
    places = [str(project.folder / "blocked"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return dataclasses.replace(project, environment={"PYTHONPATH": os.pathsep.join(places)})


BLOCKED = """
import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"keras", "tensorflow"}:
            raise RuntimeError(f"{name} was imported")


sys.meta_path.insert(0, Refuse())
"""

ACCEPT = 'accept(at_least(metrics.accuracy(evidence.test), 0.5), subject="extra")'


# A sound run


def test_a_sound_run_of_the_small_suites_exits_0_and_passes(project: Project) -> None:
    result = project.run()
    assert result.status == 0, result.out
    record = result.record()
    assert record["outcome"] == "pass"
    assert record["complete"]
    assert {outcome: count for outcome, count in record["counts"].items() if count} == {"pass": 5}
    assert "PASS · 5 rows: 5 pass" in result.out
    assert "reports/toy/nearest/scorecard.md" in result.out


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, toy_images: Path, toy_store: Path) -> tuple[Project, Result]:
    """A project with the repository's suites and policy, run once in its own process."""
    from tests.support.toy import make_project

    project = make_project(tmp_path_factory.mktemp("whole"), toy_images, toy_store)
    project.use_real_suites()
    return project, project.run_apart()


def test_a_sound_model_exits_0_under_the_repositorys_suites_and_policy(whole: tuple[Project, Result]) -> None:
    """Checks that need layers, patients, sources or masks are skipped and counted."""
    _, result = whole
    assert result.status == 0, result.out
    record = result.record()
    assert record["outcome"] == "conditional_pass"
    assert record["complete"]
    count = record["counts"]["skipped"]
    assert re.search(rf"CONDITIONAL PASS \(\d+ rows\) · \d+ rows: .* {count} skipped", result.out)
    skipped = {row["check"]: row["detail"] for row in record["rows"] if row["outcome"] == "skipped"}
    assert {check for check, reason in skipped.items() if "lung" in reason} == {
        "skill_without_lungs",
        "skill_with_lungs_only",
        "retained_skill_by_infill",
        "redundant_cues",
        "lungs_versus_random_region",
        "lung_background_conflict",
        "background_swap_control",
        "background_swap_positive_control",
        "background_swap_auroc",
        "annotation_swap",
        "drawn_marker",
        "inverted_images",
        "non_chest_output",
        "attribution_in_lungs",
        "attribution_pointing",
    }
    assert {check: reason for check, reason in skipped.items() if "lung" not in reason} == {
        "held_out_images_in_training": "the model is not built here, so its training is unknown",
        "augmentation_identity_at_inference": "the model has no layers to look at",
        "augmentation_active_in_training": "the model has no layers to look at",
        "training_curve": "the model was loaded, so its training curve is unknown",
        "patients_in_two_splits": "the data names no patients",
        "source_confounding": "the data names no sources",
        "source_probe": "the data names no sources",
        "anatomy_probe": "the data has no masks",
        "attribution_known_lesions": "the data has no known lesions",
    }


def test_the_repositorys_policy_requires_every_check_of_the_design_and_the_suites_offer_them(
    whole: tuple[Project, Result],
) -> None:
    """The ids are an interface, since scorecards of other versions are compared by them."""
    core = {
        "alignment": "stream_order_repeats stream_complete images_match_rows labels_match_rows class_columns_match"
        " exchanged_columns_control predictions_match_rows held_out_images_in_training",
        "inference": "predictions_repeat predictions_batch_invariant augmentation_identity_at_inference"
        " augmentation_active_in_training evaluation_streams_clean outputs_are_probabilities answers_are_finite"
        " reload_preserves_predictions",
        "recall": "recall_floor shuffled_answers_control confusion_ceiling macro_auroc_floor beats_majority",
        "border": "border_mask_flips border_masked_recall border_swap border_only_skill interior_mask_control"
        " smallest_flipping_mask border_invariance",
        "attention": "lung_fields_found skill_without_lungs skill_with_lungs_only retained_skill_by_infill"
        " redundant_cues lungs_versus_random_region lung_background_conflict background_swap_control"
        " background_swap_positive_control background_swap_auroc annotation_swap drawn_marker inverted_images"
        " non_chest_output",
        "data": "images_in_two_splits patients_in_two_splits images_in_two_classes unreadable_images metadata_probe"
        " file_size_probe border_probe source_confounding beats_trivial_probes pixel_probe anatomy_probe source_probe"
        " recall_on_all_images duplicate_images file_names_in_two_splits atypical_images doubtful_labels"
        " images_per_class",
        "calibration": "brier_score log_loss calibration_error temperature_scaling_gain training_curve",
        "ledger": "test_set_evaluations",
    }
    asked_for = {
        "robustness": "corruption_skill corruption_curve small_rotation small_shift resizing_kernel",
        "comparison": "recall_noninferiority accuracy_noninferiority auroc_noninferiority negative_flips border_change",
        "claims": "claims_consistent claim_reproduced",
    }
    descriptive = {
        "attention": "attribution_sanity_check attribution_known_lesions attribution_in_lungs attribution_pointing"
        " attribution_deletion",
    }
    policy = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=())
    assert set(policy.gate.pairs) == named(core | asked_for)
    _, result = whole
    assert {(row["suite"], row["check"]) for row in result.record()["rows"]} == named(core) | named(descriptive)


def named(suites: dict[str, str]) -> set[tuple[str, str]]:
    return {(suite, check) for suite, checks in suites.items() for check in checks.split()}


def test_the_same_inputs_give_the_same_scorecard_byte_for_byte_and_compute_nothing(
    whole: tuple[Project, Result],
) -> None:
    project, first = whole
    before = project.stored()
    second = without_frameworks(project).run_apart(reports="again")
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


def test_the_guarded_rule_refuses_what_passes_conditionally(whole: tuple[Project, Result]) -> None:
    project, simple = whole
    result = project.run("--gate", "guarded", "--report-dir", "guarded")
    assert result.status == 1, result.out
    record = json.loads((project.folder / "guarded" / "toy" / "nearest" / "scorecard.json").read_text("utf-8"))
    assert record["outcome"] == "fail"
    assert record["complete"]
    conditional = {row["check"] for row in simple.record()["rows"] if row["outcome"] == "conditional_pass"}
    assert {row["check"] for row in record["rows"] if row["gates"] and not row["accepted"]} == conditional
    assert "recall_floor" in conditional


def test_a_conditional_pass_shows_as_such_in_the_terminal(project: Project) -> None:
    project.write(
        "suites/policy.toml",
        (project.folder / "suites" / "policy.toml")
        .read_text("utf-8")
        .replace("recall_floor = 0.5", "recall_floor = 0.9"),
    )
    result = project.run("-v")
    assert result.status == 0, result.out
    assert "CONDITIONAL PASS" in result.out
    assert "3 conditional pass" in result.out
    assert "would settle it" in result.rows("recall_floor")[0]["detail"]


# A filtered run is no gate


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "accuracy or balanced"],
        ["-m", "not needs"],
        ["suites/test_small.py"],
        ["suites/test_small.py::test_accuracy", "suites/test_second.py"],
        ["suites", "--deselect", "suites/test_second.py::test_balanced"],
        ["--ignore", "suites/test_second.py"],
        ["--stepwise"],
        ["--setup-only"],
    ],
    ids=" ".join,
)
def test_a_filtered_run_is_no_gate(project: Project, arguments: list[str]) -> None:
    refused(project.run(*arguments), complete=False)


def test_a_filter_that_leaves_nothing_is_no_gate(project: Project) -> None:
    result = project.run("-k", "nothing_is_called_so")
    assert result.status == 5
    assert "partial run, not a gate: nothing was judged" in result.out
    assert not result.reports.exists()


def test_collect_only_judges_nothing_writes_nothing_and_is_no_gate(project: Project) -> None:
    project.store = project.folder / "store"
    result = project.run("--collect-only")
    assert result.status == 5
    assert "partial run, not a gate: nothing was judged" in result.out
    assert not result.reports.exists()
    assert not (project.store / "evidence").exists()


def test_last_failed_is_no_gate(project: Project) -> None:
    policy = project.folder / "suites" / "policy.toml"
    sound = policy.read_text("utf-8")
    with_extra(project, "assert (metrics.__name__, accept) and not FAILS\n" + ACCEPT, above="FAILS = True")
    refused(project.run())
    suite = project.folder / "suites" / "test_small.py"
    suite.write_text(suite.read_text("utf-8").replace("FAILS = True", "FAILS = False"), "utf-8")
    assert policy.read_text("utf-8") == sound
    refused(project.run("--last-failed"), complete=False)
    assert project.run("--failed-first").status == 0


def test_stopping_at_the_first_failure_is_no_gate(project: Project) -> None:
    with_extra(project, "assert False")
    suite = project.folder / "suites" / "test_small.py"
    suite.rename(project.folder / "suites" / "test_a.py")  # runs before test_second.py
    refused(project.run("-x"), complete=False)


def test_a_check_that_a_conftest_drops_in_silence_is_missed(project: Project) -> None:
    project.write(
        "conftest.py",
        "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'Left' not in i.name]\n",
    )
    refused(project.run(), complete=False)


def test_the_order_in_which_tests_run_does_not_change_the_record(project: Project) -> None:
    forward = project.run()
    project.write("conftest.py", "def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    backward = project.run()
    assert (forward.status, backward.status) == (0, 0)
    assert backward.bytes() == forward.bytes()


# A fault inside one check refuses the run, even if that check is not required


@pytest.mark.parametrize(
    ("body", "decorator", "detail"),
    [
        ("pass", "", "the check did not finish: recorded no verdict: call accept(...)"),
        ("pytest.skip('not today')", "", "skipped, although the check declares no need: not today"),
        (f"{ACCEPT}\npytest.skip('half done')", "", "skipped, although the check declares no need: half done"),
        (ACCEPT, "@pytest.mark.skip(reason='flaky')", "skipped, although the check declares no need: flaky"),
        ("pytest.xfail('known')", "", "marked xfail: an expected failure is no evidence"),
        ("assert False", "@pytest.mark.xfail", "marked xfail: an expected failure is no evidence"),
        ("assert False", "@pytest.mark.xfail(run=False)", "marked xfail: an expected failure is no evidence"),
        ("1 / 0", "", "the check did not finish: ZeroDivisionError: division by zero"),
        (f"{ACCEPT}\nraise ValueError('late')", "", "the check did not finish: ValueError: late"),
        ("accept(True)", "", "the check did not finish: AttributeError"),
        ("metrics.recall(evidence.test, 'Lefty')", "", "the check did not finish: "),
        ("pytest.fail('by hand')", "", "the check did not finish: by hand"),
        ("from roentgate import skipped\naccept(skipped('no'))", "", "no; the policy accepts no skip here"),
        (f"{ACCEPT}\n{ACCEPT}", "", "recorded 2 times, once is wanted: pass (36 of 36 right) / pass"),
    ],
)
def test_a_check_that_is_no_evidence_refuses_the_run(project: Project, body: str, decorator: str, detail: str) -> None:
    with_extra(project, body, decorator)
    record = refused(project.run())
    (row,) = [row for row in record["rows"] if row["check"] == "extra" and not row["accepted"]]
    assert detail in row["detail"]
    assert row["gates"]
    assert row["value"] is None


def test_an_empty_parametrisation_refuses_the_run(project: Project) -> None:
    suite = project.folder / "suites" / "test_small.py"
    empty = "\n\n@pytest.mark.parametrize('image', [])\ndef test_extra(evidence, accept, image):\n    pass\n"
    suite.write_text(suite.read_text("utf-8") + empty, "utf-8")
    result = project.run()
    refused(result)
    (row,) = result.rows("extra")
    assert row["outcome"] == "skipped"
    assert "empty parameter set" in row["detail"]


def test_an_xfail_mark_refuses_a_check_that_passes(project: Project) -> None:
    with_extra(project, ACCEPT, "@pytest.mark.xfail")
    record = refused(project.run())
    assert any(row["check"] == "extra" and not row["accepted"] for row in record["rows"])


def test_a_test_that_reads_the_evidence_and_records_nothing_fails(project: Project) -> None:
    project.write("suites/test_silent.py", "def test_silent(evidence):\n    assert evidence.test is not None\n")
    result = project.run()
    refused(result)
    assert "recorded no verdict: call accept(...)" in result.out


def test_a_failing_test_that_judges_nothing_still_fails_the_run(project: Project) -> None:
    project.write("suites/test_other.py", "def test_other(classes):\n    assert classes == ()\n")
    result = project.run()
    assert result.record()["outcome"] != "fail"
    assert result.status == 1


def test_a_verdict_below_its_bound_fails_with_a_sentence_and_no_traceback(project: Project) -> None:
    with_extra(project, 'accept(at_least(metrics.recall(evidence.test, "Left"), 1.0, guarded=True), subject="x")')
    result = project.run()
    refused(result)
    assert re.search(
        r"extra \[x\]: 1\.000 \[0\.\d+, 1\.000\], n = 12; must be ≥ 1\.000 \(conditional pass\)", result.out
    )
    assert "Traceback" not in result.out
    assert "accept(at_least" not in result.out


def test_a_crash_in_a_teardown_refuses_the_run(project: Project) -> None:
    fixture = "@pytest.fixture(autouse=True)\ndef broken():\n    yield\n    raise OSError('at the end')"
    with_extra(project, ACCEPT, above=fixture)
    result = project.run()
    refused(result, complete=False)
    assert "failed in its teardown" in result.out


def test_a_crash_in_a_setup_refuses_the_run(project: Project) -> None:
    fixture = "@pytest.fixture(autouse=True)\ndef broken():\n    raise OSError('at once')"
    with_extra(project, ACCEPT, above=fixture)
    rows = [row for row in refused(project.run())["rows"] if row["check"] == "extra"]
    assert [row["detail"] for row in rows] == ["the check did not finish: OSError: at once"]


def test_a_suite_that_cannot_be_imported_refuses_the_run(project: Project) -> None:
    project.write("suites/test_broken.py", "import nothing_is_called_so\n")
    result = project.run()
    assert result.status == 2
    assert "no scorecard" in result.out
    result = project.run("--continue-on-collection-errors")
    refused(result, complete=False)
    assert "suites/test_broken.py could not be collected" in result.out


def test_a_required_check_that_no_suite_has_refuses_the_run(project: Project) -> None:
    policy = project.folder / "suites" / "policy.toml"
    policy.write_text(policy.read_text("utf-8").replace('"balanced"]', '"balanced", "calibrated"]'), "utf-8")
    result = project.run()
    refused(result, complete=False)
    (row,) = result.rows("calibrated")
    assert row["reason"] == "missing"


def test_a_run_that_requires_nothing_and_judges_nothing_that_gates_is_no_gate(project: Project) -> None:
    project.write("suites/policy.toml", "")
    project.write("suites/test_second.py", "")
    body = "from roentgate import descriptive\naccept(descriptive(metrics.accuracy(evidence.test)))"
    project.write("suites/test_small.py", "from roentgate.checks import metrics\n")
    with_extra(project, body)
    refused(project.run(), complete=False)


@pytest.mark.parametrize("where", ["check", "teardown"])
def test_leaving_pytest_with_status_0_is_no_way_out(project: Project, where: str) -> None:
    leave = "pytest.exit('enough', returncode=0)"
    if where == "check":
        with_extra(project, leave)
    else:
        with_extra(project, ACCEPT, above=f"@pytest.fixture(autouse=True)\ndef leaving():\n    yield\n    {leave}")
    refused(project.run(), complete=False)


def test_a_worker_that_dies_refuses_the_run(project: Project) -> None:
    with_extra(project, "import os\nos._exit(0)")
    result = project.run_apart("-n", "2", "--max-worker-restart", "0")
    record = refused(result, complete=False)
    assert not any(row["check"] == "extra" and row["accepted"] for row in record["rows"])


# Skips


def test_a_declared_need_is_skipped_and_accepted_unless_the_policy_forbids_it(project: Project) -> None:
    with_extra(project, ACCEPT, "@pytest.mark.needs('layers')")
    result = project.run()
    assert result.status == 0, result.out
    (row,) = result.rows("extra")
    assert (row["outcome"], row["reason"], row["detail"]) == (
        "skipped",
        "excused",
        "the model has no layers to look at",
    )
    assert "1 skipped" in result.out

    policy = project.folder / "suites" / "policy.toml"
    required = policy.read_text("utf-8").replace('"accuracy"]', '"accuracy", "extra"]')
    policy.write_text(required.replace("[gate.required]", '[gate]\nnever_skip = ["extra"]\n[gate.required]'), "utf-8")
    result = project.run()
    refused(result)
    (row,) = result.rows("extra")
    assert (row["outcome"], row["gates"], row["reason"]) == ("skipped", True, "skip_not_allowed")
    assert row["detail"] == "the model has no layers to look at; the policy accepts no skip here"


@pytest.mark.parametrize(("need", "reason"), [("masks", "the data has no masks"), ("groups", "the data names no")])
def test_what_the_data_cannot_have_is_skipped_with_the_reason(project: Project, need: str, reason: str) -> None:
    with_extra(project, ACCEPT, f"@pytest.mark.needs('{need}')")
    result = project.run()
    assert result.status == 0, result.out
    assert result.rows("extra")[0]["detail"].startswith(reason)


def test_a_need_that_nobody_knows_refuses_the_run(project: Project) -> None:
    with_extra(project, ACCEPT, "@pytest.mark.needs('layer')")
    refused(project.run())


# Usage errors: one sentence, exit status 4, no scorecard


def test_no_model_is_a_usage_error(project: Project) -> None:
    project.arguments = lambda given: ["suites", "--data", "toy", *map(str, given)]  # type: ignore[method-assign]
    result = project.run()
    assert result.status != 0
    assert "the acceptance suites judge a model: pass --model NAME" in result.out


def test_an_unknown_model_lists_the_close_names(project: Project) -> None:
    usage_error(project.run("--model", "nearset"), "model 'nearset': no file nearset.py", "did you mean 'nearest'?")


def test_an_unknown_data_set_lists_the_close_names(project: Project) -> None:
    usage_error(project.run("--data", "tov"), "did you mean 'toy'?")


def test_a_policy_that_does_not_exist_is_named(project: Project) -> None:
    usage_error(project.run("--policy", "absent.toml"), "absent.toml: no such file")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("[recall]\nrecall_flor = 0.8\n", "unknown key 'recall_flor'; did you mean 'recall_floor'"),
        ("[recall.floors]\nLft = 0.8\n", "recall.floors names 'Lft', which this data set does not have; did you mean"),
        ("[recal]\nrecall_floor = 0.8\n", "no suite owns the table [recal]; did you mean 'recall'"),
        ('[gate]\nnever_skip = ["accurcy"]\n', "'never_skip' names 'accurcy', which is not required"),
    ],
)
def test_a_fault_in_the_policy_is_a_usage_error(project: Project, policy: str, message: str) -> None:
    project.write("suites/policy.toml", policy)
    usage_error(project.run(), message)


def test_a_fault_in_the_policy_reaches_the_terminal_from_a_worker(project: Project) -> None:
    project.write("suites/policy.toml", "[recal]\nrecall_floor = 0.8\n")
    result = project.run_apart("-n", "1")
    assert result.status == 5, result.out
    assert "no suite owns the table [recal]; did you mean 'recall'" in result.out
    assert "Traceback" not in result.out
    assert not result.reports.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "7"], "--image-size 7: must be N or HxW"),
        (["--image-size", "32x32x1"], "--image-size 32x32x1: must be N or HxW"),
        (["--classes", "Left,Right"], "--classes: goes with a bare .keras file"),
        (["--seed", "-1"], "--seed -1: must lie between 0 and"),
        (["--weights", "w.keras"], "there is nothing to put weights in"),
        (["--weights", "w.keras", "--model", "nearest", "--model", "other"], "--weights goes with a single --model"),
        (["--model", "a/m.py", "--model", "b/m.py"], "both reports would go to the folder 'm'"),
        (["--model", "trained.h5"], "trained.h5': HDF5 files can execute code past Keras' safe mode"),
        (["--model", "trained.pkl"], "trained.pkl': pickle files can execute code"),
        (["--model", "trained.pkl", "--trust-model-file"], "not a Keras model; wrap it in a model file"),
        (["--model", "absent.keras"], "no such file"),
    ],
)
def test_a_fault_in_an_option_is_a_usage_error(project: Project, arguments: list[str], message: str) -> None:
    project.write("trained.h5", "")
    project.write("trained.pkl", "")
    usage_error(project.run(*arguments), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = 3\n", "offers neither build(task) nor load(task)"),
        ("def load(task:\n", "not valid Python"),
        ("import sys\nsys.exit(0)\n", "importing it raised SystemExit: 0"),
        ("1 / 0\n", "importing it raised ZeroDivisionError: division by zero"),
        ("def load(task):\n    raise OSError('gone')\n", "load() raised OSError: gone"),
        ("def load(task):\n    raise SystemExit(0)\n", "load() raised SystemExit: 0"),
        ("def load(task):\n    return 3\n", "load(task) must return an object with predict(images)"),
        (
            "import types\nFILES = ('absent',)\ndef load(task):\n    return types.SimpleNamespace(predict=len)\n",
            "FILES names",
        ),
        ("IMAGE_SHAPE = (8, 8, 2)\ndef load(task): ...\n", "IMAGE_SHAPE asks for 2 channels"),
        ("POSITIVE = 'Lfet'\ndef load(task): ...\n", "POSITIVE names 'Lfet'"),
    ],
)
def test_a_fault_in_a_model_file_is_a_usage_error(project: Project, text: str, message: str) -> None:
    project.write("models/faulty.py", text)
    usage_error(project.run("--model", "faulty"), message, "model")


ANSWERS = """
import numpy as np

class Answers:
    def predict(self, images):
        n = len(images)
        {body}

def load(task):
    return Answers()
"""


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("raise OSError('gone')", "model 'faulty': predict raised OSError: gone"),
        ("raise SystemExit(0)", "model 'faulty': predict raised SystemExit: 0"),
        ("return np.ones((n, 2))", "gives outputs of shape (32, 2), but there are 3 classes (Bottom, Left, Right)"),
        ("return np.ones((n + 1, 3))", "predict gave (33, 3) float64 for 32 images"),
        ("return 'Covid'", "predict gave ()"),
    ],
)
def test_a_model_that_does_not_answer_is_refused_with_a_sentence(project: Project, body: str, detail: str) -> None:
    project.write("models/faulty.py", ANSWERS.format(body=body))
    result = project.run("--model", "faulty")
    assert result.status == 1
    assert detail in result.out
    assert "Traceback" not in result.out
    assert "no scorecard" in result.out or result.record("faulty")["outcome"] == "fail"


@pytest.mark.parametrize("body", ["return np.full((n, 3), np.nan)", "return np.arange(3 * n).reshape(n, 3) - 4.0"])
def test_nan_and_logits_are_judged_as_they_are_and_refused(project: Project, body: str) -> None:
    shutil.copy(ROOT / "suites" / "test_inference.py", project.folder / "suites")
    project.write("models/faulty.py", ANSWERS.format(body=body))
    result = project.run("--model", "faulty")
    record = refused(result, model="faulty")
    rows = {row["subject"]: row for row in record["rows"] if row["check"] == "outputs_are_probabilities"}
    assert all(row["outcome"] == "fail" for row in rows.values())
    assert len(rows["test"]["failing"]) == 36


# Several models


def test_two_models_are_judged_in_one_run_and_set_side_by_side(project: Project) -> None:
    project.write("models/constant.py", ANSWERS.format(body="return np.tile(np.float32([1, 0, 0]), (n, 1))"))
    result = project.run("--model", "nearest", "--model", "constant", "--model", "nearest")
    assert result.status == 1
    assert result.record("nearest")["outcome"] != "fail"
    assert result.record("constant")["outcome"] == "fail"
    table = (result.reports / "toy" / "side-by-side.md").read_text("utf-8")
    assert "nearest" in table
    assert "constant" in table
    assert "side by side: reports/toy/side-by-side.md" in result.out


# What is stored


def test_a_model_that_reads_what_it_does_not_declare_is_judged_but_never_cached(project: Project) -> None:
    model = project.folder / "models" / "nearest.py"
    model.write_text(model.read_text("utf-8").replace('FILES = ("means.npz",)', ""), "utf-8")
    before = {name for name in project.stored() if name.startswith(("evidence/", "weights/"))}
    for _ in range(2):
        result = project.run()
        assert result.status == 0, result.out
        notes = json.loads((result.reports / "toy" / "nearest" / "evidence.json").read_text("utf-8"))["notes"]
        (note,) = notes
        assert note.startswith("not cached: the model file reads what it does not declare (")
        assert "means.npz); add it to FILES" in note
        assert {name for name in project.stored() if name.startswith(("evidence/", "weights/"))} == before
    means = project.folder / "models" / "means.npz"
    with np.load(means) as archive:
        np.savez(means, means=archive["means"][[1, 2, 0]])
    refused(project.run())


def test_a_changed_declared_file_is_judged_anew(project: Project) -> None:
    assert project.run().status == 0
    means = project.folder / "models" / "means.npz"
    with np.load(means) as archive:
        np.savez(means, means=archive["means"][[1, 2, 0]])
    refused(project.run())


@pytest.mark.filterwarnings("default")
def test_damaged_items_of_the_store_are_made_again(project: Project) -> None:
    project.store = project.folder / "store"
    sound = project.run()
    assert sound.status == 0, sound.out
    for name in project.stored():
        path = project.store / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = project.run()
    assert again.status == 0, again.out
    assert again.bytes() == sound.bytes()


def test_a_run_killed_while_evidence_is_gathered_leaves_a_store_that_the_next_run_uses(
    whole: tuple[Project, Result], tmp_path: Path
) -> None:
    from tests.support.toy import make_project

    complete, sound = whole
    project = make_project(tmp_path / "project", complete.images, tmp_path / "store")
    project.use_real_suites()
    model = project.folder / "models" / "nearest.py"
    model.write_text(model.read_text("utf-8").replace("        odds =", DIE + "        odds ="), "utf-8")
    project.environment = {"DIE_AT": "50"}
    assert project.run_apart().status == -signal.SIGKILL
    kept = project.stored()
    assert any(name.startswith("evidence") for name in kept)
    project.environment = {}
    result = project.run_apart()
    assert result.status == 0, result.out
    assert result.record()["rows"] == sound.record()["rows"]
    after = project.stored()
    assert {name: time for name, time in kept.items() if "tmp" not in name} == {
        name: after[name] for name in kept if "tmp" not in name
    }


DIE = """
        import os
        import signal
        Nearest.calls = getattr(Nearest, "calls", 0) + 1
        if str(Nearest.calls) == os.environ.get("DIE_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


# Names that a user chose


def test_hostile_class_names_run_through_to_every_rendering(tmp_path: Path, toy_store: Path) -> None:
    from tests.support.toy import make_project, write_images

    names = ("<b>Links", "Größe $x^2$", "a|b", "line\nbreak")
    images = write_images(tmp_path / "images", names)
    project = make_project(tmp_path / "project", images, toy_store, names)
    result = project.run_apart()
    assert result.status == 0, result.out
    assert result.record()["dataset"]["classes"] == list(names)
    assert {row["subject"] for row in result.rows("recall_floor")} == set(names)
    folder = result.reports / "toy" / "nearest"
    for name in ("scorecard.md", "scorecard.html"):
        text = (folder / name).read_text("utf-8")
        outside = re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", text)  # fenced text is shown verbatim
        assert "<b>Links" not in outside
        assert "Größe" in text
    table = [
        line for line in (folder / "scorecard.md").read_text("utf-8").splitlines() if line.startswith("| Sensitivity, ")
    ]
    assert len(table) == len(names)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert (folder / "confusion.png").is_file()


# A network that is trained here

LINEAR = """
import keras
from keras import layers

from roentgate import Recipe

RECIPE = Recipe(batch_size=12, epochs=30, patience=30)


def build(task):
    network = keras.Sequential(
        [
            keras.Input(task.image_shape),
            layers.Cropping2D(4),
            layers.Conv2D(1, 1, kernel_initializer="ones"),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dense(len(task.classes), activation="softmax"),
        ]
    )
    network.compile(optimizer=keras.optimizers.Adam(0.1), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
"""


@pytest.fixture(scope="session")
def at_once(tmp_path_factory: pytest.TempPathFactory, toy_images: Path) -> tuple[Project, list[Result]]:
    """A project whose network two runs at once train and judge on one new store."""
    from tests.support.toy import Result, make_project

    folder = tmp_path_factory.mktemp("trained")
    project = make_project(folder, toy_images, folder / "store")
    project.use_real_suites()
    project.write("models/linear.py", LINEAR)
    started = [project.start("--model", "linear", reports=name) for name in ("one", "two")]
    results = []
    for process, name in zip(started, ("one", "two"), strict=True):
        with process:
            out, _ = process.communicate(timeout=600)
        results.append(Result(process.returncode, out, folder / name))
    return project, results


@pytest.mark.trains
def test_two_runs_at_once_on_one_store_both_succeed_and_train_once(at_once: tuple[Project, list[Result]]) -> None:
    _, results = at_once
    for result in results:
        assert result.status == 0, result.out
    first, second = results
    assert first.bytes("linear") == second.bytes("linear")
    assert first.record("linear")["model"]["weights"] == "trained here"
    seconds = [json.loads((r.reports / "toy/linear/run.json").read_text("utf-8"))["seconds"] for r in results]
    assert sum("linear: training" in each for each in seconds) == 1


@pytest.mark.trains
def test_an_unchanged_network_is_judged_again_without_its_framework(at_once: tuple[Project, list[Result]]) -> None:
    project, (first, _) = at_once
    before = project.stored()
    again = without_frameworks(project).run_apart("--model", "linear", reports="again")
    assert again.status == 0, again.out
    assert again.bytes("linear") == first.bytes("linear")
    assert project.stored() == before


@pytest.mark.trains
def test_stored_weights_are_judged_instead_of_training(at_once: tuple[Project, list[Result]]) -> None:
    project, (first, _) = at_once
    (weights,) = (project.store / "weights").glob("*.keras")
    artefact = shutil.copy(weights, project.folder / "kept.keras")
    result = project.run_apart("--model", "linear", "--weights", artefact, reports="kept")
    assert result.status == 0, result.out
    record, trained = result.record("linear"), first.record("linear")
    assert record["model"]["weights"] == "loaded"
    apart = {"training_curve"}  # a loaded model has none
    rows = [[row for row in each["rows"] if row["check"] not in apart] for each in (record, trained)]
    assert rows[0] == rows[1]
    assert "linear: training" not in (result.reports / "toy/linear/run.json").read_text("utf-8")


@pytest.mark.trains
def test_added_images_are_judged_alone_by_the_stored_weights(at_once: tuple[Project, list[Result]]) -> None:
    """A folder with the old train images and the added ones as its test split is a data set of its own."""
    project, (first, _) = at_once
    (weights,) = (project.store / "weights").glob("*.keras")
    artefact = shutil.copy(weights, project.folder / "kept.keras")
    added = shutil.copytree(project.images, project.folder / "added")
    for path in sorted((added / "test").rglob("*.png")):
        pixels = np.asarray(Image.open(path)).astype(np.int64)
        Image.fromarray(np.clip(pixels + 3, 0, 255).astype(np.uint8)).save(path)
    given = ("--model", "linear", "--weights", artefact, "--data", f"toy={added}")
    result = project.run_apart(*given, reports="added")
    record, before = result.record("linear"), first.record("linear")
    assert record["complete"], result.out
    assert record["model"]["fingerprint"] == before["model"]["fingerprint"]
    assert record["dataset"]["fingerprint"] != before["dataset"]["fingerprint"]
    assert record["dataset"]["counts"]["test"] == before["dataset"]["counts"]["test"]
