"""Logits, class activations, gradients and random weights of Keras networks.

A network is inspected while it runs, by wrapping the calls of its layers for the length of one trace. No graph has to
be rebuilt, so that nested backbones, subclassed models and custom layers work as well. Layers that prepare an image
(rescaling, augmentation at inference) are part of the network.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from roentgate.arrays import FloatArray, Images
from roentgate.candidates.backends import keras_backend  # noqa: F401 - quiets TensorFlow before it is imported
from roentgate.candidates.backends.keras_layers import inner_layers
from roentgate.errors import ModelError

import keras  # isort: skip
import tensorflow as tf  # isort: skip


BATCH = 16
"""Number of images in a backward pass.

Larger batches are no faster on two cores, and memory holds one batch at a time.
"""

_NOISE = 4  # images of noise from which the extent of a feature map is found
_SQUASHING = (keras.activations.softmax, keras.activations.sigmoid)
_TOLERANCE = 1e-5  # largest difference between the answers and the activation of the logits


class Insight:
    """A network whose scores, class activations and gradients can be computed.

    Args:
        network: A `keras.Model` with one input and outputs (n, columns).
        label: Name of the model in messages.
        probe: One image or more, as the network is given them: float32 (n, H, W, C).

    Attributes:
        columns: Number of outputs of an image.
        score: What is differentiated. It is ``logit`` if a last softmax or sigmoid could be left out, or if there is
            none. It is ``answer`` if it could not, as for an operation outside any layer.
        feature_layer: Name of the last layer that comes after learned weights and whose output has a height and a
            width. None if there is none, as in a network without convolutions, which has no Grad-CAM.
        extent: (top, bottom, left, right) of the part of the input that the feature layer sees, bottom and right not
            included. A part that is cropped before the convolutions is outside. None without a feature layer.
        weighted: Names of the layers that hold learned weights, in the order in which they run.

    Raises:
        ModelError: The outputs of the network are not (n, columns).
    """

    def __init__(self, network: keras.Model, label: str, probe: Images) -> None:
        self._network = network
        self._label = label
        probe = tf.convert_to_tensor(probe[:1])
        outputs = network(probe, training=False)
        if len(getattr(outputs, "shape", ())) != 2:
            raise ModelError(f"model '{label}': attributions need one output (n, columns); give it one output a class")
        self.columns = int(outputs.shape[1])
        records = _record(network, probe)
        self._head = _squashing_layer(records, outputs)
        self.score = self._find_score(probe, outputs)
        self._learned = _learned(records)
        self.weighted = tuple(layer.name for layer, _ in self._learned)
        self._feature = self._find_feature(records, probe)
        self.feature_layer: str | None = None if self._feature is None else self._feature.name
        self.extent = None if self._feature is None else self._find_extent(probe)
        images = tf.TensorSpec([None, *probe.shape[1:]], tf.float32)
        weights = tf.TensorSpec([None, self.columns], tf.float32)
        self._scores = tf.function(self._score, input_signature=[images, weights])
        self._input_gradient = tf.function(self._gradient, input_signature=[images, weights])
        self._class_activation = tf.function(self._activation, input_signature=[images, weights])

    def scores(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the weighted sum of the logits (or answers) of each image: float32 (n,).

        Args:
            images: float32 (n, H, W, C), as the network is given them.
            weights: float32 (n, columns), 1 at the column of the class to explain. With a single sigmoid it is -1 for
                the negative class.
        """
        return _batched(self._scores, images, weights)

    def gradients(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the derivative of each image's score by its pixels: float32 (n, H, W, C)."""
        return _batched(self._input_gradient, images, weights)

    def integrated_gradients(self, images: Images, baseline: Images, weights: FloatArray, *, steps: int) -> FloatArray:
        """Return the integrated gradients of each image: float32 (n, H, W, C).

        They are the difference between image and baseline, times the mean gradient on the straight line between the
        two. Up to the error of the midpoint rule, their sum over an image is the difference between the scores of
        image and baseline. Memory holds one batch of one step at a time.

        Args:
            images: float32 (n, H, W, C), as the network is given them.
            baseline: Start of the line, of the same shape, or (1, H, W, C) for all images.
            weights: As in `scores`.
            steps: Number of points on the line, at the middles of equal parts. At least 1.

        References:
            Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017.
        """
        found = np.empty_like(images)
        for part in _parts(len(images)):
            start = np.broadcast_to(baseline, images.shape)[part]
            change = images[part] - start
            total = np.zeros_like(change)
            for step in range(steps):
                point = start + np.float32((step + 0.5) / steps) * change
                total += self._input_gradient(point, weights[part]).numpy()
            found[part] = change * total / np.float32(steps)
        return found

    def grad_cam(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the class activation (Grad-CAM) of each image: float32 (n, h, w), 0 or more.

        The size is that of the feature layer. The weight of a feature map is the mean over it of the derivative of the
        score. Evidence against the class counts as 0.

        Raises:
            ModelError: The network has no feature layer.

        References:
            Selvaraju et al., Grad-CAM, ICCV 2017.
        """
        if self._feature is None:
            raise ModelError(
                f"model '{self._label}': no layer behind learned weights has a height and a width, so there is no "
                "Grad-CAM; ask for integrated gradients or occlusion"
            )
        return _batched(self._class_activation, images, weights)

    @contextlib.contextmanager
    def randomised(self, layers: int, *, seed: int) -> Iterator[None]:
        """Return a context in which the learned weights of the last layers are random.

        Each array is drawn from a normal distribution with mean 0 and the root mean square of the array. Only the scale
        of the learned weights survives, which keeps the answers in their range. Frozen weights count as learned. The
        running means and deviations of normalisation layers stay. With the same seed a layer has the same draw for any
        number of layers, so that growing numbers form a cascade. The old weights are always restored.

        Args:
            layers: Number of weighted layers to replace, counted from the last.
            seed: Of the draws.

        References:
            Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
        """
        replaced = list(enumerate(reversed(self._learned)))[:layers]
        kept = [(variable, np.asarray(variable.numpy())) for _, (_, own) in replaced for variable in own]
        try:
            for depth, (_, variables) in replaced:
                generator = np.random.default_rng([seed, depth])
                for variable in variables:
                    value = np.asarray(variable.numpy())
                    scale = np.sqrt(np.mean(np.square(value, dtype=np.float64)))
                    variable.assign((scale * generator.standard_normal(value.shape)).astype(value.dtype))
            yield
        finally:
            for variable, value in kept:
                variable.assign(value)

    def _find_score(self, probe: tf.Tensor, outputs: tf.Tensor) -> str:
        if self._head is None:
            values = np.asarray(outputs)
            in_range = (values >= 0).all() and (values <= 1).all()
            squashed = in_range and (self.columns == 1 or abs(values.sum() - 1) < 1e-3)
            return "answer" if squashed else "logit"
        activation = keras.activations.softmax if self.columns > 1 else keras.activations.sigmoid
        logits = self._logits(probe)
        if np.abs(np.asarray(activation(logits)) - np.asarray(outputs)).max() <= _TOLERANCE:
            return "logit"
        self._head = None
        return "answer"

    def _find_feature(self, records: Sequence["_Run"], probe: tf.Tensor) -> keras.Layer | None:
        """Return the last layer whose output is a map on which the score depends.

        A model inside the network returns the output of its last layer. In that case it is the last layer that counts.
        """
        learned, spatial, seen_outputs = False, [], set()
        for layer, output in records:
            learned = learned or any(layer is own for own, _ in self._learned)
            if learned and _is_map(output) and id(output) not in seen_outputs:
                spatial.append(layer)
            seen_outputs.add(id(output))
        weights = tf.ones((1, self.columns))
        for layer in reversed(spatial):
            with tf.GradientTape(watch_accessed_variables=False) as tape, _watching(layer, tape) as seen:
                score = tf.reduce_sum(self._logits(probe) * weights)
            if tape.gradient(score, seen[-1]) is not None:
                return layer
        return None

    def _find_extent(self, probe: tf.Tensor) -> tuple[int, int, int, int]:
        """Return the box of the pixels on which the feature layer depends.

        They are found from gradients on images of noise.
        """
        noise = np.random.default_rng(0).random((_NOISE, *probe.shape[1:]), np.float32)
        images = tf.convert_to_tensor(noise)
        with tf.GradientTape(watch_accessed_variables=False) as tape, _watching(self._feature, tape) as seen:
            tape.watch(images)
            self._network(images, training=False)
            total = tf.reduce_sum(seen[-1] * np.random.default_rng(1).random(seen[-1].shape, np.float32))
        gradient = tape.gradient(total, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        seen_pixels = np.abs(np.asarray(gradient)).sum(axis=(0, 3)) > 0
        rows, columns = np.flatnonzero(seen_pixels.any(axis=1)), np.flatnonzero(seen_pixels.any(axis=0))
        if not rows.size:
            return 0, int(probe.shape[1]), 0, int(probe.shape[2])
        return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1

    def _logits(self, images: tf.Tensor) -> tf.Tensor:
        with contextlib.ExitStack() as stack:
            if self._head is not None:
                stack.enter_context(_linear(self._head))
            return self._network(images, training=False)

    def _score(self, images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(self._logits(images) * weights, axis=1)

    def _gradient(self, images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            score = self._score(images, weights)
        return tape.gradient(score, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _activation(self, images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape, _watching(self._feature, tape) as seen:
            score = self._score(images, weights)
        features = seen[-1]
        importance = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(importance * features, axis=-1))


_Run = tuple[keras.Layer, tf.Tensor]
"""A layer and its output in one run."""


def _record(network: keras.Model, probe: tf.Tensor) -> list[_Run]:
    """Return every run of a layer inside the network, nested layers included.

    The order is that in which the runs ended.
    """
    records: list[_Run] = []

    def keep(layer: keras.Layer) -> Callable[[tf.Tensor], tf.Tensor]:
        def receive(output: tf.Tensor) -> tf.Tensor:
            records.append((layer, output))
            return output

        return receive

    with contextlib.ExitStack() as stack:
        for layer in _inside(network):
            stack.enter_context(_wrapped(layer, keep(layer)))
        network(probe, training=False)
    return records


def _inside(layer: keras.Layer) -> list[keras.Layer]:
    """Return the layers inside a network, at any depth, each once."""
    found: dict[int, keras.Layer] = {}
    pending = inner_layers(layer)
    while pending:
        inner = pending.pop()
        if id(inner) not in found:
            found[id(inner)] = inner
            pending += inner_layers(inner)
    return list(found.values())


@contextlib.contextmanager
def _wrapped(layer: keras.Layer, receive: Callable[[tf.Tensor], tf.Tensor]) -> Iterator[None]:
    """Return a context in which a layer returns ``receive`` of its output.

    The ``call`` of the class is hidden by an attribute of the instance.
    """
    original, members = layer.call, vars(layer)
    before = members.get("call")

    def call(*arguments: object, **options: object) -> tf.Tensor:
        return receive(original(*arguments, **options))

    members["call"] = call
    try:
        yield
    finally:
        if before is None:
            del members["call"]
        else:
            members["call"] = before


@contextlib.contextmanager
def _watching(layer: keras.Layer, tape: tf.GradientTape) -> Iterator[list[tf.Tensor]]:
    """Yield a list that collects the outputs of a layer, each watched by the tape."""
    seen: list[tf.Tensor] = []

    def watch(output: tf.Tensor) -> tf.Tensor:
        tape.watch(output)
        seen.append(output)
        return output

    with _wrapped(layer, watch):
        yield seen


@contextlib.contextmanager
def _linear(layer: keras.Layer) -> Iterator[None]:
    """Return a context in which a layer leaves out its softmax or sigmoid."""
    if isinstance(layer, keras.layers.Softmax):
        members = vars(layer)
        members["call"] = lambda inputs, *_, **__: inputs
        try:
            yield
        finally:
            del members["call"]
    else:
        before, vars(layer)["activation"] = layer.activation, keras.activations.linear
        try:
            yield
        finally:
            vars(layer)["activation"] = before


def _squashing_layer(records: Sequence[_Run], outputs: tf.Tensor) -> keras.Layer | None:
    """Return the last layer if it made the outputs by a softmax or sigmoid."""
    for layer, output in reversed(records):
        if inner_layers(layer):
            continue
        same = getattr(output, "shape", None) == outputs.shape and np.array_equal(output, outputs)
        squashes = isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in _SQUASHING
        return layer if same and squashes else None
    return None


def _learned(records: Sequence[_Run]) -> list[tuple[keras.Layer, list[keras.Variable]]]:
    """Return the layers that hold learned arrays, in order, with their arrays.

    An array belongs to the innermost layer that holds it.
    """
    assigned: set[int] = set()
    found: list[tuple[keras.Layer, list[keras.Variable]]] = []
    for layer, _ in records:
        if isinstance(layer, keras.layers.Normalization):
            continue
        own = [
            variable
            for variable in layer.weights
            if id(variable) not in assigned
            and not variable.name.startswith("moving_")
            and np.issubdtype(np.dtype(variable.dtype), np.floating)
        ]
        assigned |= {id(variable) for variable in own}
        if own:
            found.append((layer, own))
    return found


def _is_map(output: tf.Tensor) -> bool:
    shape: tuple[int, ...] = tuple(getattr(output, "shape", ()))
    return len(shape) == 4 and shape[1] > 1 and shape[2] > 1


def _parts(rows: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, rows, BATCH)]


def _batched(function: Callable[[Images, FloatArray], tf.Tensor], images: Images, weights: FloatArray) -> FloatArray:
    parts = [function(images[part], weights[part]).numpy() for part in _parts(len(images))]
    return np.concatenate(parts) if parts else np.zeros((0,), np.float32)
