"""The images of the segmenter with their human masks, and which are held out."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roentgate import images as reader

SHAPE = (256, 256, 1)
_HELD_OUT = 0.2
_SEED = 5


@dataclass(frozen=True)
class Images:
    """Images with their masks, n in number.

    Attributes:
        ids: File names.
        sites: (n,) the hospital of each.
        images: Grey levels float32 (n, 256, 256) in [0, 1].
        lungs: Human lung masks bool (n, 256, 256).
    """

    ids: tuple[str, ...]
    sites: NDArray[np.str_]
    images: NDArray[np.float32]
    lungs: NDArray[np.bool_]

    def of(self, rows: NDArray[np.bool_]) -> "Images":
        """Return the images for which ``rows`` (n,) is true."""
        ids = tuple(name for name, kept in zip(self.ids, rows, strict=True) if kept)
        return Images(ids, self.sites[rows], self.images[rows], self.lungs[rows])


def read_images(folder: Path) -> Images:
    """Return all images of a folder, in the order of its ``rows.csv``.

    The folder holds ``images/``, ``masks/`` and ``rows.csv``.

    Raises:
        DataError: An image or mask is missing or cannot be decoded.
    """
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ids = tuple(row["file"] for row in rows)
    pixels = {
        kind: np.stack([reader.unit(image)[:, :, 0] for image in reader.read_each(paths, SHAPE, "nearest")])
        for kind in ("images", "masks")
        if (paths := [folder / kind / name for name in ids])
    }
    return Images(ids, np.array([row["site"] for row in rows]), pixels["images"], pixels["masks"] > 0.5)


def held_out(images: Images) -> NDArray[np.bool_]:
    """Return which images (n,) the shipped segmenter was not trained on.

    They are a random fifth of the images of each hospital.
    """
    rng, chosen = np.random.default_rng(_SEED), np.zeros(len(images.ids), np.bool_)
    for site in np.unique(images.sites):
        rows = np.flatnonzero(images.sites == site)
        chosen[rng.choice(rows, round(_HELD_OUT * len(rows)), replace=False)] = True
    return chosen
