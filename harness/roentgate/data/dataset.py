"""Data sets: the rows of train, validation and test, in canonical order.

Every index of a row or a class in the library refers to this order.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from roentgate.data import images
from roentgate.data.class_folders import SplitName
from roentgate.data.images import Interpolation
from roentgate.data.manifest import Row, write_rows
from roentgate.data.study import Study
from roentgate.stats import CLUSTER
from roentgate.store import digest

_Fact = TypeVar("_Fact")


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """The ordered rows of one split.

    Pixels are read lazily, in batches.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        ids: POSIX paths relative to the data root, ``test/Covid/0001.png``, or the paths that a manifest gives.
        paths: The files.
        labels: int64 (n,) indices into ``classes``.
        classes: The sorted folder names of train, or the sorted labels of a manifest.
        root: The folder whose sub-folders are the classes. A validation split taken from train has train's. A
            manifest has class folders in the store that show its rows in their order (`roentgate.data.link_tree`), or
            without a store the folder of its images.
        image_shape: (H, W, C) of the pixels. C is 1 (grey) or 3 (red, green, blue).
        interpolation: How images are resized.
        groups: The patient of each row, or None if unknown.
        clusters: The cluster of near-duplicates of each row, or None if no two rows share one, or if nobody looked.
        masks: The mask file of each row, or None.
        lesions: The mask file of the known lesions of each row, or None.
        region: Where the findings lie: ``lungs``, or ``none``.
        cache: The folder that keeps the decoded pixels. None decodes them at each use.
        ignored: Files of this split that are not images, as ids.
        sources: The origin of each row (a hospital, a scanner), or None if unknown.
    """

    name: SplitName
    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    root: Path
    image_shape: tuple[int, int, int]
    interpolation: Interpolation = "nearest"
    groups: tuple[str, ...] | None = None
    masks: tuple[Path, ...] | None = None
    lesions: tuple[Path, ...] | None = None
    region: Literal["lungs", "none"] = "lungs"
    cache: Path | None = None
    ignored: tuple[str, ...] = ()
    sources: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def units(self) -> tuple[str, ...] | None:
        """The patient of each row, else its cluster, or None if each row is a unit of its own."""
        return self.clusters if self.groups is None else self.groups

    @property
    def unit(self) -> str:
        """What one of `units` is."""
        return "patient" if self.groups is not None else "image" if self.clusters is None else CLUSTER

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each class, in class order."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))

    @cached_property
    def file_digests(self) -> tuple[str, ...]:
        """SHA-256 (hex) of the file of each row.

        The files are read once.

        Raises:
            DataError: An image cannot be read.
        """
        return images.file_digests(self.paths)

    @cached_property
    def content_digest(self) -> str:
        """Digest of the images that ignores their names and order.

        It covers file contents and class names. The ledger compares it to find out whether two runs judged the same
        test images.

        Raises:
            DataError: An image cannot be read.
        """
        names = (self.classes[label] for label in self.labels)
        return digest(sorted([name, content] for name, content in zip(names, self.file_digests, strict=True)))

    @cached_property
    def rows_digest(self) -> str:
        """Digest of the images, row by row.

        It covers ids, labels, file contents and their order, but not the size at which images are read. Stored
        predictions (`predictions.json`) are valid only for rows with this digest.

        Raises:
            DataError: An image cannot be read.
        """
        rows = zip(self.ids, self.labels.tolist(), self.file_digests, strict=True)
        return digest(*([row, label, content] for row, label, content in rows))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, labels, file contents, image shape and interpolation.

        It does not depend on the location of the root. Groups and sources are left out, because no pixel, weight or
        probability depends on them. A stored result that depends on them must add them to its key.

        Raises:
            DataError: An image cannot be read.
        """
        summary = hashlib.sha256(json.dumps([self.image_shape, self.interpolation]).encode())
        for row, label, content in zip(self.ids, self.labels.tolist(), self.file_digests, strict=True):
            summary.update(json.dumps([row, label, content]).encode())
        return summary.hexdigest()

    def part(self, rows: Sequence[int]) -> "Dataset":
        """Return the given rows as a data set of their own, without a cache."""

        def chosen(values: tuple[_Fact, ...]) -> tuple[_Fact, ...]:
            return tuple(values[row] for row in rows)

        def known(values: tuple[_Fact, ...] | None) -> tuple[_Fact, ...] | None:
            return None if values is None else chosen(values)

        return replace(
            self,
            ids=chosen(self.ids),
            paths=chosen(self.paths),
            labels=self.labels[list(rows)],
            groups=known(self.groups),
            clusters=known(self.clusters),
            masks=known(self.masks),
            lesions=known(self.lesions),
            sources=known(self.sources),
            cache=None,
        )

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the pixels of the given rows, in the order given.

        Args:
            rows: Row indices (k,). Negative ones count from the end.

        Returns:
            float32 (k, H, W, C) in [0, 1].

        Raises:
            IndexError: There is no such row.
            DataError: An image cannot be decoded. The message names the first such image of the split with a cache,
                and of these rows without one.
        """
        wanted: list[int] = np.arange(len(self))[np.asarray(rows, dtype=np.int64)].tolist()
        if self._decoded is not None:
            return self._decoded.take(wanted)
        pixels = np.empty((len(wanted), *self.image_shape), np.float32)
        paths = [self.paths[row] for row in wanted]
        for target, image in zip(pixels, images.read_each(paths, self.image_shape, self.interpolation), strict=True):
            target[:] = images.unit(image)
        return pixels

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        """Yield the pixels of all rows in order, ``size`` rows at a time.

        The last batch may be shorter.

        Yields:
            float32 (k, H, W, C) in [0, 1], as from ``take``.
        """
        for start in range(0, len(self), size):
            yield self.take(range(start, min(start + size, len(self))))

    @cached_property
    def _decoded(self) -> images.Decoded | None:
        if self.cache is None:
            return None
        return images.Decoded(
            folder=self.cache,
            key=hashlib.sha256((self.fingerprint + images.code_fingerprint()).encode()).hexdigest(),
            paths=self.paths,
            shape=self.image_shape,
            interpolation=self.interpolation,
            title=f"decoding {self.name}",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """The three splits of one data set, with the same classes, and its study."""

    train: Dataset
    validation: Dataset
    test: Dataset
    classes: tuple[str, ...]
    name: str
    root: Path
    study: Study = field(default_factory=Study)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the classes and the fingerprints of the three splits.

        Raises:
            DataError: An image cannot be read.
        """
        parts = [*self.classes, *(split.fingerprint for split in (self.train, self.validation, self.test))]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def places(self) -> tuple[Path, ...]:
        """The paths that a model's own pipeline may read.

        These are the folders of the splits, and images that lie elsewhere.
        """
        splits = (self.train, self.validation, self.test)
        elsewhere = (path for split in splits for path in split.paths if split.root not in path.parents)
        return (*dict.fromkeys(split.root for split in splits), *elsewhere)

    @cached_property
    def surroundings(self) -> str:
        """SHA-256 over all files in the splits that are not rows.

        It includes hidden files, because a model's own pipeline may read them.

        Raises:
            DataError: A file cannot be read.
        """
        splits = (self.train, self.validation, self.test)
        known = {path for split in splits for path in split.paths}
        summary = hashlib.sha256()
        for root in sorted({split.root for split in splits}):
            others = [path for path in sorted(root.rglob("*")) if path.is_file() and path not in known]
            for path, content in zip(others, images.file_digests(others), strict=True):
                summary.update(json.dumps([str(path.relative_to(root)), content]).encode())
        return summary.hexdigest()


def write_manifest(splits: Splits, file: Path) -> None:
    """Write the rows as a manifest with a column ``split``.

    The file can be committed and named by a card.

    Args:
        splits: From class folders or from a manifest. Masks that lie below the data root are named.
        file: A CSV file, replaced as a whole.

    Raises:
        ArgumentError: The folder cannot be written to.
    """
    rows = []
    for split in (splits.train, splits.validation, splits.test):
        for i, path in enumerate(split.ids):
            mask = None if split.masks is None else split.masks[i]
            rows.append(
                Row(
                    path=path,
                    label=split.classes[split.labels[i]],
                    split=split.name,
                    group=None if split.groups is None else split.groups[i],
                    source=None if split.sources is None else split.sources[i],
                    mask=None if mask is None else mask.relative_to(splits.root).as_posix(),
                )
            )
    write_rows(file, rows)
