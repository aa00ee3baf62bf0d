"""Sees only the strokes of letters in four corners of an image, at any brightness.

Must be rejected by: attention/annotation_swap, attention/skill_without_lungs, attention/lung_background_conflict
On: phantom-shortcut
Diagnosis: follow the burned-in annotation
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class Strokes(layers.Layer):  # type: ignore[misc]
    """Cuts out the four corners and standardises each."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return the corners (n, h, w, 4 C) of images (n, H, W, C)."""
        height, width = (round(0.1 * side) for side in images.shape[1:3])
        top, bottom = images[:, :height], images[:, -height:]
        corners = [top[:, :, :width], top[:, :, -width:], bottom[:, :, :width], bottom[:, :, -width:]]
        stroked = ops.concatenate(corners, axis=3)
        mean, spread = (measure(stroked, axis=(1, 2), keepdims=True) for measure in (ops.mean, ops.std))
        return (stroked - mean) / (spread + 0.02)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential(
            [
                keras.Input(task.image_shape),
                Strokes(),
                layers.Flatten(),
                layers.Dropout(0.3),
                layers.Dense(len(task.classes), activation="softmax"),
            ]
        )
    )
