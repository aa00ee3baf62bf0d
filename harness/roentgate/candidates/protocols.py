"""What a model is: anything that answers; what it is asked, how it is trained, and what feeds it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roentgate.arrays import Images, RealArray
from roentgate.errors import ArgumentError, ModelError, did_you_mean


class Model(Protocol):
    """Anything that answers: what ``load(task)`` returns and what the checks ask."""

    def predict(self, images: Images, /) -> RealArray:
        """Return probabilities (n, K) for float32 images (n, H, W, C) in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is built for: class names in index order, image shape (H, W, C), and the seed."""

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained; the defaults are the baseline's.

    Args:
        batch_size: Images a step.
        epochs: Most passes over the training images.
        patience: Epochs without a better validation loss before training stops; the best weights are restored.
        plateau_patience: Epochs without a better validation loss before the learning rate is reduced.
        plateau_factor: What the learning rate is then multiplied by.
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
        """Return a copy with some fields changed; an unknown field is an `ArgumentError`."""
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ArgumentError(f"recipe: unknown field '{name}'; {did_you_mean(name, known)}")
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Streams:
    """The pipeline a model actually trains and is evaluated with.

    Each is whatever ``keras.Model.fit`` and ``predict`` accept, and yields ``(images, labels)``.
    """

    train: Any
    validation: Any
    test: Any


def check_images(shape: Sequence[int | None], label: str, task: Task) -> None:
    """Refuse a network whose input (n, H, W, C) is not that of the task; None fits any size.

    Raises:
        ModelError: The sentence names both shapes.
    """
    if len(shape) == 4 and any(
        side not in {None, wanted} for side, wanted in zip(shape[1:], task.image_shape, strict=True)
    ):
        raise ModelError(
            f"model '{label}': takes images {tuple(shape[1:])}, but is given {task.image_shape}; "
            "set IMAGE_SHAPE in the model file or pass --image-size"
        )


def check_columns(shape: Sequence[int | None], label: str, task: Task, positive: str | None) -> None:
    """Refuse outputs that are not one column a class (or one, with a positive class).

    Raises:
        ModelError: The sentence names the shape and the classes.
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
