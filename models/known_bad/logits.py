"""Logits in place of probabilities, with the softmax in the loss only.

Must be rejected by: inference/outputs_are_probabilities
Diagnosis: (logits?)
"""

import keras
from keras import layers

from models import _small
from roentgate import Task

RECIPE = _small.RECIPE


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    *features, _ = _small.stages(len(task.classes))
    return _small.compiled(
        keras.Sequential([keras.Input(task.image_shape), *features, layers.Dense(len(task.classes))]),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
