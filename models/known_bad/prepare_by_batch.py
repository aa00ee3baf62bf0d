"""Preprocessing that standardises each image by the statistics of its batch.

Must be rejected by: inference/predictions_batch_invariant
Diagnosis: alone
"""

import numpy as np
from numpy.typing import NDArray

from models import _small
from roentgate import Recipe

RECIPE = Recipe(batch_size=32, epochs=20)  # the batch size of the harness, so that only another size shows the fault

build = _small.build


def prepare(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images standardised by the mean and standard deviation of the batch."""
    return np.asarray((images - images.mean()) / (images.std() + 1e-6), np.float32)
