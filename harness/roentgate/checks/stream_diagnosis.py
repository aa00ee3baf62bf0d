"""Diagnosis of a stream from where its rows, labels and columns went."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from roentgate.arrays import IntArray
from roentgate.candidates import Predictions
from roentgate.evidence import SURE, Pass, StreamRecord
from roentgate.stats import Estimate, permutation_p, undefined

LEAST_ROWS = 10
"""Least number of rows of a class with which permuted columns can be found."""

_SIGNIFICANT = 0.05
_COLUMNS_SIGNIFICANT = 0.01
_MOSTLY = 0.8


@dataclass(frozen=True, slots=True)
class Story:
    """Diagnosis of a stream: what happened to its order, labels or columns.

    Attributes:
        name: Name of the diagnosis.
        k: Number of places shifted, or of rows dropped, missing or repeated. None if there is no such number.
        p_value: P-value of the fit against random orders (or random labels).
        text: A sentence for the scorecard.
    """

    name: str
    k: int | None
    p_value: Estimate
    text: str


class _Case:
    """A record under diagnosis: its first pass and the settings of the permutation tests."""

    def __init__(self, record: StreamRecord, draws: int, seed: int) -> None:
        self.record = record
        self.n = len(record)
        self.rows = record.sequences[0]
        self.positions = np.arange(len(self.rows))
        self.draws, self.seed = draws, seed

    def story(self, name: str, k: int | None, text: str, statistic: Callable[[IntArray], float]) -> Story:
        """Return a story with the p-value of ``statistic`` over random orders."""
        p_value = chance(statistic, self.rows, draws=self.draws, seed=self.seed)
        return Story(name, k, p_value, f"{text} (p = {p_value.value:.2g} against random orders)")

    def likely(self, name: str, k: int | None, text: str, statistic: Callable[[IntArray], float]) -> Story | None:
        """Return the story if half of the positions fit it, and more than by chance."""
        if statistic(self.rows) < 0.5:
            return None
        story = self.story(name, k, text, statistic)
        return story if story.p_value.value < _SIGNIFICANT else None


@lru_cache(maxsize=8)
def diagnose(record: StreamRecord, draws: int = 2000, seed: int = 0) -> Story:
    """Return the diagnosis that explains a stream best.

    Args:
        record: What was observed.
        draws: Number of random orders that it is compared with.
        seed: Seed of these draws.

    Returns:
        One of: in order · class columns permuted · labels shuffled · labels not one-hot · splits swapped · not
        recognised · right in the first pass and wrong in a later one · goes on past its end · last partial batch
        dropped · a row missing · a row repeated · reversed · shifted · sorted by brightness · out of place · shuffled,
        the same in every pass · shuffled, different in every pass.
    """
    case = _Case(record, draws, seed)
    for diagnosis in (_in_order, _swapped, _unrecognised, _first_only, _in_pieces, _reversed, _shifted, _by_brightness):
        story = diagnosis(case)
        if story is not None:
            return story
    return _shuffled(case)


def chance(statistic: Callable[[IntArray], float], items: IntArray, *, draws: int, seed: int) -> Estimate:
    """Return the permutation p-value of ``statistic(items)``.

    It is the share of random orders of ``items`` whose statistic is as large.
    """
    generator = np.random.default_rng(seed)
    observed = statistic(items)
    return permutation_p(sum(statistic(generator.permutation(items)) >= observed for _ in range(draws)), draws)


def columns(labels: IntArray, answers: IntArray, classes: Sequence[str], *, draws: int, seed: int) -> Estimate:
    """Return the p-value of the rows gained by the best assignment of columns.

    It is the share of random labels that gain as many rows by another assignment of columns to classes.

    Args:
        labels: True classes int64 [n].
        answers: Most probable columns int64 [n], -1 for none.
        classes: The K class names.
        draws: Number of random orders of the labels.
        seed: Seed of these draws.

    Returns:
        Permutation p-value (small: the columns are permuted). NaN in [0, 1] if a class has fewer than `LEAST_ROWS`
        rows, or if even the best assignment is no better than chance.
    """
    fewest = int(np.bincount(labels, minlength=len(classes)).min())
    unknown = replace(permutation_p(0, 0), n=len(labels))
    if fewest < LEAST_ROWS:
        reason = f"a class has {fewest} rows; columns can be told apart from {LEAST_ROWS} rows a class"
        return replace(unknown, detail=reason)

    def best(order: IntArray) -> float:
        return _assignment(order, answers, len(classes))[1]

    def gained(order: IntArray) -> float:
        _, hits, plain = _assignment(order, answers, len(classes))
        return hits - plain

    if chance(best, labels, draws=draws, seed=seed).value > _SIGNIFICANT:
        return replace(unknown, detail="under no assignment of columns to classes are the answers better than chance")
    order, hits, plain = _assignment(labels, answers, len(classes))
    detail = f"p-value over {draws:,} random orders; {plain} of {len(labels)} right as the columns stand"
    if hits > plain:
        detail += f", {hits} if {_mapping(order, classes)}"
    return replace(chance(gained, labels, draws=draws, seed=seed), detail=detail)


def _assignment(labels: IntArray, answers: IntArray, count: int) -> tuple[IntArray, int, int]:
    """Return the best assignment of columns, its right rows and those without it."""
    known = answers >= 0
    confusion = np.bincount(labels[known] * count + answers[known], minlength=count * count).reshape(count, count)
    order = linear_sum_assignment(-confusion)[1]
    return order, int(confusion[np.arange(count), order].sum()), int(np.trace(confusion))


def _in_place(rows: IntArray) -> float:
    """Return the share of positions that hold their own row."""
    return float((rows == np.arange(len(rows))).mean()) if len(rows) else 0.0


def _orderly(each: Pass, rows: IntArray, n: int) -> bool:
    """Whether a pass is in order, except for a few images altered beyond recognition."""
    uncertain = each.correlation[: len(rows)] < SURE
    astray = rows != np.arange(len(rows))
    return len(rows) == n and bool(uncertain[astray].all()) and (not astray.any() or _in_place(rows) >= _MOSTLY)


def _mapping(order: IntArray, classes: Sequence[str]) -> str:
    moved = [f"'{classes[column]}' means '{classes[row]}'" for row, column in enumerate(order) if row != column]
    return " and ".join(moved)


def _in_order(case: _Case) -> Story | None:
    record = case.record
    if not all(_orderly(each, rows, case.n) for each, rows in zip(record.passes, record.sequences, strict=True)):
        return None
    unsure = max(int((rows != np.arange(case.n)).sum()) for rows in record.sequences)
    text = f"the images are in order, though {unsure} of them are altered beyond recognition" if unsure else "in order"
    chance_of_order = chance(_in_place, case.rows, draws=case.draws, seed=case.seed)
    return _labels(case) or _columns(case) or Story("in order", unsure or None, chance_of_order, text)


def _labels(case: _Case) -> Story | None:
    """Diagnose the labels of images that are in order."""
    record, truth = case.record, case.record.labels
    given = record.stream_labels[: case.n]
    if len(given) != case.n or bool((given == truth).all()):
        return None
    p_value = chance(lambda order: float((order == given).sum()), truth, draws=case.draws, seed=case.seed)
    invalid = int((given < 0).sum())
    if 2 * invalid >= case.n:
        return Story("labels not one-hot", invalid, p_value, f"{invalid} of {case.n} labels are not one-hot")
    order, hits, right = _assignment(truth, given, len(record.classes))
    if hits > right and hits >= _MOSTLY * case.n:
        fit = chance(
            lambda labels: _assignment(labels, given, len(record.classes))[1], truth, draws=case.draws, seed=case.seed
        )
        text = f"class columns permuted in the labels: {_mapping(order, record.classes)} in {hits} of {case.n} rows"
        return Story("class columns permuted", None, fit, f"{text} (p = {fit.value:.2g} against random labels)")
    text = f"the images are in order, their labels are not: {case.n - right} of {case.n} are wrong"
    return Story("labels shuffled", case.n - right, p_value, text)


def _columns(case: _Case) -> Story | None:
    """Diagnose answers whose columns stand for other classes."""
    record = case.record
    answers = Predictions(
        ids=record.ids, classes=record.classes, labels=record.labels, probabilities=record.probabilities
    ).answers
    p_value = columns(record.labels, answers, record.classes, draws=case.draws, seed=case.seed)
    if not p_value.value < _COLUMNS_SIGNIFICANT:
        return None
    text = f"class columns permuted in the model's answers: {p_value.detail} (p = {p_value.value:.2g})"
    return Story("class columns permuted", None, p_value, text)


def _swapped(case: _Case) -> Story | None:
    first = case.record.passes[0]
    foreign = first.foreign[first.foreign >= 0]
    if not len(foreign) or 2 * len(foreign) < len(first):
        return None
    source = case.record.other_splits[int(np.bincount(foreign).argmax())]
    text = (
        f"splits swapped: {len(foreign)} of {len(first)} images are images of '{source}', not of '{case.record.split}'"
    )
    nothing = undefined(0, low=0.0, high=1.0, method="no order to permute")
    return Story("splits swapped", None, nothing, text)


def _unrecognised(case: _Case) -> Story | None:
    unknown = int((case.rows < 0).sum())
    if not unknown or 2 * unknown < len(case.rows):
        return None
    nothing = undefined(0, low=0.0, high=1.0, method="no order to permute")
    text = f"not recognised: {unknown} of {len(case.rows)} images are no image of '{case.record.split}' (blank? noise?)"
    return Story("not recognised", unknown, nothing, text)


def _first_only(case: _Case) -> Story | None:
    record = case.record
    right = [_orderly(each, rows, case.n) for each, rows in zip(record.passes, record.sequences, strict=True)]
    if not right[0] or all(right):
        return None
    wrong = right.index(False)
    in_place = _in_place(record.sequences[wrong])
    text = f"right in the first pass and wrong in pass {wrong + 1}, where {in_place:.0%} of the images are in place"
    return case.story("right in the first pass and wrong in a later one", wrong + 1, text, _in_place)


def _in_pieces(case: _Case) -> Story | None:
    """Diagnose rows that a first pass in ascending order leaves out or repeats."""
    rows, n, ids = case.rows, case.n, case.record.ids
    if len(rows) > n and _in_place(rows[:n]) == 1:
        text = f"the stream goes on after its {n} rows, for at least {len(rows) - n} images more"
        return case.story("goes on past its end", len(rows) - n, text, _in_place)
    known = rows[rows >= 0]
    counts = np.bincount(known, minlength=n)
    missing, repeated = np.flatnonzero(counts == 0), np.flatnonzero(counts > 1)
    if (np.diff(known) < 0).any() or not (len(missing) or len(repeated)):
        return None
    partial = n % case.record.batch_size
    if len(repeated):
        name, k, text = "a row repeated", len(repeated), f"in order, but repeated: {named(ids, repeated)}"
    elif partial and np.array_equal(missing, np.arange(n - partial, n)):
        name, k = "last partial batch dropped", partial
        text = f"last partial batch dropped: the last {partial} of {n} rows are missing"
    else:
        name, k, text = "a row missing", len(missing), f"in order, but missing: {named(ids, missing)}"
    return case.story(name, k, text, _ascending)


def _reversed(case: _Case) -> Story | None:
    expected = case.n - 1 - case.positions
    return case.likely(
        "reversed", None, "reversed: the last row comes first", lambda rows: float((rows == expected).mean())
    )


def _shifted(case: _Case) -> Story | None:
    if not len(case.rows):
        return None

    def steps(rows: IntArray) -> IntArray:
        return np.bincount(((rows - case.positions) % case.n)[rows >= 0], minlength=case.n)[1:]

    k = int(steps(case.rows).argmax()) + 1 if case.n > 1 else 0
    k = k - case.n if 2 * k > case.n else k
    text = f"shifted by {k}: position i shows row i {'+' if k > 0 else '-'} {abs(k)}"
    return case.likely("shifted", k, text, lambda rows: float(steps(rows).max(initial=0)) / len(rows))


def _by_brightness(case: _Case) -> Story | None:
    brightness = case.record.passes[0].brightness

    def monotone(order: IntArray) -> float:
        steps = np.diff(brightness[order])
        return max(float((steps >= 0).mean()), float((steps <= 0).mean())) if len(steps) else 0.0

    if monotone(case.positions) < 1:
        return None
    p_value = chance(monotone, case.positions, draws=case.draws, seed=case.seed)
    if p_value.value >= _SIGNIFICANT:
        return None
    text = f"sorted by brightness (p = {p_value.value:.2g} against random orders)"
    return Story("sorted by brightness", None, p_value, text)


def _shuffled(case: _Case) -> Story:
    first, *later = case.record.sequences
    repeats = all(np.array_equal(first, rows) for rows in later)
    p_value = chance(_in_place, case.rows, draws=case.draws, seed=case.seed)
    if repeats and _in_place(first) >= _MOSTLY:
        astray = np.flatnonzero(first != case.positions)
        text = f"{len(astray)} images out of place, the same in every pass: at {named(case.record.ids, astray)}"
        return Story("out of place", len(astray), p_value, text)
    name = "shuffled, the same in every pass" if repeats else "shuffled, different in every pass"
    text = f"{name}: {_in_place(first):.0%} of the images of the first pass are in place"
    return Story(name, None, p_value, text)


def _ascending(rows: IntArray) -> float:
    """Return the share of steps between recognised images that do not go back."""
    steps = np.diff(rows[rows >= 0])
    return float((steps >= 0).mean()) if len(steps) else 0.0


def named(ids: Sequence[str], rows: IntArray) -> str:
    """Return the first three ids of ``rows``, and the number of the others.

    Examples:
        >>> named(("a", "b", "c", "d", "e"), np.array([0, 2, 3, 4]))
        'a, c, d and 1 more'
    """
    first = ", ".join(ids[row] for row in rows[:3])
    return f"{first} and {len(rows) - 3} more" if len(rows) > 3 else first
