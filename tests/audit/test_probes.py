"""Probes find planted shortcuts in their input, and none in clean images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roentgate.audit import probes
from roentgate.audit.scan import Survey, survey
from roentgate.candidates.predictions import Predictions
from roentgate.checks import metrics
from roentgate.errors import DataError
from roentgate.store import Store
from tests.support.planted import splits, tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def clean(tmp_path: Path, store: Store) -> Survey:
    return survey(splits(tree(tmp_path / "clean", images=20)), store)


def with_border(image: Image.Image, path: Path) -> None:
    """Save an image with a border that is bright for B and dark for A."""
    pixels = np.asarray(image).copy()
    value = 240 if path.parent.name == "B" else 10
    pixels[:6], pixels[-6:], pixels[:, :6], pixels[:, -6:] = (value,) * 4
    Image.fromarray(pixels).save(path)


def folded(seen: Survey, store: Store) -> Predictions:
    """Return cross-validated predictions of the probe of file and header.

    No two images are the same.
    """
    answers = probes.cross_validated(seen, np.arange(len(seen)), store)
    assert answers is not None
    return answers


def skill(answers: Predictions) -> float:
    return metrics.adjusted_balanced_accuracy(answers).value


@pytest.mark.parametrize("probe", probes.applicable(None), ids=lambda probe: probe.name)
def test_nothing_is_read_where_there_is_nothing(clean: Survey, store: Store, probe: probes.Probe) -> None:
    answers = probes.answers(clean, probe, store)
    assert answers.ids == tuple(clean.ids[row] for row in clean.of_split("test"))
    assert answers.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert abs(skill(answers)) < 0.5


def test_folds_of_train_and_validation_hold_no_test_image(tmp_path: Path, store: Store) -> None:
    """In test the border names the other class, which the folds do not show."""

    def save(image: Image.Image, path: Path) -> None:
        pixels = np.asarray(image).copy()
        bright = (path.parent.name == "B") is not (path.parts[-3] == "test")
        pixels[:6], pixels[-6:] = (240 if bright else 10,) * 2
        Image.fromarray(pixels).save(path)

    seen, probe = survey(splits(tree(tmp_path / "split", images=20, save=save)), store), probes.BORDER_PROBES[0]
    answers = probes.cross_validated(seen, np.arange(len(seen)), store, probe, splits=("train", "validation"))
    assert answers is not None
    assert len(answers) == 80
    assert not any(name.startswith("test/") for name in answers.ids)
    assert skill(answers) == 1
    assert skill(probes.answers(seen, probe, store)) == -1


@pytest.mark.parametrize("probe", probes.BORDER_PROBES, ids=lambda probe: probe.name)
def test_a_border_that_predicts_the_class_is_read(tmp_path: Path, store: Store, probe: probes.Probe) -> None:
    seen = survey(splits(tree(tmp_path / "border", images=20, save=with_border)), store)
    assert skill(probes.answers(seen, probe, store)) == 1


def test_a_border_probe_sees_no_pixel_of_the_middle(tmp_path: Path, store: Store) -> None:
    def middle(image: Image.Image, path: Path) -> None:
        pixels = np.asarray(image).copy()
        pixels[20:-20, 20:-20] = 240 if path.parent.name == "B" else 10
        Image.fromarray(pixels).save(path)

    seen = survey(splits(tree(tmp_path / "middle", images=20, save=middle)), store)
    assert abs(skill(probes.answers(seen, probes.BORDER_PROBES[1], store))) < 0.5
    assert skill(probes.answers(seen, probes.WHOLE, store)) == 1


def test_the_middle_removed_is_removed(tmp_path: Path, store: Store) -> None:
    def middle(image: Image.Image, path: Path) -> None:
        pixels = np.asarray(image).copy()
        pixels[30:-30, 30:-30] = 240 if path.parent.name == "B" else 10
        Image.fromarray(pixels).save(path)

    seen = survey(splits(tree(tmp_path / "middle", images=20, save=middle)), store)
    assert abs(skill(probes.answers(seen, probes.MIDDLES[0], store))) < 0.5


def by_format(image: Image.Image, path: Path) -> None:
    image.save(path.with_suffix(".jpg") if path.parent.name == "B" else path, quality=90)


def test_a_format_that_predicts_the_class_is_read_and_said(tmp_path: Path, store: Store) -> None:
    seen = survey(splits(tree(tmp_path / "formats", images=20, save=by_format)), store)
    assert skill(folded(seen, store)) == 1
    found = probes.rules(seen)
    assert "format JPEG ⇒ B, 60 of 60" in found
    assert "extension .png ⇒ A, 60 of 60" in found


def test_files_alike_in_all_classes_say_nothing(clean: Survey, store: Store) -> None:
    assert probes.rules(clean) == []
    assert abs(skill(folded(clean, store))) < 0.3


def test_a_rule_needs_images_enough(tmp_path: Path, store: Store) -> None:
    seen = survey(splits(tree(tmp_path / "few", images=1, save=by_format)), store)
    assert probes.rules(seen, least=4) == []
    assert probes.rules(seen, least=3)


def test_of_many_images_a_seeded_part_is_drawn_evenly_from_each_class(clean: Survey) -> None:
    rows = np.concatenate([np.flatnonzero(clean.labels == 0), np.flatnonzero(clean.labels == 1)[:4]])
    drawn = probes._drawn(clean, rows, 30)
    assert np.bincount(clean.labels[drawn]).tolist() == [15, 4]
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, probes._drawn(clean, rows, 30))
    np.testing.assert_array_equal(probes._drawn(clean, rows, len(rows)), rows)


def test_cross_validation_answers_every_image_that_can_be_read(tmp_path: Path, store: Store) -> None:
    images = tree(tmp_path / "broken", images=8)
    (images / "train/A/000.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    seen = survey(splits(images), store)
    assert set(folded(seen, store).ids) == set(seen.ids) - {"train/A/000.png"}


def test_a_probe_is_fitted_once(clean: Survey, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = probes.answers(clean, probes.WHOLE, store)
    monkeypatch.setattr(probes, "_answer", lambda *_: pytest.fail("fitted again"))
    np.testing.assert_array_equal(probes.answers(clean, probes.WHOLE, store).probabilities, first.probabilities)


def test_lungs_alone_and_removed_show_their_part(tmp_path: Path, store: Store) -> None:
    def lit(image: Image.Image, path: Path) -> None:
        """Brighten the left half of B, which the masks mark as lung."""
        pixels = np.asarray(image).copy()
        pixels[:, :48] = 240 if path.parent.name == "B" else 10
        Image.fromarray(pixels).save(path)
        half = np.zeros((96, 96), np.uint8)
        half[:, :48] = 255
        mask = path.parents[2] / "masks" / path.relative_to(path.parents[2])
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(half).save(mask)

    data = splits(tree(tmp_path / "lungs", images=16, save=lit), masks="masks/{id}")
    seen = survey(data, store)
    masks = tuple(path for part in (data.train, data.validation, data.test) for path in part.masks or ())
    alone, removed, outline = (probes.answers(seen, probe, store, masks) for probe in probes.ANATOMY)
    assert skill(alone) == 1
    assert abs(skill(removed)) < 0.6
    assert skill(outline) == 0


def test_a_mask_that_cannot_be_read_is_a_sentence(tmp_path: Path, store: Store) -> None:
    seen = survey(splits(tree(tmp_path / "images", images=4)), store)
    with pytest.raises(DataError, match=r"gone\.png"):
        probes.answers(seen, probes.ANATOMY[0], store, tuple([tmp_path / "gone.png"] * len(seen)))


def test_the_source_is_asked_for_as_a_class(tmp_path: Path, store: Store) -> None:
    seen = survey(splits(tree(tmp_path / "border", images=12, save=with_border)), store)
    sources = tuple("north" if label else "south" for label in seen.labels)
    predictions = probes.of_source(replace(seen, sources=sources), np.arange(len(seen)), store)
    assert predictions is not None
    assert predictions.classes == ("north", "south")
    assert skill(predictions) == 1
