"""Dose and response: how much of a shortcut, or of a border reader in a blend, the border suite needs to refuse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from typing_extensions import TypedDict

from roentgate.candidates import Options, Predictions
from roentgate.errors import ArgumentError
from roentgate.evidence import BorderRecord
from roentgate.session import Session, Settings, load_suite, new_run_id, open_session, verdicts
from tests.validation.planted_models import PlantedModel

_Key = TypeVar("_Key")

CLEAR = "phantom-shortcut-clear"
"""Clear lesions in borders that give the class away: both parts of a blend can do well."""

PARTS = ("sound.cropping", "known_bad.border_reader")
"""A model that cannot see the border, and one that sees nothing else."""

READERS = (
    "known_bad.shortcut_learner",
    "known_bad.exposure_reader",
    "known_bad.corner_reader",
    "known_bad.marker_reader",
    "known_bad.border_reader",
)
SHARES = tuple(round(0.05 * step, 2) for step in range(21))


class Reading(NamedTuple):
    """A dose, and the judged doses between which it was read off; all three are one where it was judged itself."""

    dose: float
    low: float
    high: float


class Reliance(TypedDict):
    """A blend of a sound model and a reader of the border: the share of the reader, and what refused each seed."""

    share: float
    refused: list[list[str]]


def readers(planted_models: Sequence[PlantedModel], doses: Mapping[int, str]) -> list[PlantedModel]:
    """Return the readers of the shortcut among planted models once for each dose: the data set of that dose."""
    chosen = [planted for name in READERS for planted in planted_models if planted.name == name]
    return [replace(planted, data=data) for planted in chosen for data in doses.values()]


def can_blend(planted_models: Sequence[PlantedModel]) -> bool:
    """Whether both parts of a blend are among planted models."""
    return {*PARTS} <= {planted.name for planted in planted_models}


def blends(root: Path, seeds: Sequence[int], *, step: Callable[[str, int], None]) -> list[Reliance]:
    """Return what refuses a blend of a sound model and a reader of the border, at each share of the reader.

    The answer of a blend is the weighted mean of the probabilities of its parts, so its evidence is computed from
    theirs; no image is predicted again.

    Args:
        root: The project folder.
        seeds: One pair of parts each.
        step: Called with (what is made ready now, how many were finished since the last call).

    Raises:
        HarnessError: A part cannot be made ready.
    """
    suite = load_suite(root / "suites" / "test_border.py")
    refused: dict[float, list[list[str]]] = {share: [] for share in SHARES}
    for seed in seeds:
        step(f"blends, seed {seed}", 0)
        session = _session(root, seed)
        sound, reader = (session.evidence(name).border(session.policy.border) for name in PARTS)
        for share in SHARES:
            given = {"border_answers": blend(sound, reader, share), "unseen": session.unseen}
            found = verdicts(
                suite, given, session.policy, session.classes, absent=["smallest_masks", "border_contents"]
            )
            against = {check for check, _, verdict in found if not verdict.accepted("simple")}
            refused[share].append(sorted(f"border/{check}" for check in against))
        step(f"blends, seed {seed}", len(PARTS))
    return [{"share": share, "refused": found} for share, found in refused.items()]


def blend(first: BorderRecord, second: BorderRecord, share: float) -> BorderRecord:
    """Return the evidence on a model that answers with the mean of two, weighted 1 - ``share`` and ``share``.

    Raises:
        ArgumentError: ``share`` is not in [0, 1], or the two are not of the same rows and donors.
    """
    if not 0 <= share <= 1:
        raise ArgumentError(f"a share of {share}; give a number between 0 and 1")
    if first.clean.ids != second.clean.ids or not np.array_equal(first.donor_labels, second.donor_labels):
        raise ArgumentError("the two parts of a blend were asked about other rows or donors; use one data set and seed")

    def mean(one: Predictions, other: Predictions) -> Predictions:
        return replace(one, probabilities=(1 - share) * one.probabilities + share * other.probabilities)

    def means(ones: Mapping[_Key, Predictions], others: Mapping[_Key, Predictions]) -> dict[_Key, Predictions]:
        return {key: mean(ones[key], others[key]) for key in ones}

    return BorderRecord(
        clean=mean(first.clean, second.clean),
        masked=means(first.masked, second.masked),
        only=means(first.only, second.only),
        interior=means(first.interior, second.interior),
        other=means(first.other, second.other),
        same=means(first.same, second.same),
        donor_labels=first.donor_labels,
    )


def dose_at(doses: Sequence[float], shares: Sequence[float], level: float) -> Reading | None:
    """Return the dose at which a response first reaches ``level``, read off a straight line between two judged doses.

    The responses are made to rise with the dose first (isotonic least squares). None where it never does, or no dose
    was judged; the lowest judged dose where the response has reached it there.

    Examples:
        >>> dose_at([0, 50, 100], [0.0, 0.4, 1.0], 0.7)
        Reading(dose=75.0, low=50.0, high=100.0)
    """
    if not doses:
        return None
    from sklearn.isotonic import isotonic_regression

    rising = isotonic_regression(np.asarray(shares, np.float64))
    reached = np.flatnonzero(rising >= level - 1e-9)
    if not reached.size:
        return None
    at = int(reached[0])
    high = float(doses[at])
    if at == 0 or rising[at] <= level + 1e-9:
        return Reading(high, high, high)
    low = float(doses[at - 1])
    part = float((level - rising[at - 1]) / (rising[at] - rising[at - 1]))
    return Reading(low + part * (high - low), low, high)


def _session(root: Path, seed: int) -> Session:
    return open_session(
        Settings(
            models=PARTS,
            data=CLEAR,
            root=root,
            policy=root / "suites" / "policy.toml",
            gate="simple",
            reports=root / "reports",
            options=Options(models=root / "models", seed=seed, run_id=new_run_id()),
        )
    )
