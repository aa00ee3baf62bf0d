"""Runs the tests of a suite on given evidence, without pytest.

Simulations use it to run a suite a thousand times.
"""

import importlib.util
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Protocol

from roentgate.errors import ArgumentError
from roentgate.policy import Policy
from roentgate.stats import Verdict, skipped


class Accept(Protocol):
    """The function with which a test of a suite records its verdict."""

    def __call__(self, verdict: Verdict, *, subject: str = "") -> None:
        """Record a verdict on ``subject``."""


def axes(policy: Policy, classes: Sequence[str]) -> dict[str, list[object]]:
    """Return the values of all parameters that a suite's tests may use.

    The models are not among them.
    """
    from roentgate.audit import probes, scan
    from roentgate.data import SPLITS

    border, robustness = policy.border, policy.robustness
    return {
        "split": ["validation", "test"],
        "label": list(classes),
        "pair": list(permutations(classes, 2)),
        "width": list(dict.fromkeys([*border.borders, *border.stress_borders])),
        "gating_width": list(dict.fromkeys(border.borders)),
        "only_width": list(dict.fromkeys([*border.only_borders, *border.only_stress_borders])),
        "infill": list(dict.fromkeys(border.infills)),
        "corruption": list(dict.fromkeys(robustness.corruptions)),
        "corruption_group": list(robustness.groups),
        "severity": [robustness.mild_severity, robustness.marked_severity],
        "any_split": list(SPLITS),
        "two_splits": list(scan.SPLIT_PAIRS),
        "border_probe": list(probes.BORDER_PROBES),
        "pixel_probe": list(probes.PIXELS),
    }


def name_of(value: object) -> str:
    """Return the name of a parameter's value in the id of a test."""
    if isinstance(value, tuple):
        return ">".join(value)
    return str(getattr(value, "name", value))


def load_suite(path: Path) -> ModuleType:
    """Import a suite file.

    Raises:
        ArgumentError: There is no such file.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ArgumentError(f"'{path}': no such suite; run this in the project's folder")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdicts(  # noqa: PLR0913  the last two serve callers without all evidence
    suite: ModuleType,
    evidence: Mapping[str, object],
    policy: Policy,
    classes: Sequence[str],
    *,
    lacks: Callable[[str], str] = lambda _: "",
    absent: Collection[str] = (),
) -> list[tuple[str, str, Verdict]]:
    """Return (check, subject, verdict) of every test of a suite.

    The tests are parametrised as under pytest.

    Args:
        suite: The module that `load_suite` returned.
        evidence: The fixtures that its tests ask for (``evidence``, ``border_answers``, ``reference``).
        policy: The bounds.
        classes: The class names.
        lacks: Returns why a capability that a test needs is lacking, or "". A test that lacks one is skipped.
        absent: Fixtures that are not available. A test that asks for one of them is left out.
    """
    values = axes(policy, classes)
    found: list[tuple[str, str, Verdict]] = []
    fixtures = {**evidence, "policy": policy, "classes": tuple(classes)}
    for name, test in vars(suite).items():
        if not name.startswith("test_"):
            continue
        check, wanted = name.removeprefix("test_"), inspect.signature(test).parameters
        if not wanted.keys().isdisjoint(absent):
            continue
        needs = [need for mark in getattr(test, "pytestmark", []) if mark.name == "needs" for need in mark.args]
        if reason := next((lack for need in needs if (lack := lacks(need))), ""):
            found.append((check, "", skipped(reason)))
            continue
        varied = [axis for axis in values if axis in wanted]
        for chosen in product(*(values[axis] for axis in varied)):
            kept: list[tuple[str, Verdict]] = []
            given = {fixture: value for fixture, value in fixtures.items() if fixture in wanted}
            test(**given, **dict(zip(varied, chosen, strict=True)), accept=_keeping(kept))
            found += [(check, subject, verdict) for subject, verdict in kept]
    return found


def _keeping(kept: list[tuple[str, Verdict]]) -> Accept:
    def accept(verdict: Verdict, *, subject: str = "") -> None:
        kept.append((subject, verdict))

    return accept
