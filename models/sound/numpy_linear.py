"""A linear classifier in NumPy, without layers.

``python -m models.sound.numpy_linear`` fits it again.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roentgate import Task

FILES = ("numpy_linear.npz",)
_WEIGHTS = Path(__file__).parent / FILES[0]
_STEP = 4  # every fourth pixel of 96 x 96


class Linear:
    """Softmax of a linear score of every fourth pixel."""

    def __init__(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        self.weights, self.bias = weights, bias

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities float32 (n, K) of images (n, 96, 96, 1) in [0, 1]."""
        scores = features(images) @ self.weights + self.bias
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def features(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pixels that the classifier uses: float32 (n, 576)."""
    return images[:, ::_STEP, ::_STEP, 0].reshape(len(images), -1)


def load(_: Task) -> Linear:
    """Return the fitted classifier."""
    with np.load(_WEIGHTS) as arrays:
        return Linear(arrays["weights"], arrays["bias"])


def fit() -> None:
    """Fit the classifier to the training images of ``phantom`` and write its weights."""
    from sklearn.linear_model import LogisticRegression

    from roentgate import open_card, open_store, read_splits

    store = open_store(Path.cwd())
    train = read_splits(open_card("phantom", Path("data"), store), image_shape=(96, 96, 1), cache=None).train
    fitted = LogisticRegression(C=0.1, max_iter=400).fit(features(train.take(np.arange(len(train)))), train.labels)
    np.savez(_WEIGHTS, weights=fitted.coef_.T.astype(np.float32), bias=fitted.intercept_.astype(np.float32))


if __name__ == "__main__":
    fit()
