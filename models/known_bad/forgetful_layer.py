"""A layer whose configuration leaves out a constant, so that saving changes the network.

Must be rejected by: inference/reload_preserves_predictions
Diagnosis: (the reloaded model)
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


class Gain(layers.Layer):  # type: ignore[misc]
    """Multiplies features by a constant."""

    def __init__(self, gain: float = 1.0, **options: object) -> None:
        super().__init__(**options)
        self.gain = gain

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Return features (n, units) times the gain."""
        return features * self.gain

    def get_config(self) -> dict[str, object]:
        """Return the configuration without the gain."""
        config: dict[str, object] = super().get_config()
        return config


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, head = _small.stages(len(task.classes))
    return _small.compiled(keras.Sequential([keras.Input(task.image_shape), *features, Gain(5.0), head]))
