"""Monte Carlo error rates of the comparison of a model with the best of several probes.

All are equally good, so that a model that is found to be worse is found so wrongly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roentgate.arrays import IntArray
from roentgate.audit import probe_skill
from roentgate.checks import comparison
from roentgate.stats import Estimate, at_least
from tests.validation.exact import Entry, counts_text
from tests.validation.monte_carlo import predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualProbes:
    """A model and probes that are all right on the same true share of every class.

    Attributes:
        counts: Test images of each class.
        fitted: Train and validation images of each class, on which the probe is chosen.
        probes: Number of probes.
        recall: True recall of every class, for the model and for each probe.
        shared: Correlation of the difficulty of an image between any two of them (a normal score is cut at the recall).
    """

    counts: tuple[int, ...]
    fitted: tuple[int, ...]
    probes: int
    recall: float
    shared: float

    def right(self, labels: IntArray, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Draw who is right on which image, (1 + probes, n). The model comes first."""
        common, own = rng.normal(size=len(labels)), rng.normal(size=(1 + self.probes, len(labels)))
        score = np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * own
        return np.asarray(score < special.ndtri(self.recall))


def probe_misses(world: EqualProbes, draws: int, rng: np.random.Generator) -> Entry:
    """Return how often an equal model is found to be worse, or better, than the probe.

    ``folds``: the probe is chosen on other images, as `roentgate.audit.probe_skill.chosen_probe` does. ``test``: it is
    the best on the test images. ``under`` are the draws that fail by the whole interval, ``over`` those that pass by
    it, and ``refused`` those that the simple rule does not accept.
    """
    labels, fitted = (np.repeat(np.arange(len(each)), each) for each in (world.counts, world.fitted))
    counted = {name: np.zeros(3, np.int64) for name in ("folds", "test")}
    for _ in range(draws):
        right, on_folds = world.right(labels, rng), world.right(fitted, rng)[1:]
        chosen = {"folds": _best(on_folds, fitted), "test": _best(right[1:], labels)}
        for name, probe in chosen.items():
            verdict = at_least(_gain(labels, right[1 + probe], right[0]), probe_skill.ANY_GAIN)
            counted[name] += verdict.outcome == "pass", verdict.outcome == "fail", not verdict.accepted("simple")
    setting: Entry = {
        "counts": counts_text(world.counts),
        "fitted": counts_text(world.fitted),
        "probes": world.probes,
        "recall": world.recall,
        "shared": world.shared,
        "truth": 0.0,
        "draws": draws,
    }
    for name, (over, under, refused) in counted.items():
        setting |= {
            f"{name}_over": float(over / draws),
            f"{name}_under": float(under / draws),
            f"{name}_refused": float(refused / draws),
        }
    return setting


def _best(right: NDArray[np.bool_], labels: IntArray) -> int:
    """Return the first row with the highest balanced accuracy."""
    recalls = [right[:, labels == label].mean(axis=1) for label in np.unique(labels)]
    return int(np.mean(recalls, axis=0).round(12).argmax())


def _gain(labels: IntArray, probe: NDArray[np.bool_], model: NDArray[np.bool_]) -> Estimate:
    classes = int(labels.max()) + 1
    both = [
        predictions(labels, np.eye(classes)[np.where(row, labels, (labels + 1) % classes)]) for row in (probe, model)
    ]
    return comparison.balanced_change(*both)
