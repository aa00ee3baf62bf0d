"""How the pixels of a file are compressed, and what else the file holds.

The kind of compression and the bytes beside the pixels do not depend on what the image shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_PNG_HEAD: Final = 8
_PNG_CHUNK: Final = 12  # length, type and checksum
_PNG_LEVELS: Final = ("fastest", "fast", "default", "maximum")
_BMP_OFFSET: Final = slice(10, 14)
_JPEG_TABLES: Final = 0xC4
_JPEG_SCAN: Final = 0xDA
_JPEG_FRAMES: Final = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_JPEG_PROGRESSIVE: Final = (0xC2, 0xC6, 0xCA, 0xCE)
_JPEG_BESIDE: Final = (*range(0xE0, 0xF0), 0xFE)  # application data and comments
_COMPONENTS: Final = 5  # places in the body of a frame header
_SAMPLING: Final = 7
_STANDARD_SYMBOLS: Final = 162  # of the Huffman table that the JPEG standard suggests for the AC coefficients


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How a file is compressed.

    Attributes:
        kind: The settings that can be read from the file, such as ``progressive``. "" if none can.
        beside: Bytes of the file that are not of its pixels, such as text, a colour profile or a preview.
    """

    kind: str = ""
    beside: int = 0


def compression(name: str, content: bytes) -> Compression:
    """Return how a file is compressed.

    Args:
        name: The format's name. Formats other than JPEG, PNG and BMP are not looked into.
        content: The bytes of the file. Damaged ones are read as far as they make sense.
    """
    readers = {"JPEG": _jpeg, "PNG": _png, "BMP": _bmp}
    return readers[name](content) if name in readers else Compression()


def _png(content: bytes) -> Compression:
    kind, beside, at = "", _PNG_HEAD, _PNG_HEAD
    while at + _PNG_CHUNK <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] != b"IDAT":
            beside += size + _PNG_CHUNK
        elif not kind and size >= 2:
            kind = f"zlib {_PNG_LEVELS[content[at + 9] >> 6]}"
        at += size + _PNG_CHUNK
    interlaced = len(content) > 28 and content[28] == 1
    return Compression(kind=f"{kind}, interlaced" if interlaced else kind, beside=min(beside, len(content)))


def _jpeg(content: bytes) -> Compression:
    frame, beside, standard, sampling = 0, 0, True, ""
    for marker, body in _segments(content):
        if marker in _JPEG_BESIDE:
            beside += len(body) + 4
        elif marker in _JPEG_FRAMES:
            frame = marker
            if len(body) > _SAMPLING and body[_COMPONENTS] > 1:  # of the first component, the brightness
                sampling = f", {body[_SAMPLING] >> 4}x{body[_SAMPLING] & 15} sampling"
        elif marker == _JPEG_TABLES:
            standard = standard and all(symbols == _STANDARD_SYMBOLS for symbols in _ac_symbols(body))
    kind = "progressive" if frame in _JPEG_PROGRESSIVE else "baseline" if standard else "optimised"
    return Compression(kind=kind + sampling, beside=beside)


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and body of each segment of a JPEG before its first scan."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, size = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == _JPEG_SCAN:
            return
        yield marker, content[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)


def _ac_symbols(body: bytes) -> Iterator[int]:
    """Yield the number of symbols of each AC table in a segment of Huffman tables."""
    at = 0
    while at + 17 <= len(body):
        symbols = sum(body[at + 1 : at + 17])
        if body[at] >> 4:
            yield symbols
        at += 17 + symbols


def _bmp(content: bytes) -> Compression:
    return Compression(beside=min(int.from_bytes(content[_BMP_OFFSET], "little"), len(content)))
