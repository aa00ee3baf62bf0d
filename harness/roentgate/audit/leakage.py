"""Leakage between splits, label conflicts and atypical images, as estimates.

Each function takes a `DataRecord`. A count over all images is a census, whose limits equal its value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import IntArray
from roentgate.audit import file_facts, probes
from roentgate.audit.near_duplicates import Duplicates, find_duplicates
from roentgate.audit.scan import SPLIT_PAIRS, Survey, survey
from roentgate.candidates import Predictions, taken
from roentgate.data import SPLITS, SplitName, Splits
from roentgate.stats import CLUSTER, Estimate, census
from roentgate.stats import estimate as estimates
from roentgate.store import Store

TWO_SPLITS = SPLIT_PAIRS
"""Pairs of splits (of, elsewhere), which the suite imports from here."""

LACKING = {
    "groups": "the data names no patients",
    "masks": "the data has no masks",
    "sources": "the data names no sources",
}
"""Properties that images may lack, with the reason that a skipped check gives."""

_SHOWN = 3
_DARK, _LIGHT, _FLAT, _LONG = 0.05, 0.95, 1 / 255, 2.0
_LIKE_NONE = 0.5
_SHOWN_KINDS = 6


@dataclass(frozen=True, eq=False)
class DataRecord:
    """What is known of a data set's images.

    Each part is computed on first use and kept in the store.

    Args:
        splits: The data set.
        store: Keeps the results.
    """

    splits: Splits
    store: Store

    @cached_property
    def seen(self) -> Survey:
        """The facts of every image."""
        return survey(self.splits, self.store)

    @cached_property
    def duplicates(self) -> Duplicates:
        """The pairs of images that are the same."""
        return find_duplicates(self.seen, self.store)

    @cached_property
    def masks(self) -> tuple[Path, ...] | None:
        """The lung mask of each image, or None."""
        parts = [getattr(self.splits, name).masks for name in SPLITS]
        return None if any(part is None for part in parts) else tuple(path for part in parts for path in part)

    @cached_property
    def allowed(self) -> list[probes.Probe]:
        """The probes that can be fitted on these images."""
        return probes.applicable(self.masks)

    def answers(self, probe: probes.Probe) -> Predictions:
        """Return the predictions of a probe on the test images."""
        return self.in_units(probes.answers(self.seen, probe, self.store, self.masks if probe.needs_masks else None))

    @cached_property
    def _clusters(self) -> dict[str, str]:
        """The first image of each image's cluster of near-duplicates, by id."""
        first: dict[int, str] = {}
        return {
            row_id: first.setdefault(cluster, row_id)
            for row_id, cluster in zip(self.seen.ids, self.duplicates.clusters.tolist(), strict=True)
        }

    def clusters_of(self, ids: Sequence[str]) -> tuple[str, ...] | None:
        """Return the cluster of near-duplicates of each image, or None if no two share one."""
        names = tuple(self._clusters[row_id] for row_id in ids)
        return names if len(set(names)) < len(names) else None

    def in_units(self, predictions: Predictions) -> Predictions:
        """Return predictions of images of this data with their independent units.

        They are the patients, or else the clusters of near-duplicates.
        """
        clusters = self.clusters_of(predictions.ids) if predictions.groups is None else None
        return predictions if clusters is None else replace(predictions, groups=clusters, grouped_by=CLUSTER)

    def with_clusters(self, splits: Splits) -> Splits:
        """Return splits of the same images that know their clusters of near-duplicates.

        If patients are named, nothing is looked for, because then patients are the units. A copy under the name of
        another patient is that patient's: it is a fault of the data, which the audit reports and nothing here repairs.
        """
        if splits.test.groups is not None:
            return splits
        parts = {
            name: replace(getattr(splits, name), clusters=self.clusters_of(getattr(splits, name).ids))
            for name in SPLITS
        }
        return replace(splits, **parts)

    def folds(self, probe: probes.Probe) -> Predictions | None:
        """Return the cross-validated predictions of a probe on train and validation images.

        They never see a test image. None if no two classes can be validated.
        """
        masks = self.masks if probe.needs_masks else None
        splits: tuple[SplitName, ...] = ("train", "validation")
        return probes.cross_validated(
            self.seen, self.duplicates.clusters, self.store, probe, splits=splits, masks=masks
        )

    def judged(self, predictions: Predictions) -> Predictions:
        """Return the given rows that a probe can be judged on.

        They are readable and have no near-duplicate in train or validation.
        """
        rows = np.concatenate(
            [_with_near_duplicate(self, "test", "train"), _with_near_duplicate(self, "test", "validation")]
        )
        return self._without(predictions, np.concatenate([rows, np.flatnonzero(~self.seen.readable)]))

    def unseen(self, predictions: Predictions) -> Predictions:
        """Return the given rows without those that are also in train."""
        return self._without(predictions, _with_near_duplicate(self, "test", "train"))

    def _without(self, predictions: Predictions, rows: IntArray) -> Predictions:
        left_out = {self.seen.ids[row] for row in rows}
        keep = np.array([row_id not in left_out for row_id in predictions.ids], np.bool_)
        return predictions if keep.all() else taken(predictions, np.flatnonzero(keep))


def lacking(splits: Splits, need: str) -> str:
    """Return why these images lack a property that a check needs.

    Args:
        splits: The data set.
        need: A key of `LACKING`. Other needs are never lacking.

    Returns:
        The reason, or "" if the images have it.
    """
    return LACKING[need] if need in LACKING and getattr(splits.test, need) is None else ""


def images_shared(record: DataRecord, of: SplitName, elsewhere: SplitName) -> Estimate:
    """Share of the images of split ``of`` that are also in ``elsewhere`` (0 to 1).

    Images are the same if they have identical bytes or identical pixels, or if one is a copy of the other that was
    re-encoded, resized, cropped or mirrored. Once there are copies in two splits, those that were turned, zoomed or
    shifted count as well (see `Duplicates.further`), and the detail says "at least".

    Returns:
        A census with these images as failing images. Without images NaN in [0, 1].
    """
    rows, total = _with_near_duplicate(record, of, elsewhere), len(record.seen.of_split(of))
    named = [f"{record.seen.ids[row]} = {record.seen.ids[_partner(record, row, elsewhere)]}" for row in rows[:_SHOWN]]
    least = "at least " if record.duplicates.further and len(rows) < total else ""
    return _counted(record, rows, total, f"{least}{len(rows)} of {total} images of {of} are in {elsewhere}", named)


def patients_shared(record: DataRecord, of: SplitName, elsewhere: SplitName) -> Estimate:
    """Share of the patients of split ``of`` who are also in ``elsewhere`` (0 to 1).

    Returns:
        A census over patients, with their images of ``of`` as failing images. NaN in [0, 1] if patients are unknown.
    """
    groups = record.seen.groups
    if groups is None:
        detail = "the data names no patients"
        return estimates.undefined(0, low=0.0, high=1.0, method="census", unit="patient", detail=detail)
    names = np.asarray(groups)
    here, there = (set(names[record.seen.of_split(split)].tolist()) for split in (of, elsewhere))
    both = here & there
    rows = [int(row) for row in record.seen.of_split(of) if groups[row] in both]
    detail = f"{len(both)} of {len(here)} patients of {of} have images in {elsewhere}"
    return census(len(both), len(here), unit="patient", detail=detail, failing=_ids(record, rows))


def labels_in_conflict(record: DataRecord) -> Estimate:
    """Share of all images that are the same as one of another class (0 to 1).

    Returns:
        A census with these images as failing images. Without images NaN in [0, 1].
    """
    clusters, labels = record.duplicates.clusters, record.seen.labels
    cluster_of_pair = np.unique(np.stack([clusters, labels]), axis=1)[0]
    mixed = np.flatnonzero(np.bincount(cluster_of_pair) > 1)
    rows = np.flatnonzero(np.isin(clusters, mixed))
    named = [f"{record.seen.ids[row]} is also in another class" for row in rows[:_SHOWN]]
    return _counted(record, rows, len(labels), f"{len(rows)} of {len(labels)} images have two classes", named)


def duplicate_images(record: DataRecord, split: SplitName) -> Estimate:
    """Share of the images of a split that repeat another one (0 to 1).

    The first image of each set of copies does not count.

    Returns:
        A census with the copies as failing images. Without images NaN in [0, 1].
    """
    rows = record.seen.of_split(split)
    _, first = np.unique(record.duplicates.clusters[rows], return_index=True)
    copies = np.delete(rows, first)
    return _counted(record, copies, len(rows), f"{len(copies)} of {len(rows)} images are copies", [])


def names_shared(record: DataRecord, of: SplitName, elsewhere: SplitName) -> Estimate:
    """Share of the images of ``of`` whose file name occurs in ``elsewhere`` (0 to 1).

    Names are compared within a class. Images with equal names need not be the same.

    Returns:
        A census with these images as failing images. Without images NaN in [0, 1].
    """
    seen = record.seen
    there = {(int(seen.labels[row]), seen.paths[row].name) for row in seen.of_split(elsewhere)}
    rows = [int(row) for row in seen.of_split(of) if (int(seen.labels[row]), seen.paths[row].name) in there]
    total = len(seen.of_split(of))
    return _counted(record, rows, total, f"{len(rows)} of {total} file names of {of} are in {elsewhere}", [])


def association(record: DataRecord) -> Estimate:
    """Cramér's V of source and class over all images (0: unrelated, 1: identical).

    The value is the maximum of V of source and class, and of V of source and membership in each single class.

    Returns:
        A census. NaN in [0, 1] if no source is known, or with one source or one class.

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
    """Share of all images that cannot be read (0 to 1).

    Returns:
        A census with these images as failing images.
    """
    rows = np.flatnonzero(~record.seen.readable)
    named = [record.seen.images[row].fault for row in rows[:_SHOWN]]
    return _counted(record, rows, len(record.seen), f"{len(rows)} of {len(record.seen)} images cannot be read", named)


def atypical_images(record: DataRecord) -> Estimate:
    """Share of all images that are unlike the others (0 to 1).

    They are blank, black, white, very long, inverted, or unlike any other image.

    Returns:
        A census with these images as failing images. The detail gives the reasons of the first ones.
    """
    reasons = odd_reasons(record)
    named = [f"{record.seen.ids[row]}: {reason}" for row, reason in list(reasons.items())[:_SHOWN]]
    return _counted(record, list(reasons), len(record.seen), f"{len(reasons)} of {len(record.seen)} images", named)


def odd_reasons(record: DataRecord) -> dict[int, str]:
    """Return why each atypical image is atypical, by row."""
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
    """Return the properties of the images' files, the most frequent values first.

    Each entry is (property, value, number of images of each class).
    """
    seen = record.seen
    found: list[tuple[str, str, list[int]]] = []
    for name, values in file_facts.facts(seen.images, seen.paths).items():
        if name == "extension":
            continue  # the format says more
        counts = {value: [0] * len(seen.classes) for value in values}
        for value, label in zip(values, seen.labels, strict=True):
            counts[value][label] += 1
        common = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
        found += [(name, value, images) for value, images in common[:_SHOWN_KINDS]]
    return found


def images_of(record: DataRecord, label: str, floor: float) -> Estimate:
    """Return the highest recall floor that the test images of a class can pass.

    It is the lower limit of their recall without a miss. Only images without a near-duplicate in train count.

    Args:
        record: The data set.
        label: The class.
        floor: The recall floor of the policy. The detail says how many misses it allows for a pass.

    Returns:
        That limit, or 0 without images. n is the number of these images, or of their patients if these are known, or
        of their clusters if some are near-duplicates. Each patient or cluster counts as one image, as if all of its
        images had the same prediction.
    """
    seen = record.seen
    rows = np.setdiff1d(seen.of_split("test"), _with_near_duplicate(record, "test", "train"))
    of_class, groups = rows[seen.labels[rows] == seen.classes.index(label)], seen.groups
    unit = "patient" if groups is not None else "image"
    if groups is None and record.clusters_of([seen.ids[row] for row in seen.of_split("test")]) is not None:
        groups, unit = tuple(map(str, record.duplicates.clusters.tolist())), CLUSTER
    n = len(of_class) if groups is None else len({groups[row] for row in of_class})
    passing = [misses for misses in range(n) if estimates.proportion(n - misses, n).low >= floor]
    highest = estimates.proportion(n, n).low if n else 0.0
    missed = "misses" if groups is None else f"{estimates.in_plural(unit)} missed in all images"
    allowed = f"with at most {max(passing)} {missed}" if passing else "by no answers"
    counted = unit if n == 1 else estimates.in_plural(unit)
    detail = f"{n} {counted} can pass a recall floor of {floor:.2f} {allowed}, and no floor above {highest:.2f}"
    return Estimate(value=highest, low=highest, high=highest, n=n, method="census", unit=unit, detail=detail)


def _with_near_duplicate(record: DataRecord, of: SplitName, elsewhere: SplitName) -> IntArray:
    """Return the rows of split ``of`` that have a near-duplicate in ``elsewhere``.

    Two images may also be the same through a third.
    """
    clusters = record.duplicates.clusters
    rows = record.seen.of_split(of)
    return rows[np.isin(clusters[rows], clusters[record.seen.of_split(elsewhere)])]


def _partner(record: DataRecord, row: int, elsewhere: SplitName) -> int:
    """Return a row of ``elsewhere`` that is the same image.

    If they were compared, it is the most similar one.
    """
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
    record: DataRecord, rows: Sequence[int] | IntArray, total: int, summary: str, named: Sequence[str]
) -> Estimate:
    more = f" and {len(rows) - len(named)} more" if named and len(rows) > len(named) else ""
    detail = f"{summary}: {'; '.join(named)}{more}" if named else summary
    return census(len(rows), total, detail=detail, failing=_ids(record, rows))


def _ids(record: DataRecord, rows: Sequence[int] | IntArray) -> tuple[str, ...]:
    return tuple(sorted(record.seen.ids[row] for row in rows))
