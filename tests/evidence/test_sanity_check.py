"""Tests of the similarity of maps and of the parameter randomisation test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from roentgate.errors import ArgumentError
from roentgate.evidence.attribution import sanity_check
from roentgate.evidence.attribution.sanity_check import SanityCheck

DRAWS, IMAGES = 5, 12
FloatArray = NDArray[np.float64]


def maps(seed: int, count: int = IMAGES, side: int = 24) -> FloatArray:
    return sanity_check.shown(np.random.default_rng(seed).normal(size=(count, side, side)))


def judged(before: FloatArray, after: list[FloatArray], ceiling: float = 0.5) -> SanityCheck:
    """Return the sanity check of an explainer that made these maps.

    Args:
        before: Maps of the trained network.
        after: Maps of each random network.
        ceiling: Ceiling of the rank correlation.
    """
    return SanityCheck(
        method="explainer",
        similarity=np.stack([sanity_check.structural_similarity(before, each) for each in after]),
        correlation=np.stack([sanity_check.rank_correlation(before, each) for each in after]),
        others=sanity_check.between_images(before),
        cascade=(),
        ceiling=ceiling,
    )


# Similarity


def ssim_by_hand(first: FloatArray, second: FloatArray) -> float:
    """Return Wang's index, window by window, without the outer 5 pixels."""
    offsets = np.arange(-5, 6)
    window = np.exp(-0.5 * (offsets[:, None] ** 2 + offsets**2) / 1.5**2)
    window /= window.sum()
    values = []
    for row in range(5, first.shape[0] - 5):
        for column in range(5, first.shape[1] - 5):
            x, y = (image[row - 5 : row + 6, column - 5 : column + 6] for image in (first, second))
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            variances = (window * (x - mean_x) ** 2).sum() + (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
            values.append(luminance * (2 * covariance + 9e-4) / (variances + 9e-4))
    return float(np.mean(values))


def test_structural_similarity_is_wangs() -> None:
    first, second = maps(0, 1), maps(1, 1)
    blend = (first + second) / 2
    found = sanity_check.structural_similarity(first, blend)[0]
    assert found == pytest.approx(ssim_by_hand(np.pad(first[0], 5, "symmetric"), np.pad(blend[0], 5, "symmetric")))
    assert found > sanity_check.structural_similarity(first, second)[0]


def test_equal_maps_are_wholly_alike_and_empty_ones_are_not_compared() -> None:
    noise = maps(0, 2)
    np.testing.assert_allclose(sanity_check.structural_similarity(noise, noise), 1)
    np.testing.assert_allclose(sanity_check.rank_correlation(noise, noise), 1)
    empty = np.zeros_like(noise)
    for first, second in ((noise, empty), (empty, noise), (empty, empty)):
        assert np.isnan(sanity_check.structural_similarity(first, second)).all()
        assert np.isnan(sanity_check.rank_correlation(first, second)).all()


def test_rank_correlation_is_spearmans_with_ties() -> None:
    first, second = maps(0, 3), np.round(maps(1, 3), 1)
    expected = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(sanity_check.rank_correlation(first, second), expected)


def test_maps_of_other_shapes_are_refused() -> None:
    for measure in (sanity_check.structural_similarity, sanity_check.rank_correlation):
        with pytest.raises(ArgumentError, match=r"compare maps \(n, H, W\) of one shape"):
            measure(maps(0, 2), maps(0, 3))


def test_what_is_shown_is_the_positive_part_averaged_down_and_scaled_to_one() -> None:
    raw = np.zeros((2, 256, 130))
    raw[0, :4, :4], raw[0, 4:8, :4] = 8, -50
    found = sanity_check.shown(raw)
    assert found.shape == (2, 64, 32)
    assert (found[0, 0, 0], found[0].sum()) == (1, 1)
    assert not found[1].any()


# The rule


def test_an_explainer_that_ignores_the_weights_fails() -> None:
    """An edge detector shows the image for any network."""
    before = maps(0)
    found = judged(before, [before] * DRAWS)
    assert not found.passed
    assert found.summary.startswith(
        "sanity check failed: with all weights random, maps keep a rank correlation of 1.00"
    )


def test_an_explainer_that_keeps_most_of_the_image_fails() -> None:
    before = maps(0)
    assert not judged(before, [0.8 * before + 0.2 * maps(seed) for seed in range(1, DRAWS + 1)]).passed


def blobs(seed: int) -> FloatArray:
    """Return maps with one broad spot each, at a random place."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:24, :24]
    places = rng.uniform(0, 24, (IMAGES, 2, 1, 1))
    return sanity_check.shown(np.exp(-((rows - places[:, 0]) ** 2 + (columns - places[:, 1]) ** 2) / 40))


def test_an_explainer_that_follows_the_weights_passes() -> None:
    rng = np.random.default_rng(9)
    noise = [sanity_check.shown(np.maximum(rng.normal(size=(IMAGES, 24, 24)), 0)) for _ in range(DRAWS)]
    found = judged(blobs(0), noise)
    assert found.passed
    assert found.summary.startswith("sanity check passed: with all weights random")


def test_a_model_that_uses_the_same_place_in_all_images_sets_itself_no_easy_reference() -> None:
    """All its maps are similar, so only the rank correlation fails."""
    corner = np.tile(np.outer(np.arange(24.0), np.arange(24.0)), (IMAGES, 1, 1))
    before = sanity_check.shown(corner + 0.01 * maps(0))
    found = judged(
        before, [sanity_check.shown(corner + 0.2 * corner.max() * maps(seed)) for seed in range(1, DRAWS + 1)]
    )
    assert found.similarity_change.high < 0
    assert found.correlated.low > 0.5
    assert not found.passed


def test_empty_maps_are_left_out_and_counted_and_too_many_leave_it_undecided() -> None:
    rng = np.random.default_rng(9)
    noise = [sanity_check.shown(rng.normal(size=(IMAGES, 24, 24))) for _ in range(DRAWS)]
    noise[0][:3] = 0
    assert "; 3 of 60 maps empty and left out" in judged(blobs(0), noise).summary
    for draw in noise[:3]:
        draw[:] = 0
    found = judged(blobs(0), noise)
    assert not found.passed
    assert found.summary.startswith("sanity check undecided: too few random networks left enough of a map to compare")
    assert math.isnan(sanity_check.survives(found).value)


def test_a_ceiling_is_a_ceiling() -> None:
    rng = np.random.default_rng(9)
    noise = [sanity_check.shown(np.maximum(rng.normal(size=(IMAGES, 24, 24)), 0)) for _ in range(DRAWS)]
    found = judged(blobs(0), noise)
    high = found.correlated.high
    assert not replace(found, ceiling=high).passed
    assert replace(found, ceiling=high + 1e-9).passed


def test_what_could_not_be_tested_has_not_passed() -> None:
    found = sanity_check.untested("occlusion", "the parameters are out of reach", ceiling=0.5)
    assert not found.passed
    estimate = sanity_check.survives(found)
    assert (estimate.n, estimate.detail) == (0, "sanity check not possible: the parameters are out of reach")
    assert (estimate.low, estimate.high, estimate.defined) == (-1, 1, False)


def test_the_mean_has_students_interval() -> None:
    values = np.array([0.1, 0.2, 0.4, 0.1])
    found = sanity_check.mean_of(values, low=-1, high=1, unit="image")
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    np.testing.assert_allclose([found.value, found.low, found.high, found.n], [0.2, low, high, 4])
    assert not sanity_check.mean_of(values[:1], low=-1, high=1, unit="image").defined
