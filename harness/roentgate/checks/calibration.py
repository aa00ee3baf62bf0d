"""Estimates of how well probabilities are calibrated.

They are proper scores, the calibration error compared with its null distribution, and the gain of one temperature.
Every function needs rows of finite probabilities that sum to 1. If a row is not, the estimate is undefined, since
logits or NaN have no calibration.
"""

from dataclasses import dataclass, replace

import numpy as np

from roentgate.arrays import BoolArray, DoubleArray, IntArray
from roentgate.candidates import Predictions
from roentgate.errors import ArgumentError
from roentgate.stats import FEWEST, Estimate, bootstrap_t, in_plural, permutation_p, portions, undefined

__all__ = ["brier_score", "calibration_error", "log_loss", "reliability", "temperature_scaling_gain"]

LEAST = float(np.finfo(np.float32).eps)
"""Smallest probability in a log loss, 1.2e-7: a true class with probability 0 costs 15.9 nats."""

BINS = 10
DRAWS = 2000
_SUM = 1e-3
_TEMPERATURES = (0.05, 100.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """A group of rows with similar confidence.

    Attributes:
        rows: Number of rows.
        confidence: Mean probability of their answers.
        right: Number of right answers.
        low: Lower limit of the share of right answers in 95 % of draws of calibrated answers.
        high: Upper limit of that share.
    """

    rows: int
    confidence: float
    right: int
    low: float
    high: float


def brier_score(predictions: Predictions, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Mean squared distance between probabilities and one-hot truth.

    It lies between 0 and 2, and lower is better.

    Args:
        predictions: Probabilities float32 (n, K) and true labels (n,), keyed by row.
        draws: Bootstrap draws of the interval.
        seed: Seed of these draws.

    Returns:
        Value and 95 % interval over rows (over groups if they are known) by
        `roentgate.stats.intervals.bootstrap_t`. The interval is [0, 2] if that has no limits. The detail holds the
        score of the class frequencies alone. NaN in [0, 2] without rows, or if a row does not hold probabilities.

    References:
        Brier, Monthly Weather Review 78 (1950) 1-3.
        Efron and Tibshirani, An Introduction to the Bootstrap (1993) 12.5.
    """
    if not _sound(predictions):
        return undefined(len(predictions), low=0.0, high=2.0, method="bootstrap-t", detail=_unsound(predictions))
    truth = np.eye(len(predictions.classes))[predictions.labels]
    losses = np.square(predictions.probabilities.astype(np.float64) - truth).sum(axis=1)
    frequencies = truth.mean(axis=0)
    blind = float(np.square(frequencies - truth).sum(axis=1).mean())
    return _mean(losses, predictions, draws, seed, f"class frequencies alone score {blind:.3f}", 0.0, 2.0)


def log_loss(predictions: Predictions, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Mean of -log of the true class's probability, in nats.

    It is 0 or more, and lower is better. Probabilities below `LEAST` count as `LEAST`, as in scikit-learn. The detail
    says how many do.

    Args:
        predictions: Probabilities float32 (n, K) and true labels (n,), keyed by row.
        draws: Bootstrap draws of the interval.
        seed: Seed of these draws.

    Returns:
        As `brier_score`. If undefined, NaN from 0 to infinity.

    References:
        Good, Journal of the Royal Statistical Society B 14 (1952) 107-114.
    """
    if not _sound(predictions):
        return undefined(len(predictions), low=0.0, high=np.inf, method="bootstrap-t", detail=_unsound(predictions))
    losses = _losses(_logs(predictions), predictions.labels)
    shares = np.bincount(predictions.labels) / len(predictions)
    blind = abs(float((shares[shares > 0] * np.log(shares[shares > 0])).sum()))
    detail = f"class frequencies alone cost {blind:.3f} nats"
    impossible = int((predictions.probabilities[np.arange(len(predictions)), predictions.labels] < LEAST).sum())
    if impossible:
        detail += f"; the true class of {impossible} rows has a probability below {LEAST:.1e}"
    return _mean(losses, predictions, draws, seed, detail, 0.0, np.inf)


def calibration_error(predictions: Predictions, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """P-value of the expected calibration error under calibration.

    The expected calibration error (ECE) is the mean over rows of the gap between confidence and share of right answers
    in the row's bin. There are at most `BINS` bins with equally many rows, except that rows of equal confidence share a
    bin. The ECE is above 0 for perfect probabilities too (0.08 at n = 66), so it is compared with draws in which each
    answer is right with its own probability. Rows without groups are assumed independent. Rows of one group are drawn
    together, as dependent as their probabilities allow: copies of one image are all right or all wrong. The order of
    rows does not matter.

    Returns:
        Permutation p-value over ``draws`` (0 to 1), small if the probabilities cannot be calibrated. The detail holds
        the ECE, and its mean and 95 % bound under calibration. NaN in [0, 1] without rows, or if a row does not hold
        probabilities.

    References:
        Naeini, Cooper and Hauskrecht, AAAI (2015) 2901-2907.
        Bröcker and Smith, Weather and Forecasting 22 (2007) 651-661 (consistency resampling).
    """
    if not _sound(predictions):
        return undefined(len(predictions), low=0.0, high=1.0, method="permutation", detail=_unsound(predictions))
    confidence, right, units = _answered(predictions)
    starts = _starts(confidence)
    expected = np.add.reduceat(confidence, starts)
    found = np.abs(np.add.reduceat(right, starts) - expected).sum() / len(right)
    drawn = np.abs(_null(confidence, starts, units, draws, seed) - expected).sum(axis=1) / len(right)
    # sums of gaps that should be equal differ by rounding
    estimate = permutation_p(int((drawn >= found - 1e-12).sum()), draws)
    mean, most = float(drawn.mean()), float(np.quantile(drawn, 0.95))
    sure, correct = round(float(confidence.mean()), 2), round(float(right.mean()), 2)
    way = "too sure" if sure > correct else "not sure enough" if sure < correct else "as sure as right"
    detail = (
        f"ECE {found:.3f}; calibrated probabilities of this kind show {mean:.3f} on average and up to {most:.3f} in "
        f"95 % of draws; mean confidence {sure:.2f}, {correct:.2f} right ({way})"
    )
    return replace(estimate, detail=detail)


def temperature_scaling_gain(
    predictions: Predictions, fitted_on: Predictions, *, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Log loss saved by one temperature fitted on other rows, in nats.

    0 means that there is nothing to gain. Dividing all scores by one number changes no answer. What it saves was lost
    by probabilities that are too sure (a temperature above 1) or not sure enough (below 1).

    Args:
        predictions: Answers on the rows to judge.
        fitted_on: Answers of the same model on the rows that the temperature is fitted on (validation).
        draws: Bootstrap draws of the interval.
        seed: Seed of these draws.

    Returns:
        Mean paired difference and its interval over rows (over groups if they are known) by
        `roentgate.stats.intervals.bootstrap_t`, which has no limits for few or equal values (the detail says so). It is
        below 0 if the fitted temperature does not carry over. NaN between minus and plus infinity if either has no
        rows, or a row that does not hold probabilities. Uninformative if all rows get one answer. Failing: wrong rows
        whose true class has a probability below 0.001.

    Raises:
        ArgumentError: The two have different classes.

    References:
        Guo, Pleiss, Sun and Weinberger, ICML (2017) 1321-1330.
    """
    if predictions.classes != fitted_on.classes:
        raise ArgumentError("a temperature is fitted on answers over the same classes; give both of one model")
    if not (_sound(predictions) and _sound(fitted_on)):
        reason = _unsound(predictions if not _sound(predictions) else fitted_on)
        return undefined(len(predictions), low=-np.inf, high=np.inf, method="bootstrap-t", detail=reason)
    temperature = _fitted(_logs(fitted_on), fitted_on.labels)
    logs = _logs(predictions)
    before, after = _losses(logs, predictions.labels), _losses(_scaled(logs, temperature), predictions.labels)
    now, then = round(float(before.mean()), 3), round(float(after.mean()), 3)
    way = "saves nothing" if then >= now else "too sure" if temperature > 1 else "not sure enough"
    detail = (
        f"temperature {temperature:.2f} fitted on {len(fitted_on)} other rows ({way}): log loss {now:.3f} would be "
        f"{then:.3f}"
    )
    surprises = np.flatnonzero((before > np.log(1000)) & (predictions.answers != predictions.labels))
    failing = tuple(predictions.ids[row] for row in surprises)
    gain = _mean(before - after, predictions, draws, seed, detail, -np.inf, np.inf, failing)
    return replace(gain, informative=not predictions.one_answer)


def reliability(predictions: Predictions, *, draws: int = DRAWS, seed: int = 0) -> list[Bin]:
    """Return the bins of `calibration_error`, the least confident first.

    The list is empty if the calibration error is undefined.
    """
    if not _sound(predictions):
        return []
    confidence, right, units = _answered(predictions)
    starts = _starts(confidence)
    rows = np.diff(starts, append=len(right))
    null = np.quantile(_null(confidence, starts, units, draws, seed) / rows, (0.025, 0.975), axis=0)
    means = np.add.reduceat(confidence, starts) / rows
    counts = np.add.reduceat(right, starts)
    return [
        Bin(int(rows[i]), float(means[i]), int(counts[i]), float(null[0, i]), float(null[1, i]))
        for i in range(len(rows))
    ]


def _sound(predictions: Predictions) -> bool:
    """Whether there are rows, and each holds probabilities."""
    values = predictions.probabilities
    if not len(values) or not np.isfinite(values).all() or values.min() < 0:
        return False
    return bool((np.abs(values.sum(axis=1) - 1) <= _SUM).all())


def _unsound(predictions: Predictions) -> str:
    return "the outputs are no probabilities" if len(predictions) else "no rows"


def _logs(predictions: Predictions) -> DoubleArray:
    logs: DoubleArray = np.log(np.maximum(predictions.probabilities.astype(np.float64), LEAST))
    return logs


def _scaled(logs: DoubleArray, temperature: float) -> DoubleArray:
    """Return log probabilities (n, K) after dividing the scores by a temperature."""
    from scipy.special import log_softmax

    scaled: DoubleArray = log_softmax(logs / temperature, axis=1)
    return scaled


def _losses(logs: DoubleArray, labels: IntArray) -> DoubleArray:
    losses: DoubleArray = -logs[np.arange(len(labels)), labels]
    return losses


def _fitted(logs: DoubleArray, labels: IntArray) -> float:
    """Return the temperature of the least mean loss within `_TEMPERATURES`."""
    from scipy.optimize import minimize_scalar

    lowest, highest = np.log(_TEMPERATURES)
    found = minimize_scalar(
        lambda power: _losses(_scaled(logs, float(np.exp(power))), labels).mean(),
        bounds=(lowest, highest),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def _answered(predictions: Predictions) -> tuple[DoubleArray, BoolArray, IntArray]:
    """Return each answer's probability, whether it is right, and its unit.

    The least confident comes first. Units are numbered in the order of their first row.
    """
    confidence = np.minimum(predictions.probabilities.max(axis=1).astype(np.float64), 1.0)
    units = _units(predictions)
    order = np.lexsort((units, confidence))
    _, first, number = np.unique(units[order], return_index=True, return_inverse=True)
    ranked = np.argsort(np.argsort(first))[number]
    return confidence[order], (predictions.answers == predictions.labels)[order], ranked


def _starts(confidence: DoubleArray) -> IntArray:
    """Return the first row of each bin of sorted confidences.

    Bins have equally many rows, but no edge splits equal confidences. A bin that would begin within equal confidences
    begins with the first of them, so that their order does not matter.
    """
    parts = np.array_split(np.arange(len(confidence)), min(BINS, len(confidence)))
    return np.unique(np.searchsorted(confidence, [confidence[part[0]] for part in parts]))


def _null(confidence: DoubleArray, starts: IntArray, units: IntArray, draws: int, seed: int) -> IntArray:
    """Draw the number of right answers per bin under calibration: (draws, bins).

    One number is drawn for each unit, so that its answers are right or wrong together.
    """
    generator = np.random.default_rng(seed)
    chance = confidence.astype(np.float32)
    parts = []
    for part in portions(draws, len(chance)):
        right = generator.random((part, units.max() + 1), dtype=np.float32)[:, units] < chance
        parts.append(np.add.reduceat(right, starts, axis=1))
    return np.concatenate(parts)


def _units(predictions: Predictions) -> IntArray:
    """Return the number of each row's unit, (n,).

    A unit is a group, or else a row.
    """
    if predictions.groups is None:
        return np.arange(len(predictions))
    return np.unique(np.array(predictions.groups), return_inverse=True)[1]


def _mean(  # noqa: PLR0913, PLR0917  the parts of one estimate
    values: DoubleArray,
    predictions: Predictions,
    draws: int,
    seed: int,
    detail: str,
    low: float,
    high: float,
    failing: tuple[str, ...] = (),
) -> Estimate:
    """Return the mean over rows with its bootstrap-t interval.

    The interval is over groups if they are known, and is cut to ``low`` and ``high``.
    """
    units = _units(predictions)
    sums = np.asarray(np.bincount(units, weights=values), dtype=np.float64)
    sizes = np.bincount(units)
    order = np.lexsort((sizes, sums))
    value, (least, most) = float(values.mean()), bootstrap_t(sums[order], sizes[order], draws, seed)
    if not np.isfinite([least, most]).all():
        counted = "rows" if predictions.groups is None else in_plural(predictions.unit)
        few = f"fewer than {FEWEST} {counted}" if len(sums) < FEWEST else f"too few {counted} that differ"
        detail += f"; {few} {'leave one side open' if np.isfinite([least, most]).any() else 'set no limits'}"
    return Estimate(
        value=value,
        low=max(min(least, value), low),
        high=min(max(most, value), high),
        n=len(sums),
        method="bootstrap-t",
        unit=predictions.unit,
        detail=detail,
        failing=failing,
    )
