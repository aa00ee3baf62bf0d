"""Border contents move a reader of the border and no model that crops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from roentgate.checks import border_invariance
from roentgate.checks.border_invariance import InvarianceRecord
from roentgate.errors import ArgumentError
from roentgate.evidence.evidence import Evidence
from roentgate.perturbations.border import border_pixels

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

WIDTH = 0.05
READER = '''
"""Reads how bright the outermost pixels are."""

import numpy as np


class Reader:
    def predict(self, images):
        bright = images[:, 0].mean(axis=(1, 2))
        return np.stack([bright, (1 - bright) / 2, (1 - bright) / 2], axis=1).astype(np.float32)


def load(task):
    return Reader()
'''


def test_a_model_that_crops_the_border_away_does_not_move_at_all(project: Project) -> None:
    assert border_pixels((32, 32), WIDTH)[0] < 6  # the model sees what lies at least so far inside
    record = border_invariance.border_contents(Evidence(project.ready("nearest")), WIDTH)
    assert record.moved.shape == (100, 32)
    estimate = border_invariance.largest_change(record)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (0.0, 0.0, 0.0, 32)
    assert estimate.failing == ()
    assert estimate.detail == (
        "100 random contents of the 5% border, all tried on 32 rows: 0 rows change their answer under some content, "
        "0 of 3200 answers change"
    )


def test_a_reader_of_the_border_moves_and_the_rows_it_loses_are_named(project: Project) -> None:
    project.write("models/reader.py", READER)
    estimate = border_invariance.largest_change(
        border_invariance.border_contents(Evidence(project.ready("reader")), WIDTH)
    )
    assert estimate.value > 0.2
    assert len(estimate.failing) == 32


def test_contents_are_tried_once_and_kept(project: Project) -> None:
    project.store = project.folder / "store"
    first = Evidence(project.ready("nearest"))
    before = len(first.test)
    record = border_invariance.border_contents(first, WIDTH, count=3)
    asked_again = len(first.candidate.probe_rows())
    assert first.candidate.passes == before + 32 * (3 + 1) + 2 * asked_again
    again = Evidence(project.ready("nearest"))
    np.testing.assert_array_equal(border_invariance.border_contents(again, WIDTH, count=3).moved, record.moved)
    assert again.candidate.passes == 0
    border_invariance.border_contents(again, WIDTH, count=4)
    assert again.candidate.passes == 32 * (4 + 1) + asked_again


def test_contents_are_seeded_and_in_range_and_unlike_each_other() -> None:
    first, again, other = (list(border_invariance.contents((8, 6, 3), seed, count=5)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all(
        each.shape == (8, 6, 3) and each.dtype == np.float32 and 0 <= each.min() <= each.max() <= 1 for each in first
    )
    assert len({float(each.mean()) for each in first}) == 5


def test_no_contents_are_refused() -> None:
    with pytest.raises(ArgumentError, match="0 border contents; give 1 or more"):
        next(border_invariance.contents((8, 6, 3), 0, count=0))


@pytest.mark.parametrize(("rows", "reason"), [(2, "a row has no answer"), (0, "no rows")])
def test_where_there_is_nothing_to_compare_there_is_no_number(rows: int, reason: str) -> None:
    moved = np.array([[0.1, np.nan]])[:, :rows]
    estimate = border_invariance.largest_change(
        InvarianceRecord(("a", "b")[:rows], WIDTH, moved, np.ones((1, rows), np.bool_))
    )
    assert not estimate.defined
    assert (estimate.low, estimate.high) == (0.0, 1.0)
    assert estimate.detail == f"{reason}: 1 contents of the 5% border"
