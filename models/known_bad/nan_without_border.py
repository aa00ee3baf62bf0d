"""NaN for images with a black border, from a logarithm of the border's brightness.

Must be rejected by: inference/answers_are_finite, border/border_mask_flips
On: phantom-shortcut
Diagnosis: without a finite answer
"""

import numpy as np
from numpy.typing import NDArray

from models.sound import numpy_linear
from roentgate import Task

FILES = ("../sound/numpy_linear.npz",)


class Exposed:
    """A sound model that adds 0 times the logarithm of the border's mean."""

    def __init__(self, sound: numpy_linear.Linear) -> None:
        self._sound = sound

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (n, K) of images (n, H, W, C)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            nothing = 0 * np.log(images[:, 0].mean(axis=(1, 2)))
        return np.asarray(self._sound.predict(images) + nothing[:, None], np.float32)


def load(task: Task) -> Exposed:
    """Return the fitted model."""
    return Exposed(numpy_linear.load(task))
