"""Tests of one run.

They cover the command line, the data card, what a model lacks, and how a verdict becomes a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from roentgate.candidates.candidate import Options
from roentgate.data.locate import open_card, open_store
from roentgate.errors import ArgumentError
from roentgate.session.session import Session, environment, open_session, row_of
from roentgate.session.settings import Settings, folder_name, new_run_id, parse_size
from roentgate.stats.estimate import proportion, undefined
from roentgate.stats.verdict import at_least, descriptive, skipped
from roentgate.store import Store

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]


def settings(folder: Path, *models: str, weights: Path | None = None, data: str = "toy") -> Settings:
    return Settings(
        models=models,
        data=data,
        root=folder,
        policy=folder / "suites" / "policy.toml",
        gate="simple",
        reports=folder / "reports",
        options=Options(models=folder / "models", weights=weights),
    )


@pytest.fixture
def session(project: Project, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    return open_session(settings(project.folder, "nearest"))


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, None), ("", None), ("96", (96, 96)), ("96x128", (96, 128)), ("96X128", (96, 128)), ("8", (8, 8))],
)
def test_an_image_size_is_one_number_or_two(text: str | None, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["7", "4097", "96x", "x96", "96x96x1", "-96", "96.5", "large", "²"])
def test_another_image_size_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="must be N or HxW, in pixels from 8 to 4096"):
        parse_size(text)


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("baseline", "baseline"),
        ("known_bad.shuffled", "known_bad.shuffled"),
        ("some/where/net.py", "net"),
        ("net.py", "net"),
        ("kept.keras", "kept"),
        ("a b/<net>|.py", "_net__"),
    ],
)
def test_a_report_folder_is_named_after_the_model(model: str, folder: str) -> None:
    assert folder_name(model) == folder


def test_models_whose_reports_would_overwrite_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="both reports would go to the folder 'net'; rename one file"):
        open_session(settings(tmp_path, "a/net.py", "b/net.py"))


def test_one_weights_file_is_not_for_two_models(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="--weights goes with a single --model"):
        open_session(settings(tmp_path, "a", "b", weights=tmp_path / "w.keras"))


def test_the_store_is_where_the_environment_says_or_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROENTGATE_STORE", raising=False)
    assert open_store(tmp_path).root == tmp_path / ".roentgate"
    monkeypatch.setenv("ROENTGATE_STORE", str(tmp_path / "elsewhere"))
    assert open_store(tmp_path).root == tmp_path / "elsewhere"


def test_a_generated_data_set_is_drawn_once_into_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def write(folder: Path, *, variant: str) -> None:
        drawn.append(variant)
        (folder / "train").mkdir(parents=True)

    monkeypatch.setattr("roentgate.data.phantom.write", write)
    store = Store(tmp_path / "store")
    first, second = (open_card("phantom", tmp_path, store) for _ in range(2))
    assert drawn == ["phantom"]
    assert first == second
    assert first.root is not None
    assert first.root.is_relative_to(store.root)
    (tmp_path / "trap.toml").write_text('generator = "phantom"\nvariant = "phantom-shortcut"\n', "utf-8")
    trap = open_card("trap", tmp_path, store)
    assert drawn == ["phantom", "phantom-shortcut"]
    assert (trap.name, trap.root == first.root) == ("trap", False)


@pytest.mark.parametrize("text", ['generator = "fantom"\n', 'generator = "phantom"\nvariant = "phantm"\n'])
def test_an_unknown_generator_names_the_known_ones(tmp_path: Path, text: str) -> None:
    (tmp_path / "drawn.toml").write_text(text, "utf-8")
    with pytest.raises(
        ArgumentError, match=r"data 'drawn': unknown generator .* known: phantom with phantom, phantom-"
    ):
        open_card("drawn", tmp_path, Store(tmp_path / "store"))


def test_a_model_is_made_ready_once_and_noted(session: Session) -> None:
    assert session.candidates == {}
    candidate = session.candidate("nearest")
    assert session.candidate("nearest") is candidate
    assert session.candidates == {"nearest": candidate}
    assert session.evidence("nearest") is session.evidence("nearest")
    assert session.evidence("nearest").candidate is candidate


def test_models_that_import_different_files_under_one_name_are_refused(project: Project) -> None:
    """Models that import different files under one name are refused.

    Python would give the second model the first one's module, and its evidence would be stored as that of the second.
    """
    load = "import sizes_of_net\n\ndef load(task):\n    import types\n    return types.SimpleNamespace(predict=len)\n"
    for folder in ("a", "b"):
        project.write(f"{folder}/net_{folder}.py", load)
        project.write(f"{folder}/sizes_of_net.py", f"SIZE = '{folder}'\n")
    names = [str(project.folder / folder / f"net_{folder}.py") for folder in ("a", "b")]
    session = open_session(settings(project.folder, *names))
    session.candidate(names[0])
    with pytest.raises(ArgumentError, match=r"each imports a 'sizes_of_net' of its own .* judge them in two runs"):
        session.candidate(names[1])
    (project.folder / "b" / "sizes_of_net.py").unlink()
    (project.folder / "b" / "sizes_of_net.py").symlink_to(project.folder / "a" / "sizes_of_net.py")
    assert session.candidate(names[1]).name == "net_b"


def test_card_classes_and_policy_are_read_for_the_data(session: Session) -> None:
    assert session.card.name == "toy"
    assert session.classes == ("Bottom", "Left", "Right")
    assert session.policy.recall.floor("Left") == 0.5


# Rows

NAMES = {"suite": "recall", "check": "recall_floor", "subject": "Left"}


def test_a_verdict_that_is_settled_becomes_a_row_as_it_is() -> None:
    row = row_of(at_least(proportion(40, 40, detail="all"), 0.8), **NAMES, gate="simple")
    assert (row["suite"], row["check"], row["subject"]) == ("recall", "recall_floor", "Left")
    assert (row["outcome"], row["accepted"], row["gates"]) == ("pass", True, True)
    assert (row["value"], row["high"], row["n"], row["bound"], row["direction"]) == (1.0, 1.0, 40, 0.8, "at_least")
    assert (row["unit"], row["method"], row["state"], row["reason"]) == ("image", "Clopper-Pearson", "ok", None)
    assert row["detail"] == "all"


def test_a_conditional_verdict_says_what_would_settle_it() -> None:
    verdict = at_least(proportion(36, 40, detail="36 of 40"), 0.8)
    row = row_of(verdict, **NAMES, gate="simple")
    assert (row["outcome"], row["accepted"]) == ("conditional_pass", True)
    assert row["detail"].startswith("36 of 40; 107 ")
    assert "further images of this kind, judged alone, would settle it" in row["detail"]
    assert "would have accepted a model 0.05 worse" in row["detail"]
    guarded = row_of(verdict, **NAMES, gate="guarded")
    assert not guarded["accepted"]
    must = row_of(at_least(proportion(36, 40), 0.8, guarded=True), **NAMES, gate="simple")
    for refused in (guarded, must):
        assert "further images of this kind, judged alone, would settle it" in refused["detail"]
        assert "would have accepted" not in refused["detail"]


def test_an_undefined_value_is_accepted_by_no_rule() -> None:
    verdict = at_least(undefined(0, low=0, high=1, method="none"), 0.0)
    row = row_of(verdict, **NAMES, gate="simple")
    assert np.isnan(row["value"] if row["value"] is not None else 0)
    assert (row["outcome"], row["accepted"], row["state"]) == ("conditional_fail", False, "undefined")


def test_a_skip_and_a_descriptive_row_have_no_bound() -> None:
    row = row_of(skipped("no masks"), **NAMES, gate="simple")
    assert (row["outcome"], row["n"]) == ("skipped", 0)
    assert (row["value"], row["low"], row["high"], row["bound"]) == (None,) * 4
    assert (row["unit"], row["method"], row["state"], row["reason"]) == (None, None, None, "excused")
    row = row_of(descriptive(proportion(1, 2)), **NAMES, gate="guarded")
    assert (row["gates"], row["accepted"], row["bound"], row["detail"]) == (False, True, None, "")


def test_a_row_names_a_hundred_failing_rows_and_counts_all() -> None:
    failing = tuple(f"{index:03}.png" for index in range(250))
    row = row_of(at_least(proportion(0, 250, failing=failing), 0.8), **NAMES, gate="simple")
    assert (row["failing"], row["failing_total"]) == (list(failing[:100]), 250)


def test_the_environment_holds_all_that_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    found = environment(12, {"b": 1.23456, "a": 2})
    assert (found["forward_passes"], found["cores"]) == (12, 7)
    assert list(found["seconds"].items()) == [("a", 2), ("b", 1.235)]
    assert {"keras", "tensorflow", "numpy", "roentgate"} <= set(found["versions"])


def test_run_ids_differ() -> None:
    assert new_run_id() != new_run_id()
