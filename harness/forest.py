"""The verdicts as pictures: every gating row with its interval and bound, and several scorecards side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.canvas import COLOURS, FAINT, INK, WIDTH, drawable, sheet
from harness.scorecard import EvidenceRecord, Record, Row, headline
from harness.wording import (
    IMPORTANCE,
    QUESTIONS,
    Standing,
    accuracy,
    bound,
    headline_words,
    label,
    measured,
    overall,
    shorten,
    standing,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS: Final[dict[Standing, str]] = {"proven": "o", "unproven": "D", "refused": "X", "skipped": "s", "informs": "s"}
_BAND: Final = "#E4EEF5"
_ROWS_SHOWN = 36
_KEY_CHECKS = 7
_SLOT = 0.235  # inches between two rows


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a forest plot: a row, or the worst of several."""

    row: Row
    label: str


def verdict_overview(record: Record, path: Path) -> Path:
    """Draw every gating row, grouped by suite: interval, value, bound, and whether it is proven, accepted or refused.

    Above 36 rows the proven ones of a check share a line that shows the one closest to its bound.

    Args:
        record: The scorecard.
        path: Where the PNG goes.

    Returns:
        ``path``.
    """
    gating = [row for row in record["verdicts"] if row["gates"]]
    lines = _folded(gating) if len(gating) > _ROWS_SHOWN else [_Line(row, label(row)) for row in gating]
    suites = [(suite, list(group)) for suite, group in groupby(lines, key=lambda line: line.row["suite"])]
    slots = len(lines) + 1.35 * len(suites)
    height = _SLOT * slots + 1.55
    with sheet(path, height=height) as figure:
        _banner(figure, record, height)
        axes = figure.add_axes((0.355, 0.62 / height, 0.335, _SLOT * slots / height))
        low, high = _span(gating)
        axes.set(xlim=(low, high), ylim=(slots, 0), yticks=[])
        axes.grid(axis="x", color="#EDF0F3", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        at = 0.0
        for suite, group in suites:
            _suite_heading(axes, at + 0.75, suite)
            at += 1.35
            for line in group:
                _draw_row(axes, at + 0.4, line.row)
                axes.text(-0.02, at + 0.4, drawable(shorten(line.label, 46)), transform=axes.get_yaxis_transform(),
                          ha="right", va="center", fontsize=8.3)  # fmt: skip
                _numbers(axes, at + 0.4, line.row)
                at += 1
        _legend(figure)
    return path


def side_by_side(records: Sequence[Record], path: Path, evidence: Sequence[EvidenceRecord] = ()) -> Path:
    """Draw several scorecards as cards: name, accuracy, outcome, and the checks that tell them apart.

    Args:
        records: At least one; two or three are legible.
        path: Where the PNG goes.
        evidence: What lies beside each record, in the same order; without it no accuracy is shown.

    Returns:
        ``path``.
    """
    checks = _telling(records)
    height = 2.1 + 0.5 * len(checks)
    share = 1 / len(records)
    low, high = _span(
        [row for record in records for row in record["verdicts"] if (row["suite"], row["check"]) in checks]
    )
    with sheet(path, height=height, width=max(WIDTH, 4 * len(records))) as figure:
        for index, record in enumerate(records):
            left = index * share
            _card_head(figure, left, share, height, record, evidence[index] if evidence else None)
            axes = figure.add_axes((left + 0.06 * share, 0.42 / height, 0.88 * share, 0.5 * len(checks) / height))
            axes.set(xlim=(low, high), ylim=(len(checks), 0), yticks=[])
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelsize=8.5)
            for at, name in enumerate(checks):
                _card_row(axes, at, record, name)
    return path


def _folded(rows: Sequence[Row]) -> list[_Line]:
    lines = []
    for _, group in groupby(rows, key=lambda row: (row["suite"], row["check"])):
        members = list(group)
        proven = [row for row in members if standing(row) == "proven"]
        lines += [_Line(row, label(row)) for row in members if standing(row) != "proven"]
        if proven:
            worst = min(proven, key=_margin)
            name = label(worst) if len(proven) == 1 else f"{worst['check']}: {len(proven)} rows, closest one"
            lines.append(_Line(worst, name))
    return lines


def _margin(row: Row) -> float:
    """Return how far a row's value lies on the good side of its bound; negative beyond it."""
    if row["value"] is None or row["bound"] is None:
        return -math.inf
    gap = row["value"] - row["bound"]
    return gap if row["direction"] == "at_least" else -gap


def _span(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the axis that holds all values, and intervals as far as they are not absurdly wide."""
    numbers = [
        number for row in rows for number in (row["value"], row["low"], row["high"], row["bound"]) if number is not None
    ]
    low, high = max(-0.6, min(0.0, *numbers, 0.0)), min(1.6, max(1.0, *numbers, 1.0))
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _draw_row(axes: "Axes", y: float, row: Row, *, thickness: float = 0.36) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - see canvas

    left, right = axes.get_xlim()
    place = standing(row)
    colour = COLOURS[place]
    if (at := row["bound"]) is not None:
        start, end = (at, right) if row["direction"] == "at_least" else (left, at)
        axes.add_patch(Rectangle((start, y - thickness), end - start, 2 * thickness, color=_BAND, linewidth=0))
        axes.plot([at, at], [y - thickness, y + thickness], color=INK, linewidth=1.3)
    if row["low"] is not None or row["high"] is not None:
        ends = [left if row["low"] is None else row["low"], right if row["high"] is None else row["high"]]
        axes.plot(ends, [y, y], color=colour, linewidth=2.2, solid_capstyle="butt",
                  linestyle="-" if row["value"] is not None else ":")  # fmt: skip
    if row["value"] is not None:
        inside = min(max(row["value"], left), right)
        axes.plot([inside], [y], marker=_MARKERS[place], color=colour, markersize=6.2, markeredgecolor="white",
                  markeredgewidth=0.7, clip_on=False, zorder=3)  # fmt: skip
    elif place == "refused":
        axes.plot([(left + right) / 2], [y], marker="X", color=colour, markersize=6.5, zorder=3)


def _numbers(axes: "Axes", y: float, row: Row) -> None:
    missing = row["value"] is None and row["low"] is None
    words = shorten(drawable(row["detail"]), 38) if missing else f"{measured(row)}"
    colour = COLOURS[standing(row)] if standing(row) == "refused" else INK
    axes.text(1.03, y, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8.3, color=colour)
    if not missing:
        axes.text(
            1.90,
            y,
            bound(row),
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="right",
            fontsize=8.3,
            color=FAINT,
        )


def _suite_heading(axes: "Axes", y: float, suite: str) -> None:
    anchor = axes.get_yaxis_transform()
    axes.text(-1.02, y, drawable(shorten(suite, 40)), transform=anchor, va="center", fontsize=9.5, fontweight="bold")
    axes.text(-0.70, y, QUESTIONS.get(suite, ""), transform=anchor, va="center", fontsize=8.8, color=FAINT)


def _banner(figure: "Figure", record: Record, height: float) -> None:
    outcome, *rest = headline_words(record).split(" · ")
    figure.text(
        0.015, 1 - 0.30 / height, outcome, fontsize=15, fontweight="bold", color=COLOURS[overall(record)], va="center"
    )
    subject = drawable(shorten(f"{record['model']['name']} on {record['dataset']['name']}", 60))
    figure.text(0.985, 1 - 0.30 / height, subject, fontsize=11, va="center", ha="right")
    figure.text(0.015, 1 - 0.58 / height, " · ".join(rest), fontsize=9, color=FAINT, va="center")


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - see canvas
    from matplotlib.patches import Patch  # noqa: PLC0415

    shown: tuple[tuple[Standing, str], ...] = (
        ("proven", "proven"),
        ("unproven", "accepted, not proven"),
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
                label=words,
            )
            for place, words in shown
        ),
        Patch(color=_BAND, label="where the bound wants it"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8.6, borderaxespad=0.2, handlelength=2.2)


def _telling(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return the (suite, check) pairs worth a line: those the records disagree on, then those that rest on a sample."""
    pairs = list(dict.fromkeys((row["suite"], row["check"]) for record in records for row in record["verdicts"]))
    worst = {pair: [_worst(record, pair) for record in records] for pair in pairs}

    def dullness(pair: tuple[str, str]) -> int:
        rows = [row for row in worst[pair] if row is not None]
        if len({row["accepted"] for row in rows}) > 1 or len(rows) < len(records):
            return 0
        if any(row["gates"] and row["low"] != row["high"] for row in rows):
            return 1
        return 2 if any(row["gates"] for row in rows) else 3

    chosen = set(sorted(pairs, key=dullness)[:_KEY_CHECKS])
    return [pair for pair in pairs if pair in chosen]


def _worst(record: Record, pair: tuple[str, str]) -> Row | None:
    rows = [row for row in record["verdicts"] if (row["suite"], row["check"]) == pair]
    return min(rows, key=lambda row: (IMPORTANCE.index(standing(row)), _margin(row)), default=None)


def _card_head(  # noqa: PLR0913, PLR0917 - a place and what goes there
    figure: "Figure", left: float, share: float, height: float, record: Record, evidence: EvidenceRecord | None
) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - see canvas

    middle = left + share / 2
    name = f"{record['model']['name']} on {record['dataset']['name']}"
    figure.text(middle, 1 - 0.25 / height, drawable(shorten(name, 42)), ha="center", va="center", fontsize=11)
    right = None if evidence is None else accuracy(evidence)
    if right is not None:
        figure.text(middle, 1 - 0.66 / height, f"accuracy {right:.2f}", ha="center", va="center", fontsize=19)
    outcome = headline(record).split("**")[1]
    box = (left + 0.06 * share, 1 - 1.34 / height)
    figure.add_artist(
        Rectangle(box, 0.88 * share, 0.38 / height, color=COLOURS[overall(record)], transform=figure.transFigure)
    )
    dark = INK if overall(record) == "unproven" else "white"
    figure.text(
        middle, 1 - 1.15 / height, outcome, ha="center", va="center", fontsize=12.5, fontweight="bold", color=dark
    )


def _card_row(axes: "Axes", at: int, record: Record, name: tuple[str, str]) -> None:
    row = _worst(record, name)
    anchor = axes.get_yaxis_transform()
    axes.text(0, at + 0.27, drawable(shorten(name[1], 28)), transform=anchor, va="center", fontsize=8.8)
    if row is None:
        axes.text(1, at + 0.27, "not recorded", transform=anchor, va="center", ha="right", fontsize=8.8, color=FAINT)
        return
    words = f"{measured(row)}  {bound(row)}" if row["value"] is not None else row["verdict"]
    colour, weight = (COLOURS["refused"], "bold") if standing(row) == "refused" else (INK, "normal")
    axes.text(
        1, at + 0.27, words, transform=anchor, va="center", ha="right", fontsize=8.4, color=colour, fontweight=weight
    )
    _draw_row(axes, at + 0.7, row, thickness=0.17)
