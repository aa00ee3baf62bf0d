"""A flip that is always on, so that it repeats perfectly and is still wrong.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: (Mirror) changes the image
"""

import keras
from keras import layers, ops

from harness import Recipe, Task
from models import compact

RECIPE = Recipe(batch_size=16, epochs=3)


class Mirror(layers.Layer):  # type: ignore[misc]
    """Flips every image left to right, in training and out of it."""

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Return images (n, H, W, C), flipped."""
        return ops.flip(images, axis=2)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    network = keras.Sequential([keras.Input(task.image_shape), Mirror(), *compact.stages(len(task.classes))])
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
