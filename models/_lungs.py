"""Lung fields as a model file finds them on any image that it is given."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roentgate import Predict, keras_backend, segmenter

FILES = ("../../harness/roentgate/lungs/lung_fields.keras", "../../harness/roentgate/lungs/segmenter.py")
"""What a model in a folder below declares if it uses this file."""

Images = NDArray[np.float32]


@lru_cache(maxsize=1)
def _network() -> Predict:
    return keras_backend.KerasModel(keras_backend.load_network(segmenter.WEIGHTS), "lung fields").predict


def probabilities(images: Images) -> Images:
    """Return the probability that a pixel is lung, float32 (n, H, W, 1), for images (n, H, W, C)."""
    return segmenter.lung_probabilities(_network(), images)[..., None]
