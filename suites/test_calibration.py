"""Probabilities are calibrated."""

import pytest

from roentgate import at_most, calibration, descriptive, training_curve


def test_brier_score(evidence, accept):
    """Descriptive: the squared distance of the probabilities from the truth."""
    accept(descriptive(calibration.brier_score(evidence.test)), subject="test")


def test_log_loss(evidence, accept):
    """Descriptive: the log loss of the true classes, in nats."""
    accept(descriptive(calibration.log_loss(evidence.test)), subject="test")


def test_calibration_error(evidence, accept):
    """Descriptive: the p-value of the calibration error under calibration."""
    accept(descriptive(calibration.calibration_error(evidence.test)), subject="test")


def test_temperature_scaling_gain(evidence, policy, accept):
    """One temperature for all scores saves little log loss."""
    gain = calibration.temperature_scaling_gain(evidence.test, evidence.validation)
    accept(at_most(gain, policy.calibration.temperature_scaling_gain_ceiling), subject="test, fitted on validation")


@pytest.mark.needs("training curve")
def test_training_curve(evidence, accept):
    """Descriptive: whether the validation loss had settled, its best epoch, and its gap to the training loss."""
    history = evidence.candidate.history
    accept(descriptive(training_curve.converged(history)), subject="converged")
    accept(descriptive(training_curve.best_epoch(history)), subject="best epoch")
    accept(descriptive(training_curve.gap(history)), subject="gap of validation and training loss")
