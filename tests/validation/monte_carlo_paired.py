"""Monte Carlo error rates of intervals: changes and mean losses.

Misses are counted as in `monte_carlo`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate import perturbations
from roentgate.arrays import DoubleArray, IntArray
from roentgate.candidates import Predictions
from roentgate.checks import border, comparison, robustness
from roentgate.stats import bootstrap_t, differences, paired_difference
from tests.validation.exact import Entry, counts_text
from tests.validation.monte_carlo import RESAMPLES, Curves, Tally, percentiles, predictions, weights_of

POPULATION = 200_000
"""Images whose mean is taken as the true mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Log loss that the right temperature saves on scores of three classes.

    Attributes:
        units: Images, or patients, in a sample.
        images: Images of each patient, all alike, which is the strongest possible correlation.
        sharpened: Factor of the scores. Above 1 the answers are over-confident, below 1 under-confident.
    """

    units: int
    images: int
    sharpened: float

    def population(self, rng: np.random.Generator) -> DoubleArray:
        """Draw the gain of each image, (`POPULATION`,).

        The gain is the fall of its loss when its scores are divided by ``sharpened``.
        """
        scores = rng.normal(0, 2, (POPULATION, 3))
        calibrated, sharpened = (special.log_softmax(each, axis=1) for each in (scores, self.sharpened * scores))
        place = (rng.random((POPULATION, 1)) > np.exp(calibrated).cumsum(axis=1)).sum(axis=1)
        rows, truth = np.arange(POPULATION), np.minimum(place, 2)
        return np.asarray(calibrated[rows, truth] - sharpened[rows, truth], np.float64)


def gain_misses(gain: Gain, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of `bootstrap_t` and of the percentile bootstrap."""
    values = gain.population(rng)
    tally = Tally(float(values.mean()))
    weights = weights_of(gain.units, rng)
    sizes = np.full(gain.units, gain.images)
    for draw in range(draws):
        sample = np.sort(values[rng.integers(POPULATION, size=gain.units)])
        tally.add("studentised", *bootstrap_t(sample * gain.images, sizes, RESAMPLES, draw))
        tally.add("bootstrap", *percentiles(weights @ sample / gain.units))
    setting: Entry = {
        "units": gain.units,
        "images": gain.images,
        "sharpened": gain.sharpened,
        "truth": tally.truth,
        "draws": draws,
    }
    return setting | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Answers of which some change when the images are changed.

    Attributes:
        counts: Images of each class.
        clean: True recall of every class on the images as they are.
        lost: Share of all images of a class that are right before and wrong after.
        found: Share that are wrong before and right after.
        shared: Images of each class that belong to one patient and are all alike. Each other image has its own patient.
    """

    counts: tuple[int, ...]
    clean: float
    lost: float
    found: float
    shared: int = 0


def drop_misses(change: Drop, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of `roentgate.checks.robustness.balanced_accuracy`.

    Draws in which it is undefined are left out.
    """
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
    setting: Entry = {
        "counts": counts_text(change.counts),
        "clean": change.clean,
        "lost": change.lost,
        "one_patient": change.shared,
        "truth": tally.truth,
        "draws": draws,
    }
    return setting | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Normal scores of two models that share part of their noise.

    Attributes:
        counts: Images of each class.
        area: True area of every curve of the reference.
        change: True area of the candidate minus that of the reference.
        shared: Correlation of the two models' scores within a class.
    """

    counts: tuple[int, ...]
    area: float
    change: float
    shared: float


def area_change_misses(areas: Areas, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of `roentgate.checks.comparison.auroc_change`."""
    ends = (areas.area, areas.area + areas.change)
    models = [Curves(counts=areas.counts, area=area, icc=areas.shared) for area in ends]
    labels, tally = models[0].labels(), Tally(areas.change)
    for _ in range(draws):
        common = models[0].common(rng)
        before, now = (predictions(labels, model.scores(rng, common)) for model in models)
        estimate = comparison.auroc_change(before, now)
        tally.add("change", estimate.low, estimate.high)
    setting: Entry = {
        "counts": counts_text(areas.counts),
        "area": areas.area,
        "truth": areas.change,
        "shared": areas.shared,
        "draws": draws,
    }
    return setting | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows:
    """Images that switch to the donor's class in a border swap, for two models.

    The reference and the candidate are independent.

    Attributes:
        n: Images.
        reference: Share that switches with a donor of another class only, for the reference.
        candidate: The same for the candidate.
        control: Share that switches only with a donor of the image's own class, for both.
    """

    n: int
    reference: float
    candidate: float
    control: float


def follow_change_misses(follows: Follows, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of the change of net switches to the donor's class.

    `roentgate.checks.border.net_switches` gives them for each model.
    """
    tally = Tally(follows.candidate - follows.reference)
    outcomes = [
        rng.multinomial(follows.n, [share, follows.control, 1 - share - follows.control], size=draws)
        for share in (follows.reference, follows.candidate)
    ]
    for before, now in zip(*outcomes, strict=True):
        reference, candidate = (paired_difference(int(ups), int(downs), follows.n) for ups, downs, _ in (before, now))
        change = differences.of_estimates(candidate, reference)
        tally.add("change", change.low, change.high)
    setting: Entry = {
        "n": follows.n,
        "reference": follows.reference,
        "candidate": follows.candidate,
        "control": follows.control,
        "truth": tally.truth,
        "draws": draws,
    }
    return setting | tally.misses()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """Images that wear a part of an image of another class, such as its border.

    Donors differ: the part of a donor decides for nearly all who wear it, or for none.

    Attributes:
        counts: Patients of each class, which are images if each has one.
        deciding: Share of the patients whose part decides.
        turned: Share of those who wear such a part that are predicted as its class.
        control: Share that go there with a part of their own class, whoever gives it.
        images: Images of each patient. The parts of one patient are alike.
    """

    counts: tuple[int, ...]
    deciding: float
    turned: float
    control: float = 0.0
    images: int = 1


def lent_misses(lent: Lent, draws: int, rng: np.random.Generator) -> Entry:
    """Return the misses of `roentgate.checks.border.net_switches`.

    ``once`` has the donors of `roentgate.perturbations.donors`, each of them for one image. ``replaced`` draws them
    with replacement and counts images as if they were independent, but for the patients who wear the parts.
    """
    patients = np.arange(sum(lent.counts)).repeat(lent.images)
    labels = np.repeat(np.arange(len(lent.counts)), np.multiply(lent.counts, lent.images))
    names = tuple(f"class {label}" for label in range(len(lent.counts)))
    follow = lent.deciding * lent.turned
    tally = Tally(follow - (1 - follow) * lent.control)
    before, groups = _answering(labels, labels), tuple(map(str, patients))
    before = replace(before, groups=groups) if lent.images > 1 else before
    for draw in range(draws):
        for name in ("once", "replaced"):
            donors = perturbations.donors(labels, names, draw)[0] if name == "once" else _any_donors(labels, rng)
            given = np.where(donors >= 0, labels[donors], -1)
            decides = (rng.random(len(patients)) < lent.deciding)[patients[donors]]
            turns = (given >= 0) & decides & (rng.random(len(labels)) < lent.turned)
            strays = (given >= 0) & ~turns & (rng.random(len(labels)) < lent.control)
            other, same = (_answering(labels, np.where(moved, given, labels)) for moved in (turns, strays))
            lenders = [groups[donor] for donor in donors] if name == "once" else None
            estimate = border.net_switches(before, other, same, given, donors=lenders)
            tally.add(name, estimate.low, estimate.high)
    setting: Entry = {
        "counts": counts_text(lent.counts),
        "images": lent.images,
        "deciding": lent.deciding,
        "turned": lent.turned,
        "truth": tally.truth,
        "draws": draws,
    }
    return setting | tally.misses()


def _any_donors(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw a donor of another class for each row, with replacement."""
    return np.array([rng.choice(np.flatnonzero(labels != label)) for label in labels])


def _answering(labels: IntArray, answers: IntArray) -> Predictions:
    return predictions(labels, np.eye(int(labels.max()) + 1)[answers])


def _right_where(labels: IntArray, right: NDArray[np.bool_]) -> Predictions:
    """Return predictions that are right in the given rows.

    Elsewhere they name the next class.
    """
    classes = int(labels.max()) + 1
    return predictions(labels, np.eye(classes)[np.where(right, labels, (labels + 1) % classes)])
