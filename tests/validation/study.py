"""Plan of the statistics report: the settings in which intervals are tried."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from roentgate.errors import ArgumentError
from roentgate.policy import Policy, load_policy
from roentgate.stats import Direction
from tests.validation import exact as enumeration
from tests.validation import monte_carlo, monte_carlo_families, monte_carlo_paired, monte_carlo_probes
from tests.validation.exact import GATES, Entry
from tests.validation.monte_carlo import Curves, Patients, Shape, Skill
from tests.validation.monte_carlo_families import Infills, SoundModel
from tests.validation.monte_carlo_paired import Areas, Drop, Follows, Gain, Lent
from tests.validation.monte_carlo_probes import EqualProbes

Tables = dict[str, list[Entry]]

DRAWS: Final = 2500
FURTHER_PROMISE: Final = 0.8
"""Least share of draws in which the number of further rows should settle a verdict."""

FLOOR: Final = 0.80
CEILING: Final = 0.10
FLIPS: Final = 0.06
SWAP_CEILING: Final = 0.10
"""Ceiling of the net switches in the shipped policy."""

MARGIN: Final = 0.05
"""Largest fall of a recall that the shipped policy accepts."""

COUNTS: Final = ((26, 20, 20), (80, 80, 80))
SHARES: Final = tuple(round(0.5 + 0.005 * step, 3) for step in range(99))
SIZES: Final = range(5, 401)
"""Rows for which the exact interval of a share is tried."""

DIFFERENCE_SIZES: Final = (20, 40, 66, 100, 200)
FURTHER_SIZES: Final = (10, 20, 26, 40, 66, 80, 100, 200, 300)

ADDED_SIZES: Final = (20, 40, 66, 100)
ADDED_TRUTHS: Final = (0.7999, 0.79, 0.75)
"""True shares just below the floor, for images that are added until a verdict is settled."""

CURVES_N: Final = (20, 66, 400)
"""Rows for which the misses are kept at every true share."""

GATE_ROWS: Final = (20, 40, 66, 100, 200, 400)
GATE_TRUTHS: Final = tuple(round(0.60 + 0.01 * step, 2) for step in range(40))
MODELS: Final = ((0.85, 0.04), (0.90, 0.02), (0.90, 0.06), (0.95, 0.02), (0.97, 0.01))
"""Models of known quality: (recall of every class, flip rate under every infill)."""

FOLLOWED: Final = ((0.05, 0.05), (0.05, 0.10), (0.10, 0.05), (0.3, 0.3), (0.3, 0.5))
"""Pairs of shares of images that follow a border swap's donor: (reference, candidate)."""

AREAS: Final = (0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


def run(*, draws: int, seed: int, policy_path: Path) -> Tables:
    """Compute every table of the report.

    The draws of a setting depend only on the seed and its place in the plan.

    Args:
        draws: Draws of each drawn setting, at least 1.
        seed: Any integer from 0 on.
        policy_path: The policy whose bounds are counted.

    Raises:
        ArgumentError: Too few draws, or a negative seed.
        PolicyError: The policy cannot be read.
    """
    if draws < 1 or seed < 0:
        raise ArgumentError(f"{draws} draws from seed {seed}; give at least one draw, and a seed of 0 or more")
    classes = tuple(f"class {index + 1}" for index in range(len(COUNTS[0])))
    policy = load_policy(policy_path, data="", classes=classes)
    settings, exact = list(drawn()), list(_exact(policy))
    tables: Tables = {}
    with tqdm(total=len(settings) + len(exact), desc="simulating", unit="setting", disable=None) as bar:
        for index, (section, draw) in enumerate(settings):
            tables.setdefault(section, []).append(draw(draws, np.random.default_rng([seed, index])))
            bar.update()
        for section, enumerate_all in exact:
            tables.setdefault(section, []).extend(enumerate_all())
            bar.update()
    return tables


def drawn() -> Iterator[tuple[str, Callable[[int, np.random.Generator], Entry]]]:
    """Yield (table, function that draws a line of it) in a fixed order.

    The order must not change, as the draws of a setting depend on its place.
    """
    plan: tuple[tuple[str, Callable[..., Entry], Iterator[Any]], ...] = (
        ("areas", monte_carlo.area_misses, _curves()),
        ("grouped_areas", monte_carlo.area_misses, _grouped_curves()),
        ("grouped", monte_carlo.grouped_misses, _patients()),
        ("grouped_difference", monte_carlo.grouped_difference_misses, _discordant()),
        ("skill", monte_carlo.skill_misses, _skills()),
        ("area_changes", monte_carlo_paired.area_change_misses, _area_changes()),
        ("drops", monte_carlo_paired.drop_misses, _drops()),
        ("gains", monte_carlo_paired.gain_misses, _gains()),
        ("drops", monte_carlo_paired.drop_misses, _shared_drops()),
        ("follow_changes", monte_carlo_paired.follow_change_misses, _follows()),
        ("probes", monte_carlo_probes.probe_misses, _equal_probes()),
        ("lent", monte_carlo_paired.lent_misses, _lent()),
        ("families", monte_carlo_families.infill_acceptance, _families()),
        ("sound_families", monte_carlo_families.sound_acceptance, _sound_models()),
        ("paired_skill", monte_carlo.skill_misses, _paired_skills()),
    )
    for table, misses, settings in plan:
        for setting in settings:
            yield table, partial(misses, *(setting if isinstance(setting, tuple) else (setting,)))


def _exact(policy: Policy) -> Iterator[tuple[str, Callable[[], list[Entry]]]]:
    """Yield (table, function that computes lines of it) in a fixed order."""
    yield "share", lambda: [enumeration.worst_share_misses(n, SHARES) for n in SIZES]
    yield "share_curves", lambda: [line for n in CURVES_N for line in enumeration.share_misses(n, SHARES)]
    for n in DIFFERENCE_SIZES:
        yield "difference", partial(enumeration.difference_misses, n, _differences())
    yield "balanced", lambda: [enumeration.balanced_misses(*case) for case in _classes()]
    yield "further", lambda: [line for case in _cases() if (line := enumeration.further(*case))]
    yield "added", lambda: [enumeration.added(n, FLOOR, true) for n in ADDED_SIZES for true in ADDED_TRUTHS]
    yield "gates", lambda: [line for n in GATE_ROWS for line in enumeration.gates_accept(n, FLOOR, GATE_TRUTHS)]
    yield "infills", lambda: [enumeration.infills_accept(66, CEILING, FLIPS, infills) for infills in (1, 4, 5)]
    cases = list(product(COUNTS, GATES))
    yield (
        "family",
        lambda: [
            enumeration.chance_family(policy, *case, margin) for case, margin in product(cases, (0.05, 0.1, 0.15))
        ],
    )
    yield (
        "suites",
        lambda: [
            enumeration.suites_refuse(policy, *case, recall=recall, flips=flips)
            for case, (recall, flips) in product(cases, MODELS)
        ],
    )


def _curves() -> Iterator[Curves]:
    for counts in ((10, 10), (20, 20), (40, 40), (80, 80), (10, 10, 10), (26, 20, 20), (80, 80, 80)):
        for area in AREAS:
            yield Curves(counts=counts, area=area)
    shapes: tuple[Shape, ...] = ("unequal", "skewed")
    for shape in shapes:
        for counts in ((20, 20), (26, 20, 20)):
            for area in (0.8, 0.9, 0.99):
                yield Curves(counts=counts, area=area, shape=shape)


def _grouped_curves() -> Iterator[Curves]:
    for patients in (5, 10, 20, 40):
        for icc in (0.3, 0.7):
            for area in (0.8, 0.95):
                yield Curves(counts=(patients, patients), area=area, images=4, icc=icc)


def _patients() -> Iterator[Patients]:
    for groups in (5, 10, 20, 40, 80, 160):
        for images in (3, 0):
            for icc in (0.0, 0.3, 0.6):
                for share in (0.8, 0.9, 0.95):
                    yield Patients(groups=groups, images=images, icc=icc, share=share)


def _discordant() -> Iterator[tuple[Patients, float]]:
    for groups in (10, 20, 40, 80):
        for icc in (0.0, 0.3, 0.6):
            for discordant, difference in ((0.1, 0.0), (0.1, 0.05), (0.2, 0.1)):
                yield Patients(groups=groups, images=5, icc=icc, share=discordant), difference


def _skills() -> Iterator[Skill]:
    for counts in ((10, 10, 10), *COUNTS):
        for clean in (0.8, 0.95):
            for kept in (0.0, 0.25, 0.5, 0.75):
                for nested in (True, False):
                    yield Skill(counts=counts, clean=clean, kept=kept, nested=nested)


def _families() -> Iterator[Infills]:
    """Yield families at the ceiling: equal infills, one that dominates, and one that is twice as bad."""
    truths = ((CEILING,) * 5, (CEILING, 0.05, 0.05, 0.05, 0.05), (CEILING, *[0.001] * 4), (2 * CEILING, *[0.05] * 4))
    for n in (40, 66, 240):
        for each in truths:
            for shared in (0.0, 0.5, 0.9):
                yield Infills(n=n, bound=CEILING, truths=each, shared=shared)


def _sound_models() -> Iterator[SoundModel]:
    for shared in (0.0, 0.5, 0.9):
        yield SoundModel(each=40, recall=0.9, kept=0.25, infills=5, shared=shared)


def _paired_skills() -> Iterator[Skill]:
    """Yield answers of which nearly all or all stay the same."""
    for counts in ((10, 10, 10), (22, 22), *COUNTS):
        for clean in (0.8, 0.95):
            for kept in (0.9, 0.97, 1.0):
                yield Skill(counts=counts, clean=clean, kept=kept, nested=True)


def _area_changes() -> Iterator[Areas]:
    for counts in ((20, 20), *COUNTS):
        for area in (0.85, 0.95):
            for change in (0.0, -0.05):
                for shared in (0.0, 0.7):
                    yield Areas(counts=counts, area=area, change=change, shared=shared)


def _drops() -> Iterator[Drop]:
    for counts in ((10, 10, 10), *COUNTS):
        for lost, found in ((0.02, 0.02), (0.05, 0.0), (0.1, 0.05), (0.2, 0.02)):
            yield Drop(counts=counts, clean=0.9, lost=lost, found=found)


def _shared_drops() -> Iterator[Drop]:
    for counts in ((40, 40), (40, 40, 40, 40)):
        for shared in (4, 20):
            yield Drop(counts=counts, clean=0.9, lost=0.1, found=0.05, shared=shared)
            yield Drop(counts=counts, clean=0.9, lost=0.2, found=0.02, shared=shared)


def _gains() -> Iterator[Gain]:
    for sharpened in (0.5, 2.0):
        for units in (30, 40, 66, 100, 240):
            yield Gain(units=units, images=1, sharpened=sharpened)
        for units in (30, 60):
            yield Gain(units=units, images=4, sharpened=sharpened)


def _follows() -> Iterator[Follows]:
    for n in (20, 66, 240):
        for reference, candidate in FOLLOWED:
            for control in (0.0, 0.05):
                yield Follows(n=n, reference=reference, candidate=candidate, control=control)


def _equal_probes() -> Iterator[EqualProbes]:
    for counts, fitted in zip(COUNTS, ((111, 70, 70), (240, 240, 240)), strict=True):
        for shared in (0.0, 0.5):
            yield EqualProbes(counts=counts, fitted=fitted, probes=10, recall=0.8, shared=shared)


def _lent() -> Iterator[Lent]:
    """Yield borders that turn nine of ten, and backgrounds that decide or do not."""
    for counts in ((33, 33), *COUNTS, (22, 22, 22), (160, 40, 40)):
        yield Lent(counts=counts, deciding=0.12, turned=0.9, control=0.02)
        yield Lent(counts=counts, deciding=0.2, turned=1.0)
        yield Lent(counts=counts, deciding=0.5, turned=1.0)
    for patients in (20, 40):
        yield Lent(counts=(patients,) * 3, deciding=0.12, turned=0.9, images=4)
        yield Lent(counts=(patients,) * 3, deciding=0.5, turned=1.0, images=4)


def _differences() -> list[tuple[float, float]]:
    """Return pairs (difference, discordant share), with both signs."""
    sizes = [(d, q) for q in (0.02, 0.05, 0.1, 0.2, 0.4) for d in (0.0, 0.05, 0.1, 0.2) if d <= q]
    return [(sign * d, q) for d, q in sizes for sign in ((1, -1) if d else (1,))]


def _classes() -> Iterator[tuple[Sequence[int], Sequence[float]]]:
    for counts in ((10, 10, 10), (20, 20), (26, 20, 20), (80, 80)):
        for recalls in ((0.5, 0.5, 0.5), (0.8, 0.8, 0.8), (0.9, 0.9, 0.9), (0.97, 0.97, 0.97), (0.99, 0.9, 0.7)):
            yield counts, recalls[: len(counts)]


def _cases() -> Iterator[tuple[int, int, float, Direction]]:
    """Yield (n, hits, bound, direction) around the bounds of the policy."""
    for n in FURTHER_SIZES:
        for rate in (0.65, 0.7, 0.75, 0.85, 0.9, 0.95, 1.0):
            for bound in (0.8, 0.9):
                yield n, round(n * rate), bound, "at_least"
            for bound in (0.1, 0.2):
                yield n, n - round(n * rate), bound, "at_most"
