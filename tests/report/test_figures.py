"""Figures are the same PNG each time, for any content."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roentgate.checks.calibration import Bin
from roentgate.report import architecture as blocks
from roentgate.report import figures, forest_plot, style
from roentgate.scorecard import record as scorecard
from roentgate.scorecard.shape import EvidenceRecord, Layer, Record, Row
from tests.support.rows import FAILED, row

HOSTILE = "a|b <b> $x_2$ \n\u202e 肺炎 \U0001f600"


UNDEFINED: dict[str, Any] = {"outcome": "conditional_fail", "accepted": False, "value": None, "state": "undefined"}


def build(*rows: Row, name: str = "baseline", classes: tuple[str, ...] = ("Covid", "Normal")) -> Record:
    return scorecard.build(
        rows=rows,
        model={"name": name, "source": "models/baseline.py", "fingerprint": "ab" * 32, "weights": "loaded"},
        dataset={
            "name": "phantom",
            "fingerprint": "cd" * 32,
            "classes": classes,
            "counts": {"train": dict.fromkeys(classes, 1500), "test": {classes[0]: 20}},
        },
        task={"image_shape": (96, 96, 1), "seed": 0},
        gate="simple",
        policy={"fingerprint": "ef" * 32},
        required=[("border", "border_swap")],
        complete=True,
    )


def layer(kind: str, *shape: int, parameters: int = 0) -> Layer:
    return {"name": kind.lower(), "type": kind, "shape": list(shape), "parameters": parameters}


LAYERS = [
    layer("InputLayer", 96, 96, 1),
    layer("RandomFlip", 96, 96, 1),
    layer("Conv2D", 94, 94, 32, parameters=320),
    layer("MaxPooling2D", 47, 47, 32),
    layer("Flatten", 70688),
    layer("Dense", 3, parameters=212067),
]


def evidence(classes: tuple[str, ...] = ("Covid", "Normal")) -> EvidenceRecord:
    return {
        "confusion": {"classes": list(classes), "counts": [[16, 4], [0, 0]]},
        "report": "",
        "history": {"loss": [1.0, None], "val_loss": [0.9, 1.1], "categorical_accuracy": [0.5, 0.6]},
        "layers": LAYERS,
        "figures": [],
        "notes": [],
    }


def size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


DRAWN: dict[str, Callable[[Path], Path]] = {
    "verdicts": lambda path: figures.verdict_overview(build(row(), row("Normal", **FAILED)), path),
    "side by side": lambda path: figures.side_by_side([build(row()), build(row(**FAILED), name="b")], path),
    "classes": lambda path: figures.class_distribution({"train": {"Covid": 1500, "Normal": 0}, "test": {}}, path),
    "confusion": lambda path: figures.confusion_matrix({"classes": ["A", "B"], "counts": [[3, 1], [0, 0]]}, path),
    "training": lambda path: figures.training_curves({"loss": [1.0, None], "val_loss": [None, 0.5]}, path),
    "architecture": lambda path: figures.architecture(LAYERS, path),
    "border": lambda path: figures.border_contact_sheet(
        np.zeros((5, 32, 32, 1), np.float32), np.ones((5, 32, 32, 1), np.float32), [("id", "A", "B")] * 5, path
    ),
}


@pytest.mark.parametrize("draw", [pytest.param(draw, id=name) for name, draw in DRAWN.items()])
def test_equal_content_is_equal_bytes_and_wide_enough_to_read(tmp_path: Path, draw: Callable[[Path], Path]) -> None:
    first, second = draw(tmp_path / "one.png"), draw(tmp_path / "two.png")
    assert first.read_bytes() == second.read_bytes()
    assert size(first)[0] >= 1400
    assert b"Software" not in first.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "two.png"}


def test_drawing_depends_on_no_matplotlib_setting_of_the_user(tmp_path: Path) -> None:
    from matplotlib import rc_context

    plain = DRAWN["classes"](tmp_path / "one.png").read_bytes()
    with rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 10}):
        assert DRAWN["classes"](tmp_path / "two.png").read_bytes() == plain


def test_whatever_the_names_everything_can_be_drawn(tmp_path: Path) -> None:
    classes = (HOSTILE, HOSTILE * 20)
    rows = [row(HOSTILE), row(HOSTILE * 20, **(FAILED | {"suite": HOSTILE * 3, "detail": HOSTILE * 9}))]
    record = build(*rows, name=HOSTILE, classes=classes)
    notes = figures.draw(record, {**evidence(classes), "layers": [layer(HOSTILE, 8, 8, 1)]}, tmp_path)
    assert [note["file"] for note in notes] == [
        "verdicts.png",
        "classes.png",
        "confusion.png",
        "training.png",
        "architecture.png",
    ]
    assert all(size(tmp_path / note["file"])[1] < 4000 for note in notes)
    figures.side_by_side([record, record], tmp_path / "both.png", [evidence(classes)] * 2)


def test_only_what_there_is_evidence_for_is_drawn(tmp_path: Path) -> None:
    nothing: EvidenceRecord = {
        "confusion": None,
        "report": "",
        "history": None,
        "layers": None,
        "figures": [],
        "notes": [],
    }
    assert [note["file"] for note in figures.draw(build(), nothing, tmp_path)] == ["verdicts.png", "classes.png"]


def test_every_note_is_accepted_beside_a_scorecard(tmp_path: Path) -> None:
    drawn: EvidenceRecord = {**evidence(), "figures": figures.draw(build(row()), evidence(), tmp_path)}
    assert scorecard.read_evidence(scorecard.write_evidence(drawn, tmp_path)) == drawn


@pytest.mark.parametrize(
    "changes",
    [
        UNDEFINED,
        UNDEFINED | {"low": None, "high": None, "n": 0},
        {"low": None, "high": None, "outcome": "conditional_pass"},
        {"value": -3.0, "low": -5.0, "high": 40.0, "outcome": "conditional_fail", "accepted": False},
    ],
    ids=["undefined", "not recorded", "open interval", "far outside"],
)
def test_a_row_without_ordinary_numbers_is_drawn(tmp_path: Path, changes: dict[str, object]) -> None:
    assert size(figures.verdict_overview(build(row(), row("Normal", **changes)), tmp_path / "a.png"))


def test_many_passed_rows_of_a_check_share_a_line_and_no_other_row_does(tmp_path: Path) -> None:
    passed = [row(f"class {index}", low=0.81 + index / 1000) for index in range(60)]
    few = size(figures.verdict_overview(build(*passed, row("Normal", **FAILED)), tmp_path / "a.png"))[1]
    many = [row(f"class {index}", **FAILED) for index in range(60)]
    assert size(figures.verdict_overview(build(*many), tmp_path / "b.png"))[1] > 5 * few


def test_the_line_of_many_rows_shows_the_one_closest_to_its_bound() -> None:
    lines = forest_plot._folded([row("A", value=0.95), row("B", value=0.85), row("C", value=0.99), row("D", **FAILED)])
    assert [(line.label, line.row["subject"]) for line in lines] == [
        ("recall_floor, D", "D"),
        ("recall_floor \u00d73", "B"),
    ]


def test_cards_show_what_the_records_disagree_on_before_anything_else() -> None:
    dull = [row(check=f"dull_{index}", suite="inference") for index in range(9)]
    checks = forest_plot._distinguishing(
        [build(*dull, row(suite="border")), build(*dull, row(suite="border", **FAILED))]
    )
    assert ("border", "recall_floor") in checks
    assert len(checks) == 7


def test_the_best_epoch_is_that_of_the_lowest_finite_validation_loss() -> None:
    assert figures._best_epoch([0.9, None, float("nan"), 0.4, 0.5]) == 4
    assert figures._best_epoch([None, float("nan")]) is None
    assert figures._best_epoch([]) is None


# The network


def test_layers_before_the_first_that_learns_are_augmentation_where_they_keep_the_shape() -> None:
    assert [block.augments for block in blocks._blocks(LAYERS)] == [False, True, False, False, False, False]


def test_many_layers_become_few_blocks_that_lose_no_weight() -> None:
    layers = [
        layer(kind, 128 >> stage, 128 >> stage, 8, parameters=5)
        for stage in range(4)
        for kind in ("Conv2D", "ReLU") * 6
    ]
    merged = blocks._blocks(layers)
    assert [block.shape for block in merged] == [(128, 128, 8), (64, 64, 8), (32, 32, 8), (16, 16, 8)]
    assert sum(block.parameters for block in merged) == 5 * len(layers)
    assert blocks._caption(merged[0]) == ["6 \u00d7 Conv2D", "6 \u00d7 ReLU", "128\u00d7128\u00d78", "60 weights"]


def test_a_network_of_ever_changing_shapes_stays_on_the_sheet(tmp_path: Path) -> None:
    path = figures.architecture(
        [layer("Conv2D", 400 - index, 400 - index, 8) for index in range(300)], tmp_path / "a.png"
    )
    assert size(path)[1] < 1500


def test_a_network_of_unknown_shapes_is_drawn(tmp_path: Path) -> None:
    layers: list[Layer] = [layer("Custom"), {"name": "x", "type": "X", "shape": [None, None, 3], "parameters": 0}]
    assert size(figures.architecture(layers, tmp_path / "a.png"))


# Names and imports


def test_a_sign_that_the_font_lacks_is_shown_as_its_code_point() -> None:
    assert style.drawable("é $x$ 肺\n") == "é $x$ ⟨U+80BA⟩⟨U+000A⟩"


@pytest.mark.parametrize("module", ["figures", "render"])
def test_reading_a_scorecard_needs_no_matplotlib(module: str) -> None:
    command = f"import sys, roentgate.report.{module}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_a_montage_shows_each_class_however_few_images_it_has(tmp_path: Path) -> None:
    class Images:
        classes = ("Covid", HOSTILE, "Empty")
        labels = np.array([0] * 20 + [1, 1])

        def take(self, rows: np.ndarray) -> np.ndarray:
            taken.append(rows.tolist())
            return np.zeros((len(rows), 16, 16, 3 if len(taken) == 1 else 1), np.float32)

    taken: list[list[int]] = []
    figures.montage(Images(), tmp_path / "a.png")  # type: ignore[arg-type]
    assert taken == [[0, 3, 7, 11, 15, 19], [20, 21], []]


def test_confidence_and_right_answers_are_drawn(tmp_path: Path) -> None:
    bins = [Bin(10, 0.5, 4, 0.2, 0.8), Bin(10, 0.9, 10, 0.7, 1.0)]
    first = figures.reliability(bins, tmp_path / "first.png").read_bytes()
    assert first == figures.reliability(bins, tmp_path / "second.png").read_bytes()
    assert first != figures.reliability(bins[:1], tmp_path / "third.png").read_bytes()
