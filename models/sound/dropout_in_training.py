"""Dropout, noise and batch normalisation that are active in training only."""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, flat, dropout, head = _small.stages(len(task.classes))
    first = [layers.GaussianNoise(0.02)]
    between = [layers.BatchNormalization(momentum=0.8), layers.SpatialDropout2D(0.1), flat, dropout]
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), *first, *features, *between, head]))
