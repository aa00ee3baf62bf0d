"""An explainer finds lesions where they are known and decide."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from roentgate.evidence.attribution import known_lesions
from roentgate.evidence.attribution.known_lesions import FEWEST, decide, found_by, missed

Images = NDArray[np.float32]
COUNT = 12


class Reader:
    """Answers 1 if some pixel of the middle is bright."""

    def predict(self, images: Images) -> Images:
        """Return probabilities (n, 2)."""
        bright = images[:, 8:24, 8:24].max(axis=(1, 2, 3)) > 0.8
        return np.stack([~bright, bright], axis=1).astype(np.float32)


def drawn() -> tuple[Images, NDArray[np.bool_]]:
    """Return grey images (n, 32, 32, 1), each with one bright lesion, and the lesions."""
    images, lesions = np.full((COUNT, 32, 32, 1), 0.3, np.float32), np.zeros((COUNT, 32, 32), dtype=bool)
    for row in range(COUNT):
        lesions[row, 9 + row : 12 + row, 9 + row : 12 + row] = True
    images[lesions] = 0.9
    return images, lesions


def test_a_lesion_decides_if_the_answer_changes_without_it() -> None:
    images, lesions = drawn()
    reader = Reader()
    predicted = reader.predict(images).argmax(axis=1)
    lesions[3] = False
    assert decide(reader, images, predicted, lesions).tolist() == [row != 3 for row in range(COUNT)]
    images[4, 16, 23] = 0.9  # also bright elsewhere
    assert not decide(reader, images, predicted, lesions)[4]


def test_maps_on_the_lesions_find_them_and_maps_elsewhere_do_not() -> None:
    _, lesions = drawn()
    names, every = [f"{row}" for row in range(COUNT)], np.ones(COUNT, dtype=bool)
    on, off = lesions.astype(np.float32), lesions[:, ::-1].astype(np.float32) + 0.01
    good, poor = (found_by(maps, lesions, every, names, "image") for maps in (on, off))
    assert good.low > 1
    assert not missed(good)
    assert missed(poor)
    assert good.detail == f"{COUNT} of {COUNT} images whose answer changes when its lesions are masked"


def test_lesions_that_do_not_decide_need_not_be_found() -> None:
    _, lesions = drawn()
    names, few = [f"{row}" for row in range(COUNT)], np.arange(COUNT) < FEWEST - 1
    off = lesions[:, ::-1].astype(np.float32) + 0.01
    assert not missed(found_by(off, lesions, few, names, "image"))
    assert not missed(found_by(off, lesions, np.zeros(COUNT, dtype=bool), names, "image"))


@pytest.mark.parametrize("count", [0, 2])
def test_lesions_are_read_at_the_size_of_the_images(tmp_path: Path, count: int) -> None:
    paths = []
    for row in range(count):
        mask = np.zeros((16, 16), np.uint8)
        mask[row, row] = 255
        Image.fromarray(mask).save(tmp_path / f"{row}.png")
        paths.append(tmp_path / f"{row}.png")
    read = known_lesions.read(paths, (32, 32))
    assert read.shape == (count, 32, 32)
    assert [int(mask.sum()) for mask in read] == [4] * count
