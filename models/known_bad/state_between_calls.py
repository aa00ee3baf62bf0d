"""A running mean that is updated at inference, so that answers depend on earlier ones.

Must be rejected by: inference/predictions_repeat, inference/augmentation_identity_at_inference
Diagnosis: (RunningMean) answers differently
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class RunningMean(layers.Layer):  # type: ignore[misc]
    """Subtracts a running mean of each feature.

    Every batch updates it, in training and at inference.
    """

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the running mean."""
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Return features (n, H, W, C) less their running mean."""
        self.mean.assign(0.9 * self.mean + 0.1 * ops.mean(features, axis=(0, 1, 2)))
        return features - self.mean


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    first, *rest = _small.stages(len(task.classes))
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), first, RunningMean(), *rest]))
