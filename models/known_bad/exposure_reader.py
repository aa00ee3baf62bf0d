"""Sees only the mean brightness of the outermost tenth of each side.

Must be rejected by: border/border_mask_flips, border/border_swap, border/border_only_skill,
    attention/skill_without_lungs, attention/lung_background_conflict
On: phantom-shortcut
Diagnosis: follow the donor
"""

import keras
from keras import layers, ops

from models import _small
from roentgate import Recipe, Task

RECIPE = Recipe(batch_size=16, epochs=12)


class Exposure(layers.Layer):  # type: ignore[misc]
    """Reduces an image to the mean grey of its four edges, each a tenth of the side wide."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return the four means of each channel (n, 4 C) of images (n, H, W, C)."""
        height, width = (max(1, round(0.1 * side)) for side in images.shape[1:3])
        edges = images[:, :height], images[:, -height:], images[:, :, :width], images[:, :, -width:]
        return ops.concatenate([ops.mean(edge, axis=(1, 2)) for edge in edges], axis=1)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    head = [layers.BatchNormalization(momentum=0.8), layers.Dense(32, activation="relu")]
    answer = layers.Dense(len(task.classes), activation="softmax")
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), Exposure(), *head, answer]))
