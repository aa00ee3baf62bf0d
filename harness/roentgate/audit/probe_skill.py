"""How well cheap probes predict the classes of a data set, as estimates.

Probes see the file, the border or other parts of the pixels.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from roentgate.arrays import BoolArray, IntArray
from roentgate.audit import file_facts, probes
from roentgate.audit.leakage import DataRecord
from roentgate.candidates import Predictions, taken
from roentgate.checks import comparison, metrics
from roentgate.stats import Estimate, census, permutation_p
from roentgate.stats import estimate as estimates

ANY_GAIN = 1e-6
"""Least gain over a probe that is one. A model that does exactly as well as the probe is no better."""

DRAWS = 2000
"""Number of permutations for a probe's p-value."""

_SHOWN = 3
_SURE = 0.9
_SOME = 0.25


def metadata_skill(record: DataRecord) -> Estimate:
    """How well file and header alone tell a class from the others.

    The probe is cross-validated over five folds of all images. Of the size of a file it sees only what is left once the
    decoded pixels have been encoded again.

    Returns:
        As from `clearest`, with the single rules in the detail. NaN if fewer than two classes have images of two
        patients, or two images that are not the same.
    """
    skill = _file_skill(record, probes.METADATA)
    if not skill.defined:
        return skill
    odd = int((file_facts.excess(record.seen) != 0).any(axis=1).sum())
    sizes = [f"{odd} of {len(record.seen)} files are larger or smaller than their pixels need"] if odd else []
    return replace(skill, detail="; ".join([skill.detail, *probes.rules(record.seen)[:_SHOWN], *sizes]))


def size_skill(record: DataRecord) -> Estimate:
    """How well the size of a file alone tells a class from the others.

    The size of a compressed file follows from what the image shows, so that skill is no fault of a collection.

    Returns:
        As from `metadata_skill`, without rules.
    """
    return _file_skill(record, probes.SIZE)


def _file_skill(record: DataRecord, probe: probes.Probe) -> Estimate:
    answers = probes.cross_validated(record.seen, record.duplicates.clusters, record.store, probe)
    if answers is None:
        detail = "fewer than two classes have images of two patients"
        return estimates.undefined(0, low=-1.0, high=1.0, method="MOVER", detail=detail)
    return clearest(record.in_units(answers))


def border_skill(record: DataRecord, answers: Predictions) -> Estimate:
    """How well a probe tells a class from the others on the test images.

    Returns:
        As from `clearest`, on the rows that the probe can be judged on.
    """
    return clearest(record.judged(answers))


def clearest(predictions: Predictions) -> Estimate:
    """Youden's index of the best predicted class (0: chance, 1: perfect).

    The maximum is taken because one predictable class is a shortcut. In an average over K classes, a class that is
    predicted completely would count only as 1/(K - 1).

    Returns:
        The greatest of recall + specificity - 1 over the classes. Its interval reaches from the greatest lower limit to
        the greatest upper limit of a class. The limits of a class follow from the exact limits of both proportions
        (MOVER), the lower ones at confidence 1 - 0.05/K. NaN in [-1, 1] if a class has no rows.

    References:
        Youden, Cancer 3 (1950) 32-35; Zou and Donner, Statistics in Medicine 27 (2008) 1693-1702.
    """
    parts: dict[str, Estimate] = {}
    for number, label in enumerate(predictions.classes):
        same_class, predicted = predictions.labels == number, predictions.answers == number
        recall, specificity = (
            _proportion(predictions, predicted, same_class),
            _proportion(predictions, ~predicted, ~same_class),
        )
        mean = estimates.mean([recall, specificity], groups=predictions.groups, labels=(~same_class).astype(np.int64))
        if not mean.defined:
            return replace(mean, value=np.nan, low=-1.0, high=1.0, detail=f"no image of {label}, or none of another")
        value, low, high = (2 * limit - 1 for limit in (mean.value, mean.low, mean.high))
        parts[label] = replace(mean, value=value, low=low, high=high)
    label = max(parts, key=lambda name: parts[name].value)
    index = f"{label} told from the others: recall + specificity - 1 = {parts[label].value:.2f}"
    return replace(
        parts[label],
        low=max(part.low for part in parts.values()),
        high=max(part.high for part in parts.values()),
        detail=f"{index}; {_skill(predictions).detail}",
    )


def _proportion(predictions: Predictions, hits: BoolArray, rows: BoolArray) -> Estimate:
    confidence = 1 - 0.05 / len(predictions.classes)
    if predictions.groups is None:
        return estimates.proportion(int((hits & rows).sum()), int(rows.sum()), low_confidence=confidence)
    groups = [group for group, chosen in zip(predictions.groups, rows, strict=True) if chosen]
    return estimates.grouped_proportion(hits[rows], groups, low_confidence=confidence, unit=predictions.unit)


def probe_skill(record: DataRecord, answers: Predictions) -> Estimate:
    """Adjusted balanced accuracy of a probe (0: chance, 1: perfect).

    Returns:
        As from `roentgate.checks.metrics.adjusted_balanced_accuracy`, on the images that it can be judged on. The
        detail gives balanced accuracy, AUROC, the p-value of a permutation test, and the skill as a share of that of a
        probe of the whole image.
    """
    skill = _skill(record.judged(answers))
    whole = metrics.adjusted_balanced_accuracy(record.judged(record.answers(probes.WHOLE)))
    if not whole.value >= _SOME:
        return skill
    return replace(skill, detail=f"{skill.detail}; {skill.value / whole.value:.0%} of what the whole image gives")


def _skill(predictions: Predictions) -> Estimate:
    skill = metrics.adjusted_balanced_accuracy(predictions)
    balanced, area = metrics.balanced_accuracy(predictions), metrics.macro_auroc(predictions)
    detail = (
        f"balanced accuracy {balanced.value:.2f} [{balanced.low:.2f}, {balanced.high:.2f}] where 1/K = "
        f"{1 / len(predictions.classes):.2f}, AUROC {area.value:.2f} [{area.low:.2f}, {area.high:.2f}], "
        f"p = {chance_p(predictions).value:.2g}"
    )
    return replace(skill, detail=detail, failing=())


def chance_p(answers: Predictions, *, draws: int = DRAWS) -> Estimate:
    """Permutation p-value of the balanced accuracy.

    The null hypothesis is that predictions and classes are independent. Classes are permuted over rows, or over
    patients if these are known and each has one class.
    """
    rng = np.random.default_rng(0)
    units, labels = np.arange(len(answers)), answers.labels
    if answers.groups is not None:
        groups = np.unique(np.asarray(answers.groups), return_inverse=True)[1]
        one_class = len(np.unique(np.stack([groups, labels]), axis=1)[0]) == len(np.unique(groups))
        units = groups if one_class else units
    first = np.unique(units, return_index=True)[1]

    def balanced(truth: IntArray) -> float:
        correct = np.bincount(truth[answers.answers == truth], minlength=len(answers.classes))
        counts = np.bincount(truth, minlength=len(answers.classes))
        return float(np.mean(correct[counts > 0] / counts[counts > 0])) if len(truth) else 0.0

    observed = balanced(labels)
    exceeding = sum(
        balanced(labels[first][rng.permutation(len(first))][units]) >= observed - 1e-12 for _ in range(draws)
    )
    return permutation_p(exceeding, draws)


def chosen_probe(record: DataRecord, family: Sequence[probes.Probe]) -> probes.Probe:
    """Return the probe of a family that is best on train and validation images.

    The best has the highest cross-validated balanced accuracy, and of equal ones the first. No test image has a part in
    the choice. The best of ten equal probes on the test images would be better than all of them by chance, so that an
    equal model would seem to be worse.
    """
    allowed = [probe for probe in family if probe in record.allowed]

    def skill(probe: probes.Probe) -> float:
        answers = record.folds(probe)
        value = np.nan if answers is None else metrics.balanced_accuracy(answers).value
        return -1.0 if np.isnan(value) else value

    return max(allowed, key=skill)


def gain_over(record: DataRecord, family: Sequence[probes.Probe], model: Predictions) -> Estimate:
    """How much better a model is than a probe on the same images (-1 to 1).

    The probe is the one that `chosen_probe` names.

    Args:
        record: The findings on the images.
        family: The probes to choose from.
        model: The answers of the model on the test images.

    Returns:
        The difference of balanced accuracy, model minus probe, as from
        `roentgate.checks.comparison.balanced_change`, on the images that a probe can be judged on. Failing: the images
        that only the probe predicts correctly.
    """
    probe = chosen_probe(record, family)
    named = (f"the probe of {probe.name}", "the model")
    return comparison.balanced_change(record.judged(record.answers(probe)), record.judged(model), named=named)


def source_skill(record: DataRecord) -> Estimate:
    """How well a probe of the whole image predicts the source.

    The probe is cross-validated over five folds of all images.

    Returns:
        As from `roentgate.checks.metrics.adjusted_balanced_accuracy`. NaN if fewer than two sources are known.
    """
    known = len(set(record.seen.sources or ())) > 1
    predictions = probes.of_source(record.seen, record.duplicates.clusters, record.store) if known else None
    predictions = predictions if predictions is None else record.in_units(predictions)
    if predictions is None:
        return estimates.undefined(0, low=-1.0, high=1.0, method="MOVER", detail="no two sources that can be validated")
    return replace(metrics.adjusted_balanced_accuracy(predictions), failing=())


def doubtful_labels(record: DataRecord) -> Estimate:
    """Share of the test images with a doubtful label (0 to 1).

    The probe of the whole image gives another class a probability of at least 0.9. Such a label need not be wrong,
    because hard images are among them.

    Returns:
        A census with these images as failing images.
    """
    answers = record.answers(probes.WHOLE)
    answers = taken(answers, np.flatnonzero(record.seen.readable[record.seen.of_split("test")]))
    sure = answers.probabilities.max(axis=1) >= _SURE
    rows = np.flatnonzero(sure & (answers.answers != answers.labels))
    ids = tuple(answers.ids[row] for row in rows)
    return census(len(rows), len(answers), detail=f"{len(rows)} of {len(answers)} test images", failing=ids)


def label_issues(record: DataRecord) -> list[str] | None:
    """Return the images whose label confident learning doubts, worst first.

    It judges the predictions of the probe of the whole image over five folds of all images.

    Returns:
        Row ids, or None if cleanlab is not installed.

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
