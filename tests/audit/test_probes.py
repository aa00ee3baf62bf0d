"""Probes find planted shortcuts in their input, and none in clean images."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from roentgate.audit import file_facts, probes
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


def by_content(image: Image.Image, path: Path) -> Image.Image:
    """Return an image whose class shows in how well it compresses."""
    if path.parent.name == "A":
        return image
    noise = np.random.default_rng(int(path.stem)).normal(0, 12, (image.height, image.width))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def as_tiff(image: Image.Image, path: Path, compression: str) -> None:
    by_content(image, path).save(path.with_suffix(".tif"), compression=compression)


def as_jpeg(image: Image.Image, path: Path, **settings: int) -> None:
    by_content(image, path).save(path.with_suffix(".jpg"), **settings)  # type: ignore[arg-type]


SOUND_FILES: dict[str, Callable[[Image.Image, Path], None]] = {
    "PNG": lambda image, path: by_content(image, path).save(path),
    "PNG of the fastest level": lambda image, path: by_content(image, path).save(path, compress_level=1),
    "PNG of the highest level": lambda image, path: by_content(image, path).save(path, optimize=True),
    "PNG in colour": lambda image, path: by_content(image, path).convert("RGB").save(path),
    "JPEG": lambda image, path: as_jpeg(image, path, quality=90),
    "JPEG of low quality": lambda image, path: as_jpeg(image, path, quality=30),
    "optimised JPEG": lambda image, path: as_jpeg(image, path, optimize=True),
    "progressive JPEG": lambda image, path: as_jpeg(image, path, progressive=True),
    "JPEG of any quality": lambda image, path: as_jpeg(image, path, quality=70 + 10 * (int(path.stem) % 3)),
    "BMP": lambda image, path: by_content(image, path).save(path.with_suffix(".bmp")),
    "GIF": lambda image, path: by_content(image, path).save(path.with_suffix(".gif")),
    "TIFF by LZW": lambda image, path: as_tiff(image, path, "tiff_lzw"),
    "TIFF, raw": lambda image, path: as_tiff(image, path, "raw"),
}


@pytest.mark.parametrize("save", SOUND_FILES.values(), ids=SOUND_FILES)
def test_files_saved_alike_say_nothing_by_their_size(
    tmp_path: Path, store: Store, save: Callable[[Image.Image, Path], None]
) -> None:
    seen = survey(splits(tree(tmp_path / "sound", images=10, save=save)), store)
    assert all(image.encoded for image in seen.images)
    assert (file_facts.excess(seen) == 0).mean() > 0.97
    assert abs(skill(folded(seen, store))) < 0.25
    sizes = probes.cross_validated(seen, np.arange(len(seen)), store, probes.SIZE)
    assert sizes is not None
    assert (skill(sizes) > 0.9) == all(name not in save_name(save) for name in ("BMP", "raw"))


def save_name(save: Callable[[Image.Image, Path], None]) -> str:
    return next(name for name, each in SOUND_FILES.items() if each is save)


def with_text(length: int) -> PngInfo:
    text = PngInfo()
    text.add_text("Comment", "x" * length)
    return text


SPOILED_FILES: dict[str, Callable[[Image.Image, Path], None]] = {
    "a faster level": lambda image, path: image.save(path, compress_level=1),
    "a higher level": lambda image, path: image.save(path, optimize=True),
    "a short text": lambda image, path: image.save(path, pnginfo=with_text(30)),
    "a long text": lambda image, path: image.save(path, pnginfo=with_text(5000)),
}
SPOILED_JPEGS: dict[str, dict[str, object]] = {
    "another quality": {"quality": 95},
    "another sampling": {"subsampling": 0},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "a comment": {"comment": b"scanned at the second site"},
    "a colour profile": {"icc_profile": b"x" * 500},
}


@pytest.mark.parametrize("save", SPOILED_FILES.values(), ids=SPOILED_FILES)
def test_files_of_one_class_saved_otherwise_are_told(
    tmp_path: Path, store: Store, save: Callable[[Image.Image, Path], None]
) -> None:
    def by_class(image: Image.Image, path: Path) -> None:
        if path.parent.name == "B":
            save(image, path)
        else:
            image.save(path)

    seen = survey(splits(tree(tmp_path / "spoiled", images=6, save=by_class)), store)
    assert skill(folded(seen, store)) > 0.9


@pytest.mark.parametrize("settings", SPOILED_JPEGS.values(), ids=SPOILED_JPEGS)
def test_jpegs_of_one_class_saved_otherwise_are_told(tmp_path: Path, store: Store, settings: dict[str, object]) -> None:
    def by_class(image: Image.Image, path: Path) -> None:
        image.convert("RGB").save(path.with_suffix(".jpg"), **(settings if path.parent.name == "B" else {}))  # type: ignore[arg-type]

    seen = survey(splits(tree(tmp_path / "spoiled", images=6, save=by_class)), store)
    assert skill(folded(seen, store)) > 0.9


def test_pixels_of_one_class_that_compress_worse_than_they_need_are_told(tmp_path: Path, store: Store) -> None:
    def padded(image: Image.Image, path: Path) -> None:
        """Save a class without filters, which the header does not say."""
        if path.parent.name == "A":
            image.save(path)
            return
        lines = b"".join(b"\0" + line.tobytes() for line in np.asarray(image))
        chunks = [(b"IHDR", struct.pack(">IIBBBBB", image.width, image.height, 8, 0, 0, 0, 0))]
        chunks += [(b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")]
        body = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))

    seen = survey(splits(tree(tmp_path / "unfiltered", images=6, save=padded)), store)
    assert skill(folded(seen, store)) > 0.9


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
