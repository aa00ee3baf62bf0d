"""Augmentation acts in training only, and an answer depends on its image alone."""

import pytest

from roentgate import alignment, at_least, inference


@pytest.mark.last
def test_predictions_repeat(evidence, inference_record, policy, accept):
    """Five predictions of the same images are the same.

    So are those after all other evidence, at the end of the run.
    """
    tolerance = policy.inference.tolerance
    accept(at_least(inference.predictions_repeat(inference_record, tolerance=tolerance), 1.0), subject="probe images")
    stay = inference.predictions_stay(inference_record, evidence.ask_again(), tolerance=tolerance)
    accept(at_least(stay, 1.0), subject="probe images, at the end of the run")


def test_predictions_batch_invariant(inference_record, policy, accept):
    """An image is answered alike alone, in batches, and in any order."""
    estimate = inference.predictions_batch_invariant(inference_record, tolerance=policy.inference.tolerance)
    accept(at_least(estimate, 1.0), subject="probe images")


@pytest.mark.needs("layers")
def test_augmentation_identity_at_inference(inference_record, accept):
    """No layer before the first learned weight alters the image at inference.

    No layer answers differently from call to call.
    """
    accept(at_least(inference.augmentation_identity(inference_record), 1.0), subject="layers")


@pytest.mark.needs("layers", "augmentation")
def test_augmentation_active_in_training(inference_record, accept):
    """Every layer that declares an augmentation changes the image in training mode."""
    accept(at_least(inference.augmentation_active(inference_record), 1.0), subject="layers")


def test_evaluation_streams_clean(stream, accept, split):
    """Validation and test streams deliver images unaltered but for the declared scale."""
    accept(at_least(alignment.clean(stream), 1.0), subject=split)


def test_outputs_are_probabilities(evidence, accept, split):
    """Outputs are finite, in [0, 1], and sum to 1."""
    rows = getattr(evidence, split)
    accept(at_least(inference.outputs_are_probabilities(rows.probabilities, rows.ids), 1.0), subject=split)


@pytest.mark.last
def test_answers_are_finite(evidence, accept):
    """Every image gets a finite answer, however it is changed."""
    accept(at_least(inference.answers_are_finite(evidence.watched), 1.0), subject="all evidence of the run")


def test_reload_preserves_predictions(inference_record, policy, accept):
    """A model that is saved and loaded in a fresh process answers as before."""
    estimate = inference.reload_preserves_predictions(inference_record, tolerance=policy.inference.tolerance)
    accept(at_least(estimate, 1.0), subject="probe images")
