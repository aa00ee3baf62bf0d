"""Evaluation streams shuffled in each pass, as with ``shuffle=True``.

Must be rejected by: alignment/stream_order_repeats, alignment/images_match_rows,
    alignment/labels_match_rows, alignment/predictions_match_rows
Diagnosis: shuffled, different in every pass
"""

from models import _small
from models._streams import Rows, evaluated_with, shuffled
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams in another order each time."""
    return evaluated_with(lambda split: Rows(split, recipe.batch_size, order=shuffled), data, recipe)
