"""A network that is shown the bounding box of the lungs, as the segmenter finds them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models import _lungs, _small
from roentgate import segmenter

RECIPE = _small.RECIPE
FILES = _lungs.FILES

build = _small.build


def prepare(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the boxes of the lungs at the size of the images, float32 (n, H, W, C)."""
    return np.stack([_boxed(*pair) for pair in zip(images, _lungs.probabilities(images)[..., 0], strict=True)])


def _boxed(image: NDArray[np.float32], probability: NDArray[np.float32]) -> NDArray[np.float32]:
    lungs = segmenter.fields(probability)
    height, width = lungs.shape
    rows, columns = np.flatnonzero(lungs.any(axis=1)), np.flatnonzero(lungs.any(axis=0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, width, height)
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., channel])).resize((width, height), _BILINEAR, box=box)
        for channel in range(image.shape[2])
    ]
    return np.stack([np.asarray(channel, np.float32) for channel in channels], axis=2)


_BILINEAR = Image.Resampling.BILINEAR
