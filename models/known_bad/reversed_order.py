"""Evaluation streams from the last row to the first.

Must be rejected by: alignment/images_match_rows
Diagnosis: reversed: the last row comes first
"""

import numpy as np

from models import _small
from models._streams import Indices, Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def backwards(rows: int, _: int) -> Indices:
    """Return the last row first."""
    return np.arange(rows)[::-1]


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams in reverse."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=backwards), data, recipe)
