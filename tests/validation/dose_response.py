"""Dose and response: how much of a shortcut the border suite refuses.

The dose is the strength of the shortcut in the data, or the share of a border reader in a blend.
"""

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
"""Data with clear lesions and with borders that predict the label, so that both parts of a blend can do well."""

PARTS = ("sound.cropping", "known_bad.border_reader")
"""A model that cannot see the border, and one that sees the border alone."""

READERS = (
    "known_bad.shortcut_learner",
    "known_bad.exposure_reader",
    "known_bad.corner_reader",
    "known_bad.marker_reader",
    "known_bad.border_reader",
)
SHARES = tuple(round(0.05 * step, 2) for step in range(21))


class Reading(NamedTuple):
    """A dose, and the judged doses between which it was interpolated.

    All three are equal if the dose was judged itself.
    """

    dose: float
    low: float
    high: float


class Reliance(TypedDict):
    """The share of a border reader in a blend, and the checks that refused each seed."""

    share: float
    refused: list[list[str]]


def readers(planted_models: Sequence[PlantedModel], doses: Mapping[int, str]) -> list[PlantedModel]:
    """Return each reader of the shortcut once for each dose's data set."""
    chosen = [model for name in READERS for model in planted_models if model.name == name]
    return [replace(model, data=data) for model in chosen for data in doses.values()]


def can_blend(planted_models: Sequence[PlantedModel]) -> bool:
    """Whether both parts of a blend are among the models."""
    return {*PARTS} <= {model.name for model in planted_models}


def blends(root: Path, seeds: Sequence[int], *, step: Callable[[str, int], None]) -> list[Reliance]:
    """Return what refuses a blend at each share of the border reader.

    The answer of a blend is the weighted mean of the probabilities of its parts, a sound model and a border reader. So
    its evidence is computed from theirs, and no image is predicted again.

    Args:
        root: The project folder.
        seeds: Seeds of training, one for each pair of parts.
        step: Called with (what is trained or loaded now, parts finished since the last call).

    Raises:
        HarnessError: A part cannot be trained or loaded.
    """
    suite = load_suite(root / "suites" / "test_border.py")
    refused: dict[float, list[list[str]]] = {share: [] for share in SHARES}
    for seed in seeds:
        step(f"blends, seed {seed}", 0)
        session = _session(root, seed)
        sound, reader = (session.evidence(name).border(session.policy.border) for name in PARTS)
        for share in SHARES:
            fixtures = {"border_answers": blend(sound, reader, share), "unseen": session.unseen}
            found = verdicts(
                suite, fixtures, session.policy, session.classes, absent=["smallest_masks", "border_contents"]
            )
            not_accepted = {check for check, _, verdict in found if not verdict.accepted("simple")}
            refused[share].append(sorted(f"border/{check}" for check in not_accepted))
        step(f"blends, seed {seed}", len(PARTS))
    return [{"share": share, "refused": found} for share, found in refused.items()]


def blend(first: BorderRecord, second: BorderRecord, share: float) -> BorderRecord:
    """Return the border evidence of a blend of two models.

    Its probabilities are their mean, weighted 1 - ``share`` and ``share``.

    Raises:
        ArgumentError: ``share`` is not in [0, 1], or the two differ in rows or donors.
    """
    if not 0 <= share <= 1:
        raise ArgumentError(f"a share of {share}; give a number between 0 and 1")
    if first.clean.ids != second.clean.ids or not np.array_equal(first.donor_labels, second.donor_labels):
        raise ArgumentError("the two parts of a blend have other rows or donors; use one data set and seed")

    def mean(of_first: Predictions, of_second: Predictions) -> Predictions:
        return replace(of_first, probabilities=(1 - share) * of_first.probabilities + share * of_second.probabilities)

    def means(of_first: Mapping[_Key, Predictions], of_second: Mapping[_Key, Predictions]) -> dict[_Key, Predictions]:
        return {key: mean(of_first[key], of_second[key]) for key in of_first}

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
    """Return the dose at which a response first reaches ``level``.

    The responses are first made to rise with the dose (isotonic least squares). The dose is then interpolated linearly
    between two judged doses. It is the lowest judged dose if the response reaches the level there, and None if it never
    does or no dose was judged.

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
