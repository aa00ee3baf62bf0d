"""Writes the scorecards of a run with their evidence and pictures."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, cast

from roentgate.errors import ArgumentError, HarnessError
from roentgate.evidence import (
    Reference,
    drop_others,
    names_of,
    stored_predictions,
    write_predictions,
)
from roentgate.policy import BorderBounds
from roentgate.report import figure_set, thumbnails
from roentgate.scorecard import EvidenceRecord, Layer, Record, Row, together
from roentgate.scorecard import record as scorecard
from roentgate.session import Logbook, Session, environment
from roentgate.store import atomic, digest, file_digest

if TYPE_CHECKING:
    from roentgate.candidates import Candidate
    from roentgate.evidence import Evidence

MARKDOWN = "scorecard.md"
HTML = "scorecard.html"
RUN = "run.json"
SIDE_BY_SIDE = "side-by-side.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of a run, to be written.

    Args:
        session: The run.
        rows: The rows of each member, in order.
        partial: Why this run is partial, empty for a complete run.
        passes: Number of images sent through models.
        seconds: Time in seconds by activity.
        policy: Fingerprint of the policy under which the tests ran.
        logbook: The ledger as it was when the run began.
    """

    session: Session
    rows: Mapping[str, Sequence[Row]]
    partial: Sequence[str]
    passes: int
    seconds: Mapping[str, float]
    policy: str
    logbook: Logbook


def clear(session: Session) -> None:
    """Remove the outcomes of earlier runs from this run's report folders.

    All of them are removed, or none.

    Raises:
        ArgumentError: A report folder cannot be written to, or the reference of the comparison lies in one.
    """
    own = [session.folder(name) for name in dict.fromkeys([*session.settings.models, *session.members])]
    folders = [*own, *(seed for folder in own for seed in folder.glob("seed-*") if seed.is_dir())]
    for folder in folders:
        above = next(path for path in (folder, *folder.parents) if path.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise ArgumentError(f"--report-dir: '{above}' is no folder that can be written to; choose another")
    stored_predictions.check_apart(session.settings.reference, folders)
    for folder, file in product(folders, (scorecard.SCORECARD_FILE, MARKDOWN, HTML, thumbnails.FILE)):
        folder.joinpath(file).unlink(missing_ok=True)


def scorecards(result: RunResult) -> tuple[bool, list[str]]:
    """Write the scorecard of every model.

    If there are several models, a page that compares them is written too.

    Returns:
        Whether every record is complete and accepted, and the last lines for the terminal.
    """
    from roentgate.report import render

    session, records, lines = result.session, [], []
    made = dict(_records(result))
    judged = {name: record for name, record in made.items() if result.rows.get(name)}
    entries = result.logbook.record(judged, result.partial)
    for name, record in made.items():
        closing, evaluations = result.logbook.closing(name, entries)
        _write(result, name, record, evaluations)
        if name not in session.settings.models:
            continue  # a replicate: its model has a scorecard for all of them
        records.append(record)
        lines += ["", f"{name} on {session.card.name}: {scorecard.headline(record).replace('**', '')}"]
        lines += [f"  {reason}" for reason in [*result.partial, *_missing(record)]]
        lines += [f"  {line}" for line in render.decided_lines(record)]
        lines += [f"  {line}" for line in closing]
        lines.append(f"  {_shown(session.folder(name) / MARKDOWN)}")
    if len(records) > 1:
        path = session.settings.reports / session.card.name / SIDE_BY_SIDE
        _write_text(path, render.comparison_markdown(records))
        lines += ["", f"side by side: {_shown(path)}"]
    return all(map(scorecard.accepted, records)), [*render.terminal_table(records).splitlines(), *lines]


def _missing(record: Record) -> list[str]:
    names = [f"{row['suite']}/{row['check']}" for row in record["rows"] if row["reason"] == "missing"]
    return [f"{scorecard.NOT_RECORDED}: {', '.join(names)}"] if names else []


def _records(result: RunResult) -> Iterator[tuple[str, Record]]:
    """Yield (name, record) of every member, and of models with replicates.

    The record of a model with replicates follows those of its replicates.
    """
    session, rows = result.session, result.rows
    for model in session.settings.models:
        found = {name: _record(result, name, rows[name]) for name in session.replicates(model) if name in rows}
        yield from found.items()
        if model not in found and found:
            rows_of_all = together(list(found.values()), deciding=session.policy.gate.seeds)
            yield model, _record(result, next(iter(found)), rows_of_all, of=list(found))


def _record(result: RunResult, name: str, rows: Sequence[Row], of: Sequence[str] = ()) -> Record:
    """Return the record of one member or of all replicates.

    Args:
        result: The result of the run.
        name: The member, or the first replicate.
        rows: The rows of the record.
        of: The replicates, empty for one member.
    """
    session = result.session
    candidate = session.candidate(name)
    splits, prints = candidate.splits, [session.candidate(each).fingerprint for each in of]
    return scorecard.build(
        rows=rows,
        model={
            "name": candidate.name,
            "source": _source(session, candidate.source.path),
            "fingerprint": digest(*prints) if prints else candidate.fingerprint,
            "weights": candidate.origin,
        },
        dataset={
            "name": session.card.name,
            "fingerprint": splits.fingerprint,
            "classes": list(splits.classes),
            "counts": {split.name: split.counts() for split in (splits.train, splits.validation, splits.test)},
            "study": splits.study.model_dump(),
            "prior_evaluations": session.card.prior_evaluations,
            "units": {
                "test": {
                    "unit": splits.test.unit,
                    "n": len(splits.test if splits.test.units is None else set(splits.test.units)),
                },
                "patients": splits.test.groups is not None,
            },
        },
        task=_task(session, candidate, of),
        gate=session.settings.gate,
        policy={"fingerprint": result.policy},
        required=session.required,
        complete=not result.partial,
    )


def _task(session: Session, candidate: "Candidate", of: Sequence[str]) -> dict[str, object]:
    task: dict[str, object] = {"image_shape": list(candidate.task.image_shape), "seed": candidate.task.seed}
    if not of:
        return task
    return task | {"seeds": [session.members[name][1] for name in of], "deciding": session.policy.gate.seeds}


def _source(session: Session, path: Path) -> str:
    """Return a path relative to the project, or only its name."""
    root = session.settings.root
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _comparison_note(session: Session, reference: "Evidence | Reference") -> str:
    """Return a note on the reference: name, source and missing answers."""
    if isinstance(reference, Reference):
        source = "its stored predictions"
    else:
        source = _source(session, reference.candidate.source.path)
    name, fingerprint = names_of(reference)
    try:
        missing, n = int((reference.test.answers < 0).sum()), len(reference.test)
        gaps = f"; the reference gives no finite answer to {missing} of {n} images" if missing else ""
    except HarnessError as error:  # the rows that needed its answers say so too
        gaps = f"; the reference gives no answers: {error}"
    return f"compared with {name} ({source}, fingerprint {fingerprint:.12}){gaps}"


def _write(result: RunResult, name: str, record: Record, evaluations: Mapping[str, object]) -> None:
    """Write record, evidence, pictures and renderings of one scorecard.

    A partial run has no evidence to show. Predictions of the same model from an older run are kept, because they can
    serve as a reference.
    """
    session = result.session
    folder, shown = session.folder(name), name if name in session.members else session.replicates(name)[0]
    lacking = result.partial
    if not lacking:
        try:
            evidence = scorecard.as_written(_member_evidence(result, name, shown))
            if session.settings.figures:
                evidence["figures"] = figure_set.draw(session, shown, record, evidence, folder)
                thumbnails.write(_thumbnails(session, shown, record), folder)
            _keep_predictions(session.evidence(shown), _predictor(session, name), record, folder, session.policy.border)
        except HarnessError as error:  # the rows that need it are refused already
            lacking = [f"no evidence to show: {error}"]
    if lacking:
        evidence, images = _no_evidence(lacking), session.candidate(shown).splits.test
        drop_others(folder, fingerprint=record["model"]["fingerprint"], images=images)
    scorecard.write_evidence(evidence, folder)
    _render(record, evidence, folder)
    scorecard.write(record, folder)
    run = environment(result.passes, result.seconds) | {"partial": list(result.partial), "evaluations": evaluations}
    _write_text(folder / RUN, json.dumps(run, indent=2, sort_keys=True) + "\n")


def _thumbnails(session: Session, shown: str, record: Record) -> dict[str, bytes]:
    """Return small pictures of the images that fail a criterion."""
    splits = session.candidate(shown).splits
    return thumbnails.pictured(thumbnails.wanted(record["rows"]), (splits.test, splits.validation, splits.train))


def _member_evidence(result: RunResult, name: str, shown: str) -> EvidenceRecord:
    """Return the evidence on the member ``shown``.

    ``name`` is that member, or the model of which it is the first replicate.
    """
    session, settings = result.session, result.session.settings
    evidence = _evidence_record(session.evidence(shown))
    evidence["evaluations"] = result.logbook.section(name)
    notes = evidence["notes"]
    if shown != name:
        seed = f"seed {session.members[shown][1]}"
        notes[:] = [f"{seed}: {note}" for note in notes]
        notes.append(f"what is marked {seed} is of that seed alone; each seed has a scorecard")
    if settings.reference is not None:
        notes.append(_comparison_note(session, session.reference))
    if settings.claims is not None:
        source = f"{_source(session, settings.claims)} (fingerprint {file_digest(settings.claims):.12})"
        notes.append(f"held against the published figures of {source}")
    return evidence


def _predictor(session: Session, name: str) -> str:
    """Return the name of the model whose predictions are kept.

    Of several seeds it is the first.
    """
    if name in session.members:
        return session.candidate(name).name
    replicates = session.replicates(name)
    seed = session.members[replicates[0]][1]
    return f"{session.candidate(replicates[0]).name}, seed {seed}, the first of {len(replicates)}"


def _keep_predictions(evidence: "Evidence", name: str, record: Record, folder: Path, bounds: BorderBounds) -> None:
    """Write a model's predictions for a later comparison.

    Predictions with changed borders are included if the border suite was run.
    """
    judged = any(row["suite"] == "border" for row in record["rows"])
    candidate = evidence.candidate
    write_predictions(
        folder,
        model=name,
        fingerprint=record["model"]["fingerprint"],
        images=candidate.splits.test.rows_digest,
        test=evidence.test,
        border=evidence.border(bounds) if judged else None,
        bounds=bounds,
    )


def render_again(folder: Path) -> Record:
    """Render a scorecard again from its JSON files and return its record.

    Pictures are drawn again, except those that show images.

    Raises:
        ArgumentError: ``scorecard.json`` is missing or damaged.
    """
    from roentgate.report import figures

    record = scorecard.read(folder / scorecard.SCORECARD_FILE)
    evidence = scorecard.read_evidence(folder / scorecard.EVIDENCE_FILE)
    if evidence["figures"]:
        figures.draw(record, evidence, folder)
    _render(record, evidence, folder)
    return record


def _render(record: Record, evidence: EvidenceRecord, folder: Path) -> None:
    from roentgate.report import render

    _write_text(folder / MARKDOWN, render.markdown(record, evidence))
    _write_text(folder / HTML, render.html(record, evidence, folder))


def _evidence_record(evidence: "Evidence") -> EvidenceRecord:
    layers = cast("list[Layer]", evidence.architecture)
    confusion, report = evidence.classification
    return {
        "confusion": {"classes": list(evidence.candidate.task.classes), "counts": confusion},
        "report": report,
        "history": {name: list(values) for name, values in evidence.candidate.history.items()}
        if evidence.candidate.history
        else None,
        "layers": layers or None,
        "figures": [],
        "notes": list(evidence.notes),
    }


def _no_evidence(notes: Sequence[str]) -> EvidenceRecord:
    return {"confusion": None, "report": "", "history": None, "layers": None, "figures": [], "notes": list(notes)}


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
