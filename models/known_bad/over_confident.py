"""Scores multiplied by 20 at inference, so that sound answers are nearly certain.

Must be rejected by: calibration/temperature_scaling_gain
Diagnosis: (too sure)
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class Certain(layers.Layer):  # type: ignore[misc]
    """Multiplies scores by 20, except in training, which would compensate for it."""

    def call(self, scores: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:  # noqa: FBT001, FBT002 - Keras' own
        """Return scores (n, K), 20 times as large at inference."""
        return scores if training else 20.0 * scores


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, _ = _small.stages(len(task.classes))
    certain = [layers.Dense(len(task.classes)), Certain(), layers.Softmax()]
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), *features, *certain]))
