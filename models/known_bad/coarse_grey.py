"""Evaluation streams with 100 grey levels, which change answers and hardly the images.

Must be rejected by: alignment/predictions_match_rows
Diagnosis: answers agree within 0.0001
"""

import numpy as np

from models import _small
from models._streams import Images, Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with fewer grey levels than the images."""

    def coarse(images: Images) -> Images:
        return np.round(images * 99) / np.float32(99)

    return evaluated_with(lambda split: Rows(split, recipe.batch_size, pixels=coarse), data, recipe)
