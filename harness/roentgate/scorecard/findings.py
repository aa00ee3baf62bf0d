"""The findings of a scorecard: what was missed, in sentences.

Related rows become one finding. The sentences are the same in the terminal, in markdown and in HTML.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from roentgate.scorecard import finding_words as words
from roentgate.scorecard.finding_words import is_settled
from roentgate.scorecard.plain_words import section_of
from roentgate.scorecard.shape import Record, Row
from roentgate.scorecard.wording import standing

__all__ = ["Finding", "findings", "is_settled"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, from one row or from several.

    Attributes:
        lead: A short sentence that says what was found.
        text: The figures behind it, each with its interval, its n and its criterion.
        settled: Whether these images settle it. If not, the value misses the criterion, but the interval reaches it.
        suite: The suite that shows the rows.
        rows: The rows that were not accepted.
    """

    lead: str
    text: str
    settled: bool
    suite: str
    rows: tuple[Row, ...]

    @property
    def sentence(self) -> str:
        """The lead and the figures."""
        return f"{self.lead} {self.text}".rstrip()


Words = Callable[[Sequence[Row], Record], tuple[str, str]]
"""Makes lead and text of rows that are either all settled or all open."""


def findings(record: Record) -> list[Finding]:
    """Return what was found against a model, in order of consequence.

    What these images settle comes first. Every row that is not accepted belongs to exactly one finding.
    """
    refused = [row for row in record["rows"] if standing(row) == "refused"]
    groups: dict[tuple[bool, int, str], list[Row]] = {}
    for row in refused:
        place = _place(row)
        suite = row["suite"] if place >= len(_GROUPS) else ""
        groups.setdefault((not is_settled(row), place, suite), []).append(row)
    found = []
    for (is_open, place, _), rows in sorted(groups.items(), key=lambda item: item[0][:2]):
        lead, text = (_GROUPS[place][1] if place < len(_GROUPS) else words.other)(rows, record)
        found.append(Finding(lead, text, not is_open, rows[0]["suite"], tuple(rows)))
    return found


_GROUPS: Final[tuple[tuple[Callable[[Row], bool], Words], ...]] = (
    (lambda row: row["reason"] is not None, words.missing),
    (lambda row: row["value"] is None, words.undefined),
    (lambda row: row["check"].endswith("_control"), words.controls),
    (
        lambda row: row["check"] in {"images_in_two_splits", "patients_in_two_splits", "held_out_images_in_training"},
        words.leaks,
    ),
    (lambda row: row["suite"] == "alignment", words.pipeline),
    (lambda row: row["check"] in {"border_probe", "metadata_probe", "source_confounding"}, words.shortcuts),
    (lambda row: row["check"] in {"images_in_two_classes", "unreadable_images"}, words.labels),
    (lambda row: row["check"] == "beats_trivial_probes", words.baseline),
    (lambda row: row["suite"] == "attention", words.lungs),
    (lambda row: row["suite"] == "recall", words.performance),
    (lambda row: row["suite"] == "border", words.border),
    (lambda row: row["suite"] == "robustness", words.robustness),
    (lambda row: row["suite"] == "comparison", words.comparison),
    (lambda row: row["suite"] == "claims", words.published),
    (lambda row: row["suite"] == "inference", words.pipeline),
)
"""Which rows become one finding, in order of consequence. Rows without a value have a group of their own."""


def _place(row: Row) -> int:
    """Return the place of a row's group; each other suite is a group after them."""
    return next(
        (place for place, (holds, _) in enumerate(_GROUPS) if holds(row)), len(_GROUPS) + section_of(row["suite"]).place
    )
