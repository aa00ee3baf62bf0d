"""Search for the smallest mask that flips answers, with Hypothesis.

Hypothesis draws masks and shrinks those that flip answers. It draws sizes, places and infills in whole pixels, never
pixel values. The search is deterministic and tries a limited number of masks. Its result is the smallest mask among
those it has tried, and so an upper bound.
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
"""Masks drawn for each that may be tried. Those that are not allowed cost nothing."""

_OFFSET = 0x5EED_0000_0000
"""Added to every number drawn.

Hypothesis prefers to draw numbers that occur in the source files that are loaded. None occurs in this range, so that
the search does not depend on what else runs in the process.
"""


def hunt(  # noqa: PLR0913 - the space to search, and the conditions on a mask
    family: Family,
    shape: Shape,
    *,
    infills: Sequence[str],
    allowed: Callable[[Mask], bool],
    flips: Callable[[Mask], bool],
    most: int,
) -> tuple[Mask | None, int]:
    """Search a family of masks for the mildest and smallest that flips answers.

    A milder infill is better than a smaller area.

    Args:
        family: Kind of masks to draw.
        shape: (H, W) of the images.
        infills: Infills to choose from, mildest first.
        allowed: Whether a mask may be used. It is called for any number of masks, so it should be cheap.
        flips: Whether a mask flips answers. It is called only for allowed masks that are better than the best so far,
            so that the last mask for which it returned true is the best.
        most: Largest number of calls of ``flips``.

    Returns:
        The best mask (None if none flips answers), and the number of calls of ``flips``.

    Raises:
        HarnessError: ``flips`` has raised it.
    """
    from hypothesis import Verbosity, find, settings
    from hypothesis.errors import NoSuchExample

    if most < 1:
        return None, 0
    question = _Question(shape, allowed, flips, most)
    limits = settings(
        max_examples=_DRAWS * most, derandomize=True, database=None, deadline=None, verbosity=Verbosity.quiet
    )
    with contextlib.suppress(NoSuchExample):
        find(_strategy(family, shape, infills), question, settings=limits, random=Random(0))
    if question.error is not None:
        raise question.error
    return question.best, most - question.left


@dataclass
class _Question:
    """Whether a mask is better than the best so far and flips answers.

    An answer is kept and never changes. Otherwise Hypothesis would report a flaky test.
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
        if self.error is not None or not self.left or not self._is_better(mask) or not self.allowed(mask):
            return False
        self.left -= 1
        try:
            flips = self.flips(mask)
        except HarnessError as error:  # Hypothesis would count it as a success and call again and again
            self.error = error
            return False
        if flips:
            self.best = mask
        return flips

    def _is_better(self, mask: Mask) -> bool:
        return self.best is None or _harm(mask, self.shape) < _harm(self.best, self.shape)


def _harm(mask: Mask, shape: Shape) -> tuple[int, int]:
    return MILDNESS.index(mask.infill), mask.area(shape)


def _strategy(family: Family, shape: Shape, infills: Sequence[str]) -> "SearchStrategy[Mask]":
    """Return the Hypothesis strategy that draws the masks of a family.

    It draws first what is to be shrunk first: the infill, then the size, then the place.
    """
    from hypothesis import strategies

    def integers(low: int, high: int) -> "SearchStrategy[int]":
        return strategies.integers(_OFFSET + low, _OFFSET + high).map(lambda number: number - _OFFSET)

    depth = integers(1, max(1, int(DEEPEST * min(shape))))
    infill = integers(0, len(infills) - 1).map(lambda index: infills[index])
    if family == "border":
        return strategies.builds(lambda infill, depth: masks.border(shape, infill, depth), infill, depth)
    if family == "strip":
        side = integers(0, len(SIDES) - 1)
        return strategies.builds(
            lambda infill, depth, side: masks.strip(shape, infill, SIDES[side], depth), infill, depth, side
        )
    tallest, widest = (max(1, int(LARGEST * side)) for side in shape)

    def place(infill: str, height: int, width: int, corner: int, down: int, across: int) -> Mask:  # noqa: PLR0913, PLR0917
        """Return a rectangle at a distance from one corner of the image.

        A negative distance counts as 0.
        """
        top, left = max(0, down), max(0, across)
        top, left = shape[0] - top - height if corner & 1 else top, shape[1] - left - width if corner & 2 else left
        return masks.rectangle(shape, infill, (top, top + height), (left, left + width))

    size, corner = (integers(1, tallest), integers(1, widest)), integers(0, 3)
    distance = integers(-tallest, shape[0] // 2 - 1), integers(-widest, shape[1] // 2 - 1)
    return strategies.builds(place, infill, *size, corner, *distance)
