"""Take an image's pixels away in the order of a map, or put them in: does the answer follow, faster than by chance?

The image is divided into `CELLS` by `CELLS` cells, ordered by their mean positive attribution. Deletion infills the
first cells with the image's mean grey, insertion shows the first cells of an image that is all mean grey, at `SHARES`
of the cells; what is averaged over the shares is the probability of the class that was called. A map's order means
something only beside others: a random one, and one from the centre outwards, which any image of a chest rewards.

References:
    Petsiuk, Das and Saenko, RISE, BMVC 2018 (deletion and insertion).
    Hooker et al., A benchmark for interpretability methods, NeurIPS 2019 (why a random order must stand beside it).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Images, IntArray, Probabilities, RealArray
from roentgate.evidence.attribution.sanity_check import mean_of
from roentgate.stats import Estimate, undefined

CELLS: Final = 16
SHARES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the cells that are taken away or put in; closer together where maps differ."""

Direction = Literal["deletion", "insertion"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("deletion", "insertion")
Order = Literal["random", "centre"]
ORDERS: Final[tuple[Order, ...]] = ("random", "centre")


@dataclass(frozen=True, eq=False)
class Curves:
    """Mean probability of the called class over the shares, for each image: by (order, direction), float64 (n,)."""

    own: dict[Direction, RealArray]
    others: dict[tuple[Order, Direction], RealArray]
    groups: tuple[str, ...]
    unit: str = "image"


def gain(curves: Curves, direction: Direction, order: Order) -> Estimate:
    """By how much the answer follows a map's order faster than another order (-1 to 1; 0 is no better; higher, better).

    For deletion: how much lower the probability of the called class is, averaged over the shares; for insertion, how
    much higher.

    Returns:
        Mean of the paired differences and t interval over patients; NaN in [-1, 1] of fewer than two.
    """
    own, beside = curves.own[direction], curves.others[order, direction]
    names, rows = np.unique(np.array(curves.groups), return_inverse=True)
    if len(names) < 2:
        words = "fewer than two patients"
        return undefined(len(names), low=-1.0, high=1.0, method="Student's t", unit=curves.unit, detail=words)
    better = beside - own if direction == "deletion" else own - beside
    means = np.bincount(rows, weights=better) / np.bincount(rows)
    told = f"mean probability {own.mean():.2f} in the map's order, {beside.mean():.2f} in the other"
    return mean_of(means, low=-1.0, high=1.0, unit=curves.unit, detail=told)


def map_order(maps: RealArray) -> IntArray:
    """Return the cells of each map (n, H, W) from most to least positive attribution: int64 (n, CELLS ** 2).

    Cells that are alike, such as all those without positive attribution, follow in a seeded random order.
    """
    labels = cells((maps.shape[1], maps.shape[2]))
    sizes = np.bincount(labels.ravel(), minlength=CELLS**2)
    positive = np.maximum(maps, 0).reshape(len(maps), -1).astype(np.float64)
    strength = np.stack([np.bincount(labels.ravel(), weights=one, minlength=CELLS**2) for one in positive])
    ties = np.stack([np.random.default_rng([1, row]).random(CELLS**2) for row in range(len(maps))])
    return np.lexsort((ties, -strength / np.maximum(sizes, 1)), axis=1)


def other_order(order: Order, images: int) -> IntArray:
    """Return the cells of each image in a seeded random order, or from the centre outwards: int64 (n, CELLS ** 2)."""
    if order == "random":
        return np.stack([np.random.default_rng([0, row]).permutation(CELLS**2) for row in range(images)])
    places = np.arange(CELLS) - (CELLS - 1) / 2
    distance = np.hypot(places[:, None], places).ravel()
    return np.tile(np.argsort(distance, kind="stable"), (images, 1))


def cells(shape: tuple[int, int]) -> IntArray:
    """Return the cell that each pixel belongs to: int64 (H, W)."""
    rows, columns = ((np.arange(side) * CELLS) // side for side in shape)
    return np.asarray(rows[:, None] * CELLS + columns)


def follow(
    predict: Callable[[Images], Probabilities],
    images: Images,
    predicted: IntArray,
    order: IntArray,
    direction: Direction,
) -> NDArray[np.float64]:
    """Return the mean probability of the called class while cells are taken away, or put in: float64 (n,).

    Args:
        predict: Of a `Candidate`.
        images: Canonical images float32 (n, H, W, C).
        called: int64 (n,) class of each image.
        order: int64 (n, CELLS ** 2) cells, the first to change first.
        direction: ``deletion`` or ``insertion``.
    """
    labels = cells((images.shape[1], images.shape[2]))
    position = np.argsort(order, axis=1)[:, labels]  # when each pixel changes: (n, H, W)
    grey = images.mean(axis=(1, 2), keepdims=True)
    rows = np.arange(len(images))
    total = np.zeros(len(images))
    for share in SHARES:
        changed = (position < max(1, round(share * CELLS**2)))[..., None]
        image = np.where(changed, grey, images) if direction == "deletion" else np.where(changed, images, grey)
        total += predict(image.astype(np.float32))[rows, predicted]
    return total / len(SHARES)


def curves_from(kept: Mapping[str, RealArray], groups: Sequence[str], *, unit: str = "image") -> Curves:
    """Return curves from arrays that are named after order and direction, as they are stored."""
    return Curves(
        own={direction: kept[f"own {direction}"] for direction in DIRECTIONS},
        others={(order, direction): kept[f"{order} {direction}"] for order in ORDERS for direction in DIRECTIONS},
        groups=tuple(groups),
        unit=unit,
    )
