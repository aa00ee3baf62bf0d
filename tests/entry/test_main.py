"""Each command does its job or says in one sentence why not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from roentgate import __main__ as command_line
from roentgate.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.toy import Project, Result

pytest_plugins = ["tests.support.toy"]


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, set as the working folder."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    return project


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    for command in ("models", "data", "train", "scorecard", "ledger"):
        assert f"\n    {command}" in shown
    assert "pytest suites/ --model NAME" in shown


@pytest.mark.parametrize("command", ["modles", "seeds", "matrix", "simulate"])
def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command])
    assert caught.value.code == 2
    assert command in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"roentgate {metadata.version('roentgate')}\n"


def test_the_console_script_and_the_module_are_one_command() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="roentgate")
    assert script.load() is main
    as_module = [sys.executable, "-m", "roentgate", "--version"]
    done = subprocess.run(as_module, capture_output=True, text=True, check=True)
    assert done.stdout == f"roentgate {metadata.version('roentgate')}\n"


def test_models_are_listed_with_what_they_say_of_themselves(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("models/known_bad/odd.py", '"""Odd: on purpose.\n\nMore.\n"""\n')
    here.write("models/broken.py", "def build(:\n")
    here.write("models/silent.py", "")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["broken", "known_bad.odd", "nearest", "silent"]
    assert "(not valid Python: invalid syntax, line 1)" in lines[0]
    assert lines[1].endswith("Odd: on purpose.")
    assert lines[2].endswith("Nearest class mean over the middle of the image.")


def test_models_that_are_listed_can_be_judged(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a-b", "<net> |*"):
        shutil.copy(here.folder / "models" / "nearest.py", here.folder / "models" / f"{name}.py")
    here.write("models/v1.2.py", "")
    assert main(["models"]) == 0
    listed = [line[:32].strip() for line in capsys.readouterr().out.splitlines()]
    assert listed == ["<net> |*", "a-b", "nearest"]
    result = here.run(*(argument for name in listed for argument in ("--model", name)))
    assert result.status == 0, result.out
    record, page = (result.reports / "toy" / "_net____" / f"scorecard.{kind}" for kind in ("json", "md"))
    assert json.loads(record.read_text("utf-8"))["model"]["name"] == "<net> |*"
    assert page.read_text("utf-8").startswith("# Scorecard: &#60;net&#62; &#124;&#42; on toy")


def test_a_folder_without_models_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models"]) == 2
    assert capsys.readouterr().err.startswith(f"roentgate: no model files in {tmp_path / 'models'}; run this in")


def test_data_cards_are_listed_with_how_to_obtain_each(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("data/drawn.toml", 'title = "Drawn"\ngenerator = "phantom"\nlicence = "Apache-2.0"\n')
    here.write("data/far.toml", 'title = "Far"\n')
    assert main(["data"]) == 0
    shown = capsys.readouterr().out
    assert "drawn here; Apache-2.0" in shown
    assert "no root; pass --data NAME=PATH; no licence stated" in shown
    assert str(here.images) in shown


@pytest.mark.parametrize("name", ["toy", "toy={images}", "{images}"])
def test_one_data_set_is_shown_with_classes_and_counts(
    here: Project, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["data", name.format(images=here.images)]) == 0
    shown = capsys.readouterr().out
    for split in ("train", "validation", "test"):
        assert f"  {split:11}     36 images: Bottom 12, Left 12, Right 12\n" in shown


def test_what_is_known_of_a_study_is_shown(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("data/told.toml", f'root = "{here.images}"\n[study]\nages = "adults"\n')
    assert main(["data", "told"]) == 0
    assert "  ages: adults\n  sexes: not stated\n" in capsys.readouterr().out
    assert main(["data", "toy"]) == 0
    assert "  study: not stated: ages, sexes, sites, " in capsys.readouterr().out


def test_licence_citation_other_files_and_a_montage_are_shown(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    images = shutil.copytree(here.images, here.folder / "images")
    (images / "test" / "Left" / "notes.txt").write_text("x", "utf-8")
    here.write("data/own.toml", 'root = "../images"\nimage_size = [32, 32]\nlicence = "CC0"\ncitation = "Us"\n')
    assert main(["data", "own", "--montage", "montage.png"]) == 0
    shown = capsys.readouterr().out
    assert "  licence: CC0\n  citation: Us\n" in shown
    assert "; 1 other files" in shown
    assert (here.folder / "montage.png").stat().st_size > 1000


def test_an_unknown_data_set_is_a_sentence(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "tov"]) == 2
    assert "did you mean 'toy'?" in capsys.readouterr().err


# Training


@pytest.mark.trains
def test_training_writes_weights_that_can_be_judged(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("models/my-own linear.py", LINEAR)
    command = ["train", "my-own linear", "--data", "toy", "--out", "kept/linear.keras", "--epochs", "1", "--seed", "3"]
    assert main(command) == 0
    kept = here.folder / "kept" / "linear.keras"
    assert kept.is_file()
    output = capsys.readouterr().out
    line = "my-own linear on toy, seed 3; judge: --model 'my-own linear' --weights kept/linear.keras"
    assert f"kept/linear.keras: {line}" in output
    found = here.ready("my-own linear", weights=kept)
    assert found.predict(found.splits.test.take([0])).shape == (1, 3)
    assert [path.name for path in kept.parent.iterdir()] == ["linear.keras"]


LINEAR = """
import keras
from keras import layers


def build(task):
    network = keras.Sequential(
        [keras.Input(task.image_shape), layers.Flatten(), layers.Dense(len(task.classes), activation="softmax")]
    )
    network.compile(loss="categorical_crossentropy")
    return network
"""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nearest", "--out", "w.h5"], "--out w.h5: must end in .keras"),
        (["nearest", "--out", "w.keras"], "model 'nearest' loads itself (load(task)); there are no weights to write"),
        (["nearst", "--out", "w.keras"], "did you mean 'nearest'?"),
        (["nearest", "--out", "w.keras", "--image-size", "4"], "--image-size 4: must be N or HxW"),
        (["nearest", "--out", "w.keras", "--epochs", "0"], "--epochs 0: must be at least 1"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(
    here: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["train", *arguments, "--data", "toy"]) == 2
    assert sentence in capsys.readouterr().err
    assert not (here.folder / "w.keras").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["audit", "folder"], "what was finished is kept, run the same command to go on"),
        (["train", "nearest", "--out", "w.keras"], "what was finished is kept, run the same command to go on"),
        (["aa-test", "--model", "nearest"], "what was trained is kept, the rest begins anew with the same command"),
        (["claim", "figures.toml"], "what was trained is kept, the rest begins anew with the same command"),
        (["replay", "x"], "what was trained is kept, the rest begins anew with the same command"),
        (["models"], "the same command begins anew"),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], message: str
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(command_line.COMMANDS, command[0], interrupted)
    assert main(command) == 130
    assert capsys.readouterr().err == f"roentgate: interrupted; {message}\n"


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: object) -> int:
        raise OSError(28, "No space left on device", "montage.png")

    monkeypatch.setitem(command_line.COMMANDS, "models", full)
    assert main(["models"]) == 2
    assert "No space left on device: 'montage.png'" in capsys.readouterr().err


# Scorecards


@pytest.fixture
def judged(here: Project) -> tuple[Project, Result]:
    """A project whose model was judged, and the result."""
    result = here.run()
    assert result.status == 0, result.out
    return here, result


def test_a_scorecard_is_rendered_again(judged: tuple[Project, Result], capsys: pytest.CaptureFixture[str]) -> None:
    _, result = judged
    folder = result.reports / "toy" / "nearest"
    before = (folder / "scorecard.md").read_bytes()
    (folder / "scorecard.md").unlink()
    assert main(["scorecard", str(folder)]) == 0
    assert (folder / "scorecard.md").read_bytes() == before
    assert "scorecard.md: **PASS** · 5 rows: 5 pass" in capsys.readouterr().out


def test_a_summary_is_printed_and_nothing_written(
    judged: tuple[Project, Result], capsys: pytest.CaptureFixture[str]
) -> None:
    _, result = judged
    folder = result.reports / "toy" / "nearest"
    (folder / "scorecard.md").unlink()
    assert main(["scorecard", "--summary", str(folder)]) == 0
    assert "nearest" in capsys.readouterr().out
    assert not (folder / "scorecard.md").exists()


def test_scorecards_are_drawn_side_by_side(judged: tuple[Project, Result], capsys: pytest.CaptureFixture[str]) -> None:
    project, result = judged
    first = result.reports / "toy" / "nearest"
    second = shutil.copytree(first, project.folder / "second")
    record = json.loads((second / "scorecard.json").read_text("utf-8"))
    record["model"]["name"] = "second"
    (second / "scorecard.json").write_text(json.dumps(record), "utf-8")
    assert main(["scorecard", str(first), str(second), "--picture", "both.png"]) == 0
    assert (project.folder / "both.png").stat().st_size > 1000
    assert "both.png" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "sentence"), [(None, "cannot be read"), ("{", "is damaged")])
def test_a_scorecard_that_is_none_is_a_sentence(
    here: Project, capsys: pytest.CaptureFixture[str], content: str | None, sentence: str
) -> None:
    if content is not None:
        here.write("reports/x/scorecard.json", content)
    assert main(["scorecard", "reports/x"]) == 2
    assert sentence in capsys.readouterr().err
