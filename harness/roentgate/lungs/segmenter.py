"""The lung-field segmenter around its network: images made alike before it, clean masks and certainty after it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from roentgate.arrays import BoolArray, FloatArray, RealArray

SIDE = 128
"""Pixels, height and width of what the network takes and gives."""

WEIGHTS = Path(__file__).with_name("lung_fields.keras")
"""The trained network; models/segmenter/README.md says on what, and how well it does."""

_LEVELS = 1023
_LEAST_SHARE = 0.1


def prepare(images: FloatArray) -> FloatArray:
    """Return images as the network takes them: grey, 128x128, every pixel replaced by its rank among the image's own.

    Ranks do not change with exposure, contrast, gamma, or any rising curve; a reversed image has the reversed ranks.

    Args:
        images: float32 (n, H, W, C), of any range that is finite.

    Returns:
        float32 (n, 128, 128, 1) from -1 to 1: the mid-rank of each pixel, at 1024 levels between the image's darkest
        and brightest; 0 throughout a blank image.
    """
    prepared = np.empty((len(images), SIDE, SIDE, 1), np.float32)
    for target, image in zip(prepared, images, strict=True):
        grey = _resized(image.mean(axis=2, dtype=np.float32), (SIDE, SIDE))
        span = grey.max() - grey.min()
        target[:, :, 0] = _ranked(np.round((grey - grey.min()) * (_LEVELS / span)) if span else grey)
    return prepared


def lung_probabilities(predict: Callable[[FloatArray], RealArray], images: FloatArray) -> FloatArray:
    """Return how probably each pixel is lung: the mean of what the network says of the image and of its mirror image.

    Args:
        predict: The network: float32 (n, 128, 128, 1) as `prepare` gives, to as many probabilities.
        images: float32 (n, H, W, C).

    Returns:
        float32 (n, H, W) in [0, 1].
    """
    prepared = prepare(images)
    answers = (predict(prepared) + predict(prepared[:, :, ::-1])[:, :, ::-1]) / 2
    return np.stack([_resized(answer[:, :, 0], images.shape[1:3]) for answer in answers])


def fields(probability: FloatArray) -> BoolArray:
    """Return the lung fields of one image: the largest region above one half and, where it is no crumb, the second.

    Args:
        probability: (H, W).

    Returns:
        bool (H, W) without holes; a second region of less than a tenth of the first is a crumb.
    """
    regions, number = ndimage.label(probability > 0.5)
    sizes = np.bincount(regions.ravel(), minlength=number + 1)[1:]
    kept = [
        region + 1 for region in np.argsort(-sizes, kind="stable")[:2] if sizes[region] >= _LEAST_SHARE * sizes.max()
    ]
    whole: BoolArray = ndimage.binary_fill_holes(np.isin(regions, kept))
    return whole


def certainty(probability: FloatArray, mask: BoolArray) -> float:
    """Return the Dice coefficient that a mask may expect if the probabilities are right (0 to 1, higher is better).

    Near 1 only where the network is sure inside the mask, sure outside it, and says the same of the mirror image.

    Args:
        probability: (H, W).
        mask: bool (H, W).

    Returns:
        Twice the probability inside the mask over the mask's pixels plus all probability; NaN where both are 0.
    """
    total = float(mask.sum() + probability.sum())
    return 2 * float(probability[mask].sum()) / total if total else float("nan")


def dice(mask: BoolArray, truth: BoolArray) -> float:
    """Return the Dice coefficient of two masks (0 to 1, higher is better); NaN where both are empty.

    References:
        Dice, Ecology 26 (1945) 297-302.
    """
    total = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / total if total else float("nan")


def _resized(image: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return an image (H, W) at another size: bilinear, averaged where it shrinks."""
    if image.shape == shape:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _ranked(image: FloatArray) -> FloatArray:
    _, places, counts = np.unique(image, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * counts
    return (2 * middle / image.size - 1).astype(np.float32)[places].reshape(image.shape)
