"""A nested augmentation block that always runs with ``training=True``.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: augment/turn (RandomRotation) changes the image
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    augment = keras.Sequential(
        [layers.RandomRotation(0.1, name="turn"), layers.RandomFlip(name="flip")], name="augment"
    )
    images = keras.Input(task.image_shape)
    classify = keras.Sequential(_small.stages(len(task.classes)))
    return _small.compiled(keras.Model(images, classify(augment(images, training=True))))
