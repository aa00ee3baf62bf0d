"""An estimate held against a bound: it passes, it fails, or its interval does not settle it."""

import math
from dataclasses import dataclass
from typing import Literal

from roentgate.errors import ArgumentError
from roentgate.stats.estimate import Direction, Estimate, meets, settled
from roentgate.stats.sample_size import chance_accepted, further_rows

Outcome = Literal["pass", "conditional_pass", "conditional_fail", "fail", "skipped", "descriptive"]
"""What became of a check, in the words of ILAC-G8:09/2019, 4.2.3."""

Gate = Literal["simple", "guarded"]
"""The decision rule: ``simple`` accepts a pass and a conditional pass, ``guarded`` a pass only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided, on what, and whether a decision rule accepts it.

    Attributes:
        outcome: ``pass`` and ``fail``: the whole interval meets the bound, or misses it. ``conditional_pass`` and
            ``conditional_fail``: the value meets it, or does not, and the interval does not settle it.
            ``descriptive``: there is no bound. ``skipped``: the check does not apply.
        estimate: What was measured; None where the check was skipped.
        bound: What it was held against; None where there is no bound.
        direction: On which side of the bound it should lie; None where there is no bound.
        guarded: Whether only ``pass`` is accepted, whatever the decision rule.
        detail: One line in words; nothing is decided by it.
        failing: Ids of the rows that broke the claim.

    Raises:
        ArgumentError: An outcome without the estimate or the bound that it takes.
    """

    outcome: Outcome
    estimate: Estimate | None = None
    bound: float | None = None
    direction: Direction | None = None
    guarded: bool = False
    detail: str = ""
    failing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.estimate is None) != (self.outcome == "skipped"):
            raise ArgumentError(f"a verdict of {self.outcome}: an estimate belongs to every outcome but a skip")
        if self.gates and (self.bound is None or self.direction is None):
            raise ArgumentError(f"a verdict of {self.outcome}: there is no bound; use at_least, at_most or descriptive")

    @property
    def gates(self) -> bool:
        """Whether it can refuse the model; a descriptive row cannot, nor one that was skipped."""
        return self.outcome not in {"descriptive", "skipped"}

    @property
    def conditional(self) -> bool:
        """Whether the interval leaves open which side of the bound is right."""
        return self.outcome in {"conditional_pass", "conditional_fail"}

    def accepted(self, gate: Gate) -> bool:
        """Whether the decision rule accepts it; whether a skip was justified is for whoever ran the check to say."""
        if not self.gates or self.outcome == "pass":
            return True
        return gate == "simple" and self.outcome == "conditional_pass" and not self.guarded


def at_least(estimate: Estimate, bound: float, *, guarded: bool = False) -> Verdict:
    """Hold an estimate against a floor.

    Args:
        estimate: What was measured.
        bound: The floor.
        guarded: Accept nothing but ``pass``, even where the decision rule is ``simple``.

    Returns:
        ``pass`` if low >= bound, ``fail`` if high < bound, else conditional by the value. An undefined estimate meets
        no bound: a conditional fail.

    Raises:
        ArgumentError: The bound is not a number.
    """
    return _held(estimate, bound, "at_least", guarded=guarded)


def at_most(estimate: Estimate, bound: float, *, guarded: bool = False) -> Verdict:
    """Hold an estimate against a ceiling: ``pass`` if high <= bound, ``fail`` if low > bound.

    The rest is as in `at_least`.
    """
    return _held(estimate, bound, "at_most", guarded=guarded)


def descriptive(estimate: Estimate) -> Verdict:
    """Show an estimate without a bound; it refuses nothing."""
    return Verdict(outcome="descriptive", estimate=estimate, detail=estimate.detail, failing=estimate.failing)


def skipped(reason: str) -> Verdict:
    """Say why a check does not apply to this kind of model or data; it refuses nothing by itself.

    Raises:
        ArgumentError: No reason.
    """
    if not reason.strip():
        raise ArgumentError("skipped: no reason; say what this kind of model or data cannot have")
    return Verdict(outcome="skipped", detail=reason)


def settling_words(estimate: Estimate, bound: float, direction: Direction, *, by_value: bool = True) -> str:
    """Say how many further images would settle a conditional verdict, and how easily a worse model would have passed.

    The latter only where the value decides. Under a guarded rule a worse model passes in 2.5 % of tests at most.

    Returns:
        One line; "" where the verdict is settled or the estimate is not a plain proportion of rows.

    Examples:
        >>> from roentgate.stats.estimate import proportion
        >>> settling_words(proportion(36, 40), 0.80, "at_least")  # doctest: +ELLIPSIS
        'about 54 further images of this kind would settle it, if the rate stays; this row ... 30% ...'
    """
    if estimate.hits is None or settled(estimate, bound, direction):
        return ""
    further = further_rows(estimate, bound, direction)
    chance = chance_accepted(estimate.n, bound, direction)
    parts = []
    if further is not None:
        images = f"about {further:,} further image{'s' if further > 1 else ''} of this kind"
        against = "" if meets(estimate.value, bound, direction) else ", against the model"
        parts.append(f"{images} would settle it{against}, if the rate stays")
    if chance is not None and by_value:
        parts.append(f"this row would have accepted a model 0.05 worse than the bound in {chance:.0%} of such tests")
    return "; ".join(parts)


def _held(estimate: Estimate, bound: float, direction: Direction, *, guarded: bool) -> Verdict:
    if not math.isfinite(bound):
        raise ArgumentError(f"a bound of {bound} bounds nothing; give a number")
    outcome: Outcome = "conditional_pass" if meets(estimate.value, bound, direction) else "conditional_fail"
    if whole := settled(estimate, bound, direction):
        outcome = "pass" if whole == "met" else "fail"
    return Verdict(
        outcome=outcome, estimate=estimate, bound=bound, direction=direction, guarded=guarded,
        detail=estimate.detail, failing=estimate.failing,
    )  # fmt: skip
