"""Evaluation streams of images flipped left to right, the same in each pass.

Must be rejected by: inference/evaluation_streams_clean
Diagnosis: alike in every pass
"""

from models import _small
from models._streams import Rows, evaluated_with
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return evaluation streams of mirror images."""
    return evaluated_with(
        lambda split: Rows(split, recipe.batch_size, pixels=lambda images: images[:, :, ::-1]), data, recipe
    )
