"""Trace of what each layer of a network does to an image.

It finds layers that alter the image at inference, layers with random output at inference, and layers that augment in
training.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np

from roentgate.arrays import Array, Images
from roentgate.candidates import Layer, Network, keras_layers
from roentgate.evidence.fixed_filters import filters
from roentgate.evidence.geometry import displaced_any, keeps

FIXED = {"Resizing", "Rescaling", "CenterCrop", "RandomCrop", "Cropping2D", "ZeroPadding2D", "Normalization"}
"""Keras layers that may change the image, because they treat every image alike at inference."""

AUGMENTERS = {"AugMix", "CutMix", "MixUp", "RandAugment", "GaussianNoise"}
TRAINING_DRAWS = 200
"""Most training calls in which an augmentation is looked for.

One that changes 1 image in 50 is missed in 1 of 50 networks.
"""
EVALUATIONS = 5
"""Runs in each way of calling. A flip of the whole batch with probability 1/2 is missed in 1 of 16 networks."""
CHANGED = 1e-4
"""Least difference, as a share of the image's range, that counts as an augmentation. Rounding is less."""

Way = Literal["predict", "call"]
"""Way of calling a network: ``network.predict(images)``, or ``network(images)``.

The second keeps a ``block(x, training=True)`` of a graph in force. Keras' own image layers train by default, so that
``network(images)`` augments whatever its author wrote. This default is no fault of the model. Only an explicit
``training=True`` counts.
"""


class LayerReport(TypedDict):
    """What one layer did to the probe images.

    ``moves``: ways of calling ("predict", "call") in which it changed its input although it must not.
    ``wavers``: ways of calling in which its output changed from call to call.
    ``augments``: whether training mode changes the image, or None if the layer declares no augmentation.
    """

    name: str
    type: str
    moves: list[Way]
    wavers: list[Way]
    augments: bool | None


@dataclass(eq=False)
class _Call:
    """One call of a layer.

    Digests of inputs and outputs are always kept, the arrays only up to the first layer with weights.
    """

    layer: Layer
    trains: bool
    learned: bool
    training: bool
    before: list[Array]
    input_digests: list[str]
    after: list[Array] = field(default_factory=list)
    output_digests: list[str] = field(default_factory=list)
    inner: list["_Call"] = field(default_factory=list)


_Runs = list[list[_Call]]


def examine(network: Network, images: Images) -> tuple[list[LayerReport], str]:
    """Return what every layer of a network does to probe images.

    Nested and custom layers are included.

    Args:
        network: A sequential, functional or subclassed Keras model.
        images: Asymmetric probe images (n, H, W, C) in the network's own input range.

    Returns:
        One report for each layer that is called at inference or declares an augmentation, the network itself
        included. Then a sentence on operations outside layers that displace the image, or "".
    """
    state = [(variable, variable.numpy()) for variable in network.variables]
    plain = _watch_often(network, images, set())
    forced = _forced_to_train(network)
    runs: dict[Way, _Runs] = {"predict": plain, "call": _watch_often(network, images, forced) if forced else plain}
    moving = {way: {id(call.layer) for run in traces for call in run if _moves(call)} for way, traces in runs.items()}
    wavering = {way: _wavering(traces) for way, traces in runs.items()}
    predicted = {id(call.layer): call for call in reversed(runs["predict"][0])}
    trained = {id(call.layer) for call in _watch(network, images, set(), training=True) if call.training}
    reports = [
        LayerReport(
            name=name,
            type=type(layer).__name__,
            moves=[way for way in runs if id(layer) in moving[way]],
            wavers=[way for way in runs if id(layer) in wavering[way]],
            augments=_augments(layer, predicted.get(id(layer)), images, trains=id(layer) in trained),
        )
        for layer, name in _named(network).items()
        if id(layer) in predicted or _declares(layer)
    ]
    for variable, value in state:
        variable.assign(value)
    displacements = {way: _displacement(traces[0], images) for way, traces in runs.items()}
    displacement = displacements["predict"] or displacements["call"]
    ways = " and ".join(way for way in runs if displacements[way])
    return reports, f"{displacement} under {ways}" if displacement else ""


def declared(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """Return the reports of layers that declare an augmentation."""
    return [report for report in reports if report["augments"] is not None]


def _named(network: Network) -> dict[Layer, str]:
    """Return the names of the layers, the network itself first.

    Inner layers of an augmentation are left out.
    """

    def inside(layer: Layer, prefix: str) -> Iterator[tuple[Layer, str]]:
        for inner in keras_layers.inner_layers(layer):
            yield inner, prefix + inner.name
            if not _declares(inner):
                yield from inside(inner, f"{prefix}{inner.name}/")

    return {network: network.name, **dict(inside(network, ""))}


def _declares(layer: Layer) -> bool:
    name = type(layer).__name__
    return name.startswith("Random") or name in AUGMENTERS or "Augment" in name


def _forced_to_train(network: Network) -> set[Layer]:
    """Return the layers that a graph calls with an explicit ``training=True``."""
    return {
        layer
        for layer in _named(network)
        for options in keras_layers.graph_calls(layer)
        if options.get("training") is True and _training_default(layer) is not True
    }


def _training_default(layer: Layer) -> object:
    """Return the default of the ``training`` argument of a layer's ``call``.

    Without such an argument it is `inspect.Parameter.empty`.
    """
    parameter = inspect.signature(layer.call).parameters.get("training")
    return inspect.Parameter.empty if parameter is None else parameter.default


def _watch_often(network: Network, images: Images, forced: set[Layer]) -> _Runs:
    return [_watch(network, images, forced) for _ in range(EVALUATIONS)]


def _watch(
    network: Network,
    images: Images,
    forced: set[Layer],
    *,
    training: bool = False,
) -> list[_Call]:
    """Return all layer calls of one run over the images, in order."""
    recorder = _Recorder(forced)
    with ExitStack() as restored:
        for layer in _named(network):
            vars(layer)["call"] = recorder.recorded(layer)
            restored.callback(vars(layer).pop, "call")
        if keras_layers.takes_training(network):  # as keras.Model.predict and fit do
            network(images, training=training)
        else:
            network(images)
    return recorder.calls


class _Recorder:
    """Wraps the ``call`` methods of layers and records inputs and outputs.

    Args:
        forced: Layers that train at inference too, with all layers inside them.
    """

    def __init__(self, forced: set[Layer]) -> None:
        self.calls: list[_Call] = []
        self._forced = forced
        self._open: list[_Call] = []
        self._learned = False

    def recorded(self, layer: Layer) -> Callable[..., object]:
        """Return the layer's ``call``, wrapped so that it is recorded."""
        original = layer.call

        def call(*arguments: object, **options: object) -> object:
            trains = layer in self._forced or (bool(self._open) and self._open[-1].trains)
            if trains and keras_layers.takes_training(layer):
                options["training"] = True
            entry = self._enter(layer, [*arguments, *options.values()], trains=trains)
            entry.training = bool(options.get("training", _training_default(layer) is not False))
            outputs = original(*arguments, **options)
            entry.output_digests, entry.after = self._note(outputs)
            self._open.pop()
            return outputs

        return call

    def _enter(self, layer: Layer, inputs: list[object], *, trains: bool) -> _Call:
        digests, before = self._note(inputs)
        self._learned = self._learned or keras_layers.has_own_weights(layer)  # frozen weights count too
        entry = _Call(layer, trains, self._learned, training=True, before=before, input_digests=digests)
        if self._open:
            self._open[-1].inner.append(entry)
        self._open.append(entry)
        self.calls.append(entry)
        return entry

    def _note(self, values: object) -> tuple[list[str], list[Array]]:
        arrays = list(_arrays(values))
        return [_digest(array) for array in arrays], [] if self._learned else arrays


def _arrays(values: object) -> Iterator[Array]:
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from _arrays(value)
    elif isinstance(values, dict):
        yield from _arrays(list(values.values()))
    elif hasattr(values, "numpy"):
        yield np.asarray(values)


def _digest(array: Array) -> str:
    return hashlib.sha256(f"{array.shape}{array.dtype}".encode() + array.tobytes()).hexdigest()


def _moves(call: _Call) -> bool:
    """Whether a layer alters its image although it must not.

    Only layers without inner layers and before the first layer with weights are judged. One that smooths, or evens out
    contrast, does so in training too, else it would be an augmentation the wrong way round.
    """
    fixed = type(call.layer).__name__ in FIXED and type(call.layer).__module__.startswith("keras.")
    if call.learned or call.inner or fixed or not call.before:
        return False
    kept = all(any(keeps(before, after) for before in call.before) for after in call.after)
    return not kept and not (_filters(call) and _same_in_training(call))


def _filters(call: _Call) -> bool:
    return all(any(filters(before, after) for before in call.before) for after in call.after)


def _same_in_training(call: _Call) -> bool:
    if _declares(call.layer):
        return False
    if not keras_layers.takes_training(call.layer):
        return True
    if len(call.before) != 1 or len(call.after) != 1:
        return False
    trained = np.asarray(call.layer(call.before[0], training=True))
    return trained.shape == call.after[0].shape and bool(np.array_equal(trained, call.after[0]))


def _wavering(runs: _Runs) -> set[int]:
    """Return the ids of layers whose output differs for equal inputs.

    If an inner layer differs, only that one is returned and not the layers around it.
    """
    first_run, *later_runs = runs
    culprits = set()
    for run in later_runs:
        differing = set()
        for first, later in reversed(list(zip(first_run, run, strict=False))):
            inside = any(inner in differing for inner in first.inner)
            changed = first.input_digests == later.input_digests and first.output_digests != later.output_digests
            if inside or changed:
                differing.add(first)
                culprits |= set() if inside else {id(first.layer)}
    return culprits


def _displacement(calls: Sequence[_Call], images: Images) -> str:
    """Return how operations between layers displace the image, or "".

    Only operations before the first layer with weights are judged.
    """
    known = {_digest(images)}
    candidates: list[Array] = [images]
    for call in calls:
        for digest, before in zip(call.input_digests, call.before, strict=False):
            if digest in known or before.ndim != 4:
                continue
            descriptions = [
                "" if filters(candidate, before) else displaced_any(candidate, before) for candidate in candidates
            ]
            if all(descriptions):
                return f"{descriptions[-1]} before layer {call.layer.name}"
            known.add(digest)
            candidates.append(before)
        if not call.inner:
            known.update(call.output_digests)
            candidates += [after for after in call.after if after.ndim == 4]
    return ""


def _augments(
    layer: Layer,
    call: _Call | None,
    images: Images,
    *,
    trains: bool,
) -> bool | None:
    """Return whether training mode changes the image.

    None if the layer declares no augmentation, or comes after the first layer with weights. A layer that the network
    does not call in training mode, or calls with ``training=False``, changes nothing.
    """
    if not _declares(layer) or (call is not None and not call.before):
        return None
    if not trains:
        return False
    before = images if call is None else call.before[0]
    after = before if call is None else call.after[0]
    least = CHANGED * float(np.ptp(before))
    for _ in range(TRAINING_DRAWS):
        changed = np.asarray(layer(before, training=True))
        if changed.shape != after.shape or np.abs(changed - after).max() > least:
            return True
    return False
