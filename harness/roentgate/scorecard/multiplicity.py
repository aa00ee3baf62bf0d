"""Many bounds at once: how often chance alone refuses a sound model, and which misses outlast the number of tests."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from roentgate.errors import ArgumentError
from roentgate.scorecard.record import Row
from roentgate.stats import EXACT, TAIL, Direction, Gate, chance_accepted, intervals

P_VALUES: Final = frozenset({"class_columns_match"})
"""Checks whose value is a p-value and whose bound is the level at which it refuses."""

WORST_OF_FILLS: Final = frozenset({"border_masked_recall", "border_only_skill"})
"""Checks that hold the worst of several infills against one bound; `FILLS_OF` has a row for each infill."""

FILLS_OF: Final = "border_mask_flips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A bound whose chance of refusing is known exactly: a share of independent rows, or a p-value.

    Attributes:
        n: Rows of the share; 0 for a p-value.
        bound: Floor or ceiling of the share; the level of a p-value.
        direction: On which side of the bound the share should lie.
        times: Bounds behind it: the infills that are judged by their worst.
        p: P-value that a model exactly on the bound shows a miss at least as large (by Bonferroni over ``times``).
        misses: Whether the value misses the bound.
        row: Where it came from; None where it is a plan and not a result.
    """

    n: int
    bound: float
    direction: Direction
    times: int = 1
    p: float = 1.0
    misses: bool = False
    row: Row | None = None

    def chance_refused(self, gate: Gate, better_by: float) -> float:
        """Probability that the gate refuses a model whose true share is ``better_by`` better than the bound.

        Exact, for one share. Where the bound leaves no room, the model is one without any fault. A p-value refuses a
        sound model in ``bound`` of all test sets, and under the guarded rule in up to half as many again, where the
        random orders that gave it leave it in doubt.
        """
        if not self.n:
            return self.bound
        if gate == "simple":
            accepted = chance_accepted(self.n, self.bound, self.direction, worse_by=-better_by)
            return 0.0 if accepted is None else 1 - accepted
        floor = self.bound if self.direction == "at_least" else 1 - self.bound
        return 1 - chance_passed(self.n, floor, min(floor + better_by, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How often at least one of several bounds refuses a model that is equally much better than each of them.

    Attributes:
        together: Where the rows err together: the largest single chance, below which it cannot be.
        independent: Where they err independently.
        apart: Where no two err at once: the sum of the chances (Bonferroni), at most 1, above which it cannot be.
    """

    together: float
    independent: float
    apart: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number: those at or below a include a wrong one with probability a at most.

    The i-th smallest of m is multiplied by m - i + 1, and none is less than one before it or more than 1. It holds
    whatever the dependence between the tests.

    Args:
        p_values: m numbers in [0, 1], in any order.

    Returns:
        The adjusted p-values, in the order given.

    Raises:
        ArgumentError: A number is not in [0, 1].

    References:
        Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.

    Examples:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
        [0.03, 0.06, 0.06, 0.02]
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ArgumentError(f"{list(p_values)} are not all p-values; give numbers from 0 to 1")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def chance_passed(n: int, floor: float, true: float) -> float:
    """Probability that a share of n rows whose true rate is ``true`` passes a floor (lower limit at or above it)."""
    enough = np.count_nonzero(intervals.reaching(np.arange(n + 1), n, floor) > TAIL)
    return float(intervals.reaching(enough, n, true))


def sampled(rows: Iterable[Row]) -> list[Row]:
    """Return the gating rows that hold a sample against a bound; a census has limits, and no width between them."""
    bounded = [row for row in rows if row["gates"] and row["bound"] is not None]
    return [row for row in bounded if row["low"] != row["high"] or (row["low"] is None and row["value"] is not None)]


def infills(rows: Iterable[Row]) -> int:
    """Number of infills that a row of `WORST_OF_FILLS` judges by the worst; 1 where no row tells."""
    return max(1, len({row["subject"].rpartition(", ")[2] for row in rows if row["check"] == FILLS_OF}))


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Return the sampled rows whose chances are exact: plain shares of independent rows, and p-values.

    Areas under a curve, differences, ratios and means are none, nor are shares over patients with several images.
    """
    number = infills(rows)
    made = (_claim(row, number if row["check"] in WORST_OF_FILLS else 1) for row in sampled(rows))
    return [claim for claim in made if claim is not None]


def refused_by_chance(claims: Sequence[Claim], *, gate: Gate, better_by: float) -> Family:
    """How often chance alone refuses a model that is ``better_by`` better than every one of these bounds.

    The truth lies between ``together`` and ``apart`` whatever the dependence. This is the price of many bounds. It has
    no counterpart on the other side: all bounds must hold, so a model that is worse than any of them passes by its
    whole intervals in 2.5 % of draws at most, however many there are (an intersection-union test), and nothing is
    corrected for it.

    Args:
        claims: Any number; of none, no chance.
        gate: ``simple`` refuses where the value misses the bound, ``guarded`` where the interval does not meet it.
        better_by: The true margin, 0.05 say; p-values have none.

    References:
        Berger, Technometrics 24 (1982) 295-300.
    """
    chances = [claim.chance_refused(gate, better_by) for claim in claims for _ in range(claim.times)]
    return Family(
        together=max(chances, default=0.0),
        independent=1 - math.prod(1 - chance for chance in chances),
        apart=min(1.0, math.fsum(chances)),
    )


def margin_for(claims: Sequence[Claim], *, gate: Gate, chance: float = 0.2) -> float | None:
    """Smallest margin, in hundredths, at which a model is refused by chance in at most ``chance`` of draws.

    It holds whatever the dependence (by the sum of the chances); None where no margin up to 1 is enough.
    """
    margins = (step / 100 for step in range(101))
    return next((m for m in margins if refused_by_chance(claims, gate=gate, better_by=m).apart <= chance), None)


def beyond_chance(claims: Sequence[Claim], level: float = TAIL, *, seeds: int = 1) -> list[tuple[Row, float]]:
    """Return the rows that miss their bound even when allowance is made for how many were tested.

    A row alone shows a miss at the level of one limit, 2.5 %. Of 40 sound rows that is one, on average; Holm's
    procedure keeps the chance of *any* such false finding to ``level``. It is offered for misses only, and changes no
    outcome: a pass needs no correction (see `refused_by_chance`), and a gate must not get more lenient with the number
    of claims that it tests.

    Args:
        claims: Any number.
        level: The chance of any false finding.
        seeds: Of how many trainings each row is the worst; each is a test more (Bonferroni).

    Returns:
        (row, its p-value adjusted by `holm` for the number of tests), smallest first.
    """
    adjusted = holm([min(1.0, seeds * claim.p) for claim in claims])
    pairs = [(claim.row, p) for claim, p in zip(claims, adjusted, strict=True) if claim.row and claim.misses]
    return sorted((pair for pair in pairs if pair[1] <= level), key=lambda pair: pair[1])


def _claim(row: Row, times: int) -> Claim | None:
    bound, value, direction = row["bound"], row["value"], row["direction"]
    if bound is None or value is None or direction is None:
        return None
    misses = value < bound if direction == "at_least" else value > bound
    if row["check"] in P_VALUES:
        return Claim(n=0, bound=bound, direction=direction, p=value, misses=misses, row=row)
    if row["method"] != EXACT or not 0 < bound < 1:
        return None
    n, hits = row["n"], round(value * row["n"])
    p = float(
        intervals.reaching(n - hits, n, 1 - bound) if direction == "at_least" else intervals.reaching(hits, n, bound)
    )
    p = min(1.0, times * p)
    return Claim(n=n, bound=bound, direction=direction, times=times, p=p, misses=misses, row=row)
