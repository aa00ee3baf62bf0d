"""The training images of models/lung_swap.py are labelled by their lungs alone."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models import lung_swap
from roentgate import Recipe, Splits, Task
from roentgate.data.card import Card
from roentgate.data.read_splits import read_splits
from roentgate.lungs import lung_masks, segmenter
from roentgate.perturbations import regions

SIDE, IMAGES = 32, 12
CLASSES = ("A", "B", "C")
LUNGS = np.zeros((SIDE, SIDE), dtype=np.bool_)
LUNGS[9:23, 9:23] = True
UNSURE = 3
"""The train row whose lungs are not found."""

Pixels = NDArray[np.float32]


def grey(row: int) -> int:
    return 40 + 4 * row


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    """Images whose grey background identifies them, with textured, brighter lungs."""
    root = tmp_path_factory.mktemp("images")
    pattern = np.random.default_rng(0).integers(0, 60, (SIDE, SIDE))
    for split, number in (("train", IMAGES), ("validation", 2), ("test", 2)):
        for index, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for image in range(number):
                pixels = np.full((SIDE, SIDE), grey(index * number + image), np.uint8)
                pixels[LUNGS] = (150 + pattern)[LUNGS]
                Image.fromarray(pixels).save(root / split / name / f"{image:02}.png")
    card = Card(name="backgrounds", title="Backgrounds", root=root, image_size=(SIDE, SIDE))
    return read_splits(card, image_shape=(SIDE, SIDE, 1), cache=None)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(CLASSES, (SIDE, SIDE, 1), 0)


@pytest.fixture
def stream(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> lung_swap.SwappedImages:
    def segmented(_: object, images: Pixels) -> tuple[NDArray[np.bool_], list[str]]:
        return np.repeat(LUNGS[None], len(images), axis=0), ["unsure" if row == UNSURE else "" for row in range(36)]

    monkeypatch.setattr(lung_masks, "segmented", segmented)
    return lung_swap.SwappedImages(splits.train, 5, seed=0)


def epoch(stream: lung_swap.SwappedImages) -> tuple[Pixels, Pixels]:
    """Return images and labels of one epoch and end it."""
    batches = [stream[index] for index in range(len(stream))]
    stream.on_epoch_end()
    return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])


def whose_background(images: Pixels) -> NDArray[np.int64]:
    """Return the train row of each image's background, from its corner."""
    return ((np.round(255 * images[:, 0, 0, 0]) - grey(0)) / 4).astype(np.int64)


def test_every_image_comes_once_an_epoch_and_no_epoch_is_like_another(stream: lung_swap.SwappedImages) -> None:
    first, labels = epoch(stream)
    second, _ = epoch(stream)
    assert first.shape == (3 * IMAGES, SIDE, SIDE, 1)
    assert first.dtype == np.float32
    assert not np.array_equal(first, second)
    assert np.allclose(labels.sum(axis=1), 1)


def test_the_same_seed_gives_the_same_epochs(stream: lung_swap.SwappedImages, splits: Splits) -> None:
    again = lung_swap.SwappedImages(splits.train, 5, seed=0)
    for _ in range(2):
        for ours, theirs in zip(epoch(stream), epoch(again), strict=True):
            assert np.array_equal(ours, theirs)


def test_the_background_does_not_predict_the_class(stream: lung_swap.SwappedImages) -> None:
    """Lungs of each class come on backgrounds of each class equally often.

    Unchanged images keep the background of their own class.
    """
    counts = np.zeros((3, 3))
    for _ in range(40):
        images, labels = epoch(stream)
        sure = whose_background(images) != UNSURE
        np.add.at(counts, (labels[sure].argmax(axis=1), whose_background(images[sure]) // IMAGES), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    as_is = 1 - lung_swap.SWAPPED
    assert np.abs(shares - (as_is * np.eye(3) + (1 - as_is) / 3)).max() < 0.07


def test_an_image_without_sure_lungs_stays_and_lends_nothing(stream: lung_swap.SwappedImages, splits: Splits) -> None:
    own = splits.train.take([UNSURE])[0]
    for _ in range(5):
        images, _ = epoch(stream)
        shown = images[whose_background(images) == UNSURE]
        assert len(shown) == 1
        assert np.array_equal(shown[0], own)


def test_evaluation_sees_the_images_as_they_are(splits: Splits, task: Task) -> None:
    given = lung_swap.streams(splits, Recipe(batch_size=4), task)
    for stream, data in ((given.validation, splits.validation), (given.test, splits.test)):
        images, labels = (np.concatenate(parts) for parts in zip(*(stream[i] for i in range(len(stream))), strict=True))
        assert np.array_equal(images, data.take(np.arange(len(data))))
        assert np.array_equal(labels.argmax(axis=1), data.labels)


def test_the_network_never_reads_its_border(splits: Splits, task: Task) -> None:
    images = splits.test.take(np.arange(len(splits.test)))
    border = np.ones((SIDE, SIDE), dtype=np.bool_)
    width = round(lung_swap.BORDER * SIDE)
    border[width:-width, width:-width] = False
    network = lung_swap.build(task)
    changed, inside = images.copy(), images.copy()
    changed[:, border] = 1
    inside[:, width] = 1
    answers = network.predict_on_batch(images)
    assert answers.shape == (6, 3)
    assert np.array_equal(answers, network.predict_on_batch(changed))
    assert not np.array_equal(answers, network.predict_on_batch(inside))


def test_what_the_training_images_are_made_with_is_declared() -> None:
    folder = Path(lung_swap.__file__).parent
    declared = {(folder / name).resolve() for name in lung_swap.FILES}
    for module in (regions, lung_masks, segmenter):
        assert Path(str(module.__file__)).resolve() in declared
    assert segmenter.WEIGHTS.resolve() in declared
