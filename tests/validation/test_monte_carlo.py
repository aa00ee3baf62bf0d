"""Tests of the statistics study: it clears good intervals and catches bad ones."""

import json
import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import TypedDict

import numpy as np
import pytest
from scipy import stats

from roentgate.candidates.predictions import Predictions
from roentgate.checks import comparison, metrics, robustness
from roentgate.errors import ArgumentError
from roentgate.policy.policy import Policy, load_policy
from roentgate.scorecard import record as scorecard
from roentgate.scorecard.multiplicity import claims
from roentgate.stats import Direction, differences
from roentgate.stats.differences import paired_difference
from roentgate.stats.estimate import Estimate, proportion, settled
from tests.validation import exact as enumeration
from tests.validation import monte_carlo, monte_carlo_paired, study, study_report
from tests.validation.__main__ import main
from tests.validation.exact import Entry, cell
from tests.validation.monte_carlo import Curves, Patients, Skill, Tally
from tests.validation.monte_carlo_paired import Areas, Drop, Follows, Gain, Lent
from tests.validation.monte_carlo_probes import EqualProbes, probe_misses

ROOT = Path(__file__).resolve().parents[2]
DRAWS = 400
BEYOND = 0.05
"""Share of misses on one side that 400 draws reach in less than 1 of 500 runs if 2.5 % is true."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "suites" / "policy.toml", data="", classes=("class 1", "class 2", "class 3"))


# Exact


def test_the_exact_interval_of_a_share_never_misses_more_than_it_may() -> None:
    for n in (5, 20, 66, 133, 400):
        worst = enumeration.worst_share_misses(n, study.SHARES)
        assert cell(worst, "over") <= 0.025 + 1e-12
        assert cell(worst, "under") <= 0.025 + 1e-12


def test_an_interval_that_is_too_narrow_is_caught() -> None:
    """Wald's interval, value +/- 1.96 standard errors, on the samples of the exact one."""
    n, hits = 20, np.arange(21)
    reach = 1.96 * np.sqrt(hits / n * (1 - hits / n) / n)
    over, under = enumeration.misses(hits / n - reach, hits / n + reach, stats.binom.pmf(hits, n, 0.95), 0.95)
    assert over > 0.3
    assert under < 0.025


def test_misses_are_counted_by_hand() -> None:
    lows, highs = np.array([0.1, 0.6, 0.4]), np.array([0.4, 0.9, 0.6])
    assert enumeration.misses(lows, highs, np.array([0.2, 0.3, 0.5]), 0.5) == (0.3, 0.2)
    assert enumeration.misses(lows, highs, np.array([0.2, 0.3, 0.5]), 0.6) == (0.0, 0.2)


def test_exact_chances_of_differences_and_classes_add_up_to_what_draws_show(rng: np.random.Generator) -> None:
    (line,) = enumeration.difference_misses(20, [(0.1, 0.4)])
    outcomes = rng.multinomial(20, [0.25, 0.15, 0.6], size=20_000)
    lows = {(up, down): paired_difference(up, down, 20).low for up in range(21) for down in range(21 - up)}
    over = np.mean([lows[up, down] > 0.1 for up, down in outcomes[:, :2].tolist()])
    assert cell(line, "over") == pytest.approx(over, abs=0.005)
    balanced = enumeration.balanced_misses((20, 20), (0.9, 0.8))
    assert cell(balanced, "truth") == pytest.approx(0.85)
    assert 0.005 < cell(balanced, "over") + cell(balanced, "under") < 0.05


def test_a_settling_number_is_the_first_that_settles_in_four_draws_of_five() -> None:
    line = enumeration.further(40, 36, 0.80, "at_least")
    assert line is not None
    assert line["further"] == 107
    assert cell(line, "settled") >= 0.8 > cell(line, "one_fewer")
    assert cell(line, "averaged") < cell(line, "settled")
    drawn = np.random.default_rng(1).binomial(107, 0.9, 4000)
    share = np.mean([settled(proportion(int(more), 107), 0.80, "at_least") is not None for more in drawn])
    assert cell(line, "settled") == pytest.approx(share, abs=0.02)


def test_a_model_as_good_as_ten_probes_is_not_found_to_be_worse() -> None:
    """If the probe is the best on the test images, it is."""
    world = EqualProbes(counts=(26, 20, 20), fitted=(111, 70, 70), probes=10, recall=0.8, shared=0.5)
    line = probe_misses(world, 300, np.random.default_rng(1))
    assert cell(line, "folds_under") < 0.05
    assert cell(line, "folds_refused") == pytest.approx(0.5, abs=0.1)
    assert cell(line, "test_under") > 0.07
    assert cell(line, "test_refused") > 0.8


def test_images_that_are_added_are_a_further_attempt() -> None:
    """The error of a verdict on added images is that of a first one, and attempts add up."""
    line = enumeration.added(40, 0.80, 0.7999)
    first, once = cell(line, "first"), cell(line, "alone_once")
    assert first < 0.025
    assert first < once < 2 * first
    assert cell(line, "together_once") < cell(line, "together") < 0.06
    assert cell(line, "together") > 5 * first
    drawn = np.random.default_rng(1).binomial(40, 0.7999, (20_000, 2))
    passed = [settled(proportion(hits, 40), 0.80, "at_least") for hits in range(41)]
    both = [settled(proportion(hits, 80), 0.80, "at_least") for hits in range(81)]
    share = np.mean([passed[a] == "met" or (passed[a] is None and both[a + b] == "met") for a, b in drawn.tolist()])
    assert cell(line, "together_once") == pytest.approx(share, abs=0.004)


def test_a_settled_row_and_one_on_its_bound_ask_for_nothing() -> None:
    assert enumeration.further(100, 100, 0.80, "at_least") is None
    assert enumeration.further(10, 8, 0.80, "at_least") is None


def test_gates_accept_what_a_count_of_samples_says() -> None:
    for gate, truth in product(enumeration.GATES, (0.7, 0.8, 0.95)):
        hits = np.arange(67)
        meets = [(proportion(int(k), 66).low if gate == "guarded" else k / 66) >= 0.8 for k in hits]
        expected = stats.binom.pmf(hits, 66, truth)[meets].sum()
        assert enumeration.gate_accepts(66, 0.8, truth, gate) == pytest.approx(expected)


def test_the_planned_bounds_are_those_of_a_published_record(policy: Policy) -> None:
    record = scorecard.read(ROOT / "reports" / "phantom" / "baseline" / "scorecard.json")
    found, planned = (
        [(claim.n, claim.bound, claim.direction) for claim in some for _ in range(claim.times)]
        for some in (claims(record["rows"]), enumeration.policy_claims(policy, (80, 80, 80)))
    )
    assert sorted(found) == sorted(planned)


def test_suites_refuse_what_their_rows_refuse_in_draws(policy: Policy, rng: np.random.Generator) -> None:
    line = enumeration.suites_refuse(policy, (26, 20, 20), "simple", recall=0.9, flips=0.06)
    refused = np.zeros(20_000, bool)
    for n in (26, 20, 20):
        right, first, second = rng.multinomial(n, [0.9, 0.05, 0.05], size=len(refused)).T
        refused |= (right < math.ceil(0.8 * n)) | (np.maximum(first, second) > math.floor(0.2 * n))
    assert cell(line, "recall_refuses") == pytest.approx(refused.mean(), abs=0.01)
    assert cell(line, "flips_refuse_alike") == pytest.approx(stats.binom.sf(6, 66, 0.06))
    assert cell(line, "refuses_alike") == cell(line, "refuses_apart")
    guarded = enumeration.suites_refuse(policy, (26, 20, 20), "guarded", recall=0.9, flips=0.02)
    assert cell(guarded, "flips_refuse_apart") == pytest.approx(1 - (1 - cell(guarded, "flips_refuse_alike")) ** 4)
    assert cell(guarded, "refuses_alike") < cell(guarded, "refuses_apart")


# Drawn


@pytest.mark.parametrize("counts", [(20, 20), (26, 20, 20)])
@pytest.mark.parametrize("area", [0.8, 0.99])
def test_the_area_holds_its_level(
    counts: tuple[int, ...], area: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monte_carlo, "RESAMPLES", 20)  # no test of the bootstrap
    line = monte_carlo.area_misses(Curves(counts=counts, area=area), DRAWS, rng)
    assert max(cell(line, "macro_over"), cell(line, "macro_under")) < BEYOND


def test_the_percentile_bootstrap_is_caught_near_separation(rng: np.random.Generator) -> None:
    line = monte_carlo.area_misses(Curves(counts=(20, 20), area=0.99), DRAWS, rng)
    assert cell(line, "bootstrap_over") > 4 * BEYOND
    assert cell(line, "separated") > 0.1
    assert cell(line, "separated_bootstrap_over") == 1.0
    assert cell(line, "separated_macro_over") == 0.0


@pytest.mark.parametrize("shape", ["normal", "unequal", "skewed"])
def test_scores_have_the_area_that_was_set(shape: monte_carlo.Shape, rng: np.random.Generator) -> None:
    for counts in ((3000, 3000), (2000, 2000, 2000)):
        curves = Curves(counts=counts, area=0.9, shape=shape)
        labels, scores = curves.labels(), curves.scores(rng)
        own, rest = scores[labels == 1, 1], scores[labels != 1, 1]
        wins = stats.mannwhitneyu(own, rest).statistic / (len(own) * len(rest))
        assert wins == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize(
    "areas",
    [
        Areas(counts=(20, 20), area=0.95, change=-0.05, shared=0.7),
        Areas(counts=(26, 20, 20), area=0.85, change=0, shared=0),
    ],
)
def test_the_change_of_an_area_holds_its_level(areas: Areas, rng: np.random.Generator) -> None:
    line = monte_carlo_paired.area_change_misses(areas, DRAWS, rng)
    assert max(cell(line, "change_over"), cell(line, "change_under")) < BEYOND
    far = Areas(counts=areas.counts, area=areas.area, change=areas.change - 0.4, shared=areas.shared)
    assert monte_carlo_paired.area_change_misses(far, 5, rng)["truth"] == areas.change - 0.4


def pairs_given(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[tuple[Predictions, ...]]:
    """Replace a function of two models, and return the list of its arguments.

    It is filled as the function is called. The replacement returns no change.
    """
    seen: list[tuple[Predictions, ...]] = []

    def keep(*pair: Predictions) -> Estimate:
        seen.append(pair)
        return paired_difference(0, 0, 1)

    monkeypatch.setattr(module, name, keep)
    return seen


def test_two_models_have_the_areas_and_the_resemblance_that_were_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pairs_given(monkeypatch, comparison, "auroc_change")
    areas = Areas(counts=(4000, 4000, 4000), area=0.9, change=-0.05, shared=0.7)
    monte_carlo_paired.area_change_misses(areas, 1, np.random.default_rng(0))
    ((before, now),) = seen
    for model, area in ((before, 0.9), (now, 0.85)):
        assert metrics.macro_auroc(model).value == pytest.approx(area, abs=0.01)
    own = before.labels == 0
    assert np.corrcoef(before.probabilities[own, 0], now.probabilities[own, 0])[0, 1] == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize(("lost", "found"), [(0.05, 0.0), (0.1, 0.05)])
def test_the_drop_holds_its_level(lost: float, found: float, rng: np.random.Generator) -> None:
    line = monte_carlo_paired.drop_misses(Drop(counts=(26, 20, 20), clean=0.9, lost=lost, found=found), DRAWS, rng)
    assert cell(line, "truth") == pytest.approx(lost - found)
    assert max(cell(line, "drop_over"), cell(line, "drop_under")) < BEYOND


def test_the_drop_holds_its_level_where_one_patient_has_half_of_every_class(rng: np.random.Generator) -> None:
    shared = Drop(counts=(40, 40, 40), clean=0.9, lost=0.2, found=0.02, shared=20)
    line = monte_carlo_paired.drop_misses(shared, DRAWS, rng)
    assert max(cell(line, "drop_over"), cell(line, "drop_under")) < BEYOND


def test_images_of_the_shared_patient_meet_one_fate(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pairs_given(monkeypatch, robustness, "balanced_accuracy")
    change = Drop(counts=(10, 8), clean=0.5, lost=0.25, found=0.25, shared=3)
    monte_carlo_paired.drop_misses(change, 20, np.random.default_rng(0))
    for before, after in seen:
        assert before.groups is not None
        own = [row for row, patient in enumerate(before.groups) if patient == "shared"]
        assert own == [0, 1, 2, 10, 11, 12]
        assert len(set(before.groups)) == 1 + 7 + 5
        fates = {(part.answers[row] == part.labels[row], part is after) for part in (before, after) for row in own}
        assert len(fates) == 2


def test_a_drop_is_drawn_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = pairs_given(monkeypatch, robustness, "balanced_accuracy")
    change = Drop(counts=(20_000, 20_000), clean=0.8, lost=0.2, found=0.05)
    monte_carlo_paired.drop_misses(change, 1, np.random.default_rng(0))
    ((before, after),) = seen
    right, still = before.answers == before.labels, after.answers == after.labels
    assert right.mean() == pytest.approx(0.8, abs=0.01)
    assert (right & ~still).mean() == pytest.approx(0.2, abs=0.01)
    assert (~right & still).mean() == pytest.approx(0.05, abs=0.005)


def test_the_gain_of_a_temperature_holds_its_level_where_percentiles_do_not(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monte_carlo_paired, "RESAMPLES", 200)
    line = monte_carlo_paired.gain_misses(Gain(units=40, images=4, sharpened=2.0), DRAWS, rng)
    assert cell(line, "truth") == pytest.approx(0.124, abs=0.01)
    assert cell(line, "studentised_over") < BEYOND
    assert cell(line, "studentised_under") < 0.06
    assert cell(line, "bootstrap_under") > 0.06


def test_a_gain_is_what_the_fitted_temperature_saves(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over- and under-confident answers gain; calibrated ones gain nothing."""
    monkeypatch.setattr(monte_carlo_paired, "POPULATION", 50_000)
    assert Gain(units=30, images=1, sharpened=1.0).population(rng) == pytest.approx(0, abs=1e-9)
    for sharpened in (0.5, 2.0):
        assert Gain(units=30, images=1, sharpened=sharpened).population(rng).mean() > 0.05


def test_images_of_a_patient_resemble_one_another_as_set(rng: np.random.Generator) -> None:
    scores = Curves(counts=(2000, 2000), area=0.5, images=2, icc=0.6).scores(rng)[:, 0]
    assert np.corrcoef(scores[::2], scores[1::2])[0, 1] == pytest.approx(0.6, abs=0.03)
    patients = Patients(groups=4000, images=2, icc=0.4, share=0.8)
    rates = patients.rates(rng, [0.8, 0.2])[:, 0]
    assert rates.mean() == pytest.approx(0.8, abs=0.02)
    assert rates.var() / (0.8 * 0.2) == pytest.approx(0.4, abs=0.03)


def test_ignoring_patients_and_resampling_few_of_them_are_caught_where_grouping_holds(rng: np.random.Generator) -> None:
    line = monte_carlo.grouped_misses(Patients(groups=20, images=5, icc=0.5, share=0.8), DRAWS, rng)
    assert max(cell(line, "grouped_over"), cell(line, "grouped_under")) < BEYOND
    assert min(cell(line, "naive_over"), cell(line, "naive_under")) > BEYOND
    few = monte_carlo.grouped_misses(Patients(groups=10, images=3, icc=0.3, share=0.95), DRAWS, rng)
    assert cell(few, "grouped_over") < BEYOND
    assert cell(few, "bootstrap_over") > 4 * BEYOND


def test_grouped_areas_and_differences_hold_where_images_on_their_own_do_not(rng: np.random.Generator) -> None:
    curves = Curves(counts=(20, 20), area=0.8, images=4, icc=0.7)
    area = monte_carlo.area_misses(curves, DRAWS, rng)
    assert max(cell(area, "macro_over"), cell(area, "macro_under")) < BEYOND
    assert min(cell(area, "naive_over"), cell(area, "naive_under")) > BEYOND
    patients = Patients(groups=40, images=5, icc=0.6, share=0.2)
    difference = monte_carlo.grouped_difference_misses(patients, 0.1, DRAWS, rng)
    assert max(cell(difference, "grouped_over"), cell(difference, "grouped_under")) < BEYOND
    assert min(cell(difference, "naive_over"), cell(difference, "naive_under")) > BEYOND


@pytest.mark.parametrize("nested", [True, False])
def test_retained_skill_holds_its_level(nested: bool, rng: np.random.Generator) -> None:
    line = monte_carlo.skill_misses(Skill(counts=(26, 20, 20), clean=0.9, kept=0.5, nested=nested), DRAWS, rng)
    assert max(cell(line, "kept_over"), cell(line, "kept_under")) < BEYOND
    assert cell(line, "undefined") == 0


def test_a_setting_beyond_its_level_is_distinguished_from_noise() -> None:
    tally = Tally(0.5)
    for low in [0.6] * 30 + [0.4] * 970:
        tally.add("x", low, 0.9)
    line = tally.entry()
    assert (line["x_over"], line["x_under"]) == (0.03, 0.0)
    assert not study_report.beyond(line, "x", 1000)
    assert study_report.beyond({"x_over": 0.06, "x_under": 0.0}, "x", 1000)
    assert study_report.beyond({"over": 0.0251, "under": 0.0}, "", 0)
    assert not study_report.beyond({"over": 0.025, "under": 0.025}, "", 0)


# The report


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders, each with the report of the same few draws."""
    patch = pytest.MonkeyPatch()
    patch.chdir(ROOT)
    patch.setattr(study, "SIZES", range(5, 401, 79))
    patch.setattr(study, "DIFFERENCE_SIZES", (20, 66))
    patch.setattr(study, "FURTHER_SIZES", (20,))
    patch.setattr(monte_carlo, "RESAMPLES", 20)
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in folders:
        assert main(["simulate", "--draws", "2", "--seed", "7", "--out", str(folder)]) == 0
    patch.undo()
    return folders


def test_the_command_writes_report_numbers_and_figures(reports: tuple[Path, Path]) -> None:
    folder, _ = reports
    text = (folder / "statistics.md").read_text("utf-8")
    numbers = json.loads((folder / "statistics.json").read_text("utf-8"))
    assert "python -m tests.validation simulate --draws 2 --seed 7" in text
    assert "2 draws a setting from seed 7" in text
    assert (numbers["schema"], numbers["draws"], numbers["seed"]) == ("roentgate.statistics/1", 2, 7)
    for name in ("coverage", "decisions"):
        assert f"(statistics/{name}.png)" in text
        assert (folder / "statistics" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_bytes(reports: tuple[Path, Path]) -> None:
    first, second = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in reports)
    assert len(first) == 4
    assert first == second


def test_another_seed_gives_other_draws() -> None:
    patients = Patients(groups=10, images=3, icc=0.3, share=0.8)
    lines = [monte_carlo.grouped_misses(patients, 50, np.random.default_rng([seed, 0])) for seed in (0, 1)]
    assert lines[0] != lines[1]


@pytest.mark.parametrize(("draws", "seed"), [(0, 0), (10, -1)])
def test_draws_and_seeds_that_cannot_be_are_refused(draws: int, seed: int) -> None:
    with pytest.raises(ArgumentError, match="give at least one draw"):
        study.run(draws=draws, seed=seed, policy_path=ROOT / "suites" / "policy.toml")


class Line(TypedDict, total=False):
    """A line of a table, with the cells that tests read."""

    n: int
    truth: float
    discordant: float
    hits: int
    bound: float
    direction: Direction


class Published(TypedDict):
    """The numbers of the report, with the keys that tests read."""

    draws: int
    seed: int
    tables: dict[str, list[Line]]


@pytest.fixture(scope="module")
def published() -> Published:
    numbers: Published = json.loads((ROOT / "reports" / "statistics.json").read_text("utf-8"))
    return numbers


def same(published: Mapping[str, object], fresh: Entry) -> bool:
    """Whether a published line equals a fresh one, up to rounding."""
    return published.keys() == fresh.keys() and all(
        isinstance(kept := published[name], float) and math.isclose(kept, value, rel_tol=1e-5, abs_tol=1e-12)
        if isinstance(value, float)
        else published[name] == value
        for name, value in fresh.items()
    )


@pytest.mark.xfail(strict=True, reason="'further' counts other images than the published report: make statistics")
def test_the_published_exact_tables_are_those_of_the_code(published: Published) -> None:
    """After a change of an interval or a gate the report must be made again."""
    tables = published["tables"]
    places = product(study.GATE_ROWS, study.GATE_TRUTHS)
    for line, (n, truth) in zip(tables["gates"], places, strict=True):
        assert same(line, enumeration.gates_accept(n, study.FLOOR, [truth])[0])
    for line, infills in zip(tables["infills"], (1, 4, 5), strict=True):
        assert same(line, enumeration.infills_accept(66, study.CEILING, study.FLIPS, infills))
    few = [line for line in tables["difference"] if line["n"] == 20]
    fresh = enumeration.difference_misses(20, [(line["truth"], line["discordant"]) for line in few])
    assert all(map(same, few, fresh))
    assert same(tables["balanced"][0], enumeration.balanced_misses((10, 10, 10), (0.5, 0.5, 0.5)))
    line = tables["further"][0]
    again = enumeration.further(line["n"], line["hits"], line["bound"], line["direction"])
    assert again is not None
    assert same(line, again)


def test_the_shipped_bounds_are_those_of_the_policy(policy: Policy) -> None:
    shipped = policy.recall.recall_floor, policy.border.flips_ceiling, policy.border.swap_ceiling
    assert shipped == (study.FLOOR, study.CEILING, study.SWAP_CEILING)
    assert policy.comparison.margin == study.MARGIN


def test_changes_of_what_follows_a_donor_miss_as_often_as_summed_exactly() -> None:
    n, draws = 20, 4000
    follows = Follows(n=n, reference=0.1, candidate=0.2, control=0.0)
    line = monte_carlo_paired.follow_change_misses(follows, draws, np.random.default_rng(1))
    over = under = 0.0
    for before, now in product(range(n + 1), repeat=2):
        chance = stats.binom.pmf(before, n, 0.1) * stats.binom.pmf(now, n, 0.2)
        change = differences.of_estimates(paired_difference(now, 0, n), paired_difference(before, 0, n))
        over += chance * (change.low > 0.1)
        under += chance * (change.high < 0.1)
    assert line["change_over"] == pytest.approx(over, abs=4 * np.sqrt(0.025 / draws))
    assert line["change_under"] == pytest.approx(under, abs=4 * np.sqrt(0.025 / draws))
    assert 0.005 < under < 0.06


@pytest.mark.parametrize(("counts", "images"), [((22, 22, 22), 1), ((80, 80, 80), 1), ((20, 20, 20), 3)])
def test_donors_that_decide_are_missed_as_rarely_as_they_may_be_and_with_replacement_too_often(
    counts: tuple[int, ...], images: int
) -> None:
    lent = Lent(counts=counts, deciding=0.5, turned=1.0, images=images)
    line = monte_carlo_paired.lent_misses(lent, DRAWS, np.random.default_rng(4))
    assert max(cell(line, "once_over"), cell(line, "once_under")) < BEYOND
    assert cell(line, "replaced_over") + cell(line, "replaced_under") > 0.1


SECTIONS = ["areas", "grouped", "grouped_difference", "skill", "area_changes", "follow_changes", "drops"]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_published_setting_is_drawn_again_alike(section: str, published: Published) -> None:
    assert published["draws"] == study.DRAWS
    settings = list(study.drawn())
    index = next(place for place, (name, _) in enumerate(settings) if name == section)
    fresh = settings[index][1](study.DRAWS, np.random.default_rng([published["seed"], index]))
    assert same(published["tables"][section][0], fresh)
