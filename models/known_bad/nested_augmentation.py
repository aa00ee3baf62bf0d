"""A nested augmentation block that was called with ``training=True``.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: augment/turn (RandomRotation) changes the image
"""

import keras
from keras import layers

from harness import Recipe, Task
from models import compact

RECIPE = Recipe(batch_size=16, epochs=3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    augment = keras.Sequential(
        [layers.RandomRotation(0.1, name="turn"), layers.RandomFlip(name="flip")], name="augment"
    )
    images = keras.Input(task.image_shape)
    classify = keras.Sequential(compact.stages(len(task.classes)))
    network = keras.Model(images, classify(augment(images, training=True)))
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
