"""Tests of many bounds at once.

Chances are compared with enumeration, and Holm's procedure with its closure and statsmodels.
"""

import doctest
import math
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from roentgate.errors import ArgumentError
from roentgate.scorecard import multiplicity, wording
from roentgate.scorecard.multiplicity import (
    Claim,
    beyond_chance,
    chance_passed,
    claims,
    holm,
    margin_for,
    refused_by_chance,
    sampled,
)
from roentgate.scorecard.replicates import Deciding, together
from roentgate.scorecard.shape import Record, Row
from roentgate.stats import Gate
from roentgate.stats.differences import paired_difference
from roentgate.stats.estimate import macro_auroc, permutation_p, proportion
from tests.report.test_render import build, evidence
from tests.stats.test_estimate import scores_of
from tests.support.rows import row

FLIPS = Claim(n=66, bound=0.10, direction="at_most")


def shared(hits: int, rows: int, floor: float, **changes: object) -> Row:
    """Return the row of a plain share as a record keeps it, to six digits."""
    made = proportion(hits, rows)
    met = made.value >= floor if changes.get("direction", "at_least") == "at_least" else made.value <= floor
    numbers = {name: float(f"{getattr(made, name):.6g}") for name in ("value", "low", "high")}
    parts: dict[str, Any] = {
        "n": rows,
        "bound": floor,
        "outcome": "conditional_pass" if met else "conditional_fail",
        "accepted": met,
    }
    parts.update(numbers, **changes)
    return row(**parts)


def flips(hits: int, infill: str, **changes: object) -> Row:
    kind = {"suite": "border", "check": "border_mask_flips", "direction": "at_most"}
    return shared(hits, 66, 0.10, subject=f"5% border, {infill}", **(kind | changes))


def test_the_examples_hold() -> None:
    assert doctest.testmod(multiplicity).failed == 0


# Holm

STATSMODELS = [  # multipletests(p, method="holm") of statsmodels 0.15.0
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
    ([0.01, 0.01, 0.01, 0.9], [0.04, 0.04, 0.04, 0.9]),
    ([0.0, 1.0, 0.5], [0.0, 1.0, 1.0]),
    ([0.2], [0.2]),
    ([0.6, 0.5, 0.4], [1.0, 1.0, 1.0]),
    (
        [0.0006, 0.0133, 0.5145, 0.1973, 0.0008, 0.0813, 0.1099, 0.0041, 0.3964, 0.0015, 0.0599, 0.138],
        [0.0072, 0.1064, 0.7928, 0.5919, 0.0088, 0.4878, 0.5495, 0.0369, 0.7928, 0.015, 0.4193, 0.552],
    ),
]


@pytest.mark.parametrize(("raw", "adjusted"), STATSMODELS)
def test_holm_equals_statsmodels(raw: list[float], adjusted: list[float]) -> None:
    assert holm(raw) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=7))
def test_holm_is_the_closure_of_bonferroni(raw: list[float]) -> None:
    """An adjusted p-value is the largest Bonferroni p of all sets that hold it.

    A hypothesis is rejected if Bonferroni rejects every such set.
    """
    adjusted = holm(raw)
    for index in range(len(raw)):
        others = [p for at, p in enumerate(raw) if at != index]
        sets = [(raw[index], *some) for size in range(len(raw)) for some in combinations(others, size)]
        assert adjusted[index] == pytest.approx(max(min(1.0, len(some) * min(some)) for some in sets))


def test_what_is_no_p_value_is_refused() -> None:
    for wrong in ([0.5, 1.5], [-0.1], [math.nan]):
        with pytest.raises(ArgumentError, match="not all p-values"):
            holm(wrong)


# Chances


@pytest.mark.parametrize("gate", ["simple", "guarded"])
@pytest.mark.parametrize(("n", "bound"), [(20, 0.8), (66, 0.9), (7, 0.5), (5, 0.95)])
def test_a_chance_is_the_sum_over_all_samples(gate: Gate, n: int, bound: float) -> None:
    floor = Claim(n=n, bound=bound, direction="at_least")
    ceiling = Claim(n=n, bound=1 - bound, direction="at_most")
    true = bound + 0.04
    refusing = [
        hits
        for hits in range(n + 1)
        if (proportion(hits, n).value < bound if gate == "simple" else proportion(hits, n).low < bound)
    ]
    expected = float(stats.binom.pmf(refusing, n, true).sum())
    assert floor.chance_refused(gate, 0.04) == pytest.approx(expected)
    assert ceiling.chance_refused(gate, 0.04) == pytest.approx(expected)


def test_at_a_true_flip_rate_of_6_percent_five_infills_accept_59_percent_where_one_accepts_90() -> None:
    one = refused_by_chance([FLIPS], gate="simple", better_by=0.04)
    five = refused_by_chance([FLIPS] * 5, gate="simple", better_by=0.04)
    assert (one.together, one.independent, one.apart) == pytest.approx((stats.binom.sf(6, 66, 0.06),) * 3)
    assert (1 - one.independent, 1 - five.independent) == pytest.approx((0.900, 0.590), abs=0.001)
    assert five.together == one.together
    assert five.apart == pytest.approx(5 * one.apart)


def test_the_worst_of_five_infills_weighs_as_much_as_five_rows_under_the_guarded_rule() -> None:
    """The simple rule takes a value that is right on average, and refuses about as often as for one infill."""
    together = Claim(n=66, bound=0.10, direction="at_most", times=5)
    cases: tuple[tuple[Gate, int], ...] = (("guarded", 5), ("simple", 1))
    for gate, rows in cases:
        assert refused_by_chance([together], gate=gate, better_by=0.04) == refused_by_chance(
            [FLIPS] * rows, gate=gate, better_by=0.04
        )


def test_a_model_without_any_fault_is_not_refused_by_shares_but_may_be_by_a_p_value() -> None:
    shares = [Claim(n=20, bound=0.97, direction="at_least"), FLIPS]
    assert refused_by_chance(shares, gate="simple", better_by=0.2).apart == 0
    p_value = Claim(n=0, bound=0.01, direction="at_least")
    found = refused_by_chance([*shares, p_value], gate="simple", better_by=0.2)
    assert (found.together, found.independent, found.apart) == pytest.approx((0.01,) * 3)


def test_no_bound_refuses_nothing() -> None:
    nothing = refused_by_chance([], gate="simple", better_by=0.05)
    assert (nothing.together, nothing.independent, nothing.apart) == (0.0, 0.0, 0.0)


def test_too_few_rows_settle_nothing_however_good_the_model() -> None:
    assert chance_passed(16, 0.80, 1.0) == 0
    assert chance_passed(17, 0.80, 1.0) == 1
    assert margin_for([Claim(n=16, bound=0.80, direction="at_least")], gate="guarded") is None


@pytest.mark.parametrize("gate", ["simple", "guarded"])
def test_the_margin_is_the_first_that_is_accepted_in_four_draws_of_five(gate: Gate) -> None:
    family_of = [FLIPS, FLIPS, Claim(n=80, bound=0.8, direction="at_least")]
    margin = margin_for(family_of, gate=gate)
    assert margin is not None
    assert refused_by_chance(family_of, gate=gate, better_by=margin).apart <= 0.2
    assert refused_by_chance(family_of, gate=gate, better_by=margin - 0.01).apart > 0.2


# What a record tells


def test_a_plain_share_is_known_by_its_method() -> None:
    found = claims([shared(16, 20, 0.8), flips(3, "black", low=0.00562341)])
    assert [(claim.n, claim.bound, claim.direction, claim.times, claim.misses) for claim in found] == [
        (20, 0.8, "at_least", 1, False),
        (66, 0.1, "at_most", 1, False),
    ]
    assert found[0].p == pytest.approx(stats.binom.cdf(16, 20, 0.8))
    assert found[1].p == pytest.approx(stats.binom.sf(2, 66, 0.1))


def test_what_is_no_plain_share_has_no_exact_chance() -> None:
    truth, scores = scores_of(1, (20, 20))
    for made in (macro_auroc(truth, scores), paired_difference(6, 3, 66)):
        numbers: dict[str, Any] = {name: float(f"{getattr(made, name):.6g}") for name in ("value", "low", "high", "n")}
        rows = [row(**numbers | {"n": made.n, "bound": 0.5, "method": made.method})]
        assert len(sampled(rows)) == 1
        assert claims(rows) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"gates": False},
        {"bound": None, "direction": None},
        {"value": 1.0, "low": 1.0, "high": 1.0},
        {"value": None, "low": None, "high": None, "n": 0},
    ],
)
def test_rows_without_sampling_or_bound_are_not_counted(changes: dict[str, object]) -> None:
    rows = [shared(16, 20, 0.8, **changes)]
    assert sampled(rows) == []
    assert claims(rows) == []


def test_rows_judged_by_the_worst_infill_count_once_an_infill() -> None:
    masked = shared(14, 20, 0.8, check="border_masked_recall", subject="Covid, 5% border")
    rows = [*(flips(1, infill) for infill in ("black", "mean", "edge", "blur")), masked]
    *_, worst = claims(rows)
    assert worst.times == 4
    assert worst.p == pytest.approx(min(1.0, 4 * stats.binom.cdf(14, 20, 0.8)))
    assert claims([masked])[0].times == 1


def test_a_row_that_names_its_infills_counts_once_for_each() -> None:
    whole = flips(1, "black", parts={"black": 0.0, "mean": 0.03, "edge": None})
    assert [claim.times for claim in claims([whole])] == [3]


def test_a_p_value_is_taken_as_one() -> None:
    made = permutation_p(4, 2000)
    (claim,) = claims([row(check="class_columns_match", value=made.value, low=made.low, high=made.high, bound=0.01)])
    assert (claim.n, claim.p, claim.misses, claim.chance_refused("simple", 0.05)) == (0, made.value, True, 0.01)


def test_a_miss_that_one_row_shows_may_be_chance_among_many() -> None:
    alone = shared(11, 20, 0.8, outcome="fail")
    others = [shared(18, 20, 0.8, subject=f"class {index}") for index in range(9)]
    assert [found[0]["subject"] for found in beyond_chance(claims([alone]))] == ["Covid"]
    assert beyond_chance(claims([alone, *others])) == []


def test_only_misses_are_reported_and_the_plainest_comes_first() -> None:
    rows = [shared(4, 20, 0.8, subject="a"), shared(1, 20, 0.8, subject="b"), shared(20, 20, 0.8, subject="c")]
    found = beyond_chance(claims(rows))
    assert [each["subject"] for each, _ in found] == ["b", "a"]
    assert found[0][1] == pytest.approx(3 * stats.binom.cdf(1, 20, 0.8))


def test_holm_keeps_the_family_where_single_rows_do_not() -> None:
    """Holm's procedure keeps the error of the family at 2.5 %.

    With ten classes on their floor, some single row shows a miss in 15 % of draws. By Holm, two rows do in 2.5 % at
    most.
    """
    p = {hits: stats.binom.cdf(hits, 40, 0.8) for hits in range(41)}
    alone = sum(stats.binom.pmf(hits, 40, 0.8) for hits in p if p[hits] <= 0.025)
    assert 1 - (1 - alone) ** 10 > 0.15
    pairs = product(range(41), repeat=2)
    wrong = sum(
        stats.binom.pmf(a, 40, 0.8) * stats.binom.pmf(b, 40, 0.8) for a, b in pairs if min(holm([p[a], p[b]])) <= 0.025
    )
    assert wrong <= 0.025


# Sentences


record = build


def test_a_scorecard_says_what_many_bounds_do() -> None:
    rows = [flips(1, infill) for infill in ("black", "mean", "edge", "blur", "noise")]
    counted, refused, passed = wording.many_bounds(record(*rows))
    assert "5 gating rows hold a sample against a bound. 5 of them are plain shares" in counted
    assert "the simple rule refuses a model that is truly 0.05 better than every bound in 21 % of" in refused
    assert "5 % to 23 %" in refused
    assert "0.06 better in four of five" in refused
    assert "at most 2.5 %" in passed


def test_a_scorecard_names_what_is_missed_beyond_chance_and_what_may_be_luck() -> None:
    far, near = shared(2, 20, 0.8, subject="far"), shared(14, 20, 0.8, subject="near")
    *_, missed = wording.many_bounds(record(far, near))
    assert "1 of the 2 rows whose value misses its bound" in missed
    assert "recall / recall_floor (far), p < 0.001." in missed
    *_, luck = wording.many_bounds(record(near))
    assert "none of the 1 rows" in luck


def test_ten_misses_are_named_and_the_others_counted() -> None:
    rows = [shared(1, 20, 0.8, subject=f"class {index:02}") for index in range(13)]
    *_, missed = wording.many_bounds(record(*rows))
    assert missed.count("p < 0.001") == 10
    assert "; 3 more." in missed


def test_a_share_of_draws_reads_as_all_or_none_only_where_it_is() -> None:
    few = [shared(16, 16, 0.8, accepted=False, subject=f"class {index}") for index in range(3)]
    _, refused, _ = wording.many_bounds(record(*few, gate="guarded"))
    assert "in 100 % of such test sets" in refused
    assert "four of five" not in refused
    rows = [shared(20, 20, 0.8, subject=f"class {index}") for index in range(40)]
    assert "more than 99 %" in wording.many_bounds(record(*rows))[1]
    assert "less than 1 %" in wording.many_bounds(record(shared(400, 400, 0.8)))[1]


def of_seeds(deciding: Deciding, *each: list[Row]) -> Record:
    replicates = [record(*rows, task={"image_shape": (96, 96, 1), "seed": seed}) for seed, rows in enumerate(each)]
    task = replicates[0]["task"] | {"seeds": list(range(len(each))), "deciding": deciding}
    return record(*together(replicates, deciding=deciding), task=task)


def test_the_worst_of_several_seeds_is_refused_by_chance_at_least_as_often_as_one() -> None:
    rows = [flips(1, infill) for infill in ("black", "mean", "edge", "blur", "noise")]
    alone = wording.many_bounds(record(*rows))
    counted, refused, passed, several = wording.many_bounds(of_seeds("worst", rows, rows, rows))
    assert (counted, passed) == (alone[0], alone[2])
    assert refused == alone[1].replace("Refused by chance:", "Refused by chance, with one seed:")
    assert several.startswith("Worst of 3 seeds:")
    assert "judged on the same images, so their outcomes are not independent" in several
    most = 100 * 3 * 5 * stats.binom.sf(6, 66, 0.05)
    assert f"in up to {most:.0f} % of such test sets if it is 0.05 better, in up to 0 % if 0.10" in several


def test_where_the_first_seed_decides_its_rates_are_those_of_the_model() -> None:
    rows = [flips(1, infill) for infill in ("black", "mean")]
    *_, several = wording.many_bounds(of_seeds("first", rows, rows))
    assert several == "First of 2 seeds: it alone decides, so what is said of one seed holds for the model."


def test_a_miss_of_the_worst_seed_needs_allowance_for_the_number_of_seeds() -> None:
    miss, sound = shared(11, 20, 0.8, subject="far"), shared(19, 20, 0.8, subject="far")
    p = stats.binom.cdf(11, 20, 0.8)
    assert 0.025 / 3 < p < 0.025 / 2
    for seeds, text in ((2, f"p = {2 * p:.3f}"), (3, "none of the 1 rows")):
        *_, missed = wording.many_bounds(of_seeds("worst", [miss], *[[sound]] * (seeds - 1)))
        assert text in missed
        assert f"with allowance for all 1 that were tested, with each of {seeds} seeds (Holm's procedure" in missed
    *_, missed = wording.many_bounds(of_seeds("first", [miss], [sound], [sound]))
    assert f"p = {p:.3f}" in missed


def test_a_record_without_plain_shares_says_nothing_about_them() -> None:
    assert wording.many_bounds(record(row(value=1.0, low=1.0, high=1.0))) == []


def test_markdown_and_page_say_the_same(tmp_path: Path) -> None:
    from roentgate.report import render

    made = record(shared(2, 20, 0.8, subject="a<b"))
    assert "## Many bounds at once" in render.markdown(made, evidence())
    assert "recall_floor (a&#60;b), p < 0.001" not in render.markdown(made, evidence())
    page = render.html(made, evidence(), tmp_path)
    assert "<summary>Many bounds at once</summary>" in page
    assert "recall_floor (a&lt;b)" in page


def test_a_row_without_limits_is_a_sample_and_one_without_width_is_none() -> None:
    """A row without limits is a sample.

    Too few patients set no limit to a gain, and in a record infinity is null.
    """
    unlimited = row(n=5, bound=0.1, direction="at_most", value=0.0, low=None, high=None, outcome="conditional_pass")
    census = row(n=5, bound=0.1, direction="at_most", value=0.0, low=0.0, high=0.0)
    assert sampled([unlimited, census]) == [unlimited]
