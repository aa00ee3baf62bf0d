"""Every bound of the policy accepts evidence at it and refuses evidence beyond."""

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from roentgate.candidates.predictions import Predictions
from roentgate.checks.attention import GATING
from roentgate.evidence.acquisition import RobustnessRecord
from roentgate.evidence.lung_answers import AttentionRecord
from roentgate.evidence.probe_watch import WatchRecord
from roentgate.evidence.records import BATCHINGS, BorderRecord, InferenceRecord
from roentgate.lungs.lung_perturbations import REGIONS
from roentgate.perturbations.corruptions import KINDS, SEVERITIES
from roentgate.perturbations.regions import REGION_INFILLS as LUNG_INFILLS
from roentgate.policy.bounds import AlignmentBounds, BorderBounds
from roentgate.policy.policy import CORE, load_policy
from roentgate.stats.verdict import Verdict
from tests.support.altered import altered

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("Covid", "Normal")
WIDTH, INFILLS = 0.05, BorderBounds().infills
EACH = 100  # images of each class, so that one image is one per cent


def suite(name: str) -> ModuleType:
    """Return a suite as a module, to call its tests with own evidence."""
    spec = importlib.util.spec_from_file_location(f"suite_{name}", ROOT / "suites" / f"test_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


POLICY = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=CLASSES)
ALIGNMENT, INFERENCE, RECALL, BORDER, ATTENTION, ROBUSTNESS, CALIBRATION, COMPARISON = (
    suite(name)
    for name in (
        "alignment",
        "inference",
        "recall",
        "border",
        "attention",
        "robustness",
        "calibration",
        "comparison",
    )
)


def judged(check: Callable[..., None], *arguments: object, policy: object = POLICY, **named: object) -> Verdict:
    """Return the verdict that a test of a suite hands to ``accept``."""
    verdicts: list[Verdict] = []

    def accept(verdict: Verdict, *, subject: str) -> None:
        assert subject
        verdicts.append(verdict)

    if policy is not None:
        named["policy"] = policy
    if "unseen" in inspect.signature(check).parameters:
        named["unseen"] = lambda predictions: predictions
    check(*arguments, accept=accept, **named)
    return verdicts[0]


def answered(*right: int) -> Predictions:
    """Return answers with this many of `EACH` images of each class right."""
    answers = np.concatenate([np.where(np.arange(EACH) < count, index, 1 - index) for index, count in enumerate(right)])
    return Predictions(
        ids=tuple(f"r{row:03d}" for row in range(2 * EACH)),
        classes=CLASSES,
        labels=np.repeat([0, 1], EACH),
        probabilities=np.eye(2, dtype=np.float32)[answers] * 0.8 + 0.1,
    )


EVEN = answered(EACH // 2, EACH // 2)  # no better than a coin, so that a temperature takes all certainty away


def split(test: Predictions) -> SimpleNamespace:
    return SimpleNamespace(test=test, validation=test)


def border(**changes: object) -> BorderRecord:
    """Return the record of a model that is always right, with these changes."""
    sound = answered(EACH, EACH)
    record = BorderRecord(
        clean=sound,
        masked={(WIDTH, infill): sound for infill in INFILLS},
        only={(WIDTH, infill): answered(EACH // 2, EACH // 2) for infill in INFILLS},
        interior={WIDTH: sound},
        other={WIDTH: sound},
        same={WIDTH: sound},
        donor_labels=1 - sound.labels,
    )
    return altered(record, **changes)


def masked(answers: Predictions) -> BorderRecord:
    """Return a record in which one infill, the last, gives these answers."""
    sound = answered(EACH, EACH)
    return border(masked={(WIDTH, infill): answers if infill == INFILLS[-1] else sound for infill in INFILLS})


def only(answers: Predictions) -> BorderRecord:
    """Return a record in which the border alone, under the last infill, gives these answers."""
    half = answered(EACH // 2, EACH // 2)
    return border(only={(WIDTH, infill): answers if infill == INFILLS[-1] else half for infill in INFILLS})


def attended(**changes: object) -> AttentionRecord:
    """Return the record of a model that needs the lungs, with these changes.

    It is always right with lungs, and guesses without.
    """
    sound, rows = answered(EACH, EACH), np.arange(2 * EACH)
    record = AttentionRecord(
        rows=rows,
        left_out=0,
        clean=sound,
        hidden={(region, infill): EVEN for region in REGIONS for infill in LUNG_INFILLS},
        swapped=sound,
        donor_rows=(rows + EACH) % (2 * EACH),
        same_class=sound,
        same_class_rows=rows // EACH * EACH + (rows + 1) % EACH,
        annotated=sound,
        plain=sound,
        letter=sound,
        patch=sound,
        annotation_labels=1 - sound.labels,
        marker_boxes=np.tile([2, 8, 2, 6], (2 * EACH, 1)),
        inverted=sound,
        blanks={"black": np.array([[0.7, 0.3]], np.float32)},
        probe=sound,
        probe_swapped=sound,
    )
    return altered(record, **changes)


def without_lungs(answers: Predictions) -> AttentionRecord:
    """Return a record in which the usual lung region masked by the last infill gives these answers."""
    return attended(hidden={**attended().hidden, (GATING, LUNG_INFILLS[-1]): answers})


def moved(answers: Predictions) -> RobustnessRecord:
    """Return the record of a model that gives these answers on changed images.

    It is always right on unchanged images.
    """
    return RobustnessRecord(
        clean=answered(EACH, EACH),
        corrupted={(kind, severity): answers for kind in KINDS for severity in SEVERITIES},
        rotated={3: answers},
        shifted={(0.03, "up"): answers},
        resized={"box": answers},
    )


def corrupted(lost: int, severity: int) -> Verdict:
    """Return the verdict on noise of this severity that loses images of one class."""
    record = moved(answered(EACH - lost, EACH))
    return judged(ROBUSTNESS.test_corruption_skill, record, corruption_group="noise", severity=severity)


def compared(check: str, before: int, now: int, **named: object) -> Verdict:
    """Return the verdict on a candidate with ``now`` images of each class right.

    The reference has ``before`` images of each class right.
    """
    return judged(
        getattr(COMPARISON, f"test_{check}"), split(answered(now, now)), split(answered(before, before)), **named
    )


def changed(record: BorderRecord, subject: str) -> Verdict:
    """Return the verdict on one change from an always right model to this record."""
    bounds = BorderBounds(stress_borders=[], only_borders=[WIDTH], only_stress_borders=[])
    policy = SimpleNamespace(border=bounds, comparison=POLICY.comparison)
    found: dict[str, Verdict] = {}
    COMPARISON.test_border_change(
        record,
        SimpleNamespace(border=lambda _: border()),
        lambda answers: answers,
        policy,
        lambda verdict, subject: found.update({subject: verdict}),
    )
    return found[subject]


SIDES: dict[str, tuple[Callable[[int], Verdict], int, int]] = {
    "recall_floor": (
        lambda right: judged(RECALL.test_recall_floor, split(answered(right, EACH)), label="Covid"),
        80,
        79,
    ),
    "confusion_ceiling": (
        lambda wrong: judged(
            RECALL.test_confusion_ceiling, split(answered(EACH - wrong, EACH)), pair=("Covid", "Normal")
        ),
        20,
        21,
    ),
    "macro_auroc_floor": (  # of two answers only the area is the balanced accuracy
        lambda right: judged(RECALL.test_macro_auroc_floor, split(answered(right, right))),
        91,
        89,
    ),
    "flips_ceiling": (
        lambda flips: judged(BORDER.test_border_mask_flips, masked(answered(EACH - flips, EACH)), width=WIDTH),
        20,
        21,
    ),
    "recall_floor under the mask": (
        lambda right: judged(
            BORDER.test_border_masked_recall, masked(answered(EACH, right)), gating_width=WIDTH, label="Normal"
        ),
        80,
        79,
    ),
    "swap_ceiling": (
        lambda followed: judged(
            BORDER.test_border_swap, border(other={WIDTH: answered(EACH - followed, EACH)}), width=WIDTH
        ),
        20,
        21,
    ),
    "only_skill_ceiling": (
        lambda right: judged(BORDER.test_border_only_skill, only(answered(right, right)), only_width=WIDTH),
        75,
        76,
    ),
    "skill_without_lungs_ceiling": (
        lambda right: judged(ATTENTION.test_skill_without_lungs, without_lungs(answered(right, right))),
        75,
        76,
    ),
    "conflict_floor": (  # an answer that is not the lungs' class is the background's
        lambda lost: judged(
            ATTENTION.test_lung_background_conflict, attended(swapped=answered(EACH - lost, EACH - lost))
        ),
        50,
        51,
    ),
    "annotation_ceiling": (
        lambda followed: judged(ATTENTION.test_annotation_swap, attended(annotated=answered(EACH - followed, EACH))),
        20,
        21,
    ),
    "mild_drop_ceiling": (lambda lost: corrupted(lost, POLICY.robustness.mild_severity), 10, 11),
    "marked_drop_ceiling": (lambda lost: corrupted(lost, POLICY.robustness.marked_severity), 30, 31),
    "mild_drop_ceiling of a rotation": (
        lambda lost: judged(ROBUSTNESS.test_small_rotation, moved(answered(EACH - lost, EACH))),
        10,
        11,
    ),
    "mild_drop_ceiling of a shift": (
        lambda lost: judged(ROBUSTNESS.test_small_shift, moved(answered(EACH - lost, EACH))),
        10,
        11,
    ),
    "kernel_flips_ceiling": (
        lambda flips: judged(ROBUSTNESS.test_resizing_kernel, moved(answered(EACH - flips, EACH))),
        20,
        21,
    ),
    "margin": (lambda lost: compared("recall_noninferiority", 90, 90 - lost, label="Covid"), 5, 6),
    "margin of the accuracy": (lambda lost: compared("accuracy_noninferiority", 90, 90 - lost), 5, 6),
    "auroc_margin": (lambda lost: compared("auroc_noninferiority", 90, 90 - lost), 4, 6),
    "border_margin": (
        lambda flips: changed(masked(answered(EACH - flips, EACH)), f"flips, 5% border, {INFILLS[-1]}"),
        20,
        21,
    ),
    "border_margin under the mask": (
        lambda lost: changed(masked(answered(EACH - lost, EACH)), "masked recall, Covid, 5% border"),
        10,
        11,
    ),
    "skill_margin": (
        lambda right: changed(only(answered(right, right)), "skill of the border alone, 5% border"),
        59,
        61,
    ),
}
"""A verdict from a count, the last count that is accepted, and the first that is refused."""


@pytest.mark.parametrize(("verdict", "last", "first"), SIDES.values(), ids=SIDES)
def test_a_bound_is_met_at_its_value_and_missed_beyond_it(
    verdict: Callable[[int], Verdict], last: int, first: int
) -> None:
    assert verdict(last).gates
    assert verdict(last).accepted("simple")
    assert not verdict(first).accepted("simple")
    assert not verdict(last).accepted("guarded")


def test_a_confusion_that_costs_little_is_descriptive() -> None:
    """Half of the normal images are predicted as ill, and half of the ill as normal."""
    predictions = split(answered(EACH // 2, EACH // 2))
    costly, other = (
        judged(RECALL.test_confusion_ceiling, predictions, pair=pair)
        for pair in (("Covid", "Normal"), ("Normal", "Covid"))
    )
    assert (costly.outcome, other.outcome) == ("fail", "descriptive")
    assert other.accepted("guarded")
    assert other.estimate is not None
    assert other.estimate.value == 0.5


def test_every_bound_of_the_policy_is_put_to_the_test() -> None:
    tables = [getattr(POLICY, name) for name in CORE]
    bounds = {name for table in tables for name, value in table if isinstance(value, float)}
    elsewhere = {"columns_p", "temperature_scaling_gain_ceiling"}  # below
    elsewhere |= {"tolerance", "loss_tolerance"}  # in test_claim_reproduction.py
    elsewhere |= {"smallest_share"}  # in test_smallest_mask.py
    elsewhere |= {
        "leakage_ceiling",
        "metadata_ceiling",
        "border_probe_ceiling",
        "association_ceiling",
    }  # in tests/audit/
    elsewhere |= {"rank_ceiling", "patch"}  # a bound in test_sanity_check.py, and a size
    assert bounds == {name for name in SIDES if " " not in name} | elsewhere


def test_a_balanced_accuracy_must_prove_that_it_beats_a_constant_answer() -> None:
    def verdict(right: int) -> Verdict:
        return judged(RECALL.test_beats_majority, split(answered(right, right)), policy=None, classes=CLASSES)

    settled = next(right for right in range(50, EACH) if verdict(right).outcome == "pass")
    assert 55 < settled < 65
    assert not verdict(settled - 1).accepted("simple")
    assert not verdict(EACH // 2).accepted("simple")


def test_columns_are_refused_only_below_their_chance() -> None:
    evidence = split(answered(42, 42))

    def verdict(columns_p: float) -> Verdict:
        policy = SimpleNamespace(alignment=AlignmentBounds(columns_p=columns_p))
        return judged(ALIGNMENT.test_class_columns_match, evidence, policy=policy, split="test")

    estimate = verdict(0.5).estimate
    assert estimate is not None
    assert 0.005 < estimate.value < 0.025
    assert verdict(estimate.value - 1e-9).accepted("simple")
    assert not verdict(estimate.value + 1e-9).accepted("simple")


def test_a_temperature_may_save_so_much_and_no_more() -> None:
    def verdict(wrong: int) -> Verdict:
        return judged(
            CALIBRATION.test_temperature_scaling_gain, SimpleNamespace(test=answered(wrong, wrong), validation=EVEN)
        )

    ceiling = POLICY.calibration.temperature_scaling_gain_ceiling
    found = [verdict(right) for right in range(EACH + 1)]
    gains = [each.estimate.value for each in found if each.estimate is not None]
    assert [each.accepted("simple") for each in found] == [gain <= ceiling for gain in gains]
    assert {each.accepted("simple") for each in found} == {True, False}


@pytest.mark.parametrize("check", ["predictions_repeat", "predictions_batch_invariant", "reload_preserves_predictions"])
def test_answers_may_differ_by_the_tolerance_and_no_more(check: str) -> None:
    answers = np.full((1, 4, 2), 0.5, np.float32)
    answers[..., 0] += np.float32(0.2)

    def verdict(apart: float) -> Verdict:
        moved = answers + np.float32(apart)
        record = InferenceRecord(
            ids=("a", "b", "c", "d"),
            repeats=np.concatenate([answers, moved if check == "predictions_repeat" else answers]),
            batchings=dict.fromkeys(BATCHINGS, moved[0]),
            before_saving=answers[0],
            reloaded=moved[0],
            reload_error="",
            layers=(),
            displacement="",
        )
        again = WatchRecord(record.ids, {"at the end": answers}, np.zeros(4, np.bool_), {})
        evidence = [SimpleNamespace(ask_again=lambda: again)] if check == "predictions_repeat" else []
        return judged(getattr(INFERENCE, f"test_{check}"), *evidence, record)

    assert verdict(0.9 * POLICY.inference.tolerance).outcome == "pass"
    assert verdict(1.1 * POLICY.inference.tolerance).outcome == "fail"


@pytest.mark.parametrize(
    ("check", "record", "named"),
    [
        ("border_mask_flips", masked(answered(0, 0)), {"width": 0.05}),
        ("border_swap", border(other={0.05: answered(0, 0)}), {"width": 0.05}),
        ("border_only_skill", only(answered(EACH, EACH)), {"only_width": 0.05}),
    ],
)
def test_a_stress_border_is_descriptive_and_a_gating_one_refuses(
    check: str, record: BorderRecord, named: dict[str, object]
) -> None:
    other = SimpleNamespace(border=BorderBounds(borders=[0.08], only_borders=[0.08]))
    for policy, gates in ((POLICY, True), (other, False)):
        verdict = judged(getattr(BORDER, f"test_{check}"), record, policy=policy, **named)
        assert (verdict.gates, verdict.accepted("simple")) == (gates, not gates)
