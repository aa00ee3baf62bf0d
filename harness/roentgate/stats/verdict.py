"""An estimate held against a bound: passed, failed, or not settled by the rows there are."""

import math
from dataclasses import dataclass
from typing import Literal

from roentgate.errors import ArgumentError
from roentgate.stats.estimate import Direction, Estimate, meets, settled
from roentgate.stats.sample_size import chance_accepted, further_rows

Outcome = Literal["pass", "fail", "inconclusive", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided, on what, and whether a gate lets it through.

    Attributes:
        outcome: ``pass`` and ``fail`` are proven by the whole interval; ``inconclusive`` is neither.
        estimate: What was measured; None where the check was skipped.
        bound: What it was held against; None where there is no bound.
        direction: On which side of the bound it should lie; None where there is no bound.
        gates: Whether it can refuse the model; a row that only informs cannot, nor one that was skipped.
        must_prove: Whether nothing short of ``pass`` is accepted, whatever the gate.
        detail: One line in words.
        offenders: Ids of the rows that broke the claim.
    """

    outcome: Outcome
    estimate: Estimate | None = None
    bound: float | None = None
    direction: Direction | None = None
    gates: bool = True
    must_prove: bool = False
    detail: str = ""
    offenders: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether the rows settle it, one way or the other; what does not gate has nothing to prove."""
        return not self.gates or self.outcome in {"pass", "fail"}

    def accepted(self, gate: Literal["point", "proven"]) -> bool:
        """Whether the gate lets it through: ``proven`` takes only ``pass``, ``point`` a value that meets the bound too.

        An undefined value meets no bound. Whether a skip was justified is for whoever ran the check to say.
        """
        if not self.gates or self.outcome == "pass":
            return True
        return gate == "point" and self.outcome == "inconclusive" and not self.must_prove and self._value_meets()

    def _value_meets(self) -> bool:
        if self.estimate is None or self.bound is None:
            return False
        return meets(self.estimate.value, self.bound, self.direction or "at_least")


def at_least(estimate: Estimate, bound: float, *, must_prove: bool = False) -> Verdict:
    """Hold an estimate against a floor: ``pass`` if low >= bound, ``fail`` if high < bound, else ``inconclusive``.

    An undefined estimate is inconclusive whatever the bound.

    Args:
        estimate: What was measured.
        bound: The floor.
        must_prove: Accept nothing but ``pass``, even where the gate looks at the point estimate only.

    Raises:
        ArgumentError: The bound is not a number.
    """
    return _held(estimate, bound, "at_least", must_prove=must_prove)


def at_most(estimate: Estimate, bound: float, *, must_prove: bool = False) -> Verdict:
    """Hold an estimate against a ceiling: ``pass`` if high <= bound, ``fail`` if low > bound, else ``inconclusive``.

    The rest is as in `at_least`.
    """
    return _held(estimate, bound, "at_most", must_prove=must_prove)


def informs(estimate: Estimate) -> Verdict:
    """Show an estimate without a bound: ``pass`` where it is defined, else ``inconclusive``; it refuses nothing."""
    outcome: Outcome = "pass" if estimate.defined else "inconclusive"
    return Verdict(
        outcome=outcome, estimate=estimate, gates=False, detail=estimate.detail, offenders=estimate.offenders
    )


def skipped(reason: str) -> Verdict:
    """Say why a check does not apply to this kind of model or data; it refuses nothing by itself.

    Raises:
        ArgumentError: No reason.
    """
    if not reason.strip():
        raise ArgumentError("skipped: no reason; say what this kind of model or data cannot have")
    return Verdict(outcome="skipped", gates=False, detail=reason)


def unproven_words(estimate: Estimate, bound: float, direction: Direction, *, by_value: bool = True) -> str:
    """Say how many further films would settle an unproven verdict, and how easily a worse model would have passed.

    The latter only where the value decides; where proof is asked for, a worse model passes in 2.5 % of tests at most.

    Returns:
        One line; "" where the verdict is settled or the estimate is not a plain proportion of rows.

    Examples:
        >>> from roentgate.stats.estimate import proportion
        >>> unproven_words(proportion(36, 40), 0.80, "at_least")  # doctest: +ELLIPSIS
        'about 54 further films of this kind would settle it, if the rate stays; this row ... 30% ...'
    """
    if estimate.hits is None or settled(estimate, bound, direction):
        return ""
    further = further_rows(estimate, bound, direction)
    chance = chance_accepted(estimate.n, bound, direction)
    parts = []
    if further is not None:
        films = f"about {further:,} further film{'s' if further > 1 else ''} of this kind"
        against = "" if meets(estimate.value, bound, direction) else ", against the model"
        parts.append(f"{films} would settle it{against}, if the rate stays")
    if chance is not None and by_value:
        parts.append(f"this row would have accepted a model 0.05 worse than the bound in {chance:.0%} of such tests")
    return "; ".join(parts)


def _held(estimate: Estimate, bound: float, direction: Direction, *, must_prove: bool) -> Verdict:
    if not math.isfinite(bound):
        raise ArgumentError(f"a bound of {bound} bounds nothing; give a number")
    outcomes: dict[str | None, Outcome] = {"met": "pass", "missed": "fail", None: "inconclusive"}
    return Verdict(
        outcome=outcomes[settled(estimate, bound, direction)],
        estimate=estimate,
        bound=bound,
        direction=direction,
        must_prove=must_prove,
        detail=estimate.detail,
        offenders=estimate.offenders,
    )
