"""The last arrow: from the rows of a run to scorecards on disk, with the evidence and the pictures beside them."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from roentgate.errors import HarnessError
from roentgate.evidence import Reference, drop_others, films_digest, names_of, write_predictions
from roentgate.policy import BorderBounds
from roentgate.report import figure_set
from roentgate.scorecard import EvidenceRecord, Layer, Record, Row, together
from roentgate.scorecard import record as scorecard
from roentgate.session import Gate, Logbook, environment
from roentgate.store import atomic, digest, file_digest

if TYPE_CHECKING:
    from roentgate.evidence import Evidence

MARKDOWN = "scorecard.md"
HTML = "scorecard.html"
RUN = "run.json"
SIDE_BY_SIDE = "side-by-side.md"


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
    from roentgate.report import render

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
    """Return in words what the scorecard is compared with, where that came from, and what it does not answer."""
    stored = isinstance(reference, Reference)
    source = "its stored predictions" if stored else _source(gate, reference.candidate.source.path)
    name, fingerprint = names_of(reference)
    try:
        silent, n = int((reference.test.answers < 0).sum()), len(reference.test)
        silence = f"; the reference gives no finite answer to {silent} of {n} films" if silent else ""
    except HarnessError as error:  # the rows that needed its answers say so too
        silence = f"; the reference gives no answers: {error}"
    return f"compared with {name} ({source}, fingerprint {fingerprint:.12}){silence}"


def _write(  # noqa: PLR0913, PLR0917  everything that goes into one folder
    gate: Gate,
    name: str,
    record: Record,
    folder: Path,
    partial: Sequence[str],
    work: Mapping[str, Any],
    logbook: Logbook,
) -> None:
    """Write record, evidence, pictures and renderings; a partial run has no evidence to show.

    What the same model answered in an older run stays: it is no verdict, and serves as a reference.
    """
    shown = name if name in gate.members else gate.replicates(name)[0]
    lacking = partial
    if not partial:
        try:
            answered = gate.candidate(shown).name
            kept = gate.evidence(shown)
            evidence = _evidence(kept)
            evidence["looks"] = logbook.words(name)
            if shown != name:
                seed = f"seed {gate.members[shown][1]}"
                evidence["notes"] = [f"{seed}: {note}" for note in evidence["notes"]]
                evidence["notes"].append(f"what is marked {seed} is of that seed alone; each seed has a scorecard")
                answered += f", {seed}, the first of {len(gate.replicates(name))}"
            other = gate.reference if gate.settings.reference is not None else None
            if other is not None:
                evidence["notes"].append(_compared(gate, other))
            if gate.settings.claims is not None:
                source = gate.settings.claims
                words = f"{_source(gate, source)} (fingerprint {file_digest(source):.12})"
                evidence["notes"].append(f"held against the published figures of {words}")
            evidence = scorecard.as_written(evidence)
            if gate.settings.figures:
                asked = any(row["check"] == "attribution_licence" for row in record["verdicts"])
                explained = gate.attributions(shown) if asked else None
                evidence["figures"] = figure_set.draw(kept, record, evidence, folder, gate, other, explained)
            _keep_predictions(kept, answered, record, folder, gate.policy.border)
        except HarnessError as error:  # the rows it would have fed are refused already
            lacking = [f"no evidence to show: {error}"]
    if lacking:
        evidence, films = _no_evidence(lacking), gate.candidate(shown).splits.test
        drop_others(folder, fingerprint=record["model"]["fingerprint"], films=films)
    scorecard.write_evidence(evidence, folder)
    _render(record, evidence, folder)
    scorecard.write(record, folder)
    run = environment(work["passes"], work["seconds"]) | {"partial": list(partial), "looks": work["looks"]}
    _write_text(folder / RUN, json.dumps(run, indent=2, sort_keys=True) + "\n")


def _keep_predictions(kept: "Evidence", name: str, record: Record, folder: Path, bounds: BorderBounds) -> None:
    """Write what the model of this name answered, for a later comparison; on the border where a suite has asked."""
    asked = any(row["suite"] == "border" for row in record["verdicts"])
    candidate = kept.candidate
    write_predictions(
        folder,
        model=name,
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
