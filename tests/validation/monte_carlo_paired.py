"""How often the intervals of mean losses and of changes miss a truth that is known, by drawing; as `simulation`."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate.arrays import DoubleArray, IntArray
from roentgate.candidates import Predictions
from roentgate.checks import comparison, robustness
from roentgate.stats import bootstrap_t, paired_difference
from tests.validation.exact import Entry, told_counts
from tests.validation.monte_carlo import RESAMPLES, Curves, Tally, percentiles, predictions, weights_of

POPULATION = 200_000
"""Images of which the true mean is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What the right temperature saves on softmax scores of three classes.

    Attributes:
        units: Images, or patients, in a sample.
        images: Images of each patient, all alike: the worst that patients can do.
        sharpened: What the scores are multiplied by: above 1 the answers are too sure, below 1 not sure enough.
    """

    units: int
    images: int
    sharpened: float

    def population(self, rng: np.random.Generator) -> DoubleArray:
        """Draw what each image's loss falls by when its scores are divided by ``sharpened``: (`POPULATION`,)."""
        scores = rng.normal(0, 2, (POPULATION, 3))
        honest, told = (special.log_softmax(each, axis=1) for each in (scores, self.sharpened * scores))
        place = (rng.random((POPULATION, 1)) > np.exp(honest).cumsum(axis=1)).sum(axis=1)
        rows, truth = np.arange(POPULATION), np.minimum(place, 2)
        return np.asarray(honest[rows, truth] - told[rows, truth], np.float64)


def gain_misses(gain: Gain, draws: int, rng: np.random.Generator) -> Entry:
    """Misses of `bootstrap_t`, and of the percentile bootstrap of the same units."""
    values = gain.population(rng)
    tally = Tally(float(values.mean()))
    weights = weights_of(gain.units, rng)
    sizes = np.full(gain.units, gain.images)
    for draw in range(draws):
        sample = np.sort(values[rng.integers(POPULATION, size=gain.units)])
        tally.add("studentised", *bootstrap_t(sample * gain.images, sizes, RESAMPLES, draw))
        tally.add("bootstrap", *percentiles(weights @ sample / gain.units))
    set_to: Entry = {
        "units": gain.units, "images": gain.images, "sharpened": gain.sharpened, "truth": tally.truth, "draws": draws,
    }  # fmt: skip
    return set_to | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Answers of which some become wrong, and some right, when the images are changed.

    Attributes:
        counts: Images of each class.
        clean: True recall of every class on the images as they are.
        lost: Share of all images of a class that are right before and wrong after.
        found: Share that are wrong before and right after.
        shared: Images of each class that are one patient's, all alike; the others are of a patient each.
    """

    counts: tuple[int, ...]
    clean: float
    lost: float
    found: float
    shared: int = 0


def drop_misses(change: Drop, draws: int, rng: np.random.Generator) -> Entry:
    """Misses of `roentgate.checks.robustness.balanced_accuracy`, where it is defined."""
    labels = np.repeat(np.arange(len(change.counts)), change.counts)
    place = np.concatenate([np.arange(count) for count in change.counts])
    patients = [f"p{row}" if place[row] >= change.shared else "shared" for row in range(len(labels))]
    groups = tuple(patients) if change.shared else None
    tally = Tally(change.lost - change.found)
    steps = np.cumsum([change.lost, change.clean - change.lost, change.found])
    for _ in range(draws):
        drawn = rng.random(len(labels))
        drawn[place < change.shared] = drawn[0]
        fate = np.searchsorted(steps, drawn, side="right")  # lost, kept, found, wrong throughout
        before, after = (
            replace(_right_where(labels, right), groups=groups) for right in (fate <= 1, (fate == 1) | (fate == 2))
        )
        estimate = robustness.balanced_accuracy(before, after)
        if estimate.defined:
            tally.add("drop", estimate.low, estimate.high)
    set_to: Entry = {
        "counts": told_counts(change.counts), "clean": change.clean, "lost": change.lost,
        "one_patient": change.shared, "truth": tally.truth, "draws": draws,
    }  # fmt: skip
    return set_to | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Normal scores of two models that see the same noise in part.

    Attributes:
        counts: Images of each class.
        area: True area of every curve of the reference.
        change: What the candidate's is less or more.
        shared: Correlation of the two models' scores within a class.
    """

    counts: tuple[int, ...]
    area: float
    change: float
    shared: float


def area_change_misses(areas: Areas, draws: int, rng: np.random.Generator) -> Entry:
    """Misses of `roentgate.checks.comparison.auroc_change`."""
    ends = (areas.area, areas.area + areas.change)
    models = [Curves(counts=areas.counts, area=area, icc=areas.shared) for area in ends]
    labels, tally = models[0].labels(), Tally(areas.change)
    for _ in range(draws):
        common = models[0].common(rng)
        before, now = (predictions(labels, model.scores(rng, common)) for model in models)
        estimate = comparison.auroc_change(before, now)
        tally.add("change", estimate.low, estimate.high)
    set_to: Entry = {
        "counts": told_counts(areas.counts), "area": areas.area, "truth": areas.change,
        "shared": areas.shared, "draws": draws,
    }  # fmt: skip
    return set_to | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows:
    """Images that go to the class of a border swap's donor, with a reference and, independently, with a candidate.

    Attributes:
        n: Images.
        reference: Share that goes there with a donor of that class only.
        candidate: The same of the candidate.
        control: Share that goes there only with a donor of the image's own class, in both.
    """

    n: int
    reference: float
    candidate: float
    control: float


def follow_change_misses(follows: Follows, draws: int, rng: np.random.Generator) -> Entry:
    """Misses of the difference of what `roentgate.checks.border.net_switches` bounds.

    The two models are judged apart.
    """
    tally = Tally(follows.candidate - follows.reference)
    outcomes = [
        rng.multinomial(follows.n, [share, follows.control, 1 - share - follows.control], size=draws)
        for share in (follows.reference, follows.candidate)
    ]
    for before, now in zip(*outcomes, strict=True):
        one, other = (paired_difference(int(ups), int(downs), follows.n) for ups, downs, _ in (before, now))
        change = comparison.difference(other, one)
        tally.add("change", change.low, change.high)
    set_to: Entry = {
        "n": follows.n, "reference": follows.reference, "candidate": follows.candidate, "control": follows.control,
        "truth": tally.truth, "draws": draws,
    }  # fmt: skip
    return set_to | tally.misses()


def _right_where(labels: IntArray, right: NDArray[np.bool_]) -> Predictions:
    """Answers that are right where they should be, and the next class elsewhere."""
    classes = int(labels.max()) + 1
    return predictions(labels, np.eye(classes)[np.where(right, labels, (labels + 1) % classes)])
