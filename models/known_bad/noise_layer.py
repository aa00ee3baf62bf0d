"""Noise that is added at inference too, because the layer ignores ``training``.

Must be rejected by: inference/predictions_repeat, inference/augmentation_identity_at_inference
Diagnosis: (RestlessNoise) changes the image under predict and call, and answers differently
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class RestlessNoise(layers.Layer):  # type: ignore[misc]
    """Adds noise of standard deviation 0.1 to every image, in training and at inference."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return images (n, H, W, C) with noise."""
        return images + keras.random.normal(ops.shape(images), stddev=0.1, seed=self.generator)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential([keras.Input(task.image_shape), RestlessNoise(), *_small.stages(len(task.classes))])
    )
