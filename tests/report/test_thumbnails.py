"""Thumbnails are small, few, and kept beside the record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roentgate.report import thumbnails
from tests.support.rows import FAILED, row

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]


def test_only_images_that_a_criterion_lost_are_pictured() -> None:
    lost = row("a", **(FAILED | {"failing": [f"{index}" for index in range(30)]}))
    assert thumbnails.wanted([row("b", failing=["x"]), lost, lost]) == [f"{index}" for index in range(10)]


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    thumbnails.write({"test/ä|.png": b"\xff\xd8jpeg"}, tmp_path)
    assert thumbnails.read(tmp_path) == {"test/ä|.png": "data:image/jpeg;base64,/9hqcGVn"}
    thumbnails.write({}, tmp_path)
    assert not (tmp_path / thumbnails.FILE).exists()
    assert thumbnails.read(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": "<script>"}', '{"a": "aGVsbG8="}'])
def test_a_damaged_file_shows_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / thumbnails.FILE).write_text(text, "utf-8")
    assert thumbnails.read(tmp_path) == {}


def test_what_cannot_be_read_or_has_no_room_is_left_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from roentgate.session import open_session

    monkeypatch.chdir(project.folder)
    test = open_session(project.settings("nearest")).candidate("nearest").splits.test
    made = thumbnails.pictured([*test.ids[:5], "no/such.png"], [test])
    assert list(made) == list(test.ids[:5])
    assert all(picture.startswith(b"\xff\xd8") and len(picture) < 4000 for picture in made.values())
    monkeypatch.setattr(thumbnails, "_MOST_BYTES", sum(map(len, made.values())) - 1)
    assert len(thumbnails.pictured(test.ids[:5], [test])) == 4
