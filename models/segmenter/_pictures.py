"""Figures of lung fields: the worst images of the segmenter, or a whole data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

Compared = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], float, str]
"""An image, the human mask, the mask of the segmenter, their Dice coefficient, and why the latter is not trusted."""

_HUMAN, _FOUND, _DOUBTED = "deepskyblue", "orange", "red"


def save_worst(rows: Mapping[str, Sequence[Compared]], path: Path) -> None:
    """Write a figure with a row of images for each title.

    Outlines are blue for human masks and orange for those of the segmenter.
    """
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(1.6 * columns, 1.9 * len(rows)), dpi=85, facecolor="black")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.94, 0.04, 0.3)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for places, (title, images) in zip(grid, rows.items(), strict=True):
        for place in places:
            place.axis("off")
        for place, (image, human, found, agreement, reason) in zip(places, images, strict=False):
            _show(place, image)
            _outline(place, human, _HUMAN)
            _outline(place, found, _FOUND)
            text = f"{agreement:.3f}" + (f", {reason.partition(':')[0]}" if reason else "")
            place.set_title(text, color=_DOUBTED if reason else "white", fontsize=7, pad=2)
        places[0].text(0, 1.14, title, color="white", fontsize=9, transform=places[0].transAxes).set_in_layout(False)
    _save(figure, path)


def save_sheet(images: Sequence[tuple[str, NDArray[np.float32], NDArray[np.bool_], str]], path: Path) -> None:
    """Write a figure of all images (name, pixels, mask, reason) with their lung fields.

    Fields that are not trusted are red.
    """
    columns = 20
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns, 1.12 * rows), dpi=100, facecolor="black")
    figure.subplots_adjust(0, 0, 1, 0.99, 0.02, 0.12)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for place in grid:
        place.axis("off")
    for place, (name, image, found, reason) in zip(grid, images, strict=False):
        _show(place, image)
        _outline(place, found, _DOUBTED if reason else _FOUND)
        place.set_title(f"{Path(name).stem[:8]} {reason.partition(':')[0][:9]}", color="white", fontsize=6, pad=1)
    _save(figure, path)


def _show(place: Axes, image: NDArray[np.float32]) -> None:
    place.imshow(image, cmap="gray", vmin=image.min(), vmax=image.max(), interpolation="bilinear")


def _outline(place: Axes, mask: NDArray[np.bool_], colour: str) -> None:
    if mask.any() and not mask.all():
        place.contour(mask, [0.5], colors=colour, linewidths=0.8)


def _save(figure: Figure, path: Path) -> None:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(path, metadata={"Software": None})
