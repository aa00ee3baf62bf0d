"""The last arrow: from the rows of a run to scorecards on disk, with the evidence and the pictures beside them."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from harness import scorecard
from harness.bounds import BorderBounds
from harness.errors import HarnessError
from harness.gate import Gate, environment
from harness.logbook import Logbook
from harness.perturbations import Ring
from harness.reference import PREDICTIONS_FILE, Reference, films_digest, names_of, write_predictions
from harness.replicates import together
from harness.scorecard import EvidenceRecord, FigureNote, Layer, Record, Row
from harness.store import atomic, code_digest, digest, file_digest

if TYPE_CHECKING:
    from harness.attributions import AttributionRecord
    from harness.evidence import Evidence

MARKDOWN = "scorecard.md"
HTML = "scorecard.html"
RUN = "run.json"
SIDE_BY_SIDE = "side-by-side.md"
NOTES = "notes.json"
FIGURES_CODE = (
    "attention", "attention_figures", "attribution_figures", "battery", "blocks", "burn_ins", "calibration", "canvas",
    "corruptions", "figures", "forest", "interventions", "masks", "metrics", "movements", "perturbations", "replay",
    "report", "robustness_figures", "scorecard", "wording",
)  # fmt: skip
SHOWN_FILMS = 6
SMALLEST = "smallest_flipping_mask"
NEWLY_WRONG = 18
NEWLY_WRONG_FILE = "newly_wrong.png"
SOMETIMES = (NEWLY_WRONG_FILE, "smallest.png", "reliability.png", "robustness.png", "corruptions.png")


def close(  # noqa: PLR0913, PLR0917  everything that a run leaves
    gate: Gate,
    rows: Mapping[str, Sequence[Row]],
    partial: Sequence[str],
    work: Mapping[str, Any],
    policy: str,
    logbook: Logbook | None = None,
) -> tuple[bool, list[str]]:
    """Write the scorecard of every model, and a table of them side by side where there are several.

    Args:
        gate: The run.
        rows: The verdicts of each model, in order.
        partial: Why this run is no gate; empty for a whole run.
        work: ``passes`` (images sent through models) and ``seconds`` (by what took them).
        policy: The fingerprint of the bounds that were in force where the tests ran.
        logbook: What the ledger held when the run began; None: what it holds now.

    Returns:
        Whether every record is complete and accepted, and the lines that close the run in the terminal.
    """
    from harness import render  # noqa: PLC0415

    records, lines = [], []
    logbook = logbook or Logbook(gate)
    made = dict(_records(gate, rows, partial, policy))
    held = logbook.record({name: record for name, record in made.items() if rows.get(name)}, partial)
    for name, record in made.items():
        folder = gate.folder(name)
        closing, looks = logbook.closing(name, held)
        _write(gate, name, record, folder, partial, {**work, "looks": looks}, logbook)
        if name not in gate.settings.models:
            continue  # a replicate: its model has a scorecard for all of them
        records.append(record)
        lines += ["", f"{name} on {gate.card.name}: {scorecard.headline(record).replace('**', '')}"]
        lines += [f"  {reason}" for reason in [*partial, *_missing(record)]]
        lines += [f"  {line}" for line in closing]
        lines.append(f"  {_shown(folder / MARKDOWN)}")
    if len(records) > 1:
        path = gate.settings.reports / gate.card.name / SIDE_BY_SIDE
        _write_text(path, render.comparison_markdown(records))
        lines += ["", f"side by side: {_shown(path)}"]
    return all(record["accepted"] for record in records), [*render.terminal_table(records).splitlines(), *lines]


def _missing(record: Record) -> list[str]:
    names = [f"{row['suite']}/{row['check']}" for row in record["verdicts"] if row["detail"] == scorecard.NOT_RECORDED]
    return [f"{scorecard.NOT_RECORDED}: {', '.join(names)}"] if names else []


def _records(
    gate: Gate, rows: Mapping[str, Sequence[Row]], partial: Sequence[str], policy: str
) -> Iterator[tuple[str, Record]]:
    """Yield the record of every member by its name, and of a model with replicates by the model's after theirs."""
    for model in gate.settings.models:
        found = {
            name: _record(gate, name, rows[name], partial, policy) for name in gate.replicates(model) if name in rows
        }
        yield from found.items()
        if model not in found and found:
            verdicts = together(list(found.values()), deciding=gate.policy.gate.seeds)
            yield model, _record(gate, next(iter(found)), verdicts, partial, policy, of=list(found))


def _record(  # noqa: PLR0913, PLR0917  the parts of a record
    gate: Gate, name: str, rows: Sequence[Row], partial: Sequence[str], policy: str, of: Sequence[str] = ()
) -> Record:
    """Return the record of one member, or, in the name of the first, of all replicates ``of`` a model."""
    candidate = gate.candidate(name)
    splits = candidate.splits
    return scorecard.build(
        rows=rows,
        model={
            "name": candidate.name,
            "source": _source(gate, candidate.source.path),
            "fingerprint": digest(*(gate.candidate(each).fingerprint for each in of)) if of else candidate.fingerprint,
            "weights": candidate.origin,
        },
        dataset={
            "name": gate.card.name,
            "fingerprint": splits.fingerprint,
            "classes": list(splits.classes),
            "counts": {split.name: split.counts() for split in (splits.train, splits.validation, splits.test)},
        },
        task={"image_shape": list(candidate.task.image_shape), "seed": candidate.task.seed},
        gate=gate.settings.gate,
        policy={"fingerprint": policy},
        required=gate.required,
        complete=not partial,
    )


def _source(gate: Gate, path: Path) -> str:
    """Return a file as seen from the project's folder; of one elsewhere no more than its name."""
    root = gate.settings.root
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _compared(gate: Gate, reference: Any) -> str:  # noqa: ANN401 - an Evidence, or a Reference
    """Return in words what the scorecard is compared with, and where that came from."""
    stored = isinstance(reference, Reference)
    source = "its stored predictions" if stored else _source(gate, reference.candidate.source.path)
    name, fingerprint = names_of(reference)
    return f"compared with {name} ({source}, fingerprint {fingerprint:.12})"


def _write(  # noqa: PLR0913, PLR0917  everything that goes into one folder
    gate: Gate,
    name: str,
    record: Record,
    folder: Path,
    partial: Sequence[str],
    work: Mapping[str, Any],
    logbook: Logbook,
) -> None:
    """Write record, evidence, pictures and renderings; a partial run has no evidence to show."""
    if partial:
        evidence = _no_evidence(partial)
        folder.joinpath(PREDICTIONS_FILE).unlink(missing_ok=True)  # of an older run, which this record is not about
    else:
        try:
            shown = name if name in gate.members else gate.replicates(name)[0]
            kept = gate.evidence(shown)
            evidence = _evidence(kept)
            evidence["looks"] = logbook.words(name)
            if shown != name:
                evidence["notes"].append(
                    f"pictures and counts of answers are those of {shown}; each seed has a scorecard"
                )
            other = gate.reference if gate.settings.reference is not None else None
            if other is not None:
                evidence["notes"].append(_compared(gate, other))
            if gate.settings.claims is not None:
                source = gate.settings.claims
                words = f"{_source(gate, source)} (fingerprint {file_digest(source):.12})"
                evidence["notes"].append(f"held against the published figures of {words}")
            if gate.settings.figures:
                asked = any(row["check"] == "attribution_licence" for row in record["verdicts"])
                explained = gate.attributions(shown) if asked else None
                evidence["figures"] = _draw(kept, record, evidence, folder, gate, other, explained)
            _keep_predictions(kept, record, folder, gate.policy.border)
        except HarnessError as error:  # the rows it would have fed are refused already
            evidence = _no_evidence([f"no evidence to show: {error}"])
            folder.joinpath(PREDICTIONS_FILE).unlink(missing_ok=True)
    scorecard.write_evidence(evidence, folder)
    _render(record, evidence, folder)
    scorecard.write(record, folder)
    run = environment(work["passes"], work["seconds"]) | {"partial": list(partial), "looks": work["looks"]}
    _write_text(folder / RUN, json.dumps(run, indent=2, sort_keys=True) + "\n")


def _keep_predictions(kept: "Evidence", record: Record, folder: Path, bounds: BorderBounds) -> None:
    """Write what the model answered, for a later comparison; border answers where a suite has asked for them."""
    asked = any(row["suite"] == "border" for row in record["verdicts"])
    candidate = kept.candidate
    write_predictions(
        folder,
        model=candidate.name,
        fingerprint=record["model"]["fingerprint"],
        films=films_digest(candidate.splits.test),
        test=kept.test,
        border=kept.border(bounds) if asked else None,
        bounds=bounds,
    )


def render_again(folder: Path) -> Record:
    """Render a scorecard again from its JSON alone, its pictures included but for films; return the record.

    Raises:
        ArgumentError: ``scorecard.json`` is missing or damaged.
    """
    from harness import figures  # noqa: PLC0415

    record = scorecard.read(folder / scorecard.SCORECARD_FILE)
    evidence = scorecard.read_evidence(folder / scorecard.EVIDENCE_FILE)
    if evidence["figures"]:
        figures.draw(record, evidence, folder)
    _render(record, evidence, folder)
    return record


def _render(record: Record, evidence: EvidenceRecord, folder: Path) -> None:
    from harness import render  # noqa: PLC0415

    _write_text(folder / MARKDOWN, render.markdown(record, evidence))
    _write_text(folder / HTML, render.html(record, evidence, folder))


def _evidence(kept: "Evidence") -> EvidenceRecord:
    layers = cast("list[Layer]", kept.architecture)
    confusion, report = kept.classification
    return {
        "confusion": {"classes": list(kept.candidate.task.classes), "counts": confusion},
        "report": report,
        "history": {name: list(values) for name, values in kept.candidate.history.items()}
        if kept.candidate.history
        else None,
        "layers": layers or None,
        "figures": [],
        "notes": list(kept.notes),
    }


def _no_evidence(notes: Sequence[str]) -> EvidenceRecord:
    return {"confusion": None, "report": "", "history": None, "layers": None, "figures": [], "notes": list(notes)}


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _draw(  # noqa: PLR0913, PLR0917  all that a picture may show
    kept: "Evidence",
    record: Record,
    evidence: EvidenceRecord,
    folder: Path,
    gate: Gate,
    reference: Any,  # noqa: ANN401 - an Evidence, or a Reference, or None
    explained: "AttributionRecord | None",
) -> list[FigureNote]:
    """Put the pictures into the folder; the same record and evidence are drawn once and then copied from the store."""
    store = kept.candidate.store
    drawn = store.root / "figures" / digest(record, evidence, code_digest(*FIGURES_CODE), version("matplotlib"))
    found = _whole(drawn)
    if found is None:
        from harness import attention_figures, figures, replay, smallest  # noqa: PLC0415

        shutil.rmtree(drawn, ignore_errors=True)
        drawn.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=drawn.parent) as name:
            fresh = Path(name) / "figures"
            fresh.mkdir()
            bounds, checks = gate.policy.border, {row["check"] for row in record["verdicts"]}
            found = [*figures.draw(record, evidence, fresh), _draw_border(kept, bounds, fresh)]
            found += attention_figures.figures(kept, record["verdicts"], fresh)
            if SMALLEST in checks:
                found += replay.figures(kept, smallest.of(kept, bounds), fresh)
            if "calibration_error" in checks:
                found += _draw_reliability(kept, record, fresh)
            if any(row["suite"] == "robustness" for row in record["verdicts"]):
                found += _draw_robustness(kept, gate, fresh)
            if reference is not None:
                found += _draw_newly_wrong(kept, reference, fresh)
            if explained is not None:
                found += _draw_attributions(kept, bounds, explained, fresh)
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


def _draw_reliability(kept: "Evidence", record: Record, folder: Path) -> list[FigureNote]:
    """Draw confidence against right answers; nothing where the outputs are no probabilities."""
    from harness import calibration, figures  # noqa: PLC0415

    bins = calibration.reliability(kept.test)
    if not bins:
        return []
    path = figures.reliability(bins, folder / "reliability.png")
    alt = next(row["detail"] for row in record["verdicts"] if row["check"] == "calibration_error")
    return [{"file": path.name, "title": "Confidence and right answers", "alt": alt}]


def _draw_robustness(kept: "Evidence", gate: Gate, folder: Path) -> list[FigureNote]:
    """Draw what corruptions cost, and one film under each."""
    from harness import robustness, robustness_figures  # noqa: PLC0415

    bounds = gate.policy.robustness
    record = robustness.observe(kept, bounds).seen_by(gate.unseen)
    return robustness_figures.draw(record, bounds, kept.candidate.splits.test, folder)


def _draw_newly_wrong(kept: "Evidence", reference: Any, folder: Path) -> list[FigureNote]:  # noqa: ANN401 - as `_draw`
    """Draw the films that the reference answered rightly and the candidate does not; nothing where there is none."""
    from harness import figures  # noqa: PLC0415

    before, now = reference.test, kept.test
    wrong = np.flatnonzero((before.answers == before.labels) & (now.answers != now.labels))
    if not wrong.size:
        return []
    chosen = np.linspace(0, len(wrong) - 1, min(len(wrong), NEWLY_WRONG))  # evenly, or the last class would not be seen
    rows = wrong[chosen.round().astype(np.int64)]
    names = [*now.classes, "no answer"]
    captions = [(now.ids[row], f"{names[before.answers[row]]} → {names[now.answers[row]]}") for row in rows]
    title = f"{len(wrong)} films right with the reference and wrong now ({len(rows)} shown)"
    figures.film_sheet(kept.candidate.splits.test.take(rows), captions, folder / NEWLY_WRONG_FILE, title=title)
    return [{"file": NEWLY_WRONG_FILE, "title": "Newly wrong films", "alt": title}]


def _draw_attributions(
    kept: "Evidence", bounds: BorderBounds, explained: "AttributionRecord", folder: Path
) -> list[FigureNote]:
    """Draw what spoke for the answers, by explainers that are licensed, also of films that a hidden ring turned."""
    from harness.attribution_figures import overlays  # noqa: PLC0415

    fill, changed = _most_changed(kept, bounds)
    turned = [film for film, turns in zip(kept.test.ids, changed, strict=True) if turns]
    return overlays(explained, folder, flipped={f"the {100 * bounds.rings[0]:g}% ring, {fill}": turned})


def _most_changed(kept: "Evidence", bounds: BorderBounds) -> tuple[str, NDArray[np.bool_]]:
    """Return the fill of the first ring that changes most answers, and which rows it changes: bool (n,)."""
    border, width = kept.border(bounds), bounds.rings[0]
    changed = {fill: border.masked[width, fill].answers != border.clean.answers for fill in bounds.fills}
    fill = max(bounds.fills, key=lambda each: int(changed[each].sum()))
    return fill, changed[fill]


def _whole(drawn: Path) -> list[FigureNote] | None:
    """Return the notes on pictures that were drawn before; None unless all of them are there and whole."""
    try:
        kept = json.loads((drawn / NOTES).read_text("utf-8"))
        found: list[FigureNote] = kept["figures"]
        whole = all(file_digest(drawn / note["file"]) == kept["sha256"][note["file"]] for note in found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def _draw_border(kept: "Evidence", bounds: BorderBounds, folder: Path) -> FigureNote:
    """Draw films with and without their ring, those whose answer changed first, under the fill that changed most."""
    from harness import figures  # noqa: PLC0415

    border = kept.border(bounds)
    width = bounds.rings[0]
    fill, changed = _most_changed(kept, bounds)
    order = np.argsort(~changed, kind="stable")
    rows = order[:: max(1, len(order) // SHOWN_FILMS)][:SHOWN_FILMS] if not changed.any() else order[:SHOWN_FILMS]
    films = kept.candidate.splits.test.take(rows)
    names = [*border.clean.classes, "no answer"]
    after = border.masked[width, fill].answers
    captions = [(border.clean.ids[row], names[border.clean.answers[row]], names[after[row]]) for row in rows]
    title = f"{100 * width:g}% ring hidden ({fill}): {int(changed.sum())} of {len(order)} answers change"
    title += f" ({len(rows)} films shown)"
    figures.border_contact_sheet(films, Ring(width, fill)(films), captions, folder / "border.png", title=title)
    return {"file": "border.png", "title": "Films with the ring hidden", "alt": title}
