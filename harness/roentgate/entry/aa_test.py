"""The A/A test: how often chance refuses an equally good candidate.

Candidates that are exactly as good as a model are drawn from its own answers and judged by the same suites.
"""

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
from roentgate.stats import Gate, Verdict, in_plural, proportion
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
    """How many of the draws a check refused.

    Attributes:
        check: ``suite/id``, or "" for any of the checks.
        simple: Draws refused under the simple rule.
        guarded: Draws refused under the guarded rule.
        draws: All draws.
    """

    check: str
    simple: int
    guarded: int
    draws: int


def draw(strata: NDArray[np.int64], groups: Sequence[str] | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return for every row a random row of its stratum.

    Rows are drawn with replacement. If groups are known, each group takes the rows of a random group of the stratum in
    order, repeated as often as needed.

    Args:
        strata: int64 (n,) stratum of each row.
        groups: The group of each row, such as its patient, or None.
        rng: The random generator.

    Returns:
        int64 (n,) row numbers.
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
            source = members[names[other]]
            taken[members[own]] = np.resize(source, len(members[own]))
    return taken


def strata_of(test: Predictions, counted: Predictions) -> NDArray[np.int64]:
    """Return the stratum of each row, int64 (n,).

    Rows of a stratum have the same class, and all or none of them are counted.

    Args:
        test: The predictions on all rows.
        counted: The predictions on the rows that no train row duplicates.

    Returns:
        int64 (n,) stratum numbers.
    """
    kept = set(counted.ids)
    return 2 * test.labels + np.array([name not in kept for name in test.ids], np.int64)


def selves(
    predictions: Predictions, border: BorderRecord, taken: NDArray[np.int64]
) -> tuple[Predictions, BorderRecord]:
    """Return the evidence on a drawn candidate.

    The candidate answers each row as the model answers the row in ``taken``, on whole and masked images alike.
    """

    def moved(answers: Predictions) -> Predictions:
        return replace(answers, probabilities=answers.probabilities[taken])

    parts = {
        part.name: {key: moved(answers) for key, answers in getattr(border, part.name).items()}
        for part in fields(border)
        if part.name not in {"clean", "donor_labels", "donor_rows"}
    }
    return moved(predictions), replace(
        border, clean=moved(border.clean), donor_labels=border.donor_labels[taken], donor_rows=None, **parts
    )


def false_alarms(session: Session, model: str, *, draws: int, seed: int, step: Callable[[], object]) -> list[Count]:
    """Judge drawn candidates and count how many each check refuses.

    Args:
        session: A run that names the model.
        model: Its name.
        draws: How many candidates to draw.
        seed: Seed of the draws. Equal seeds give equal counts.
        step: Called after each candidate.

    Returns:
        One count per check, and a last one for any of the checks.

    Raises:
        ArgumentError: No draws, or a class with fewer than two images or patients to draw from.
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
        (before, before_masked), (now, now_masked) = (
            selves(test, border, draw(strata, test.groups, rng)) for _ in ("reference", "candidate")
        )
        earlier = SimpleNamespace(
            test=before, border=lambda _, record=before_masked: record, candidate=evidence.candidate
        )
        given = {"evidence": SimpleNamespace(test=now), "border_answers": now_masked, "reference": earlier}
        given["unseen"] = session.unseen
        found: list[tuple[str, Verdict]] = []
        for name, suite in suites.items():
            judged = verdicts(suite, given, policy, classes, absent=["smallest_masks", "border_contents"])
            found += [(f"{name}/{check}", verdict) for check, _, verdict in judged]
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
    """Return a warning for each class that the model never misses.

    No drawn candidate can miss such a class either, although its true recall may be lower.

    Args:
        test: The model's predictions on the rows that count.

    Returns:
        Markdown sentences.
    """
    units = in_plural(test.unit)
    found = [(label, metrics.recall(test, label)) for label in test.classes]
    return [
        f"**{escape(label)}: no miss on {share.n} {units}**, so no drawn model has one, and none is refused for one. "
        f"Its recall may be as low as {share.low:.2f}, and if it is, these counts are too low."
        for label, share in found
        if share.value == 1
    ]


def page(model: str, data: str, counts: Sequence[Count], command: str, *, blind: Sequence[str] = ()) -> str:
    """Return the page on an A/A test as markdown.

    Args:
        model: Name of the model.
        data: Name of the data set.
        counts: From `false_alarms`.
        command: The command that made the page.
        blind: From `blind_spots`.
    """
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
    """Write the page in one step, never in part."""
    with atomic(path) as draft:
        draft.write_text(text, "utf-8")


def _several(test: Predictions) -> None:
    """Refuse a class with fewer than two images or patients."""
    units = np.arange(len(test)) if test.groups is None else np.asarray(test.groups)
    for index, label in enumerate(test.classes):
        if len(np.unique(units[test.labels == index])) < 2:
            units_of_it = in_plural(test.unit)
            raise ArgumentError(
                f"class '{label}' has fewer than two test {units_of_it} that are not in train as well, so that no "
                f"other model can be drawn from these answers; give a data set with more {units_of_it} of it"
            )


def _share(hits: int, draws: int) -> str:
    share = proportion(hits, draws)
    return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
