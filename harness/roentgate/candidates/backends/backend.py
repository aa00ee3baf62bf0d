"""The seam between a candidate and its framework: what every backend answers, and what it may offer beyond."""

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
"""What a backend can offer beyond answers.

``streams``: it runs a stream by itself, as its framework does; without it, a stream is read batch by batch.
"""

History = dict[str, list[float]]
"""One list of numbers an epoch for each metric of training."""

See = Callable[[Array, Array | None], bool]
"""Receives the images and labels of a batch; returns whether to go on."""


class LayerSize(TypedDict):
    """A layer in the order of its network: output shape (H, W, C) or (units,), and number of parameters."""

    name: str
    type: str
    shape: list[int]
    parameters: int


class Insight(Protocol):
    """A network whose scores, feature maps and gradients can be asked for; see `keras_gradients.Insight`."""

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
        """Return the class activation at the feature layer's size: (n, h, w)."""
        ...

    def randomised(self, layers: int, *, seed: int) -> AbstractContextManager[None]:
        """Replace the weights of the last layers for the length of the context."""
        ...


class Backend(ABC):
    """Runs one model; each kind of model has a subclass. Making one loads nothing.

    Args:
        label: What messages call the model.
        opened: Returns the live model; it is called when the model is first asked.

    Attributes:
        cannot: Why an ability is missing, for each that is.
    """

    cannot: ClassVar[Mapping[Ability, str]] = {}

    def __init__(self, label: str, opened: Callable[[], Model]) -> None:
        self.label = label
        self._opened = opened

    def lacks(self, ability: Ability) -> str:
        """Return why the model cannot offer this; "" where it can."""
        return self.cannot.get(ability, "")

    def predict(self, images: Images) -> Array:
        """Return the raw outputs for network inputs (n, H, W, C), in batches of the backend's own size."""
        return self._opened().predict(images)

    def predict_together(self, images: Images) -> Array:
        """Return the raw outputs of one call that is given all images as a single batch."""
        model = self._opened()
        together: Callable[[Images], Array] = getattr(model, "predict_batch", model.predict)
        return together(images)

    @abstractmethod
    def default_streams(
        self, data: Splits, recipe: Recipe, task: Task, transform: Callable[[Images], Images], *, positive: str | None
    ) -> Streams:
        """Return the harness's own streams, for a model that brings none.

        Args:
            data: The three splits.
            recipe: Its batch size.
            task: Its seed shuffles the training rows where the backend trains.
            transform: What happens to float32 images in [0, 1] before the network.
            positive: The class of a single sigmoid output, or None.
        """

    def predict_stream(self, stream: object, steps: int | None) -> Array:
        """Return the raw outputs for a stream; ``steps`` batches of it where it has no end."""
        del stream, steps
        self._refuse("streams")

    def observe(self, stream: object, see: See, *, labelled: bool) -> None:
        """Hand over each batch of one pass, exactly as the framework would see it.

        Args:
            stream: Whatever the framework predicts on.
            see: Receives each batch, until it returns False.
            labelled: Whether the pass is one of evaluation, with labels.
        """
        del stream, see, labelled
        self._refuse("streams")

    def layers(self) -> list[LayerSize]:
        """Return the layers in order: name, type, output shape and number of parameters."""
        self._refuse("layers")

    def gradients(self, probe: Images) -> Insight:
        """Return what lies behind the answers.

        Args:
            probe: One image or more, as the network is given them.
        """
        del probe
        self._refuse("gradients")

    def build(self, make: Callable[[], object], task: Task, positive: str | None) -> Model:
        """Return a new, untrained model; the same seed gives the same one.

        Args:
            make: Calls the model file.
            task: What it is built for, and the seed.
            positive: The class of a single sigmoid output, or None.
        """
        del make, task, positive
        self._refuse("train")

    def train(self, streams: Streams, recipe: Recipe, *, backup: Path) -> History:
        """Train the live model, and resume from ``backup`` where a killed run left one."""
        del streams, recipe, backup
        self._refuse("train")

    def save(self, path: Path, noted: Mapping[str, object]) -> None:
        """Write the live model, atomically, with what is to be noted in the file."""
        del path, noted
        self._refuse("save")

    def _refuse(self, ability: Ability) -> NoReturn:
        raise ModelError(f"model '{self.label}': {self.lacks(ability)}")
