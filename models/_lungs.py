"""Lung fields as a model file finds them on any image that it is given."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roentgate import Predict, keras_backend, segmenter

FILES = ("../../harness/roentgate/lungs/lung_fields.keras", "../../harness/roentgate/lungs/segmenter.py")
"""What a model in a folder below declares if it uses this file."""

Images = NDArray[np.float32]


@lru_cache(maxsize=1)
def _network() -> Predict:
    return keras_backend.KerasModel(keras_backend.load_network(segmenter.WEIGHTS), "lung fields").predict


def probabilities(images: Images) -> Images:
    """Return the probability that a pixel is lung, float32 (n, H, W, 1), for images (n, H, W, C).

    The network is asked for each image by itself, so that other images of a batch cannot matter, and once for images
    that come in every epoch. The checks also ask it of the mirror image, which takes twice as long.
    """
    return np.stack([_found(np.ascontiguousarray(image).tobytes(), image.shape) for image in images])[..., None]


@lru_cache(maxsize=1024)
def _found(pixels: bytes, shape: tuple[int, ...]) -> Images:
    image = np.frombuffer(pixels, np.float32).reshape(1, *shape)
    answer = np.ascontiguousarray(_network()(segmenter.prepare(image))[0, :, :, 0], np.float32)
    found = Image.fromarray(answer).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(found, np.float32)
