"""Evaluation streams from the last row to the first.

Must be rejected by: alignment/images_match_rows
Diagnosis: reversed: the last row comes first
"""

import numpy as np

from harness import Recipe, Splits, Streams, Task
from models import compact
from models.known_bad._streams import Indices, Rows, evaluated_with

RECIPE = Recipe(batch_size=32, epochs=3)

build = compact.build


def backwards(rows: int, _: int) -> Indices:
    """Return the last row first."""
    return np.arange(rows)[::-1]


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams in reverse."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=backwards), data, recipe)
