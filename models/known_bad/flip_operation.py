"""A flip between the layers, as a bare operation in the graph.

Must be rejected by: inference/augmentation_identity_at_inference
Diagnosis: flips the image left to right
"""

import keras
from keras import ops

from harness import Recipe, Task
from models import compact

RECIPE = Recipe(batch_size=16, epochs=3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    images = keras.Input(task.image_shape)
    classify = keras.Sequential(compact.stages(len(task.classes)))
    network = keras.Model(images, classify(ops.flip(images, axis=2)))
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
