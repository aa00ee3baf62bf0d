"""Hypothesis looks for the smallest mask that does something: masks are drawn and shrunk, what they do is asked.

Drawn are sizes, places and infills, as whole pixels, never the pixels themselves. The search is the same every time,
and asks about no more masks than it may; so what it finds is the smallest that it has met, and an upper bound.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from roentgate.errors import HarnessError
from roentgate.perturbations import masks
from roentgate.perturbations.border import Shape
from roentgate.perturbations.masks import MILDNESS, SIDES, Family, Mask

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

DEEPEST = 0.15
"""The thickest border or strip, as a share of the shorter side."""

LARGEST = 0.25
"""The longest side of a rectangle, as a share of the image's."""

_DRAWS = 20
"""Masks drawn for each that may be asked about; those that are not allowed cost nothing."""

_OFFSET = 0x5EED_0000_0000
"""Added to every number drawn. Hypothesis likes to draw numbers found in the source files that happen to be loaded; up
here are none, so the same search is the same whatever else runs in the process."""


def hunt(  # noqa: PLR0913  what is searched, and what is asked of it
    family: Family,
    shape: Shape,
    *,
    infills: Sequence[str],
    allowed: Callable[[Mask], bool],
    flips: Callable[[Mask], bool],
    most: int,
) -> tuple[Mask | None, int]:
    """Search a family for the mildest infill, and under it the smallest area, that flips answers.

    Args:
        family: What masks to draw.
        shape: (H, W) of the images.
        fills: What they may be filled with, mildest first.
        allowed: Whether a mask may be used; asked of any number of masks, so it should be cheap.
        flips: Whether a mask flips answers. It is asked only of allowed masks that are milder than the best so far, or
            as mild and smaller; so the last that it said yes to is the best.
        most: How often ``flips`` may be asked.

    Returns:
        The best mask, or None where none flips; and how often ``flips`` was asked.

    Raises:
        HarnessError: What ``flips`` has raised.
    """
    from hypothesis import Verbosity, find, settings
    from hypothesis.errors import NoSuchExample

    if most < 1:
        return None, 0
    question = _Question(shape, allowed, flips, most)
    how = settings(
        max_examples=_DRAWS * most, derandomize=True, database=None, deadline=None, verbosity=Verbosity.quiet
    )
    with contextlib.suppress(NoSuchExample):
        find(_strategy(family, shape, infills), question, settings=how, random=Random(0))
    if question.error is not None:
        raise question.error
    return question.best, most - question.left


@dataclass
class _Question:
    """What Hypothesis asks of each mask: is it better than the best so far, and does it flip answers?

    An answer once given never changes, or Hypothesis would call the question flaky.
    """

    shape: Shape
    allowed: Callable[[Mask], bool]
    flips: Callable[[Mask], bool]
    left: int
    best: Mask | None = None
    error: HarnessError | None = None
    _known: dict[Mask, bool] = field(default_factory=dict)

    def __call__(self, mask: Mask) -> bool:
        if mask not in self._known:
            self._known[mask] = self._ask(mask)
        return self._known[mask]

    def _ask(self, mask: Mask) -> bool:
        if self.error is not None or not self.left or not self._betters(mask) or not self.allowed(mask):
            return False
        self.left -= 1
        try:
            found = self.flips(mask)
        except HarnessError as error:  # Hypothesis would take it for a find, and ask again and again
            self.error = error
            return False
        if found:
            self.best = mask
        return found

    def _betters(self, mask: Mask) -> bool:
        return self.best is None or _harm(mask, self.shape) < _harm(self.best, self.shape)


def _harm(mask: Mask, shape: Shape) -> tuple[int, int]:
    return MILDNESS.index(mask.infill), mask.area(shape)


def _strategy(family: Family, shape: Shape, infills: Sequence[str]) -> "SearchStrategy[Mask]":
    """Return the masks of a family. What shrinks first is drawn first: the infill, then the size, then the place."""
    from hypothesis import strategies

    def whole(low: int, high: int) -> "SearchStrategy[int]":
        return strategies.integers(_OFFSET + low, _OFFSET + high).map(lambda number: number - _OFFSET)

    deepest = max(1, int(DEEPEST * min(shape)))
    infill = whole(0, len(infills) - 1).map(lambda index: infills[index])
    if family == "border":
        return strategies.builds(lambda infill, deep: masks.border(shape, infill, deep), infill, whole(1, deepest))
    if family == "strip":
        return strategies.builds(
            lambda infill, deep, side: masks.strip(shape, infill, SIDES[side], deep),
            infill, whole(1, deepest), whole(0, len(SIDES) - 1),
        )  # fmt: skip
    tall, broad = (max(1, int(LARGEST * side)) for side in shape)

    def place(infill: str, height: int, width: int, corner: int, down: int, across: int) -> Mask:  # noqa: PLR0913, PLR0917
        """Measure from the nearest corner of the image; what would begin beyond the edge begins at it."""
        top, left = max(0, down), max(0, across)
        top, left = shape[0] - top - height if corner & 1 else top, shape[1] - left - width if corner & 2 else left
        return masks.rectangle(shape, infill, (top, top + height), (left, left + width))

    return strategies.builds(
        place, infill, whole(1, tall), whole(1, broad), whole(0, 3),
        whole(-tall, shape[0] // 2 - 1), whole(-broad, shape[1] // 2 - 1),
    )  # fmt: skip
