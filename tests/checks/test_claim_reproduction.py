"""A printed figure is compared with a model's own figure and interval."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from roentgate.candidates.predictions import Predictions
from roentgate.checks import claim_reproduction, metrics
from roentgate.checks.claims import KINDS, Claims, Figure, printed
from roentgate.errors import ArgumentError, DataError
from roentgate.policy.bounds import ClaimsBounds
from roentgate.stats.estimate import Estimate

CLASSES = ("A", "B", "C")


def figure(kind: str, text: str, label: str = "", predicted: str = "") -> Figure:
    low, high = printed(text, share=kind != "loss")
    return Figure("text", kind, text, low, high, label, predicted)


def answers(n: int = 90, *, sharp: float = 1.5, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    scores = rng.normal(size=(n, 3)) + sharp * np.eye(3)[labels]
    odds = np.exp(scores)
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(tuple(f"r{row:04d}" for row in range(n)), CLASSES, labels.astype(np.int64), probabilities)


def estimate(value: float, low: float, high: float, n: int = 100) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=n, method="hand")


# The verdict


@pytest.mark.parametrize(
    ("found", "outcome", "accepted"),
    [
        ((0.850, 0.820, 0.880), "pass", True),  # holds it, and reaches no further than 0.05
        ((0.850, 0.740, 0.930), "conditional_pass", True),  # holds it, reaches further
        ((0.780, 0.660, 0.870), "conditional_fail", False),  # holds it, but is itself 0.065 away
        ((0.740, 0.620, 0.840), "fail", False),  # 0.845 is the least that is printed so
        ((0.900, 0.856, 0.940), "fail", False),
        ((0.840, 0.838, 0.842), "fail", False),  # near, but the whole interval misses it
        ((0.840, 0.835, 0.845), "pass", True),  # touches it
        ((0.895, 0.855, 0.904), "pass", True),
    ],
)
def test_an_interval_must_hold_the_print_and_be_near_it(
    found: tuple[float, float, float], outcome: str, *, accepted: bool
) -> None:
    verdict = claim_reproduction.compared(figure("accuracy", "0.85"), estimate(*found), 0.05)
    assert verdict.outcome == outcome
    assert verdict.accepted("simple") is accepted
    assert verdict.accepted("guarded") is (outcome == "pass")


def test_the_row_is_a_distance_and_its_detail_names_both_figures() -> None:
    verdict = claim_reproduction.compared(figure("accuracy", "0.85"), estimate(0.74, 0.62, 0.88), 0.05)
    assert verdict.estimate is not None
    assert (verdict.estimate.value, verdict.estimate.low) == pytest.approx((0.105, 0.0))
    assert verdict.estimate.high == pytest.approx(0.225)
    assert verdict.detail == "this model 0.740 [0.620, 0.880] (hand), printed 0.85: the interval holds it"


def test_few_rows_prove_nothing() -> None:
    """The interval of three rows holds nearly every number."""
    verdict = claim_reproduction.compared(figure("accuracy", "0.85"), estimate(2 / 3, 0.09, 0.99, n=3), 0.05)
    assert verdict.outcome == "conditional_fail"
    assert not verdict.accepted("simple")


def test_an_undefined_figure_is_not_accepted() -> None:
    never = replace(answers(), probabilities=np.tile(np.array([0.1, 0.2, 0.7], np.float32), (90, 1)))
    found = claim_reproduction.measured(figure("precision", "0.90", "A"), never)
    verdict = claim_reproduction.compared(figure("precision", "0.90", "A"), found, 1.0)
    assert verdict.outcome == "conditional_fail"
    assert not verdict.accepted("simple")
    assert "this model has no such figure" in verdict.detail


def test_every_figure_has_its_row_and_the_loss_its_own_tolerance() -> None:
    rows = answers()
    own = {kind: claim_reproduction.measured(figure(kind, "0.50"), rows).value for kind in ("accuracy", "loss")}
    figures = tuple(figure(kind, f"{value:.2f}") for kind, value in own.items())
    claims = Claims("", "", dict.fromkeys(CLASSES, 30), ("text",), figures, Path("c.toml"))
    bounds = ClaimsBounds(tolerance=0.3, loss_tolerance=0.7)
    found = dict(claim_reproduction.verdicts(claims, rows, bounds))
    assert {subject: verdict.bound for subject, verdict in found.items()} == {"text: accuracy": 0.3, "text: loss": 0.7}
    with pytest.raises(DataError, match="are about 30 A, 30 B, 30 C, but what this model answered has 20 A"):
        dict(claim_reproduction.verdicts(claims, answers(60), bounds))


# The figures


def test_every_kind_is_scikit_learns_figure_with_the_value_in_its_interval() -> None:
    rows = answers()
    truth, answered, scores = rows.labels, rows.answers, rows.probabilities.astype(float)
    confusion = oracle.confusion_matrix(truth, answered)
    others = np.delete(confusion, 0, axis=0)
    expected = {
        "accuracy": oracle.accuracy_score(truth, answered),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, answered),
        "recall": oracle.recall_score(truth, answered, average=None)[0],
        "precision": oracle.precision_score(truth, answered, average=None)[0],
        "f1": oracle.f1_score(truth, answered, average=None)[0],
        "specificity": others[:, 1:].sum() / others.sum(),
        "confusion": confusion[0, 1] / confusion[0].sum(),
        "macro_precision": oracle.precision_score(truth, answered, average="macro"),
        "macro_f1": oracle.f1_score(truth, answered, average="macro"),
        "auc": oracle.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
        "micro_auc": oracle.roc_auc_score(np.eye(3)[truth].ravel(), scores.ravel()),
        "loss": oracle.log_loss(truth, scores / scores.sum(axis=1, keepdims=True)),
    }
    assert set(expected) == set(KINDS)
    for kind, value in expected.items():
        found = claim_reproduction.measured(figure(kind, "0.50", "A", "B"), rows)
        assert found.value == pytest.approx(value, rel=1e-6), kind
        assert found.low <= found.value <= found.high, kind
    with pytest.raises(ArgumentError, match="'kappa' is no kind of figure"):
        claim_reproduction.measured(Figure("t", "kappa", "1", *printed("1")), rows)


def test_the_interval_of_f1_is_that_of_the_overlap() -> None:
    rows = answers()
    found, both = metrics.f1(rows, "A"), (rows.answers == 0) & (rows.labels == 0)
    either = (rows.answers == 0) | (rows.labels == 0)
    limits = stats.binomtest(int(both.sum()), int(either.sum())).proportion_ci(0.95, method="exact")
    assert found.low == pytest.approx(2 * limits.low / (1 + limits.low))
    assert found.high == pytest.approx(2 * limits.high / (1 + limits.high))
    assert found.hits is None


def test_a_loss_has_students_interval_over_rows() -> None:
    rows = answers()
    found = claim_reproduction.cross_entropy(rows)
    losses = -np.log(rows.probabilities[np.arange(90), rows.labels].astype(float))
    low, high = stats.t.interval(0.95, 89, losses.mean(), stats.sem(losses))
    assert (found.low, found.high) == pytest.approx((low, high))
    alone = claim_reproduction.cross_entropy(replace(rows, groups=rows.ids))
    assert (alone.low, alone.high) == pytest.approx((found.low, found.high))


def test_macro_recall_is_balanced_accuracy_over_patients_too() -> None:
    found = replace(answers(60), groups=tuple(f"p{row % 20}" for row in range(60)))
    measured, expected = (
        claim_reproduction.measured(figure("macro_recall", "0.70"), found),
        metrics.balanced_accuracy(found),
    )
    assert (measured.value, measured.low, measured.high, measured.n) == (
        expected.value,
        expected.low,
        expected.high,
        20,
    )


def test_images_of_one_patient_count_once() -> None:
    rows = answers(60)
    twice = Predictions(
        tuple(f"{copy}{row}" for copy in "ab" for row in rows.ids),
        CLASSES,
        np.tile(rows.labels, 2),
        np.tile(rows.probabilities, (2, 1)),
        groups=rows.ids * 2,
    )
    for metric in (claim_reproduction.cross_entropy, claim_reproduction.micro_auroc):
        once, again = metric(rows), metric(twice)
        assert (once.value, once.low, once.high, once.n) == pytest.approx(
            (again.value, again.low, again.high, again.n), rel=1e-6
        )


def test_a_loss_of_what_is_no_probability_or_of_nothing_is_undefined() -> None:
    rows = answers()
    for wrong in (np.nan, np.inf, -0.1, 3.0):
        broken = rows.probabilities.copy()
        broken[4, 1] = wrong
        found = claim_reproduction.cross_entropy(replace(rows, probabilities=broken))
        assert not found.defined
        assert (found.low, found.high) == (0.0, math.inf)
    assert not claim_reproduction.cross_entropy(answers(0)).defined
    assert not claim_reproduction.micro_auroc(answers(0)).defined


def test_a_loss_without_spread_proves_nothing() -> None:
    certain = replace(answers(), probabilities=np.eye(3, dtype=np.float32)[answers().labels])
    found = claim_reproduction.cross_entropy(certain)
    assert (found.value, found.low, found.high) == (0.0, 0.0, math.inf)
    wrong = replace(certain, labels=(certain.labels + 1) % 3)
    assert claim_reproduction.cross_entropy(wrong).value == pytest.approx(-math.log(1e-7))
