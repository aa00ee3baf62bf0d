"""Dropout that stays on at inference.

Must be rejected by: inference/predictions_repeat, inference/augmentation_identity_at_inference
Diagnosis: (StubbornDropout) answers differently
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class StubbornDropout(layers.Layer):  # type: ignore[misc]
    """Drops half of the features, in training and at inference."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Return features (n, units), half of them 0."""
        return keras.random.dropout(features, 0.5, seed=self.generator)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, head = _small.stages(len(task.classes))
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), *features, StubbornDropout(), head]))
