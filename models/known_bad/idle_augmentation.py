"""An augmentation without effect, a rotation by at most 0 degrees.

Must be rejected by: inference/augmentation_active_in_training
Diagnosis: no effect in training: turn (RandomRotation)
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential(
            [keras.Input(task.image_shape), layers.RandomRotation(0.0, name="turn"), *_small.stages(len(task.classes))]
        )
    )
