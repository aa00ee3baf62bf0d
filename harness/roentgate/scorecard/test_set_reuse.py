"""Number of models judged on the same test images, and what it costs.

Each further model lowers the confidence in the best of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from tabulate import tabulate

from roentgate.arrays import BoolArray
from roentgate.candidates import Predictions
from roentgate.scorecard import ledger
from roentgate.scorecard.ledger import Evaluation, Ledger, ordinal
from roentgate.scorecard.text import visible
from roentgate.stats import Estimate, grouped_proportion, proportion

_COLUMNS: Final = (
    "",
    "first evaluation",
    "model",
    "seed",
    "fingerprint",
    "evaluations",
    "accuracy",
    "lowest recall",
    "last outcome",
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place of a model among those judged on the same test images.

    Attributes:
        name: Of the model.
        before: Number of models that were judged before it.
        unsure: Number of damaged lines before its own, each of which may hide a further model.
        n: Number of test images.
        test: Its predictions on them, or None if it gave none.
        prior: Least number of models that were judged on them before the ledger began, by the data card.
    """

    name: str
    before: int
    unsure: int
    n: int
    test: Predictions | None
    prior: int = 0

    @property
    def models(self) -> int:
        """Least number of models judged on these images, including this one."""
        return self.prior + self.before + 1

    @property
    def most(self) -> int:
        """The same number if every damaged line hides one more model."""
        return self.models + self.unsure


def models(place: Place) -> Estimate:
    """Return the number of models judged on these test images so far.

    It is the number at the model's first evaluation, including this one (1 or more).

    Args:
        place: From the fixture ``evaluation``.

    Returns:
        The number, with n = test images. Every line of the ledger was read, so the interval has no width. If lines
        before this model's are damaged, each may hide one model more. If models were judged before the ledger began,
        their number is a least one, so the interval is open above. The detail says what so many evaluations cost.

    References:
        As `roentgate.scorecard.ledger.confidence`.
    """
    parts = [_counted(place)]
    if place.test is not None and place.n and place.most > 1:
        wide, _ = _accuracy(place)
        parts.append(f"accuracy {_shown(wide)} at {_level(place)}, which holds for all {place.most} at once")
    return Estimate(
        value=float(place.models),
        low=float(place.models),
        high=math.inf if place.prior else float(place.most),
        n=place.n,
        method="census",
        detail="; ".join(parts),
    )


def place_words(number: int, *, prior: int) -> str:
    """Return the place of a model among those judged, for the terminal.

    ``prior`` models, at least, were judged before the ledger began.
    """
    if prior:
        return f"at least the {ordinal(number)} model judged on these test images, {prior:,} before this ledger began"
    return f"{ordinal(number)} model that this ledger records for these test images"


def section(place: Place) -> list[str]:
    """Return the section of a scorecard on its test-set evaluations.

    The section is a list of sentences in which nothing is escaped.
    """
    return [
        f"{place.name} is {_counted(place)}, in the order of their first evaluations. Judged again it is no further "
        "model, trained again it is one.",
        _confidence_text(place),
        "The count is that of this ledger, and the allowance for models that were made without these images in view. "
        "One that was tuned on earlier figures of the same images, or judged elsewhere, costs more than is counted "
        "here (Dwork et al., Science 349 (2015) 636-638).",
    ]


def section_on_replicates(seeds: int) -> list[str]:
    """Return the same section for a scorecard of several trainings."""
    return [
        f"Each of the {seeds} seeds is a model of its own and one evaluation, for the best of them could be chosen. "
        "What that does to the confidence stands in the scorecard of each."
    ]


def table(recorded: Ledger, *, prior: int = 0) -> list[str]:
    """Return a ledger as lines of plain text.

    For each test set it lists the models in order, with limits that hold for all of them at once, the ``prior`` models
    that the data card counts included.
    """
    lines = []
    for images in dict.fromkeys(evaluation.images for evaluation in recorded.evaluations):
        found = ledger.firsts(recorded, images)
        evaluations = [evaluation for evaluation in recorded.evaluations if evaluation.images == images]
        level = ledger.confidence(prior + len(found))
        rows = [
            _line(
                place, evaluation, [each for each in evaluations if each.fingerprint == evaluation.fingerprint], level
            )
            for place, evaluation in enumerate(found, start=prior + 1)
        ]
        lines += [
            f"test images {visible(images[:12])} (n = {found[-1].n:,}): {some(len(found), 'model')} in "
            f"{some(len(evaluations), 'evaluation')}{_after(prior)}; limits at {_percent(level)} each, over images",
            *tabulate(rows, headers=_COLUMNS, tablefmt="simple", disable_numparse=True).splitlines(),
            "",
        ]
    return lines[:-1] if lines else ["no evaluations"]


def _after(prior: int) -> str:
    return f", after at least {some(prior, 'model')} before this ledger" if prior else ""


def _line(place: int, evaluation: Evaluation, own: Sequence[Evaluation], level: float) -> list[str]:
    shares = {label: proportion(*counts, confidence=level) for label, counts in evaluation.recalls.items() if counts[1]}
    worst = min(shares, key=lambda label: shares[label].value, default=None)
    outcome = "partial" if not own[-1].complete else "accepted" if own[-1].accepted else "refused"
    return [
        str(place),
        own[0].time,
        visible(evaluation.model),
        str(evaluation.seed),
        visible(evaluation.fingerprint[:12]),
        str(len(own)),
        ""
        if evaluation.right is None or not evaluation.n
        else _shown(proportion(evaluation.right, evaluation.n, confidence=level)),
        "" if worst is None else f"{_shown(shares[worst])} {visible(worst)}",
        outcome,
    ]


def _counted(place: Place) -> str:
    which = "first" if place.models == 1 else ordinal(place.models)
    hidden = f" ({some(place.unsure, 'damaged line')} of the ledger may hide more)" if place.unsure else ""
    images = some(place.n, "test image")
    if place.prior:
        began = f"the data card counts {place.prior:,} before this ledger began"
        return f"at least the {which} model judged on these {images}: {began}{hidden}"
    return f"the {which} model that this ledger records for these {images}{hidden}"


def _confidence_text(place: Place) -> str:
    most = place.most
    if most == 1:
        return "Confidence: this ledger records no earlier model, so its intervals make no allowance for others."
    least = "at least " * bool(place.prior)
    parts = [f"For all {most} to hold at once in 95 % of test sets, each takes {least}{_level(place)} (Bonferroni)"]
    if place.test is not None and place.n:
        figures = [("accuracy", *_accuracy(place)), *_lowest_recall(place)]
        parts += [f"{what} {_shown(wide)} instead of {_limits(alone)}" for what, wide, alone in figures]
    missing = _percent(min(1.0, ledger.MISS * most))
    return (
        f"Confidence: one 95 % interval misses in at most 5 % of test sets; of {least}{most}, at least one in up to "
        f"{missing}. {'; '.join(parts)}."
    )


def _accuracy(place: Place) -> tuple[Estimate, Estimate]:
    """Return the accuracy with limits for all models at once, and for one."""
    return _share(place, None, place.most), _share(place, None, 1)


def _lowest_recall(place: Place) -> list[tuple[str, Estimate, Estimate]]:
    """Return the lowest recall with limits for all models at once, and for one.

    The lower limit holds although the class was picked, because it would have to hold for every class.
    """
    assert place.test is not None
    recalls = {index: _share(place, index, place.most) for index in range(len(place.test.classes))}
    defined = {index: recall for index, recall in recalls.items() if recall.defined}
    worst = min(defined, key=lambda index: defined[index].value)
    return [(f"lowest recall, {place.test.classes[worst]},", defined[worst], _share(place, worst, 1))]


def _share(place: Place, index: int | None, among: int) -> Estimate:
    """Return the share of right predictions, with limits for ``among`` models at once.

    It is the share of all images, or of the class of ``index``.
    """
    test, confidence = place.test, ledger.confidence(among)
    assert test is not None
    rows: BoolArray = np.ones(len(test), np.bool_) if index is None else test.labels == index
    right = (test.answers == test.labels)[rows]
    if test.groups is None:
        return proportion(int(right.sum()), len(right), confidence=confidence)
    groups = [group for group, chosen in zip(test.groups, rows, strict=True) if chosen]
    return grouped_proportion(right, groups, confidence=confidence, unit=test.unit)


def counts(test: Predictions, index: int) -> tuple[int, int]:
    """Return how many images of a class are predicted as it, and how many there are."""
    own = test.labels == index
    return int((test.answers[own] == index).sum()), int(own.sum())


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} {_limits(estimate)}"


def _limits(estimate: Estimate) -> str:
    return f"[{estimate.low:.3f}, {estimate.high:.3f}]"


def _level(place: Place) -> str:
    return _percent(ledger.confidence(place.most))


def _percent(share: float) -> str:
    """Return a share in per cent, with places enough that it is not rounded to 100."""
    places = 2 if share == 1 else max(2, 1 - math.floor(math.log10(1 - share)) - 2)
    return f"{f'{100 * share:.{places}f}'.rstrip('0').rstrip('.')} %"


def some(count: int, what: str) -> str:
    """Return ``1 model`` or ``2 models``."""
    return f"{count:,} {what}{'s' if count != 1 else ''}"
