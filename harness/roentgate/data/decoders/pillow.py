"""Decoders of JPEG, PNG, BMP, GIF and TIFF, by Pillow."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile, get_sampling
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from roentgate.data.decoders.compression import compression
from roentgate.data.decoders.decoder import Decoder, Description, OpenImage, Signature

_BITS = {"I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32, "1": 1}
_WITH_TAGS = ("JPEG", "TIFF")
_EXIF_TAGS = 0x0132, 0x010F, 0x0110, 0x0131, 0x013B  # time, maker, model, software, artist
_WHITE_IS_ZERO = (262, 0)  # TIFF tag and value. Pillow inverts such images at 8 bits, but not at 16.
_LEVELS = {"zlib fastest": 1, "zlib fast": 3, "zlib maximum": 9}  # else 6, the default
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # "BM" alone may begin a text


@dataclass(frozen=True, kw_only=True)
class Pillow(Decoder):
    """A decoder of a format that Pillow knows.

    Attributes:
        opener: Pillow's class for the format.
    """

    opener: type[ImageFile]

    def header(self, file: BinaryIO) -> Description:
        """Return the header of the file. See `Decoder.header`."""
        found = compression(self.name, file.read())
        file.seek(0)
        try:
            image = Image.open(file, formats=(self.name,))
        except UnidentifiedImageError:
            raise ValueError("its header is damaged") from None  # Pillow's message holds a memory address
        with image:
            tables = image.quantization if isinstance(image, JpegImageFile) else {}
            tagged = image.format in _WITH_TAGS
            exif = image.getexif() if tagged else image.info.get("exif", b"")  # getexif() would decode a PNG
            return Description(
                format=image.format or "",
                mode=image.mode,
                bits=_BITS.get(image.mode, 8),
                width=image.width,
                height=image.height,
                quantisation=hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()[:12] if tables else "",
                exif=any(tag in exif for tag in _EXIF_TAGS) if tagged else bool(exif),
                compression=found.kind or str(image.info.get("compression", "")),
                beside=found.beside,
            )

    def read(self, file: BinaryIO) -> OpenImage:
        """Return the image of the file. See `Decoder.read`.

        Integers have 16 bits, and floats lie in [0, 1].
        """
        image = self.opener(file)
        width, height = image.size
        deep = image.mode == "F" or image.mode.startswith("I")
        tag, value = _WHITE_IS_ZERO

        def pixels() -> Image.Image | NDArray[Any]:
            if deep:
                return np.asarray(image)
            image.info.pop("transparency", None)  # Keras drops it as well, and Pillow would warn
            return image

        return OpenImage(
            width=width,
            height=height,
            pixels=pixels,
            top=(1 if image.mode == "F" else 65535) if deep else None,
            white_is_zero=deep and isinstance(image, TiffImageFile) and image.tag_v2.get(tag) == value,
            single=not getattr(image, "is_animated", False),
            encoded=lambda: _encoded_size(image, self.name, file),
        )


def _encoded_size(image: ImageFile, name: str, file: BinaryIO) -> int:
    """Return the bytes of an image's pixels, encoded again.

    A JPEG keeps its quantisation tables, its sampling and its kind of coding, a PNG its level, a TIFF its compression.
    """
    settings: dict[str, Any] = {}
    file.seek(0)
    kind = compression(name, file.read()).kind.split(",")[0]
    if isinstance(image, JpegImageFile):
        settings = {"qtables": image.quantization, "subsampling": get_sampling(image)}
        settings |= {"progressive": kind == "progressive", "optimize": kind == "optimised"}
    elif isinstance(image, PngImageFile):
        settings = {"compress_level": _LEVELS.get(kind, 6)}
    elif isinstance(image, TiffImageFile):
        settings = {"compression": image.info.get("compression")}
    plain, store = image.copy(), io.BytesIO()
    plain.info.clear()  # Pillow would write some of it
    plain.save(store, name, **settings)
    return store.tell() - compression(name, store.getvalue()).beside


def _begins(*prefixes: bytes) -> tuple[Signature, ...]:
    return tuple(((0, prefix),) for prefix in prefixes)


DECODERS = (
    Pillow(
        name="JPEG",
        magic=_begins(b"\xff\xd8\xff"),
        extensions=frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
        opener=JpegImageFile,
    ),
    Pillow(
        name="PNG",
        magic=_begins(b"\x89PNG\r\n\x1a\n"),
        extensions=frozenset({".png", ".apng"}),
        opener=PngImageFile,
    ),
    Pillow(
        name="BMP",
        magic=tuple(((0, b"BM"), (14, size.to_bytes(4, "little"))) for size in _BMP_HEADERS),
        extensions=frozenset({".bmp", ".dib"}),
        opener=BmpImageFile,
    ),
    Pillow(
        name="GIF",
        magic=_begins(b"GIF87a", b"GIF89a"),
        extensions=frozenset({".gif"}),
        opener=GifImageFile,
    ),
    Pillow(
        name="TIFF",
        magic=_begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        extensions=frozenset({".tif", ".tiff"}),
        opener=TiffImageFile,
    ),
)
