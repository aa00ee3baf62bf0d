"""Evaluation streams that add noise to the images.

Must be rejected by: inference/evaluation_streams_clean
Diagnosis: differently in every pass (augmentation?)
"""

import numpy as np

from models import _small
from models._streams import Images, Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with noise."""
    random = np.random.default_rng(task.seed)

    def noisy(images: Images) -> Images:
        return np.clip(images + random.normal(0, 0.05, images.shape), 0, 1).astype(np.float32)

    return evaluated_with(lambda split: Rows(split, recipe.batch_size, pixels=noisy), data, recipe)
