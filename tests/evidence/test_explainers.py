"""Tests of explainers: values, signs and places of their maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.errors import ArgumentError
from roentgate.evidence.attribution import explainers
from roentgate.evidence.attribution.explainers import Explainer, log_odds, occlusion, resized
from roentgate.policy.bounds import AttributionBounds

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

SIDE = 20
Make = Callable[..., Explainer]


class Corner:
    """A candidate whose class 0 is the brightness of the upper left quarter."""

    passes = 0

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return answers (n, 2)."""
        self.passes += len(images)
        bright = images[:, : SIDE // 2, : SIDE // 2].mean(axis=(1, 2, 3))
        return np.stack([bright, 1 - bright], axis=1)


def images() -> NDArray[np.float32]:
    images = np.full((2, SIDE, SIDE, 1), 0.1, np.float32)
    images[:, : SIDE // 2, : SIDE // 2] = 0.9
    return images


def test_occlusion_finds_the_region_that_the_answer_reads_and_its_sign() -> None:
    found = occlusion(Corner(), images(), np.array([0, 1]), patch=0.2)
    half, reach = SIDE // 2, 4
    assert found[0, :half, :half].min() > 0
    assert found[1, :half, :half].max() < 0
    np.testing.assert_array_equal(found[:, half + reach :], 0)
    np.testing.assert_array_equal(found[:, :, half + reach :], 0)
    np.testing.assert_array_equal(found, occlusion(Corner(), images(), np.array([0, 1]), patch=0.2))


def test_occlusion_hides_every_pixel_and_says_what_it_costs() -> None:
    for patch, side in ((0.2, 4), (0.15, 3), (0.5, 10), (0.01, 1)):
        starts = explainers._starts(SIDE, side)
        covered = np.zeros(SIDE, dtype=bool)
        for start in starts:
            covered[start : start + side] = True
        assert covered.all()
        assert starts[-1] + side == SIDE
        model = Corner()
        occlusion(model, images(), np.array([0, 0]), patch=patch)
        assert model.passes == 2 * (1 + len(starts) ** 2)


def test_log_odds_are_finite_and_answers_that_are_no_probabilities_stay() -> None:
    answers = np.array([[0.75, 0.25], [1, 0], [0, 1]], np.float32)
    found = log_odds(answers, np.array([0, 0, 0]))
    assert found[0] == pytest.approx(np.log(3))
    assert found[1] == -found[2] == pytest.approx(24 * np.log(2))
    np.testing.assert_array_equal(log_odds(np.array([[3.0, -1.0]], np.float32), np.array([1])), [-1])
    tiny = np.array([[1.0, 1e-6]], np.float32)
    assert log_odds(tiny, np.array([0]))[0] == pytest.approx(np.log(1e6), rel=1e-4)


def test_maps_are_enlarged_between_the_centres_of_their_cells() -> None:
    maps = np.array([[[0.0, 1.0], [2.0, 3.0]]], np.float32)
    expected = np.array([0, 0.25, 0.75, 1])
    np.testing.assert_allclose(resized(maps, (4, 4))[0], expected[None, :] + 2 * expected[:, None])
    np.testing.assert_array_equal(resized(maps, (2, 2)), maps)
    np.testing.assert_array_equal(resized(np.ones((1, 1, 1), np.float32), (3, 5)), np.ones((1, 3, 5)))


KERAS = '''
"""A small network."""

import keras
import numpy as np
from keras import layers

from roentgate import Recipe

RECIPE = Recipe(epochs=1)
{more}

def build(task):
    network = keras.Sequential([keras.Input(task.image_shape), {layers}])
    network.compile(optimizer=keras.optimizers.SGD(0.0), loss="{loss}")
    return network
'''
SOFTMAX = "layers.Conv2D(3, 3, activation='relu'), layers.GlobalMaxPooling2D(), layers.Dense(3, activation='softmax')"


@pytest.fixture
def made(project: Project) -> Make:
    """A function that writes a network and returns its Explainer."""

    def make(body: str = SOFTMAX, more: str = "", loss: str = "categorical_crossentropy") -> Explainer:
        project.write("models/network.py", KERAS.format(more=more, layers=body, loss=loss))
        return Explainer(project.ready("network"), AttributionBounds(steps=64))

    return make


def test_a_ready_model_has_no_gradients_and_an_unknown_method_is_refused(project: Project) -> None:
    explainer = Explainer(project.ready(), AttributionBounds())
    assert explainer.lacks("grad_cam") == explainer.lacks("integrated_gradients") == "the model gives no gradients"
    assert explainer.lacks("occlusion") == ""
    with pytest.raises(ArgumentError, match="attribution method 'gradcam': unknown; did you mean 'grad_cam'"):
        explainer.lacks("gradcam")


@pytest.mark.trains
def test_the_range_and_the_preparation_of_a_model_are_part_of_what_is_explained(made: Make) -> None:
    """Integrated gradients begin at an image that is black before preparation."""
    more = "INPUT_RANGE = (-1.0, 1.0)\n\ndef prepare(images):\n    return 0.5 + images / 2\n"
    explainer = made(more=more)
    images, predicted = explainer._candidate.splits.test.take([0, 15, 30]), np.array([0, 1, 2])
    before = explainer._candidate.passes
    maps = explainer.maps("integrated_gradients", images, predicted)
    wanted, missed = explainer.gaps(images, predicted, maps)
    assert np.abs(missed).max() < 0.05 * np.abs(wanted).max()
    np.testing.assert_array_equal(explainer._black(images), np.zeros((1, 32, 32, 1)))
    assert explainer.maps("grad_cam", images, predicted).shape == (3, 32, 32)
    assert explainer._candidate.passes - before == 3 * 64 + 2 * 3 + 3


@pytest.mark.trains
def test_preparation_that_changes_the_size_leaves_only_occlusion(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "layers.Flatten(), layers.Dense(3, activation='softmax')"
    explainer = made(body.replace("layers.Flatten()", "layers.ZeroPadding2D(0), layers.Flatten()"))
    assert explainer.lacks("grad_cam") == "no layer behind learned weights has a height and a width"
    assert explainer.lacks("integrated_gradients") == ""
    monkeypatch.setattr(explainer._candidate, "to_input", lambda images: images[:, 2:])
    assert explainer.lacks("integrated_gradients").startswith("the model's own prepare() changes the size of an image")
    assert explainer.lacks("occlusion") == ""


@pytest.mark.trains
def test_the_map_of_a_network_that_cuts_the_border_away_lies_inside_it(made: Make) -> None:
    explainer = made(f"layers.Cropping2D(6), {SOFTMAX}")
    images = explainer._candidate.splits.test.take(range(0, 36, 3))
    maps = np.stack([explainer.maps("grad_cam", images, np.full(len(images), label)) for label in range(3)])
    assert maps.max() > 0
    inside = np.zeros((32, 32), dtype=bool)
    inside[6:26, 6:26] = True
    assert not maps[..., ~inside].any()


@pytest.mark.trains
def test_columns_in_another_order_and_a_single_sigmoid_are_explained_by_their_class(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer = made()
    candidate = explainer._candidate
    plain = explainer.weights(np.array([0, 1, 2]))
    np.testing.assert_array_equal(plain, np.eye(3))
    order = [2, 0, 1]  # as --classes may give for a bare file
    monkeypatch.setattr(candidate, "columns", lambda outputs, _: outputs[:, order])
    np.testing.assert_array_equal(explainer.weights(np.array([0, 1, 2])), np.eye(3)[order])
    explainer.insight.columns = 1
    monkeypatch.setattr(candidate, "columns", lambda outputs, _: np.concatenate([outputs, 1 - outputs], axis=1))
    np.testing.assert_array_equal(explainer.weights(np.array([0, 1])), [[1], [-1]])
