"""Lung swap: trained on lungs on other backgrounds. In: float32 (N, H, W, 1) in [0, 1].

Three quarters of the training images have the lungs of one image and the background of another. The backgrounds of all
classes are equally frequent, so that the background says little about the class. The outer 6 % are cut off. The network
has 95 k parameters.
"""

import math

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from models._streams import Rows
from roentgate import Dataset, Recipe, Splits, Streams, Task, keras_backend, lung_masks, regions, segmenter

RECIPE = Recipe(batch_size=8, epochs=120, patience=40, plateau_factor=0.3)
IMAGE_SHAPE = (128, 128, 1)
FILES = (
    "../harness/roentgate/lungs/lung_fields.keras",
    "../harness/roentgate/perturbations/regions.py",
    "../harness/roentgate/lungs/lung_masks.py",
    "../harness/roentgate/perturbations/border.py",
    "../harness/roentgate/lungs/mask_quality.py",
    "../harness/roentgate/lungs/segmenter.py",
)
"""The files on which the training images depend."""

BORDER = 0.06
"""Width of the border that is cut off, as a share of the side."""
SWAPPED = 0.75
"""Share of the training images that have another background."""
DRAWS = 9
"""Number of backgrounds drawn for each image: with three classes, three of each."""

BoolArray = NDArray[np.bool_]
Images = NDArray[np.float32]


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    height, width = (round(BORDER * side) for side in task.image_shape[:2])
    network = keras.Sequential(
        [
            keras.Input(task.image_shape),
            layers.Cropping2D((height, width)),
            layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False),  # every image on its own
            layers.RandomFlip("horizontal", seed=task.seed),
            layers.RandomRotation(10 / 360, fill_mode="nearest", seed=task.seed + 1),
            layers.RandomTranslation(0.03, 0.03, fill_mode="nearest", seed=task.seed + 2),
            layers.RandomZoom(0.06, 0.06, fill_mode="nearest", seed=task.seed + 3),
            *_stage(24, strides=2),
            *_stage(48),
            layers.MaxPooling2D(2),
            *_stage(64),
            layers.MaxPooling2D(2),
            *_stage(96),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3, seed=task.seed),
            layers.Dense(len(task.classes), activation="softmax"),
        ],
        name="lung_swap",
    )
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network


def _stage(filters: int, strides: int = 1) -> list[keras.Layer]:
    convolution = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)
    return [convolution, layers.GroupNormalization(8), layers.Activation("relu")]


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return a training stream with exchanged backgrounds, and evaluation streams without."""
    evaluation = (Rows(split, recipe.batch_size) for split in (data.validation, data.test))
    return Streams(SwappedImages(data.train, recipe.batch_size, task.seed), *evaluation)


class SwappedImages(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of (images, one-hot labels of the lungs).

    Each image comes once an epoch, unchanged or with its lungs on another background. If the mask of the segmenter is
    not trusted, the image stays unchanged and gives no background. The versions are drawn once, for the first batch.
    Seed and epoch alone decide which version an epoch shows.

    Args:
        data: The training images.
        batch_size: Number of images in a batch. The last one may be smaller.
        seed: Of the backgrounds, the versions and the order.
    """

    def __init__(self, data: Dataset, batch_size: int, seed: int) -> None:
        super().__init__()
        self._data, self._batch_size, self._seed = data, batch_size, seed
        self._one_hot = np.eye(len(data.classes), dtype=np.float32)[data.labels]
        self._versions: Images | None = None
        self._epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self._data) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Images, Images]:
        if self._versions is None:
            self._versions = self._drawn()
        generator = np.random.default_rng((self._seed, self._epoch))
        order, chance = generator.permutation(len(self._data)), generator.random(len(self._data))
        draw = 1 + generator.integers(DRAWS, size=len(self._data))
        version = np.where(self._trusted & (chance < SWAPPED), draw, 0)
        rows = order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._versions[version[rows], rows], self._one_hot[rows]

    def on_epoch_end(self) -> None:
        """Go on to other versions in another order."""
        self._epoch += 1

    def _drawn(self) -> Images:
        """Return all versions of the images: float32 (1 + DRAWS, n, H, W, 1).

        The first is unchanged, and the others have other backgrounds.
        """
        images = self._data.take(np.arange(len(self._data)))
        predict = keras_backend.KerasModel(keras_backend.load_network(segmenter.WEIGHTS), "lung fields").predict
        masks, doubts = lung_masks.segmented(predict, images)
        self._trusted = np.array([not doubt for doubt in doubts])
        generator = np.random.default_rng(self._seed)
        swapped = [self._swapped(images, masks, draw, generator) for draw in range(DRAWS)]
        return np.stack([images, *swapped])

    def _swapped(self, images: Images, masks: BoolArray, draw: int, generator: np.random.Generator) -> Images:
        """Return the lungs of each image on the background of a random image of one class.

        The class depends on the number of the draw, so that the classes take turns.
        """
        trusted = np.flatnonzero(self._trusted)
        labels = self._data.labels[trusted]
        present = np.unique(labels)
        backgrounds = trusted[labels == present[draw % len(present)]] if len(present) else trusted
        swapped = images.copy()
        for row in trusted:
            background = generator.choice(backgrounds)
            swapped[row] = regions.into_background(images[row], masks[row], images[background], masks[background])
        return swapped
