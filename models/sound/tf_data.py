"""Streams of ``tf.data``, shuffled in training only."""

import numpy as np
import tensorflow as tf

from models import _small
from roentgate import Dataset, Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return streams of ``tf.data``."""

    def stream(split: Dataset) -> tf.data.Dataset:
        one_hot = np.eye(len(task.classes), dtype=np.float32)[split.labels]
        return tf.data.Dataset.from_tensor_slices((split.take(np.arange(len(split))), one_hot))

    training = stream(data.train).shuffle(len(data.train), seed=task.seed).batch(recipe.batch_size).prefetch(2)
    evaluation = (stream(split).batch(recipe.batch_size).prefetch(2) for split in (data.validation, data.test))
    return Streams(training, *evaluation)
