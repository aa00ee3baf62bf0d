"""Validation and test streams that are exchanged.

Must be rejected by: alignment/images_match_rows, alignment/stream_complete
Diagnosis: splits swapped
"""

from models import _small
from models._streams import Rows, shuffled
from roentgate import Recipe, Splits, Streams, Task

RECIPE = _small.RECIPE

build = _small.build


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return streams of which validation and test are exchanged."""
    size = recipe.batch_size
    training = Rows(data.train, size, order=shuffled)
    return Streams(train=training, validation=Rows(data.test, size), test=Rows(data.validation, size))
