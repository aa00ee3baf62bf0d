"""Monte Carlo error rates of intervals: areas, grouped images, retained skill.

Each interval that decides verdicts is compared with common alternatives on the same draws. A miss *over* is an interval
wholly above the known truth, which would pass a floor that is not reached. A miss *under* is wholly below it. Both
should be 2.5 % or less.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate.arrays import DoubleArray, IntArray
from roentgate.candidates import Predictions
from roentgate.checks import retained_skill
from roentgate.stats import (
    TAIL,
    Estimate,
    grouped_difference,
    grouped_proportion,
    macro_auroc,
    paired_difference,
    proportion,
)
from tests.validation.exact import Entry, counts_text

RESAMPLES = 1000
"""Resamples of each bootstrap. The draws of one setting share their weights, which only adds noise."""

Shape = Literal["normal", "unequal", "skewed"]
"""Scores of a class and the rest: normal, normal with twice the spread for the class, or exponential."""


class Tally:
    """Counts the misses of several intervals of the same truth, by name."""

    def __init__(self, truth: float) -> None:
        self.truth = truth
        self._limits: dict[str, list[tuple[float, float]]] = {}

    def add(self, name: str, low: float, high: float) -> None:
        """Add the interval of one draw."""
        self._limits.setdefault(name, []).append((low, high))

    def entry(self) -> Entry:
        """Return the misses and the mean width of each interval.

        Misses are shares of the draws, over and under the truth.
        """
        return self._shares(width=True)

    def misses(self) -> Entry:
        """Return the misses alone, for intervals that may be unbounded."""
        return self._shares(width=False)

    def _shares(self, *, width: bool) -> Entry:
        made: Entry = {}
        for name, limits in self._limits.items():
            low, high = np.array(limits).T
            made |= {
                f"{name}_over": float((low > self.truth).mean()),
                f"{name}_under": float((high < self.truth).mean()),
            }
            if width:
                made[f"{name}_width"] = float((high - low).mean())
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Scores of K classes whose one-vs-rest areas are all known.

    Attributes:
        counts: Patients of each class, which are rows if each has one image.
        area: True area of each curve, 0.5 to 1.
        shape: How scores are distributed.
        images: Images of each patient.
        icc: Correlation of the scores of a patient's images, for normal scores only.
    """

    counts: tuple[int, ...]
    area: float
    shape: Shape = "normal"
    images: int = 1
    icc: float = 0.0

    def labels(self) -> IntArray:
        """Return the class of each row, (n,).

        The images of a patient are adjacent.
        """
        return np.repeat(np.arange(len(self.counts)), np.multiply(self.counts, self.images))

    def common(self, rng: np.random.Generator) -> DoubleArray:
        """Draw the score part that a patient's images share, (patients, K).

        Two classes have one column only.
        """
        classes = len(self.counts)
        return rng.normal(size=(sum(self.counts), 1 if classes == 2 else classes))

    def scores(self, rng: np.random.Generator, common: DoubleArray | None = None) -> DoubleArray:
        """Draw scores (n, K).

        The second of two columns is the negative of the first, as for a softmax of two classes. ``common`` comes from
        `common` and is shared by two models that see the same patients. None draws it anew.
        """
        labels, classes = self.labels(), len(self.counts)
        own = labels[:, None] == np.arange(1 if classes == 2 else classes)
        if self.shape == "skewed":
            scores = rng.exponential(np.where(own, self.area / (1 - self.area), 1.0))
        else:
            spread = 2.0 if self.shape == "unequal" else 1.0
            patients = (self.common(rng) if common is None else common).repeat(self.images, axis=0)
            noise = math.sqrt(self.icc) * patients + math.sqrt(1 - self.icc) * rng.normal(size=own.shape)
            shift = math.sqrt(1 + spread**2) * float(special.ndtri(self.area))
            scores = np.where(own, shift + spread * noise, noise)
        return np.hstack([scores, -scores]) if classes == 2 else scores

    def entry(self) -> Entry:
        """Return the setting, as cells of a table."""
        counts = counts_text(self.counts)
        return {"counts": counts, "truth": self.area, "shape": self.shape, "images": self.images, "icc": self.icc}


def area_misses(curves: Curves, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of `macro_auroc` and of a percentile bootstrap.

    The bootstrap resamples patients within each class.

    Returns:
        The misses, ``separated``, the share of draws that separate all classes perfectly, and the misses over the truth
        among these draws, if there are any. If patients have several images, ``macro`` groups images by patient and
        ``naive`` does not.
    """
    tally, separated = Tally(curves.area), Tally(curves.area)
    labels = curves.labels()
    patients = [str(patient) for patient in np.arange(sum(curves.counts)).repeat(curves.images)]
    weights = [rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float32) for n in curves.counts]
    perfect = 0
    for _ in range(draws):
        scores = curves.scores(rng)
        estimate = macro_auroc(labels, scores, groups=patients if curves.images > 1 else None)
        intervals = {"macro": (estimate.low, estimate.high), "bootstrap": _bootstrap_areas(curves, scores, weights)}
        if curves.images > 1:
            naive = macro_auroc(labels, scores)
            intervals["naive"] = naive.low, naive.high
        perfect += estimate.value == 1
        for name, limits in intervals.items():
            tally.add(name, *limits)
            if estimate.value == 1:
                separated.add(name, *limits)
    among: Entry = {f"separated_{name}": value for name, value in separated.entry().items() if name.endswith("over")}
    return curves.entry() | {"draws": draws} | tally.entry() | {"separated": perfect / draws} | among


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """Patients with several images each, with correlated answers (beta-binomial).

    Attributes:
        groups: Number of patients.
        images: Images of each patient. 0 stands for 1 to 9, drawn at random each time.
        icc: Correlation between the images of a patient.
        share: True share of hits.
    """

    groups: int
    images: int
    icc: float
    share: float

    def sizes(self, rng: np.random.Generator) -> IntArray:
        """Draw the number of images of each patient, (groups,)."""
        return np.full(self.groups, self.images) if self.images else rng.integers(1, 10, self.groups)

    def rates(self, rng: np.random.Generator, shares: Sequence[float]) -> DoubleArray:
        """Draw each patient's chances of the outcomes, (groups, outcomes).

        Their means are ``shares``.
        """
        if self.icc == 0:
            return np.tile(shares, (self.groups, 1))
        return rng.dirichlet(np.multiply(shares, 1 / self.icc - 1), self.groups)

    def entry(self) -> Entry:
        """Return the setting, as cells of a table."""
        return {"groups": self.groups, "images": self.images or "1 to 9", "icc": self.icc, "truth": self.share}


def grouped_misses(patients: Patients, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of three intervals of a share over patients.

    ``grouped`` is Korn and Graubard's, ``naive`` Clopper and Pearson's on all images, and ``bootstrap`` a cluster
    bootstrap.
    """
    tally = Tally(patients.share)
    weights = weights_of(patients.groups, rng)
    for _ in range(draws):
        sizes = patients.sizes(rng)
        rates = patients.rates(rng, [patients.share, 1 - patients.share])[:, 0]
        hits = rng.binomial(sizes, rates)
        tally.add("grouped", *_interval(grouped_proportion(_images(hits, sizes), _groups(sizes))))
        tally.add("naive", *_interval(proportion(int(hits.sum()), int(sizes.sum()))))
        tally.add("bootstrap", *percentiles((weights @ hits) / (weights @ sizes)))
    return patients.entry() | {"draws": draws} | tally.entry()


def grouped_difference_misses(patients: Patients, difference: float, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of three intervals of a paired difference over patients.

    ``grouped`` is Tango's at the effective size, ``naive`` Tango's on all images, ``bootstrap`` a cluster bootstrap.
    ``patients.share`` is the true share of discordant images, and ``difference`` the share gained minus the share lost.
    """
    tally = Tally(difference)
    weights = weights_of(patients.groups, rng)
    gained, lost = (patients.share + difference) / 2, (patients.share - difference) / 2
    for _ in range(draws):
        sizes = patients.sizes(rng)
        outcomes = rng.multinomial(sizes, patients.rates(rng, [gained, lost, 1 - patients.share]))
        ups, downs = outcomes[:, 0], outcomes[:, 1]
        up, up_or_down = _images(ups, sizes), _images(ups + downs, sizes)
        tally.add("grouped", *_interval(grouped_difference(up, up_or_down & ~up, _groups(sizes))))
        tally.add("naive", *_interval(paired_difference(int(ups.sum()), int(downs.sum()), int(sizes.sum()))))
        tally.add("bootstrap", *percentiles((weights @ (ups - downs)) / (weights @ sizes)))
    return patients.entry() | {"discordant": patients.share, "truth": difference, "draws": draws} | tally.entry()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Answers on whole and on masked images, with the chance that each is right.

    Attributes:
        counts: Rows of each class.
        clean: True recall of every class on the whole images.
        kept: True retained skill: the share of the skill that is left on the masked images.
        nested: Whether a row that is right when masked is right on the whole image too. Else the two are independent.
    """

    counts: tuple[int, ...]
    clean: float
    kept: float
    nested: bool


def skill_misses(skill: Skill, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of `retained_skill`.

    ``undefined`` is the share of draws without a value, which cannot miss.
    """
    classes = len(skill.counts)
    masked_recall = 1 / classes + skill.kept * (skill.clean - 1 / classes)
    labels = np.repeat(np.arange(classes), skill.counts)
    tally, undefined = Tally(skill.kept), 0
    for _ in range(draws):
        first, second = rng.random(len(labels)), rng.random(len(labels))
        whole = _answers(labels, first < skill.clean, classes, rng)
        masked = _answers(labels, (first if skill.nested else second) < masked_recall, classes, rng)
        estimate = retained_skill(whole, masked)
        undefined += not estimate.defined
        low, high = _interval(estimate)
        tally.add("kept", low, high)
    setting: Entry = {
        "counts": counts_text(skill.counts),
        "clean": skill.clean,
        "truth": skill.kept,
        "rows": "nested" if skill.nested else "independent",
        "draws": draws,
    }
    return setting | tally.misses() | {"undefined": undefined / draws}


def _answers(labels: IntArray, right: NDArray[np.bool_], classes: int, rng: np.random.Generator) -> Predictions:
    """Return predictions that are right in the given rows.

    Elsewhere another class is drawn.
    """
    wrong = (labels + rng.integers(1, classes, len(labels))) % classes
    return predictions(labels, np.eye(classes)[np.where(right, labels, wrong)])


def predictions(labels: IntArray, scores: DoubleArray) -> Predictions:
    """Return predictions of rows (n,) with scores (n, K) as probabilities."""
    ids, names = tuple(map(str, range(len(labels)))), tuple(f"class {index}" for index in range(scores.shape[1]))
    return Predictions(ids, names, labels, scores.astype(np.float32))


def _bootstrap_areas(
    curves: Curves, scores: DoubleArray, weights: Sequence[NDArray[np.float32]]
) -> tuple[float, float]:
    """Return the percentile interval of the mean area.

    Patients are resampled within each class.
    """
    labels, classes = curves.labels(), len(curves.counts)
    areas = np.zeros(RESAMPLES)
    judged = range(1 if classes == 2 else classes)  # the two columns of two classes have the same area
    for label in judged:
        own, rest = scores[labels == label, label], scores[labels != label, label]
        wins = (own[:, None] > rest).astype(np.float32)
        wins = wins.reshape(curves.counts[label], curves.images, -1, curves.images).sum(axis=(1, 3))
        others = np.hstack([part for index, part in enumerate(weights) if index != label])
        areas += ((weights[label] @ wins) * others).sum(axis=1) / (len(own) * len(rest))
    return percentiles(areas / len(judged))


def weights_of(groups: int, rng: np.random.Generator) -> DoubleArray:
    """Return how often each resample draws each group, (`RESAMPLES`, groups)."""
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES).astype(np.float64)


def percentiles(values: DoubleArray) -> tuple[float, float]:
    """Return the limits of a percentile bootstrap."""
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    return float(low), float(high)


def _images(hits: IntArray, sizes: IntArray) -> NDArray[np.bool_]:
    """Return whether each image is a hit, the hits of a patient first."""
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place < np.repeat(hits, sizes)


def _groups(sizes: IntArray) -> list[str]:
    return [str(patient) for patient in np.repeat(np.arange(len(sizes)), sizes)]


def _interval(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high
