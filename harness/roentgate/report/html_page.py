"""A scorecard as one HTML page: no script, no request, no other file."""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from roentgate.report import thumbnails
from roentgate.scorecard import (
    EvidenceRecord,
    Finding,
    Record,
    Row,
    Section,
    Standing,
    findings,
    first_screen,
    row_groups,
    section_of,
    visible,
    wording,
)

_TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE = "scorecard.html"
_PLOT: Final = 160  # width of a row's plot in its own units
_LARGE: Final = 60_000
"""Bytes from which a figure is embedded as WebP, which takes a fourth of them."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Where a row's interval, value and criterion are drawn, from 0 to ``_PLOT``.

    The band is where the criterion wants the interval.
    """

    low: float
    high: float
    value: float | None
    bound: float | None
    band: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One row as the page shows it."""

    row: Row
    anchor: str
    place: Standing
    detail: str
    plot: Plot | None
    thumbnails: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a section: those not accepted in view, the others folded."""

    title: str
    slug: str
    question: str
    tally: str
    place: Standing
    shared: tuple[str, ...]
    refused: tuple[Line, ...]
    folds: tuple[tuple[str, tuple[str, ...], tuple[Line, ...]], ...]


def html(record: Record, evidence: EvidenceRecord, folder: Path) -> str:
    """Return a scorecard as one HTML page without other files.

    Args:
        record: The record of the scorecard.
        evidence: The evidence beside it.
        folder: The folder of the figures and thumbnails, which are embedded. A missing figure is named instead.

    Returns:
        The page.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.filters["tied"] = _tied
    confusion, anchors = evidence["confusion"], anchors_of(record)
    pictures = thumbnails.read(folder)
    classes = {name: f"t{index}" for index, name in enumerate(pictures)}
    parts = [_part(title, rows, anchors, classes) for title, rows in wording.by_section(record)]
    return environment.get_template(_TEMPLATE).render(
        record=record,
        evidence=evidence,
        wording=wording,
        screen=first_screen,
        outcome=wording.headline_words(record).split(" · ")[0],
        standing=wording.overall(record),
        groups=_grouped(findings.findings(record)),
        measures=[
            (measure, _plot(measure.row), colour_of(measure.row)) for measure in first_screen.performance(record)
        ],
        anchors=anchors,
        keyed=_keyed,
        parts=parts,
        section_of=section_of,
        thumbs={classes[name]: uri for name, uri in pictures.items()},
        confusion=wording.confusion_lines(confusion["classes"], confusion["counts"]) if confusion else [],
        images={note["file"]: _data_uri(folder / note["file"]) for note in evidence["figures"]},
        width=_PLOT,
    )


def colour_of(row: Row) -> Standing:
    """Return the colour of a row: red if it is settled against the model, amber if it is not settled."""
    place = wording.standing(row)
    return "conditional" if place == "refused" and not findings.is_settled(row) else place


def anchors_of(record: Record) -> dict[tuple[str, str, str], str]:
    """Return the anchor of each row: ``recall-recall-floor-covid``.

    It is the same in every scorecard that has the row. Names that differ only in what an anchor cannot hold are told
    apart by a digest.
    """
    found: dict[tuple[str, str, str], str] = {}
    for row in record["rows"]:
        key = _keyed(row)
        slug = _slug(" ".join(key))
        lossy = not " ".join(key).isascii() or slug in found.values()
        found[key] = f"{slug}-{hashlib.sha256('|'.join(key).encode()).hexdigest()[:8]}" if lossy else slug
    return found


def _keyed(row: Row) -> tuple[str, str, str]:
    return row["suite"], row["check"], row["subject"]


def _tied(text: str) -> str:
    """Return text in which no interval is broken at the end of a line."""
    return re.sub(r" \[(-?[\d.∞]+), (-?[\d.∞]+)\]", "\u00a0[\\1,\u00a0\\2]", text)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "row"


def _grouped(found: Sequence[Finding]) -> list[tuple[str, Standing, list[tuple[int, Finding]]]]:
    """Return (title, colour, numbered findings) for settled and open findings."""
    numbered = list(enumerate(found, 1))
    groups: tuple[tuple[str, Standing, bool], ...] = (
        ("Missed by the whole 95 % interval", "refused", True),
        ("Missed by the value, not settled by these images", "conditional", False),
    )
    made = [
        (title, place, [pair for pair in numbered if pair[1].settled is is_settled])
        for title, place, is_settled in groups
    ]
    return [(title, place, pairs) for title, place, pairs in made if pairs]


def _part(
    section: Section,
    rows: Sequence[Row],
    anchors: Mapping[tuple[str, str, str], str],
    classes: Mapping[str, str],
) -> Part:
    groups: dict[Standing, list[Row]] = {}
    for row in rows:
        groups.setdefault(wording.standing(row), []).append(row)
    made: dict[Standing, tuple[tuple[str, ...], tuple[Line, ...]]] = {}
    for place, same in groups.items():
        shared, own = row_groups.shared_parts([row["detail"] for row in same])
        made[place] = tuple(shared), tuple(_line(row, own, anchors[_keyed(row)], classes) for row in same)
    folds = tuple(
        (_FOLDS[place].format(len(made[place][1])), *made[place])
        for place in ("conditional", "passed", "descriptive", "skipped")
        if place in made
    )
    shared_here, refused = made.get("refused", ((), ()))
    worst: Standing = next((place for place in wording.IMPORTANCE if place in groups), "descriptive")
    if refused and all(line.place == "conditional" for line in refused):
        worst = "conditional"
    slug, tally = _slug(section.title), row_groups.tally(rows)
    return Part(section.title, slug, section.question, tally, worst, shared_here, refused, folds)


def _line(row: Row, own: Callable[[str], str], anchor: str, classes: Mapping[str, str]) -> Line:
    shown = tuple((classes.get(name, ""), name) for name in row["failing"][: wording.FAILING_SHOWN])
    return Line(row, anchor, colour_of(row), own(row["detail"]), _plot(row) if row["gates"] else None, shown)


_FOLDS: Final[Mapping[Standing, str]] = {
    "conditional": "{} met on the estimate only",
    "passed": "{} passed",
    "descriptive": "{} descriptive",
    "skipped": "{} skipped",
}


def _plot(row: Row) -> Plot | None:
    """Return where a row is drawn, or None if it has no numbers."""
    numbers = [number for name in ("value", "low", "high", "bound") if (number := row[name]) is not None]
    if row["value"] is None or not numbers:
        return None
    start, end = min(0.0, *numbers), max(1.0, *numbers)
    start, end = max(start, -1.0), min(end, max(2.0, row["bound"] or 0.0, row["value"]))

    def at(number: float | None, default: float) -> float:
        inside = default if number is None else min(max(number, start), end)
        return round(4 + (_PLOT - 8) * (inside - start) / (end - start), 1)

    low, high, value = at(row["low"], start), at(row["high"], end), at(row["value"], start)
    if row["bound"] is None:
        return Plot(low, high, value, None, (0.0, 0.0))
    bound = at(row["bound"], start)
    band = (bound, at(end, end)) if row["direction"] == "at_least" else (at(start, start), bound)
    return Plot(low, high, value, bound, (band[0], round(band[1] - band[0], 1)))


def _data_uri(path: Path) -> str:
    """Return a figure as a data URI, "" if it is missing. A large one is embedded as WebP."""
    if not path.is_file():
        return ""
    content, kind = path.read_bytes(), "png"
    if len(content) > _LARGE:
        smaller = _webp(content)
        if smaller and len(smaller) < len(content):
            content, kind = smaller, "webp"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _webp(png: bytes) -> bytes:
    """Return a PNG as WebP, or nothing if this Pillow cannot write it."""
    from PIL import Image, features

    if not features.check("webp"):
        return b""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(stream, format="WEBP", quality=72, method=4)
    return stream.getvalue()
