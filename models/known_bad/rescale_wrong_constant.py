"""Trained on pixels from 0 to 1, evaluated on pixels divided by 127.5.

Must be rejected by: inference/evaluation_streams_clean
Diagnosis: another constant in
"""

import numpy as np

from models import _small
from models._streams import Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with pixels from 0 to 2.

    A divisor of 127.5 is right for a network that takes -1 to 1.
    """
    return evaluated_with(
        lambda split: Rows(split, recipe.batch_size, pixels=lambda images: images * np.float32(2)), data, recipe
    )
