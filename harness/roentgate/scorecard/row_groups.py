"""Words for several rows at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from roentgate.scorecard.shape import Row
from roentgate.scorecard.wording import bound, measured, standing

_SEVERAL: Final = 3
"""From how many details on a part that they share is told once."""


def tally(rows: Sequence[Row]) -> str:
    """Return how many criteria of a section were met: ``5 of 9 criteria not met``."""
    gating = [row for row in rows if row["gates"]]
    refused = [row for row in gating if not row["accepted"]]
    conditional = sum(standing(row) == "conditional" for row in gating)
    if not gating:
        return "nothing that gates"
    if refused:
        return f"{len(refused)} of {len(gating)} criteria not met"
    only = f", {conditional} on the estimate only" * bool(conditional)
    return f"{len(gating)} of {len(gating)} criteria met{only}" if len(gating) > 1 else f"its criterion is met{only}"


def spread(rows: Sequence[Row]) -> str:
    """Return value and interval of a row, or the span of the values of several."""
    if len(rows) == 1:
        return measured(rows[0])
    values = [row["value"] for row in rows if row["value"] is not None]
    if not values:
        return "undefined"
    low, high = (f"{value:.3f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def bound_of(rows: Sequence[Row]) -> str:
    """Return the bound that rows share, or "" if theirs differ."""
    bounds = {bound(row) for row in rows}
    return bounds.pop() if len(bounds) == 1 else ""


def shared_parts(texts: Sequence[str]) -> tuple[list[str], Callable[[str], str]]:
    """Return what several texts have in common, and a function that takes it out.

    A text is cut at its semicolons, so that a page tells once what many rows say.
    """
    parts = Counter(part for text in texts for part in dict.fromkeys(text.split("; ")))
    shared = [part for part, times in parts.items() if times >= _SEVERAL and part]
    return shared, lambda text: "; ".join(part for part in text.split("; ") if part not in shared)
