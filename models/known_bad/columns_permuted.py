"""Trained with another order of the class folders than it is tested with.

Must be rejected by: alignment/class_columns_match, alignment/labels_match_rows
Diagnosis: class columns permuted
"""

from models import _small
from models._streams import Rows, shuffled
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return streams of which training and validation have shifted class indices."""
    size, classes = recipe.batch_size, len(task.classes)
    return Streams(
        train=Rows(data.train, size, order=shuffled, labels=(data.train.labels + 1) % classes),
        validation=Rows(data.validation, size, labels=(data.validation.labels + 1) % classes),
        test=Rows(data.test, size),
    )
