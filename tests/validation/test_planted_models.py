"""Tests of the promises in the docstrings of planted-fault models."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from roentgate import Task
from roentgate.errors import ModelError
from tests.validation.planted_models import read_planted_model, read_planted_models

ROOT = Path(__file__).resolve().parents[2]

PROMISE = '''"""Reads the corner.

Must be rejected by: border/border_swap,
    border/border_only_skill
{on}Diagnosis: follow the donor
"""
'''


def written(folder: Path, name: str, text: str) -> Path:
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(("line", "data"), [("", "phantom"), ("On: phantom-shortcut\n", "phantom-shortcut")])
def test_a_fault_says_what_it_is_which_checks_see_it_where_and_how(tmp_path: Path, line: str, data: str) -> None:
    model = read_planted_model("known_bad.corner", written(tmp_path, "known_bad.corner", PROMISE.format(on=line)))
    assert model.says == "Reads the corner."
    assert model.checks == (("border", "border_swap"), ("border", "border_only_skill"))
    assert (model.data, model.diagnosis, model.sound, model.unseen) == (data, "follow the donor", False, False)


def test_a_fault_that_no_check_sees_says_so(tmp_path: Path) -> None:
    text = '"""Too sure.\n\nMust be rejected by: nothing\nDiagnosis: no check looks at calibration yet\n"""\n'
    model = read_planted_model("known_bad.sure", written(tmp_path, "known_bad.sure", text))
    assert (model.checks, model.unseen) == ((), True)


@pytest.mark.parametrize("text", ["", '"""Reads the corner."""\n', PROMISE.format(on="").replace("Diagnosis", "Story")])
def test_a_fault_without_its_promise_is_refused_with_the_form(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "known_bad.corner", text)
    with pytest.raises(
        ModelError, match=r"'known_bad.corner' \(corner.py\): its docstring must be .* 'Must be rejected"
    ):
        read_planted_model("known_bad.corner", path)


def test_a_sound_model_promises_nothing(tmp_path: Path) -> None:
    model = read_planted_model("sound.plain", written(tmp_path, "sound.plain", '"""Plain, and\nsound.\n\nMore."""\n'))
    assert (model.says, model.sound, model.checks, model.unseen) == ("Plain, and sound.", True, (), False)


@pytest.mark.parametrize(("code", "loaded"), [("def build(task): ...", False), ("def load(task): ...", True)])
@pytest.mark.parametrize("name", ["sound.plain", "known_bad.corner"])
def test_a_model_is_loaded_where_its_file_has_no_network_to_train(
    tmp_path: Path, name: str, code: str, *, loaded: bool
) -> None:
    model = read_planted_model(name, written(tmp_path, name, f"{PROMISE.format(on='')}\n\n{code}\n"))
    assert model.loaded is loaded


def test_a_loaded_model_answers_alike_whatever_the_seed() -> None:
    """So such a model counts once."""
    found = [model.name for model in read_planted_models(ROOT / "models") if model.loaded]
    assert found == [
        "known_bad.by_heart",
        "known_bad.drifts_after_many",
        "known_bad.nan_without_border",
        "sound.numpy_linear",
    ]
    images = np.random.default_rng(0).random((8, 96, 96, 1)).astype(np.float32)
    for name in found:
        module = importlib.import_module(f"models.{name}")
        first, second = (module.load(Task(("a", "b", "c"), (96, 96, 1), seed)).predict(images) for seed in (0, 1))
        np.testing.assert_array_equal(first, second)


def test_planted_models_are_listed_faults_first_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("sound.plain", "known_bad.corner", "known_bad._parts", "baseline"):
        written(tmp_path, name, PROMISE.format(on=""))
    assert [model.name for model in read_planted_models(tmp_path)] == ["known_bad.corner", "sound.plain"]
