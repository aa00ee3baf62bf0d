"""Tests of stored predictions and of comparisons with them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roentgate.candidates import Options
from roentgate.errors import ArgumentError, ModelError
from roentgate.evidence.stored_predictions import PREDICTIONS_FILE, drop_others, find_stored, read_predictions
from roentgate.policy.bounds import BorderBounds
from roentgate.report.write import render_again
from roentgate.scorecard import Row
from roentgate.session.session import open_session
from tests.support.toy import NEAREST, Draw, Project, Result

pytest_plugins = ["tests.support.toy"]

WORSE = NEAREST.replace(
    'return Nearest(archive["means"])', 'return Nearest(archive["means"] - (np.arange(3) == 1)[:, None, None])'
)
"""Never predicts Left."""

WITHOUT_ANSWERS = NEAREST.replace('return Nearest(archive["means"])', 'return Nearest(archive["means"] * np.nan)')
"""Answers NaN to every image."""

CHECKS = ("recall_noninferiority", "accuracy_noninferiority", "auroc_noninferiority", "negative_flips", "border_change")
PUBLISHED = ("covid19/baseline", "covid19/lung_swap", "phantom/baseline", "phantom-shortcut/baseline")


@pytest.fixture
def compared(project: Project) -> Project:
    """A project with the comparison suite and a worse model."""
    root = Path(__file__).resolve().parents[2]
    shutil.copy(root / "suites" / "test_comparison.py", project.folder / "suites")
    shutil.copy(root / "suites" / "test_border.py", project.folder / "suites")
    policy = (project.folder / "suites" / "policy.toml").read_text("utf-8")
    lines = f"comparison = {json.dumps(CHECKS)}\nsmall ="
    tables = "\n[border]\nborders = [0.05]\n\n[comparison]\nmargin = 0.05\n"
    project.write("suites/policy.toml", policy.replace("small =", lines, 1) + tables)
    project.write("models/worse.py", WORSE)
    return project


def comparison_rows(result: Result, model: str = "nearest") -> list[Row]:
    return [row for row in result.record(model)["rows"] if row["suite"] == "comparison"]


def test_without_a_reference_the_comparison_is_no_part_of_a_run(compared: Project) -> None:
    result = compared.run()
    assert result.status == 0, result.out
    assert comparison_rows(result) == []
    assert result.record()["complete"]


def test_a_policy_elsewhere_does_not_bring_the_comparison_in(compared: Project) -> None:
    policy = compared.write("mine.toml", (compared.folder / "suites" / "policy.toml").read_text("utf-8"))
    result = compared.run("--policy", str(policy))
    assert result.status == 0, result.out


def interrupted(project: Project) -> Result:
    suite = project.folder / "suites" / "test_second.py"
    whole = suite.read_text("utf-8")
    suite.write_text(f"{whole}    raise KeyboardInterrupt\n", "utf-8")
    result = project.run()
    suite.write_text(whole, "utf-8")
    return result


@pytest.mark.parametrize("cut_short", [lambda project: project.run("suites/test_small.py"), interrupted])
def test_what_was_answered_outlives_a_partial_run_of_the_same_model_and_the_verdict_does_not(
    compared: Project, cut_short: Callable[[Project], Result]
) -> None:
    live = comparison_rows(compared.run("--model", "worse", "--reference", "nearest"), "worse")
    assert compared.run().status == 0
    kept = compared.folder / "reports" / "toy" / "nearest" / PREDICTIONS_FILE
    before = kept.read_bytes()
    result = cut_short(compared)
    assert (result.record()["outcome"] != "fail", result.record()["complete"]) == (False, False)
    assert kept.read_bytes() == before
    assert comparison_rows(compared.run("--model", "worse", "--reference", str(kept.parent)), "worse") == live


def test_a_partial_run_leaves_no_predictions_of_another_model(compared: Project) -> None:
    kept = compared.folder / "reports" / "toy" / "nearest" / PREDICTIONS_FILE
    compared.run()
    assert kept.is_file()
    compared.write("models/nearest.py", WORSE)
    compared.run("suites/test_small.py")
    assert not kept.exists()


def test_a_model_that_cannot_answer_keeps_what_it_answered_before(
    compared: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = compared.folder / "reports" / "toy" / "nearest" / PREDICTIONS_FILE
    compared.run()

    def crash(_: object) -> None:
        raise ModelError("no answer today")

    monkeypatch.setattr("roentgate.report.write._evidence_record", crash)
    assert "no evidence to show: no answer today" in (compared.run().reports / "toy/nearest/scorecard.md").read_text()
    assert kept.is_file()


def test_pictures_of_an_older_run_are_not_shown_by_a_partial_one(
    compared: Project,
    real_draw: Draw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roentgate.report.figure_set.draw", real_draw)
    folder = compared.run().reports / "toy" / "nearest"
    pictures = {"scorecard.md": "](border.png)", "scorecard.html": "data:image/png"}
    assert all(markup in (folder / name).read_text("utf-8") for name, markup in pictures.items())
    compared.run("suites/test_small.py")
    assert (folder / "border.png").is_file()
    render_again(folder)
    assert not any(markup in (folder / name).read_text("utf-8") for name, markup in pictures.items())


@pytest.mark.parametrize("named", ["suites/test_comparison.py", "suites/test_comparison.py::test_negative_flips"])
def test_naming_the_comparison_without_a_reference_is_a_usage_error(compared: Project, named: str) -> None:
    result = compared.run(named)
    assert result.status == 4
    assert f"'{named}' compares with a reference: pass --reference NAME, or the folder of a scorecard" in result.out


def test_two_references_are_a_usage_error_and_one_named_twice_is_one(compared: Project) -> None:
    result = compared.run("--reference", "worse", "--reference", "nearest")
    assert result.status == 4
    assert "--reference worse and --reference nearest: a run compares with one reference" in result.out
    result = compared.run("--reference", "nearest", "--reference=nearest")
    assert result.status == 0, result.out
    assert comparison_rows(result)


def test_the_record_says_what_it_was_compared_with(compared: Project) -> None:
    reference = compared.run("--model", "worse").record("worse")["model"]
    folder = compared.folder / "reports" / "toy" / "worse"
    for spec, source in (("worse", "models/worse.py"), (str(folder), "its stored predictions")):
        result = compared.run("--reference", spec)
        (negative_flips,) = result.rows("negative_flips")
        assert negative_flips["detail"].endswith(
            f"; the reference is worse (fingerprint {reference['fingerprint'][:12]})"
        )
        notes = json.loads((result.reports / "toy" / "nearest" / "evidence.json").read_text("utf-8"))["notes"]
        assert f"compared with worse ({source}, fingerprint {reference['fingerprint'][:12]})" in notes


def test_a_reference_that_answers_not_every_image_is_named(compared: Project) -> None:
    compared.write("models/silent.py", WITHOUT_ANSWERS)
    result = compared.run("--reference", "silent")
    assert result.status == 1
    page = (result.reports / "toy" / "nearest" / "scorecard.md").read_text("utf-8")
    assert "the reference gives no finite answer to 36 of 36 images" in page
    auroc, *_ = [row for row in comparison_rows(result) if row["check"] == "auroc_noninferiority"]
    assert "the reference: a score is not finite" in auroc["detail"]


def test_a_reference_that_cannot_answer_costs_the_candidate_no_evidence(compared: Project) -> None:
    compared.write("models/narrow.py", NEAREST.replace(".astype(np.float32)", ".astype(np.float32)[:, :2]"))
    result = compared.run("--reference", "narrow")
    assert result.status == 1
    folder = result.reports / "toy" / "nearest"
    assert "the reference gives no answers: " in (folder / "scorecard.md").read_text("utf-8")
    assert (folder / PREDICTIONS_FILE).is_file()


def test_a_model_compared_with_itself_is_identical_and_accepted(compared: Project) -> None:
    result = compared.run("--reference", "nearest", "--gate", "simple")
    assert result.status == 0, result.out
    rows = comparison_rows(result)
    assert {row["check"] for row in rows} == set(CHECKS)
    assert all("the same model" in row["detail"] for row in rows if row["check"].endswith("noninferiority"))
    assert "compared with nearest" in (result.reports / "toy" / "nearest" / "scorecard.md").read_text("utf-8")


def test_a_worse_candidate_is_refused_class_by_class_and_the_images_are_named(compared: Project) -> None:
    result = compared.run("--model", "worse", "--reference", "nearest")
    assert result.status == 1
    refused = {(row["check"], row["subject"]) for row in comparison_rows(result, "worse") if not row["accepted"]}
    assert {("recall_noninferiority", "Left"), ("accuracy_noninferiority", "test")} <= refused
    assert ("recall_noninferiority", "Right") not in refused
    (negative_flips,) = result.rows("negative_flips", "worse")
    left = (compared.images / "test" / "Left").iterdir()
    assert sorted(negative_flips["failing"]) == sorted(f"test/Left/{path.name}" for path in left)


def test_a_better_candidate_is_accepted(compared: Project) -> None:
    result = compared.run("--reference", "worse")
    assert result.status == 0, result.out


def test_a_stored_scorecard_serves_as_well_as_the_model(compared: Project) -> None:
    compared.run("--model", "worse")
    folder = compared.folder / "kept"
    shutil.copytree(compared.folder / "reports" / "toy" / "worse", folder)
    live = comparison_rows(compared.run("--reference", "worse"))
    (compared.folder / "models" / "worse.py").unlink()
    for spec in (folder, folder / "scorecard.json"):
        assert comparison_rows(compared.run("--reference", str(spec))) == live


def test_the_folder_of_the_same_model_can_be_the_reference_and_is_identical(compared: Project) -> None:
    live = compared.run("--reference", "nearest")
    folder = shutil.copytree(live.reports / "toy" / "nearest", compared.folder / "kept")
    rows = comparison_rows(live)
    result = compared.run("--reference", str(folder))
    assert result.status == 0, result.out
    assert comparison_rows(result) == rows
    assert all("the same model" in row["detail"] for row in rows if row["value"] is not None and row["gates"])


def test_a_reference_with_modules_of_its_own_does_not_lend_them_to_the_candidate(compared: Project) -> None:
    for folder, shift in (("old", 0), ("new", 1)):
        text = NEAREST.replace("import numpy as np", "import numpy as np\nfrom helper import SHIFT").replace(
            'return Nearest(archive["means"])',
            'return Nearest(archive["means"] - SHIFT * (np.arange(3) == 1)[:, None, None])',
        )
        compared.write(f"{folder}/same.py", text)
        compared.write(f"{folder}/helper.py", f"SHIFT = {shift}\n")
        shutil.copy(compared.folder / "models" / "means.npz", compared.folder / folder)
    result = compared.run("--model", "new/same.py", "--reference", "old/same.py")
    assert result.status == 4
    assert "each imports a 'helper' of its own" in result.out


def test_a_policy_without_the_comparison_still_requires_it_of_a_reference(compared: Project) -> None:
    policy = compared.folder / "suites" / "policy.toml"
    lines = [line for line in policy.read_text("utf-8").splitlines() if not line.startswith("comparison")]
    policy.write_text("\n".join(lines), "utf-8")
    (compared.folder / "suites" / "test_comparison.py").unlink()
    result = compared.run("--reference", "nearest")
    assert result.status == 1
    assert "required, but not recorded: comparison/recall_noninferiority" in result.out


def test_new_weights_are_not_compared_with_themselves(compared: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Options] = []
    candidate = compared.ready()

    def ready(_name: str, _card: object, options: Options, *_: object, **_more: object) -> object:
        asked.append(options)
        return candidate

    monkeypatch.setattr("roentgate.candidates.training.ready", ready)
    settings = compared.settings("nearest")
    given = replace(settings.options, weights=compared.folder / "new.keras")
    session = open_session(replace(settings, options=given, reference="nearest"))
    assert session.reference is not session.evidence("nearest")
    assert [options.weights for options in asked] == [None, compared.folder / "new.keras"]


def test_an_older_outcome_does_not_outlive_a_reference_that_is_not_there(compared: Project) -> None:
    kept = compared.folder / "reports" / "toy" / "nearest" / "scorecard.json"
    compared.run()
    assert kept.is_file()
    assert compared.run("--reference", "nearst").status == 4
    assert not kept.exists()


def test_a_reference_of_another_image_size_is_compared_image_by_image(compared: Project) -> None:
    compared.run("--model", "worse")
    shutil.copytree(compared.folder / "reports" / "toy" / "worse", compared.folder / "kept")
    text = (
        (compared.folder / "models" / "nearest.py")
        .read_text("utf-8")
        .replace("images[:, None, :, :, 0]", "images[:, None, :, :, 1]")
    )
    compared.write("models/colour.py", f"{text}\n\nIMAGE_SHAPE = (32, 32, 3)\n")
    result = compared.run("--model", "colour", "--reference", "kept")
    assert result.status == 0, result.out


def test_predictions_beside_a_scorecard_of_another_model_are_no_reference(compared: Project) -> None:
    compared.run("--model", "worse")
    compared.run()
    folder = compared.folder / "reports" / "toy"
    shutil.copy(folder / "worse" / PREDICTIONS_FILE, folder / "nearest")
    with pytest.raises(ArgumentError, match="not of the model of the scorecard beside it"):
        read_predictions(folder / "nearest" / PREDICTIONS_FILE)


def test_workers_give_the_same_record(compared: Project) -> None:
    given = ("--model", "worse", "--reference", "nearest", "--no-figures")
    alone = compared.run_apart(*given, reports="alone").bytes("worse")
    assert compared.run_apart(*given, "-n", "2", reports="shared").bytes("worse") == alone


def test_a_comparison_without_its_rows_refuses(compared: Project) -> None:
    (compared.folder / "suites" / "test_comparison.py").unlink()
    result = compared.run("--reference", "nearest")
    assert result.status == 1
    assert "required, but not recorded: comparison/" in result.out


def test_negative_flips_are_shown(compared: Project, real_draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roentgate.report.figure_set.draw", real_draw)
    result = compared.run("--model", "worse", "--reference", "nearest")
    folder = result.reports / "toy" / "worse"
    assert (folder / "negative_flips.png").stat().st_size > 5000
    assert "12 images right with the reference and wrong now (12 shown)" in (folder / "scorecard.html").read_text(
        "utf-8"
    )


def test_more_negative_flips_than_fit_are_shown_evenly(
    compared: Project,
    real_draw: Draw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[tuple[str, str]] = []

    def sheet(_images: object, captions: list[tuple[str, str]], path: Path, *, title: str) -> Path:
        shown.extend(captions)
        path.write_bytes(title.encode())
        return path

    monkeypatch.setattr("roentgate.report.figure_set.draw", real_draw)
    monkeypatch.setattr("roentgate.report.figure_set.NEWLY_WRONG", 4)
    monkeypatch.setattr("roentgate.report.figures.image_sheet", sheet)
    compared.write("models/worst.py", NEAREST.replace('archive["means"])', 'archive["means"][[1, 2, 0]])'))
    compared.run("--model", "worst", "--reference", "nearest")
    assert [image.split("/")[1] for image, _ in shown] == ["Bottom", "Left", "Left", "Right"]
    assert shown[0] == ("test/Bottom/00.png", "Bottom → Right")


# The file


@pytest.fixture
def stored(compared: Project) -> Path:
    compared.run()
    return compared.folder / "reports" / "toy" / "nearest" / PREDICTIONS_FILE


def undigested(path: Path) -> dict[str, object]:
    """Return a file's content without its digest, as in older versions."""
    content: dict[str, object] = json.loads(path.read_text("utf-8"))
    del content["digest"]
    return content


def test_predictions_are_read_as_they_were_made(compared: Project, stored: Path) -> None:
    from roentgate.evidence.evidence import Evidence

    bounds = BorderBounds(borders=[0.05])
    evidence, found = Evidence(compared.ready()), read_predictions(stored)
    assert (found.name, found.test.ids, found.test.classes) == ("nearest", evidence.test.ids, evidence.test.classes)
    np.testing.assert_array_equal(found.test.probabilities, evidence.test.probabilities)
    again, first = found.border(bounds), evidence.border(bounds)
    np.testing.assert_array_equal(again.donor_labels, first.donor_labels)
    for part in ("masked", "only", "interior", "other", "same"):
        for key, answers in getattr(first, part).items():
            np.testing.assert_array_equal(getattr(again, part)[key].answers, answers.answers)


def test_only_predictions_of_this_model_on_these_images_stay(stored: Path, compared: Project) -> None:
    whole, splits = stored.read_bytes(), compared.ready().splits
    fingerprint = read_predictions(stored).fingerprint
    drop_others(stored.parent, fingerprint=fingerprint, images=splits.test)
    assert stored.read_bytes() == whole
    for owner, images in (("0" * 64, splits.test), (fingerprint, splits.validation)):
        drop_others(stored.parent, fingerprint=owner, images=images)
        assert not stored.exists()
        stored.write_bytes(whole)
    stored.write_bytes(whole[:-9])
    drop_others(stored.parent, fingerprint=fingerprint, images=splits.test)
    assert stored.read_bytes() == whole[:-9]


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": [[0.0, 1.0, 0.0]] * 36},
        {"border": {}, "donor_labels": []},
        {"donor_labels": [-1] * 36},
        {"labels": [0] * 36},
        {"model": "other"},
        {"groups": [f"patient {row}" for row in range(36)]},
    ],
)
def test_what_was_changed_since_it_was_written_is_a_sentence(stored: Path, change: dict[str, object]) -> None:
    stored.write_text(json.dumps(json.loads(stored.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(
        ArgumentError,
        match=r"predictions\.json': cannot be read \(not as it was written: its content has another digest",
    ):
        read_predictions(stored)


def test_a_line_that_is_lost_or_of_another_run_is_a_sentence(stored: Path) -> None:
    lines = stored.read_text("utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        for replacement in ([], [line.replace("1", "2", 1)]):
            if replacement != [line]:
                stored.write_text("".join([*lines[:number], *replacement, *lines[number + 1 :]]), "utf-8")
                with pytest.raises(ArgumentError, match="cannot be read"):
                    read_predictions(stored)


def test_predictions_of_before_there_was_a_digest_are_read(stored: Path) -> None:
    whole = read_predictions(stored)
    stored.write_text(json.dumps(undigested(stored)), "utf-8")
    assert read_predictions(stored).fingerprint == whole.fingerprint


def test_predictions_of_schema_1_are_read(stored: Path) -> None:
    whole, content = read_predictions(stored), undigested(stored)
    content |= {"schema": "roentgate.predictions/1", "films": content.pop("images")}
    stored.write_text(json.dumps(content), "utf-8")
    assert read_predictions(stored).images == whole.images


def test_scores_that_are_no_probabilities_can_be_a_reference(stored: Path) -> None:
    stored.write_text(json.dumps(undigested(stored) | {"probabilities": [[5.0, 3.0, 1.0]] * 36}), "utf-8")
    assert read_predictions(stored).test.answers.tolist() == [0] * 36


@pytest.mark.parametrize("folder", PUBLISHED)
def test_what_is_published_is_as_it_was_written(folder: str) -> None:
    path = Path(__file__).resolve().parents[2] / "reports" / folder / PREDICTIONS_FILE
    assert json.loads(path.read_text("utf-8"))["digest"]
    assert read_predictions(path).name == path.parent.name


def test_a_perturbation_that_was_not_stored_is_a_sentence(stored: Path) -> None:
    with pytest.raises(ArgumentError, match=r"stored without 'masked 0\.2 black', which this policy names"):
        read_predictions(stored).border(BorderBounds(borders=[0.2]))


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "roentgate.predictions/3"},
        {"labels": [0]},
        {"labels": [9] * 36},
        {"probabilities": [[1.0]] * 36},
        {"probabilities": [["x"] * 3] * 36},
        {"probabilities": [[1e300] * 3] * 36},
        {"donor_labels": [0]},
        {"ids": ["a"] * 36},
        {"more": 1},
        {"ids": None},
    ],
)
def test_a_file_that_does_not_fit_together_is_a_sentence(stored: Path, change: dict[str, object]) -> None:
    stored.write_text(json.dumps(undigested(stored) | change), "utf-8")
    with pytest.raises(ArgumentError, match=r"predictions\.json': cannot be read .*; judge the reference again"):
        read_predictions(stored)


@pytest.mark.parametrize("content", [None, "{", "[]", "\udcff"])
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / PREDICTIONS_FILE
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_predictions(path)


def test_a_reference_on_other_images_is_a_sentence(compared: Project, stored: Path) -> None:
    content = undigested(stored) | {"images": "0" * 64}
    folder = compared.folder / "other"
    folder.mkdir()
    (folder / PREDICTIONS_FILE).write_text(json.dumps(content), "utf-8")
    result = compared.run("--reference", str(folder))
    assert result.status == 4
    assert "was judged on other test images, file by file, than these" in result.out


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"classes": ["Bottom", "Left", "Top"]}, "classes, or in another order,"),
        ({"ids": [f"{row}.png" for row in range(36)]}, "test rows"),
        ({"labels": [0] * 36}, "labels"),
        ({"groups": ["a"] * 36}, "patients"),
    ],
)
def test_what_differs_is_named(compared: Project, stored: Path, change: dict[str, object], part: str) -> None:
    folder = compared.folder / "other"
    folder.mkdir()
    content = undigested(stored) | change
    (folder / PREDICTIONS_FILE).write_text(json.dumps(content), "utf-8")
    result = compared.run("--reference", str(folder))
    assert result.status == 4
    assert f"was judged on other {part} than these" in result.out


def test_a_reference_among_the_reports_of_a_second_model_costs_the_first_nothing(
    compared: Project, stored: Path
) -> None:
    compared.write("models/worse.py", WORSE)
    other = compared.run("--model", "worse").reports / "toy" / "worse" / "scorecard.json"
    result = compared.run("--model", "worse", "--model", "nearest", "--reference", str(stored.parent))
    assert result.status == 4
    assert "is a folder of this run's own reports" in result.out
    assert other.is_file()


def test_a_file_named_like_the_folder_of_a_seed_is_left_alone(compared: Project) -> None:
    notes = compared.write("reports/toy/nearest/seed-9", "notes of mine")
    assert compared.run().status == 0
    assert notes.read_text("utf-8") == "notes of mine"


@pytest.mark.parametrize("named", ["", "scorecard.json"])
def test_a_reference_in_the_folder_that_the_run_writes_to_is_refused_and_left_as_it_is(
    compared: Project, stored: Path, named: str
) -> None:
    """A second run would compare the candidate with itself and accept it."""
    compared.write("models/nearest.py", WORSE)
    before = {path: path.read_bytes() for path in stored.parent.iterdir() if path.is_file()}
    result = compared.run("--reference", str(stored.parent / named))
    assert result.status == 4
    assert "is a folder of this run's own reports" in result.out
    assert {path: path.read_bytes() for path in stored.parent.iterdir() if path.is_file()} == before
    elsewhere = compared.run("--reference", str(stored.parent), "--report-dir", str(compared.folder / "elsewhere"))
    assert elsewhere.status == 1


def test_a_damaged_scorecard_beside_a_reference_is_the_file_that_is_named(compared: Project, stored: Path) -> None:
    folder = compared.folder / "other"
    folder.mkdir()
    (folder / PREDICTIONS_FILE).write_bytes(stored.read_bytes())
    (folder / "scorecard.json").write_text('{"model": {', "utf-8")
    with pytest.raises(ArgumentError, match=r"scorecard\.json': cannot be read \(JSONDecodeError"):
        read_predictions(folder / PREDICTIONS_FILE)


def test_a_folder_without_predictions_is_a_sentence(compared: Project) -> None:
    result = compared.run("--reference", "models")
    assert result.status == 4
    assert "--reference 'models': holds no predictions.json" in result.out


def test_a_name_is_a_model_and_a_folder_with_predictions_is_stored(stored: Path, tmp_path: Path) -> None:
    assert find_stored("nearest") is None
    assert find_stored(str(tmp_path)) is None
    assert find_stored(str(stored.parent)) == stored
    assert find_stored(str(stored.parent / "scorecard.json")) == stored
