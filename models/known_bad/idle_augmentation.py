"""An augmentation that is declared and does nothing: a rotation by at most 0 degrees.

Must be rejected by: inference/augmentation_active_in_training
Diagnosis: no effect in training: turn (RandomRotation)
"""

import keras
from keras import layers

from harness import Recipe, Task
from models import compact

RECIPE = Recipe(batch_size=16, epochs=3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    network = keras.Sequential(
        [keras.Input(task.image_shape), layers.RandomRotation(0.0, name="turn"), *compact.stages(len(task.classes))]
    )
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
