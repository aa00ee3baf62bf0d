"""The interface of decoders: header and image of a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from numpy.typing import NDArray
from PIL import Image

Signature = tuple[tuple[int, bytes], ...]
"""Offsets and bytes that a file must all have: ``((0, b"BM"), (14, b"(\\0\\0\\0"))``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The header of an image file.

    Attributes:
        format: The format's name, such as ``PNG``.
        mode: The colour mode as Pillow names it: ``L``, ``RGB``, ``I;16``, ``F``, ...
        bits: Bits per channel.
        width: In pixels.
        height: In pixels.
        quantisation: Digest of the JPEG quantisation tables, which identify the program and its quality. "" if none.
        exif: Whether its EXIF data name a time, maker, model, software or artist.
        compression: The settings of its compression that can be read from it, such as ``progressive``. "" if none.
        beside: Bytes of the file that are not of its pixels, such as text, a colour profile or a preview.
    """

    format: str
    mode: str
    bits: int
    width: int
    height: int
    quantisation: str = ""
    exif: bool = False
    compression: str = ""
    beside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenImage:
    """The image of an open file, before its pixels are decoded.

    Its size is checked first, so that a file which declares too many pixels is never decoded.

    Attributes:
        width: In pixels.
        height: In pixels.
        pixels: Decodes the image, and may raise `FAULTS`. With up to 8 bits: a Pillow image of any mode, or uint8
            (height, width) or (height, width, 3). With more: an array of numbers (height, width).
        top: The value of full intensity in an image with more than 8 bits. None with up to 8 bits.
        white_is_zero: Whether the values of an image with more than 8 bits run from white to black.
        single: Whether it is the only image of the file.
        encoded: Encodes the decoded pixels again, alike for all files of one format and compression, and returns their
            size in bytes. It is called after ``pixels``, and may raise `FAULTS`. None if the decoder cannot encode.
    """

    width: int
    height: int
    pixels: Callable[[], Image.Image | NDArray[Any]]
    top: float | None = None
    white_is_zero: bool = False
    single: bool = True
    encoded: Callable[[], int] | None = None


@dataclass(frozen=True, kw_only=True)
class Decoder(ABC):
    """A reader of the files of one format.

    A new format is a subclass in a module of its own, listed there as ``DECODERS``.

    Attributes:
        name: The format's name in messages, such as ``PNG``.
        magic: The signatures of its files, at least one. Only the content decides which format a file has.
        extensions: File extensions of this format, in lower case, such as ``.png``.
    """

    name: str
    magic: tuple[Signature, ...]
    extensions: frozenset[str]

    @abstractmethod
    def header(self, file: BinaryIO) -> Description:
        """Return the header of the file without decoding its image.

        Args:
            file: A file at its start that has one of the signatures.

        Raises:
            FAULTS: Its header is damaged. Other errors of a library must be turned into a ValueError.
        """

    @abstractmethod
    def read(self, file: BinaryIO) -> OpenImage:
        """Return the image of the file before its pixels are decoded.

        Args:
            file: A file at its start that has one of the signatures. It stays open until the pixels are decoded.

        Raises:
            FAULTS: Its header is damaged. Other errors of a library must be turned into a ValueError.
        """
