"""Link trees: the images of a manifest laid out as class folders.

They serve pipelines that read class folders only.
"""

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
"""Seconds by which the time of a copy may differ from its image's.

File systems keep times this coarsely.
"""


def lay_out(store: Store, splits: Mapping[SplitName, Sequence[tuple[str, Path]]]) -> dict[SplitName, Path]:
    """Return each split's folder of a tree of class folders.

    The tree ``<split>/<class>/<number>-<name>`` is made if it is missing or no longer shows these images. The number,
    of equal width, is the row's position in its split. Sorted names therefore give the order of the rows on every
    system, in ``flow_from_directory`` as in `roentgate.data.class_folders`. The name is there for the reader, with
    unusual characters replaced. Files are symbolic links, hard links or copies, whichever the file system allows first.

    Args:
        store: Holds the tree, as ``splits/<key>/``.
        splits: The class and file of each row, by class. Each class must be a valid folder name.

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
    """Return whether the tree holds exactly these images in their present state."""
    found = {Path(above, name).relative_to(folder).as_posix() for above, _, names in os.walk(folder) for name in names}
    return found == entries.keys() and all(_same_file(folder / name, image) for name, image in entries.items())


def _same_file(entry: Path, image: Path) -> bool:
    try:
        copy, original = entry.stat(), image.stat()
    except OSError:
        return False
    if os.path.samestat(copy, original):
        return True
    return copy.st_size == original.st_size and abs(copy.st_mtime - original.st_mtime) <= _CLOCK_S


def _make(folder: Path, entries: Mapping[str, Path]) -> None:
    temporary = folder.with_name(f".tmp-{folder.name}")  # this process holds the lock, so a killed run left it
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
    for link in (os.symlink, os.link):
        with contextlib.suppress(OSError, NotImplementedError):
            link(image, entry)
            return
    shutil.copy2(image, entry)
