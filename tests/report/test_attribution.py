"""Overlays show only explainers that passed the sanity check."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from roentgate.arrays import BoolArray, FloatArray, IntArray
from roentgate.evidence.attribution import sanity_check
from roentgate.evidence.attribution.attributions import Attributions
from roentgate.evidence.attribution.sanity_check import SanityCheck
from roentgate.report.attribution import LARGEST_FILE, choose, overlays, smaller

CLASSES = ("Covid", "Normal", "Viral Pneumonia")
SIDE, IMAGES = 256, 18


class Drawn:
    """A record of one explainer on random images."""

    methods = ("integrated_gradients",)

    def __init__(self, *, passed: bool) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.random((IMAGES, SIDE, SIDE, 1), np.float32)
        labels = np.arange(IMAGES) % 3
        test = SimpleNamespace(classes=CLASSES, labels=labels, take=lambda rows: self.images[np.asarray(rows)])
        self.candidate = SimpleNamespace(splits=SimpleNamespace(test=test), has_layers=True)
        self._maps = rng.normal(size=(IMAGES, SIDE, SIDE)).astype(np.float32)
        self._predicted = np.where(np.arange(IMAGES) < 8, labels, (labels + 1) % 3)
        self._passed = passed

    def attributions(self, method: str) -> Attributions:
        """Return the maps."""
        ids = tuple(f"test/{row}.png" for row in range(IMAGES))
        return Attributions(
            method, ids, np.arange(IMAGES), self._predicted, self._maps, "", "logit, 32 steps from black"
        )

    def answers(self, rows: IntArray) -> FloatArray:
        """Return the probabilities."""
        return np.full((len(rows), 3), 1 / 3, np.float32)

    def lungs(self, rows: IntArray) -> tuple[BoolArray, BoolArray]:
        """Return one box per image, trusted for half of the images."""
        found = np.zeros((len(rows), SIDE, SIDE), dtype=bool)
        found[:, 40:200, 40:110] = True
        return found, np.arange(len(rows)) % 2 == 0

    def sanity_check(self, method: str) -> SanityCheck:
        """Return a passed or an untested sanity check."""
        if not self._passed:
            return sanity_check.untested(method, "its maps stay as they were", ceiling=0.5)
        drift = np.linspace(0, 0.02, 5)[:, None]
        return SanityCheck(
            method, 0.1 + drift + np.zeros((5, 12)), 0.2 + drift + np.zeros((5, 12)), np.full(66, 0.4), (), 0.5
        )

    def unusable_reason(self, method: str) -> str:
        """Return why the explainer is not drawn."""
        return "" if self._passed else self.sanity_check(method).summary


def record(*, passed: bool = True) -> Any:  # noqa: ANN401 - it stands in for an AttributionRecord
    return Drawn(passed=passed)


def test_an_explainer_that_passed_is_drawn_small_and_the_same_each_time(tmp_path: Path) -> None:
    flipped = {"a black border": ["test/3.png", "test/99.png"], "no change": []}
    (note,) = overlays(record(), tmp_path, flipped=flipped)
    path = tmp_path / "attribution-integrated_gradients.png"
    assert note["file"] == path.name
    assert (
        "from each class: 6, surest right: 6, surest wrong (of 10): 6, flipped by a black border (1): 1" in note["alt"]
    )
    assert "with all weights random, maps keep a rank correlation of 0.21" in note["alt"]
    content = path.read_bytes()
    assert len(content) <= LARGEST_FILE
    with Image.open(path) as picture:
        assert picture.size == (1080, round((0.75 + 1.55 * 4) * 135))  # noise hardly compresses: real images are whole
    overlays(record(), tmp_path, flipped=flipped)
    assert path.read_bytes() == content


def test_an_explainer_that_did_not_pass_is_not_drawn_and_an_old_picture_goes(tmp_path: Path) -> None:
    overlays(record(), tmp_path)
    assert overlays(record(passed=False), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_sheet_shows_the_classes_in_turn_and_the_surest_first() -> None:
    truth, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    lines = dict(choose(truth, predicted, np.array([0.5, 0.9, 0.7, 0.8, 0.6]), CLASSES))
    assert {title: rows.tolist() for title, rows in lines.items()} == {
        "From each class": [0, 2, 4, 1, 3],
        "Surest right": [3, 2, 0],
        "Surest wrong (of 2)": [1, 4],
    }
    assert "Surest wrong (of 0)" not in dict(choose(truth, truth, np.ones(5), CLASSES))


@pytest.mark.parametrize(("side", "small"), [(96, 96), (128, 128), (256, 128), (257, 85)])
def test_images_are_averaged_down(side: int, small: int) -> None:
    found = smaller(np.ones((side, side), np.float32))
    assert found.shape == (small, small)
    assert (found == 1).all()
