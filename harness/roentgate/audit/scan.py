"""One pass over the images of a data set, and what it finds of each: digests, header, brightness and a thumbnail.

Kept in one database a data root, image by image: a pass that is broken off goes on where it was, and the next one reads
only files whose size or times have changed.
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
from roentgate.data import SPLITS, SplitName, Splits, headers
from roentgate.data import images as images
from roentgate.errors import DataError, HarnessError
from roentgate.process import in_threads
from roentgate.store import Store, digest

THUMBNAIL = 128
"""Side of the thumbnails: each image averaged to a square, whatever its shape."""
BINS = 32
"""Of the histogram of grey values."""
SPLIT_PAIRS: tuple[tuple[SplitName, SplitName], ...] = (
    ("test", "train"), ("validation", "train"), ("test", "validation"),
)  # fmt: skip
"""(of, elsewhere): whose rows are counted, and where their near-duplicates are looked for."""

_COMMIT_EVERY = 256
_WAIT_S = 600
_PLAIN_BITS = 8
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_COLOURLESS = ("1", "L", "LA", "I", "F")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of one image.

    Attributes:
        header: What its file says; None where it cannot be read.
        pixels: SHA-256 of its size and its decoded pixels, the same for a grey image stored in colour; "" unread.
        mean: Of its grey values, 0 to 1; of an image of more than 8 bits, from its darkest to its brightest.
        deviation: Of its grey values.
        histogram: Share of its pixels in each of `BINS` bins of grey.
        colour: Whether its channels differ.
        fault: Why it cannot be read, in a sentence; "" where it can.
    """

    header: headers.Header | None
    pixels: str = ""
    mean: float = 0.0
    deviation: float = 0.0
    histogram: tuple[float, ...] = ()
    colour: bool = False
    fault: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """All images of a data set in one order: train, validation, test, each in its own order; n rows.

    Attributes:
        classes: The class names.
        ids: Row ids.
        paths: The files.
        split: int64 (n,) index into `SPLITS`.
        labels: int64 (n,) index into ``classes``.
        groups: The patient of each row, or None where unknown.
        sources: Where each row comes from (a hospital, a scanner), or None where unknown.
        images: What is known of each.
        database: Where it is kept.
        stamps: What would tell that a file has changed since.
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
        """Digest of rows, splits, labels, groups, sources and file contents; the same wherever the root lies."""
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
        """Return thumbnails uint8 (k, 128, 128) of the given rows; black where an image could not be read.

        Raises:
            HarnessError: The database was removed or changed meanwhile.
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
    """Look at every image once; what was looked at before and has not changed is taken from the store.

    An image that cannot be read is no error here: its facts say why.

    Args:
        splits: The data set.
        store: Where the facts are kept, under ``survey/``.

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
            for old in set(file.parent.glob(f"{root}*.sqlite")) - {file}:  # what other code has seen
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
    """Read one image and return its facts and its thumbnail's bytes (None where it cannot be read)."""
    try:
        header = headers.read_header(path)
    except DataError as error:
        return ImageFacts(header=None, fault=str(error)), None
    channels = 1 if header.mode.split(";")[0] in _COLOURLESS else 3
    try:
        pixels = images.read(path, (header.height, header.width, channels), "nearest")
    except DataError as error:
        return ImageFacts(header=header, fault=str(error)), None
    colour = channels > 1 and bool((pixels != pixels[:, :, :1]).any())
    plain = np.ascontiguousarray(pixels if colour else pixels[:, :, :1])
    grey = images.unit(plain) @ _GREY if colour else images.unit(plain[:, :, 0])
    if header.bits > _PLAIN_BITS:  # twelve bits in sixteen would leave a thumbnail of a few greys
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
    """Return the facts and the stamp of each image; what is missing or out of date is looked at."""
    try:
        with _opened(file) as database:
            return _filled(database, paths)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        file.unlink(missing_ok=True)  # damaged: nothing in it cannot be found again
        with _opened(file) as database:
            return _filled(database, paths)


def _filled(database: sqlite3.Connection, paths: Sequence[Path]) -> tuple[tuple[ImageFacts, ...], tuple[str, ...]]:
    code = code_digest(__name__)
    database.execute("CREATE TABLE IF NOT EXISTS image (path TEXT PRIMARY KEY, stamp TEXT, facts TEXT, thumbnail BLOB)")
    stamps = [_stamp(path, code) for path in paths]
    known = dict(database.execute("SELECT path, stamp FROM image"))
    names = [_name(path) for path in paths]
    new = [row for row, name in enumerate(names) if known.get(name) != stamps[row]]
    bar = tqdm(total=len(new), desc="looking at images", unit="image", leave=False, mininterval=0.5, delay=1.0)
    looked = in_threads(inspect, (paths[row] for row in new))
    with bar:
        for start in range(0, len(new), _COMMIT_EVERY):
            rows = new[start : start + _COMMIT_EVERY]
            lines = [
                (names[row], stamps[row], json.dumps(asdict(facts)), thumbnail)
                for row, (facts, thumbnail) in zip(rows, islice(looked, len(rows)), strict=True)
            ]
            with database:
                database.executemany("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?)", lines)
            bar.update(len(rows))
    found = dict(database.execute("SELECT path, facts FROM image"))
    return tuple(_read_facts(found[name]) for name in names), tuple(stamps)


def _stamp(path: Path, code: str) -> str:
    """Return what changes when a file does: its size, its times, and the code that looks at it."""
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
