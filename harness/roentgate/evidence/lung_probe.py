"""A linear probe that sees the lungs alone, as positive control of the background swap.

It cannot use the background. So it shows whether a swap leaves in the lungs what tells the classes apart. Both lungs
are moved into one place that is alike on all images, and their greys are standardised within each image, since a swap
changes the exposure.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from roentgate.arrays import Array, BoolArray, FloatArray, Images, IntArray
from roentgate.candidates import Candidate
from roentgate.data import Dataset
from roentgate.lungs import LungFields, LungPerturbations, lung_fields
from roentgate.perturbations import regions

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

LARGEST = 2000
"""Most train images that are used, equally many of each class. More would cost time and change little."""
SIDE = 64
"""Most pixels of the longer side of an image that the probe sees."""

_COMPONENTS = 64
_BATCH = 64


def sample(train: Dataset) -> Dataset:
    """Return the images of train, or as many of each class as `LARGEST` allows, evenly spaced."""
    if len(train) <= LARGEST:
        return train
    share = LARGEST // len(train.classes)
    rows = []
    for label in range(len(train.classes)):
        own = np.flatnonzero(train.labels == label)
        rows += own[np.linspace(0, len(own) - 1, min(share, len(own))).round().astype(np.int64)].tolist()
    return train.part(rows)


def answers(candidate: Candidate, perturbations: LungPerturbations) -> Mapping[str, Array]:
    """Return the probabilities of the probe on the test images with a trusted lung field.

    The probe is fitted on train.

    Returns:
        ``clean``: float32 (m, K) on the images as they are. ``swapped``: the same on lungs in the background of an
        image of another class. NaN if train has fewer than two classes with a trusted lung field, or no row.
    """
    train, test = sample(candidate.splits.train), perturbations.test
    fields, rows = lung_fields(train, candidate.store), perturbations.rows
    fit = np.flatnonzero(fields.trusted)
    known = np.unique(train.labels[fit])
    empty = np.full((len(rows), len(test.classes)), np.nan, np.float32)
    if len(known) < 2 or not len(rows):
        return {"clean": empty, "swapped": empty.copy()}
    template = _place(fields, fit)
    model = _model(len(fit), int(template.sum()))
    model.fit(_seen_rows(train, fields, fit, template), train.labels[fit])
    partners = np.where(perturbations.background[rows] >= 0, perturbations.background[rows], rows)
    result = {"clean": empty, "swapped": empty.copy()}
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        own, holes = perturbations.fields.take(rows[part]), perturbations.fields.take(partners[part])
        swapped = perturbations.altered(test.take(rows[part]), rows[part], "swapped")
        for name, images, masks in (("clean", test.take(rows[part]), own), ("swapped", swapped, holes)):
            result[name][part] = 0
            result[name][part][:, known] = model.predict_proba(seen(images, masks, template))
    return result


def seen(images: Images, masks: BoolArray, template: BoolArray) -> FloatArray:
    """Return the lungs of images as the probe sees them, float32 (n, p).

    What is not lung has the mean grey of the lungs.

    Args:
        images: float32 (n, H, W, C).
        masks: bool (n, H, W), their lungs.
        template: bool (h, w), the place that all lungs are moved into, of p pixels.
    """
    found = np.zeros((len(images), int(template.sum())), np.float32)
    for target, image, mask in zip(found, images, masks, strict=True):
        grey, lungs = _reduced(image.mean(axis=2)), _reduced(mask.astype(np.float32)) > 0.5
        if lungs.any():
            grey = np.where(lungs, grey, grey[lungs].mean())
            pixels = regions.fitted(grey[..., None], lungs, template)[template, 0]
            target[:] = (pixels - pixels.mean()) / max(float(pixels.std()), 1e-3)
    return found


def _seen_rows(data: Dataset, fields: LungFields, rows: IntArray, template: BoolArray) -> FloatArray:
    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    return np.concatenate([seen(data.take(part), fields.take(part), template) for part in parts])


def _place(fields: LungFields, rows: IntArray) -> BoolArray:
    """Return the pixels that are lung in at least half of the fields, bool (h, w)."""
    counts = np.zeros(fields.shape, np.float32)
    for start in range(0, len(rows), _BATCH):
        counts += fields.take(rows[start : start + _BATCH]).sum(axis=0)
    place: BoolArray = _reduced(counts / np.float32(max(len(rows), 1))) >= 0.5
    return place if place.any() else np.ones_like(place)


def _reduced(image: FloatArray) -> FloatArray:
    """Return an image (H, W), averaged over blocks so that no side exceeds `SIDE` pixels."""
    step = -(-max(image.shape) // SIDE)
    height, width = (side - side % step for side in image.shape)
    blocks = image[:height, :width].reshape(height // step, step, width // step, step)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _model(n: int, pixels: int) -> "ClassifierMixin":
    """Return the probe: logistic regression on the principal components of the pixels."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    components = min(_COMPONENTS, n - 1, pixels)
    return make_pipeline(PCA(components, random_state=0), LogisticRegression(class_weight="balanced", max_iter=2000))
