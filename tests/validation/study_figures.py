"""Figures of the statistics report: misses of intervals, accepted models."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roentgate.report import FAINT, INK, SPLIT_COLOURS, sheet
from tests.validation.exact import GATES, Entry, cell
from tests.validation.study import CURVES_N, FLOOR, GATE_ROWS, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METHODS: Final = {
    "macro": ("as decided on", "#0072B2", "o"),
    "grouped": ("as decided on", "#0072B2", "o"),
    "naive": ("patients ignored", "#E69F00", "s"),
    "bootstrap": ("percentile bootstrap", "#A50026", "X"),
}
_TOP: Final = 30  # per cent
_PAD: Final = 16  # points between a plot and its title, for labels on the upper edge
_ROWS_COLOURS: Final = ("#A6CEE3", "#7FB2D6", "#5796C6", "#347AB4", "#1B5E9B", "#0B3C6F")


def coverage(tables: Tables, path: Path) -> Path:
    """Draw how often the intervals miss the truth, and common alternatives.

    Drawn are shares, areas and grouped shares.

    Args:
        tables: From `tests.validation.study.run`.
        path: The PNG file to write.

    Returns:
        ``path``.
    """
    with sheet(path, height=7.6) as figure:
        figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.1)
        grid = figure.subplots(2, 2)
        _shares(grid[0, 0], tables["share_curves"])
        for axes, counts in ((grid[0, 1], "20 / 20"), (grid[1, 0], "26 / 20 / 20")):
            lines = [line for line in tables["areas"] if line["counts"] == counts and line["shape"] == "normal"]
            _methods(axes, lines, ("macro", "bootstrap"), by="truth")
            axes.set(xlabel="true area")
            axes.set_title(f"AUROC, {counts} images a class", pad=_PAD)
        lines = [
            line for line in tables["grouped"] if (line["images"], line["icc"], line["truth"]) == ("1 to 9", 0.3, 0.9)
        ]
        _methods(grid[1, 1], lines, ("grouped", "naive", "bootstrap"), by="groups")
        grid[1, 1].set(xlabel="patients (correlation 0.3, true share 0.90)")
        grid[1, 1].set_title("Share, 1 to 9 images of a patient", pad=_PAD)
    return path


def decisions(tables: Tables, path: Path) -> Path:
    """Draw how often each rule accepts a share of n rows, by true share.

    Args:
        tables: From `tests.validation.study.run`.
        path: The PNG file to write.

    Returns:
        ``path``.
    """
    titles = {"simple": "Simple: the value meets the floor", "guarded": "Guarded: the whole interval meets it"}
    with sheet(path, height=4.0) as figure:
        figure.set_layout_engine("constrained", w_pad=0.1)
        for axes, gate in zip(figure.subplots(1, 2, sharey=True), GATES, strict=True):
            axes.axvspan(0.6, FLOOR, color="#F7E9EC", linewidth=0)
            axes.axvline(FLOOR, color=INK, linewidth=1.2)
            for n, colour in zip(GATE_ROWS, _ROWS_COLOURS, strict=True):
                lines = [line for line in tables["gates"] if line["n"] == n]
                accepted = [100 * cell(line, gate) for line in lines]
                axes.plot([cell(line, "truth") for line in lines], accepted, color=colour, linewidth=1.8, label=str(n))
            axes.set(title=titles[gate], xlabel="true recall", xlim=(0.6, 0.99), ylim=(0, 100))
            axes.grid(color="#EDF0F3", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.text(0.605, 96, "below the floor:\naccepted is a false pass", fontsize=8.2, color=FAINT, va="top")
        figure.axes[0].text(FLOOR + 0.01, 4, "above it: not accepted\nis a false fail", fontsize=8.2, color=FAINT)
        figure.axes[0].set_ylabel("accepted, % of test sets")
        figure.axes[0].legend(title="images of the class", fontsize=8.2, title_fontsize=8.2, loc="center left")
    return path


def _shares(axes: "Axes", lines: Sequence[Entry]) -> None:
    for n, colour in zip(CURVES_N, SPLIT_COLOURS, strict=False):
        chosen = [line for line in lines if line["n"] == n]
        missed = [100 * (cell(line, "over") + cell(line, "under")) for line in chosen]
        axes.plot([cell(line, "truth") for line in chosen], missed, color=colour, linewidth=1.2, label=f"n = {n}")
    _nominal(axes)
    axes.set(xlabel="true share", ylim=(0, 8), xlim=(0.5, 0.99))
    axes.set_title("Share of n images, exact", pad=_PAD)
    axes.legend(fontsize=8.2, loc="upper left", ncols=3, columnspacing=1.0, handlelength=1.4)


def _methods(axes: "Axes", lines: Sequence[Entry], names: Sequence[str], *, by: str) -> None:
    """Draw the misses of several intervals at even steps of ``by``.

    Values above the axis are written on its upper edge.
    """
    at = range(len(lines))
    for name in names:
        label, colour, marker = _METHODS[name]
        missed = [100 * (cell(line, f"{name}_over") + cell(line, f"{name}_under")) for line in lines]
        shown = [min(value, _TOP) for value in missed]
        axes.plot(at, shown, color=colour, marker=marker, markersize=5, linewidth=1.8, label=label, clip_on=False)
        for place, value in enumerate(missed):
            if value > _TOP:
                axes.annotate(
                    f"{value:.0f} %",
                    (place, _TOP),
                    (0, 4),
                    textcoords="offset points",
                    color=colour,
                    fontsize=8.2,
                    ha="center",
                    annotation_clip=False,
                )
    _nominal(axes)
    axes.set(ylim=(0, _TOP), xticks=at, xticklabels=[f"{cell(line, by):g}" for line in lines])
    axes.legend(fontsize=8.2, loc="upper left" if by == "truth" else "upper right")


def _nominal(axes: "Axes") -> None:
    axes.axhline(5, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        "5 %",
        (1, 5),
        (3, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8.2,
        va="center",
        annotation_clip=False,
    )
    axes.set_ylabel("misses, % of draws")
    axes.grid(axis="y", color="#EDF0F3", linewidth=0.8)
    axes.set_axisbelow(True)
