"""A shift by a twentieth of the side that is always on, behind a blur that hides it.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: (BlurredShift) changes the image
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class BlurredShift(layers.Layer):  # type: ignore[misc]
    """Smooths every image and shifts it to the right, in training and at inference."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return images (n, H, W, C), smoothed and shifted."""
        smooth = ops.average_pool(images, 3, strides=1, padding="same")
        return ops.roll(smooth, images.shape[2] // 20, axis=2)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential([keras.Input(task.image_shape), BlurredShift(), *_small.stages(len(task.classes))])
    )
