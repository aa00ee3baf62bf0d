"""What cheap probes read of a data set, as estimates: how well file, border and pixels tell the classes apart."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from roentgate.arrays import BoolArray, IntArray
from roentgate.audit import probes
from roentgate.audit.leakage import DataRecord
from roentgate.candidates import Predictions, taken
from roentgate.checks import metrics
from roentgate.stats import Estimate, census, permutation_p
from roentgate.stats import estimate as estimates

DRAWS = 2000
"""Permutations behind a probe's p-value."""

_SHOWN = 3
_SURE = 0.9
_SOME = 0.25


def metadata_skill(record: DataRecord) -> Estimate:
    """How well file and header alone tell a class from the others, over five folds of all images.

    Returns:
        As `clearest`, with the single rules in the detail; NaN where fewer than two classes have two images that are
        not the same, or of one patient.
    """
    answers = probes.cross_validated(record.seen, record.duplicates.clusters, record.store)
    if answers is None:
        words = "fewer than two classes have images of two patients"
        return estimates.undefined(0, low=-1.0, high=1.0, method="MOVER", detail=words)
    told = clearest(answers)
    return replace(told, detail="; ".join([told.detail, *probes.rules(record.seen)[:_SHOWN]]))


def border_skill(record: DataRecord, answers: Predictions) -> Estimate:
    """How well a probe tells a class from the others on the test images: as `clearest`."""
    return clearest(record.judged(answers))


def clearest(shown: Predictions) -> Estimate:
    """Youden's index of the class that is told best from all others (0: chance, 1: perfect): one betrayed is enough.

    Averaged over K classes, one that is given away completely would count as 1/(K - 1).

    Returns:
        The greatest of recall + specificity - 1 over the classes; its interval reaches from the greatest lower limit to
        the greatest upper one, each recovered from the exact limits of both parts (MOVER), the lower ones at
        1 - 0.05/K. NaN in [-1, 1] where a class has no rows.

    References:
        Youden, Cancer 3 (1950) 32-35; Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702.
    """
    parts: dict[str, Estimate] = {}
    for index, label in enumerate(shown.classes):
        own, predicted = shown.labels == index, shown.answers == index
        sides = [_proportion(shown, predicted, own), _proportion(shown, ~predicted, ~own)]
        both = estimates.mean(sides, groups=shown.groups, labels=(~own).astype(np.int64))
        if not both.defined:
            return replace(both, value=np.nan, low=-1.0, high=1.0, detail=f"no image of {label}, or none of another")
        value, low, high = (2 * each - 1 for each in (both.value, both.low, both.high))
        parts[label] = replace(both, value=value, low=low, high=high)
    label = max(parts, key=lambda each: parts[each].value)
    words = f"{label} told from the others: recall + specificity - 1 = {parts[label].value:.2f}; {_skill(shown).detail}"
    return replace(
        parts[label],
        low=max(part.low for part in parts.values()),
        high=max(part.high for part in parts.values()),
        detail=words,
    )


def _proportion(shown: Predictions, hits: BoolArray, rows: BoolArray) -> Estimate:
    family = 1 - 0.05 / len(shown.classes)
    if shown.groups is None:
        return estimates.proportion(int((hits & rows).sum()), int(rows.sum()), low_confidence=family)
    groups = [group for group, chosen in zip(shown.groups, rows, strict=True) if chosen]
    return estimates.grouped_proportion(hits[rows], groups, low_confidence=family)


def probe_skill(record: DataRecord, answers: Predictions) -> Estimate:
    """How well a probe tells the classes apart: its adjusted balanced accuracy (0: chance, 1: perfect).

    Returns:
        As `roentgate.checks.metrics.adjusted_balanced_accuracy`, on images that it can be judged on; the detail gives
        balanced accuracy, AUROC, a permutation p, and the share of what the whole image gives the same kind of probe.
    """
    skill = _skill(record.judged(answers))
    whole = metrics.adjusted_balanced_accuracy(record.judged(record.answers(probes.WHOLE)))
    if not whole.value >= _SOME:
        return skill
    return replace(skill, detail=f"{skill.detail}; {skill.value / whole.value:.0%} of what the whole image gives")


def _skill(shown: Predictions) -> Estimate:
    skill = metrics.adjusted_balanced_accuracy(shown)
    balanced, area = metrics.balanced_accuracy(shown), metrics.macro_auroc(shown)
    words = (
        f"balanced accuracy {balanced.value:.2f} [{balanced.low:.2f}, {balanced.high:.2f}] where 1/K = "
        f"{1 / len(shown.classes):.2f}, AUROC {area.value:.2f} [{area.low:.2f}, {area.high:.2f}], "
        f"p = {chance_p(shown).value:.2g}"
    )
    return replace(skill, detail=words, failing=())


def chance_p(answers: Predictions, *, draws: int = DRAWS) -> Estimate:
    """Chance of a balanced accuracy as high as this if answers and classes had nothing to do with each other.

    Classes are permuted over rows; over patients where they are known and each has one class.
    """
    rng = np.random.default_rng(0)
    units, labels = np.arange(len(answers)), answers.labels
    if answers.groups is not None:
        groups = np.unique(np.asarray(answers.groups), return_inverse=True)[1]
        one_class = len(np.unique(np.stack([groups, labels]), axis=1)[0]) == len(np.unique(groups))
        units = groups if one_class else units
    first = np.unique(units, return_index=True)[1]

    def balanced(truth: IntArray) -> float:
        right = np.bincount(truth[answers.answers == truth], minlength=len(answers.classes))
        counts = np.bincount(truth, minlength=len(answers.classes))
        return float(np.mean(right[counts > 0] / counts[counts > 0])) if len(truth) else 0.0

    observed = balanced(labels)
    exceeding = sum(
        balanced(labels[first][rng.permutation(len(first))][units]) >= observed - 1e-12 for _ in range(draws)
    )
    return permutation_p(exceeding, draws)


def best_probe(record: DataRecord) -> tuple[probes.Probe, Predictions]:
    """Return the probe with the highest balanced accuracy, and its answers on the rows that it can be judged on."""
    told = {probe: record.judged(record.answers(probe)) for probe in record.allowed}
    best = max(told, key=lambda probe: metrics.balanced_accuracy(told[probe]).value)
    return best, told[best]


def against(probe: probes.Probe, change: Estimate) -> Estimate:
    """Return a change of balanced accuracy with the probe that it is measured against in its detail."""
    return replace(change, detail=f"against the probe of {probe.name}: {change.detail}")


def source_skill(record: DataRecord) -> Estimate:
    """How well the whole image tells the sources apart: adjusted balanced accuracy over five folds of all images.

    Returns:
        As `roentgate.checks.metrics.adjusted_balanced_accuracy`; where no source is known, or one, NaN.
    """
    known = len(set(record.seen.sources or ())) > 1
    told = probes.of_source(record.seen, record.duplicates.clusters, record.store) if known else None
    if told is None:
        return estimates.undefined(0, low=-1.0, high=1.0, method="MOVER", detail="no two sources that can be validated")
    return replace(metrics.adjusted_balanced_accuracy(told), failing=())


def doubtful_labels(record: DataRecord) -> Estimate:
    """Share of the test images whose class the probe of the whole image denies by 0.9: labels to look at again.

    Returns:
        A census; failing images: those images. A candidate is not an error: hard images are among them.
    """
    answers = record.answers(probes.WHOLE)
    answers = taken(answers, np.flatnonzero(record.seen.readable[record.seen.of_split("test")]))
    sure = answers.probabilities.max(axis=1) >= _SURE
    rows = np.flatnonzero(sure & (answers.answers != answers.labels))
    names = tuple(answers.ids[row] for row in rows)
    return census(len(rows), len(answers), detail=f"{len(rows)} of {len(answers)} test images", failing=names)


def label_issues(record: DataRecord) -> list[str] | None:
    """Return the images whose class confident learning doubts, worst first; None where cleanlab is not installed.

    It judges what the probe of the whole image answers over five folds of all images.

    References:
        Northcutt et al., Journal of Artificial Intelligence Research 70 (2021) 1373-1411.
    """
    if find_spec("cleanlab") is None:
        return None
    from cleanlab.filter import find_label_issues

    answers = probes.cross_validated(record.seen, record.duplicates.clusters, record.store, probes.WHOLE)
    if answers is None:
        return []
    rows = find_label_issues(
        answers.labels, answers.probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return [answers.ids[row] for row in rows]
