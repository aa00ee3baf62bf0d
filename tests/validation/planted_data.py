"""Drawn data sets with one planted fault each, and unusual sound ones.

Each spoiled data set names the check that must refuse it.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from roentgate.code_key import code_digest
from roentgate.data import Card, phantom
from roentgate.errors import ArgumentError, did_you_mean
from roentgate.store import Store

_PLANTED = 8
"""Images that a fault affects, if it affects some only."""
_GROUP = r"/p(\d+)-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiled:
    """A drawn data set and what is wrong with it.

    Attributes:
        name: Its name.
        says: One sentence: its fault, or what is unusual about a sound one.
        check: The check of the data suite that must refuse it, or "" for a sound one.
        diagnosis: Words that the refusing row must hold.
        variant: The variant of the phantom that is spoiled.
        spoil: Changes the images in a folder.
        group: The pattern that finds an image's patient, or None.
        manifest: Whether a manifest tells where each image comes from.
    """

    name: str
    says: str
    check: str = ""
    diagnosis: str = ""
    variant: str = "phantom"
    spoil: Callable[[Path, np.random.Generator], None] = lambda _folder, _rng: None
    group: str | None = None
    manifest: bool = False


def write(name: str, seed: int, store: Store) -> Card:
    """Draw and spoil a data set into the store, once, and return its card.

    Raises:
        ArgumentError: No such data set.
    """
    known = {each.name: each for each in SPOILED}
    if name not in known:
        raise ArgumentError(f"no spoiled data set has the name '{name}'; {did_you_mean(name, known)}")
    chosen = known[name]
    code = code_digest(__name__)[:12]
    folder = store.root / "data" / f"{name}-{seed}-{code}"
    with store.lock("data", folder.name):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".drawing-", dir=folder.parent) as drawing:
                whole = Path(drawing) / "whole"
                phantom.write(whole, variant=chosen.variant, seed=seed)
                for extra in ("masks", "lesions"):
                    shutil.rmtree(whole / extra)
                chosen.spoil(whole, np.random.default_rng(seed))
                whole.rename(folder)
    return phantom.card(chosen.variant).model_copy(
        update={
            "name": name,
            "title": chosen.says,
            "root": folder,
            "generator": None,
            "masks": None,
            "lesion_masks": None,
            "group": chosen.group,
            "manifest": "manifest.csv" if chosen.manifest else None,
        }
    )


def _name_sources(folder: Path, rng: np.random.Generator, *, agreement: float) -> None:
    """Write a manifest that names the hospital of each image.

    In a share ``agreement`` of images it is one hospital for Covid and another for the rest, else one at random.
    """
    lines = ["path,label,split,source"]
    for file in sorted(folder.glob("*/*/*.png")):
        split, label = file.parts[-3:-1]
        own = label == "Covid" if rng.random() < agreement else rng.random() < 0.5
        lines.append(f"{file.relative_to(folder).as_posix()},{label},{split},{'north' if own else 'south'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", "utf-8")


def _some(folder: Path, split: str, rng: np.random.Generator, count: int = _PLANTED) -> list[Path]:
    files = sorted((folder / split).rglob("*.png"))
    return [files[row] for row in rng.choice(len(files), count, replace=False)]


def _leak(folder: Path, rng: np.random.Generator) -> None:
    for file in _some(folder, "test", rng):
        shutil.copyfile(file, folder / "train" / file.parent.name / f"again-{file.name}")


def _leak_altered(folder: Path, rng: np.random.Generator) -> None:
    """Add altered copies of test images to train.

    They are re-encoded, smaller, brighter, cropped or mirrored.
    """
    for index, file in enumerate(_some(folder, "test", rng)):
        target = folder / "train" / file.parent.name / f"like-{file.stem}"
        with Image.open(file) as image:
            side = image.width
            edge = round(0.03 * side)
            altered = (
                image.copy(),
                image.resize((side // 2, side // 2), Image.Resampling.BILINEAR),
                image.point(lambda grey: min(255, round(1.2 * grey))),
                image.crop((edge, edge, side - edge, side - edge)),
                ImageOps.mirror(image),
            )[index % 5]
            altered.save(target.with_suffix(".jpg"), quality=30) if index % 5 == 0 else altered.save(
                target.with_suffix(".png")
            )


def _two_classes(folder: Path, rng: np.random.Generator) -> None:
    for file in rng.choice(sorted((folder / "train" / "Normal").iterdir()), 4, replace=False):
        shutil.copyfile(file, folder / "train" / "Covid" / f"also-{Path(file).name}")


def _formats_by_class(folder: Path, rng: np.random.Generator) -> None:
    """Store most Covid images as JPEG, as if each class had its own source."""
    for file in sorted(folder.rglob("Covid/*.png")):
        if rng.random() < 0.9:
            _as_jpeg(file, quality=90)


def _bar(folder: Path, _rng: np.random.Generator) -> None:
    for file in sorted(folder.rglob("Covid/*.png")):
        with Image.open(file) as image:
            pixels = np.asarray(image).copy()
        pixels[:4] = 230
        Image.fromarray(pixels).save(file, compress_level=0)  # as drawn: the file size must not predict the label


def _formats_at_random(folder: Path, rng: np.random.Generator) -> None:
    for file in sorted(folder.rglob("*/*.png")):
        if rng.random() < 0.5:
            _as_jpeg(file, quality=int(rng.choice([75, 90, 95])))


def _as_jpeg(file: Path, *, quality: int) -> None:
    with Image.open(file) as image:
        image.save(file.with_suffix(".jpg"), quality=quality)
    file.unlink()


def _truncate(folder: Path, rng: np.random.Generator) -> None:
    for file in [*_some(folder, "train", rng, 1), *_some(folder, "test", rng, 1)]:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _name_patients(folder: Path, *, shared: int) -> None:
    """Put patients into the names of the images, three of a class each.

    The first ``shared`` test patients are the last patients of train.
    """
    train_patients = 0
    for label in phantom.CLASSES:
        files = sorted((folder / "train" / label).iterdir())
        for index, file in enumerate(files):
            file.rename(file.with_name(f"p{train_patients + index // 3:04d}-{file.name}"))
        train_patients += -(-len(files) // 3)
    test_patients = 0
    for label in phantom.CLASSES:
        files = sorted((folder / "test" / label).iterdir())
        for index, file in enumerate(files):
            patient = test_patients + index // 3
            number = train_patients + (-1 - patient if patient < shared else patient)
            file.rename(file.with_name(f"p{number:04d}-{file.name}"))
        test_patients += -(-len(files) // 3)


SPOILED: tuple[Spoiled, ...] = (
    Spoiled(
        name="images_leaked",
        says="Eight test images are in train as well, byte for byte.",
        check="images_in_two_splits",
        diagnosis="images of test are in train",
        spoil=_leak,
    ),
    Spoiled(
        name="copies_leaked",
        says="Eight test images are in train re-encoded, smaller, brighter, cropped or mirrored.",
        check="images_in_two_splits",
        diagnosis="images of test are in train",
        spoil=_leak_altered,
    ),
    Spoiled(
        name="patients_leaked",
        says="Six patients have images in train and in test.",
        check="patients_in_two_splits",
        diagnosis="patients of test have images in train",
        spoil=lambda folder, _rng: _name_patients(folder, shared=6),
        group=_GROUP,
    ),
    Spoiled(
        name="two_classes",
        says="Four images lie in two classes.",
        check="images_in_two_classes",
        diagnosis="images have two classes",
        spoil=_two_classes,
    ),
    Spoiled(
        name="format_by_class",
        says="Nine in ten Covid images are JPEG, all others PNG.",
        check="metadata_probe",
        diagnosis="format JPEG ⇒ Covid",
        spoil=_formats_by_class,
    ),
    Spoiled(
        name="border_by_class",
        says="A corner marker and the border's brightness agree with the class.",
        check="border_probe",
        diagnosis="told from the others",
        variant="phantom-shortcut",
    ),
    Spoiled(
        name="bar_on_one_class",
        says="A bright bar at the upper edge of every Covid image, and nothing on the others.",
        check="border_probe",
        diagnosis="Covid told from the others",
        spoil=_bar,
    ),
    Spoiled(
        name="images_truncated",
        says="A train and a test image are cut off in the middle.",
        check="unreadable_images",
        diagnosis="cannot be",
        spoil=_truncate,
    ),
    Spoiled(
        name="hospital_by_class",
        says="Nearly all Covid images come from one hospital, and nearly all others from another.",
        check="source_confounding",
        diagnosis="north: ",
        spoil=lambda folder, rng: _name_sources(folder, rng, agreement=0.97),
        manifest=True,
    ),
    Spoiled(name="clean", says="Drawn images, nothing planted."),
    Spoiled(
        name="formats_at_random",
        says="Half of the images are JPEG of several qualities, whatever their class.",
        spoil=_formats_at_random,
    ),
    Spoiled(
        name="patients_apart",
        says="Three images a patient, and no patient in two splits.",
        spoil=lambda folder, _rng: _name_patients(folder, shared=0),
        group=_GROUP,
    ),
    Spoiled(
        name="two_hospitals",
        says="Images of two hospitals, whatever their class.",
        spoil=lambda folder, rng: _name_sources(folder, rng, agreement=0.0),
        manifest=True,
    ),
)
