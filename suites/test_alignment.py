"""Row i's answer is really about row i: order, completeness, pictures, labels and columns of each evaluation stream."""

import pytest

from roentgate import alignment, at_least


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
    """No other assignment of output columns to classes explains the answers better than chance would."""
    other = {"validation": evidence.test, "test": evidence.validation}[split]
    estimate = alignment.columns_match(getattr(evidence, split), other_split=other)
    accept(at_least(estimate, policy.alignment.columns_p), subject=split)


def test_predictions_match_rows(stream, accept, split):
    """Predicting through the stream and predicting row by row give the same answers."""
    accept(at_least(alignment.predictions_match(stream), 1.0), subject=split)


@pytest.mark.needs("training")
def test_held_out_images_in_training(evidence, accept):
    """Training is given no image that is held out."""
    for split in ("validation", "test"):
        accept(at_least(alignment.training_apart(evidence.training_stream, split), 1.0), subject=split)
