"""Evidence that says nothing is accepted by no rule, in any check that gates.

The required checks are walked, so that a new one is put to the test by itself. Each is called as a run calls it, with
all values of its parameters, on evidence of a model that says nothing.
"""

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from roentgate.arrays import DoubleArray, IntArray
from roentgate.candidates.predictions import Predictions
from roentgate.evidence.acquisition import RobustnessRecord
from roentgate.evidence.lung_answers import AttentionRecord
from roentgate.evidence.probe_watch import WatchRecord
from roentgate.evidence.records import BATCHINGS, BorderRecord, InferenceRecord, StreamRecord, TrainingRecord
from roentgate.evidence.streams.passes import Pass
from roentgate.lungs.lung_perturbations import REGIONS
from roentgate.perturbations.corruptions import SEVERITIES
from roentgate.perturbations.regions import REGION_INFILLS
from roentgate.policy.policy import load_policy
from roentgate.policy.required import CHECKS
from roentgate.session.suite_runner import axes
from roentgate.stats.verdict import Gate, Verdict
from tests.runs.test_suites import ROOT, suite

CLASSES = ("Covid", "Normal", "Viral Pneumonia")
EACH = 20
POLICY = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=CLASSES)
GATES: tuple[Gate, ...] = ("simple", "guarded")

NO_EVIDENCE_OF_THE_MODEL = ("data", "ledger", "claims")
"""Suites that judge images, ledgers and published figures rather than answers."""

FORMAT = {
    "predictions_repeat": "that answers repeat is seen on one answer too",
    "predictions_batch_invariant": "that answers do not depend on the batch is seen on one answer too",
    "reload_preserves_predictions": "that a reloaded model answers alike is seen on one answer too",
    "outputs_are_probabilities": "one answer may be a probability",
    "answers_are_finite": "one answer may be finite",
}
"""Checks of the form of answers: what is answered does not matter, but that something is."""

BY_ROWS = {
    "accuracy_noninferiority": "it counts the rows there are, and recall_noninferiority refuses the missing class"
}
"""Checks for which the rows of one class say something."""

CONTROLS = {"shuffled_answers_control": "caught, as it should be: it judges the floors, and not the model"}


def answering(labels: IntArray, probabilities: DoubleArray) -> Predictions:
    return Predictions(
        ids=tuple(f"r{row:03d}" for row in range(len(labels))),
        classes=CLASSES,
        labels=labels,
        probabilities=np.asarray(probabilities, np.float32),
    )


LABELS = np.repeat(np.arange(3), EACH)
SCENARIOS: dict[str, Predictions] = {
    "one answer": answering(LABELS, np.tile([0.4, 0.3, 0.3], (3 * EACH, 1))),
    "one answer, fully undecided": answering(LABELS, np.full((3 * EACH, 3), 1 / 3)),
    "no finite answer": answering(LABELS, np.full((3 * EACH, 3), np.nan)),
    "rows of one class only": answering(np.zeros(EACH, np.int64), np.tile([0.8, 0.1, 0.1], (EACH, 1))),
    "no rows": answering(np.zeros(0, np.int64), np.zeros((0, 3))),
}
SOUND = answering(LABELS, np.eye(3)[LABELS] * 0.8 + 0.1)


def empty_pass() -> Pass:
    none, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return Pass(
        best=none,
        correlation=real,
        own=real,
        near_duplicate=real,
        foreign=none,
        digest=none.astype(np.uint64),
        brightness=real,
        endless=False,
    )


def stream_of(answers: Predictions, split: str) -> StreamRecord:
    """Return a stream without images, whose answers are those of the rows."""
    real = np.zeros(0, np.float32)
    return StreamRecord(
        split=split,
        ids=answers.ids,
        classes=CLASSES,
        labels=answers.labels,
        batch_size=8,
        other_splits=(),
        passes=(empty_pass(), empty_pass(), empty_pass()),
        stream_labels=np.zeros(0, np.int64),
        gain=real,
        offset=real,
        residual=real,
        lowest=0.0,
        highest=1.0,
        input_range=(0.0, 1.0),
        probabilities=answers.probabilities,
        stream_probabilities=answers.probabilities,
    )


def border_of(answers: Predictions) -> BorderRecord:
    bounds = POLICY.border
    widths = [*bounds.borders, *bounds.stress_borders]
    only = [*bounds.only_borders, *bounds.only_stress_borders]
    return BorderRecord(
        clean=answers,
        masked=dict.fromkeys(product(widths, bounds.infills), answers),
        only=dict.fromkeys(product(only, bounds.infills), answers),
        interior=dict.fromkeys(widths, answers),
        other=dict.fromkeys(widths, answers),
        same=dict.fromkeys(widths, answers),
        donor_labels=(answers.labels + 1) % 3,
    )


def attention_of(answers: Predictions) -> AttentionRecord:
    rows = np.arange(len(answers))
    return AttentionRecord(
        rows=rows,
        left_out=0,
        clean=answers,
        hidden=dict.fromkeys(product(REGIONS, REGION_INFILLS), answers),
        swapped=answers,
        donor_rows=(rows + EACH) % max(len(rows), 1),
        same_class=answers,
        same_class_rows=rows,
        annotated=answers,
        plain=answers,
        annotation_labels=(answers.labels + 1) % 3,
        marker_boxes=np.tile([2, 8, 2, 6], (len(rows), 1)),
        letter=answers,
        patch=answers,
        inverted=answers,
        blanks={"black": answers.probabilities[:1]},
        probe=answers,
        probe_swapped=answers,
    )


def fixtures_of(answers: Predictions) -> dict[str, object]:
    """Return what a run offers to the tests of its suites, on a model with these answers."""
    probe = answers.probabilities[:8]
    ids = answers.ids[:8]
    watched = WatchRecord(
        ids, {"at the end": probe[None]}, np.array([not np.isfinite(row).all() for row in probe], np.bool_), {}
    )
    border = border_of(answers)
    evidence = SimpleNamespace(
        test=answers,
        validation=answers,
        training_stream=TrainingRecord(
            seen=0,
            ids={"validation": answers.ids, "test": answers.ids},
            delivered=dict.fromkeys(("validation", "test"), np.zeros(len(answers), np.bool_)),
        ),
        watched=watched,
        ask_again=lambda: watched,
        border=lambda _: border,
    )
    robustness = POLICY.robustness
    moved = RobustnessRecord(
        clean=answers,
        corrupted=dict.fromkeys(product(robustness.corruptions, SEVERITIES), answers),
        rotated={3: answers},
        shifted={(0.03, "up"): answers},
        resized={"box": answers},
    )
    sound = border_of(SOUND if len(answers) == len(SOUND) else answers)
    return {
        "evidence": evidence,
        "inference_record": InferenceRecord(
            ids=ids,
            repeats=np.stack([probe] * 5),
            batchings=dict.fromkeys(BATCHINGS, probe),
            before_saving=probe,
            reloaded=probe,
            reload_error="",
            layers=(),
            displacement="",
        ),
        "border_answers": border,
        "attention": attention_of(answers),
        "robustness": moved,
        "reference": SimpleNamespace(test=sound.clean, border=lambda _: sound, name="sound", fingerprint="0" * 64),
        "unseen": lambda predictions: predictions,
        "policy": POLICY,
        "classes": CLASSES,
    }


def verdicts(check: Callable[..., None], answers: Predictions) -> Iterator[Verdict]:
    """Yield every verdict of a check, over all values of its parameters."""
    given, values = fixtures_of(answers), axes(POLICY, CLASSES)
    names = [name for name in inspect.signature(check).parameters if name not in {"accept", "stream"}]
    unknown = [name for name in names if name not in given and name not in values]
    assert not unknown, f"fixtures {unknown}: say in fixtures_of what they are on a model that says nothing"
    axis = [name for name in names if name not in given]
    for chosen in product(*(values[name] for name in axis)):
        arguments = {name: given[name] for name in names if name in given} | dict(zip(axis, chosen, strict=True))
        if "stream" in inspect.signature(check).parameters:
            arguments["stream"] = stream_of(answers, str(arguments["split"]))
        found: list[Verdict] = []
        check(**arguments, accept=lambda verdict, subject="", found=found: found.append(verdict))
        yield from found


def gating_checks() -> Iterator[tuple[str, str]]:
    for name, checks in CHECKS.items():
        if name not in NO_EVIDENCE_OF_THE_MODEL:
            yield from ((name, check) for check in checks)


DESCRIPTIVE = {"smallest_flipping_mask", "border_invariance", "lung_fields_found", "training_curve"}
"""Descriptive checks whose evidence is not the answers: a search of its own, the masks, the losses of a training."""


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("suite_name", "check"), list(gating_checks()))
def test_evidence_that_says_nothing_is_accepted_nowhere(suite_name: str, check: str, scenario: str) -> None:
    if check in DESCRIPTIVE:
        assert "Descriptive" in str(getattr(suite(suite_name), f"test_{check}").__doc__)
        return
    found = list(verdicts(getattr(suite(suite_name), f"test_{check}"), SCENARIOS[scenario]))
    gating = [verdict for verdict in found if verdict.gates]
    something = scenario not in {"no finite answer", "no rows"}
    by_rows = scenario == "rows of one class only" and check in BY_ROWS
    if not gating or by_rows or check in CONTROLS or (something and check in FORMAT):
        return
    for gate in GATES:
        refused = [verdict for verdict in gating if not verdict.accepted(gate)]
        assert refused, [(verdict.outcome, verdict.estimate) for verdict in gating]


def test_most_checks_gate_and_few_are_exempt() -> None:
    assert len({*FORMAT, *BY_ROWS, *CONTROLS}) < 8
    every = {check for _, check in gating_checks()}
    assert {*FORMAT, *BY_ROWS, *CONTROLS, *DESCRIPTIVE} <= every
