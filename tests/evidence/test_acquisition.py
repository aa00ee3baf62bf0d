"""Tests of the robustness evidence, its suite and its policy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from roentgate.data import images as reading
from roentgate.errors import PolicyError
from roentgate.evidence.acquisition import NOISE_SEED, RobustnessRecord, observe, resizes
from roentgate.evidence.evidence import Evidence
from roentgate.perturbations.corruptions import KINDS, SEVERITIES, Corruption
from roentgate.perturbations.geometric import rotated, shifted
from roentgate.policy.bounds import RobustnessBounds
from roentgate.policy.policy import load_policy
from tests.runs.test_suites import EACH, POLICY, answered, judged, suite
from tests.support.altered import altered

if TYPE_CHECKING:
    from pathlib import Path

    from roentgate.candidates.predictions import Predictions
    from roentgate.perturbations import Group
    from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

BOUNDS = RobustnessBounds(corruptions=["JPEG", "gaussian noise"])
ROBUSTNESS = suite("robustness")
CHECKS = {name.removeprefix("test_") for name in vars(ROBUSTNESS) if name.startswith("test_")}

WAVERING = '''
"""A sound model that answers the first class for any noisy image."""

from pathlib import Path

import numpy as np
from models import nearest

FILES = nearest.FILES


class Wavering(nearest.Nearest):
    def predict(self, images):
        answers = super().predict(images)
        grain = np.diff(images, n=2, axis=1).std(axis=(1, 2, 3)) > 0.06
        answers[grain] = [1, 0, 0]
        return answers


def load(task):
    return Wavering(nearest.load(task).means)
'''


@pytest.fixture
def alone(project: Project) -> Project:
    """A project with its own store."""
    project.store = project.folder / "store"
    return project


# The perturbed images


def test_every_change_of_the_policy_is_answered_and_kept(alone: Project) -> None:
    first = Evidence(alone.ready())
    record = observe(first, BOUNDS)
    assert set(record.corrupted) == {(kind, level) for kind in BOUNDS.corruptions for level in SEVERITIES}
    assert set(record.rotated) == {-3, 3}
    assert set(record.shifted) == {(0.03, where) for where in ("up", "down", "left", "right")}
    assert record.resized == {}
    probe = 2 * 32  # asked before and after
    assert first.candidate.passes == (2 * 5 + 2 + 4 + 1) * 36 + probe
    again = Evidence(alone.ready())
    recalled = observe(again, BOUNDS)
    assert again.candidate.passes == 0
    key = ("gaussian noise", 3)
    np.testing.assert_array_equal(recalled.corrupted[key].probabilities, record.corrupted[key].probabilities)
    observe(again, BOUNDS.model_copy(update={"shifts": [0.03, 0.06]}))
    assert again.candidate.passes == 4 * 36 + 32


def test_the_model_is_shown_what_each_name_says(alone: Project) -> None:
    evidence = Evidence(alone.ready())
    record, rows = observe(evidence, BOUNDS), np.array([35, 3])
    images = evidence.candidate.splits.test.take(rows)
    changes = {
        "corrupted": (Corruption("gaussian noise", 5)(images, rows, seed=NOISE_SEED), ("gaussian noise", 5)),
        "rotated": (rotated(images, 3), 3),
        "shifted": (shifted(images, 0, -0.03), (0.03, "left")),
    }
    for part, (changed, key) in changes.items():
        answers = getattr(record, part)[key].probabilities[rows]
        np.testing.assert_allclose(answers, evidence.candidate.predict(changed), atol=1e-6)


def test_images_are_read_again_with_the_other_kernels_where_they_are_resized(alone: Project) -> None:
    evidence = Evidence(alone.ready(image_size=(32, 32)))
    test = evidence.candidate.splits.test
    assert not resizes(test)
    larger = replace(test, paths=_enlarged(test.paths, alone.folder), interpolation="nearest")
    assert resizes(larger)
    evidence.candidate.splits = replace(evidence.candidate.splits, test=larger)
    record = observe(evidence, BOUNDS)
    assert set(record.resized) == {"bilinear", "box"}
    expected = np.stack([reading.unit(reading.read(path, (32, 32, 1), "box")) for path in larger.paths[:2]])
    answers = evidence.candidate.predict(expected)
    np.testing.assert_allclose(record.resized["box"].probabilities[:2], answers, atol=1e-6)


def _enlarged(paths: tuple[Path, ...], folder: Path) -> tuple[Path, ...]:
    """Write the images at 48 x 48 with some noise, and return their paths."""
    rng, made = np.random.default_rng(0), []
    for number, path in enumerate(paths):
        pixels = np.asarray(Image.open(path).resize((48, 48))) + rng.integers(-9, 10, (48, 48))
        made.append(folder / f"large-{number}.png")
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(made[-1])
    return tuple(made)


def test_a_model_whose_answers_may_not_be_stored_is_asked_once(alone: Project) -> None:
    evidence = Evidence(alone.ready())
    evidence._reusable = lambda: False  # type: ignore[method-assign]
    observe(evidence, BOUNDS)
    passes = evidence.candidate.passes
    observe(evidence, BOUNDS)
    assert evidence.candidate.passes == passes


# The suite


def record(**changes: object) -> RobustnessRecord:
    """Return the record of a robust model, with changes.

    The model is right on 95 of 100 images of each class under every perturbation.
    """
    sound = answered(95, 95)
    made = RobustnessRecord(
        clean=sound,
        corrupted={(kind, level): sound for kind in KINDS for level in SEVERITIES},
        rotated={-3: sound, 3: sound},
        shifted={(0.03, where): sound for where in ("up", "down", "left", "right")},
        resized={"bilinear": sound, "box": sound},
    )
    return altered(made, **changes)


def corrupted(kind: str, severity: int, answers: Predictions) -> RobustnessRecord:
    return record(corrupted={**record().corrupted, (kind, severity): answers})


@pytest.mark.parametrize("group", ["detail", "noise", "exposure"])
@pytest.mark.parametrize("severity", [1, 3])
def test_the_worst_corruption_of_a_group_decides_and_is_named(group: Group, severity: int) -> None:
    kind = POLICY.robustness.members(group)[-1]
    poor = corrupted(kind, severity, answered(60, 60))
    found = judged(ROBUSTNESS.test_corruption_skill, poor, corruption_group=group, severity=severity)
    assert (found.outcome, found.gates) == ("fail", True)
    assert found.detail.endswith(f"({kind})")
    sound = judged(ROBUSTNESS.test_corruption_skill, record(), corruption_group=group, severity=severity)
    assert sound.outcome == "pass"
    other = 3 if severity == 1 else 1
    assert judged(ROBUSTNESS.test_corruption_skill, poor, corruption_group=group, severity=other).outcome == "pass"


def test_a_constant_model_is_never_robust() -> None:
    constant = answered(EACH, 0)
    made = record().seen_by(lambda _: constant)
    checks: dict[str, dict[str, object]] = {
        "corruption_skill": {"corruption_group": "noise", "severity": 1},
        "small_rotation": {},
        "small_shift": {},
    }
    for check, arguments in checks.items():
        assert not judged(getattr(ROBUSTNESS, f"test_{check}"), made, **arguments).accepted("simple"), check
    rows: list[Any] = []
    ROBUSTNESS.test_resizing_kernel(made, POLICY, lambda verdict, subject: rows.append((subject, verdict)))
    assert [subject for subject, verdict in rows if not verdict.accepted("simple")] == ["answers", "balanced accuracy"]


@pytest.mark.parametrize(("part", "key"), [("rotated", -3), ("shifted", (0.03, "left"))])
def test_every_way_that_an_image_may_lie_must_hold(part: str, key: object) -> None:
    made = record(**{part: {**getattr(record(), part), key: answered(70, 70)}})
    check = ROBUSTNESS.test_small_rotation if part == "rotated" else ROBUSTNESS.test_small_shift
    assert judged(check, made).outcome == "fail"
    assert judged(check, record()).outcome == "pass"


def test_curves_are_descriptive() -> None:
    made = corrupted("JPEG", 3, answered(10, 10))
    found = judged(ROBUSTNESS.test_corruption_curve, made, corruption="JPEG")
    assert (found.gates, found.outcome) == (False, "descriptive")
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.85)


def test_only_the_rows_to_be_judged_are_judged() -> None:
    half = answered(EACH, EACH)
    seen = record().seen_by(lambda answers: half if answers is not None else answers)
    assert seen.clean is half
    assert all(answers is half for answers in (*seen.corrupted.values(), *seen.rotated.values()))
    assert all(answers is half for answers in (*seen.shifted.values(), *seen.resized.values()))


def test_a_sound_model_passes_and_one_that_cannot_bear_grain_is_refused_for_noise(project: Project) -> None:
    project.use_real_suites()
    project.write("models/wavering.py", WAVERING)
    result = project.run(
        "suites/test_robustness.py", "--robustness", "--model", "nearest", "--model", "wavering", "--no-figures"
    )
    refused = {
        model: {(row["check"], row["subject"]) for row in result.record(model)["rows"] if not row["accepted"]}
        for model in ("nearest", "wavering")
    }
    noise = {("corruption_skill", f"noise, severity {severity}") for severity in (1, 3)}
    assert noise <= refused["wavering"] - refused["nearest"]
    assert not {row for row in refused["wavering"] if row[1].startswith("exposure") or row[1] == "shifted"}
    assert not {check for check, _ in refused["nearest"]} & CHECKS
    (skipped,) = result.rows("resizing_kernel")
    assert (skipped["outcome"], skipped["accepted"]) == ("skipped", True)
    assert skipped["detail"] == "every image has the size that the model wants"


# The policy


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('corruptions = ["jpg"]', "corruption 'jpg': unknown; known: JPEG"),
        ("corruptions = []", "'corruptions' is empty"),
        ("rotations = []", "'rotations' is empty"),
        ("shifts = [0.0]", "shifts.0: must be greater than 0"),
        ('kernels = ["nearest"]', "'kernels' must name two or more"),
        ('kernels = ["area", "box"]', "kernels.0: must be 'nearest', 'bilinear'"),
        ("mild_severity = 3", "'mild_severity' must be below 'marked_severity'"),
        ("marked_severity = 6", "marked_severity: must be less than or equal to 5"),
    ],
)
def test_a_policy_that_tests_nothing_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f"[robustness]\n{line}\n", "utf-8")
    with pytest.raises(PolicyError, match=message.replace("[", r"\[")):
        load_policy(path, data="phantom", classes=("Covid", "Normal"))


def test_a_policy_names_the_corruptions_that_are_judged() -> None:
    bounds = RobustnessBounds(corruptions=["JPEG", "shot noise", "JPEG"])
    assert bounds.groups == ["detail", "noise"]
    assert bounds.members("detail") == ["JPEG"]
    only = SimpleNamespace(robustness=bounds)
    poor = corrupted("gaussian noise", 1, answered(50, 50))
    found = judged(ROBUSTNESS.test_corruption_skill, poor, policy=only, corruption_group="noise", severity=1)
    assert found.outcome == "pass"
