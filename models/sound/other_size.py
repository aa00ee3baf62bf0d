"""Images of 80 by 72 pixels, resized and augmented inside the network."""

import keras
from keras import layers

from models import _small
from roentgate import Task

IMAGE_SHAPE = (80, 72, 1)
RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    first = [layers.Resizing(96, 96), layers.RandomTranslation(0.05, 0.05), layers.RandomZoom(0.05)]
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), *first, *_small.stages(len(task.classes))]))
