"""A replay id and a stored scorecard give the same answers again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from roentgate.__main__ import main
from roentgate.errors import ArgumentError, ModelError
from roentgate.evidence import smallest_mask
from roentgate.evidence.evidence import Evidence
from roentgate.perturbations import masks
from roentgate.policy.bounds import BorderBounds
from roentgate.report import mask_replay
from roentgate.scorecard.record import SCORECARD_FILE

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).resolve().parents[2]
CORNER = '''
"""Reads the class from the middle, unless the first pixel is brighter or darker than on any image."""

import numpy as np


class Corner:
    def predict(self, images):
        bright = images[:, 0:2, 0:2, 0].mean(axis=(1, 2)) - images[:, 2:4, 2:4, 0].mean(axis=(1, 2))
        odds = np.stack([bright, -bright, np.full(len(images), -1.0)], axis=1) * 50
        odds = np.exp(odds - odds.max(axis=1, keepdims=True))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def load(task):
    return Corner()
'''


@pytest.fixture
def judged(project: Project, monkeypatch: pytest.MonkeyPatch) -> tuple[Project, str]:
    """A project with a judged model that reads a corner.

    The second value is the replay id of the rectangle in its scorecard.
    """
    project.write("models/corner.py", CORNER)
    project.use_real_suites()
    project.run("suites/test_border.py", "--model", "corner")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    record = json.loads((project.folder / "reports" / "toy" / "corner" / SCORECARD_FILE).read_bytes())
    details = [row["detail"] for row in record["rows"] if row["check"] == "smallest_flipping_mask"]
    assert len(details) == len(masks.FAMILIES)
    return project, next(each for each in details if " patch " in each).rpartition("replay ")[2]


def test_an_id_tells_before_and_after_of_every_row_that_flips(
    judged: tuple[Project, str], capsys: pytest.CaptureFixture[str]
) -> None:
    project, given = judged
    assert main(["replay", given]) == 0
    lines = capsys.readouterr().out.splitlines()
    evidence = Evidence(project.ready("corner"))
    found = smallest_mask.search(evidence, BorderBounds()).found["rectangle"]
    assert found is not None
    assert lines[0] == "corner on toy, seed 0"
    assert f"{len(found.rows)} of 36 answers change" in lines[1]
    changed = [line.split()[0] for line in lines if " -> " in line]
    assert changed == [evidence.test.ids[row] for row in found.rows]
    assert Path(lines[-1]) == Path("reports") / "toy" / "corner" / "replay.png"
    with Image.open(lines[-1]) as picture:
        assert picture.width > 1000


def test_a_fresh_process_says_the_same(judged: tuple[Project, str], capsys: pytest.CaptureFixture[str]) -> None:
    project, given = judged
    main(["replay", given])
    here = capsys.readouterr().out
    command = [sys.executable, "-m", "roentgate", "replay", given]
    environment = project._variables() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == here


def test_another_mask_of_the_same_model_can_be_tried(
    judged: tuple[Project, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, given = judged
    harmless = f"{given.partition(':')[0]}:rectangle-edge-1x1-31-31"
    assert main(["replay", harmless, "--out", str(tmp_path / "none.png")]) == 0
    assert "0 of 36 answers change" in capsys.readouterr().out
    assert not (tmp_path / "none.png").exists()


def test_another_model_under_the_same_name_is_refused(
    judged: tuple[Project, str], capsys: pytest.CaptureFixture[str]
) -> None:
    project, given = judged
    project.write("models/corner.py", CORNER.replace("* 50", "* 40"))
    assert main(["replay", given]) == 2
    message = capsys.readouterr().err
    assert f"the scorecard is of {given.partition(':')[0]}" in message
    assert "the model file, the images, the libraries or the weights are others" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("rectangle-edge-1x1-0-0", "not an id such as"),
        ("5a58245f", "not an id such as"),
        ("5a58245f:rectangle", "not a name such as"),
        ("5a58245f:rectangle-edge-1x1-0-0", "no scorecard below .* is of a model 5a58245f; name the folder"),
    ],
)
def test_what_is_no_id_is_refused_with_a_remedy(given: str, message: str, tmp_path: Path) -> None:
    (tmp_path / SCORECARD_FILE).write_text("damaged")
    with pytest.raises(ArgumentError, match=message):
        mask_replay.find_record(given, tmp_path)


def test_the_scorecards_picture_is_that_of_the_smallest_mask(project: Project, tmp_path: Path) -> None:
    project.write("models/corner.py", CORNER)
    evidence = Evidence(project.ready("corner"))
    record = smallest_mask.of(evidence, BorderBounds())
    assert record.smallest is not None
    (note,) = mask_replay.figures(evidence, record, tmp_path)
    assert note["file"] == mask_replay.PICTURE
    assert record.smallest.mask.description(record.shape) in note["alt"]
    first = (tmp_path / mask_replay.PICTURE).read_bytes()
    mask_replay.figures(evidence, record, tmp_path)
    assert (tmp_path / mask_replay.PICTURE).read_bytes() == first


def test_where_nothing_flips_there_is_no_picture(project: Project, tmp_path: Path) -> None:
    evidence = Evidence(project.ready("nearest"))
    assert mask_replay.figures(evidence, smallest_mask.of(evidence, BorderBounds(most_masks=6)), tmp_path) == []
    nothing = mask_replay.replay(evidence, masks.rectangle((32, 32), "edge", (0, 1), (0, 1)))
    with pytest.raises(ArgumentError, match="changes no answer, so there is nothing to draw"):
        mask_replay.draw(evidence, nothing, tmp_path / "none.png")
    assert list(tmp_path.glob("*.png")) == []


def test_a_row_that_loses_its_answer_is_told_so(project: Project) -> None:
    evidence = Evidence(project.ready("nearest"))
    after = evidence.test.probabilities.copy()
    after[3] = np.nan
    mask = masks.border((32, 32), "edge", 1)
    found = mask_replay.Replayed(mask=mask, clean=evidence.test, after=after, rows=np.array([3]))
    lines = mask_replay.lines(found, (32, 32))
    assert lines[0] == f"{mask.description((32, 32))}: 1 of 36 answers change"
    assert lines[1].endswith("-> no answer")


def test_a_record_of_a_model_that_is_gone_is_refused(judged: tuple[Project, str]) -> None:
    project, given = judged
    record, _, _ = mask_replay.find_record(given, project.folder / "reports")
    (project.folder / "models" / "corner.py").unlink()
    with pytest.raises(ModelError, match="corner"):
        mask_replay.evidence_of(record, project.folder)
