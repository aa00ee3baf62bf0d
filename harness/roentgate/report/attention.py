"""Pictures of attention: images without lungs, lungs on another background, a burned-in annotation pasted; the rows
that decided first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import BoolArray, IntArray
from roentgate.candidates import Predictions
from roentgate.checks import worst_infill
from roentgate.evidence import AttentionRecord, attend, battery_of
from roentgate.lungs import Battery
from roentgate.report.style import COLOURS, FAINT, INK, drawable, sheet
from roentgate.scorecard import FigureNote, Row, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from roentgate.arrays import Images
    from roentgate.evidence import Evidence

LUNGS, BACKGROUNDS, ANNOTATIONS = "attention-lungs.png", "attention-backgrounds.png", "attention-annotations.png"
CHECK: Final = "skill_without_lungs"
SHOWN: Final = 8
"""Images of a picture, as many of each class as there are; of exchanged backgrounds `SHOWN_BACKGROUNDS`."""
SHOWN_BACKGROUNDS: Final = 4

_COLUMNS: Final = 4
_WIDEST: Final = 160  # pixels of an image; with more, the PNG of eight images is a megabyte of grain
_GREYS: Final = 32
_AGAINST, _FOR = COLOURS["refused"], COLOURS["passed"]

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One image of a stack: float32 (H, W, C), two lines of words at most, and what is outlined."""

    image: "NDArray[np.float32]"
    words: str
    colour: str = INK
    box: Box | None = None


def draw(record: AttentionRecord, battery: Battery, folder: Path) -> list[FigureNote]:
    """Draw into ``folder`` the images that decided, changed as the model was shown them; say what each picture shows.

    Rows that speak against the model come first: answers that stay right without lungs, that follow the background,
    that follow the burned-in annotation and not the flat patch. Of each kind classes take turns.

    Args:
        record: The answers.
        battery: What was done to the images, of the same model.
        folder: Where the PNGs go: `LUNGS`, `BACKGROUNDS`, `ANNOTATIONS`; each only where there is a row to show.
    """
    pictures = (
        (LUNGS, "Images without their lungs", _without_lungs(record, battery)),
        (BACKGROUNDS, "Lungs on the background of another class", _on_other_backgrounds(record, battery)),
        (ANNOTATIONS, "Burned-in annotations of another class", _marked(record, battery)),
    )
    notes: list[FigureNote] = []
    for name, title, (heading, stacks) in pictures:
        if stacks:
            _draw(stacks, folder / name, heading)
            notes.append({"file": name, "title": title, "alt": heading})
    return notes


def figures(evidence: "Evidence", rows: Sequence[Row], folder: Path) -> list[FigureNote]:
    """Draw what `draw` draws of a model, where a run has looked at its lungs; nothing where it could or did not.

    Args:
        evidence: On the model; the answers are those that the run has kept.
        rows: Of the run.
        folder: As in `draw`.
    """
    if not any(row["check"] == CHECK and row["outcome"] != "skipped" for row in rows):
        return []
    return draw(attend(evidence), battery_of(evidence), folder)


def chosen(first: BoolArray, labels: IntArray, most: int) -> IntArray:
    """Return up to ``most`` rows: of those that come first, then of the others, classes taking turns.

    Args:
        first: bool (n,).
        labels: int64 (n,) class indices.
        most: How many.
    """
    turns = np.zeros(len(labels), dtype=np.int64)
    for kind in (True, False):
        for label in np.unique(labels):
            rows = np.flatnonzero((first == kind) & (labels == label))
            turns[rows] = np.arange(len(rows))
    return np.lexsort((labels, turns, ~first))[:most].astype(np.int64)


def _without_lungs(record: AttentionRecord, battery: Battery) -> tuple[str, list[list[_Panel]]]:
    if not len(record.rows):
        return "", []
    infill = worst_infill(record, "lungs")
    clean, cut = record.clean, record.hidden["lungs", infill]
    right = clean.answers == clean.labels
    stays = right & (cut.answers == clean.labels)
    rows = chosen(stays, clean.labels, SHOWN)
    before, after = _images(battery, record.rows[rows]), battery.changed(("lungs", infill), record.rows[rows])
    stacks = [
        [
            _Panel(image=image, words=_named(clean, row)),
            _Panel(
                image=hidden,
                words=_moved(clean, cut, row),
                colour=_AGAINST if stays[row] else _FOR if right[row] else FAINT,
            ),
        ]
        for row, image, hidden in zip(rows, before, after, strict=True)
    ]
    told = f"Lungs hidden ({infill}): {stays.sum()} of {right.sum()} right answers stay right"
    return _counted(told, len(rows), len(clean)), stacks


def _on_other_backgrounds(record: AttentionRecord, battery: Battery) -> tuple[str, list[list[_Panel]]]:
    clean, swapped = record.clean, record.swapped
    there = np.flatnonzero(record.donor_rows >= 0)
    if not there.size:
        return "", []
    donor_labels = clean.labels[record.donor_rows]
    by_background, by_lungs = swapped.answers == donor_labels, swapped.answers == clean.labels
    rows = there[chosen(by_background[there], clean.labels[there], SHOWN_BACKGROUNDS)]
    images, backgrounds = _images(battery, record.rows[rows]), _images(battery, record.rows[record.donor_rows[rows]])
    made = battery.changed("swapped", record.rows[rows])
    stacks = []
    for row, image, background, composite in zip(rows, images, backgrounds, made, strict=True):
        whose = "the background's" if by_background[row] else "the lungs'" if by_lungs[row] else "neither's"
        colour = _AGAINST if by_background[row] else _FOR if by_lungs[row] else FAINT
        stacks.append([
            _Panel(image=image, words=f"lungs: {_named(clean, row)}"),
            _Panel(image=background, words=f"background: {_named(clean, int(record.donor_rows[row]))}"),
            _Panel(image=composite, words=f"→ {_answer(swapped, row)}\n{whose}", colour=colour),
        ])  # fmt: skip
    told = f"Lungs on the background of another class: {by_background[there].sum()} of {len(there)} called by the background, "
    return _counted(f"{told}{by_lungs[there].sum()} by the lungs", len(rows), len(there)), stacks


def _marked(record: AttentionRecord, battery: Battery) -> tuple[str, list[list[_Panel]]]:
    clean, annotated, plain = record.clean, record.annotated, record.plain
    there = np.flatnonzero(record.annotation_labels >= 0)
    if not there.size:
        return "", []
    goes = (annotated.answers == record.annotation_labels) & (clean.answers != record.annotation_labels)
    alone = (plain.answers == record.annotation_labels) & (clean.answers != record.annotation_labels)
    rows = there[chosen((goes & ~alone)[there], clean.labels[there], SHOWN)]
    before, after = _images(battery, record.rows[rows]), battery.changed("annotated", record.rows[rows])
    stacks = []
    for row, image, changed in zip(rows, before, after, strict=True):
        words = f"burned-in annotation of {shorten(clean.classes[record.annotation_labels[row]], 18)}\n{_moved(clean, annotated, row)}"
        top, bottom, left, right = (int(edge) for edge in record.marker_boxes[row])
        stacks.append([
            _Panel(image=image, words=_named(clean, row)),
            _Panel(
                image=changed, words=words, colour=_AGAINST if goes[row] else _FOR, box=(top, bottom, left, right)
            ),
        ])  # fmt: skip
    told = f"Burned-in annotations of another class pasted: {goes[there].sum()} of {len(there)} answers follow, "
    return _counted(f"{told}{alone[there].sum()} a flat patch", len(rows), len(there)), stacks


def _draw(stacks: Sequence[Sequence[_Panel]], path: Path, title: str) -> None:
    """Draw stacks of images side by side, `_COLUMNS` of them in a band."""
    deep, bands = len(stacks[0]), -(-len(stacks) // _COLUMNS)
    with sheet(path, height=0.45 + 2.35 * deep * bands) as figure:
        figure.set_layout_engine("constrained")
        figure.suptitle(drawable(shorten(title, 100)), x=0.01, ha="left", fontsize=10, fontweight="bold")
        grid = figure.subplots(deep * bands, _COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for index, stack in enumerate(stacks):
            band, column = divmod(index, _COLUMNS)
            for step, panel in enumerate(stack):
                _show(grid[deep * band + step, column], panel)


def _show(axes: "Axes", panel: _Panel) -> None:
    height, width = panel.image.shape[:2]
    axes.imshow(_reduced(panel.image), cmap="gray", vmin=0, vmax=1, interpolation="nearest",
                extent=(-0.5, width - 0.5, height - 0.5, -0.5))  # fmt: skip
    axes.set(xlim=(-1.5, width + 0.5), ylim=(height + 0.5, -1.5))
    lines = [shorten(drawable(line), 30) for line in panel.words.splitlines()]
    axes.set_title("\n".join(lines), fontsize=7.6, fontweight="normal" if panel.colour == INK else "bold",
                   color=panel.colour)  # fmt: skip
    if panel.box is not None:
        top, bottom, left, right = panel.box
        across, down = [left - 1, right, right, left - 1, left - 1], [top - 1, top - 1, bottom, bottom, top - 1]
        axes.plot(across, down, color=COLOURS["conditional"], linewidth=1.2, clip_on=False)


def _reduced(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Return an image as it is shown: at most `_WIDEST` pixels a side, blocks of pixels averaged, in `_GREYS` greys."""
    step = -(-max(image.shape[:2]) // _WIDEST)
    height, width = (step * (side // step) for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, -1).mean(axis=(1, 3))
    shown: NDArray[np.float32] = (np.round(np.clip(blocks, 0, 1) * (_GREYS - 1)) / (_GREYS - 1)).astype(np.float32)
    return shown[..., 0] if shown.shape[-1] == 1 else shown


def _images(battery: Battery, rows: IntArray) -> "Images":
    return battery.test.take(rows)


def _named(clean: Predictions, row: int) -> str:
    return f"{clean.ids[row].removeprefix('test/')}\nanswer: {_answer(clean, row)}"


def _moved(before: Predictions, after: Predictions, row: int) -> str:
    same = before.answers[row] == after.answers[row]
    return f"{'still' if same else '→'} {_answer(after, row)}"


def _answer(predictions: Predictions, row: int) -> str:
    """Return the called class and its probability in words."""
    predicted = predictions.answers[row]
    if predicted < 0:
        return "no answer"
    return f"{shorten(predictions.classes[predicted], 18)} {predictions.probabilities[row, predicted]:.2f}"


def _counted(told: str, shown: int, of: int) -> str:
    return f"{told} ({shown} shown)" if shown < of else told
