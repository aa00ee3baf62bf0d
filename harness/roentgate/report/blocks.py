"""The blocks of a markdown page: tables, lists and code fences."""

import re
from collections.abc import Container, Iterable, Sequence

from tabulate import tabulate

from roentgate.scorecard import escape, visible


def fenced(lines: Sequence[str]) -> str:
    """Return lines in a code fence that none of them can close."""
    body = "\n".join(map(visible, lines))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a markdown table of cells that are markdown already."""
    return str(tabulate(list(lines), headers=headers, tablefmt="github", disable_numparse=True))


def escaped_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, raw: Container[int] = ()) -> str:
    """Return a markdown table with escaped cells.

    Cells of the ``raw`` columns hold no name and are not escaped. The header is markdown already.
    """
    cells = [[cell if index in raw else escape(cell) for index, cell in enumerate(row)] for row in rows]
    return str(tabulate(cells, headers=header, tablefmt="pipe", disable_numparse=True))


def squeezed(text: str) -> str:
    """Return a table without its aligning characters."""
    return "\n".join(map(_squeezed_line, text.split("\n")))


def bullets(lines: Iterable[str]) -> str:
    """Return a list, a line each."""
    return "\n".join(f"- {line}" for line in lines)


def folded(summary: str, *parts: str) -> str:
    """Return parts under a summary that opens them. Its tags are the only HTML of a page."""
    return "\n\n".join([f"<details><summary>{summary}</summary>", *parts, "</details>"])


def _squeezed_line(line: str) -> str:
    return re.sub(r"-{3,}", "---", line) if set(line) <= set("|:-") else re.sub(" {2,}", " ", line)
