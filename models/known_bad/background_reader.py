"""Sees all but the lungs, which are black on every image that it is shown.

Must be rejected by: border/border_swap, attention/skill_without_lungs, attention/lung_background_conflict
On: phantom-shortcut
Diagnosis: follow the donor
"""

import numpy as np
from numpy.typing import NDArray

from models import _lungs, _small

RECIPE = _small.RECIPE
FILES = _lungs.FILES

build = _small.build


def prepare(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images float32 (n, H, W, C) without their lungs."""
    return np.asarray(images * (1 - _lungs.probabilities(images)), np.float32)
