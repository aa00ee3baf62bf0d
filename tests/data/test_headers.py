"""Headers are read without decoding, and hold what may predict the label."""

from pathlib import Path

import pytest
from PIL import Image

from roentgate.data.headers import read_header
from roentgate.errors import DataError
from tests.support.planted import image


def test_a_header_says_format_mode_size_and_tables(tmp_path: Path) -> None:
    image(0).save(tmp_path / "a.png")
    image(0).convert("RGB").save(tmp_path / "a.jpg", quality=80)
    grey, colour = read_header(tmp_path / "a.png"), read_header(tmp_path / "a.jpg")
    assert (grey.format, grey.mode, grey.bits, grey.width, grey.height) == ("PNG", "L", 8, 96, 96)
    assert (colour.format, colour.mode) == ("JPEG", "RGB")
    assert grey.quantisation == ""
    assert colour.quantisation
    assert grey.size == (tmp_path / "a.png").stat().st_size


def test_quantisation_tables_tell_qualities_apart(tmp_path: Path) -> None:
    for quality in (80, 81, 95):
        image(0).save(tmp_path / f"{quality}.jpg", quality=quality)
    tables = {read_header(tmp_path / f"{quality}.jpg").quantisation for quality in (80, 81, 95)}
    assert len(tables) == 3


def test_a_header_that_names_a_maker_has_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image(0).save(tmp_path / "a.jpg", exif=exif)
    image(0).save(tmp_path / "b.jpg")
    assert read_header(tmp_path / "a.jpg").exif
    assert not read_header(tmp_path / "b.jpg").exif


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty; export it as PNG or JPEG, or remove it"),
        (b"no image at all", "is not a .*JPEG, PNG.*; export it as PNG or JPEG, or remove it"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, r"cannot be read \(its header is damaged\); restore it from its source"),
    ],
)
def test_what_is_no_image_is_a_sentence_that_names_it(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "broken.png"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"image '.*broken\.png': {fault}"):
        read_header(file)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_header(tmp_path / "gone.png")
