"""Inputs for all peers: ``python inputs.py FOLDER`` trains three models and writes them.

- ``recall.csv``: 20 images of a class, 17 of them predicted right, and 20 of another class, all predicted right.
- ``perfect.csv``: 12 images of a class and 20 of another, all predicted right.
- ``phantom.csv``: answers of the baseline, trained on images with nothing planted (negative control).
- ``phantom-shortcut.csv``: answers of the baseline, trained on images whose marker and border shade predict the label.
- ``marker.csv``: answers of a network that sees the four corners of an image and nothing of the patient. It is trained
  on images whose corner marker alone predicts the label, on 95 % of them.

Each row is an image: split, path of the file, true class, predicted class, and a probability for each class.
"""

import csv
import sys
from pathlib import Path

from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np
from cases import SMALL  # type: ignore[import-not-found]  # beside this file
from PIL import Image

from roentgate.candidates.candidate import Candidate, Options
from roentgate.candidates.training import ready
from roentgate.data import (
    locate,
    phantom,
    phantom_anatomy,
)
from roentgate.data.card import Card
from roentgate.data.phantom_anatomy import Background
from roentgate.store import Store

ROOT = Path(__file__).resolve().parents[3]
EPOCHS = 20
MODELS = {"phantom": "baseline", "phantom-shortcut": "baseline", "marker": "known_bad.corner_reader"}
MARKERS = (
    Background("R", (False, False), None),
    Background("L", (False, True), None),
    Background("P", (True, False), None),
)
FAINT = (0.08, 0.16)  # the lesions' contrast in phantom-shortcut
PATIENTS = 1000  # of no variant of the phantom


def draw_marker(folder: Path) -> None:
    """Draw class folders whose corner marker alone predicts the label.

    It agrees with the class on 95 % of the images.
    """
    for split, count in phantom.COUNTS.items():
        for number, label in enumerate(phantom.CLASSES):
            place = folder / split / label
            place.mkdir(parents=True, exist_ok=True)
            worn = phantom.backgrounds("phantom-shortcut", 0, split, label)
            assert worn is not None
            for index in range(count):
                key = (PATIENTS, list(phantom.COUNTS).index(split), number, index)
                rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=key))
                drawn = phantom_anatomy.draw(rng, phantom.FINDINGS[label], FAINT, MARKERS[worn[index]])
                Image.fromarray(drawn.image).save(place / f"{index + 1:04d}.png")


def write_recall(path: Path, right: int, count: int) -> None:
    """Write the table of a small recall."""
    answers = [("Covid", "Covid")] * right + [("Covid", "Normal")] * (count - right) + [("Normal", "Normal")] * 20
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["split", "file", "label", "answer"])
        table.writerows(["test", "", label, answer] for label, answer in answers)


def write_answers(path: Path, candidate: Candidate) -> None:
    """Write the answers of a model on its train and test images."""
    classes = candidate.task.classes
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["split", "file", "label", "answer", *(f"p {name}" for name in classes)])
        for split in (candidate.splits.train, candidate.splits.test):
            answers = np.concatenate([candidate.predict(images) for images in split.batches(32)])
            for image, label, row in zip(split.paths, split.labels, answers, strict=True):
                table.writerow([split.name, image, classes[label], classes[int(np.argmax(row))], *map(float, row)])


def main(folder: Path) -> None:
    """Write all inputs."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    store: Store = locate.open_store(ROOT)
    for name, (right, count) in SMALL.items():
        write_recall(folder / f"{name}.csv", right, count)
    draw_marker(folder / "marker")
    cards = {
        "phantom": locate.open_card("phantom", ROOT / "data", store),
        "phantom-shortcut": locate.open_card("phantom-shortcut", ROOT / "data", store),
        "marker": Card(name="marker", root=folder / "marker", image_size=(phantom_anatomy.SIDE, phantom_anatomy.SIDE)),
    }
    for name, card in cards.items():
        options = Options(models=ROOT / "models", epochs=EPOCHS, run_id="peers")
        write_answers(folder / f"{name}.csv", ready(MODELS[name], card, options, store))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
