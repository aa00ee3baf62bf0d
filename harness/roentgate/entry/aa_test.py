"""The gate against itself (A/A): how often chance refuses a candidate that is exactly as good as the reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from roentgate.candidates import Predictions
from roentgate.checks import metrics
from roentgate.errors import ArgumentError
from roentgate.evidence import BorderRecord
from roentgate.report import fenced, table
from roentgate.scorecard import escape
from roentgate.session import Session, load_suite, verdicts
from roentgate.stats import Gate, Verdict, proportion
from roentgate.store import atomic

SUITES = ("recall", "border", "comparison")
PAGE = "aa-test.md"
EXPLAINED = (
    "Two models that are exactly as good as this one, and err independently of it and of each other, were drawn many "
    "times: on each image they answer as it does on an image of the same class drawn at random (on one that is in "
    "train as well, as on another such; with all images of a patient, where patients are known), whole and under every "
    "mask alike. One was judged with the other as its reference. What refuses it does so by chance, or because the "
    "model itself misses the bound. Models that tend to err on the same images differ less: for them the comparison "
    "refuses less often than this. Counted are the suites "
    f"{', '.join(SUITES[:-1])} and {SUITES[-1]}; what the others ask of the images or of the network is not drawn."
)


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the draws a check refused, under either rule; ``check`` is ``suite/id``, or empty for any of them."""

    check: str
    simple: int
    guarded: int
    draws: int


def draw(strata: NDArray[np.int64], groups: Sequence[str] | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return for every row another of its stratum at random, with replacement: int64 (n,).

    Where groups are known, each group answers as another one in the stratum does, image by image in turn.
    """
    taken = np.arange(len(strata))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        if groups is None:
            taken[rows] = rng.choice(rows, len(rows))
            continue
        members: dict[str, list[int]] = {}
        for row in rows:
            members.setdefault(groups[int(row)], []).append(int(row))
        names = list(members)
        for own, other in zip(names, rng.choice(len(names), len(names)), strict=True):
            there = members[names[other]]
            taken[members[own]] = np.resize(there, len(members[own]))
    return taken


def strata_of(test: Predictions, counted: Predictions) -> NDArray[np.int64]:
    """Return what a row must share with the one it answers as, int64 (n,): its class, and whether it is ``counted``."""
    kept = set(counted.ids)
    return 2 * test.labels + np.array([name not in kept for name in test.ids], np.int64)


def selves(
    predictions: Predictions, border: BorderRecord, taken: NDArray[np.int64]
) -> tuple[Predictions, BorderRecord]:
    """Return the evidence on a candidate that answers every row as the given ones answer row ``taken``."""

    def moved(answers: Predictions) -> Predictions:
        return replace(answers, probabilities=answers.probabilities[taken])

    parts = {
        part.name: {key: moved(answers) for key, answers in getattr(border, part.name).items()}
        for part in fields(border)
        if part.name not in {"clean", "donor_labels"}
    }
    return moved(predictions), replace(
        border, clean=moved(border.clean), donor_labels=border.donor_labels[taken], **parts
    )


def false_alarms(session: Session, model: str, *, draws: int, seed: int, step: Callable[[], object]) -> list[Count]:
    """Judge as many equally good candidates as asked, and count what refuses them.

    Args:
        session: A run that names the model.
        model: Its name.
        draws: How many candidates.
        seed: The same seed, the same counts.
        step: Called after each.

    Returns:
        One count a check, and at the end one for any of them.

    Raises:
        ArgumentError: No draws, or a class of one image or patient, as which no other can answer.
        HarnessError: The model cannot be made ready.
    """
    if draws < 1:
        raise ArgumentError(f"{draws} draws; give 1 or more")
    policy, classes, folder = session.policy, session.classes, session.settings.root / "suites"
    suites = {name: load_suite(folder / f"test_{name}.py") for name in SUITES}
    evidence = session.evidence(model)
    test = evidence.test
    counted = session.unseen(test)
    _several(counted)
    strata = strata_of(test, counted)
    border = evidence.border(policy.border)
    rng = np.random.default_rng(seed)
    refused: dict[Gate, dict[str, int]] = {"simple": {}, "guarded": {}}
    for _ in range(draws):
        (before, other), (now, masked) = (
            selves(test, border, draw(strata, test.groups, rng)) for _ in ("reference", "candidate")
        )
        earlier = SimpleNamespace(test=before, border=lambda _, record=other: record, candidate=evidence.candidate)
        given = {"evidence": SimpleNamespace(test=now), "border_answers": masked, "reference": earlier}
        given["unseen"] = session.unseen
        found: list[tuple[str, Verdict]] = []
        for name, suite in suites.items():
            told = verdicts(suite, given, policy, classes, absent=["smallest_masks", "border_contents"])
            found += [(f"{name}/{check}", verdict) for check, _, verdict in told]
        for mode, counts in refused.items():
            against = {check for check, verdict in found if not verdict.accepted(mode)}
            for check in {*against, *([""] if against else [])}:
                counts[check] = counts.get(check, 0) + 1
        names = list(dict.fromkeys(check for check, verdict in found if verdict.gates))
        step()
    return [
        Count(check, refused["simple"].get(check, 0), refused["guarded"].get(check, 0), draws) for check in [*names, ""]
    ]


def blind_spots(test: Predictions) -> list[str]:
    """Say of each class without a miss that no drawn model has one either, and how low its recall may truly be.

    Args:
        test: The model's answers on the rows that count.
    """
    units = "images" if test.groups is None else "patients"
    found = [(label, metrics.recall(test, label)) for label in test.classes]
    return [
        f"**{escape(label)}: no miss on {share.n} {units}**, so no drawn model has one, and none is refused for one. "
        f"Its recall may be as low as {share.low:.2f}, and if it is, these counts are too low."
        for label, share in found
        if share.value == 1
    ]


def page(model: str, data: str, counts: Sequence[Count], command: str, *, blind: Sequence[str] = ()) -> str:
    """Return the counts as markdown; ``blind`` from `blind_spots`."""
    lines = [
        [escape(count.check) or "any of these", *(_share(hits, count.draws) for hits in (count.simple, count.guarded))]
        for count in counts
    ]
    text = [
        f"# {escape(model)} on {escape(data)} against itself",
        f"{EXPLAINED} {counts[-1].draws} pairs; shares with their exact 95 % interval, which is about the number of "
        "draws: what the model answered on these images is taken for the truth.",
        *blind,
        table(["refused by", "simple rule", "guarded rule"], lines),
        "Made by:",
        fenced([command]),
        "Research software, not a medical device.",
    ]
    return "\n\n".join(text) + "\n"


def write_page(path: Path, text: str) -> None:
    """Write the page, whole or not at all."""
    with atomic(path) as draft:
        draft.write_text(text, "utf-8")


def _several(test: Predictions) -> None:
    units = np.arange(len(test)) if test.groups is None else np.asarray(test.groups)
    for index, label in enumerate(test.classes):
        if len(np.unique(units[test.labels == index])) < 2:
            what = "image" if test.groups is None else "patient"
            raise ArgumentError(
                f"class '{label}' has fewer than two test {what}s that are not in train as well, so that no other "
                f"model can be drawn from these answers; give a data set with more {what}s of it"
            )


def _share(hits: int, draws: int) -> str:
    found = proportion(hits, draws)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
