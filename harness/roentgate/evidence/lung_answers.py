"""Answers to images with changed lungs, background or annotations.

Images without a chest are answered too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from roentgate.arrays import BoolArray, Images, IntArray, Probabilities
from roentgate.candidates import Candidate, Predictions, taken
from roentgate.evidence import lung_probe
from roentgate.evidence.evidence import Evidence
from roentgate.lungs import CHANGES, REGIONS, LungPerturbations, lung_fields
from roentgate.perturbations import REGION_INFILLS, Infill, regions
from roentgate.store import digest


@dataclass(frozen=True, kw_only=True)
class AttentionRecord:
    """Answers on the test images that have a trusted lung field.

    Each set of answers has m rows, in the order of ``rows``.

    Attributes:
        rows: Indices of these images in the test split, int64 (m,).
        left_out: Number of test images without a trusted lung field.
        left_out_ids: Ids of these images, by class.
        clean: Answers on unchanged images.
        hidden: Answers with a region of `REGIONS` masked, by (region, infill).
        swapped: Answers on the lungs in the background of an image of another class.
        donor_rows: Index into these rows of the image that gave the background, int64 (m,). -1 for none.
        same_class: Answers on the lungs in the background of another image of the same class.
        same_class_rows: As ``donor_rows``, for ``same_class``.
        annotated: Answers with the own burned-in annotations covered and one of an image of another class pasted.
        plain: Answers with a flat patch pasted at the same place and the own annotations left as they are.
        annotation_labels: Class of the image that gave the annotation, int64 (m,). -1 for none.
        annotation_donors: The unit that this image belongs to (its patient, or else its id), m names. "" for none.
        marker_boxes: Top, bottom, left and right of the pasted annotation, int64 (m, 4). -1 for none.
        letter: Answers with an R drawn into the upper left corner.
        patch: Answers with a flat patch drawn there instead, equally bright on average.
        inverted: Answers with black and white exchanged.
        blanks: Probabilities (k, K) for images that show no chest, by name.
        probe: Answers of a linear probe that sees the lungs alone (`roentgate.evidence.lung_probe`).
        probe_swapped: Its answers on the images of ``swapped``.
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
    probe: Predictions
    probe_swapped: Predictions
    annotation_donors: tuple[str, ...] | None = None
    left_out_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def lung_perturbations_of(evidence: Evidence) -> LungPerturbations:
    """Return the changes that `attend` makes to a model's test images."""
    candidate = evidence.candidate
    splits, store = candidate.splits, candidate.store
    train = lung_probe.sample(splits.train)
    return LungPerturbations(
        splits.test,
        lung_fields(splits.test, store),
        store,
        seed=candidate.task.seed,
        lender=(train, lung_fields(train, store)),
    )


def attend(evidence: Evidence, infills: Sequence[Infill] = REGION_INFILLS) -> AttentionRecord:
    """Return the answers with changed lungs, background and annotations.

    They are computed once and stored.

    Args:
        evidence: Evidence on the model.
        infills: What masked pixels are replaced by.
    """
    candidate, perturbations = evidence.candidate, lung_perturbations_of(evidence)
    fields = perturbations.fields
    lent = [] if perturbations.lender_fields is None else [perturbations.lender_fields.fingerprint]
    suffix = digest(fields.fingerprint, *lent)[:16]
    hidden = {f"hidden-{region}-{infill}-{suffix}": (region, infill) for region in REGIONS for infill in infills}
    whole_image = {f"{name}-{suffix}": name for name in CHANGES}

    def make(images: Images, rows: IntArray, wanted: Sequence[str]) -> Iterator[tuple[str, Images]]:
        for region in REGIONS:
            names = {hidden[name][1]: name for name in wanted if name in hidden and hidden[name][0] == region}
            for infill, changed in perturbations.hidden(images, rows, region, names) if names else ():
                yield names[infill], changed
        for name in wanted:
            if name in whole_image:
                yield name, perturbations.altered(images, rows, whole_image[name])

    answers = evidence.under("lung perturbations", [*hidden, *whole_image], make)
    trusted = perturbations.rows

    def trusted_rows(name: str) -> Predictions:
        return taken(answers[f"{name}-{suffix}"], trusted)

    clean = taken(evidence.test, trusted)
    places = np.full(len(fields), -1, dtype=np.int64)
    places[trusted] = np.arange(len(trusted))
    boxes = [
        (-1,) * 4 if marker is None else (marker.top, marker.bottom, marker.left, marker.right)
        for marker in perturbations.markers
    ]
    probe = evidence.keep(
        "lung probe", lambda: lung_probe.answers(candidate, perturbations), of=[suffix, candidate.task.seed]
    )
    lending = (perturbations.test, perturbations.lender)
    lenders = [name for each in lending if each is not None for name in each.units or each.ids]
    return AttentionRecord(
        rows=trusted,
        left_out=len(fields) - len(trusted),
        clean=clean,
        hidden={key: taken(answers[name], trusted) for name, key in hidden.items()},
        swapped=trusted_rows("swapped"),
        donor_rows=_placed(places, perturbations.background[trusted]),
        same_class=trusted_rows("same_class"),
        same_class_rows=_placed(places, perturbations.same_class[trusted]),
        annotated=trusted_rows("annotated"),
        plain=trusted_rows("plain"),
        annotation_labels=perturbations.marker_labels[trusted],
        annotation_donors=tuple(lenders[row] if row >= 0 else "" for row in perturbations.marker_rows[trusted]),
        marker_boxes=np.array(boxes, dtype=np.int64).reshape(-1, 4)[trusted],
        letter=trusted_rows("letter"),
        patch=trusted_rows("patch"),
        inverted=trusted_rows("inverted"),
        blanks=evidence.keep("blanks", lambda: _answer_blanks(candidate), of=[]),
        probe=replace(clean, probabilities=probe["clean"]),
        probe_swapped=replace(clean, probabilities=probe["swapped"]),
        left_out_ids=_ids_by_class(candidate, ~fields.trusted),
    )


def _ids_by_class(candidate: Candidate, rows: BoolArray) -> dict[str, tuple[str, ...]]:
    test = candidate.splits.test
    return {
        label: tuple(test.ids[row] for row in np.flatnonzero(rows & (test.labels == index)))
        for index, label in enumerate(test.classes)
    }


def _answer_blanks(candidate: Candidate) -> dict[str, Probabilities]:
    images = regions.blanks(candidate.task.image_shape, candidate.task.seed)
    return {name: candidate.predict(blank) for name, blank in images.items()}


def _placed(places: IntArray, rows: IntArray) -> IntArray:
    return np.where(rows >= 0, places[rows], -1)
