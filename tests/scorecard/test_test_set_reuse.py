"""Tests of what many test-set evaluations cost.

The cost is stated once and does not change with later evaluations. A cap refuses, and every run is recorded.
"""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from roentgate.__main__ import main
from roentgate.candidates.predictions import Predictions
from roentgate.policy.bounds import LedgerBounds
from roentgate.report import figures
from roentgate.scorecard import ledger, test_set_reuse
from roentgate.scorecard.test_set_reuse import Place
from roentgate.stats.estimate import grouped_proportion, proportion
from roentgate.store import digest, file_digest
from tests.scorecard.test_ledger import evaluation
from tests.support.toy import NEAREST

if TYPE_CHECKING:
    from roentgate.stats.verdict import Verdict
    from tests.support.toy import Project, Result

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).resolve().parents[2]
EACH = 100


def answered(*right: int, groups: tuple[str, ...] | None = None) -> Predictions:
    """Return predictions with so many of `EACH` images of two classes right."""
    answers = np.concatenate([np.where(np.arange(EACH) < count, index, 1 - index) for index, count in enumerate(right)])
    return Predictions(
        ids=tuple(f"r{row:03d}" for row in range(2 * EACH)),
        classes=("Covid", "Normal"),
        labels=np.repeat([0, 1], EACH),
        probabilities=np.eye(2, dtype=np.float32)[answers],
        groups=groups,
    )


def place(before: int = 0, *, test: Predictions | None = None, unsure: int = 0, prior: int = 0) -> Place:
    return Place(name="mine", before=before, unsure=unsure, n=2 * EACH, test=test, prior=prior)


# What a scorecard says


def test_the_first_model_needs_no_allowance() -> None:
    sentences = test_set_reuse.section(place(test=answered(90, 80)))
    assert sentences[0].startswith(
        "mine is the first model that this ledger records for these 200 test images, in the order of"
    )
    assert "this ledger records no earlier model" in sentences[1]
    number = test_set_reuse.models(place(test=answered(90, 80)))
    assert (number.value, number.low, number.high, number.n) == (1.0, 1.0, 1.0, 200)
    assert number.detail == "the first model that this ledger records for these 200 test images"


def test_a_later_model_is_shown_with_limits_that_hold_for_all() -> None:
    sentences = test_set_reuse.section(place(4, test=answered(90, 80)))
    assert "mine is the 5th model that this ledger records" in sentences[0]
    wide, alone = proportion(170, 200, confidence=0.99), proportion(170, 200)
    assert (
        f"accuracy 0.850 [{wide.low:.3f}, {wide.high:.3f}] instead of [{alone.low:.3f}, {alone.high:.3f}]"
        in sentences[1]
    )
    worst = proportion(80, 100, confidence=0.99)
    assert f"lowest recall, Normal, 0.800 [{worst.low:.3f}, {worst.high:.3f}]" in sentences[1]
    assert "For all 5 to hold at once in 95 % of test sets, each takes 99 % (Bonferroni)" in sentences[1]
    assert "of 5, at least one in up to 25 %" in sentences[1]
    assert (
        "accuracy 0.850 [0.774, 0.909] at 99 %, which holds for all 5 at once"
        in test_set_reuse.models(place(4, test=answered(90, 80))).detail
    )


def test_damaged_lines_widen_the_count_and_the_confidence() -> None:
    number = test_set_reuse.models(place(2, test=answered(90, 80), unsure=2))
    assert (number.value, number.low, number.high) == (3.0, 3.0, 5.0)
    assert (
        "the 3rd model that this ledger records for these 200 test images (2 damaged lines of the ledger may hide more)"
        in number.detail
    )
    assert "at 99 %, which holds for all 5" in number.detail


def test_models_judged_before_the_ledger_began_are_counted_and_widen_the_limits() -> None:
    judged = place(0, test=answered(90, 80), prior=17)
    number = test_set_reuse.models(judged)
    assert (number.value, number.low, number.high) == (18.0, 18.0, np.inf)
    assert number.detail.startswith(
        "at least the 18th model judged on these 200 test images: the data card counts 17 before this ledger began; "
    )
    wide = proportion(170, 200, confidence=1 - 0.05 / 18)
    assert f"accuracy 0.850 [{wide.low:.3f}, {wide.high:.3f}] at 99.72 %, which holds for all 18" in number.detail
    sentences = " ".join(test_set_reuse.section(judged))
    assert "first model" not in sentences
    assert "of at least 18, at least one in up to 90 %" in sentences
    assert test_set_reuse.models(place(2, prior=17)).value == 20


def test_a_model_without_answers_is_counted_all_the_same() -> None:
    assert test_set_reuse.models(place(2)).detail == "the 3rd model that this ledger records for these 200 test images"
    sentences = " ".join(test_set_reuse.section(place(2)))
    assert "accuracy 0" not in sentences


def test_the_limits_that_hold_for_all_are_wider_where_images_share_a_patient() -> None:
    groups = tuple(f"p{row // 10}" for row in range(2 * EACH))
    test = answered(90, 80, groups=groups)
    wide = grouped_proportion(test.answers == test.labels, groups, confidence=0.99)
    detail = test_set_reuse.models(place(4, test=test)).detail
    assert f"accuracy 0.850 [{wide.low:.3f}, {wide.high:.3f}] at 99 %" in detail
    assert wide.low < proportion(170, 200, confidence=0.99).low


@pytest.mark.parametrize(
    ("models", "shown"), [(2, "97.5 %"), (3, "98.33 %"), (1000, "99.995 %"), (20_000, "99.99975 %")]
)
def test_a_level_is_never_rounded_to_all(models: int, shown: str) -> None:
    assert test_set_reuse._percent(ledger.confidence(models)) == shown


# The check


def checked(models: int, ceiling: int | None, unsure: int = 0, prior: int = 0) -> Verdict:
    spec = importlib.util.spec_from_file_location("suite_ledger", ROOT / "suites" / "test_ledger.py")
    assert spec is not None
    assert spec.loader is not None
    suite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(suite)
    found: list[tuple[Verdict, str]] = []
    bounds = SimpleNamespace(ledger=LedgerBounds(most_models=ceiling))
    suite.test_test_set_evaluations(
        place(models - prior - 1, unsure=unsure, prior=prior),
        bounds,
        lambda verdict, subject: found.append((verdict, subject)),
    )
    ((verdict, subject),) = found
    assert subject == "test"
    return verdict


def test_without_a_cap_the_number_informs() -> None:
    assert not checked(1000, None).gates
    assert checked(1000, None).accepted("guarded")


def test_a_cap_is_met_at_its_value_and_missed_beyond_it() -> None:
    assert checked(20, 20).outcome == "pass"
    assert checked(21, 20).outcome == "fail"
    assert not checked(21, 20).accepted("simple")


def test_a_damaged_line_leaves_it_open_whether_a_cap_is_met() -> None:
    verdict = checked(20, 20, unsure=1)
    assert verdict.outcome == "conditional_pass"
    assert not verdict.accepted("guarded")


def test_a_count_that_is_a_least_one_settles_no_cap_but_may_miss_it() -> None:
    verdict = checked(18, 20, prior=17)
    assert verdict.outcome == "conditional_pass"
    assert not verdict.accepted("guarded")
    assert checked(21, 20, prior=17).outcome == "fail"


def test_the_shipped_policy_has_no_cap() -> None:
    assert tomllib.loads((ROOT / "suites" / "policy.toml").read_text("utf-8"))["ledger"] == {}


# Runs

SHIFTED = NEAREST.replace('return Nearest(archive["means"])', 'return Nearest(archive["means"] + np.float32({shift}))')
"""The sound model with other sources: another model with the same answers."""
LEDGER = "ledger = ['test_set_evaluations']\n"


@pytest.fixture
def judged(project: Project) -> Project:
    """A project whose suites count the evaluations.

    It has three further models with the same predictions as the sound one.
    """
    policy = (project.folder / "suites" / "policy.toml").read_text("utf-8")
    project.write("suites/policy.toml", policy.replace("[recall]", f"{LEDGER}[recall]"))
    project.write("suites/test_ledger.py", (ROOT / "suites" / "test_ledger.py").read_text("utf-8"))
    for number in range(3):
        project.write(f"models/m{number}.py", SHIFTED.format(shift=f"{number + 1}e-9"))
    return project


def recorded(project: Project, reports: str = "reports") -> ledger.Ledger:
    return ledger.read(project.folder / reports / "toy" / "ledger.jsonl")


def count(result: Result, model: str = "nearest") -> float:
    (row,) = result.rows("test_set_evaluations", model)
    assert row["value"] is not None
    return row["value"]


def test_an_evaluation_is_recorded_with_its_figures(judged: Project) -> None:
    result = judged.run()
    assert result.status == 0, result.out
    (own,) = recorded(judged).evaluations
    record = result.record()
    assert (own.model, own.fingerprint, own.seed) == ("nearest", record["model"]["fingerprint"], 0)
    assert (own.n, own.right, own.accepted, own.complete) == (36, 36, True, True)
    assert own.recalls == {"Bottom": (12, 12), "Left": (12, 12), "Right": (12, 12)}
    assert (
        "1st model that this ledger records for these test images; by now it records 1 model in 1 evaluation"
        in result.out
    )
    run = json.loads((result.reports / "toy/nearest/run.json").read_text("utf-8"))
    assert run["evaluations"] == {
        "place": 1,
        "models": 1,
        "prior_evaluations": 0,
        "evaluations": 1,
        "damaged_lines": [],
    }


def test_models_are_counted_and_judging_one_again_changes_nothing(judged: Project) -> None:
    results = {model: judged.run("--model", model) for model in ("nearest", "m0", "m1")}
    assert [count(result, model) for model, result in results.items()] == [1, 2, 3]
    before = {
        (model, name): (result.reports / "toy" / model / name).read_bytes()
        for model, result in results.items()
        for name in ("scorecard.json", "scorecard.md", "scorecard.html", "evidence.json")
    }
    for model in ("m0", "nearest", "m1", "m0"):
        again = judged.run("--model", model)
    assert {(model, name): (again.reports / "toy" / model / name).read_bytes() for model, name in before} == before
    assert len(recorded(judged).evaluations) == 7
    assert "by now it records 3 models in 7 evaluations" in again.out
    page = (again.reports / "toy" / "m1" / "scorecard.md").read_text("utf-8")
    assert "## Evaluations on this test set" in page
    assert "m1 is the 3rd model that this ledger records for these 36 test images" in page
    assert "<summary>Evaluations on this test set</summary>" in (again.reports / "toy/m1/scorecard.html").read_text(
        "utf-8"
    )


def test_evaluations_before_the_ledger_are_those_of_the_data_card(
    judged: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (judged.folder / "data" / "toy.toml").read_text("utf-8")
    judged.write("data/toy.toml", f"prior_evaluations = 17\n{card}")
    first, second = judged.run("--no-figures"), judged.run("--model", "m0", "--no-figures")
    assert (count(first), count(second, "m0")) == (18, 19)
    assert "at least the 19th model judged on these test images, 17 before this ledger began; by now it records 2" in (
        second.out
    )
    record = first.record()
    assert record["dataset"]["prior_evaluations"] == 17
    (row,) = first.rows("test_set_evaluations")
    assert row["high"] is None
    page = (second.reports / "toy" / "m0" / "scorecard.md").read_text("utf-8")
    assert "m0 is at least the 19th model judged on these 36 test images: the data card counts 17" in page
    monkeypatch.chdir(judged.folder)
    assert main(["ledger"]) == 0
    text = capsys.readouterr().out
    assert "2 models in 2 evaluations, after at least 17 models before this ledger; limits at 99.74 % each" in text
    assert [line.split()[0] for line in text.splitlines() if "accepted" in line] == ["18", "19"]


def test_several_models_of_one_run_are_counted_in_their_order(judged: Project) -> None:
    given = ("--model", "m1", "--model", "nearest", "--model", "m0")
    result = judged.run(*given)
    assert [count(result, model) for model in ("m1", "nearest", "m0")] == [1, 2, 3]
    before = {model: result.bytes(model) for model in ("m1", "nearest", "m0")}
    again = judged.run(*given)
    assert {model: again.bytes(model) for model in before} == before


def test_workers_count_alike_and_only_the_controlling_process_appends(judged: Project) -> None:
    given = ("--model", "m1", "--model", "nearest", "--no-figures")
    alone = judged.run_apart(*given, reports="alone")
    shared = judged.run_apart(*given, "-n", "2", reports="shared")
    for model in ("m1", "nearest"):
        assert shared.bytes(model) == alone.bytes(model)
    assert [evaluation.model for evaluation in recorded(judged, "shared").evaluations] == ["m1", "nearest"]


def test_two_runs_at_once_are_both_recorded(judged: Project) -> None:
    started = [judged.start("--model", model, "--no-figures") for model in ("m0", "m1")]
    for process in started:
        with process:
            out, _ = process.communicate(timeout=300)
        assert process.returncode == 0, out
    assert sorted(evaluation.model for evaluation in recorded(judged).evaluations) == ["m0", "m1"]


def test_a_refused_model_and_a_partial_run_are_counted_too(judged: Project) -> None:
    judged.write("models/wrong.py", NEAREST.replace('archive["means"]', 'archive["means"][[1, 2, 0]]'))
    assert judged.run("--model", "wrong").status == 1
    assert judged.run("-k", "accuracy").status == 1
    wrong, partial = recorded(judged).evaluations
    assert (wrong.accepted, wrong.complete, wrong.right) == (False, True, 0)
    assert (partial.accepted, partial.complete, partial.right) == (False, False, 36)
    assert count(judged.run("--model", "m0"), "m0") == 3


def test_a_model_that_does_not_answer_is_recorded_without_figures(judged: Project) -> None:
    judged.write("models/faulty.py", NEAREST.replace("distance = ((", "raise OSError('gone')\n        distance = (("))
    assert judged.run("--model", "faulty").status == 1
    (own,) = recorded(judged).evaluations
    assert (own.right, own.recalls, own.accepted) == (None, {}, False)


@pytest.mark.parametrize("given", [("--collect-only",), ("-k", "nothing_is_called_so"), ("--setup-only",)])
def test_a_run_that_judged_nothing_is_not_counted(judged: Project, given: tuple[str, ...]) -> None:
    judged.run(*given)
    assert recorded(judged).evaluations == ()


def test_an_evaluation_is_at_the_test_set_whatever_its_files_are_called(judged: Project) -> None:
    files = [(path.parent.name, file_digest(path)) for path in (judged.images / "test").rglob("*.png")]
    judged.run()
    assert recorded(judged).evaluations[0].images == digest(sorted(files))


@pytest.mark.parametrize(("seed", "seeds", "status"), [(2**32 - 2, 2, 0), (2**32 - 1, 2, 4)])
def test_seeds_beyond_the_last_one_are_refused_before_anything_is_lost(
    judged: Project, seed: int, seeds: int, status: int
) -> None:
    judged.write("models/lucky.py", NEAREST.replace("def load(task):", "def load(task):\n    assert task.seed >= 0"))
    kept = judged.run("--model", "lucky", "--seeds", "2").reports / "toy" / "lucky" / "scorecard.json"
    result = judged.run("--model", "lucky", "--seed", str(seed), "--seeds", str(seeds))
    assert result.status == status, result.out
    assert kept.is_file()
    assert ("the last seed would be 4294967296, above 2**32 - 1" in result.out) is (status == 4)


def test_each_seed_is_a_model_of_its_own(judged: Project) -> None:
    model = NEAREST.replace("def load(task):", "def load(task):\n    assert task.seed >= 0")
    judged.write("models/lucky.py", model)
    result = judged.run("--model", "lucky", "--seed", "4", "--seeds", "3")
    assert result.status == 0, result.out
    assert [evaluation.seed for evaluation in recorded(judged).evaluations] == [4, 5, 6]
    assert [count(result, f"lucky/seed-{seed}") for seed in (4, 5, 6)] == [1, 2, 3]
    (row,) = result.rows("test_set_evaluations", "lucky")
    assert row["value"] == 1
    assert row["detail"].startswith("3 seeds: mean 2.000, 1.000 to 3.000; shown: seed 4; the first model")
    page = (result.reports / "toy/lucky/scorecard.md").read_text("utf-8")
    assert "Each of the 3 seeds is a model of its own and one evaluation" in page


def test_a_cap_refuses_the_model_that_comes_too_late_and_no_other(judged: Project) -> None:
    policy = (judged.folder / "suites" / "policy.toml").read_text("utf-8")
    judged.write("suites/policy.toml", f"{policy}\n[ledger]\nmost_models = 2\n")
    assert [judged.run("--model", model).status for model in ("nearest", "m0", "m1", "nearest")] == [0, 0, 1, 0]
    result = judged.run("--model", "m1")
    assert "must be ≤ 2.000 (fail); the 3rd model that this ledger records for these 36 test images" in result.out


def test_a_cap_requires_its_check_wherever_it_is_set(project: Project) -> None:
    policy = (project.folder / "suites" / "policy.toml").read_text("utf-8")
    project.write("suites/policy.toml", f"{policy}\n[ledger]\nmost_models = 2\n")
    result = project.run()
    assert result.status == 1
    assert "required, but not recorded: ledger/test_set_evaluations" in result.out


@pytest.mark.parametrize("value", ["0", "-1", "2.5", '"two"', "true"])
def test_a_cap_that_caps_nothing_is_refused(judged: Project, value: str) -> None:
    policy = (judged.folder / "suites" / "policy.toml").read_text("utf-8")
    judged.write("suites/policy.toml", f"{policy}\n[ledger]\nmost_models = {value}\n")
    result = judged.run()
    assert result.status == 4
    assert "[ledger]: most_models: must be" in result.out


def test_damage_is_reported_and_is_not_fatal(judged: Project) -> None:
    judged.run("--model", "m0")
    path = judged.folder / "reports" / "toy" / "ledger.jsonl"
    with path.open("ab") as file:
        file.write(b'<<<<<<< HEAD\n{"schema": ')
    result = judged.run()
    assert result.status == 0, result.out
    assert "2 lines are damaged and may hide evaluations: lines 2, 3 of ledger.jsonl" in result.out
    (row,) = result.rows("test_set_evaluations")
    assert (row["value"], row["high"]) == (2, 4)
    assert judged.run().bytes() == result.bytes()


def test_what_is_no_ledger_stops_a_run_before_it_begins(judged: Project) -> None:
    (judged.folder / "reports" / "toy" / "ledger.jsonl").mkdir(parents=True)
    result = judged.run()
    assert result.status == 4
    assert re.search(r"ERROR: ledger '.*ledger\.jsonl': is no file; move it away", result.out)
    assert "Traceback" not in result.out
    assert not (judged.folder / "reports" / "toy" / "nearest").exists()


def test_an_evaluation_that_cannot_be_recorded_leaves_no_scorecard(
    judged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: object) -> None:
        raise ledger._unwritable(path, "no space left")

    monkeypatch.setattr(ledger, "append", full)
    result = judged.run()
    assert result.status == 1
    assert "no scorecard: ledger '" in result.out
    assert not (result.reports / "toy/nearest/scorecard.json").exists()


def test_a_capped_count_is_drawn_beside_the_shares(judged: Project, tmp_path: Path) -> None:
    policy = (judged.folder / "suites" / "policy.toml").read_text("utf-8")
    judged.write("suites/policy.toml", f"{policy}\n[ledger]\nmost_models = 20\n")
    record: Any = judged.run().record()
    from roentgate.report import forest_plot

    (row,) = [row for row in record["rows"] if row["check"] == "test_set_evaluations"]
    assert forest_plot._span([row])[1] < 1.1
    assert forest_plot._scaled(row)["value"] == pytest.approx(0.05)
    assert figures.verdict_overview(record, tmp_path / "verdicts.png").is_file()


# The command


def test_the_evaluations_are_listed(
    judged: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("nearest", "m0", "nearest"):
        judged.run("--model", model, "--no-figures")
    path = judged.folder / "reports" / "toy" / "ledger.jsonl"
    ledger.append(path, [evaluation(model="a\nb", n=36, right=None, recalls={}, complete=False)])
    with path.open("ab") as file:
        file.write(b"x\n")
    monkeypatch.chdir(judged.folder)
    shown = []
    for given in ([], ["toy"], ["reports/toy"], ["reports/toy/ledger.jsonl"], ["reports"]):
        assert main(["ledger", *given]) == 0
        shown.append(capsys.readouterr().out)
    assert len(set(shown)) == 1
    text = shown[0]
    assert text.startswith("reports/toy/ledger.jsonl\n")
    assert "(n = 36): 2 models in 3 evaluations; limits at 97.5 % each, over images" in text
    lines = [line.split() for line in text.splitlines()]
    (nearest,) = [cells for cells in lines if "nearest" in cells]
    assert (nearest[0], nearest[-1]) == ("1", "accepted")
    (second,) = [cells for cells in lines if "m0" in cells]
    assert (second[0], second[-1]) == ("2", "accepted")
    assert "a␊b" in text
    assert "1 line is damaged and may hide an evaluation: line 5 of ledger.jsonl" in text


def test_where_there_is_no_ledger_the_command_says_so(
    judged: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(judged.folder)
    for given in ([], ["nowhere"], ["suites"]):
        assert main(["ledger", *given]) == 2
        assert "roentgate: no ledger.jsonl in" in capsys.readouterr().err
