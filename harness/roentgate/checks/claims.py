"""Published figures read from a TOML file.

Each figure is kept as it is printed, with the range of numbers that are printed so.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from roentgate.errors import DataError, did_you_mean
from roentgate.policy import ARROW

ALL_PLACES: Final = "all places together"
"""Subject of the row about all figures; no place may have this name."""

KINDS: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "recall": "recall of {label}",
    "precision": "precision of {label}",
    "f1": "F1 of {label}",
    "specificity": "specificity of {label}",
    "confusion": "{label} predicted as {predicted}",
    "macro_precision": "macro precision",
    "macro_f1": "macro F1",
    "auc": "macro AUC",
    "micro_auc": "micro AUC",
    "loss": "loss",
}
"""Name of a figure of each kind."""

_SAME: Final = {"macro_recall": "balanced_accuracy"}
_BY_CLASS: Final = ("recall", "precision", "f1", "specificity")
_SINGLE: Final = (
    "accuracy",
    "balanced_accuracy",
    "macro_recall",
    "macro_precision",
    "macro_f1",
    "auc",
    "micro_auc",
    "loss",
)
_PRINTED: Final = re.compile(r"([0-9]*)(?:\.([0-9]+))?\s*(%?)")
_MOST_DECIMALS: Final = 9
_MOST_PLACES: Final = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """One printed number.

    Attributes:
        place: The place that prints it.
        kind: Its kind, a key of `KINDS`.
        text: The printed text.
        low: The least number that is rounded to it, as a share and not in per cent. A half may be rounded either way.
        high: The greatest such number.
        label: Its class (the true class of a confusion), or "" if it is about all classes.
        predicted: The predicted class of a confusion, otherwise "".
    """

    place: str
    kind: str
    text: str
    low: Fraction
    high: Fraction
    label: str = ""
    predicted: str = ""

    @property
    def name(self) -> str:
        """Its name, such as ``recall of Covid``."""
        return KINDS[self.kind].format(label=self.label, predicted=self.predicted)

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind and classes. Figures with equal keys are about the same number."""
        return self.kind, self.label, self.predicted


@dataclass(frozen=True, slots=True)
class Claims:
    """What was published about one model on one set of rows.

    Attributes:
        title: One line that says what was published.
        data: The data set's name, or "" if the file names none.
        counts: Number of rows of each class, in the order of the file.
        places: The places that print figures, in the order of the file.
        figures: All figures, place by place.
        source: The file that was read.
    """

    title: str
    data: str
    counts: Mapping[str, int]
    places: tuple[str, ...]
    figures: tuple[Figure, ...]
    source: Path

    def at(self, places: Iterable[str]) -> tuple[Figure, ...]:
        """Return the figures that are printed in any of these places."""
        wanted = set(places)
        return tuple(figure for figure in self.figures if figure.place in wanted)

    def check_rows(self, counts: Mapping[str, int], what: str) -> None:
        """Raise `DataError` if the claims are about other classes or row counts."""
        if dict(counts) != dict(self.counts):
            raise DataError(
                f"claims '{self.source}': are about {_counted(self.counts)}, but {what} has {_counted(counts)}; "
                "name the data they were published for, or correct [counts]"
            )

    def check_classes(self, classes: Iterable[str], what: str) -> None:
        """Raise `DataError` if the claims are about other classes."""
        if sorted(classes) != sorted(self.counts):
            raise DataError(
                f"claims '{self.source}': [counts] names {', '.join(self.counts)}, but the classes of {what} are "
                f"{', '.join(sorted(classes))}; name the data they were published for, or correct [counts]"
            )


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError('must be a number as it is printed, such as 0.90 or "88 %"')
    return str(value).strip()


Printed = Annotated[str, BeforeValidator(_text)]
ByClass = dict[str, Printed]
Rows = Annotated[int, Field(ge=1, le=100_000_000, strict=True)]


class _Claim(BaseModel):
    """A table ``[[claim]]``: the figures of one place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    place: Annotated[str, Field(min_length=1, strict=True)]
    note: str = ""
    percent: Annotated[bool, Field(strict=True)] = False
    accuracy: Printed | None = None
    balanced_accuracy: Printed | None = None
    macro_recall: Printed | None = None
    macro_precision: Printed | None = None
    macro_f1: Printed | None = None
    auc: Printed | None = None
    micro_auc: Printed | None = None
    loss: Printed | None = None
    recall: ByClass = {}
    precision: ByClass = {}
    f1: ByClass = {}
    specificity: ByClass = {}
    confusion: ByClass = {}


class _File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    data: str = ""
    counts: Annotated[dict[str, Rows], Field(min_length=2)]
    claim: Annotated[list[_Claim], Field(min_length=1, max_length=_MOST_PLACES)]


def read_claims(path: Path) -> Claims:
    """Read a claims file.

    Args:
        path: The TOML file. It holds ``title`` and ``data``, the class counts in ``[counts]``, and a table
            ``[[claim]]`` for each place that prints figures.

    Raises:
        DataError: The file is missing or not TOML, has an unknown key or class, or a figure that is no printed number.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"), parse_float=str)  # 0.90 keeps its zero
    except FileNotFoundError:
        raise DataError(f"claims '{path}': no such file; start from data/claims/article.toml") from None
    except (OSError, ValueError) as error:
        raise DataError(f"claims '{path}': cannot be read as TOML ({error}); correct it") from None
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        raise DataError(f"claims '{path}': {'; '.join(_complaints(error))}") from None
    places = [claim.place for claim in file.claim]
    for place in places:
        if places.count(place) > 1 or place == ALL_PLACES:
            raise DataError(f"claims '{path}': place '{place}' is taken; give each place a name of its own")
    figures = tuple(figure for claim in file.claim for figure in _figures(claim, tuple(file.counts), path))
    for place in places:
        if not any(figure.place == place for figure in figures):
            raise DataError(f"claims '{path}': place '{place}' has no figure; add one, such as accuracy, or remove it")
    return Claims(file.title, file.data, file.counts, tuple(places), figures, path)


def printed(text: str, *, percent: bool = False, share: bool = True) -> tuple[Fraction, Fraction]:
    """Return the least and the greatest number that is printed as ``text``.

    Args:
        text: Digits with a decimal point, or in per cent as in ``88 %``. Trailing zeros count.
        percent: Whether a number without a sign is in per cent too.
        share: Whether the number is a share, so that both limits lie between 0 and 1.

    Raises:
        ValueError: ``text`` is no such number. The message says what it should be.

    Examples:
        >>> printed("0.90")
        (Fraction(179, 200), Fraction(181, 200))
        >>> printed("88 %") == printed("0.88")
        True
    """
    found = _PRINTED.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        raise ValueError(f"'{text}' must be a number as it is printed, such as 0.90 or \"88 %\", with a decimal point")
    if len(found[1]) > _MOST_DECIMALS or len(found[2] or "") > _MOST_DECIMALS:
        raise ValueError(f"'{text}' must have {_MOST_DECIMALS} digits at most on either side of the point")
    if found[3] and not share:
        raise ValueError(f"'{text}' must be without a per cent sign")
    scale = 100 if found[3] or (percent and share) else 1
    value = Fraction(text.rstrip("% ").rstrip()) / scale
    half = Fraction(1, 2 * 10 ** len(found[2] or "") * scale)
    if share and value > 1:
        raise ValueError(f"'{text}' must be a share from 0 to 1; of per cent, write \"{text} %\" or percent = true")
    return max(value - half, Fraction(0)), min(value + half, Fraction(1)) if share else value + half


def _figures(claim: _Claim, classes: tuple[str, ...], path: Path) -> Iterator[Figure]:
    where = f"claims '{path}', place '{claim.place}'"
    for kind in _SINGLE:
        if (text := getattr(claim, kind)) is not None:
            yield _figure(claim, where, kind, text)
    for kind in _BY_CLASS:
        for label, text in getattr(claim, kind).items():
            if label not in classes:
                raise DataError(f"{where}, {kind}: class '{label}' is not in [counts]; {did_you_mean(label, classes)}")
            yield _figure(claim, where, kind, text, label)
    pairs = {f"{label}{ARROW}{predicted}": (label, predicted) for label in classes for predicted in classes}
    for pair, text in claim.confusion.items():
        if pair not in pairs:
            raise DataError(
                f"{where}, confusion: '{pair}' is no pair 'class{ARROW}class' of [counts]; {did_you_mean(pair, pairs)}"
            )
        label, predicted = pairs[pair]
        kind, predicted = ("recall", "") if label == predicted else ("confusion", predicted)
        yield _figure(claim, where, kind, text, label, predicted)


def _figure(claim: _Claim, where: str, kind: str, text: str, label: str = "", predicted: str = "") -> Figure:  # noqa: PLR0913, PLR0917
    try:
        low, high = printed(text, percent=claim.percent, share=kind != "loss")
    except ValueError as error:
        raise DataError(f"{where}, {f'{kind} of {label}' if label else kind}: {error}") from None
    sign = " %" if claim.percent and kind != "loss" and "%" not in text else ""
    return Figure(claim.place, _SAME.get(kind, kind), text + sign, low, high, label, predicted)


def _complaints(error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in fault["loc"])
        key, inside = str(fault["loc"][-1]), fault["loc"][0] == "claim"
        if fault["type"] == "extra_forbidden":
            known: Mapping[str, Any] = _Claim.model_fields if inside and len(fault["loc"]) > 1 else _File.model_fields
            yield f"unknown key '{where}'; {did_you_mean(key, known)}"
        else:
            yield f"{where}: {fault['msg'].removeprefix('Value error, ').replace('Input should', 'must')}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {label}" for label, count in counts.items())
