"""Evaluation streams shuffled once, as with a shuffled list of files.

Must be rejected by: alignment/images_match_rows, alignment/predictions_match_rows
Diagnosis: shuffled, the same in every pass
"""

from models import _small
from models._streams import Indices, Rows, evaluated_with, shuffled
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def once(rows: int, _: int) -> Indices:
    """Return the same random order in each pass."""
    return shuffled(rows, 0)


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams in one random order."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=once), data, recipe)
