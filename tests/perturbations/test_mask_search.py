"""The mask search finds what is planted, shrinks it, keeps its limit and is deterministic."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roentgate.errors import ModelError
from roentgate.perturbations.mask_search import hunt
from roentgate.perturbations.masks import FAMILIES, MILDNESS, Family, Mask

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (96, 96)


def anywhere(_: Mask) -> bool:
    return True


def covers(rows: slice, columns: slice, *infills: str) -> Callable[[Mask], bool]:
    """Return a function that says whether a mask hides all of this box.

    The mask must have one of these infills, if any are named.
    """

    def flips(mask: Mask) -> bool:
        return bool(mask.hidden(SHAPE)[rows, columns].all()) and mask.infill in (infills or MILDNESS)

    return flips


def search(
    family: Family, flips: Callable[[Mask], bool], most: int, allowed: Callable[[Mask], bool] = anywhere
) -> tuple[Mask | None, int, list[Mask]]:
    """Return the best mask, the number of calls that the search reports, and all masks tried."""
    asked: list[Mask] = []

    def noted(mask: Mask) -> bool:
        asked.append(mask)
        return flips(mask)

    return *hunt(family, SHAPE, infills=MILDNESS, allowed=allowed, flips=noted, most=most), asked


@pytest.mark.parametrize(
    "corner", [(slice(0, 5), slice(1, 5)), (slice(0, 5), slice(91, 95)), (slice(91, 96), slice(1, 5))]
)
def test_a_planted_marker_is_found_at_its_place_and_about_its_size(corner: tuple[slice, slice]) -> None:
    best, _, _ = search("rectangle", covers(*corner), most=120)
    assert best is not None
    assert best.hidden(SHAPE)[corner].all()
    assert best.area(SHAPE) <= 3 * 20
    assert best.infill == MILDNESS[0]


@pytest.mark.parametrize("depth", [1, 4, 11])
def test_the_thinnest_border_is_found_to_the_pixel(depth: int) -> None:
    best, _, _ = search("border", lambda mask: mask.top >= depth, most=30)
    assert best is not None
    assert (best.top, best.infill) == (depth, MILDNESS[0])


def test_the_thinnest_strip_is_found_on_its_side() -> None:
    best, _, _ = search("strip", lambda mask: mask.side(SHAPE) == "right" and mask.width >= 3, most=40)
    assert best is not None
    assert (best.side(SHAPE), best.width) == ("right", 3)


def test_the_infill_is_shrunk_before_the_size() -> None:
    """A mask of mean infill is preferred to a smaller one of black."""

    def flips(mask: Mask) -> bool:
        return mask.top >= {"black": 1, "mean": 9}.get(mask.infill, 99)

    best, _, _ = search("border", flips, most=60)
    assert best is not None
    assert (best.infill, best.top) == ("mean", 9)


@pytest.mark.parametrize("family", FAMILIES)
def test_where_nothing_flips_nothing_is_found_and_all_that_may_be_asked_is(family: Family) -> None:
    best, tried, asked = search(family, lambda _: False, most=25)
    assert best is None
    assert tried == len(asked) == len(set(asked)) == 25


@pytest.mark.parametrize("most", [0, 1, 7, 40])
def test_no_more_masks_are_asked_about_than_may_be(most: int) -> None:
    _, tried, asked = search("rectangle", covers(slice(0, 2), slice(0, 2)), most=most)
    assert tried == len(asked) <= most


def test_only_what_is_allowed_is_asked_about_and_it_alone_counts() -> None:
    def allowed(mask: Mask) -> bool:
        return not mask.hidden(SHAPE)[30:60, 30:60].any()

    best, tried, asked = search("rectangle", lambda _: False, most=30, allowed=allowed)
    assert best is None
    assert tried == 30
    assert all(allowed(mask) for mask in asked)


def test_after_a_find_only_milder_or_smaller_masks_are_asked_about() -> None:
    best: list[Mask] = []

    def flips(mask: Mask) -> bool:
        for previous in best[-1:]:
            new, old = ((MILDNESS.index(each.infill), each.area(SHAPE)) for each in (mask, previous))
            assert new < old
        found = covers(slice(0, 5), slice(1, 5))(mask)
        best.extend([mask] * found)
        return found

    found, _, _ = search("rectangle", flips, most=100)
    assert found == best[-1]


def test_what_the_question_raises_ends_the_search_at_once() -> None:
    def flips(_: Mask) -> bool:
        raise ModelError("model 'x': predict raised ValueError: no")

    asked: list[Mask] = []

    def counted(mask: Mask) -> bool:
        asked.append(mask)
        return flips(mask)

    with pytest.raises(ModelError, match="predict raised ValueError"):
        hunt("border", SHAPE, infills=MILDNESS, allowed=anywhere, flips=counted, most=50)
    assert len(asked) == 1


def test_an_uncertain_answer_is_asked_for_once() -> None:
    """A model that answers differently the second time makes the search worse, but does not crash it."""
    rng = np.random.default_rng(0)
    best, tried, asked = search("rectangle", lambda _: bool(rng.random() < 0.3), most=40)
    assert best is not None
    assert tried == len(asked) == len(set(asked))


PROGRAM = """
from roentgate.perturbations.mask_search import hunt
from roentgate.perturbations.masks import MILDNESS

asked = []
hunt(
    "rectangle", (1024, 1024), infills=MILDNESS, allowed=lambda _: True, most=60,
    flips=lambda mask: bool(asked.append(mask.name)),
)
print(*asked)
"""


def test_the_search_is_the_same_whatever_else_is_loaded(tmp_path: Path) -> None:
    """Hypothesis prefers numbers that occur in the loaded source files. This search must not."""
    (tmp_path / "numbers_of_mine.py").write_text(f"NUMBERS = {list(range(101, 500))}")
    tried = []
    for start in ("", "import numbers_of_mine\n"):
        (tmp_path / "search.py").write_text(start + PROGRAM)
        command, path = (
            [sys.executable, "search.py"],
            {"PYTHONPATH": os.pathsep.join([str(ROOT / "harness"), str(ROOT)])},
        )
        done = subprocess.run(command, cwd=tmp_path, env=os.environ | path, capture_output=True, text=True, check=True)
        tried.append(done.stdout.split())
    assert tried[0] == tried[1]
    assert len(tried[0]) == 60
