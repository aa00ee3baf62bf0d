"""Attribution maps by Grad-CAM, integrated gradients and occlusion.

Each method explains one class per image and gives one signed number per pixel. Its unit is that of the score, which is
the logit if the network gives access to it. Grad-CAM and integrated gradients need a Keras network. Occlusion needs
only `Candidate.predict`.
"""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray, Images, IntArray, Probabilities
from roentgate.candidates import Candidate, Model
from roentgate.errors import ArgumentError, did_you_mean
from roentgate.policy import AttributionBounds

if TYPE_CHECKING:
    from roentgate.candidates import Insight


METHODS: Final = ("grad_cam", "integrated_gradients", "occlusion")
BLACK_BOX: Final = ("occlusion",)
"""Methods that need only the answers of a model."""

ODDS_FLOOR: Final = 2.0**-24
"""Least probability in the odds: half the spacing of float32 numbers below 1."""

_BATCH = 64


class Explainer:
    """Explainer of the answers of one model.

    The network is opened on first use.

    Args:
        candidate: The model, ready to answer. It counts the images that pass through it.
        bounds: Gives the steps of integrated gradients and the patch size of occlusion.
    """

    def __init__(self, candidate: Candidate, bounds: AttributionBounds) -> None:
        self._candidate = candidate
        self._bounds = bounds

    @cached_property
    def insight(self) -> "Insight":
        """The network that gives the answers.

        Raises:
            ModelError: There is no network, or it has several outputs.
        """
        candidate = self._candidate
        return candidate.loaded.gradients(candidate.to_input(candidate.splits.test.take([0])))

    def lacks(self, method: str) -> str:
        """Return why a method cannot explain this model, or "".

        Raises:
            ArgumentError: The method is unknown.
        """
        if method not in METHODS:
            raise ArgumentError(f"attribution method '{method}': unknown; {did_you_mean(method, METHODS)}")
        if method in BLACK_BOX:
            return ""
        if lacks := self._candidate.backend.lacks("gradients"):
            return lacks
        image = self._candidate.splits.test.take([0])
        if self._candidate.to_input(image).shape[1:3] != image.shape[1:3]:
            return "the model's own prepare() changes the size of an image, so that a map cannot be laid over it"
        if method == "grad_cam" and self.insight.feature_layer is None:
            return "no layer behind learned weights has a height and a width"
        return ""

    def maps(self, method: str, images: Images, predicted: IntArray) -> FloatArray:
        """Return attribution maps for the predicted classes, float32 (n, H, W).

        Maps are signed, except that those of Grad-CAM are never negative.

        Args:
            method: One of `METHODS` that the model does not lack.
            images: Canonical images float32 (n, H, W, C) in [0, 1].
            predicted: Class index to explain on each image, int64 (n,).
        """
        if method == "occlusion":
            return occlusion(self._candidate, images, predicted, patch=self._bounds.patch)
        inputs, weights = self._candidate.to_input(images), self.weights(predicted)
        if method == "grad_cam":
            self._candidate.passes += len(images)
            return self._placed(self.insight.grad_cam(inputs, weights), (images.shape[1], images.shape[2]))
        steps = self._bounds.steps
        self._candidate.passes += len(images) * steps
        found = self.insight.integrated_gradients(inputs, self._black(inputs), weights, steps=steps)
        return np.asarray(found.sum(axis=3))

    def gaps(self, images: Images, predicted: IntArray, maps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far integrated gradients are from complete.

        They are complete if each map adds up to the score of the image minus the score of a black image.

        Args:
            images: Canonical images float32 (n, H, W, C) in [0, 1].
            predicted: Class index that is explained on each image, int64 (n,).
            maps: Their integrated gradients, float32 (n, H, W).

        Returns:
            Two arrays float32 (n,): the differences of scores, and the sums of the maps minus these differences.
        """
        inputs, weights = self._candidate.to_input(images), self.weights(predicted)
        self._candidate.passes += 2 * len(images)
        black = np.ascontiguousarray(np.broadcast_to(self._black(inputs), inputs.shape))
        wanted = self.insight.scores(inputs, weights) - self.insight.scores(black, weights)
        return wanted, maps.sum(axis=(1, 2)) - wanted

    def weights(self, predicted: IntArray) -> FloatArray:
        """Return the weights of the network's columns in each class score.

        Args:
            predicted: Class index of each image, int64 (n,).

        Returns:
            Weights float32 (n, columns).
        """
        columns = self.insight.columns
        shown = self._candidate.columns(np.eye(columns, dtype=np.float32), columns)
        if columns > 1:
            return np.ascontiguousarray(shown.T[predicted])
        return np.asarray(2 * shown[0][predicted] - 1)[:, None]

    @contextlib.contextmanager
    def randomised(self, layers: int | None, *, seed: int) -> Iterator[None]:
        """Replace the last layers' weights by random ones within a context.

        Args:
            layers: Number of weighted layers, counted from the output. None replaces all.
            seed: Seed of the random weights.
        """
        count = len(self.insight.weighted)
        with self.insight.randomised(count if layers is None else min(layers, count), seed=seed):
            yield

    def _black(self, inputs: Images) -> Images:
        """Return a black image as the network receives it, (1, H, W, C)."""
        shape = (1, *self._candidate.task.image_shape)
        return self._candidate.to_input(np.zeros(shape, inputs.dtype))

    def _placed(self, maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
        """Return maps of the feature layer at their place in the image.

        Pixels that the network does not see are 0.
        """
        top, bottom, left, right = self.insight.extent or (0, shape[0], 0, shape[1])
        found = np.zeros((len(maps), *shape), np.float32)
        found[:, top:bottom, left:right] = resized(maps, (bottom - top, right - left))
        return found


def occlusion(candidate: Model, images: Images, predicted: IntArray, *, patch: float) -> FloatArray:
    """Return the fall of log-odds under occluding patches, float32 (n, H, W).

    Square patches of the image's mean grey move in steps of half their side. The value of a pixel is the mean over the
    patches that cover it. The maps are deterministic. The cost is one forward pass per patch and one per image.

    Args:
        candidate: Any model.
        images: Canonical images float32 (n, H, W, C) in [0, 1].
        predicted: Class index of each image, int64 (n,).
        patch: Side of a patch, as a share of the image's shorter side.

    References:
        Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014.
    """
    height, width = images.shape[1:3]
    side = max(1, round(patch * min(height, width)))
    places = [(top, left) for top in _starts(height, side) for left in _starts(width, side)]
    found = np.empty(images.shape[:3], np.float32)
    for row, image in enumerate(images):
        infill = image.mean(axis=(0, 1))
        clean = log_odds(candidate.predict(image[None]), predicted[[row]])[0]
        total, covered = np.zeros((height, width), np.float64), np.zeros((height, width), np.int64)
        for first in range(0, len(places), _BATCH):
            part = places[first : first + _BATCH]
            occluded = np.repeat(image[None], len(part), axis=0)
            for pixels, (top, left) in zip(occluded, part, strict=True):
                pixels[top : top + side, left : left + side] = infill
            fall = clean - log_odds(candidate.predict(occluded), np.repeat(predicted[row], len(part)))
            for (top, left), value in zip(part, fall, strict=True):
                total[top : top + side, left : left + side] += value
                covered[top : top + side, left : left + side] += 1
        found[row] = total / covered
    return found


def log_odds(answers: Probabilities, predicted: IntArray) -> NDArray[np.float64]:
    """Return the log-odds of the predicted class of each row, float64 (n,).

    Probabilities are kept at least `ODDS_FLOOR` away from 0 and 1. Answers outside [0, 1] are no probabilities and are
    returned unchanged.

    Args:
        answers: Probabilities float32 (n, K).
        predicted: Class index of each row, int64 (n,).
    """
    rows = np.arange(len(answers))
    own = answers[rows, predicted].astype(np.float64)
    if len(answers) and not (answers.min() >= 0 and answers.max() <= 1):
        return own
    # The sum over the other classes keeps more digits than 1 - p.
    rest = answers.astype(np.float64).sum(axis=1) - own
    rest[rest < ODDS_FLOOR] = ODDS_FLOOR
    return np.asarray(np.log(np.maximum(own, ODDS_FLOOR) / rest))


def resized(maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return maps (n, h, w) at another size, (n, H, W).

    Values are interpolated linearly between the centres of the cells.
    """
    down, along = (_interpolation(old, new) for old, new in zip(maps.shape[1:], shape, strict=True))
    return np.asarray(np.einsum("Hh,nhw,Ww->nHW", down, maps, along, optimize=True), np.float32)


def _interpolation(old: int, new: int) -> FloatArray:
    """Return the weights of linear interpolation, float32 (new, old).

    Each row holds at most two weights other than 0.
    """
    places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    weights: FloatArray = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(old))).astype(np.float32)
    return weights


def _starts(length: int, side: int) -> list[int]:
    """Return the first pixel of each patch along one side.

    Patches move in steps of about half their side, and the last one ends at the edge.
    """
    count = int(np.ceil((length - side) / max(side // 2, 1))) + 1
    return [int(start) for start in np.unique(np.linspace(0, length - side, count).round())]
