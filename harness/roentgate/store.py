"""A content-addressed folder of weights and evidence.

A key is a digest of everything the content depends on, so a stored item is never out of date. Items are written to a
temporary file and renamed. A damaged item is removed and computed again. One lock per key keeps two runs from
computing the same item. The operating system releases it when the process that holds it dies.
"""

import contextlib
import functools
import hashlib
import json
import os
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from roentgate.arrays import Array
from roentgate.errors import ArgumentError

Arrays = dict[str, NDArray[Any]]

LIBRARIES = ("keras", "numpy", "pillow", "scipy", "tensorflow")
"""Libraries whose version can change a pixel, a weight or a probability."""

_ABANDONED_AFTER_S = 24 * 3600
DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""Errors that reading a damaged archive can raise."""


def digest(*parts: object) -> str:
    """Return the SHA-256 (hex) of JSON-serialisable values.

    The order of the keys of a mapping does not matter.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def versions() -> dict[str, str]:
    """Return the installed version of each of `LIBRARIES`.

    Versions are read from the metadata of the packages, which are not imported.
    """
    found = {}
    for name in LIBRARIES:
        for distribution in (name, f"{name}-cpu", f"{name}-intel"):
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(distribution)
                break
    return found


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` at the end.

    It lies in the same folder and is removed on an error.

    Raises:
        ArgumentError: The folder cannot be written to.
    """
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(prefix=".tmp-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut may leave an empty file under the new name
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents.

    Raises:
        ArgumentError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ArgumentError:
    return ArgumentError(
        f"folder '{folder}': cannot be written to ({error.strerror}); change its permissions or free some space, or "
        "choose another (ROENTGATE_STORE for the store, --report-dir for reports)"
    )


class Store:
    """A folder of items by kind and key.

    Several processes can share it.

    Args:
        root: The folder, created on first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str, suffix: str) -> Path:
        """Return the path of an item, which need not exist."""
        return self.root / kind / f"{key}{suffix}"

    @contextlib.contextmanager
    def lock(self, kind: str, key: str) -> Iterator[None]:
        """Hold the lock of one key, for which other processes wait."""
        path = self.root / "locks" / f"{kind}-{key[:32]}.lock"
        make_folder(path.parent)
        with FileLock(path):
            yield

    def find_arrays(self, key: str) -> Arrays | None:
        """Return the stored evidence of this key, or None.

        Damaged evidence is discarded with a warning.
        """
        path = self.path("evidence", key, ".npz")
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except DAMAGE as error:
            warnings.warn(f"{path}: damaged evidence is discarded and computed again ({error})", stacklevel=2)
            path.unlink(missing_ok=True)
            return None

    def put_arrays(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Store evidence under this key."""
        with atomic(self.path("evidence", key, ".npz")) as temporary, temporary.open("wb") as file:
            np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # numpy's stub takes any keyword for allow_pickle

    def arrays(
        self, key: str, compute: Callable[[], Mapping[str, Array]], *, keep: Callable[[], bool] = lambda: True
    ) -> Arrays:
        """Return the evidence of this key, computed if it is missing.

        Args:
            key: The key.
            compute: Returns the evidence.
            keep: Whether to store computed evidence, asked after the computation.
        """
        found = self.find_arrays(key)
        if found is not None:
            return found
        with self.lock("evidence", key):
            found = self.find_arrays(key)
            if found is None:
                found = dict(compute())
                if keep():
                    self.put_arrays(key, found)
        return found

    def find_json(self, kind: str, key: str) -> Any | None:  # noqa: ANN401 - JSON has any type
        """Return the stored JSON value, or None.

        A damaged file is discarded.
        """
        path = self.path(kind, key, ".json")
        try:
            return json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            path.unlink(missing_ok=True)
            return None

    def put_json(self, kind: str, key: str, value: object) -> None:
        """Store a JSON value under this kind and key."""
        with atomic(self.path(kind, key, ".json")) as temporary:
            temporary.write_text(json.dumps(value, sort_keys=True), "utf-8")

    def sweep(self) -> None:
        """Remove temporary files that are more than a day old.

        Killed runs leave them behind.
        """
        for leftover in self.root.glob("*/.tmp-*"):
            with contextlib.suppress(OSError):
                if leftover.is_file() and time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_S:
                    leftover.unlink()


def pack(value: object) -> NDArray[np.uint8]:
    """Return a JSON value as an array of bytes.

    It lets one file of arrays hold texts as well.
    """
    return np.frombuffer(json.dumps(value, sort_keys=True).encode(), dtype=np.uint8)


def unpack(array: Array) -> Any:  # noqa: ANN401 - JSON has any type
    """Return the JSON value that `pack` was given."""
    return json.loads(array.tobytes().decode())
