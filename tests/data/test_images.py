"""Every kind of image file gives pixels or a message.

Decoded pixels are kept completely or not at all.
"""

import errno
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from numpy.typing import NDArray
from PIL import Image

from roentgate.data import images
from roentgate.data.decoders import is_image
from roentgate.errors import DataError, HarnessError

SHAPE = (12, 10, 1)
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 30), dtype=np.uint8)
COLOUR = Image.fromarray(RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8))
DEEP = RNG.integers(0, 65536, (40, 30), dtype=np.uint16)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:  # noqa: ANN401 - Pillow's own
    image.save(path, **options)
    return path


def as_keras(path: Path, shape: images.Shape, interpolation: str) -> NDArray[np.uint8]:
    mode = "grayscale" if shape[2] == 1 else "rgb"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on a palette with transparency
        image = keras.utils.load_img(path, color_mode=mode, target_size=shape[:2], interpolation=interpolation)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


EIGHT_BITS: dict[str, tuple[str, Image.Image, dict[str, Any]]] = {
    "grey JPEG": ("image.jpg", Image.fromarray(GREY), {}),
    "colour JPEG": ("image.jpg", COLOUR, {}),
    "progressive JPEG": ("image.jpg", COLOUR, {"progressive": True}),
    "CMYK JPEG": ("image.jpg", COLOUR.convert("CMYK"), {}),
    "grey PNG": ("image.png", Image.fromarray(GREY), {}),
    "colour PNG": ("image.png", COLOUR, {}),
    "RGBA PNG": ("image.png", Image.fromarray(RNG.integers(0, 256, (40, 30, 4), dtype=np.uint8)), {}),
    "LA PNG": ("image.png", Image.fromarray(RNG.integers(0, 256, (40, 30, 2), dtype=np.uint8), "LA"), {}),
    "palette PNG": ("image.png", COLOUR.quantize(64), {}),
    "palette PNG with transparency": ("image.png", COLOUR.quantize(64), {"transparency": bytes(range(64))}),
    "1-bit PNG": ("image.png", Image.fromarray(GREY).convert("1"), {}),
    "BMP": ("image.bmp", COLOUR, {}),
    "GIF of one frame": ("image.gif", COLOUR.quantize(64), {}),
    "grey TIFF": ("image.tif", Image.fromarray(GREY), {}),
    "compressed TIFF": ("image.tiff", COLOUR, {"compression": "tiff_lzw"}),
    "CMYK TIFF": ("image.tif", COLOUR.convert("CMYK"), {}),
    "1-bit TIFF": ("image.tif", Image.fromarray(GREY).convert("1"), {"compression": "group4"}),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("kind", EIGHT_BITS)
def test_images_of_eight_bits_are_read_exactly_as_keras_reads_them(
    tmp_path: Path, kind: str, interpolation: images.Interpolation, channels: int
) -> None:
    name, image, options = EIGHT_BITS[kind]
    path, shape = saved(tmp_path / name, image, **options), (12, 10, channels)
    pixels = images.read(path, shape, interpolation)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, as_keras(path, shape, interpolation))


@pytest.mark.parametrize("interpolation", get_args(images.Interpolation))
def test_every_interpolation_is_that_of_keras(tmp_path: Path, interpolation: images.Interpolation) -> None:
    path = saved(tmp_path / "image.png", Image.fromarray(GREY))
    np.testing.assert_array_equal(images.read(path, SHAPE, interpolation), as_keras(path, SHAPE, interpolation))


DEEP_IMAGES: dict[str, tuple[str, Image.Image, NDArray[Any]]] = {
    "16-bit PNG": ("image.png", Image.fromarray(DEEP), DEEP),
    "16-bit TIFF": ("image.tif", Image.fromarray(DEEP), DEEP),
    "big-endian 16-bit TIFF": ("image.tif", Image.frombytes("I;16B", (30, 40), DEEP.astype(">u2").tobytes()), DEEP),
    "32-bit TIFF": ("image.tif", Image.fromarray(DEEP.astype(np.int32)), DEEP),
    "float TIFF": ("image.tif", Image.fromarray(GREY / np.float32(255)), GREY / np.float32(255) * np.float32(65535)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", DEEP_IMAGES)
def test_deep_images_become_fractions_of_their_full_scale(tmp_path: Path, kind: str, channels: int) -> None:
    name, image, values = DEEP_IMAGES[kind]
    pixels = images.read(saved(tmp_path / name, image), (40, 30, channels), "nearest")
    assert pixels.dtype == np.float32
    expected = np.repeat((values / 65535)[:, :, None], channels, axis=2)
    np.testing.assert_allclose(pixels, expected, atol=1e-7)


def test_deep_images_stay_in_range_when_resizing_overshoots(tmp_path: Path) -> None:
    edge = np.where(np.arange(30) < 15, 0, 65535).astype(np.uint16)
    path = saved(tmp_path / "image.png", Image.fromarray(np.tile(edge, (40, 1))))
    pixels = images.read(path, (50, 77, 1), "lanczos")
    assert (pixels.min(), pixels.max()) == (0, 1)


def test_a_sixteen_bit_tiff_that_stores_white_as_zero_is_not_read_inverted(tmp_path: Path) -> None:
    path = saved(tmp_path / "image.tif", Image.fromarray(DEEP))
    black_is_zero, white_is_zero = (struct.pack("<HHIHH", 262, 3, 1, value, 0) for value in (1, 0))
    content = path.read_bytes()
    assert content.count(black_is_zero) == 1
    path.write_bytes(content.replace(black_is_zero, white_is_zero))
    np.testing.assert_allclose(images.read(path, (40, 30, 1), "nearest")[:, :, 0], 1 - DEEP / 65535, atol=1e-6)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan, np.inf])
def test_a_float_image_out_of_range_is_refused(tmp_path: Path, value: float) -> None:
    values = (GREY / 255).astype(np.float32)
    values[3, 4] = value
    path = saved(tmp_path / "image.tif", Image.fromarray(values))
    with pytest.raises(DataError, match=r"image\.tif'.*outside 0 to 1; export it with 8 or 16 bits, or as float in"):
        images.read(path, SHAPE, "nearest")


def test_an_integer_image_beyond_sixteen_bits_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "image.tif", Image.fromarray(DEEP.astype(np.int32) * 2))
    with pytest.raises(DataError, match=r"outside 0 to 65535; export it with 8 or 16 bits"):
        images.read(path, SHAPE, "nearest")


@pytest.mark.parametrize("name", ["image.jpg", "image.txt", "image"])
def test_an_image_is_recognised_by_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, Image.fromarray(GREY), format="PNG")
    assert is_image(path)
    np.testing.assert_array_equal(images.read(path, (40, 30, 1), "nearest")[:, :, 0], GREY)


@pytest.mark.parametrize("content", [b"", b"BMI,weight,height\n22,80,190\n", b"file,label\n", b"PK\x03\x04"])
def test_other_files_are_no_images(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.csv").write_bytes(content)
    assert not is_image(tmp_path / "notes.csv")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path: Path) -> None:
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))))


def truncated(kind: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        COLOUR.save(path, format=kind)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


def animated(kind: str) -> Callable[[Path], None]:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    return lambda path: frames[0].save(path, format=kind, save_all=True, append_images=frames[1:])


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated JPEG": ("image.jpg", truncated("JPEG"), r"cannot be decoded \(.*\); restore it"),
    "truncated PNG": ("image.png", truncated("PNG"), r"cannot be decoded \(.*\); restore it"),
    "truncated BMP": ("image.bmp", truncated("BMP"), r"cannot be decoded \(.*\); restore it"),
    "truncated TIFF": ("image.tif", truncated("TIFF"), r"cannot be decoded \(.*\); restore it"),
    "truncated GIF": ("image.gif", truncated("GIF"), r"cannot be decoded \(.*\); restore it"),
    "empty": ("image.png", lambda path: path.touch(), "is empty; export it"),
    "text": ("image.jpeg", lambda path: path.write_text("<html>not found"), "is not a .*JPEG, PNG.*; export it"),
    "header only": ("image.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "cannot be decoded"),
    "WebP": ("image.webp", COLOUR.save, "is not a .*JPEG, PNG.*; export it as PNG or JPEG"),
    "DICOM that begins like a TIFF": (
        "a.tif",
        lambda path: path.write_bytes(b"II*\0" + bytes(124) + b"DICM"),
        "is DICOM, which is not read",
    ),
    "DICOM": (
        "image.dcm",
        lambda path: path.write_bytes(bytes(128) + b"DICM"),
        "is DICOM, which is not read; export it",
    ),
    "animated GIF": ("image.gif", animated("GIF"), "is animated, or has several pages; keep the one picture"),
    "animated PNG": ("image.png", animated("PNG"), "is animated, or has several pages; keep the one picture"),
    "TIFF of two pages": ("image.tif", animated("TIFF"), "is animated, or has several pages; keep the one picture"),
    "1x1": ("image.png", lambda path: Image.new("L", (1, 1)).save(path), r"holds no image \(1 x 1 pixels\); restore"),
    "decompression bomb": ("image.png", bomb, "declares 20000 x 20000 pixels, more than 100 million; scale it down"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_gets_a_sentence_with_its_name_and_the_remedy(tmp_path: Path, kind: str) -> None:
    name, write, sentence = BAD[kind]
    write(tmp_path / name)
    assert is_image(tmp_path / name)
    with pytest.raises(DataError, match=rf"image '.*{name}': {sentence}"):
        images.read(tmp_path / name, SHAPE, "nearest")


@pytest.mark.parametrize(
    "use",
    [lambda path: images.file_digests([path]), is_image, lambda path: images.read(path, SHAPE, "nearest")],
    ids=["digest", "is_image", "read"],
)
def test_an_unreadable_image_gets_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Path], object]
) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # tests may run as root, whom no mode bits stop
    with pytest.raises(
        DataError, match=r"image '.*image': cannot be read \(Permission denied\); check its permissions"
    ):
        use(tmp_path / "image")


def test_a_name_with_a_newline_stays_one_line_in_the_sentence(tmp_path: Path) -> None:
    (tmp_path / "a\nb.png").touch()
    with pytest.raises(DataError) as caught:
        images.read(tmp_path / "a\nb.png", SHAPE, "nearest")
    assert "\n" not in str(caught.value)


def test_images_are_yielded_in_order_and_the_first_bad_one_is_named(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"{i}.png", Image.new("L", (20, 20), i)) for i in range(40)]
    assert [int(image[0, 0, 0]) for image in images.read_each(paths, SHAPE, "nearest")] == list(range(40))
    Image.fromarray(np.tile(GREY, (50, 50))).save(paths[20])
    paths[20].write_bytes(paths[20].read_bytes()[:-5000])  # slow to fail
    paths[21].write_bytes(b"")  # quick to fail
    with pytest.raises(DataError, match=r"20\.png"):
        list(images.read_each(paths, SHAPE, "nearest"))


def test_reading_many_images_holds_only_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []

    def record(path: Path, *_: object) -> images.Pixels:
        started.append(path)
        return np.zeros(SHAPE, np.uint8)

    monkeypatch.setattr(images, "read", record)
    stream: Iterator[images.Pixels] = images.read_each([tmp_path] * 500, SHAPE, "nearest")
    next(stream)
    assert len(started) < 30


def test_eight_bits_are_rescaled_bit_for_bit_as_keras_does() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    rescaled = ImageDataGenerator(rescale=1 / 255).standardize(levels.astype(np.float32))
    np.testing.assert_array_equal(images.unit(levels), rescaled)


@pytest.fixture
def decoded(tmp_path: Path) -> images.Decoded:
    """Thirty images of one grey level each, not yet decoded."""
    paths = tuple(saved(tmp_path / f"{i:02}.png", Image.new("L", (20, 20), i)) for i in range(30))
    return images.Decoded(
        folder=tmp_path / "cache", key="key", paths=paths, shape=SHAPE, interpolation="nearest", title="images"
    )


def test_decoded_images_are_read_back_in_any_order(decoded: images.Decoded) -> None:
    pixels = decoded.take([7, 0, 29, 7])
    assert pixels.shape == (4, *SHAPE)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], np.array([7, 0, 29, 7], np.float32) * np.float32(1 / 255))


def test_each_image_is_decoded_once(decoded: images.Decoded) -> None:
    first = decoded.take(range(30))
    for path in decoded.paths:
        path.unlink()
    np.testing.assert_array_equal(decoded.take(range(30)), first)
    assert [file.name for file in decoded.folder.iterdir()] == ["key.uint8"]
    assert (decoded.folder / "key.uint8").stat().st_size == 30 * 12 * 10


def test_one_deep_image_makes_all_rows_float(decoded: images.Decoded) -> None:
    Image.fromarray(DEEP).save(decoded.paths[17])
    expected = [images.unit(image) for image in images.read_each(decoded.paths, SHAPE, "nearest")]
    for _ in range(2):
        np.testing.assert_array_equal(decoded.take(range(30)), np.stack(expected))
    assert [file.name for file in decoded.folder.iterdir()] == ["key.float32"]


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_the_wrong_size_is_made_anew(decoded: images.Decoded, change: int) -> None:
    first = decoded.take(range(30))
    file = decoded.folder / "key.uint8"
    os.truncate(file, file.stat().st_size + change)
    np.testing.assert_array_equal(decoded.take(range(30)), first)
    assert file.stat().st_size == 30 * 12 * 10


def test_an_interrupted_decoding_leaves_nothing(decoded: images.Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, *_: object) -> images.Pixels:
        if path == decoded.paths[20]:
            raise KeyboardInterrupt
        return np.zeros(SHAPE, np.uint8)

    with monkeypatch.context() as patch:
        patch.setattr(images, "read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            decoded.take([0])
    assert list(decoded.folder.iterdir()) == []
    assert decoded.take([29])[0, 0, 0, 0] > 0


def test_what_a_killed_run_left_behind_is_discarded_after_a_day(decoded: images.Decoded) -> None:
    decoded.folder.mkdir()
    old, new = decoded.folder / "decoding-old", decoded.folder / "decoding-new"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    decoded.take([0])
    assert not old.exists()
    assert new.exists()


def test_two_processes_may_decode_at_once(decoded: images.Decoded) -> None:
    script = (
        "import sys; from pathlib import Path; from roentgate.data.images import Decoded;"
        "paths = tuple(map(Path, sys.argv[2:]));"
        "kept = Decoded(folder=Path(sys.argv[1]), key='key', paths=paths, shape=(12, 10, 1), interpolation='nearest',"
        "title='images');"
        "assert (kept.take(range(30))[:, 0, 0, 0] * 255).round().tolist() == list(range(30))"
    )
    command = [sys.executable, "-c", script, str(decoded.folder), *map(str, decoded.paths)]
    root = Path(images.__file__).parents[1]
    runs = [subprocess.Popen(command, cwd=root) for _ in range(3)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0, 0]
    assert [file.name for file in decoded.folder.iterdir()] == ["key.uint8"]


def test_a_full_disk_gets_a_sentence(decoded: images.Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(
        HarnessError, match=r"key\.uint8' \(0 MiB\): cannot be written \(No space left on device\); free"
    ):
        decoded.take([0])
    assert list(decoded.folder.iterdir()) == []


def test_a_file_shortened_while_it_is_read_gets_a_sentence(
    decoded: images.Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded.take([0])
    file = decoded.folder / "key.uint8"
    os.truncate(file, 100)
    monkeypatch.setattr(images.Decoded, "_file", lambda _: (file, np.uint8))
    with pytest.raises(HarnessError, match="shortened while being read; run again"):
        decoded.take([0])


@pytest.mark.parametrize(("rows", "disable"), [(199, True), (200, None)])
def test_progress_is_shown_from_200_images_on(
    decoded: images.Decoded, monkeypatch: pytest.MonkeyPatch, rows: int, disable: object
) -> None:
    asked: list[object] = []

    def record(items: Iterator[images.Pixels], **options: object) -> Iterator[images.Pixels]:
        asked.append(options["disable"])
        return items

    monkeypatch.setattr(images, "tqdm", record)
    many = (decoded.paths * 7)[:rows]
    images.Decoded(
        folder=decoded.folder, key="many", paths=many, shape=SHAPE, interpolation="nearest", title="images"
    ).take([0])
    assert asked == [disable]  # None: tqdm shows itself where stderr is a terminal


def test_a_tag_of_the_wrong_type_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError("'float' object cannot be interpreted as an integer")

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.tif")
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", broken)
    with pytest.raises(DataError, match="cannot be decoded"):
        images.read(tmp_path / "a.tif", (4, 4, 1), "nearest")
