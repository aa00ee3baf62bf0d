"""The ledger of test-set evaluations: one line each, never rewritten.

It lies in the folder of the reports. A test set is identified by its images and labels (`Dataset.content_digest`), a
model by its fingerprint. The order of evaluations is the order of the lines. A model's scorecard depends only on the
lines before the model's first one, so judging the model again changes nothing.
"""

import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from roentgate.errors import ArgumentError
from roentgate.store import make_folder

FILE: Final = "ledger.jsonl"
LOCK: Final = ".ledger.lock"
SCHEMA: Final = "roentgate.evaluation/2"
"""Schema of a line. Lines of ``roentgate.look/1`` named the digest of the images ``films``."""
MISS: Final = 0.05
"""Probability that any interval of a family misses. It is that of one 95 % interval."""

LARGEST: Final = 64 * 1024**2
"""Bytes of a ledger, about a hundred thousand evaluations. A larger file is something else."""
MOST_DAMAGED: Final = 10_000

_LONGEST: Final = 64 * 1024  # bytes of a line
_WAIT_S: Final = 60
_NAMED: Final = 5
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One evaluation of one model on the test images.

    Attributes:
        time: UTC, ``2026-01-02T03:04:05Z``.
        images: `Dataset.content_digest` of the test images.
        model: The name of the model.
        fingerprint: Digest of its sources, weights and task. A model that is trained again is another model.
        seed: Of its training.
        n: Number of test images.
        right: Number of images predicted as their class, or None if the run did not get so far.
        recalls: By class, (images predicted as it, images of it). Empty if the run did not get so far.
        accepted: Whether its scorecard was accepted.
        complete: Whether the run was complete. A filtered run evaluates the images too.
        line: Number of its line in the file, from 1. It is 0 if it was not read from a file.
    """

    time: str
    images: str
    model: str
    fingerprint: str
    seed: int
    n: int
    right: int | None
    recalls: dict[str, tuple[int, int]]
    accepted: bool
    complete: bool
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The sound lines of a ledger in order, and the numbers of the damaged ones."""

    path: Path
    evaluations: tuple[Evaluation, ...]
    damaged: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What came before a model's first evaluation on some images.

    Attributes:
        evaluations: One of each other model, in the order of their first evaluations.
        damaged: Number of lines that cannot be read. Each may hide a further model.
        known: Whether the model was evaluated before.
    """

    evaluations: tuple[Evaluation, ...]
    damaged: int
    known: bool


def now() -> str:
    """Return the current time in the format of the ledger."""
    return datetime.now(UTC).strftime(_TIME)


# The file


def size(path: Path) -> int:
    """Return the size of a ledger in bytes, 0 if there is none.

    Raises:
        ArgumentError: The path is no file.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise ArgumentError(f"ledger '{path}': cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise ArgumentError(f"ledger '{path}': is no file; move it away, so that evaluations can be recorded there")
    return found.st_size


def read(path: Path, *, upto: int | None = None) -> Ledger:
    """Read a ledger line by line.

    Damaged lines are noted and left as they are.

    Args:
        path: The file. A missing one counts as empty.
        upto: Read only so many bytes, the size of the ledger when a run began.

    Raises:
        ArgumentError: It is no file, cannot be read, is larger than `LARGEST`, or has more than `MOST_DAMAGED` damaged
            lines.
    """
    total = size(path)
    if total > LARGEST:
        raise ArgumentError(
            f"ledger '{path}': holds {total // 1024**2} MiB, more than any ledger; move it away or restore it"
        )
    evaluations, damaged = [], []
    for number, line in enumerate(_lines(path, total if upto is None else min(total, upto)), start=1):
        if not line.strip():
            continue
        found = parse(line, number)
        if found is not None:
            evaluations.append(found)
        else:
            damaged.append(number)
            if len(damaged) > MOST_DAMAGED:
                raise ArgumentError(f"ledger '{path}': is no ledger, more than {MOST_DAMAGED:,} lines are damaged")
    return Ledger(path=path, evaluations=tuple(evaluations), damaged=tuple(damaged))


def _lines(path: Path, upto: int) -> Iterator[bytes]:
    """Yield the lines of the first ``upto`` bytes.

    Of a line that is too long for an evaluation, only the beginning is returned.
    """
    if not upto:
        return
    try:
        with path.open("rb") as file:
            while (left := upto - file.tell()) > 0:
                line = part = file.readline(min(left, _LONGEST))
                while part and not part.endswith(b"\n") and (left := upto - file.tell()) > 0:
                    part = file.readline(min(left, _LONGEST))
                if not line:
                    return
                yield line
    except OSError as error:
        raise ArgumentError(f"ledger '{path}': cannot be read ({error.strerror})") from error


def parse(line: bytes, number: int = 0) -> Evaluation | None:
    """Return the evaluation in a line, or None if the line is damaged.

    A line that cannot be true counts as damaged.
    """
    try:
        raw = json.loads(line, parse_constant=_refuse)
        if raw["schema"] == "roentgate.look/1":
            raw = {{"films": "images"}.get(name, name): value for name, value in raw.items()} | {"schema": SCHEMA}
        known = {"schema", *Evaluation.__dataclass_fields__} - {"line"}
        if not isinstance(raw, dict) or set(raw) != known or raw.pop("schema") != SCHEMA:
            return None
        datetime.strptime(raw["time"], _TIME).replace(tzinfo=UTC)
        raw["recalls"] = {label: (right, n) for label, (right, n) in raw["recalls"].items()}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return Evaluation(**raw, line=number) if _sound(raw) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _sound(raw: dict[str, Any]) -> bool:
    texts = all(isinstance(raw[name], str) for name in ("time", "images", "model", "fingerprint"))
    flags = all(isinstance(raw[name], bool) for name in ("accepted", "complete"))
    shares = [*raw["recalls"].values(), (0 if raw["right"] is None else raw["right"], raw["n"])]
    counts = all(type(number) is int for pair in shares for number in pair) and type(raw["seed"]) is int
    return (
        texts
        and flags
        and counts
        and all(0 <= k <= n for k, n in shares)
        and bool(raw["images"] and raw["fingerprint"])
    )


def plain(evaluation: Evaluation) -> dict[str, object]:
    """Return an evaluation as its line holds it."""
    return {"schema": SCHEMA, **{name: value for name, value in asdict(evaluation).items() if name != "line"}}


def line_of(evaluation: Evaluation) -> bytes:
    """Return the line of an evaluation, in ASCII and with its newline."""
    return json.dumps(plain(evaluation), allow_nan=False).encode("ascii") + b"\n"


def check_writable(path: Path) -> None:
    """Check that evaluations can be recorded, without writing anything.

    A run calls this before anything is judged.

    Raises:
        ArgumentError: They cannot be recorded. The message says why and what to do.
    """
    size(path)
    above = next(each for each in (path, *path.parents) if each.exists())
    if (above != path and not above.is_dir()) or not os.access(above, os.W_OK):
        raise _unwritable(path, "not a folder" if above != path and not above.is_dir() else "no permission")


def append(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Append evaluations to a ledger.

    This is one write under a lock, and is on disk when the function returns. An unfinished last line is closed first.

    Raises:
        ArgumentError: The file or its folder cannot be written to.
    """
    if not evaluations:
        return
    size(path)
    make_folder(path.parent)
    data = b"".join(map(line_of, evaluations))
    try:
        with FileLock(path.with_name(LOCK), timeout=_WAIT_S, mode=0o666):
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                end = os.fstat(handle).st_size
                if end and os.pread(handle, 1, end - 1) != b"\n":
                    data = b"\n" + data
                if os.write(handle, data) != len(data):
                    raise _unwritable(path, "no space left")
                os.fsync(handle)
            finally:
                os.close(handle)
    except TimeoutError as error:
        raise _unwritable(path, f"another run holds {LOCK} for {_WAIT_S} s") from error
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: Path, why: str) -> ArgumentError:
    return ArgumentError(
        f"ledger '{path}': cannot be written to ({why}), and an evaluation that is not recorded is not counted; change "
        "its permissions or free some space, or choose another folder for reports (--report-dir)"
    )


def damage_words(ledger: Ledger) -> str:
    """Return a sentence that names the damaged lines, or "" if none is."""
    count = len(ledger.damaged)
    if not count:
        return ""
    numbers = ", ".join(map(str, ledger.damaged[:_NAMED])) + f" and {count - _NAMED} more" * (count > _NAMED)
    lines = "1 line is" if count == 1 else f"{count:,} lines are"
    hidden = "an evaluation" if count == 1 else "evaluations"
    restored = "it" if count == 1 else "them"
    return (
        f"{lines} damaged and may hide {hidden}: line{'s' * (count > 1)} {numbers} of {ledger.path.name}; "
        f"restore {restored} from version control if you can"
    )


# The order


def firsts(ledger: Ledger, images: str) -> list[Evaluation]:
    """Return one evaluation of every model on these images.

    The order is that of their first evaluations. Of each model it is the first evaluation that has figures.
    """
    return _firsts(evaluation for evaluation in ledger.evaluations if evaluation.images == images)


def _firsts(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    found: dict[str, Evaluation] = {}
    for evaluation in evaluations:
        if evaluation.fingerprint not in found or found[evaluation.fingerprint].right is None:
            found[evaluation.fingerprint] = evaluation
    return list(found.values())


def earlier(ledger: Ledger, *, images: str, fingerprint: str) -> Earlier:
    """Return what came before a model's first evaluation on these images.

    For a model that was not evaluated yet, this is everything.
    """
    evaluations = [evaluation for evaluation in ledger.evaluations if evaluation.images == images]
    own = next((evaluation.line for evaluation in evaluations if evaluation.fingerprint == fingerprint), None)
    end = math.inf if own is None else own
    return Earlier(
        evaluations=tuple(_firsts(evaluation for evaluation in evaluations if evaluation.line < end)),
        damaged=sum(number < end for number in ledger.damaged),
        known=own is not None,
    )


# What many evaluations cost


def confidence(models: int) -> float:
    """Return the confidence level that each of several intervals needs.

    At this level all of them hold at once in 95 % of test sets.

    References:
        Dunn, Journal of the American Statistical Association 56 (1961) 52-64 (Bonferroni's inequality).
    """
    return 1 - MISS / models


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``11th``."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
