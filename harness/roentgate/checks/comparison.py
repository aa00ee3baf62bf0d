"""Paired differences of a candidate and a reference on the same rows.

All are candidate minus reference.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from roentgate.arrays import BoolArray
from roentgate.candidates import Predictions
from roentgate.checks import border, metrics
from roentgate.errors import ArgumentError
from roentgate.evidence import BorderRecord, Judged, Named, names_of
from roentgate.policy import Policy
from roentgate.stats import Estimate, differences
from roentgate.stats import estimate as estimates
from roentgate.stats import intervals as limits

IDENTICAL = "the same model"
"""Method of a change of one model compared with itself, which is known by its fingerprint."""


@dataclass(frozen=True, slots=True)
class BorderChange:
    """The change of one border verdict.

    Attributes:
        subject: What was judged.
        change: The change, positive if it is for the worse.
        gates: Whether it can refuse the candidate.
        kind: ``share`` for a difference of shares of images, ``skill`` for one of the skill retained on the border.
    """

    subject: str
    change: Estimate
    gates: bool
    kind: Literal["share", "skill"] = "share"


def recall_change(reference: Predictions, candidate: Predictions, label: str, *, margin: float = 0.0) -> Estimate:
    """Change of the recall of ``label`` (-1 to 1, higher is better).

    Args:
        reference: Answers of the reference.
        candidate: Answers of the candidate on the same rows.
        label: A class name.
        margin: How much worse it may be. The detail says if there are too few rows (or known patients) to settle that
            without a row gained.

    Returns:
        Paired difference with Tango's score interval (over groups, at the effective size). The detail holds the exact
        McNemar p-value if rows are independent. Exactly 0 for one model compared with itself. NaN in [-1, 1]
        without rows. Failing: the rows lost.

    Raises:
        UnknownClassError: ``label`` is not a class.
        ArgumentError: The two are not of the same rows in the same order.

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908; McNemar, Psychometrika 12 (1947) 153-157.
    """
    _same_rows(reference, candidate)
    metrics.recall(candidate, label)  # refuses an unknown class and suggests close names
    rows = candidate.labels == candidate.classes.index(label)
    change = _right_change(reference, candidate, rows, alike=_identical(reference, candidate))
    fewest = math.ceil(limits.NORMAL**2 * (1 / margin - 1) - 1e-9) if 0 < margin < 1 else 0
    if change.method != IDENTICAL and change.n < fewest and change.low < -margin:
        units = "rows" if candidate.groups is None else estimates.in_plural(candidate.unit)
        caveat = f"without a row gained, fewer than {fewest} {units} of a class cannot settle a margin of {margin:g}"
        change = replace(change, detail=f"{change.detail}; {caveat}")
    return change


def accuracy_change(reference: Predictions, candidate: Predictions) -> Estimate:
    """Change of the accuracy (-1 to 1, higher is better).

    Returns:
        As `recall_change`, over all rows.
    """
    _same_rows(reference, candidate)
    rows = np.ones(len(candidate), np.bool_)
    return _right_change(reference, candidate, rows, alike=_identical(reference, candidate))


def balanced_change(
    reference: Predictions, candidate: Predictions, *, named: tuple[str, str] = ("the reference", "the candidate")
) -> Estimate:
    """Difference of the balanced accuracy (-1 to 1, higher is better).

    Args:
        reference: Answers of the reference.
        candidate: Answers of the candidate on the same rows.
        named: What the detail calls the two.

    Returns:
        Mean of the changes of the classes' recalls, with limits from Tango's limits of each (MOVER). The detail holds
        the exact McNemar p-value. Exactly 0 for one model compared with itself. NaN in [-1, 1] if a class has no rows.
        Failing: the rows that only the reference has right.
    """
    parts = [recall_change(reference, candidate, label) for label in candidate.classes]
    whole = accuracy_change(reference, candidate)
    if _identical(reference, candidate):
        return whole
    first, second = reference.answers == reference.labels, candidate.answers == candidate.labels
    values = [f"{metrics.balanced_accuracy(each).value:.2f}" for each in (reference, candidate)]
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    detail = (
        f"balanced accuracy of {named[1]} {values[1]}, of {named[0]} {values[0]} on the same {len(candidate)} images: "
        f"{gained} right by {named[1]} only, {lost} by {named[0]} only"
    )
    if candidate.groups is None:
        detail += f" (McNemar p = {differences.mcnemar(gained, lost):.3g})"
    change = estimates.mean(parts, groups=candidate.groups, labels=candidate.labels)
    return replace(change, detail=detail, failing=whole.failing)


def auroc_change(reference: Predictions, candidate: Predictions) -> Estimate:
    """Change of the macro AUROC (-1 to 1, higher is better).

    The limits come from those of the two areas (`roentgate.checks.metrics.macro_auroc`, defined at perfect separation
    too) and from their correlation by DeLong's covariance (MOVER). The correlation is taken as 0 if either has no
    spread, or if no image is ranked differently: then the images do not show how far the two can differ.

    Returns:
        Value and interval. Exactly 0 for one model compared with itself. NaN in [-1, 1] if either is undefined.

    References:
        Zou, Psychological Methods 12 (2007) 399-413; DeLong et al., Biometrics 44 (1988) 837-845.
    """
    _same_rows(reference, candidate)
    before, now = metrics.macro_auroc(reference), metrics.macro_auroc(candidate)
    if not (before.defined and now.defined):
        return estimates.undefined(now.n, low=-1.0, high=1.0, method="MOVER", unit=now.unit, detail=_whose(before, now))
    if _identical(reference, candidate):
        return _no_change(now, IDENTICAL)
    change = differences.of_estimates(now, before, correlation=_correlation(reference, candidate))
    return replace(change, detail=f"{before.value:.3f} before, {now.value:.3f} now")


def against(reference: Named | Judged) -> str:
    """Return the reference's name and the start of its fingerprint."""
    return "{} (fingerprint {:.12})".format(*names_of(reference))


def negative_flips(reference: Predictions, candidate: Predictions, *, named: str = "") -> Estimate:
    """Share of the rows right before that are wrong now (0 to 1).

    Args:
        reference: Answers of the reference.
        candidate: Answers of the candidate on the same rows.
        named: Name of the reference for the detail (see `against`).

    Returns:
        Census over the rows right before. Failing: the rows wrong now.
    """
    _same_rows(reference, candidate)
    before, now = reference.answers == reference.labels, candidate.answers == candidate.labels
    lost, gained = before & ~now, now & ~before
    detail = f"{lost.sum()} of {before.sum()} rows right before are wrong now, {gained.sum()} wrong ones are right"
    if named:
        detail += f"; the reference is {named}"
    return estimates.census(int(lost.sum()), int(before.sum()), detail=detail, failing=_ids(candidate, lost))


def border_changes(
    reference: BorderRecord,
    candidate: BorderRecord,
    policy: Policy,
    *,
    unseen: Callable[[Predictions], Predictions] = lambda answers: answers,
) -> Iterator[BorderChange]:
    """Yield the change of every border verdict.

    A change says how much more often the candidate flips, loses its recall or follows a donor, or how much more skill
    it retains on the border alone. Positive is worse. Verdicts that are descriptive in the border suite are descriptive
    here.

    The change is exactly 0 for one model compared with itself: equal fingerprints, and equal answers on whole images
    and under the masks that a verdict rests on. Equal answers alone are not enough. The change is undefined without
    images.

    Shares of the same rows are paired. Net switches are not, since models of different seeds have different donors, and
    neither is retained skill. Their two intervals are taken as independent, which is too wide rather than too narrow.
    If infills are judged together, the limit that settles a change for the worse is that of the family
    (`roentgate.stats.differences.of_family`). If only the reference has too little skill to measure a share of it, that
    row is descriptive: there is no change to bound, and the bound on the candidate's own share remains.

    The detail begins with ``got worse``, ``got better``, ``the same`` or ``cannot tell``.

    Args:
        reference: Evidence on the reference.
        candidate: Evidence on the candidate, on the same rows.
        policy: The bounds.
        unseen: Function that drops the rows that the masked recall does not count, by default none.
    """
    bounds, family = policy.border, len(policy.border.infills)
    for width in _each(bounds.borders, bounds.stress_borders):
        gates = width in bounds.borders
        for infill in bounds.infills:
            change = differences.of_family(
                partial(_flips_change, reference, candidate, (width, infill)), family if gates else 1
            )
            yield BorderChange(f"flips, {_border(width)}, {infill}", _worded(change), gates=gates)
        followed = _worded(_follows_change(reference, candidate, width))
        yield BorderChange(f"border swap, {_border(width)}", followed, gates=gates)
    for width in _each(bounds.borders):
        for label in candidate.clean.classes:
            losses: dict[str, Estimate] = {}
            for infill in bounds.infills:
                before, now = (unseen(record.masked[width, infill]) for record in (reference, candidate))
                alike = _alike(reference, candidate, (before, now))
                losses[infill] = differences.of_family(partial(_loss, before, now, label, alike=alike), family)
            worst = _worded(border.worst(losses, "at_most"))
            yield BorderChange(f"masked recall, {label}, {_border(width)}", worst, gates=True)
    for width in _each(bounds.only_borders, bounds.only_stress_borders):
        change, holds = _skill_change(reference, candidate, width, bounds.infills)
        gates = holds and width in bounds.only_borders
        yield BorderChange(f"skill of the border alone, {_border(width)}", _worded(change), gates=gates, kind="skill")


def _loss(reference: Predictions, candidate: Predictions, label: str, z: float, *, alike: bool) -> Estimate:
    """Return the recall of ``label`` that is lost, the negative of `recall_change`."""
    rows = candidate.labels == candidate.classes.index(label)
    change = _right_change(reference, candidate, rows, alike=alike, z=z)
    return replace(change, value=0.0 - change.value, low=0.0 - change.high, high=0.0 - change.low)


def _right_change(
    reference: Predictions, candidate: Predictions, rows: BoolArray, *, alike: bool, z: float = limits.NORMAL
) -> Estimate:
    before, now = reference.answers == reference.labels, candidate.answers == candidate.labels
    text = f"{(before & rows).sum()} of {rows.sum()} right before, {(now & rows).sum()} now"
    change = _paired(now, before, rows, candidate, z)
    if alike and change.defined:
        return _no_change(change, f"{text}: {IDENTICAL}")
    gained, lost = int((now & ~before & rows).sum()), int((before & ~now & rows).sum())
    detail = f"{text}: {gained} gained, {lost} lost"
    if candidate.groups is None:
        detail += f" (McNemar p = {differences.mcnemar(gained, lost):.3g})"
    return replace(change, detail=detail, failing=_ids(candidate, before & ~now & rows))


def _flips_change(reference: BorderRecord, candidate: BorderRecord, key: tuple[float, str], z: float) -> Estimate:
    before, now = (
        (record.masked[key].answers != record.clean.answers) | (record.clean.answers < 0)
        for record in (reference, candidate)
    )
    change = _paired(now, before, np.ones(len(now), np.bool_), candidate.clean, z)
    detail = f"{before.sum()} of {len(now)} answers changed before, {now.sum()} now"
    if change.defined and _alike(reference, candidate, (reference.masked[key], candidate.masked[key])):
        return _no_change(change, f"{detail}: {IDENTICAL}")
    return replace(change, detail=detail, failing=_ids(candidate.clean, now & ~before))


def _follows_change(reference: BorderRecord, candidate: BorderRecord, width: float) -> Estimate:
    """Return the change of the net switches (`roentgate.checks.border.net_switches`)."""
    before, now = (
        border.net_switches(
            record.clean, record.other[width], record.same[width], record.donor_labels, donors=record.donors
        )
        for record in (reference, candidate)
    )
    change = differences.of_estimates(now, before)
    if not change.defined:
        return change
    detail = f"{before.value:.2f} net followed the donor before, {now.value:.2f} now"
    pairs = [(getattr(reference, part)[width], getattr(candidate, part)[width]) for part in ("other", "same")]
    donors = np.array_equal(reference.donor_labels, candidate.donor_labels)
    if donors and _alike(reference, candidate, *pairs):
        return _no_change(change, f"{detail}: {IDENTICAL}")
    new = tuple(sorted({*now.failing} - {*before.failing}))
    return replace(change, detail=detail, failing=new)


def _skill_change(
    reference: BorderRecord, candidate: BorderRecord, width: float, infills: Sequence[str]
) -> tuple[Estimate, bool]:
    """Return the change of the retained skill, and whether a bound applies.

    No bound applies if only the reference has too little skill, or if the candidate gives one answer on the border
    alone under every infill. Its own row of the border suite bounds that.
    """
    before, now = (_kept(record, width, infills) for record in (reference, candidate))
    change = differences.of_estimates(now, before)
    alike = _alike(
        reference, candidate, *((reference.only[width, infill], candidate.only[width, infill]) for infill in infills)
    )
    if alike and now.n and not change.defined:
        return _no_change(change, IDENTICAL), True
    if not change.defined:
        mute = not any(part.informative for part in _parts(candidate, width, infills).values())
        return replace(change, detail=_whose(before, now)), not (now.defined or mute)
    change = replace(
        change, low=differences.of_estimates(_kept(candidate, width, infills, family=len(infills)), before).low
    )
    detail = f"{before.value:.2f} kept before, {now.value:.2f} now"
    if alike:
        return _no_change(change, f"{detail}: {IDENTICAL}"), True
    return replace(change, detail=detail), True


def _kept(record: BorderRecord, width: float, infills: Sequence[str], *, family: int = 1) -> Estimate:
    return border.worst(_parts(record, width, infills, family=family), "at_most")


def _parts(record: BorderRecord, width: float, infills: Sequence[str], *, family: int = 1) -> dict[str, Estimate]:
    return {
        infill: border.retained_skill(record.clean, record.only[width, infill], family=family, ranked=False)
        for infill in infills
    }


def _whose(before: Estimate, now: Estimate) -> str:
    """Return why the change is undefined, naming the model if it is one of the two."""
    if before.defined == now.defined:
        return now.detail
    return f"the reference: {before.detail}" if now.defined else f"the candidate: {now.detail}"


def _paired(now: BoolArray, before: BoolArray, rows: BoolArray, predictions: Predictions, z: float) -> Estimate:
    gained, lost = (now & ~before)[rows], (before & ~now)[rows]
    groups = None
    if predictions.groups is not None:
        groups = [group for group, chosen in zip(predictions.groups, rows, strict=True) if chosen]
    return differences.grouped_difference(gained, lost, groups, z=z, unit=predictions.unit)


def _correlation(reference: Predictions, candidate: Predictions) -> float:
    units = np.arange(len(candidate))
    if candidate.groups is not None:
        units = np.unique(np.asarray(candidate.groups), return_inverse=True)[1]
    labels = candidate.labels
    if min(len(np.unique(units[labels == label])) for label in range(len(candidate.classes))) < 2:
        return 0.0
    first, second = (limits.auroc_influence(labels, each.probabilities)[1] for each in (reference, candidate))
    spread = [limits.stratified_variance(each, labels, units) for each in (first, second, second - first)]
    if min(spread) == 0:
        return 0.0
    return (spread[0] + spread[1] - spread[2]) / (2 * math.sqrt(spread[0] * spread[1]))


def _identical(reference: Predictions, candidate: Predictions) -> bool:
    """Whether one model is compared with itself.

    Its fingerprint says so. Equal answers do not: two models that agree on these images may differ on others. Equal
    answers are asked for all the same, as a model may answer differently on another machine.
    """
    one = reference.model is not None and reference.model == candidate.model
    return one and np.array_equal(reference.probabilities, candidate.probabilities, equal_nan=True)


def _alike(reference: BorderRecord, candidate: BorderRecord, *pairs: tuple[Predictions, Predictions]) -> bool:
    """Whether these are the answers of one model.

    Of a stored reference only the answers under a mask are known.
    """
    return _identical(reference.clean, candidate.clean) and all(
        np.array_equal(before.answers, now.answers) for before, now in pairs
    )


def _no_change(of: Estimate, detail: str) -> Estimate:
    return Estimate(value=0.0, low=0.0, high=0.0, n=of.n, unit=of.unit, method=IDENTICAL, detail=detail)


def _worded(change: Estimate) -> Estimate:
    if change.low > 0:
        text = "got worse"
    elif change.high < 0:
        text = "got better"
    else:
        text = "the same" if change.low == change.high == 0 else "cannot tell"
    return replace(change, detail=f"{text}: {change.detail}")


def _border(width: float) -> str:
    return f"{100 * width:g}% border"


def _each(*widths: Sequence[float]) -> list[float]:
    return list(dict.fromkeys(width for some in widths for width in some))


def _ids(predictions: Predictions, rows: BoolArray) -> tuple[str, ...]:
    return tuple(sorted(name for name, chosen in zip(predictions.ids, rows, strict=True) if chosen))


def _same_rows(reference: Predictions, candidate: Predictions) -> None:
    same = reference.ids == candidate.ids and reference.classes == candidate.classes
    if not (same and np.array_equal(reference.labels, candidate.labels)):
        raise ArgumentError(
            "the reference answered other rows, labels or classes than the candidate, so nothing can be paired; "
            "judge both on the same data"
        )
