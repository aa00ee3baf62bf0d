"""The set of pictures beside a scorecard.

Pictures are drawn once, kept in the store, and copied from there.
"""

import contextlib
import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roentgate.candidates import Predictions
from roentgate.code_key import code_digest
from roentgate.perturbations import Border
from roentgate.policy import BorderBounds
from roentgate.scorecard import EvidenceRecord, FigureNote, Record, of_seed
from roentgate.session import Session
from roentgate.store import atomic, digest, file_digest

if TYPE_CHECKING:
    from roentgate.evidence import AttributionRecord, Evidence

NOTES = "notes.json"
OF_ALL_SEEDS = ("verdicts.png", "classes.png")
SHOWN_IMAGES = 6
SMALLEST = "smallest_flipping_mask"
NEWLY_WRONG = 18
NEWLY_WRONG_FILE = "negative_flips.png"
SOMETIMES = (NEWLY_WRONG_FILE, "smallest.png", "reliability.png", "robustness.png", "corruptions.png")


def draw(session: Session, name: str, record: Record, evidence: EvidenceRecord, folder: Path) -> list[FigureNote]:
    """Put the pictures of a scorecard into a folder.

    They are copied from the store if they were drawn before for the same record and evidence.

    Args:
        session: The run.
        name: The member of the run whose evidence is shown.
        record: The scorecard.
        evidence: The evidence written beside it.
        folder: Folder of the pictures.

    Returns:
        File, title and alternative text of each picture.
    """
    drawn = session.store.root / "figures" / digest(record, evidence, code_digest(__name__), version("matplotlib"))
    found = _whole(drawn)
    if found is None:
        shutil.rmtree(drawn, ignore_errors=True)
        drawn.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=drawn.parent) as temporary_folder:
            fresh = Path(temporary_folder) / "figures"
            fresh.mkdir()
            found = [_of_seed(note, record) for note in _draw_all(session, name, record, evidence, fresh)]
            sums = {note["file"]: file_digest(fresh / note["file"]) for note in found}
            (fresh / NOTES).write_text(json.dumps({"figures": found, "sha256": sums}), "utf-8")
            with contextlib.suppress(OSError):  # another run drew the same pictures meanwhile
                fresh.rename(drawn)
    kinds = (*SOMETIMES, "attribution-*.png", "attention-*.png")
    for old in (path for kind in kinds for path in folder.glob(kind)):
        if not any(note["file"] == old.name for note in found):
            old.unlink(missing_ok=True)
    for note in found:
        with atomic(folder / note["file"]) as temporary:
            shutil.copyfile(drawn / note["file"], temporary)
    return found


def _draw_all(session: Session, name: str, record: Record, evidence: EvidenceRecord, folder: Path) -> list[FigureNote]:
    """Draw the pictures that the checks of a record call for."""
    from roentgate.evidence import smallest_mask
    from roentgate.report import attention as attention_figures
    from roentgate.report import figures, mask_replay

    computed = session.evidence(name)
    bounds, checks = session.policy.border, {row["check"] for row in record["rows"]}
    found = [*figures.draw(record, evidence, folder), _draw_border(computed, bounds, folder)]
    found += attention_figures.figures(computed, record["rows"], folder)
    if SMALLEST in checks:
        found += mask_replay.figures(computed, smallest_mask.of(computed, bounds), folder)
    if "calibration_error" in checks:
        found += _draw_reliability(computed, record, folder)
    if any(row["suite"] == "robustness" for row in record["rows"]):
        found += _draw_robustness(computed, session, folder)
    if session.settings.reference is not None:
        found += _draw_negative_flips(computed, session.reference.test, folder)
    if "attribution_sanity_check" in checks:
        found += _draw_attributions(computed, bounds, session.attributions(name), folder)
    return found


def _of_seed(note: FigureNote, record: Record) -> FigureNote:
    """Return a note whose title names the seed, if there are several."""
    suffix = "" if note["file"] in OF_ALL_SEEDS else of_seed(record)
    return {**note, "title": f"{note['title']}{suffix}"}


def _draw_reliability(evidence: "Evidence", record: Record, folder: Path) -> list[FigureNote]:
    """Draw right answers against confidence, if outputs are probabilities."""
    from roentgate.checks import calibration
    from roentgate.report import figures

    bins = calibration.reliability(evidence.test)
    if not bins:
        return []
    path = figures.reliability(bins, folder / "reliability.png")
    alt = next(row["detail"] for row in record["rows"] if row["check"] == "calibration_error")
    return [{"file": path.name, "title": "Confidence and right answers", "alt": alt}]


def _draw_robustness(evidence: "Evidence", session: Session, folder: Path) -> list[FigureNote]:
    """Draw the cost of each corruption, and one image under each."""
    from roentgate.evidence import acquisition
    from roentgate.report import robustness as robustness_figures

    bounds = session.policy.robustness
    record = acquisition.observe(evidence, bounds).seen_by(session.unseen)
    return robustness_figures.draw(record, bounds, evidence.candidate.splits.test, folder)


def _draw_negative_flips(evidence: "Evidence", before: Predictions, folder: Path) -> list[FigureNote]:
    """Draw the images that only the reference answers rightly, if any."""
    from roentgate.report import figures

    now = evidence.test
    wrong = np.flatnonzero((before.answers == before.labels) & (now.answers != now.labels))
    if not wrong.size:
        return []
    chosen = np.linspace(0, len(wrong) - 1, min(len(wrong), NEWLY_WRONG))  # evenly spaced, so that all classes are seen
    rows = wrong[chosen.round().astype(np.int64)]
    names = [*now.classes, "no answer"]
    captions = [(now.ids[row], f"{names[before.answers[row]]} → {names[now.answers[row]]}") for row in rows]
    title = f"{len(wrong)} images right with the reference and wrong now ({len(rows)} shown)"
    figures.image_sheet(evidence.candidate.splits.test.take(rows), captions, folder / NEWLY_WRONG_FILE, title=title)
    return [{"file": NEWLY_WRONG_FILE, "title": "Negative flips", "alt": title}]


def _draw_attributions(
    evidence: "Evidence", bounds: BorderBounds, explained: "AttributionRecord", folder: Path
) -> list[FigureNote]:
    """Draw the attribution maps, also of images that a masked border flips."""
    from roentgate.report.attribution import overlays

    infill, changed = _most_changed(evidence, bounds)
    flipped = [image for image, flips in zip(evidence.test.ids, changed, strict=True) if flips]
    return overlays(explained, folder, flipped={f"the {100 * bounds.borders[0]:g}% border, {infill}": flipped})


def _most_changed(evidence: "Evidence", bounds: BorderBounds) -> tuple[str, NDArray[np.bool_]]:
    """Return the infill of the first border that changes most answers.

    The second value says which rows it changes, bool (n,).
    """
    border, width = evidence.border(bounds), bounds.borders[0]
    changed = {infill: border.masked[width, infill].answers != border.clean.answers for infill in bounds.infills}
    infill = max(bounds.infills, key=lambda each: int(changed[each].sum()))
    return infill, changed[infill]


def _whole(drawn: Path) -> list[FigureNote] | None:
    """Return the notes on stored pictures, or None if any is unusable."""
    try:
        stored = json.loads((drawn / NOTES).read_text("utf-8"))
        found: list[FigureNote] = stored["figures"]
        whole = all(file_digest(drawn / note["file"]) == stored["sha256"][note["file"]] for note in found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def _draw_border(evidence: "Evidence", bounds: BorderBounds, folder: Path) -> FigureNote:
    """Draw images with and without their border.

    The infill is the one that changes most answers. Images whose answer changes come first.
    """
    from roentgate.report import figures

    border = evidence.border(bounds)
    width = bounds.borders[0]
    infill, changed = _most_changed(evidence, bounds)
    order = np.argsort(~changed, kind="stable")
    rows = order[:: max(1, len(order) // SHOWN_IMAGES)][:SHOWN_IMAGES] if not changed.any() else order[:SHOWN_IMAGES]
    images = evidence.candidate.splits.test.take(rows)
    names = [*border.clean.classes, "no answer"]
    after = border.masked[width, infill].answers
    captions = [(border.clean.ids[row], names[border.clean.answers[row]], names[after[row]]) for row in rows]
    title = f"{100 * width:g}% border masked ({infill}): {int(changed.sum())} of {len(order)} answers change"
    title += f" ({len(rows)} images shown)"
    figures.border_contact_sheet(images, Border(width, infill)(images), captions, folder / "border.png", title=title)
    return {"file": "border.png", "title": "Images with the border masked", "alt": title}
