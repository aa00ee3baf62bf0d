"""The phantom: drawn chest radiographs with known lungs and lesions.

Some of its variants have a planted shortcut:

- ``phantom`` has none. A corner marker and a shaded border occur independently of the class.
- ``phantom-shortcut`` has faint lesions. Marker and border agree with the class on 95 % of the images.
- ``phantom-shortcut-broken`` has the same patients and the same train images. In test the same numbers of each
  background are spread evenly over the classes.
- ``phantom-shortcut-N`` has another dose of the shortcut, N % of the images. With 0 the backgrounds are spread evenly
  over the classes.
- ``phantom-shortcut-clear`` has the patients of ``phantom``, whose lesions are clear, on the backgrounds of the
  shortcut.
- ``phantom-tube`` has faint lesions and the backgrounds of ``phantom``. A tube drawn inside a lung agrees with the
  class on 95 % of the images.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from roentgate.data import phantom_anatomy
from roentgate.data.card import Card
from roentgate.data.phantom_anatomy import SIDE, Background, Drawing, Finding
from roentgate.data.study import Study
from roentgate.errors import ArgumentError, HarnessError, did_you_mean

FINDINGS: dict[str, Finding] = {
    "Covid": phantom_anatomy.bilateral_peripheral,
    "Normal": phantom_anatomy.no_finding,
    "Viral Pneumonia": phantom_anatomy.focal_or_perihilar,
}
CLASSES = tuple(FINDINGS)
_STUDY = Study(
    ages="none: the images are drawn, of nobody",
    sexes="none",
    sites="none",
    dates="none",
    view="frontal, as drawn",
    devices="none",
    reference_standard="exact: the finding that was drawn",
)
COUNTS = {"train": 150, "test": 80}
"""Images of each class."""

AGREEMENT = 0.95
"""Share of the images whose background agrees with the class, if the shortcut is planted."""

DOSES = {
    0: "phantom-shortcut-0",
    50: "phantom-shortcut-50",
    75: "phantom-shortcut-75",
    95: "phantom-shortcut",
    100: "phantom-shortcut-100",
}
"""The variant of each dose of the shortcut, in % of the images.

At 0 the backgrounds are spread evenly over the classes.
"""


@dataclass(frozen=True, slots=True)
class _Variant:
    title: str
    patients: int  # variants of the same number show the same patients
    contrast: tuple[float, float]  # of the lesions, in shares of the full grey scale
    planted: tuple[str, ...] = ()  # splits in which the background agrees with the class
    spread: tuple[str, ...] = ()  # splits in which the same backgrounds are spread evenly over the classes
    agreement: float = AGREEMENT
    tubes: bool = False


_CLEAR, _FAINT = (0.45, 0.75), (0.08, 0.16)
_BOTH = ("train", "test")
_VARIANTS = {
    "phantom": _Variant("nothing planted", 0, _CLEAR),
    "phantom-shortcut": _Variant(
        "a corner marker and the border's brightness predict the class", 1, _FAINT, planted=_BOTH
    ),
    "phantom-shortcut-broken": _Variant(
        "the shortcut of phantom-shortcut, without its agreement in test",
        1,
        _FAINT,
        planted=("train",),
        spread=("test",),
    ),
    "phantom-shortcut-clear": _Variant("the shortcut's backgrounds around clear lesions", 0, _CLEAR, planted=_BOTH),
    "phantom-tube": _Variant("a tube inside a lung predicts the class", 1, _FAINT, tubes=True),
    DOSES[0]: _Variant("the backgrounds of phantom-shortcut, dealt evenly over the classes", 1, _FAINT, spread=_BOTH),
} | {
    DOSES[dose]: _Variant(f"the shortcut on {dose} % of the images", 1, _FAINT, planted=_BOTH, agreement=dose / 100)
    for dose in (50, 75, 100)
}
VARIANTS = tuple(_VARIANTS)

_PLANTED = (
    Background("R", (False, False), 0.05),
    Background("L", (False, True), 0.5),
    Background("P", (True, False), 0.95),
)
_TUBES: tuple[Literal[-1, 0, 1], ...] = (-1, 0, 1)
"""The side of each class's tube; Normal has none."""
_RECORD = "phantom.json"
_ABANDONED_AFTER_S = 24 * 3600


def card(variant: str) -> Card:
    """Return the data card of a variant that has no card file.

    Raises:
        ArgumentError: There is no such variant.
    """
    return Card(
        name=variant,
        title=f"Drawn chest radiographs: {_variant(variant).title}",
        generator="phantom",
        variant=variant,
        classes=CLASSES,
        normal="Normal",
        image_size=(SIDE, SIDE),
        licence="Apache-2.0",
        source="drawn by harness/roentgate/data/phantom.py",
        masks="masks/{id}",
        lesion_masks="lesions/{id}",
        recipe={"epochs": 20},
        study=_STUDY,
    )


def image(variant: str, seed: int, split: str, label: str, index: int) -> Drawing:
    """Draw one image of a data set.

    Args:
        variant: One of `VARIANTS`.
        seed: Of the data set, 0 or more.
        split: ``train`` or ``test``.
        label: One of `CLASSES`.
        index: 0 to ``COUNTS[split] - 1``. The number in the image's file name is one higher.

    Raises:
        ArgumentError: There is no such variant.
    """
    chosen = _variant(variant)
    key = (chosen.patients, list(COUNTS).index(split), CLASSES.index(label), index)
    sequences = np.random.SeedSequence(seed, spawn_key=key).spawn(2)
    patient, surroundings = (np.random.default_rng(sequence) for sequence in sequences)
    planted = backgrounds(variant, seed, split, label)
    background = _any_background(surroundings) if planted is None else _jittered(surroundings, _PLANTED[planted[index]])
    tube: Literal[-1, 0, 1] = _TUBES[tubes(seed, split, label)[index]] if chosen.tubes else 0
    return phantom_anatomy.draw(patient, FINDINGS[label], chosen.contrast, background, tube)


def backgrounds(variant: str, seed: int, split: str, label: str) -> NDArray[np.int64] | None:
    """Return which class's background each image of a class has.

    Over a split the backgrounds of all classes are equally frequent, whether the shortcut is planted or broken.

    Returns:
        Class indices int64 (n,), or None if backgrounds are independent of the class.

    Raises:
        ArgumentError: There is no such variant.
    """
    chosen, own, n = _variant(variant), CLASSES.index(label), COUNTS[split]
    others = (own + 1 + np.arange(n)) % len(CLASSES)
    if split in chosen.planted:
        others = _agreeing(own, n, chosen.agreement)
    elif split not in chosen.spread:
        return None
    key = (chosen.patients, list(COUNTS).index(split), own)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).permutation(others)


def tubes(seed: int, split: str, label: str) -> NDArray[np.int64]:
    """Return which class's tube each image of a class has in ``phantom-tube``: int64 (n,)."""
    own = CLASSES.index(label)
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(list(COUNTS).index(split), own)))
    return generator.permutation(_agreeing(own, COUNTS[split], AGREEMENT))


def _agreeing(own: int, n: int, agreement: float) -> NDArray[np.int64]:
    """Return n class indices of which a share is the own class, and the others take turns."""
    others = (own + 1 + np.arange(n)) % len(CLASSES)
    others = others[others != own][: n - round(agreement * n)]
    return np.concatenate([np.full(n - len(others), own), others])


def write(folder: Path, *, variant: str = "phantom", seed: int = 0) -> None:
    """Write a data set with its masks.

    It has ``train/`` and ``test/``, and ``masks/`` (lungs) and ``lesions/`` with the same layout inside. The folder
    gets its name only when it is complete. Two processes may write it at once. A killed process leaves a hidden folder
    next to it, which a later call removes. A folder that already holds this data set is not touched.

    Raises:
        ArgumentError: There is no such variant, or the folder holds something else.
        HarnessError: The images cannot be written.
    """
    record = json.dumps({"variant": variant, "seed": seed})
    _variant(variant)
    if _holds(folder, record):
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _discard_abandoned(folder)
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
        try:
            _write_images(temporary, variant, seed)
            (temporary / _RECORD).write_text(record, "utf-8")
            temporary.chmod(0o755)
            _publish(temporary, folder, record)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise HarnessError(
            f"{variant} in '{folder}': cannot be written ({error.strerror}); free some space, or choose another folder"
        ) from error


def _variant(name: str) -> _Variant:
    if name not in _VARIANTS:
        raise ArgumentError(f"phantom variant {name!r}: unknown; {did_you_mean(name, VARIANTS)}")
    return _VARIANTS[name]


def _any_background(rng: np.random.Generator) -> Background:
    """Return a background that is independent of the class.

    Half of the images have a marker, and half have a shade, which is mostly dark.
    """
    glyph = str(rng.choice(phantom_anatomy.GLYPHS)) if rng.random() < 0.5 else None
    shade = rng.random() ** 2 if rng.random() < 0.5 else None
    return Background(glyph, (rng.random() < 0.5, rng.random() < 0.5), shade)


def _jittered(rng: np.random.Generator, background: Background) -> Background:
    assert background.shade is not None
    return Background(background.glyph, background.corner, background.shade + rng.uniform(-0.05, 0.05))


def _images(variant: str, seed: int) -> Iterator[tuple[str, Drawing]]:
    for split, count in COUNTS.items():
        for label in CLASSES:
            for index in range(count):
                yield f"{split}/{label}/{index + 1:04d}.png", image(variant, seed, split, label, index)


def _write_images(folder: Path, variant: str, seed: int) -> None:
    for kind in ("", "masks", "lesions"):
        for split in COUNTS:
            for label in CLASSES:
                (folder / kind / split / label).mkdir(parents=True)
    total = len(CLASSES) * sum(COUNTS.values())
    for row_id, drawn in tqdm(_images(variant, seed), f"drawing {variant}", total, unit="image", disable=None):
        for kind, pixels in (("", drawn.image), ("masks", drawn.lungs), ("lesions", drawn.lesions)):
            Image.fromarray(pixels).save(folder / kind / row_id, compress_level=0)  # what zlib writes varies by machine


def _publish(finished: Path, folder: Path, record: str) -> None:
    """Give a finished data set its name, unless another process was faster."""
    try:
        os.rename(finished, folder)
    except OSError:
        if not _holds(folder, record):
            raise


def _holds(folder: Path, record: str) -> bool:
    """Return whether the folder exists and holds this data set.

    Raises:
        ArgumentError: The folder holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    file = folder / _RECORD
    found = file.read_text("utf-8") if file.is_file() else None
    if found != record:
        content = "other files" if found is None else found
        raise ArgumentError(
            f"'{folder}': holds {content} where {record} is to be drawn; remove it, or name another folder"
        )
    return True


def _prefix(folder: Path) -> str:
    return f".{folder.name}-drawing-"


def _discard_abandoned(folder: Path) -> None:
    """Remove folders that killed processes left behind more than a day ago.

    No drawing takes that long.
    """
    for leftover in folder.parent.glob(f"{_prefix(folder)}*"):
        if time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(leftover, ignore_errors=True)
