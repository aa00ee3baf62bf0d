"""Dead units: every film gets the same answer.

Must be rejected by: recall/recall_floor, recall/confusion_ceiling, recall/macro_auroc_floor,
    recall/beats_majority, border/border_masked_recall
Diagnosis: of 80
"""

import keras
from keras import layers

from harness import Recipe, Task
from models import compact

RECIPE = Recipe(batch_size=16, epochs=3)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, _, head = compact.stages(len(task.classes))
    dead = layers.Dense(64, activation="relu", bias_initializer=keras.initializers.Constant(-100.0))
    network = keras.Sequential([keras.Input(task.image_shape), *features, dead, head])
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
