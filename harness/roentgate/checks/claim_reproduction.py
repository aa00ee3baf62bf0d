"""Comparison of published figures with a model's own figures and intervals."""

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
"""Smallest probability in a loss, as in Keras."""


def verdicts(claims: Claims, predictions: Predictions, bounds: ClaimsBounds) -> Iterator[tuple[str, Verdict]]:
    """Yield (subject, verdict) of every figure.

    A row holds the distance of the model's figure from the nearest number that is printed as the claim is, and the
    least and the greatest distance over the model's interval.

    - ``fail``: the interval holds no such number.
    - ``pass``: the interval holds one, and nothing in it is further away than the tolerance.
    - ``conditional_pass``: the interval reaches beyond the tolerance, but the model's own figure is within it.
    - ``conditional_fail``: the interval holds such a number, but the model's own figure is beyond the tolerance.

    An interval that merely holds the printed number would be no evidence: with fewer rows it is wider and holds more.

    Args:
        claims: The published figures.
        predictions: Answers on the rows that the claims are about.
        bounds: The tolerances.

    Raises:
        DataError: The claims are about other rows.
    """
    counts = {label: int((predictions.labels == index).sum()) for index, label in enumerate(predictions.classes)}
    claims.check_rows(counts, "what this model answered")
    for figure in claims.figures:
        tolerance = bounds.loss_tolerance if figure.kind == "loss" else bounds.tolerance
        yield f"{figure.place}: {figure.name}", compared(figure, measured(figure, predictions), tolerance)


def compared(figure: Figure, estimate: Estimate, tolerance: float) -> Verdict:
    """Compare a model's figure with the printed one (see `verdicts`).

    An undefined figure is a conditional fail.
    """
    low, high = float(figure.low), float(figure.high)
    if not estimate.defined:
        detail = f"this model has no such figure ({estimate.detail or estimate.method}); printed {figure.text}"
        nothing = replace(estimate, value=math.nan, low=0.0, high=math.inf, detail=detail, failing=())
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
    """Return the same figure for these answers, with its interval.

    Raises:
        UnknownClassError: These predictions do not have the figure's class.
        ArgumentError: The figure's kind is unknown.
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
    """Area under the ROC curve of all pooled entries (chance 0.5).

    ``keras.metrics.AUC`` approximates it. Each entry is a score, and it is positive if its column is the row's class.
    The interval is over rows (or patients), since the entries of one belong together.

    Returns:
        Value (0 to 1) and interval of `roentgate.stats.estimate.macro_auroc` over groups. NaN in [0, 1] without rows,
        or if an entry is NaN or infinite.
    """
    size = len(predictions.classes)
    truth = (predictions.labels[:, None] == np.arange(size)).astype(np.int64).ravel()
    scores = predictions.probabilities.astype(np.float64).ravel()
    groups = [name for name in (predictions.groups or predictions.ids) for _ in range(size)]
    area = estimates.macro_auroc(truth, np.stack([-scores, scores], axis=1), groups=groups)
    return replace(area, unit=predictions.unit)


def cross_entropy(predictions: Predictions) -> Estimate:
    """Mean of -log of the true class's probability, in nats (lower is better).

    Returns:
        Value and Student's interval over rows, or over patients by the sums of their residuals. The interval is
        [0, infinity] if all units agree or there is only one, since they have no spread. NaN in [0, infinity] without
        rows, or if an entry is not a probability.
    """
    chosen = predictions.probabilities[np.arange(len(predictions)), predictions.labels].astype(np.float64)
    units = np.unique(np.asarray(predictions.groups or predictions.ids), return_inverse=True)[1]
    n, method = len(np.unique(units)), "Student"
    entries = predictions.probabilities
    if not len(chosen) or not (np.isfinite(entries).all() and entries.min() >= 0 and entries.max() <= 1 + 1e-4):
        reason = "an output is no probability" if len(chosen) else "no rows"
        return estimates.undefined(n, low=0.0, high=math.inf, method=method, unit=predictions.unit, detail=reason)
    losses = -np.log(np.clip(chosen, LEAST_PROBABILITY, 1.0))
    value = math.fsum(losses) / len(losses)
    found = Estimate(value=value, low=0.0, high=math.inf, n=n, method=method, unit=predictions.unit)
    spread = math.fsum(np.bincount(units, losses - value) ** 2)
    if n < 2 or spread <= 1e-18 * len(losses):
        return found
    reach = float(special.stdtrit(n - 1, 1 - TAIL)) * math.sqrt(spread * n / (n - 1)) / len(losses)
    return replace(found, low=max(value - reach, 0.0), high=value + reach)
