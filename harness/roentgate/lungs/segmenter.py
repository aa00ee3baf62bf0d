"""The lung-field segmenter, except for its network.

It prepares images for the network, and makes masks and their certainty from the answers.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from roentgate.arrays import BoolArray, FloatArray, RealArray

SIDE = 128
"""Height and width, in pixels, of the input and output of the network."""

WEIGHTS = Path(__file__).with_name("lung_fields.keras")
"""The trained network, whose model card is models/segmenter/README.md."""

_LEVELS = 1023
_LEAST_SHARE = 0.1


def prepare(images: FloatArray) -> FloatArray:
    """Return images as the network takes them: grey, 128x128, in ranks.

    Every pixel is replaced by its rank within the image. Ranks do not change with exposure, contrast, gamma or any
    other increasing curve. An inverted image has the negative ranks.

    Args:
        images: float32 (n, H, W, C), of any finite range.

    Returns:
        float32 (n, 128, 128, 1) from -1 to 1: the mid-rank of each pixel, at 1024 levels between the darkest and the
        brightest pixel of the image. A blank image is 0 throughout.
    """
    prepared = np.empty((len(images), SIDE, SIDE, 1), np.float32)
    for target, image in zip(prepared, images, strict=True):
        grey = _resized(image.mean(axis=2, dtype=np.float32), (SIDE, SIDE))
        span = grey.max() - grey.min()
        target[:, :, 0] = _ranked(np.round((grey - grey.min()) * (_LEVELS / span)) if span else grey)
    return prepared


def lung_probabilities(predict: Callable[[FloatArray], RealArray], images: FloatArray) -> FloatArray:
    """Return the probability that each pixel is lung.

    It is the mean over the image and its mirror image.

    Args:
        predict: The network, from float32 (n, 128, 128, 1) as `prepare` gives to probabilities of the same shape.
        images: float32 (n, H, W, C).

    Returns:
        float32 (n, H, W) in [0, 1].
    """
    prepared = prepare(images)
    answers = (predict(prepared) + predict(prepared[:, :, ::-1])[:, :, ::-1]) / 2
    return np.stack([_resized(answer[:, :, 0], images.shape[1:3]) for answer in answers])


def fields(probability: FloatArray) -> BoolArray:
    """Return the lung fields of one image.

    They are the largest region of probability above one half, and the second largest if it has at least a tenth of
    the area of the first.

    Args:
        probability: (H, W).

    Returns:
        bool (H, W) without holes.
    """
    regions, number = ndimage.label(probability > 0.5)
    sizes = np.bincount(regions.ravel(), minlength=number + 1)[1:]
    kept = [
        region + 1 for region in np.argsort(-sizes, kind="stable")[:2] if sizes[region] >= _LEAST_SHARE * sizes.max()
    ]
    mask: BoolArray = ndimage.binary_fill_holes(np.isin(regions, kept))
    return mask


def certainty(probability: FloatArray, mask: BoolArray) -> float:
    """Return the Dice coefficient to expect of a mask (0 to 1, higher is better).

    The expectation assumes that the probabilities are right. It is near 1 only if the network is certain inside the
    mask and outside it, and answers alike for the mirror image.

    Args:
        probability: (H, W).
        mask: bool (H, W).

    Returns:
        Twice the sum of the probabilities inside the mask, divided by the number of its pixels plus the sum of all
        probabilities. NaN if both are 0.
    """
    total = float(mask.sum() + probability.sum())
    return 2 * float(probability[mask].sum()) / total if total else float("nan")


def dice(mask: BoolArray, truth: BoolArray) -> float:
    """Return the Dice coefficient of two masks (0 to 1, higher is better).

    It is NaN if both are empty.

    References:
        Dice, Ecology 26 (1945) 297-302.
    """
    total = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / total if total else float("nan")


def _resized(image: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return an image (H, W) at another size.

    It is interpolated bilinearly, and averaged over the pixels if it becomes smaller.
    """
    if image.shape == shape:
        return image
    full = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(full.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _ranked(image: FloatArray) -> FloatArray:
    _, levels, counts = np.unique(image, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - 0.5 * counts
    return (2 * mid_ranks / image.size - 1).astype(np.float32)[levels].reshape(image.shape)
