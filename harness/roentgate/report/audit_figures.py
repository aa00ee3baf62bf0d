"""Pictures of an audit: skill of the probes, near-duplicates, atypical images."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from roentgate.audit import Survey
from roentgate.report.style import FAINT, INK, drawable, sheet
from roentgate.scorecard import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from roentgate.report.audit_report import ProbeResult

_NO_LUNGS, _SOME, _WHOLE = "#A50026", "#E69F00", "#0072B2"
_COLOURS: Final = {
    "file": _NO_LUNGS,
    "border": _NO_LUNGS,
    "outside": _NO_LUNGS,
    "summary": _SOME,
    "middle removed": _SOME,
    "anatomy": _SOME,
    "whole": _WHOLE,
}
_COLUMNS = 3
_ODD_COLUMNS = 6


def probes_chart(probes: Sequence["ProbeResult"], name: str, classes: int, path: Path) -> Path:
    """Draw the skill of each probe as a bar with its interval.

    Probes that see no lung come first, those that see the whole image last.

    Args:
        probes: For each probe its name, family, value, low and high.
        name: Name of the data set.
        classes: Number of classes.
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    order = list(_COLOURS)
    bars = sorted(probes, key=lambda each: order.index(each["family"]))
    with sheet(path, height=1.5 + 0.3 * len(bars)) as figure:
        axes = figure.add_axes((0.27, 0.62 / (1.5 + 0.3 * len(bars)), 0.69, 0.3 * len(bars) / (1.5 + 0.3 * len(bars))))
        for row, each in enumerate(bars):
            if each["value"] is None:
                axes.text(0.015, row, "undefined", va="center", fontsize=9, color=FAINT)
                continue
            value, low, high = map(_inside, (each["value"], each["low"], each["high"]))
            axes.barh(row, value, height=0.68, color=_COLOURS[each["family"]])
            axes.plot([low, high], [row, row], color=INK, linewidth=1.1)
            axes.text(max(high, 0) + 0.015, row, f"{each['value']:.0%}", va="center", fontsize=9)
        axes.axvline(0, color=FAINT, linewidth=0.9)
        axes.set(yticks=range(len(bars)), xlim=(-0.18, 1.1), ylim=(len(bars) - 0.45, -0.55))
        axes.set_yticklabels([drawable(each["probe"]) for each in bars])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["guessing", "25%", "50%", "75%", "perfect"])
        axes.tick_params(length=0)
        title = f"What can be scored without the lungs: {drawable(shorten(name, 40))}"
        figure.text(0.01, 0.985, title, va="top", fontsize=12.5, fontweight="bold")
        height = 1.5 + 0.3 * len(bars)
        note = (
            f"A linear model, never tuned, sees no more than is named; {classes} classes; skill above chance on the "
            "test images"
        )
        figure.text(0.01, 1 - 0.42 / height, note, va="top", fontsize=9, color=FAINT)
        legend = [("no lung in sight", _NO_LUNGS), ("parts, or a summary", _SOME), ("the whole image", _WHOLE)]
        for index, (text, colour) in enumerate(legend):
            figure.text(0.27 + 0.22 * index, 0.1 / height, f"■ {text}", color=colour, fontsize=9)
    return path


def _inside(value: float) -> float:
    return -0.15 if math.isnan(value) else min(max(value, -0.15), 1.0)


def pairs_sheet(seen: Survey, pairs: Sequence[tuple[int, int, str]], path: Path) -> Path:
    """Draw pairs of images side by side.

    Each has both ids and how the pair was found.

    Args:
        seen: The survey of the images.
        pairs: (row, row, how they were found).
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    lines = math.ceil(len(pairs) / _COLUMNS)
    with sheet(path, height=0.35 + 2.05 * lines, width=9.6) as figure:
        title = "Images that are the same, and below 0.90 the most alike that are not"
        figure.suptitle(title, x=0.01, y=0.995, ha="left", va="top", fontsize=11, fontweight="bold")
        grid = figure.subplots(lines, _COLUMNS, squeeze=False)
        figure.subplots_adjust(
            left=0.01, right=0.99, bottom=0.01, top=1 - 0.95 / (0.35 + 2.05 * lines), hspace=0.5, wspace=0.04
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, (first, second, how) in zip(grid.flat, pairs, strict=False):
            images = seen.thumbnails([first, second])
            gap = np.full((images.shape[1], 4), 255, np.uint8)
            _show(axes, np.hstack([images[0], gap, images[1]]))
            names = [shorten(drawable(seen.ids[row]), 40) for row in (first, second)]
            axes.set_title(f"{names[0]}\n{names[1]}\n{how}", fontsize=7, fontweight="normal")
    return path


def odd_sheet(seen: Survey, odd: Sequence[tuple[int, str]], path: Path) -> Path:
    """Draw atypical images, each with its id and what is atypical.

    Args:
        seen: The survey of the images.
        odd: (row, reason).
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    lines = math.ceil(len(odd) / _ODD_COLUMNS)
    with sheet(path, height=0.4 + 1.9 * lines, width=9.6) as figure:
        figure.set_layout_engine("constrained")
        figure.suptitle("Images that are not like the others", x=0.01, ha="left", fontsize=11, fontweight="bold")
        grid = figure.subplots(lines, _ODD_COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, (row, reason) in zip(grid.flat, odd, strict=False):
            _show(axes, seen.thumbnails([row])[0])
            name = shorten(drawable(seen.ids[row]), 26)
            axes.set_title(f"{name}\n{shorten(drawable(reason), 30)}", fontsize=6.5, fontweight="normal")
    return path


def _show(axes: "Axes", image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
