"""Tests of what a model or its data may lack."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from roentgate.errors import ArgumentError
from roentgate.session import capabilities, open_session
from roentgate.session.capabilities import lacking, lungs_lacking

if TYPE_CHECKING:
    from pathlib import Path

    from roentgate.evidence import Evidence
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]


@pytest.fixture
def kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """The evidence on a sound model without layers."""
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    return open_session(project.settings("nearest")).evidence("nearest")


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        ("layers", "the model has no layers to look at"),
        ("gradients", "the model gives no gradients"),
        ("augmentation", ""),
        ("masks", "the data has no masks"),
        ("groups", "the data names no patients"),
        ("lesions", "the data has no known lesions"),
        ("anatomy", ""),
    ],
)
def test_what_is_lacking_is_said(kept: Evidence, capability: str, reason: str) -> None:
    assert lacking(kept, capability) == reason


def test_a_training_curve_needs_a_training_here_and_a_validation_loss(kept: Evidence) -> None:
    assert lacking(kept, "training curve") == "the model was loaded, so its training curve is unknown"
    kept.candidate.history = {"loss": [1.0]}
    assert lacking(kept, "training curve") == "its training recorded no validation loss"
    kept.candidate.history = {"loss": [1.0], "val_loss": [1.0]}
    assert lacking(kept, "training curve") == ""


def test_data_with_patients_and_masks_lacks_neither(kept: Evidence, tmp_path: Path) -> None:
    candidate = kept.candidate
    test = candidate.splits.test
    known = dataclasses.replace(test, groups=("p",) * len(test), masks=(tmp_path,) * len(test))
    candidate.splits = dataclasses.replace(candidate.splits, test=known)
    assert lacking(kept, "masks") == ""
    assert lacking(kept, "groups") == ""


def test_findings_outside_the_lungs_need_no_lungs(kept: Evidence) -> None:
    candidate = kept.candidate
    elsewhere = dataclasses.replace(candidate.splits.test, region="none")
    candidate.splits = dataclasses.replace(candidate.splits, test=elsewhere)
    reason = "the data card says that the findings do not lie in the lungs"
    assert lacking(kept, "lungs") == lacking(kept, "anatomy") == lungs_lacking(candidate) == reason


def test_an_unknown_need_names_the_known_ones(kept: Evidence) -> None:
    with pytest.raises(ArgumentError, match=r"needs\('layer'\): unknown; known: layers, training"):
        lacking(kept, "layer")


def test_images_of_the_size_that_the_model_wants_are_not_resized(kept: Evidence) -> None:
    assert lacking(kept, "resizing") == "every image has the size that the model wants"
    wider = dataclasses.replace(kept.candidate.splits.test, image_shape=(32, 48, 1))
    kept.candidate.splits = dataclasses.replace(kept.candidate.splits, test=wider)
    assert lacking(kept, "resizing") == ""


def test_lungs_are_lacking_where_every_class_has_too_few_trusted_ones(
    kept: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lungs that are missing in one class only are a finding about the data, and no reason to skip."""
    trusted = np.ones(36, np.bool_)
    monkeypatch.setattr(capabilities, "LEAST_IMAGES", 12)
    monkeypatch.setattr(capabilities, "lung_fields", lambda *_: SimpleNamespace(trusted=trusted))
    assert lungs_lacking(kept.candidate) == ""
    trusted[12:24] = False
    assert lungs_lacking(kept.candidate) == ""
    trusted[[0, 24]] = False
    counts = "11 images of {}, 0 images of {}, 11 images of {}"
    expected = f"a trusted lung field was found on {counts}, fewer than 12 of every class"
    assert lungs_lacking(kept.candidate) == expected.format(*kept.candidate.splits.test.classes)
    assert lungs_lacking(kept.candidate) == lacking(kept, "lungs")
