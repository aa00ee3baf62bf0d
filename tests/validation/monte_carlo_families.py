"""How often the simple rule accepts a family of infills, by the largest value and by the value that decides.

A draw gives each image a score under each infill. The scores of an image are correlated, as one image is hard under all
infills.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate.arrays import DoubleArray
from roentgate.candidates import Predictions
from roentgate.checks import border, metrics, retained_skill
from roentgate.stats import Estimate, at_least, at_most
from tests.validation.exact import Entry
from tests.validation.monte_carlo import predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Infills:
    """Answers of which a known share changes under each infill.

    Attributes:
        n: Images.
        bound: Ceiling of the share.
        truths: True share under each infill.
        shared: Correlation of an image's scores under two infills.
    """

    n: int
    bound: float
    truths: tuple[float, ...]
    shared: float


def infill_acceptance(infills: Infills, draws: int, rng: np.random.Generator) -> Entry:
    """Return how often a family of flips is accepted.

    ``largest``: by the largest value, as one row an infill would. ``value``: by the value of `border.worst`, which
    decides. ``one``: by the value of the infill with the largest truth alone, if it were known. ``guarded``: by the
    whole interval.
    """
    clean = predictions(np.zeros(infills.n, np.int64), np.tile([1.0, 0.0], (infills.n, 1)))
    half = infills.n // 2
    clean.probabilities[half:] = (0.0, 1.0)  # two answers, since one answer that never changes says nothing
    accepted = dict.fromkeys(("largest", "value", "one", "guarded"), 0)
    values = np.zeros(draws)
    worst = int(np.argmax(infills.truths))
    for draw in range(draws):
        changed = _scores(rng, len(infills.truths), infills.n, infills.shared) < special.ndtri(infills.truths)[:, None]
        parts = {str(place): _flipped(clean, row, len(infills.truths)) for place, row in enumerate(changed)}
        together = border.worst(parts, "at_most")
        values[draw] = together.value
        verdict, alone = at_most(together, infills.bound), [at_most(part, infills.bound) for part in parts.values()]
        accepted["largest"] += all(each.accepted("simple") for each in alone)
        accepted["value"] += verdict.accepted("simple")
        accepted["one"] += alone[worst].accepted("simple")
        accepted["guarded"] += verdict.accepted("guarded")
    setting: Entry = {
        "n": infills.n,
        "bound": infills.bound,
        "truths": ", ".join(f"{truth:g}" for truth in infills.truths),
        "shared": infills.shared,
        "draws": draws,
    }
    return setting | {name: count / draws for name, count in accepted.items()} | {"median": float(np.median(values))}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundModel:
    """A model of three classes that is better than every bound of the border suite.

    Attributes:
        each: Images of each class.
        recall: True recall of each class, with and without the border.
        kept: True retained skill on the border alone, under every infill.
        infills: Number of infills.
        shared: Correlation of an image's scores under two infills.
    """

    each: int
    recall: float
    kept: float
    infills: int
    shared: float


def sound_acceptance(model: SoundModel, draws: int, rng: np.random.Generator) -> Entry:
    """Return how often recall, masked recall and retained skill of a sound model are all accepted, by the simple rule.

    The floor of a recall is 0.80 and the ceiling of the retained skill is 0.50.
    """
    labels = np.repeat(np.arange(3), model.each)
    kept = 1 / 3 + model.kept * (model.recall - 1 / 3)
    counts = dict.fromkeys(("all", "masked_recall", "retained_skill", "by_the_largest"), 0)
    for _ in range(draws):
        right = _scores(rng, 1 + model.infills, 3 * model.each, model.shared) < special.ndtri(model.recall)
        only = _scores(rng, model.infills, 3 * model.each, model.shared) < special.ndtri(kept)
        clean, *masked = (_answers(labels, row, rng) for row in right)
        skills = {str(i): retained_skill(clean, _answers(labels, row, rng)) for i, row in enumerate(only)}
        floors = [at_least(metrics.recall(clean, name), 0.8).accepted("simple") for name in clean.classes]
        recalls = [
            {str(i): metrics.recall(answers, name) for i, answers in enumerate(masked)} for name in clean.classes
        ]
        masks = all(at_least(border.worst(parts, "at_least"), 0.8).accepted("simple") for parts in recalls)
        skill = at_most(border.worst(skills, "at_most"), 0.5).accepted("simple")
        counts["masked_recall"] += masks
        counts["retained_skill"] += skill
        counts["all"] += all(floors) and masks and skill
        counts["by_the_largest"] += all(floors) and _every(recalls, 0.8) and max(_values(skills)) <= 0.5
    setting: Entry = {
        "each": model.each,
        "recall": model.recall,
        "kept": model.kept,
        "infills": model.infills,
        "shared": model.shared,
        "draws": draws,
    }
    return setting | {name: count / draws for name, count in counts.items()}


def _values(parts: dict[str, Estimate]) -> list[float]:
    return [part.value for part in parts.values()]


def _every(families: list[dict[str, Estimate]], floor: float) -> bool:
    return all(min(_values(parts)) >= floor - 1e-12 for parts in families)


def _scores(rng: np.random.Generator, conditions: int, n: int, shared: float) -> DoubleArray:
    """Draw normal scores (conditions, n) that share part of their noise."""
    common, own = rng.standard_normal((1, n)), rng.standard_normal((conditions, n))
    return np.asarray(np.sqrt(shared) * common + np.sqrt(1 - shared) * own, np.float64)


def _flipped(clean: Predictions, changed: NDArray[np.bool_], family: int) -> Estimate:
    answers = np.where(changed, 1 - clean.answers, clean.answers)
    return border.flips(clean, predictions(clean.labels, np.eye(2)[answers]), family=family)


def _answers(labels: NDArray[np.int64], right: NDArray[np.bool_], rng: np.random.Generator) -> Predictions:
    wrong = (labels + rng.integers(1, 3, len(labels))) % 3
    return predictions(labels, np.eye(3)[np.where(right, labels, wrong)])
