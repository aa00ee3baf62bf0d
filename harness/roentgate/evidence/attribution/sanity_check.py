"""Parameter randomisation test of explainers.

An explainer passes if its maps change when the learned weights of the network are replaced by random ones. The test is
made for each model and method.

Images are explained by the trained network and by networks whose learned weights are all random. Both explain the class
that the trained network predicts. The positive part of each map is compared, averaged down to at most `SIDE` pixels and
scaled to a largest value of 1. Two measures of similarity are taken, each a mean over images:

* Structural similarity. It has no natural zero, because sparse maps are similar in their empty parts. Its reference is
  the mean over pairs of *different* images under the trained network. After randomisation a map must be less similar to
  its earlier self than the maps of two different images are. This is the rule of Arun et al. (2021).
* Spearman's rank correlation. It is 0 for unrelated maps. Its whole interval must lie below a ceiling (0.5). Without
  this measure, a model that looks at the same place in all images would have a reference of 1, which any map is below.

The claim is about random networks, so the intervals are over the networks that are drawn. A map that is empty or flat
before or after has no ranks. Such images are left out and counted. If too few remain, the test is undecided, and an
undecided test is not passed.

References:
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018 (cascading randomisation).
    Arun et al., Radiology: Artificial Intelligence 3 (2021) e200267.
    Wang, Bovik, Sheikh and Simoncelli, IEEE Transactions on Image Processing 13 (2004) 600-612 (SSIM).
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import RealArray
from roentgate.errors import ArgumentError
from roentgate.stats import Estimate, undefined

SIDE = 64
"""Most pixels of the longer side of a map when maps are compared."""
FEWEST_DRAWS = 3
_SIGMA, _RADIUS = 1.5, 5  # Wang's window: a Gaussian, 11 pixels wide
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2  # Wang's constants for values in [0, 1]


@dataclass(frozen=True, eq=False)
class SanityCheck:
    """Result of the parameter randomisation test of one explainer.

    Attributes:
        method: The explainer.
        similarity: Structural similarity of each image's maps before and after, float (draws, images). NaN if either
            map is empty.
        correlation: Rank correlation of the same maps, float (draws, images). NaN if either map is flat.
        others: Structural similarity of the maps of two different images under the trained network, float (pairs,).
        cascade: Of one draw, (share of the weighted layers replaced from the top, mean similarity, mean correlation).
        ceiling: Upper bound for the interval of the rank correlation.
        refusal: Why the explainer could not be tested, or "".
    """

    method: str
    similarity: RealArray
    correlation: RealArray
    others: RealArray
    cascade: tuple[tuple[float, float, float], ...]
    ceiling: float
    refusal: str = ""

    @property
    def correlated(self) -> Estimate:
        """Rank correlation of maps before and after randomisation.

        It lies between -1 and 1, and lower is better. Mean and t interval over draws.
        """
        return mean_of(_by_draw(self.correlation), low=-1.0, high=1.0, unit="random network")

    @property
    def similarity_change(self) -> Estimate:
        """Structural similarity before and after, minus that between images.

        It lies between -2 and 2, and must be below 0. Mean and t interval over draws.
        """
        finite = self.others[np.isfinite(self.others)]
        reference = finite.mean() if finite.size else math.nan
        return mean_of(_by_draw(self.similarity) - reference, low=-2.0, high=2.0, unit="random network")

    @property
    def passed(self) -> bool:
        """Whether this explainer passes the test on this model."""
        correlated, similarity_change = self.correlated, self.similarity_change
        return (
            correlated.defined
            and similarity_change.defined
            and correlated.high < self.ceiling
            and similarity_change.high < 0
        )

    @property
    def summary(self) -> str:
        """One line with the result, both measures and their bounds."""
        if self.refusal:
            return f"sanity check not possible: {self.refusal}"
        correlated, similarity_change = self.correlated, self.similarity_change
        left = int(np.isnan(self.correlation).sum())
        empty = f"; {left} of {self.correlation.size} maps empty and left out" if left else ""
        if not (correlated.defined and similarity_change.defined):
            return f"sanity check undecided: too few random networks left enough of a map to compare{empty}"
        between = float(np.nanmean(self.others))
        result = "passed" if self.passed else "failed"
        return (
            f"sanity check {result}: with all weights random, maps keep a rank correlation of {correlated.value:.2f} "
            f"(at most {correlated.high:.2f}, ceiling {self.ceiling:g}) and a structural similarity of "
            f"{similarity_change.value + between:.2f} (at most {similarity_change.high + between:.2f}; "
            f"{between:.2f} between images){empty}"
        )


def untested(method: str, refusal: str, *, ceiling: float) -> SanityCheck:
    """Return the result for an explainer that cannot be tested.

    It counts as not passed.
    """
    empty = np.zeros((0, 0))
    return SanityCheck(method, empty, empty, np.zeros(0), (), ceiling, refusal)


def survives(sanity_check: SanityCheck) -> Estimate:
    """Rank correlation of maps before and after all weights are random.

    It lies between -1 and 1, and lower is better.

    Returns:
        Mean and 95 % t interval over random networks. NaN in [-1, 1] if the explainer could not be tested. The detail
        says whether it passes, which also depends on the structural similarity.

    References:
        See the module.
    """
    return replace(sanity_check.correlated, detail=sanity_check.summary)


def mean_of(values: RealArray, *, low: float, high: float, unit: str, detail: str = "") -> Estimate:
    """Mean of independent values with Student's t interval.

    Args:
        values: Finite numbers (n,).
        low: Least possible mean. The interval is cut to it.
        high: Largest possible mean. The interval is cut to it.
        unit: What one value stands for.
        detail: Text for the scorecard.

    Returns:
        Value and 95 % interval. NaN in [``low``, ``high``] for fewer than two values or a value that is not finite.
    """
    from scipy import special

    n, method = len(values), "Student's t"
    if n < 2 or not np.isfinite(values).all():
        return undefined(n, low=low, high=high, method=method, unit=unit, detail=detail)
    value = float(values.mean())
    half = float(special.stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)
    low, high = max(low, value - half), min(high, value + half)
    return Estimate(value=value, low=low, high=high, n=n, method=method, unit=unit, detail=detail)


def shown(maps: RealArray) -> NDArray[np.float64]:
    """Return the positive part of maps (n, H, W), reduced and scaled.

    Maps are averaged down to at most `SIDE` pixels and scaled to a largest value of 1. A map without positive values
    is 0.
    """
    positive = np.maximum(maps, 0).astype(np.float64)
    factor = max(1, math.ceil(max(positive.shape[1:]) / SIDE))
    height, width = (side - side % factor for side in positive.shape[1:])
    blocks = positive[:, :height, :width].reshape(len(maps), height // factor, factor, width // factor, factor)
    small = blocks.mean(axis=(2, 4))
    largest = small.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(small, largest, out=np.zeros_like(small), where=largest > 0))


def structural_similarity(first: RealArray, second: RealArray) -> NDArray[np.float64]:
    """Return the mean structural similarity of each pair of images, (n,).

    It is 1 for equal images. The definition is that of Wang et al.: a Gaussian window of standard deviation 1.5, 11
    pixels wide, with images mirrored at the edge. NaN if either image is empty (all 0), because an empty map holds
    nothing to compare.

    Args:
        first: Images (n, H, W) in [0, 1].
        second: Images of the same shape.

    Raises:
        ArgumentError: The shapes differ.
    """
    _same_shape(first, second)
    from scipy import ndimage

    def blurred(images: RealArray) -> RealArray:
        return np.asarray(ndimage.gaussian_filter(images, (0, _SIGMA, _SIGMA), radius=(0, _RADIUS, _RADIUS)))

    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    mean_x, mean_y = blurred(x), blurred(y)
    variances = blurred(x**2) - mean_x**2 + blurred(y**2) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _LUMINANCE) / (mean_x**2 + mean_y**2 + _LUMINANCE)
    similarity = (luminance * (2 * covariance + _CONTRAST) / (variances + _CONTRAST)).mean(axis=(1, 2))
    empty = (x.max(axis=(1, 2), initial=0) <= 0) | (y.max(axis=(1, 2), initial=0) <= 0)
    return np.where(empty, np.nan, similarity)


def rank_correlation(first: RealArray, second: RealArray) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of each pair of images, (n,).

    NaN if either image is flat.

    Args:
        first: Images (n, H, W).
        second: Images of the same shape.

    Raises:
        ArgumentError: The shapes differ.
    """
    _same_shape(first, second)
    from scipy import stats

    ranks = [stats.rankdata(images.reshape(len(images), -1), axis=1) for images in (first, second)]
    x, y = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    lengths = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    correlation = np.full(len(first), np.nan)
    np.divide((x * y).sum(axis=1), lengths, out=correlation, where=lengths > 0)
    return correlation


def between_images(maps: RealArray) -> NDArray[np.float64]:
    """Return the structural similarity of the maps of every two images.

    Args:
        maps: Maps (n, H, W).

    Returns:
        Similarities float64 (n (n - 1) / 2,).
    """
    pairs = np.array(list(combinations(range(len(maps)), 2)), dtype=np.int64).reshape(-1, 2)
    return structural_similarity(maps[pairs[:, 0]], maps[pairs[:, 1]])


def _by_draw(values: RealArray) -> NDArray[np.float64]:
    """Return the mean over images of each draw.

    Draws with more than half of the images missing are left out. The result is empty if fewer than `FEWEST_DRAWS`
    remain.
    """
    kept = np.isfinite(values).mean(axis=1) >= 0.5 if values.size else np.zeros(len(values), dtype=bool)
    if kept.sum() < FEWEST_DRAWS:
        return np.zeros(0)
    return np.asarray(np.nanmean(values[kept], axis=1))


def _same_shape(first: RealArray, second: RealArray) -> None:
    if first.shape != second.shape or first.ndim != 3:
        raise ArgumentError(f"maps of shapes {first.shape} and {second.shape}: compare maps (n, H, W) of one shape")
