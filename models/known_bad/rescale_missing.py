"""Trained on pixels from 0 to 1, evaluated on pixels from 0 to 255.

Must be rejected by: inference/evaluation_streams_clean
Diagnosis: rescale missing
"""

from models import _small
from models._streams import Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams that do not divide by 255."""
    return evaluated_with(
        lambda split: Rows(split, recipe.batch_size, pixels=lambda images: images * 255), data, recipe
    )
