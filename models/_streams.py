"""Streams with planted faults in the order of rows, in pixels or in labels."""

import math
from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import NDArray

from roentgate import Dataset, Recipe, Splits, Streams

Images = NDArray[np.float32]
Indices = NDArray[np.int64]
Order = Callable[[int, int], Indices]
"""Maps the number of rows and the number of the pass (from 0) to the row at each position."""


def in_order(rows: int, _: int) -> Indices:
    """Return each row at its own position."""
    return np.arange(rows)


def shuffled(rows: int, number: int) -> Indices:
    """Return a random order, another one in each pass."""
    return np.random.default_rng(number).permutation(rows)


class Rows(keras.utils.PyDataset):  # type: ignore[misc]
    """(images, one-hot labels) of a split, batch by batch.

    Args:
        data: The split.
        batch_size: Number of images in a batch. The last one may be smaller.
        order: Gives the row at each position. With fewer rows than the split has, the stream leaves some out.
        pixels: Applied to the images of a batch, float32 (n, H, W, C) in [0, 1].
        labels: Class index of each row, instead of the true one.
    """

    def __init__(
        self,
        data: Dataset,
        batch_size: int,
        *,
        order: Order = in_order,
        pixels: Callable[[Images], Images] | None = None,
        labels: Indices | None = None,
    ) -> None:
        super().__init__()
        self._data, self._batch_size, self._order, self._pixels = data, batch_size, order, pixels
        self._one_hot = np.eye(len(data.classes), dtype=np.float32)[data.labels if labels is None else labels]
        self._pass = 0
        self._rows = order(len(data), 0)

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Images, NDArray[np.float32]]:
        rows = self._rows[index * self._batch_size : (index + 1) * self._batch_size]
        images = self._data.take(rows)
        return images if self._pixels is None else self._pixels(images), self._one_hot[rows]

    def on_epoch_end(self) -> None:
        """Go on to the order of the next pass."""
        self._pass += 1
        self._rows = self._order(len(self._data), self._pass)


def evaluated_with(faulty: Callable[[Dataset], Rows], data: Splits, recipe: Recipe) -> Streams:
    """Return a sound training stream, and validation and test streams made by ``faulty``."""
    training = Rows(data.train, recipe.batch_size, order=shuffled)
    return Streams(train=training, validation=faulty(data.validation), test=faulty(data.test))
