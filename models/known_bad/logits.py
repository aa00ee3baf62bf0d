"""Logits for probabilities: the softmax is in the loss only.

Must be rejected by: inference/outputs_are_probabilities
Diagnosis: (logits?)
"""

import keras
from keras import layers

from harness import Recipe, Task
from models import compact

RECIPE = Recipe(batch_size=16, epochs=3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, _ = compact.stages(len(task.classes))
    network = keras.Sequential([keras.Input(task.image_shape), *features, layers.Dense(len(task.classes))])
    network.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network
