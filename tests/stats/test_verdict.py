"""Tests of verdicts, decision rules, and what would settle a verdict."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.errors import ArgumentError
from roentgate.stats.estimate import Estimate, census, mean, proportion
from roentgate.stats.verdict import Gate, Outcome, Verdict, at_least, at_most, descriptive, settling_words, skipped

GATES: tuple[Gate, ...] = ("simple", "guarded")


def spanning(low: float, value: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=10, method="given", detail="text", failing=("a", "b"))


@pytest.mark.parametrize(
    ("estimate", "outcome", "by_value"),
    [
        (spanning(0.80, 0.85, 0.90), "pass", True),
        (spanning(0.79, 0.80, 0.90), "conditional_pass", True),
        (spanning(0.70, 0.79, 0.80), "conditional_fail", False),
        (spanning(0.60, 0.70, 0.79), "fail", False),
    ],
)
def test_a_floor_is_met_or_missed_by_the_whole_interval(estimate: Estimate, outcome: str, *, by_value: bool) -> None:
    verdict = at_least(estimate, 0.80)
    assert verdict.outcome == outcome
    assert verdict.accepted("simple") == by_value
    assert verdict.accepted("guarded") == (outcome == "pass")
    assert verdict.conditional == outcome.startswith("conditional")
    assert (verdict.bound, verdict.direction, verdict.gates) == (0.80, "at_least", True)


@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(-1, 1))
def test_a_ceiling_is_a_floor_in_the_mirror(limits: tuple[float, float, float], bound: float) -> None:
    low, value, high = sorted(limits)
    ceiling, floor = at_most(spanning(low, value, high), bound), at_least(spanning(-high, -value, -low), -bound)
    assert ceiling.outcome == floor.outcome
    assert (ceiling.bound, ceiling.direction) == (bound, "at_most")
    assert [ceiling.accepted(gate) for gate in GATES] == [floor.accepted(gate) for gate in GATES]


def test_an_undefined_estimate_is_a_conditional_fail_whatever_the_bound_and_no_rule_takes_it() -> None:
    for bound in (-1.0, 0.0, 0.5, 1.0, 2.0):
        for verdict in (at_least(proportion(0, 0), bound), at_most(proportion(0, 0), bound)):
            assert verdict.outcome == "conditional_fail"
            assert not any(verdict.accepted(gate) for gate in GATES)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_uninformative_estimate_is_a_conditional_fail_at_best(value: float) -> None:
    """Its value may lie anywhere, and so may its interval."""
    for low, high in ((0.0, 1.0), (value, value)):
        estimate = replace(spanning(low, value, high), informative=False)
        for verdict in (at_least(estimate, 0.5), at_most(estimate, 0.5)):
            assert verdict.outcome in {"conditional_fail", "fail"}
            assert not any(verdict.accepted(gate) for gate in GATES)


def test_what_is_guarded_is_not_accepted_on_its_value() -> None:
    loose, strict = (at_least(proportion(9, 10), 0.5, guarded=must) for must in (False, True))
    assert loose.outcome == strict.outcome == "pass"
    loose, strict = (at_least(proportion(9, 10), 0.8, guarded=must) for must in (False, True))
    assert loose.outcome == strict.outcome == "conditional_pass"
    assert loose.accepted("simple")
    assert not strict.accepted("simple")
    assert not at_most(proportion(1, 10), 0.2, guarded=True).accepted("simple")


def test_a_census_settles_every_bound() -> None:
    assert at_least(census(10, 10), 1.0).outcome == "pass"
    assert at_least(census(9, 10), 1.0).outcome == "fail"
    assert at_most(census(0, 10), 0.0).outcome == "pass"


def test_a_verdict_carries_the_words_and_failing_rows_of_its_estimate() -> None:
    estimate = spanning(0.1, 0.2, 0.3)
    for verdict in (at_least(estimate, 0.5), at_most(estimate, 0.5), descriptive(estimate)):
        assert (verdict.estimate, verdict.detail, verdict.failing) == (estimate, "text", ("a", "b"))


def test_a_descriptive_row_refuses_nothing_and_says_when_it_knows_nothing() -> None:
    for estimate, state in ((proportion(1, 10), "ok"), (proportion(0, 0), "undefined")):
        verdict = descriptive(estimate)
        assert (verdict.outcome, verdict.gates, verdict.bound, verdict.direction) == ("descriptive", False, None, None)
        assert verdict.estimate is not None
        assert verdict.estimate.state == state
        assert all(verdict.accepted(gate) for gate in GATES)


def test_a_skip_gives_its_reason_and_gates_nothing() -> None:
    verdict = skipped("the model has no layers to look at")
    assert (verdict.outcome, verdict.estimate, verdict.gates) == ("skipped", None, False)
    assert verdict.detail == "the model has no layers to look at"
    with pytest.raises(ArgumentError, match=r"^skipped: no reason; say what this kind of model or data cannot have$"):
        skipped(" ")


@pytest.mark.parametrize("outcome", ["pass", "conditional_pass", "conditional_fail", "fail", "descriptive"])
def test_a_verdict_without_an_estimate_is_none_but_for_a_skip(outcome: Outcome) -> None:
    with pytest.raises(ArgumentError, match="an estimate belongs to every outcome but a skip"):
        Verdict(outcome=outcome, bound=0.5, direction="at_least")
    with pytest.raises(ArgumentError, match="an estimate belongs to every outcome but a skip"):
        Verdict(outcome="skipped", estimate=proportion(1, 2))


@pytest.mark.parametrize("outcome", ["pass", "conditional_pass", "conditional_fail", "fail"])
def test_a_verdict_that_gates_has_a_bound_and_a_direction(outcome: Outcome) -> None:
    with pytest.raises(ArgumentError, match="there is no bound"):
        Verdict(outcome=outcome, estimate=proportion(9, 10), direction="at_least")
    with pytest.raises(ArgumentError, match="there is no bound"):
        Verdict(outcome=outcome, estimate=proportion(9, 10), bound=0.5)


@pytest.mark.parametrize("bound", [math.nan, math.inf])
def test_a_bound_must_be_a_number(bound: float) -> None:
    for check in (at_least, at_most):
        with pytest.raises(ArgumentError, match="bounds nothing"):
            check(proportion(9, 10), bound)


def test_a_conditional_share_says_what_would_settle_it_and_who_else_would_have_passed() -> None:
    assert settling_words(proportion(10, 10), 0.80, "at_least") == (
        "17 further images of this kind, judged alone, would settle it with 80 % probability, if the rate stays; "
        "this row would have accepted a model 0.05 worse than the bound in 53% of such tests"
    )
    missing = settling_words(proportion(15, 20), 0.80, "at_least")
    assert missing.startswith(
        "540 further images of this kind, judged alone, would settle it against the model with 80 % probability, if"
    )
    patients = settling_words(proportion(10, 10, unit="patient"), 0.80, "at_least")
    assert patients.startswith("17 further patients of this kind, judged alone, ")


def test_under_a_guarded_rule_the_chance_of_the_value_is_left_out() -> None:
    assert settling_words(proportion(10, 10), 0.80, "at_least", by_value=False) == (
        "17 further images of this kind, judged alone, would settle it with 80 % probability, if the rate stays"
    )
    assert settling_words(proportion(36, 40), 0.90, "at_least", by_value=False) == ""


def test_on_the_bound_only_the_chance_is_given() -> None:
    assert settling_words(proportion(36, 40), 0.90, "at_least") == (
        "this row would have accepted a model 0.05 worse than the bound in 26% of such tests"
    )


def test_nothing_is_added_to_what_is_settled_or_no_plain_share() -> None:
    assert settling_words(proportion(40, 40), 0.80, "at_least") == ""
    assert settling_words(proportion(0, 0), 0.80, "at_least") == ""
    assert settling_words(mean([proportion(9, 10)]), 0.80, "at_least") == ""


def test_a_limit_on_the_bound_settles_it_from_one_side_only() -> None:
    estimate = proportion(30, 40)
    assert at_least(estimate, estimate.low).outcome == "pass"
    assert at_most(estimate, estimate.high).outcome == "pass"
    outcomes = {at_least(estimate, estimate.high).outcome, at_most(estimate, estimate.low).outcome}
    assert outcomes == {"conditional_fail"}
    assert (
        settling_words(estimate, estimate.low, "at_least") == settling_words(estimate, estimate.high, "at_most") == ""
    )
    unsettled = settling_words(estimate, estimate.high, "at_least"), settling_words(estimate, estimate.low, "at_most")
    assert all(re.match(r"[1-9]\d* further images", text) for text in unsettled)
