"""A sound network behind a fixed step that makes nine times as much of what differs between neighbouring pixels.

Must be rejected by: robustness/corruption_skill, robustness/resizing_kernel
Diagnosis: noise)
"""

import keras
from keras import layers, ops

from harness import Task
from models import _small

IMAGE_SHAPE = (64, 64, 1)
RECIPE = _small.RECIPE


class Sharpen(layers.Layer):  # type: ignore[misc]
    """Adds eight times the difference between a film and its mean over 3 x 3 pixels."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return sharpened images (n, H, W, C), beyond [0, 1]."""
        return images + 8.0 * (images - ops.average_pool(images, 3, strides=1, padding="same"))


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential([keras.Input(task.image_shape), Sharpen(), *_small.stages(len(task.classes))])
    )
