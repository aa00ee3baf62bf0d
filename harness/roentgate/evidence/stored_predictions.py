"""Predictions of a model, stored with its scorecard.

A later model can be compared with them without the earlier model.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    """Content of the file of predictions.

    It holds the probabilities on the test rows, and the index of the answer under each border perturbation (-1 for
    none). The digest covers all other fields. It detects damage such as a merge or an edit by hand, but not forgery.
    Older files have no digest.
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
    donor_rows: list[_Index] | None = None
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
            self.ids if self.donor_rows is None else self.donor_rows,
        ]
        if any(len(column) != n for column in columns) or any(len(row) != k for row in self.probabilities):
            raise ValueError(f"not every column has {n} rows, or not every row {k} classes")
        if len(set(self.ids)) < n or len(set(self.classes)) < k:
            raise ValueError("a row or a class is named twice")
        indices = [*self.labels, *self.donor_labels, *(index for answers in self.border.values() for index in answers)]
        if max(indices, default=0) >= k or min(self.labels, default=0) < 0:
            raise ValueError(f"an index is not that of one of {k} classes")
        if max(self.donor_rows or [], default=0) >= n:
            raise ValueError(f"a donor is not one of {n} rows")
        return self


class Named(Protocol):
    """A model with a name and a fingerprint."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""
        ...


class Judged(Protocol):
    """Evidence that names its model."""

    @property
    def candidate(self) -> Named:
        """The model that was judged."""
        ...


@dataclass(frozen=True)
class Reference:
    """Stored predictions of a model to compare with.

    Attributes:
        name: Name of the model.
        fingerprint: Fingerprint of the model.
        images: `Dataset.rows_digest` of the test images.
        test: Answers on the test images.
        answers: Index of the answer to each row under each border perturbation, int64 (n,), by name. -1 for none.
        donor_labels: Class of each row's donor of another class, int64 (n,).
        donor_rows: The row that is this donor, int64 (n,), or None in a file of before it was kept.
    """

    name: str
    fingerprint: str
    images: str
    test: Predictions
    answers: Mapping[str, NDArray[np.int64]]
    donor_labels: NDArray[np.int64]
    donor_rows: NDArray[np.int64] | None = None

    def border(self, bounds: BorderBounds) -> BorderRecord:
        """Return the answers under each border perturbation of the policy.

        Only the answers are stored, so the probability of the answer is 1 and that of all other classes 0.

        Raises:
            ArgumentError: The predictions were stored under a policy with other perturbations.
        """
        parts: dict[str, dict[Any, Predictions]] = {}
        for name, part, key in _names(bounds):
            if name not in self.answers:
                raise ArgumentError(
                    f"the reference '{self.name}' was stored without '{name}', which this policy names; "
                    "judge the reference under this policy first"
                )
            parts.setdefault(part, {})[key] = self._certain(self.answers[name])
        return BorderRecord(clean=self.test, donor_labels=self.donor_labels, donor_rows=self.donor_rows, **parts)

    def _certain(self, answers: NDArray[np.int64]) -> Predictions:
        one_hot = np.eye(len(self.test.classes), dtype=np.float32)[np.maximum(answers, 0)]
        one_hot[answers < 0] = np.nan
        test = self.test
        return replace(test, probabilities=one_hot)


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
    """Write the predictions of a model to the folder of its scorecard.

    The file is written completely or not at all. Equal predictions give equal bytes.

    Args:
        folder: Folder of the scorecard.
        model: Name of the model.
        fingerprint: Fingerprint of the model.
        images: `Dataset.rows_digest` of the test images.
        test: Answers on the test rows.
        border: Answers under the perturbations of ``bounds``, or None if no suite asked for them.
        bounds: Names the border perturbations.
    """
    answers: dict[str, list[int]] = {}
    if border is not None:
        answers = {name: getattr(border, part)[key].answers.tolist() for name, part, key in _names(bounds)}
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "model": model,
        "fingerprint": fingerprint,
        "images": images,
        "classes": list(test.classes),
        "ids": list(test.ids),
        "labels": test.labels.tolist(),
        "groups": list(test.groups) if test.groups is not None and test.unit == "patient" else None,
        "probabilities": [[_short(number) for number in row] for row in test.probabilities],
        "border": answers,
        "donor_labels": [] if border is None else border.donor_labels.tolist(),
    }
    if border is not None and border.donor_rows is not None:
        content["donor_rows"] = border.donor_rows.tolist()
    content["digest"] = _content_digest(content)
    lines = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in content.items()]
    with atomic(folder / PREDICTIONS_FILE) as draft:
        draft.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def drop_others(folder: Path, *, fingerprint: str, images: Dataset) -> None:
    """Remove stored predictions of another model or on other images.

    A file that cannot be read is kept, so that a comparison with it reports the damage.

    Args:
        folder: Folder of the scorecard.
        fingerprint: Fingerprint of the scorecard's model.
        images: Test images of the scorecard.
    """
    path = folder / PREDICTIONS_FILE
    with contextlib.suppress(HarnessError):
        stored = read_predictions(path)
        if stored.fingerprint != fingerprint or stored.images != images.rows_digest:
            path.unlink()


def find_stored(spec: str) -> Path | None:
    """Return the file of predictions that ``--reference SPEC`` names.

    None if ``spec`` is neither a scorecard nor its folder.
    """
    path = Path(spec).expanduser()
    folder = path.parent if path.name in {SCORECARD_FILE, PREDICTIONS_FILE} else path
    if folder.is_dir() and (folder != path or (folder / PREDICTIONS_FILE).is_file()):
        return folder / PREDICTIONS_FILE
    return None


def check_names_model(spec: str, models: Path) -> None:
    """Refuse a folder that is no model and holds no predictions.

    Raises:
        ArgumentError: ``spec`` is such a folder.
    """
    if Path(spec).is_dir() and not (models / f"{spec}.py").is_file():
        raise ArgumentError(
            f"--reference '{spec}': holds no {PREDICTIONS_FILE}, which a judged model leaves beside its scorecard; "
            "give a model, or the folder of a scorecard"
        )


def check_apart(spec: str | None, folders: Iterable[Path]) -> None:
    """Refuse a stored reference in a folder that the run writes to.

    The run would replace the reference by the candidate, and the next run would compare the candidate with itself.

    Args:
        spec: As for ``--reference``, or None for no reference.
        folders: Report folders of the run.

    Raises:
        ArgumentError: The reference lies in one of the folders.
    """
    path = find_stored(spec) if spec else None
    if path is not None and path.parent.resolve() in {folder.resolve() for folder in folders}:
        raise ArgumentError(
            f"--reference '{spec}': is a folder of this run's own reports, which it clears and writes anew, so that "
            "the next would compare the candidate with itself; copy it elsewhere first, or give another --report-dir"
        )


def read_predictions(path: Path) -> Reference:
    """Return the predictions that `write_predictions` wrote.

    Raises:
        ArgumentError: The file is missing, damaged or inconsistent. The message names it.
    """
    try:
        raw = json.loads(path.read_bytes())
        file = _File.model_validate(_as_written_today(raw))
        if file.digest not in {None, _content_digest(raw)}:
            raise ValueError("not as it was written: its content has another digest")
        if _beside(path) not in {None, file.fingerprint}:
            raise ValueError("not of the model of the scorecard beside it")
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ArgumentError(
            f"reference '{path}': cannot be read ({_reason(error)}); judge the reference again to write it"
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
            model=file.fingerprint,
        ),
        answers={name: np.array(answers, np.int64) for name, answers in file.border.items()},
        donor_labels=np.array(file.donor_labels, np.int64),
        donor_rows=None if file.donor_rows is None else np.array(file.donor_rows, np.int64),
    )


def _as_written_today(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a file's fields under their names in the current schema.

    In schema 1 the digest of the images is named ``films``.
    """
    renamed = {"schema": "schema_"} | ({"films": "images"} if raw["schema"] == "roentgate.predictions/1" else {})
    fields = {renamed.get(name, name): value for name, value in raw.items()}
    return fields | ({"schema_": SCHEMA} if raw["schema"] == "roentgate.predictions/1" else {})


def _beside(path: Path) -> str | None:
    """Return the model fingerprint of the scorecard beside it, or None."""
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
    """Refuse a stored reference that was judged on other test data.

    Raises:
        DataError: Classes, rows, labels, patients or file contents differ. The message names the file.
    """
    stored = reference.test
    equal = {
        "classes, or in another order,": stored.classes == images.classes,
        "test rows": stored.ids == images.ids,
        "labels": np.array_equal(stored.labels, images.labels),
        "patients": stored.groups == images.groups,
        "test images, file by file,": reference.images == images.rows_digest,
    }
    for part, same in equal.items():
        if not same:
            raise DataError(
                f"reference '{path}': was judged on other {part} than these; judge the reference on this data first"
            )


def in_units(reference: Reference, images: Dataset) -> Reference:
    """Return a reference on the same images with the units that these have today.

    A file names patients only. Clusters of near-duplicates are looked for in the images, which are the same.
    """
    return replace(
        reference,
        test=replace(
            reference.test, groups=images.units, grouped_by="patient" if images.units is None else images.unit
        ),
    )


def _names(bounds: BorderBounds) -> list[tuple[str, str, tuple[float, str] | float]]:
    """Return the border perturbations of a policy.

    Each is (name in the file, field of a `BorderRecord`, key in that field).
    """
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
    """Return the shortest decimal that reads as the same float32.

    None for NaN and infinity.
    """
    return float(str(number)) if np.isfinite(number) else None


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    if isinstance(error, OSError):
        return error.strerror or "no file"
    message = str(error)
    return message if message.startswith("not ") else f"{type(error).__name__}: not such a record"


def names_of(reference: Named | Judged) -> tuple[str, str]:
    """Return the name and fingerprint of a `Reference` or an `Evidence`."""
    source = reference.candidate if hasattr(reference, "candidate") else reference
    return source.name, source.fingerprint
