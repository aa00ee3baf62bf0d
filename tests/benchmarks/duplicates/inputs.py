"""Image trees for all tools: ``python inputs.py FOLDER`` writes them.

``FOLDER/DATA/TRANSFORM/`` holds class folders. ``train/`` has 500 images. ``test/`` has altered copies of 100 of them
and all other images of the data set, unchanged. The 100 are the same for each transform, so that transforms can be
compared. ``FOLDER/DATA/TRANSFORM.json`` names the train image of each copy, and ``FOLDER/DATA.names.json`` the original
name of each image.
"""

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np
from PIL import Image

from roentgate.data import locate

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("ROENTGATE_REAL_DATA", ROOT.parent / "shared" / "data"))
TRAIN, COPIES = 500, 100
SEED = 0


def png(image: Image.Image) -> bytes:
    """Return an image as the bytes of a PNG."""
    content = io.BytesIO()
    image.save(content, "png")
    return content.getvalue()


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Return an image as the bytes of a JPEG."""
    content = io.BytesIO()
    image.save(content, "jpeg", quality=quality)
    return content.getvalue()


def _halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def _contrast(image: Image.Image, factor: float) -> Image.Image:
    grey = np.asarray(image, np.float64)
    return Image.fromarray(np.rint(np.clip((grey - grey.mean()) * factor + grey.mean(), 0, 255)).astype(np.uint8))


def _gamma(image: Image.Image, power: float) -> Image.Image:
    return Image.fromarray(np.rint(255 * (np.asarray(image) / 255) ** power).astype(np.uint8))


def _cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = round(share * image.width), round(share * image.height)
    return image.crop((across, down, image.width - across, image.height - down))


TRANSFORMS: dict[str, Callable[[Image.Image], bytes] | None] = {
    "exact copy": None,
    "JPEG q80": lambda image: jpeg(image, 80),
    "JPEG q30": lambda image: jpeg(image, 30),
    "resized x0.5": lambda image: png(_halved(image)),
    "contrast +20 %": lambda image: png(_contrast(image, 1.2)),
    "contrast -20 %": lambda image: png(_contrast(image, 0.8)),
    "cropped 2 % a side": lambda image: png(_cropped(image, 0.02)),
    "cropped 5 % a side": lambda image: png(_cropped(image, 0.05)),
    "mirrored": lambda image: png(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "rotated by 3 degrees": lambda image: png(image.rotate(3, Image.Resampling.BILINEAR)),
    "gamma 0.5": lambda image: png(_gamma(image, 0.5)),
    "gamma 2": lambda image: png(_gamma(image, 2.0)),
    "cropped 5 %, one side": lambda image: png(image.crop((round(0.05 * image.width), 0, image.width, image.height))),
    "x0.5, then JPEG q30": lambda image: jpeg(_halved(image), 30),
}
"""Transforms of an image; None copies the file."""

ASKED = 9
"""Number of the first transforms whose copies a search is expected to find. The others are a stretch."""


def slug(transform: str) -> str:
    """Return the folder name of a transform."""
    return "-".join("".join(char if char.isalnum() or char in "-+." else " " for char in transform).split())


def images_of(data: str) -> list[tuple[str, Path]]:
    """Return (class, file) of all images of a data set; [] if it is absent."""
    if data == "phantom":
        root = locate.open_card("phantom", ROOT / "data", locate.open_store(ROOT)).root
        assert root is not None
        return [
            (path.parent.name, path) for split in ("train", "test") for path in sorted(root.glob(f"{split}/*/*.png"))
        ]
    if not (REAL / "tb-lungs" / "rows.csv").is_file():
        return []
    with (REAL / "tb-lungs" / "rows.csv").open(newline="", encoding="utf-8") as file:
        return [(row["label"], REAL / "tb-lungs" / "images" / row["file"]) for row in csv.DictReader(file)]


DATA = ("phantom", "tb-lungs")


def plant(data: str, folder: Path) -> None:
    """Write the trees of a data set.

    Unchanged images are hard links to one copy.
    """
    images = images_of(data)
    order = np.random.default_rng(SEED).permutation(len(images))
    train, test = order[:TRAIN], order[TRAIN:]
    kept = folder / data / "images"
    kept.mkdir(parents=True, exist_ok=True)
    names = {int(row): f"{row:04d}{images[row][1].suffix}" for row in order}
    for row, name in names.items():
        shutil.copyfile(images[row][1], kept / name)
    sources = {name: "/".join(images[row][1].parts[-3 if data == "phantom" else -1 :]) for row, name in names.items()}
    (folder / f"{data}.names.json").write_text(json.dumps(sources), "utf-8")
    for transform, alter in TRANSFORMS.items():
        tree, copies = folder / data / slug(transform), {}
        for split, rows in (("train", train), ("test", test)):
            for row in map(int, rows):
                place = tree / split / images[row][0]
                place.mkdir(parents=True, exist_ok=True)
                os.link(kept / names[row], place / names[row])
        for row in map(int, train[:COPIES]):
            original = kept / names[row]
            with Image.open(original) as image:
                content = original.read_bytes() if alter is None else alter(image.convert("L"))
            suffix = ".jpg" if content[:2] == b"\xff\xd8" else original.suffix
            copy = tree / "test" / images[row][0] / f"copy{row:04d}{suffix}"
            copy.write_bytes(content)
            copies[str(copy.relative_to(tree))] = f"train/{images[row][0]}/{names[row]}"
        tree.with_suffix(tree.suffix + ".json").write_text(json.dumps(copies), "utf-8")


def main(folder: Path) -> None:
    """Write the trees of all data sets that are present."""
    for data in DATA:
        shutil.rmtree(folder / data, ignore_errors=True)
        if images_of(data):
            plant(data, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
