"""A suite's claims, held against evidence at hand without pytest: what a simulation asks a thousand times."""

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.checks import Verdict
from harness.errors import ArgumentError
from harness.policy import Policy


def axes(policy: Policy, classes: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of everything a suite's test may be parametrised by, but for models."""
    from harness import probes, survey  # noqa: PLC0415 - reads images, which few callers of this module do

    border = policy.border
    return {
        "split": ["validation", "test"],
        "label": list(classes),
        "pair": list(policy.recall.pairs(tuple(classes))),
        "ring": list(dict.fromkeys([*border.rings, *border.stress_rings])),
        "gating_ring": list(dict.fromkeys(border.rings)),
        "only_ring": list(dict.fromkeys([*border.only_rings, *border.only_stress_rings])),
        "fill": list(dict.fromkeys(border.fills)),
        "any_split": list(survey.SPLITS),
        "two_splits": list(survey.SPLIT_PAIRS),
        "frame_probe": list(probes.FRAMES),
        "pixel_probe": list(probes.PIXELS),
        "anatomy_probe": list(probes.ANATOMY),
    }


def name_of(value: Any) -> str:  # noqa: ANN401 - one value of `axes`
    """Return what a test's parameter is called in its id."""
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


def verdicts(
    suite: ModuleType, evidence: Mapping[str, Any], policy: Policy, classes: Sequence[str]
) -> list[tuple[str, Verdict]]:
    """Return (check, verdict) of every test of a suite, parametrised as pytest would.

    Args:
        suite: From `load_suite`.
        evidence: The fixtures that its tests ask for (``predictions``, ``border``, ``reference``).
        policy: The bounds.
        classes: The class names.
    """
    values, found = axes(policy, classes), []
    fixtures = {**evidence, "policy": policy, "classes": tuple(classes)}
    for name, test in vars(suite).items():
        if not name.startswith("test_"):
            continue
        wanted = inspect.signature(test).parameters
        varied = [axis for axis in values if axis in wanted]
        for chosen in product(*(values[axis] for axis in varied)):
            kept: list[Verdict] = []
            given = {fixture: value for fixture, value in fixtures.items() if fixture in wanted}
            test(**given, **dict(zip(varied, chosen, strict=True)), accept=_keeping(kept))
            found += [(name.removeprefix("test_"), verdict) for verdict in kept]
    return found


def _keeping(kept: list[Verdict]) -> Any:  # noqa: ANN401 - a function, as the fixture ``accept``
    return lambda verdict, subject="": kept.append(verdict)
