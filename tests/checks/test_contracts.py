"""Contracts that hold for every metric and every change."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roentgate.candidates.predictions import Predictions, taken
from roentgate.checks import border, comparison, metrics
from roentgate.stats.estimate import Estimate
from roentgate.stats.verdict import at_least, at_most

CLASSES = ("Covid", "Normal", "Viral Pneumonia")

CALLS: dict[str, Callable[[Predictions, Predictions, Predictions], Estimate]] = {
    "accuracy": lambda first, _second, _third: metrics.accuracy(first),
    "adjusted_balanced_accuracy": lambda first, _second, _third: metrics.adjusted_balanced_accuracy(first),
    "balanced_accuracy": lambda first, _second, _third: metrics.balanced_accuracy(first),
    "confusion": lambda first, _second, _third: metrics.confusion(first, "Viral Pneumonia", "Normal"),
    "net_switches": lambda first, second, third: border.net_switches(
        first, second, third, (first.labels + 1) % len(CLASSES)
    ),
    "f1": lambda first, _second, _third: metrics.f1(first, "Covid"),
    "flips": lambda first, second, _third: border.flips(first, second, family=4),
    "macro_auroc": lambda first, _second, _third: metrics.macro_auroc(first),
    "precision": lambda first, _second, _third: metrics.precision(first, "Covid"),
    "recall": lambda first, _second, _third: metrics.recall(first, "Covid"),
    "retained_skill": lambda first, second, _third: border.retained_skill(first, second),
    "specificity": lambda first, _second, _third: metrics.specificity(first, "Covid"),
    "worst": lambda first, _second, _third: border.worst(
        {name: metrics.recall(first, name) for name in CLASSES}, "at_least"
    ),
}


CHANGES: dict[str, Callable[[Predictions, Predictions], Estimate]] = {
    "accuracy_change": comparison.accuracy_change,
    "auroc_change": comparison.auroc_change,
    "balanced_change": comparison.balanced_change,
    "negative_flips": comparison.negative_flips,
    "recall_change": lambda first, second: comparison.recall_change(first, second, "Covid", margin=0.05),
}
"""Functions that compare two models on the same rows."""


@st.composite
def evidence(draw: st.DrawFn, *, most_rows: int = 40) -> tuple[Predictions, Predictions, Predictions]:
    """Draw three sets of answers on the same rows.

    They are good or poor, with ties, NaN, classes without rows, and groups or none.
    """
    n = draw(st.integers(0, most_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, draw(st.integers(1, 3)), n)
    groups = tuple(f"p{g}" for g in rng.integers(0, draw(st.integers(1, 40)), n)) if draw(st.booleans()) else None
    ids = tuple(f"r{i:03d}" for i in rng.permutation(n))

    def answers() -> Predictions:
        scores = rng.normal(size=(n, 3)) + draw(st.sampled_from([0.0, 1.0, 4.0, 9.0])) * np.eye(3)[labels]
        rounded = np.round(scores, draw(st.sampled_from([0, 6]))).astype(np.float32)
        if draw(st.integers(0, 4)) == 0:
            rounded[rng.random(n) < 0.1, 0] = np.nan
        return Predictions(ids=ids, classes=CLASSES, labels=labels, probabilities=rounded, groups=groups)

    return answers(), answers(), answers()


def test_every_metric_is_put_through_the_contracts() -> None:
    assert sorted(CALLS) == sorted([*metrics.__all__, *border.__all__])


@pytest.mark.parametrize("name", [*metrics.__all__, *border.__all__])
@settings(deadline=None)
@given(rows=evidence())
def test_the_interval_contains_the_value(name: str, rows: tuple[Predictions, Predictions, Predictions]) -> None:
    estimate = CALLS[name](*rows)
    assert estimate.low <= estimate.high
    if estimate.defined:
        assert estimate.low - 1e-12 <= estimate.value <= estimate.high + 1e-12


@pytest.mark.parametrize("name", [*metrics.__all__, *border.__all__])
@settings(deadline=None)
@given(rows=evidence(), seed=st.integers(0, 1000))
def test_the_order_of_rows_is_irrelevant(
    name: str, rows: tuple[Predictions, Predictions, Predictions], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(rows[0]))
    first, second = CALLS[name](*rows), CALLS[name](*(taken(part, order) for part in rows))
    limits = [(part.value, part.low, part.high) for part in (first, second)]
    assert limits[0] == pytest.approx(limits[1], abs=1e-9, nan_ok=True)
    assert (first.n, first.hits, first.method, first.detail) == (second.n, second.hits, second.method, second.detail)
    assert first.failing == second.failing


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", [*metrics.__all__, *border.__all__])
def test_nothing_to_count_is_undefined_and_a_conditional_fail(name: str, *, grouped: bool) -> None:
    nothing = Predictions(
        ids=(),
        classes=CLASSES,
        labels=np.zeros(0, np.int64),
        probabilities=np.zeros((0, 3), np.float32),
        groups=() if grouped else None,
    )
    estimate = CALLS[name](nothing, nothing, nothing)
    assert math.isnan(estimate.value)
    assert estimate.n == 0
    for bound in (0.0, 0.5, 1.0):
        for verdict in (at_least(estimate, bound), at_most(estimate, bound)):
            assert verdict.outcome == "conditional_fail"
            assert not verdict.accepted("simple")


@pytest.mark.parametrize("name", [*metrics.__all__, *border.__all__])
@settings(deadline=None)
@given(rows=evidence())
def test_failing_are_rows_and_the_detail_is_one_line(
    name: str, rows: tuple[Predictions, Predictions, Predictions]
) -> None:
    estimate = CALLS[name](*rows)
    assert set(estimate.failing) <= set(rows[0].ids)
    assert len(estimate.detail.splitlines()) <= 1
    assert estimate.method


@pytest.mark.parametrize("name", [*metrics.__all__, *border.__all__])
@settings(deadline=None)
@given(rows=evidence())
def test_more_of_the_same_rows_never_widens_the_interval(
    name: str, rows: tuple[Predictions, Predictions, Predictions]
) -> None:
    """With every row twice, the value stays and the interval does not grow."""

    def twice(predictions: Predictions) -> Predictions:
        return replace(
            predictions,
            ids=(*predictions.ids, *(f"again-{row}" for row in predictions.ids)),
            labels=np.tile(predictions.labels, 2),
            probabilities=np.tile(predictions.probabilities, (2, 1)),
        )

    singles = [replace(part, groups=None) for part in rows]
    once, doubled = CALLS[name](*singles), CALLS[name](*map(twice, singles))
    if once.defined and math.isfinite(once.low):
        assert doubled.value == pytest.approx(once.value)
        assert doubled.high - doubled.low <= once.high - once.low + 1e-9


@pytest.mark.parametrize("name", CHANGES)
@settings(deadline=None)
@given(rows=evidence(), seed=st.integers(0, 1000))
def test_a_change_lies_in_its_interval_and_in_its_range_whatever_the_order_of_rows(
    name: str, rows: tuple[Predictions, Predictions, Predictions], seed: int
) -> None:
    first, second, _ = rows
    found = CHANGES[name](first, second)
    assert -1 - 1e-12 <= found.low <= found.high <= 1 + 1e-12  # the mean of two classes rounds
    if found.defined:
        assert found.low - 1e-12 <= found.value <= found.high + 1e-12
    else:
        assert not at_least(found, -0.05).accepted("simple")
    order = np.random.default_rng(seed).permutation(len(first))
    again = CHANGES[name](taken(first, order), taken(second, order))
    limits = [(part.value, part.low, part.high) for part in (found, again)]
    assert limits[0] == pytest.approx(limits[1], abs=1e-9, nan_ok=True)
    assert (found.n, found.method, found.detail) == (again.n, again.method, again.detail)
    assert found.failing == again.failing
    assert set(found.failing) <= set(first.ids)
    assert len(found.detail.splitlines()) <= 1


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "negative_flips"])
@settings(deadline=None)
@given(rows=evidence())
def test_what_one_model_loses_the_other_gains(name: str, rows: tuple[Predictions, Predictions, Predictions]) -> None:
    there, back = CHANGES[name](rows[0], rows[1]), CHANGES[name](rows[1], rows[0])
    assert there.defined == back.defined
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    if there.defined:
        assert there.value == pytest.approx(-back.value, abs=1e-12)


@pytest.mark.parametrize("name", CHANGES)
@settings(deadline=None)
@given(rows=evidence())
def test_a_model_has_not_changed_from_itself(name: str, rows: tuple[Predictions, Predictions, Predictions]) -> None:
    model = replace(rows[0], model="the same")
    found = CHANGES[name](model, model)
    assert not found.defined or (found.value, found.failing) == (0, ())
    if found.defined and name != "negative_flips":
        assert (found.low, found.high, found.method) == (0, 0, comparison.IDENTICAL)
