"""Work in threads returns in order, a few items at a time."""

import threading
import time
from collections.abc import Iterator

import pytest

from roentgate.process import in_threads


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_at_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * 2

    assert list(in_threads(slow_at_first, range(50))) == list(range(0, 100, 2))


def test_nothing_to_do_yields_nothing() -> None:
    assert list(in_threads(str, [])) == []


def test_the_first_fault_in_order_is_raised() -> None:
    def work(item: int) -> int:
        if item == 5:
            time.sleep(0.05)
        if item in (5, 6):
            raise ValueError(str(item))
        return item

    results = in_threads(work, range(50))
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="5"):
        next(results)


def test_few_items_are_under_way_however_many_there_are() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for item in range(2000):
            begun.append(item)
            yield item

    ahead = [len(begun) - done for done, _ in enumerate(in_threads(str, items()))]
    assert len(ahead) == 2000
    assert max(ahead) <= 9


def test_what_is_left_half_way_begins_nothing_more() -> None:
    begun: list[int] = []
    results = in_threads(begun.append, range(500))
    before = threading.active_count()
    next(results)
    del results
    assert len(begun) <= 9
    assert threading.active_count() == before
