"""Figures that a document cites from published records, and their renewal.

A figure stands between two comments, which a reader of the page does not see:

    <!-- figure: covid19/baseline | attention/skill_without_lungs | without lungs | interval (edge) -->1.05 [0.57,
    1.68] (n = 61)<!-- / -->

The first part is a folder of ``reports/`` with a scorecard or an audit, then come the row and its form: ``interval``,
``value`` or ``count`` (of a share). Words in parentheses must stand in the detail of the row, so that an infill that is
named in a sentence is the one of the record. In place of a row, ``right`` is the test images predicted as their class,
``refused`` the gating rows that are not accepted, and ``settled`` those of them that miss by their whole interval.
``python -m tests.support.cited_figures README.md`` writes the figures anew.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_MARK = re.compile(r"(<!-- figure: ([^>]*?) -->)(.*?)(<!-- / -->)", re.DOTALL)
_FORM = re.compile(r"(interval|value|count)(?: \((.+)\))?")


def cited(text: str) -> list[tuple[str, str]]:
    """Return (source, figure) of each figure that a text cites."""
    return [(found[2], " ".join(found[3].split())) for found in _MARK.finditer(text)]


def renewed(text: str, reports: Path = ROOT / "reports") -> str:
    """Return a text with its figures as the records have them.

    A figure that is right keeps its line breaks.

    Raises:
        LookupError: A source has no such record, row or word.
    """

    def replaced(found: re.Match[str]) -> str:
        figure = figure_of(found[2], reports)
        return found[0] if " ".join(found[3].split()) == figure else f"{found[1]}{figure}{found[4]}"

    return _MARK.sub(replaced, text)


def figure_of(source: str, reports: Path) -> str:
    """Return the figure of a source, such as ``1.05 [0.57, 1.68] (n = 61)``."""
    folder, name, *rest = (part.strip() for part in source.split("|"))
    record = _record(reports / folder)
    if name == "right":
        counts = json.loads((reports / folder / "evidence.json").read_text("utf-8"))["confusion"]["counts"]
        return f"{sum(row[index] for index, row in enumerate(counts))} of {sum(map(sum, counts))}"
    gating = [row for row in record["rows"] if row["gates"]]
    refused = [row for row in gating if not row["accepted"]]
    if name == "refused":
        return f"{len(refused)} of {len(gating)}"
    if name == "settled":
        return f"{sum(row['outcome'] == 'fail' for row in refused)} of {len(refused)}"
    subject, form = rest
    rows = [row for row in record["rows"] if (f"{row['suite']}/{row['check']}", row["subject"]) == (name, subject)]
    wanted = _FORM.fullmatch(form)
    if len(rows) != 1 or wanted is None:
        raise LookupError(f"figure '{source}': {len(rows)} such rows, form '{form}'; correct the comment")
    (row,) = rows
    if wanted[2] is not None and f"({wanted[2]})" not in row["detail"]:
        raise LookupError(f"figure '{source}': the row says '{row['detail']}'; correct comment and sentence")
    if wanted[1] == "count":
        return f"{round(row['value'] * row['n'])} of {row['n']}"
    if wanted[1] == "value":
        return _number(row["value"])
    return f"{_number(row['value'])} [{_number(row['low'])}, {_number(row['high'])}] (n = {row['n']})"


def _record(folder: Path) -> dict[str, Any]:
    for name in ("scorecard.json", "audit.json"):
        if (folder / name).is_file():
            found: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
            return found
    raise LookupError(f"'{folder}': holds no record; correct the comment")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")
