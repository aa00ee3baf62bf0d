"""One hidden part of an image, to the pixel: a border, a strip along one side, or a rectangle, and what it is filled
with.

A mask has a name that says all of it, so that whoever has the name can hide the same pixels again.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from roentgate.arrays import BoolArray, FloatArray
from roentgate.errors import ArgumentError
from roentgate.perturbations.border import INFILLS, Shape, hide

Family = Literal["border", "strip", "rectangle"]
Side = Literal["top", "bottom", "left", "right"]
FAMILIES: tuple[Family, ...] = get_args(Family)
SIDES: tuple[Side, ...] = get_args(Side)

MILDNESS = ("edge", "blur", "mean", "black")
"""The infills, mildest first, by how far they move the pixels that they hide (mean absolute change, 0 to 1).

Under a 5 % border: edge 0.18, blur 0.19, mean 0.25, black 0.37 on ``phantom``; 0.07, 0.10, 0.32, 0.36 on ``covid19``.
Mean and black change places where corners are dark; mean comes first, as a grey that the image has.
"""

_NAME = re.compile(rf"({'|'.join(FAMILIES)})-({'|'.join(INFILLS)})-(\d+)x(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Mask:
    """Hide part of an image.

    Attributes:
        family: ``width``, ``strip`` or ``rectangle``.
        fill: One of `roentgate.perturbations.border.INFILLS`.
        height: Of the box, in pixels. A strip or a rectangle hides the box, a border everything outside it.
        width: Of the box.
        top: First row of the box.
        left: First column of the box.
    """

    family: Family
    infill: str
    height: int
    width: int
    top: int
    left: int

    @property
    def name(self) -> str:
        """All of it in one word: ``rectangle-edge-9x7-87-1`` is 9 rows by 7 columns from row 87 and column 1 on."""
        return f"{self.family}-{self.infill}-{self.height}x{self.width}-{self.top}-{self.left}"

    def hidden(self, shape: Shape) -> BoolArray:
        """Return the pixels that are hidden: bool [H, W].

        Raises:
            ArgumentError: The mask reaches beyond an image of this shape, or hides nothing or all of it.
        """
        box = np.zeros(shape, np.bool_)
        box[self.top : self.top + self.height, self.left : self.left + self.width] = True
        if box.all() or int(box.sum()) != self.height * self.width or not box.any():
            raise ArgumentError(
                f"mask '{self.name}': does not fit an image of {shape[0]}x{shape[1]} pixels; give one made for images "
                "of this size"
            )
        return ~box if self.family == "border" else box

    def area(self, shape: Shape) -> int:
        """Return how many pixels of an image of this shape are hidden."""
        box = self.height * self.width
        return shape[0] * shape[1] - box if self.family == "border" else box

    def __call__(self, images: FloatArray) -> FloatArray:
        """Return the images float32 [N, H, W, C] with the hidden pixels filled; they are not modified.

        Raises:
            ArgumentError: As `hidden`.
        """
        return hide(images, self.hidden((images.shape[1], images.shape[2])), self.infill)

    def steps(self, shape: Shape) -> tuple["Mask", ...]:
        """Return this mask and smaller ones inside it, the smallest first: each lies within the next.

        Borders and strips grow from the edge of the image, pixel by pixel; rectangles about their centre, in
        proportion.
        """
        if self.family == "border":
            return tuple(border(shape, self.infill, thickness) for thickness in range(1, self.top + 1))
        if self.family == "strip":
            side, deep = self.side(shape), self.depth(shape)
            return tuple(strip(shape, self.infill, side, thickness) for thickness in range(1, deep + 1))
        longest = max(self.height, self.width)
        return tuple(self._shrunk(-(-self.height * n // longest), -(-self.width * n // longest))
                     for n in range(1, longest + 1))  # fmt: skip

    def _shrunk(self, height: int, width: int) -> "Mask":
        top, left = self.top + (self.height - height) // 2, self.left + (self.width - width) // 2
        return Mask("rectangle", self.infill, height, width, top, left)

    def side(self, shape: Shape) -> Side:
        """Return along which side of the image a strip lies."""
        if self.width == shape[1]:
            return "top" if self.top == 0 else "bottom"
        return "left" if self.left == 0 else "right"

    def depth(self, shape: Shape) -> int:
        """Return how many pixels deep a border or a strip is."""
        if self.family == "border":
            return self.top
        return self.height if self.side(shape) in {"top", "bottom"} else self.width

    def words(self, shape: Shape) -> str:
        """Return what is hidden and how, for a reader: ``a 9x7 px patch in the lower left corner, filled by edge``."""
        if self.family == "border":
            what = f"a {self.depth(shape)} px border"
        elif self.family == "strip":
            what = f"a {self.depth(shape)} px strip along the {self.side(shape)}"
        else:
            what = f"a {self.height}x{self.width} px patch {self._where(shape)}"
        return f"{what}, filled by {self.infill}"

    def _where(self, shape: Shape) -> str:
        ends = (self.top == 0, self.top + self.height == shape[0], self.left == 0, self.left + self.width == shape[1])
        up, down, left, right = ends
        if (up or down) and (left or right):
            return f"in the {'upper' if up else 'lower'} {'left' if left else 'right'} corner"
        if any(ends):
            return f"at the {SIDES[ends.index(True)]} edge"
        row, column = (self.top + self.height / 2) / shape[0], (self.left + self.width / 2) / shape[1]
        return f"at {row:.0%} of the height and {column:.0%} of the width"


def border(shape: Shape, infill: str, thickness: int) -> Mask:
    """Return a border of so many pixels on every side of an image [H, W].

    Raises:
        ArgumentError: It is not at least one pixel thick, or leaves nothing inside.
    """
    if not 1 <= thickness <= (min(shape) - 1) // 2:
        raise ArgumentError(f"a border of {thickness} px on an image of {shape[0]}x{shape[1]}; give 1 or more, and less "
                            "than half of the shorter side")  # fmt: skip
    return Mask("border", infill, shape[0] - 2 * thickness, shape[1] - 2 * thickness, thickness, thickness)


def strip(shape: Shape, infill: str, side: Side, thickness: int) -> Mask:
    """Return a strip of so many pixels along one side of an image [H, W].

    Raises:
        ArgumentError: It is not at least one pixel thick, or leaves nothing beside it.
    """
    upright = side in {"top", "bottom"}
    if not 1 <= thickness < shape[0 if upright else 1]:
        raise ArgumentError(
            f"a strip of {thickness} px along the {side} of an image of {shape[0]}x{shape[1]}; give 1 or more, and less "
            "than the whole"
        )
    height, width = (thickness, shape[1]) if upright else (shape[0], thickness)
    return Mask(
        "strip", infill, height, width, shape[0] - height if side == "bottom" else 0,
        shape[1] - width if side == "right" else 0,
    )  # fmt: skip


def rectangle(shape: Shape, infill: str, rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    """Return a rectangle from the first to before the second of ``rows`` and ``columns``, cut off at the image's edges.

    Raises:
        ArgumentError: Nothing of it lies on the image.
    """
    top, left = max(0, rows[0]), max(0, columns[0])
    height, width = min(shape[0], rows[1]) - top, min(shape[1], columns[1]) - left
    if height < 1 or width < 1:
        raise ArgumentError(f"a rectangle of rows {rows} and columns {columns} lies beside an image of "
                            f"{shape[0]}x{shape[1]}; give one that begins on it")  # fmt: skip
    return Mask("rectangle", infill, height, width, top, left)


def parse(name: str) -> Mask:
    """Return the mask of a name.

    Raises:
        ArgumentError: It is none.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ArgumentError(f"mask '{name}': not a name such as 'rectangle-edge-9x7-87-1'; copy it from the scorecard")
    family: Family = next(each for each in FAMILIES if each == found[1])
    return Mask(family, found[2], *(int(number) for number in found.groups()[2:]))
