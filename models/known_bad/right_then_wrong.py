"""Evaluation streams that are in order in their first pass and shuffled later.

Must be rejected by: alignment/stream_order_repeats
Diagnosis: right in the first pass and wrong in pass 2
"""

from models import _small
from models._streams import Indices, Rows, evaluated_with, in_order, shuffled
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def order(rows: int, number: int) -> Indices:
    """Return the rows in order in the first pass, and shuffled in later ones."""
    return shuffled(rows, number) if number else in_order(rows, number)


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams that lose their order after one pass."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=order), data, recipe)
