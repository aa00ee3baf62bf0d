"""What file and header of an image say, as the input of a probe."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from roentgate.arrays import FloatArray, IntArray
from roentgate.audit.scan import ImageFacts, Survey
from roentgate.data import Header

# Logarithms of ratios that count as none. Encoders differ by up to 4 % in how well they compress which content.
_SIZES_ALIKE = 0.05
_BESIDE_ALIKE = 0.25


def facts(seen: Sequence[ImageFacts], paths: Sequence[Path]) -> Mapping[str, list[str]]:
    """Return the categorical facts of each file: mode, format, extension, size, ..."""

    def of_headers(fact: Callable[[Header], str]) -> list[str]:
        return ["unreadable" if image.header is None else fact(image.header) for image in seen]

    return {
        "mode": of_headers(lambda header: header.mode),
        "format": of_headers(lambda header: header.format),
        "extension": [path.suffix or "none" for path in paths],
        "size": of_headers(lambda header: f"{header.width}x{header.height}"),
        "bits": of_headers(lambda header: str(header.bits)),
        "compression": of_headers(lambda header: header.compression or "none"),
        "quantisation table": of_headers(lambda header: header.quantisation or "none"),
        "EXIF": of_headers(lambda header: "present" if header.exif else "absent"),
        "colour": ["present" if image.colour else "absent" for image in seen],
    }


def metadata(seen: Survey, rows: IntArray) -> FloatArray:
    """Return the numbers of file and header, and an indicator of each categorical value."""
    numbers = np.zeros((len(seen), 3), np.float32)
    for row, image in enumerate(seen.images):
        header = image.header
        if header is not None:
            numbers[row] = header.width, header.height, header.width / header.height
    parts = [numbers, excess(seen)]
    for values in facts(seen.images, seen.paths).values():
        known = sorted(set(values))[:64]
        parts.append(np.array([[value == other for other in known] for value in values], np.float32))
    return np.concatenate(parts, axis=1)[rows]


def sizes(seen: Survey, rows: IntArray) -> FloatArray:
    """Return bytes, and bytes a pixel, of each file: float32 (n, 2)."""
    headers = [seen.images[row].header for row in rows]
    sizes = [(0.0, 0.0) if each is None else (each.size, each.size / (each.width * each.height)) for each in headers]
    return np.array(sizes, np.float32).reshape(len(rows), 2)


def excess(seen: Survey) -> FloatArray:
    """Return what a file's size says beyond its pixels, float32 (n, 2).

    The first column compares the bytes of the pixels with those of the same pixels encoded again, the second the bytes
    beside the pixels. Both are logarithms of a ratio, measured from the median of all files of the format, whatever
    their class. Ratios that another encoder of the same pixels may cause are 0, and so are those of unreadable images.
    """
    logs = np.full((len(seen), 2), np.nan)
    for row, (image, header) in enumerate((image, image.header) for image in seen.images):
        if header is not None and image.encoded > 0 and not image.fault:
            logs[row] = np.log(max(header.size - header.beside, 1) / image.encoded), np.log(header.beside + 1)
    formats = np.array(["" if image.header is None else image.header.format for image in seen.images])
    for name in set(formats.tolist()):
        of_format = logs[formats == name]
        if np.isfinite(of_format).any():
            logs[formats == name] = of_format - np.nanmedian(of_format, axis=0)
    beyond = np.sign(logs) * np.maximum(np.abs(logs) - (_SIZES_ALIKE, _BESIDE_ALIKE), 0)
    left: FloatArray = np.nan_to_num(beyond).astype(np.float32)
    return left
