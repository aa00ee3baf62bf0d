"""Evaluation streams sorted from the darkest image to the brightest.

Must be rejected by: alignment/images_match_rows
Diagnosis: sorted by brightness
"""

import numpy as np

from models import _small
from models._streams import Rows, evaluated_with
from roentgate import Dataset, Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def by_brightness(split: Dataset, batch_size: int) -> Rows:
    """Return a stream of the split, the darkest image first."""
    order = np.argsort(split.take(range(len(split))).mean(axis=(1, 2, 3)), kind="stable")
    return Rows(split, batch_size, order=lambda *_: order)


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams sorted by brightness."""
    return evaluated_with(lambda split: by_brightness(split, recipe.batch_size), data, recipe)
