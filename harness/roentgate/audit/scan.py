"""One pass over the images of a data set, and the facts of each image.

The facts are digests, header, brightness and a thumbnail. They are kept in one database per data root, image by image.
An interrupted pass is therefore resumed, and a later one reads only files whose size or times have changed.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from roentgate.code_key import code_digest
from roentgate.data import SPLITS, SplitName, Splits, headers, images
from roentgate.errors import DataError, HarnessError
from roentgate.process import in_threads
from roentgate.store import Store, digest

THUMBNAIL = 128
"""Side in pixels of the thumbnails.

An image of any shape is averaged to this square.
"""
BINS = 32
"""Number of bins of the histogram of grey values."""
SPLIT_PAIRS: tuple[tuple[SplitName, SplitName], ...] = (
    ("test", "train"),
    ("validation", "train"),
    ("test", "validation"),
)
"""Pairs of splits (of, elsewhere).

Rows of the first are counted, and their near-duplicates are looked for in the second.
"""

_COMMIT_EVERY = 256
_WAIT_S = 600
_PLAIN_BITS = 8
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_COLOURLESS = ("1", "L", "LA", "I", "F")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The facts of one image.

    Attributes:
        header: Its header, or None if it cannot be read.
        pixels: SHA-256 of its size and its decoded pixels, the same for a grey image stored in colour. "" if unread.
        mean: Mean of its grey values, 0 to 1. An image of more than 8 bits is scaled from its darkest to its brightest.
        deviation: Standard deviation of its grey values.
        histogram: Share of its pixels in each of `BINS` bins of grey.
        colour: Whether its channels differ.
        encoded: Bytes of its pixels encoded again, alike for all files of one format and compression. 0 if unknown.
        fault: A message why it cannot be read, or "" if it can.
    """

    header: headers.Header | None
    pixels: str = ""
    mean: float = 0.0
    deviation: float = 0.0
    histogram: tuple[float, ...] = ()
    colour: bool = False
    encoded: int = 0
    fault: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """The facts of all n images of a data set.

    They are in the order train, validation, test, and in the order of rows within each split.

    Attributes:
        classes: The class names.
        ids: Row ids.
        paths: The files.
        split: int64 (n,) index into `SPLITS`.
        labels: int64 (n,) index into ``classes``.
        groups: The patient of each row, or None if unknown.
        sources: The origin of each row (a hospital, a scanner), or None if unknown.
        images: The facts of each image.
        database: The file that keeps facts and thumbnails.
        stamps: Size, times and code version of each file, which show later changes.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    split: NDArray[np.int64]
    labels: NDArray[np.int64]
    groups: tuple[str, ...] | None
    sources: tuple[str, ...] | None
    images: tuple[ImageFacts, ...]
    database: Path
    stamps: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of rows, splits, labels, groups, sources and file contents.

        It does not depend on the location of the root.
        """
        contents = [image.header.digest if image.header else image.fault for image in self.images]
        rows = [self.split.tolist(), self.labels.tolist(), self.groups, self.sources]
        return digest(self.classes, self.ids, rows, contents)

    @cached_property
    def readable(self) -> NDArray[np.bool_]:
        """Whether each image could be read: bool (n,)."""
        return np.array([not image.fault for image in self.images], dtype=np.bool_)

    def of_split(self, name: SplitName) -> NDArray[np.int64]:
        """Return the rows of a split."""
        return np.flatnonzero(self.split == SPLITS.index(name))

    def thumbnails(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return thumbnails uint8 (k, 128, 128) of the given rows.

        That of an image that could not be read is black.

        Raises:
            HarnessError: The database was removed or changed in the meantime.
        """
        found = np.zeros((len(rows), THUMBNAIL, THUMBNAIL), np.uint8)
        with _opened(self.database) as database:
            for target, row in zip(found, rows, strict=True):
                query = "SELECT stamp, thumbnail FROM image WHERE path = ?"
                line = database.execute(query, (_name(self.paths[row]),)).fetchone()
                if line is None or line[0] != self.stamps[row]:
                    raise HarnessError(
                        f"survey '{self.database}': image {self.ids[row]!r} is gone from it, or has changed; run again"
                    )
                if line[1] is not None:
                    target[:] = np.frombuffer(line[1], np.uint8).reshape(THUMBNAIL, THUMBNAIL)
        return found


def survey(splits: Splits, store: Store) -> Survey:
    """Return the facts of every image of a data set.

    Each image is read once. The facts of unchanged files are taken from the store. An image that cannot be read is no
    error here, and its facts give the reason.

    Args:
        splits: The data set.
        store: Keeps the facts, under ``survey/``.

    Raises:
        HarnessError: The database cannot be written.
    """
    parts = [splits.train, splits.validation, splits.test]
    ids = tuple(row for part in parts for row in part.ids)
    paths = tuple(path for part in parts for path in part.paths)
    code = code_digest(__name__)
    root = digest(str(splits.root.resolve()))[:16]
    file = store.path("survey", f"{root}-{code[:8]}", ".sqlite")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with store.lock("survey", root):
            for old in set(file.parent.glob(f"{root}*.sqlite")) - {file}:  # written by other code
                old.unlink(missing_ok=True)
            facts, stamps = _facts(file, paths)
    except (sqlite3.Error, OSError) as error:
        raise HarnessError(f"survey '{file}': {error}; free some space, or remove the file and run again") from error

    def column(name: str) -> tuple[str, ...] | None:
        values: list[tuple[str, ...] | None] = [getattr(part, name) for part in parts]
        known = [value for value in values if value is not None]
        return tuple(row for value in known for row in value) if len(known) == len(parts) else None

    return Survey(
        classes=splits.classes,
        ids=ids,
        paths=paths,
        split=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        groups=column("groups"),
        sources=column("sources"),
        images=facts,
        database=file,
        stamps=stamps,
    )


def inspect(path: Path) -> tuple[ImageFacts, bytes | None]:
    """Read one image and return its facts and thumbnail.

    Returns:
        The facts, and the thumbnail as bytes, or None if the image cannot be read.
    """
    try:
        header = headers.read_header(path)
    except DataError as error:
        return ImageFacts(header=None, fault=str(error)), None
    channels = 1 if header.mode.split(";")[0] in _COLOURLESS else 3
    try:
        pixels, encoded = images.read_and_encode(path, (header.height, header.width, channels), "nearest")
    except DataError as error:
        return ImageFacts(header=header, fault=str(error)), None
    colour = channels > 1 and bool((pixels != pixels[:, :, :1]).any())
    plain = np.ascontiguousarray(pixels if colour else pixels[:, :, :1])
    grey = images.unit(plain) @ _GREY if colour else images.unit(plain[:, :, 0])
    if header.bits > _PLAIN_BITS:  # twelve bits in sixteen would leave few grey levels in a thumbnail
        grey = _stretched(grey)
    thumbnail = Image.fromarray(grey * np.float32(255)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    bins = np.minimum(grey * np.float32(BINS), BINS - 1).astype(np.uint8)
    histogram = np.bincount(bins.reshape(-1), minlength=BINS) / grey.size
    mean = float(grey.mean(dtype=np.float64))
    variance = float(np.square(grey).mean(dtype=np.float64)) - mean**2
    facts = ImageFacts(
        header=header,
        pixels=hashlib.sha256(f"{plain.shape} {plain.dtype}".encode() + plain.tobytes()).hexdigest(),
        mean=mean,
        deviation=float(np.sqrt(max(variance, 0.0))),
        histogram=tuple(histogram.tolist()),
        colour=colour,
        encoded=encoded,
    )
    return facts, np.clip(np.rint(np.asarray(thumbnail)), 0, 255).astype(np.uint8).tobytes()


def _stretched(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    lowest, highest = grey.min(), grey.max()
    stretched: NDArray[np.float32] = (grey - lowest) / (highest - lowest) if highest > lowest else np.zeros_like(grey)
    return stretched


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_S)) as database:
        yield database


def _name(path: Path) -> str:
    return str(path.absolute())


def _facts(file: Path, paths: Sequence[Path]) -> tuple[tuple[ImageFacts, ...], tuple[str, ...]]:
    """Return the facts and the stamp of each image.

    Images that are missing in the database or have changed are read.
    """
    try:
        with _opened(file) as database:
            return _update(database, paths)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        file.unlink(missing_ok=True)  # a damaged database is made again from the images
        with _opened(file) as database:
            return _update(database, paths)


def _update(database: sqlite3.Connection, paths: Sequence[Path]) -> tuple[tuple[ImageFacts, ...], tuple[str, ...]]:
    code = code_digest(__name__)
    database.execute("CREATE TABLE IF NOT EXISTS image (path TEXT PRIMARY KEY, stamp TEXT, facts TEXT, thumbnail BLOB)")
    stamps = [_stamp(path, code) for path in paths]
    known = dict(database.execute("SELECT path, stamp FROM image"))
    names = [_name(path) for path in paths]
    new = [row for row, name in enumerate(names) if known.get(name) != stamps[row]]
    bar = tqdm(total=len(new), desc="looking at images", unit="image", leave=False, mininterval=0.5, delay=1.0)
    inspected = in_threads(inspect, (paths[row] for row in new))
    with bar:
        for start in range(0, len(new), _COMMIT_EVERY):
            rows = new[start : start + _COMMIT_EVERY]
            lines = [
                (names[row], stamps[row], json.dumps(asdict(facts)), thumbnail)
                for row, (facts, thumbnail) in zip(rows, islice(inspected, len(rows)), strict=True)
            ]
            with database:
                database.executemany("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?)", lines)
            bar.update(len(rows))
    found = dict(database.execute("SELECT path, facts FROM image"))
    return tuple(_read_facts(found[name]) for name in names), tuple(stamps)


def _stamp(path: Path, code: str) -> str:
    """Return size and times of a file, and the version of the code that reads it."""
    try:
        found = path.stat()
    except OSError as error:
        return f"{code} {error.strerror}"
    return f"{code} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _read_facts(text: str) -> ImageFacts:
    values = cast("dict[str, Any]", json.loads(text))
    header = values.pop("header")
    histogram = tuple(values.pop("histogram"))
    return ImageFacts(header=None if header is None else headers.Header(**header), histogram=histogram, **values)
