"""May an explainer speak? Only if its maps come apart when what the network has learned is replaced by noise.

The rule, per model and method. Images are explained by the trained network and by networks all of whose learned weights
are random, always for the class that the trained one called. On what a map shows (its positive part, at most `SIDE`
pixels wide, its largest value 1) two likenesses of before and after are measured, each a mean over images:

* structural similarity, which has no natural zero (sparse maps are alike because they are empty). Its reference is the
  mean over pairs of *different* images under the trained network: afterwards a map must be less like its old self than
  like the map of another patient. This is the pass rule of Arun et al. (2021).
* Spearman's rank correlation, which has one: no relation is 0. It must be proven below a ceiling (0.5). Without it a
  model that looks at one place in all images would set itself a reference of 1, which everything is below.

The intervals are over random networks, of which a handful is drawn, because that is what the claim is about. A map that
is empty (or flat) before or after has no ranks: such images are left out and counted, and too few of them leave it
undecided. Undecided is not licensed.

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
"""Pixels that the longer side of a map is averaged down to before maps are compared."""
FEWEST_DRAWS = 3
_SIGMA, _RADIUS = 1.5, 5  # Wang's window: a Gaussian, 11 pixels wide
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2  # Wang's constants for values in [0, 1]


@dataclass(frozen=True, eq=False)
class SanityCheck:
    """How alike maps are before and after the weights were made random, and what that allows.

    Attributes:
        method: The explainer.
        similarity: float (draws, images) structural similarity of each image's map to its old self; NaN where either
            is empty.
        correlation: float (draws, images) rank correlation, likewise.
        others: float (pairs,) structural similarity of the maps of two different images, trained network.
        cascade: (share of the weighted layers replaced from the top, mean similarity, mean correlation) of one draw.
        ceiling: What the rank correlation must be proven below.
        refusal: Why it could not be tested; "" where it was.
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
        """Rank correlation that survives random weights (-1 to 1, lower is better): mean and t interval over draws."""
        return mean_of(_by_draw(self.correlation), low=-1.0, high=1.0, unit="random network")

    @property
    def likened(self) -> Estimate:
        """Structural similarity less that of other images' maps (-2 to 2, below 0 is good): mean, t interval."""
        others = self.others[np.isfinite(self.others)]
        reference = others.mean() if others.size else math.nan
        return mean_of(_by_draw(self.similarity) - reference, low=-2.0, high=2.0, unit="random network")

    @property
    def granted(self) -> bool:
        """Whether this explainer may speak about this model."""
        correlated, likened = self.correlated, self.likened
        return correlated.defined and likened.defined and correlated.high < self.ceiling and likened.high < 0

    @property
    def words(self) -> str:
        """One line: the two likenesses, what they were held against, and what is allowed."""
        if self.refusal:
            return f"no licence: {self.refusal}"
        correlated, likened = self.correlated, self.likened
        left = int(np.isnan(self.correlation).sum())
        empty = f"; {left} of {self.correlation.size} maps empty and left out" if left else ""
        if not (correlated.defined and likened.defined):
            return f"no licence: undecided, too few random networks left enough of a map to compare{empty}"
        others = float(np.nanmean(self.others))
        verdict = "licensed" if self.granted else "no licence"
        return (
            f"{verdict}: with all weights random, maps keep a rank correlation of {correlated.value:.2f} "
            f"(at most {correlated.high:.2f}, ceiling {self.ceiling:g}) and a structural similarity of "
            f"{likened.value + others:.2f} (at most {likened.high + others:.2f}; {others:.2f} between images){empty}"
        )


def untested(method: str, refusal: str, *, ceiling: float) -> SanityCheck:
    """Return the licence of an explainer that the test cannot be put to: never granted."""
    nothing = np.zeros((0, 0))
    return SanityCheck(method, nothing, nothing, np.zeros(0), (), ceiling, refusal)


def survives(sanity_check: SanityCheck) -> Estimate:
    """Rank correlation of maps before and after all learned weights are random (-1 to 1, lower is better).

    Returns:
        Mean and 95 % t interval over random networks; NaN in [-1, 1] where it could not be tested. The words say
        whether the explainer is licensed, by this and by the structural similarity.

    References:
        See the module.
    """
    found = sanity_check.correlated
    return replace(found, detail=sanity_check.words)


def mean_of(values: RealArray, *, low: float, high: float, unit: str, detail: str = "") -> Estimate:
    """Mean of independent values with Student's t interval; NaN in [``low``, ``high``] of fewer than two values.

    Args:
        values: (n,) finite numbers.
        low: The least the mean could be.
        high: The most it could be; the interval is cut to these two.
        unit: What one value stands for.
        detail: Words for the scorecard.
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
    """Return what maps (n, H, W) show: the positive part, averaged to at most `SIDE` pixels, its largest value 1.

    A map without positive values stays 0.
    """
    positive = np.maximum(maps, 0).astype(np.float64)
    factor = max(1, math.ceil(max(positive.shape[1:]) / SIDE))
    height, width = (side - side % factor for side in positive.shape[1:])
    blocks = positive[:, :height, :width].reshape(len(maps), height // factor, factor, width // factor, factor)
    small = blocks.mean(axis=(2, 4))
    largest = small.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(small, largest, out=np.zeros_like(small), where=largest > 0))


def structural_similarity(first: RealArray, second: RealArray) -> NDArray[np.float64]:
    """Return the mean structural similarity of each pair of images (n, H, W) in [0, 1]: (n,), 1 for equal ones.

    As Wang et al. define it: a Gaussian window of deviation 1.5, 11 pixels wide, cut at the border by mirroring.
    NaN where either image is empty (all 0): two empty maps are not alike, they say nothing.

    Raises:
        ArgumentError: The shapes differ.
    """
    _same_shape(first, second)
    from scipy import ndimage

    def blurred(images: RealArray) -> RealArray:
        return np.asarray(ndimage.gaussian_filter(images, (0, _SIGMA, _SIGMA), radius=(0, _RADIUS, _RADIUS)))

    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    mean_one, mean_two = blurred(one), blurred(two)
    spread = blurred(one**2) - mean_one**2 + blurred(two**2) - mean_two**2
    together = blurred(one * two) - mean_one * mean_two
    light = (2 * mean_one * mean_two + _LUMINANCE) / (mean_one**2 + mean_two**2 + _LUMINANCE)
    alike = (light * (2 * together + _CONTRAST) / (spread + _CONTRAST)).mean(axis=(1, 2))
    empty = (one.max(axis=(1, 2), initial=0) <= 0) | (two.max(axis=(1, 2), initial=0) <= 0)
    return np.where(empty, np.nan, alike)


def rank_correlation(first: RealArray, second: RealArray) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of each pair of images (n, H, W): (n,); NaN where either is flat.

    Raises:
        ArgumentError: The shapes differ.
    """
    _same_shape(first, second)
    from scipy import stats

    ranks = [stats.rankdata(images.reshape(len(images), -1), axis=1) for images in (first, second)]
    one, two = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    lengths = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    found = np.full(len(first), np.nan)
    np.divide((one * two).sum(axis=1), lengths, out=found, where=lengths > 0)
    return found


def between_images(maps: RealArray) -> NDArray[np.float64]:
    """Return the structural similarity of the maps of every two images (n, H, W): (n (n - 1) / 2,)."""
    pairs = np.array(list(combinations(range(len(maps)), 2)), dtype=np.int64).reshape(-1, 2)
    return structural_similarity(maps[pairs[:, 0]], maps[pairs[:, 1]])


def _by_draw(values: RealArray) -> NDArray[np.float64]:
    """Return the mean over images of each draw that kept half of them; none of fewer than `FEWEST_DRAWS` draws."""
    kept = np.isfinite(values).mean(axis=1) >= 0.5 if values.size else np.zeros(len(values), dtype=bool)
    if kept.sum() < FEWEST_DRAWS:
        return np.zeros(0)
    return np.asarray(np.nanmean(values[kept], axis=1))


def _same_shape(first: RealArray, second: RealArray) -> None:
    if first.shape != second.shape or first.ndim != 3:
        raise ArgumentError(f"maps of shapes {first.shape} and {second.shape}: compare maps (n, H, W) of one shape")
