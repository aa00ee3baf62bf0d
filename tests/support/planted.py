"""Small class-folder trees of smooth random images, for tests of the audit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from roentgate.data.card import Card
from roentgate.data.dataset import Splits
from roentgate.data.read_splits import read_splits

CLASSES = ("A", "B")
SIDE = 96


def image(seed: int, side: int = SIDE) -> Image.Image:
    """Return the image of a seed: a smooth field with finer structure, 8-bit grey."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(side, side)), side / 10) * side / 10
    field += 0.25 * gaussian_filter(rng.normal(size=(side, side)), 1.5)
    scaled: NDArray[np.float64] = (field - field.min()) / (field.max() - field.min())
    return Image.fromarray((20 + 200 * scaled).astype(np.uint8))


def tree(
    root: Path,
    *,
    images: int = 12,
    save: Callable[[Image.Image, Path], None] | None = None,
) -> Path:
    """Write a class-folder tree below ``root`` and return ``root``.

    Args:
        root: An empty or missing folder.
        images: Different images of each class and split.
        save: Saves an image to a path. The default writes PNG.
    """
    seed = 0
    for split in ("train", "validation", "test"):
        for label in CLASSES:
            (root / split / label).mkdir(parents=True)
            for index in range(images):
                (save or _save_png)(image(seed), root / split / label / f"{index:03d}.png")
                seed += 1
    return root


def splits(root: Path, **card: object) -> Splits:
    """Return the splits of a tree."""
    return read_splits(
        Card.model_validate({"name": "planted", "root": root, **card}), image_shape=(SIDE, SIDE, 1), cache=None
    )


def _save_png(image: Image.Image, path: Path) -> None:
    image.save(path)
