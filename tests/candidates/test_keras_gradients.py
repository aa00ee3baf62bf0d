"""Grad-CAM, integrated gradients and random weights, on networks of every build.

They are compared with known answers.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.typing import NDArray

from models.known_bad import border_reader, corner_reader
from models.sound import cropping, nested_backbone, small, three_channels
from roentgate.candidates.backends.keras_gradients import BATCH, Insight
from roentgate.candidates.protocols import Task
from roentgate.errors import ModelError

SIDE = 16
FloatArray = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)


def random_images(count: int = 3, channels: int = 1) -> FloatArray:
    return np.random.default_rng(0).random((count, SIDE, SIDE, channels), np.float32)


def one_hot(count: int, columns: int = 3) -> FloatArray:
    return np.eye(columns, dtype=np.float32)[np.arange(count) % columns]


def convolutional(head: list[keras.Layer]) -> keras.Model:
    """Return a small sequential network that ends in the given layers."""
    features = [layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2)]
    last = layers.Conv2D(5, 3, activation="relu", name="last")
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), *features, last, layers.Flatten(), *head])


# Integrated gradients


def test_of_a_linear_model_integrated_gradients_are_weight_times_change() -> None:
    network = keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Flatten(), layers.Dense(3)])
    images, baseline = random_images(), np.full((1, SIDE, SIDE, 1), 0.25, np.float32)
    found = Insight(network, "linear", images).integrated_gradients(images, baseline, one_hot(3), steps=3)
    weights = np.asarray(network.layers[-1].kernel).reshape(SIDE, SIDE, 1, 3)
    expected = np.stack([weights[..., column] * (images[column] - baseline[0]) for column in range(3)])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_integrated_gradients_add_up_to_the_difference_of_the_logits() -> None:
    network = convolutional([layers.Dense(8, activation="tanh"), layers.Dense(3, activation="softmax")])
    images, weights = random_images(), one_hot(3)
    insight = Insight(network, "network", images)
    black = np.zeros_like(images)
    wanted = insight.scores(images, weights) - insight.scores(black, weights)
    few, many = (
        np.abs(insight.integrated_gradients(images, black[:1], weights, steps=steps).sum(axis=(1, 2, 3)) - wanted).max()
        for steps in (2, 256)
    )
    assert many < 0.01 * np.abs(wanted).max()
    assert many < few


def test_more_images_than_a_batch_are_explained_as_each_alone() -> None:
    network = convolutional([layers.Dense(3, activation="softmax")])
    images, weights = random_images(BATCH + 2), one_hot(BATCH + 2)
    insight = Insight(network, "network", images)
    black = np.zeros((1, SIDE, SIDE, 1), np.float32)
    whole = insight.integrated_gradients(images, black, weights, steps=4)
    alone = insight.integrated_gradients(images[-1:], black, weights[-1:], steps=4)
    np.testing.assert_allclose(whole[-1:], alone, atol=1e-6)
    assert insight.grad_cam(images, weights).shape == (BATCH + 2, 5, 5)
    assert len(insight.scores(images[:0], weights[:0])) == 0


# Grad-CAM


class Region(layers.Layer):  # type: ignore[misc]
    """Adds up the lower right quarter of every map, so that the answer is known."""

    def call(self, maps: keras.KerasTensor) -> keras.KerasTensor:
        """Return sums (n, channels)."""
        half = maps.shape[1] // 2
        return ops.sum(maps[:, half:, half:], axis=(1, 2))


def quarter() -> keras.Model:
    """Return a network whose first score is the brightness of the lower right quarter.

    The second score is its negative.
    """
    network = keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), layers.Conv2D(1, 3, padding="same"), Region(), layers.Dense(2)]
    )
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    network.layers[0].set_weights([kernel, np.zeros(1, np.float32)])
    network.layers[-1].set_weights([np.array([[1.0, -1.0]], np.float32), np.zeros(2, np.float32)])
    return network


def test_both_explainers_find_the_region_that_is_added_up() -> None:
    images = random_images(2)
    insight = Insight(quarter(), "quarter", images)
    weights = np.array([[1, 0], [1, 0]], np.float32)
    integrated = insight.integrated_gradients(images, np.zeros_like(images), weights, steps=2)
    half = SIDE // 2
    np.testing.assert_allclose(integrated[:, half:, half:], images[:, half:, half:], atol=1e-5)
    assert np.abs(integrated).sum() == pytest.approx(np.abs(integrated[:, half:, half:]).sum())
    # Grad-CAM weighs whole feature maps, so that it shows the whole map and not the region
    np.testing.assert_allclose(insight.grad_cam(images, weights), images[..., 0] / 4, atol=1e-5)


def test_evidence_against_a_class_is_not_in_its_grad_cam() -> None:
    images = random_images(2)
    assert Insight(quarter(), "quarter", images).grad_cam(images, np.array([[0, 1]] * 2, np.float32)).max() == 0


def test_grad_cam_is_the_mean_gradient_of_each_map_times_the_map() -> None:
    network = convolutional([layers.Dense(3, activation="softmax")])
    images, weights = random_images(), one_hot(3)
    found = Insight(network, "network", images).grad_cam(images, weights)
    features = np.asarray(keras.Model(network.inputs[0], network.get_layer("last").output)(images))
    kernel = np.asarray(network.layers[-1].kernel).reshape(5, 5, 5, 3)  # behind Flatten: the gradient of every value
    importance = kernel.mean(axis=(0, 1))  # (channels, classes)
    expected = np.maximum(np.einsum("nhwc,nc->nhw", features, weights @ importance.T), 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def nested() -> tuple[keras.Model, keras.Model]:
    """Return a network with a backbone nested twice, and the same network built flat."""
    parts = [
        layers.Rescaling(2.0, -1.0),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(5, 3, activation="relu", name="last"),
    ]
    pooled, head = layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")
    images = keras.Input((SIDE, SIDE, 1))
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *parts[:4]])
    outer = keras.Model(images, parts[4](inner(layers.RandomFlip()(images), training=False)))
    top = keras.Input((SIDE, SIDE, 1))
    whole = keras.Model(top, head(pooled(outer(top))))
    flat = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *parts, pooled, head])
    return whole, flat


def test_a_nested_backbone_is_explained_as_the_same_network_built_flat() -> None:
    whole, flat = nested()
    images, weights = random_images(), one_hot(3)
    deep, plain = Insight(whole, "nested", images), Insight(flat, "flat", images)
    assert deep.score == plain.score == "logit"
    assert len(deep.weighted) == len(plain.weighted) == 4
    np.testing.assert_allclose(deep.grad_cam(images, weights), plain.grad_cam(images, weights), atol=1e-6)
    np.testing.assert_allclose(deep.gradients(images, weights), plain.gradients(images, weights), atol=1e-6)


class Subclassed(keras.Model):  # type: ignore[misc]
    """A model without a graph, with a layer that holds layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = convolutional([layers.Dense(4, activation="relu")])
        self.head = layers.Dense(3)
        self.squash = layers.Softmax()

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return answers (n, 3)."""
        return self.squash(self.head(self.body(images)))


def test_a_model_without_a_graph_is_inspected_all_the_same() -> None:
    images = random_images()
    insight = Insight(Subclassed(), "subclassed", images)
    assert (insight.score, insight.feature_layer) == ("logit", "last")
    assert insight.grad_cam(images, one_hot(3)).shape == (3, 5, 5)


def test_a_network_without_a_map_has_no_grad_cam() -> None:
    network = keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(3)]
    )
    insight = Insight(network, "flat", random_images())
    assert (insight.feature_layer, insight.extent) == (None, None)
    with pytest.raises(ModelError, match="model 'flat': no layer behind learned weights has a height and a width"):
        insight.grad_cam(random_images(), one_hot(3))


def test_a_map_knows_what_part_of_the_image_it_sees() -> None:
    cut = [layers.Cropping2D(((2, 3), (4, 1))), layers.Conv2D(3, 3, activation="relu"), layers.GlobalMaxPooling2D()]
    network = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *cut, layers.Dense(3)])
    assert Insight(network, "cut", random_images()).extent == (2, SIDE - 3, 4, SIDE - 1)
    assert Insight(quarter(), "whole", random_images()).extent == (0, SIDE, 0, SIDE)


def test_a_network_with_several_outputs_is_refused() -> None:
    images = keras.Input((SIDE, SIDE, 1))
    network = keras.Model(images, layers.Conv2D(3, 3)(images))
    with pytest.raises(ModelError, match=r"model 'maps': attributions need one output \(n, columns\)"):
        Insight(network, "maps", random_images())


@pytest.mark.parametrize("reader", [border_reader, corner_reader])
def test_for_a_reader_of_the_background_nothing_inside_is_attributed(reader: ModuleType) -> None:
    """Both models see nothing but the background, and have no map after learned weights."""
    side = 96
    images = np.random.default_rng(0).random((2, side, side, 1), np.float32)
    insight = Insight(reader.build(Task(("A", "B", "C"), (side, side, 1), 0)), reader.__name__, images)
    assert (insight.score, insight.feature_layer) == ("logit", None)
    found = insight.integrated_gradients(images, np.zeros_like(images), one_hot(2), steps=2)
    inside = slice(side // 10, -side // 10)
    assert not found[:, inside, inside].any()
    assert found.any()


@pytest.mark.parametrize("sound", [nested_backbone, three_channels, small, cropping])
def test_sound_models_of_every_build_are_opened(sound: ModuleType) -> None:
    shape = getattr(sound, "IMAGE_SHAPE", (96, 96, 1))
    images = np.random.default_rng(0).random((2, *shape), np.float32)
    insight = Insight(sound.build(Task(("A", "B", "C"), shape, 0)), sound.__name__, images)
    assert insight.score == "logit"
    assert insight.feature_layer is not None
    assert insight.feature_layer.startswith("conv2d")
    assert insight.grad_cam(images, one_hot(2)).shape[0] == 2


# Logits


@pytest.mark.parametrize(
    ("head", "squash"),
    [
        (lambda: [layers.Dense(3, activation="softmax")], keras.activations.softmax),
        (lambda: [layers.Dense(3), layers.Softmax()], keras.activations.softmax),
        (lambda: [layers.Dense(3), layers.Activation("softmax")], keras.activations.softmax),
        (lambda: [keras.Sequential([layers.Dense(3, activation="softmax")])], keras.activations.softmax),
        (lambda: [layers.Dense(1, activation="sigmoid")], keras.activations.sigmoid),
        (lambda: [layers.Dense(3)], None),
    ],
    ids=["dense", "softmax layer", "activation layer", "nested head", "sigmoid", "logits already"],
)
def test_the_score_is_what_a_last_layer_squashes(
    head: Callable[[], list[keras.Layer]], squash: Callable[[FloatArray], keras.KerasTensor] | None
) -> None:
    network, images = convolutional(head()), random_images()
    insight = Insight(network, "network", images)
    weights = np.eye(insight.columns, dtype=np.float32)[[0] * 3]
    logits = np.stack([insight.scores(images, np.roll(weights, k, axis=1)) for k in range(insight.columns)], axis=1)
    expected = np.asarray(network(images))
    assert insight.score == "logit"
    np.testing.assert_allclose(np.asarray(squash(logits)) if squash else logits, expected, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(network(images)), expected)  # the network is as it was


def test_answers_squashed_outside_any_layer_are_scored_as_they_are() -> None:
    images = keras.Input((SIDE, SIDE, 1))
    scores = layers.Dense(3, name="scores")(layers.Flatten()(layers.Conv2D(2, 3, name="map")(images)))
    insight = Insight(keras.Model(images, ops.softmax(scores * 2.0)), "bare", random_images())
    assert (insight.score, insight.feature_layer) == ("answer", "map")


# Random weights


def test_weights_are_random_inside_and_as_before_outside_whatever_happens() -> None:
    whole, _ = nested()
    whole.trainable = False  # frozen weights count as learned
    images, weights = random_images(), one_hot(3)
    insight = Insight(whole, "nested", images)
    before = [np.array(value) for value in whole.get_weights()]
    inside: list[NDArray[Any]] = []

    def fail_inside() -> None:
        with insight.randomised(99, seed=1):
            inside.extend(np.array(value) for value in whole.get_weights())
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    for old, restored in zip(before, whole.get_weights(), strict=True):
        np.testing.assert_array_equal(old, restored)
    names = [variable.name for variable in whole.weights]
    for name, old, drawn in zip(names, before, inside, strict=True):
        assert (old == drawn).all() == (name.startswith("moving_") or not old.any()), name
        if old.size > 50:
            assert np.sqrt(np.mean(drawn**2)) == pytest.approx(np.sqrt(np.mean(old**2)), rel=0.3)
    assert np.isfinite(insight.scores(images, weights)).all()


def test_a_cascade_starts_at_the_top_and_keeps_its_draw() -> None:
    network = convolutional([layers.Dense(3, activation="softmax")])
    insight = Insight(network, "network", random_images())
    assert len(insight.weighted) == 3
    head, first = network.layers[-1].kernel, network.layers[0].kernel
    trained = np.array(first)
    with insight.randomised(1, seed=5):
        top = np.array(head)
        np.testing.assert_array_equal(np.array(first), trained)
    with insight.randomised(3, seed=5):
        np.testing.assert_array_equal(np.array(head), top)
        assert (np.array(first) != trained).any()
    with insight.randomised(1, seed=6):
        assert (np.array(head) != top).any()


# Another implementation


@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match:UserWarning")
def test_tf_keras_vis_agrees_where_it_works() -> None:
    """The results are those of tf-keras-vis, if it is installed.

    It is no dependency, because it fails on nested models.
    """
    gradcam = pytest.importorskip("tf_keras_vis.gradcam")
    saliency, scores = (pytest.importorskip(f"tf_keras_vis.{name}") for name in ("saliency", "utils.scores"))
    images, inputs = random_images(), keras.Input((SIDE, SIDE, 1))
    maps = layers.Conv2D(5, 3, activation="relu")(layers.Conv2D(4, 3, activation="relu")(inputs))
    linear = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(maps)))
    insight = Insight(keras.Model(inputs, layers.Softmax()(linear.output)), "network", images)
    score = scores.CategoricalScore([0, 1, 2])
    theirs = gradcam.Gradcam(linear, clone=False)(score, images, expand_cam=False, normalize_cam=False)
    np.testing.assert_allclose(insight.grad_cam(images, one_hot(3)), np.asarray(theirs), atol=1e-6)
    theirs = saliency.Saliency(linear, clone=False)(score, images, keepdims=True, normalize_map=False)
    np.testing.assert_allclose(np.abs(insight.gradients(images, one_hot(3))), np.asarray(theirs), atol=1e-6)
