"""What each layer does to an image: which ones move it or waver at inference, which ones augment in training."""

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np

from roentgate.arrays import Array, Images
from roentgate.candidates import Layer, Network, keras_layers
from roentgate.evidence.geometry import displaced_any, keeps

FIXED = {"Resizing", "Rescaling", "CenterCrop", "RandomCrop", "Cropping2D", "ZeroPadding2D", "Normalization"}
"""Keras' own layers that scale, crop or pad every image in the same way at inference; they may change it."""

AUGMENTERS = {"AugMix", "CutMix", "MixUp", "RandAugment", "GaussianNoise"}
TRAINING_DRAWS = 200
"""Most trainings in which an augmentation may show; one that changes 1 image in 50 stays unseen in 1 of 50 networks."""
EVALUATIONS = 5
"""Runs in each way of calling: a flip that tosses one coin a batch stays unseen in 1 of 16 networks."""
CHANGED = 1e-4
"""Least difference, in shares of the image's range, that is an augmentation; rounding is less."""

Way = Literal["predict", "call"]
"""``network.predict(images)``, or ``network(images)``, which leaves a ``block(x, training=True)`` of a graph in force.

Keras' own image layers train where nothing is said, so that ``network(images)`` augments whatever its author wrote.
That is not held against the author, whose own ``training=True`` is what is looked for.
"""


class LayerReport(TypedDict):
    """One layer seen on the probe images.

    ``moves``: ways of calling ("predict", "call") under which it changed its input although it must not.
    ``wavers``: ways of calling under which its output changed from call to call.
    ``augments``: None where it declares no augmentation, else whether training mode changes the image.
    """

    name: str
    type: str
    moves: list[Way]
    wavers: list[Way]
    augments: bool | None


@dataclass(eq=False)
class _Call:
    """One layer at work; the arrays are kept up to the first trainable weight only, their digests always."""

    layer: Layer
    trains: bool
    learned: bool
    training: bool
    before: list[Array]
    given: list[str]
    after: list[Array] = field(default_factory=list)
    gave: list[str] = field(default_factory=list)
    inner: list["_Call"] = field(default_factory=list)


_Runs = list[list[_Call]]


def examine(network: Network, images: Images) -> tuple[list[LayerReport], str]:
    """Watch every layer of a network work on probe images, nested and custom ones included.

    Args:
        network: A Keras model of any kind: sequential, functional, subclassed.
        images: Asymmetric probe images (n, H, W, C) in the network's own input range.

    Returns:
        One report a layer that works at inference or declares an augmentation (the network is one of them), and a
        sentence on operations outside layers that move the image ("" where none does).
    """
    state = [(variable, variable.numpy()) for variable in network.variables]
    plain = _watch_often(network, images, set())
    told = _told_to_train(network)
    runs: dict[Way, _Runs] = {"predict": plain, "call": _watch_often(network, images, told) if told else plain}
    moving = {way: {id(call.layer) for run in seen for call in run if _moves(call)} for way, seen in runs.items()}
    wavering = {way: _wavering(seen) for way, seen in runs.items()}
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
    stories = {way: _loose(seen[0], images) for way, seen in runs.items()}
    story = stories["predict"] or stories["call"]
    return reports, f"{story} under {' and '.join(way for way in runs if stories[way])}" if story else ""


def declared(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """Return the reports of layers that declare an augmentation."""
    return [report for report in reports if report["augments"] is not None]


def _named(network: Network) -> dict[Layer, str]:
    """Return the layers of a network, itself first, and their names; of augmentations, not what they are made of."""

    def inside(layer: Layer, prefix: str) -> Iterator[tuple[Layer, str]]:
        for inner in keras_layers.inner_layers(layer):
            yield inner, prefix + inner.name
            if not _declares(inner):
                yield from inside(inner, f"{prefix}{inner.name}/")

    return {network: network.name, **dict(inside(network, ""))}


def _declares(layer: Layer) -> bool:
    name = type(layer).__name__
    return name.startswith("Random") or name in AUGMENTERS or "Augment" in name


def _told_to_train(network: Network) -> set[Layer]:
    """Return the layers that a graph calls with ``training=True``, other than by their default."""
    return {
        layer
        for layer in _named(network)
        for options in keras_layers.graph_calls(layer)
        if options.get("training") is True and _training_default(layer) is not True
    }


def _training_default(layer: Layer) -> object:
    """Return the default of the ``training`` argument of a layer's ``call``; `inspect.Parameter.empty` without one."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    return inspect.Parameter.empty if parameter is None else parameter.default


def _watch_often(network: Network, images: Images, told: set[Layer]) -> _Runs:
    return [_watch(network, images, told) for _ in range(EVALUATIONS)]


def _watch(
    network: Network,
    images: Images,
    told: set[Layer],
    *,
    training: bool = False,
) -> list[_Call]:
    """Return what each layer was given and gave in one run over the images, in the order in which layers began."""
    recorder = _Recorder(told)
    with ExitStack() as restored:
        for layer in _named(network):
            vars(layer)["call"] = recorder.recorded(layer)
            restored.callback(vars(layer).pop, "call")
        if keras_layers.takes_training(network):  # as keras.Model.predict, or fit, asks
            network(images, training=training)
        else:
            network(images)
    return recorder.calls


class _Recorder:
    """Stands between layers and their ``call`` methods, and notes what goes in and out.

    Args:
        told: Layers that train at inference too, with all that is inside them.
    """

    def __init__(self, told: set[Layer]) -> None:
        self.calls: list[_Call] = []
        self._told = told
        self._open: list[_Call] = []
        self._learned = False

    def recorded(self, layer: Layer) -> Callable[..., object]:
        """Return the layer's ``call``, noted."""
        original = layer.call

        def call(*arguments: object, **options: object) -> object:
            trains = layer in self._told or (bool(self._open) and self._open[-1].trains)
            if trains and keras_layers.takes_training(layer):
                options["training"] = True
            entry = self._enter(layer, [*arguments, *options.values()], trains=trains)
            entry.training = bool(options.get("training", _training_default(layer) is not False))
            outputs = original(*arguments, **options)
            entry.gave, entry.after = self._note(outputs)
            self._open.pop()
            return outputs

        return call

    def _enter(self, layer: Layer, inputs: list[object], *, trains: bool) -> _Call:
        given, before = self._note(inputs)
        self._learned = self._learned or keras_layers.has_own_weights(layer)  # its own ones, frozen or not
        entry = _Call(layer, trains, self._learned, training=True, before=before, given=given)
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
    """Whether a layer without inner layers, before the first trainable weight, alters its image and may not."""
    fixed = type(call.layer).__name__ in FIXED and type(call.layer).__module__.startswith("keras.")
    if call.learned or call.inner or fixed or not call.before:
        return False
    return not all(any(keeps(before, after) for before in call.before) for after in call.after)


def _wavering(runs: _Runs) -> set[int]:
    """Return the ids of the layers that give one thing and then another for the same input: the innermost only."""
    first, *later = runs
    culprits = set()
    for run in later:
        differing = set()
        for one, other in reversed(list(zip(first, run, strict=False))):
            inside = any(inner in differing for inner in one.inner)
            if inside or (one.given == other.given and one.gave != other.gave):
                differing.add(one)
                culprits |= set() if inside else {id(one.layer)}
    return culprits


def _loose(calls: Sequence[_Call], images: Images) -> str:
    """Say how operations between layers, up to the first trainable weight, displace the image; "" where they do not."""
    known = {_digest(images)}
    candidates: list[Array] = [images]
    for call in calls:
        for given, before in zip(call.given, call.before, strict=False):
            if given in known or before.ndim != 4:
                continue
            stories = [displaced_any(candidate, before) for candidate in candidates]
            if all(stories):
                return f"{stories[-1]} before layer {call.layer.name}"
            known.add(given)
            candidates.append(before)
        if not call.inner:
            known.update(call.gave)
            candidates += [after for after in call.after if after.ndim == 4]
    return ""


def _augments(
    layer: Layer,
    call: _Call | None,
    images: Images,
    *,
    trains: bool,
) -> bool | None:
    """Return whether training mode changes the image; None where nothing is declared, or after the first weight.

    A layer that the network in training mode does not call, or calls as if it were not training, changes nothing.
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
