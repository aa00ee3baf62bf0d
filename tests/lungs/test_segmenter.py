"""The segmenter: ranks before its network, masks and certainty after it, and the network."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.candidates import keras_backend
from roentgate.lungs import segmenter
from roentgate.lungs.segmenter import WEIGHTS, certainty, dice, fields, lung_probabilities, prepare
from roentgate.store import file_digest

IMAGES = np.random.default_rng(1).random((3, 40, 50, 1), dtype=np.float32)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    y, x = np.indices(shape)
    inside: NDArray[np.bool_] = np.hypot(y - centre[0], x - centre[1]) <= radius
    return inside


# Before the network


def test_images_of_any_size_and_colour_become_ranks_of_one_size() -> None:
    for shape in ((40, 50, 1), (300, 200, 3), (128, 128, 1)):
        ready = prepare(np.random.default_rng(0).random((2, *shape), dtype=np.float32))
        assert ready.shape == (2, 128, 128, 1)
        assert ready.dtype == np.float32
        assert -1 < ready.min() < -0.99
        assert 0.99 < ready.max() < 1
        assert abs(ready.mean()) < 1e-4


def test_exposure_and_range_do_not_matter() -> None:
    for altered in (IMAGES * 0.2 + 0.7, IMAGES * 255, IMAGES - 3):
        assert np.abs(prepare(altered) - prepare(IMAGES)).max() < 0.01


def test_any_rising_curve_leaves_the_ranks_as_they_are() -> None:
    levels = np.random.default_rng(2).integers(0, 20, (1, 128, 128, 1)).astype(np.float32)
    np.testing.assert_array_equal(prepare(np.sqrt(levels)), prepare(levels))


def test_a_reversed_image_has_the_reversed_ranks() -> None:
    np.testing.assert_allclose(prepare(1 - IMAGES), -prepare(IMAGES), atol=0.01)


def test_equal_pixels_have_equal_ranks_and_a_blank_image_none() -> None:
    halves = np.zeros((1, 128, 128, 1), np.float32)
    halves[:, 64:] = 0.3
    assert np.unique(prepare(halves)).tolist() == [-0.5, 0.5]
    assert not prepare(np.full((1, 32, 32, 1), 0.7, np.float32)).any()


# After it


def test_the_mirror_image_has_an_equal_say() -> None:
    seen: list[NDArray[np.float32]] = []

    def left_only(images: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(images)
        answer = np.zeros_like(images)
        answer[:, :, :64] = 1
        return answer

    probability = lung_probabilities(left_only, IMAGES)
    assert probability.shape == (3, 40, 50)
    np.testing.assert_allclose(probability, 0.5)
    np.testing.assert_array_equal(seen[1], seen[0][:, :, ::-1])


def test_the_two_largest_regions_are_kept_without_crumbs_and_holes() -> None:
    left, right, fragment = (disc((60, 80), at, size) for at, size in (((30, 20), 12), ((30, 60), 10), ((5, 40), 2)))
    hole = disc((60, 80), (30, 20), 3)
    probability = ((left | right | fragment) & ~hole).astype(np.float32)
    np.testing.assert_array_equal(fields(probability), left | right)
    np.testing.assert_array_equal(fields(0.6 * (left | fragment).astype(np.float32)), left)
    assert not fields(np.full((8, 8), 0.5, np.float32)).any()


def test_certainty_is_the_dice_coefficient_to_be_expected() -> None:
    mask = disc((50, 50), (25, 25), 10)
    assert certainty(mask.astype(np.float32), mask) == 1
    assert certainty(np.full((50, 50), 0.6, np.float32), np.ones((50, 50), np.bool_)) == pytest.approx(0.75)
    assert certainty(mask * np.float32(0.6), mask) == pytest.approx(0.75)
    assert math.isnan(certainty(np.zeros((5, 5), np.float32), np.zeros((5, 5), np.bool_)))


def test_calibrated_probabilities_deliver_the_certainty_they_promise() -> None:
    rng = np.random.default_rng(0)
    probability = rng.beta(0.3, 0.3, (100, 100)).astype(np.float32)
    mask = probability > 0.5
    kept = [dice(mask, rng.random((100, 100)) < probability) for _ in range(50)]
    assert certainty(probability, mask) == pytest.approx(np.mean(kept), abs=0.005)


def test_dice_is_that_of_a_hand_count() -> None:
    first, second = np.array([[1, 1, 0, 0]], np.bool_), np.array([[0, 1, 1, 1]], np.bool_)
    assert dice(first, second) == pytest.approx(2 / 5)
    assert dice(first, first) == 1
    assert dice(first, first & False) == 0
    assert math.isnan(dice(first & False, first & False))


# The network


def test_the_shipped_network_is_small_and_safe_to_load() -> None:
    assert WEIGHTS.stat().st_size <= 2_000_000
    network = keras_backend.load_network(WEIGHTS)
    assert network.count_params() <= 500_000
    answer = keras_backend.KerasModel(network, "lung fields").predict(prepare(IMAGES))
    assert answer.shape == (3, 128, 128, 1)
    assert 0 <= answer.min() <= answer.max() <= 1


def test_folding_the_normalisation_away_changes_no_answer() -> None:
    import keras

    from models.segmenter._network import build, folded

    network = build(normalised=True)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
    images = prepare(IMAGES)
    np.testing.assert_allclose(folded(network).predict_on_batch(images), network.predict_on_batch(images), atol=1e-5)


def test_importing_the_segmenter_imports_no_framework() -> None:
    source = Path(segmenter.__file__).read_text("utf-8")
    assert "keras" not in source.replace("lung_fields.keras", "")


# What is said of it


def test_the_figures_of_the_card_are_those_of_the_record() -> None:
    from models.segmenter.measure import CARD, REPORT, with_figures

    metrics = json.loads((REPORT / "metrics.json").read_text("utf-8"))
    card = CARD.read_text("utf-8")
    assert with_figures(card, metrics) == card


def test_the_record_holds_what_was_asked_of_the_segmenter() -> None:
    from models.segmenter.measure import REPORT

    metrics = json.loads((REPORT / "metrics.json").read_text("utf-8"))
    floors = {
        "both on Shenzhen, held out": 0.95,
        "both on Montgomery, held out": 0.95,
        "Shenzhen on Montgomery": 0.92,
        "Montgomery on Shenzhen": 0.92,
    }
    assert {name: record["dice"]["value"] >= floors[name] for name, record in metrics["dice"].items()} == dict.fromkeys(
        floors, True
    )
    assert metrics["weights"] == file_digest(WEIGHTS)
