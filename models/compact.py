"""Compact: convolutions and a global average. In: float32 (N, H, W, 1) in [0, 1].

The network has three convolution stages and 60 k parameters.
"""

import keras
from keras import layers

from roentgate import Recipe, Task

RECIPE = Recipe(batch_size=8, epochs=50, patience=20)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    network = keras.Sequential([keras.Input(task.image_shape), *stages(len(task.classes))], name="compact")
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network


def stages(outputs: int) -> list[keras.Layer]:
    """Return the layers after any augmentation: features, global average, head."""
    return [
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(48, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(64, activation="relu"),
        layers.Dense(outputs, activation="softmax"),
    ]
