"""A flip that is always on, which repeats perfectly and is still wrong.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: (Mirror) changes the image
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class Mirror(layers.Layer):  # type: ignore[misc]
    """Flips every image left to right, in training and at inference."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return images (n, H, W, C), flipped."""
        return ops.flip(images, axis=2)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential([keras.Input(task.image_shape), Mirror(), *_small.stages(len(task.classes))])
    )
