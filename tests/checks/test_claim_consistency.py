"""Claim consistency against all small matrices and a case done by hand.

It was also compared by hand with mlscorecheck 1.0.3. That is no dependency: it is MIT, but brings PuLP with a solver of
36 MB. For two classes it gave the same answer every time (400 draws, of which 193 are possible, with 5 to 60 rows a
class, and two to four of accuracy, recall, specificity, precision, F1 and balanced accuracy at 2 or 3 decimals). For
several classes it knows only the averages, and takes each class against the rest by itself. So it accepts the last two
cases of `AVERAGES`, which no matrix gives.
"""

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roentgate.checks import claim_consistency
from roentgate.checks.claim_consistency import Matrix
from roentgate.checks.claims import KINDS, Claims, Figure, printed, read_claims

ROOT = Path(__file__).resolve().parents[2]
COUNTS = {"Covid": 26, "Normal": 20, "Viral Pneumonia": 20}


def figure(kind: str, text: str, label: str = "", predicted: str = "", place: str = "text") -> Figure:
    low, high = printed(text, share=kind != "loss")
    return Figure(place, kind, text, low, high, label, predicted)


def claims(*figures: Figure, counts: dict[str, int] | None = None) -> Claims:
    places = tuple(dict.fromkeys(each.place for each in figures))
    return Claims("", "", counts or COUNTS, places, figures, Path("claims.toml"))


def possible(*figures: Figure, counts: dict[str, int] | None = None) -> bool:
    return claim_consistency.solve(counts or COUNTS, figures) is not None


# Every matrix there is


def value(matrix: Matrix, kind: str, k: int, predicted: int) -> Fraction | None:
    """Return a figure by its definition, or None if its denominator is 0."""
    total, hits = sum(map(sum, matrix)), [matrix[i][i] for i in range(len(matrix))]
    own, answered = sum(matrix[k]), sum(row[k] for row in matrix)
    top, bottom = {
        "accuracy": (sum(hits), total),
        "recall": (hits[k], own),
        "confusion": (matrix[k][predicted], own),
        "precision": (hits[k], answered),
        "f1": (2 * hits[k], own + answered),
        "specificity": (total - own - answered + hits[k], total - own),
        "balanced_accuracy": (sum(Fraction(hit, sum(row)) for hit, row in zip(hits, matrix, strict=True)), len(hits)),
    }[kind]
    return Fraction(top) / bottom if bottom else None


def matrices(sizes: Sequence[int]) -> Iterator[Matrix]:
    def rows(left: int, cells: int) -> Iterator[tuple[int, ...]]:
        if cells == 1:
            yield (left,)
            return
        for count in range(left + 1):
            yield from ((count, *rest) for rest in rows(left - count, cells - 1))

    yield from product(*(tuple(rows(size, len(sizes))) for size in sizes))


COUNTED = tuple(sorted(set(KINDS) - claim_consistency.UNCOUNTED))


@st.composite
def small_claims(draw: st.DrawFn) -> tuple[dict[str, int], list[Figure]]:
    """Draw up to four figures of one matrix, of several, or of none."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=3))
    names = "ABC"[: len(sizes)]
    everything = list(matrices(sizes))
    figures = []
    shared = draw(st.sampled_from(everything))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(COUNTED))
        k, predicted = (draw(st.integers(0, len(sizes) - 1)) for _ in range(2))
        true = value(shared if draw(st.booleans()) else draw(st.sampled_from(everything)), kind, k, predicted)
        share = float(true) if true is not None else draw(st.floats(0, 1))
        text = f"{share:.{draw(st.integers(1, 3))}f}"
        about_all = kind in {"accuracy", "balanced_accuracy"}
        figures.append(
            figure(kind, text, "" if about_all else names[k], names[predicted] if kind == "confusion" else "")
        )
    return dict(zip(names, sizes, strict=True)), figures


@settings(max_examples=150)
@given(drawn=small_claims())
def test_possible_is_what_some_matrix_gives_and_right_answers_are_the_least_and_the_most(
    drawn: tuple[dict[str, int], list[Figure]],
) -> None:
    counts, figures = drawn
    names = list(counts)

    def gives(matrix: Matrix, each: Figure) -> bool:
        k = names.index(each.label) if each.label else 0
        found = value(matrix, each.kind, k, names.index(each.predicted) if each.predicted else 0)
        return each.low == 0 if found is None else each.low <= found <= each.high

    fit = [matrix for matrix in matrices(list(counts.values())) if all(gives(matrix, each) for each in figures)]
    found = claim_consistency.solve(counts, figures)
    assert (found is not None) is bool(fit)
    if found is not None:
        assert found in fit
        rights = [sum(matrix[i][i] for i in range(len(matrix))) for matrix in fit]
        assert claim_consistency.right_answers(counts, figures) == (min(rights), max(rights))


@settings(max_examples=60)
@given(drawn=small_claims())
def test_a_conflict_is_impossible_and_without_any_of_its_figures_possible(
    drawn: tuple[dict[str, int], list[Figure]],
) -> None:
    counts, figures = drawn
    found = claim_consistency.examine(claims(*figures, counts=counts), ["text"])
    assert found.consistent is not bool(found.conflicts)
    assert found.consistent is (found.estimate.value == 1)
    for conflict in found.conflicts:
        assert not possible(*conflict, counts=counts)
        for left_out in range(len(conflict)):
            fewer = [each for index, each in enumerate(conflict) if index != left_out]
            assert possible(*fewer, counts=counts)


# By hand


def test_the_articles_places_agree_but_for_the_second_evaluation() -> None:
    article = read_claims(ROOT / "data" / "claims" / "article.toml")
    findings = claim_consistency.examine_all(article)
    found = {finding.subject: finding for finding in findings}
    for place in article.places:
        assert found[place].consistent
    figures = found["confusion matrix"]
    assert figures.witness == ((23, 3, 0), (0, 17, 3), (0, 4, 16))  # 23/26 = 88 %, 3/26 = 12 %
    assert figures.right == (56, 56)
    assert found["first evaluation + confusion matrix"].right == (56, 56)  # 56/66 = 0.848
    assert found["second evaluation"].right == (49, 49)
    pairs = found["first evaluation + second evaluation"]
    assert [[each.name for each in pair] for pair in pairs.conflicts] == [
        [name, name] for name in ("accuracy", "micro AUC", "loss")
    ]
    (conflict,) = found["second evaluation + confusion matrix"].conflicts
    assert [each.name for each in conflict] == [
        "accuracy",
        "recall of Covid",
        "recall of Normal",
        "recall of Viral Pneumonia",
    ]
    assert (
        "without the accuracy, 56 of 66 are right (0.8485)" in found["second evaluation + confusion matrix"].reasons[0]
    )
    assert claim_consistency.agreeing(article, findings) == [
        ("first evaluation", "confusion matrix"),
        ("second evaluation",),
    ]


AVERAGES = [
    ({"accuracy": "0.85", "balanced_accuracy": "0.85"}, True),
    ({"accuracy": "0.8485", "balanced_accuracy": "0.8449"}, True),
    ({"accuracy": "0.8485", "balanced_accuracy": "0.9000"}, False),  # 10 wrong: (16/26 + 2) / 3 = 0.872 at most
    ({"accuracy": "0.7424", "balanced_accuracy": "0.8449"}, False),
]


@pytest.mark.parametrize(("printed_figures", "expected"), AVERAGES)
def test_averages_are_of_one_matrix(printed_figures: dict[str, str], *, expected: bool) -> None:
    assert possible(*(figure(kind, text) for kind, text in printed_figures.items())) is expected


def test_a_share_that_no_count_gives_is_impossible_by_itself() -> None:
    found = claim_consistency.examine(claims(figure("recall", "0.87", "Covid"), figure("accuracy", "0.85")), ["text"])
    assert [len(conflict) for conflict in found.conflicts] == [1]  # 22/26 = 0.846, 23/26 = 0.885
    assert found.reasons == ("no matrix of these counts gives recall of Covid 0.87 (text)",)
    assert found.estimate.value == 0.5


def test_every_pair_that_conflicts_is_named() -> None:
    entries = [
        figure("confusion", text, "Normal", predicted)
        for text, predicted in (("0.60", "Covid"), ("0.30", "Viral Pneumonia"))
    ]
    found = claim_consistency.examine(claims(figure("recall", "0.85", "Normal"), *entries), ["text"])
    assert [tuple(each.text for each in pair) for pair in found.conflicts] == [("0.85", "0.60"), ("0.85", "0.30")]


def test_a_half_is_rounded_either_way() -> None:
    counts = {"A": 8, "B": 8}
    for text in ("0.62", "0.63"):  # 5/8 = 0.625
        assert possible(figure("recall", text, "A"), counts=counts)
    assert not possible(figure("recall", "0.61", "A"), counts=counts)


def test_a_precision_needs_a_call_unless_it_may_be_0() -> None:
    never = figure("recall", "0.00", "Covid"), figure("specificity", "1.00", "Covid")
    assert not possible(*never, figure("precision", "0.50", "Covid"))
    assert possible(*never, figure("precision", "0.00", "Covid"))


def test_one_number_has_one_value_whether_or_not_it_can_be_counted() -> None:
    for kind in ("auc", "micro_auc", "loss", "macro_f1"):
        assert not possible(figure(kind, "0.90"), figure(kind, "0.80"))
        assert possible(figure(kind, "0.90"), figure(kind, "0.9"))


def test_a_mean_lies_among_its_parts() -> None:
    parts = [figure("precision", "0.8", label) for label in COUNTS]
    assert possible(*parts, figure("macro_precision", "0.80"))
    found = claim_consistency.examine(claims(*parts, figure("macro_precision", "0.90")), ["text"])
    assert [len(conflict) for conflict in found.conflicts] == [4]  # 0.85, 0.85 and 1 make 0.90


def test_a_loss_bounds_the_number_of_wrong_answers() -> None:
    """Each wrong answer costs log 2.

    A mean of 0.105 over 66 rows pays for 9.998 of them, and 10 are wrong if 56 are right.
    """
    assert possible(figure("accuracy", "0.85"), figure("loss", "0.105"))
    assert not possible(figure("accuracy", "0.85"), figure("loss", "0.104"))
    assert possible(figure("accuracy", "0.00"), figure("loss", "0.69"))


@pytest.mark.parametrize("counts", [{"A": 40_000, "B": 30_000, "C": 30_000}, {"A": 33_331, "B": 33_337, "C": 33_343}])
def test_a_hundred_thousand_rows_take_seconds(counts: dict[str, int]) -> None:
    started = time.monotonic()
    known = [figure("precision", "0.8731", "A"), figure("f1", "0.8544", "A"), figure("recall", "0.9012", "B")]
    mean = figure("balanced_accuracy", "0.8512")
    found = claim_consistency.examine(claims(*known, mean, counts=counts), ["text"])
    assert found.witness is not None
    assert all(claim_consistency.gives(found.witness, each, counts) for each in (*known, mean))
    wrong = claim_consistency.examine(claims(*known, figure("recall", "0.5000", "A"), counts=counts), ["text"])
    assert [{each.name for each in pair} for pair in wrong.conflicts] == [{"F1 of A", "recall of A"}]  # 2/3 at most
    assert time.monotonic() - started < 20


def test_ten_classes_are_no_more_than_a_hundred_counts() -> None:
    counts = {f"class {index}": 100 for index in range(10)}
    recalls = [figure("recall", f"{0.80 + index / 100:.2f}", label) for index, label in enumerate(counts)]
    assert possible(*recalls[:3], figure("accuracy", "0.80"), counts=counts)
    assert not possible(*recalls[:9], figure("accuracy", "0.60"), counts=counts)


def test_an_undecided_solver_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from roentgate.errors import DataError

    def nothing(*_: object) -> tuple[bool, None]:
        return False, None

    monkeypatch.setattr(claim_consistency, "_search", nothing)
    with pytest.raises(DataError, match="could not decide whether 1 figures on 66 rows"):
        possible(figure("accuracy", "0.85"))


def test_a_verdict_is_given_on_each_place_and_on_all_together() -> None:
    both = claims(figure("accuracy", "0.85"), figure("accuracy", "0.74", place="table"))
    given_ = list(claim_consistency.verdicts(both))
    assert [(subject, estimate.value) for subject, estimate in given_] == [
        ("text", 1.0),
        ("table", 1.0),
        ("all places together", 0.0),
    ]
    assert given_[0][1].detail == "56 of 66 right"
    assert "exclude one another" in given_[2][1].detail
    assert [subject for subject, _ in claim_consistency.verdicts(claims(figure("accuracy", "0.85")))] == ["text"]


def test_three_places_may_conflict_although_no_two_do() -> None:
    half = {"A": 10, "B": 10}
    three = claims(
        figure("recall", "0.9", "A", place="one"),
        figure("recall", "0.9", "B", place="two"),
        figure("accuracy", "0.70", place="three"),
        counts=half,
    )
    findings = claim_consistency.examine_all(three)
    assert [finding.consistent for finding in findings] == [True] * 6 + [False]
    assert claim_consistency.agreeing(three, findings) == [("one", "two"), ("one", "three"), ("two", "three")]
