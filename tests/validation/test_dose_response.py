"""Tests of blends of two models, and of doses interpolated between those judged."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.candidates.predictions import Predictions
from roentgate.data.phantom import DOSES
from roentgate.errors import ArgumentError
from roentgate.evidence.records import BorderRecord
from roentgate.policy.policy import Policy, load_policy
from roentgate.session.suite_runner import load_suite, verdicts
from tests.validation import dose_response
from tests.validation.dose_response import PARTS, READERS, SHARES, blend, blends, dose_at, readers
from tests.validation.planted_models import read_planted_models

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("Covid", "Normal", "Viral Pneumonia")
LABELS = np.repeat(np.arange(3), 30)
DONORS = (LABELS + 1) % 3


def answering(answers: NDArray[np.int64] | int) -> Predictions:
    probabilities = np.full((len(LABELS), 3), 0.1)
    probabilities[np.arange(len(LABELS)), answers] = 0.8
    ids = tuple(f"test/{row}.png" for row in range(len(LABELS)))
    return Predictions(ids=ids, classes=CLASSES, labels=LABELS, probabilities=probabilities.astype(np.float32))


def record(policy: Policy, masked: Predictions, only: Predictions, other: Predictions) -> BorderRecord:
    bounds, clean = policy.border, answering(LABELS)
    borders = [*bounds.borders, *bounds.stress_borders]
    only_borders = [*bounds.only_borders, *bounds.only_stress_borders]
    return BorderRecord(
        clean=clean,
        masked={(width, infill): masked for width in borders for infill in bounds.infills},
        only={(width, infill): only for width in only_borders for infill in bounds.infills},
        interior=dict.fromkeys(borders, clean),
        other=dict.fromkeys(borders, other),
        same=dict.fromkeys(borders, clean),
        donor_labels=DONORS,
    )


@pytest.fixture
def policy() -> Policy:
    return load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=CLASSES)


@pytest.fixture
def sound(policy: Policy) -> BorderRecord:
    """A model that uses the interior alone.

    Masked borders change no answer, and with borders alone it guesses.
    """
    return record(policy, answering(LABELS), answering(np.arange(len(LABELS)) % 3), answering(LABELS))


@pytest.fixture
def reader(policy: Policy) -> BorderRecord:
    """A model that uses the border alone.

    With masked borders it guesses, and it follows the donor of a border swap.
    """
    return record(policy, answering(np.arange(len(LABELS)) % 3), answering(LABELS), answering(DONORS))


@pytest.fixture
def refused_by(policy: Policy) -> Callable[[BorderRecord], set[str]]:
    suite = load_suite(ROOT / "suites" / "test_border.py")

    def found(border: BorderRecord) -> set[str]:
        fixtures = {"border_answers": border, "unseen": lambda answers: answers}
        all_verdicts = verdicts(suite, fixtures, policy, CLASSES, absent=["smallest_masks", "border_contents"])
        bounds = policy.border
        masked, alone = [*bounds.borders, *bounds.stress_borders], [*bounds.only_borders, *bounds.only_stress_borders]
        assert Counter(check for check, _, _ in all_verdicts) == {
            "border_mask_flips": len(masked) * (len(bounds.infills) + 1),
            "border_masked_recall": len(bounds.borders) * len(CLASSES),
            "border_swap": len(masked),
            "border_only_skill": len(alone),
            "interior_mask_control": len(masked),
        }
        return {check for check, _, verdict in all_verdicts if not verdict.accepted("simple")}

    return found


def test_the_border_suite_accepts_a_sound_record_and_refuses_a_reader_by_every_check(
    sound: BorderRecord, reader: BorderRecord, refused_by: Callable[[BorderRecord], set[str]]
) -> None:
    assert refused_by(sound) == set()
    assert refused_by(reader) == {"border_mask_flips", "border_masked_recall", "border_swap", "border_only_skill"}


def test_a_blend_is_refused_from_some_share_on(
    sound: BorderRecord, reader: BorderRecord, refused_by: Callable[[BorderRecord], set[str]]
) -> None:
    responses = [bool(refused_by(blend(sound, reader, share))) for share in (0, 0.25, 0.4, 0.6, 1)]
    assert responses == [False, False, False, True, True]


def test_the_ends_of_a_blend_are_its_parts(sound: BorderRecord, reader: BorderRecord) -> None:
    for share, part in ((0.0, sound), (1.0, reader)):
        mixed = blend(sound, reader, share)
        for name in ("masked", "only", "interior", "other", "same"):
            for key, answers in getattr(part, name).items():
                np.testing.assert_array_equal(getattr(mixed, name)[key].probabilities, answers.probabilities)


def test_every_share_of_every_pair_is_judged_by_the_border_suite(
    sound: BorderRecord, reader: BorderRecord, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second pair is the sound model twice, so no blend of it is refused."""
    pairs = {0: (sound, reader), 1: (sound, sound)}
    steps: list[tuple[str, int]] = []

    def ready(_: Path, seed: int) -> SimpleNamespace:
        parts = dict(zip(PARTS, pairs[seed], strict=True))
        return SimpleNamespace(
            policy=policy,
            classes=CLASSES,
            unseen=lambda answers: answers,
            evidence=lambda name: SimpleNamespace(border=lambda _: parts[name]),
        )

    monkeypatch.setattr(dose_response, "_session", ready)
    found = blends(ROOT, [0, 1], step=lambda now, done: steps.append((now, done)))
    assert [each["share"] for each in found] == list(SHARES)
    refused = {each["share"]: each["refused"] for each in found}
    assert refused[0.0] == [[], []]
    assert "border/border_mask_flips" in refused[1.0][0]
    assert all(each[1] == [] for each in refused.values())
    assert sum(done for _, done in steps) == 4
    assert {now for now, _ in steps} == {"blends, seed 0", "blends, seed 1"}


def test_parts_of_other_donors_do_not_blend(sound: BorderRecord, policy: Policy) -> None:
    second = record(policy, sound.clean, sound.clean, sound.clean)
    moved = BorderRecord(**{**vars(second), "donor_labels": (DONORS + 1) % 3})
    with pytest.raises(ArgumentError, match="other rows or donors"):
        blend(sound, moved, 0.5)
    with pytest.raises(ArgumentError, match=r"a share of 1\.5"):
        blend(sound, second, 1.5)


@pytest.mark.parametrize(
    ("shares", "level", "dose"),
    [
        ([0.0, 0.4, 1.0], 0.7, 75.0),
        ([0.0, 1.0, 1.0], 0.5, 25.0),
        ([0.6, 1.0, 1.0], 0.5, 0.0),
        ([0.0, 0.2, 0.4], 0.5, None),
        ([0.0, 0.8, 0.4], 0.6, 50.0),  # smoothed to 0, 0.6, 0.6
    ],
)
def test_a_dose_is_read_off_between_those_judged(shares: list[float], level: float, dose: float | None) -> None:
    found = dose_at([0, 50, 100], shares, level)
    assert (None if found is None else found.dose) == (None if dose is None else pytest.approx(dose))


@pytest.mark.parametrize(
    ("shares", "level", "between"),
    [
        ([0.0, 0.4, 1.0], 0.7, (50, 100)),
        ([0.0, 1.0, 1.0], 0.5, (0, 50)),
        ([0.0, 0.5, 1.0], 0.5, (50, 50)),
        ([0.6, 1.0, 1.0], 0.5, (0, 0)),
    ],
)
def test_a_reading_says_between_which_judged_doses_it_was_read_off(
    shares: list[float], level: float, between: tuple[float, float]
) -> None:
    found = dose_at([0, 50, 100], shares, level)
    assert found is not None
    assert (found.low, found.high) == between
    assert found.low <= found.dose <= found.high


def test_of_doses_that_were_not_judged_nothing_is_read_off() -> None:
    assert dose_at([], [], 0.5) is None


def test_every_reader_meets_every_dose() -> None:
    found = readers(read_planted_models(ROOT / "models"), DOSES)
    assert {(model.name, model.data) for model in found} == {
        (name, data) for name in READERS for data in DOSES.values()
    }
