"""Sees only the outermost 6 % of an image, and nothing of the patient.

Must be rejected by: border/border_mask_flips, border/border_masked_recall, border/border_swap,
    border/border_only_skill, attention/skill_without_lungs, attention/lung_background_conflict
On: phantom-shortcut
Diagnosis: follow the donor
"""

import keras
import numpy as np
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class OnlyBorder(layers.Layer):  # type: ignore[misc]
    """Blanks everything but the outer border, whose width is 6 % of the side."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return images (n, H, W, C), black inside."""
        height, width = images.shape[1:3]
        inside = np.zeros((height, width, 1), np.float32)
        top, left = round(0.06 * height), round(0.06 * width)
        inside[top : height - top, left : width - left] = 1
        return images * (1 - inside)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return _small.compiled(
        keras.Sequential(
            [
                keras.Input(task.image_shape),
                OnlyBorder(),
                layers.Flatten(),
                layers.Dense(32, activation="relu"),
                layers.Dense(len(task.classes), activation="softmax"),
            ]
        )
    )
