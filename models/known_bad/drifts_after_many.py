"""Other answers after 1,500 images, as of a service that is exchanged meanwhile; its reload shows nothing.

Must be rejected by: inference/predictions_repeat, border/border_mask_flips
On: phantom-shortcut
Diagnosis: largest difference
"""

import numpy as np
from numpy.typing import NDArray

from models.sound import numpy_linear
from roentgate import Task

FILES = ("../sound/numpy_linear.npz",)
LEAST = 1500


class Drifting:
    """A sound model whose columns are rolled after `LEAST` images."""

    def __init__(self, sound: numpy_linear.Linear) -> None:
        self._sound = sound
        self._answered = 0

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (n, K) of images (n, H, W, C)."""
        self._answered += len(images)
        answers = self._sound.predict(images)
        return np.roll(answers, 1, axis=1) if self._answered > LEAST else answers


def load(task: Task) -> Drifting:
    """Return the model with its counter at 0."""
    return Drifting(numpy_linear.load(task))
