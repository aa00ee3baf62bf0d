"""Forest plots of verdicts, for one scorecard or several side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from roentgate.report.style import COLOURS, FAINT, INK, WIDTH, drawable, sheet
from roentgate.scorecard import (
    IMPORTANCE,
    QUESTIONS,
    TIMES,
    EvidenceRecord,
    Record,
    Row,
    Standing,
    accuracy,
    bound,
    by_suite,
    headline,
    headline_words,
    in_words,
    label,
    measured,
    of_seed,
    overall,
    shorten,
    standing,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS: Final[dict[Standing, str]] = {
    "passed": "o",
    "conditional": "D",
    "refused": "X",
    "skipped": "s",
    "descriptive": "s",
}
_BAND: Final = "#E4EEF5"
_ROWS_SHOWN = 36
_KEY_CHECKS = 7
_SLOT = 0.235  # inches between two rows
_HEADING = 1.35  # height of a suite's heading, in rows
_LEFT, _SHARE = 0.405, 0.295  # left edge and width of the plot, as shares of the sheet


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a forest plot: a row or several."""

    row: Row
    label: str


def verdict_overview(record: Record, path: Path) -> Path:
    """Draw all gating rows with interval, value and bound, by suite.

    If there are more than 36, the passed rows of a check share one line. It shows the row closest to its bound.

    Args:
        record: The scorecard.
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    gating = [row for row in record["rows"] if row["gates"]]
    folds = len(gating) > _ROWS_SHOWN
    suites = []
    for suite, rows in by_suite(record):
        gates = [row for row in rows if row["gates"]]
        if gates:
            suites.append((suite, _folded(gates) if folds else [_Line(row, label(row)) for row in gates]))
    slots = sum(len(lines) + _HEADING for _, lines in suites)
    height = _SLOT * slots + 1.55
    with sheet(path, height=height) as figure:
        _banner(figure, record, height)
        axes = figure.add_axes((_LEFT, 0.62 / height, _SHARE, _SLOT * slots / height))
        low, high = _span(gating)
        axes.set(xlim=(low, high), ylim=(slots, 0), yticks=[])
        axes.grid(axis="x", color="#EDF0F3", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        at = 0.0
        for suite, lines in suites:
            _suite_heading(axes, at + 0.75, suite)
            at += _HEADING
            for line in lines:
                _draw_row(axes, at + 0.4, line.row)
                _line_text(axes, at + 0.4, line)
                at += 1
        _legend(figure, folds=folds)
    return path


def side_by_side(records: Sequence[Record], path: Path, evidence: Sequence[EvidenceRecord] = ()) -> Path:
    """Draw several scorecards as cards side by side.

    A card shows name, accuracy, outcome, and the checks on which the scorecards differ.

    Args:
        records: At least one. More than three are hard to read.
        path: Path of the PNG.
        evidence: The evidence of each record, in the same order. Without it no accuracy is shown.

    Returns:
        ``path``.
    """
    checks = _distinguishing(records)
    height = 2.0 + 0.5 * len(checks)
    share = 1 / len(records)
    low, high = _span([row for record in records for row in record["rows"] if (row["suite"], row["check"]) in checks])
    with sheet(path, height=height, width=max(WIDTH, 4 * len(records))) as figure:
        for index, record in enumerate(records):
            left = index * share
            _card_head(figure, left + share / 2, share, record, evidence[index] if evidence else None)
            axes = figure.add_axes((left + 0.05 * share, 0.42 / height, 0.9 * share, 0.5 * len(checks) / height))
            axes.set(xlim=(low, high), ylim=(len(checks), 0), yticks=[])
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelsize=8.5)
            for at, name in enumerate(checks):
                _card_row(axes, at, record, name)
    return path


def _folded(rows: Sequence[Row]) -> list[_Line]:
    checks: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        checks.setdefault((row["suite"], row["check"]), []).append(row)
    lines = []
    for members in checks.values():
        passed = [row for row in members if standing(row) == "passed"]
        lines += [_Line(row, label(row)) for row in members if standing(row) != "passed"]
        if passed:
            worst = min(passed, key=_margin)
            name = label(worst) if len(passed) == 1 else f"{worst['check']} {TIMES.strip()}{len(passed)}"
            lines.append(_Line(worst, name))
    return lines


def _margin(row: Row) -> float:
    """Return how far a row's value is inside its bound, negative outside."""
    row = _scaled(row)
    if row["value"] is None or row["bound"] is None:
        return -math.inf
    gap = row["value"] - row["bound"]
    return gap if row["direction"] == "at_least" else -gap


def _scaled(row: Row) -> Row:
    """Return a row with counts as shares of their bound.

    Counts and shares of images then fit on one axis.
    """
    scale = row["bound"]
    if scale is None or scale <= 1:
        return row
    numbers = row["value"], row["low"], row["high"]
    value, low, high = (None if number is None else number / scale for number in numbers)
    return {**row, "value": value, "low": low, "high": high, "bound": 1.0}


def _span(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the limits of an axis that holds all values.

    Very wide intervals are cut.
    """
    scaled = [(row["value"], row["low"], row["high"], row["bound"]) for row in map(_scaled, rows)]
    numbers = [number for row in scaled for number in row if number is not None]
    low, high = max(-0.6, min(0.0, *numbers, 0.0)), min(1.6, max(1.0, *numbers, 1.0))
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _draw_row(axes: "Axes", y: float, row: Row, *, thickness: float = 0.36) -> None:
    from matplotlib.patches import Rectangle

    left, right = axes.get_xlim()
    place, row = standing(row), _scaled(row)
    colour = COLOURS[place]
    if (at := row["bound"]) is not None:
        start, end = (at, right) if row["direction"] == "at_least" else (left, at)
        axes.add_patch(Rectangle((start, y - thickness), end - start, 2 * thickness, color=_BAND, linewidth=0))
        axes.plot([at, at], [y - thickness, y + thickness], color=INK, linewidth=1.3)
    if row["low"] is not None or row["high"] is not None:
        ends = [left if row["low"] is None else row["low"], right if row["high"] is None else row["high"]]
        linestyle = "-" if row["value"] is not None else ":"
        axes.plot(ends, [y, y], color=colour, linewidth=2.2, solid_capstyle="butt", linestyle=linestyle)
    if row["value"] is not None:
        inside = min(max(row["value"], left), right)
        style: dict[str, Any] = {"markersize": 6.2, "markeredgecolor": "white", "markeredgewidth": 0.7, "zorder": 3}
        axes.plot([inside], [y], marker=_MARKERS[place], color=colour, clip_on=False, **style)
    elif place == "refused":
        axes.plot([(left + right) / 2], [y], marker="X", color=colour, markersize=6.5, zorder=3)


def _line_text(axes: "Axes", y: float, line: _Line) -> None:
    """Write a line's name left of the plot, its numbers right."""
    row, anchor = line.row, axes.get_yaxis_transform()
    style: dict[str, Any] = {"transform": anchor, "va": "center", "fontsize": 8.2, "color": INK}
    if standing(row) == "refused":
        style |= {"color": COLOURS["refused"], "fontweight": "bold"}
    axes.text(-0.02, y, shorten(drawable(line.label), 42 if standing(row) == "refused" else 47), ha="right", **style)
    if row["value"] is None and row["low"] is None and row["high"] is None:
        axes.text(1.03, y, shorten(drawable(row["detail"]), 38), **style)
        return
    axes.text(1.03, y, measured(row), **style)
    axes.text((0.99 - _LEFT) / _SHARE, y, bound(row), ha="right", **{**style, "color": FAINT, "fontweight": "normal"})


def _suite_heading(axes: "Axes", y: float, suite: str) -> None:
    text = drawable(shorten(suite, 40))
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 9.5, "fontweight": "bold"}
    name = axes.text((0.015 - _LEFT) / _SHARE, y, text, va="center", **style)
    placement: dict[str, Any] = {"xycoords": name, "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(QUESTIONS.get(suite, ""), (1, 0.5), (7, 0), va="center", fontsize=8.8, color=FAINT, **placement)


def _banner(figure: "Figure", record: Record, height: float) -> None:
    outcome, *rest = headline_words(record).split(" · ")
    figure.text(
        0.015, 1 - 0.30 / height, outcome, fontsize=15, fontweight="bold", color=COLOURS[overall(record)], va="center"
    )
    subject = drawable(shorten(f"{record['model']['name']} on {record['dataset']['name']}", 60))
    figure.text(0.985, 1 - 0.30 / height, subject, fontsize=11, va="center", ha="right")
    lines = [" · ".join(rest[:-1]), rest[-1]] if len(rest) > 1 else rest
    for line, inches in zip(lines, (0.56, 0.75), strict=False):
        figure.text(0.015, 1 - inches / height, line, fontsize=9, color=FAINT, va="center")


def _legend(figure: "Figure", *, folds: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown: tuple[tuple[Standing, str], ...] = (
        ("passed", "pass"),
        ("conditional", "conditional pass"),
        ("refused", "not accepted"),
    )
    handles = [
        *(
            Line2D(
                [],
                [],
                color=COLOURS[place],
                marker=_MARKERS[place],
                linewidth=2.2,
                markeredgecolor="white",
                label=text,
            )
            for place, text in shown
        ),
        Patch(color=_BAND, label="where the bound wants it"),
    ]
    if folds:
        handles.append(Line2D([], [], linestyle="none", label=f"{TIMES.strip()}n: closest of n passed"))
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=5,
        fontsize=8.2,
        borderaxespad=0.2,
        handlelength=2.0,
        columnspacing=1.4,
    )


def _distinguishing(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return the (suite, check) pairs that distinguish the records best.

    Checks on which the records disagree come first, then recall, then other checks of the same suites.
    """
    pairs = list(dict.fromkeys((row["suite"], row["check"]) for record in records for row in record["rows"]))
    worst = {pair: [_worst(record, pair) for record in records] for pair in pairs}
    disputed = {pair for pair in pairs if len({row and row["accepted"] for row in worst[pair]}) > 1}
    suites = {suite for suite, _ in disputed}

    def rank(pair: tuple[str, str]) -> int:
        if not any(row and row["gates"] for row in worst[pair]):
            return 4
        if pair in disputed:
            return 0
        return 1 if pair[0] == "recall" else 2 if pair[0] in suites else 3

    chosen = set(sorted(pairs, key=rank)[:_KEY_CHECKS])
    return [pair for pair in pairs if pair in chosen]


def _worst(record: Record, pair: tuple[str, str]) -> Row | None:
    rows = [row for row in record["rows"] if (row["suite"], row["check"]) == pair]
    return min(rows, key=lambda row: (IMPORTANCE.index(standing(row)), _margin(row)), default=None)


def _card_head(figure: "Figure", middle: float, share: float, record: Record, evidence: EvidenceRecord | None) -> None:
    """Write name, accuracy and outcome at the top of a card.

    ``middle`` and ``share`` are the card's centre and width, as shares of the figure.
    """
    from matplotlib.patches import Rectangle

    inch = 1 / figure.get_figheight()
    name = f"{record['model']['name']} on {record['dataset']['name']}"
    style: dict[str, Any] = {"ha": "center", "va": "center"}
    figure.text(middle, 1 - 0.26 * inch, drawable(shorten(name, 42)), fontsize=11, **style)
    right = None if evidence is None else accuracy(evidence)
    if right is not None:
        figure.text(middle, 1 - 0.70 * inch, f"accuracy {right:.2f}{of_seed(record)}", fontsize=20, **style)
    place = overall(record)
    box = Rectangle((middle - 0.45 * share, 1 - 1.42 * inch), 0.9 * share, 0.38 * inch, color=COLOURS[place])
    box.set_transform(figure.transFigure)
    figure.add_artist(box)
    outcome = headline(record).split("**")[1]
    dark_on_light = INK if place == "conditional" else "white"
    figure.text(middle, 1 - 1.23 * inch, outcome, fontsize=12.5, fontweight="bold", color=dark_on_light, **style)


def _card_row(axes: "Axes", at: int, record: Record, pair: tuple[str, str]) -> None:
    row = _worst(record, pair)
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.8, "color": INK}
    room = 37
    if row is not None and standing(row) == "refused":
        style |= {"color": COLOURS["refused"], "fontweight": "bold"}
        room = 32
    subject = "" if row is None else shorten(drawable(row["subject"]), max(8, room - len(pair[1])))
    subject = f", {subject}" if subject else ""
    axes.text(0, at + 0.27, shorten(drawable(pair[1]), room) + subject, **style)
    if row is None:
        axes.text(1, at + 0.27, "not recorded", ha="right", **style)
        return
    result = in_words(row["outcome"]) if row["value"] is None else f"{measured(row).split()[0]}  {bound(row)}"
    axes.text(1, at + 0.27, result, ha="right", **style)
    _draw_row(axes, at + 0.7, row, thickness=0.17)
