"""The backend of Keras networks. Keras itself is imported when a model is first asked."""

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
    """Runs a Keras network, and offers all that a backend can."""

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
        """Return what ``keras.Model.predict`` gives for a stream."""
        from roentgate.candidates.backends import keras_backend

        return keras_backend.predict_stream(self._network, stream, steps)

    def observe(self, stream: object, see: See, *, labelled: bool) -> None:
        """Run one pass as ``predict`` or ``evaluate`` would; the model itself is not loaded for it."""
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
        """Seed Keras, build the network and check that it fits the task."""
        from roentgate.candidates.backends import keras_backend

        keras_backend.start_anew(task.seed)
        network = make()
        keras_backend.check_network(network, self.label, task, positive)
        return keras_backend.KerasModel(network, self.label)

    def train(self, streams: Streams, recipe: Recipe, *, backup: Path) -> History:
        """Run ``fit``; the network holds the best weights afterwards."""
        from roentgate.candidates.backends import keras_backend

        return keras_backend.train(self._network, streams, recipe, backup=backup, title=self.label)

    def save(self, path: Path, noted: Mapping[str, object]) -> None:
        """Write a ``.keras`` file."""
        from roentgate.candidates.backends import keras_backend

        keras_backend.save_network(self._network, path, noted)


def load_model(path: Path, module: ModuleType | None, label: str, *, trust: bool) -> "KerasModel":
    """Return the network stored at ``path``, ready to answer.

    Args:
        path: A ``.keras`` file.
        module: The model file, which provides custom layers; None where there is none.
        label: What messages call the model.
        trust: Accept layers that carry code.
    """
    from roentgate.candidates.backends import keras_backend

    return keras_backend.KerasModel(keras_backend.load_network(path, module, trust=trust), label)


def load_fitting(  # noqa: PLR0913 - one argument a fact of the candidate
    path: Path,
    module: ModuleType | None,
    label: str,
    *,
    trust: bool,
    task: Task,
    positive: Callable[[object], str | None],
) -> "KerasModel":
    """Return a stored network that fits the task. Keras is seeded first: what wrongly draws, draws alike.

    Args:
        path: As in `load_model`, and so are ``module``, ``label`` and ``trust``.
        module: See ``path``.
        label: See ``path``.
        trust: See ``path``.
        task: What it must fit.
        positive: Returns the class of a single sigmoid for the shape of the outputs.
    """
    from roentgate.candidates.backends import keras_backend

    keras_backend.set_seed(task.seed)
    model = load_model(path, module, label, trust=trust)
    shape = getattr(model.network, "output_shape", None)
    keras_backend.check_network(model.network, label, task, positive(shape))
    return model
