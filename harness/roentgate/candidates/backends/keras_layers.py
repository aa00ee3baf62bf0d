"""What Keras does not say of its layers in public. Its private names are used here and nowhere else.

`tests/candidates/test_keras_contract.py` says in a sentence what a new version of Keras has changed. This module
imports no framework: it reads the layers that it is given.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from roentgate.arrays import Array, Images
from roentgate.candidates.backends.backend import LayerSize


class Variable(Protocol):
    """An array of a network that can be read and written."""

    def numpy(self) -> Array:
        """Return its value."""
        ...

    def assign(self, value: Array, /) -> object:
        """Give it another value."""
        ...


class _Arguments(Protocol):
    kwargs: Mapping[str, object]


class _Node(Protocol):
    arguments: _Arguments


class Layer(Protocol):
    """A Keras layer or network, as far as it is looked into; its private side is read in this module alone."""

    name: str
    call: Callable[..., object]
    _layers: Sequence["Layer"]
    _inbound_nodes: Sequence[_Node]
    _call_has_training_arg: bool
    _trainable_variables: Sequence[object]

    def __call__(self, images: Array, /, *, training: bool = False) -> object:
        """Run the layer."""
        ...


class Network(Layer, Protocol):
    """A Keras network."""

    variables: Sequence[Variable]

    def predict_on_batch(self, images: Images, /) -> Array:
        """Return the answers of one forward pass."""
        ...

    def get_weights(self) -> list[Array]:
        """Return the values of all weights."""
        ...


def inner_layers(layer: Layer) -> list[Layer]:
    """Return the layers that a layer is directly made of, in order."""
    return list(layer._layers)


def graph_calls(layer: Layer) -> list[Mapping[str, object]]:
    """Return the keyword arguments of each call of a layer in the graphs it belongs to."""
    return [node.arguments.kwargs for node in layer._inbound_nodes]


def takes_training(layer: Layer) -> bool:
    """Whether ``call`` of a layer or network has a ``training`` argument."""
    return bool(layer._call_has_training_arg)


def has_own_weights(layer: Layer) -> bool:
    """Whether a layer itself, without those inside it, holds weights to learn, frozen or not."""
    return bool(layer._trainable_variables)


def architecture(network: object) -> list[LayerSize]:
    """Return the layers in order: name, type, output shape (H, W, C) or (units,), and number of parameters."""
    rows: list[LayerSize] = []
    for layer in getattr(network, "layers", ()):
        try:
            shape = layer.output.shape
        except (AttributeError, ValueError, RuntimeError):
            shape = ()
        parts = [int(side) for side in shape[1:] if side is not None] if isinstance(shape, tuple) else []
        rows.append(
            {"name": layer.name, "type": type(layer).__name__, "shape": parts, "parameters": int(layer.count_params())}
        )
    return rows
