"""A scorecard as a markdown page that is short enough to be read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote

from roentgate.report.blocks import bullets, escaped_table, folded, squeezed
from roentgate.scorecard import (
    DISCLAIMER,
    GLOSSARY,
    EvidenceRecord,
    FigureNote,
    Finding,
    Record,
    Row,
    escape,
    findings,
    first_screen,
    row_groups,
    shorten,
    wording,
)

WIDEST: Final = 60
"""Most characters of a name in a table."""

_HEADER: Final = ("check", "subject", "outcome", "value [low, high]", "n", "criterion")


def markdown(record: Record, evidence: EvidenceRecord) -> str:
    """Return a scorecard as GitHub-flavoured markdown, names escaped.

    The first screen says what was decided and why. The suites follow, their rows folded. Rows of a check that were met
    or have no criterion share a line. The JSON and the HTML have every row and every failing image.

    Args:
        record: The record of the scorecard.
        evidence: The evidence beside it. Figures are linked by file name.

    Returns:
        The text with one newline at its end.
    """
    parts = [
        *head(record),
        " ".join(first_screen.setting(record)),
        *_study(record),
        *_performance(record),
        *decided(record),
        *_passed(record),
        *_section("What this report cannot say", first_screen.limits(record)),
        "## Suites, in order of consequence",
        *_suites(record),
        *_answers(record, evidence),
        *_pictures(evidence.get("figures", [])),
        *_section("Notes", evidence["notes"]),
        *_section("Evaluations on this test set", evidence.get("evaluations", [])),
        *_section("Many bounds at once", wording.many_bounds(record)),
        "## What was judged",
        squeezed(escaped_table(("", ""), [(name, shorten(text, 78)) for name, text in wording.judged(record)])),
        folded("How to read this", bullets(f"**{term}**: {meaning}" for term, meaning in GLOSSARY)),
        f"*{DISCLAIMER}*",
    ]
    return "\n\n".join(parts) + "\n"


def head(record: Record, limit: int = 10_000) -> list[str]:
    """Return title and verdict of a scorecard."""
    name = escape(shorten(f"{record['model']['name']} on {record['dataset']['name']}", limit))
    outcome = wording.headline_words(record).split(" · ", maxsplit=1)[0]
    return [f"# Scorecard: {name}", f"**{outcome}**: {first_screen.verdict(record)}"]


def decided(record: Record, limit: int = 10_000) -> list[str]:
    """Return the findings as numbered sentences, those that are settled first."""
    found = findings.findings(record)
    if not found:
        return []
    parts = ["## What decided it"]
    for is_settled, title in (
        (True, "Missed by the whole 95 % interval:"),
        (False, "Missed by the value, not settled by these images:"),
    ):
        chosen = [(number, each) for number, each in enumerate(found, 1) if each.settled is is_settled]
        if chosen:
            parts += [title, "\n".join(f"{number}. {_said(each, limit)}" for number, each in chosen)]
    return parts


def _said(finding: Finding, limit: int) -> str:
    return f"**{escape(shorten(finding.lead, limit))}** {escape(shorten(finding.text, limit))}"


def _study(record: Record) -> list[str]:
    return _listed("The images", (f"**{escape(name)}**: {escape(text)}" for name, text in first_screen.studied(record)))


def _performance(record: Record) -> list[str]:
    lines = [
        (
            shorten(measure.name, WIDEST),
            measure.counted,
            first_screen.short(measure.row),
            first_screen.criterion(measure.row),
            wording.outcome(measure.row),
        )
        for measure in first_screen.performance(record)
    ]
    header = ("", "", "value [95 % interval]", "criterion", "")
    return ["## Performance", squeezed(escaped_table(header, lines, raw=range(1, 5)))] if lines else []


def _passed(record: Record) -> list[str]:
    return _listed(
        "What passed", (f"**{escape(title)}**, {escape(text)}" for title, text in first_screen.passed(record))
    )


def _suites(record: Record) -> Iterator[str]:
    for section, rows in wording.by_section(record):
        summary = f"<b>{escape(section.title)}</b>: {row_groups.tally(rows)}. {section.question}".rstrip()
        yield folded(summary, *_section_body(rows))


def _section_body(rows: Sequence[Row]) -> Iterator[str]:
    shown = [row for row in rows if row["gates"] and wording.standing(row) != "passed"]
    if shown:
        yield squeezed(escaped_table(_HEADER, _lines(shown), raw=range(2, 6)))
    others = [
        ("Passed", [row for row in rows if wording.standing(row) == "passed" and row["low"] != row["high"]]),
        ("Descriptive, without a criterion", [row for row in rows if not row["gates"] and row["value"] is not None]),
    ]
    remarks = [f"{title}: {_in_brief(same)}." for title, same in others if same]
    remarks += _remarks(rows)
    if remarks:
        yield bullets(map(escape, remarks))


def _lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each refused row, and one for the other rows of a check that stand alike."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        place = wording.standing(row)
        alike.setdefault((place, row["check"] if place != "refused" else wording.title(row)), []).append(row)
    for same in sorted(alike.values(), key=lambda rows: wording.IMPORTANCE.index(wording.standing(rows[0]))):
        first = same[0]
        subject = first["subject"] if len(same) == 1 else f"{len(same)} rows"
        name, subject = shorten(first["check"], WIDEST), shorten(subject, WIDEST)
        numbers = {f"{row['n']:,}" for row in same if row["n"]}
        counts = numbers.pop() if len(numbers) == 1 else ""
        yield name, subject, wording.outcome(first), row_groups.spread(same), counts, row_groups.bound_of(same)


def _in_brief(rows: Sequence[Row]) -> str:
    """Return the checks of rows with their values, one entry a check."""
    checks: dict[str, list[Row]] = {}
    for row in rows:
        checks.setdefault(row["check"], []).append(row)
    parts = []
    for check, same in checks.items():
        if len(same) > 1 and any(row["unit"] == "epoch" for row in same):  # a flag, a number and nats have no span
            each = (f"{row['subject']} {row_groups.spread([row])}" for row in same)
            parts.append(f"{shorten(check, WIDEST)} ({'; '.join(each)})")
            continue
        times = f" ({len(same)} rows)" if len(same) > 1 else ""
        parts.append(f"{shorten(check, WIDEST)}{times} {row_groups.spread(same)}")
    return ", ".join(parts)


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Yield why rows have no value, each reason once.

    Other details are in the JSON and the HTML: what they say of a row that was missed is in the findings.
    """
    by_text: dict[str, list[Row]] = {}
    for row in rows:
        if row["detail"] and row["value"] is None:
            by_text.setdefault(row["detail"], []).append(row)
    for text, same in by_text.items():
        names = dict.fromkeys(wording.label(row) if len(same) == 1 else row["check"] for row in same)
        yield f"{shorten(', '.join(names), 2 * WIDEST)}: {shorten(text, _LONGEST)}"


_LONGEST: Final = 240


def _answers(record: Record, evidence: EvidenceRecord) -> list[str]:
    if (confusion := evidence["confusion"]) is None:
        return []
    lines = wording.confusion_lines(confusion["classes"], confusion["counts"])
    cells = [[shorten(cell, 78) for cell in line] for line in lines]
    table = squeezed(escaped_table(("all test images", "answers"), cells))
    return [folded(f"<b>Answers, class by class</b>{wording.of_seed(record)}", table)]


def _pictures(notes: Sequence[FigureNote]) -> list[str]:
    shown = [f"![{escape(note['title'])}]({quote(note['file'])})" for note in notes]
    return [folded(f"<b>Pictures</b>: {len(notes)}", "\n".join(shown))] if shown else []


def _section(title: str, sentences: Sequence[str]) -> list[str]:
    """Return a heading and a list of sentences, or nothing without sentences."""
    return _listed(title, map(escape, sentences))


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    made = list(lines)
    return [f"## {title}", bullets(made)] if made else []
