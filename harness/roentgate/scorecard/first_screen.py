"""What the first screen of a scorecard says beside its findings.

All of it is made from fields of the record. Fields that a record lacks are passed over. Names are not escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from roentgate.scorecard import multiplicity
from roentgate.scorecard.finding_words import PROBES, count, is_settled, listed, numbers, rows_of, sentence
from roentgate.scorecard.plain_words import QUESTIONS, claim
from roentgate.scorecard.replicates import replicates_of
from roentgate.scorecard.shape import Record, Row
from roentgate.scorecard.study import NOT_STATED
from roentgate.scorecard.wording import TIMES, by_section, counted_units, measured, percent, standing, wanted
from roentgate.stats import CLUSTER

_MARGIN: Final = 0.05
"""How much better than its criteria the model is whose chance of refusal is stated."""

_PERFORMANCE: Final = ("recall_floor", "macro_auroc_floor", "beats_majority", "beats_trivial_probes")
_OPTIONAL: Final = ("comparison", "claims", "ledger")


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table of performance: its name, its count and its row."""

    name: str
    counted: str
    row: Row


def verdict(record: Record) -> str:
    """Return how many criteria were failed, missed and met, in one sentence.

    Examples:
        "9 criteria failed, 11 more missed on the estimate, 47 met (12 on the estimate only)."
    """
    gating = [row for row in record["rows"] if row["gates"]]
    refused = [row for row in gating if not row["accepted"]]
    failed = sum(is_settled(row) for row in refused)
    guarded = sum(row["outcome"] == "conditional_pass" for row in refused)
    missed, met = len(refused) - failed - guarded, len(gating) - len(refused)
    conditional = sum(standing(row) == "conditional" for row in gating)
    only = f" ({conditional} on the estimate only)" * bool(conditional)
    counts = (
        (failed, "failed"),
        (missed, f"{'more ' * bool(failed)}missed on the estimate"),
        (guarded, "met on the estimate only, which the guarded rule refuses"),
        (met, f"met{only}"),
    )
    (first, words), *others = [pair for pair in counts if pair[0]] or [(0, "judged")]
    parts = [f"{_criteria(first)} {words}", *(f"{number} {what}" for number, what in others)]
    if met == len(gating) > 1:
        parts = [f"All {_criteria(met)} met{only}"]
    elif not met:
        parts.append("none met")
    partial = "" if record["complete"] else " This is a partial run, not a gate: nothing is accepted."
    return f"{', '.join(parts)}.{partial}"


def setting(record: Record) -> list[str]:
    """Return what was judged and what chance does at this size, in a few sentences."""
    task, several = record["task"], replicates_of(record)
    size = TIMES.join(map(str, task["image_shape"][:2]))
    seeds = f"seed {task['seed']}" if several is None else f"{len(several.seeds)} seeds, {several.deciding} decides"
    images = _images(record)
    return [f"{size} pixels, {seeds}{f', {images}' if images else ''}.", independence(record), *power(record)]


def independence(record: Record) -> str:
    """Return what the intervals take as independent."""
    units = {row["unit"] for row in record["rows"] if row["suite"] == "recall" and row["unit"]}
    stated = _entry(record, "units")
    named = stated.get("patients") if isinstance(stated, Mapping) else None
    if named is None:
        named = "patient" in units or bool(rows_of(record, "patients_in_two_splits"))
    if named:
        return "Patients are named: intervals are over patients." if "patient" in units else "Patients are named."
    if CLUSTER not in units:
        return "No patient ids: images are assumed independent."
    test = stated.get("test") if isinstance(stated, Mapping) else None
    images = sum(record["dataset"]["counts"].get("test", {}).values())
    sizes = f" ({images:,} test images are {test['n']:,} units)" if isinstance(test, Mapping) else ""
    return f"No patient ids: near-duplicates count as one unit{sizes}, and units are assumed independent."


def power(record: Record) -> list[str]:
    """Return how often chance alone would refuse a better model, in a list.

    The list is empty if no row has a chance that is known exactly.
    """
    claims = multiplicity.claims(record["rows"])
    if not claims:
        return []
    family = multiplicity.refused_by_chance(claims, gate=record["gate"], better_by=_MARGIN)
    few = "With so few images a" if family.independent > 0.2 else "A"
    span = f"{percent(family.together)} to {percent(family.apart)}"
    return [
        f"{few} model truly {_MARGIN} better than every criterion would still fail on {percent(family.independent)} "
        f"of such test sets if rows err independently ({span} whatever their dependence)."
    ]


def performance(record: Record) -> list[Measure]:
    """Return the lines of the table of performance, as far as the record has them."""
    lines = []
    for check in _PERFORMANCE:
        for row in rows_of(record, check):
            subject = f"a probe of {row['subject']}" if row["subject"] in PROBES else "the best simple baseline"
            name = _MEASURES[check].format(subject if check == "beats_trivial_probes" else row["subject"])
            counted = (count(row) if check == "recall_floor" else "") or f"n = {counted_units(row)}"
            lines.append(Measure(name, counted, row))
    return lines


def passed(record: Record) -> list[tuple[str, str]]:
    """Return (section, what was met in it), in order of consequence."""
    found = []
    for section, rows in by_section(record):
        gating = [row for row in rows if row["gates"]]
        whole = [row for row in gating if standing(row) == "passed"]
        part = [row for row in gating if standing(row) == "conditional"]
        texts = [_claims_of(whole, gating)] * bool(whole)
        texts += [f"on the estimate only: {_claims_of(part, gating)}"] * bool(part)
        if texts:
            found.append(
                (section.title, f"{len(whole) + len(part)} of {len(gating)}: {'. '.join(map(sentence, texts))}.")
            )
    return found


def limits(record: Record) -> list[str]:
    """Return what a record cannot say, in sentences."""
    study = {name for name, text in studied(record) if not text.startswith(NOT_STATED)}
    several = replicates_of(record)
    sentences = []
    if not rows_of(record, "patients_in_two_splits"):
        sentences.append("Whether images of one patient stand in train and test, because no patients are named.")
    groups = [name for name in ("age", "sex", "view", "device") if not any(name in known for known in study)]
    sentences.append(
        "How well it does by age, sex, view or device: no figure here is of a subgroup"
        + (f", and {listed(groups)} of the images {'is' if len(groups) == 1 else 'are'} not stated." if groups else ".")
    )
    lungs = " The rows on lungs are neither necessary nor sufficient for it." * bool(
        rows_of(record, "skill_without_lungs")
    )
    sentences.append(f"How it does at another hospital: no row here promises it.{lungs}")
    if several is None:
        sentences.append("How the same recipe does with another seed: one training was judged.")
    sentences += _unsettled(record)
    sentences += _earlier(record)
    mute = [row for row in record["rows"] if row["check"] == "attribution_in_lungs"]
    if mute and all(row["value"] is None for row in mute):
        sentences.append("Where in the image it looks: no explainer passed its sanity check on this model.")
    sentences += _not_run(record)
    return sentences


def studied(record: Record) -> list[tuple[str, str]]:
    """Return the study behind the images as (name, text), where a record has it."""
    study = _entry(record, "study")
    if not isinstance(study, Mapping) or not study:
        return []
    terms = [(str(name).replace("_", " "), _stated(value)) for name, value in study.items()]
    silent = [name for name, text in terms if text == NOT_STATED]
    told = [(name, text) for name, text in terms if text != NOT_STATED]
    return [*told, *[(", ".join(silent), NOT_STATED)] * bool(silent)]


def _entry(record: Record, name: str) -> object:
    """Return an entry on the data set that only newer records have, or None."""
    return cast("Mapping[str, object]", record["dataset"]).get(name)


_MEASURES: Final = {
    "recall_floor": "Sensitivity, {}",
    "macro_auroc_floor": "Macro AUROC",
    "beats_majority": "Balanced accuracy",
    "beats_trivial_probes": "The same, less {}",
}


def _stated(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_stated(each)}" for name, each in value.items()) or NOT_STATED
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_stated, value)) or NOT_STATED
    return NOT_STATED if value is None or value == "" else str(value)


def _criteria(number: int) -> str:
    return "1 criterion" if number == 1 else f"{number} criteria"


def _images(record: Record) -> str:
    """Return how many test images the performance is of."""
    total = sum(record["dataset"]["counts"].get("test", {}).values())
    leaks = [row for row in rows_of(record, "images_in_two_splits") if row["subject"] == "test in train"]
    leaked = leaks[0]["failing_total"] if leaks else 0
    judged = sum(row["n"] for row in rows_of(record, "recall_floor"))
    if not total:
        return ""
    if leaked and judged:
        if judged > total - leaked:
            return f"{total} test images, {leaked} of which are also in train"
        return f"{total - leaked} unseen test images ({total} less {leaked} that are also in train)"
    return f"{total} test images"


def _claims_of(rows: Sequence[Row], gating: Sequence[Row]) -> str:
    """Return the claims that rows meet, with the subjects if a check meets only some of them."""
    checks: dict[str, list[Row]] = {}
    for row in rows:
        checks.setdefault(row["check"], []).append(row)
    return "; ".join(
        _claim_of(same, [row for row in gating if row["check"] == check]) for check, same in checks.items()
    )


def _claim_of(rows: Sequence[Row], gating: Sequence[Row]) -> str:
    first, words = rows[0], claim(rows[0]["check"])
    sampled = first["low"] != first["high"] and first["suite"] not in {"alignment", "inference"}
    figures = numbers(first, units=False) if sampled and len(rows) == 1 else ""
    subjects = [row["subject"] for row in rows]
    shown = " · ".join(subjects) if len(subjects) <= _SUBJECTS else f"{len(subjects)} of {len(gating)} rows"
    inside = " ".join(part for part in (shown if len(rows) < len(gating) else "", figures) if part)
    return f"{words} ({inside})" if inside else words


_SUBJECTS: Final = 3


def _unsettled(record: Record) -> list[str]:
    """Return how many criteria these images leave open."""
    gating = [row for row in record["rows"] if row["gates"]]
    still_open = [row for row in gating if row["outcome"] in {"conditional_pass", "conditional_fail"}]
    if not still_open:
        return []
    return [f"Whether {len(still_open)} of {len(gating)} criteria are truly met: their intervals reach both sides."]


def _earlier(record: Record) -> list[str]:
    """Return what is known of earlier evaluations on the same test images."""
    stated = _entry(record, "prior_evaluations")
    known = next(iter(rows_of(record, "test_set_evaluations")), None)
    if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0:
        models = "1 model was" if stated == 1 else f"{stated:,} models were"
        return [f"What a fresh test set would show: at least {models} evaluated on these test images before."]
    if known is None or known["value"] is None:
        return []
    number = round(known["value"])
    models = "this is the first model" if number == 1 else f"{number:,} models were"
    tail = (
        "that this ledger knows on these test images" if number == 1 else "judged on these test images in this ledger"
    )
    return [f"What a fresh test set would show: {models} {tail}, and uses elsewhere are not known to it."]


def _not_run(record: Record) -> list[str]:
    present = {row["suite"] for row in record["rows"]}
    absent = [suite for suite in QUESTIONS if suite not in present and suite not in _OPTIONAL]
    return [f"Anything about {listed(absent)}: not part of this run."] if absent else []


def short(row: Row) -> str:
    """Return value and interval for the table of performance."""
    return measured(row, 2)


def criterion(row: Row) -> str:
    """Return the criterion of a row, such as ``≥ 0.80``."""
    return wanted(row).replace("floor: above", ">").replace("floor", "≥").replace("limit", "≤")
