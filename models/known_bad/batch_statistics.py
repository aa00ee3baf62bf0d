"""Features standardised by their own batch at inference too: an answer depends on its company.

Must be rejected by: inference/predictions_batch_invariant
Diagnosis: alone
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class BatchStandardise(layers.Layer):  # type: ignore[misc]
    """Subtracts the mean of the batch and divides by its deviation, feature by feature."""

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Return features (n, H, W, C), standardised."""
        mean, variance = ops.moments(features, axes=(0, 1, 2), keepdims=True)
        return (features - mean) / ops.sqrt(variance + 1e-3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    first, *rest = _small.stages(len(task.classes))
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), first, BatchStandardise(), *rest]))
