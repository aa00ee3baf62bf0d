"""Do published figures reproduce with this model? Each is held against the model's own figure and its interval."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy import special

from roentgate.candidates import Predictions
from roentgate.checks import metrics
from roentgate.checks.claims import Claims, Figure
from roentgate.errors import ArgumentError
from roentgate.policy import ClaimsBounds
from roentgate.stats import TAIL, Estimate, Verdict, at_most
from roentgate.stats import estimate as estimates

LEAST_PROBABILITY = 1e-7
"""Below it a loss counts no further, as in Keras."""


def verdicts(claims: Claims, predictions: Predictions, bounds: ClaimsBounds) -> Iterator[tuple[str, Verdict]]:
    """Yield (subject, verdict) of every figure: is this model's the printed one?

    A row holds the distance of the model's figure from the nearest number that is printed so (0 where it is one), and
    the least and the greatest distance over the model's interval. ``fail``: the interval holds no such number.
    ``pass``: it does, and nothing in it is further away than the tolerance. Conditional: it does, but it reaches
    further; ``conditional_pass`` where the model's own figure is within the tolerance. An interval that
    merely holds the printed number would be easier to have the fewer rows there are.

    Args:
        claims: What was published.
        predictions: Answers on the rows it is about.
        bounds: The tolerances.

    Raises:
        DataError: The claims are about other rows.
    """
    counts = {label: int((predictions.labels == index).sum()) for index, label in enumerate(predictions.classes)}
    claims.check_rows(counts, "what this model answered")
    for figure in claims.figures:
        tolerance = bounds.loss_tolerance if figure.kind == "loss" else bounds.tolerance
        yield f"{figure.place}: {figure.name}", held(figure, measured(figure, predictions), tolerance)


def held(figure: Figure, estimate: Estimate, tolerance: float) -> Verdict:
    """Hold a model's figure against the printed one (see `verdicts`); an undefined one is a conditional fail."""
    low, high = float(figure.low), float(figure.high)
    if not estimate.defined:
        words = f"this model has no such figure ({estimate.detail or estimate.method}); printed {figure.text}"
        nothing = replace(estimate, value=math.nan, low=0.0, high=math.inf, detail=words, failing=())
        return at_most(nothing, tolerance)
    gap = max(low - estimate.high, estimate.low - high, 0.0)
    distance = Estimate(
        value=max(low - estimate.value, estimate.value - high, 0.0),
        low=gap,
        high=max(low - estimate.low, estimate.high - high, 0.0),
        n=estimate.n,
        method=f"distance, {estimate.method}",
        unit=estimate.unit,
        detail=(
            f"this model {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}] ({estimate.method}), printed "
            f"{figure.text}: the interval {'does not hold' if gap else 'holds'} it"
        ),
    )
    return at_most(distance, 0.0 if gap else tolerance)


def measured(figure: Figure, predictions: Predictions) -> Estimate:
    """Return what a figure is for these answers, with its interval.

    Raises:
        UnknownClassError: It is about a class that these predictions do not have.
        ArgumentError: A kind that is none.
    """
    single: dict[str, Callable[[Predictions], Estimate]] = {
        "accuracy": metrics.accuracy,
        "balanced_accuracy": metrics.balanced_accuracy,
        "auc": metrics.macro_auroc,
        "micro_auc": micro_auroc,
        "loss": cross_entropy,
    }
    by_class: dict[str, Callable[[Predictions, str], Estimate]] = {
        "recall": metrics.recall,
        "precision": metrics.precision,
        "f1": metrics.f1,
        "specificity": metrics.specificity,
    }
    if figure.kind in single:
        return single[figure.kind](predictions)
    if figure.kind == "confusion":
        return metrics.confusion(predictions, figure.label, figure.predicted)
    if figure.kind in by_class:
        return by_class[figure.kind](predictions, figure.label)
    part = by_class.get(figure.kind.removeprefix("macro_"))
    if part is None:
        raise ArgumentError(f"'{figure.kind}' is no kind of figure; known: {', '.join([*single, *by_class])}")
    if part is metrics.recall:
        return metrics.balanced_accuracy(predictions)
    return estimates.mean([part(predictions, label) for label in predictions.classes])


def micro_auroc(predictions: Predictions) -> Estimate:
    """Area under the one ROC curve of all entries pooled (0 to 1, chance 0.5): what ``keras.metrics.AUC`` approximates.

    Each entry is a score, positive where its column is the row's class. The entries of a row, or of a patient, belong
    together, and the interval is over these.

    Returns:
        Value and interval of `roentgate.stats.estimate.macro_auroc` over groups; NaN in [0, 1] without rows, or where
        an entry is NaN or infinite.
    """
    size = len(predictions.classes)
    truth = (predictions.labels[:, None] == np.arange(size)).astype(np.int64).ravel()
    scores = predictions.probabilities.astype(np.float64).ravel()
    groups = [name for name in (predictions.groups or predictions.ids) for _ in range(size)]
    area = estimates.macro_auroc(truth, np.stack([-scores, scores], axis=1), groups=groups)
    return replace(area, unit=predictions.unit)


def cross_entropy(predictions: Predictions) -> Estimate:
    """Mean of -log(probability of the true class), in nats (0 and more, lower is better).

    Returns:
        Value and Student's interval over rows, or over patients by the sums of their residuals; where all units agree
        the spread says nothing, and nor does one unit: then in [0, infinity]. NaN there without rows, or where an entry
        is no probability.
    """
    chosen = predictions.probabilities[np.arange(len(predictions)), predictions.labels].astype(np.float64)
    units = np.unique(np.asarray(predictions.groups or predictions.ids), return_inverse=True)[1]
    n, method = len(np.unique(units)), "Student"
    entries = predictions.probabilities
    if not len(chosen) or not (np.isfinite(entries).all() and entries.min() >= 0 and entries.max() <= 1 + 1e-4):
        words = "an output is no probability" if len(chosen) else "no rows"
        return estimates.undefined(n, low=0.0, high=math.inf, method=method, unit=predictions.unit, detail=words)
    losses = -np.log(np.clip(chosen, LEAST_PROBABILITY, 1.0))
    value = math.fsum(losses) / len(losses)
    found = Estimate(value=value, low=0.0, high=math.inf, n=n, method=method, unit=predictions.unit)
    spread = math.fsum(np.bincount(units, losses - value) ** 2)
    if n < 2 or spread <= 1e-18 * len(losses):
        return found
    reach = float(special.stdtrit(n - 1, 1 - TAIL)) * math.sqrt(spread * n / (n - 1)) / len(losses)
    return replace(found, low=max(value - reach, 0.0), high=value + reach)
