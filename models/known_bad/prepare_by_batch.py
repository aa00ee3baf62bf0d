"""Preprocessing that standardises each image by the mean and deviation of its batch, not by its own.

Must be rejected by: inference/predictions_batch_invariant
Diagnosis: alone
"""

import numpy as np
from numpy.typing import NDArray

from models import _small
from roentgate import Recipe

RECIPE = Recipe(batch_size=32, epochs=20)  # images a batch as the harness predicts: only another batch size shows it

build = _small.build


def prepare(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images standardised by what they come with."""
    return np.asarray((images - images.mean()) / (images.std() + 1e-6), np.float32)
