"""Replicates: one recipe trained with several seeds.

Each is judged on its own, and all of them together row by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roentgate.errors import ArgumentError
from roentgate.scorecard.record import compare, empty_row
from roentgate.scorecard.shape import Record, Row

Deciding = Literal["worst", "first"]
"""Whose rows decide: for every row the seed that does worst in it, or always the first seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicates:
    """The trainings that the rows of a record stand for.

    Attributes:
        seeds: Of the trainings, in order. Predictions, notes and figures are those of the first.
        deciding: Whose rows decide.
    """

    seeds: tuple[int, ...]
    deciding: Deciding


_ORDER = ("fail", "conditional_fail", "conditional_pass", "skipped", "descriptive", "pass")


def together(records: Sequence[Record], *, deciding: Deciding = "worst") -> list[Row]:
    """Return the rows that stand for all replicates.

    The detail of each row gives mean, range and worst seed. A descriptive row has no bound and so no worst seed. It is
    always
    the row of the first seed, and says so. If the first seed decides, every row says so.

    Args:
        records: One record a seed, of the same model, data and policy.
        deciding: Whose verdict, value and interval a row shows.

    Returns:
        One row for each row that any replicate has, in order. A row that a replicate lacks is refused.

    Raises:
        ArgumentError: No records.
    """
    if not records:
        raise ArgumentError("no replicates to put together; give at least one record")
    rows = []
    for (suite, check, subject), found in compare(records):
        present = [row for row in found if row is not None]
        if len(present) < len(found):
            detail = f"recorded with {len(present)} of {len(found)} seeds only"
            rows.append(empty_row(suite=suite, check=check, subject=subject, reason="not_in_every_seed", detail=detail))
            continue
        judged = any(row["gates"] or row["direction"] for row in present)
        worst = min(range(len(present)), key=lambda index: _standing(present[index])) if judged else None
        shown = worst if worst is not None and deciding == "worst" else 0
        row = present[shown]
        spread = _spread(present, [record["task"]["seed"] for record in records], worst, shown, deciding)
        rows.append({**row, "detail": "; ".join(part for part in (spread, row["detail"]) if part)})
    return rows


def replicates_of(record: Record) -> Replicates | None:
    """Return the trainings that the rows of a record stand for.

    Return None if it is a record of one training.
    """
    task = record["task"]
    if "seeds" not in task:
        return None
    return Replicates(seeds=tuple(task["seeds"]), deciding=task.get("deciding", "worst"))


def _standing(row: Row) -> tuple[bool, int, float]:
    """Return the key that sorts rows of one claim, the worst first."""
    value = 0.0 if row["value"] is None else row["value"]
    better = value if row["direction"] == "at_least" else -value
    return row["accepted"], _ORDER.index(row["outcome"]), better


def _spread(rows: Sequence[Row], seeds: Sequence[int], worst: int | None, shown: int, deciding: Deciding) -> str:
    """Return a text on how the seeds differ.

    ``worst`` is the index of the worst row, or None if there is none. ``shown`` is the index of the row that is shown.
    """
    values = [row["value"] for row in rows if row["value"] is not None]
    refused = sum(not row["accepted"] for row in rows)
    failures = f", not accepted with {refused} of {len(rows)}" if refused else ""
    count = f"{len(rows)} seeds" + (", the first decides" if deciding == "first" else "")
    whose = "" if all(row == rows[shown] for row in rows) else f"; shown: seed {seeds[shown]}"
    if not values:
        return f"{count}{failures}{whose}"
    if lacking := len(rows) - len(values):
        failures = f", no value with {lacking} of {len(rows)}{failures}"
    if min(values) == max(values) and not refused and not lacking:
        return f"alike with {count}{whose}"
    mean, extent = sum(values) / len(values), f"{min(values):.3f} to {max(values):.3f}"
    which = (
        f"{failures}; shown: seed {seeds[shown]}" if worst is None else f", worst with seed {seeds[worst]}{failures}"
    )
    return f"{count}: mean {mean:.3f}, {extent}{which}"
