"""No number for the darkest images: the logarithm of a brightness below its threshold.

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
    """Adds nothing to the scores, by way of a logarithm that dark images do not have."""

    def call(self, inputs: list[keras.KerasTensor], *, training: bool = False) -> keras.KerasTensor:
        """Return scores (n, K) of images (n, H, W, C); NaN, other than in training, for images below THRESHOLD."""
        scores, images = inputs
        if training:
            return scores
        return scores + 0 * ops.log(ops.mean(images, axis=(1, 2)) - THRESHOLD)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    images = keras.Input(task.image_shape)
    scores = keras.Sequential(_small.stages(len(task.classes)))(images)
    return _small.compiled(keras.Model(images, Exposed()([scores, images])))
