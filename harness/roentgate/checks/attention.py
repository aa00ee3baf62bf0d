"""Estimates of how far answers depend on the lungs.

They compare answers on whole images with answers on images whose lungs or background are masked or exchanged, on
images with added annotations, and on images without a chest.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roentgate.arrays import BoolArray, IntArray
from roentgate.candidates import Predictions, taken
from roentgate.checks.border import flips, net_switches, retained_skill, worst
from roentgate.evidence import AttentionRecord
from roentgate.lungs import REGIONS
from roentgate.perturbations import REGION_INFILLS, Infill
from roentgate.stats import Estimate, differences, proportion, undefined
from roentgate.stats import estimate as estimates

__all__ = [
    "REGIONS",
    "annotation_swap",
    "background_swap_control",
    "drawn_marker",
    "inverted_flips",
    "lung_background_conflict",
    "lungs_versus_random_region",
    "non_chest_output",
    "skill_without",
    "worst_infill",
]

LEAST_IMAGES = 10
"""Least number of images of each class with a trusted lung field that the lung checks need.

If only some classes have them, the checks are undefined, and a model is refused.
"""
KEPT = 0.90
"""Share of answers that must survive a background swap within a class.

Below it, a swap between classes means nothing.
"""


def skill_without(record: AttentionRecord, region: str, infills: Sequence[Infill] = REGION_INFILLS) -> Estimate:
    """Share of the skill that is retained when a region is masked.

    Args:
        record: The answers.
        region: One of `REGIONS`.
        infills: All of these must meet the bound.

    Returns:
        The worst (`roentgate.checks.border.worst`) of the infills' `roentgate.checks.border.retained_skill`. The detail
        says how many images were left out.
    """
    return _noted(worst(_skills(record, region, infills), "at_most"), record)


def worst_infill(record: AttentionRecord, region: str, infills: Sequence[Infill] = REGION_INFILLS) -> Infill:
    """Return the informative infill with the most retained skill.

    It is the infill that `skill_without` reports.
    """
    parts = _skills(record, region, infills)
    informative = [infill for infill in infills if parts[infill].informative] or list(infills)
    return max(informative, key=lambda infill: parts[infill].value if parts[infill].defined else -np.inf)


def _skills(record: AttentionRecord, region: str, infills: Sequence[Infill]) -> dict[str, Estimate]:
    return {
        infill: retained_skill(record.clean, record.hidden[region, infill], family=len(infills)) for infill in infills
    }


def lungs_versus_random_region(record: AttentionRecord, infill: Infill = "mean") -> Estimate:
    """Share of answers changed without lungs minus without a random region.

    The random region is as large as the lungs. The difference lies between -1 and 1 and is a control.

    Returns:
        Paired difference with Tango's interval (grouped if patients are known). NaN in [-1, 1] without rows.
    """
    lungs, region = (_changed(record.clean, record.hidden[masked, infill]) for masked in ("lungs", "region"))
    detail = f"{lungs.sum()} of {len(lungs)} change without lungs, {region.sum()} without the random region"
    return _noted(replace(_difference(record.clean, lungs, region), detail=detail), record)


def lung_background_conflict(record: AttentionRecord) -> Estimate:
    """Share of answers that follow the lungs minus the background (-1 to 1).

    The images show lungs on the background of an image of another class (a cue-conflict test).

    Returns:
        Paired difference with Tango's interval: 1 if the answers follow the lungs alone, -1 if they follow the
        background alone. If fewer than `KEPT` of the answers survive a swap within a class, the swap itself changes
        answers: the value stays and the interval is [-1, 1]. NaN without rows. Failing: the images predicted as the
        background's class.

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    there = record.donor_rows >= 0
    subset, answers = taken(record.clean, np.flatnonzero(there)), record.swapped.answers[there]
    backgrounds = record.clean.labels[record.donor_rows[there]]
    lungs, background = answers == subset.labels, answers == backgrounds
    kept = background_swap_control(record)
    detail = (
        f"{lungs.sum()} of {len(lungs)} follow the lungs, {background.sum()} the background; "
        f"within a class {kept.detail}"
    )
    units = record.clean.groups or record.clean.ids
    donors = [units[row] for row in record.donor_rows[there]]
    found = replace(_difference(subset, lungs, background, donors), detail=detail)
    failing = _ids(subset, background)
    if found.defined and not kept.value >= KEPT:
        detail = f"the exchange itself decides: {detail}"
        found = replace(found, low=-1.0, high=1.0, informative=False, detail=detail)
    return _noted(replace(found, failing=failing), record)


def background_swap_control(record: AttentionRecord) -> Estimate:
    """Share of answers that survive a background swap within a class.

    Only pairs of images with the same answer count.

    Returns:
        Value (0 to 1) and exact interval (grouped if patients are known). NaN in [0, 1] without such pairs. Failing:
        the images whose answer does not survive.
    """
    before = record.clean.answers
    alike = np.flatnonzero((record.same_class_rows >= 0) & (before == before[record.same_class_rows]) & (before >= 0))
    pairs, survives = taken(record.clean, alike), (record.same_class.answers == before)[alike]
    detail, failing = f"{survives.sum()} of {len(alike)} answers survive", _ids(pairs, ~survives)
    if pairs.groups is not None:
        return estimates.grouped_proportion(survives, pairs.groups, detail=detail, failing=failing, unit=pairs.unit)
    return proportion(int(survives.sum()), len(alike), detail=detail, failing=failing)


def annotation_swap(record: AttentionRecord) -> Estimate:
    """Net switches to the class of a pasted annotation (-1 to 1).

    The pasted annotation replaces the image's own annotations, which are covered with the grey around them if they were
    found. The control is a flat patch in the same place.

    Returns:
        As `roentgate.checks.border.net_switches`, over the images for which an annotation of another class was found
        that does not cover their lungs. Images with an annotation of the same donor depend on each other, so n is the
        number of donors if they are fewer. NaN in [-1, 1] without such images.
    """
    some = int((record.annotation_labels >= 0).sum())
    if not some:
        detail = "no burned-in annotation of another class was found that could be pasted"
        return undefined(0, low=-1.0, high=1.0, method="Tango", detail=detail)
    found = net_switches(
        record.clean,
        record.annotated,
        record.plain,
        record.annotation_labels,
        donors=record.annotation_donors,
        given="the burned-in annotation",
        control="a flat patch",
    )
    return _noted(found, record)


def drawn_marker(record: AttentionRecord) -> Estimate:
    """Share of answers that a drawn R changes minus a patch (-1 to 1).

    The R is drawn into a corner. The control is a flat patch in the same place, as bright as the letter.

    Returns:
        Paired difference with Tango's interval (grouped if patients are known). NaN in [-1, 1] without rows. Failing:
        the images whose answer the letter changes and the patch does not.
    """
    letter, patch = (_changed(record.clean, answers) for answers in (record.letter, record.patch))
    detail = f"{letter.sum()} of {len(letter)} change with the letter, {patch.sum()} with the patch"
    failing = tuple(record.clean.ids[row] for row in np.flatnonzero(letter & ~patch))
    return _noted(replace(_difference(record.clean, letter, patch), detail=detail, failing=failing), record)


def inverted_flips(record: AttentionRecord) -> Estimate:
    """Share of answers that change when images are inverted (0 to 1).

    Returns:
        As `roentgate.checks.border.flips`. The detail counts the answers to inverted images.
    """
    found = flips(record.clean, record.inverted)
    names = _counts(record.inverted.answers, record.clean.classes)
    return _noted(replace(found, detail=f"{found.detail}; inverted images: {names}"), record)


def non_chest_output(record: AttentionRecord, name: str) -> Estimate:
    """Share of the commonest answer on non-chest images (0 to 1).

    Returns:
        Census of these images. The detail counts the answers and gives the mean probability of the commonest over the
        images with an answer. NaN in [0, 1] if no image has finite probabilities.
    """
    probabilities = record.blanks[name]
    answered = np.isfinite(probabilities).all(axis=1)
    answers = np.where(answered, probabilities.argmax(axis=1), -1)
    counts = _counts(answers, record.clean.classes)
    if not answered.any():
        return undefined(len(answers), low=0.0, high=1.0, method="census", detail=counts)
    commonest = int(np.bincount(answers[answered]).argmax())
    mean = float(probabilities[answered, commonest].mean())
    detail = f"{counts}, at a mean probability of {mean:.2f}"
    return estimates.census(int((answers == commonest).sum()), len(answers), detail=detail)


def _counts(answers: IntArray, classes: Sequence[str]) -> str:
    """Describe how often each class is answered, the commonest first."""
    counts = {name: int((answers == index).sum()) for index, name in enumerate(classes)}
    parts = [f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count]
    unanswered = int((answers < 0).sum())
    return ", ".join([*parts, f"{unanswered} without an answer"] if unanswered else parts)


def _changed(before: Predictions, after: Predictions) -> BoolArray:
    """Return which rows change their answer: bool (n,).

    A row without an answer counts as changed.
    """
    changed: BoolArray = (before.answers != after.answers) | (before.answers < 0)
    return changed


def _ids(predictions: Predictions, rows: BoolArray) -> tuple[str, ...]:
    return tuple(predictions.ids[row] for row in np.flatnonzero(rows))


def _difference(rows: Predictions, gained: BoolArray, lost: BoolArray, donors: Sequence[str] | None = None) -> Estimate:
    """Return the paired difference of two shares of the same rows."""
    ups, downs = gained & ~lost, lost & ~gained
    return differences.grouped_difference(ups, downs, rows.groups, unit=rows.unit, donors=donors)


def _noted(estimate: Estimate, record: AttentionRecord) -> Estimate:
    """Add to the detail how many images had no trusted lung field.

    If a class has too few images that do, the estimate is undefined. If all images get one answer, it is uninformative.
    """
    estimate = replace(estimate, informative=estimate.informative and not record.clean.one_answer)
    counts = np.bincount(record.clean.labels, minlength=len(record.clean.classes))
    few = {label: int(count) for label, count in zip(record.clean.classes, counts, strict=True) if count < LEAST_IMAGES}
    if few:
        found = ", ".join(f"{count} images of {label}" for label, count in few.items())
        detail = f"a trusted lung field was found on {found}, fewer than {LEAST_IMAGES}, but on enough of another class"
        failing = tuple(name for label in few for name in record.left_out_ids.get(label, ()))
        return replace(estimate, value=np.nan, hits=None, parts=(), detail=detail, failing=failing)
    if not record.left_out:
        return estimate
    images = f"{record.left_out} image{'s' if record.left_out > 1 else ''}"
    return replace(estimate, detail=f"{estimate.detail}; {images} without a trusted lung field left out")
