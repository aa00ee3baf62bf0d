"""Exact error rates of the intervals and the decision rules, summed over all samples.

Nothing is drawn. The functions that decide verdicts are evaluated on each possible sample. A miss *over* is an interval
wholly above the truth, which would pass a floor that is not reached. A miss *under* is wholly below it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from roentgate.arrays import DoubleArray
from roentgate.policy import Policy
from roentgate.scorecard import Claim, chance_passed, margin_for, refused_by_chance
from roentgate.stats import (
    Direction,
    Estimate,
    Gate,
    at_least,
    at_most,
    chance_accepted,
    further_rows,
    mean,
    paired_difference,
    proportion,
    settled,
)

Entry = dict[str, float | int | str | None]
"""One line of a table: numbers and strings, as JSON holds them."""


def counts_text(counts: Sequence[int]) -> str:
    """Return the rows of each class as text: ``26 / 20 / 20``."""
    return " / ".join(map(str, counts))


def cell(entry: Entry, name: str) -> float:
    """Return a number of a table's line, or NaN if it has none."""
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


GATES: Final[tuple[Gate, Gate]] = ("simple", "guarded")
FURTHER_SHOWN: Final = 3000
"""Most further rows for which `further` sums over all samples."""

ADDITIONS: Final = 5
"""Most times that `added` adds images."""

_NEGLIGIBLE: Final = 1e-9


def misses(lows: DoubleArray, highs: DoubleArray, chances: DoubleArray, truth: float) -> tuple[float, float]:
    """Return the probabilities that an interval lies over and under the truth.

    The arrays hold one entry for each sample.
    """
    return float(chances[lows > truth].sum()), float(chances[highs < truth].sum())


def share_misses(n: int, truths: Sequence[float]) -> list[Entry]:
    """Return the misses of the exact interval of a share of n rows.

    One line for each true share.
    """
    lows, highs = _limits([proportion(hits, n) for hits in range(n + 1)])
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, np.asarray(truths))
    made = []
    for truth, column in zip(truths, chances.T, strict=True):
        over, under = misses(lows, highs, column, truth)
        made.append(_entry(n=n, truth=truth, over=over, under=under))
    return made


def worst_share_misses(n: int, truths: Sequence[float]) -> Entry:
    """Return the largest misses of `share_misses` on each side.

    ``over_at`` is the true share at which the misses over it are largest.
    """
    found = share_misses(n, truths)
    over = max(found, key=lambda entry: cell(entry, "over"))
    return _entry(n=n, over=over["over"], over_at=over["truth"], under=max(cell(entry, "under") for entry in found))


def difference_misses(n: int, truths: Sequence[tuple[float, float]]) -> list[Entry]:
    """Return the misses of Tango's interval on n rows.

    One line for each pair (true difference, true share of discordant rows).
    """
    samples = np.array([(up, down) for up in range(n + 1) for down in range(n + 1 - up)])
    lows, highs = _limits([paired_difference(int(up), int(down), n) for up, down in samples])
    full = np.column_stack([samples, n - samples.sum(axis=1)])
    made = []
    for difference, discordant in truths:
        gained, lost = (discordant + difference) / 2, (discordant - difference) / 2
        chances = stats.multinomial.pmf(full, n, [gained, lost, 1 - discordant])
        over, under = misses(lows, highs, chances, difference)
        made.append(_entry(n=n, truth=difference, discordant=discordant, over=over, under=under))
    return made


def balanced_misses(counts: Sequence[int], recalls: Sequence[float]) -> Entry:
    """Return the misses of the interval of balanced accuracy.

    Outcomes of a class with a probability of 1e-9 or less are left out.

    Args:
        counts: Rows of each class.
        recalls: True recall of each class.
    """
    supports = []
    for n, recall in zip(counts, recalls, strict=True):
        chances = stats.binom.pmf(np.arange(n + 1), n, recall)
        supports.append([(proportion(k, n), float(chance)) for k, chance in enumerate(chances) if chance > _NEGLIGIBLE])
    samples = list(product(*supports))
    lows, highs = _limits([mean([part for part, _ in sample]) for sample in samples])
    chances = np.array([math.prod(chance for _, chance in sample) for sample in samples])
    truth = math.fsum(recalls) / len(recalls)
    over, under = misses(lows, highs, chances, truth)
    return _entry(
        counts=counts_text(counts),
        recalls=" / ".join(f"{r:g}" for r in recalls),
        truth=truth,
        over=over,
        under=under,
    )


def further(n: int, hits: int, bound: float, direction: Direction) -> Entry | None:
    """Return how often the number of `further_rows` settles a verdict.

    Returns:
        Three probabilities. ``settled``: if the true rate is the observed one, as `further_rows` assumes.
        ``one_fewer``: the same with one row fewer. ``averaged``: the true rate has the posterior distribution of the
        observed rows under a uniform prior. None if the verdict is settled already, if `further_rows` gives no number,
        or if its number is above 3,000.
    """
    estimate = proportion(hits, n)
    extra = further_rows(estimate, bound, direction)
    if not extra or extra > FURTHER_SHOWN:
        return None
    more = np.arange(extra + 1)
    settles = np.array([settled(proportion(k, extra), bound, direction) is not None for k in more.tolist()])
    fewer = np.array([settled(proportion(k, extra - 1), bound, direction) is not None for k in range(extra)])
    return _entry(
        n=n,
        hits=hits,
        bound=bound,
        direction=direction,
        further=extra,
        settled=float(stats.binom.pmf(more, extra, estimate.value)[settles].sum()),
        one_fewer=float(stats.binom.pmf(more[:-1], extra - 1, estimate.value)[fewer].sum()),
        averaged=float(stats.betabinom.pmf(more, extra, hits + 1, n - hits + 1)[settles].sum()),
    )


def added(n: int, floor: float, true: float) -> Entry:
    """Return how often a guarded rule passes a share when images are added until it is settled.

    Each addition has n images. ``together``: old and new images are judged together. ``alone``: the added ones by
    themselves. Both are given for the first n images, after one addition, and after up to `ADDITIONS`.
    """
    chances = stats.binom.pmf(np.arange(n + 1), n, true)
    passed, failed = _settling(n, floor)
    first, open_ = float(chances[passed].sum()), float(chances[~(passed | failed)].sum())
    alone, together = [first], [first]
    waiting, images = np.where(passed | failed, 0, chances), n
    for addition in range(1, ADDITIONS + 1):
        alone.append(alone[-1] + first * open_**addition)
        images += n
        waiting = np.convolve(waiting, chances)
        passed, failed = _settling(images, floor)
        together.append(together[-1] + float(waiting[passed].sum()))
        waiting = np.where(passed | failed, 0, waiting)
    return _entry(
        n=n,
        truth=true,
        first=first,
        together_once=together[1],
        together=together[-1],
        alone_once=alone[1],
        alone=alone[-1],
    )


def _settling(n: int, floor: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which numbers of hits of n pass a floor, and which fail it."""
    found = [settled(proportion(hits, n), floor, "at_least") for hits in range(n + 1)]
    return np.array([each == "met" for each in found]), np.array([each == "missed" for each in found])


def gate_accepts(n: int, floor: float, true: float, gate: Gate) -> float:
    """Return the probability that a rule accepts a share of n rows.

    The bound is a floor, and the true share is ``true``.
    """
    if gate == "guarded":
        return chance_passed(n, floor, true)
    accepted = chance_accepted(n, floor, "at_least", worse_by=floor - true)
    return math.nan if accepted is None else accepted


def gates_accept(n: int, floor: float, truths: Sequence[float]) -> list[Entry]:
    """Return the probabilities that each rule accepts n rows against a floor.

    One line for each true share.
    """
    return [_entry(n=n, truth=true, **{gate: gate_accepts(n, floor, true, gate) for gate in GATES}) for true in truths]


def chance_family(policy: Policy, counts: Sequence[int], gate: Gate, better_by: float) -> Entry:
    """Return how often chance refuses a sound model under a policy's bounds.

    See `roentgate.scorecard.multiplicity`.

    Args:
        policy: The policy whose bounds are counted.
        counts: Images of each class.
        gate: The decision rule.
        better_by: Margin by which the model is better than every bound.
    """
    claims = policy_claims(policy, counts)
    found = refused_by_chance(claims, gate=gate, better_by=better_by)
    return _entry(
        counts=counts_text(counts),
        gate=gate,
        rows=len(claims),
        bounds=sum(claim.times for claim in claims),
        better_by=better_by,
        together=found.together,
        independent=found.independent,
        apart=found.apart,
        margin=margin_for(claims, gate=gate),
    )


def infills_accept(n: int, ceiling: float, true: float, infills: int) -> Entry:
    """Return the probability that the simple rule accepts several infills, each by a row of its own.

    Each infill flips a true share ``true`` of the answers. ``alike``: all flip the same images. ``independent``: each
    its own.
    """
    claims = [Claim(n=n, bound=ceiling, direction="at_most")] * infills
    found = refused_by_chance(claims, gate="simple", better_by=ceiling - true)
    return _entry(n=n, infills=infills, truth=true, alike=1 - found.together, independent=1 - found.independent)


def policy_claims(policy: Policy, counts: Sequence[int]) -> list[Claim]:
    """Return the shares and p-values that a policy bounds on a test split.

    ``counts`` are the images of each class.
    """
    recall, border, classes = policy.recall, policy.border, _names(counts)
    sizes = dict(zip(classes, counts, strict=True))
    infills, everything = len(border.infills), sum(counts)
    floors = [(sizes[label], recall.floor(label)) for label in classes]
    return [
        *(Claim(n=0, bound=policy.alignment.columns_p, direction="at_least") for _ in ("validation", "test")),
        *(Claim(n=n, bound=floor, direction="at_least") for n, floor in floors),
        *(
            Claim(n=sizes[truth], bound=recall.ceiling(truth, predicted), direction="at_most")
            for truth, predicted in recall.pairs(tuple(classes))
        ),
        *(Claim(n=everything, bound=border.flips_ceiling, direction="at_most", times=infills) for _ in border.borders),
        *(Claim(n=n, bound=floor, direction="at_least", times=infills) for _ in border.borders for n, floor in floors),
    ]


def suites_refuse(policy: Policy, counts: Sequence[int], gate: Gate, *, recall: float, flips: float) -> Entry:
    """Return how often recall and border suite refuse a model of known quality.

    Its recall is ``recall`` in every class, with and without the border. Its errors are spread evenly over the other
    classes, and each infill flips ``flips`` of its answers. Rows of one class are judged jointly. Classes are
    independent of each other, and flips of recall. Two cases bracket the truth: all infills change the same images
    (``alike``), or each its own (``apart``). The simple rule takes a value of all infills that is right on average, so
    that both are taken as one infill there (see the table of families).
    """
    bounds, classes = policy.recall, _names(counts)
    infills = len(policy.border.infills) if gate == "guarded" else 1
    everything = sum(counts)
    recall_accepts = masked_accepts = 1.0
    for label, n in zip(classes, counts, strict=True):
        least = _least(n, bounds.floor(label), gate)
        caps = [_most(n, bounds.ceiling(label, predicted), gate) for predicted in classes if predicted != label]
        recall_accepts *= _class_accepts(n, least, caps, recall)
        masked_accepts *= float(stats.binom.sf(least - 1, n, recall))
    flips_accepts = float(stats.binom.cdf(_most(everything, policy.border.flips_ceiling, gate), everything, flips))
    border = flips_accepts * masked_accepts
    return _entry(
        counts=counts_text(counts),
        gate=gate,
        recall=recall,
        flips=flips,
        recall_refuses=1 - recall_accepts,
        flips_refuse_alike=1 - flips_accepts,
        flips_refuse_apart=1 - flips_accepts**infills,
        border_refuses_alike=1 - border,
        border_refuses_apart=1 - border**infills,
        refuses_alike=1 - recall_accepts * border,
        refuses_apart=1 - recall_accepts * border**infills,
    )


def _class_accepts(n: int, least: int, caps: Sequence[int], recall: float) -> float:
    """Return the probability that a class meets its floor and its ceilings.

    Of n rows at least ``least`` must be right, and at most ``caps`` may go to each other class.
    """
    error = (1 - recall) / len(caps)
    samples = [wrong for wrong in product(*(range(cap + 1) for cap in caps)) if sum(wrong) <= n - least]
    if not samples:
        return 0.0
    full = np.array([(n - sum(wrong), *wrong) for wrong in samples])
    return float(stats.multinomial.pmf(full, n, [1 - error * len(caps), *[error] * len(caps)]).sum())


def _least(n: int, floor: float, gate: Gate) -> int:
    """Return the fewest hits of n that a rule accepts; n + 1 if none."""
    return next((hits for hits in range(n + 1) if at_least(proportion(hits, n), floor).accepted(gate)), n + 1)


def _most(n: int, ceiling: float, gate: Gate) -> int:
    """Return the most hits of n that a rule accepts; -1 if none."""
    return next((hits for hits in range(n, -1, -1) if at_most(proportion(hits, n), ceiling).accepted(gate)), -1)


def _names(counts: Sequence[int]) -> list[str]:
    return [f"class {index + 1}" for index in range(len(counts))]


def _limits(estimates: Sequence[Estimate]) -> Iterator[DoubleArray]:
    yield np.array([each.low for each in estimates])
    yield np.array([each.high for each in estimates])


def _entry(**cells: float | int | str | None) -> Entry:
    return dict(cells)
