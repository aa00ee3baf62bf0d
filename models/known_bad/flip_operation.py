"""A flip between the layers, as a bare operation in the graph.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: flips the image left to right
"""

import keras
from keras import ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    images = keras.Input(task.image_shape)
    classify = keras.Sequential(_small.stages(len(task.classes)))
    return _small.compiled(keras.Model(images, classify(ops.flip(images, axis=2))))
