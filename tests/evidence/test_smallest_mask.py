"""Tests of the search for the smallest flipping mask.

A model that reads a marker is found at its marker. A model that reads none is not flipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from roentgate.candidates.predictions import Predictions
from roentgate.data import phantom, phantom_anatomy
from roentgate.errors import ModelError
from roentgate.evidence import smallest_mask
from roentgate.evidence.evidence import Evidence
from roentgate.evidence.smallest_mask import Found, SmallestRecord
from roentgate.lungs.lung_masks import lung_fields
from roentgate.perturbations import masks
from roentgate.policy.bounds import BorderBounds

if TYPE_CHECKING:
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

EACH = 8
SIDE = phantom_anatomy.SIDE
GLYPHS = {"R": np.s_[0:5, 1:5], "L": np.s_[0:5, SIDE - 5 : SIDE - 1], "P": np.s_[SIDE - 5 : SIDE, 1:5]}
"""Place of each class's marker in ``phantom-shortcut``, as `roentgate.data.phantom_anatomy` draws it."""

MARKER = 5 * 4
READER = '''
"""Reads only the markers: the corner with the most ink decides."""

import numpy as np


class Reader:
    def predict(self, images):
        corners = (images[:, 0:5, 1:5], images[:, 0:5, -5:-1], images[:, -5:, 1:5])
        ink = np.stack([(corner[..., 0] > 0.9).mean(axis=(1, 2)) for corner in corners], axis=1)
        odds = np.exp(20 * ink)
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def load(task):
    return Reader()
'''
CONSTANT = '''
"""Gives the same answer to every image."""

import numpy as np


class Constant:
    def predict(self, images):
        return np.tile(np.float32([0.5, 0.3, 0.2]), (len(images), 1))


def load(task):
    return Constant()
'''
CARD = """
title = "Phantoms"
root = {root!r}
image_size = [96, 96]
masks = "masks/{{id}}"
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose marker always agrees with the class, with lung masks."""
    root = tmp_path_factory.mktemp("phantoms")
    for split in ("train", "test"):
        for label in phantom.CLASSES:
            for index in range(EACH if split == "test" else 5):
                drawn = phantom.image("phantom-shortcut-100", 0, split, label, index)
                for folder, pixels in ((root, drawn.image), (root / "masks", drawn.lungs)):
                    path = folder / split / label / f"{index:02}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(path)
    return root


@pytest.fixture
def annotated(project: Project, images: Path) -> Project:
    """A project with these images, two models and its own store."""
    project.store = project.folder / "store"
    project.write("models/reader.py", READER)
    project.write("models/constant.py", CONSTANT)
    project.write("data/annotated.toml", CARD.format(root=str(images)))
    return project


def evidence(project: Project, model: str) -> Evidence:
    return Evidence(project.ready(model, data="annotated"))


def test_a_marker_reader_is_caught_by_a_mask_about_the_size_of_the_marker_at_the_marker(annotated: Project) -> None:
    found = smallest_mask.of(evidence(annotated, "reader"), BorderBounds(most_masks=120)).found["rectangle"]
    assert found is not None
    hidden = found.mask.hidden((SIDE, SIDE))
    assert hidden.sum() <= 2 * MARKER
    overlaps = {glyph: int(hidden[place].sum()) for glyph, place in GLYPHS.items()}
    glyph = max(overlaps, key=lambda name: overlaps[name])
    assert overlaps[glyph] >= hidden.sum() / 4
    label = list(GLYPHS).index(glyph)
    assert {int(row) // EACH for row in found.rows} == {label}


def test_a_model_that_never_changes_its_mind_is_not_given_a_number(annotated: Project) -> None:
    record = smallest_mask.of(evidence(annotated, "constant"), BorderBounds(smallest_share=0.0, most_masks=30))
    assert record.smallest is None
    assert sum(record.tried.values()) == 30
    for family in smallest_mask.FAMILIES:
        estimate = smallest_mask.area(record, family)
        assert not estimate.defined
        assert (estimate.low, estimate.high) == (0.0, 1.0)
        expected = f"no mask of this family flips any answer in {record.tried[family]} tried outside the lungs"
        assert estimate.detail == expected


def test_every_row_that_flips_has_a_mask_of_its_own_no_larger_and_it_flips_it(annotated: Project) -> None:
    judged = evidence(annotated, "reader")
    record = smallest_mask.of(judged, BorderBounds())
    found = record.smallest
    assert found is not None
    for row, own in zip(found.rows, found.own, strict=True):
        steps = found.mask.steps(record.shape)
        chosen = np.array([row])
        assert smallest_mask.changed(record.clean, smallest_mask.predicted(judged, own, chosen), chosen).all()
        if (below := steps.index(own) - 1) >= 0:
            kept = smallest_mask.predicted(judged, steps[below], chosen)
            assert not smallest_mask.changed(record.clean, kept, chosen).any()


def test_masks_spare_the_lungs(annotated: Project) -> None:
    judged = evidence(annotated, "reader")
    data = judged.candidate.splits.test
    union = lung_fields(data, judged.candidate.store).take(range(len(data))).any(axis=0)
    record = smallest_mask.of(judged, BorderBounds(smallest_share=0.0))
    for found in filter(None, record.found.values()):
        hidden = found.mask.hidden(record.shape)
        assert (hidden & union).sum() <= 0.1 * hidden.sum()


def test_without_lung_masks_the_outer_band_is_searched_and_that_is_said(annotated: Project) -> None:
    record = smallest_mask.search(evidence(annotated, "constant"), BorderBounds(most_masks=12))
    assert record.where == "within the outer 15% (no lung masks)"
    assert record.where in smallest_mask.area(record, "border").detail


class Everywhere:
    """Lung masks that cover the whole image."""

    def __init__(self, trusted: NDArray[np.bool_]) -> None:
        self.trusted = trusted

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the masks of these rows."""
        return np.ones((len(rows), SIDE, SIDE), np.bool_)


def test_masks_that_nobody_trusts_are_no_masks(annotated: Project) -> None:
    judged = evidence(annotated, "constant")
    untrusted = Everywhere(np.zeros(len(judged.test), np.bool_))
    assert "no lung masks" in smallest_mask.search(judged, BorderBounds(most_masks=6), untrusted).where


def test_where_the_lungs_are_everywhere_nothing_is_tried(annotated: Project) -> None:
    judged = evidence(annotated, "constant")
    full = Everywhere(np.ones(len(judged.test), np.bool_))
    record = smallest_mask.search(judged, BorderBounds(), full)
    assert set(record.tried.values()) == {0}
    assert "in 0 tried" in smallest_mask.area(record, "strip").detail


def test_forward_passes_are_bounded_counted_and_never_repeated(annotated: Project) -> None:
    first = evidence(annotated, "reader")
    n = len(first.test)
    before = first.candidate.passes
    record = smallest_mask.of(first, BorderBounds(most_masks=24))
    assert record.passes == first.candidate.passes - before - n, "the probe images, asked again"
    bisected = sum(len(found.rows) * 7 for found in record.found.values() if found is not None)
    assert record.passes <= 24 * n + bisected
    again = evidence(annotated, "reader")
    repeated = smallest_mask.of(again, BorderBounds(most_masks=24))
    assert again.candidate.passes == 0
    assert repeated.passes == record.passes
    assert smallest_mask.area(repeated, "rectangle") == smallest_mask.area(record, "rectangle")
    assert smallest_mask.TITLE in first.candidate.seconds


def test_two_searches_without_a_store_find_the_same(annotated: Project) -> None:
    first = smallest_mask.of(evidence(annotated, "reader"), BorderBounds())
    annotated.store = annotated.folder / "another store"
    second = smallest_mask.of(evidence(annotated, "reader"), BorderBounds())
    for family in smallest_mask.FAMILIES:
        assert smallest_mask.area(first, family).detail == smallest_mask.area(second, family).detail


def test_another_policy_is_another_search(annotated: Project) -> None:
    judged = evidence(annotated, "reader")
    all_images, any_image = (smallest_mask.of(judged, BorderBounds(smallest_share=share)) for share in (1.0, 0.0))
    assert (all_images.wanted, any_image.wanted) == (3 * EACH, 1)
    assert all_images.found["rectangle"] is None
    assert any_image.found["rectangle"] is not None


def test_only_the_infills_of_the_policy_are_used(annotated: Project) -> None:
    record = smallest_mask.of(evidence(annotated, "reader"), BorderBounds(infills=["black"]))
    assert {found.mask.infill for found in record.found.values() if found is not None} == {"black"}


def test_one_image_with_an_uncertain_answer_does_not_decide(annotated: Project) -> None:
    """One flip in 24 images counts for a share of 0, not of 5 %."""
    annotated.write("models/wavering.py", WAVERING)
    judged = evidence(annotated, "wavering")
    any_image, share = (
        smallest_mask.of(judged, BorderBounds(smallest_share=each, most_masks=30)) for each in (0.0, 0.05)
    )
    assert any_image.smallest is not None
    assert len(any_image.smallest.rows) == 1
    assert share.smallest is None
    assert "flips 2 of 24 answers" in smallest_mask.area(share, "border").detail
    assert "(at most 1)" in smallest_mask.area(share, "border").detail


WAVERING = '''
"""Constant, except that any change outside the middle flips the first image it sees."""

import numpy as np


class Wavering:
    def __init__(self):
        self.image = None

    def predict(self, images):
        answers = np.tile(np.float32([0.5, 0.3, 0.2]), (len(images), 1))
        for index, image in enumerate(images):
            middle = image[40:56, 40:56].tobytes()
            if self.image is None:
                self.image, self.whole = middle, image.tobytes()
            if middle == self.image and image.tobytes() != self.whole:
                answers[index] = 0.3, 0.5, 0.2
        return answers


def load(task):
    return Wavering()
'''


class _Refusing:
    """Answers a hundred images and then raises an error."""

    def __init__(self) -> None:
        self.answered = 0

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        self.answered += len(images)
        if self.answered > 100:
            raise RuntimeError("out of order")
        return np.tile(np.array([0.5, 0.3, 0.2], np.float32), (len(images), 1))


def test_a_model_that_breaks_in_the_search_is_refused_by_name(annotated: Project) -> None:
    candidate = annotated.ready("constant", data="annotated")
    candidate.model = _Refusing()
    with pytest.raises(ModelError, match="model 'constant': predict raised RuntimeError: out of order"):
        smallest_mask.of(Evidence(candidate), BorderBounds())


def test_a_find_is_said_in_words_with_its_share_of_the_image_and_a_way_to_see_it_again() -> None:
    ids = tuple(f"r{row}" for row in range(10))
    before, after = (np.tile(np.array(row, np.float32), (n, 1)) for row, n in (([0.9, 0.1], 10), ([0.2, 0.8], 2)))
    mask = masks.rectangle((40, 60), "edge", (31, 40), (0, 7))
    own = (mask, mask.steps((40, 60))[2])
    nothing: dict[masks.Family, Found | None] = dict.fromkeys(masks.FAMILIES)
    record = SmallestRecord(
        clean=Predictions(ids, ("A", "B"), np.zeros(10, np.int64), before),
        shape=(40, 60),
        fingerprint="0123456789",
        found=nothing | {"rectangle": Found(mask=mask, rows=np.array([3, 8]), after=after, own=own)},
        tried=dict.fromkeys(masks.FAMILIES, 9),
        most=dict.fromkeys(masks.FAMILIES, 2),
        wanted=2,
        passes=1234,
        where="outside the lungs",
    )
    estimate = smallest_mask.area(record, "rectangle")
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (63 / 2400, 1 / 2400, 63 / 2400, 10)
    assert estimate.failing == ("r8", "r3")
    assert estimate.detail == (
        "a 9x7 px patch in the lower left corner, filled by edge flips 2 of 10 images (2 wanted), the first of them "
        "by 3x3 px of it; 9 rectangle masks tried outside the lungs, 1,234 forward passes for all families; "
        "replay 01234567:rectangle-edge-9x7-31-0"
    )
