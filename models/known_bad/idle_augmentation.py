"""An augmentation that is declared and does nothing: a rotation by at most 0 degrees.

Must be rejected by: inference/augmentation_active_in_training
Diagnosis: no effect in training: turn (RandomRotation)
"""

import keras
from keras import layers
from roentgate import Task

from models import _small

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential(
            [keras.Input(task.image_shape), layers.RandomRotation(0.0, name="turn"), *_small.stages(len(task.classes))]
        )
    )
