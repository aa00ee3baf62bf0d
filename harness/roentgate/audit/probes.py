"""Probes: cheap models on reduced input, such as the border of an image.

They show how well the classes of a data set can be predicted without its lungs. A probe is fitted on train and
validation images and predicts the test images, so that it is judged by the same metrics, on the same rows, as a model.
Probes of pixels are linear or return the nearest image's class. No probe is tuned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray, IntArray
from roentgate.audit import file_facts
from roentgate.audit.scan import THUMBNAIL, Survey
from roentgate.candidates import Predictions
from roentgate.code_key import code_digest
from roentgate.data import SPLITS, SplitName, images
from roentgate.store import Arrays, Store, digest

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

Family = Literal["file", "border", "outside", "middle removed", "summary", "anatomy", "whole"]

SIDE = 64
"""Side in pixels of the thumbnails that probes see."""
BORDER_WIDTHS = (0.05, 0.10)
REMOVED = (0.5, 0.6, 0.7)
"""Sides of the square that is masked, as shares of the image's.

With 0.8 and 0.9 the rest would be the 10 and 5 % borders.
"""
LARGEST_FIT = 4000
"""Most images that a probe is fitted on, equally many of each class.

More would cost time and change little.
"""

_COMPONENTS = 64
_TREES = 200
_FOLDS = 5
_RARE = 2
_PURE = 0.95


@dataclass(frozen=True, slots=True)
class Probe:
    """The input of a probe.

    Attributes:
        name: Its name in the scorecard.
        family: The kind of input.
        needs_masks: Whether it needs lung masks.
    """

    name: str
    family: Family
    needs_masks: bool = False


METADATA: Final = Probe("file and header", "file")
SIZE: Final = Probe("size of the file", "file")
"""Not among `PROBES`, since the size of a compressed file follows from what the image shows."""
WHOLE: Final = Probe("whole image, 64x64", "whole")
NEAREST: Final = Probe("nearest whole image", "whole")
BORDER_PROBES: Final = tuple(Probe(f"{100 * width:g} % border alone", "border") for width in BORDER_WIDTHS)
MIDDLES: Final = tuple(Probe(f"middle {100 * share:g} % removed", "middle removed") for share in REMOVED)
SUMMARIES: Final = (Probe("mean and deviation", "summary"), Probe("histogram of greys", "summary"))
ANATOMY: Final = (
    Probe("lungs alone", "anatomy", needs_masks=True),
    Probe("lungs removed", "outside", needs_masks=True),
    Probe("outline of the lungs", "outside", needs_masks=True),
)
PIXELS: Final = (*MIDDLES, *SUMMARIES, WHOLE, NEAREST)
"""Probes of pixels other than the border and the anatomy."""
PROBES: Final = (METADATA, *BORDER_PROBES, *MIDDLES, *SUMMARIES, *ANATOMY, WHOLE, NEAREST)
WITHOUT_LUNGS: Final = (BORDER_PROBES[1], BORDER_PROBES[0], *ANATOMY[1:])
"""Probes that see no lung tissue: at most a tenth of the side is shown, or the lungs are masked.

A model that is no better than these has not shown that it uses the lungs. File and header are not among them, because
no model reads them.
"""
WITH_LUNGS: Final = (WHOLE, NEAREST, *MIDDLES, *SUMMARIES)
"""Probes that see the lungs, whole, in part (15 % of the side and more), or as greys without their place.

A model that is no better than these may read the lungs, but is not worth a network.
"""


def applicable(masks: object) -> list[Probe]:
    """Return the probes that need no masks, or all if there are masks."""
    return [probe for probe in PROBES if masks is not None or not probe.needs_masks]


def answers(seen: Survey, probe: Probe, store: Store, masks: tuple[Path, ...] | None = None) -> Predictions:
    """Return the predictions of a probe on the test images.

    It is fitted on train and validation, once for the same images.

    Args:
        seen: The images. Those that cannot be read are left out of the fit, and get 1/K for each class.
        probe: The probe.
        store: Keeps its predictions.
        masks: The lung mask of each row, for the probes that need them.

    Raises:
        DataError: A mask cannot be read.
    """
    key = digest("probe", probe.name, seen.fingerprint, _code(), images.file_digests(masks or ()))
    test = seen.of_split("test")
    readable = seen.readable[test]
    fit = _drawn(seen, np.flatnonzero((seen.split != SPLITS.index("test")) & seen.readable), LARGEST_FIT)

    def compute() -> Arrays:
        shown = _features(seen, probe, np.concatenate([fit, test[readable]]), masks)
        probabilities = np.full((len(test), len(seen.classes)), 1 / len(seen.classes), np.float32)
        probabilities[readable] = _answer(probe, shown[: len(fit)], seen.labels[fit], shown[len(fit) :], seen)
        return {"probabilities": probabilities}

    return _predictions(seen, test, store.arrays(key, compute)["probabilities"])


def cross_validated(  # noqa: PLR0913  images, probe, and which of them
    seen: Survey,
    clusters: IntArray,
    store: Store,
    probe: Probe = METADATA,
    *,
    splits: Sequence[SplitName] = SPLITS,
    masks: tuple[Path, ...] | None = None,
) -> Predictions | None:
    """Return the cross-validated predictions of a probe on all readable images.

    There are five folds, stratified by class. Images of one patient, and images that are the same, are one unit and lie
    in one fold. A class without two units cannot be validated and is left out. Of more than 20,000 images about as many
    are drawn.

    Args:
        seen: The images.
        clusters: int64 (n,) a number for each set of images that are the same.
        store: Keeps the predictions.
        probe: The probe, by default that of file and header.
        splits: The splits whose images are used, by default all. Of fewer, as many images are drawn as for a fit.
        masks: The lung mask of each row, for the probes that need them.

    Returns:
        The predictions, or None if fewer than two classes can be validated.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    units = _units(seen, clusters)
    usable = seen.readable & np.isin(seen.split, [SPLITS.index(split) for split in splits])
    counts = [len(np.unique(units[(seen.labels == label) & usable])) for label in range(len(seen.classes))]
    kept = [label for label, count in enumerate(counts) if count >= _RARE]
    if len(kept) < _RARE:
        return None
    most = _FOLDS * LARGEST_FIT if tuple(splits) == SPLITS else LARGEST_FIT
    rows = _drawn(seen, np.flatnonzero(usable & np.isin(seen.labels, kept)), most)
    asked = replace(
        seen, classes=tuple(seen.classes[label] for label in kept), labels=np.searchsorted(kept, seen.labels)
    )
    folds = min(_FOLDS, *(counts[label] for label in kept))
    key = digest("folds", probe.name, seen.fingerprint, _code(), list(splits), images.file_digests(masks or ()))

    def compute() -> Arrays:
        shown, labels = _features(asked, probe, rows, masks), asked.labels[rows]
        probabilities = np.full((len(rows), len(kept)), 1 / len(kept), np.float32)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        for fit, rest in splitter.split(shown, labels, units[rows]):
            probabilities[rest] = _answer(probe, shown[fit], labels[fit], shown[rest], asked)
        return {"probabilities": probabilities}

    return _predictions(asked, rows, store.arrays(key, compute)["probabilities"])


def _units(seen: Survey, clusters: IntArray) -> IntArray:
    """Return a number for each set of images that must not be separated.

    They are of one patient, or are the same.
    """
    if seen.groups is None:
        return clusters
    from scipy import sparse

    groups = np.unique(np.asarray(seen.groups), return_inverse=True)[1] + clusters.max() + 1
    size = int(groups.max()) + 1
    links = sparse.coo_matrix((np.ones(len(groups)), (clusters, groups)), shape=(size, size))
    joined: IntArray = sparse.csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    return joined[clusters]


def _code() -> str:
    return digest(code_digest(__name__), version("scikit-learn"))


def of_source(seen: Survey, clusters: IntArray, store: Store) -> Predictions | None:
    """Return cross-validated predictions of the source by the whole image.

    Arguments and result are otherwise as those of `cross_validated`.
    """
    names, sources = np.unique(np.asarray(seen.sources), return_inverse=True)
    asked = replace(seen, classes=tuple(names.tolist()), labels=sources.astype(np.int64))
    return cross_validated(asked, clusters, store, WHOLE)


def rules(seen: Survey, *, least: int = 5) -> list[str]:
    """Return the single facts of files that predict a class, as text.

    Args:
        seen: The images.
        least: Fewest images that such a rule must cover.

    Returns:
        Rules such as "mode L ⇒ Covid, 42 of 42", those that cover most images first.
    """
    rows = np.flatnonzero(seen.readable)
    labels = seen.labels[rows]
    shares = np.bincount(labels, minlength=len(seen.classes)) / max(len(labels), 1)
    found: list[tuple[int, str]] = []
    for name, values in file_facts.facts([seen.images[row] for row in rows], [seen.paths[row] for row in rows]).items():
        for value in sorted(set(values)):
            covered = labels[[other == value for other in values]]
            counts = np.bincount(covered, minlength=len(seen.classes))
            label = int(counts.argmax())
            pure = counts[label] >= _PURE * len(covered) and shares[label] < _PURE
            if pure and len(covered) >= least:
                rule = f"{name} {value} ⇒ {seen.classes[label]}, {counts[label]} of {len(covered)}"
                found.append((-len(covered), rule))
    return [rule for _, rule in sorted(found)]


def _predictions(seen: Survey, rows: IntArray, probabilities: FloatArray) -> Predictions:
    return Predictions(
        ids=tuple(seen.ids[row] for row in rows),
        classes=seen.classes,
        labels=seen.labels[rows],
        probabilities=probabilities,
        groups=None if seen.groups is None else tuple(seen.groups[row] for row in rows),
    )


def _drawn(seen: Survey, rows: IntArray, most: int) -> IntArray:
    """Return all rows, or about ``most`` of them if there are more.

    Equally many are drawn from each class, and all of a class that has fewer.
    """
    if len(rows) <= most:
        return rows
    rng, share = np.random.default_rng(0), max(most // len(seen.classes), 1)
    parts = [rows[seen.labels[rows] == label] for label in range(len(seen.classes))]
    return np.sort(np.concatenate([rng.choice(part, min(share, len(part)), replace=False) for part in parts]))


def _answer(probe: Probe, fit: FloatArray, labels: IntArray, test: FloatArray, seen: Survey) -> FloatArray:
    """Fit a probe and return its probabilities (n, K).

    A class that is absent from the fit gets 0. If all images of the fit look alike, its classes get equal shares.
    """
    probabilities = np.zeros((len(test), len(seen.classes)), np.float32)
    known = np.unique(labels)
    varied = (fit != fit[:1]).any(axis=0)
    if len(known) < _RARE or not varied.any():
        probabilities[:, known] = 1 / max(len(known), 1)
        return probabilities
    model = _model(probe, fit[:, varied])
    model.fit(fit[:, varied], labels)
    if len(test):
        probabilities[:, known] = model.predict_proba(test[:, varied])
    return probabilities


def _model(probe: Probe, fit: FloatArray) -> "ClassifierMixin":
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if probe in {METADATA, SIZE}:
        return RandomForestClassifier(_TREES, class_weight="balanced", min_samples_leaf=2, random_state=0, n_jobs=1)
    if probe is NEAREST:
        return make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    linear = LogisticRegression(class_weight="balanced", max_iter=2000)
    components = min(_COMPONENTS, len(fit) - 1, fit.shape[1])
    if components < fit.shape[1]:
        return make_pipeline(PCA(components, random_state=0), StandardScaler(), linear)
    return make_pipeline(StandardScaler(), linear)


def _features(seen: Survey, probe: Probe, rows: IntArray, masks: tuple[Path, ...] | None) -> FloatArray:
    """Return the input of a probe for each row, float32 (n, features)."""
    if probe is METADATA:
        return file_facts.metadata(seen, rows)
    if probe is SIZE:
        return file_facts.sizes(seen, rows)
    if probe.name == "mean and deviation":
        return np.array([[seen.images[row].mean, seen.images[row].deviation] for row in rows], np.float32)
    if probe.name == "histogram of greys":
        return np.array([seen.images[row].histogram for row in rows], np.float32)
    kept = _kept(probe)
    share = THUMBNAIL // SIDE
    parts = [np.zeros((0, SIDE * SIDE), np.float32)]
    for start in range(0, len(rows), 512):
        block = rows[start : start + 512]
        thumbnails = seen.thumbnails(block).astype(np.float32) / 255
        small = thumbnails.reshape(len(block), SIDE, share, SIDE, share).mean(axis=(2, 4))
        if probe.needs_masks and masks is not None:
            small = _by_lungs(probe, small, _lungs([masks[row] for row in block]))
        parts.append(small.reshape(len(block), -1))
    pixels = np.concatenate(parts)
    return pixels if kept is None else pixels[:, kept.reshape(-1)]


def _kept(probe: Probe) -> NDArray[np.bool_] | None:
    """Return which pixels of a thumbnail a probe sees, or None for all."""
    if probe in BORDER_PROBES:
        return ~_middle(1 - 2 * BORDER_WIDTHS[BORDER_PROBES.index(probe)])
    if probe in MIDDLES:
        return ~_middle(REMOVED[MIDDLES.index(probe)])
    return None


def _middle(share: float) -> NDArray[np.bool_]:
    """Return a central square whose side is this share of the image's."""
    edge = round((1 - share) / 2 * SIDE)
    inside = np.zeros((SIDE, SIDE), np.bool_)
    inside[edge : SIDE - edge, edge : SIDE - edge] = True
    return inside


def _lungs(masks: list[Path]) -> FloatArray:
    """Return masks (n, 64, 64), scaled to 0 to 1.

    Any value may stand for lung in the files. An empty mask is 0 everywhere.
    """
    read = np.stack([images.unit(images.read(path, (SIDE, SIDE, 1), "box"))[:, :, 0] for path in masks])
    lungs: FloatArray = read / np.maximum(read.max(axis=(1, 2), keepdims=True), np.float32(1e-6))
    return lungs


def _by_lungs(probe: Probe, thumbnails: FloatArray, lungs: FloatArray) -> FloatArray:
    """Return the lungs alone, everything else alone, or the lungs' outline.

    What is masked is replaced by the mean of what is visible.
    """
    if probe.name == "outline of the lungs":
        return lungs
    visible = lungs if probe.name == "lungs alone" else 1 - lungs
    weight = np.maximum(visible.sum(axis=(1, 2), keepdims=True), 1e-6)
    mean = (thumbnails * visible).sum(axis=(1, 2), keepdims=True) / weight
    masked: FloatArray = thumbnails * visible + mean * (1 - visible)
    return masked
