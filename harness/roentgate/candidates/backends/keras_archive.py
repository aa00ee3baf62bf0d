"""Read and write ``.keras`` archives without Keras.

The image shape of a network can be read, and equal networks are written as equal bytes.
"""

import json
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from roentgate.store import DAMAGE

_CONFIG = "config.json"
_LARGEST_CONFIG = 100_000_000
_METADATA = "metadata.json"
_NOTES = "roentgate"
_NO_TIME = "1980-01-01@00:00:00"  # also the default date of a zip entry


Side = int | None


def saved_shape(path: Path) -> tuple[Side, Side, Side]:
    """Return the image shape (H, W, C) that a ``.keras`` file takes.

    None stands for a side that the file leaves open or does not state.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG:
                return None, None, None
            config = json.loads(archive.read(_CONFIG))
            found = _find_shape(config)
    except (*DAMAGE, NotImplementedError, RecursionError):  # for an unknown compression, and a deep configuration
        return None, None, None
    return (None, None, None) if found is None else (found[0], found[1], found[2])


def notes(path: Path) -> dict[str, object]:
    """Return the notes that `copy_timeless` wrote to an archive.

    They are empty if there are none, or if the file is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = json.loads(archive.read(_METADATA)).get(_NOTES, {})
    except (*DAMAGE, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def holds_code(path: Path) -> bool:
    """Return whether a ``.keras`` file holds a Lambda layer, whose function is stored as code."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG:
                return False
            return re.search(rb'"class_name":\s*"(Lambda|__lambda__)"', archive.read(_CONFIG)) is not None
    except (*DAMAGE, NotImplementedError):
        return False


def copy_timeless(raw: Path, path: Path, noted: Mapping[str, object]) -> None:
    """Copy an archive so that equal networks have equal bytes.

    The time and the memory addresses in it are replaced.

    Args:
        raw: The archive that Keras has saved.
        path: The copy.
        noted: Notes on the model and its task, which `notes` returns.
    """
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            with source.open(name) as member, target.open(zipfile.ZipInfo(name), "w", force_zip64=True) as copy:
                if name == _METADATA:
                    metadata = json.load(member) | {"date_saved": _NO_TIME, _NOTES: dict(noted)}
                    copy.write(json.dumps(metadata).encode())
                elif name == _CONFIG:
                    copy.write(_renumbered(member.read().decode()).encode())
                else:
                    shutil.copyfileobj(member, copy)


def _find_shape(node: object) -> list[Side] | None:
    if isinstance(node, dict):
        for key in ("batch_shape", "batch_input_shape", "input_shape"):
            shape = node.get(key)
            if (
                isinstance(shape, list)
                and len(shape) == 4
                and all(side is None or isinstance(side, int) for side in shape[1:])
            ):
                return shape[1:]
        children: list[object] = list(node.values())
    else:
        children = node if isinstance(node, list) else []
    return next((found for child in children if (found := _find_shape(child)) is not None), None)


def _renumbered(config: str) -> str:
    """Return the JSON of a network with its shared objects numbered in order.

    Keras numbers them by their memory addresses.
    """
    numbers: dict[str, int] = {}
    return re.sub(
        r'("shared_object_id": )(\d+)', lambda found: found[1] + str(numbers.setdefault(found[2], len(numbers))), config
    )
