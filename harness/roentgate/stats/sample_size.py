"""What further rows would tell: how many would settle a verdict, and how easily a worse model passes without them."""

import math
from functools import partial

import numpy as np

from roentgate.stats import intervals
from roentgate.stats.estimate import Direction, Estimate, settled
from roentgate.stats.intervals import TAIL

MOST_FURTHER_ROWS = 100_000


def further_rows(estimate: Estimate, bound: float, direction: Direction) -> int | None:
    """Fewest further rows after which the interval would lie on one side of the bound, with probability 0.8 or more.

    The rows to come count at the rate observed so far; both limits keep the levels of this estimate; the probability is
    summed exactly over the binomial distribution.

    Returns:
        0 where it is settled already; None where there is no plain proportion of rows (``hits`` is None), the rate
        sits on the bound, or more than 100,000 rows would be needed.

    Examples:
        >>> from roentgate.stats.estimate import proportion
        >>> further_rows(proportion(10, 10), 0.80, "at_least")  # without a miss, 17 rows prove 0.80
        7
    """
    if estimate.hits is None or not estimate.defined:
        return None
    if settled(estimate, bound, direction):
        return 0
    n, hits, rate = estimate.n, estimate.hits, estimate.value
    low_tail = float(intervals.reaching(hits, n, estimate.low)) if hits else TAIL
    high_tail = float(intervals.reaching(n - hits, n, 1 - estimate.high)) if hits < n else TAIL
    settling = partial(intervals.settling, hits, n, bound=bound, low_tail=low_tail, high_tail=high_tail)
    first, last = 1, 0 if rate == bound else 1000
    while first < last:
        if last == 1000 or settling(np.array([last]))[0] > 0.5:  # beyond 1,000 the probability hardly saws
            enough = np.flatnonzero(settling(np.arange(first, last + 1)) >= 0.8)
            if enough.size:
                return first + int(enough[0])
        first, last = last + 1, min(last * 5 // 4, MOST_FURTHER_ROWS)
    return None


def chance_accepted(n: int, bound: float, direction: Direction, *, worse_by: float = 0.05) -> float | None:
    """Probability that a true rate ``worse_by`` worse than the bound shows as a share of n rows that meets it.

    Returns:
        An exact binomial probability; None without rows, or where no rate can be that much worse than the bound.

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
