"""Deletion and insertion of image cells in a map's order.

The image is divided into `CELLS` by `CELLS` cells, ordered by their mean positive attribution. Deletion replaces the
first cells by the image's mean grey. Insertion starts from an image that is all mean grey and shows the first cells.
The probability of the predicted class is averaged over `SHARES` of the cells.

The result of a map's order is only meaningful in comparison with control orders. One is random. The other goes from
the centre outwards, which scores well on any chest image.

References:
    Petsiuk, Das and Saenko, RISE, BMVC 2018 (deletion and insertion).
    Hooker et al., A benchmark for interpretability methods, NeurIPS 2019 (comparison with a random order).
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
"""Shares of the cells that are deleted or inserted, denser in the range in which maps differ most."""

Direction = Literal["deletion", "insertion"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("deletion", "insertion")
Order = Literal["random", "centre"]
ORDERS: Final[tuple[Order, ...]] = ("random", "centre")


@dataclass(frozen=True, eq=False)
class Curves:
    """Mean probability of the predicted class of each image over `SHARES`.

    Attributes:
        own: Values in the map's order, float64 (n,), by direction.
        others: Values in the control orders, float64 (n,), by (order, direction).
        groups: The patient of each image, or its id if patients are unknown.
        unit: What one group is.
    """

    own: dict[Direction, RealArray]
    others: dict[tuple[Order, Direction], RealArray]
    groups: tuple[str, ...]
    unit: str = "image"


def gain(curves: Curves, direction: Direction, order: Order) -> Estimate:
    """Gain of a map's order over a control order.

    It lies between -1 and 1, 0 is no gain, and higher is better. For deletion it is how much lower the mean probability
    of the predicted class is than in the control order. For insertion it is how much higher.

    Args:
        curves: Mean probabilities of the images.
        direction: ``deletion`` or ``insertion``.
        order: The control order.

    Returns:
        Mean of the paired differences and t interval over patients. NaN in [-1, 1] for fewer than two patients.
    """
    own, control = curves.own[direction], curves.others[order, direction]
    names, rows = np.unique(np.array(curves.groups), return_inverse=True)
    if len(names) < 2:
        detail = "fewer than two patients"
        return undefined(len(names), low=-1.0, high=1.0, method="Student's t", unit=curves.unit, detail=detail)
    gains = control - own if direction == "deletion" else own - control
    means = np.bincount(rows, weights=gains) / np.bincount(rows)
    detail = f"mean probability {own.mean():.2f} in the map's order, {control.mean():.2f} in the other"
    return mean_of(means, low=-1.0, high=1.0, unit=curves.unit, detail=detail)


def map_order(maps: RealArray) -> IntArray:
    """Return each map's cells by falling positive attribution, int64 (n, CELLS ** 2).

    Ties, such as all cells without positive attribution, are in a seeded random order.

    Args:
        maps: Attribution maps (n, H, W).
    """
    labels = cells((maps.shape[1], maps.shape[2]))
    sizes = np.bincount(labels.ravel(), minlength=CELLS**2)
    positive = np.maximum(maps, 0).reshape(len(maps), -1).astype(np.float64)
    strength = np.stack([np.bincount(labels.ravel(), weights=pixels, minlength=CELLS**2) for pixels in positive])
    ties = np.stack([np.random.default_rng([1, row]).random(CELLS**2) for row in range(len(maps))])
    return np.lexsort((ties, -strength / np.maximum(sizes, 1)), axis=1)


def other_order(order: Order, images: int) -> IntArray:
    """Return each image's cells in a control order, int64 (n, CELLS ** 2).

    Args:
        order: ``random`` (seeded), or ``centre`` for the order from the centre outwards.
        images: Number of images n.
    """
    if order == "random":
        return np.stack([np.random.default_rng([0, row]).permutation(CELLS**2) for row in range(images)])
    places = np.arange(CELLS) - (CELLS - 1) / 2
    distance = np.hypot(places[:, None], places).ravel()
    return np.tile(np.argsort(distance, kind="stable"), (images, 1))


def cells(shape: tuple[int, int]) -> IntArray:
    """Return the cell that each pixel belongs to, int64 (H, W)."""
    rows, columns = ((np.arange(side) * CELLS) // side for side in shape)
    return np.asarray(rows[:, None] * CELLS + columns)


def follow(
    predict: Callable[[Images], Probabilities],
    images: Images,
    predicted: IntArray,
    order: IntArray,
    direction: Direction,
) -> NDArray[np.float64]:
    """Return each image's mean probability over the shares of cells, float64 (n,).

    Args:
        predict: Method of a `Candidate`.
        images: Canonical images float32 (n, H, W, C).
        predicted: Class of each image, int64 (n,).
        order: Cells of each image in the order in which they change, int64 (n, CELLS ** 2).
        direction: ``deletion`` or ``insertion``.
    """
    labels = cells((images.shape[1], images.shape[2]))
    position = np.argsort(order, axis=1)[:, labels]  # rank of each pixel's cell, (n, H, W)
    grey = images.mean(axis=(1, 2), keepdims=True)
    rows = np.arange(len(images))
    total = np.zeros(len(images))
    for share in SHARES:
        changed = (position < max(1, round(share * CELLS**2)))[..., None]
        partial = np.where(changed, grey, images) if direction == "deletion" else np.where(changed, images, grey)
        total += predict(partial.astype(np.float32))[rows, predicted]
    return total / len(SHARES)


def curves_from(kept: Mapping[str, RealArray], groups: Sequence[str], *, unit: str = "image") -> Curves:
    """Return curves from stored arrays, which are named by order and direction."""
    return Curves(
        own={direction: kept[f"own {direction}"] for direction in DIRECTIONS},
        others={(order, direction): kept[f"{order} {direction}"] for order in ORDERS for direction in DIRECTIONS},
        groups=tuple(groups),
        unit=unit,
    )
