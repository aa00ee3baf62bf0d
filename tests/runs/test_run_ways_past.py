"""Runs that once got past the gate are refused.

Each judged everything and would have passed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.runs.test_run import ACCEPT, refused, with_extra

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

OWN_SUITE = '''
"""A suite that no policy requires and that the model fails."""

from roentgate import at_least, metrics


def test_own(evidence, accept):
    """The bound is out of reach."""
    accept(at_least(metrics.accuracy(evidence.test), 1.5))
'''

BAD = "accept(at_least(metrics.accuracy(evidence.test), 1.5))"


def test_the_run_cannot_be_blocked_as_a_plugin(project: Project) -> None:
    with_extra(project, BAD)
    refused(project.run("-p", "no:roentgate-run"))


@pytest.mark.parametrize(
    "arguments",
    [["suites/test_second.py", "suites/test_small.py"], ["--ignore=suites/test_own.py"]],
    ids=["files named", "file ignored"],
)
def test_a_suite_in_the_policys_folder_that_is_left_out_makes_the_run_partial(
    project: Project, arguments: list[str]
) -> None:
    project.write("suites/test_own.py", OWN_SUITE)
    result = project.run(*arguments)
    refused(result, complete=False)
    assert "no test of test_own.py is part of this run" in result.out


def test_a_suite_that_skips_itself_makes_the_run_partial(project: Project) -> None:
    project.write(
        "suites/test_own.py", 'import pytest\n\npytest.skip("not today", allow_module_level=True)\n' + OWN_SUITE
    )
    refused(project.run(), complete=False)


def test_a_policy_that_names_no_required_check_requires_those_of_the_core_suites(project: Project) -> None:
    project.write("suites/policy.toml", "[recall]\nrecall_floor = 0.5\n")
    record = refused(project.run(), complete=False)
    assert {row["check"] for row in record["rows"] if row["reason"] == "missing"} > {
        "stream_complete",
        "border_swap",
    }


@pytest.mark.parametrize(
    "conftest",
    [
        "import pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if 'Left' not in item.nodeid]\n",
    ],
)
def test_a_single_class_that_a_nested_conftest_drops_makes_the_run_partial(project: Project, conftest: str) -> None:
    small = project.folder / "suites" / "test_small.py"
    project.write("suites/inner/test_small.py", small.read_text("utf-8"))
    small.unlink()
    project.write("suites/inner/conftest.py", conftest)
    result = project.run()
    refused(result, complete=False)
    assert "tests were deselected" in result.out


def test_a_verdict_after_the_end_of_its_test_refuses_the_run(project: Project) -> None:
    late = "@pytest.fixture\ndef late(evidence, accept):\n    yield\n    " + BAD
    with_extra(project, ACCEPT, decorator='@pytest.mark.usefixtures("late")', above=late)
    result = project.run()
    refused(result, complete=False)
    assert "accept(...) was called after the test's end" in result.out


@pytest.mark.parametrize(
    "needs", ["@pytest.mark.needs()", '@pytest.mark.needs("groups", "masks")'], ids=["none", "had"]
)
def test_a_skip_is_excused_only_where_what_is_needed_is_lacking(
    project: Project, needs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roentgate.session.session import Session

    monkeypatch.setattr(Session, "lacks", lambda *_: "")
    with_extra(
        project, 'accept(skipped("I do not feel like it"))', decorator=needs, above="from roentgate import skipped"
    )
    (row,) = [row for row in refused(project.run())["rows"] if row["check"] == "extra"]
    assert row["gates"]
    assert not row["accepted"]


def test_running_xfails_as_passes_makes_the_run_partial(project: Project) -> None:
    with_extra(project, ACCEPT + "\npytest.xfail('later')")
    refused(project.run("--runxfail"), complete=False)


def test_rows_accepted_inside_subtests_count_once(project: Project) -> None:
    body = (
        "for name in ('a', 'b'):\n"
        "    with subtests.test(name):\n"
        "        accept(at_least(metrics.accuracy(evidence.test), 0.5), subject=name)"
    )
    suite = project.folder / "suites" / "test_small.py"
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    text = suite.read_text("utf-8") + f"\n\ndef test_extra(evidence, accept, subtests):\n{indented}\n"
    suite.write_text(text, "utf-8")
    result = project.run()
    assert result.status == 0, result.out
    assert [row["subject"] for row in result.rows("extra")] == ["a", "b"]


def test_the_order_in_which_suites_are_named_does_not_change_the_record(project: Project) -> None:
    first = project.run("suites/test_second.py", "suites/test_small.py").bytes()
    assert project.run("suites/test_small.py", "suites/test_second.py").bytes() == first


def test_borders_of_neighbouring_widths_are_rows_of_their_own(project: Project) -> None:
    project.use_real_suites()
    project.write("suites/policy.toml", "[border]\nborders = [0.12, 0.125]\nstress_borders = []\n")
    rows = project.run().rows("border_swap")
    assert [row["subject"] for row in rows] == ["12% border", "12.5% border"]


OWN_BOUNDS = '''
"""A suite with a table of its own."""

from roentgate import Table, at_least, metrics


class Bounds(Table):
    least: float = 0.4


def test_own(evidence, policy, accept):
    """The bound is that of the policy."""
    accept(at_least(metrics.accuracy(evidence.test), policy.own.least))
'''


def test_the_fingerprint_of_the_policy_is_the_same_with_workers_and_knows_a_suites_own_bounds(project: Project) -> None:
    project.write("suites/test_own.py", OWN_BOUNDS)
    serial = project.run_apart(reports="one").record()["policy"]
    assert project.run_apart("-n", "2", reports="two").record()["policy"] == serial
    with (project.folder / "suites" / "policy.toml").open("a", encoding="utf-8") as file:
        file.write("\n[own]\nleast = 0.9\n")
    assert project.run_apart("-n", "2", reports="three").record()["policy"] != serial


CRASHES = """
class Crashes:
    def predict(self, images):
        raise RuntimeError("out of order")


def load(task):
    return Crashes()
"""


def test_a_model_that_crashes_gets_its_scorecard_and_leaves_the_others_theirs(project: Project) -> None:
    project.write("models/crash.py", CRASHES)
    result = project.run("--model", "crash", "--model", "nearest")
    assert result.status == 1
    assert result.record("crash")["outcome"] == "fail"
    assert result.record("nearest")["outcome"] != "fail"
    notes = json.loads((result.reports / "toy" / "crash" / "evidence.json").read_text("utf-8"))["notes"]
    assert "out of order" in notes[0]


def test_an_older_scorecard_does_not_outlive_a_run_that_ends_without_one(project: Project) -> None:
    assert project.run().record()["outcome"] != "fail"
    model = project.folder / "models" / "nearest.py"
    model.write_text(
        model.read_text("utf-8").replace("def load(task):", "def load(task):\n    raise OSError('gone')"), "utf-8"
    )
    result = project.run()
    assert result.status == 4
    assert not (result.reports / "toy" / "nearest" / "scorecard.json").exists()
