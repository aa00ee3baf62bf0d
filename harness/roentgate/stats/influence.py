"""What each independent unit adds to the error of a number.

The sum of the squares is the variance of the number. Two numbers of the same units have the sum of the products as
their covariance.
"""

import math
from collections.abc import Sequence

import numpy as np

from roentgate.arrays import DoubleArray, IntArray


def of_rows(values: DoubleArray, groups: Sequence[str] | None) -> DoubleArray:
    """Return the influence of each unit on the mean of ``values`` (n,).

    Units are rows. If ``groups`` (n,) are given, they are groups in the order of their sorted names.
    """
    if not len(values):
        return values
    residuals = (values - values.mean()) / len(values)
    return residuals if groups is None else by_group(residuals, groups)


def by_group(residuals: DoubleArray, groups: Sequence[str]) -> DoubleArray:
    """Return the sums of ``residuals`` (n,) over groups, in the order of their sorted names."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    few = math.sqrt(len(names) / (len(names) - 1)) if len(names) > 1 else 1.0
    return np.asarray(np.bincount(index, residuals, len(names)) * few, np.float64)


def of_mean(
    parts: Sequence[DoubleArray | None], groups: Sequence[str] | None, labels: IntArray | None
) -> DoubleArray | None:
    """Return the influence on a mean of parts, or None if that on a part is unknown.

    Args:
        parts: Influences on each part, over rows of its own.
        groups: (n,) the group of each row, if groups are known.
        labels: (n,) which part each row belongs to, from 0.
    """
    known = [part / len(parts) for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if groups is None or labels is None:
        return np.concatenate(known)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    total = np.zeros(len(names))
    for label, part in enumerate(known):
        members = np.unique(index[labels == label])
        if len(members) != len(part):
            return None
        total[members] += part
    return total
