"""Evaluation streams that drop their last, partial batch, as ``drop_remainder=True`` does.

Must be rejected by: alignment/stream_complete
Diagnosis: last partial batch dropped
"""

import numpy as np

from models import _small
from models._streams import Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE.replace(batch_size=28)

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams of full batches only."""
    size = recipe.batch_size
    return evaluated_with(lambda split: Rows(split, size, order=lambda n, _: np.arange(n - n % size)), data, recipe)
