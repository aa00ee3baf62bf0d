"""The backend of ready models of any framework, which offers predictions only."""

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Images
from roentgate.candidates.backends.backend import Ability, Backend
from roentgate.candidates.protocols import Recipe, Streams, Task
from roentgate.data import Dataset, Splits


class PlainBackend(Backend):
    """Runs an object with a ``predict`` method, as ``load(task)`` returns it."""

    cannot: ClassVar[Mapping[Ability, str]] = {
        "layers": "the model has no layers to look at",
        "gradients": "the model gives no gradients",
        "streams": "the model has no way of its own to read a stream",
        "train": "nothing to train",
        "save": "the model loads itself (load(task)); there are no weights to write",
    }

    def default_streams(
        self, data: Splits, recipe: Recipe, task: Task, transform: Callable[[Images], Images], *, positive: str | None
    ) -> Streams:
        """Return the rows of each split in order, with one-hot labels."""
        del task, positive
        train, validation, test = (
            PlainStream(split, recipe.batch_size, transform) for split in (data.train, data.validation, data.test)
        )
        return Streams(train=train, validation=validation, test=test)


class PlainStream:
    """Batches of (images, one-hot labels) of a split.

    Each iteration starts again at the first row.

    Args:
        data: The rows.
        batch_size: Number of images in a batch. The last one may be smaller.
        transform: Applied to float32 images in [0, 1] before the model.
    """

    def __init__(self, data: Dataset, batch_size: int, transform: Callable[[Images], Images]) -> None:
        self._data, self._batch_size, self._transform = data, batch_size, transform

    def __iter__(self) -> Iterator[tuple[Images, NDArray[np.float32]]]:
        start, one_hot = 0, np.eye(len(self._data.classes), dtype=np.float32)
        for images in self._data.batches(self._batch_size):
            yield self._transform(images), one_hot[self._data.labels[start : start + len(images)]]
            start += len(images)
