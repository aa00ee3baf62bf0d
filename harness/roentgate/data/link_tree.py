"""Views: the images of a manifest laid out once more as class folders, for pipelines that read nothing else."""

import contextlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from roentgate.data.class_folders import SplitName
from roentgate.data.decoders import extensions
from roentgate.errors import ArgumentError
from roentgate.store import Store, digest, make_folder

_LONGEST_STEM = 60
_CLOCK_S = 2
"""How far the time of a copy may lie from its image's: the coarsest clock of a file system."""


def lay_out(store: Store, splits: Mapping[SplitName, Sequence[tuple[str, Path]]]) -> dict[SplitName, Path]:
    """Make sure of a tree ``<split>/<class>/<number>-<name>`` whose files are the images; return each split's folder.

    The number, of equal width, is the row's position in its split: sorted names, and so ``flow_from_directory`` and
    `roentgate.data.class_folders`, give the order of the rows on every system. The name is there for the reader; odd
    signs of it are replaced. Files are symbolic links, or hard links, or copies, whichever the file system allows
    first; a tree that does not show these images any more is made anew.

    Args:
        store: Holds the tree, as ``splits/<key>/``.
        splits: The class and file of each row, by class; a class must be able to be a folder's name.

    Raises:
        ArgumentError: The tree cannot be written.
    """
    entries = {
        f"{split}/{label}/{number:0{len(str(len(rows)))}}-{_plain(image)}": Path(os.path.abspath(image))
        for split, rows in splits.items()
        for number, (label, image) in enumerate(rows)
    }
    key = digest({name: str(image) for name, image in entries.items()})[:32]
    folder = store.root / "splits" / key
    with store.lock("splits", key):
        if not _shows(folder, entries):
            try:
                _make(folder, entries)
            except OSError as error:
                raise ArgumentError(
                    f"folder '{folder}': the class folders of a manifest cannot be written ({error.strerror}); free "
                    "some space, or choose another folder for the store (ROENTGATE_STORE)"
                ) from error
    return {split: folder / split for split in splits}


def _plain(image: Path) -> str:
    suffix = image.suffix.lower()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", image.stem)[:_LONGEST_STEM] + (suffix if suffix in extensions() else "")


def _shows(folder: Path, entries: Mapping[str, Path]) -> bool:
    """Whether the tree holds these images, as they are now, and nothing else."""
    found = {Path(above, name).relative_to(folder).as_posix() for above, _, names in os.walk(folder) for name in names}
    return found == entries.keys() and all(_is(folder / name, image) for name, image in entries.items())


def _is(entry: Path, image: Path) -> bool:
    try:
        here, there = entry.stat(), image.stat()
    except OSError:
        return False
    if os.path.samestat(here, there):
        return True
    return here.st_size == there.st_size and abs(here.st_mtime - there.st_mtime) <= _CLOCK_S


def _make(folder: Path, entries: Mapping[str, Path]) -> None:
    temporary = folder.with_name(f".tmp-{folder.name}")  # what lies there a killed run has left: the lock is ours
    shutil.rmtree(temporary, ignore_errors=True)
    make_folder(temporary)
    try:
        for above in {name.rpartition("/")[0] for name in entries}:
            make_folder(temporary / above)
        for name, image in entries.items():
            _link(temporary / name, image)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _link(entry: Path, image: Path) -> None:
    for way in (os.symlink, os.link):
        with contextlib.suppress(OSError, NotImplementedError):
            way(image, entry)
            return
    shutil.copy2(image, entry)
