"""Tests of the commands behind ``make matrix`` and ``make statistics``."""

from pathlib import Path

import pytest

from tests.validation import __main__ as commands
from tests.validation import detection_matrix as matrix
from tests.validation import matrix_page
from tests.validation.__main__ import main
from tests.validation.detection_matrix import Entry, Matrix
from tests.validation.test_detection_matrix import CHECKS, DOSED, ROOT, SHIFTED, SOUND, entry, made, outcome


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("matrix", "finished trainings are kept; run the same command to continue"),
        ("simulate", "nothing is kept; the same command starts anew"),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, f"_{command}", interrupted)
    assert main([command]) == 130
    assert capsys.readouterr().err == f"validation: interrupted; {message}\n"


@pytest.mark.parametrize("given", [[], ["seeds"]])
def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    assert "usage: python -m tests.validation" in capsys.readouterr().err


@pytest.mark.parametrize(("target", "command"), [("matrix", "matrix"), ("statistics", "simulate")])
def test_make_runs_it(target: str, command: str) -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").split(f"\n{target}:")[1].splitlines()[1]
    assert recipe.strip() == f"$(BIN)/python -m tests.validation {command} $(ARGS)"


def test_some_planted_models_do_not_replace_the_published_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", "sound.small"]) == 2
    assert "name a folder: --out DIR" in capsys.readouterr().err


@pytest.mark.parametrize(("model", "status"), [(SHIFTED, 0), (entry("sound.y", outcome(CHECKS[0])), 1)])
def test_the_command_writes_the_page_and_fails_where_something_is_missing(
    model: Entry, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(matrix, "run", lambda *_, command, **__: {**made(model), "command": command})
    arguments = ["matrix", "sound.small", "--seeds", "2", "--no-doses", "--out", str(tmp_path)]
    assert main(arguments) == status
    page = (tmp_path / "detection_matrix.md").read_text("utf-8")
    assert "python -m tests.validation matrix sound.small --seeds 2 --no-doses" in page
    assert str(tmp_path / "detection_matrix.md") in capsys.readouterr().out


def test_the_page_is_rendered_again_from_its_record_and_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "run", lambda *_, **__: pytest.fail("trained"))
    record: Matrix = {
        **made(SHIFTED, SOUND, dosed=DOSED),
        "command": "python -m tests.validation matrix --seeds 2",
        "remarks": ["By an old rule."],
    }
    matrix_page.publish(record, tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path in files:
        if path.suffix != ".json":
            path.unlink()
    assert main(["matrix", "--render", "--out", str(tmp_path)]) == 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    page = (tmp_path / "detection_matrix.md").read_text("utf-8")
    assert "python -m tests.validation matrix --seeds 2\n" in page
    assert "By an old rule." in page
    assert main(["matrix", "sound.small", "--render", "--out", str(tmp_path)]) == 2
    assert "--render writes the page of what is recorded" in capsys.readouterr().err
