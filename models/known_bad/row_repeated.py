"""Evaluation streams that deliver their fifth row twice and omit the sixth.

Must be rejected by: alignment/stream_complete
Diagnosis: in order, but repeated
"""

import numpy as np

from models import _small
from models._streams import Indices, Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def stumbling(rows: int, _: int) -> Indices:
    """Return all rows in order, with the fifth in place of the sixth."""
    order = np.arange(rows)
    order[5] = order[4]
    return order


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with one row replaced by another."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=stumbling), data, recipe)
