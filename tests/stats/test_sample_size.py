"""Tests of sample sizes.

The number of further images is compared with enumeration, the chance of a worse model with the binomial.
"""

import doctest

import numpy as np
import pytest
from scipy import stats

from roentgate.stats import sample_size as module
from roentgate.stats.estimate import Direction, mean, proportion, settled
from roentgate.stats.sample_size import chance_accepted, further_rows


def test_its_examples_hold() -> None:
    assert doctest.testmod(module).failed == 0


def settling_probability(hits: int, n: int, extra: int, bound: float) -> float:
    """Return the probability that ``extra`` further rows settle the verdict by themselves.

    It is enumerated over rows at the observed rate.
    """
    more = np.arange(extra + 1)
    counted, missed = more, extra - more
    low = np.where(counted, stats.beta.ppf(0.025, np.maximum(counted, 1), missed + 1), 0)
    high = np.where(missed, stats.beta.isf(0.025, counted + 1, np.maximum(missed, 1)), 1)
    return float(np.sum(stats.binom.pmf(more, extra, hits / n)[(low >= bound) | (high < bound)]))


@pytest.mark.parametrize(("hits", "n", "bound"), [(10, 10, 0.80), (36, 40, 0.80), (15, 20, 0.90), (2, 20, 0.30)])
def test_further_rows_is_the_first_number_that_settles_in_four_draws_of_five(hits: int, n: int, bound: float) -> None:
    estimate = proportion(hits, n)
    direction: Direction = "at_least" if bound > 0.5 else "at_most"
    assert settled(estimate, bound, direction) is None
    further = further_rows(estimate, bound, direction)
    assert further is not None
    assert settling_probability(hits, n, further, bound) >= 0.8
    assert all(settling_probability(hits, n, fewer, bound) < 0.8 for fewer in range(1, further))


def test_thousands_of_further_rows_are_found_to_the_row() -> None:
    further = further_rows(proportion(88, 100), 0.90, "at_least")
    assert further is not None
    assert further > 1000
    assert settling_probability(88, 100, further, 0.90) >= 0.8
    assert all(settling_probability(88, 100, further - fewer, 0.90) < 0.8 for fewer in range(1, 200))


def test_rows_that_were_judged_are_not_judged_again() -> None:
    """Ten rows without a miss are no part of the seventeen that settle 0.80 by themselves."""
    assert further_rows(proportion(10, 10), 0.80, "at_least") == 17
    assert further_rows(proportion(16, 16), 0.80, "at_least") == 17


@pytest.mark.parametrize(("hits", "n", "bound", "further"), [(50, 60, 0.79883, 1005), (43, 60, 0.68017, 1253)])
def test_no_number_of_further_rows_is_passed_over_where_the_search_widens(
    hits: int, n: int, bound: float, further: int
) -> None:
    assert further_rows(proportion(hits, n), bound, "at_least") == further
    assert settling_probability(hits, n, further, bound) >= 0.8
    assert settling_probability(hits, n, further - 1, bound) < 0.8


def test_further_rows_keep_the_level_of_the_family() -> None:
    plain = further_rows(proportion(8, 40), 0.10, "at_most")
    family = further_rows(proportion(8, 40, low_confidence=1 - 0.05 / 4), 0.10, "at_most")
    assert plain is not None
    assert family is not None
    assert plain < family
    floor = further_rows(proportion(32, 40), 0.90, "at_least")
    upper = further_rows(proportion(32, 40, confidence=1 - 0.05 / 4, low_confidence=0.95), 0.90, "at_least")
    assert (floor, upper) == (plain, family)
    assert further_rows(proportion(32, 40, confidence=1 - 0.05 / 4), 0.90, "at_least") == upper


def test_further_rows_has_no_answer_on_the_bound_or_next_to_it_or_without_counts() -> None:
    assert further_rows(proportion(9, 10), 0.9, "at_least") is None
    assert further_rows(proportion(10, 10), 1.0, "at_least") is None
    assert further_rows(proportion(901, 1000), 0.9, "at_least") is None
    assert further_rows(proportion(0, 0), 0.9, "at_least") is None
    assert further_rows(mean([proportion(8, 10)]), 0.9, "at_least") is None
    assert further_rows(proportion(100, 100), 0.9, "at_least") == 0


def test_chance_accepted_matches_the_documented_gate() -> None:
    """The chance accepted agrees with the documented example.

    The simple rule with a bound of 0.90 at n = 40 accepts a true 0.85 in 26 % of draws.
    """
    assert chance_accepted(40, 0.90, "at_least") == pytest.approx(0.26, abs=5e-3)
    assert chance_accepted(40, 0.10, "at_most") == pytest.approx(stats.binom.cdf(4, 40, 0.15))
    assert chance_accepted(100, 0.07, "at_most") == pytest.approx(stats.binom.cdf(7, 100, 0.12))


def test_chance_accepted_is_undefined_without_rows_or_beyond_certainty() -> None:
    assert chance_accepted(0, 0.9, "at_least") is None
    assert chance_accepted(10, 0.03, "at_least") is None
    assert chance_accepted(10, 0.97, "at_most") is None
    assert chance_accepted(10, 0.05, "at_least") == 0.0
    assert chance_accepted(10, 0.95, "at_most") == 0.0  # a true rate of 1, which shows as 1
