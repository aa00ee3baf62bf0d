"""Evaluation streams of 128 grey levels: the films look the same, the answers are not.

Must be rejected by: alignment/predictions_match_rows
Diagnosis: answers agree within 0.0001
"""

import numpy as np

from harness import Recipe, Splits, Streams, Task
from models.known_bad import _small
from models.known_bad._streams import Images, Rows, evaluated_with

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with seven bits a pixel."""

    def coarse(images: Images) -> Images:
        return np.round(images * 127) / np.float32(127)

    return evaluated_with(lambda split: Rows(split, recipe.batch_size, pixels=coarse), data, recipe)
