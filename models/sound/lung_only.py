"""A network that is shown nothing but the lungs, as the segmenter finds them."""

import numpy as np
from numpy.typing import NDArray

from models import _lungs, _small

RECIPE = _small.RECIPE
FILES = _lungs.FILES

build = _small.build


def prepare(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images float32 (n, H, W, C) that are black outside the lungs."""
    return np.asarray(images * _lungs.probabilities(images), np.float32)
