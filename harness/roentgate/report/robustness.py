"""Pictures of robustness: cost of each corruption, and one corrupted image."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from roentgate.arrays import Images
from roentgate.candidates import Predictions
from roentgate.checks import metrics
from roentgate.data import Dataset
from roentgate.evidence import NOISE_SEED, SIDES, RobustnessRecord
from roentgate.perturbations import SEVERITIES, Corruption, corruptions, geometric, group_of
from roentgate.policy import RobustnessBounds
from roentgate.report.style import COLOURS, FAINT, INK, drawable, sheet
from roentgate.scorecard import FigureNote, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES, EXAMPLES = "robustness.png", "corruptions.png"
SHOWN: Final = (1, 3, 5)
"""Severities at which the image is shown."""

_COLUMNS = 4
_IMAGE_COLUMNS = 7
_GROUP_COLOURS: Final = {"detail": "#0072B2", "noise": "#A3480E", "exposure": "#00735C"}


def draw(record: RobustnessRecord, bounds: RobustnessBounds, test: Dataset, folder: Path) -> list[FigureNote]:
    """Draw both pictures and return a note on each.

    Args:
        record: The answers on the rows that are judged.
        bounds: The bounds that are drawn.
        test: The test images. The first judged image is shown.
        folder: Folder of ``robustness.png`` and ``corruptions.png``.
    """
    row = test.ids.index(record.clean.ids[0]) if len(record.clean) else 0
    curves(record, bounds, folder / CURVES)
    image_sheet(test.take([row]), row, bounds, folder / EXAMPLES, title=test.ids[row])
    mild, marked = bounds.mild_severity, bounds.marked_severity
    lost = {kind: _value(record.clean) - _value(record.corrupted[kind, marked]) for kind in bounds.corruptions}
    worst = max(lost, key=lambda kind: lost[kind])
    alt = f"Balanced accuracy by severity, with intervals; bounds marked at severities {mild} and {marked}. "
    alt += f"At severity {marked} most is lost under {worst}: {lost[worst]:.2f}."
    shown = ", ".join(map(str, SHOWN))
    return [
        {"file": CURVES, "title": "What corruptions cost", "alt": alt},
        {
            "file": EXAMPLES,
            "title": "One image under each corruption",
            "alt": f"{test.ids[row]} at severities {shown}.",
        },
    ]


def curves(record: RobustnessRecord, bounds: RobustnessBounds, path: Path) -> Path:
    """Draw balanced accuracy against severity, one panel per corruption.

    A last panel shows small movements. Points have intervals. A bar at the mild and at the marked severity is the least
    that the bounds accept.

    Args:
        record: The answers.
        bounds: The bounds.
        path: Path of the PNG.

    Returns:
        ``path``. A balanced accuracy that is undefined leaves a gap.
    """
    kinds = list(dict.fromkeys(bounds.corruptions))
    lines = -(-(len(kinds) + 1) // _COLUMNS)
    floors = {level: _value(record.clean) - bounds.drop_ceiling(level) for level in _levels(bounds)}
    with sheet(path, height=0.45 + 1.75 * lines) as figure:
        figure.set_layout_engine("constrained")
        grid = figure.subplots(lines, _COLUMNS, squeeze=False, sharey=True).ravel()
        for axes, kind in zip(grid, kinds, strict=False):
            answers = [record.clean, *(record.corrupted[kind, severity] for severity in SEVERITIES)]
            _points(axes, answers, floors, _GROUP_COLOURS[group_of(kind)], line=True)
            axes.set_xticks((0, *SEVERITIES), ["clean", *map(str, SEVERITIES)])
            axes.set_title(drawable(kind), fontsize=9.5)
        names, moved = _moved(record)
        axes = grid[len(kinds)]
        _points(
            axes, [record.clean, *moved], dict.fromkeys(range(1, len(names) + 1), floors[bounds.mild_severity]), INK
        )
        axes.set_xticks(range(len(names) + 1), ["clean", *names], rotation=90, fontsize=7.5)
        axes.set_title("moved" + (", resized" if record.resized else ""), fontsize=9.5)
        for axes in grid[: len(kinds) + 1]:
            axes.set(ylim=(0, 1.02), xlim=(-0.4, None))
            axes.axhline(1 / len(record.clean.classes), color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.tick_params(labelsize=7.5)
        for axes in grid[len(kinds) + 1 :]:
            axes.axis("off")
        figure.supylabel("balanced accuracy", fontsize=9)
        figure.supxlabel("severity   (red bars: the least that the bounds accept; dotted: chance)", fontsize=9)
    return path


def image_sheet(image: Images, row: int, bounds: RobustnessBounds, path: Path, *, title: str) -> Path:
    """Draw one image unchanged, moved, and under each corruption.

    Corruptions are drawn at the severities of `SHOWN`.

    Args:
        image: float32 [1, H, W, C] in [0, 1].
        row: Row number of the image. Its noise is the same as in the evidence.
        bounds: The bounds, which name corruptions, rotations and shifts.
        path: Path of the PNG.
        title: Name of the image.

    Returns:
        ``path``.
    """
    columns: list[tuple[str, list[Images], Sequence[str]]] = []
    columns.append(("the image, moved", _moved_examples(image, bounds), ("", f"{bounds.rotations[-1]:+g}°", "shifted")))
    for kind in dict.fromkeys(bounds.corruptions):
        made = corruptions.apply_each(
            image, np.array([row]), [Corruption(kind, each) for each in SHOWN], seed=NOISE_SEED
        )
        columns.append((kind, [changed[0] for _, changed in made], tuple(map(str, SHOWN))))
    bands = -(-len(columns) // _IMAGE_COLUMNS)
    with sheet(path, height=0.4 + 3.75 * bands) as figure:
        figure.set_layout_engine("constrained", h_pad=0.02, w_pad=0.02)
        figure.suptitle(drawable(shorten(title, 90)), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        grid = figure.subplots(len(SHOWN) * bands, _IMAGE_COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, (kind, examples, labels) in enumerate(columns):
            band, column = divmod(place, _IMAGE_COLUMNS)
            for step, (example, label) in enumerate(zip(examples, labels, strict=True)):
                axes = grid[len(SHOWN) * band + step, column]
                shown = example[..., 0] if example.shape[-1] == 1 else example
                axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.text(0.03, 0.97, label, transform=axes.transAxes, va="top", fontsize=8, color="#FFD24A")
                if step == 0:
                    axes.set_title(kind, fontsize=8.2, fontweight="normal")
    return path


def _moved_examples(image: Images, bounds: RobustnessBounds) -> list[Images]:
    """Return an image unchanged, rotated and shifted."""
    share, (down, right) = max(bounds.shifts), SIDES["right"]
    moves: list[Callable[[Images], Images]] = [
        lambda images: images,
        lambda images: geometric.rotated(images, bounds.rotations[-1]),
        lambda images: geometric.shifted(images, share * down, share * right),
    ]
    return [move(image)[0] for move in moves]


def _moved(record: RobustnessRecord) -> tuple[list[str], list[Predictions]]:
    """Return the names and answers of all rotations, shifts and resizings."""
    found = {f"{degrees:+g}°": answers for degrees, answers in record.rotated.items()}
    found |= {f"{100 * share:g}% {where}": answers for (share, where), answers in record.shifted.items()}
    found |= dict(record.resized)
    return list(found), list(found.values())


def _points(
    axes: "Axes", answers: Sequence[Predictions], floors: dict[int, float], colour: str, *, line: bool = False
) -> None:
    found = [metrics.balanced_accuracy(each) for each in answers]
    for place, each in enumerate(found):
        if each.defined:
            axes.plot([place, place], [each.low, each.high], color=colour, linewidth=1.1, alpha=0.6)
    values = [each.value for each in found]
    axes.plot(range(len(found)), values, "o-" if line else "o", color=colour, markersize=3.2, linewidth=1.3)
    for place, floor in floors.items():
        axes.plot([place - 0.32, place + 0.32], [floor, floor], color=COLOURS["refused"], linewidth=1.6)


def _levels(bounds: RobustnessBounds) -> tuple[int, int]:
    return bounds.mild_severity, bounds.marked_severity


def _value(predictions: Predictions) -> float:
    return metrics.balanced_accuracy(predictions).value
