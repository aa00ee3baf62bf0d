"""Sees only four corners of an image, 7 % of the side each, which hold the markers.

Must be rejected by: border/border_mask_flips, border/border_swap,
    border/border_only_skill, attention/skill_without_lungs, attention/lung_background_conflict
On: phantom-shortcut
Diagnosis: follow the donor
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class Corners(layers.Layer):  # type: ignore[misc]
    """Cuts the four corners out and puts them side by side."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return the corners (n, h, 4 w, C) of images (n, H, W, C)."""
        height, width = (round(0.07 * side) for side in images.shape[1:3])
        top, bottom = images[:, :height], images[:, -height:]
        parts = [top[:, :, :width], top[:, :, -width:], bottom[:, :, :width], bottom[:, :, -width:]]
        return ops.concatenate(parts, axis=2)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential(
            [
                keras.Input(task.image_shape),
                Corners(),
                layers.Flatten(),
                layers.Dense(32, activation="relu"),
                layers.Dense(len(task.classes), activation="softmax"),
            ]
        )
    )
