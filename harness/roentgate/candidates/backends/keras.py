"""The backend of Keras networks.

Keras itself is imported when a model is first used.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from roentgate.arrays import Array, Images
from roentgate.candidates.backends import keras_archive, keras_layers
from roentgate.candidates.backends.backend import Backend, History, Insight, LayerSize, See
from roentgate.candidates.backends.keras_layers import Network
from roentgate.candidates.protocols import Model, Recipe, Streams, Task
from roentgate.data import Splits
from roentgate.errors import ModelError
from roentgate.store import DAMAGE

if TYPE_CHECKING:
    from roentgate.candidates.backends.keras_backend import KerasModel


class KerasBackend(Backend):
    """Runs a Keras network, with all abilities of a backend."""

    @property
    def _network(self) -> object:
        network: object = getattr(self._opened(), "network", None)
        if network is None:
            raise ModelError(f"model '{self.label}': has no Keras layers")
        return network

    def default_streams(
        self, data: Splits, recipe: Recipe, task: Task, transform: Callable[[Images], Images], *, positive: str | None
    ) -> Streams:
        """Return streams that Keras reads: shuffled for training, in row order for evaluation."""
        from roentgate.candidates.backends import keras_backend

        return keras_backend.default_streams(data, recipe, task, transform, positive=positive)

    def predict_stream(self, stream: object, steps: int | None) -> Array:
        """Return the outputs of ``keras.Model.predict`` for a stream."""
        from roentgate.candidates.backends import keras_backend

        return keras_backend.predict_stream(self._network, stream, steps)

    def observe(self, stream: object, see: See, *, labelled: bool) -> None:
        """Run one pass as ``predict`` or ``evaluate`` would, without loading the model."""
        from roentgate.candidates.backends import keras_backend

        keras_backend.observe(stream, see, labelled=labelled)

    def layers(self) -> list[LayerSize]:
        """Return the outermost layers in order."""
        return keras_layers.architecture(self._network)

    def gradients(self, probe: Images) -> Insight:
        """Return the scores, feature maps and gradients of the network."""
        from roentgate.candidates.backends import keras_gradients

        return keras_gradients.Insight(self._network, self.label, probe)

    def build(self, make: Callable[[], object], task: Task, positive: str | None) -> Model:
        """Return a new network, built after seeding Keras, that fits the task."""
        from roentgate.candidates.backends import keras_backend

        keras_backend.start_anew(task.seed)
        network = make()
        keras_backend.check_network(network, self.label, task, positive)
        return keras_backend.KerasModel(network, self.label)

    def train(self, streams: Streams, recipe: Recipe, *, backup: Path) -> History:
        """Train the network, which holds the best weights afterwards."""
        from roentgate.candidates.backends import keras_backend

        return keras_backend.train(self._network, streams, recipe, backup=backup, title=self.label)

    def save(self, path: Path, noted: Mapping[str, object]) -> None:
        """Write a ``.keras`` file."""
        from roentgate.candidates.backends import keras_backend

        keras_backend.save_network(self._network, path, noted)


def load_model(  # noqa: PLR0913 - one argument for each fact of the candidate
    path: Path,
    module: ModuleType | None,
    label: str,
    *,
    trust: bool,
    seed: int = 0,
    build: Callable[[], object] | None = None,
) -> "KerasModel":
    """Return the network stored at ``path``.

    Code that is stored in the file is run only if its author is trusted. A network of a model file needs none: if its
    artefact holds a Lambda layer, the model file builds the network anew, and only the weights are read.

    Args:
        path: A ``.keras`` file.
        module: The module of the model file, which provides custom layers, or None.
        label: Name of the model in messages.
        trust: Accept layers that carry code.
        seed: Seed of Keras if the network is built anew.
        build: Builds the network by its model file. None for a bare file.

    Raises:
        ModelError: The file cannot be loaded, or its weights are not those of the network that was built.
    """
    from roentgate.candidates.backends import keras_backend

    if build is not None and not trust and keras_archive.holds_code(path):
        keras_backend.start_anew(seed)
        return keras_backend.KerasModel(_with_weights(cast("Network", build()), path, label), label)
    return keras_backend.KerasModel(keras_backend.load_network(path, module, trust=trust), label)


def _with_weights(network: Network, path: Path, label: str) -> Network:
    """Return a network with the weights of a ``.keras`` file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the state of the optimizer is left out
            network.load_weights(path)
    except (*DAMAGE, TypeError, AttributeError, LookupError) as error:
        message = " ".join(str(error).split())[:300]
        raise ModelError(
            f"model '{label}': the weights in {path} are not those of the network that build(task) returns ({message})"
        ) from None
    return network


def load_fitting(  # noqa: PLR0913 - one argument for each fact of the candidate
    path: Path,
    module: ModuleType | None,
    label: str,
    *,
    trust: bool,
    task: Task,
    positive: Callable[[object], str | None],
    build: Callable[[], object] | None = None,
) -> "KerasModel":
    """Return the network stored at ``path``, which must fit the task.

    Keras is seeded first, so that a network that draws random numbers by mistake draws the same ones in every run.

    Args:
        path: A ``.keras`` file.
        module: As in `load_model`.
        label: As in `load_model`.
        trust: As in `load_model`.
        task: The task that it must fit.
        positive: Returns the class of a single sigmoid for the shape of the outputs.
        build: As in `load_model`.

    Raises:
        ModelError: The file cannot be loaded, or the network does not fit.
    """
    from roentgate.candidates.backends import keras_backend

    keras_backend.set_seed(task.seed)
    model = load_model(path, module, label, trust=trust, seed=task.seed, build=build)
    shape = getattr(model.network, "output_shape", None)
    keras_backend.check_network(model.network, label, task, positive(shape))
    return model
