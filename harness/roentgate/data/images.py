"""Images become pixels of one shape here, and are kept decoded; their files are left to `roentgate.data.decoders`."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from roentgate.code_key import code_digest
from roentgate.data.decoders import OpenImage, opened, refusal, unreadable
from roentgate.errors import HarnessError
from roentgate.process import in_threads
from roentgate.store import file_digest

Interpolation = Literal["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"]
Shape = tuple[int, int, int]
Pixels = NDArray[np.uint8 | np.float32]
Depth = type[np.uint8] | type[np.float32]

INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)
LARGEST = 100_000_000
"""Pixels of an image; what declares more is not decoded (a decompression bomb)."""
LARGEST_DEEP = 50_000_000
"""The same for an image of more than 8 bits, whose pixels take four bytes each on the way."""

_UNIT = np.float32(1 / 255)
_STALE_SECONDS = 86_400


def file_digests(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the SHA-256 (hex) of each file, in the order given.

    Raises:
        DataError: A file cannot be read; the first in order is named.
    """

    def of(path: Path) -> str:
        try:
            return file_digest(path)
        except OSError as error:
            raise unreadable(path, error) from error

    return tuple(in_threads(of, paths))


def read(path: Path, shape: Shape, interpolation: Interpolation) -> Pixels:
    """Decode one image, of any colour mode, and resize it; its content tells the format.

    Images of up to 8 bits come out exactly as Keras' ``load_img`` reads them (transparency dropped, EXIF orientation
    not applied). Images of 16 bits are divided by 65535, before resizing; float images must lie in [0, 1] as they are.

    Args:
        path: The file.
        shape: (H, W, C) of the result; C is 1 (grey) or 3 (red, green, blue).
        interpolation: How to resize.

    Returns:
        uint8 (H, W, C), or float32 (H, W, C) in [0, 1] of an image with more than 8 bits.

    Raises:
        DataError: The file cannot be read or decoded, is animated, has no image (1x1), declares more than ``LARGEST``
            pixels, or has values out of range.
    """
    with opened(path) as (decoder, file):
        film = decoder.read(file)
        _refuse_unfit(path, film)
        pixels = film.pixels()
        if film.top is not None:
            return _deep(path, np.asarray(pixels), film.top, shape, interpolation, white_is_zero=film.white_is_zero)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        return _shallow(image, shape, interpolation)


def read_each(paths: Sequence[Path], shape: Shape, interpolation: Interpolation) -> Iterator[Pixels]:
    """Decode images in a few threads and return them one by one, in order; only a few are held.

    Raises:
        DataError: As ``read``, of the first image in order that is at fault.
    """
    return in_threads(lambda path: read(path, shape, interpolation), paths)


def unit(pixels: Pixels) -> NDArray[np.float32]:
    """Return pixels as float32 in [0, 1]: uint8 times float32(1/255), as Keras' ``rescale=1/255``; float32 as is."""
    if pixels.dtype == np.uint8:
        return np.multiply(pixels, _UNIT, dtype=np.float32)
    return np.asarray(pixels, dtype=np.float32)


def code_fingerprint() -> str:
    """Return the digest of what turns a file into pixels: this module, what it imports, all decoders, the libraries."""
    return code_digest(__name__)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The decoded images of a split in one file of rows of equal size; made on first use, read row by row.

    The rows are uint8, or float32 where any image has more than 8 bits. The file appears under its name only once it is
    whole; one of the wrong size is made anew. Two processes may make it at once: both write the same bytes.

    Attributes:
        folder: Where the file lies.
        key: Its name; stands for the images' content, shape, interpolation and decoding code.
        paths: The images, in row order.
        shape: (H, W, C).
        interpolation: How images are resized.
        title: What the progress bar calls it.
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
        """Decode every image into ``file``; False, with nothing left behind, where one has more bits than ``dtype``."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _discard_stale(self.folder)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix="decoding-", delete=False) as temporary:
                try:
                    whole = self._infill(temporary, dtype)
                    temporary.close()
                    if whole:
                        os.replace(temporary.name, file)
                finally:
                    Path(temporary.name).unlink(missing_ok=True)
        except OSError as error:
            size = self._size(dtype) / 2**20
            raise HarnessError(
                f"decoded images '{file}' ({size:.0f} MiB): cannot be written ({error.strerror}); "
                "free some space, or choose another folder for the store"
            ) from error
        return whole

    def _infill(self, stream: "tempfile._TemporaryFileWrapper[bytes]", dtype: Depth) -> bool:
        images = read_each(self.paths, self.shape, self.interpolation)
        quiet = True if len(self.paths) < 200 else None  # None: quiet where stderr is no terminal
        for film in tqdm(images, desc=self.title, total=len(self.paths), unit="image", disable=quiet):
            if dtype is np.uint8 and film.dtype != np.uint8:
                return False
            stream.write((film if dtype is np.uint8 else unit(film)).tobytes())
        return True


def _discard_stale(folder: Path) -> None:
    """Remove what runs that were killed have left behind; a day is longer than any decoding."""
    for file in folder.glob("decoding-*"):
        try:
            if time.time() - file.stat().st_mtime > _STALE_SECONDS:
                file.unlink()
        except FileNotFoundError:
            continue  # another process has finished or removed it


def _refuse_unfit(path: Path, film: OpenImage) -> None:
    largest = LARGEST if film.top is None else LARGEST_DEEP
    if film.width * film.height > largest:
        found = f"declares {film.width} x {film.height} pixels, more than {largest // 1_000_000} million"
        raise refusal(path, found, "scale it down, or remove it")
    if min(film.width, film.height) < 2:
        found = f"holds no image ({film.width} x {film.height} pixels)"
        raise refusal(path, found, "restore it from its source, or remove it")
    if not film.single:
        raise refusal(path, "is animated, or has several pages", "keep the one picture that is the image")


def _shallow(image: Image.Image, shape: Shape, interpolation: Interpolation) -> NDArray[np.uint8]:
    mode = "L" if shape[2] == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    return np.asarray(_resized(image, shape, interpolation), dtype=np.uint8).reshape(shape)


def _deep(  # noqa: PLR0913 - what an image with more than 8 bits is
    path: Path, found: NDArray[Any], top: float, shape: Shape, interpolation: Interpolation, *, white_is_zero: bool
) -> NDArray[np.float32]:
    values = found.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= top):  # so written, NaN is refused too
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
