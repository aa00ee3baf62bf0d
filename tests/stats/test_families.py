"""The worst of several estimates is right on average."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from roentgate.arrays import DoubleArray
from roentgate.stats.families import median_unbiased_maximum

ROWS, DRAWS = 240, 400


def drawn(truths: list[float], shared: float, seed: int = 0) -> DoubleArray:
    """Draw whether each row is a hit under each condition, (draws, conditions, rows).

    ``shared`` is the correlation of a row's scores between conditions.
    """
    rng = np.random.default_rng(seed)
    common, own = (rng.standard_normal((DRAWS, part, ROWS)) for part in (1, len(truths)))
    scores = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    return np.asarray(scores < special.ndtri(truths)[:, None], np.float64)


def maxima(hits: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Return the plain and the corrected maximum of each draw."""
    values = hits.mean(axis=2)
    influences = (hits - values[:, :, None]) / ROWS
    corrected = [median_unbiased_maximum(*pair) for pair in zip(values, influences, strict=True)]
    return values.max(axis=1), np.array(corrected)


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("number", [2, 5])
def test_the_worst_of_equal_truths_is_too_high_as_often_as_too_low(number: int, shared: float) -> None:
    plain, corrected = maxima(drawn([0.1025] * number, shared))
    assert 0.40 <= (corrected <= 0.1025).mean() <= 0.60
    if (number, shared) == (5, 0.0):
        assert (plain <= 0.1025).mean() < 0.1


def test_a_condition_that_shows_harm_is_not_averaged_away() -> None:
    """One infill lies at twice the bound, and four others at the bound or far below it."""
    for others in (0.1, 0.02):
        plain, corrected = maxima(drawn([0.2, *[others] * 4], 0.5))
        assert (corrected > 0.1).all()
        assert np.median(plain - corrected) <= 0.01


def test_a_dominating_condition_is_the_value_itself() -> None:
    hits = drawn([0.5, 0.01, 0.02], 0.3)
    plain, corrected = maxima(hits)
    assert corrected.tolist() == pytest.approx(plain.tolist(), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 40))
def test_the_value_lies_between_the_mildest_and_the_worst(seed: int, number: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    hits = (rng.random((number, rows)) < rng.random((number, 1))).astype(np.float64)
    values = hits.mean(axis=1)
    influences = (hits - values[:, None]) / rows
    found = median_unbiased_maximum(values, influences)
    assert values.min() <= found <= values.max()
    assert found == median_unbiased_maximum(values, influences)
    assert number > 1 or found == values[0]


def test_conditions_without_spread_are_taken_as_they_are() -> None:
    hits = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    values = hits.mean(axis=1)
    assert median_unbiased_maximum(values, (hits - values[:, None]) / 3) == 1.0
