"""A fixed mean of three pixels before the first learned weight, in training and at inference alike."""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    smooth = layers.AveragePooling2D(3, strides=1, padding="same")
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), smooth, *_small.stages(len(task.classes))]))
