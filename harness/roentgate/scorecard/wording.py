"""The wording of names, numbers and rows.

It is the same in the terminal, in markdown, in HTML and on the figures.
"""

from collections.abc import Sequence
from typing import Final, Literal

from roentgate.scorecard import multiplicity
from roentgate.scorecard.plain_words import Section, section_of
from roentgate.scorecard.record import headline, in_words, key
from roentgate.scorecard.replicates import Replicates, replicates_of
from roentgate.scorecard.shape import EvidenceRecord, Record, Row
from roentgate.stats import CLUSTER, TAIL

Standing = Literal["passed", "conditional", "refused", "skipped", "descriptive"]
"""How the decision rule takes a row. Readers want to see this first."""

TIMES: Final = " \u00d7 "
DISCLAIMER: Final = "Research software, not a medical device."

IMPORTANCE: Final[tuple[Standing, ...]] = ("refused", "conditional", "passed", "descriptive", "skipped")
"""All standings, the most important first."""

FAILING_SHOWN: Final = 10

GLOSSARY: Final = (
    ("pass", "the whole interval meets the bound."),
    ("fail", "the whole interval misses the bound, or a required check is not there."),
    (
        "conditional pass, conditional fail",
        "the value meets the bound, or does not, and the bound lies inside the interval. These images cannot settle "
        "it. Where images are counted, the row says how many more would.",
    ),
    ("skipped", "the check needs what this kind of model or data cannot have; the reason stands beside it."),
    ("descriptive", "a measurement without a bound: it refuses nothing."),
    (
        "decision rule",
        "simple accepts a pass and a conditional pass, guarded only a pass. One row not accepted fails the model.",
    ),
    (
        "value [low, high]",
        "the estimate and its 95 % interval; of no width where every row was examined. Decided on this. Where infills "
        "or corruptions are judged together, the limit that shows a failure is wider, for the number of them.",
    ),
    ("n", "the images it rests on (patients, or random draws, where the detail says so)."),
    ("criterion, bound", "from the policy file: ≥ a floor, ≤ a limit; a descriptive row has none."),
    ("skill", "balanced accuracy above chance; retained skill is the share of it that is left."),
)

_SYMBOLS: Final[dict[Standing, str]] = {
    "passed": "✓",
    "conditional": "?",
    "refused": "✗",
    "skipped": "—",
    "descriptive": "·",
}
_EQUAL: Final = 1e-4
_SIGNS: Final = {"at_least": "≥", "at_most": "≤"}

_BY_VALUE: Final = (
    " That is so of whole intervals. The simple rule goes by the value, and accepts a model that is a little worse "
    "than a criterion more often."
)


def headline_words(record: Record) -> str:
    """Return the headline without markup, for a figure or a terminal."""
    return headline(record).replace("**", "")


def meaning(record: Record) -> str:
    """Return the meaning of the outcome in one or two sentences."""
    conditional = sum(standing(row) == "conditional" for row in record["rows"])
    if not record["complete"]:
        return "Not everything that the policy requires was run or recorded, so nothing is accepted."
    if record["outcome"] == "fail":
        return "At least one claim that the policy requires was not met. One such row is enough."
    if conditional:
        return (
            "Every value meets its bound, but "
            + ("one interval reaches" if conditional == 1 else f"{conditional} intervals reach")
            + " beyond it: the model may be worse than required, and these images cannot tell."
        )
    return "Every required claim holds over its whole interval."


def failing_words(row: Row) -> str:
    """Return how many images do not meet a claim.

    If there are many, the text says that not all are listed.
    """
    count = row["failing_total"]
    if count > FAILING_SHOWN:
        return f"{count:,} failing images, the first {FAILING_SHOWN}"
    return "1 failing image" if count == 1 else f"{count} failing images"


def overall(record: Record) -> Standing:
    """Return the standing of the whole scorecard."""
    places: dict[str, Standing] = {"pass": "passed", "conditional_pass": "conditional", "fail": "refused"}
    return places[record["outcome"]]


def standing(row: Row) -> Standing:
    """Return the standing of a row.

    A row that is not accepted is refused, whatever its outcome.
    """
    if not row["gates"]:
        return "skipped" if row["outcome"] == "skipped" else "descriptive"
    if not row["accepted"]:
        return "refused"
    return "passed" if row["outcome"] == "pass" else "conditional"


def outcome(row: Row) -> str:
    """Return the symbol of a row's standing and its outcome in words.

    Examples:
        ``✓ pass``, ``? conditional pass``, ``✗ conditional pass, not accepted``, ``· descriptive, undefined``
    """
    text = in_words(row["outcome"])
    if row["outcome"] == "conditional_pass" and not row["accepted"]:
        text += ", not accepted"
    if row["outcome"] == "descriptive" and row["state"] not in {"ok", None}:
        text += f", {row['state']}"
    return f"{_SYMBOLS[standing(row)]} {text}"


def measured(row: Row, least: int = 3) -> str:
    """Return ``value [low, high]`` with enough decimal places, at least ``least``.

    They are enough if no number seems to reach the bound, 0 or 1 without doing so.

    Returns:
        The text. It is ``undefined`` and the interval if there is no value, and ``—`` if there is neither.

    Examples:
        ``0.962 [0.804, 0.999]``. A low limit of 0.79996 is never shown as 0.800 against a floor of 0.8.
    """
    places = _places(row, least)
    value, low, high = (_number(row[name], places) for name in ("value", "low", "high"))
    if row["value"] is None and row["low"] is None and row["high"] is None:
        return "—" if row["outcome"] == "skipped" or not row["n"] else "undefined"
    return f"{value or 'undefined'} [{low or '-∞'}, {high or '∞'}]"


def bound(row: Row) -> str:
    """Return ``≥ 0.800`` or ``≤ 0.100``, or ``—`` if there is no bound."""
    if row["bound"] is None or row["direction"] is None:
        return "—"
    places = 3 if round(row["bound"], 3) == row["bound"] else _places(row)
    return f"{_SIGNS[row['direction']]} {_number(row['bound'], places)}"


def wanted(row: Row) -> str:
    """Return ``floor 0.80`` or ``limit 0.10``, or "" if there is no bound.

    A floor that only keeps out equality is ``floor: above 0``.
    """
    if row["bound"] is None or row["direction"] is None:
        return ""
    if 0 < row["bound"] < _EQUAL and row["direction"] == "at_least":
        return "floor: above 0"
    number = f"{row['bound']:.2f}" if round(row["bound"], 2) == row["bound"] else bound(row).split()[1]
    return f"{'floor' if row['direction'] == 'at_least' else 'limit'} {number}"


def title(row: Row) -> str:
    """Return the full name of a row: ``recall / recall_floor (Covid)``."""
    suite, check, subject = key(row)
    return f"{suite} / {check} ({subject})" if subject else f"{suite} / {check}"


def label(row: Row) -> str:
    """Return the name of a row within its suite: ``recall_floor, Covid``."""
    return f"{row['check']}, {row['subject']}" if row["subject"] else row["check"]


def many_bounds(record: Record) -> list[str]:
    """Return what the number of bounds does to the verdicts.

    The sentences say how often chance refuses a model, and which bounds are missed beyond chance. They name rows in
    full, and
    nothing in them is escaped. The list is empty if no row is a plain share of images. If rows stand for several
    trainings,
    the chances are those of one training, and a further sentence is about the worst of them.
    """
    rows, gate = multiplicity.sampled(record["rows"]), record["gate"]
    claims = multiplicity.claims(record["rows"])
    if not claims:
        return []
    total = sum(claim.times for claim in claims)
    infills = f" ({total} bounds: where the worst of several infills counts, each infill is one)" * (
        total > len(claims)
    )
    near, far = (multiplicity.refused_by_chance(claims, gate=gate, better_by=margin) for margin in (0.05, 0.10))
    needed, several = multiplicity.margin_for(claims, gate=gate), replicates_of(record)
    one = "" if several is None else ", with one seed"
    enough = "" if needed is None else f" They accept one {needed:.2f} better in four of five or more."
    return [
        f"{len(rows)} gating rows hold a sample against a bound. {len(claims)} of them are plain shares of images or "
        f"p-values, whose chances are exact{infills}; what follows is about these.",
        f"Refused by chance{one}: the {gate} rule refuses a model that is truly 0.05 better than every bound in "
        f"{percent(near.independent)} of such test sets, one that is 0.10 better in {percent(far.independent)}, "
        f"if the rows err independently; whatever their dependence, {percent(near.together)} to "
        f"{percent(near.apart)} and {percent(far.together)} to {percent(far.apart)}." + enough,
        "Passed by chance: a model that misses any of these floors or ceilings passes them all by its whole intervals "
        "in at most 2.5 % of such test sets, however many there are, because every one must hold. So nothing is "
        "corrected for their number there." + (_BY_VALUE if record["gate"] == "simple" else ""),
        *([] if several is None else [_by_replicates(several, near.apart, far.apart)]),
        *_beyond_chance(claims, several),
    ]


def by_suite(record: Record) -> list[tuple[str, list[Row]]]:
    """Return (suite, its rows), in order of consequence.

    Suites without a section come last, in the order in which they first appear.
    """
    suites: dict[str, list[Row]] = {}
    for row in record["rows"]:
        suites.setdefault(row["suite"], []).append(row)
    return sorted(suites.items(), key=lambda pair: section_of(pair[0]).place)


def by_section(record: Record) -> list[tuple[Section, list[Row]]]:
    """Return (section, its rows), in order of consequence."""
    sections: dict[str, tuple[Section, list[Row]]] = {}
    for suite, rows in by_suite(record):
        section = section_of(suite)
        sections.setdefault(section.title, (section, []))[1].extend(rows)
    return list(sections.values())


def counted_units(row: Row) -> str:
    """Return n and what it counts: ``57 images``, ``12 patients``.

    A cluster of near-duplicates is called a unit, which the first screen explains. A record of schema 1 does not say
    what it counts, and nothing is then said.
    """
    unit, n = row["unit"], f"{row['n']:,}"
    if unit == CLUSTER:
        return f"{n} unit{'' if row['n'] == 1 else 's'}"
    if unit is None:
        return n
    if row["n"] == 1:
        return f"{n} {unit}"
    return f"{n} {unit}{'' if unit.endswith('s') else 's'}"


def judged(record: Record) -> list[tuple[str, str]]:
    """Return what was judged, as (name, description)."""
    model, dataset, task = record["model"], record["dataset"], record["task"]
    several = replicates_of(record)
    together, seeds = "", ("seed", str(task["seed"]))
    if several is not None:
        together = f" (of all {len(several.seeds)} seeds together)"
        decides = "of each row the worst decides" if several.deciding == "worst" else "the first decides"
        seeds = ("seeds", f"{', '.join(map(str, several.seeds))}; {decides}")
    rules = {
        "simple": "simple: a pass and a conditional pass are accepted",
        "guarded": "guarded: only a pass is accepted",
    }
    return [
        ("model", f"{model['name']} ({model['source']})"),
        ("weights", f"{model['weights']}, fingerprint {model['fingerprint'][:12]}{together}"),
        ("data", f"{dataset['name']}, fingerprint {dataset['fingerprint'][:12]}"),
        *((f"{split} images", counted(counts)) for split, counts in dataset["counts"].items()),
        ("image shape", f"{TIMES.join(map(str, task['image_shape']))}"),
        seeds,
        ("decision rule", rules[record["gate"]]),
        ("policy", f"fingerprint {record['policy']['fingerprint'][:12]}"),
    ]


def of_seed(record: Record) -> str:
    """Return ``, seed 0`` if a scorecard is of several trainings, else "".

    The text follows what belongs to the first seed alone.
    """
    several = replicates_of(record)
    return "" if several is None else f", seed {several.seeds[0]}"


def counted(counts: dict[str, int]) -> str:
    """Return ``66: Covid 26, Normal 20, Viral Pneumonia 20``."""
    return f"{sum(counts.values())}: {', '.join(f'{name} {count}' for name, count in counts.items())}"


def confusion_lines(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, str]]:
    """Return a line for each class, with the commonest error first.

    A line is (``of 20 Viral Pneumonia``, ``16 caught, 4 predicted as Normal``).
    """
    lines = []
    for index, (label, row) in enumerate(zip(classes, counts, strict=True)):
        wrong = sorted(
            (-count, name) for other, (name, count) in enumerate(zip(classes, row, strict=True)) if other != index
        )
        parts = [f"{row[index]} caught", *(f"{-count} predicted as {name}" for count, name in wrong if count)]
        lines.append((f"of {sum(row)} {label}", ", ".join(parts) if sum(row) else "no image"))
    return lines


def accuracy(evidence: EvidenceRecord) -> float | None:
    """Return the share of rows that are predicted as their class (0 to 1).

    Return None if there is no row or no confusion matrix.
    """
    confusion = evidence["confusion"]
    if confusion is None or not (total := sum(map(sum, confusion["counts"]))):
        return None
    return sum(row[index] for index, row in enumerate(confusion["counts"])) / total


def _by_replicates(several: Replicates, near: float, far: float) -> str:
    """Return what the chances of one seed mean for all seeds.

    ``near`` and ``far`` are the largest possible chances of one seed.
    """
    number = len(several.seeds)
    if several.deciding == "first":
        return f"First of {number} seeds: it alone decides, so what is said of one seed holds for the model."
    most = [percent(min(1.0, number * share)) for share in (near, far)]
    return (
        f"Worst of {number} seeds: each is judged on the same images, so their outcomes are not independent. A model "
        "that is as good with every seed is refused at least as often as with one, and, whatever the dependence, in up "
        f"to {most[0]} of such test sets if it is 0.05 better, in up to {most[1]} if 0.10. By chance it passes no "
        "more often, for every seed must."
    )


def _beyond_chance(claims: Sequence[multiplicity.Claim], several: Replicates | None) -> list[str]:
    missing = sum(claim.misses for claim in claims)
    if not missing:
        return []
    seeds = 1 if several is None or several.deciding == "first" else len(several.seeds)
    found = multiplicity.beyond_chance(claims, seeds=seeds)
    names = [f"{title(row)}, p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}" for row, p in found[:FAILING_SHOWN]]
    more = [f"{len(found) - FAILING_SHOWN} more"] * (len(found) > FAILING_SHOWN)
    return [
        f"Missed beyond chance: {len(found) or 'none'} of the {missing} rows whose value misses its bound, with "
        f"allowance for all {len(claims)} that were tested{f', with each of {seeds} seeds' * (seeds > 1)} (Holm's "
        f"procedure, {100 * TAIL:g} %)"
        + (f": {'; '.join(names + more)}." if found else ".")
        + " An outcome is about its row alone and does not change by this."
    ]


def percent(share: float) -> str:
    """Return a share in whole per cent.

    It is 0 or 100 only if the share is exactly that.
    """
    if 0 < share < 0.01:
        return "less than 1 %"
    return "more than 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _places(row: Row, least: int = 3) -> int:
    """Return the number of decimal places for a row's numbers.

    With them small numbers do not vanish, and others are not rounded to the bound or to 1.
    """
    numbers = [number for name in ("value", "low", "high") if (number := row[name])]
    marks = [mark for mark in (1.0, row["bound"]) if mark is not None]
    for places in range(least, 6):
        seen = all(abs(number) >= 10**-places for number in numbers)
        if seen and all((round(x, places) == round(mark, places)) == (x == mark) for x in numbers for mark in marks):
            return places
    return 6
