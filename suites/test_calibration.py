"""Probabilities mean what they say: proper scores lead, the calibration error is held against what chance shows."""

from roentgate import at_most, calibration, informs


def test_brier_score(predictions, accept):
    """The squared distance of the probabilities from the truth."""
    accept(informs(calibration.brier_score(predictions.test)), subject="test")


def test_log_loss(predictions, accept):
    """What the truth costs under the probabilities, in nats."""
    accept(informs(calibration.log_loss(predictions.test)), subject="test")


def test_calibration_error(predictions, accept):
    """The chance that calibrated probabilities show as large an error on so few films."""
    accept(informs(calibration.calibration_error(predictions.test)), subject="test")


def test_temperature_gain(predictions, policy, accept):
    """One temperature for all scores would not save much: the probabilities are neither too sure nor too timid."""
    gain = calibration.temperature_gain(predictions.test, predictions.validation)
    accept(at_most(gain, policy.calibration.temperature_gain_ceiling), subject="test, fitted on validation")
