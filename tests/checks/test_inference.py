"""Each fault at inference lowers its estimate and is named in the detail."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from roentgate.checks.inference import (
    augmentation_active,
    augmentation_identity,
    declares_augmentation,
    outputs_are_probabilities,
    predictions_batch_invariant,
    predictions_repeat,
    reload_preserves_predictions,
)
from roentgate.evidence.geometry import probe_images
from roentgate.evidence.layer_trace import LayerReport, examine
from roentgate.evidence.records import BATCHINGS, InferenceRecord

IDS = tuple(f"test/{name}.png" for name in "abcd")
SOUND = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3]], np.float32)
TOLERANCE = 1e-4


def record(**changes: object) -> InferenceRecord:
    sound = InferenceRecord(
        ids=IDS,
        repeats=np.stack([SOUND] * 5),
        batchings=dict.fromkeys(BATCHINGS, SOUND),
        before_saving=SOUND,
        reloaded=SOUND,
        reload_error="",
        layers=(),
        displacement="",
    )
    return replace(sound, **changes)  # type: ignore[arg-type]


def layer(name: str, **changes: object) -> LayerReport:
    report = LayerReport(name=name, type="Layer", moves=[], wavers=[], augments=None)
    return report | changes  # type: ignore[return-value]


def moved(row: int, by: float) -> NDArray[np.float32]:
    values = SOUND.copy()
    values[row] += np.array([by, -by, 0], np.float32)
    return values


def test_a_sound_record_is_perfect() -> None:
    sound = record(layers=(layer("conv"), layer("flip", augments=True)))
    for estimate in (
        predictions_repeat(sound, tolerance=TOLERANCE),
        predictions_batch_invariant(sound, tolerance=TOLERANCE),
        reload_preserves_predictions(sound, tolerance=TOLERANCE),
        augmentation_identity(sound),
        augmentation_active(sound),
        outputs_are_probabilities(SOUND, IDS),
    ):
        assert estimate.value == 1
        assert estimate.failing == ()


def test_a_row_whose_repeats_differ_is_named() -> None:
    repeats = np.stack([SOUND, SOUND, moved(1, 0.01), SOUND, SOUND])
    estimate = predictions_repeat(record(repeats=repeats), tolerance=TOLERANCE)
    assert estimate.value == 0.75
    assert estimate.failing == (IDS[1],)
    assert "largest difference 1.0e-02 (a repeated prediction)" in estimate.detail


@pytest.mark.parametrize("way", BATCHINGS)
def test_the_way_of_batching_that_changes_an_answer_is_named(way: str) -> None:
    batchings = dict.fromkeys(BATCHINGS, SOUND) | {way: moved(2, 0.3)}
    estimate = predictions_batch_invariant(record(batchings=batchings), tolerance=TOLERANCE)
    assert estimate.failing == (IDS[2],)
    assert f"({way})" in estimate.detail


def test_rounding_is_no_difference() -> None:
    rounded = record(batchings=dict.fromkeys(BATCHINGS, moved(0, 3e-7)), reloaded=moved(0, 3e-7))
    assert predictions_batch_invariant(rounded, tolerance=TOLERANCE).value == 1
    assert reload_preserves_predictions(rounded, tolerance=TOLERANCE).value == 1


def test_a_class_may_change_only_where_its_margin_is_rounding() -> None:
    tied = np.array([[0.5, 0.5, 0.0]], np.float32)
    other = np.array([[0.49999, 0.50001, 0.0]], np.float32)
    narrow = record(ids=IDS[:1], repeats=tied[None], batchings=dict.fromkeys(BATCHINGS, other))
    assert predictions_batch_invariant(narrow, tolerance=TOLERANCE).value == 1
    assert predictions_batch_invariant(narrow, tolerance=1e-6).value == 0
    wide = record(ids=IDS[:1], repeats=tied[None], batchings=dict.fromkeys(BATCHINGS, tied[:, [2, 0, 1]]))
    assert predictions_batch_invariant(wide, tolerance=TOLERANCE).value == 0


def test_a_row_that_is_nan_once_and_a_number_then_differs() -> None:
    broken = SOUND.copy()
    broken[3, 0] = np.nan
    once = record(repeats=np.stack([SOUND, broken]))
    assert predictions_repeat(once, tolerance=TOLERANCE).failing == (IDS[3],)
    always = record(repeats=np.stack([broken, broken]))
    assert predictions_repeat(always, tolerance=TOLERANCE).value == 1


def test_a_reloaded_model_is_compared_with_the_one_that_was_saved() -> None:
    saved = moved(0, 0.2)
    estimate = reload_preserves_predictions(record(before_saving=saved), tolerance=TOLERANCE)
    assert estimate.failing == (IDS[0],)
    assert "(the reloaded model)" in estimate.detail


def test_a_model_that_cannot_be_loaded_again_preserves_nothing() -> None:
    lost = record(reloaded=None, reload_error="a fresh process could not load it: unknown class 'Gain'")
    estimate = reload_preserves_predictions(lost, tolerance=TOLERANCE)
    assert (estimate.value, estimate.high, estimate.failing) == (0, 0, IDS)
    assert "unknown class 'Gain'" in estimate.detail


def test_no_probe_rows_are_no_evidence() -> None:
    none = np.zeros((0, 3), np.float32)
    empty = record(
        ids=(), repeats=none[None], batchings=dict.fromkeys(BATCHINGS, none), before_saving=none, reloaded=none
    )
    for estimate in (
        predictions_repeat(empty, tolerance=TOLERANCE),
        predictions_batch_invariant(empty, tolerance=TOLERANCE),
        reload_preserves_predictions(empty, tolerance=TOLERANCE),
        augmentation_identity(empty),
        augmentation_active(empty),
        outputs_are_probabilities(none, ()),
    ):
        assert not estimate.defined
        assert (estimate.low, estimate.high) == (0, 1)


def test_layers_at_fault_are_told_with_what_they_do_and_under_which_call() -> None:
    layers = (
        layer("conv"),
        layer("noise", type="Noise", moves=["predict", "call"], wavers=["predict"]),
        layer("turn", type="RandomRotation", wavers=["call"]),
    )
    estimate = augmentation_identity(record(layers=layers))
    assert estimate.value == pytest.approx(1 / 3)
    assert estimate.detail == (
        "noise (Noise) changes the image under predict and call, and answers differently each time under predict; "
        "turn (RandomRotation) answers differently each time under call"
    )


def test_an_operation_between_layers_counts_as_one_more_part() -> None:
    estimate = augmentation_identity(record(layers=(layer("conv"),), displacement="flips the image under predict"))
    assert estimate.value == 0.5
    assert estimate.detail == "an operation outside the layers flips the image under predict"


def test_an_augmentation_without_effect_is_told() -> None:
    layers = (layer("flip", augments=True), layer("turn", type="RandomRotation", augments=False), layer("conv"))
    estimate = augmentation_active(record(layers=layers))
    assert estimate.value == 0.5
    assert estimate.detail == "no effect in training: turn (RandomRotation)"


def test_a_network_declares_augmentation_by_its_layers() -> None:
    assert declares_augmentation(record(layers=(layer("flip", augments=False),)))
    assert not declares_augmentation(record(layers=(layer("conv"),)))
    assert not declares_augmentation(record(layers=None))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ([0.5, np.nan, 0.5], "1 with NaN or infinity"),
        ([np.inf, 0.0, 0.0], "1 with NaN or infinity"),
        ([2.5, -1.0, -0.5], "1 outside [0, 1] (logits?)"),
        ([0.9, 0.9, 0.9], "1 not summing to 1"),
        ([0.0, 0.0, 0.0], "1 not summing to 1"),
    ],
)
def test_a_row_that_is_no_probability_is_named(row: list[float], fault: str) -> None:
    outputs = SOUND.copy()
    outputs[2] = row
    estimate = outputs_are_probabilities(outputs, IDS)
    assert estimate.value == 0.75
    assert estimate.failing == (IDS[2],)
    assert fault in estimate.detail


def test_a_sum_within_a_thousandth_is_1() -> None:
    assert outputs_are_probabilities(np.array([[0.5005, 0.5]]), IDS[:1]).value == 1
    assert outputs_are_probabilities(np.array([[0.502, 0.5]]), IDS[:1]).value == 0


def test_what_is_seen_in_a_network_reaches_the_estimate() -> None:
    network = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.RandomFlip(name="flip"),
            layers.RandomRotation(0.0, name="turn"),
            layers.Conv2D(2, 3),
        ]
    )
    images = np.random.default_rng(0).random((2, 32, 32, 1), dtype=np.float32)
    reports, displacement = examine(network, probe_images(images))
    seen = record(layers=tuple(reports), displacement=displacement)
    assert augmentation_identity(seen).value == 1
    assert augmentation_active(seen).detail == "no effect in training: turn (RandomRotation)"
