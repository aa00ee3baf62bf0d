"""The second door to Keras: what lies behind a network's answers - logits, feature maps, gradients, random weights.

A network of any kind is looked into while it runs, by wrapping what its layers do for the length of one trace: nested
backbones, subclassed models and custom layers need no graph of their own to be rebuilt. Layers that prepare an image
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
"""Images a backward pass: more are no faster on two cores, and the memory of one batch is all that is ever held."""

_NOISE = 4  # images of noise that show how much of its input a feature map sees
_SQUASHING = (keras.activations.softmax, keras.activations.sigmoid)
_REACHED = 1e-5  # largest difference between the answers and the squashed logits, in shares


class Insight:
    """A network whose scores, feature maps and gradients can be asked for.

    Args:
        network: A `keras.Model` with one input and outputs (n, columns).
        label: What messages call it.
        probe: One image or more, as the network is given them: float32 (n, H, W, C).

    Attributes:
        score: What is differentiated: ``logit`` where a last softmax or sigmoid could be left out, or where there is
            none; ``answer`` where it could not (an operation outside any layer).
        feature_layer: Name of the last layer whose output has a height and a width, and that stands behind learned
            weights; None where there is none (a network without convolutions), and so no Grad-CAM.
        extent: (top, bottom, left, right) rows and columns of the input that the feature layer sees, bottom and right
            not included: what a network crops away before its convolutions is no part of its map. None without one.
        weighted: Names of the layers that hold learned weights, in the order in which they are run.

    Raises:
        ModelError: The network does not answer (n, columns).
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
            images: float32 (n, H, W, C) as the network is given them.
            weights: float32 (n, columns): 1 at the column of the class to explain; -1 for the class that a single
                sigmoid is not about.
        """
        return _batched(self._scores, images, weights)

    def gradients(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the derivative of each image's score by its pixels: float32 (n, H, W, C)."""
        return _batched(self._input_gradient, images, weights)

    def integrated_gradients(self, images: Images, baseline: Images, weights: FloatArray, *, steps: int) -> FloatArray:
        """Return (image - baseline) times the mean gradient on the straight line between them: float32 (n, H, W, C).

        Up to the error of the midpoint rule the sum over an image is the difference of the scores of image and
        baseline. Only one batch of one step is held at a time.

        Args:
            images: float32 (n, H, W, C) as the network is given them.
            baseline: Where the line begins, same shape; or (1, H, W, C) for all.
            weights: As in `scores`.
            steps: Points on the line, at the middles of equal parts; at least 1.

        References:
            Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017.
        """
        found = np.empty_like(images)
        for part in _parts(len(images)):
            start = np.broadcast_to(baseline, images.shape)[part]
            way = images[part] - start
            total = np.zeros_like(way)
            for step in range(steps):
                point = start + np.float32((step + 0.5) / steps) * way
                total += self._input_gradient(point, weights[part]).numpy()
            found[part] = way * total / np.float32(steps)
        return found

    def grad_cam(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the class activation of each image at the feature layer's own size: float32 (n, h, w), not negative.

        Each feature map counts by the mean of the score's derivative over it; what speaks against the class is 0.

        Raises:
            ModelError: The network has no feature map behind learned weights.

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
        """Replace the learned weights of the last ``layers`` weighted layers for the length of the context.

        Each array is drawn from a normal distribution of mean 0 and of the array's own root mean square: nothing that
        was learned survives but the scale, which keeps the answers in their range. Frozen weights count as learned;
        the running means and deviations of normalisation layers stay. With one seed, a layer has the same draw
        however many are replaced: a cascade. The old weights are put back in any case.

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
            tidy = np.asarray(outputs)
            squashed = (tidy >= 0).all() and (tidy <= 1).all() and (self.columns == 1 or abs(tidy.sum() - 1) < 1e-3)
            return "answer" if squashed else "logit"
        activation = keras.activations.softmax if self.columns > 1 else keras.activations.sigmoid
        logits = self._logits(probe)
        if np.abs(np.asarray(activation(logits)) - np.asarray(outputs)).max() <= _REACHED:
            return "logit"
        self._head = None
        return "answer"

    def _find_feature(self, records: Sequence["_Run"], probe: tf.Tensor) -> keras.Layer | None:
        """Return the last layer whose map has a height and a width, if the score depends on it.

        Of a model inside the network, which returns what its last layer does, it is that layer.
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
        """Return the box of the pixels that move the feature layer at all, on noise."""
        noise = np.random.default_rng(0).random((_NOISE, *probe.shape[1:]), np.float32)
        images = tf.convert_to_tensor(noise)
        with tf.GradientTape(watch_accessed_variables=False) as tape, _watching(self._feature, tape) as seen:
            tape.watch(images)
            self._network(images, training=False)
            total = tf.reduce_sum(seen[-1] * np.random.default_rng(1).random(seen[-1].shape, np.float32))
        moved = tape.gradient(total, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        seen_pixels = np.abs(np.asarray(moved)).sum(axis=(0, 3)) > 0
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
"""A layer and what it returned."""


def _record(network: keras.Model, probe: tf.Tensor) -> list[_Run]:
    """Return every run of a layer inside the network, nested ones included, in the order in which they ended."""
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
    """Return the layers that a network is made of, at any depth, each once."""
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
    """Pass on what ``receive`` makes of a layer's output; by hiding the class's ``call`` behind the object's own."""
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
    """Yield the list of a layer's outputs, each watched by the tape from where it arises."""
    seen: list[tf.Tensor] = []

    def watch(output: tf.Tensor) -> tf.Tensor:
        tape.watch(output)
        seen.append(output)
        return output

    with _wrapped(layer, watch):
        yield seen


@contextlib.contextmanager
def _linear(layer: keras.Layer) -> Iterator[None]:
    """Let the last layer return what it would squash."""
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
    """Return the last layer if it is what made the outputs, by a softmax or sigmoid."""
    for layer, output in reversed(records):
        if inner_layers(layer):
            continue
        same = getattr(output, "shape", None) == outputs.shape and np.array_equal(output, outputs)
        squashes = isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in _SQUASHING
        return layer if same and squashes else None
    return None


def _learned(records: Sequence[_Run]) -> list[tuple[keras.Layer, list[keras.Variable]]]:
    """Return the layers that hold learned arrays, in order, each array with the innermost layer that holds it."""
    taken: set[int] = set()
    found: list[tuple[keras.Layer, list[keras.Variable]]] = []
    for layer, _ in records:
        if isinstance(layer, keras.layers.Normalization):
            continue
        own = [
            variable
            for variable in layer.weights
            if id(variable) not in taken
            and not variable.name.startswith("moving_")
            and np.issubdtype(np.dtype(variable.dtype), np.floating)
        ]
        taken |= {id(variable) for variable in own}
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
