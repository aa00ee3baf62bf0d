"""Renderings of scorecards as markdown and HTML."""

import base64
import re
from collections.abc import Container, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tabulate import tabulate

from roentgate.scorecard import (
    DISCLAIMER,
    FAILING_SHOWN,
    GLOSSARY,
    QUESTIONS,
    EvidenceRecord,
    FigureNote,
    Record,
    Row,
    compare,
    escape,
    headline,
    shorten,
    visible,
    wording,
)
from roentgate.scorecard import summary as shortcuts

_TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE = "scorecard.html"
_NUMBERS = range(2, 6)  # the columns of a row that hold no name
_ROW_HEADER = ("check", "subject", "outcome", "value [low, high]", "n", "bound", "detail")
_MENTIONED = 60
"""Most characters of a name in a bounded summary."""

_LEFT_OUT_BYTES = 64
"""Bytes kept for the line that says how much was left out."""


def markdown(record: Record, evidence: EvidenceRecord) -> str:
    """Return a scorecard as GitHub-flavoured markdown, names escaped.

    Args:
        record: The record of the scorecard.
        evidence: The evidence beside it. Figures are linked by file name.

    Returns:
        The text with one newline at its end.
    """
    parts = [
        *_head(record),
        *map(_figure, evidence["figures"][:1]),
        *_refused_by(record),
        *_label_shortcuts(record),
        "## What was judged",
        _table(("", ""), wording.judged(record)),
        "## Rows",
        *_suites(record),
        *_answers(record, evidence),
        *(["## Pictures"] if evidence["figures"][1:] else []),
        *(part for note in evidence["figures"][1:] for part in (f"### {escape(note['title'])}", _figure(note))),
        *(["## Notes", _bullets(escape(note) for note in evidence["notes"])] if evidence["notes"] else []),
        *_evaluations(evidence),
        *_many_bounds(record),
        "## How to read this",
        _bullets(f"**{term}**: {meaning}" for term, meaning in GLOSSARY),
        f"*{DISCLAIMER}*",
    ]
    return "\n\n".join(parts) + "\n"


def html(record: Record, evidence: EvidenceRecord, folder: Path) -> str:
    """Return a scorecard as one HTML page without other files.

    Args:
        record: The record of the scorecard.
        evidence: The evidence beside it.
        folder: The folder of the figures, which are embedded. A missing figure is named instead.

    Returns:
        The page.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    confusion = evidence["confusion"]
    return environment.get_template(_TEMPLATE).render(
        record=record,
        evidence=evidence,
        wording=wording,
        label_shortcuts=shortcuts.sentences(record),
        headline=wording.headline_words(record).split(" · "),
        standing=wording.overall(record),
        suites=wording.by_suite(record),
        confusion=wording.confusion_lines(confusion["classes"], confusion["counts"]) if confusion else [],
        images={note["file"]: _data_uri(folder / note["file"]) for note in evidence["figures"]},
    )


def summary_markdown(record: Record, limit_bytes: int = 60_000) -> str:
    """Return a scorecard in at most ``limit_bytes`` of markdown.

    The outcome comes first, then the reasons of a refusal, then all rows.

    Args:
        record: The record of the scorecard.
        limit_bytes: Bound on the UTF-8 bytes, at least 1,000.

    Returns:
        The text. It ends with the number of rows left out, if any. Long names are cut in the middle.
    """
    head = "\n\n".join(_head(record, limit=_MENTIONED))
    reasons = [
        f"- {_refusal(shorten(name, _MENTIONED), numbers, shorten(detail, 300))}"
        for name, numbers, detail in wording.refusals(record)
    ]
    rows = sorted(record["rows"], key=lambda row: wording.IMPORTANCE.index(wording.standing(row)))
    header, rule, *lines = map(_squeezed, _summary_table(rows).split("\n"))
    if lines:
        lines[0] = f"{header}\n{rule}\n{lines[0]}"
    end = f"*{DISCLAIMER}*\n"
    limit = limit_bytes - len(end.encode()) - 2 * _LEFT_OUT_BYTES
    text = _filled(_filled(head, reasons, "reason", limit), lines, "row", limit + _LEFT_OUT_BYTES)
    return f"{text}\n\n{end}"


def comparison_markdown(records: Sequence[Record]) -> str:
    """Return one markdown page that compares several scorecards.

    It lists the outcome of each, then every row with its result in each scorecard. Rows on which the scorecards
    disagree are marked ≠ and come first.
    """
    names = [_on(record) for record in records]
    overview = [(name, headline(record)) for name, record in zip(names, records, strict=True)]
    lines = []
    for (suite, check, subject), cells in compare(records):
        accepted = {None if row is None else (row["accepted"], wording.standing(row)) for row in cells}
        lines.append(("≠" if len(accepted) > 1 else "", suite, check, subject, *map(_compared, cells)))
    lines.sort(key=lambda line: line[0] != "≠")
    parts = [
        "# Scorecards side by side",
        _table(("scorecard", "outcome"), overview, raw={1}),
        _table(("", "suite", "check", "subject", *map(escape, names)), lines, raw=range(4, 4 + len(names))),
        f"*{DISCLAIMER}*",
    ]
    return "\n\n".join(parts) + "\n"


def terminal_table(records: Sequence[Record]) -> str:
    """Return a plain table of row counts by scorecard, suite and outcome."""
    standings = wording.IMPORTANCE
    lines = []
    for record in records:
        for suite, rows in wording.by_suite(record):
            places = [wording.standing(row) for row in rows]
            lines.append([visible(_on(record)), visible(suite), *(places.count(place) or "" for place in standings)])
    return str(tabulate(lines, headers=["scorecard", "suite", *standings], tablefmt="simple", disable_numparse=True))


def _head(record: Record, limit: int = 10_000) -> list[str]:
    name = escape(shorten(_on(record), limit))
    return [f"# Scorecard: {name}", headline(record), wording.meaning(record)]


def _refused_by(record: Record) -> list[str]:
    refused = wording.refusals(record)
    return ["## What refused it", _bullets(_refusal(*reason) for reason in refused)] if refused else []


def _refusal(name: str, numbers: str, detail: str) -> str:
    return f"✗ **{escape(name)}**: {'; '.join(part for part in (numbers, escape(detail)) if part) or 'not accepted'}"


def _suites(record: Record) -> Iterable[str]:
    for suite, rows in wording.by_suite(record):
        question = QUESTIONS.get(suite)
        yield f"### Suite {escape(suite)}" + (f": {question[0].lower()}{question[1:]}" if question else "")
        yield _table(_ROW_HEADER, map(_cells, rows), raw=_NUMBERS)
        if broken := [row for row in rows if row["failing"]]:
            yield _failing(broken)


def _failing(rows: Sequence[Row]) -> str:
    """Return the failing images of a suite in a folded block.

    Its tags are the only HTML of the page. Names stand inside a code fence.
    """
    lines = []
    for row in rows:
        lines.append(f"{wording.label(row)}: {wording.failing_words(row)}")
        lines += [f"    {visible(name)}" for name in row["failing"][:FAILING_SHOWN]]
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return f"<details><summary>Failing images of {count}</summary>\n\n{fenced(lines)}\n\n</details>"


def _answers(record: Record, evidence: EvidenceRecord) -> list[str]:
    parts = []
    if (confusion := evidence["confusion"]) is not None:
        lines = wording.confusion_lines(confusion["classes"], confusion["counts"])
        parts.append(_table(("test images", "answers"), lines))
    if evidence["report"]:
        parts.append(fenced(evidence["report"].strip("\n").split("\n")))
    return [f"## Answers, class by class{wording.of_seed(record)}", *parts] if parts else []


def _label_shortcuts(record: Record) -> list[str]:
    return _section("Label shortcuts in the data, and what this model uses", shortcuts.sentences(record))


def _many_bounds(record: Record) -> list[str]:
    return _section("Many bounds at once", wording.many_bounds(record))


def _evaluations(evidence: EvidenceRecord) -> list[str]:
    return _section("Evaluations on this test set", evidence.get("evaluations", []))


def _section(title: str, sentences: Sequence[str]) -> list[str]:
    """Return a heading and a list of sentences, or nothing without sentences."""
    return [f"## {title}", _bullets(map(escape, sentences))] if sentences else []


def fenced(lines: Sequence[str]) -> str:
    """Return lines in a code fence that none of them can close."""
    body = "\n".join(map(visible, lines))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a markdown table of cells that are markdown already."""
    return str(tabulate(list(lines), headers=headers, tablefmt="github", disable_numparse=True))


def _figure(note: FigureNote) -> str:
    return f"![{escape(note['alt'])}]({quote(note['file'])})"


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (wording.measured(row), f"{row['n']:,}" if row["n"] else "", wording.bound(row))
    return row["check"], row["subject"], wording.outcome(row), *numbers, row["detail"]


def _summary_table(rows: Iterable[Row]) -> str:
    lines = []
    for row in rows:
        *short, detail = (row["suite"], *_cells(row))
        lines.append([*(shorten(cell, _MENTIONED) for cell in short), shorten(detail, 160)])
    return _table(("suite", *_ROW_HEADER), lines, raw=range(3, 7))


def _compared(row: Row | None) -> str:
    return "not recorded" if row is None else f"{wording.outcome(row)}, {wording.measured(row)}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, raw: Container[int] = ()) -> str:
    """Return a markdown table with escaped cells.

    Cells of the ``raw`` columns hold no name and are not escaped. The header is markdown already.
    """
    cells = [[cell if index in raw else escape(cell) for index, cell in enumerate(row)] for row in rows]
    return str(tabulate(cells, headers=header, tablefmt="pipe", disable_numparse=True))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _squeezed(line: str) -> str:
    """Return a line of a table without its aligning characters."""
    return re.sub(r"-{3,}", "---", line) if set(line) <= set("|:-") else re.sub(" {2,}", " ", line)


def _filled(text: str, lines: Sequence[str], noun: str, limit: int) -> str:
    """Return ``text`` followed by as many lines as fit into ``limit`` bytes.

    The last line says how many were left out.
    """
    sizes = accumulate((len(line.encode()) + 1 for line in lines), initial=len(text.encode()) + 4)
    kept = sum(size <= limit for size in sizes) - 1
    parts = [text, "\n".join(lines[:kept])] if kept > 0 else [text]
    if left_out := len(lines) - max(kept, 0):
        parts.append(f"… {left_out:,} more {noun}{'s' if left_out > 1 else ''} in the scorecard.")
    return "\n\n".join(parts)


def _on(record: Record) -> str:
    return f"{record['model']['name']} on {record['dataset']['name']}"


def _data_uri(path: Path) -> str:
    if not path.is_file():
        return ""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
