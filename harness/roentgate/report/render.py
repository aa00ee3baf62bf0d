"""A record as a reader sees it: markdown, one self-contained HTML page, a bounded summary, several side by side."""

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
from roentgate.scorecard import summary as giveaway

_TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE = "scorecard.html"
_NUMBERS = range(2, 6)  # the columns of a row that hold no name
_ROW_HEADER = ("check", "subject", "outcome", "value [low, high]", "n", "bound", "detail")
_MENTIONED = 60
"""Characters of a name that a bounded summary quotes."""

_LEFT_OUT_BYTES = 64
"""Room for a line that says how much was left out."""


def markdown(record: Record, evidence: EvidenceRecord) -> str:
    """Return the scorecard as GitHub-flavoured markdown; every name in it is escaped.

    Args:
        record: What was decided.
        evidence: What lies beside it; figures are linked by file name.

    Returns:
        The text, with one newline at its end.
    """
    parts = [
        *_head(record),
        *map(_figure, evidence["figures"][:1]),
        *_refused_by(record),
        *_given_away(record),
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
    """Return the scorecard as one HTML page that needs no other file.

    Args:
        record: What was decided.
        evidence: What lies beside it.
        folder: Where the figures lie; they are embedded, and a missing one is named instead.

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
        label_shortcuts=giveaway.sentences(record),
        headline=wording.headline_words(record).split(" · "),
        standing=wording.overall(record),
        suites=wording.by_suite(record),
        confusion=wording.confusion_lines(confusion["classes"], confusion["counts"]) if confusion else [],
        images={note["file"]: _data_uri(folder / note["file"]) for note in evidence["figures"]},
    )


def summary_markdown(record: Record, limit_bytes: int = 60_000) -> str:
    """Return the scorecard in at most ``limit_bytes`` of markdown: the outcome first, then what refused, then all rows.

    Args:
        record: What was decided.
        limit_bytes: Bound on the UTF-8 bytes, at least 1,000.

    Returns:
        The text; where rows were left out, it ends by saying how many. Long names are cut in the middle.
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
    """Return several scorecards as one page: an outcome each, then every row with what each record says of it.

    Rows that the records disagree on are marked ≠ and come first.
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
    """Return one plain line for each suite of each record, for the end of a run: how many rows stand where."""
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
    """Return the failing images of a suite, folded.

    These tags are the only HTML of the page, and names are in the fence.
    """
    lines = []
    for row in rows:
        lines.append(f"{wording.label(row)}: {wording.failing_words(row)}")
        lines += [f"    {visible(name)}" for name in row["failing"][:FAILING_SHOWN]]
    images = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return f"<details><summary>Failing images of {images}</summary>\n\n{fenced(lines)}\n\n</details>"


def _answers(record: Record, evidence: EvidenceRecord) -> list[str]:
    parts = []
    if (confusion := evidence["confusion"]) is not None:
        lines = wording.confusion_lines(confusion["classes"], confusion["counts"])
        parts.append(_table(("test images", "answers"), lines))
    if evidence["report"]:
        parts.append(fenced(evidence["report"].strip("\n").split("\n")))
    return [f"## Answers, class by class{wording.of_seed(record)}", *parts] if parts else []


def _given_away(record: Record) -> list[str]:
    told = giveaway.sentences(record)
    return ["## What the data gives away, and what this model uses", _bullets(map(escape, told))] if told else []


def _many_bounds(record: Record) -> list[str]:
    told = wording.many_bounds(record)
    return ["## Many bounds at once", _bullets(map(escape, told))] if told else []


def _evaluations(evidence: EvidenceRecord) -> list[str]:
    told = evidence.get("evaluations")
    return ["## Looks at this test set", _bullets(map(escape, told))] if told else []


def fenced(lines: Sequence[str]) -> str:
    """Return the lines as they are, in a fence that none of them can close."""
    body = "\n".join(map(visible, lines))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a markdown table; cells are markdown already."""
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
    """Return a markdown table with every cell escaped but those of the ``raw`` columns, which hold no name.

    The header is markdown already.
    """
    cells = [[cell if index in raw else escape(cell) for index, cell in enumerate(row)] for row in rows]
    return str(tabulate(cells, headers=header, tablefmt="pipe", disable_numparse=True))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _squeezed(line: str) -> str:
    """Return a line of a table without the spaces and dashes that only align it."""
    return re.sub(r"-{3,}", "---", line) if set(line) <= set("|:-") else re.sub(" {2,}", " ", line)


def _filled(text: str, lines: Sequence[str], what: str, limit: int) -> str:
    """Return ``text`` with as many of ``lines`` below it as fit into ``limit`` bytes, and how many did not."""
    sizes = accumulate((len(line.encode()) + 1 for line in lines), initial=len(text.encode()) + 4)
    kept = sum(size <= limit for size in sizes) - 1
    parts = [text, "\n".join(lines[:kept])] if kept > 0 else [text]
    if left_out := len(lines) - max(kept, 0):
        parts.append(f"… {left_out:,} more {what}{'s' if left_out > 1 else ''} in the scorecard.")
    return "\n\n".join(parts)


def _on(record: Record) -> str:
    return f"{record['model']['name']} on {record['dataset']['name']}"


def _data_uri(path: Path) -> str:
    if not path.is_file():
        return ""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
