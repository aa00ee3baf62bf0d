"""A new image format needs one file, which is part of every key."""

import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roentgate import code_key
from roentgate.audit import scan
from roentgate.code_key import closure
from roentgate.data import Dataset, decoders, images, read_header
from roentgate.data.card import Card
from roentgate.data.decoders import opening
from roentgate.data.decoders.decoder import Decoder
from roentgate.data.read_splits import read_splits
from roentgate.errors import DataError
from roentgate.lungs import lung_masks
from tests.support import planted

TOY = '''
"""NumPy's own files: one grey image of eight bits."""

import numpy as np

from roentgate.data.decoders.decoder import Decoder, Description, OpenImage


class Npy(Decoder):
    """Reads a two-dimensional uint8 array."""

    def header(self, file):
        """Return the header of the file."""
        height, width = self._shape(file)
        return Description(format="NPY", mode="L", bits=8, width=width, height=height)

    def read(self, file):
        """Return the image of the file."""
        height, width = self._shape(file)
        return OpenImage(width=width, height=height, pixels=lambda: np.load(file))

    def _shape(self, file):
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        file.seek(0)
        if len(shape) != 2 or kind != np.uint8:
            raise ValueError(f"{kind} of shape {shape}, not uint8 (height, width)")
        return shape


DECODERS = (Npy(name="NPY", magic=(((0, b"\\x93NUMPY"),),), extensions=frozenset({".npy"})),)
'''


def clear_caches() -> None:
    """Clear the caches of decoders and of code digests."""
    for function in (opening.decoders, opening.extensions, opening._signatures):
        function.cache_clear()
    for cached in (code_key.code_digest, code_key.closure, code_key._read):
        cached.cache_clear()


@pytest.fixture
def dropped_in(tmp_path: Path) -> Iterator[Path]:
    """An additional folder of decoders, still empty."""
    folder = tmp_path / "decoders"
    folder.mkdir()
    decoders.__path__.append(str(folder))
    clear_caches()
    yield folder
    decoders.__path__.remove(str(folder))
    sys.modules.pop("roentgate.data.decoders.toy", None)
    clear_caches()


@pytest.fixture
def toy(dropped_in: Path) -> Path:
    """The file of a decoder that is not in the library."""
    file = dropped_in / "toy.py"
    file.write_text(TOY, "utf-8")
    clear_caches()
    return file


def save_npy(image: Image.Image, path: Path) -> None:
    np.save(path.with_suffix(".npy"), np.asarray(image))


def test_each_name_and_each_extension_has_one_decoder() -> None:
    found = opening.decoders()
    names = [decoder.name for decoder in found]
    extensions = [extension for decoder in found for extension in decoder.extensions]
    assert len(set(names)) == len(names)
    assert len(set(extensions)) == len(extensions)
    assert all(extension == f".{extension[1:].lower()}" for extension in decoders.extensions())
    assert all(decoder.magic and all(decoder.magic) for decoder in found)


def test_the_list_of_formats_names_each_decoder() -> None:
    readme = Path(__file__).parents[2] / "data" / "README.md"
    listed = readme.read_text("utf-8").partition("### Formats")[2].partition("###")[0]
    assert [line[2:].partition(" ")[0] for line in listed.splitlines() if line.startswith("- ")] == [
        decoder.name for decoder in opening.decoders()
    ]


def test_a_new_format_is_one_file(toy: Path, tmp_path: Path) -> None:
    del toy
    drawn = planted.splits(planted.tree(tmp_path / "png", images=3)).test
    written = planted.splits(planted.tree(tmp_path / "npy", images=3, save=save_npy)).test
    assert {path.suffix for path in written.paths} == {".npy"}
    np.testing.assert_array_equal(written.take(range(6)), drawn.take(range(6)))
    assert read_header(written.paths[0]).format == "NPY"
    assert scan.inspect(written.paths[0])[0].pixels == scan.inspect(drawn.paths[0])[0].pixels
    npy, png = (lung_masks._read(data.paths, (96, 96, 1)) for data in (written, drawn))
    np.testing.assert_array_equal(npy, png)


def test_a_format_without_a_decoder_is_no_image(tmp_path: Path) -> None:
    save_npy(planted.image(0), tmp_path / "image")
    assert not decoders.is_image(tmp_path / "image.npy")
    with pytest.raises(DataError, match=r"is not a .*JPEG, PNG.* image"):
        images.read(tmp_path / "image.npy", (8, 8, 1), "nearest")


def test_messages_name_a_new_format(toy: Path, tmp_path: Path) -> None:
    del toy
    (tmp_path / "image.png").write_text("text")
    with pytest.raises(DataError, match=r"is not a .*JPEG, PNG.* NPY.* image"):
        images.read(tmp_path / "image.png", (8, 8, 1), "nearest")


def test_a_new_format_is_held_to_the_same_limits(toy: Path, tmp_path: Path) -> None:
    del toy
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (20_000, 20_000)}
    np.lib.format.write_array_header_1_0(header, shape)
    (tmp_path / "bomb.npy").write_bytes(header.getvalue())
    with pytest.raises(DataError, match="declares 20000 x 20000 pixels, more than 100 million"):
        images.read(tmp_path / "bomb.npy", (8, 8, 1), "nearest")
    np.save(tmp_path / "deep.npy", np.zeros((8, 8)))
    with pytest.raises(DataError, match=r"cannot be decoded \(float64 of shape \(8, 8\), not uint8"):
        images.read(tmp_path / "deep.npy", (8, 8, 1), "nearest")
    with pytest.raises(DataError, match=r"cannot be read \(float64 of shape \(8, 8\), not uint8"):
        read_header(tmp_path / "deep.npy")


def test_pixels_are_keyed_by_every_decoder(dropped_in: Path, tmp_path: Path) -> None:
    root = planted.tree(tmp_path / "images", images=3)

    def key() -> str:
        clear_caches()
        card = Card(name="images", root=root)
        data: Dataset = read_splits(card, image_shape=(8, 8, 1), cache=tmp_path / "cache").test
        assert data._decoded is not None
        return data._decoded.key

    def code() -> str:
        clear_caches()
        return code_key.code_digest(scan.__name__)

    keys, codes = [key()], [code()]
    for source in (TOY, TOY.replace('mode="L"', 'mode="RGB"')):
        (dropped_in / "toy.py").write_text(source, "utf-8")
        keys.append(key())
        codes.append(code())
    assert len(set(keys)) == len(set(codes)) == 3
    for module in ("data.images", "data.headers", "audit.scan", "evidence.evidence"):
        found = closure(f"roentgate.{module}")
        assert found >= {f"roentgate.data.decoders.{name}" for name in ("pillow", "toy")}
    shutil.rmtree(dropped_in)
    assert key() == keys[0]


def test_the_signature_that_ends_last_decides(dropped_in: Path, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"II*\0" + bytes(124) + b"DICM")
    with pytest.raises(DataError, match="is DICOM, which is not read"):
        images.read(tmp_path / "image", (8, 8, 1), "nearest")
    source = TOY.replace('((0, b"\\x93NUMPY"),)', '((128, b"DICM"),)')
    assert source != TOY
    (dropped_in / "toy.py").write_text(source, "utf-8")
    clear_caches()
    with decoders.opened(tmp_path / "image") as (found, file):
        assert isinstance(found, Decoder)
        assert found.name == "NPY"
        assert file.tell() == 0
