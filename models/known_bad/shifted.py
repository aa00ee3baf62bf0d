"""Evaluation streams that begin three rows late and end with the first three.

Must be rejected by: alignment/images_match_rows, alignment/predictions_match_rows
Diagnosis: shifted by 3
"""

import numpy as np

from models import _small
from models._streams import Indices, Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def late(rows: int, _: int) -> Indices:
    """Return row i + 3 at position i."""
    return np.roll(np.arange(rows), -3)


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams shifted by three rows."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=late), data, recipe)
