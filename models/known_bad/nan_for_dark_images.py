"""NaN for the darkest images, from a logarithm of their brightness.

Must be rejected by: inference/outputs_are_probabilities
Diagnosis: with NaN or infinity
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE
THRESHOLD = 0.385


class Exposed(layers.Layer):  # type: ignore[misc]
    """Adds 0 to the scores, times a logarithm that is NaN for dark images."""

    def call(self, inputs: list[keras.KerasTensor], *, training: bool = False) -> keras.KerasTensor:
        """Return scores (n, K) of images (n, H, W, C).

        Except in training, those of images with a mean below `THRESHOLD` are NaN.
        """
        scores, images = inputs
        if training:
            return scores
        return scores + 0 * ops.log(ops.mean(images, axis=(1, 2)) - THRESHOLD)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    images = keras.Input(task.image_shape)
    scores = keras.Sequential(_small.stages(len(task.classes)))(images)
    return _small.compiled(keras.Model(images, Exposed()([scores, images])))
