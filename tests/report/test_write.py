"""Scorecards are written whole, and rendered the same again."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from roentgate.checks.metrics import accuracy
from roentgate.errors import ArgumentError
from roentgate.report import figure_set, figures, write
from roentgate.scorecard.shape import StudyEntry
from roentgate.session import Logbook, Session, open_session, row_of
from roentgate.stats.verdict import at_least

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from roentgate.scorecard.shape import EvidenceRecord, FigureNote, Record, Row
    from tests.support.toy import Draw, Project

pytest_plugins = ["tests.support.toy"]


@pytest.fixture
def session(project: Project, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose policy requires one check."""
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    monkeypatch.chdir(project.folder)
    project.write("suites/policy.toml", '[gate.required]\nsmall = ["accuracy"]\n')
    return open_session(project.settings("nearest", "other"))


def rows(session: Session, name: str = "nearest", bound: float = 0.5) -> list[Row]:
    verdict = at_least(accuracy(session.evidence(name).test), bound)
    return [row_of(verdict, suite="small", check="accuracy", subject="test", gate="simple")]


def written(session: Session, rows: dict[str, list[Row]], partial: Sequence[str] = ()) -> tuple[bool, list[str]]:
    result = write.RunResult(
        session=session,
        rows=rows,
        partial=partial,
        passes=36,
        seconds={"clean-test": 0.5},
        policy=session.policy.fingerprint,
        logbook=Logbook(session),
    )
    return write.scorecards(result)


def test_a_scorecard_is_its_record_its_evidence_and_its_renderings(session: Session, project: Project) -> None:
    accepted, lines = written(session, {"nearest": rows(session)})
    assert accepted
    folder = project.folder / "reports" / "toy" / "nearest"
    names = {path.name for path in folder.iterdir()}
    renderings = {"scorecard.json", "scorecard.md", "scorecard.html"}
    assert names == renderings | {"evidence.json", "predictions.json", "run.json"}
    record = json.loads((folder / "scorecard.json").read_text("utf-8"))
    assert record["model"] == {
        "name": "nearest",
        "source": "models/nearest.py",
        "fingerprint": session.candidate("nearest").fingerprint,
        "weights": "loaded",
    }
    assert record["dataset"]["counts"]["test"] == {"Bottom": 12, "Left": 12, "Right": 12}
    assert record["dataset"]["study"] == dict.fromkeys(StudyEntry.__annotations__, "")
    assert record["dataset"]["prior_evaluations"] == 0
    assert record["task"] == {"image_shape": [32, 32, 1], "seed": 0}
    assert record["policy"] == {"fingerprint": session.policy.fingerprint}
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))
    assert evidence["confusion"]["counts"] == [[12, 0, 0], [0, 12, 0], [0, 0, 12]]
    assert evidence["layers"] is None
    assert evidence["history"] is None
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert (run["forward_passes"], run["seconds"], run["partial"]) == (36, {"clean-test": 0.5}, [])
    assert "  reports/toy/nearest/scorecard.md" in lines


def test_a_model_from_elsewhere_is_named_and_not_located(project: Project, tmp_path: Path, session: Session) -> None:
    """A record holds no path of the machine it was made on."""
    elsewhere = tmp_path / "elsewhere" / "far.py"
    elsewhere.parent.mkdir()
    (project.folder / "models" / "nearest.py").rename(elsewhere)
    (project.folder / "models" / "means.npz").rename(elsewhere.parent / "means.npz")
    far = open_session(project.settings(str(elsewhere)))
    written(far, {str(elsewhere): rows(far, str(elsewhere))})
    text = (session.settings.reports / "toy" / "far" / "scorecard.json").read_text("utf-8")
    assert json.loads(text)["model"]["source"] == "far.py"
    assert str(tmp_path) not in text


def test_a_partial_run_writes_a_record_without_evidence(session: Session, project: Project) -> None:
    accepted, lines = written(session, {"nearest": rows(session)}, ["filtered by -k"])
    assert not accepted
    assert "  filtered by -k" in lines
    folder = project.folder / "reports" / "toy" / "nearest"
    assert not json.loads((folder / "scorecard.json").read_text("utf-8"))["complete"]
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))
    assert evidence["confusion"] is None
    assert evidence["notes"] == ["filtered by -k"]
    assert json.loads((folder / "run.json").read_text("utf-8"))["partial"] == ["filtered by -k"]


def test_one_refused_model_refuses_the_run(session: Session, project: Project) -> None:
    text = (project.folder / "models" / "nearest.py").read_text("utf-8")
    project.write("models/other.py", text)
    accepted, lines = written(session, {"nearest": rows(session), "other": rows(session, "other", bound=1.0)[:0]})
    assert not accepted
    assert "side by side: reports/toy/side-by-side.md" in lines
    table = (project.folder / "reports" / "toy" / "side-by-side.md").read_text("utf-8")
    assert "nearest" in table
    assert "other" in table


def test_clearing_removes_outcomes_of_every_seed_and_keeps_predictions(session: Session) -> None:
    folder = session.folder("nearest")
    for place in (folder, folder / "seed-3"):
        place.mkdir(parents=True)
        for name in ("scorecard.json", "scorecard.md", "scorecard.html", "predictions.json"):
            (place / name).write_text("{}", "utf-8")
    write.clear(session)
    assert {path.name for path in folder.rglob("*.*")} == {"predictions.json"}


def test_nothing_to_close_is_nothing_written(session: Session, project: Project) -> None:
    written(session, {})
    assert not (project.folder / "reports").exists()


def test_a_scorecard_is_rendered_again_from_its_json_alone(session: Session, project: Project) -> None:
    written(session, {"nearest": rows(session)})
    folder = project.folder / "reports" / "toy" / "nearest"
    before = {name: (folder / name).read_bytes() for name in ("scorecard.md", "scorecard.html")}
    for name in before:
        (folder / name).unlink()
    record = write.render_again(folder)
    assert record["outcome"] != "fail"
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", ["scorecard.json", "evidence.json"])
def test_a_missing_or_damaged_record_is_a_sentence(session: Session, project: Project, name: str) -> None:
    written(session, {"nearest": rows(session)})
    folder = project.folder / "reports" / "toy" / "nearest"
    (folder / name).write_text("{", "utf-8")
    with pytest.raises(ArgumentError, match="is damaged"):
        write.render_again(folder)
    (folder / name).unlink()
    with pytest.raises(ArgumentError, match="cannot be read"):
        write.render_again(folder)


# Pictures: drawn here, as in a run of its own process


@pytest.fixture
def drawing(session: Session, real_draw: Draw, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(figure_set, "draw", real_draw)
    return session


def test_pictures_are_drawn_once_and_copied_afterwards(
    drawing: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing.store.root = project.folder / "store"
    verdicts = rows(drawing)
    written(drawing, {"nearest": verdicts})
    folder = project.folder / "reports" / "toy" / "nearest"
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))
    shown = [note["file"] for note in evidence["figures"]]
    assert "border.png" in shown
    assert "confusion.png" in shown
    first = {name: (folder / name).read_bytes() for name in shown}
    for name in shown:
        (folder / name).unlink()
    monkeypatch.setattr(figures, "draw", lambda *_: pytest.fail("drawn again"))
    written(drawing, {"nearest": verdicts})
    assert {name: (folder / name).read_bytes() for name in shown} == first
    assert [path.name for path in (drawing.store.root / "figures").iterdir() if path.name.startswith(".tmp")] == []


def test_pictures_are_drawn_from_the_evidence_as_it_is_written(
    drawing: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing.store.root = project.folder / "store"
    monkeypatch.setattr(drawing.candidate("nearest"), "history", {"loss": [1 / 3, float("nan")]})
    given: list[Any] = []
    draw = figures.draw

    def seen(record: Record, evidence: EvidenceRecord, folder: Path) -> list[FigureNote]:
        given.append(deepcopy(evidence))
        return draw(record, evidence, folder)

    monkeypatch.setattr(figures, "draw", seen)
    written(drawing, {"nearest": rows(drawing)})
    folder = project.folder / "reports" / "toy" / "nearest"
    drawn = {path.name: path.read_bytes() for path in folder.iterdir()}
    write.render_again(folder)
    assert "training.png" in drawn
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == drawn
    first, again = ({name: part for name, part in evidence.items() if name != "figures"} for evidence in given)
    assert first == again
    assert first["history"] == {"loss": [0.333333, None]}


def test_the_smallest_mask_is_pictured_where_its_check_was_run(drawing: Session, project: Project) -> None:
    project.write("models/other.py", EDGE)
    folder, session = project.folder / "reports" / "toy" / "other", open_session(project.settings("other"))
    (row,) = rows(session, "other", bound=0.0)
    mask_row: Row = {**row, "check": "smallest_flipping_mask"}
    for extra, expected in (([mask_row], True), ([], False)):
        written(session, {"other": [row, *extra]})
        noted = json.loads((folder / "evidence.json").read_text("utf-8"))["figures"]
        assert ("smallest.png" in [note["file"] for note in noted]) is expected
        assert (folder / "smallest.png").is_file() is expected


def test_failing_images_are_pictured_beside_their_row_and_rendered_again(drawing: Session, project: Project) -> None:
    ids = drawing.candidate("nearest").splits.test.ids
    (row,) = rows(drawing)
    lost: Row = {**row, "check": "lost", "outcome": "fail", "accepted": False, "failing": [ids[3]], "failing_total": 1}
    lost |= {"value": 0.2, "low": 0.1, "high": 0.3}
    folder = project.folder / "reports" / "toy" / "nearest"
    accepted, lines = written(drawing, {"nearest": [row, lost]})
    assert not accepted
    assert any(line.startswith("  ✗ A criterion of small is not met. Lost, test: ") for line in lines)
    assert list(json.loads((folder / "thumbnails.json").read_text("utf-8"))) == [ids[3]]
    page = (folder / "scorecard.html").read_text("utf-8")
    assert "data:image/jpeg;base64," in page
    write.render_again(folder)
    assert (folder / "scorecard.html").read_text("utf-8") == page
    write.clear(drawing)
    assert not (folder / "thumbnails.json").exists()


EDGE = '''
"""Reads the first row of pixels."""

import numpy as np


class Edge:
    def predict(self, images):
        bright = (images[:, 0:1].mean(axis=(1, 2, 3)) - images[:, 1:2].mean(axis=(1, 2, 3))) * 100
        odds = np.exp(np.stack([bright, -bright, np.zeros(len(images))], axis=1).clip(-9, 9))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def load(task):
    return Edge()
'''


@pytest.mark.parametrize("name", ["notes.json", "confusion.png"])
def test_damaged_pictures_are_drawn_again(drawing: Session, project: Project, name: str) -> None:
    drawing.store.root = project.folder / "store"
    verdicts = rows(drawing)
    written(drawing, {"nearest": verdicts})
    (kept,) = (drawing.store.root / "figures").iterdir()
    whole = (kept / name).read_bytes()
    (kept / name).write_bytes(whole[: len(whole) // 2])
    written(drawing, {"nearest": verdicts})
    shown = project.folder / "reports" / "toy" / "nearest" / "confusion.png"
    assert shown.read_bytes() == (kept / "confusion.png").read_bytes()
    assert (kept / name).stat().st_size == len(whole)


def test_images_whose_answer_changed_are_shown_first(
    drawing: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = drawing.evidence("nearest")
    bounds = drawing.policy.border
    border = kept.border(bounds)
    probabilities = border.masked[0.05, "edge"].probabilities.copy()
    probabilities[[7, 30]] = np.roll(probabilities[[7, 30]], 1, axis=1)
    probabilities[20] = np.nan
    changed = type(border.clean)(
        border.clean.ids, border.clean.classes, border.clean.labels, probabilities, border.clean.groups
    )
    masked = {**border.masked, (0.05, "edge"): changed}
    monkeypatch.setattr(kept, "border", lambda _: type(border)(**{**vars(border), "masked": masked}))
    captions: list[Any] = []
    monkeypatch.setattr(figures, "border_contact_sheet", lambda _a, _b, given, *_c, **_d: captions.extend(given))
    note = figure_set._draw_border(kept, bounds, tmp_path)
    assert note["title"] == "Images with the border masked"
    assert note["alt"] == "5% border masked (edge): 3 of 36 answers change (6 images shown)"
    ids = border.clean.ids
    assert [caption[0] for caption in captions[:3]] == [ids[7], ids[20], ids[30]]
    assert captions[1][2] == "no answer"
    assert len(captions) == figure_set.SHOWN_IMAGES
