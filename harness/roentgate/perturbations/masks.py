"""One hidden part of a film, to the pixel: a ring, a strip along one side, or a rectangle, and what it is filled with.

A mask has a name that says all of it, so that whoever has the name can hide the same pixels again.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from roentgate.arrays import BoolArray, FloatArray
from roentgate.errors import ArgumentError
from roentgate.perturbations.border import FILLS, Shape, hide

Family = Literal["ring", "strip", "rectangle"]
Side = Literal["top", "bottom", "left", "right"]
FAMILIES: tuple[Family, ...] = get_args(Family)
SIDES: tuple[Side, ...] = get_args(Side)

MILDNESS = ("edge", "blur", "mean", "black")
"""The fills, mildest first, by how far they move the pixels that they hide (mean absolute change, 0 to 1).

Under a 5 % ring: edge 0.18, blur 0.19, mean 0.25, black 0.37 on ``phantom``; 0.07, 0.10, 0.32, 0.36 on ``covid19``.
Mean and black change places where corners are dark; mean comes first, as a grey that the film has.
"""

_NAME = re.compile(rf"({'|'.join(FAMILIES)})-({'|'.join(FILLS)})-(\d+)x(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Mask:
    """Hide part of a film.

    Attributes:
        family: ``ring``, ``strip`` or ``rectangle``.
        fill: One of `roentgate.perturbations.border.FILLS`.
        height: Of the box, in pixels. A strip or a rectangle hides the box, a ring everything outside it.
        width: Of the box.
        top: First row of the box.
        left: First column of the box.
    """

    family: Family
    fill: str
    height: int
    width: int
    top: int
    left: int

    @property
    def name(self) -> str:
        """All of it in one word: ``rectangle-edge-9x7-87-1`` is 9 rows by 7 columns from row 87 and column 1 on."""
        return f"{self.family}-{self.fill}-{self.height}x{self.width}-{self.top}-{self.left}"

    def hidden(self, shape: Shape) -> BoolArray:
        """Return the pixels that are hidden: bool [H, W].

        Raises:
            ArgumentError: The mask reaches beyond a film of this shape, or hides nothing or all of it.
        """
        box = np.zeros(shape, np.bool_)
        box[self.top : self.top + self.height, self.left : self.left + self.width] = True
        if box.all() or int(box.sum()) != self.height * self.width or not box.any():
            raise ArgumentError(
                f"mask '{self.name}': does not fit a film of {shape[0]}x{shape[1]} pixels; give one made for films "
                "of this size"
            )
        return ~box if self.family == "ring" else box

    def area(self, shape: Shape) -> int:
        """Return how many pixels of a film of this shape are hidden."""
        box = self.height * self.width
        return shape[0] * shape[1] - box if self.family == "ring" else box

    def __call__(self, images: FloatArray) -> FloatArray:
        """Return the films float32 [N, H, W, C] with the hidden pixels filled; they are not modified.

        Raises:
            ArgumentError: As `hidden`.
        """
        return hide(images, self.hidden((images.shape[1], images.shape[2])), self.fill)

    def steps(self, shape: Shape) -> tuple["Mask", ...]:
        """Return this mask and smaller ones inside it, the smallest first: each lies within the next.

        Rings and strips grow from the edge of the film, pixel by pixel; rectangles about their centre, in proportion.
        """
        if self.family == "ring":
            return tuple(ring(shape, self.fill, thickness) for thickness in range(1, self.top + 1))
        if self.family == "strip":
            side, deep = self.side(shape), self.depth(shape)
            return tuple(strip(shape, self.fill, side, thickness) for thickness in range(1, deep + 1))
        longest = max(self.height, self.width)
        return tuple(self._shrunk(-(-self.height * n // longest), -(-self.width * n // longest))
                     for n in range(1, longest + 1))  # fmt: skip

    def _shrunk(self, height: int, width: int) -> "Mask":
        top, left = self.top + (self.height - height) // 2, self.left + (self.width - width) // 2
        return Mask("rectangle", self.fill, height, width, top, left)

    def side(self, shape: Shape) -> Side:
        """Return along which side of the film a strip lies."""
        if self.width == shape[1]:
            return "top" if self.top == 0 else "bottom"
        return "left" if self.left == 0 else "right"

    def depth(self, shape: Shape) -> int:
        """Return how many pixels deep a ring or a strip is."""
        if self.family == "ring":
            return self.top
        return self.height if self.side(shape) in {"top", "bottom"} else self.width

    def words(self, shape: Shape) -> str:
        """Return what is hidden and how, for a reader: ``a 9x7 px patch in the lower left corner, filled by edge``."""
        if self.family == "ring":
            what = f"a {self.depth(shape)} px ring"
        elif self.family == "strip":
            what = f"a {self.depth(shape)} px strip along the {self.side(shape)}"
        else:
            what = f"a {self.height}x{self.width} px patch {self._where(shape)}"
        return f"{what}, filled by {self.fill}"

    def _where(self, shape: Shape) -> str:
        ends = (self.top == 0, self.top + self.height == shape[0], self.left == 0, self.left + self.width == shape[1])
        up, down, left, right = ends
        if (up or down) and (left or right):
            return f"in the {'upper' if up else 'lower'} {'left' if left else 'right'} corner"
        if any(ends):
            return f"at the {SIDES[ends.index(True)]} edge"
        row, column = (self.top + self.height / 2) / shape[0], (self.left + self.width / 2) / shape[1]
        return f"at {row:.0%} of the height and {column:.0%} of the width"


def ring(shape: Shape, fill: str, thickness: int) -> Mask:
    """Return a ring of so many pixels on every side of a film [H, W].

    Raises:
        ArgumentError: It is not at least one pixel thick, or leaves nothing inside.
    """
    if not 1 <= thickness <= (min(shape) - 1) // 2:
        raise ArgumentError(f"a ring of {thickness} px on a film of {shape[0]}x{shape[1]}; give 1 or more, and less "
                            "than half of the shorter side")  # fmt: skip
    return Mask("ring", fill, shape[0] - 2 * thickness, shape[1] - 2 * thickness, thickness, thickness)


def strip(shape: Shape, fill: str, side: Side, thickness: int) -> Mask:
    """Return a strip of so many pixels along one side of a film [H, W].

    Raises:
        ArgumentError: It is not at least one pixel thick, or leaves nothing beside it.
    """
    upright = side in {"top", "bottom"}
    if not 1 <= thickness < shape[0 if upright else 1]:
        raise ArgumentError(
            f"a strip of {thickness} px along the {side} of a film of {shape[0]}x{shape[1]}; give 1 or more, and less "
            "than the whole"
        )
    height, width = (thickness, shape[1]) if upright else (shape[0], thickness)
    return Mask(
        "strip", fill, height, width, shape[0] - height if side == "bottom" else 0,
        shape[1] - width if side == "right" else 0,
    )  # fmt: skip


def rectangle(shape: Shape, fill: str, rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    """Return a rectangle from the first to before the second of ``rows`` and ``columns``, cut off at the film's edges.

    Raises:
        ArgumentError: Nothing of it lies on the film.
    """
    top, left = max(0, rows[0]), max(0, columns[0])
    height, width = min(shape[0], rows[1]) - top, min(shape[1], columns[1]) - left
    if height < 1 or width < 1:
        raise ArgumentError(f"a rectangle of rows {rows} and columns {columns} lies beside a film of "
                            f"{shape[0]}x{shape[1]}; give one that begins on it")  # fmt: skip
    return Mask("rectangle", fill, height, width, top, left)


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
