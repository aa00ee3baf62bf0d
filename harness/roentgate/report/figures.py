"""Pictures beside a scorecard: images, network, training and answers.

Each function writes a PNG and returns its path.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from roentgate.arrays import Images
from roentgate.report.architecture import architecture
from roentgate.report.forest_plot import side_by_side, verdict_overview
from roentgate.report.style import COLOURS, FAINT, INK, SPLIT_COLOURS, drawable, sheet
from roentgate.scorecard import (
    Confusion,
    EvidenceRecord,
    FigureNote,
    Record,
    confusion_lines,
    counted,
    headline_words,
    shorten,
)
from roentgate.stats import proportion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from roentgate.checks import Bin
    from roentgate.data import Dataset

__all__ = [
    "architecture",
    "border_contact_sheet",
    "class_distribution",
    "confusion_matrix",
    "draw",
    "montage",
    "reliability",
    "side_by_side",
    "training_curves",
    "verdict_overview",
]

_CURVES: Final = (("loss", "loss"), ("accuracy", "accuracy"), ("auc", "AUC"))
_MONTAGE_COLUMNS = 6
_SHEET_COLUMNS = 4


def draw(record: Record, evidence: EvidenceRecord, folder: Path) -> list[FigureNote]:
    """Draw a record and its evidence, with a note per picture."""
    notes = []

    def add(path: Path, title: str, alt: str) -> None:
        notes.append(FigureNote(file=path.name, title=title, alt=alt))

    add(
        verdict_overview(record, folder / "verdicts.png"),
        "Verdicts",
        f"Every gating row with its interval and bound. {headline_words(record)}.",
    )
    add(
        class_distribution(record["dataset"]["counts"], folder / "classes.png"),
        "Images of each class",
        "; ".join(f"{split} {counted(counts)}" for split, counts in record["dataset"]["counts"].items()),
    )
    if (confusion := evidence["confusion"]) is not None:
        lines = (f"{images}: {answers}" for images, answers in confusion_lines(**confusion))
        add(confusion_matrix(confusion, folder / "confusion.png"), "Confusion matrix", "; ".join(lines))
    if history := evidence["history"]:
        alt = f"Loss, accuracy and AUC over {len(next(iter(history.values())))} epochs, train and validation."
        add(training_curves(history, folder / "training.png"), "Training", alt)
    if layers := evidence["layers"]:
        add(
            architecture(layers, folder / "architecture.png"),
            "Network",
            "Layers from input to output, with the size of their feature maps.",
        )
    return notes


def class_distribution(counts: Mapping[str, Mapping[str, int]], path: Path) -> Path:
    """Draw how many images of each class each split has.

    Args:
        counts: Split -> class -> images.
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    classes = list(dict.fromkeys(name for split in counts.values() for name in split))
    bar = 0.8 / max(len(counts), 1)
    with sheet(path, height=0.9 + max(0.26 * len(counts), 0.4) * len(classes)) as figure:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        for index, (split, images) in enumerate(counts.items()):
            numbers = [images.get(name, 0) for name in classes]
            at = [row - 0.4 + bar * (index + 0.5) for row in range(len(classes))]
            colour = SPLIT_COLOURS[index % len(SPLIT_COLOURS)]
            bars = axes.barh(at, numbers, height=bar * 0.9, color=colour, label=f"{drawable(split)}, {sum(numbers):,}")
            axes.bar_label(bars, labels=[f"{number:,}" for number in numbers], padding=3, fontsize=8.8)
        axes.set(
            yticks=range(len(classes)), yticklabels=[drawable(shorten(name, 28)) for name in classes], xlabel="images"
        )
        axes.margins(x=0.08)
        axes.invert_yaxis()
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return path


def reliability(bins: "Sequence[Bin]", path: Path) -> Path:
    """Draw the share of right answers against confidence.

    Args:
        bins: From `roentgate.checks.calibration.reliability`, at least one. Each holds equally many images. The drawn
            band holds 95 % of calibrated answers.
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    confidences = [each.confidence for each in bins]
    shares = [proportion(each.right, each.rows) for each in bins]
    least = min([*confidences, *(share.value for share in shares)])
    with sheet(path, height=3.6, width=5.4) as figure:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
        band = ([each.low for each in bins], [each.high for each in bins])
        axes.fill_between(confidences, *band, color=FAINT, alpha=0.2, linewidth=0, label="95 % of calibrated answers")
        spans = [[share.value - share.low for share in shares], [share.high - share.value for share in shares]]
        axes.errorbar(
            confidences,
            [share.value for share in shares],
            yerr=spans,
            fmt="o",
            markersize=4,
            linewidth=1,
            color=COLOURS["passed"],
            label=f"images, {bins[0].rows} or so a point",
        )
        axes.set(xlabel="probability of the answer, mean of the bin", ylabel="share right")
        axes.set_xlim(max(0, least - 0.05), 1.02)
        axes.set_ylim(max(0, min(share.low for share in shares) - 0.05), 1.02)
        axes.legend(loc="upper left", fontsize=8)
    return path


def training_curves(history: Mapping[str, Sequence[float | None]], path: Path) -> Path:
    """Draw loss, accuracy and AUC over the epochs.

    Args:
        history: Metric -> one number per epoch, validation under ``val_...``. None or NaN leaves a gap.
        path: Path of the PNG.

    Returns:
        ``path``. The epoch of the lowest ``val_loss`` is marked, if there is one.
    """
    shown = [(title, name) for part, title in _CURVES if (name := _metric(history, part))] or [
        (name, name) for name in history if not name.startswith("val_")
    ][:3]
    best = _best_epoch(history.get("val_loss", ()))
    with sheet(path, height=2.7) as figure:
        figure.set_layout_engine("constrained")
        for axes, (title, name) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            _curve(axes, history.get(name, ()), "train", SPLIT_COLOURS[0], "-")
            _curve(axes, history.get(f"val_{name}", ()), "validation", SPLIT_COLOURS[2], "-")
            if best is not None:
                axes.axvline(best, color=FAINT, linewidth=1, linestyle="--", label=f"best epoch, {best}")
            axes.set(title=drawable(title), xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y", color="#EDF0F3")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return path


def confusion_matrix(confusion: Confusion, path: Path) -> Path:
    """Draw the test rows by true and predicted class.

    Cells show the share of the true class in percent and the number of images.

    Args:
        confusion: Class names and counts, indexed by true class first.
        path: Path of the PNG.

    Returns:
        ``path``. A class without images has empty cells.
    """
    counts = np.array(confusion["counts"], dtype=np.int64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [drawable(shorten(name, 22)) for name in confusion["classes"]]
    size = max(4.4, 0.62 * len(names))
    with sheet(path, height=size) as figure:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        ticks = range(len(names))
        axes.set_xticks(ticks, names)
        if len(names) > 4:
            for name in axes.get_xticklabels():
                name.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")
        axes.set_yticks(ticks, [f"{name}\nn = {total:,}" for name, total in zip(names, totals[:, 0], strict=True)])
        axes.set(xlabel="predicted", ylabel="true class")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        large = 12 if len(names) <= 5 else 8.5
        for (row, column), count in np.ndenumerate(counts):
            text = f"{shares[row, column]:.0%}\n{count:,}" if totals[row, 0] else "no image"
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=large, linespacing=1.4, color=colour)
        scale = figure.colorbar(image, ax=axes, shrink=0.85, format=lambda share, _: f"{share:.0%}")
        scale.set_label("share of the true class")
        scale.outline.set_visible(False)
    return path


def border_contact_sheet(
    before: Images, after: Images, captions: Sequence[tuple[str, str, str]], path: Path, *, title: str = ""
) -> Path:
    """Draw images before and after a change of their border.

    Args:
        before: float32 (n, H, W, C) in [0, 1].
        after: The changed images, same shape.
        captions: For each image (id, answer before, answer after). A changed answer has another colour and an arrow.
        path: Path of the PNG.
        title: What was changed.

    Returns:
        ``path``.
    """
    blocks = math.ceil(len(captions) / _SHEET_COLUMNS)
    with sheet(path, height=0.35 + 4.75 * max(blocks, 1)) as figure:
        figure.set_layout_engine("constrained")
        if title:
            figure.suptitle(drawable(shorten(title, 90)), x=0.01, ha="left", fontsize=11, fontweight="bold")
        grid = figure.subplots(2 * max(blocks, 1), _SHEET_COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for index, (name, first, second) in enumerate(captions):
            row, column = divmod(index, _SHEET_COLUMNS)
            upper, lower = grid[2 * row, column], grid[2 * row + 1, column]
            changed = first != second
            _image(upper, before[index])
            _image(lower, after[index])
            upper.set_title(
                f"{shorten(drawable(name), 24)}\nanswer: {shorten(drawable(first), 18)}",
                fontsize=8.4,
                fontweight="normal",
            )
            lower.set_title(
                drawable(f"{'→ ' if changed else 'still '}{shorten(second, 22)}"),
                fontsize=8.8,
                fontweight="bold" if changed else "normal",
                color=COLOURS["refused" if changed else "passed"],
            )
    return path


def image_sheet(images: Images, captions: Sequence[tuple[str, str]], path: Path, *, title: str) -> Path:
    """Draw images in rows, each with id and one line of text.

    Args:
        images: float32 (n, H, W, C) in [0, 1].
        captions: For each image (id, text).
        path: Path of the PNG.
        title: What they have in common.

    Returns:
        ``path``.
    """
    rows = max(math.ceil(len(captions) / _SHEET_COLUMNS), 1)
    with sheet(path, height=0.4 + 2.5 * rows) as figure:
        figure.set_layout_engine("constrained")
        figure.suptitle(drawable(shorten(title, 90)), x=0.01, ha="left", fontsize=11, fontweight="bold")
        grid = figure.subplots(rows, _SHEET_COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, image, (name, text) in zip(grid.flat, images, captions, strict=False):
            _image(axes, image)
            axes.set_title(
                f"{shorten(drawable(name), 24)}\n{shorten(drawable(text), 26)}", fontsize=8, fontweight="normal"
            )
    return path


def montage(dataset: "Dataset", path: Path) -> Path:
    """Draw one row of images for each class of a split.

    Images are taken at even steps from each class.

    Args:
        dataset: The split.
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    with sheet(path, height=1.55 * len(dataset.classes)) as figure:
        figure.set_layout_engine("constrained")
        grid = figure.subplots(len(dataset.classes), _MONTAGE_COLUMNS, squeeze=False)
        for index, (label, row) in enumerate(zip(dataset.classes, grid, strict=True)):
            rows = np.flatnonzero(dataset.labels == index)
            chosen = rows[
                np.unique(np.linspace(0, max(len(rows) - 1, 0), _MONTAGE_COLUMNS, dtype=np.int64))[: len(rows)]
            ]
            for axes in row:
                axes.axis("off")
            for axes, image in zip(row, dataset.take(chosen), strict=False):
                _image(axes, image)
            row[0].set_title(drawable(label), fontsize=10)
    return path


def _image(axes: "Axes", image: Images) -> None:
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _curve(axes: "Axes", numbers: Sequence[float | None], name: str, colour: str, line: str) -> None:
    values = [math.nan if number is None else number for number in numbers]
    if values:
        axes.plot(
            range(1, len(values) + 1), values, line, color=colour, label=name, marker="." if len(values) < 3 else None
        )


def _metric(history: Mapping[str, object], part: str) -> str | None:
    return next((name for name in history if part in name.lower() and not name.startswith("val_")), None)


def _best_epoch(losses: Sequence[float | None]) -> int | None:
    """Return the epoch (from 1) of the lowest finite loss, or None."""
    finite = [(loss, epoch) for epoch, loss in enumerate(losses, start=1) if loss is not None and math.isfinite(loss)]
    return min(finite)[1] if finite else None
