"""An estimate compared with a bound: the verdict and its decision rule.

An estimate passes, fails, or is conditional because its interval does not settle it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from roentgate.errors import ArgumentError
from roentgate.stats.estimate import Direction, Estimate, in_plural, meets, settled
from roentgate.stats.sample_size import POWER, chance_accepted, further_rows

Outcome = Literal["pass", "conditional_pass", "conditional_fail", "fail", "skipped", "descriptive"]
"""The outcome of a check, in the terms of ILAC-G8:09/2019, 4.2.3."""

Gate = Literal["simple", "guarded"]
"""The decision rule. ``simple`` accepts a pass and a conditional pass, ``guarded`` only a pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of a check, and whether a decision rule accepts it.

    Attributes:
        outcome: ``pass`` if the whole interval meets the bound, ``fail`` if the whole interval misses it.
            ``conditional_pass`` if the value meets it and the interval does not settle it, ``conditional_fail`` if the
            value does not. ``descriptive`` if there is no bound. ``skipped`` if the check does not apply.
        estimate: What was measured; None if the check was skipped.
        bound: What it was compared with; None if there is no bound.
        direction: On which side of the bound it should lie; None if there is no bound.
        guarded: Whether only ``pass`` is accepted under either decision rule.
        detail: One line of text. No decision depends on it.
        failing: Ids of the rows that do not meet the claim.

    Raises:
        ArgumentError: An outcome without the estimate or the bound that it needs.
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
        """Whether the verdict can refuse the model.

        A descriptive verdict cannot, and neither can a skipped one.
        """
        return self.outcome not in {"descriptive", "skipped"}

    @property
    def conditional(self) -> bool:
        """Whether the interval does not settle on which side the value lies."""
        return self.outcome in {"conditional_pass", "conditional_fail"}

    def accepted(self, gate: Gate) -> bool:
        """Return whether the decision rule accepts the verdict.

        A skip is accepted here. The caller decides whether it was justified.
        """
        if not self.gates or self.outcome == "pass":
            return True
        return gate == "simple" and self.outcome == "conditional_pass" and not self.guarded


def at_least(estimate: Estimate, bound: float, *, guarded: bool = False) -> Verdict:
    """Compare an estimate with a floor.

    Args:
        estimate: What was measured.
        bound: The floor.
        guarded: Accept only ``pass``, even if the decision rule is ``simple``.

    Returns:
        ``pass`` if low >= bound, ``fail`` if high < bound, else a conditional outcome that depends on the value. An
        estimate that is undefined or uninformative meets no bound and is a conditional fail.

    Raises:
        ArgumentError: The bound is not a number.
    """
    return _compared(estimate, bound, "at_least", guarded=guarded)


def at_most(estimate: Estimate, bound: float, *, guarded: bool = False) -> Verdict:
    """Compare an estimate with a ceiling.

    The outcome is ``pass`` if high <= bound and ``fail`` if low > bound. The rest is as in `at_least`.
    """
    return _compared(estimate, bound, "at_most", guarded=guarded)


def descriptive(estimate: Estimate) -> Verdict:
    """Return a verdict that reports an estimate without a bound.

    It cannot refuse the model.
    """
    return Verdict(outcome="descriptive", estimate=estimate, detail=estimate.detail, failing=estimate.failing)


def skipped(reason: str) -> Verdict:
    """Return a verdict for a check that does not apply to this model or data.

    It cannot refuse the model by itself.

    Raises:
        ArgumentError: No reason.
    """
    if not reason.strip():
        raise ArgumentError("skipped: no reason; say what this kind of model or data cannot have")
    return Verdict(outcome="skipped", detail=reason)


def settling_words(estimate: Estimate, bound: float, direction: Direction, *, by_value: bool = True) -> str:
    """Return how many further images would settle a conditional verdict.

    They settle it when judged alone, with a probability of 80 % if the rate stays. If the value decides, the text also
    says how easily a worse model would have passed. Under a guarded rule a worse model passes in 2.5 % of tests at
    most, and this part is left out.

    Returns:
        One line, or "" if the verdict is settled or the estimate is not a plain proportion of rows.

    Examples:
        >>> from roentgate.stats.estimate import proportion
        >>> settling_words(proportion(36, 40), 0.80, "at_least")  # doctest: +ELLIPSIS
        '107 further images of this kind, judged alone, would settle it with 80 % probability, if the rate stays; ...'
    """
    if estimate.state != "ok" or estimate.hits is None or settled(estimate, bound, direction):
        return ""
    further = further_rows(estimate, bound, direction)
    chance = chance_accepted(estimate.n, bound, direction)
    parts = []
    if further is not None:
        units = f"{further:,} further {in_plural(estimate.unit)} of this kind, judged alone,"
        against = "" if meets(estimate.value, bound, direction) else " against the model"
        chance_settled = f"{100 * POWER:.0f} % probability"
        parts.append(f"{units} would settle it{against} with {chance_settled}, if the rate stays")
    if chance is not None and by_value:
        parts.append(f"this row would have accepted a model 0.05 worse than the bound in {chance:.0%} of such tests")
    return "; ".join(parts)


def _compared(estimate: Estimate, bound: float, direction: Direction, *, guarded: bool) -> Verdict:
    if not math.isfinite(bound):
        raise ArgumentError(f"a bound of {bound} bounds nothing; give a number")
    met = estimate.state == "ok" and meets(estimate.value, bound, direction)
    outcome: Outcome = "conditional_pass" if met else "conditional_fail"
    if whole := settled(estimate, bound, direction):
        outcome = "fail" if whole == "missed" else "pass" if met else "conditional_fail"
    return Verdict(
        outcome=outcome,
        estimate=estimate,
        bound=bound,
        direction=direction,
        guarded=guarded,
        detail=estimate.detail,
        failing=estimate.failing,
    )
