"""What a model answered, kept beside its scorecard, so that a later model can be compared with it without it."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from roentgate.candidates import Predictions
from roentgate.data import Dataset
from roentgate.errors import ArgumentError, DataError, HarnessError
from roentgate.evidence.records import BorderRecord
from roentgate.policy import BorderBounds
from roentgate.store import atomic, digest

PREDICTIONS_FILE, SCORECARD_FILE = "predictions.json", "scorecard.json"
SCHEMA = "roentgate.predictions/2"

_LARGEST = float(np.finfo(np.float32).max)
_Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
_Index = Annotated[int, Field(ge=-1)]


class _File(BaseModel):
    """The file: answers on the test rows, and under each border perturbation the index of the answer (-1: none).

    Its last line is a digest of all others, which finds damage (a merge, an edit by hand) and stops nobody who forges
    it too; files of before there was one have none.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_: Literal["roentgate.predictions/2"]
    model: str
    fingerprint: str
    images: str
    classes: list[str]
    ids: list[str]
    labels: list[_Index]
    groups: list[str] | None
    probabilities: list[list[_Number | None]]
    border: dict[str, list[_Index]]
    donor_labels: list[_Index]
    digest: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> "_File":
        n, k = len(self.ids), len(self.classes)
        columns: list[Sequence[object]] = [
            self.labels,
            self.probabilities,
            *self.border.values(),
            self.groups or self.ids,
            self.donor_labels if self.border else self.ids,
        ]
        if any(len(column) != n for column in columns) or any(len(row) != k for row in self.probabilities):
            raise ValueError(f"not every column has {n} rows, or not every row {k} classes")
        if len(set(self.ids)) < n or len(set(self.classes)) < k:
            raise ValueError("a row or a class is named twice")
        indices = [*self.labels, *self.donor_labels, *(index for answers in self.border.values() for index in answers)]
        if max(indices, default=0) >= k or min(self.labels, default=0) < 0:
            raise ValueError(f"an index is not that of one of {k} classes")
        return self


class Named(Protocol):
    """A model, as far as it is named."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the model."""
        ...


class Judged(Protocol):
    """Evidence of a model, as far as it says of which."""

    @property
    def candidate(self) -> Named:
        """The model."""
        ...


@dataclass(frozen=True)
class Reference:
    """A model to compare with, as its predictions were stored.

    Attributes:
        name: Of the model.
        fingerprint: Of the model.
        images: `Dataset.rows_digest` of the test images that it answered.
        test: Its answers on them.
    """

    name: str
    fingerprint: str
    images: str
    test: Predictions
    answers: Mapping[str, NDArray[np.int64]]
    donor_labels: NDArray[np.int64]

    def border(self, bounds: BorderBounds) -> BorderRecord:
        """Return its answers under every perturbation that the policy names; probabilities are 1 for the answer.

        Raises:
            ArgumentError: It was stored under a policy that names other perturbations.
        """
        parts: dict[str, dict[Any, Predictions]] = {}
        for name, part, key in _names(bounds):
            if name not in self.answers:
                raise ArgumentError(
                    f"the reference '{self.name}' was stored without '{name}', which this policy names; "
                    "judge the reference under this policy first"
                )
            parts.setdefault(part, {})[key] = self._certain(self.answers[name])
        return BorderRecord(clean=self.test, donor_labels=self.donor_labels, **parts)

    def _certain(self, answers: NDArray[np.int64]) -> Predictions:
        one_hot = np.eye(len(self.test.classes), dtype=np.float32)[np.maximum(answers, 0)]
        one_hot[answers < 0] = np.nan
        test = self.test
        return Predictions(
            ids=test.ids, classes=test.classes, labels=test.labels, probabilities=one_hot, groups=test.groups
        )


def write_predictions(  # noqa: PLR0913  what the file holds, each by name
    folder: Path,
    *,
    model: str,
    fingerprint: str,
    images: str,
    test: Predictions,
    border: BorderRecord | None,
    bounds: BorderBounds,
) -> None:
    """Write what a model answered beside its scorecard, whole or not at all; equal answers give equal bytes.

    Args:
        folder: Of the scorecard.
        model: Name.
        fingerprint: Of the model.
        images: `Dataset.rows_digest` of the test images.
        test: Answers on the test rows.
        border: Answers under the perturbations of ``bounds``; None where no suite asked for them.
        bounds: Which perturbations those are.
    """
    answers = {} if border is None else {
        name: getattr(border, part)[key].answers.tolist() for name, part, key in _names(bounds)
    }  # fmt: skip
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "model": model,
        "fingerprint": fingerprint,
        "images": images,
        "classes": list(test.classes),
        "ids": list(test.ids),
        "labels": test.labels.tolist(),
        "groups": None if test.groups is None else list(test.groups),
        "probabilities": [[_short(number) for number in row] for row in test.probabilities],
        "border": answers,
        "donor_labels": [] if border is None else border.donor_labels.tolist(),
    }
    content["digest"] = _content_digest(content)
    lines = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in content.items()]
    with atomic(folder / PREDICTIONS_FILE) as draft:
        draft.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def drop_others(folder: Path, *, fingerprint: str, images: Dataset) -> None:
    """Remove stored predictions of another model, or on other images, from beside a scorecard that has none.

    What cannot be read stays: whoever would compare with it is told.

    Args:
        folder: Of the scorecard.
        fingerprint: Of its model.
        images: Its test images.
    """
    path = folder / PREDICTIONS_FILE
    with contextlib.suppress(HarnessError):
        stored = read_predictions(path)
        if stored.fingerprint != fingerprint or stored.images != images.rows_digest:
            path.unlink()


def find_stored(spec: str) -> Path | None:
    """Return the predictions that ``--reference SPEC`` means, where it is a scorecard or its folder; else None."""
    path = Path(spec).expanduser()
    folder = path.parent if path.name in {SCORECARD_FILE, PREDICTIONS_FILE} else path
    if folder.is_dir() and (folder != path or (folder / PREDICTIONS_FILE).is_file()):
        return folder / PREDICTIONS_FILE
    return None


def check_names_model(spec: str, models: Path) -> None:
    """Refuse a folder that is no model and holds no stored predictions.

    Raises:
        ArgumentError: It is one.
    """
    if Path(spec).is_dir() and not (models / f"{spec}.py").is_file():
        raise ArgumentError(
            f"--reference '{spec}': holds no {PREDICTIONS_FILE}, which a judged model leaves beside its scorecard; "
            "give a model, or the folder of a scorecard"
        )


def check_apart(spec: str | None, folders: Iterable[Path]) -> None:
    """Refuse a stored reference in a folder that a run clears or writes to: the next would find the candidate there.

    Args:
        spec: As for ``--reference``; None for nothing.
        folders: Those of the run's reports.

    Raises:
        ArgumentError: The reference lies there.
    """
    path = find_stored(spec) if spec else None
    if path is not None and path.parent.resolve() in {folder.resolve() for folder in folders}:
        raise ArgumentError(
            f"--reference '{spec}': is a folder of this run's own reports, which it clears and writes anew, so that "
            "the next would compare the candidate with itself; copy it elsewhere first, or give another --report-dir"
        )


def read_predictions(path: Path) -> Reference:
    """Read what `write_predictions` wrote.

    Raises:
        ArgumentError: The file is missing, damaged, or does not fit together; the message names it.
    """
    try:
        raw = json.loads(path.read_bytes())
        file = _File.model_validate(_as_written_today(raw))
        if file.digest not in {None, _content_digest(raw)}:
            raise ValueError("not as it was written: its content has another digest")
        if _beside(path) not in {None, file.fingerprint}:
            raise ValueError("not of the model of the scorecard beside it")
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        why = _reason(error)
        raise ArgumentError(
            f"reference '{path}': cannot be read ({why}); judge the reference again to write it"
        ) from None
    labels = np.array(file.labels, np.int64)
    rows = [[np.nan if number is None else number for number in row] for row in file.probabilities]
    return Reference(
        name=file.model,
        fingerprint=file.fingerprint,
        images=file.images,
        test=Predictions(
            ids=tuple(file.ids),
            classes=tuple(file.classes),
            labels=labels,
            probabilities=np.array(rows, np.float32).reshape(len(labels), len(file.classes)),
            groups=None if file.groups is None else tuple(file.groups),
        ),
        answers={name: np.array(answers, np.int64) for name, answers in file.border.items()},
        donor_labels=np.array(file.donor_labels, np.int64),
    )


def _as_written_today(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a file; one of schema 1 called the digest of its images ``films``."""
    renamed = {"schema": "schema_"} | ({"films": "images"} if raw["schema"] == "roentgate.predictions/1" else {})
    fields = {renamed.get(name, name): value for name, value in raw.items()}
    return fields | ({"schema_": SCHEMA} if raw["schema"] == "roentgate.predictions/1" else {})


def _beside(path: Path) -> str | None:
    """Return the fingerprint of the model of the scorecard beside stored predictions; None without one."""
    scorecard = path.with_name(SCORECARD_FILE)
    if not scorecard.is_file():
        return None
    try:
        return str(json.loads(scorecard.read_bytes())["model"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArgumentError(
            f"reference '{scorecard}': cannot be read ({_reason(error)}); judge the reference again, or take the "
            f"scorecard away to compare with the {PREDICTIONS_FILE} beside it alone"
        ) from None


def check_same_images(reference: Reference, images: Dataset, path: Path) -> None:
    """Refuse a stored reference that answered other images, or what now counts as others.

    Raises:
        DataError: Classes, rows, labels, patients or file contents differ; the message names the file.
    """
    stored = reference.test
    told = {
        "classes, or in another order,": stored.classes == images.classes,
        "test rows": stored.ids == images.ids,
        "labels": np.array_equal(stored.labels, images.labels),
        "patients": stored.groups == images.groups,
        "test images, file by file,": reference.images == images.rows_digest,
    }
    for what, same in told.items():
        if not same:
            raise DataError(
                f"reference '{path}': was judged on other {what} than these; judge the reference on this data first"
            )


def _names(bounds: BorderBounds) -> list[tuple[str, str, tuple[float, str] | float]]:
    """Return (name in the file, part of a `BorderRecord`, key in that part) of every perturbation of a policy."""
    borders = list(dict.fromkeys([*bounds.borders, *bounds.stress_borders]))
    only = list(dict.fromkeys([*bounds.only_borders, *bounds.only_stress_borders]))
    found: list[tuple[str, str, tuple[float, str] | float]] = []
    for part, widths in (("masked", borders), ("only", only)):
        found += [
            (f"{part} {width:g} {infill}", part, (width, infill)) for width in widths for infill in bounds.infills
        ]
    return found + [(f"{part} {width:g}", part, width) for part in ("interior", "other", "same") for width in borders]


def _content_digest(content: Mapping[str, object]) -> str:
    return digest({name: value for name, value in content.items() if name != "digest"})


def _short(number: np.float32) -> float | None:
    """Return the shortest decimal that reads as this float32 again; None for NaN and infinity."""
    return float(str(number)) if np.isfinite(number) else None


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    if isinstance(error, OSError):
        return error.strerror or "no file"
    words = str(error)
    return words if words.startswith("not ") else f"{type(error).__name__}: not such a record"


def names_of(reference: Named | Judged) -> tuple[str, str]:
    """Return the name and the fingerprint of what is compared with: a `Reference`, or an `Evidence`."""
    source = reference.candidate if hasattr(reference, "candidate") else reference
    return source.name, source.fingerprint
