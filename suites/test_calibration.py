"""Probabilities mean what they say: proper scores lead, the calibration error is held against what chance shows."""

from roentgate import at_most, calibration, descriptive


def test_brier_score(evidence, accept):
    """The squared distance of the probabilities from the truth."""
    accept(descriptive(calibration.brier_score(evidence.test)), subject="test")


def test_log_loss(evidence, accept):
    """What the truth costs under the probabilities, in nats."""
    accept(descriptive(calibration.log_loss(evidence.test)), subject="test")


def test_calibration_error(evidence, accept):
    """The chance that calibrated probabilities show as large an error on so few images."""
    accept(descriptive(calibration.calibration_error(evidence.test)), subject="test")


def test_temperature_scaling_gain(evidence, policy, accept):
    """One temperature for all scores would not save much: the probabilities are neither too sure nor too timid."""
    gain = calibration.temperature_scaling_gain(evidence.test, evidence.validation)
    accept(at_most(gain, policy.calibration.temperature_scaling_gain_ceiling), subject="test, fitted on validation")
