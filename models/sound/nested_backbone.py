"""A nested backbone that runs with ``training=False``, as in transfer learning.

It has batch normalisation.
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    height, width, _ = task.image_shape
    backbone = keras.Sequential(
        [
            keras.Input((height, width, 3)),
            layers.Rescaling(2.0, -1.0),
            layers.Conv2D(16, 5, strides=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            *[layers.Conv2D(filters, 3, strides=2, activation="relu") for filters in (32, 48, 64)],
        ]
    )
    images = keras.Input(task.image_shape)
    augmented = keras.Sequential([layers.RandomTranslation(0.02, 0.02), layers.RandomZoom(0.02)])(images)
    features = backbone(layers.Concatenate()([augmented] * 3), training=False)
    *_, flat, dropout, head = _small.stages(len(task.classes))
    return _small.compiled(keras.Model(images, head(dropout(flat(features)))))
