"""What an image file says of itself: its bytes, its format, its header.

The pixels are left to `roentgate.data.images`.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from roentgate.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF")
_FAULTS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)  # fmt: skip
_DEEP = {"I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32, "1": 1}
_WITH_TAGS = ("JPEG", "TIFF")
_EXIF_TAGS = 0x0132, 0x010F, 0x0110, 0x0131, 0x013B  # time, maker, model, software, artist


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What can be read of a film without decoding it.

    Attributes:
        digest: SHA-256 of the file's bytes.
        size: Bytes of the file.
        format: ``JPEG``, ``PNG``, ``BMP``, ``GIF`` or ``TIFF``.
        mode: Pillow's colour mode: ``L``, ``RGB``, ``I;16``, ...
        bits: Bits of a channel.
        width: In pixels.
        height: In pixels.
        quantisation: Digest of the JPEG quantisation tables, which give away the program and its quality; "" if none.
        exif: Whether it names a time, maker, model, software or artist.
    """

    digest: str
    size: int
    format: str
    mode: str
    bits: int
    width: int
    height: int
    quantisation: str
    exif: bool


def read_header(path: Path) -> Header:
    """Read a file once and return what its header says.

    Raises:
        DataError: It cannot be read, or is no image of `FORMATS`.
    """
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            tables = image.quantization if isinstance(image, JpegImageFile) else {}
            exif = (
                image.getexif() if image.format in _WITH_TAGS else image.info.get("exif", b"")
            )  # PNG would be decoded
            return Header(
                digest=hashlib.sha256(content).hexdigest(),
                size=len(content),
                format=image.format or "",
                mode=image.mode,
                bits=_DEEP.get(image.mode, 8),
                width=image.width,
                height=image.height,
                quantisation=hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()[:12] if tables else "",
                exif=any(tag in exif for tag in _EXIF_TAGS) if image.format in _WITH_TAGS else bool(exif),
            )
    except _FAULTS as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:120]
        raise DataError(
            f"film {str(path)!r}: cannot be read ({words}); restore it from its source, or remove it"
        ) from error
