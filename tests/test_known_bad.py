"""Each known-bad model is rejected by the checks it names, for its reason; sound models of all kinds are not."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from harness.dataset import read_splits
from harness.gate import open_card, open_store
from harness.source import model_names

ROOT = Path(__file__).resolve().parents[1]
NAMES = [name for name in model_names(ROOT / "models") if name.startswith("known_bad.")]
SOUND = "models/known_bad/_small.py"
"""The network that most faults are planted in, without a fault."""

INFORMS = {("border", "interior_mask_control")}
UNRECORDED = "required, but not recorded"
TIMEOUT_S = 1800

Pair = tuple[str, str]
Row = dict[str, Any]


@dataclass(frozen=True)
class Promise:
    """What the docstring of a known-bad model says."""

    checks: tuple[Pair, ...]
    diagnosis: str


@dataclass(frozen=True)
class Group:
    """Known-bad models that one command judges, so that TensorFlow is imported once.

    Attributes:
        checks: What the command runs: enough to see the faults, and no more.
        data: What they are trained on.
        epochs: How long; 1 where it does not matter what they have learned.
        controls: Sound models that this command must accept.
    """

    checks: tuple[str, ...]
    data: str = "phantom"
    epochs: int = 4
    controls: tuple[str, ...] = ()


GROUPS = {
    "streams and outputs": Group(
        (
            "suites/test_alignment.py",
            "suites/test_inference.py::test_evaluation_streams_clean",
            "suites/test_inference.py::test_outputs_are_probabilities",
        ),
        controls=(SOUND,),
    ),
    "layers": Group(
        (
            "suites/test_inference.py::test_predictions_repeat",
            "suites/test_inference.py::test_predictions_batch_invariant",
            "suites/test_inference.py::test_augmentation_identity_at_inference",
            "suites/test_inference.py::test_augmentation_active_in_training",
            "suites/test_inference.py::test_reload_preserves_predictions",
        ),
        epochs=1,
        controls=(SOUND,),
    ),
    "recall and border": Group(("suites/test_recall.py", "suites/test_border.py"), data="phantom-shortcut"),
}


def required() -> set[Pair]:
    policy = tomllib.loads((ROOT / "suites" / "policy.toml").read_text("utf-8"))
    return {(suite, check) for suite, checks in policy["gate"]["required"].items() for check in checks}


def promise(name: str) -> Promise:
    path = ROOT / "models" / Path(*name.split(".")).with_suffix(".py")
    found = re.fullmatch(
        r"\S[^\n]+\.\n\nMust be rejected by: (.+)\nDiagnosis: ([^\n]+)\n?",
        ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "",
        re.DOTALL,
    )
    if found is None:
        pytest.fail(
            f"{path}: the docstring must be the fault in one line, an empty line, "
            "'Must be rejected by: suite/check[, ...]' and 'Diagnosis: words of the scorecard'"
        )
    pairs = [tuple(entry.strip().split("/")) for entry in found[1].split(",")]
    return Promise(tuple((suite, check) for suite, check in pairs), found[2])


def group_of(checks: Iterable[Pair]) -> str:
    pairs = set(checks)
    light = {("inference", "evaluation_streams_clean"), ("inference", "outputs_are_probabilities")}
    if {suite for suite, _ in pairs} & {"recall", "border"}:
        return "recall and border"
    return "layers" if {pair for pair in pairs if pair[0] == "inference"} - light else "streams and outputs"


def judge(models: list[str], group: Group, reports: Path) -> tuple[int, dict[str, list[Row]]]:
    """Return the exit status of one acceptance run, and the rows recorded on each model, by the name it was given."""
    options = ["--data", group.data, "--epochs", str(group.epochs), "--report-dir", str(reports), "-q", "--tb=line"]
    named = [argument for model in models for argument in ("--model", model)]
    command = [sys.executable, "-m", "pytest", *group.checks, *options, *named]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    records = [json.loads(path.read_text("utf-8")) for path in reports.glob("*/*/scorecard.json")]
    rows = {
        record["model"]["name"]: [row for row in record["verdicts"] if row["detail"] != UNRECORDED]
        for record in records
    }
    names = {model: Path(model).stem if model.endswith(".py") else model for model in models}
    if missing := [model for model, name in names.items() if not rows.get(name)]:
        pytest.fail(f"nothing recorded on {', '.join(missing)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.returncode, {model: rows[name] for model, name in names.items()}


def refused(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row["accepted"]]


def shortcomings(name: str, rows: list[Row]) -> list[str]:
    """Return what a model's docstring promises and its scorecard does not show."""
    kept = promise(name)
    against = [row for row in refused(rows) if (row["suite"], row["check"]) in kept.checks]
    seen = {(row["suite"], row["check"]) for row in against}
    missed = [f"{name}: not refused by {suite}/{check}" for suite, check in kept.checks if (suite, check) not in seen]
    if any(kept.diagnosis in row["detail"] for row in against):
        return missed
    return [*missed, f"'{kept.diagnosis}' is not said by", *(told(name, row) for row in against)]


def told(name: str, row: Row) -> str:
    return f"{name}: {row['check']} [{row['subject']}] {row['verdict']}: {row['detail']}"


@pytest.mark.parametrize("name", NAMES)
def test_a_known_bad_model_names_its_fault_its_checks_and_its_diagnosis(name: str) -> None:
    unknown = set(promise(name).checks) - required()
    assert not unknown, f"{name} names checks that the policy does not require: {unknown}"


def test_every_gating_check_rejects_some_known_bad_model() -> None:
    assert {pair for name in NAMES for pair in promise(name).checks} == required() - INFORMS


@pytest.mark.trains
@pytest.mark.parametrize("name", GROUPS)
def test_known_bad_models_are_rejected_for_their_fault_and_sound_controls_are_not(name: str, tmp_path: Path) -> None:
    group = GROUPS[name]
    models = [model for model in NAMES if group_of(promise(model).checks) == name]
    status, records = judge([*models, *group.controls], group, tmp_path)
    assert status != 0
    assert [line for model in models for line in shortcomings(model, records[model])] == []
    assert [told(control, row) for control in group.controls for row in refused(records[control])] == []


PLUGGED_IN = {
    "three_channels": """
IMAGE_SHAPE = (96, 96, 3)

def build(task):
    return network(task)
""",
    "cropped": """
def build(task):
    return network(task, layers.Cropping2D(6))
""",
    "resized_and_augmented": """
IMAGE_SHAPE = (80, 72, 1)

def build(task):
    return network(task, layers.Resizing(96, 96), layers.RandomTranslation(0.05, 0.05), layers.RandomZoom(0.05))
""",
    "symmetric_range": """
INPUT_RANGE = (-1, 1)

def build(task):
    return network(task)
""",
    "standardised": """
def prepare(images):
    mean, deviation = (getattr(images, name)(axis=(1, 2, 3), keepdims=True) for name in ("mean", "std"))
    return (images - mean) / (deviation + 1e-6)

def build(task):
    return network(task)
""",
    "nested_backbone": """
def build(task):
    shape = (*task.image_shape[:2], 3)
    backbone = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(2.0, -1.0),
            layers.Conv2D(8, 5, strides=4),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    )
    images = keras.Input(task.image_shape)
    augmented = keras.Sequential([layers.RandomTranslation(0.02, 0.02), layers.RandomZoom(0.02)])(images)
    features = backbone(layers.Concatenate()([augmented] * 3), training=False)
    head = layers.Dense(len(task.classes), activation="softmax")
    return compiled(keras.Model(images, head(layers.Flatten()(features))))
""",
    "tf_data": """
def build(task):
    return network(task)

def streams(data, recipe, task):
    import tensorflow as tf

    def stream(split, shuffle):
        films = tf.data.Dataset.from_tensor_slices(
            (split.take(range(len(split))), np.eye(len(task.classes), dtype=np.float32)[split.labels])
        )
        films = films.shuffle(len(split), seed=task.seed) if shuffle else films
        return films.batch(recipe.batch_size).prefetch(2)

    return Streams(stream(data.train, True), stream(data.validation, False), stream(data.test, False))
""",
    "black_box": """
FILES = ("weights.npz",)

class Linear:
    def __init__(self, weights):
        self.weights, self.bias = weights["weights"], weights["bias"]

    def predict(self, images):
        scores = images[:, ::4, ::4, 0].reshape(len(images), -1) @ self.weights + self.bias
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

def load(task):
    with np.load(Path(__file__).parent / FILES[0]) as weights:
        return Linear(dict(weights))
""",
}
"""Sound models as a team might plug them in, each of another kind."""

KERAS = """
import keras
import numpy as np
from keras import layers

from harness import Recipe, Streams

RECIPE = Recipe(batch_size=16, epochs=4)

def network(task, *first):
    head = layers.Dense(len(task.classes), activation="softmax")
    features = [layers.Conv2D(8, 5, strides=4, activation="relu"), layers.Flatten()]
    return compiled(keras.Sequential([keras.Input(task.image_shape), *first, *features, head]))

def compiled(model):
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return model
"""
PLAIN = "from pathlib import Path\n\nimport numpy as np\n"


def fit_black_box(path: Path) -> None:
    """Fit a linear classifier of every fourth pixel to the phantom, and leave its weights."""
    store = open_store(ROOT)
    card = open_card("phantom", ROOT / "data", store)
    train = read_splits(card, image_shape=(96, 96, 1), cache=store.root / "pixels").train
    pixels = train.take(range(len(train)))[:, ::4, ::4, 0].reshape(len(train), -1)
    fitted = LogisticRegression(C=0.1, max_iter=200).fit(pixels, train.labels)
    np.savez(path, weights=fitted.coef_.T.astype(np.float32), bias=fitted.intercept_.astype(np.float32))


@pytest.fixture
def plugged_in(tmp_path: Path) -> dict[str, Path]:
    """Return the files of `PLUGGED_IN`, written."""
    fit_black_box(tmp_path / "weights.npz")
    paths = {name: tmp_path / f"{name}.py" for name in PLUGGED_IN}
    for name, path in paths.items():
        start = PLAIN if name == "black_box" else KERAS
        path.write_text(f'"""A sound model: {name}."""\n{start}{PLUGGED_IN[name]}', "utf-8")
    return paths


@pytest.mark.trains
def test_sound_streams_and_outputs_of_every_kind_are_accepted(plugged_in: dict[str, Path], tmp_path: Path) -> None:
    models = [str(path) for path in plugged_in.values()]
    _, records = judge(models, GROUPS["streams and outputs"], tmp_path / "reports")
    assert [told(name, row) for name, rows in records.items() for row in refused(rows)] == []


@pytest.mark.trains
def test_sound_layers_nested_or_none_at_all_are_accepted(plugged_in: dict[str, Path], tmp_path: Path) -> None:
    models = [str(plugged_in[name]) for name in ("nested_backbone", "black_box")]
    _, records = judge(models, GROUPS["layers"], tmp_path / "reports")
    assert [told(name, row) for name, rows in records.items() for row in refused(rows)] == []
    box = records[str(plugged_in["black_box"])]
    skipped = {row["check"] for row in box if row["verdict"] == "skipped"}
    assert skipped == {"augmentation_identity_at_inference", "augmentation_active_in_training"}
