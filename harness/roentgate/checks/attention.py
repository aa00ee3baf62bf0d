"""Estimates of how far answers depend on the lungs.

They compare answers on whole images with answers on images whose lungs or background are masked or exchanged, on
images with added annotations, and on images without a chest.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roentgate.arrays import BoolArray, IntArray
from roentgate.candidates import Predictions, taken
from roentgate.checks.border import LEAST_SKILL, flips, net_switches, retained_skill, worst
from roentgate.checks.metrics import balanced_accuracy, macro_auroc
from roentgate.evidence import AttentionRecord, Evidence
from roentgate.lungs import REGIONS, lung_fields
from roentgate.perturbations import MILDEST_FIRST, REGION_INFILLS, Infill
from roentgate.stats import Estimate, differences, proportion, undefined
from roentgate.stats import estimate as estimates

__all__ = [
    "GATING",
    "MILDEST_FIRST",
    "REGIONS",
    "annotation_swap",
    "background_swap_auroc",
    "background_swap_control",
    "background_swap_positive_control",
    "drawn_marker",
    "inverted_flips",
    "lung_background_conflict",
    "lung_fields_found",
    "lungs_versus_random_region",
    "non_chest_output",
    "redundant_cues",
    "retained_by_infill",
    "shown_infill",
    "skill_without",
]

GATING = "common"
"""The region of `REGIONS` whose retained skill is bounded: alike on every image, so that no outline can tell the class.

A masked lung leaves its outline, which predicts the label by itself. Networks that see nothing but the lungs retain
most of their skill with their own lungs masked, and lose it with this region.
"""

_SHOWN: tuple[Infill, ...] = ("blur", "mean")
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
        The worst (`roentgate.checks.border.worst`) of the infills' `roentgate.checks.border.retained_skill`. NaN if a
        class has fewer than `LEAST_IMAGES` images with a trusted lung field.
    """
    return _answerable(worst(_skills(record, region, infills), "at_most"), record)


def retained_by_infill(record: AttentionRecord, region: str, infill: Infill) -> Estimate:
    """Share of the skill that is retained when a region is masked by one infill.

    Returns:
        As `roentgate.checks.border.retained_skill`.
    """
    return retained_skill(record.clean, record.hidden[region, infill])


def shown_infill(record: AttentionRecord, region: str) -> Infill:
    """Return the infill that pictures show: blur, or mean if blur is uninformative."""
    return next((each for each in _SHOWN if retained_by_infill(record, region, each).informative), _SHOWN[0])


def redundant_cues(record: AttentionRecord) -> Estimate:
    """Skill that is retained both without the lungs and with them alone.

    The lungs suffice and are not needed if both shares are high: the cues inside and outside are redundant, and neither
    "it reads the lungs" nor "it reads the background" is the whole truth.

    Returns:
        The smaller of the two retained shares and the smaller of each of their limits, under the mildest infill that is
        informative for both. The usual lung region is masked, or all but the lungs. Uninformative if no infill is
        informative for both, and undefined as `roentgate.checks.border.retained_skill`. The detail holds both.
    """
    found = {
        infill: [retained_by_infill(record, region, infill) for region in (GATING, "background")]
        for infill in MILDEST_FIRST
    }
    both = [infill for infill, parts in found.items() if all(part.informative for part in parts)]
    infill = (both or list(found))[0]
    without, only = found[infill]
    if not (without.defined and only.defined):
        return without if not without.defined else only
    least = min((without, only), key=lambda part: part.value)
    return replace(
        least,
        low=min(without.low, only.low),
        high=min(without.high, only.high),
        informative=bool(both),
        hits=None,
        detail=f"{infill}: {without.value:.2f} without the usual lung region, {only.value:.2f} with the lungs only",
    )


def lung_fields_found(evidence: Evidence, label: str) -> Estimate:
    """Share of the test images of a class with a trusted lung field (0 to 1).

    The other images are left out of the checks that need lungs.

    Returns:
        Census of the images of the class. The detail counts the reasons. Failing: the images that are left out.
    """
    test = evidence.candidate.splits.test
    fields = lung_fields(test, evidence.candidate.store)
    rows = np.flatnonzero(test.labels == test.classes.index(label))
    out = [row for row in rows if not fields.trusted[row]]
    reasons = Counter(fields.reasons[row].partition(":")[0] for row in out)
    detail = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return estimates.census(
        len(rows) - len(out),
        len(rows),
        detail=f"left out: {detail}" if out else "none left out",
        failing=tuple(test.ids[row] for row in out),
    )


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
    return _answerable(replace(_difference(record.clean, lungs, region), detail=detail), record)


def lung_background_conflict(record: AttentionRecord) -> Estimate:
    """Share of answers that follow the lungs minus the background (-1 to 1).

    The images show lungs on the background of an image of another class (a cue-conflict test).

    Returns:
        Paired difference with Tango's interval: 1 if the answers follow the lungs alone, -1 if they follow the
        background alone. If fewer than `KEPT` of the answers survive a swap within a class, or
        `background_swap_positive_control` fails, the swap itself changes answers: the value stays and the interval is
        [-1, 1]. NaN without rows. Failing: the images predicted as the background's class.

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
    control = background_swap_positive_control(record)
    if found.defined and control.defined and not control.low > 0:
        detail = f"the exchange takes from the lungs what tells the classes apart ({control.detail}): {found.detail}"
        found = replace(found, low=-1.0, high=1.0, informative=False, detail=detail)
    return _answerable(replace(found, failing=failing), record)


def background_swap_auroc(record: AttentionRecord, *, swapped: bool = True) -> Estimate:
    """Macro AUROC of the lungs' class where the background is of another class.

    A model that ranks by the background is below 0.5. On two tuberculosis hospitals this ranked networks by what was
    left in the other hospital. It is neither necessary nor sufficient for that.

    Args:
        record: The answers.
        swapped: Whether the background is another. If not, the same images are judged as they are.

    Returns:
        As `roentgate.checks.metrics.macro_auroc`, over the images that have a donor of another class. The interval
        takes them as independent, although each also gives its background to another.
    """
    rows = np.flatnonzero(record.donor_rows >= 0)
    return macro_auroc(taken(record.swapped if swapped else record.clean, rows))


def background_swap_positive_control(record: AttentionRecord) -> Estimate:
    """Share of a lung probe's answers that follow the lungs minus the background.

    The probe is linear, is fitted on the lungs of train, and sees nothing else. It lies between -1 and 1.

    Returns:
        As `lung_background_conflict`, for the answers of the probe. If the whole interval does not lie above 0, the
        swap destroys what the lungs show. NaN in [-1, 1] without rows, and if the probe cannot tell the classes on the
        lungs as they are (balanced accuracy less than `roentgate.checks.border.LEAST_SKILL` above chance), in which
        case it says nothing about the swap.
    """
    there = np.flatnonzero(record.donor_rows >= 0)
    subset, answers = taken(record.probe, there), taken(record.probe_swapped, there).answers
    skill = balanced_accuracy(subset).value - 1 / len(subset.classes)
    if not skill >= LEAST_SKILL:
        detail = (
            f"the probe cannot tell the classes on the lungs as they are: balanced accuracy {skill:.2f} above chance"
        )
        return undefined(len(there), low=-1.0, high=1.0, method="Tango", detail=detail)
    lungs, background = answers == subset.labels, answers == record.clean.labels[record.donor_rows[there]]
    detail = (
        f"of a linear probe on the lungs alone {lungs.sum()} of {len(lungs)} answers follow the lungs, "
        f"{background.sum()} the background"
    )
    return replace(_difference(subset, lungs, background), detail=detail, failing=_ids(subset, ~lungs))


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
    return _answerable(found, record)


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
    return _answerable(replace(_difference(record.clean, letter, patch), detail=detail, failing=failing), record)


def inverted_flips(record: AttentionRecord) -> Estimate:
    """Share of answers that change when images are inverted (0 to 1).

    Returns:
        As `roentgate.checks.border.flips`. The detail counts the answers to inverted images.
    """
    found = flips(record.clean, record.inverted)
    names = _counts(record.inverted.answers, record.clean.classes)
    return _answerable(replace(found, detail=f"{found.detail}; inverted images: {names}"), record)


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


def _answerable(estimate: Estimate, record: AttentionRecord) -> Estimate:
    """Return an estimate only as far as the rows behind it can carry it.

    If a class has too few images with a trusted lung field, it is undefined. If all images get one answer, it is
    uninformative.
    """
    estimate = replace(estimate, informative=estimate.informative and not record.clean.one_answer)
    counts = np.bincount(record.clean.labels, minlength=len(record.clean.classes))
    few = {label: int(count) for label, count in zip(record.clean.classes, counts, strict=True) if count < LEAST_IMAGES}
    if not few:
        return estimate
    found = ", ".join(f"{count} images of {label}" for label, count in few.items())
    detail = f"a trusted lung field was found on {found}, fewer than {LEAST_IMAGES}, but on enough of another class"
    failing = tuple(name for label in few for name in record.left_out_ids.get(label, ()))
    return replace(estimate, value=np.nan, hits=None, parts=(), detail=detail, failing=failing)
