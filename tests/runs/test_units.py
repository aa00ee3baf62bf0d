"""A run counts what is independent: patients, else clusters of near-duplicates, else images."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from roentgate.evidence.stored_predictions import PREDICTIONS_FILE, read_predictions
from roentgate.report import figure_set
from roentgate.scorecard import record as scorecard
from roentgate.session.session import open_session
from roentgate.stats.estimate import CLUSTER
from tests.support.toy import Project, make_project

pytest_plugins = ["tests.support.toy"]

COPIES = 5


@pytest.fixture
def copied(tmp_path: Path, toy_images: Path, toy_store: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of which one test image of the class Left is there six times."""
    monkeypatch.setattr(figure_set, "draw", lambda *_: [])
    monkeypatch.setenv("ROENTGATE_STORE", str(toy_store))
    images = Path(shutil.copytree(toy_images, tmp_path / "images"))
    folder = images / "test" / "Left"
    first = min(folder.iterdir())
    for number in range(COPIES):
        shutil.copy(first, folder / f"{first.stem}-copy{number}{first.suffix}")
    return make_project(tmp_path / "project", images, toy_store)


def test_copies_of_an_image_count_once_in_a_run_without_the_data_suite(copied: Project) -> None:
    result = copied.run()
    assert result.status == 0, result.out
    record = result.record()
    assert record["dataset"]["units"] == {"test": {"unit": CLUSTER, "n": 36}, "patients": False}
    found = {row["subject"]: (row["n"], row["unit"]) for row in result.rows("recall_floor")}
    assert found == {label: (12, CLUSTER) for label in ("Bottom", "Left", "Right")}


def test_images_that_are_no_copies_count_each_as_before(project: Project) -> None:
    result = project.run()
    record = result.record()
    assert record["dataset"]["units"] == {"test": {"unit": "image", "n": 36}, "patients": False}
    row = result.rows("recall_floor")[0]
    assert (row["n"], row["unit"], row["method"]) == (12, "image", "Clopper-Pearson")
    assert row["low"] == pytest.approx(0.025 ** (1 / 12), rel=1e-5)


def test_a_record_of_before_does_not_say_its_units_and_is_read(project: Project) -> None:
    path = project.run().reports / "toy" / "nearest" / scorecard.SCORECARD_FILE
    content = json.loads(path.read_text("utf-8"))
    del content["dataset"]["units"]
    path.write_text(json.dumps(content), "utf-8")
    assert "units" not in scorecard.read(path)["dataset"]


def test_a_stored_reference_has_the_units_of_the_images_it_is_compared_on(copied: Project) -> None:
    folder = copied.run().reports / "toy" / "nearest"
    assert json.loads((folder / PREDICTIONS_FILE).read_text("utf-8"))["groups"] is None
    session = open_session(replace(copied.settings("nearest"), reference=str(folder)))
    test = session.evidence("nearest").test
    assert (session.reference.test.groups, session.reference.test.unit) == (test.groups, CLUSTER)


def test_predictions_of_before_donors_were_kept_are_read(copied: Project) -> None:
    path = copied.run().reports / "toy" / "nearest" / PREDICTIONS_FILE
    content = json.loads(path.read_text("utf-8"))
    content.pop("donor_rows", None)
    del content["digest"]
    path.write_text(json.dumps(content), "utf-8")
    assert read_predictions(path).donor_rows is None


def test_where_patients_are_named_they_are_the_units(copied: Project) -> None:
    card = copied.folder / "data" / "toy.toml"
    card.write_text(card.read_text("utf-8") + "group = '([0-9])[^0-9]*$'\n", "utf-8")
    test = open_session(copied.settings("nearest")).evidence("nearest").test
    assert test.unit == "patient"
    assert test.groups is not None
    assert len(set(test.groups)) <= 10
