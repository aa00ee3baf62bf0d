"""What a larger sample would settle, and what a small one lets pass.

`further_rows` says how many rows would settle a verdict. `chance_accepted` says how easily a worse model passes.
"""

import math
from functools import partial

import numpy as np

from roentgate.stats import intervals
from roentgate.stats.estimate import Direction, Estimate, settled
from roentgate.stats.intervals import TAIL

MOST_FURTHER_ROWS = 100_000
POWER = 0.8
"""Least probability with which the further rows settle a verdict."""


def further_rows(estimate: Estimate, bound: float, direction: Direction) -> int | None:
    """Return how many further rows would settle a verdict by themselves.

    It is the least number whose own interval lies on one side of the bound with a probability of `POWER` or more. The
    further rows count at the rate observed so far, and both limits keep the levels of this estimate. The probability is
    summed exactly over the binomial distribution. The rows of this estimate are not counted again: they are why more
    are wanted, and a verdict on old and new rows together would be a second look at the old ones.

    Returns:
        0 if it is settled already. None if this is no plain proportion of rows (``hits`` is None), if the rate equals
        the bound, or if more than 100,000 rows would be needed.

    Examples:
        >>> from roentgate.stats.estimate import proportion
        >>> further_rows(proportion(10, 10), 0.80, "at_least")  # 17 rows without a miss settle 0.80
        17
    """
    if estimate.hits is None or not estimate.defined:
        return None
    if settled(estimate, bound, direction):
        return 0
    n, hits, rate = estimate.n, estimate.hits, estimate.value
    low_tail = float(intervals.reaching(hits, n, estimate.low)) if hits else TAIL
    high_tail = float(intervals.reaching(n - hits, n, 1 - estimate.high)) if hits < n else TAIL
    settling = partial(intervals.settling, rate, bound=bound, low_tail=low_tail, high_tail=high_tail)
    first, last = 1, 0 if rate == bound else 1000
    while first < last:
        if last == 1000 or settling(np.array([last]))[0] > 0.5:  # beyond 1,000 it is nearly monotone
            enough = np.flatnonzero(settling(np.arange(first, last + 1)) >= POWER)
            if enough.size:
                return first + int(enough[0])
        first, last = last + 1, min(last * 5 // 4, MOST_FURTHER_ROWS)
    return None


def chance_accepted(n: int, bound: float, direction: Direction, *, worse_by: float = 0.05) -> float | None:
    """Return how likely a rate worse than the bound is to be accepted.

    The true rate is ``worse_by`` worse than the bound. It is accepted if its share of n rows meets the bound.

    Returns:
        An exact binomial probability. None without rows, or if no rate can be that much worse than the bound.

    Examples:
        >>> print(f"{chance_accepted(40, 0.90, 'at_least'):.2f}")
        0.26
    """
    true = bound - worse_by if direction == "at_least" else bound + worse_by
    if n == 0 or not 0 <= true <= 1:
        return None
    if direction == "at_least":
        return float(intervals.reaching(math.ceil(n * bound - 1e-9), n, true))
    return 1 - float(intervals.reaching(math.floor(n * bound + 1e-9) + 1, n, true))
