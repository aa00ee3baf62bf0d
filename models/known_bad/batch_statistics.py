"""Features standardised by their batch at inference too.

Must be rejected by: inference/predictions_batch_invariant
Diagnosis: alone
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class BatchStandardise(layers.Layer):  # type: ignore[misc]
    """Standardises each feature by the mean and standard deviation of the batch."""

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Return features (n, H, W, C), standardised."""
        mean, variance = ops.moments(features, axes=(0, 1, 2), keepdims=True)
        return (features - mean) / ops.sqrt(variance + 1e-3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    first, *rest = _small.stages(len(task.classes))
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), first, BatchStandardise(), *rest]))
