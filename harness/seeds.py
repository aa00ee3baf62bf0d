"""One seed is an anecdote: the same model trained and judged over several seeds, in one table."""

from collections.abc import Sequence
from pathlib import Path

from harness import scorecard
from harness.render import fenced, table
from harness.scorecard import Record, Row
from harness.store import atomic
from harness.wording import bound, escape, measured

SHOWN = (
    "recall_floor",
    "macro_auroc_floor",
    "beats_majority",
    "border_mask_flips",
    "ring_transplant",
    "border_only_skill",
)


def write_table(records: Sequence[Record], path: Path, *, command: str) -> None:
    """Write the figures of several seeds beside one another, with their mean and range, as markdown.

    Args:
        records: One scorecard a seed, of the same model, data and policy.
        path: The markdown file.
        command: What made it, for the reader who wants to make it again.
    """
    first = records[0]
    lines = []
    for _, found in scorecard.compare(records):
        row = next(each for each in found if each is not None)
        if row["check"] not in SHOWN:
            continue
        values = [each["value"] for each in found if each is not None and each["value"] is not None]
        spread = [f"{sum(values) / len(values):.3f}", f"{min(values):.3f} to {max(values):.3f}"] if values else ["", ""]
        limit = "informs" if row["bound"] is None else bound(row)
        lines.append([f"{row['check']}: {escape(row['subject'])}", limit, *map(_cell, found), *spread])
    headers = ["claim", "bound", *(f"seed {record['task']['seed']}" for record in records), "mean", "range"]
    height, width, _ = first["task"]["image_shape"]
    outcomes = ", ".join(
        f"seed {record['task']['seed']} {'accepted' if record['accepted'] else 'refused'}" for record in records
    )
    text = [
        f"# {escape(first['model']['name'])} on {escape(first['dataset']['name'])}: {len(records)} seeds",
        f"Films at {height} by {width}. Each cell is a value with its 95 % interval, and whether the {first['gate']} "
        f"gate accepts it. {outcomes}.",
        table(headers, lines),
        "Made by:",
        fenced([command]),
        "Research software, not a medical device.",
    ]
    with atomic(path) as temporary:
        temporary.write_text("\n\n".join(text) + "\n", "utf-8")


def _cell(row: Row | None) -> str:
    if row is None or row["value"] is None:
        return "no value"
    mark = "" if not row["gates"] else " ✓" if row["accepted"] else " ✗"
    return f"{measured(row)}{mark}"
