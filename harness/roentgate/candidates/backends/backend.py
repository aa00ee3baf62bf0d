"""The interface between a candidate and its framework."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Literal, NoReturn, Protocol, TypedDict

from roentgate.arrays import Array, FloatArray, Images
from roentgate.candidates.protocols import Model, Recipe, Streams, Task
from roentgate.data import Splits
from roentgate.errors import ModelError

Ability = Literal["layers", "gradients", "streams", "train", "save"]
"""What a backend can offer beyond predictions.

With ``streams`` it runs a stream itself, as its framework does. Without it a stream is read batch by batch.
"""

History = dict[str, list[float]]
"""For each metric of the training one number an epoch."""

See = Callable[[Array, Array | None], bool]
"""A function that receives the images and labels of a batch and returns whether to go on."""


class LayerSize(TypedDict):
    """Size of a layer.

    The shape is that of its output, (H, W, C) or (units,). It is empty if the layer has no single output shape.
    """

    name: str
    type: str
    shape: list[int]
    parameters: int


class Insight(Protocol):
    """A network whose scores, class activations and gradients can be computed.

    `keras_gradients.Insight` describes the attributes.
    """

    columns: int
    score: str
    feature_layer: str | None
    extent: tuple[int, int, int, int] | None
    weighted: tuple[str, ...]

    def scores(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the weighted sum of the logits of each image: (n,)."""
        ...

    def integrated_gradients(self, images: Images, baseline: Images, weights: FloatArray, *, steps: int) -> FloatArray:
        """Return integrated gradients from the baseline: (n, H, W, C)."""
        ...

    def grad_cam(self, images: Images, weights: FloatArray) -> FloatArray:
        """Return the class activation at the size of the feature layer: (n, h, w)."""
        ...

    def randomised(self, layers: int, *, seed: int) -> AbstractContextManager[None]:
        """Return a context in which the weights of the last layers are random."""
        ...


class Backend(ABC):
    """Runs one model.

    Each kind of model has a subclass. Creating an instance loads nothing.

    Args:
        label: Name of the model in messages.
        opened: Returns the loaded model. It is called when the model is first used.

    Attributes:
        cannot: For each missing ability the reason.
    """

    cannot: ClassVar[Mapping[Ability, str]] = {}

    def __init__(self, label: str, opened: Callable[[], Model]) -> None:
        self.label = label
        self._opened = opened

    def lacks(self, ability: Ability) -> str:
        """Return why the model lacks an ability, "" if it has it."""
        return self.cannot.get(ability, "")

    def predict(self, images: Images) -> Array:
        """Return the raw outputs for network inputs (n, H, W, C).

        The size of the batches is that of the backend.
        """
        return self._opened().predict(images)

    def predict_together(self, images: Images) -> Array:
        """Return the raw outputs for all images as a single batch."""
        model = self._opened()
        together: Callable[[Images], Array] = getattr(model, "predict_batch", model.predict)
        return together(images)

    @abstractmethod
    def default_streams(
        self, data: Splits, recipe: Recipe, task: Task, transform: Callable[[Images], Images], *, positive: str | None
    ) -> Streams:
        """Return the streams of the harness, for a model that brings none.

        Args:
            data: The three splits.
            recipe: Gives the batch size.
            task: Gives the seed that shuffles the training rows, if the backend trains.
            transform: Applied to float32 images in [0, 1] before the network.
            positive: The class of a single sigmoid output, or None.
        """

    def predict_stream(self, stream: object, steps: int | None) -> Array:
        """Return the raw outputs for a stream.

        Args:
            stream: Anything that the framework predicts on.
            steps: Number of batches, None for a stream that ends by itself.
        """
        del stream, steps
        self._refuse("streams")

    def observe(self, stream: object, see: See, *, labelled: bool) -> None:
        """Pass each batch of a stream to ``see``, as the framework would receive it.

        Args:
            stream: Anything that the framework predicts on.
            see: Receives each batch, until it returns False.
            labelled: Whether this is a pass of evaluation, with labels.
        """
        del stream, see, labelled
        self._refuse("streams")

    def layers(self) -> list[LayerSize]:
        """Return name, type, output shape and number of parameters of each layer."""
        self._refuse("layers")

    def gradients(self, probe: Images) -> Insight:
        """Return the network with its scores, class activations and gradients.

        Args:
            probe: One image or more, as the network is given them.
        """
        del probe
        self._refuse("gradients")

    def build(self, make: Callable[[], object], task: Task, positive: str | None) -> Model:
        """Return a new, untrained model, the same for the same seed.

        Args:
            make: Builds the network, by calling the model file.
            task: What the network is built for, with the seed.
            positive: The class of a single sigmoid output, or None.
        """
        del make, task, positive
        self._refuse("train")

    def train(self, streams: Streams, recipe: Recipe, *, backup: Path) -> History:
        """Train the model, resuming from ``backup`` if an interrupted run left one."""
        del streams, recipe, backup
        self._refuse("train")

    def save(self, path: Path, noted: Mapping[str, object]) -> None:
        """Write the model and the notes to a file, atomically."""
        del path, noted
        self._refuse("save")

    def _refuse(self, ability: Ability) -> NoReturn:
        raise ModelError(f"model '{self.label}': {self.lacks(ability)}")
