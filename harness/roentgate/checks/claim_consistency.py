"""Whether any confusion matrix gives a set of published figures.

This is an integer feasibility problem over the K x K counts of a matrix with known row sums. Accuracy, recall,
precision, F1, specificity, balanced accuracy and every entry are ratios of linear forms in the counts, so that the
printed range of each is two inequalities with integer coefficients. HiGHS searches for integers that meet them. Each
inequality is loosened by half a unit. That neither adds nor removes an integer solution, and makes the solver's
tolerance irrelevant. Its solution is checked with exact fractions.

Loss and AUC are no functions of the counts. But a wrong row gives its true class a probability of at most 1/2, so that
each wrong row costs a loss of log 2 or more. Macro precision and macro F1 are sums of ratios, so they are only compared
with the printed values of the classes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Final

import numpy as np

from roentgate.checks.claims import ALL_PLACES, Claims, Figure
from roentgate.errors import DataError
from roentgate.stats import Estimate
from roentgate.stats import estimate as estimates

Matrix = tuple[tuple[int, ...], ...]
Form = dict[int, Fraction]
Row = tuple[dict[int, int], int]

ONE: Final = -1
"""Key of a form's constant."""

LN2: Final = Fraction(693147180559945, 10**15)
"""A little less than log 2."""

UNCOUNTED: Final = frozenset({"auc", "micro_auc", "loss", "macro_precision", "macro_f1"})
"""Kinds of figures that do not follow from the counts alone."""

_PARTS: Final = {"macro_precision": "precision", "macro_f1": "f1"}
_LARGE: Final = 10**5
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a set of figures can be true together.

    Attributes:
        places: The places that print the figures.
        figures: The figures.
        witness: A confusion matrix that gives them all (true class in rows, in the order of the counts), or None if
            there is none.
        right: The least and the greatest number of right answers among all such matrices.
        conflicts: Minimal sets of figures that cannot be true together.
        reasons: One sentence for each conflict.
    """

    places: tuple[str, ...]
    figures: tuple[Figure, ...]
    witness: Matrix | None = None
    right: tuple[int, int] = (0, 0)
    conflicts: tuple[tuple[Figure, ...], ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def consistent(self) -> bool:
        """Whether the figures can be true together."""
        return self.witness is not None

    @property
    def subject(self) -> str:
        """The place, or several places as ``A + B``."""
        return " + ".join(self.places)

    @property
    def estimate(self) -> Estimate:
        """Share of the figures in no conflict: a census, 1 if all can be true."""
        against = {figure for conflict in self.conflicts for figure in conflict}
        if self.consistent:
            n = sum(map(sum, self.witness or ()))
            least, most = self.right
            detail = f"{least:,} of {n:,} right" if least == most else f"{least:,} to {most:,} of {n:,} right"
        else:
            detail = "; ".join(self.reasons)
        return estimates.census(len(self.figures) - len(against), len(self.figures), unit="figure", detail=detail)


def examine(claims: Claims, places: Sequence[str]) -> Finding:
    """Find a matrix that gives all figures of these places, or conflicts.

    Returns:
        The matrix, if there is one. Otherwise each figure that is impossible by itself, and each impossible pair of the
        others. If there is neither, one minimal set of figures that no matrix gives.

    Raises:
        DataError: The solver reaches no decision.
    """
    figures, counts = claims.at(places), claims.counts
    witness = solve(counts, figures)
    if witness is None:
        conflicts = tuple(_conflicts(counts, figures))
        return Finding(
            tuple(places), figures, conflicts=conflicts, reasons=tuple(_reason(counts, each) for each in conflicts)
        )
    return Finding(tuple(places), figures, witness, right_answers(counts, figures))


def examine_all(claims: Claims) -> list[Finding]:
    """Examine each place, each pair of places, and all places together."""
    single = [(place,) for place in claims.places]
    together = [claims.places] if len(claims.places) > 2 else []
    return [examine(claims, places) for places in [*single, *combinations(claims.places, 2), *together]]


def agreeing(claims: Claims, findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return the maximal sets of places that can be true together, largest first."""
    apart = [set(finding.places) for finding in findings if not finding.consistent]
    found: list[tuple[str, ...]] = []
    for size in range(len(claims.places), 0, -1):
        for places in combinations(claims.places, size):
            chosen = set(places)
            if any(chosen <= set(larger) for larger in found) or any(pair <= chosen for pair in apart):
                continue
            if size < 3 or solve(claims.counts, claims.at(places)) is not None:
                found.append(places)
    return found


def verdicts(claims: Claims) -> Iterator[tuple[str, Estimate]]:
    """Yield (subject, estimate) of each place, and of all places together."""
    for places in [*((place,) for place in claims.places), *([claims.places] if len(claims.places) > 1 else [])]:
        finding = examine(claims, places)
        yield finding.subject if len(places) == 1 else ALL_PLACES, finding.estimate


def right_answers(counts: Mapping[str, int], figures: Sequence[Figure]) -> tuple[int, int]:
    """Return the least and the greatest number of right answers that give the figures.

    The figures must be possible together.
    """
    least, most = (solve(counts, figures, objective=sign) or () for sign in (-1, 1))
    return _right(least), _right(most)


def solve(counts: Mapping[str, int], figures: Sequence[Figure], *, objective: int = 0) -> Matrix | None:
    """Return a confusion matrix that gives all figures, or None.

    Args:
        counts: Number of rows of each class, each at least 1.
        figures: The figures to give. Those of `UNCOUNTED` only add the conditions that follow from the counts.
        objective: 1 for as many right answers as possible, -1 for as few as possible.

    Raises:
        DataError: The solver reaches no decision.
    """
    if not _laws_hold(figures, counts):
        return None
    rows = [row for figure in figures for row in _rows(figure, counts)]
    for shift in (0.5, -0.5):  # loosened bounds lose no solution, tightened bounds admit no wrong one
        impossible, found = _search(list(counts.values()), rows, objective, shift)
        if impossible and shift > 0:
            return None
        if found is not None and _met(found, rows):
            size = len(counts)
            return tuple(tuple(found[size * i : size * (i + 1)]) for i in range(size))
    raise DataError(
        f"claims: the solver could not decide whether {len(figures)} figures on {sum(counts.values()):,} rows are "
        "possible together; leave out decimals or figures"
    )


def gives(matrix: Matrix, figure: Figure, counts: Mapping[str, int]) -> bool | None:
    """Whether a matrix gives a figure.

    None if the figure does not follow from the counts (`UNCOUNTED`), or is a ratio with denominator 0.
    """
    if figure.kind in UNCOUNTED:
        return None
    cells = [count for row in matrix for count in row]
    above, below = _ratio(figure, counts)
    bottom = _value(below, cells)
    return figure.low <= _value(above, cells) / bottom <= figure.high if bottom else None


def _conflicts(counts: Mapping[str, int], figures: Sequence[Figure]) -> Iterator[tuple[Figure, ...]]:
    def possible(some: Sequence[Figure]) -> bool:
        return solve(counts, some) is not None

    alone = [figure for figure in figures if not possible([figure])]
    others = [figure for figure in figures if figure not in alone]
    pairs = [pair for pair in combinations(others, 2) if not possible(pair)]
    yield from ((figure,) for figure in alone)
    yield from pairs
    if not alone and not pairs:
        kept = list(others)
        for figure in others:  # the deletion filter: a set that stays impossible without a figure does not need it
            fewer = [member for member in kept if member is not figure]
            if not possible(fewer):
                kept = fewer
        yield tuple(kept)


def _reason(counts: Mapping[str, int], conflict: Sequence[Figure]) -> str:
    """Describe a conflict, and the right answers that the others allow if it holds an accuracy."""
    names = [f"{figure.name} {figure.text} ({figure.place})" for figure in conflict]
    if len(names) == 1:
        return f"no matrix of these counts gives {names[0]}"
    joined = f"{', '.join(names[:-1])} and {names[-1]}"
    if len(names) == 2:
        return f"{joined} exclude one another"
    others = [figure for figure in conflict if figure.kind != "accuracy"]
    if len(others) == len(conflict):
        return f"{joined} cannot all be true, any {len(names) - 1} of them can"
    (least, most), total = right_answers(counts, others), sum(counts.values())
    range_ = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    shares = f"{least / total:.4f}" if least == most else f"{least / total:.4f} to {most / total:.4f}"
    return f"{joined} cannot all be true: without the accuracy, {range_} of {total:,} are right ({shares})"


def _laws_hold(figures: Iterable[Figure], counts: Mapping[str, int]) -> bool:
    """Whether figures with equal keys, and macro figures with their classes, agree."""
    ranges: dict[tuple[str, str, str], tuple[Fraction, Fraction]] = {}
    for figure in figures:
        low, high = ranges.get(figure.key, (figure.low, figure.high))
        ranges[figure.key] = max(low, figure.low), min(high, figure.high)
    for macro, part in _PARTS.items():
        if (macro, "", "") in ranges:
            parts = [ranges.get((part, label, ""), (Fraction(0), Fraction(1))) for label in counts]
            low, high = ranges[macro, "", ""]
            least, most = (sum(side) / len(parts) for side in zip(*parts, strict=True))
            ranges[macro, "", ""] = max(low, least), min(high, most)
    return all(low <= high for low, high in ranges.values())


def _ratio(figure: Figure, counts: Mapping[str, int]) -> tuple[Form, Form]:
    """Return a figure's numerator and denominator as forms in the cells.

    Cells are numbered row by row. The denominator is never negative.
    """
    labels, sizes, n = list(counts), list(counts.values()), len(counts)
    one = Fraction(1)
    if figure.kind == "accuracy":
        return {n * i + i: one for i in range(n)}, {ONE: Fraction(sum(sizes))}
    if figure.kind == "balanced_accuracy":
        return {n * i + i: Fraction(1, n * size) for i, size in enumerate(sizes)}, {ONE: one}
    k = labels.index(figure.label)
    hit, column = n * k + k, {n * i + k: one for i in range(n)}
    if figure.kind == "precision":
        return {hit: one}, column
    if figure.kind == "f1":
        return {hit: Fraction(2)}, column | {ONE: Fraction(sizes[k])}
    if figure.kind == "specificity":
        others = Fraction(sum(sizes) - sizes[k])
        return {cell: -one for cell in column if cell != hit} | {ONE: others}, {ONE: others}
    predicted = labels.index(figure.predicted or figure.label)
    return {n * k + predicted: one}, {ONE: Fraction(sizes[k])}


def _rows(figure: Figure, counts: Mapping[str, int]) -> Iterator[Row]:
    """Yield a figure's conditions: integer coefficients and the least value of their form."""
    size, total = len(counts), sum(counts.values())
    if figure.kind == "loss":
        wrong = math.floor(figure.high * total / LN2)
        yield {size * i + i: 1 for i in range(size)}, total - wrong
    if figure.kind in UNCOUNTED:
        return
    above, below = _ratio(figure, counts)
    yield _integers(_plus(above, below, -figure.low))
    yield _integers(_plus({cell: -weight for cell, weight in above.items()}, below, figure.high))
    if (
        figure.kind == "precision" and figure.low > 0
    ):  # undefined without predictions of the class; scikit-learn prints 0
        yield {cell: 1 for cell in below}, 1


def _plus(form: Form, other: Form, times: Fraction) -> Form:
    return {cell: form.get(cell, Fraction(0)) + times * other.get(cell, Fraction(0)) for cell in {*form, *other}}


def _integers(form: Form) -> Row:
    """Return ``form >= 0`` with coprime integer coefficients.

    The constant is moved to the right-hand side and rounded up.
    """
    weights = {cell: weight for cell, weight in form.items() if cell != ONE and weight}
    common = math.lcm(*(weight.denominator for weight in weights.values()))
    scale = Fraction(common, math.gcd(*(int(weight * common) for weight in weights.values())) or 1)
    return {cell: int(weight * scale) for cell, weight in weights.items()}, math.ceil(
        -form.get(ONE, Fraction(0)) * scale
    )


def _search(sizes: Sequence[int], rows: Sequence[Row], objective: int, shift: float) -> tuple[bool, list[int] | None]:
    """Return whether the solver finds no solution, and the solution it found.

    Conditions with large coefficients are scaled down.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(sizes)
    matrix, least = np.zeros((len(rows) + n, n * n)), np.empty(len(rows) + n)
    for index, (weights, bound) in enumerate(rows):
        scale = min(1.0, _LARGE / max(map(abs, weights.values()), default=1))
        for cell, weight in weights.items():
            matrix[index, cell] = weight * scale
        least[index] = bound * scale - shift
    for index, size in enumerate(sizes):
        matrix[len(rows) + index, n * index : n * (index + 1)] = 1
        least[len(rows) + index] = size
    most = np.concatenate([np.full(len(rows), np.inf), least[len(rows) :]])
    found = milp(
        -objective * np.eye(n).ravel(),
        integrality=np.ones(n * n),
        bounds=Bounds(0, np.repeat(sizes, n)),
        constraints=LinearConstraint(matrix, least, most),
        options={"time_limit": _SECONDS},
    )
    cells = None if found.x is None else [int(cell) for cell in np.rint(found.x)]
    return found.status == 2, cells if cells is not None and _sums(cells, sizes) else None


def _sums(cells: Sequence[int], sizes: Sequence[int]) -> bool:
    n = len(sizes)
    return min(cells) >= 0 and all(sum(cells[n * i : n * (i + 1)]) == size for i, size in enumerate(sizes))


def _met(cells: Sequence[int], rows: Iterable[Row]) -> bool:
    return all(sum(weight * cells[cell] for cell, weight in weights.items()) >= bound for weights, bound in rows)


def _value(form: Form, cells: Sequence[int]) -> Fraction:
    return sum((weight * (1 if cell == ONE else cells[cell]) for cell, weight in form.items()), Fraction(0))


def _right(matrix: Matrix) -> int:
    return sum(row[index] for index, row in enumerate(matrix))
