"""What a model answers with lungs, background or markers changed, and to images without a chest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roentgate.arrays import Images, IntArray, Probabilities
from roentgate.candidates import Candidate, Predictions, taken
from roentgate.evidence.evidence import Evidence
from roentgate.lungs import CHANGES, REGIONS, Battery, lung_fields
from roentgate.perturbations import REGION_INFILLS, Infill, regions


@dataclass(frozen=True, kw_only=True)
class AttentionRecord:
    """Answers on the test images whose lung field is trusted, whole and changed.

    Attributes:
        rows: int64 (m,) test rows that these are.
        left_out: How many test images have no trusted lung field.
        clean: Answers on whole images.
        hidden: With a region of `REGIONS` hidden, by (region, infill).
        framed: The lungs on the background of an image of another class.
        donor_rows: int64 (m,) whose background it is, as an index into these rows; -1 for none.
        kin: The lungs on the background of another image of the class.
        same_class_rows: As ``donor_rows``.
        marked: With their own burned-in annotations covered, and one of an image of another class pasted.
        plain: With a flat patch pasted there, and their own left alone.
        annotation_labels: int64 (m,) class of that image; -1 for none.
        marker_boxes: int64 (m, 4) top, bottom, left, right of the burned-in annotation; -1 for none.
        letter: With an R drawn into the upper left corner.
        patch: With a flat patch there instead, as bright on average.
        inverted: Black for white.
        blanks: Probabilities (k, K) for images that show no chest, by name.
    """

    rows: IntArray
    left_out: int
    clean: Predictions
    hidden: Mapping[tuple[str, Infill], Predictions]
    swapped: Predictions
    donor_rows: IntArray
    same_class: Predictions
    same_class_rows: IntArray
    annotated: Predictions
    plain: Predictions
    annotation_labels: IntArray
    marker_boxes: IntArray
    letter: Predictions
    patch: Predictions
    inverted: Predictions
    blanks: Mapping[str, Probabilities]


def battery_of(evidence: Evidence) -> Battery:
    """Return what `attend` does to the test images of a model."""
    candidate = evidence.candidate
    fields = lung_fields(candidate.splits.test, candidate.store)
    return Battery(candidate.splits.test, fields, candidate.store, seed=candidate.task.seed)


def attend(evidence: Evidence, infills: Sequence[Infill] = REGION_INFILLS) -> AttentionRecord:
    """Return what a model answers when lungs, background, background or markers are changed; computed once, stored.

    Args:
        evidence: That on the model.
        fills: What hidden pixels are replaced by.
    """
    candidate, battery = evidence.candidate, battery_of(evidence)
    fields = battery.fields
    suffix = fields.fingerprint[:16]
    hidden = {f"hidden-{region}-{infill}-{suffix}": (region, infill) for region in REGIONS for infill in infills}
    others = {f"{name}-{suffix}": name for name in CHANGES}

    def make(images: Images, rows: IntArray, wanted: Sequence[str]) -> Iterator[tuple[str, Images]]:
        for region in REGIONS:
            names = {hidden[name][1]: name for name in wanted if name in hidden and hidden[name][0] == region}
            for infill, changed in battery.hidden(images, rows, region, names) if names else ():
                yield names[infill], changed
        for name in wanted:
            if name in others:
                yield name, battery.altered(images, rows, others[name])

    answers = evidence.under("attention battery", [*hidden, *others], make)
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
        swapped=kept("swapped"),
        donor_rows=_placed(places, battery.background[trusted]),
        same_class=kept("same_class"),
        same_class_rows=_placed(places, battery.same_class[trusted]),
        annotated=kept("annotated"),
        plain=kept("plain"),
        annotation_labels=np.where(battery.marker_rows >= 0, candidate.splits.test.labels[battery.marker_rows], -1)[
            trusted
        ],
        marker_boxes=np.array(boxes, dtype=np.int64).reshape(-1, 4)[trusted],
        letter=kept("letter"),
        patch=kept("patch"),
        inverted=kept("inverted"),
        blanks=evidence.keep("blanks", lambda: _answer_blanks(candidate), of=[]),
    )


def _answer_blanks(candidate: Candidate) -> dict[str, Probabilities]:
    images = regions.blanks(candidate.task.image_shape, candidate.task.seed)
    return {name: candidate.predict(given) for name, given in images.items()}


def _placed(places: IntArray, rows: IntArray) -> IntArray:
    return np.where(rows >= 0, places[rows], -1)
