"""Pictures of the attention suite.

They show images without lungs, lungs on another background, and pasted burned-in annotations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import BoolArray, IntArray
from roentgate.candidates import Predictions
from roentgate.checks import GATING, shown_infill
from roentgate.evidence import AttentionRecord, attend, lung_perturbations_of
from roentgate.lungs import LungPerturbations
from roentgate.report.style import COLOURS, FAINT, INK, drawable, sheet
from roentgate.scorecard import FigureNote, Row, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from roentgate.arrays import Images
    from roentgate.evidence import Evidence

LUNGS, BACKGROUNDS, ANNOTATIONS = "attention-lungs.png", "attention-backgrounds.png", "attention-annotations.png"
MASKS = "attention-masks.png"
CHECK: Final = "skill_without_lungs"
SHOWN: Final = 8
"""Images in one picture; of swapped backgrounds `SHOWN_BACKGROUNDS`."""
SHOWN_BACKGROUNDS: Final = 4

_COLUMNS: Final = 4
_WIDEST: Final = 160  # pixels of an image; with more, a PNG of eight images takes a megabyte
_GREYS: Final = 32
_AGAINST, _FOR = COLOURS["refused"], COLOURS["passed"]

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One image of a stack with its caption.

    Attributes:
        image: float32 (H, W, C) in [0, 1].
        caption: At most two lines of text.
        colour: Colour of the caption.
        box: Outlined rectangle as (top, bottom, left, right) in pixels, or None.
        mask: Outlined region, bool (H, W), or None.
    """

    image: "NDArray[np.float32]"
    caption: str
    colour: str = INK
    box: Box | None = None
    mask: BoolArray | None = None


def draw(record: AttentionRecord, perturbations: LungPerturbations, folder: Path) -> list[FigureNote]:
    """Draw the decisive changed images and return a note on each picture.

    Rows that count against the model come first: answers that stay right without lungs, that follow the background, or
    that follow the burned-in annotation and not the flat patch. Classes take turns.

    Args:
        record: The model's answers.
        perturbations: The changes to the images of the same model.
        folder: Folder of the PNGs `MASKS`, `LUNGS`, `BACKGROUNDS` and `ANNOTATIONS`. A picture without a row is not
            drawn.
    """
    pictures = (
        (MASKS, "Lung fields, those that are not trusted first", _masks(perturbations)),
        (LUNGS, "Images without their lungs", _without_lungs(record, perturbations)),
        (BACKGROUNDS, "Lungs on the background of another class", _on_other_backgrounds(record, perturbations)),
        (ANNOTATIONS, "Burned-in annotations of another class", _with_annotations(record, perturbations)),
    )
    notes: list[FigureNote] = []
    for name, title, (heading, stacks) in pictures:
        if stacks:
            _draw(stacks, folder / name, heading)
            notes.append({"file": name, "title": title, "alt": heading})
    return notes


def figures(evidence: "Evidence", rows: Sequence[Row], folder: Path) -> list[FigureNote]:
    """Draw the pictures of `draw` if the run judged the model's attention.

    Args:
        evidence: The evidence on the model.
        rows: The rows of the run.
        folder: As in `draw`.

    Returns:
        One note per picture; none if the attention suite was skipped or not run.
    """
    if not any(row["check"] == CHECK and row["outcome"] != "skipped" for row in rows):
        return []
    return draw(attend(evidence), lung_perturbations_of(evidence), folder)


def chosen(first: BoolArray, labels: IntArray, most: int) -> IntArray:
    """Return up to ``most`` rows, with classes taking turns.

    Args:
        first: bool (n,), the rows that come before all others.
        labels: int64 (n,) class indices.
        most: Largest number of rows.

    Returns:
        int64 row numbers.
    """
    turns = np.zeros(len(labels), dtype=np.int64)
    for kind in (True, False):
        for label in np.unique(labels):
            rows = np.flatnonzero((first == kind) & (labels == label))
            turns[rows] = np.arange(len(rows))
    return np.lexsort((labels, turns, ~first))[:most].astype(np.int64)


def _masks(perturbations: LungPerturbations) -> tuple[str, list[list[_Panel]]]:
    """Return images with their lung fields outlined, and the reason where a field is not trusted."""
    test, fields = perturbations.test, perturbations.fields
    if not len(perturbations.rows):
        return "", []
    rows = chosen(~fields.trusted, test.labels, SHOWN)
    stacks = [
        [
            _Panel(
                image=image,
                caption=f"{test.ids[row].removeprefix('test/')}\n{fields.reasons[row].partition(':')[0] or 'trusted'}",
                colour=INK if fields.trusted[row] else _AGAINST,
                mask=mask,
            )
        ]
        for row, image, mask in zip(rows, test.take(rows), fields.take(rows), strict=True)
    ]
    trusted, every = (np.bincount(test.labels[which], minlength=len(test.classes)) for which in (fields.trusted, ...))
    counts = ", ".join(
        f"{label} {some} of {all_}" for label, some, all_ in zip(test.classes, trusted, every, strict=True)
    )
    return _counted(f"Trusted lung fields: {counts}", len(rows), len(test)), stacks


def _without_lungs(record: AttentionRecord, perturbations: LungPerturbations) -> tuple[str, list[list[_Panel]]]:
    if not len(record.rows):
        return "", []
    infill = shown_infill(record, GATING)
    clean, cut = record.clean, record.hidden[GATING, infill]
    right = clean.answers == clean.labels
    stays = right & (cut.answers == clean.labels)
    rows = chosen(stays, clean.labels, SHOWN)
    before, after = (
        _images(perturbations, record.rows[rows]),
        perturbations.changed((GATING, infill), record.rows[rows]),
    )
    stacks = [
        [
            _Panel(image=image, caption=_named(clean, row)),
            _Panel(
                image=masked,
                caption=_change(clean, cut, row),
                colour=_AGAINST if stays[row] else _FOR if right[row] else FAINT,
            ),
        ]
        for row, image, masked in zip(rows, before, after, strict=True)
    ]
    heading = f"Usual lung region masked ({infill}): {stays.sum()} of {right.sum()} right answers stay right"
    return _counted(heading, len(rows), len(clean)), stacks


def _on_other_backgrounds(record: AttentionRecord, perturbations: LungPerturbations) -> tuple[str, list[list[_Panel]]]:
    clean, swapped = record.clean, record.swapped
    judged = np.flatnonzero(record.donor_rows >= 0)
    if not judged.size:
        return "", []
    donor_labels = clean.labels[record.donor_rows]
    by_background, by_lungs = swapped.answers == donor_labels, swapped.answers == clean.labels
    rows = judged[chosen(by_background[judged], clean.labels[judged], SHOWN_BACKGROUNDS)]
    images, backgrounds = (
        _images(perturbations, record.rows[rows]),
        _images(perturbations, record.rows[record.donor_rows[rows]]),
    )
    made = perturbations.changed("swapped", record.rows[rows])
    stacks = []
    for row, image, background, composite in zip(rows, images, backgrounds, made, strict=True):
        whose = "the background's" if by_background[row] else "the lungs'" if by_lungs[row] else "neither's"
        colour = _AGAINST if by_background[row] else _FOR if by_lungs[row] else FAINT
        donor = int(record.donor_rows[row])
        stacks.append(
            [
                _Panel(image=image, caption=f"lungs: {_named(clean, row)}"),
                _Panel(image=background, caption=f"background: {_named(clean, donor)}"),
                _Panel(image=composite, caption=f"→ {_answer(swapped, row)}\n{whose}", colour=colour),
            ]
        )
    heading = (
        f"Swapped backgrounds: {by_background[judged].sum()} of {len(judged)} answers are the background's class, "
        f"{by_lungs[judged].sum()} the lungs'"
    )
    return _counted(heading, len(rows), len(judged)), stacks


def _with_annotations(record: AttentionRecord, perturbations: LungPerturbations) -> tuple[str, list[list[_Panel]]]:
    clean, annotated, plain = record.clean, record.annotated, record.plain
    judged = np.flatnonzero(record.annotation_labels >= 0)
    if not judged.size:
        return "", []
    follows = (annotated.answers == record.annotation_labels) & (clean.answers != record.annotation_labels)
    follows_patch = (plain.answers == record.annotation_labels) & (clean.answers != record.annotation_labels)
    rows = judged[chosen((follows & ~follows_patch)[judged], clean.labels[judged], SHOWN)]
    before, after = _images(perturbations, record.rows[rows]), perturbations.changed("annotated", record.rows[rows])
    stacks = []
    for row, image, changed in zip(rows, before, after, strict=True):
        label = shorten(clean.classes[record.annotation_labels[row]], 18)
        caption = f"annotation of {label}\n{_change(clean, annotated, row)}"
        top, bottom, left, right = (int(edge) for edge in record.marker_boxes[row])
        colour, box = _AGAINST if follows[row] else _FOR, (top, bottom, left, right)
        stacks.append(
            [
                _Panel(image=image, caption=_named(clean, row)),
                _Panel(image=changed, caption=caption, colour=colour, box=box),
            ]
        )
    heading = (
        f"Burned-in annotations of another class pasted: {follows[judged].sum()} of {len(judged)} answers follow, "
        f"{follows_patch[judged].sum()} a flat patch"
    )
    return _counted(heading, len(rows), len(judged)), stacks


def _draw(stacks: Sequence[Sequence[_Panel]], path: Path, title: str) -> None:
    """Draw stacks of images side by side, `_COLUMNS` per band."""
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
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(_reduced(panel.image), cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=extent)
    axes.set(xlim=(-1.5, width + 0.5), ylim=(height + 0.5, -1.5))
    lines = [shorten(drawable(line), 30) for line in panel.caption.splitlines()]
    weight = "normal" if panel.colour == INK else "bold"
    axes.set_title("\n".join(lines), fontsize=7.6, fontweight=weight, color=panel.colour)
    if panel.mask is not None and panel.mask.any():
        place = (-0.5, width - 0.5, -0.5, height - 0.5)
        axes.contour(panel.mask.astype(np.float32), levels=[0.5], colors=[_AGAINST], linewidths=0.8, extent=place)
    if panel.box is not None:
        top, bottom, left, right = panel.box
        across, down = [left - 1, right, right, left - 1, left - 1], [top - 1, top - 1, bottom, bottom, top - 1]
        axes.plot(across, down, color=COLOURS["conditional"], linewidth=1.2, clip_on=False)


def _reduced(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Return an image as shown, small and with few grey levels.

    Blocks of pixels are averaged until no side exceeds `_WIDEST` pixels. The result has `_GREYS` levels.
    """
    step = -(-max(image.shape[:2]) // _WIDEST)
    height, width = (step * (side // step) for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, -1).mean(axis=(1, 3))
    shown: NDArray[np.float32] = (np.round(np.clip(blocks, 0, 1) * (_GREYS - 1)) / (_GREYS - 1)).astype(np.float32)
    return shown[..., 0] if shown.shape[-1] == 1 else shown


def _images(perturbations: LungPerturbations, rows: IntArray) -> "Images":
    return perturbations.test.take(rows)


def _named(clean: Predictions, row: int) -> str:
    return f"{clean.ids[row].removeprefix('test/')}\nanswer: {_answer(clean, row)}"


def _change(before: Predictions, after: Predictions, row: int) -> str:
    same = before.answers[row] == after.answers[row]
    return f"{'still' if same else '→'} {_answer(after, row)}"


def _answer(predictions: Predictions, row: int) -> str:
    """Return the predicted class and its probability as text."""
    predicted = predictions.answers[row]
    if predicted < 0:
        return "no answer"
    return f"{shorten(predictions.classes[predicted], 18)} {predictions.probabilities[row, predicted]:.2f}"


def _counted(heading: str, shown: int, total: int) -> str:
    return f"{heading} ({shown} shown)" if shown < total else heading
