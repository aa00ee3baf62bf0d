"""Augmentation in the training stream, and nowhere else."""

import keras
import numpy as np
from keras import layers

from models import _small
from models._streams import Images, Rows, shuffled
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return a training stream that shifts and zooms the images, and plain evaluation streams."""
    augment = keras.Sequential(
        [layers.RandomTranslation(0.03, 0.03, seed=task.seed), layers.RandomZoom(0.03, seed=task.seed)]
    )

    def augmented(images: Images) -> Images:
        return np.asarray(augment(images, training=True))

    size = recipe.batch_size
    training = Rows(data.train, size, order=shuffled, pixels=augmented)
    return Streams(train=training, validation=Rows(data.validation, size), test=Rows(data.test, size))
