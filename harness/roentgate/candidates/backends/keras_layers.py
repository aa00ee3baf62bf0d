"""Access to the private attributes of Keras layers.

No other module uses private names of Keras. If a new version of Keras changes one of them,
`tests/candidates/test_keras_contract.py` fails and says what has changed. This module imports no framework.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from roentgate.arrays import Array, Images
from roentgate.candidates.backends.backend import LayerSize


class Variable(Protocol):
    """An array of a network that can be read and written."""

    def numpy(self) -> Array:
        """Return the value."""
        ...

    def assign(self, value: Array, /) -> object:
        """Set the value."""
        ...


class _Arguments(Protocol):
    kwargs: Mapping[str, object]


class _Node(Protocol):
    arguments: _Arguments


class Layer(Protocol):
    """The attributes of a Keras layer or network that are used here."""

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

    def load_weights(self, path: Path, /) -> None:
        """Read all weights from a ``.keras`` file."""
        ...


def inner_layers(layer: Layer) -> list[Layer]:
    """Return the direct inner layers of a layer, in order."""
    return list(layer._layers)


def graph_calls(layer: Layer) -> list[Mapping[str, object]]:
    """Return the keyword arguments of each call of a layer in its graphs."""
    return [node.arguments.kwargs for node in layer._inbound_nodes]


def takes_training(layer: Layer) -> bool:
    """Return whether ``call`` of a layer or network has a ``training`` argument."""
    return bool(layer._call_has_training_arg)


def has_own_weights(layer: Layer) -> bool:
    """Return whether a layer has trainable weights of its own.

    Frozen weights count. Those of inner layers do not.
    """
    return bool(layer._trainable_variables)


def architecture(network: object) -> list[LayerSize]:
    """Return name, type, output shape and number of parameters of each layer."""
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
