"""What the data gives away before any model is believed: the same image twice, and what can be scored without the
lungs.

Each function takes a `DataRecord` and returns an estimate. What is counted over all images there are is a census: both
limits are the value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import IntArray
from roentgate.audit import probes
from roentgate.audit.near_duplicates import Duplicates, find_duplicates
from roentgate.audit.scan import SPLIT_PAIRS, Survey, survey
from roentgate.candidates import Predictions, taken
from roentgate.data import SPLITS, SplitName, Splits
from roentgate.stats import Estimate, census
from roentgate.stats import estimate as estimates
from roentgate.store import Store

TWO_SPLITS = SPLIT_PAIRS
"""Pairs of splits, each way, for the suite, which imports from here."""

LACKING = {
    "groups": "the data names no patients",
    "masks": "the data has no masks",
    "sources": "the data names no sources",
}
"""What images may not have, and how a check that needs it says so."""
"""(of, elsewhere): whose rows are counted, and where their near-duplicates are looked for."""
_SHOWN = 3
_DARK, _LIGHT, _FLAT, _LONG = 0.05, 0.95, 1 / 255, 2.0
_LIKE_NONE = 0.5
_SHOWN_KINDS = 6


@dataclass(frozen=True, eq=False)
class DataRecord:
    """What was found of a data set's images, each part on first use, kept in the store.

    Args:
        splits: The data set.
        store: Where what is found is kept.
    """

    splits: Splits
    store: Store

    @cached_property
    def seen(self) -> Survey:
        """Every image, looked at once."""
        return survey(self.splits, self.store)

    @cached_property
    def duplicates(self) -> Duplicates:
        """The images that are the same."""
        return find_duplicates(self.seen, self.store)

    @cached_property
    def masks(self) -> tuple[Path, ...] | None:
        """The lung mask of each image, or None."""
        parts = [getattr(self.splits, name).masks for name in SPLITS]
        return None if any(part is None for part in parts) else tuple(path for part in parts for path in part)

    @cached_property
    def allowed(self) -> list[probes.Probe]:
        """The probes that these images allow."""
        return probes.applicable(self.masks)

    def answers(self, probe: probes.Probe) -> Predictions:
        """Return what a probe answers on the test images."""
        return probes.answers(self.seen, probe, self.store, self.masks if probe.needs_masks else None)

    def judged(self, predictions: Predictions) -> Predictions:
        """Return the given rows that a probe can be judged on: readable, and without a near-duplicate in train or
        validation."""
        rows = np.concatenate(
            [_with_near_duplicate(self, "test", "train"), _with_near_duplicate(self, "test", "validation")]
        )
        return self._without(predictions, np.concatenate([rows, np.flatnonzero(~self.seen.readable)]))

    def unseen(self, predictions: Predictions) -> Predictions:
        """Return the given rows but for those that are the same image as a train row."""
        return self._without(predictions, _with_near_duplicate(self, "test", "train"))

    def _without(self, predictions: Predictions, rows: IntArray) -> Predictions:
        left_out = {self.seen.ids[row] for row in rows}
        keep = np.array([name not in left_out for name in predictions.ids], np.bool_)
        return predictions if keep.all() else taken(predictions, np.flatnonzero(keep))


def lacking(splits: Splits, need: str) -> str:
    """Return why these images cannot have what a check needs, among `LACKING`; "" where they can, or for other
    needs."""
    return LACKING[need] if need in LACKING and getattr(splits.test, need) is None else ""


def images_shared(record: DataRecord, of: SplitName, elsewhere: SplitName) -> Estimate:
    """Share of the images of split ``of`` that are the same image as one of split ``elsewhere`` (0 to 1).

    The same: identical bytes, identical pixels, or a copy that was re-encoded, resized, cropped or mirrored.

    Returns:
        A census; without images, NaN in [0, 1]. Failing images: those images.
    """
    near_duplicates, everything = _with_near_duplicate(record, of, elsewhere), len(record.seen.of_split(of))
    named = [
        f"{record.seen.ids[row]} = {record.seen.ids[_partner(record, row, elsewhere)]}"
        for row in near_duplicates[:_SHOWN]
    ]
    return _counted(
        record,
        near_duplicates,
        everything,
        f"{len(near_duplicates)} of {everything} images of {of} are in {elsewhere}",
        named,
    )


def patients_shared(record: DataRecord, of: SplitName, elsewhere: SplitName) -> Estimate:
    """Share of the patients of split ``of`` who have images in split ``elsewhere`` too (0 to 1).

    Returns:
        A census over patients; where they are unknown, NaN in [0, 1]. Failing images: their images of ``of``.
    """
    groups = record.seen.groups
    if groups is None:
        words = "the data names no patients"
        return estimates.undefined(0, low=0.0, high=1.0, method="census", unit="patient", detail=words)
    names = np.asarray(groups)
    own, other = (set(names[record.seen.of_split(split)].tolist()) for split in (of, elsewhere))
    both = own & other
    rows = [int(row) for row in record.seen.of_split(of) if groups[row] in both]
    words = f"{len(both)} of {len(own)} patients of {of} have images in {elsewhere}"
    return census(len(both), len(own), unit="patient", detail=words, failing=_ids(record, rows))


def labels_in_conflict(record: DataRecord) -> Estimate:
    """Share of all images that are the same image as one of another class (0 to 1).

    Returns:
        A census; without images, NaN in [0, 1]. Failing images: those images.
    """
    clusters, labels = record.duplicates.clusters, record.seen.labels
    kinds = np.unique(np.stack([clusters, labels]), axis=1)[0]
    mixed = np.flatnonzero(np.bincount(kinds) > 1)
    rows = np.flatnonzero(np.isin(clusters, mixed))
    named = [f"{record.seen.ids[row]} is also called otherwise" for row in rows[:_SHOWN]]
    return _counted(record, rows, len(labels), f"{len(rows)} of {len(labels)} images have two classes", named)


def duplicate_images(record: DataRecord, split: SplitName) -> Estimate:
    """Share of the images of a split that are another image of it once more (0 to 1): copies beyond the first.

    Returns:
        A census; without images, NaN in [0, 1]. Failing: the copies.
    """
    rows = record.seen.of_split(split)
    _, first = np.unique(record.duplicates.clusters[rows], return_index=True)
    copies = np.delete(rows, first)
    return _counted(record, copies, len(rows), f"{len(copies)} of {len(rows)} images are copies", [])


def names_shared(record: DataRecord, of: SplitName, elsewhere: SplitName) -> Estimate:
    """Share of the images of split ``of`` whose file name also stands in the same class of ``elsewhere`` (0 to 1).

    Returns:
        A census; without images, NaN in [0, 1]. Failing images: those images. A name alone proves nothing.
    """
    seen = record.seen
    there = {(int(seen.labels[row]), seen.paths[row].name) for row in seen.of_split(elsewhere)}
    rows = [int(row) for row in seen.of_split(of) if (int(seen.labels[row]), seen.paths[row].name) in there]
    everything = len(seen.of_split(of))
    return _counted(record, rows, everything, f"{len(rows)} of {everything} file names of {of} are in {elsewhere}", [])


def association(record: DataRecord) -> Estimate:
    """Cramér's V of source and class over all images (0: unrelated, 1: the source is the class), or of one class alone.

    The greatest of V itself and, for each class, of V of source and belonging to that class.

    Returns:
        A census; with one source, or none known, NaN in [0, 1].

    References:
        Cramér, Mathematical Methods of Statistics (1946), chapter 21.
    """
    if record.seen.sources is None:
        return estimates.undefined(0, low=0.0, high=1.0, method="census", detail="the data names no sources")
    names, source = np.unique(np.asarray(record.seen.sources), return_inverse=True)
    counts = np.zeros((len(names), len(record.seen.classes)))
    np.add.at(counts, (source, record.seen.labels), 1)
    occurring = counts[:, counts.sum(axis=0) > 0]
    if min(occurring.shape) < 2:
        return estimates.undefined(len(source), low=0.0, high=1.0, method="census", detail="one source, or one class")
    tables = [occurring, *(np.stack([own, counts.sum(axis=1) - own], axis=1) for own in occurring.T)]
    value = max(_cramer(table) for table in tables)
    shares = "; ".join(
        f"{name}: " + ", ".join(f"{int(n)} {label}" for n, label in zip(row, record.seen.classes, strict=False))
        for name, row in zip(names.tolist(), counts, strict=True)
    )
    return Estimate(value=value, low=value, high=value, n=len(source), method="census", detail=shares)


def _cramer(counts: NDArray[np.float64]) -> float:
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    return float(np.sqrt(((counts - expected) ** 2 / expected).sum() / counts.sum() / (min(counts.shape) - 1)))


def unreadable(record: DataRecord) -> Estimate:
    """Share of all images that cannot be read (0 to 1). Returns a census; failing images: those images."""
    rows = np.flatnonzero(~record.seen.readable)
    named = [record.seen.images[row].fault for row in rows[:_SHOWN]]
    return _counted(record, rows, len(record.seen), f"{len(rows)} of {len(record.seen)} images cannot be read", named)


def atypical_images(record: DataRecord) -> Estimate:
    """Share of all images that are not like the others: blank, black, white, very long, inverted, unlike any.

    Returns:
        A census; failing images: those images, each with the reason in the detail where there is room.
    """
    reasons = odd_reasons(record)
    named = [f"{record.seen.ids[row]}: {reason}" for row, reason in list(reasons.items())[:_SHOWN]]
    return _counted(record, list(reasons), len(record.seen), f"{len(reasons)} of {len(record.seen)} images", named)


def odd_reasons(record: DataRecord) -> dict[int, str]:
    """Return what is odd about each odd image, by row."""
    seen, reasons = record.seen, dict[int, str]()
    likeness, inverted = record.duplicates.likeness, record.duplicates.inverted
    for row, image in enumerate(seen.images):
        if image.fault or image.header is None:
            continue
        longer, shorter = max(image.header.width, image.header.height), min(image.header.width, image.header.height)
        if image.deviation < _FLAT:
            reasons[row] = "blank"
        elif not _DARK < image.mean < _LIGHT:
            reasons[row] = "all but black" if image.mean <= _DARK else "all but white"
        elif longer > _LONG * shorter:
            reasons[row] = f"{image.header.width}x{image.header.height} pixels"
        elif inverted[row]:
            reasons[row] = "inverted: dark where the others are bright"
        elif likeness[row] < _LIKE_NONE:
            reasons[row] = f"unlike any other image (closest correlation {likeness[row]:.2f})"
    return reasons


def kinds_of_files(record: DataRecord) -> list[tuple[str, str, list[int]]]:
    """Return what the images' files are, most frequent first: (what, value, images of each class)."""
    seen = record.seen
    found: list[tuple[str, str, list[int]]] = []
    for what, values in probes.facts(seen.images, seen.paths).items():
        if what == "extension":
            continue  # the format says more
        counts = {value: [0] * len(seen.classes) for value in values}
        for value, label in zip(values, seen.labels, strict=True):
            counts[value][label] += 1
        common = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
        found += [(what, value, images) for value, images in common[:_SHOWN_KINDS]]
    return found


def images_of(record: DataRecord, label: str, floor: float) -> Estimate:
    """Highest recall that the test images of a class without a near-duplicate in train can prove: its lower limit
    without a miss.

    Returns:
        That limit, 0 without images, n = those images, or their patients, where these are known: each counts as one
        image, as where all of a patient's images are right. The detail says how many misses a proof of the floor
        allows.
    """
    seen = record.seen
    rows = np.setdiff1d(seen.of_split("test"), _with_near_duplicate(record, "test", "train"))
    own, groups = rows[seen.labels[rows] == seen.classes.index(label)], seen.groups
    n = len(own) if groups is None else len({groups[row] for row in own})
    proofs = [misses for misses in range(n) if estimates.proportion(n - misses, n).low >= floor]
    most = estimates.proportion(n, n).low if n else 0.0
    missed = "misses" if groups is None else "patients missed in all images"
    allowed = f"with at most {max(proofs)} {missed}" if proofs else "by no answers"
    counted = ("image" if groups is None else "patient") + "s" * (n != 1)
    words = f"{n} {counted} can prove a recall of {floor:.2f} {allowed}, and no recall above {most:.2f}"
    unit = "image" if groups is None else "patient"
    return Estimate(value=most, low=most, high=most, n=n, method="census", unit=unit, detail=words)


def _with_near_duplicate(record: DataRecord, of: SplitName, elsewhere: SplitName) -> IntArray:
    """Return the rows of split ``of`` that are the same image as a row of ``elsewhere``, directly or through others."""
    clusters = record.duplicates.clusters
    rows = record.seen.of_split(of)
    return rows[np.isin(clusters[rows], clusters[record.seen.of_split(elsewhere)])]


def _partner(record: DataRecord, row: int, elsewhere: SplitName) -> int:
    """Return a row of ``elsewhere`` that is the same image: the most similar where they were compared."""
    found, there = record.duplicates, record.seen.of_split(elsewhere)
    pairs = [
        (float(similarity), int(second if first == row else first))
        for first, second, similarity in zip(found.first, found.second, found.similarity, strict=True)
        if row in (first, second) and int(second if first == row else first) in there
    ]
    if pairs:
        return max(pairs)[1]
    return int(there[found.clusters[there] == found.clusters[row]][0])


def _counted(
    record: DataRecord, rows: Sequence[int] | IntArray, everything: int, words: str, named: Sequence[str]
) -> Estimate:
    more = f" and {len(rows) - len(named)} more" if named and len(rows) > len(named) else ""
    detail = f"{words}: {'; '.join(named)}{more}" if named else words
    return census(len(rows), everything, detail=detail, failing=_ids(record, rows))


def _ids(record: DataRecord, rows: Sequence[int] | IntArray) -> tuple[str, ...]:
    return tuple(sorted(record.seen.ids[row] for row in rows))
