"""With --seeds N every replicate has a scorecard, and the worst seed decides."""

import json

import pytest

from roentgate.report import figure_set
from tests.support.toy import NEAREST, Draw, Project

pytest_plugins = ["tests.support.toy"]

LUCKY = NEAREST.replace("def load(task):", "def load(task):\n    shift = -1.0 if task.seed == 5 else 0.0").replace(
    'return Nearest(archive["means"])', 'return Nearest(archive["means"] + shift * (np.arange(3) == 1)[:, None, None])'
)
"""A model that never predicts Left if its seed is 5."""


@pytest.fixture
def lucky(project: Project) -> Project:
    """A project with `LUCKY` and the sound model."""
    project.write("models/lucky.py", LUCKY)
    return project


def test_a_model_that_holds_with_every_seed_is_accepted(lucky: Project) -> None:
    result = lucky.run("--model", "lucky", "--seed", "1", "--seeds", "3")
    assert result.status == 0, result.out
    record = result.record("lucky")
    assert (record["outcome"] != "fail", record["complete"], record["model"]["name"]) == (True, True, "lucky")
    assert record["task"] | {"seeds": [1, 2, 3], "deciding": "worst"} == record["task"]
    assert all("alike with 3 seeds" in row["detail"] for row in record["rows"])
    for seed in (1, 2, 3):
        assert result.record(f"lucky/seed-{seed}")["task"]["seed"] == seed


def test_one_bad_seed_refuses_a_model_and_is_named(lucky: Project) -> None:
    result = lucky.run("--model", "lucky", "--seed", "4", "--seeds", "2")
    assert result.status == 1
    assert result.record("lucky")["outcome"] == "fail"
    (left,) = [row for row in result.rows("recall_floor", "lucky") if row["subject"] == "Left"]
    assert left["value"] == 0.0
    assert left["detail"].startswith(
        "2 seeds: mean 0.500, 0.000 to 1.000, worst with seed 5, not accepted with 1 of 2;"
    )
    assert result.record("lucky/seed-4")["outcome"] != "fail"
    assert result.record("lucky/seed-5")["outcome"] == "fail"


def test_a_run_that_ends_within_its_first_seed_counts_the_models_that_it_judged(lucky: Project) -> None:
    result = lucky.run("--model", "lucky", "--seed", "4", "--seeds", "2", "-k", "seed and 4")
    assert result.status == 1
    assert "partial run" in result.out
    assert (
        "1st model that this ledger records for these test images; by now it records 1 model in 1 evaluation"
        in result.out
    )


def test_what_is_of_one_seed_says_so_where_it_stands(
    lucky: Project,
    real_draw: Draw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figure_set, "draw", real_draw)
    result = lucky.run("--model", "lucky", "--seed", "5", "--seeds", "2")
    folder = result.reports / "toy" / "lucky"
    page = (folder / "scorecard.md").read_text("utf-8")
    assert "5, 6; of each row the worst decides" in page
    assert "Answers, class by class</b>, seed 5" in page
    assert "![Images with the border masked, seed 5]" in page
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))
    titles = [note["title"] for note in evidence["figures"]]
    assert titles[:2] == ["Verdicts", "Images of each class"]
    assert all(title.endswith(", seed 5") for title in titles[2:])
    assert "what is marked seed 5 is of that seed alone; each seed has a scorecard" in evidence["notes"]
    alone = json.loads((folder / "seed-5" / "evidence.json").read_text("utf-8"))
    assert [note["title"] for note in alone["figures"]] == [title.removesuffix(", seed 5") for title in titles]
    assert all(f"seed 5: {note}" in evidence["notes"] for note in alone["notes"])


def test_a_stored_reference_says_which_of_several_seeds_it_is(lucky: Project) -> None:
    assert lucky.run("--model", "lucky", "--seed", "5", "--seeds", "2", "--no-figures").status == 1
    lucky.use_real_suites()
    given = ("suites/test_comparison.py", "--no-figures", "--reference")
    named = "lucky, seed 5, the first of 2 (fingerprint"
    (wrong,) = lucky.run(*given, "reports/toy/lucky").rows("negative_flips")
    assert named in wrong["detail"]
    (wrong,) = lucky.run(*given, "reports/toy/lucky/seed-6").rows("negative_flips")
    assert "the reference is lucky (fingerprint" in wrong["detail"]


def test_the_policy_can_let_the_first_seed_decide_and_still_shows_the_worst(lucky: Project) -> None:
    policy = (lucky.folder / "suites" / "policy.toml").read_text("utf-8")
    lucky.write("suites/policy.toml", f'[gate]\nseeds = "first"\n{policy}')
    result = lucky.run("--model", "lucky", "--seed", "4", "--seeds", "2")
    assert result.status == 0, result.out
    (left,) = [row for row in result.rows("recall_floor", "lucky") if row["subject"] == "Left"]
    assert (left["value"], left["accepted"]) == (1.0, True)
    assert "worst with seed 5" in left["detail"]


def test_a_single_seed_changes_nothing(lucky: Project) -> None:
    one = lucky.run("--model", "lucky", "--seed", "4").bytes("lucky")
    assert lucky.run("--model", "lucky", "--seed", "4", "--seeds", "1").bytes("lucky") == one


def test_workers_give_the_same_record_of_replicates(lucky: Project) -> None:
    given = ("--model", "lucky", "--seed", "4", "--seeds", "2", "--no-figures")
    alone = lucky.run_apart(*given, reports="alone").bytes("lucky")
    assert lucky.run_apart(*given, "-n", "2", reports="shared").bytes("lucky") == alone


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--seeds", "0"), "--seeds 0: give 1 or more"),
        (("--seeds", "2", "--weights", "x.keras"), "--seeds 2: with --weights, which trains nothing, give 1"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(lucky: Project, given: tuple[str, ...], message: str) -> None:
    result = lucky.run("--model", "lucky", *given)
    assert result.status == 4
    assert message in result.out


def test_seeds_of_a_model_that_is_the_same_with_each_are_refused_before_anything_is_judged(lucky: Project) -> None:
    lucky.write("models/first.py", BUILT)
    result = lucky.run("--model", "first", "--model", "nearest", "--seeds", "2")
    assert result.status == 4
    assert (
        "model 'nearest': it is loaded, not trained, and no source of it was found to read task.seed, so that every "
        "seed is the same model; judge it without --seeds"
    ) in result.out
    assert not list(result.reports.rglob("*.json*"))


BUILT = '''
"""A network that must not be built."""


def build(task):
    raise OSError("built")
'''
