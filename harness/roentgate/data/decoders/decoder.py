"""What every decoder answers about a file: its header, and its image."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from numpy.typing import NDArray
from PIL import Image

Signature = tuple[tuple[int, bytes], ...]
"""Bytes at offsets from the start of a file, all of which must be there: ``((0, b"BM"), (14, b"(\\0\\0\\0"))``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a file says of its image.

    Attributes:
        format: The format's name, such as ``PNG``.
        mode: The colour mode in Pillow's words: ``L``, ``RGB``, ``I;16``, ``F``, ...
        bits: Bits of a channel.
        width: In pixels.
        height: In pixels.
        quantisation: Digest of the JPEG quantisation tables, which give away the program and its quality; "" if none.
        exif: Whether it names a time, maker, model, software or artist.
    """

    format: str
    mode: str
    bits: int
    width: int
    height: int
    quantisation: str = ""
    exif: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenImage:
    """The image of an open file, before its pixels are decoded.

    Its size is judged first, so that a file which declares too many pixels is never decoded.

    Attributes:
        width: In pixels.
        height: In pixels.
        pixels: Decodes the image, and may raise `FAULTS`. With up to 8 bits: a Pillow image of any mode, or uint8
            (height, width) or (height, width, 3). With more: an array of numbers (height, width).
        top: The number of full intensity of an image with more than 8 bits; None with up to 8 bits.
        white_is_zero: Whether the numbers of an image with more than 8 bits run from white to black.
        single: Whether it is the only image of the file.
    """

    width: int
    height: int
    pixels: Callable[[], Image.Image | NDArray[Any]]
    top: float | None = None
    white_is_zero: bool = False
    single: bool = True


@dataclass(frozen=True, kw_only=True)
class Decoder(ABC):
    """Reads the files of one format.

    A new format is a subclass in a module of its own, listed there as ``DECODERS``.

    Attributes:
        name: What sentences call the format, such as ``PNG``.
        magic: How its files begin: one signature or more. The content alone decides what a file is.
        extensions: Names that promise this format, in lower case, such as ``.png``.
    """

    name: str
    magic: tuple[Signature, ...]
    extensions: frozenset[str]

    @abstractmethod
    def header(self, file: BinaryIO) -> Description:
        """Return what the file says of its image, without decoding it.

        Args:
            file: At its start; it has one of the signatures.

        Raises:
            FAULTS: Its header is damaged. Other errors of a library must be turned into a ValueError.
        """

    @abstractmethod
    def read(self, file: BinaryIO) -> OpenImage:
        """Return the image of the file, its pixels not yet decoded.

        Args:
            file: At its start; it has one of the signatures, and stays open until the pixels are decoded.

        Raises:
            FAULTS: Its header is damaged. Other errors of a library must be turned into a ValueError.
        """
