"""Tests of replicates, whose rows are combined into one.

The row is that of the worst seed, or of the first, and says how far the seeds spread.
"""

from typing import Any

import pytest

from roentgate.errors import ArgumentError
from roentgate.scorecard.record import empty_row
from roentgate.scorecard.replicates import Deciding, Replicates, replicates_of, together
from roentgate.scorecard.shape import Record, Row
from roentgate.stats.estimate import Direction
from tests.support.rows import row as made


def row(value: float | None, bound: float = 0.8, direction: Direction = "at_least", check: str = "recall_floor") -> Row:
    met = value is not None and (value >= bound if direction == "at_least" else value <= bound)
    return made(
        check=check,
        outcome="conditional_pass" if met else "conditional_fail",
        accepted=met,
        value=value,
        low=0.0,
        high=1.0,
        n=20,
        bound=bound,
        direction=direction,
        detail="of 20",
    )


def records(*rows: list[Row]) -> list[Record]:
    found: list[Any] = [{"task": {"seed": 3 + index}, "rows": each} for index, each in enumerate(rows)]
    return found


@pytest.mark.parametrize(("direction", "bound", "worst", "seed"), [("at_least", 0.8, 0.7, 4), ("at_most", 0.1, 0.9, 3)])
def test_the_worst_seed_of_a_row_stands_for_it(direction: Direction, bound: float, worst: float, seed: int) -> None:
    (found,) = together(records(*([row(value, bound, direction)] for value in (0.9, 0.7, 0.8))))
    assert found["value"] == worst
    assert found["detail"].startswith(f"3 seeds: mean 0.800, 0.700 to 0.900, worst with seed {seed}, not accepted with")
    assert found["detail"].endswith("; of 20")


def test_a_empty_row_is_worse_than_any_accepted_one() -> None:
    refused: Row = {**row(0.99), "accepted": False, "outcome": "fail"}
    (found,) = together(records([row(0.8)], [refused]))
    assert not found["accepted"]


def test_the_first_seed_stands_for_its_row_where_the_policy_says_so() -> None:
    (found,) = together(records([row(0.9)], [row(0.7)]), deciding="first")
    assert (found["value"], found["accepted"]) == (0.9, True)
    assert found["detail"].startswith("2 seeds, the first decides: mean 0.800")
    assert "worst with seed 4, not accepted with 1 of 2" in found["detail"]


def test_a_descriptive_row_has_no_worst_seed_and_is_that_of_the_first() -> None:
    informing: list[list[Row]] = [
        [{**row(value), "gates": False, "accepted": True, "bound": None, "direction": None}] for value in (0.975, 0.4)
    ]
    for given in (informing, informing[::-1]):
        (found,) = together(records(*given))
        assert found["value"] == given[0][0]["value"]
        assert found["detail"] == "2 seeds: mean 0.688, 0.400 to 0.975; shown: seed 3; of 20"


def test_a_row_that_gates_without_a_direction_is_refused_where_any_seed_is() -> None:
    crashed = empty_row(suite="recall", check="recall_floor", subject="Covid", reason="crashed", detail="crashed")
    passed: Row = {**row(0.9), "bound": None, "direction": None, "accepted": True}
    (found,) = together(records([passed], [crashed]))
    assert (found["accepted"], found["value"]) == (False, None)


def test_seeds_that_agree_say_so_in_few_words() -> None:
    (found,) = together(records([row(1.0)], [row(1.0)]))
    assert found["detail"] == "alike with 2 seeds; of 20"


@pytest.mark.parametrize("change", [{"detail": "of 20, one other"}, {"failing": ["image 3"]}])
@pytest.mark.parametrize(("value", "text"), [(1.0, "alike with 2 seeds"), (None, "2 seeds, not accepted with 2 of 2")])
def test_seeds_that_agree_in_their_value_alone_say_which_is_shown(
    value: float | None, text: str, change: dict[str, object]
) -> None:
    second: Row = {**row(value), **change}  # type: ignore[typeddict-item]
    (found,) = together(records([row(value)], [second]))
    assert found["detail"] == f"{text}; shown: seed 3; of 20"


def test_a_row_without_a_value_is_the_worst() -> None:
    (found,) = together(records([row(0.9)], [row(None)]))
    assert (found["value"], found["accepted"]) == (None, False)


def test_a_mean_says_how_many_seeds_it_is_not_of() -> None:
    skipped: Row = {**row(None), "gates": False, "accepted": True, "outcome": "skipped"}
    (found,) = together(records([row(0.9)], [skipped]))
    assert found["detail"].startswith("2 seeds: mean 0.900, 0.900 to 0.900, worst with seed 3, no value with 1 of 2;")

    undefined: Row = {**row(None), "gates": False, "accepted": True, "bound": None, "direction": None}
    (found,) = together(records([undefined], [{**undefined, "value": 0.4}]))
    assert found["detail"] == "2 seeds: mean 0.400, 0.400 to 0.400, no value with 1 of 2; shown: seed 3; of 20"


def test_a_row_that_one_seed_lacks_is_refused() -> None:
    found = together(records([row(0.9), row(0.9, check="confusion_ceiling")], [row(0.9)]))
    assert [each["accepted"] for each in found] == [True, False]
    assert found[1]["detail"] == "recorded with 1 of 2 seeds only"


@pytest.mark.parametrize("deciding", ["worst", "first"])
def test_a_record_tells_its_seeds_and_who_decides(deciding: Deciding) -> None:
    (record,) = records([row(0.9)])
    record["task"] |= {"seeds": [3, 4, 5], "deciding": deciding}
    assert replicates_of(record) == Replicates(seeds=(3, 4, 5), deciding=deciding)


def test_no_words_of_a_suite_make_a_record_one_of_several_trainings() -> None:
    assert replicates_of(records([{**row(0.9), "detail": "3 seeds: mean 0.9"}])[0]) is None


def test_a_record_of_one_training_has_no_replicates() -> None:
    assert replicates_of(records([row(0.9)])[0]) is None
    assert replicates_of(records([])[0]) is None


def test_no_replicates_are_an_error() -> None:
    with pytest.raises(ArgumentError, match="no replicates"):
        together([])
