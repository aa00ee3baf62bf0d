"""Does the answer hang on the lungs? Answers with lungs or background hidden, exchanged, marked, and to no chest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness import burn_ins, interventions
from harness import estimate as estimates
from harness.burn_ins import BurnIn
from harness.estimate import Estimate, proportion, undefined
from harness.evidence import Evidence
from harness.interventions import FILLS, Fill
from harness.lungs import LungFields, lung_fields
from harness.metrics import directed_flips, skill_kept, worst
from harness.model import Images, Probabilities
from harness.perturbations import donors
from harness.predictions import Predictions, taken

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

__all__ = [
    "REGIONS", "AttentionRecord", "attend", "default_answer", "follows_lungs", "follows_markers", "inverted_flips",
    "lungs_against_region", "skill_without",
]  # fmt: skip

REGIONS = {
    "lungs": "without lungs",
    "common": "without the usual lung region, alike on every film",
    "another": "without another patient's lung region",
    "region": "without a random region as large as the lungs",
    "background": "without all but the lungs",
}
"""What is hidden, and what the scorecard calls it."""
LEAST_FILMS = 10
"""Films of each class with a trusted lung field, below which the checks that need lungs do not apply."""
KEPT = 0.90
"""Share of answers that must survive an exchange of frames within a class, for one between classes to mean anything."""

_CODE = ("attention", "burn_ins", "interventions", "lungs", "plausibility", "segmenter")


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
        marked: With a burn-in of a film of another class.
        plain: With a flat patch there instead.
        marker_labels: int64 (m,) class of that film; -1 for none.
        marker_boxes: int64 (m, 4) top, bottom, left, right of the burn-in; -1 for none.
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
    inverted: Predictions
    blanks: Mapping[str, Probabilities]


class _Battery:
    """What is done to the test films, drawn once: whose frame, whose burn-in, which regions."""

    def __init__(self, evidence: Evidence, fields: LungFields) -> None:
        candidate = evidence.candidate
        self.test, self.fields, self.seed = candidate.splits.test, fields, candidate.task.seed
        self.rows = np.flatnonzero(fields.trusted)
        labels = self.test.labels[self.rows]
        other, same = donors(labels, candidate.task.classes, seed=self.seed)
        self.frame, self.kin = self._everywhere(other), self._everywhere(same)
        self.markers, self.marker_rows = self._markers(burn_ins.find_each(self.test, fields, candidate.store))
        self.common = self._usual()

    def _everywhere(self, partners: IntArray) -> IntArray:
        """Return partners among the trusted rows as test rows, for every test row; -1 for none."""
        whole = np.full(len(self.test), -1, dtype=np.int64)
        whole[self.rows] = np.where(partners >= 0, self.rows[partners], -1)
        return whole

    def _usual(self) -> BoolArray:
        """Return where at least half of the trusted lung fields lie: bool [H, W]."""
        counts = np.zeros(self.fields.shape, dtype=np.int64)
        for start in range(0, len(self.rows), 64):
            counts += self.fields.take(self.rows[start : start + 64]).sum(axis=0)
        return 2 * counts >= max(len(self.rows), 1)

    def _markers(self, found: list[list[BurnIn]]) -> tuple[list[BurnIn | None], IntArray]:
        """Return for each test row a burn-in of a film of another class that misses the row's lungs, and that film."""
        chosen: list[BurnIn | None] = [None] * len(self.test)
        whose = np.full(len(self.test), -1, dtype=np.int64)
        bearing = np.array([row for row in self.rows if found[row]], dtype=np.int64)
        for row in self.rows:
            generator = np.random.default_rng((self.seed, int(row), 4))
            strangers = bearing[self.test.labels[bearing] != self.test.labels[row]]
            lungs = self.fields.take(np.array([row]))[0]
            for giver in generator.permutation(strangers):
                marker = max(found[giver], key=lambda mark: (mark.bottom - mark.top) * (mark.right - mark.left))
                if not lungs[marker.box].any():
                    chosen[row], whose[row] = marker, giver
                    break
        return chosen, whose

    def regions(self, kind: str, rows: IntArray) -> BoolArray:
        """Return what is hidden of each row: bool [b, H, W]; nothing of a row without a trusted lung field."""
        own = self.fields.take(rows)
        if kind == "common":
            masks = np.repeat(self.common[None], len(rows), axis=0)
        elif kind == "another":
            masks = self.fields.take(np.where(self.frame[rows] >= 0, self.frame[rows], rows))
        elif kind == "region":
            masks = interventions.random_regions(own.sum(axis=(1, 2)), self.fields.shape, rows, self.seed)
        else:
            masks = ~own if kind == "background" else own
        return masks & self.fields.trusted[rows, None, None]

    def changes(self) -> dict[str, Callable[[Images, IntArray], Images]]:
        """Return all changes of films but the hidden regions, by name."""
        return {
            "framed": lambda images, rows: self._framed(images, rows, self.frame),
            "kin": lambda images, rows: self._framed(images, rows, self.kin),
            "marked": lambda images, rows: self._marked(images, rows, plain=False),
            "plain": lambda images, rows: self._marked(images, rows, plain=True),
            "inverted": lambda images, _: np.float32(1) - images,
        }

    def _framed(self, images: Images, rows: IntArray, partners: IntArray) -> Images:
        frames = self.test.take(np.where(partners[rows] >= 0, partners[rows], rows))
        lungs, holes = self.fields.take(rows), self.fields.take(np.maximum(partners[rows], 0))
        return np.stack(
            [
                interventions.into_frame(image, lung, frame, hole) if partners[row] >= 0 else image
                for image, lung, frame, hole, row in zip(images, lungs, frames, holes, rows, strict=True)
            ]
        )

    def _marked(self, images: Images, rows: IntArray, *, plain: bool) -> Images:
        givers = self.test.take(np.maximum(self.marker_rows[rows], 0))
        changed = images.copy()
        for index, row in enumerate(rows):
            marker = self.markers[row]
            if marker is not None:
                changed[index][marker.box] = np.float32(marker.ground) if plain else givers[index][marker.box]
        return changed


def attend(evidence: Evidence, fills: Sequence[Fill] = FILLS) -> AttentionRecord:
    """Return what a model answers when lungs, background, frame or markers are changed; computed once, stored.

    Args:
        evidence: That on the model.
        fills: What hidden pixels are replaced by.
    """
    candidate = evidence.candidate
    fields = lung_fields(candidate.splits.test, candidate.store)
    battery = _Battery(evidence, fields)
    suffix, changes = fields.fingerprint[:16], battery.changes()
    hidden = {f"hidden-{region}-{fill}-{suffix}": (region, fill) for region in REGIONS for fill in fills}
    others = {f"{name}-{suffix}": name for name in changes}

    def make(images: Images, rows: IntArray, wanted: Sequence[str]) -> Iterator[tuple[str, Images]]:
        for region in REGIONS:
            names = {hidden[name][1]: name for name in wanted if name in hidden and hidden[name][0] == region}
            masks = battery.regions(region, rows) if names else np.zeros(0, dtype=bool)
            for fill, changed in interventions.hide(images, masks, names, rows, battery.seed) if names else ():
                yield names[fill], changed
        for name in wanted:
            if name in others:
                yield name, changes[others[name]](images, rows)

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
        inverted=kept("inverted"),
        blanks=evidence.answers_to("blanks", lambda: _blanks(evidence), code=_CODE),
    )


def _blanks(evidence: Evidence) -> dict[str, Images]:
    task = evidence.candidate.task
    return interventions.blanks(task.image_shape, task.seed)


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
    parts: dict[str, Estimate] = {
        fill: skill_kept(record.clean, record.hidden[region, fill], family=len(fills)) for fill in fills
    }
    return _noted(worst(parts, "at_most"), record)


def lungs_against_region(record: AttentionRecord, fill: Fill = "mean") -> Estimate:
    """Share of answers that change without lungs, minus without a random region as large (-1 to 1, a control).

    Returns:
        Paired difference with Tango's interval (grouped, where patients are known); without rows, NaN in [-1, 1].
    """
    own, elsewhere = (record.hidden[region, fill].answers != record.clean.answers for region in ("lungs", "region"))
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
    offenders = tuple(subset.ids[row] for row in np.flatnonzero(frame))
    if found.defined and not kept.value >= KEPT:
        found = replace(found, low=-1.0, high=1.0, detail=f"the exchange itself decides: {words}")
    return _noted(replace(found, offenders=offenders), record)


def frame_control(record: AttentionRecord) -> Estimate:
    """Share of answers that survive an exchange of frames within a class, where both films are answered alike (0 to 1).

    Returns:
        Value and exact interval; without such pairs, NaN in [0, 1].
    """
    before = record.clean.answers
    alike = (record.kin_rows >= 0) & (before == before[record.kin_rows]) & (before >= 0)
    hits = int((record.kin.answers == before)[alike].sum())
    return proportion(hits, int(alike.sum()), detail=f"{hits} of {int(alike.sum())} answers survive")


def follows_markers(record: AttentionRecord) -> Estimate:
    """Answers that go to the class of a pasted burn-in's film, minus those that a flat patch there sends (-1 to 1).

    Returns:
        As `harness.metrics.directed_flips`, over the films for which a burn-in of another class was found that misses
        their lungs; NaN in [-1, 1] where there is none.
    """
    some = int((record.marker_labels >= 0).sum())
    if not some:
        words = "no burn-in of another class was found that could be pasted"
        return undefined(0, low=-1.0, high=1.0, method="Tango", detail=words)
    return _noted(directed_flips(record.clean, record.marked, record.plain, record.marker_labels), record)


def inverted_flips(record: AttentionRecord) -> Estimate:
    """Share of answers that change when black and white change places (0 to 1)."""
    changed = record.inverted.answers != record.clean.answers
    hits = int(changed.sum())
    names = _counts(record.inverted.answers, record.clean.classes)
    return proportion(hits, len(changed), detail=f"{hits} of {len(changed)} answers change; inverted films: {names}")


def default_answer(record: AttentionRecord, name: str) -> Estimate:
    """Largest share of images without a chest that get one and the same answer (1/K to 1): the default diagnosis.

    Returns:
        A census of these images; the detail counts the answers and gives the mean probability of the commonest.
    """
    probabilities = record.blanks[name]
    answers = np.where(np.isfinite(probabilities).all(axis=1), probabilities.argmax(axis=1), -1)
    commonest = int(np.bincount(np.maximum(answers, 0)).argmax())
    sure = float(probabilities[:, commonest].mean())
    detail = f"{_counts(answers, record.clean.classes)}, at a mean probability of {sure:.2f}"
    return estimates.census(int((answers == commonest).sum()), len(answers), detail=detail)


def _counts(answers: IntArray, classes: Sequence[str]) -> str:
    """Return in words how often each class is answered, the commonest first."""
    counts = {name: int((answers == index).sum()) for index, name in enumerate(classes)}
    told = [f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count]
    unanswered = int((answers < 0).sum())
    return ", ".join([*told, f"{unanswered} without an answer"] if unanswered else told)


def _difference(rows: Predictions, gained: BoolArray, lost: BoolArray) -> Estimate:
    """Return the paired difference of two shares of the same rows."""
    ups, downs = gained & ~lost, lost & ~gained
    if rows.groups is not None:
        return estimates.grouped_difference(ups, downs, rows.groups)
    return estimates.paired_difference(int(ups.sum()), int(downs.sum()), len(ups))


def _noted(estimate: Estimate, record: AttentionRecord) -> Estimate:
    """Say how many films were left out for want of a trusted lung field."""
    if not record.left_out:
        return estimate
    return replace(estimate, detail=f"{estimate.detail}; {record.left_out} films without a trusted lung field left out")
