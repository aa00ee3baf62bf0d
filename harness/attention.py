"""Does the answer hang on the lungs? Answers with lungs or background hidden, exchanged, marked, and to no chest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness import estimate as estimates
from harness import interventions
from harness.battery import CHANGES, REGIONS, Battery
from harness.candidate import Candidate
from harness.estimate import Estimate, proportion, undefined
from harness.evidence import Evidence
from harness.interventions import FILLS, Fill
from harness.lungs import lung_fields
from harness.metrics import UNINFORMATIVE, directed_flips, flips, skill_kept, worst
from harness.model import Images, Probabilities
from harness.predictions import Predictions, taken

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

__all__ = [
    "REGIONS", "AttentionRecord", "attend", "battery_of", "default_answer", "drawn_letter", "follows_lungs",
    "follows_markers", "frame_control", "inverted_flips", "lungs_against_region", "skill_without", "worst_fill",
]  # fmt: skip

LEAST_FILMS = 10
"""Films of each class with a trusted lung field, below which the checks that need lungs do not apply."""
KEPT = 0.90
"""Share of answers that must survive an exchange of frames within a class, for one between classes to mean anything."""

_CODE = ("battery", "burn_ins", "interventions", "lungs", "plausibility", "segmenter")


@dataclass(frozen=True, kw_only=True)
class AttentionRecord:
    """Answers on the test films whose lung field is trusted, whole and changed.

    Attributes:
        rows: int64 (m,) test rows that these are.
        left_out: How many test films have no trusted lung field.
        clean: Answers on whole films.
        hidden: With a region of `REGIONS` hidden, by (region, fill).
        framed: The lungs in the frame of a film of another class.
        frame_rows: int64 (m,) whose frame it is, as an index into these rows; -1 for none.
        kin: The lungs in the frame of another film of the class.
        kin_rows: As ``frame_rows``.
        marked: With their own burn-ins covered, and one of a film of another class pasted.
        plain: With a flat patch pasted there, and their own left alone.
        marker_labels: int64 (m,) class of that film; -1 for none.
        marker_boxes: int64 (m, 4) top, bottom, left, right of the burn-in; -1 for none.
        letter: With an R drawn into the upper left corner.
        patch: With a flat patch there instead, as bright on average.
        inverted: Black for white.
        blanks: Probabilities (k, K) for images that show no chest, by name.
    """

    rows: IntArray
    left_out: int
    clean: Predictions
    hidden: Mapping[tuple[str, Fill], Predictions]
    framed: Predictions
    frame_rows: IntArray
    kin: Predictions
    kin_rows: IntArray
    marked: Predictions
    plain: Predictions
    marker_labels: IntArray
    marker_boxes: IntArray
    letter: Predictions
    patch: Predictions
    inverted: Predictions
    blanks: Mapping[str, Probabilities]


def battery_of(evidence: Evidence) -> Battery:
    """Return what `attend` does to the test films of a model."""
    candidate = evidence.candidate
    fields = lung_fields(candidate.splits.test, candidate.store)
    return Battery(candidate.splits.test, fields, candidate.store, seed=candidate.task.seed)


def attend(evidence: Evidence, fills: Sequence[Fill] = FILLS) -> AttentionRecord:
    """Return what a model answers when lungs, background, frame or markers are changed; computed once, stored.

    Args:
        evidence: That on the model.
        fills: What hidden pixels are replaced by.
    """
    candidate, battery = evidence.candidate, battery_of(evidence)
    fields = battery.fields
    suffix = fields.fingerprint[:16]
    hidden = {f"hidden-{region}-{fill}-{suffix}": (region, fill) for region in REGIONS for fill in fills}
    others = {f"{name}-{suffix}": name for name in CHANGES}

    def make(images: Images, rows: IntArray, wanted: Sequence[str]) -> Iterator[tuple[str, Images]]:
        for region in REGIONS:
            names = {hidden[name][1]: name for name in wanted if name in hidden and hidden[name][0] == region}
            for fill, changed in battery.hidden(images, rows, region, names) if names else ():
                yield names[fill], changed
        for name in wanted:
            if name in others:
                yield name, battery.altered(images, rows, others[name])

    answers = evidence.under("attention battery", [*hidden, *others], make, code=_CODE)
    trusted = battery.rows

    def kept(name: str) -> Predictions:
        return taken(answers[f"{name}-{suffix}"], trusted)

    places = np.full(len(fields), -1, dtype=np.int64)
    places[trusted] = np.arange(len(trusted))
    boxes = [(-1,) * 4 if m is None else (m.top, m.bottom, m.left, m.right) for m in battery.markers]
    return AttentionRecord(
        rows=trusted,
        left_out=len(fields) - len(trusted),
        clean=taken(evidence.test, trusted),
        hidden={key: taken(answers[name], trusted) for name, key in hidden.items()},
        framed=kept("framed"),
        frame_rows=_placed(places, battery.frame[trusted]),
        kin=kept("kin"),
        kin_rows=_placed(places, battery.kin[trusted]),
        marked=kept("marked"),
        plain=kept("plain"),
        marker_labels=np.where(battery.marker_rows >= 0, candidate.splits.test.labels[battery.marker_rows], -1)[
            trusted
        ],
        marker_boxes=np.array(boxes, dtype=np.int64).reshape(-1, 4)[trusted],
        letter=kept("letter"),
        patch=kept("patch"),
        inverted=kept("inverted"),
        blanks=evidence.keep("blanks", lambda: _answer_blanks(candidate), of=[], code=("interventions",)),
    )


def _answer_blanks(candidate: Candidate) -> dict[str, Probabilities]:
    images = interventions.blanks(candidate.task.image_shape, candidate.task.seed)
    return {name: candidate.predict(given) for name, given in images.items()}


def _placed(places: IntArray, rows: IntArray) -> IntArray:
    return np.where(rows >= 0, places[rows], -1)


def skill_without(record: AttentionRecord, region: str, fills: Sequence[Fill] = FILLS) -> Estimate:
    """Share of the skill above chance that is kept when a region is hidden; the worst informative fill counts.

    Args:
        record: The answers.
        region: One of `REGIONS`.
        fills: All must hold.

    Returns:
        As `harness.metrics.skill_kept` and `harness.metrics.worst`; the detail says how many films were left out.
    """
    return _noted(worst(_skills(record, region, fills), "at_most"), record)


def worst_fill(record: AttentionRecord, region: str, fills: Sequence[Fill] = FILLS) -> Fill:
    """Return the fill that keeps most skill of those that are informative, the one `skill_without` speaks of."""
    parts = _skills(record, region, fills)
    heard = [fill for fill in fills if not parts[fill].detail.startswith(UNINFORMATIVE)] or list(fills)
    return max(heard, key=lambda fill: parts[fill].value if parts[fill].defined else -np.inf)


def _skills(record: AttentionRecord, region: str, fills: Sequence[Fill]) -> dict[str, Estimate]:
    return {fill: skill_kept(record.clean, record.hidden[region, fill], family=len(fills)) for fill in fills}


def lungs_against_region(record: AttentionRecord, fill: Fill = "mean") -> Estimate:
    """Share of answers that change without lungs, minus without a random region as large (-1 to 1, a control).

    Returns:
        Paired difference with Tango's interval (grouped, where patients are known); without rows, NaN in [-1, 1].
    """
    own, elsewhere = (_changed(record.clean, record.hidden[region, fill]) for region in ("lungs", "region"))
    words = f"{own.sum()} of {len(own)} change without lungs, {elsewhere.sum()} without the random region"
    return _noted(replace(_difference(record.clean, own, elsewhere), detail=words), record)


def follows_lungs(record: AttentionRecord) -> Estimate:
    """Share of lungs in a frame of another class that are called by the lungs' class, minus by the frame's (-1 to 1).

    Returns:
        Paired difference with Tango's interval; 1 where the answer follows the lungs alone, -1 where it follows the
        frame alone. Where fewer than `KEPT` of the answers survive the same operation within a class, the seam or the
        exchange itself decides: the value stands, and the interval is [-1, 1]. NaN without rows. Offenders: the films
        whose lungs were called by the frame's class.

    References:
        Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    there = record.frame_rows >= 0
    subset, answers = taken(record.clean, np.flatnonzero(there)), record.framed.answers[there]
    frames = record.clean.labels[record.frame_rows[there]]
    lungs, frame = answers == subset.labels, answers == frames
    kept = frame_control(record)
    words = f"{lungs.sum()} of {len(lungs)} follow the lungs, {frame.sum()} the frame; within a class {kept.detail}"
    found = replace(_difference(subset, lungs, frame), detail=words)
    offenders = _ids(subset, frame)
    if found.defined and not kept.value >= KEPT:
        found = replace(found, low=-1.0, high=1.0, detail=f"the exchange itself decides: {words}")
    return _noted(replace(found, offenders=offenders), record)


def frame_control(record: AttentionRecord) -> Estimate:
    """Share of answers that survive an exchange of frames within a class, where both films are answered alike (0 to 1).

    Returns:
        Value and exact interval (grouped, where patients are known); without such pairs, NaN in [0, 1]. Offenders: the
        films whose answer does not survive.
    """
    before = record.clean.answers
    alike = np.flatnonzero((record.kin_rows >= 0) & (before == before[record.kin_rows]) & (before >= 0))
    pairs, survives = taken(record.clean, alike), (record.kin.answers == before)[alike]
    detail, offenders = f"{survives.sum()} of {len(alike)} answers survive", _ids(pairs, ~survives)
    if pairs.groups is not None:
        return estimates.grouped_proportion(survives, pairs.groups, detail=detail, offenders=offenders)
    return proportion(int(survives.sum()), len(alike), detail=detail, offenders=offenders)


def follows_markers(record: AttentionRecord) -> Estimate:
    """Answers that go to the class of a burn-in's film, minus those that a flat patch in its place sends (-1 to 1).

    The burn-in takes the place of the film's own, which are covered with the grey around them where they were found.

    Returns:
        As `harness.metrics.directed_flips`, over the films for which a burn-in of another class was found that misses
        their lungs; NaN in [-1, 1] where there is none.
    """
    some = int((record.marker_labels >= 0).sum())
    if not some:
        words = "no burn-in of another class was found that could be pasted"
        return undefined(0, low=-1.0, high=1.0, method="Tango", detail=words)
    found = directed_flips(record.clean, record.marked, record.plain, record.marker_labels)
    told = found.detail.replace("the donor", "the burn-in").replace("a donor of their own class", "a flat patch")
    return _noted(replace(found, detail=told), record)


def drawn_letter(record: AttentionRecord) -> Estimate:
    """Share of answers that change when an R is drawn into a corner, minus with a flat patch as bright (-1 to 1).

    Returns:
        Paired difference with Tango's interval (grouped, where patients are known); without rows, NaN in [-1, 1].
        Offenders: the films that the letter changes and the patch does not.
    """
    letter, patch = (_changed(record.clean, each) for each in (record.letter, record.patch))
    words = f"{letter.sum()} of {len(letter)} change with the letter, {patch.sum()} with the patch"
    offenders = tuple(record.clean.ids[row] for row in np.flatnonzero(letter & ~patch))
    return _noted(replace(_difference(record.clean, letter, patch), detail=words, offenders=offenders), record)


def inverted_flips(record: AttentionRecord) -> Estimate:
    """Share of answers that change when black and white change places (0 to 1).

    Returns:
        As `harness.metrics.flips`; the detail counts the answers to inverted films.
    """
    found = flips(record.clean, record.inverted)
    names = _counts(record.inverted.answers, record.clean.classes)
    return _noted(replace(found, detail=f"{found.detail}; inverted films: {names}"), record)


def default_answer(record: AttentionRecord, name: str) -> Estimate:
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
    """Return whose answer changes: bool (n,); a row without an answer counts as changed, as in `harness.metrics`."""
    changed: BoolArray = (before.answers != after.answers) | (before.answers < 0)
    return changed


def _ids(predictions: Predictions, rows: BoolArray) -> tuple[str, ...]:
    return tuple(predictions.ids[row] for row in np.flatnonzero(rows))


def _difference(rows: Predictions, gained: BoolArray, lost: BoolArray) -> Estimate:
    """Return the paired difference of two shares of the same rows."""
    ups, downs = gained & ~lost, lost & ~gained
    return estimates.grouped_difference(ups, downs, rows.groups)


def _noted(estimate: Estimate, record: AttentionRecord) -> Estimate:
    """Say how many films were left out for want of a trusted lung field."""
    if not record.left_out:
        return estimate
    films = f"{record.left_out} film{'s' if record.left_out > 1 else ''}"
    return replace(estimate, detail=f"{estimate.detail}; {films} without a trusted lung field left out")
