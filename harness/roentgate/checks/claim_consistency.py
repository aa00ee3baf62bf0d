"""Can any confusion matrix give these figures? Integer feasibility over its K x K counts, its rows known.

Accuracy, recall, precision, F1, specificity, balanced accuracy and every entry are ratios of forms linear in the
counts, so that a printed range of each is two inequalities with integer coefficients. HiGHS looks for integers that
meet them; the half unit by which each is loosened excludes no integer solution and admits none, and makes the solver's
tolerance irrelevant. What it finds is held against the fractions themselves.

Loss and AUC are no function of the counts. Of the loss this is true: a wrong row has at most 1/2 on its true class, so
that each costs log 2 at least. Macro precision and F1 are sums of ratios: they are held against the printed values of
the classes only.
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
"""The index of a form's constant."""

LN2: Final = Fraction(693147180559945, 10**15)
"""A little less than log 2."""

UNCOUNTED: Final = frozenset({"auc", "micro_auc", "loss", "macro_precision", "macro_f1"})
"""Kinds of figures that counts alone cannot settle."""

_PARTS: Final = {"macro_precision": "precision", "macro_f1": "f1"}
_LARGE: Final = 10**5
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether figures can be true together.

    Attributes:
        places: Where they are printed.
        figures: The figures.
        witness: A confusion matrix that gives them all (true class in rows, in the order of the counts); None where
            there is none.
        right: The least and the greatest number of right answers among all such matrices.
        conflicts: Sets of figures that cannot be true together, none of which can lose a member.
        reasons: The conflicts in words, one each.
    """

    places: tuple[str, ...]
    figures: tuple[Figure, ...]
    witness: Matrix | None = None
    right: tuple[int, int] = (0, 0)
    conflicts: tuple[tuple[Figure, ...], ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def consistent(self) -> bool:
        """Whether they can."""
        return self.witness is not None

    @property
    def subject(self) -> str:
        """What it is about: the place, or ``A + B``."""
        return " + ".join(self.places)

    @property
    def estimate(self) -> Estimate:
        """Share of the figures that are in no conflict shown: a census, 1 where they can all be true."""
        against = {figure for conflict in self.conflicts for figure in conflict}
        if self.consistent:
            n = sum(map(sum, self.witness or ()))
            least, most = self.right
            words = f"{least:,} of {n:,} right" if least == most else f"{least:,} to {most:,} of {n:,} right"
        else:
            words = "; ".join(self.reasons)
        return estimates.census(len(self.figures) - len(against), len(self.figures), unit="figure", detail=words)


def examine(claims: Claims, places: Sequence[str]) -> Finding:
    """Find a matrix that gives all figures of these places, or what stands against it.

    Returns:
        Where there is none: the figures that no matrix gives by themselves, and every pair of the others that none
        gives; where neither exists, one smallest set that none gives (no member can be left out).

    Raises:
        DataError: The solver comes to no decision.
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
    """Examine each place by itself, each two places, and all of them where there are more."""
    single = [(place,) for place in claims.places]
    together = [claims.places] if len(claims.places) > 2 else []
    return [examine(claims, places) for places in [*single, *combinations(claims.places, 2), *together]]


def agreeing(claims: Claims, findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return the largest sets of places that can all be true together, largest first."""
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
    """Yield (subject, estimate) of each place, and of all places together where there are several."""
    for places in [*((place,) for place in claims.places), *([claims.places] if len(claims.places) > 1 else [])]:
        finding = examine(claims, places)
        yield finding.subject if len(places) == 1 else ALL_PLACES, finding.estimate


def right_answers(counts: Mapping[str, int], figures: Sequence[Figure]) -> tuple[int, int]:
    """Return the least and the greatest number of right answers that give figures which can all be true."""
    least, most = (solve(counts, figures, objective=sign) or () for sign in (-1, 1))
    return _right(least), _right(most)


def solve(counts: Mapping[str, int], figures: Sequence[Figure], *, objective: int = 0) -> Matrix | None:
    """Return a confusion matrix with these row sums that gives all figures, or None where there is none.

    Args:
        counts: Rows of each class, each at least 1.
        figures: What it should give; those of `UNCOUNTED` count as far as something true can be said of them.
        objective: 1 for as many right answers as possible, -1 for as few.

    Raises:
        DataError: The solver comes to no decision.
    """
    if not _laws_hold(figures, counts):
        return None
    rows = [row for figure in figures for row in _rows(figure, counts)]
    for shift in (0.5, -0.5):  # loosened, no solution is lost; tightened, none is admitted
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
    """Whether a matrix gives a figure; None where counts cannot tell (`UNCOUNTED`), or it is a ratio of nothing."""
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
        for figure in others:  # the deletion filter: whatever is still impossible without it did not need it
            fewer = [each for each in kept if each is not figure]
            if not possible(fewer):
                kept = fewer
        yield tuple(kept)


def _reason(counts: Mapping[str, int], conflict: Sequence[Figure]) -> str:
    """Say which figures cannot be true together, and what the others make of an accuracy among them."""
    told = [f"{figure.name} {figure.text} ({figure.place})" for figure in conflict]
    if len(told) == 1:
        return f"no matrix of these counts gives {told[0]}"
    joined = f"{', '.join(told[:-1])} and {told[-1]}"
    if len(told) == 2:
        return f"{joined} exclude one another"
    others = [figure for figure in conflict if figure.kind != "accuracy"]
    if len(others) == len(conflict):
        return f"{joined} cannot all be true, any {len(told) - 1} of them can"
    (least, most), total = right_answers(counts, others), sum(counts.values())
    range_ = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    shares = f"{least / total:.4f}" if least == most else f"{least / total:.4f} to {most / total:.4f}"
    return f"{joined} cannot all be true: without the accuracy, {range_} of {total:,} are right ({shares})"


def _laws_hold(figures: Iterable[Figure], counts: Mapping[str, int]) -> bool:
    """Whether what is known of figures without counting allows them: one number has one value, a mean is a mean."""
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
    """Return numerator and denominator of a figure as forms in the cells, row by row; the denominator is never < 0."""
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
    """Yield what a figure demands of the cells: integer coefficients, and the least that their form may be."""
    size, total = len(counts), sum(counts.values())
    if figure.kind == "loss":
        wrong = math.floor(figure.high * total / LN2)
        yield {size * i + i: 1 for i in range(size)}, total - wrong
    if figure.kind in UNCOUNTED:
        return
    above, below = _ratio(figure, counts)
    yield _integers(_plus(above, below, -figure.low))
    yield _integers(_plus({cell: -weight for cell, weight in above.items()}, below, figure.high))
    if figure.kind == "precision" and figure.low > 0:  # of no call there is none; scikit-learn prints 0 there
        yield {cell: 1 for cell in below}, 1


def _plus(form: Form, other: Form, times: Fraction) -> Form:
    return {cell: form.get(cell, Fraction(0)) + times * other.get(cell, Fraction(0)) for cell in {*form, *other}}


def _integers(form: Form) -> Row:
    """Return ``form >= 0`` with coprime integer coefficients, its constant on the right and rounded up."""
    weights = {cell: weight for cell, weight in form.items() if cell != ONE and weight}
    common = math.lcm(*(weight.denominator for weight in weights.values()))
    scale = Fraction(common, math.gcd(*(int(weight * common) for weight in weights.values())) or 1)
    return {cell: int(weight * scale) for cell, weight in weights.items()}, math.ceil(
        -form.get(ONE, Fraction(0)) * scale
    )


def _search(sizes: Sequence[int], rows: Sequence[Row], objective: int, shift: float) -> tuple[bool, list[int] | None]:
    """Return whether the solver calls it impossible, and what it found; rows of large coefficients are scaled down."""
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
