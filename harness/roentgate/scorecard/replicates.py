"""Replicates: one recipe trained with several seeds; each is judged on its own, and all together row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roentgate.errors import ArgumentError
from roentgate.scorecard.record import Record, Row, compare, empty_row

Deciding = Literal["worst", "first"]
"""Whose rows decide: of every row those of the seed that does worst in it, or those of the first seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicates:
    """What the rows of a record stand for where they are those of `together`.

    Attributes:
        seeds: Of the trainings, in order; answers, notes and pictures are those of the first.
        deciding: Whose rows decide.
    """

    seeds: tuple[int, ...]
    deciding: Deciding


_ORDER = ("fail", "conditional_fail", "conditional_pass", "skipped", "descriptive", "pass")


def together(records: Sequence[Record], *, deciding: Deciding = "worst") -> list[Row]:
    """Return the rows that stand for all replicates, each with mean, range and worst seed in its detail.

    A descriptive row has no bound and so no worst seed: it is the first seed's, whoever decides, and says so.
    Where the first decides, each row says so too.

    Args:
        records: One a seed, of the same model, data and policy.
        deciding: Whose verdict, value and interval a row shows.

    Returns:
        A row for each that any replicate has, in order; one that some replicate lacks is refused.

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
        words = _spread(present, [record["task"]["seed"] for record in records], worst, shown, deciding)
        rows.append({**row, "detail": "; ".join(part for part in (words, row["detail"]) if part)})
    return rows


def replicates_of(record: Record) -> Replicates | None:
    """Return which trainings the rows of a record stand for; None where it is of one training."""
    task = record["task"]
    if "seeds" not in task:
        return None
    return Replicates(seeds=tuple(task["seeds"]), deciding=task.get("deciding", "worst"))


def _standing(row: Row) -> tuple[bool, int, float]:
    """Return what sorts rows of one claim, the worst first."""
    value = 0.0 if row["value"] is None else row["value"]
    better = value if row["direction"] == "at_least" else -value
    return row["accepted"], _ORDER.index(row["outcome"]), better


def _spread(rows: Sequence[Row], seeds: Sequence[int], worst: int | None, shown: int, deciding: Deciding) -> str:
    """Say how the seeds differ; ``worst`` is the place of the worst, None where there is none, ``shown`` the row's."""
    values = [row["value"] for row in rows if row["value"] is not None]
    refused = sum(not row["accepted"] for row in rows)
    told = f", not accepted with {refused} of {len(rows)}" if refused else ""
    count = f"{len(rows)} seeds" + (", the first decides" if deciding == "first" else "")
    whose = "" if all(row == rows[shown] for row in rows) else f"; shown: seed {seeds[shown]}"
    if not values:
        return f"{count}{told}{whose}"
    if lacking := len(rows) - len(values):
        told = f", no value with {lacking} of {len(rows)}{told}"
    if min(values) == max(values) and not refused and not lacking:
        return f"alike with {count}{whose}"
    mean, extent = sum(values) / len(values), f"{min(values):.3f} to {max(values):.3f}"
    which = f"{told}; shown: seed {seeds[shown]}" if worst is None else f", worst with seed {seeds[worst]}{told}"
    return f"{count}: mean {mean:.3f}, {extent}{which}"
