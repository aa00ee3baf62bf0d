"""The audit of a folder as a user runs it."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from roentgate.__main__ import main
from roentgate.errors import ArgumentError
from roentgate.report import audit_report
from tests.support.planted import image, tree

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the real suites and data cards, and small images."""
    for name in ("suites", "data"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    tree(tmp_path / "images", images=10)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROENTGATE_STORE", raising=False)
    return tmp_path


def test_a_sound_folder_is_left_in_peace(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "images"]) == 0
    assert "images: nothing found; reports/images/audit.md" in capsys.readouterr().out
    page = (project / "reports/images/audit.md").read_text("utf-8")
    assert "**NOTHING FOUND**" in page
    assert "roentgate audit images" in page
    assert (project / "reports/images/audit-probes.png").is_file()
    found = audit_report.read(project / "reports/images/audit.json")
    assert found["accepted"]
    assert found["pairs"] == []
    assert {row["check"] for row in found["rows"]} >= {"images_in_two_splits", "metadata_probe", "border_probe"}
    assert "beats_trivial_probes" not in {row["check"] for row in found["rows"]}


def test_a_leak_is_told_shown_and_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile("images/test/A/000.png", "images/train/A/again.png")
    assert main(["audit", "images"]) == 1
    assert "The same image in two splits: at least 1 of 20 images of test are in train" in capsys.readouterr().out
    page = (project / "reports/images/audit.md").read_text("utf-8")
    assert "**PROBLEMS FOUND**" in page
    assert "| train/A/again.png | test/A/000.png | identical bytes" in page
    assert (project / "reports/images/audit-near-duplicates.png").is_file()


def test_a_row_without_a_value_is_no_headline(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (project / "images/test/A").iterdir():  # every test image of A is in train as well
        shutil.copyfile(path, project / "images/train/A" / f"again-{path.name}")
    assert main(["audit", "images"]) == 1
    output = capsys.readouterr().out
    assert "The same image in two splits: at least 10 of 20" in output
    assert "The border alone predicts the class" not in output
    assert "Not judged: border_probe (5 % border alone): no image of A" in output


def test_equal_images_give_equal_bytes(project: Path) -> None:
    shutil.copyfile("images/test/A/000.png", "images/train/A/again.png")
    main(["audit", "images"])
    files = sorted((project / "reports/images").iterdir())
    first = [file.read_bytes() for file in files]
    shutil.rmtree(".roentgate")
    main(["audit", "images"])
    assert [file.read_bytes() for file in files] == first


def test_broken_and_odd_images_are_told_and_stop_nothing(project: Path) -> None:
    Path("images/train/A/001.png").write_bytes(Path("images/train/A/001.png").read_bytes()[:300])
    Image.new("L", (96, 96), 0).save("images/train/B/black.png")
    assert main(["audit", "images"]) == 1
    page = (project / "reports/images/audit.md").read_text("utf-8")
    assert "1 of 61 images cannot be read" in page
    assert "train/B/black.png: blank" in page
    assert (project / "reports/images/audit-odd.png").is_file()


def test_awkward_names_do_not_break_the_page(project: Path) -> None:
    shutil.copyfile("images/test/A/000.png", "images/train/A/a|b<i>\n`.png")
    assert main(["audit", "images"]) == 1
    page = (project / "reports/images/audit.md").read_text("utf-8")
    assert "<i>" not in page
    assert "a|b" not in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


def test_what_goes_with_one_class_alone_is_said_on_the_page(project: Path) -> None:
    for file in [*Path("images").rglob("B/*.png")]:
        Image.open(file).save(file.with_suffix(".jpg"), quality=90)
        file.unlink()
    assert main(["audit", "images"]) == 1
    page = (project / "reports/images/audit.md").read_text("utf-8")
    rules = page.partition("What occurs in one class only:")[2].partition("##")[0]
    assert "- format JPEG ⇒ B, 30 of 30" in rules


def test_without_cleanlab_the_page_says_how_to_ask_for_labels(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    assert main(["audit", "images"]) == 0
    page = (project / "reports/images/audit.md").read_text("utf-8")
    assert "Not asked: `pip install roentgate[labels]` adds cleanlab, which does." in page


def test_an_audit_says_how_it_was_called(project: Path) -> None:
    Path("data/images.toml").write_text('root = "../images"\nclasses = ["A", "B"]\n', "utf-8")
    assert main(["audit", "--data", "images", "--out", "elsewhere"]) == 0
    assert "roentgate audit --data images" in (project / "elsewhere/audit.md").read_text("utf-8")


@pytest.mark.parametrize("arguments", [["audit"], ["audit", "images", "--data", "images"]])
def test_a_folder_or_a_card_must_be_named(
    project: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.is_dir()
    assert main(arguments) == 2
    assert "name either a folder, or a card with --data NAME" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_a_sentence(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.is_dir()
    assert main(["audit", "nowhere"]) == 2
    assert "neither a card" in capsys.readouterr().err


def test_a_damaged_record_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text(json.dumps({"schema": "other"}))
    with pytest.raises(ArgumentError, match=r"audit\.json.*no audit.*run the command anew"):
        audit_report.read(tmp_path / "audit.json")


def test_what_the_card_states_of_the_study_stands_first(project: Path) -> None:
    Path("data/images.toml").write_text('root = "../images"\n[study]\nages = "adults"\n', "utf-8")
    main(["audit", "--data", "images"])
    lines = (project / "reports/images/audit.md").read_text("utf-8").splitlines()
    assert lines[2:5] == ["- ages: adults", "- sexes: not stated", "- sites: not stated"]
    assert list(json.loads((project / "reports/images/audit.json").read_text("utf-8")))[3:5] == ["study", "fingerprint"]
    main(["audit", "./images"])
    lines = (project / "reports/images/audit.md").read_text("utf-8").splitlines()
    assert lines[2] == "- study: not stated: ages, sexes, sites, dates, view, devices, reference standard"


def test_an_audit_without_a_study_is_read_and_shown(project: Path) -> None:
    main(["audit", "images"])
    path = project / "reports/images/audit.json"
    found = json.loads(path.read_text("utf-8"))
    del found["study"]
    path.write_text(json.dumps(found), "utf-8")
    assert "not stated" not in audit_report.markdown(audit_report.read(path), "x")


def test_patients_and_groups_of_a_card_are_used(project: Path) -> None:
    for split in ("train", "validation", "test"):
        for index, file in enumerate(sorted((project / "images" / split).rglob("*.png"))):
            file.rename(file.with_name(f"p{split[:2]}{index // 2}-{file.name}"))
    shutil.copyfile(next((project / "images/test/A").iterdir()), project / "images/train/A/pte0-copy.png")
    image(900).save(project / "images/train/A/pte0-copy.png")
    Path("data/images.toml").write_text("root = \"../images\"\ngroup = '/p(\\w+)-'\n", "utf-8")
    assert main(["audit", "--data", "images"]) == 1
    page = (project / "reports/images/audit.md").read_text("utf-8")
    assert "1 of 10 patients of test have images in train" in page
