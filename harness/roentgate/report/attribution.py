"""Overlays of attribution maps on images, with the lungs outlined.

Only explainers that passed the sanity check are drawn. Colour shows positive attribution. Each image has its own scale,
from zero to its strongest pixel, so colours of two images cannot be compared.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roentgate.arrays import IntArray
from roentgate.evidence import AttributionRecord, shown
from roentgate.report.style import FAINT, drawable, sheet
from roentgate.scorecard import FigureNote, shorten
from roentgate.store import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LARGEST_FILE: Final = 400_000  # bytes
NAMES: Final[Mapping[str, str]] = {
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
}
_COLUMNS = 6
_PIXELS = 128  # most pixels a side of a drawn image; larger ones are averaged
_LIGHTER = ((1, 256), (1, 64), (0.75, 64), (0.5, 64))  # share of the size, colours
_LUNGS = "#4CC9F0"
_COLOURS = "inferno"
_OPAQUE = 0.75  # of the strongest pixel


@dataclass(frozen=True, eq=False)
class _Row:
    """One line of images of a sheet."""

    title: str
    positions: IntArray  # in the record's sample


def overlays(
    record: AttributionRecord, folder: Path, *, flipped: Mapping[str, Sequence[str]] | None = None
) -> list[FigureNote]:
    """Draw one sheet for each explainer that passed its sanity check.

    Args:
        record: The attributions of a model.
        folder: Folder of the PNGs, named ``attribution-METHOD.png`` of at most `LARGEST_FILE` bytes each.
        flipped: For each change of the images, the ids of those whose answer it flips. Only images of the sample are
            drawn.

    Returns:
        One note per sheet.
    """
    notes = []
    for method in record.methods:
        path = folder / f"attribution-{method}.png"
        path.unlink(missing_ok=True)
        if record.sanity_check(method).passed and not record.unusable_reason(method):
            notes.append(_draw(record, method, path, flipped or {}))
    return notes


def choose(
    truth: IntArray, predicted: IntArray, sureness: NDArray[np.floating], classes: Sequence[str]
) -> list[tuple[str, IntArray]]:
    """Return titles and positions of the images to show.

    These are the first images of each class in turn, and the surest right and wrong answers.

    Args:
        truth: int64 (n,) true classes.
        predicted: int64 (n,) predicted classes.
        sureness: (n,) probability of the predicted class.
        classes: Class names.
    """
    by_class = [np.flatnonzero(truth == label) for label in range(len(classes))]
    places = range(max((len(rows) for rows in by_class), default=0))
    balanced = [int(rows[place]) for place in places for rows in by_class if place < len(rows)]
    order = np.argsort(-sureness, kind="stable")
    right, wrong = order[(truth == predicted)[order]], order[(truth != predicted)[order]]
    lines = [("From each class", np.array(balanced[:_COLUMNS], dtype=np.int64))]
    lines += [("Surest right", right[:_COLUMNS]), (f"Surest wrong (of {len(wrong)})", wrong[:_COLUMNS])]
    return [(title, rows) for title, rows in lines if len(rows)]


def _draw(record: AttributionRecord, method: str, path: Path, flipped: Mapping[str, Sequence[str]]) -> FigureNote:
    found, test = record.attributions(method), record.candidate.splits.test
    answers = record.answers(found.rows)
    sure = answers[np.arange(len(found.rows)), found.predicted]
    lines = [_Row(*line) for line in choose(test.labels[found.rows], found.predicted, sure, test.classes)]
    for change, ids in flipped.items():
        known = np.array([place for place, image in enumerate(found.ids) if image in set(ids)], dtype=np.int64)
        if known.size:
            lines.append(_Row(f"Flipped by {change} ({len(known)})", known[:_COLUMNS]))
    lungs, trusted = record.lungs(found.rows)
    with sheet(path, height=0.75 + 1.55 * len(lines)) as figure:
        figure.set_layout_engine("constrained")
        heading = f"Attribution maps: {NAMES[method]} ({found.description})"
        title = [shorten(heading, 120), *_sanity_check_lines(record, method)]
        figure.suptitle("\n".join(map(drawable, title)), x=0.01, ha="left", fontsize=8, linespacing=1.4)
        grid = figure.subplots(len(lines), _COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for row, line in zip(grid, lines, strict=True):
            for axes, position in zip(row, line.positions, strict=False):
                image = test.take([found.rows[position]])[0]
                _overlay(axes, image, found.maps[position], lungs[position] if trusted[position] else None)
                truth = test.classes[test.labels[found.rows[position]]]
                predicted = test.classes[found.predicted[position]]
                caption = [f"{shorten(predicted, 16)} {sure[position]:.2f}"]
                caption += [] if truth == predicted else [f"is {shorten(truth, 16)}"]
                axes.set_title("\n".join(map(drawable, caption)), fontsize=6.8, fontweight="normal")
            _label(row[0], line.title)
    _lighten(path)
    return {
        "file": path.name,
        "title": f"Attribution maps: {NAMES[method]}",
        "alt": _alt(record, method, lines),
    }


def _lighten(path: Path) -> None:
    """Reduce a PNG until it has at most `LARGEST_FILE` bytes.

    The number of colours is reduced first, then the size of the picture.
    """
    with Image.open(path) as drawn:
        whole = drawn.convert("RGB")
    for share, colours in _LIGHTER:
        size = round(share * whole.width), round(share * whole.height)
        few = whole.resize(size).quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        with atomic(path) as draft:
            few.save(draft, format="PNG", optimize=True)
        if path.stat().st_size <= LARGEST_FILE:
            return


def _label(axes: "Axes", title: str) -> None:
    """Write the title of a line of images at its left."""
    text = "\n".join(map(drawable, textwrap.wrap(title, 24)[:2]))
    style: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "multialignment": "center"}
    axes.text(-0.04, 0.5, text, transform=axes.transAxes, fontsize=6.8, color=FAINT, **style)


def _sanity_check_lines(record: AttributionRecord, method: str) -> list[str]:
    """Return two lines with the figures of a passed sanity check."""
    sanity_check = record.sanity_check(method)
    correlated, change = sanity_check.correlated, sanity_check.similarity_change
    others = float(np.nanmean(sanity_check.others))
    return [
        f"Sanity check passed: with random weights its maps keep a rank correlation of {correlated.value:.2f} (at most "
        f"{correlated.high:.2f}, must stay below {sanity_check.ceiling:g})",
        f"and a structural similarity of {change.value + others:.2f} (at most "
        f"{change.high + others:.2f}; {others:.2f} between two images). Each image has its own scale.",
    ]


def _alt(record: AttributionRecord, method: str, lines: Sequence[_Row]) -> str:
    shown = ", ".join(f"{line.title.lower()}: {len(line.positions)}" for line in lines)
    summary = record.sanity_check(method).summary
    return f"Images with the attribution of {NAMES[method]} laid over them; {shown}. {summary}."


def _overlay(
    axes: "Axes", image: NDArray[np.float32], attribution: NDArray[np.float32], lungs: NDArray[np.bool_] | None
) -> None:
    """Draw an image, its attribution in colour, and the lungs' outline."""
    height, width = attribution.shape
    place = (0, width, height, 0)
    strength = shown(attribution[None])[0]
    axes.imshow(smaller(image.mean(axis=2)), cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=place)
    axes.imshow(
        strength,
        cmap=_COLOURS,
        vmin=0,
        vmax=1,
        alpha=_OPAQUE * np.sqrt(strength),
        interpolation="bilinear",
        extent=place,
    )
    if lungs is not None and lungs.any():
        axes.contour(
            lungs.astype(np.float32), levels=[0.5], colors=[_LUNGS], linewidths=0.7, extent=(0, width, 0, height)
        )


def smaller(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (H, W) reduced to at most 128 pixels a side."""
    factor = -(-max(image.shape) // _PIXELS)
    height, width = (side - side % factor for side in image.shape)
    blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)
