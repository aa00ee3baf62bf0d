"""A mask is the pixels its name says: it fits the film, it can be read back, and its steps lie one within the next."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.errors import ArgumentError
from roentgate.perturbations import masks
from roentgate.perturbations.border import FILLS, Ring, ring_mask
from roentgate.perturbations.masks import FAMILIES, MILDNESS, SIDES, Mask

SHAPE = (40, 60)


@st.composite
def any_mask(draw: st.DrawFn) -> Mask:
    fill, family = draw(st.sampled_from(FILLS)), draw(st.sampled_from(FAMILIES))
    if family == "ring":
        return masks.ring(SHAPE, fill, draw(st.integers(1, 19)))
    if family == "strip":
        return masks.strip(SHAPE, fill, draw(st.sampled_from(SIDES)), draw(st.integers(1, 39)))
    top, left = draw(st.integers(-5, 39)), draw(st.integers(-5, 59))
    rows, columns = (top, max(top, 0) + draw(st.integers(1, 30))), (left, max(left, 0) + draw(st.integers(1, 30)))
    return masks.rectangle(SHAPE, fill, rows, columns)


@given(any_mask())
def test_a_name_says_all_of_a_mask(mask: Mask) -> None:
    assert masks.parse(mask.name) == mask


@given(any_mask())
def test_the_area_is_the_number_of_hidden_pixels(mask: Mask) -> None:
    assert mask.area(SHAPE) == mask.hidden(SHAPE).sum()


@given(any_mask())
def test_each_step_lies_within_the_next_and_the_last_is_the_mask(mask: Mask) -> None:
    steps = mask.steps(SHAPE)
    assert steps[-1] == mask
    for inner, outer in pairwise(steps):
        assert not (inner.hidden(SHAPE) & ~outer.hidden(SHAPE)).any()
        assert inner.area(SHAPE) < outer.area(SHAPE)


def test_a_rings_pixels_and_fill_are_those_of_the_border_check() -> None:
    films = np.random.default_rng(0).random((2, 40, 40, 1), np.float32)
    mask = masks.ring((40, 40), "blur", 2)
    np.testing.assert_array_equal(mask.hidden((40, 40)), ring_mask((40, 40), 0.05))
    for fill in FILLS:
        np.testing.assert_array_equal(replace(mask, fill=fill)(films), Ring(0.05, fill)(films))


@pytest.mark.parametrize(("side", "place"), [("top", np.s_[:3]), ("bottom", np.s_[-3:]), ("left", np.s_[:, :3]),
                                             ("right", np.s_[:, -3:])])  # fmt: skip
def test_a_strip_lies_along_its_side(side: masks.Side, place: tuple[slice, ...]) -> None:
    mask, expected = masks.strip(SHAPE, "mean", side, 3), np.zeros(SHAPE, np.bool_)
    expected[place] = True
    np.testing.assert_array_equal(mask.hidden(SHAPE), expected)
    assert mask.side(SHAPE) == side


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (masks.ring(SHAPE, "edge", 2), "a 2 px ring, filled by edge"),
        (masks.strip(SHAPE, "black", "right", 4), "a 4 px strip along the right, filled by black"),
        (masks.rectangle(SHAPE, "blur", (31, 40), (0, 7)), "a 9x7 px patch in the lower left corner, filled by blur"),
        (masks.rectangle(SHAPE, "mean", (-3, 2), (20, 23)), "a 2x3 px patch at the top edge, filled by mean"),
        (
            masks.rectangle(SHAPE, "mean", (10, 30), (15, 45)),
            "a 20x30 px patch at 50% of the height and 50% of the width, filled by mean",
        ),
    ],
)  # fmt: skip
def test_a_mask_is_said_in_words(mask: Mask, words: str) -> None:
    assert mask.words(SHAPE) == words


def test_every_fill_has_its_place_in_the_order_of_mildness() -> None:
    assert sorted(MILDNESS) == sorted(FILLS)


def test_the_mildest_fills_move_the_ring_of_the_embedded_films_least() -> None:
    from roentgate.data import phantom

    drawn = [phantom.film("phantom", 0, "test", label, 0).image for label in phantom.CLASSES]
    films = np.stack(drawn)[..., None].astype(np.float32) / np.float32(255)
    mask = masks.ring((96, 96), "edge", 5)
    moved = [float(np.abs(replace(mask, fill=fill)(films) - films).mean()) for fill in MILDNESS]
    assert max(moved[:2]) < min(moved[2:])


@pytest.mark.parametrize(
    "name", ["", "ring", "ring-grey-3x3-1-1", "patch-edge-3x3-1-1", "rectangle-edge-3x-1-1", "x:y"]
)
def test_what_is_no_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"not a name such as 'rectangle-edge-9x7-87-1'; copy it"):
        masks.parse(name)


@pytest.mark.parametrize(
    "name", ["rectangle-edge-9x7-87-1", "rectangle-edge-0x7-1-1", "ring-edge-40x60-0-0", "strip-edge-40x60-0-0"]
)
def test_a_mask_that_does_not_fit_the_film_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"does not fit a film of 40x60 pixels"):
        masks.parse(name).hidden(SHAPE)


@pytest.mark.parametrize("thickness", [0, 20])
def test_a_ring_needs_pixels_and_something_inside(thickness: int) -> None:
    with pytest.raises(ArgumentError, match=r"a ring of \d+ px on a film of 40x60; give 1 or more"):
        masks.ring(SHAPE, "edge", thickness)


def test_a_strip_needs_something_beside_it() -> None:
    with pytest.raises(ArgumentError, match=r"a strip of 40 px along the top of a film of 40x60"):
        masks.strip(SHAPE, "edge", "top", 40)


def test_a_rectangle_beside_the_film_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"lies beside a film of 40x60; give one that begins on it"):
        masks.rectangle(SHAPE, "edge", (40, 45), (0, 5))
