"""Tests of the detection matrix: what it counts, requires and writes."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from roentgate.data.phantom import DOSES
from roentgate.errors import ArgumentError, HarnessError, ModelError
from roentgate.scorecard.record import empty_row
from roentgate.scorecard.shape import Record, Row
from tests.support.rows import FAILED, row
from tests.support.toy import Project
from tests.validation import detection_matrix as matrix
from tests.validation import dose_page, matrix_page, subprocess_run
from tests.validation import dose_response as doses
from tests.validation.detection_matrix import Entry, Matrix, Outcome
from tests.validation.dose_response import READERS, Reliance
from tests.validation.planted_models import PlantedModel

pytest_plugins = ["tests.support.toy"]

CHECKS = [
    "alignment/images_match_rows",
    "inference/predictions_repeat",
    "recall/recall_floor",
    "border/border_mask_flips",
]
ROOT = Path(__file__).resolve().parents[2]


def outcome(*refused: str, seed: int = 0, diagnosed: bool = True) -> Outcome:
    return {"seed": seed, "refused": sorted(refused), "failed": [], "diagnosed": diagnosed, "accuracy": 0.9}


def entry(
    name: str,
    *outcomes: Outcome,
    promised: tuple[str, ...] = (),
    data: str = "phantom",
    sound: bool = False,
    loaded: bool = False,
) -> Entry:
    return {
        "name": name,
        "says": "What it is | and does.",
        "sound": sound or name.startswith("sound."),
        "loaded": loaded,
        "data": data,
        "promised": list(promised),
        "diagnosis": "the words",
        "outcomes": list(outcomes),
    }


def made(*planted_models: Entry, dosed: tuple[Entry, ...] = ()) -> Matrix:
    reliance: list[Reliance] = [
        {"share": share, "refused": [["border/border_mask_flips"] * (share >= limit) for limit in (0.4, 0.6)]}
        for share in (0.0, 0.5, 1.0)
    ]
    return {
        "schema": matrix.SCHEMA,
        "command": "python -m tests.validation matrix",
        "remarks": [],
        "seeds": [0, 1],
        "checks": CHECKS,
        "models": list(planted_models),
        "data": [],
        "doses": list(dosed),
        "reliance": reliance if dosed else [],
    }


SHIFTED = entry("known_bad.shifted", outcome(CHECKS[0]), outcome(CHECKS[0], CHECKS[2], seed=1), promised=(CHECKS[0],))
SOUND = entry("sound.small", outcome(), outcome(CHECKS[2], CHECKS[3], seed=1))


def test_a_cell_counts_the_trainings_that_a_check_refused() -> None:
    assert [(matrix.caught(SHIFTED, check).hits, matrix.caught(SHIFTED, check).n) for check in CHECKS] == [
        (2, 2),
        (0, 2),
        (1, 2),
        (0, 2),
    ]


def test_a_sound_model_below_a_recall_floor_is_no_false_alarm_of_the_border() -> None:
    share, alarms = matrix.false_alarms(made(SOUND), "border")
    assert (share.hits, share.n, alarms) == (0, 1, [])
    share, alarms = matrix.false_alarms(made(entry("sound.small", outcome(CHECKS[3]))), "border")
    assert (share.hits, share.n, alarms) == (1, 1, ["sound.small, seed 0: border/border_mask_flips"])


def test_a_row_without_a_value_counts_as_refused_as_it_does_for_the_gate() -> None:
    row: dict[str, Any] = {"suite": "border", "check": "border_only_skill", "detail": "too little skill", "value": None}
    row |= {"gates": True, "accepted": False, "outcome": "conditional_fail", "reason": None}
    record: Any = {"task": {"seed": 0}, "rows": [row, {**row, "check": "border_swap", "gates": False}]}
    found = matrix._outcome(entry("sound.small"), record, 0.9)
    assert (found["refused"], found["failed"]) == (["border/border_only_skill"], [])
    share, alarms = matrix.false_alarms(made(entry("sound.small", found)), "border")
    assert (share.hits, alarms) == (1, ["sound.small, seed 0: border/border_only_skill"])


def test_nothing_is_missing_where_every_fault_is_caught_and_no_sound_model_is_refused() -> None:
    assert matrix.shortcomings(made(SHIFTED, SOUND)) == []


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            entry("known_bad.x", outcome(), outcome(CHECKS[1]), promised=(CHECKS[1],)),
            "predictions_repeat caught 1 of 2",
        ),
        (
            entry("known_bad.x", outcome(CHECKS[1], diagnosed=False), promised=(CHECKS[1],)),
            "'the words' was said in 0 of 1",
        ),
        (entry("sound.y", outcome(CHECKS[0], seed=3)), "false alarm: sound.y, seed 3: alignment/images_match_rows"),
        (entry("sound.y", outcome(CHECKS[1])), "false alarm: sound.y, seed 0: inference/predictions_repeat"),
    ],
)
def test_a_miss_a_wrong_diagnosis_and_a_false_alarm_are_missing(model: Entry, sentence: str) -> None:
    (found,) = matrix.shortcomings(made(model))
    assert sentence in found


def test_sound_models_that_fail_the_border_by_whole_intervals_too_often_are_missing() -> None:
    def failing(count: int) -> Matrix:
        outcomes: list[Outcome] = [{**outcome(), "failed": [CHECKS[3]] * (seed < count)} for seed in range(40)]
        return made(entry("sound.y", *outcomes))

    assert matrix.shortcomings(failing(2)) == []
    (found,) = matrix.shortcomings(failing(8))
    assert found == "border: 8 of 40 sound trainings failed by their whole interval"


def test_a_fault_that_promises_nothing_is_not_asked_for() -> None:
    assert matrix.shortcomings(made(entry("known_bad.sure", outcome(diagnosed=False)))) == []


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    matrix.write(made(SHIFTED, SOUND), tmp_path / "m.json")
    assert matrix.read(tmp_path / "m.json") == made(SHIFTED, SOUND)


@pytest.mark.parametrize("content", [None, "{", '{"schema": "roentgate.scorecard/1"}', "other"])
def test_a_record_that_is_none_is_a_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "m.json"
    if content == "other":
        matrix.write({**made(), "schema": "roentgate.matrix/0"}, path)
    elif content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(ArgumentError, match="run the command anew"):
        matrix.read(path)


# Judging


def test_the_plan_is_every_planted_model_and_the_articles_models_as_sound_ones() -> None:
    plan = matrix.plan(ROOT)
    names = [model.name for model in plan]
    assert len(names) == len(set(names))
    assert {"known_bad.shifted", "sound.small", *matrix.ARTICLE} <= set(names)
    assert all(model.sound for model in plan if model.name in matrix.ARTICLE)
    assert sum(bool(model.checks) for model in plan) >= 24
    assert [model.name for model in matrix.plan(ROOT, ["sound.small"])] == ["sound.small"]
    with pytest.raises(ArgumentError, match=r"no model to judge has the name sound\.smal;"):
        matrix.plan(ROOT, ["sound.smal"])


def test_outcomes_come_from_scorecards_of_every_seed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    result = project.run()
    steps: list[tuple[str, int]] = []
    runs: list[tuple[tuple[str, ...], str, int]] = []

    def run(models: list[str], data: str, seed: int, *, reports: Path, **_: object) -> list[Record]:
        runs.append((tuple(models), data, seed))
        for model in models:
            shutil.copytree(result.reports / "toy" / "nearest", reports / data / model, dirs_exist_ok=True)
        record = result.record()
        record["task"]["seed"] = seed
        record["rows"][0] |= {"accepted": False, "detail": "here are the words"}
        return [record] * len(models)

    monkeypatch.setattr(subprocess_run, "run", run)
    model = PlantedModel(
        name="nearest", says="It.", sound=False, checks=(("second", "balanced"),), data="toy", diagnosis="the words"
    )
    (found,) = matrix.judge(
        [model], [0, 1], reports=project.folder / "judged", step=lambda now, done: steps.append((now, done))
    )
    assert runs == [(("nearest",), "toy", 0), (("nearest",), "toy", 1)]
    assert found["outcomes"] == [
        {"seed": seed, "refused": ["second/balanced"], "failed": [], "diagnosed": True, "accuracy": 1.0}
        for seed in (0, 1)
    ]
    assert sum(done for _, done in steps) == 2


def test_every_model_is_trained_with_each_seed_and_a_loaded_model_judged_once() -> None:
    planted_models = [
        PlantedModel(name="known_bad.a", says="A.", sound=False),
        PlantedModel(name="known_bad.b", says="B.", sound=False, data="phantom-shortcut"),
        PlantedModel(name="sound.c", says="C.", sound=True),
        PlantedModel(name="known_bad.d", says="D.", sound=False, loaded=True),
        PlantedModel(name="sound.e", says="E.", sound=True, loaded=True),
    ]
    entries = [entry(model.name, data=model.data, loaded=model.loaded) for model in planted_models]
    judged = [name for _, _, names in matrix._portions(entries, range(5)) for name in names]
    assert [judged.count(model.name) for model in planted_models] == [5, 5, 5, 1, 1]
    assert matrix.work(planted_models, range(5), with_doses=False) == len(judged)


@pytest.mark.parametrize(
    ("names", "readings", "blended"),
    [
        (["known_bad.logits", "sound.small"], [], False),
        (["known_bad.border_reader"], ["known_bad.border_reader"] * len(DOSES), False),
        (["sound.cropping", "known_bad.border_reader"], ["known_bad.border_reader"] * len(DOSES), True),
        ([], [name for name in READERS for _ in DOSES], True),
    ],
)
def test_doses_are_judged_of_the_readers_among_the_planted_models_and_blends_where_both_parts_are(
    names: list[str], readings: list[str], monkeypatch: pytest.MonkeyPatch, *, blended: bool
) -> None:
    judged: list[list[str]] = []

    def judge(planted_models: Iterable[PlantedModel], *_: object, **__: object) -> list[Entry]:
        judged.append([model.name for model in planted_models])
        return []

    monkeypatch.setattr(matrix, "judge", judge)
    blend: Reliance = {"share": 0.5, "refused": []}
    monkeypatch.setattr(doses, "blends", lambda *_, **__: [blend])
    planted_models = matrix.plan(ROOT, names)
    record = matrix.run(ROOT, planted_models, [0], reports=ROOT, step=lambda *_: None, command="matrix")
    assert judged == [[model.name for model in planted_models], readings]
    assert record["reliance"] == [blend] * blended
    assert matrix.work(planted_models, [0]) == len(planted_models) + len(readings) + 2 * blended
    assert matrix.work(planted_models, [0], with_doses=False) == len(planted_models)


@pytest.mark.parametrize(
    ("promise", "meant"),
    [("boarder/border_swap", "border/border_swap"), ("border/border_swa", "border/border_swap")],
)
@pytest.mark.parametrize("only", [[], ["sound.small"]])
def test_a_planted_model_that_names_an_unknown_check_is_refused_and_not_left_out(
    tmp_path: Path, promise: str, meant: str, only: list[str]
) -> None:
    shutil.copytree(ROOT / "models", tmp_path / "models")
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    assert matrix.plan(tmp_path, only)
    text = (ROOT / "models" / "known_bad" / "shifted.py").read_text("utf-8")
    assert "alignment/images_match_rows" in text
    spoiled = text.replace("alignment/images_match_rows", promise)
    (tmp_path / "models" / "known_bad" / "typo.py").write_text(spoiled, "utf-8")
    with pytest.raises(ModelError, match=rf"known_bad\.typo'.*'{promise}'.*did you mean '{meant}'"):
        matrix.plan(tmp_path, only)


def test_a_model_is_judged_by_the_suites_in_a_process_of_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    (record,) = subprocess_run.run(
        ["nearest"], "toy", 0, reports=project.folder / "r", name="toy", extra=["--no-figures"], quiet=True
    )
    assert record["outcome"] != "fail"
    assert not list((project.folder / "r").rglob("*.png"))
    assert (project.folder / "r" / "toy" / "nearest" / "scorecard.html").is_file()


def test_a_check_that_ends_in_an_error_catches_no_fault_and_says_nothing_of_a_sound_model() -> None:
    def refused(check: str, detail: str, **changes: object) -> Row:
        suite, name = check.split("/")
        return row(suite=suite, check=name, detail=detail, **(FAILED | changes))

    rows = [refused(CHECKS[0], "RuntimeError: the words", reason="crashed"), refused(CHECKS[3], "of whole images")]
    record: Any = {"rows": rows, "task": {"seed": 3}}
    faulty = entry("known_bad.x", promised=(CHECKS[0],))
    found = matrix._outcome(faulty, record, None)
    assert (found["refused"], found["unfinished"], found["diagnosed"]) == ([CHECKS[3]], [CHECKS[0]], False)
    faulty["outcomes"].append(found)
    assert matrix.shortcomings(made(faulty)) == [
        f"known_bad.x: {CHECKS[0]} caught 0 of 1",
        f"known_bad.x, seed 3: {CHECKS[0]} did not finish",
        "known_bad.x: 'the words' was said in 0 of 1",
    ]
    sound = entry("sound.y")
    sound["outcomes"].append(matrix._outcome(sound, record, None))
    assert sound["outcomes"][0]["refused"] == [CHECKS[0], CHECKS[3]]
    assert f"sound.y, seed 3: {CHECKS[0]} did not finish" in matrix.shortcomings(made(sound))
    rows[0]["reason"] = None
    assert "unfinished" not in matrix._outcome(faulty, record, None)


def test_a_model_that_cannot_be_judged_costs_no_other_its_outcome(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All models of a process fail together, and then each is judged alone."""
    result = project.run()
    calls: list[list[str]] = []

    def run(names: list[str], data: str, seed: int, *, reports: Path, **_: object) -> list[Record]:
        calls.append(names)
        if "known_bad.broken" in names:
            raise HarnessError(f"{names[0]}, seed {seed}: no scorecard\nsome output\nERROR: build() raised it")
        for name in names:
            shutil.copytree(result.reports / "toy" / "nearest", reports / data / name, dirs_exist_ok=True)
        return [result.record() for _ in names]

    monkeypatch.setattr(subprocess_run, "run", run)
    monkeypatch.chdir(ROOT)
    names = ("known_bad.a", "known_bad.broken", "sound.c")
    planted_models = [PlantedModel(name=name, says="It.", sound=name.startswith("sound"), checks=()) for name in names]
    entries = matrix.judge(planted_models, [0], reports=project.folder / "m", step=lambda *_: None)
    assert calls == [[*names], *([name] for name in names)]
    assert [len(each["outcomes"]) for each in entries] == [1, 0, 1]
    assert all(not each["outcomes"] or each["outcomes"][0]["seed"] == 0 for each in entries)
    assert [each.get("failures") for each in entries] == [
        None,
        ["known_bad.broken, seed 0: no scorecard; ERROR: build() raised it"],
        None,
    ]
    found = made(*entries)
    assert matrix.shortcomings(found) == entries[1]["failures"]
    assert "raised it" in matrix_page.markdown(found)
    promising = entry("known_bad.broken", promised=(CHECKS[0],))
    assert "not judged" in matrix_page.markdown(made(promising))
    matrix_page.publish(found, project.folder)
    assert matrix.read(project.folder / matrix_page.RECORD) == found


def test_where_nothing_can_be_judged_no_matrix_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(names: list[str], *_: object, **__: object) -> list[Record]:
        raise HarnessError(f"{names[0]}: no scorecard")

    monkeypatch.setattr(subprocess_run, "run", run)
    monkeypatch.chdir(ROOT)
    planted_models = [PlantedModel(name=name, says="It.", sound=False) for name in ("known_bad.a", "known_bad.b")]
    with pytest.raises(HarnessError, match=r"known_bad\.b: no scorecard"):
        matrix.judge(planted_models, [0, 1], reports=tmp_path, step=lambda *_: None)
    assert matrix.judge([], [0], reports=tmp_path, step=lambda *_: None) == []


def test_a_dose_that_cannot_be_judged_is_missing_and_leaves_the_page_whole(tmp_path: Path) -> None:
    for lost in range(len(DOSED)):
        dosed = [entry("known_bad.shortcut_learner", *each["outcomes"], data=each["data"]) for each in DOSED]
        dosed[lost]["outcomes"] = []
        dosed[lost]["failures"] = ["shortcut_learner, seed 0: no scorecard"]
        found = made(SHIFTED, dosed=tuple(dosed))
        assert matrix.shortcomings(found) == ["shortcut_learner, seed 0: no scorecard"]
        page = matrix_page.publish(found, tmp_path).read_text("utf-8")
        assert "**1 missing:**" in page
        assert "not judged" in page
        assert "None" not in page


def test_an_error_in_a_border_check_is_no_settled_fail_of_a_sound_model() -> None:
    crashed = empty_row(
        suite="border", check="border_swap", subject="", reason="crashed", detail="ValueError: no border"
    )
    record: Any = {"rows": [crashed], "task": {"seed": 0}}
    found = matrix._outcome(entry("sound.x"), record, 0.9)
    assert (found["refused"], found["failed"]) == (["border/border_swap"], [])


def test_a_fault_that_no_check_sees_is_planned_and_listed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "models", tmp_path / "models")
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    text = '"""It is wrong ``somehow``.\n\nMust be rejected by: nothing\nDiagnosis: nobody looks\n"""\n'
    (tmp_path / "models" / "known_bad" / "stuck.py").write_text(text, "utf-8")
    (stuck,) = matrix.plan(tmp_path, ["known_bad.stuck"])
    assert stuck.unseen
    judged = entry("known_bad.stuck", outcome())
    judged["says"] = stuck.says
    page = matrix_page.markdown(made(judged))
    assert "Faults that are known to be missed" in page
    assert "It is wrong somehow" in page


# The page


def learner(data: str, *refused: str) -> Entry:
    return entry("known_bad.shortcut_learner", outcome(*refused), outcome(*refused, seed=1), data=data)


DOSED = tuple(learner(data, *[CHECKS[3]] * (dose > 60)) for dose, data in DOSES.items())


def test_the_page_says_what_each_fault_was_caught_by_and_escapes_what_it_quotes() -> None:
    page = matrix_page.markdown(made(SHIFTED, SOUND, dosed=DOSED))
    assert "Nothing missing." in page
    assert "`shifted`: What it is &#124; and does." in page
    assert "images_match_rows | 2 of 2 | recall_floor 1" in " ".join(page.split())
    assert "0 of 2: [0.00, 0.84]" in page


def test_the_page_says_what_was_trained_how_often_and_what_was_loaded() -> None:
    fixed = entry("sound.fixed", outcome(CHECKS[2]), loaded=True)
    page = matrix_page.markdown({**made(SHIFTED, SOUND, fixed), "seeds": [0, 1, 2, 3, 4]})
    assert "2 sound models (negative controls). 5 trainings of each. `fixed` is loaded" in page
    assert "`fixed` is loaded, not trained, and counts once: another seed would be the same model again." in page
    assert "| recall | 2 of 3 [0.094, 0.992]" in " ".join(page.split())
    assert "loaded" not in matrix_page.markdown(made(SHIFTED, SOUND))


def test_the_page_says_that_all_trainings_share_one_test_set() -> None:
    page = matrix_page.markdown(made(SHIFTED, SOUND))
    assert "trained on the same drawn images and judged on the same 240 test images" in page
    assert "says nothing of other test sets" in page


def test_the_page_of_faults_alone_counts_no_sound_model() -> None:
    page = matrix_page.markdown(made(SHIFTED))
    assert "No sound model was judged." in page
    assert "0 of 0" not in page
    assert "[0.000, 1.000]" not in page


def test_the_page_of_sound_models_alone_counts_no_fault_and_none_that_is_able_is_a_sentence() -> None:
    page = matrix_page.markdown(made(entry("sound.small", outcome(CHECKS[2]))))
    assert "No planted-fault model was judged." in page
    assert "Refused by the whole interval of a border row: none was judged." in page
    assert "| border | none was judged | none |" in " ".join(page.split())
    assert "0 of 0" not in page


def test_the_page_leads_with_what_is_missing() -> None:
    page = matrix_page.markdown(made(entry("sound.y", outcome(CHECKS[0]))))
    assert "**1 missing:**\n\n- false alarm: sound.y" in page


def test_a_fault_that_no_check_promises_to_see_is_said_to_be_unseen() -> None:
    page = matrix_page.markdown(made(SHIFTED, SOUND, entry("known_bad.quiet", outcome(CHECKS[2]))))
    section = page.partition("## Faults that are known to be missed")[2].partition("Made by:")[0]
    assert "`quiet`: What it is &#124; and does." in section
    assert "shifted" not in section
    assert "are known to be missed" not in matrix_page.markdown(made(SHIFTED, SOUND))


def test_the_page_tells_spoiled_data_from_sound_data() -> None:
    spoiled = entry("leaked", outcome("data/leakage_identical"), promised=("data/leakage_identical",))
    sound = entry("clean", outcome(), outcome(seed=1), sound=True)
    page = matrix_page.markdown({**made(SHIFTED, SOUND), "data": [spoiled, sound]})
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("|")}
    assert "leakage_identical | 1 of 1" in " ".join(lines["`leaked`: What it is &#124; and does."].split())
    assert [part.strip() for part in lines["`clean`"].split("|")[2:5]] == ["What it is &#124; and does.", "2", "none"]


def test_sound_data_that_is_refused_is_a_false_alarm() -> None:
    sound = entry("clean", outcome("data/leakage_identical"), sound=True)
    assert matrix.shortcomings({**made(SHIFTED, SOUND), "data": [sound]}) == [
        "false alarm: data clean, seed 0: data/leakage_identical"
    ]


def test_responses_are_read_off_the_curves() -> None:
    found = {line[0]: line[1:] for line in dose_page.responses(made(dosed=DOSED))}
    assert found["border_mask_flips"] == ["0 of 2", "62 % (50 to 75)", "74 % (50 to 75)", "50 %", "95 % (50 to 100)"]
    assert found["border_swap"] == ["0 of 2", *["never"] * 4]


def test_what_is_refused_at_dose_0_stands_beside_the_readings_and_is_explained() -> None:
    first, *others = DOSED
    record = made(dosed=({**first, "outcomes": [outcome(CHECKS[3]), outcome(seed=1)]}, *others))
    assert dose_page.responses(record)[1][:2] == ["border_mask_flips", "1 of 2"]
    section = " ".join(dose_page.section(record))
    assert "At dose 0 `shortcut_learner` has no shortcut to rely on, only faint lesions (accuracy 0.90)" in section
    assert "no shortcut to rely on" not in " ".join(dose_page.section(made(dosed=DOSED)))


def test_an_accuracy_that_no_training_has_is_left_out() -> None:
    first, *others = DOSED
    bare: list[matrix.Outcome] = [{**outcome(CHECKS[3]), "accuracy": None}, {**outcome(seed=1), "accuracy": None}]
    section = " ".join(dose_page.section(made(dosed=({**first, "outcomes": bare}, *others))))
    assert "only faint lesions, so what" in section
    assert "nan" not in section


def test_doses_of_one_reader_alone_are_a_table_without_curves(tmp_path: Path) -> None:
    dosed = entry("known_bad.border_reader", outcome(), data=DOSES[50])
    alone: Matrix = {**made(entry("sound.small", outcome()), dosed=(dosed,)), "reliance": []}
    page = matrix_page.publish(alone, tmp_path).read_text("utf-8")
    assert "| `border_reader` | | 0 of 1, accuracy 0.90 |" in " ".join(page.split())
    assert "dose_response.png" not in page
    assert not (tmp_path / "dose_response.png").exists()
    assert "Left:" not in page


def test_readings_of_what_was_not_judged_say_so() -> None:
    found = {line[0]: line[1:] for line in dose_page.responses({**made(dosed=DOSED), "reliance": []})}
    assert found["border_mask_flips"][3:] == ["not judged"] * 2


def test_publishing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    both = [tmp_path / name for name in ("first", "second")]
    for folder in both:
        matrix_page.publish(made(SHIFTED, SOUND, dosed=DOSED), folder)
    files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in both]
    assert files[0] == files[1]
    assert set(files[0]) == {
        "detection_matrix.md",
        "detection_matrix.json",
        "detection_matrix.png",
        "dose_response.png",
    }


def test_the_published_page_is_that_of_the_published_record() -> None:
    record = matrix.read(ROOT / "reports" / matrix_page.RECORD)
    assert (ROOT / "reports" / matrix_page.PAGE).read_text("utf-8") == matrix_page.markdown(record)
    assert all(len(model["outcomes"]) == 1 for model in record["models"] if model["loaded"])


@pytest.mark.xfail(strict=True, reason="two loaded models joined after the record was made: make matrix")
def test_every_loaded_model_is_in_the_published_record() -> None:
    record = matrix.read(ROOT / "reports" / matrix_page.RECORD)
    assert {model["name"] for model in record["models"] if model["loaded"]} == {
        model.name for model in matrix.plan(ROOT) if model.loaded
    }


def test_the_readme_says_what_the_published_record_holds() -> None:
    record = matrix.read(ROOT / "reports" / matrix_page.RECORD)
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    trained = [model for model in record["models"] if model["sound"] and not model["loaded"]]
    faulty = [sum(bool(each["promised"]) for each in part) for part in (record["models"], record["data"])]
    trainings = sum(len(model["outcomes"]) for model in trained)
    drawings = sum(len(each["outcomes"]) for each in record["data"] if each["sound"])
    assert f"{faulty[0]} faulty models and {faulty[1]} faulty data sets: each was refused by every check" in text
    assert f"{len(trained)} sound models in {trainings} trainings and one that is loaded" in text
    assert f"{drawings} drawings of sound data: none refused" in text
    assert matrix.shortcomings(record) == []
    for suite in ("alignment", "inference", "attention", "calibration"):
        assert matrix.false_alarms(record, suite)[0].hits == 0
    assert matrix.settled_alarms(record).hits == 0


def test_a_run_without_its_scorecard_shows_its_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    project.write("models/broken.py", '"""Broken."""\n\n\ndef load(task):\n    raise OSError("no such weights")\n')
    with pytest.raises(HarnessError, match=r"(?s)broken, seed 0: the run ended with status 4 .*no such weights"):
        subprocess_run.run(["broken"], "toy", 0, reports=project.folder / "r", name="toy", quiet=True)
