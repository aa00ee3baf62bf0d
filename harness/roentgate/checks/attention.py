"""Does the answer hang on the lungs? Answers with lungs or background hidden, exchanged, marked, and to no chest."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roentgate.arrays import BoolArray, IntArray
from roentgate.candidates import Predictions, taken
from roentgate.checks.border import flips, net_switches, retained_skill, worst
from roentgate.evidence import AttentionRecord
from roentgate.lungs import REGIONS
from roentgate.perturbations import REGION_INFILLS, Infill
from roentgate.stats import Estimate, proportion, undefined
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
]  # fmt: skip

LEAST_IMAGES = 10
"""Images of each class with a trusted lung field, below which the checks that need lungs do not apply."""
KEPT = 0.90
"""Share of answers that must survive an exchange of backgrounds within a class, for one between classes to mean
anything."""


def skill_without(record: AttentionRecord, region: str, infills: Sequence[Infill] = REGION_INFILLS) -> Estimate:
    """Share of the skill above chance that is kept when a region is hidden; the worst informative infill counts.

    Args:
        record: The answers.
        region: One of `REGIONS`.
        fills: All must hold.

    Returns:
        As `roentgate.checks.border.retained_skill` and `roentgate.checks.border.worst`; the detail says how many images
        were left out.
    """
    return _noted(worst(_skills(record, region, infills), "at_most"), record)


def worst_infill(record: AttentionRecord, region: str, infills: Sequence[Infill] = REGION_INFILLS) -> Infill:
    """Return the infill that keeps most skill of those that are informative, the one `skill_without` speaks of."""
    parts = _skills(record, region, infills)
    informative = [infill for infill in infills if parts[infill].informative] or list(infills)
    return max(informative, key=lambda infill: parts[infill].value if parts[infill].defined else -np.inf)


def _skills(record: AttentionRecord, region: str, infills: Sequence[Infill]) -> dict[str, Estimate]:
    return {
        infill: retained_skill(record.clean, record.hidden[region, infill], family=len(infills)) for infill in infills
    }


def lungs_versus_random_region(record: AttentionRecord, infill: Infill = "mean") -> Estimate:
    """Share of answers that change without lungs, minus without a random region as large (-1 to 1, a control).

    Returns:
        Paired difference with Tango's interval (grouped, where patients are known); without rows, NaN in [-1, 1].
    """
    own, elsewhere = (_changed(record.clean, record.hidden[region, infill]) for region in ("lungs", "region"))
    words = f"{own.sum()} of {len(own)} change without lungs, {elsewhere.sum()} without the random region"
    return _noted(replace(_difference(record.clean, own, elsewhere), detail=words), record)


def lung_background_conflict(record: AttentionRecord) -> Estimate:
    """Share of lungs on a background of another class that are called by the lungs' class, minus by the background's
    (-1 to 1).

    Returns:
        Paired difference with Tango's interval; 1 where the answer follows the lungs alone, -1 where it follows the
        background alone. Where fewer than `KEPT` of the answers survive the same operation within a class, the seam or
        the exchange itself decides: the value stands, and the interval is [-1, 1]. NaN without rows. Failing: the
        images whose lungs were called by the background's class.

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    there = record.donor_rows >= 0
    subset, answers = taken(record.clean, np.flatnonzero(there)), record.swapped.answers[there]
    backgrounds = record.clean.labels[record.donor_rows[there]]
    lungs, background = answers == subset.labels, answers == backgrounds
    kept = background_swap_control(record)
    words = f"{lungs.sum()} of {len(lungs)} follow the lungs, {background.sum()} the background; within a class {kept.detail}"
    found = replace(_difference(subset, lungs, background), detail=words)
    failing = _ids(subset, background)
    if found.defined and not kept.value >= KEPT:
        words = f"the exchange itself decides: {words}"
        found = replace(found, low=-1.0, high=1.0, informative=False, detail=words)
    return _noted(replace(found, failing=failing), record)


def background_swap_control(record: AttentionRecord) -> Estimate:
    """Share of answers that survive an exchange of backgrounds within a class, where both images are answered alike (0
    to 1).

    Returns:
        Value and exact interval (grouped, where patients are known); without such pairs, NaN in [0, 1]. Failing: the
        images whose answer does not survive.
    """
    before = record.clean.answers
    alike = np.flatnonzero((record.same_class_rows >= 0) & (before == before[record.same_class_rows]) & (before >= 0))
    pairs, survives = taken(record.clean, alike), (record.same_class.answers == before)[alike]
    detail, failing = f"{survives.sum()} of {len(alike)} answers survive", _ids(pairs, ~survives)
    if pairs.groups is not None:
        return estimates.grouped_proportion(survives, pairs.groups, detail=detail, failing=failing)
    return proportion(int(survives.sum()), len(alike), detail=detail, failing=failing)


def annotation_swap(record: AttentionRecord) -> Estimate:
    """Answers that go to the class of a burned-in annotation's image, minus those that a flat patch in its place sends
    (-1 to 1).

    The burned-in annotation takes the place of the image's own, which are covered with the grey around them where they
    were found.

    Returns:
        As `roentgate.checks.border.net_switches`, over the images for which a burned-in annotation of another class
        was found that misses their lungs; NaN in [-1, 1] where there is none.
    """
    some = int((record.annotation_labels >= 0).sum())
    if not some:
        words = "no burned-in annotation of another class was found that could be pasted"
        return undefined(0, low=-1.0, high=1.0, method="Tango", detail=words)
    found = net_switches(
        record.clean,
        record.annotated,
        record.plain,
        record.annotation_labels,
        given="the burned-in annotation",
        control="a flat patch",
    )
    return _noted(found, record)


def drawn_marker(record: AttentionRecord) -> Estimate:
    """Share of answers that change when an R is drawn into a corner, minus with a flat patch as bright (-1 to 1).

    Returns:
        Paired difference with Tango's interval (grouped, where patients are known); without rows, NaN in [-1, 1].
        Failing: the images that the letter changes and the patch does not.
    """
    letter, patch = (_changed(record.clean, each) for each in (record.letter, record.patch))
    words = f"{letter.sum()} of {len(letter)} change with the letter, {patch.sum()} with the patch"
    failing = tuple(record.clean.ids[row] for row in np.flatnonzero(letter & ~patch))
    return _noted(replace(_difference(record.clean, letter, patch), detail=words, failing=failing), record)


def inverted_flips(record: AttentionRecord) -> Estimate:
    """Share of answers that change when black and white change places (0 to 1).

    Returns:
        As `roentgate.checks.border.flips`; the detail counts the answers to inverted images.
    """
    found = flips(record.clean, record.inverted)
    names = _counts(record.inverted.answers, record.clean.classes)
    return _noted(replace(found, detail=f"{found.detail}; inverted images: {names}"), record)


def non_chest_output(record: AttentionRecord, name: str) -> Estimate:
    """Largest share of images without a chest that get one and the same answer (0 to 1): the default diagnosis.

    Returns:
        A census of these images; the detail counts the answers and gives the mean probability of the commonest, over
        the images that are answered. Where none is (no finite entries), NaN in [0, 1].
    """
    probabilities = record.blanks[name]
    answered = np.isfinite(probabilities).all(axis=1)
    answers = np.where(answered, probabilities.argmax(axis=1), -1)
    words = _counts(answers, record.clean.classes)
    if not answered.any():
        return undefined(len(answers), low=0.0, high=1.0, method="census", detail=words)
    commonest = int(np.bincount(answers[answered]).argmax())
    sure = float(probabilities[answered, commonest].mean())
    detail = f"{words}, at a mean probability of {sure:.2f}"
    return estimates.census(int((answers == commonest).sum()), len(answers), detail=detail)


def _counts(answers: IntArray, classes: Sequence[str]) -> str:
    """Return in words how often each class is answered, the commonest first."""
    counts = {name: int((answers == index).sum()) for index, name in enumerate(classes)}
    told = [f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count]
    unanswered = int((answers < 0).sum())
    return ", ".join([*told, f"{unanswered} without an answer"] if unanswered else told)


def _changed(before: Predictions, after: Predictions) -> BoolArray:
    """Return whose answer changes: bool (n,). A row without an answer counts as changed."""
    changed: BoolArray = (before.answers != after.answers) | (before.answers < 0)
    return changed


def _ids(predictions: Predictions, rows: BoolArray) -> tuple[str, ...]:
    return tuple(predictions.ids[row] for row in np.flatnonzero(rows))


def _difference(rows: Predictions, gained: BoolArray, lost: BoolArray) -> Estimate:
    """Return the paired difference of two shares of the same rows."""
    ups, downs = gained & ~lost, lost & ~gained
    return estimates.grouped_difference(ups, downs, rows.groups)


def _noted(estimate: Estimate, record: AttentionRecord) -> Estimate:
    """Say how many images were left out for want of a trusted lung field."""
    if not record.left_out:
        return estimate
    images = f"{record.left_out} image{'s' if record.left_out > 1 else ''}"
    return replace(estimate, detail=f"{estimate.detail}; {images} without a trusted lung field left out")
