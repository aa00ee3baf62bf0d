"""Images as pixels of one shape, and how these are kept decoded."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from roentgate.code_key import code_digest
from roentgate.data.decoders import FAULTS, OpenImage, opened, refusal, unreadable
from roentgate.errors import HarnessError
from roentgate.process import in_threads
from roentgate.store import file_digest

Interpolation = Literal["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"]
Shape = tuple[int, int, int]
Pixels = NDArray[np.uint8 | np.float32]
Depth = type[np.uint8] | type[np.float32]

LARGEST = 100_000_000
"""Most pixels of an image.

An image that declares more is not decoded, because it may be a decompression bomb.
"""
LARGEST_DEEP = 50_000_000
"""Most pixels of an image with more than 8 bits.

Each of its pixels takes four bytes during decoding.
"""

_UNIT = np.float32(1 / 255)
_STALE_SECONDS = 86_400


def file_digests(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the SHA-256 (hex) of each file, in the order given.

    Raises:
        DataError: A file cannot be read. The message names the first in order.
    """

    def digest_of(path: Path) -> str:
        try:
            return file_digest(path)
        except OSError as error:
            raise unreadable(path, error) from error

    return tuple(in_threads(digest_of, paths))


def read(path: Path, shape: Shape, interpolation: Interpolation) -> Pixels:
    """Decode one image of any colour mode, and resize it.

    Its content tells the format. Images of up to 8 bits come out exactly as Keras' ``load_img`` reads them
    (transparency dropped, EXIF orientation not applied). Images of 16 bits are divided by 65535 before resizing. Float
    images must already lie in [0, 1].

    Args:
        path: The file.
        shape: (H, W, C) of the result. C is 1 (grey) or 3 (red, green, blue).
        interpolation: How to resize.

    Returns:
        uint8 (H, W, C), or float32 (H, W, C) in [0, 1] for an image with more than 8 bits.

    Raises:
        DataError: The file cannot be read or decoded, is animated, has no image (1x1), declares more than ``LARGEST``
            pixels, or has values out of range.
    """
    with opened(path) as (decoder, file):
        return _decoded(path, decoder.read(file), shape, interpolation)


def read_and_encode(path: Path, shape: Shape, interpolation: Interpolation) -> tuple[Pixels, int]:
    """Decode one image as `read` does, and encode its pixels again.

    Returns:
        The pixels, and the size in bytes of the image encoded again, alike for all files of one format and
        compression. The size is 0 if the decoder cannot encode.

    Raises:
        DataError: As from `read`.
    """
    with opened(path) as (decoder, file):
        source = decoder.read(file)
        pixels, size = _decoded(path, source, shape, interpolation), 0
        with contextlib.suppress(*FAULTS):
            size = source.encoded() if source.encoded is not None else 0
        return pixels, size


def _decoded(path: Path, source: OpenImage, shape: Shape, interpolation: Interpolation) -> Pixels:
    _refuse_unfit(path, source)
    pixels = source.pixels()
    if source.top is not None:
        return _deep(path, np.asarray(pixels), source.top, shape, interpolation, white_is_zero=source.white_is_zero)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    return _shallow(image, shape, interpolation)


def read_each(paths: Sequence[Path], shape: Shape, interpolation: Interpolation) -> Iterator[Pixels]:
    """Yield decoded images in order, read in a few threads.

    Only a few are held at a time.

    Raises:
        DataError: As from ``read``, for the first faulty image in order.
    """
    return in_threads(lambda path: read(path, shape, interpolation), paths)


def unit(pixels: Pixels) -> NDArray[np.float32]:
    """Return pixels as float32 in [0, 1].

    uint8 is multiplied by float32(1/255), as by Keras' ``rescale=1/255``. float32 is returned as it is.
    """
    if pixels.dtype == np.uint8:
        return np.multiply(pixels, _UNIT, dtype=np.float32)
    return np.asarray(pixels, dtype=np.float32)


def code_fingerprint() -> str:
    """Return the digest of what turns a file into pixels.

    It covers this module, what it imports, all decoders and the libraries.
    """
    return code_digest(__name__)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The decoded images of a split in one file.

    The file is made on first use and read row by row. Rows have equal size. They are uint8, or float32 if any image has
    more than 8 bits. The file gets its name only when it is complete, and one of the wrong size is made anew. Two
    processes may make it at once, because both write the same bytes.

    Attributes:
        folder: The folder of the file.
        key: Its name, a digest of the images' content, shape, interpolation and decoding code.
        paths: The images, in row order.
        shape: (H, W, C).
        interpolation: How images are resized.
        title: Title of the progress bar.
    """

    folder: Path
    key: str
    paths: tuple[Path, ...]
    shape: Shape
    interpolation: Interpolation
    title: str

    def take(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return the given rows as float32 (len(rows), H, W, C) in [0, 1].

        Raises:
            DataError: An image cannot be decoded.
            HarnessError: The file cannot be written or read.
        """
        file, dtype = self._file()
        pixels: Pixels = np.empty((len(rows), *self.shape), dtype)
        with file.open("rb") as stream:
            for target, row in zip(pixels, rows, strict=True):
                stream.seek(row * target.nbytes)
                if stream.readinto(target.data) != target.nbytes:
                    raise HarnessError(f"decoded images '{file}': shortened while being read; run again")
        return unit(pixels)

    def _file(self) -> tuple[Path, Depth]:
        for dtype in (np.uint8, np.float32):
            file = self.folder / f"{self.key}.{dtype.__name__}"
            if file.is_file() and file.stat().st_size == self._size(dtype):
                return file, dtype
        for dtype in (np.uint8, np.float32):
            file = self.folder / f"{self.key}.{dtype.__name__}"
            if self._write(file, dtype):
                return file, dtype
        raise AssertionError("every image fits float32")

    def _size(self, dtype: Depth) -> int:
        return len(self.paths) * int(np.prod(self.shape)) * np.dtype(dtype).itemsize

    def _write(self, file: Path, dtype: Depth) -> bool:
        """Decode every image into ``file`` and return whether they fit ``dtype``.

        If an image has more bits, no file is left behind.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _discard_stale(self.folder)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix="decoding-", delete=False) as temporary:
                try:
                    complete = self._decode_into(temporary, dtype)
                    temporary.close()
                    if complete:
                        os.replace(temporary.name, file)
                finally:
                    Path(temporary.name).unlink(missing_ok=True)
        except OSError as error:
            size = self._size(dtype) / 2**20
            raise HarnessError(
                f"decoded images '{file}' ({size:.0f} MiB): cannot be written ({error.strerror}); "
                "free some space, or choose another folder for the store"
            ) from error
        return complete

    def _decode_into(self, stream: "tempfile._TemporaryFileWrapper[bytes]", dtype: Depth) -> bool:
        images = read_each(self.paths, self.shape, self.interpolation)
        quiet = True if len(self.paths) < 200 else None  # None makes tqdm quiet if stderr is no terminal
        for pixels in tqdm(images, desc=self.title, total=len(self.paths), unit="image", disable=quiet):
            if dtype is np.uint8 and pixels.dtype != np.uint8:
                return False
            stream.write((pixels if dtype is np.uint8 else unit(pixels)).tobytes())
        return True


def _discard_stale(folder: Path) -> None:
    """Remove files that killed runs left behind more than a day ago.

    No decoding takes that long.
    """
    for file in folder.glob("decoding-*"):
        try:
            if time.time() - file.stat().st_mtime > _STALE_SECONDS:
                file.unlink()
        except FileNotFoundError:
            continue  # another process has finished or removed it


def _refuse_unfit(path: Path, image: OpenImage) -> None:
    largest = LARGEST if image.top is None else LARGEST_DEEP
    if image.width * image.height > largest:
        fault = f"declares {image.width} x {image.height} pixels, more than {largest // 1_000_000} million"
        raise refusal(path, fault, "scale it down, or remove it")
    if min(image.width, image.height) < 2:
        fault = f"holds no image ({image.width} x {image.height} pixels)"
        raise refusal(path, fault, "restore it from its source, or remove it")
    if not image.single:
        raise refusal(path, "is animated, or has several pages", "keep the one picture that is the image")


def _shallow(image: Image.Image, shape: Shape, interpolation: Interpolation) -> NDArray[np.uint8]:
    mode = "L" if shape[2] == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    return np.asarray(_resized(image, shape, interpolation), dtype=np.uint8).reshape(shape)


def _deep(  # noqa: PLR0913 - the properties of an image with more than 8 bits
    path: Path, pixels: NDArray[Any], top: float, shape: Shape, interpolation: Interpolation, *, white_is_zero: bool
) -> NDArray[np.float32]:
    values = pixels.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= top):  # written so that NaN is refused too
        fault = f"has values from {values.min():g} to {values.max():g}, outside 0 to {top:g}"
        raise refusal(path, fault, "export it with 8 or 16 bits, or as float in [0, 1]")
    if white_is_zero:
        np.subtract(top, values, out=values)
    values /= np.float32(top)
    scaled = _resized(Image.fromarray(values), shape, interpolation)
    grey = np.clip(np.asarray(scaled), 0, 1)[:, :, None]  # bicubic and lanczos overshoot; 8 bits clip them too
    return np.ascontiguousarray(np.broadcast_to(grey, shape))


def _resized(image: Image.Image, shape: Shape, interpolation: Interpolation) -> Image.Image:
    size = (shape[1], shape[0])
    return image if image.size == size else image.resize(size, Image.Resampling[interpolation.upper()])
