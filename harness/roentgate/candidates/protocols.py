"""The interfaces of models, tasks, recipes and streams."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roentgate.arrays import Images, RealArray
from roentgate.errors import ArgumentError, ModelError, did_you_mean


class Model(Protocol):
    """Anything with a ``predict`` method, such as ``load(task)`` returns."""

    def predict(self, images: Images, /) -> RealArray:
        """Return probabilities (n, K) for float32 images (n, H, W, C) in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is built for.

    Attributes:
        classes: Class names in the order of their indices.
        image_shape: (H, W, C).
        seed: Of everything random in building and training.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained.

    The defaults are those of the baseline.

    Args:
        batch_size: Number of images in a step.
        epochs: Largest number of passes over the training images.
        patience: Epochs without a better validation loss before training stops. The best weights are restored.
        plateau_patience: Epochs without a better validation loss before the learning rate is reduced.
        plateau_factor: Factor by which the learning rate is then multiplied.

    Raises:
        ArgumentError: A count is not a whole number of at least 1, or the factor is not between 0 and 1.
    """

    batch_size: int = 8
    epochs: int = 50
    patience: int = 20
    plateau_patience: int = 10
    plateau_factor: float = 0.1

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience", "plateau_patience"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ArgumentError(f"recipe: {name} must be a whole number of at least 1, not {value!r}")
        if not isinstance(self.plateau_factor, float) or not 0 < self.plateau_factor < 1:
            raise ArgumentError(f"recipe: plateau_factor must lie between 0 and 1, not {self.plateau_factor!r}")

    def replace(self, **changes: Any) -> "Recipe":  # noqa: ANN401 - each field has its own type
        """Return a copy with some fields changed.

        Raises:
            ArgumentError: There is no such field, or it cannot have that value.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ArgumentError(f"recipe: unknown field '{name}'; {did_you_mean(name, known)}")
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Streams:
    """The pipeline with which a model is actually trained and evaluated.

    Each stream is anything that ``keras.Model.fit`` and ``predict`` accept, and yields ``(images, labels)``.
    """

    train: Any
    validation: Any
    test: Any


def check_images(shape: Sequence[int | None], label: str, task: Task) -> None:
    """Refuse a network whose input shape is not that of the task.

    Args:
        shape: (n, H, W, C), with None for a side of any length.
        label: Name of the model in messages.
        task: Gives the shape of the images.

    Raises:
        ModelError: The shapes differ. The message names both.
    """
    if len(shape) == 4 and any(
        side not in {None, wanted} for side, wanted in zip(shape[1:], task.image_shape, strict=True)
    ):
        raise ModelError(
            f"model '{label}': takes images {tuple(shape[1:])}, but is given {task.image_shape}; "
            "set IMAGE_SHAPE in the model file or pass --image-size"
        )


def check_columns(shape: Sequence[int | None], label: str, task: Task, positive: str | None) -> None:
    """Refuse outputs that are not one column for each class.

    A single column is accepted with a positive class and two classes.

    Args:
        shape: (n, columns).
        label: Name of the model in messages.
        task: Gives the classes.
        positive: The class of a single sigmoid output, or None.

    Raises:
        ModelError: The number of columns is wrong. The message names the shape and the classes.
    """
    wanted = len(task.classes)
    if len(shape) == 2 and shape[1] == wanted and positive is None:
        return
    if len(shape) == 2 and shape[1] == 1 and positive is not None and wanted == 2:
        return
    hint = (
        "a single sigmoid needs POSITIVE and two classes"
        if len(shape) == 2 and shape[1] == 1
        else "build for task.classes"
    )
    raise ModelError(
        f"model '{label}': gives outputs of shape {tuple(shape)}, but there are {wanted} classes "
        f"({', '.join(task.classes)}); {hint}"
    )
