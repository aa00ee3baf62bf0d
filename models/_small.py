"""A small network for faults that do not depend on the network.

It learns ``phantom`` in twenty epochs of a quarter of a second.
"""

import keras
from keras import layers

from roentgate import Recipe, Task

RECIPE = Recipe(batch_size=16, epochs=20)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    return compiled(keras.Sequential([keras.Input(task.image_shape), *stages(len(task.classes))]))


def stages(outputs: int) -> list[keras.Layer]:
    """Return the layers: features, flattening, dropout and, as the last, the head."""
    features = [layers.Conv2D(16, 5, strides=2, activation="relu")]
    features += [layers.Conv2D(filters, 3, strides=2, activation="relu") for filters in (32, 48, 64)]
    return [*features, layers.Flatten(), layers.Dropout(0.3), layers.Dense(outputs, activation="softmax")]


def compiled(network: keras.Model, loss: object = "categorical_crossentropy") -> keras.Model:
    """Return the network, compiled."""
    network.compile(optimizer=keras.optimizers.Adam(2e-3), loss=loss, metrics=["accuracy"])
    return network
