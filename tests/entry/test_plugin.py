"""The pytest plugin: parametrisation, fixtures, foreign tests and workers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.support.toy import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

FIXTURES = """
from roentgate import Predictions, at_least, metrics


def test_fixtures(evidence, stream, inference_record, border_answers, policy, classes, accept, split):
    assert isinstance(evidence.test, Predictions)
    assert isinstance(evidence.validation, Predictions)
    assert stream.split == split
    assert stream.ids == getattr(evidence, split).ids
    assert inference_record.layers is None
    assert border_answers.clean is evidence.test
    assert set(border_answers.masked) == {(width, infill) for width in (0.05, 0.10) for infill in policy.border.infills}
    assert classes == ("Bottom", "Left", "Right")
    accept(at_least(metrics.accuracy(evidence.test), policy.recall.recall_floor), subject=split)
"""


def listed(project: Project, *arguments: str) -> list[str]:
    """Return the ids of the tests that pytest collects."""
    return [line for line in project.run("--collect-only", "-q", *arguments).out.splitlines() if "::" in line]


def test_a_suite_is_parametrised_by_class_split_and_border(project: Project) -> None:
    project.use_real_suites()
    tests = listed(project)
    assert len(set(tests)) == len(tests)

    def given(test: str) -> set[str]:
        return {name.partition("[nearest-")[2].rstrip("]") for name in tests if f"::{test}[" in name}

    assert given("test_recall_floor") == set(CLASSES)
    assert given("test_confusion_ceiling") == {f"{label}>{predicted}" for label, predicted in permutations(CLASSES, 2)}
    assert given("test_stream_complete") == {"validation", "test"}
    assert given("test_border_mask_flips") == {"0.05", "0.1"}


def test_the_policy_decides_which_borders_there_are(project: Project) -> None:
    project.use_real_suites()
    project.write("suites/policy.toml", '[border]\nborders = [0.08]\nstress_borders = []\ninfills = ["mean"]\n')
    flips = [name for name in listed(project) if "border_mask_flips" in name]
    assert flips == ["suites/test_border.py::test_border_mask_flips[nearest-0.08]"]


def test_each_model_has_its_own_tests(project: Project) -> None:
    tests = listed(project, "--model", "nearest", "--model", "other")
    nearest, other = (sorted(name for name in tests if f"[{model}" in name) for model in ("nearest", "other"))
    assert nearest == sorted(name.replace("[other", "[nearest") for name in other)
    assert nearest
    assert sorted(tests) == sorted([*nearest, *other])


def test_collection_reads_no_image_and_no_model(project: Project) -> None:
    """Only the class folders exist here."""
    root = project.folder / "images"
    for label in ("A", "B"):
        (root / "train" / label).mkdir(parents=True)
    assert len(listed(project, "--data", str(root), "--model", "absent")) == 4


def test_fixtures_give_the_evidence_the_policy_and_the_classes(project: Project) -> None:
    project.write("suites/test_fixtures.py", FIXTURES)
    result = project.run()
    assert result.status == 0, result.out
    assert [row["subject"] for row in result.rows("fixtures")] == ["validation", "test"]


def test_a_suite_of_ones_own_has_a_policy_table_of_its_own(project: Project) -> None:
    suite = """
    from roentgate import Table, at_least, metrics


    class Bounds(Table):
        accuracy_floor: float = 0.5


    def test_own(evidence, policy, accept):
        accept(at_least(metrics.accuracy(evidence.test), policy.own.accuracy_floor), subject="test")
    """
    project.write("suites/test_own.py", "\n".join(line[4:] for line in suite.splitlines()))
    policy = project.folder / "suites" / "policy.toml"
    policy.write_text(policy.read_text("utf-8") + "[own]\naccuracy_floor = 0.75\n", "utf-8")
    result = project.run()
    assert result.status == 0, result.out
    assert result.rows("own")[0]["bound"] == 0.75
    policy.write_text(policy.read_text("utf-8").replace("accuracy_floor", "accurcy_floor"), "utf-8")
    result = project.run()
    assert result.status == 4
    assert "table [own]: unknown key 'accurcy_floor'; did you mean 'accuracy_floor'?" in result.out


# Other people's tests

FOREIGN = """
import sys

import pytest


@pytest.fixture
def policy():
    return "my own"


@pytest.fixture
def run():
    return "mine too"


def test_foreign(policy, run):
    assert (policy, run) == ("my own", "mine too")


@pytest.mark.xfail
def test_expected_failure():
    assert False
"""


def without_model(project: Project, *arguments: str) -> Project:
    """Let the project call pytest with these arguments only."""
    project.arguments = lambda given: ["-p", "no:faulthandler", *arguments, *map(str, given)]  # type: ignore[method-assign]
    return project


def test_tests_that_ask_for_nothing_are_left_alone(project: Project) -> None:
    project.write("unit/test_foreign.py", FOREIGN)
    result = without_model(project, "unit").run()
    assert result.status == 0, result.out
    assert "1 passed, 1 xfailed" in result.out
    assert "roentgate" not in result.out.replace("plugins: roentgate", "")


def test_naming_a_model_where_nothing_judges_it_is_no_gate(project: Project) -> None:
    project.write("unit/test_foreign.py", FOREIGN)
    result = without_model(project, "unit", "--model", "nearest", "--data", "toy").run()
    assert result.status == 5
    assert "1 passed, 1 xfailed" in result.out
    assert "partial run, not a gate: nothing was judged" in result.out


def test_other_tests_run_beside_a_suite(project: Project) -> None:
    project.write("suites/test_foreign.py", FOREIGN)
    result = project.run()
    assert result.status == 0, result.out
    assert len(result.record()["rows"]) == 5


def test_asking_for_the_bounds_without_a_model_fails_with_a_sentence(project: Project) -> None:
    project.write("unit/test_policy.py", "def test_policy(policy):\n    pass\n")
    result = without_model(project, "unit").run()
    assert result.status == 1
    assert "there is no run to ask for its bounds or classes" in result.out
    assert "pass --model NAME" in result.out


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]], ids=["serial", "worker"])
def test_a_suite_without_a_model_says_what_to_pass(project: Project, arguments: list[str]) -> None:
    result = without_model(project, "suites", *arguments).run_apart()
    assert result.status == (1 if arguments else 4)  # what a worker cannot collect is an error of its own
    assert "the acceptance suites judge a model: pass --model NAME" in result.out


# Where it runs


def test_it_runs_from_another_folder_and_reports_are_seen_from_there(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    suites = project.folder / "suites"
    without_model(project, str(suites), "--model", "nearest", "--data", "toy", "--report-dir", "out")
    inside, project.folder = project.folder, elsewhere
    result = project.run()
    assert result.status == 0, result.out
    assert (elsewhere / "out" / "toy" / "nearest" / "scorecard.json").is_file()
    assert not (inside / "reports").exists()


def test_a_store_lies_in_the_project_unless_it_is_told_where(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(project), "_variables", lambda _: {"PATH": ""})
    assert project.run("suites/test_second.py").status == 1
    assert (project.folder / ".roentgate" / "evidence").is_dir()


def test_junit_carries_the_rows(project: Project) -> None:
    assert project.run("--junitxml", "junit.xml").status == 0
    tree = ET.parse(project.folder / "junit.xml")
    rows = [each.get("value", "") for each in tree.iter("property") if each.get("name") == "roentgate"]
    assert len(rows) == 5
    assert any('"check": "recall_floor"' in row for row in rows)


def test_workers_of_one_run_share_what_an_uncacheable_model_computed(project: Project) -> None:
    model = project.folder / "models" / "nearest.py"
    model.write_text(model.read_text("utf-8").replace('FILES = ("means.npz",)', ""), "utf-8")
    result = project.run_apart("-n", "2")
    assert result.status == 0, result.out
    assert len(result.record()["rows"]) == 5
