"""The name of a mask gives its pixels, and its steps lie within one another.

A name can be read back, and a mask that does not fit the image is refused.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.errors import ArgumentError
from roentgate.perturbations import masks
from roentgate.perturbations.border import INFILLS, Border, border_mask
from roentgate.perturbations.masks import FAMILIES, MILDNESS, SIDES, Mask

SHAPE = (40, 60)


@st.composite
def any_mask(draw: st.DrawFn) -> Mask:
    infill, family = draw(st.sampled_from(INFILLS)), draw(st.sampled_from(FAMILIES))
    if family == "border":
        return masks.border(SHAPE, infill, draw(st.integers(1, 19)))
    if family == "strip":
        return masks.strip(SHAPE, infill, draw(st.sampled_from(SIDES)), draw(st.integers(1, 39)))
    top, left = draw(st.integers(-5, 39)), draw(st.integers(-5, 59))
    rows, columns = (top, max(top, 0) + draw(st.integers(1, 30))), (left, max(left, 0) + draw(st.integers(1, 30)))
    return masks.rectangle(SHAPE, infill, rows, columns)


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


def test_a_borders_pixels_and_infill_are_those_of_the_border_check() -> None:
    images = np.random.default_rng(0).random((2, 40, 40, 1), np.float32)
    mask = masks.border((40, 40), "blur", 2)
    np.testing.assert_array_equal(mask.hidden((40, 40)), border_mask((40, 40), 0.05))
    for infill in INFILLS:
        np.testing.assert_array_equal(replace(mask, infill=infill)(images), Border(0.05, infill)(images))


@pytest.mark.parametrize(
    ("side", "place"),
    [("top", np.s_[:3]), ("bottom", np.s_[-3:]), ("left", np.s_[:, :3]), ("right", np.s_[:, -3:])],
)
def test_a_strip_lies_along_its_side(side: masks.Side, place: tuple[slice, ...]) -> None:
    mask, expected = masks.strip(SHAPE, "mean", side, 3), np.zeros(SHAPE, np.bool_)
    expected[place] = True
    np.testing.assert_array_equal(mask.hidden(SHAPE), expected)
    assert mask.side(SHAPE) == side


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (masks.border(SHAPE, "edge", 2), "a 2 px border, filled by edge"),
        (masks.strip(SHAPE, "black", "right", 4), "a 4 px strip along the right, filled by black"),
        (masks.rectangle(SHAPE, "blur", (31, 40), (0, 7)), "a 9x7 px patch in the lower left corner, filled by blur"),
        (masks.rectangle(SHAPE, "mean", (-3, 2), (20, 23)), "a 2x3 px patch at the top edge, filled by mean"),
        (
            masks.rectangle(SHAPE, "mean", (10, 30), (15, 45)),
            "a 20x30 px patch at 50% of the height and 50% of the width, filled by mean",
        ),
    ],
)
def test_a_mask_is_said_in_words(mask: Mask, text: str) -> None:
    assert mask.description(SHAPE) == text


def test_every_infill_has_its_place_in_the_order_of_mildness() -> None:
    assert sorted(MILDNESS) == sorted(INFILLS)


def test_the_mildest_infills_move_the_border_of_the_embedded_images_least() -> None:
    from roentgate.data import phantom

    drawn = [phantom.image("phantom", 0, "test", label, 0).image for label in phantom.CLASSES]
    images = np.stack(drawn)[..., None].astype(np.float32) / np.float32(255)
    mask = masks.border((96, 96), "edge", 5)
    moved = [float(np.abs(replace(mask, infill=infill)(images) - images).mean()) for infill in MILDNESS]
    assert max(moved[:2]) < min(moved[2:])


@pytest.mark.parametrize(
    "name", ["", "border", "border-grey-3x3-1-1", "patch-edge-3x3-1-1", "rectangle-edge-3x-1-1", "x:y"]
)
def test_what_is_no_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"not a name such as 'rectangle-edge-9x7-87-1'; copy it"):
        masks.parse(name)


@pytest.mark.parametrize(
    "name", ["rectangle-edge-9x7-87-1", "rectangle-edge-0x7-1-1", "border-edge-40x60-0-0", "strip-edge-40x60-0-0"]
)
def test_a_mask_that_does_not_fit_the_image_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"does not fit an image of 40x60 pixels"):
        masks.parse(name).hidden(SHAPE)


@pytest.mark.parametrize("thickness", [0, 20])
def test_a_border_needs_pixels_and_something_inside(thickness: int) -> None:
    with pytest.raises(ArgumentError, match=r"a border of \d+ px on an image of 40x60; give 1 or more"):
        masks.border(SHAPE, "edge", thickness)


def test_a_strip_needs_something_beside_it() -> None:
    with pytest.raises(ArgumentError, match=r"a strip of 40 px along the top of an image of 40x60"):
        masks.strip(SHAPE, "edge", "top", 40)


def test_a_rectangle_beside_the_image_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"lies outside an image of 40x60; give one that begins on it"):
        masks.rectangle(SHAPE, "edge", (40, 45), (0, 5))
