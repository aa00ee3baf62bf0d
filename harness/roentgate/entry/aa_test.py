"""The A/A test: how often chance refuses an equally good candidate.

Candidates that are exactly as good as a model are drawn from its own answers and judged by the same suites.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from roentgate.candidates import Predictions, taken
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
USABLE = 0.20
"""Largest share of equally good candidates that a usable rule refuses."""

TIMES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""How many times as many images `by_size` draws."""

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


@dataclass(frozen=True, slots=True)
class Size:
    """How many draws are refused with so many images.

    Attributes:
        images: Images of the class that has fewest.
        count: Draws that any of the checks refused.
    """

    images: int
    count: Count


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
    drawn = np.arange(len(strata))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        if groups is None:
            drawn[rows] = rng.choice(rows, len(rows))
            continue
        members: dict[str, list[int]] = {}
        for row in rows:
            members.setdefault(groups[int(row)], []).append(int(row))
        names = list(members)
        for own, other in zip(names, rng.choice(len(names), len(names)), strict=True):
            source = members[names[other]]
            drawn[members[own]] = np.resize(source, len(members[own]))
    return drawn


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


def selves(predictions: Predictions, border: BorderRecord, rows: NDArray[np.int64]) -> tuple[Predictions, BorderRecord]:
    """Return the evidence on a drawn candidate.

    The candidate answers each row as the model answers the row in ``rows``, on whole and masked images alike.
    """
    drawn = replace(predictions, probabilities=predictions.probabilities[rows], model=None)
    return drawn, _answered(border, drawn, rows)


def enlarged(
    predictions: Predictions, border: BorderRecord, times: int
) -> tuple[Predictions, BorderRecord, NDArray[np.int64]]:
    """Return the evidence on so many copies of every image, as if each were another image.

    The groups of a copy are its own as well.

    Returns:
        The evidence, and the row of the image behind each row, int64 (``times`` n,).
    """
    rows = np.tile(np.arange(len(predictions)), times)
    copies = np.repeat(np.arange(times), len(predictions))

    def named(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{names[row]} {copy}" if copy else names[row] for row, copy in zip(rows, copies, strict=True))

    ids, groups = named(predictions.ids), None if predictions.groups is None else named(predictions.groups)
    larger = replace(
        predictions,
        ids=ids,
        labels=predictions.labels[rows],
        probabilities=predictions.probabilities[rows],
        groups=groups,
    )
    return larger, _answered(border, larger, rows), rows


def false_alarms(  # noqa: PLR0913  what is drawn, each by name
    session: Session, model: str, *, draws: int, seed: int, step: Callable[[], object], times: int = 1
) -> list[Count]:
    """Judge drawn candidates and count how many each check refuses.

    Args:
        session: A run that names the model.
        model: Its name.
        draws: How many candidates to draw.
        seed: Seed of the draws. Equal seeds give equal counts.
        step: Called after each candidate.
        times: How many times as many images to draw as there are.

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
    counted = session.unseen(evidence.test)
    _several(counted)
    test, border, rows = enlarged(evidence.test, evidence.border(policy.border), times)
    strata = strata_of(evidence.test, counted)[rows]
    kept = {name for name, stratum in zip(test.ids, strata, strict=True) if stratum % 2 == 0}

    def unseen(answers: Predictions) -> Predictions:
        return taken(answers, np.flatnonzero([name in kept for name in answers.ids]))

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
        given["unseen"] = unseen
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


def by_size(session: Session, model: str, *, draws: int, seed: int, step: Callable[[], object]) -> list[Size]:
    """Count refusals with more and more images, until both rules are usable.

    A rule is usable if it refuses at most `USABLE` of the draws.

    Args:
        session: As for `false_alarms`.
        model: As for `false_alarms`.
        draws: Candidates drawn at each size.
        seed: Seed of the draws.
        step: Called after each candidate.

    Returns:
        One count per size of `TIMES`, the last one the first at which both rules are usable, or the largest.
    """
    counted = session.unseen(session.evidence(model).test)
    fewest = int(np.bincount(counted.labels, minlength=len(counted.classes)).min())
    sizes: list[Size] = []
    for times in TIMES:
        count = false_alarms(session, model, draws=draws, seed=seed, step=step, times=times)[-1]
        sizes.append(Size(times * fewest, count))
        if max(count.simple, count.guarded) <= USABLE * draws:
            break
    return sizes


def usable_words(sizes: Sequence[Size]) -> list[str]:
    """Return from how many images on each rule is usable, one sentence a rule.

    Args:
        sizes: From `by_size`.
    """
    found = []
    for gate in ("simple", "guarded"):
        refused = [getattr(size.count, gate) / size.count.draws for size in sizes]
        enough = [size.images for size, share in zip(sizes, refused, strict=True) if share <= USABLE]
        if enough:
            often = f"at most {100 * USABLE:.0f} % of draws from {enough[0]} images of each class on"
        else:
            often = (
                f"{100 * refused[-1]:.0f} % of draws with {sizes[-1].images} images of each class, the most that were "
                "tried: the model misses a bound itself, or is next to one"
            )
        found.append(f"The {gate} rule refuses an equally good candidate in {often}.")
    return found


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


def page(  # noqa: PLR0913  the parts of the page
    model: str,
    data: str,
    counts: Sequence[Count],
    command: str,
    *,
    blind: Sequence[str] = (),
    sizes: Sequence[Size] = (),
) -> str:
    """Return the page on an A/A test as markdown.

    Args:
        model: Name of the model.
        data: Name of the data set.
        counts: From `false_alarms`.
        command: The command that made the page.
        blind: From `blind_spots`.
        sizes: From `by_size`.
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
        *_more_images(sizes),
        "Made by:",
        fenced([command]),
        "Research software, not a medical device.",
    ]
    return "\n\n".join(text) + "\n"


def _more_images(sizes: Sequence[Size]) -> list[str]:
    if not sizes:
        return []
    lines = [
        [str(size.images), *(_share(hits, size.count.draws) for hits in (size.count.simple, size.count.guarded))]
        for size in sizes
    ]
    return [
        "## With more images",
        " ".join(usable_words(sizes)) + f" Drawn from the same answers, {sizes[0].count.draws} pairs a size; refused "
        "by any check:",
        table(["images of the rarest class", "simple rule", "guarded rule"], lines),
    ]


def write_page(path: Path, text: str) -> None:
    """Write the page in one step, never in part."""
    with atomic(path) as draft:
        draft.write_text(text, "utf-8")


def _answered(border: BorderRecord, whole: Predictions, rows: NDArray[np.int64]) -> BorderRecord:
    """Return the answers of the given rows under each mask, as answers to the images of ``whole``."""

    def moved(answers: Predictions) -> Predictions:
        return replace(whole, probabilities=answers.probabilities[rows])

    parts = {
        part.name: {key: moved(answers) for key, answers in getattr(border, part.name).items()}
        for part in fields(border)
        if part.name not in {"clean", "donor_labels", "donor_rows"}
    }
    labels = border.donor_labels[rows]
    return replace(border, clean=moved(border.clean), donor_labels=labels, donor_rows=None, **parts)


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
