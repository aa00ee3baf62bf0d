"""Tests of deletion and insertion on a model that reads one corner."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.evidence.attribution import faithfulness
from roentgate.evidence.attribution.faithfulness import CELLS, Curves

SIDE, IMAGES = 32, 6


def corner(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities (n, 2): brightness of the upper left quarter, and the rest."""
    bright = images[:, : SIDE // 2, : SIDE // 2].mean(axis=(1, 2, 3))
    return np.stack([bright, 1 - bright], axis=1)


def bright_corners() -> NDArray[np.float32]:
    images = np.full((IMAGES, SIDE, SIDE, 1), 0.1, np.float32)
    images[:, : SIDE // 2, : SIDE // 2] = np.linspace(0.8, 1, IMAGES, dtype=np.float32)[:, None, None, None]
    return images


def curves(maps: NDArray[np.float64], groups: tuple[str, ...] = ()) -> Curves:
    images, predicted = bright_corners(), np.zeros(IMAGES, dtype=np.int64)
    orders = {"own": faithfulness.map_order(maps)}
    orders |= {order: faithfulness.other_order(order, IMAGES) for order in faithfulness.ORDERS}
    kept = {
        f"{name} {direction}": faithfulness.follow(corner, images, predicted, order, direction)
        for name, order in orders.items()
        for direction in faithfulness.DIRECTIONS
    }
    return faithfulness.curves_from(kept, groups or [str(row) for row in range(IMAGES)])


@pytest.mark.parametrize("order", faithfulness.ORDERS)
@pytest.mark.parametrize("direction", faithfulness.DIRECTIONS)
def test_the_answer_follows_a_true_map_and_not_its_contrary(
    direction: faithfulness.Direction, order: faithfulness.Order
) -> None:
    true = np.zeros((IMAGES, SIDE, SIDE))
    true[:, : SIDE // 2, : SIDE // 2] = 1
    assert faithfulness.gain(curves(true), direction, order).low > 0
    assert faithfulness.gain(curves(1 - true), direction, order).high < 0


@pytest.mark.parametrize("direction", faithfulness.DIRECTIONS)
def test_a_map_of_the_centre_gains_nothing_on_the_centre_out_order(direction: faithfulness.Direction) -> None:
    distance = np.hypot(*(np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2))
    middle = np.tile(30 - distance, (IMAGES, 1, 1))
    assert faithfulness.gain(curves(middle), direction, "centre").value == pytest.approx(0, abs=0.03)


def test_an_order_names_every_cell_once_and_begins_where_the_map_is_strongest() -> None:
    maps = np.zeros((2, 40, 50))
    maps[0, 39, 49], maps[1, 0, 0] = 5, 1
    maps[1, 20, 20] = -9  # negative attribution does not count
    for found in (
        faithfulness.map_order(maps),
        faithfulness.other_order("random", 2),
        faithfulness.other_order("centre", 2),
    ):
        np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(CELLS**2), (2, 1)))
    order = faithfulness.map_order(maps)
    assert order[:, 0].tolist() == [CELLS**2 - 1, 0]
    np.testing.assert_array_equal(order, faithfulness.map_order(maps))
    assert set(faithfulness.other_order("centre", 1)[0, :4]) == {119, 120, 135, 136}
    assert np.bincount(faithfulness.cells((40, 50)).ravel()).min() > 0


def test_deletion_keeps_what_insertion_has_not_yet_shown() -> None:
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in faithfulness.DIRECTIONS}
    images, order = bright_corners(), faithfulness.other_order("random", IMAGES)
    for direction in faithfulness.DIRECTIONS:

        def keep(changed: NDArray[np.float32], direction: str = direction) -> NDArray[np.float32]:
            seen[direction].append(changed)
            return corner(changed)

        faithfulness.follow(keep, images, np.zeros(IMAGES, dtype=np.int64), order, direction)
    grey = images.mean(axis=(1, 2), keepdims=True)
    for deleted, inserted in zip(*seen.values(), strict=True):
        np.testing.assert_allclose(deleted + inserted, images + grey, atol=1e-6)


def test_patients_are_counted_once_and_one_alone_is_undefined() -> None:
    true = np.zeros((IMAGES, SIDE, SIDE))
    true[:, : SIDE // 2, : SIDE // 2] = 1
    assert faithfulness.gain(curves(true, ("a", "a", "b", "b", "c", "c")), "deletion", "random").n == 3
    alone = faithfulness.gain(curves(true, ("a",) * IMAGES), "deletion", "random")
    assert (alone.defined, alone.low, alone.high) == (False, -1, 1)
