"""The effect of testing many bounds at once.

It is measured by how often chance alone refuses a sound model, and by which misses remain after correction for the
number
of tests.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from roentgate.errors import ArgumentError
from roentgate.scorecard.shape import Row
from roentgate.stats import EXACT, TAIL, Direction, Gate, chance_accepted, intervals

P_VALUES: Final = frozenset({"class_columns_match"})
"""Checks whose value is a p-value. Their bound is the level at which the check refuses."""

WORST_OF_INFILLS: Final = frozenset({"border_masked_recall", "border_only_skill"})
"""Checks that compare the worst of several infills with one bound. Rows of older records do not name their infills."""

INFILLS_OF: Final = "border_mask_flips"
"""The check with a row for each infill, in records whose rows do not name their parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A bound whose chance of refusing a model is known exactly.

    It bounds a share of independent rows, or a p-value.

    Attributes:
        n: Number of rows of the share; 0 for a p-value.
        bound: Floor or ceiling of the share, or the level of a p-value.
        direction: On which side of the bound the share should lie.
        times: Number of infills that are judged by their worst. Under the guarded rule each must meet the bound. The
            simple rule takes a value that is right on average, and so refuses about as often as for one.
        p: P-value of the miss, for a model exactly on the bound (by Bonferroni over ``times``).
        misses: Whether the value misses the bound.
        row: The row of the record, or None for a planned claim.
    """

    n: int
    bound: float
    direction: Direction
    times: int = 1
    p: float = 1.0
    misses: bool = False
    row: Row | None = None

    def chance_refused(self, gate: Gate, better_by: float) -> float:
        """Return how likely the decision rule is to refuse a better model.

        The true share of the model is ``better_by`` better than the bound. For one share the probability is exact. If
        the bound
        leaves no room, the model is one without any fault. A p-value refuses a sound model in ``bound`` of all test
        sets. Under
        the guarded rule it does so up to half as often again, if the random orders behind the p-value leave it open.
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
    """How often at least one of several bounds refuses a model.

    The model is better than each bound by the same amount.

    Attributes:
        together: The chance if the rows err together. It is the largest single chance, and a lower limit.
        independent: The chance if the rows err independently.
        apart: The chance if no two rows err at once. It is the sum of the chances (Bonferroni), at most 1, and an upper
            limit.
    """

    together: float
    independent: float
    apart: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's procedure.

    Those at or below a level include a false one with at most this probability. The i-th smallest of m is multiplied by
    m - i + 1, and none is less than one before it or more than 1. The procedure holds under any dependence between the
    tests.

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
    """Return how likely a share of n rows is to pass a floor.

    The true rate is ``true``. A share passes if its lower limit is at or above the floor.
    """
    enough = np.count_nonzero(intervals.reaching(np.arange(n + 1), n, floor) > TAIL)
    return float(intervals.reaching(enough, n, true))


def sampled(rows: Iterable[Row]) -> list[Row]:
    """Return the gating rows that compare a sample with a bound.

    The limits of a census have no width between them, so a census is left out.
    """
    bounded = [row for row in rows if row["gates"] and row["bound"] is not None]
    return [row for row in bounded if row["low"] != row["high"] or (row["low"] is None and row["value"] is not None)]


def infills(rows: Iterable[Row]) -> int:
    """Return the number of infills that a row of `WORST_OF_INFILLS` is the worst of.

    It is 1 if no row says so.
    """
    return max(1, len({row["subject"].rpartition(", ")[2] for row in rows if row["check"] == INFILLS_OF}))


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Return the sampled rows whose chances are known.

    These are plain shares of independent rows, and p-values. Areas under a curve, differences, ratios and means are
    left out.
    So are shares over patients with several images.
    """
    number = infills(rows)
    made = (
        _claim(row, len(row.get("parts", ())) or (number if row["check"] in WORST_OF_INFILLS else 1))
        for row in sampled(rows)
    )
    return [claim for claim in made if claim is not None]


def refused_by_chance(claims: Sequence[Claim], *, gate: Gate, better_by: float) -> Family:
    """Return how often chance alone refuses a model that is better than all bounds.

    Under any dependence the true chance lies between ``together`` and ``apart``. This is the cost of many bounds. No
    correction is needed on the other side. All bounds must be met, so a model that is worse than any of them passes by
    its
    whole intervals in at most 2.5 % of draws, for any number of bounds (an intersection-union test).

    Args:
        claims: Any number. Without claims the chance is 0.
        gate: ``simple`` refuses if the value misses the bound, ``guarded`` if the whole interval does not meet it.
        better_by: The true margin, for instance 0.05. P-values have none.

    References:
        Berger, Technometrics 24 (1982) 295-300.
    """
    chances = [
        claim.chance_refused(gate, better_by)
        for claim in claims
        for _ in range(claim.times if gate == "guarded" else 1)
    ]
    return Family(
        together=max(chances, default=0.0),
        independent=1 - math.prod(1 - chance for chance in chances),
        apart=min(1.0, math.fsum(chances)),
    )


def margin_for(claims: Sequence[Claim], *, gate: Gate, chance: float = 0.2) -> float | None:
    """Return the smallest margin at which chance rarely refuses a model.

    It is in hundredths. At this margin a model is refused in at most ``chance`` of draws, under any dependence (by the
    sum of
    the chances). Return None if no margin up to 1 is enough.
    """
    margins = (step / 100 for step in range(101))
    return next((m for m in margins if refused_by_chance(claims, gate=gate, better_by=m).apart <= chance), None)


def beyond_chance(claims: Sequence[Claim], level: float = TAIL, *, seeds: int = 1) -> list[tuple[Row, float]]:
    """Return the rows that miss their bound beyond chance.

    A single row shows a miss at the level of one limit, 2.5 %. Among 40 sound rows that is one, on average. Holm's
    procedure
    keeps the chance of *any* such false finding to ``level``. It is applied to misses only, and changes no outcome. A
    pass
    needs no correction (see `refused_by_chance`), and the decision must not become more lenient with the number of
    claims.

    Args:
        claims: Any number.
        level: The chance of any false finding.
        seeds: Number of trainings that each row is the worst of. Each is one more test (Bonferroni).

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
