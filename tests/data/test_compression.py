"""The kind of compression and what stands beside the pixels are read from the bytes."""

import io

import pytest
from PIL.PngImagePlugin import PngInfo

from roentgate.data.decoders.compression import compression
from tests.support.planted import image


def saved(name: str, **settings: object) -> bytes:
    store = io.BytesIO()
    image(1).convert("RGB").save(store, name, **settings)
    return store.getvalue()


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("PNG", {}, "zlib default"),
        ("PNG", {"compress_level": 1}, "zlib fastest"),
        ("PNG", {"optimize": True}, "zlib maximum"),
        ("JPEG", {}, "baseline, 2x2 sampling"),
        ("JPEG", {"optimize": True}, "optimised, 2x2 sampling"),
        ("JPEG", {"progressive": True, "subsampling": 0}, "progressive, 1x1 sampling"),
        ("BMP", {}, ""),
        ("GIF", {}, ""),
    ],
)
def test_the_kind_is_read(name: str, settings: dict[str, object], kind: str) -> None:
    assert compression(name, saved(name, **settings)).kind == kind


def test_bytes_beside_the_pixels_are_counted() -> None:
    text = PngInfo()
    text.add_text("Comment", "x" * 92)  # with the key and its end 100
    added = compression("PNG", saved("PNG", pnginfo=text)).beside - compression("PNG", saved("PNG")).beside
    assert added == 100 + 12
    added = compression("JPEG", saved("JPEG", comment=b"x" * 100)).beside - compression("JPEG", saved("JPEG")).beside
    assert added == 100 + 4
    content = saved("BMP")
    assert len(content) - compression("BMP", content).beside == 96 * 96 * 3


@pytest.mark.parametrize("name", ["PNG", "JPEG", "BMP"])
def test_damaged_bytes_are_read_as_far_as_they_go(name: str) -> None:
    content = saved(name)
    for end in (0, 3, 9, 20, 30, 100, len(content) // 2):
        assert 0 <= compression(name, content[:end]).beside <= max(end, 8)
