"""The words of findings: a lead and the figures behind it, for rows that belong together.

They are made from the fields of the rows, never from a ``detail``. Names in them are not escaped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

from roentgate.scorecard.plain_words import claim, section_of
from roentgate.scorecard.shape import Record, Row
from roentgate.scorecard.wording import counted_units, label, measured, wanted
from roentgate.stats import EXACT


def is_settled(row: Row) -> bool:
    """Whether a row that is not accepted is decided by its whole interval, or for want of evidence."""
    return row["outcome"] not in {"conditional_fail", "conditional_pass"} and row["state"] in {"ok", None}


def count(row: Row) -> str:
    """Return ``9 of 66 images`` if a row is a share of counted units, else ""."""
    value, n = row["value"], row["n"]
    if parts_of(row):
        return ""
    is_share = row["method"] in {EXACT, "census"} or (value is not None and value == row["low"] == row["high"])
    if not is_share or value is None or not 0 <= value <= 1 or not n or (row["bound"] or 0) > 1:
        return ""
    hits = round(value * n)
    return f"{hits:,} of {counted_units(row)}" if abs(hits - value * n) < 0.01 else ""


def numbers(row: Row, *, units: bool = True) -> str:
    """Return a row's value with interval, n and criterion in words.

    Examples:
        ``9 of 66 images, 0.14 [0.05, 0.24], limit 0.10``
    """
    counted = count(row)
    if row["low"] is not None and row["low"] == row["high"] and counted:
        return counted
    n = f"n = {counted_units(row)}" if units and row["n"] and not counted else ""
    return ", ".join(part for part in (counted, measured(row, 2), n, wanted(row)) if part)


def parts_of(row: Row) -> list[float]:
    """Return the values of the parts, such as infills, that a row judges together. Older rows do not name them."""
    parts = cast("Mapping[str, object]", row).get("parts")
    return (
        [float(each) for each in parts.values() if isinstance(each, int | float)] if isinstance(parts, Mapping) else []
    )


def _over_parts(row: Row) -> str:
    """Return the span of the values of a row's parts in words."""
    values = parts_of(row)
    if len(values) < 2:
        return ""
    return f"{min(values):.2f} to {max(values):.2f} over {len(values)} infills"


def listed(parts: Iterable[str]) -> str:
    """Return parts as an English list."""
    *most, last = list(parts) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def rows_of(record: Record, check: str, *, judged: bool = True) -> list[Row]:
    """Return the rows of a check, by default those that have a value."""
    return [row for row in record["rows"] if row["check"] == check and (row["value"] is not None or not judged)]


def other(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return plain words for rows of checks that have none of their own."""
    met = "is not met" if is_settled(rows[0]) else "may not be met"
    number = "A criterion" if len(rows) == 1 else f"{len(rows)} criteria"
    title = section_of(rows[0]["suite"]).title
    return f"{number} of {title} {met if len(rows) == 1 else met.replace('is', 'are')}.", _each(rows, label)


def _each(rows: Sequence[Row], name: Callable[[Row], str]) -> str:
    shown = [f"{name(row)}: {numbers(row)}" for row in rows[:_SHOWN]]
    more = [f"{len(rows) - _SHOWN} more"] * (len(rows) > _SHOWN)
    return f"{sentence('; '.join(shown + more))}."


def sentence(text: str) -> str:
    """Return text that begins with a capital letter, if it begins with a letter."""
    return f"{text[:1].upper()}{text[1:]}"


def missing(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for rows without any result."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reason = _REASONS.get(row["reason"] or "", "without a result")
        reasons.setdefault(reason, []).append(f"{row['suite']} / {label(row)}")
    parts = (
        f"{reason}: {', '.join(names[:_SHOWN])}{' …' * (len(names) > _SHOWN)}" for reason, names in reasons.items()
    )
    return "Required evidence is missing.", f"{sentence('; '.join(parts))}."


def controls(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for controls that were not caught."""
    return "A control of this run was not caught, so that its check says nothing.", _each(rows, label)


def undefined(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for rows whose evidence says nothing."""
    names = [label(row) for row in rows]
    number = "1 check has" if len(names) == 1 else f"{len(names)} checks have"
    shown = f"{', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' * (len(names) > _SHOWN)}"
    return f"{number} no informative evidence, which no rule accepts.", f"{shown}."


def leaks(rows: Sequence[Row], record: Record) -> tuple[str, str]:
    """Return words for images or patients in two splits."""
    parts = []
    for row in rows:
        of, _, elsewhere = row["subject"].partition(" in ")
        if row["check"] == "images_in_two_splits" and elsewhere:
            parts.append(f"{row['failing_total']} of {row['n']} {of} images are also in {elsewhere}")
        elif row["check"] == "patients_in_two_splits" and elsewhere:
            parts.append(f"{row['failing_total'] or count(row)} of the patients of {of} are also in {elsewhere}")
        elif row["check"] == "held_out_images_in_training":
            parts.append(f"training is given {row['failing_total'] or 'some'} images of {row['subject']}")
        else:
            parts.append(f"{label(row)}: {numbers(row)}")
    repeated = [row for row in rows_of(record, "duplicate_images") if row["subject"] == "test" and row["failing_total"]]
    parts += [f"{row['failing_total']} repeat another test image" for row in repeated]
    is_test = any("test" in row["subject"].partition(" in ")[0].split() for row in rows)
    return f"The {'test' if is_test else 'validation'} set is contaminated.", f"{'; '.join(parts)}."


def shortcuts(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for what tells the classes apart without the lungs."""
    borders = [row for row in rows if row["check"] == "border_probe"]
    others = [row for row in rows if row["check"] != "border_probe"]
    parts = []
    if borders:
        first, *wider = borders
        others_too = "; ".join(f"{row['subject']}, {measured(row, 2)}" for row in wider)
        also = f" ({others_too})" if wider else ""
        parts.append(
            f"A linear model that sees the {first['subject']} tells a class from the others: recall + specificity - 1 "
            f"is {numbers(first)}{also}"
        )
    for row in others:
        what = f"File and header, without any pixel, reach {numbers(row)}"
        parts.append(what if row["check"] == "metadata_probe" else f"{label(row)}: {numbers(row)}")
    may = "can" if is_settled(rows[0]) else "may"
    lead = (
        f"The classes {may} be told without the lungs." if borders else "What is not in the pixels predicts the class."
    )
    return lead, f"{'. '.join(parts)}."


def baseline(rows: Sequence[Row], record: Record) -> tuple[str, str]:
    """Return words for a probe that does as well."""
    row, mine = rows[0], rows_of(record, "beats_majority")
    settled = is_settled(row)
    which = PROBES.get(row["subject"], "A simple baseline") if len(rows) == 1 else "A simple baseline"
    lead = f"{which} {'does better' if settled else 'may do as well'}."
    if len(rows) > 1:
        return lead, _each(rows, label)
    both = ""
    if mine and row["value"] is not None and mine[0]["value"] is not None and mine[0]["n"] == row["n"]:
        both = f" ({mine[0]['value']:.2f} here, {mine[0]['value'] - row['value']:.2f} there)"
    return lead, f"Balanced accuracy less that of the probe on the same images{both}: {numbers(row)}."


def lungs(rows: Sequence[Row], record: Record) -> tuple[str, str]:
    """Return words for the rows on lungs, background and annotations."""
    skill = [row for row in rows if row["check"] == "skill_without_lungs"]
    conflict = [row for row in rows if row["check"] == "lung_background_conflict"]
    others = [row for row in rows if row not in skill and row not in conflict]
    parts = [_retained(row) for row in skill]
    only = next((row for row in rows_of(record, "skill_with_lungs_only")), None)
    if skill and only is not None:
        redundant = all(
            (row["low"] or 0) > 0 and min([row["value"] or 0, *parts_of(row)]) >= 0.5 for row in (skill[0], only)
        )
        span = _over_parts(only)
        kept = f"with the lungs only, {measured(only, 2)}" + f" ({span})" * bool(span)
        parts.append(kept + " (either part alone keeps more than half on the estimate: redundant cues)" * redundant)
    parts += [_follows(row) for row in conflict]
    there, here = (
        next((row for row in rows_of(record, "background_swap_auroc") if row["subject"] == subject), None)
        for subject in ("backgrounds of another class", "the same images as they are")
    )
    if conflict and there is not None and here is not None:
        parts.append(
            f"AUROC of the lungs' class is {measured(there, 2)} there and {measured(here, 2)} on the images as they are"
        )
    parts += [f"{_LUNG_ROWS.get(row['check'], label(row))}: {numbers(row)}" for row in others]
    settled = is_settled(rows[0])
    if skill:
        lead = "This model does not need the lungs." if settled else "This model may not need the lungs."
    elif conflict:
        lead = f"Predictions {'' if settled else 'may '}follow the background rather than the lungs."
    else:
        lead = f"What is outside the lungs {'draws' if settled else 'may draw'} predictions."
    return lead, f"{'. '.join(map(sentence, parts))}."


def _retained(row: Row) -> str:
    span = _over_parts(row)
    retained = f"{row['subject']}, it retains of its skill (balanced accuracy above chance) {numbers(row)}"
    return f"{retained} ({span})" if span else retained


def _follows(row: Row) -> str:
    """Return which side predictions take where lungs and background disagree."""
    background, value, n = row["failing_total"], row["value"], row["n"]
    lungs = None if value is None else value * n + background
    if lungs is None or abs(lungs - round(lungs)) > 0.02 or not 0 <= round(lungs) <= n - background:
        return f"with lungs on {row['subject']}, the share that follows the lungs less the background is {numbers(row)}"
    return (
        f"with lungs on {row['subject']}, {background} of {counted_units(row)} follow the background and "
        f"{round(lungs)} the lungs (difference {measured(row, 2)}, {wanted(row)})"
    )


def border(rows: Sequence[Row], record: Record) -> tuple[str, str]:
    """Return words for the rows on the border."""
    parts = []
    flips = [row for row in rows if row["check"] == "border_mask_flips"]
    if flips:
        families = [row for row in rows_of(record, "border_mask_flips") if row["gates"]]
        shares = parts_of(flips[0]) or [row["value"] or 0.0 for row in families]
        spread = f" ({min(shares):.2f} to {max(shares):.2f} over {len(shares)} infills)" if len(shares) > 1 else ""
        worst = max(flips, key=lambda row: row["value"] or 0.0)
        parts.append(f"Masking it changes predictions ({worst['subject']}): {numbers(worst)}{spread}")
    recalls = [row for row in rows if row["check"] == "border_masked_recall"]
    if recalls:
        parts.append(_masked_recall(recalls, record))
    for row in rows:
        if row["check"] == "border_swap":
            parts.append(f"A border of another class ({row['subject']}) draws predictions: {numbers(row)}")
    only = [row for row in rows if row["check"] == "border_only_skill"]
    if only:
        kept = listed(f"{measured(row, 2)} with the {row['subject']}" for row in only)
        n = counted_units(only[0])
        parts.append(f"The border alone retains of its skill {kept} ({_joint(only[0])}, n = {n}, {wanted(only[0])})")
    known = {"border_mask_flips", "border_masked_recall", "border_swap", "border_only_skill"}
    parts += [f"{label(row)}: {numbers(row)}" for row in rows if row["check"] not in known]
    text = f"{'. '.join(parts)}."
    if len(recalls) == len(rows) and all(_misses_unmasked(row, record) for row in rows):
        low = "is" if is_settled(rows[0]) else "may be"
        return f"Sensitivity {low} too low, with the border masked as without.", text  # not the border's doing
    return f"The outer border {'influences' if is_settled(rows[0]) else 'may influence'} predictions.", text


def _misses_unmasked(row: Row, record: Record) -> bool:
    """Whether the sensitivity of a class misses its floor on unmasked images too."""
    name, _, _ = row["subject"].rpartition(", ")
    return any(clean["subject"] == name and not clean["accepted"] for clean in rows_of(record, "recall_floor"))


def _masked_recall(rows: Sequence[Row], record: Record) -> str:
    """Return sensitivities under the mask beside those without it."""
    clean = {row["subject"]: row for row in rows_of(record, "recall_floor")}
    parts = []
    for row in rows:
        name, _, _ = row["subject"].rpartition(", ")
        before = clean.get(name)
        unmasked = f"{before['value']:.2f} unmasked, " if before is not None and before["value"] is not None else ""
        parts.append(f"{name or row['subject']} {row['value']:.2f} ({unmasked}n = {counted_units(row)})")
    return f"Sensitivity with it masked, {_joint(rows[0])}, {wanted(rows[0])}: {', '.join(parts)}"


def _joint(row: Row) -> str:
    """Return how several infills are judged by one row."""
    return f"{len(parts_of(row))} infills together" if len(parts_of(row)) > 1 else "worst infill"


def performance(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for sensitivities, confusions and AUROC."""
    floors = [row for row in rows if row["check"] == "recall_floor"]
    names = listed(row["subject"] for row in floors[:4])
    if is_settled(rows[0]):
        lead = f"Sensitivity is too low for {names}." if floors else "Performance misses a criterion."
    else:
        lead = f"Sensitivity may be too low for {names}." if floors else "Performance may miss a criterion."
    return lead, _each(
        rows, lambda row: _PERFORMANCE.get(row["check"], row["subject"].replace(" → ", " predicted as "))
    )


def robustness(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for what changes of an image cost."""
    costs = "cost" if is_settled(rows[0]) else "may cost"
    lead = f"Changes that acquisition makes to an image {costs} accuracy."
    return lead, _each(rows, lambda row: f"{_ROBUSTNESS.get(row['check'], row['check'])} {row['subject']}".strip())


def pipeline(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for claims on the pipeline that do not hold."""
    parts = [f"{claim(row['check'])} ({row['subject']}; {numbers(row)})" for row in rows]
    text = "; ".join([*parts[:_SHOWN], *[f"{len(parts) - _SHOWN} more"] * (len(parts) > _SHOWN)])
    return "The pipeline is not what it should be.", f"Not met: {text}."


def labels(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for images of two classes, or that cannot be read."""
    return "The data are not sound.", _each(rows, lambda row: f"not met: {claim(row['check'])}")


def comparison(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for what is worse than with the reference."""
    worse = "is" if is_settled(rows[0]) else "may be"
    return f"The candidate {worse} worse than the reference.", _each(rows, label)


def published(rows: Sequence[Row], _: Record) -> tuple[str, str]:
    """Return words for published figures."""
    lead = "Published figures do not hold here." if is_settled(rows[0]) else "Published figures may not hold here."
    return lead, _each(rows, label)


_SHOWN: Final = 6
PROBES: Final = {
    "border or background": "A probe that sees no lungs",
    "whole image": "A linear probe of the whole image",
}
"""Probes that a model is compared with, by the subject of the row."""

_REASONS: Final = {
    "missing": "required, but not recorded",
    "crashed": "crashed",
    "skip_not_allowed": "skipped, which the policy does not accept",
    "expected_failure": "marked as an expected failure",
    "repeated": "recorded more than once",
    "not_in_every_seed": "not recorded with every seed",
}
_PERFORMANCE: Final = {
    "macro_auroc_floor": "macro AUROC",
    "beats_majority": "balanced accuracy",
}
_ROBUSTNESS: Final = {
    "corruption_skill": "",
    "small_rotation": "",
    "small_shift": "",
    "resizing_kernel": "resizing kernel,",
}
_LUNG_ROWS: Final = {"annotation_swap": "net switches to the class of a pasted burned-in annotation"}
