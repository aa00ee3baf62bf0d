"""The last arrow: from the rows of a run to scorecards on disk, with the evidence and the pictures beside them."""

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
from roentgate.report import figure_set
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
    """What a run leaves, to be written.

    Args:
        session: What was judged on what.
        rows: The verdicts of each member, in order.
        partial: Why this run is no gate; empty for a whole run.
        passes: Images sent through models.
        seconds: Time, by what took it.
        policy: The fingerprint of the bounds that were in force where the tests ran.
        logbook: What the ledger held when the run began.
    """

    session: Session
    rows: Mapping[str, Sequence[Row]]
    partial: Sequence[str]
    passes: int
    seconds: Mapping[str, float]
    policy: str
    logbook: Logbook


def clear(session: Session) -> None:
    """Remove an earlier run's outcomes from the folders of this one's reports; all of them, or none.

    Raises:
        ArgumentError: A folder for reports cannot be written to, or what to compare with is kept there.
    """
    own = [session.folder(name) for name in dict.fromkeys([*session.settings.models, *session.members])]
    folders = [*own, *(seed for folder in own for seed in folder.glob("seed-*") if seed.is_dir())]
    for folder in folders:
        above = next(path for path in (folder, *folder.parents) if path.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise ArgumentError(f"--report-dir: '{above}' is no folder that can be written to; choose another")
    stored_predictions.check_apart(session.settings.reference, folders)
    for folder, file in product(folders, (scorecard.SCORECARD_FILE, MARKDOWN, HTML)):
        folder.joinpath(file).unlink(missing_ok=True)


def scorecards(result: RunResult) -> tuple[bool, list[str]]:
    """Write the scorecard of every model, and a table of several side by side.

    Returns:
        Whether every record is complete and accepted, and the lines that close the run in the terminal.
    """
    from roentgate.report import render

    session, records, lines = result.session, [], []
    made = dict(_records(result))
    judged = {name: record for name, record in made.items() if result.rows.get(name)}
    held = result.logbook.record(judged, result.partial)
    for name, record in made.items():
        closing, evaluations = result.logbook.closing(name, held)
        _write(result, name, record, evaluations)
        if name not in session.settings.models:
            continue  # a replicate: its model has a scorecard for all of them
        records.append(record)
        lines += ["", f"{name} on {session.card.name}: {scorecard.headline(record).replace('**', '')}"]
        lines += [f"  {reason}" for reason in [*result.partial, *_missing(record)]]
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
    """Yield the record of every member by its name, and of a model with replicates by the model's after theirs."""
    session, rows = result.session, result.rows
    for model in session.settings.models:
        found = {name: _record(result, name, rows[name]) for name in session.replicates(model) if name in rows}
        yield from found.items()
        if model not in found and found:
            rows_of_all = together(list(found.values()), deciding=session.policy.gate.seeds)
            yield model, _record(result, next(iter(found)), rows_of_all, of=list(found))


def _record(result: RunResult, name: str, rows: Sequence[Row], of: Sequence[str] = ()) -> Record:
    """Return the record of one member, or, in the name of the first, of all replicates ``of`` a model."""
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
    """Return a file as seen from the project's folder; of one elsewhere no more than its name."""
    root = session.settings.root
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _compared(session: Session, reference: "Evidence | Reference") -> str:
    """Return in words what the scorecard is compared with, where that came from, and what it does not answer."""
    if isinstance(reference, Reference):
        source = "its stored predictions"
    else:
        source = _source(session, reference.candidate.source.path)
    name, fingerprint = names_of(reference)
    try:
        silent, n = int((reference.test.answers < 0).sum()), len(reference.test)
        silence = f"; the reference gives no finite answer to {silent} of {n} images" if silent else ""
    except HarnessError as error:  # the rows that needed its answers say so too
        silence = f"; the reference gives no answers: {error}"
    return f"compared with {name} ({source}, fingerprint {fingerprint:.12}){silence}"


def _write(result: RunResult, name: str, record: Record, evaluations: Mapping[str, object]) -> None:
    """Write record, evidence, pictures and renderings; a partial run has no evidence to show.

    What the same model answered in an older run stays: it is no verdict, and serves as a reference.
    """
    session = result.session
    folder, shown = session.folder(name), name if name in session.members else session.replicates(name)[0]
    lacking = result.partial
    if not lacking:
        try:
            evidence = scorecard.as_written(_told(result, name, shown))
            if session.settings.figures:
                evidence["figures"] = figure_set.draw(session, shown, record, evidence, folder)
            _keep_predictions(session.evidence(shown), _answering(session, name), record, folder, session.policy.border)
        except HarnessError as error:  # the rows it would have fed are refused already
            lacking = [f"no evidence to show: {error}"]
    if lacking:
        evidence, images = _no_evidence(lacking), session.candidate(shown).splits.test
        drop_others(folder, fingerprint=record["model"]["fingerprint"], images=images)
    scorecard.write_evidence(evidence, folder)
    _render(record, evidence, folder)
    scorecard.write(record, folder)
    run = environment(result.passes, result.seconds) | {"partial": list(result.partial), "evaluations": evaluations}
    _write_text(folder / RUN, json.dumps(run, indent=2, sort_keys=True) + "\n")


def _told(result: RunResult, name: str, shown: str) -> EvidenceRecord:
    """Return the evidence on a member that is ``shown`` in the name of itself, or of its model."""
    session, settings = result.session, result.session.settings
    evidence = _evidence(session.evidence(shown))
    evidence["evaluations"] = result.logbook.words(name)
    notes = evidence["notes"]
    if shown != name:
        seed = f"seed {session.members[shown][1]}"
        notes[:] = [f"{seed}: {note}" for note in notes]
        notes.append(f"what is marked {seed} is of that seed alone; each seed has a scorecard")
    if settings.reference is not None:
        notes.append(_compared(session, session.reference))
    if settings.claims is not None:
        words = f"{_source(session, settings.claims)} (fingerprint {file_digest(settings.claims):.12})"
        notes.append(f"held against the published figures of {words}")
    return evidence


def _answering(session: Session, name: str) -> str:
    """Return whose predictions are kept under a name: of several seeds, the first's."""
    if name in session.members:
        return session.candidate(name).name
    replicates = session.replicates(name)
    seed = session.members[replicates[0]][1]
    return f"{session.candidate(replicates[0]).name}, seed {seed}, the first of {len(replicates)}"


def _keep_predictions(kept: "Evidence", name: str, record: Record, folder: Path, bounds: BorderBounds) -> None:
    """Write what the model of this name answered, for a later comparison; on the border where a suite has asked."""
    asked = any(row["suite"] == "border" for row in record["rows"])
    candidate = kept.candidate
    write_predictions(
        folder,
        model=name,
        fingerprint=record["model"]["fingerprint"],
        images=candidate.splits.test.rows_digest,
        test=kept.test,
        border=kept.border(bounds) if asked else None,
        bounds=bounds,
    )


def render_again(folder: Path) -> Record:
    """Render a scorecard again from its JSON alone, its pictures included but for images; return the record.

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
