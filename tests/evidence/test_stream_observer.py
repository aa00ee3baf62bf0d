"""Tests of what streams deliver: passes, labels, and held-out images in training."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from roentgate.candidates.candidate import Candidate
from roentgate.candidates.protocols import Streams
from roentgate.checks.alignment import training_apart
from roentgate.data import phantom
from roentgate.errors import ModelError
from roentgate.evidence.records import TrainingRecord
from roentgate.evidence.streams.passes import class_indices
from roentgate.evidence.streams.stream_observer import (
    limited,
    observe_stream,
    observe_training,
    stream_record,
    training_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from roentgate.arrays import Images
    from roentgate.data.dataset import Dataset
    from tests.support.toy import Project

from tests.support.toy import CARD

pytest_plugins = ["tests.support.toy"]

Batch = tuple[Any, Any]


@pytest.fixture
def candidate(project: Project) -> Candidate:
    return project.ready()


class Again:
    """A stream that a function makes anew for each iteration."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Batch]:
        return self._make()


def streaming(candidate: Candidate, make: Callable[[], Iterator[Batch]]) -> Candidate:
    """Return the candidate with another test stream."""
    candidate.streams = Streams([], [], Again(make))
    return candidate


# Labels


@pytest.mark.parametrize(
    ("labels", "indices"),
    [
        ([[1, 0, 0], [0, 0, 1]], [0, 2]),
        ([[1, 1, 0], [0, 0, 0]], [-1, -1]),
        ([[0.9, 0.1, 0.0], [0, 1, 0]], [-1, 1]),
        ([2, 0], [2, 0]),
        ([[2], [0]], [2, 0]),
        ([3, -1], [-1, -1]),
        ([0.5, 1.0], [-1, 1]),
        ([[0, 1], [1, 0]], [-1, -1]),
        ([1], [-1, -1]),
        (None, [-1, -1]),
        ([np.nan, 1], [-1, 1]),
    ],
)
def test_labels_become_class_indices_or_none(labels: object, indices: list[int]) -> None:
    found = class_indices(None if labels is None else np.array(labels), 2, 3)
    assert found.dtype == np.int64
    assert found.tolist() == indices


def test_a_column_of_zeros_and_ones_is_two_classes() -> None:
    assert class_indices(np.array([[0.0], [1.0]]), 2, 2).tolist() == [0, 1]


# Streams


def test_a_stream_without_end_is_left_one_batch_after_its_rows() -> None:
    endless = ((np.zeros((4, 1)), np.zeros(4)) for _ in itertools.count())
    assert sum(len(images) for images, _ in limited(endless, 10)) == 12 + 4


def test_a_stream_that_ends_is_taken_whole() -> None:
    batches = [(np.zeros((4, 1)), np.zeros(4)), (np.zeros((3, 1)), np.zeros(3))]
    assert [len(images) for images, _ in limited(batches, 7)] == [4, 3]


def test_the_harnesss_own_stream_is_seen_as_it_is(candidate: Candidate) -> None:
    test = candidate.splits.test
    canonical = candidate.predict(test.take(range(len(test))))
    arrays = observe_stream(candidate, test)
    record = stream_record(candidate, test, arrays, canonical)
    assert len(record.passes) == 3
    for each in record.passes:
        np.testing.assert_array_equal(each.best, np.arange(36))
        assert not each.endless
    np.testing.assert_array_equal(record.stream_labels, test.labels)
    np.testing.assert_allclose(record.gain, 1, atol=1e-5)
    np.testing.assert_allclose(record.offset, 0, atol=1e-5)
    np.testing.assert_allclose(record.stream_probabilities, canonical, atol=1e-6)
    assert record.batch_size == candidate.recipe.batch_size
    assert record.other_splits == ("train", "validation")
    assert 0 <= record.lowest < record.highest <= 1
    assert record.ids == test.ids


def test_each_pass_is_seen_for_itself(candidate: Candidate) -> None:
    test = candidate.splits.test
    passes = itertools.count()

    def make() -> Iterator[Batch]:
        order = np.arange(36)[::-1] if next(passes) == 1 else np.arange(36)
        yield test.take(order), test.labels[order]

    record = stream_record(
        candidate, test, observe_stream(streaming(candidate, make), test), np.zeros((36, 3), np.float32)
    )
    assert [each.best[0] for each in record.passes] == [0, 35, 0]


def test_an_endless_stream_is_known_as_such(candidate: Candidate) -> None:
    test = candidate.splits.test

    def make() -> Iterator[Batch]:
        while True:
            yield test.take(range(12)), test.labels[:12]

    arrays = observe_stream(streaming(candidate, make), test)
    record = stream_record(candidate, test, arrays, np.zeros((36, 3), np.float32))
    assert all(each.endless for each in record.passes)
    assert len(record.passes[0].best) == len(test) + 12


def test_an_image_of_no_row_has_no_fit(candidate: Candidate) -> None:
    test = candidate.splits.test
    noise = np.random.default_rng(0).random((4, 32, 32, 1), dtype=np.float32)
    batches = [(test.take(range(36)), test.labels), (noise, test.labels[:4])]
    arrays = observe_stream(streaming(candidate, lambda: iter(batches)), test)
    assert (arrays["pass 2 best"][36:] == -1).all()
    for name in ("gain", "offset", "residual"):
        assert np.isfinite(arrays[name][:36]).all()
        assert np.isnan(arrays[name][36:]).all()


def broken() -> Iterator[Batch]:
    yield np.zeros((4, 32, 32, 1), np.float32), np.zeros(4)
    raise OSError("gone\nfor good")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (broken, "model 'nearest': the test stream raised OSError: gone for good"),
        (lambda: iter([]), "the test stream delivered nothing; streams() must yield (images, labels)"),
        (lambda: iter([(np.zeros((4, 32, 32)), np.zeros(4))]), "the test stream gave (4, 32, 32), not [N, H, W, C]"),
        (lambda: iter([3]), "the test stream raised TypeError"),
    ],
)
def test_a_stream_that_does_not_deliver_is_a_sentence(
    candidate: Candidate, make: Callable[[], Iterator[Batch]], sentence: str
) -> None:
    with pytest.raises(ModelError) as caught:
        observe_stream(streaming(candidate, make), candidate.splits.test)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


# The training stream


def trained_on(candidate: Candidate, *parts: Images, endless: bool = False) -> TrainingRecord:
    """Return the record of a training stream of these images.

    They are shuffled and streamed in batches of twelve.
    """
    images = np.concatenate(parts)
    images = images[np.random.default_rng(0).permutation(len(images))]

    def make() -> Iterator[Batch]:
        while True:
            for start in range(0, len(images), 12):
                yield images[start : start + 12], np.zeros(len(images[start : start + 12]))
            if not endless:
                return

    candidate.streams = Streams(Again(make), [], [])
    return training_record(candidate, observe_training(candidate))


@pytest.fixture(scope="module")
def drawn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of phantom images, which differ as real ones do."""
    root = tmp_path_factory.mktemp("drawn")
    for split, source, first, count in (
        ("train", "train", 0, 16),
        ("validation", "train", 20, 6),
        ("test", "test", 0, 8),
    ):
        for label in phantom.CLASSES:
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(first, first + count):
                Image.fromarray(phantom.image("phantom", 0, source, label, index).image).save(folder / f"{index}.png")
    return root


@pytest.fixture
def drawn(project: Project, drawn_root: Path) -> Candidate:
    project.write("data/drawn.toml", CARD.format(root=json.dumps(str(drawn_root))).replace("[32, 32]", "[96, 96]"))
    return project.ready(data="drawn")


def spread(data: Dataset, count: int) -> Images:
    """Return ``count`` images, spread over the classes."""
    return data.take(np.linspace(0, len(data) - 1, count).astype(np.int64))


def augmented(images: Images) -> Images:
    """Return images rotated by two degrees, zoomed, mirrored and darkened."""
    rotated = ndimage.rotate(images[:, :, ::-1], 2, axes=(1, 2), reshape=False, order=1, mode="nearest")
    darker: Images = np.clip(rotated[:, 2:-2, 2:-2] * 0.8 + 0.05, 0, 1).astype(np.float32)
    return darker


@pytest.mark.parametrize("change", [lambda images: images, augmented], ids=["as they are", "augmented"])
def test_held_out_images_in_the_training_stream_are_named(drawn: Candidate, change: Callable[[Images], Images]) -> None:
    splits = drawn.splits
    record = trained_on(drawn, change(spread(splits.train, 36)), change(spread(splits.test, 12)))
    estimate = training_apart(record, "test")
    streamed = {splits.test.ids[row] for row in np.linspace(0, 23, 12).astype(np.int64)}
    assert set(estimate.failing) <= streamed
    assert len(estimate.failing) >= 9
    assert estimate.hits == 24 - len(estimate.failing)
    assert training_apart(record, "validation").value == 1.0


@pytest.mark.parametrize("change", [lambda images: images, augmented], ids=["as they are", "augmented"])
def test_a_training_stream_of_its_own_images_is_apart(drawn: Candidate, change: Callable[[Images], Images]) -> None:
    record = trained_on(drawn, change(spread(drawn.splits.train, 48)))
    assert [training_apart(record, split).value for split in ("validation", "test")] == [1.0, 1.0]
    assert record.seen == 48


def test_an_endless_training_stream_is_left(drawn: Candidate) -> None:
    record = trained_on(drawn, spread(drawn.splits.train, 48), endless=True)
    rows = len(drawn.splits.train) + len(drawn.splits.validation) + len(drawn.splits.test)
    assert rows + 12 <= record.seen < rows + 24


def test_without_a_training_image_nothing_is_known() -> None:
    record = TrainingRecord(seen=0, ids={"test": ("a", "b")}, delivered={"test": np.zeros(2, dtype=bool)})
    estimate = training_apart(record, "test")
    assert not estimate.defined
    assert (estimate.low, estimate.high) == (0, 1)
