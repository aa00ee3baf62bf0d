"""Evaluation streams that flip and rotate the images, as one generator for all splits does.

Must be rejected by: inference/evaluation_streams_clean
Diagnosis: altered by geometry or noise in
"""

import keras
import numpy as np
from keras import layers

from models import _small
from models._streams import Images, Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with the augmentation of training."""
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(12 / 360)])

    def augmented(images: Images) -> Images:
        return np.asarray(augment(images, training=True))

    return evaluated_with(lambda split: Rows(split, recipe.batch_size, pixels=augmented), data, recipe)
