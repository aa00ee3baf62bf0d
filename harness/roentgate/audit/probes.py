"""Cheap models on cut-down input: what can be scored on a data set without looking at the patient.

A probe is fitted on train and validation images and answers the test images, so that it is judged by the same metrics,
on the same rows, as a model. It is linear, or the nearest image, and never tuned: what it finds is there to be found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import FloatArray, IntArray
from roentgate.audit.scan import THUMBNAIL, ImageFacts, Survey
from roentgate.candidates import Predictions
from roentgate.code_key import code_digest
from roentgate.data import SPLITS, Header
from roentgate.data import images as images
from roentgate.store import Arrays, Store, digest

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

Family = Literal["file", "border", "outside", "middle removed", "summary", "anatomy", "whole"]

SIDE = 64
"""Side of the thumbnails that probes see."""
BORDER_WIDTHS = (0.05, 0.10)
REMOVED = (0.5, 0.6, 0.7)
"""Sides of the square that is hidden; of 80 and 90 % it leaves what the 10 and 5 % border are."""
LARGEST_FIT = 4000
"""Images a probe is fitted on at most, as many of each class: more would cost time and change little."""

_COMPONENTS = 64
_TREES = 200
_FOLDS = 5
_RARE = 2
_PURE = 0.95


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe is shown.

    Attributes:
        name: As in the scorecard.
        family: What kind of input it is.
        needs_masks: Whether lung masks are needed.
    """

    name: str
    family: Family
    needs_masks: bool = False


METADATA: Final = Probe("file and header", "file")
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
"""What is not the file, the border or the anatomy."""
PROBES: Final = (METADATA, *BORDER_PROBES, *MIDDLES, *SUMMARIES, *ANATOMY, WHOLE, NEAREST)


def applicable(masks: object) -> list[Probe]:
    """Return the probes that these images allow: those of the lungs only where there are masks."""
    return [probe for probe in PROBES if masks is not None or not probe.needs_masks]


def answers(seen: Survey, probe: Probe, store: Store, masks: tuple[Path, ...] | None = None) -> Predictions:
    """Return what a probe answers on the test images, fitted on train and validation; kept in the store.

    Args:
        seen: The images; those that cannot be read are left out of the fit, and get 1/K for each class.
        probe: Which.
        store: Where its answers are kept.
        masks: The lung mask of each row, for the probes that need them.
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


def cross_validated(seen: Survey, clusters: IntArray, store: Store, probe: Probe = METADATA) -> Predictions | None:
    """Return what a probe (of file and header) answers on images that can be read, fitted on the other folds.

    Five folds, stratified by class; images of one patient, and images that are the same, are in one fold. A class
    without two such units cannot be validated and is left out; None where fewer than two classes remain. Of many images
    20,000 are drawn.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    units = _units(seen, clusters)
    counts = [len(np.unique(units[(seen.labels == label) & seen.readable])) for label in range(len(seen.classes))]
    kept = [label for label, count in enumerate(counts) if count >= _RARE]
    if len(kept) < _RARE:
        return None
    rows = _drawn(seen, np.flatnonzero(seen.readable & np.isin(seen.labels, kept)), _FOLDS * LARGEST_FIT)
    asked = replace(
        seen, classes=tuple(seen.classes[label] for label in kept), labels=np.searchsorted(kept, seen.labels)
    )
    folds = min(_FOLDS, *(counts[label] for label in kept))
    key = digest("folds", probe.name, seen.fingerprint, _code())

    def compute() -> Arrays:
        shown, labels = _features(asked, probe, rows, None), asked.labels[rows]
        probabilities = np.full((len(rows), len(kept)), 1 / len(kept), np.float32)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        for fit, rest in splitter.split(shown, labels, units[rows]):
            probabilities[rest] = _answer(probe, shown[fit], labels[fit], shown[rest], asked)
        return {"probabilities": probabilities}

    return _predictions(asked, rows, store.arrays(key, compute)["probabilities"])


def _units(seen: Survey, clusters: IntArray) -> IntArray:
    """Return a number for each set of images that belong together: of one patient, or the same image."""
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
    """Return what the probe of the whole image answers when it is asked for the source; else as `cross_validated`."""
    names, sources = np.unique(np.asarray(seen.sources), return_inverse=True)
    asked = replace(seen, classes=tuple(names.tolist()), labels=sources.astype(np.int64))
    return cross_validated(asked, clusters, store, WHOLE)


def rules(seen: Survey, *, least: int = 5) -> list[str]:
    """Return the single facts of files that go with one class alone, in words: "mode L: Covid, 42 of 42".

    Args:
        seen: The images.
        least: Images that such a rule must cover at least.
    """
    rows = np.flatnonzero(seen.readable)
    labels = seen.labels[rows]
    shares = np.bincount(labels, minlength=len(seen.classes)) / max(len(labels), 1)
    found: list[tuple[int, str]] = []
    for what, values in facts([seen.images[row] for row in rows], [seen.paths[row] for row in rows]).items():
        for value in sorted(set(values)):
            hit = labels[[value == each for each in values]]
            counts = np.bincount(hit, minlength=len(seen.classes))
            label = int(counts.argmax())
            pure = counts[label] >= _PURE * len(hit) and shares[label] < _PURE
            if pure and len(hit) >= least:
                words = f"{what} {value} ⇒ {seen.classes[label]}, {counts[label]} of {len(hit)}"
                found.append((-len(hit), words))
    return [words for _, words in sorted(found)]


def facts(seen: Sequence[ImageFacts], paths: Sequence[Path]) -> Mapping[str, list[str]]:
    """Return what can be said of each file in a word, by what is said: mode, format, extension, size, ..."""

    def words(say: Callable[[Header], str]) -> list[str]:
        return ["unreadable" if image.header is None else say(image.header) for image in seen]

    return {
        "mode": words(lambda header: header.mode),
        "format": words(lambda header: header.format),
        "extension": [path.suffix or "none" for path in paths],
        "size": words(lambda header: f"{header.width}x{header.height}"),
        "bits": words(lambda header: str(header.bits)),
        "quantisation table": words(lambda header: header.quantisation or "none"),
        "EXIF": words(lambda header: "present" if header.exif else "absent"),
        "colour": ["present" if image.colour else "absent" for image in seen],
    }


def _predictions(seen: Survey, rows: IntArray, probabilities: FloatArray) -> Predictions:
    return Predictions(
        ids=tuple(seen.ids[row] for row in rows),
        classes=seen.classes,
        labels=seen.labels[rows],
        probabilities=probabilities,
        groups=None if seen.groups is None else tuple(seen.groups[row] for row in rows),
    )


def _drawn(seen: Survey, rows: IntArray, most: int) -> IntArray:
    """Return rows, of many about ``most``: as many of each class, and all of a class that has fewer."""
    if len(rows) <= most:
        return rows
    rng, share = np.random.default_rng(0), max(most // len(seen.classes), 1)
    parts = [rows[seen.labels[rows] == label] for label in range(len(seen.classes))]
    return np.sort(np.concatenate([rng.choice(part, min(share, len(part)), replace=False) for part in parts]))


def _answer(probe: Probe, fit: FloatArray, labels: IntArray, asked: FloatArray, seen: Survey) -> FloatArray:
    """Fit a probe and return its probabilities (n, K): 0 for a class it was not shown, chance where all look alike."""
    probabilities = np.zeros((len(asked), len(seen.classes)), np.float32)
    known = np.unique(labels)
    varied = (fit != fit[:1]).any(axis=0)
    if len(known) < _RARE or not varied.any():
        probabilities[:, known] = 1 / max(len(known), 1)
        return probabilities
    model = _model(probe, fit[:, varied])
    model.fit(fit[:, varied], labels)
    if len(asked):
        probabilities[:, known] = model.predict_proba(asked[:, varied])
    return probabilities


def _model(probe: Probe, fit: FloatArray) -> "ClassifierMixin":
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if probe is METADATA:
        return RandomForestClassifier(_TREES, class_weight="balanced", min_samples_leaf=2, random_state=0, n_jobs=1)
    if probe is NEAREST:
        return make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    linear = LogisticRegression(class_weight="balanced", max_iter=2000)
    components = min(_COMPONENTS, len(fit) - 1, fit.shape[1])
    if components < fit.shape[1]:
        return make_pipeline(PCA(components, random_state=0), StandardScaler(), linear)
    return make_pipeline(StandardScaler(), linear)


def _features(seen: Survey, probe: Probe, rows: IntArray, masks: tuple[Path, ...] | None) -> FloatArray:
    """Return what a probe is shown of each row: float32 (n, features)."""
    if probe is METADATA:
        return _metadata(seen, rows)
    if probe.name == "mean and deviation":
        return np.array([[seen.images[row].mean, seen.images[row].deviation] for row in rows], np.float32)
    if probe.name == "histogram of greys":
        return np.array([seen.images[row].histogram for row in rows], np.float32)
    kept = _kept(probe)
    share = THUMBNAIL // SIDE
    parts = [np.zeros((0, SIDE * SIDE), np.float32)]
    for start in range(0, len(rows), 512):
        block = rows[start : start + 512]
        images = seen.thumbnails(block).astype(np.float32) / 255
        small = images.reshape(len(block), SIDE, share, SIDE, share).mean(axis=(2, 4))
        if probe.needs_masks and masks is not None:
            small = _by_lungs(probe, small, _lungs([masks[row] for row in block]))
        parts.append(small.reshape(len(block), -1))
    shown = np.concatenate(parts)
    return shown if kept is None else shown[:, kept.reshape(-1)]


def _kept(probe: Probe) -> NDArray[np.bool_] | None:
    """Return which pixels of a thumbnail a probe is shown; None for all."""
    if probe in BORDER_PROBES:
        return ~_middle(1 - 2 * BORDER_WIDTHS[BORDER_PROBES.index(probe)])
    if probe in MIDDLES:
        return ~_middle(REMOVED[MIDDLES.index(probe)])
    return None


def _middle(share: float) -> NDArray[np.bool_]:
    """Return the square in the middle whose side is this share of the image's."""
    edge = round((1 - share) / 2 * SIDE)
    inside = np.zeros((SIDE, SIDE), np.bool_)
    inside[edge : SIDE - edge, edge : SIDE - edge] = True
    return inside


def _lungs(masks: list[Path]) -> FloatArray:
    """Return masks (n, 64, 64), 0 to 1, whatever number stands for lung; 0 everywhere where a mask is empty."""
    read = np.stack([images.unit(images.read(path, (SIDE, SIDE, 1), "box"))[:, :, 0] for path in masks])
    lungs: FloatArray = read / np.maximum(read.max(axis=(1, 2), keepdims=True), np.float32(1e-6))
    return lungs


def _by_lungs(probe: Probe, images: FloatArray, lungs: FloatArray) -> FloatArray:
    """Return the lungs alone, everything else alone, or the outline; what is hidden becomes the image's mean."""
    if probe.name == "outline of the lungs":
        return lungs
    shown = lungs if probe.name == "lungs alone" else 1 - lungs
    weight = np.maximum(shown.sum(axis=(1, 2), keepdims=True), 1e-6)
    mean = (images * shown).sum(axis=(1, 2), keepdims=True) / weight
    cut: FloatArray = images * shown + mean * (1 - shown)
    return cut


def _metadata(seen: Survey, rows: IntArray) -> FloatArray:
    """Return numbers of a file and its header, and one column for each value of its words that occurs."""
    numbers = np.zeros((len(seen), 5), np.float32)
    for row, image in enumerate(seen.images):
        header = image.header
        if header is not None:
            area = header.width * header.height
            numbers[row] = header.width, header.height, header.width / header.height, header.size, header.size / area
    parts = [numbers]
    for values in facts(seen.images, seen.paths).values():
        known = sorted(set(values))[:64]
        parts.append(np.array([[value == each for each in known] for value in values], np.float32))
    return np.concatenate(parts, axis=1)[rows]
