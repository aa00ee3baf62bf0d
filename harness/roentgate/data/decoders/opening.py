"""Opens image files and chooses their decoders by content."""

import contextlib
import errno
import functools
import importlib
import pkgutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from roentgate.data.decoders.decoder import Decoder, Signature
from roentgate.errors import DataError

FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""Errors that decoding damaged bytes may raise.

A TIFF tag of the wrong type raises TypeError.
"""

_NOT_READ: tuple[tuple[str, Signature], ...] = (("DICOM", ((128, b"DICM"),)),)
"""Formats without a decoder that are named when they are refused."""

_NOT_READ_EXTENSIONS = frozenset({".webp", ".ppm", ".pgm", ".pnm", ".jp2", ".j2k", ".heic", ".avif", ".dcm", ".dicom"})
_UNREADABLE = (errno.EACCES, errno.EPERM)


@functools.cache
def decoders() -> tuple[Decoder, ...]:
    """Return the decoders of this package, in order of module names."""
    package = importlib.import_module(__name__.rpartition(".")[0])
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(decoder for module in modules for decoder in getattr(module, "DECODERS", ()))


@functools.cache
def extensions() -> frozenset[str]:
    """Return the file extensions of images, in lower case.

    Those of refused formats are among them, so that such a file is an error and is never ignored.
    """
    return _NOT_READ_EXTENSIONS.union(*(decoder.extensions for decoder in decoders()))


def formats() -> str:
    """Return the names of all readable formats, as in ``JPEG, PNG or TIFF``."""
    *names, last = [decoder.name for decoder in decoders()]
    return f"{', '.join(names)} or {last}" if names else last


def is_image(path: Path) -> bool:
    """Return whether a file is an image by extension or first bytes.

    Raises:
        DataError: The file cannot be opened.
    """
    if path.suffix.lower() in extensions():
        return True
    with _chosen(path) as (found, _):
        return isinstance(found, Decoder)


@contextlib.contextmanager
def opened(path: Path, *, fault: str = "cannot be decoded") -> Iterator[tuple[Decoder, BinaryIO]]:
    """Open an image file and choose its decoder.

    Args:
        path: The file.
        fault: What the message says about damaged bytes.

    Yields:
        The decoder that fits its first bytes, and the file at its start.

    Raises:
        DataError: The file cannot be opened or read, no decoder fits it, or the caller's use of it raises `FAULTS`.
    """
    try:
        with _chosen(path) as (found, file):
            if not isinstance(found, Decoder):
                raise refusal(path, found, "export it as PNG or JPEG, or remove it")
            yield found, file
    except FAULTS as error:
        reason = " ".join(str(error).split())
        raise refusal(path, f"{fault} ({reason})", "restore it from its source, or remove it") from error


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error of an image file that could not be opened."""
    remedy = "check its permissions" if error.errno in _UNREADABLE else "restore it from its source, or remove it"
    return refusal(path, f"cannot be read ({error.strerror})", remedy)


def refusal(path: Path, fault: str, remedy: str) -> DataError:
    """Return the error that names a file, its fault and the remedy."""
    return DataError(f"image {str(path)!r}: {fault}; {remedy}")


@contextlib.contextmanager
def _chosen(path: Path) -> Iterator[tuple[Decoder | str, BinaryIO]]:
    """Open a file, and yield its decoder or a description of what it is instead."""
    try:
        with path.open("rb") as file:
            yield _choose(file), file
    except OSError as error:
        if error.errno is None:  # raised by damaged bytes, and not by the disk
            raise
        raise unreadable(path, error) from error


@functools.cache
def _signatures() -> tuple[tuple[int, Signature, Decoder | str], ...]:
    """Return the end of each signature, the signature, and its decoder.

    Signatures that end last come first, because the bytes before them may be anything. A DICOM file may begin as a
    TIFF does. A format without a decoder has the text of its refusal instead.
    """
    known: list[tuple[Signature, Decoder | str]] = [
        *((signature, decoder) for decoder in decoders() for signature in decoder.magic),
        *((signature, f"is {name}, which is not read") for name, signature in _NOT_READ),
    ]
    found = [(max(at + len(part) for at, part in signature), signature, kind) for signature, kind in known]
    return tuple(sorted(found, key=lambda entry: entry[0], reverse=True))


def _choose(file: BinaryIO) -> Decoder | str:
    """Return the decoder of a file, or a description of what it is instead."""
    head = file.read(_signatures()[0][0])
    file.seek(0)
    for _, signature, kind in _signatures():
        if all(head[at : at + len(part)] == part for at, part in signature):
            return kind
    return f"is not a {formats()} image" if head else "is empty"
