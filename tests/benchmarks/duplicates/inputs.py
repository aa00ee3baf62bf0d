"""The trees that every tool is given: ``python inputs.py FOLDER`` writes them.

``FOLDER/DATA/TRANSFORM/`` holds class folders: 500 films in ``train/``; in ``test/`` altered copies of 100 of them and
all other films of the data set, as they are. The 100 are the same for each transform, so that transforms can be
compared. ``FOLDER/DATA/TRANSFORM.json`` names the train film of each copy, ``FOLDER/DATA.names.json``
what each film is called in its data set.
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

one_thread()  # as every run of the harness does, before NumPy is loaded

import numpy as np
from PIL import Image

from roentgate.data import locate

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("ROENTGATE_REAL_DATA", ROOT.parent / "shared" / "data"))
TRAIN, COPIES = 500, 100
SEED = 0


def png(film: Image.Image) -> bytes:
    """Return a film as the bytes of a PNG."""
    content = io.BytesIO()
    film.save(content, "png")
    return content.getvalue()


def jpeg(film: Image.Image, quality: int) -> bytes:
    """Return a film as the bytes of a JPEG."""
    content = io.BytesIO()
    film.save(content, "jpeg", quality=quality)
    return content.getvalue()


def _halved(film: Image.Image) -> Image.Image:
    return film.resize((film.width // 2, film.height // 2), Image.Resampling.LANCZOS)


def _contrast(film: Image.Image, factor: float) -> Image.Image:
    grey = np.asarray(film, np.float64)
    return Image.fromarray(np.rint(np.clip((grey - grey.mean()) * factor + grey.mean(), 0, 255)).astype(np.uint8))


def _gamma(film: Image.Image, power: float) -> Image.Image:
    return Image.fromarray(np.rint(255 * (np.asarray(film) / 255) ** power).astype(np.uint8))


def _cropped(film: Image.Image, share: float) -> Image.Image:
    across, down = round(share * film.width), round(share * film.height)
    return film.crop((across, down, film.width - across, film.height - down))


TRANSFORMS: dict[str, Callable[[Image.Image], bytes] | None] = {
    "exact copy": None,
    "JPEG q80": lambda film: jpeg(film, 80),
    "JPEG q30": lambda film: jpeg(film, 30),
    "resized x0.5": lambda film: png(_halved(film)),
    "contrast +20 %": lambda film: png(_contrast(film, 1.2)),
    "contrast -20 %": lambda film: png(_contrast(film, 0.8)),
    "cropped 2 % a side": lambda film: png(_cropped(film, 0.02)),
    "cropped 5 % a side": lambda film: png(_cropped(film, 0.05)),
    "mirrored": lambda film: png(film.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "turned by 3 degrees": lambda film: png(film.rotate(3, Image.Resampling.BILINEAR)),
    "gamma 0.5": lambda film: png(_gamma(film, 0.5)),
    "gamma 2": lambda film: png(_gamma(film, 2.0)),
    "cropped 5 %, one side": lambda film: png(film.crop((round(0.05 * film.width), 0, film.width, film.height))),
    "x0.5, then JPEG q30": lambda film: jpeg(_halved(film), 30),
}
"""What is done to a film; None leaves the file as it is."""

ASKED = 9
"""Transforms from the first on that a search is expected to see through; the others are a stretch."""


def slug(transform: str) -> str:
    """Return a transform as the name of a folder."""
    return "-".join("".join(char if char.isalnum() or char in "-+." else " " for char in transform).split())


def films_of(data: str) -> list[tuple[str, Path]]:
    """Return (class, file) of all films of a data set; none where it is absent."""
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
    """Write the trees of one data set; unaltered films are links to one copy of them."""
    films = films_of(data)
    order = np.random.default_rng(SEED).permutation(len(films))
    train, test = order[:TRAIN], order[TRAIN:]
    kept = folder / data / "films"
    kept.mkdir(parents=True, exist_ok=True)
    names = {int(row): f"{row:04d}{films[row][1].suffix}" for row in order}
    for row, name in names.items():
        shutil.copyfile(films[row][1], kept / name)
    sources = {name: "/".join(films[row][1].parts[-3 if data == "phantom" else -1 :]) for row, name in names.items()}
    (folder / f"{data}.names.json").write_text(json.dumps(sources), "utf-8")
    for transform, alter in TRANSFORMS.items():
        tree, copies = folder / data / slug(transform), {}
        for split, rows in (("train", train), ("test", test)):
            for row in map(int, rows):
                place = tree / split / films[row][0]
                place.mkdir(parents=True, exist_ok=True)
                os.link(kept / names[row], place / names[row])
        for row in map(int, train[:COPIES]):
            original = kept / names[row]
            with Image.open(original) as film:
                content = original.read_bytes() if alter is None else alter(film.convert("L"))
            suffix = ".jpg" if content[:2] == b"\xff\xd8" else original.suffix
            copy = tree / "test" / films[row][0] / f"copy{row:04d}{suffix}"
            copy.write_bytes(content)
            copies[str(copy.relative_to(tree))] = f"train/{films[row][0]}/{names[row]}"
        tree.with_suffix(tree.suffix + ".json").write_text(json.dumps(copies), "utf-8")


def main(folder: Path) -> None:
    """Write the trees of all data sets that are at hand."""
    for data in DATA:
        shutil.rmtree(folder / data, ignore_errors=True)
        if films_of(data):
            plant(data, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
