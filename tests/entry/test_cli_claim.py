"""The command ``claim``: its report and its exit status."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roentgate.__main__ import main

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).resolve().parents[2]

HOLDS = """
data = "toy"

[counts]
Bottom = 12
Left = 12
Right = 12

[[claim]]
place = "abstract"
accuracy = 1.00
"""


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a claims file, set as the working folder."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    project.write("claims.toml", HOLDS)
    return project


def test_the_published_report_is_what_the_command_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "claims.md"
    assert main(["claim", "data/claims/article.toml", "--out", str(out)]) == 1
    text = out.read_text("utf-8")
    assert capsys.readouterr().out == text
    assert text == (ROOT / "reports" / "covid19" / "claims.md").read_text("utf-8")
    assert "**12 figures in 3 places cannot all be true together**" in text
    assert "*first evaluation* and *confusion matrix* agree: 56 of 66 right, an accuracy of 0.8485" in text
    assert "*second evaluation* is possible, but with no other place: 49 of 66 right, an accuracy of 0.7424" in text
    assert "without the accuracy, 56 of 66 are right (0.8485)" in text
    assert re.search(r"\| Covid +\| 23 +\| 3 +\| 0 +\|", text)


def test_claims_that_can_be_true_exit_0(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claim", "claims.toml"]) == 0
    shown = capsys.readouterr().out
    assert "**1 figure in 1 place can be true**" in shown
    assert "Nothing: every figure is a function of the counts." in shown
    assert "Reproduced" not in shown


def test_a_figure_that_several_counts_print_alike_is_told_as_their_range(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    here.write("claims.toml", HOLDS.replace("accuracy = 1.00", "accuracy = 0.9").replace("= 12", "= 40"))
    assert main(["claim", "claims.toml"]) == 0
    assert "102 to 114 of 120 right, an accuracy of 0.8500 to 0.9500" in capsys.readouterr().out


def test_a_model_that_reproduces_them_exits_0(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claim", "claims.toml", "--model", "nearest"]) == 0
    shown = capsys.readouterr().out
    assert "## Reproduced by nearest on toy?" in shown
    assert "python -m roentgate claim claims.toml --model nearest" in shown
    assert main(["claim", "claims.toml", "--model", "nearest", "--gate", "guarded"]) == 1  # 36 images reach to 0.90


def test_a_model_that_does_not_exits_1(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    here.write("claims.toml", HOLDS.replace("1.00", "0.50"))
    assert main(["claim", "claims.toml", "--model", "nearest"]) == 1
    shown = capsys.readouterr().out
    assert "**1 figure in 1 place can be true**" in shown
    assert re.search(r"abstract: accuracy +\| not accepted: fail +\|", shown)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (HOLDS.replace("accuracy", "acuracy"), [], "did you mean 'accuracy'"),
        (HOLDS.replace('"toy"', '"tov"'), [], "'tov'"),
        (
            HOLDS.replace('data = "toy"', ""),
            ["--model", "nearest"],
            "name no data to judge 'nearest' on; pass --data NAME",
        ),
        (HOLDS.replace("12", "13"), ["--model", "nearest"], "are about 13 Bottom, 13 Left, 13 Right"),
        (HOLDS.replace("Left", "Up"), ["--model", "nearest"], "the classes of data 'toy' are Bottom, Left, Right"),
        (HOLDS, ["--model", "nearst"], "did you mean 'nearest'?"),
    ],
)
def test_bad_input_exits_2_with_a_sentence(
    here: Project, capsys: pytest.CaptureFixture[str], text: str, arguments: list[str], message: str
) -> None:
    here.write("claims.toml", text)
    assert main(["claim", "claims.toml", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert len(output.err.splitlines()) == 1


def test_a_file_that_is_not_there_exits_2(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claim", "clams.toml"]) == 2
    assert "claims 'clams.toml': no such file" in capsys.readouterr().err


def test_classes_other_than_the_cards_are_refused_without_a_model(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "data" / "covid19.toml", here.folder / "data")
    here.write("claims.toml", HOLDS.replace("toy", "covid19"))
    assert main(["claim", "claims.toml"]) == 2
    assert "the classes of data 'covid19' are Covid, Normal, Viral Pneumonia" in capsys.readouterr().err


def test_hostile_names_are_escaped(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["a|b", "<b>c</b>", "line\\nbreak"]
    counts = "\n".join(f'"{name}" = 4' for name in names)
    claims = "\n".join(
        f'[[claim]]\nplace = "{place}"\naccuracy = "{text}"\nrecall = {{"{names[0]}" = "1.0"}}\n'
        for place, text in (("fig|1 <i>", "0.50"), ("fig\\n2", "0.75"))
    )
    here.write("claims.toml", f'title = "*x* | <script>"\n[counts]\n{counts}\n{claims}')
    assert main(["claim", "claims.toml"]) == 1
    shown = capsys.readouterr().out
    for raw in ("<b>", "<i>", "<script>", "a|b", "fig|1", "*x*"):
        assert raw not in shown
    assert "a&#124;b" in shown
    assert "line␊break" in shown
    rows = [line for line in shown.splitlines() if line.strip().startswith("|")]
    assert len({line.count("|") for line in rows}) <= 2
