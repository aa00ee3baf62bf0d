"""Probabilities are calibrated."""

from roentgate import at_most, calibration, descriptive


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
