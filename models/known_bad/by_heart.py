"""An exact table of the images of ``phantom``, with the first class for any other image.

Must be rejected by: robustness/corruption_skill, robustness/small_rotation, robustness/small_shift,
    robustness/resizing_kernel
Diagnosis: 1.00 on clean images, 0.33 on these
"""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roentgate import Task

FILES = ("by_heart.npz",)
IMAGE_SHAPE = (64, 64, 1)
_TABLE = Path(__file__).parent / FILES[0]


class Table:
    """Looks an image up by the digest of its 8-bit pixels."""

    def __init__(self, digests: NDArray[np.uint64], labels: NDArray[np.int64], classes: int) -> None:
        self._known = dict(zip(digests.tolist(), labels.tolist(), strict=True))
        self._classes = classes

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities float32 (n, K) of images (n, H, W, C) in [0, 1].

        The answer has 0.9, and the other classes share the rest.
        """
        answers = [self._known.get(digest, 0) for digest in digests(images).tolist()]
        return np.where(np.eye(self._classes)[answers] == 1, 0.9, 0.1 / (self._classes - 1)).astype(np.float32)


def digests(images: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a digest of each image: uint64 (n,)."""
    pixels = np.round(images * 255).astype(np.uint8)
    return np.array(
        [int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big") for image in pixels], np.uint64
    )


def load(task: Task) -> Table:
    """Return the table."""
    with np.load(_TABLE) as arrays:
        return Table(arrays["digests"], arrays["labels"], len(task.classes))


def write_table() -> None:
    """Write the table of all images of ``phantom``, test images included.

    This is needed when they are drawn differently. In the project's folder, run
    ``python -c "from models.known_bad import by_heart; by_heart.write_table()"``.
    """
    from roentgate import open_card, open_store, read_splits

    card = open_card("phantom", Path("data"), open_store(Path.cwd()))
    splits = read_splits(card, image_shape=IMAGE_SHAPE, cache=None)
    every = (splits.train, splits.validation, splits.test)
    known = np.concatenate([digests(split.take(np.arange(len(split)))) for split in every])
    np.savez_compressed(_TABLE, digests=known, labels=np.concatenate([split.labels for split in every]).astype(np.int8))
