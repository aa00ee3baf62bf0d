"""From a model and images to maps of what spoke for an answer: Grad-CAM, integrated gradients, occlusion.

All of them explain one class an image, and give one signed number a pixel in units of the score: logits where they can
be reached. The first two look into a Keras network; occlusion asks `Candidate.predict` and nothing else.
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
"""Methods that need nothing but answers."""

ODDS_FLOOR: Final = 2.0**-24
"""Least probability that counts: half the distance of float32 numbers below 1; odds beyond it are not told apart."""

_BATCH = 64


class Explainer:
    """Explains the answers of one model; the network is opened on first use.

    Args:
        candidate: The model, made ready; what passes through it is counted there.
        bounds: Steps of integrated gradients, size of the patches of occlusion.
    """

    def __init__(self, candidate: Candidate, bounds: AttributionBounds) -> None:
        self._candidate = candidate
        self._bounds = bounds

    @cached_property
    def insight(self) -> "Insight":
        """The network behind the answers.

        Raises:
            ModelError: There is none, or it has several outputs.
        """
        candidate = self._candidate
        return candidate.loaded.gradients(candidate.to_input(candidate.splits.test.take([0])))

    def lacks(self, method: str) -> str:
        """Return why this model cannot be explained so; "" where it can.

        Raises:
            ArgumentError: An unknown method.
        """
        if method not in METHODS:
            raise ArgumentError(f"attribution method '{method}': unknown; {did_you_mean(method, METHODS)}")
        if method in BLACK_BOX:
            return ""
        if lacks := self._candidate.backend.lacks("gradients"):
            return lacks
        film = self._candidate.splits.test.take([0])
        if self._candidate.to_input(film).shape[1:3] != film.shape[1:3]:
            return "the model's own prepare() changes the size of an image, so that a map cannot be laid over it"
        if method == "grad_cam" and self.insight.feature_layer is None:
            return "no layer behind learned weights has a height and a width"
        return ""

    def maps(self, method: str, images: Images, predicted: IntArray) -> FloatArray:
        """Return what spoke for the called class, where: signed float32 (n, H, W); Grad-CAM is never negative.

        Args:
            method: One of `METHODS` that the model does not lack.
            images: Canonical images float32 (n, H, W, C) in [0, 1].
            called: int64 (n,) class index to explain of each image.
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
        """Return how far integrated gradients are from adding up to the score of the image less that of black.

        Returns:
            Two float32 (n,): those differences of scores, and the sums of the maps less those.
        """
        inputs, weights = self._candidate.to_input(images), self.weights(predicted)
        self._candidate.passes += 2 * len(images)
        black = np.ascontiguousarray(np.broadcast_to(self._black(inputs), inputs.shape))
        wanted = self.insight.scores(inputs, weights) - self.insight.scores(black, weights)
        return wanted, maps.sum(axis=(1, 2)) - wanted

    def weights(self, predicted: IntArray) -> FloatArray:
        """Return for each image which columns of the network make the score of its class: float32 (n, columns)."""
        columns = self.insight.columns
        shown = self._candidate.columns(np.eye(columns, dtype=np.float32), columns)
        if columns > 1:
            return np.ascontiguousarray(shown.T[predicted])
        return np.asarray(2 * shown[0][predicted] - 1)[:, None]

    @contextlib.contextmanager
    def randomised(self, layers: int | None, *, seed: int) -> Iterator[None]:
        """Lay random weights in the last ``layers`` weighted layers (None: in all) for the length of the context."""
        count = len(self.insight.weighted)
        with self.insight.randomised(count if layers is None else min(layers, count), seed=seed):
            yield

    def _black(self, inputs: Images) -> Images:
        """Return a black image, as the network is given it: (1, H, W, C)."""
        shape = (1, *self._candidate.task.image_shape)
        return self._candidate.to_input(np.zeros(shape, inputs.dtype))

    def _placed(self, maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
        """Lay feature-sized maps where in the image they belong; what the network does not see is 0."""
        top, bottom, left, right = self.insight.extent or (0, shape[0], 0, shape[1])
        found = np.zeros((len(maps), *shape), np.float32)
        found[:, top:bottom, left:right] = resized(maps, (bottom - top, right - left))
        return found


def occlusion(candidate: Model, images: Images, predicted: IntArray, *, patch: float) -> FloatArray:
    """Return by how much the log-odds of the called class fall where a patch hides the image: float32 (n, H, W).

    Square patches in steps of half their side, filled with the image's mean grey; a pixel has the mean over the patches
    that hide it. Deterministic; one forward pass a patch and one for the image.

    Args:
        candidate: Any model.
        images: Canonical images float32 (n, H, W, C) in [0, 1].
        called: int64 (n,) class index of each image.
        patch: Side of a patch, as a share of the image's shorter side.

    References:
        Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014.
    """
    height, width = images.shape[1:3]
    side = max(1, round(patch * min(height, width)))
    places = [(top, left) for top in _starts(height, side) for left in _starts(width, side)]
    found = np.empty(images.shape[:3], np.float32)
    for row, film in enumerate(images):
        infill = film.mean(axis=(0, 1))
        whole = log_odds(candidate.predict(film[None]), predicted[[row]])[0]
        total, covered = np.zeros((height, width), np.float64), np.zeros((height, width), np.int64)
        for first in range(0, len(places), _BATCH):
            part = places[first : first + _BATCH]
            hidden = np.repeat(film[None], len(part), axis=0)
            for image, (top, left) in zip(hidden, part, strict=True):
                image[top : top + side, left : left + side] = infill
            fell = whole - log_odds(candidate.predict(hidden), np.repeat(predicted[row], len(part)))
            for (top, left), value in zip(part, fell, strict=True):
                total[top : top + side, left : left + side] += value
                covered[top : top + side, left : left + side] += 1
        found[row] = total / covered
    return found


def log_odds(answers: Probabilities, predicted: IntArray) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) of the called class of each row, p no nearer to 0 or 1 than `ODDS_FLOOR`: (n,).

    Answers outside [0, 1] are no probabilities: they are returned as they are. 1 - p is the sum of the other columns,
    which holds more digits than the difference.
    """
    rows = np.arange(len(answers))
    own = answers[rows, predicted].astype(np.float64)
    if len(answers) and not (answers.min() >= 0 and answers.max() <= 1):
        return own
    others = answers.astype(np.float64).sum(axis=1) - own
    others[others < ODDS_FLOOR] = ODDS_FLOOR
    return np.asarray(np.log(np.maximum(own, ODDS_FLOOR) / others))


def resized(maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return maps (n, h, w) at another size by linear interpolation between the centres of their cells: (n, H, W)."""
    down, along = (_interpolation(old, new) for old, new in zip(maps.shape[1:], shape, strict=True))
    return np.asarray(np.einsum("Hh,nhw,Ww->nHW", down, maps, along, optimize=True), np.float32)


def _interpolation(old: int, new: int) -> FloatArray:
    """Return float32 (new, old): each row holds the two weights that make one new value of the old ones."""
    places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    weights: FloatArray = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(old))).astype(np.float32)
    return weights


def _starts(length: int, side: int) -> list[int]:
    """Return where patches begin, in steps of about half their side, so that the last one ends at the edge."""
    count = int(np.ceil((length - side) / max(side // 2, 1))) + 1
    return [int(start) for start in np.unique(np.linspace(0, length - side, count).round())]
