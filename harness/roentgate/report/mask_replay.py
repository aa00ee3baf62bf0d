"""One mask applied again: the model's answers before and after it.

A replay id holds the mask in full and the first digits of the model's fingerprint. The scorecard of that fingerprint
holds model file, data, image shape and seed, so a stored scorecard is enough to repeat the mask.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Images
from roentgate.candidates import Options, Predictions
from roentgate.data import open_card, open_store
from roentgate.errors import ArgumentError, ModelError
from roentgate.evidence import smallest_mask
from roentgate.perturbations import Mask, masks
from roentgate.report.style import COLOURS, drawable, sheet
from roentgate.scorecard import SCORECARD_FILE, FigureNote, Record, shorten
from roentgate.scorecard import read as read_scorecard
from roentgate.session import new_run_id

if TYPE_CHECKING:
    from roentgate.evidence import Evidence

PICTURE: Final = "smallest.png"
REPLAYED: Final = "replay.png"
SHOWN: Final = 8
"""Most images in one picture."""

_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The effect of a mask on a model's answers.

    Attributes:
        mask: The mask.
        clean: Predictions on the unchanged test images.
        after: Probabilities under the mask, float32 (n, K).
        rows: int64 (k,) rows whose answer changes.
    """

    mask: Mask
    clean: Predictions
    after: NDArray[np.float32]
    rows: NDArray[np.int64]


def find_record(given: str, reports: Path) -> tuple[Record, Path, Mask]:
    """Return the scorecard of a replay id, its folder, and the mask.

    Args:
        given: The id as a scorecard prints it, such as ``5a58245f:rectangle-edge-10x5-0-91``.
        reports: A folder of scorecards at any depth.

    Raises:
        ArgumentError: The id is not valid, or no scorecard below ``reports`` is of that model.
    """
    fingerprint, colon, name = given.partition(":")
    if not colon or len(fingerprint) < 8:
        raise ArgumentError(
            f"replay '{given}': not an id such as '5a58245f:rectangle-edge-10x5-0-91'; copy it from the row "
            "smallest_flipping_mask of a scorecard"
        )
    mask = masks.parse(name)
    for path in sorted(reports.rglob(SCORECARD_FILE)):
        if _fingerprint(path).startswith(fingerprint):
            return read_scorecard(path), path.parent, mask
    raise ArgumentError(
        f"replay '{given}': no scorecard below '{reports}' is of a model {fingerprint}; name the folder of the one "
        "that printed it: --reports DIR"
    )


def _fingerprint(path: Path) -> str:
    """Return the model's fingerprint in a scorecard, or "".

    The rest of the scorecard is not checked.
    """
    try:
        return str(json.loads(path.read_bytes())["model"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def evidence_of(record: Record, root: Path, *, data: str | None = None, weights: Path | None = None) -> "Evidence":
    """Return the evidence on the model that a scorecard judged.

    The model is loaded or trained as in a run.

    Args:
        record: The scorecard.
        root: The project folder.
        data: As pytest's ``--data``, if the data set lies elsewhere than its card says.
        weights: As pytest's ``--weights``.

    Raises:
        ModelError: The model file, the images or the weights are not those of the record.
    """
    from roentgate.candidates import training
    from roentgate.evidence import Evidence

    height, width, _ = record["task"]["image_shape"]
    store = open_store(root)
    options = Options(
        models=root / "models",
        seed=record["task"]["seed"],
        image_size=(height, width),
        weights=weights,
        run_id=new_run_id(),
    )
    name = record["model"]["name"]
    source = root / record["model"]["source"]
    named = root.joinpath("models", *name.split(".")).with_suffix(".py") == source
    card = open_card(data or record["dataset"]["name"], root / "data", store)
    candidate = training.ready(name if named else str(source), card, options, store)
    if candidate.fingerprint != record["model"]["fingerprint"]:
        raise ModelError(
            f"model '{name}': here it is {candidate.fingerprint:.8}, and the scorecard is of "
            f"{record['model']['fingerprint']:.8}; the model file, the images, the libraries or the weights are others "
            "(weights that were judged as a file: --weights FILE; data that lie elsewhere: --data NAME=PATH)"
        )
    return Evidence(candidate)


def replay(evidence: "Evidence", mask: Mask) -> Replayed:
    """Apply one mask to all test images.

    Raises:
        ArgumentError: The mask does not fit the images.
        ModelError: The model cannot answer.
    """
    after = smallest_mask.predicted(evidence, mask)
    rows = np.flatnonzero(smallest_mask.changed(evidence.test, after))
    return Replayed(mask=mask, clean=evidence.test, after=after, rows=rows)


def lines(found: Replayed, shape: tuple[int, int]) -> list[str]:
    """Return one line for the mask and one per changed answer."""
    clean, count = found.clean, len(found.rows)
    text = [f"{found.mask.description(shape)}: {count} of {len(clean)} answers change"]
    for row in found.rows.tolist():
        before, now = (_answer(clean.classes, each[row]) for each in (clean.probabilities, found.after))
        text.append(f"  {clean.ids[row]} (true class {clean.classes[clean.labels[row]]}): {before} -> {now}")
    return text


def _answer(classes: Sequence[str], probabilities: NDArray[np.float32]) -> str:
    if not np.isfinite(probabilities).all():
        return "no answer"
    best = int(np.argmax(probabilities))
    return f"{classes[best]} {probabilities[best]:.3f}"


def draw(evidence: "Evidence", found: Replayed, path: Path) -> Path:
    """Draw images whose answer changes, before and after the mask.

    Up to `SHOWN` images are drawn, with the mask outlined.

    Raises:
        ArgumentError: No answer changes, so there is nothing to show.
    """
    if not found.rows.size:
        raise ArgumentError(f"mask '{found.mask.name}': changes no answer, so there is nothing to draw; try another")
    rows = _spread(found.rows)
    before = evidence.candidate.splits.test.take(rows)
    clean = found.clean
    answers = [[_answer(clean.classes, each[row]) for row in rows] for each in (clean.probabilities, found.after)]
    captions = list(zip((clean.ids[row] for row in rows), *answers, strict=True))
    shape = (before.shape[1], before.shape[2])
    title = f"{found.mask.description(shape)}: {len(found.rows)} of {len(found.clean)} answers change"
    title += f" ({len(rows)} shown)" if len(rows) < len(found.rows) else ""
    return _before_and_after(before, found.mask(before), found.mask.hidden(shape), captions, path, title)


def figures(evidence: "Evidence", record: smallest_mask.SmallestRecord, folder: Path) -> list[FigureNote]:
    """Draw the smallest mask that was found, on images that it flips.

    Without such a mask nothing is drawn.
    """
    best = record.smallest
    if best is None:
        return []
    after = record.clean.probabilities.copy()
    after[best.rows] = best.after
    found = Replayed(mask=best.mask, clean=record.clean, after=after, rows=best.rows)
    draw(evidence, found, folder / PICTURE)
    alt = f"{best.mask.description(record.shape)}, flips {len(best.rows)} of {len(record.clean)} answers"
    return [{"file": PICTURE, "title": "The smallest mask that changes answers", "alt": f"{alt}; before and after."}]


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return up to `SHOWN` evenly spaced rows.

    With even steps no class is left out.
    """
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), SHOWN)).round().astype(np.int64)
    return rows[chosen]


def _before_and_after(  # noqa: PLR0913, PLR0917  the parts of one picture
    before: Images,
    after: Images,
    hidden: NDArray[np.bool_],
    captions: Sequence[tuple[str, str, str]],
    path: Path,
    title: str,
) -> Path:
    """Draw each image above its masked version, with id and answers."""
    blocks = -(-len(captions) // _COLUMNS)
    with sheet(path, height=0.45 + 4.75 * blocks) as figure:
        figure.set_layout_engine("constrained")
        figure.suptitle(drawable(shorten(title, 110)), x=0.01, ha="left", fontsize=10, fontweight="bold")
        grid = figure.subplots(2 * blocks, _COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        outline = np.pad(hidden, 1).astype(np.float32)  # so that the outline is closed at the edges of the image
        for index, (name, first, second) in enumerate(captions):
            row, column = divmod(index, _COLUMNS)
            for axes, image in zip(grid[2 * row : 2 * row + 2, column], (before[index], after[index]), strict=True):
                shown = image[..., 0] if image.shape[-1] == 1 else np.clip(image, 0, 1)
                axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axes.set(xlim=(-1.5, hidden.shape[1] + 0.5), ylim=(hidden.shape[0] + 0.5, -1.5))
            upper, lower = grid[2 * row, column], grid[2 * row + 1, column]
            ends = np.arange(-1, hidden.shape[1] + 1), np.arange(-1, hidden.shape[0] + 1)
            lower.contour(*ends, outline, [0.5], colors=COLOURS["conditional"], linewidths=1)
            caption = f"{shorten(drawable(name), 24)}\n{shorten(drawable(first), 26)}"
            upper.set_title(caption, fontsize=8.2, fontweight="normal")
            lower.set_title(drawable(f"→ {shorten(second, 24)}"), fontsize=8.6, color=COLOURS["refused"])
    return path
