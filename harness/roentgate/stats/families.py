"""The worst of several estimates of the same rows, without the bias of choosing it."""

from functools import cache

import numpy as np

from roentgate.arrays import DoubleArray

DRAWS = 2000
"""Random draws of the noise. Each is used with both signs, so that their median is exactly 0 for a single estimate."""


BAND = 1.5
"""Standard errors of a difference within which a value counts as equal to the largest."""


def median_unbiased_maximum(values: DoubleArray, influences: DoubleArray) -> float:
    """Return an estimate of the largest truth that is too large as often as too small.

    The largest of k values is too large: five equal truths lie below it in 31 of 32 draws if their errors are
    independent. Each value is therefore reduced by k standard errors before the largest is taken. k is the median of
    the largest standardised error, with the errors' correlation taken from the rows. A value counts for k by as much as
    it may be the largest: its error is set back by what it lies below the largest beyond `BAND` standard errors of
    their difference. If one value lies far above all others, k is 0 and the result is that value.

    Args:
        values: k estimates, (k,).
        influences: What each independent unit adds to the error of each estimate, (k, units).

    Returns:
        A number between the smallest and the largest value.

    References:
        Chernozhukov, Lee and Rosen, Econometrica 81 (2013) 667-737 (intersection bounds, half-median unbiased).
    """
    first = int(np.argmax(values))
    covariance = influences @ influences.T
    errors = np.sqrt(np.diag(covariance))
    if not errors[first]:
        return float(values[first])
    apart = np.sqrt(np.maximum(covariance[first, first] + errors**2 - 2 * covariance[first], 0.0))
    behind = np.maximum(values[first] - values - BAND * apart, 0.0)
    noisy = np.flatnonzero(errors)
    weights, directions = np.linalg.eigh(covariance[np.ix_(noisy, noisy)])
    # The symmetric root does not depend on the signs and the basis that a LAPACK chooses.
    noise = _draws(len(noisy)) @ ((directions * np.sqrt(np.maximum(weights, 0.0))) @ directions.T)
    largest = ((noise - behind[noisy]) / errors[noisy]).max(axis=1)
    found = float((values - np.median(largest) * errors).max())
    return min(max(found, float(values.min())), float(values[first]))


@cache
def _draws(width: int) -> DoubleArray:
    """Return standard normal draws (2 `DRAWS`, width), each with its negative."""
    half = np.random.default_rng(0).standard_normal((DRAWS, width))
    return np.concatenate([half, -half])
