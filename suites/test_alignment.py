"""The answer of row i is about row i.

These checks judge the order, completeness, images, labels and class columns of each evaluation stream.
"""

import pytest

from roentgate import alignment, at_least, at_most, controls


def test_stream_order_repeats(stream, accept, split):
    """Every pass over the stream gives the same sequence of images."""
    accept(at_least(alignment.order_repeats(stream), 1.0), subject=split)


def test_stream_complete(stream, accept, split):
    """Every image of the split is delivered exactly once."""
    accept(at_least(alignment.complete(stream), 1.0), subject=split)


def test_images_match_rows(stream, accept, split):
    """The image at position i is the image of row i."""
    accept(at_least(alignment.images_match(stream), 1.0), subject=split)


def test_labels_match_rows(stream, accept, split):
    """The label at position i is the class of row i."""
    accept(at_least(alignment.labels_match(stream), 1.0), subject=split)


def test_class_columns_match(evidence, policy, accept, split):
    """No other assignment of output columns explains the answers better than chance."""
    other = {"validation": evidence.test, "test": evidence.validation}[split]
    estimate = alignment.columns_match(getattr(evidence, split), other_split=other)
    accept(at_least(estimate, policy.alignment.columns_p), subject=split)


def test_exchanged_columns_control(evidence, policy, accept, split):
    """Control: with two columns exchanged, the model's own answers are refused by class_columns_match."""
    other = {"validation": evidence.test, "test": evidence.validation}[split]
    estimate = controls.exchanged_columns(getattr(evidence, split), other)
    accept(at_most(estimate, policy.alignment.columns_p), subject=f"class_columns_match, {split}")


def test_predictions_match_rows(stream, accept, split):
    """Predictions through the stream and row by row are the same."""
    accept(at_least(alignment.predictions_match(stream), 1.0), subject=split)


@pytest.mark.needs("training")
def test_held_out_images_in_training(evidence, accept):
    """The training stream delivers no validation or test image."""
    for split in ("validation", "test"):
        accept(at_least(alignment.training_apart(evidence.training_stream, split), 1.0), subject=split)
