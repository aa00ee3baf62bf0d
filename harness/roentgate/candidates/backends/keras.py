"""The backend of Keras networks.

Keras itself is imported when a model is first used.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from roentgate.arrays import Array, Images
from roentgate.candidates.backends import keras_layers
from roentgate.candidates.backends.backend import Backend, History, Insight, LayerSize, See
from roentgate.candidates.protocols import Model, Recipe, Streams, Task
from roentgate.data import Splits
from roentgate.errors import ModelError

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


def load_model(path: Path, module: ModuleType | None, label: str, *, trust: bool) -> "KerasModel":
    """Return the network stored at ``path``.

    Args:
        path: A ``.keras`` file.
        module: The module of the model file, which provides custom layers, or None.
        label: Name of the model in messages.
        trust: Accept layers that carry code.
    """
    from roentgate.candidates.backends import keras_backend

    return keras_backend.KerasModel(keras_backend.load_network(path, module, trust=trust), label)


def load_fitting(  # noqa: PLR0913 - one argument for each fact of the candidate
    path: Path,
    module: ModuleType | None,
    label: str,
    *,
    trust: bool,
    task: Task,
    positive: Callable[[object], str | None],
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

    Raises:
        ModelError: The file cannot be loaded, or the network does not fit.
    """
    from roentgate.candidates.backends import keras_backend

    keras_backend.set_seed(task.seed)
    model = load_model(path, module, label, trust=trust)
    shape = getattr(model.network, "output_shape", None)
    keras_backend.check_network(model.network, label, task, positive(shape))
    return model
