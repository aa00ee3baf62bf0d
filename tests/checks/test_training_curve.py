"""How a training ended is read off its losses."""

import math

import pytest

from roentgate.checks.training_curve import LAST, RISE, best_epoch, converged, gap

SETTLED = {"loss": [1.0, 0.6, 0.5, *[0.45] * 7], "val_loss": [0.9, 0.6, 0.50, 0.52, 0.55, *[0.53] * 5]}
DIVERGING = {"loss": [1.0, 0.6, 0.5, 0.4, 0.3, *[0.1] * 5], "val_loss": [0.9, 0.6, 0.50, 0.6, 0.7, *[0.8] * 5]}
FALLING = {"loss": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], "val_loss": [1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5]}


def test_a_settled_training_has_converged() -> None:
    found = converged(SETTLED)
    assert (found.value, found.low, found.high, found.n, found.unit) == (1.0, 1.0, 1.0, 10, "epoch")
    assert found.detail.startswith("converged: the validation loss ends 0.030 nats above its best epoch, 7 epochs")
    assert best_epoch(SETTLED).value == 3
    assert gap(SETTLED).value == pytest.approx(0.08)


def test_a_validation_loss_that_rises_again_diverges() -> None:
    found = converged(DIVERGING)
    assert found.value == 0
    assert found.detail.startswith("diverging: the validation loss ends 0.300 nats above its best epoch")
    assert best_epoch(DIVERGING).value == 3
    assert gap(DIVERGING).value == pytest.approx(0.7)
    assert gap(DIVERGING).detail.endswith("gap at the best epoch 0.000")


def test_a_validation_loss_that_still_falls_has_not_converged() -> None:
    found = converged(FALLING)
    assert found.value == 0
    assert found.detail == "not converged: the validation loss is lowest 0 epochs before the end"
    assert best_epoch(FALLING).value == 7


@pytest.mark.parametrize(("end", "value"), [(RISE, 1.0), (1.01 * RISE, 0.0)])
def test_a_rise_counts_beyond_its_limit(end: float, value: float) -> None:
    assert converged({"loss": [0.0] * (LAST + 1), "val_loss": [0.0, *[end] * LAST]}).value == value


@pytest.mark.parametrize("after", [LAST - 1, LAST])
def test_the_best_epoch_must_lie_before_the_last_ones(after: int) -> None:
    found = converged({"loss": [0.5] * (after + 2), "val_loss": [1.0, 0.4, *[0.45] * after]})
    assert found.value == (after == LAST)


def test_one_bad_epoch_at_the_end_is_no_divergence() -> None:
    last_one_bad = {"loss": SETTLED["loss"], "val_loss": [*SETTLED["val_loss"][:-1], 3.0]}
    assert converged(last_one_bad).value == 1
    assert gap(last_one_bad).value == pytest.approx(0.08)


@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_loss_that_is_not_finite_says_nothing(name: str) -> None:
    history = {**SETTLED, name: [*SETTLED[name][:-1], math.nan]}
    for estimate in (converged(history), best_epoch(history), gap(history)):
        assert not estimate.defined
        assert (estimate.n, estimate.detail) == (10, "a loss of the training is not finite")
    assert (converged(history).low, converged(history).high) == (0, 1)
    assert (best_epoch(history).low, best_epoch(history).high) == (1, 10)


def test_no_epoch_is_no_curve() -> None:
    assert gap({"loss": [], "val_loss": []}).detail == "no epoch was trained"
    assert not converged({"loss": [], "val_loss": []}).defined
