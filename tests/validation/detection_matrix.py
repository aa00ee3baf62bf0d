"""Detection matrix: how often each check refuses each planted-fault and each sound model.

Every model is trained with several seeds and judged by every check.
"""

import ast
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from roentgate.data import CLASSES, DOSES
from roentgate.errors import ArgumentError, HarnessError, ModelError, did_you_mean
from roentgate.policy import Policy, load_policy
from roentgate.scorecard import Record, accuracy
from roentgate.scorecard import record as scorecard
from roentgate.session import folder_name
from roentgate.stats import Estimate, proportion
from roentgate.store import atomic
from tests.validation import dose_response as doses
from tests.validation import subprocess_run
from tests.validation.dose_response import Reliance
from tests.validation.planted_models import Check, PlantedModel, read_planted_models

SCHEMA = "roentgate.matrix/3"
ARTICLE = ("baseline", "compact", "border_dropout")
"""Models of the project itself, judged as sound ones."""

JUDGED = ("alignment", "inference", "recall", "border", "attention", "calibration", "data")
"""Suites that judge the models. The others need a reference, claims or a history, or take twice the time."""
FLOOR = "recall/recall_floor"
LEVEL = 0.05
"""Share of sound trainings that may fail a border row by its whole interval, on the only test set."""

_SHORT = """
[data.{data}.border]
most_masks = 6
[data.{data}.attributions]
methods = ["occlusion"]
images = 2
patch = 0.5
sanity_check_images = 2
deletion_images = 2
[data.{data}.attributions.draws]
occlusion = 3
"""
_TOGETHER = 8  # models in one process, which share one import of TensorFlow and release its memory at the end


class Outcome(TypedDict):
    """Result of one training of a model, or of judging one that is loaded.

    ``refused``: the checks, as ``suite/check``, with a gating row that was not accepted, for example because it has no
    value. ``failed``: those of them that failed by their whole interval. ``diagnosed``: whether a row of a promised
    check holds the promised diagnosis. ``accuracy``: on the test images, None if undefined. ``unfinished``: the checks,
    if any, that ended in an error. An error catches no fault, so those of a planted-fault model are not among the
    refused.
    """

    seed: int
    refused: list[str]
    failed: list[str]
    diagnosed: bool
    accuracy: float | None
    unfinished: NotRequired[list[str]]


class Entry(TypedDict):
    """A model or data set, its promise, and the outcome of each training.

    A ``loaded`` model has one outcome. ``failures``: a sentence for each training, if any, that left no scorecard and
    so no outcome.
    """

    name: str
    says: str
    sound: bool
    loaded: bool
    data: str
    promised: list[str]
    diagnosis: str
    outcomes: list[Outcome]
    failures: NotRequired[list[str]]


class Matrix(TypedDict):
    """The record: checks, models, data sets, readers at each dose, and blends.

    ``checks`` are in the policy's order. ``command`` made the record. ``remarks`` say what has changed since then, so
    that the command would make another record today.
    """

    schema: str
    command: str
    remarks: list[str]
    seeds: list[int]
    checks: list[str]
    models: list[Entry]
    data: list[Entry]
    doses: list[Entry]
    reliance: list[Reliance]


def plan(root: Path, only: Sequence[str] = ()) -> list[PlantedModel]:
    """Return the models to judge: planted-fault models and sound models.

    The article's models are among the sound ones. Planted-fault models whose checks belong to other suites than
    `JUDGED` are left out.

    Args:
        root: The project folder.
        only: Names of models, or none for all of them.

    Raises:
        ArgumentError: A name that is not among these models.
        ModelError: A planted-fault model without its promise, or that names a check unknown to the policy.
    """
    models, known_checks = root / "models", slashed(_policy(root).gate.pairs)
    planted_models = read_planted_models(models)
    for model in planted_models:
        for check in slashed(model.checks):
            if check not in known_checks:
                fault = f"its docstring names '{check}', which is no check of the policy"
                raise ModelError(f"model '{model.name}': {fault}; {did_you_mean(check, known_checks)}")
    planted_models = [
        model
        for model in planted_models
        if model.sound or model.unseen or {suite for suite, _ in model.checks} & {*JUDGED}
    ]
    planted_models += [
        PlantedModel(name=name, says=_first_line(models / f"{name}.py"), sound=True)
        for name in ARTICLE
        if (models / f"{name}.py").is_file()
    ]
    known = {model.name: model for model in planted_models}
    if unknown := [name for name in only if name not in known]:
        raise ArgumentError(f"no model to judge has the name {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(only)] if only else planted_models


def run(
    root: Path,
    planted_models: Sequence[PlantedModel],
    seeds: Sequence[int],
    *,
    reports: Path,
    step: Callable[[str, int], None],
    command: str,
    with_doses: bool = True,
) -> Matrix:
    """Judge the models, the readers at each dose, and the blends.

    Args:
        root: The project folder.
        planted_models: From `plan`.
        seeds: Seeds of training.
        reports: The folder of the single scorecards.
        step: Called with (what is judged now, trainings finished since the last call). `work` gives their total.
        command: The command that the record names.
        with_doses: Whether to judge the readers among the models at each dose, and blends if both parts are among them.

    Raises:
        HarnessError: A blend could not be judged.
    """
    readers = doses.readers(planted_models, DOSES) if with_doses else []
    return {
        "schema": SCHEMA,
        "command": command,
        "remarks": [],
        "seeds": list(seeds),
        "checks": slashed(pair for pair in _policy(root).gate.pairs if pair[0] in JUDGED),
        "models": judge(planted_models, seeds, reports=reports, step=step),
        "data": [],
        "doses": judge(readers, seeds, reports=reports, step=step),
        "reliance": doses.blends(root, seeds, step=step) if with_doses and doses.can_blend(planted_models) else [],
    }


def work(planted_models: Sequence[PlantedModel], seeds: Sequence[int], *, with_doses: bool = True) -> int:
    """Return how many trainings `run` reports; a loaded model counts as one."""
    judged = [*planted_models, *(doses.readers(planted_models, DOSES) if with_doses else [])]
    parts = len(doses.PARTS) if with_doses and doses.can_blend(planted_models) else 0
    return sum(len(_seeds(_entry(model), seeds)) for model in judged) + len(seeds) * parts


def judge(
    planted_models: Iterable[PlantedModel], seeds: Sequence[int], *, reports: Path, step: Callable[[str, int], None]
) -> list[Entry]:
    """Judge models in separate processes and return their entries.

    Trained weights and predictions of an earlier call come from the store.

    Args:
        planted_models: The models. A name may occur several times, each time with other data.
        seeds: Seeds of training.
        reports: The folder of the single scorecards.
        step: Called with (what is judged now, trainings finished since the last call).

    Returns:
        One entry for each model, in order. A run that ended without a scorecard is named in ``failures``.

    Raises:
        HarnessError: Every run ended without a scorecard.
    """
    failed = None
    entries = {(model.name, model.data): _entry(model) for model in planted_models}
    for data, seed, names in _portions(entries.values(), seeds):
        step(f"{data}, seed {seed}", 0)
        folder, policy = reports / str(seed), short_policy(reports, data)
        for name, record in _records(names, data, seed, folder, ["--no-figures", "--policy", str(policy)]):
            entry = entries[name, data]
            if isinstance(record, HarnessError):
                failed = record
                entry.setdefault("failures", []).append(_sentence(record))
                continue
            evidence = scorecard.read_evidence(folder / data / folder_name(name) / scorecard.EVIDENCE_FILE)
            entry["outcomes"].append(_outcome(entry, record, accuracy(evidence)))
        step(f"{data}, seed {seed}", len(names))
    if failed is not None and not any(entry["outcomes"] for entry in entries.values()):
        raise failed
    return list(entries.values())


def short_policy(folder: Path, data: str) -> Path:
    """Write the policy with shorter descriptive searches; return the file.

    The smallest mask and the attributions refuse nothing, and would take most of the time. They are shortened on one
    data set.
    """
    path = folder / f"policy-{data}.toml"
    with atomic(path) as draft:
        draft.write_text(Path("suites", "policy.toml").read_text("utf-8") + _SHORT.format(data=data), "utf-8")
    return path


def caught(entry: Entry, check: str) -> Estimate:
    """Return the share of an entry's trainings that a check refused.

    The interval is exact. Without a training the value is NaN in [0, 1].
    """
    return proportion(sum(check in outcome["refused"] for outcome in entry["outcomes"]), len(entry["outcomes"]))


def false_alarms(matrix: Matrix, suite: str) -> tuple[Estimate, list[str]]:
    """Return the share of sound trainings that a suite refused, and which.

    For ``border`` only trainings that are `able` count.
    """
    trained = [(entry, outcome) for entry in matrix["models"] if entry["sound"] for outcome in entry["outcomes"]]
    if suite == "border":
        trained = [(entry, outcome) for entry, outcome in trained if able(outcome)]
    alarms = [
        f"{entry['name']}, seed {outcome['seed']}: {', '.join(found)}"
        for entry, outcome in trained
        if (found := [check for check in outcome["refused"] if check.startswith(f"{suite}/")])
    ]
    return proportion(len(alarms), len(trained)), alarms


def settled_alarms(matrix: Matrix) -> Estimate:
    """Return the share of sound trainings with a settled fail of the border.

    Only trainings that are `able` count. A fail is settled if the whole interval of a row misses its bound.
    """
    trained = [
        outcome for entry in matrix["models"] if entry["sound"] for outcome in entry["outcomes"] if able(outcome)
    ]
    hits = sum(any(check.startswith("border/") for check in outcome["failed"]) for outcome in trained)
    return proportion(hits, len(trained))


def able(outcome: Outcome) -> bool:
    """Whether a training reached the recall floors on whole images.

    A model that misses them there cannot reach them on masked images.
    """
    return FLOOR not in outcome["refused"]


def shortcomings(matrix: Matrix) -> list[str]:
    """Return the requirements that the matrix does not meet, a sentence each.

    - Each planted-fault model is refused by each check it names, with its diagnosis, in every training.
    - Each spoiled data set is refused by its check in every drawing.
    - No sound model is refused by alignment or inference, and no sound data set by any check of the data.
    - Sound models that are `able` do not fail the border by whole intervals in more than `LEVEL` of trainings. The
      exact lower limit of that share decides.
    - Each training left its scorecard. No check of a sound model ended in an error, and none that a planted-fault
      model names.
    """
    judged = [*matrix["models"], *matrix["data"]]
    found = [failure for entry in [*judged, *matrix["doses"]] for failure in entry.get("failures", [])]
    for entry in judged:
        n = len(entry["outcomes"])
        for check in entry["promised"]:
            hits = sum(check in outcome["refused"] for outcome in entry["outcomes"])
            if hits < n:
                found.append(f"{entry['name']}: {check} caught {hits} of {n}")
        for outcome in entry["outcomes"]:
            unfinished = [
                check for check in outcome.get("unfinished", []) if entry["sound"] or check in entry["promised"]
            ]
            found += [f"{entry['name']}, seed {outcome['seed']}: {check} did not finish" for check in unfinished]
        diagnosed = sum(outcome["diagnosed"] for outcome in entry["outcomes"])
        if entry["promised"] and diagnosed < n:
            found.append(f"{entry['name']}: '{entry['diagnosis']}' was said in {diagnosed} of {n}")
    border = settled_alarms(matrix)
    if border.low > LEVEL:
        found.append(f"border: {border.hits} of {border.n} sound trainings failed by their whole interval")
    for suite in ("alignment", "inference"):
        found += [f"false alarm: {alarm}" for alarm in false_alarms(matrix, suite)[1]]
    for entry in matrix["data"]:
        alarms = [outcome for outcome in entry["outcomes"] if entry["sound"] and outcome["refused"]]
        found += [f"false alarm: data {entry['name']}, seed {each['seed']}: {each['refused'][0]}" for each in alarms]
    return found


def write(matrix: Matrix, path: Path) -> None:
    """Write the record as JSON, whole or not at all.

    Equal records give equal bytes.
    """
    with atomic(path) as draft:
        draft.write_text(json.dumps(matrix, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(path: Path) -> Matrix:
    """Read a record that `write` wrote.

    Raises:
        ArgumentError: The file is missing, damaged, or no such record. The message names it.
    """
    try:
        matrix = TypeAdapter(Matrix).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ArgumentError(f"'{path}': no detection matrix ({type(error).__name__}); run the command anew") from error
    if matrix["schema"] != SCHEMA:
        raise ArgumentError(f"'{path}': its schema is '{matrix['schema']}', not {SCHEMA}; run the command anew")
    return matrix


def slashed(pairs: Iterable[Check]) -> list[str]:
    """Return (suite, check) pairs as ``suite/check``."""
    return [f"{suite}/{check}" for suite, check in pairs]


def accuracies(entry: Entry) -> list[float]:
    """Return the accuracy of each training that has one."""
    return [outcome["accuracy"] for outcome in entry["outcomes"] if outcome["accuracy"] is not None]


def _policy(root: Path) -> Policy:
    return load_policy(root / "suites" / "policy.toml", data="phantom", classes=CLASSES)


def _entry(model: PlantedModel) -> Entry:
    return {
        "name": model.name,
        "says": model.says,
        "sound": model.sound,
        "loaded": model.loaded,
        "data": model.data,
        "promised": slashed(model.checks),
        "diagnosis": model.diagnosis,
        "outcomes": [],
    }


def _seeds(entry: Entry, seeds: Sequence[int]) -> Sequence[int]:
    """Return the seeds of a model, only the first if it is loaded.

    A loaded model is the same with every seed.
    """
    return seeds[:1] if entry["loaded"] else seeds


def _portions(entries: Collection[Entry], seeds: Sequence[int]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (data, seed, names) with few enough names for one process."""
    for seed in seeds:
        by_data: dict[str, list[str]] = {}
        for entry in entries:
            if seed in _seeds(entry, seeds):
                by_data.setdefault(entry["data"], []).append(entry["name"])
        for data, names in by_data.items():
            for start in range(0, len(names), _TOGETHER):
                yield data, seed, names[start : start + _TOGETHER]


def _records(
    names: Sequence[str], data: str, seed: int, reports: Path, extra: Sequence[str]
) -> Iterator[tuple[str, Record | HarnessError]]:
    """Yield the record of each model, or the error that left it without.

    If a run of several models fails, each is judged alone.
    """
    try:
        records = subprocess_run.run(names, data, seed, reports=reports, name=data, extra=extra, quiet=True)
    except HarnessError as error:
        if len(names) == 1:
            yield names[0], error
            return
        for name in names:
            yield from _records([name], data, seed, reports, extra)
        return
    yield from zip(names, records, strict=True)


def _sentence(error: HarnessError) -> str:
    """Return the first line of an error and the errors that the run printed."""
    first, *printed = str(error).splitlines()
    return "; ".join([first, *(line for line in printed if line.startswith("ERROR"))])


def _outcome(entry: Entry, record: Record, share_right: float | None) -> Outcome:
    not_accepted = [
        (f"{row['suite']}/{row['check']}", row) for row in record["rows"] if row["gates"] and not row["accepted"]
    ]
    judged = [(check, row) for check, row in not_accepted if row["reason"] != "crashed"]
    unfinished = {check for check, row in not_accepted if row["reason"] == "crashed"}
    refused = {check for check, _ in (not_accepted if entry["sound"] else judged)}
    outcome: Outcome = {
        "seed": record["task"]["seed"],
        "refused": sorted(refused),
        "failed": sorted({check for check, row in judged if row["outcome"] == "fail"}),
        "diagnosed": any(entry["diagnosis"] in row["detail"] for check, row in judged if check in entry["promised"]),
        "accuracy": None if share_right is None else round(share_right, 4),
    }
    return {**outcome, "unfinished": sorted(unfinished)} if unfinished else outcome


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
