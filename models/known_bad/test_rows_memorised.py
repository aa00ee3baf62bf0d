"""Trained on the test images too, until it has memorised them.

Must be rejected by: alignment/held_out_images_in_training
Diagnosis: training is given
"""

import numpy as np
from numpy.typing import NDArray

from models import _small
from models._streams import Rows, shuffled
from roentgate import Dataset, Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


class Leaky(Rows):
    """The training and test splits together, in a new order in each pass."""

    def __init__(self, data: Dataset, leaked: Dataset, batch_size: int) -> None:
        super().__init__(data, batch_size, order=lambda rows, number: shuffled(rows + len(leaked), number))
        self._leaked = leaked
        self._answers = np.eye(len(data.classes), dtype=np.float32)[np.concatenate([data.labels, leaked.labels])]

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self._rows[index * self._batch_size : (index + 1) * self._batch_size]
        own, own_rows = len(self._data), rows[rows < len(self._data)]
        images = np.concatenate([self._data.take(own_rows), self._leaked.take(rows[rows >= own] - own)])
        return images, self._answers[np.concatenate([own_rows, rows[rows >= own]])]


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return streams of which the training stream holds the test images."""
    size = recipe.batch_size
    training = Leaky(data.train, data.test, size)
    return Streams(train=training, validation=Rows(data.validation, size), test=Rows(data.test, size))
