"""Evaluation streams with the images in order and the labels shuffled.

Must be rejected by: alignment/labels_match_rows
Diagnosis: the images are in order, their labels are not
"""

from models import _small
from models._streams import Rows, evaluated_with, shuffled
from roentgate import Dataset, Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def mislabelled(split: Dataset, batch_size: int) -> Rows:
    """Return a stream of the split that gives each image the label of another."""
    return Rows(split, batch_size, labels=split.labels[shuffled(len(split), 0)])


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams with shuffled labels."""
    return evaluated_with(lambda split: mislabelled(split, recipe.batch_size), data, recipe)
