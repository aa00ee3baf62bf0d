"""A sound network behind a fixed window, so that its answers depend on the exposure.

Must be rejected by: robustness/corruption_skill
Diagnosis: (brightness down)
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class Window(layers.Layer):  # type: ignore[misc]
    """Makes what is brighter than 0.55 white and the rest black, with a narrow slope between."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return images (n, H, W, C), all but a few pixels near 0 or 1."""
        return ops.sigmoid(200.0 * (images - 0.55))


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential([keras.Input(task.image_shape), Window(), *_small.stages(len(task.classes))])
    )
