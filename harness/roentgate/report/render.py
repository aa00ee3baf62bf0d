"""Renderings of scorecards: bounded summaries, comparisons and the terminal's words.

The pages are in `markdown_page` and `html_page`.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from tabulate import tabulate

from roentgate.report.blocks import escaped_table, fenced, squeezed, table
from roentgate.report.html_page import html
from roentgate.report.markdown_page import head, markdown
from roentgate.scorecard import (
    DISCLAIMER,
    Record,
    Row,
    compare,
    escape,
    findings,
    first_screen,
    headline,
    shorten,
    visible,
    wording,
)

__all__ = [
    "comparison_markdown",
    "decided_lines",
    "fenced",
    "html",
    "markdown",
    "summary_markdown",
    "table",
    "terminal_table",
]

_ROW_HEADER = ("check", "subject", "outcome", "value [low, high]", "n", "bound", "detail")
_MENTIONED = 60
"""Most characters of a name in a bounded summary."""

_LEFT_OUT_BYTES = 64
"""Bytes kept for the line that says how much was left out."""

_CLOSING_LINES: Final = 5
_LINE: Final = 240
"""Most characters of a closing line, two lines of a wide terminal."""


def summary_markdown(record: Record, limit_bytes: int = 60_000) -> str:
    """Return a scorecard in at most ``limit_bytes`` of markdown.

    The outcome comes first, then the findings, then all rows.

    Args:
        record: The record of the scorecard.
        limit_bytes: Bound on the UTF-8 bytes, at least 1,000.

    Returns:
        The text. It ends with the number of rows left out, if any. Long names are cut in the middle.
    """
    top = "\n\n".join(head(record, limit=_MENTIONED))
    found = [
        f"{' '.join(first_screen.setting(record))}\n",
        *(
            f"- {_mark(each)} **{escape(shorten(each.lead, 120))}** {escape(shorten(each.text, 600))}"
            for each in findings.findings(record)
        ),
    ]
    rows = sorted(record["rows"], key=lambda row: wording.IMPORTANCE.index(wording.standing(row)))
    header, rule, *lines = squeezed(_summary_table(rows)).split("\n")
    if lines:
        lines[0] = f"{header}\n{rule}\n{lines[0]}"
    end = f"*{DISCLAIMER}*\n"
    limit = limit_bytes - len(end.encode()) - 2 * _LEFT_OUT_BYTES
    text = _filled(_filled(top, found, "finding", limit), lines, "row", limit + _LEFT_OUT_BYTES)
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
        escaped_table(("scorecard", "outcome"), overview, raw={1}),
        escaped_table(("", "suite", "check", "subject", *map(escape, names)), lines, raw=range(4, 4 + len(names))),
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


def decided_lines(record: Record) -> list[str]:
    """Return what decided a scorecard in at most five lines for the terminal.

    The words are those of the pages, where more figures follow. The last line says how many findings have no room.
    """
    found = findings.findings(record)
    shown = found if len(found) <= _CLOSING_LINES else found[: _CLOSING_LINES - 1]
    lines = [f"{_mark(each)} {visible(_brief(each))}" for each in shown]
    if rest := len(found) - len(shown):
        open_ones = sum(not each.settled for each in found[len(shown) :])
        lines.append(f"… {rest} more in the scorecard, {open_ones} of them not settled by these images")
    return lines


def _brief(finding: findings.Finding) -> str:
    """Return the lead of a finding and the first sentence of its figures, for one line."""
    first, more, _ = finding.text.partition(". ")
    text = f"{finding.lead} {first}{'.' * bool(more)}"
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def _mark(finding: findings.Finding) -> str:
    return "✗" if finding.settled else "✗?"


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (wording.measured(row), f"{row['n']:,}" if row["n"] else "", wording.bound(row))
    return row["check"], row["subject"], wording.outcome(row), *numbers, row["detail"]


def _summary_table(rows: Iterable[Row]) -> str:
    lines = []
    for row in rows:
        *short, detail = (row["suite"], *_cells(row))
        lines.append([*(shorten(cell, _MENTIONED) for cell in short), shorten(detail, 160)])
    return escaped_table(("suite", *_ROW_HEADER), lines, raw=range(3, 7))


def _compared(row: Row | None) -> str:
    return "not recorded" if row is None else f"{wording.outcome(row)}, {wording.measured(row)}"


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
