"""Tests of the layer trace on sound and faulty networks."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers, ops

from roentgate.arrays import Images
from roentgate.evidence.geometry import displaced, displaced_any, probe_images
from roentgate.evidence.layer_trace import LayerReport, declared, examine
from tests.support.planted import image

SIDE = 32
SHAPE = (SIDE, SIDE, 1)


@pytest.fixture(scope="module")
def images() -> Images:
    return probe_images(np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32))


def head() -> list[keras.Layer]:
    return [
        layers.Conv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]


def after(*first: keras.Layer, shape: tuple[int, int, int] = SHAPE) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *first, *head()])


def functional(
    first: Callable[[keras.KerasTensor], keras.KerasTensor], shape: tuple[int, int, int] = SHAPE
) -> keras.Model:
    inputs = keras.Input(shape)
    tensor = first(inputs)
    for layer in head():
        tensor = layer(tensor)
    return keras.Model(inputs, tensor)


class Noise(layers.Layer):  # type: ignore[misc]
    """Adds noise, training or not."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the generator."""
        self.generator = keras.random.SeedGenerator(1)

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return noisy values."""
        return values + keras.random.normal(ops.shape(values), stddev=0.1, seed=self.generator)


class Mirror(layers.Layer):  # type: ignore[misc]
    """Flips every image left to right, training or not."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return flipped images."""
        return ops.flip(values, axis=2)


class Coin(layers.Layer):  # type: ignore[misc]
    """Flips the whole batch with probability 1/2, at inference too."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return images, or flipped images."""
        return ops.where(keras.random.uniform(()) < 0.5, ops.flip(values, axis=2), values)


class Rescaled(layers.Layer):  # type: ignore[misc]
    """Rescales images from [0, 1] to [-1, 1]."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return rescaled images."""
        return values * 2.0 - 1.0


class Standardised(layers.Layer):  # type: ignore[misc]
    """Scales each image to mean 0 and standard deviation 1."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return standardised images."""
        axes = (1, 2, 3)
        middle, spread = ops.mean(values, axis=axes, keepdims=True), ops.std(values, axis=axes, keepdims=True)
        return (values - middle) / (spread + 1e-6)


class Patches(layers.Layer):  # type: ignore[misc]
    """Cuts images into patches of 8 x 8, as Keras' vision transformer example does."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return patches (n, number of patches, pixels per patch)."""
        patches = ops.image.extract_patches(values, size=8)
        return ops.reshape(patches, (ops.shape(patches)[0], -1, patches.shape[-1]))


class Gamma(layers.Layer):  # type: ignore[misc]
    """Darkens images."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return images to the power of 1.5."""
        return values**1.5


def patched() -> keras.Model:
    """Return a network on patches of the image."""
    parts = [keras.Input(SHAPE), Patches(), layers.Dense(4), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    return keras.Sequential(parts)


def sequence() -> keras.Model:
    """Return a network on the sequence of an image's rows."""
    parts = [keras.Input(SHAPE), layers.Reshape((SIDE, SIDE)), layers.Conv1D(4, 3), layers.GlobalAveragePooling1D()]
    return keras.Sequential([*parts, layers.Dense(3)])


class Wrapped(layers.Layer):  # type: ignore[misc]
    """Wraps another layer and adds nothing."""

    def __init__(self, inner: keras.Layer, **options: object) -> None:
        super().__init__(**options)
        self.inner = inner

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return what the inner layer returns."""
        return self.inner(values)


class Counter(layers.Layer):  # type: ignore[misc]
    """Adds the number of its calls to the features."""

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the counter."""
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """Return the values plus the number of calls."""
        self.calls.assign_add(1.0)
        return values + self.calls


class Subclassed(keras.Model):  # type: ignore[misc]
    """A network without a graph that augments in training only.

    Args:
        first: Operation on the image.
        later: Layer on the features.
    """

    def __init__(
        self, first: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None, later: keras.Layer | None = None
    ) -> None:
        super().__init__()
        self.augment = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])
        self.first, self.later = first, later
        self.features, self.pool, self.scores = head()

    def build(self, shape: tuple[int, ...]) -> None:
        """Build the augmentation, which only training uses."""
        self.augment.build(shape)

    def call(self, images: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        """Return scores."""
        if training:
            images = self.augment(images, training=True)
        if self.first is not None:
            images = self.first(images)
        features = self.pool(self.features(images))
        return self.scores(features if self.later is None else self.later(features))


class WithoutTrainingArgument(keras.Model):  # type: ignore[misc]
    """A network whose ``call`` takes no ``training`` argument.

    Keras' image layers therefore augment under predict too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flip = layers.RandomFlip()
        self.block = keras.Sequential(head())

    def build(self, shape: tuple[int, ...]) -> None:
        """Build the head."""
        self.block.build(shape)

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return scores."""
        return self.block(self.flip(images))


def faults(network: keras.Model, images: Images) -> dict[str, list[str]]:
    """Return the faults found in each layer and between layers."""
    reports, displacement = examine(network, images)
    found = {
        report["name"]: [f"moves {way}" for way in report["moves"]] + [f"wavers {way}" for way in report["wavers"]]
        for report in reports
        if report["moves"] or report["wavers"]
    }
    return found | ({"between layers": [displacement]} if displacement else {})


def report_of(network: keras.Model, images: Images, kind: str) -> LayerReport:
    (report,) = [report for report in examine(network, images)[0] if report["type"] == kind]
    return report


SOUND: dict[str, Callable[[], keras.Model]] = {
    "no preprocessing": after,
    "article's augmentation": lambda: after(
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(15 / 360),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomZoom(0.1),
    ),
    "resized down": lambda: after(layers.Resizing(24, 20)),
    "resized up": lambda: after(layers.Resizing(48, 48, interpolation="nearest")),
    "rescaled": lambda: after(layers.Rescaling(2.0, offset=-1.0)),
    "centre crop": lambda: after(layers.CenterCrop(28, 24)),
    "patches, as a vision transformer cuts them": patched,
    "an image as a sequence of its rows": sequence,
    "averaged to half the size": lambda: after(layers.AveragePooling2D(2)),
    "standardised by running statistics that are not learned": lambda: after(
        layers.BatchNormalization(center=False, scale=False)
    ),
    "a custom layer that rescales": lambda: after(Rescaled()),
    "a custom layer that standardises each image": lambda: after(Standardised()),
    "border cropped away": lambda: after(layers.Cropping2D(2)),
    "cropped at one side": lambda: after(layers.Cropping2D(((0, 3), (5, 0)))),
    "padded": lambda: after(layers.ZeroPadding2D(2)),
    "standardised": lambda: after(layers.Normalization(mean=0.5, variance=0.04)),
    "random crop": lambda: after(layers.RandomCrop(28, 28)),
    "three channels by concatenation": lambda: functional(lambda x: layers.Concatenate()([x, x, x])),
    "three channels by repetition": lambda: functional(lambda x: ops.repeat(x, 3, axis=-1)),
    "grey by averaging": lambda: functional(lambda x: ops.mean(x, axis=-1, keepdims=True), (SIDE, SIDE, 3)),
    "rescaled by operations": lambda: functional(lambda x: x * 2.0 - 1.0),
    "rescaled after resizing": lambda: functional(lambda x: layers.Resizing(20, 24)(x) * 2.0 - 1.0),
    "cropped by an operation": lambda: functional(lambda x: x[:, 3:-1, 2:-4]),
    "padded by an operation": lambda: functional(lambda x: ops.pad(x, [[0, 0], [4, 0], [1, 3], [0, 0]])),
    "noise in training": lambda: after(layers.GaussianNoise(0.1), layers.Dropout(0.5)),
    "augmentation nested": lambda: after(keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)])),
    "augmentation nested, without a training argument": lambda: functional(
        keras.Sequential([layers.RandomFlip(), layers.RandomZoom(0.2)])
    ),
    "pooling in a nested block": lambda: after(
        layers.Conv2D(4, 3), keras.Sequential([layers.MaxPooling2D(2), layers.ReLU(), layers.Conv2D(4, 3)])
    ),
    "dropout between weights": lambda: after(
        layers.Conv2D(4, 3), layers.SpatialDropout2D(0.5), layers.BatchNormalization()
    ),
    "custom layer around a sound one": lambda: after(Wrapped(layers.RandomFlip())),
    "subclassed": Subclassed,
    "subclassed, rescaled and cropped": lambda: Subclassed(lambda x: 2.0 * x[:, 2:-2, 2:-2] - 1.0),
    "all augmentation layers": lambda: after(
        layers.RandomBrightness(0.2, value_range=(0, 1)),
        layers.RandomContrast(0.2, value_range=(0, 1)),
        layers.RandomErasing(),
        layers.RandomElasticTransform(),
        layers.RandomGaussianBlur(),
        layers.RandomInvert(value_range=(0, 1)),
        layers.RandomPerspective(),
        layers.RandomPosterization(4, value_range=(0, 1)),
        layers.RandomSharpness(0.5, value_range=(0, 1)),
        layers.RandomShear(0.1, 0.1),
        layers.CutMix(),
        layers.MixUp(),
    ),
    "mixtures of augmentations, in colour": lambda: after(
        layers.AugMix(value_range=(0, 1)), layers.RandAugment(value_range=(0, 1)), shape=(SIDE, SIDE, 3)
    ),
}


@pytest.mark.parametrize("build", SOUND.values(), ids=SOUND)
def test_a_sound_network_has_no_fault(build: Callable[[], keras.Model], images: Images) -> None:
    network = build()
    channels = network.input_shape[-1] if network.built else 1
    assert faults(network, np.repeat(images, channels, axis=-1)) == {}


def test_a_frozen_backbone_called_for_inference_has_no_fault(images: Images) -> None:
    backbone = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Rescaling(255.0),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
        ]
    )
    backbone.trainable = False
    network = functional(lambda x: backbone(layers.Concatenate()([x, x, x]), training=False))
    assert faults(network, images) == {}


def test_what_a_frozen_weight_made_of_the_image_is_not_judged(images: Images) -> None:
    frozen = layers.Conv2D(4, 3)
    frozen.trainable = False
    assert faults(after(frozen, layers.MaxPooling2D(2)), images) == {}


def blurred(x: keras.KerasTensor) -> keras.KerasTensor:
    """Return the mean of three by three pixels."""
    return ops.average_pool(x, 3, strides=1, padding="same")


class BlurAndFlip(layers.Layer):  # type: ignore[misc]
    """Smooths and flips."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the images (n, H, W, C)."""
        return ops.flip(blurred(x), axis=2)


class BlurAtInference(layers.Layer):  # type: ignore[misc]
    """Smooths at inference only."""

    def call(self, x: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        """Return the images (n, H, W, C)."""
        return x if training else blurred(x)


class Shift(layers.Layer):  # type: ignore[misc]
    """Smooths and shifts by two pixels."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the images (n, H, W, C)."""
        return ops.roll(blurred(x), 2, axis=2)


class EvenContrast(layers.Layer):  # type: ignore[misc]
    """Divides each pixel's distance from the local mean by the local deviation."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the images (n, H, W, C)."""
        mean = ops.average_pool(x, 9, strides=1, padding="same")
        deviation = ops.sqrt(ops.average_pool((x - mean) ** 2, 9, strides=1, padding="same") + 1e-6)
        return (x - mean) / (deviation + 0.05)


class Standardise(layers.Layer):  # type: ignore[misc]
    """Gives each image mean 0 and deviation 1."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the images (n, H, W, C)."""
        return (x - ops.mean(x, axis=(1, 2, 3), keepdims=True)) / (ops.std(x, axis=(1, 2, 3), keepdims=True) + 1e-6)


STEMS: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "a mean of three": layers.AveragePooling2D(3, strides=1, padding="same"),
    "a mean of two": layers.AveragePooling2D(2, strides=1, padding="same"),
    "a mean that halves the side": layers.AveragePooling2D(2),
    "a mean as a bare operation": lambda x: ops.average_pool(x, 5, strides=1, padding="same"),
    "a sharpened image": lambda x: 2 * x - blurred(x),
    "even contrast": EvenContrast(),
    "standardised images": Standardise(),
    "smoothing, then even contrast": lambda x: EvenContrast()(layers.AveragePooling2D(3, 1, "same")(x)),
}


@pytest.mark.parametrize("stem", STEMS.values(), ids=STEMS)
def test_a_fixed_stem_that_smooths_or_normalises_is_no_augmentation(
    stem: Callable[[keras.KerasTensor], keras.KerasTensor],
) -> None:
    keras.utils.clear_session()
    network = functional(stem, (64, 64, 1))
    drawn = np.stack([np.asarray(image(seed, 64)) for seed in range(4)])[..., None].astype(np.float32)
    images = probe_images(drawn / np.float32(255))
    assert faults(network, images) == {}
    assert examine(network, images)[1] == ""


FAULTY: dict[str, tuple[Callable[[], keras.Model], dict[str, list[str]]]] = {
    "noise that ignores training": (
        lambda: after(Noise(name="noise")),
        {"noise": ["moves predict", "moves call", "wavers predict", "wavers call"]},
    ),
    "dropout on features at inference": (
        lambda: after(layers.Conv2D(4, 3), Noise(name="noise")),
        {"noise": ["wavers predict", "wavers call"]},
    ),
    "state carried between calls": (
        lambda: after(layers.Conv2D(4, 3), Counter(name="counter")),
        {"counter": ["wavers predict", "wavers call"]},
    ),
    "a fixed flip in a layer": (lambda: after(Mirror(name="mirror")), {"mirror": ["moves predict", "moves call"]}),
    "a flip of half of the batches": (
        lambda: after(Coin(name="coin")),
        {"coin": ["moves predict", "moves call", "wavers predict", "wavers call"]},
    ),
    "a fixed flip in a nested network": (
        lambda: after(keras.Sequential([layers.RandomZoom(0.1), Mirror(name="mirror")], name="block")),
        {"block/mirror": ["moves predict", "moves call"]},
    ),
    "a flip behind a fixed layer's name": (
        lambda: after(type("Resizing", (Mirror,), {})(name="resizing")),
        {"resizing": ["moves predict", "moves call"]},
    ),
    "a nested augmentation forced to train": (
        lambda: functional(
            lambda x: keras.Sequential(
                [layers.RandomRotation(0.2, name="rotation"), layers.RandomFlip(name="flip")], name="augment"
            )(x, training=True)
        ),
        {"augment/rotation": ["moves call", "wavers call"], "augment/flip": ["moves call"]},
    ),
    "pixels bent before the first weight": (
        lambda: after(Gamma(name="gamma")),
        {"gamma": ["moves predict", "moves call"]},
    ),
    "pixels blurred and flipped before the first weight": (
        lambda: after(BlurAndFlip(name="both")),
        {"both": ["moves predict", "moves call"]},
    ),
    "pixels blurred at inference only": (
        lambda: after(BlurAtInference(name="late")),
        {"late": ["moves predict", "moves call"]},
    ),
    "pixels shifted before the first weight": (
        lambda: after(Shift(name="shift")),
        {"shift": ["moves predict", "moves call"]},
    ),
    "a layer inside a custom layer": (
        lambda: after(Wrapped(Noise(name="noise"), name="wrapped")),
        {"wrapped/noise": ["moves predict", "moves call", "wavers predict", "wavers call"]},
    ),
    "a subclassed network that passes no training argument": (
        WithoutTrainingArgument,
        {"random_flip": ["moves predict", "moves call", "wavers predict", "wavers call"]},
    ),
    "noise late in a subclassed network": (
        lambda: Subclassed(later=Noise(name="noise")),
        {"noise": ["wavers predict", "wavers call"]},
    ),
    "noise outside the layers of a subclassed network": (
        lambda: Subclassed(lambda x: x + keras.random.normal(ops.shape(x), stddev=1e-3)),
        {"subclassed": ["wavers predict", "wavers call"]},
    ),
}


@pytest.mark.parametrize(("build", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_faulty_layer_is_named_with_the_way_of_calling(
    build: Callable[[], keras.Model], expected: dict[str, list[str]], images: Images
) -> None:
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    found = faults(build(), images)
    assert {name: sorted(ways) for name, ways in found.items()} == {
        name: sorted(ways) for name, ways in expected.items()
    }


BETWEEN: dict[str, tuple[Callable[[keras.KerasTensor], keras.KerasTensor], str]] = {
    "flip": (lambda x: ops.flip(x, axis=2), "flips the image left to right"),
    "flip upside down": (lambda x: x[:, ::-1], "flips the image upside down"),
    "half rotation": (lambda x: ops.flip(ops.flip(x, axis=1), axis=2), "rotates the image by 180 degrees"),
    "quarter rotation": (lambda x: ops.rot90(x, axes=(1, 2)), "rotates the image by"),
    "shift": (lambda x: ops.roll(x, 5, axis=1), "shifts the image"),
    "blur of a flip": (
        lambda x: ops.average_pool(ops.flip(x, axis=2), 5, strides=1, padding="same"),
        "changes the image by more than",
    ),
    "shift by two pixels": (lambda x: ops.roll(x, 2, axis=1), "shifts the image"),
    "flip of a resized image": (
        lambda x: ops.flip(layers.Resizing(24, 24)(x), axis=2),
        "flips the image left to right",
    ),
    "flip before a layer that does nothing": (
        lambda x: layers.RandomZoom(0.1)(ops.flip(x, axis=2)),
        "flips the image left to right",
    ),
    "flip at the end of a nested network": (
        lambda x: keras.Model(x, ops.flip(layers.RandomZoom(0.1)(x), axis=2))(x),
        "flips the image left to right",
    ),
}


@pytest.mark.parametrize(("operation", "expected"), BETWEEN.values(), ids=BETWEEN)
def test_an_operation_that_is_no_layer_is_described(
    operation: Callable[[keras.KerasTensor], keras.KerasTensor], expected: str, images: Images
) -> None:
    network = functional(operation)
    reports, displacement = examine(network, images)
    assert displacement.startswith(expected)
    assert not any(report["moves"] or report["wavers"] for report in reports)


def test_a_flip_of_some_images_only_is_described(images: Images) -> None:
    level = float(np.sort(images.mean(axis=(1, 2, 3)))[1])

    def some(x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.where(ops.mean(x, axis=(1, 2, 3), keepdims=True) > level, ops.flip(x, axis=2), x)

    brightest_last = images[np.argsort(images.mean(axis=(1, 2, 3)))]
    _, displacement = examine(functional(some), brightest_last)
    assert displacement.startswith("flips the image left to right")


@pytest.mark.parametrize("operation", [lambda x: x**2.5, lambda x: ops.where(x > 0.5, 1.0, x)], ids=["gamma", "clip"])
def test_what_is_no_shift_is_not_described_as_one(
    operation: Callable[[keras.KerasTensor], keras.KerasTensor], images: Images
) -> None:
    _, displacement = examine(functional(operation), images)
    assert "shifts" not in displacement


def test_an_operation_in_a_subclassed_network_is_described(images: Images) -> None:
    _, displacement = examine(Subclassed(lambda x: ops.flip(x, axis=2)), images)
    assert "flips the image left to right" in displacement


def test_the_trace_changes_neither_the_answers_nor_the_layers(images: Images) -> None:
    network = after(layers.RandomFlip(), layers.BatchNormalization(), layers.Dropout(0.5))
    before, weights = network.predict_on_batch(images), network.get_weights()
    examine(network, images)
    assert np.array_equal(network.predict_on_batch(images), before)
    assert all(np.array_equal(new, old) for new, old in zip(network.get_weights(), weights, strict=True))
    assert not any("call" in vars(layer) for layer in network.layers)


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomZoom(0.2),
        layers.RandomContrast(0.3, value_range=(0, 1)),
        layers.RandomBrightness(0.2, value_range=(0, 1)),
        layers.RandomCrop(28, 28),
        layers.RandomErasing(),
        layers.GaussianNoise(0.1),
        layers.MixUp(),
        layers.CutMix(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_augmentation_that_works_is_active(layer: keras.Layer, images: Images) -> None:
    assert report_of(after(layer), images, type(layer).__name__)["augments"] is True


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomRotation(0.0),
        layers.RandomTranslation(0.0, 0.0),
        layers.RandomZoom(0.0),
        layers.RandomContrast(0.0),
        layers.RandomBrightness(0.0),
        layers.GaussianNoise(0.0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_augmentation_without_effect_is_idle(layer: keras.Layer, images: Images) -> None:
    assert report_of(after(layer), images, type(layer).__name__)["augments"] is False


def test_an_augmentation_in_a_nested_network_is_declared_by_its_path(images: Images) -> None:
    network = after(
        keras.Sequential([layers.RandomFlip(name="flip"), layers.RandomRotation(0.0, name="rotation")], name="augment")
    )
    reports, _ = examine(network, images)
    assert {report["name"]: report["augments"] for report in declared(reports)} == {
        "augment/flip": True,
        "augment/rotation": False,
    }


def test_an_augmentation_that_is_called_in_training_only_is_declared(images: Images) -> None:
    reports, _ = examine(Subclassed(), images)
    assert [report["augments"] for report in declared(reports)] == [True, True]


class NeverCalled(Subclassed):
    """Has an augmentation that it does not use."""

    def call(self, images: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        """Return scores of the unchanged image."""
        return self.scores(self.pool(self.features(images)))


class NeverTraining(Subclassed):
    """Calls its augmentation with ``training=False``."""

    def call(self, images: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        """Return scores."""
        return self.scores(self.pool(self.features(self.augment(images, training=False))))


@pytest.mark.parametrize("kind", [NeverCalled, NeverTraining])
def test_an_augmentation_that_training_never_uses_is_idle(kind: type[Subclassed], images: Images) -> None:
    reports, _ = examine(kind(), images)
    assert [report["augments"] for report in declared(reports)] == [False, False]


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_augmentation_is_active(seed: int, images: Images) -> None:
    keras.utils.set_random_seed(seed)
    network = after(layers.RandomErasing(0.02), layers.RandomInvert(0.05, value_range=(0, 1)))
    assert [report["augments"] for report in declared(examine(network, images)[0])] == [True, True]


def test_a_layer_without_augmentation_declares_none(images: Images) -> None:
    reports, _ = examine(after(layers.Dropout(0.5), layers.Rescaling(2.0)), images)
    assert declared(reports) == []


def test_noise_on_features_is_not_an_augmentation_of_the_image(images: Images) -> None:
    reports, _ = examine(after(layers.Conv2D(4, 3), layers.GaussianNoise(0.0)), images)
    assert declared(reports) == []


@pytest.mark.parametrize("operation", ["crop", "pad", "resize", "rescale"])
def test_crop_pad_resize_and_rescale_do_not_displace(operation: str, images: Images) -> None:
    outputs = {
        "crop": images[:, 4:-4, 4:-4],
        "pad": np.pad(images, ((0, 0), (6, 2), (0, 4), (0, 0))),
        "resize": np.asarray(keras.ops.image.resize(images, (25, 40))),
        "rescale": 255 * images - 3,
    }
    assert displaced(images, outputs[operation]) == ""


def test_an_output_in_which_nothing_is_left_of_the_image_is_described(images: Images) -> None:
    assert displaced(images, np.zeros_like(images)) == "changes the image by more than crop, pad, resize and rescale"


def test_outputs_that_are_not_one_for_each_image_are_judged_by_the_first(images: Images) -> None:
    assert displaced_any(images, images[:1]) == ""
    assert displaced_any(images, images[:1, :, ::-1]) == "flips the image left to right"


def test_features_that_are_no_image_are_not_judged(images: Images) -> None:
    assert displaced(images, images.reshape(len(images), -1)) == ""
    assert displaced(images, images[:, :4, :4]) == ""


def test_probe_images_show_every_flip_and_rotation() -> None:
    probes = probe_images(np.full((1, *SHAPE), 0.5, np.float32))
    image = probes[0, :, :, 0]
    for moved in (image[:, ::-1], image[::-1], image[::-1, ::-1], image.T, np.rot90(image), np.roll(image, 1, 0)):
        assert not np.allclose(moved, image)


def test_flattening_the_image_is_no_fault_and_reversing_it_is(images: Images) -> None:
    class Reverse(layers.Layer):  # type: ignore[misc]
        def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
            return ops.flip(ops.reshape(values, (-1, SIDE * SIDE)), axis=1)

    def linear(first: keras.Layer) -> keras.Model:
        return keras.Sequential([keras.Input(SHAPE), first, layers.Dense(3, activation="softmax")])

    assert not any(report["moves"] for report in examine(linear(layers.Flatten()), images)[0])
    assert any(report["moves"] for report in examine(linear(Reverse()), images)[0])
