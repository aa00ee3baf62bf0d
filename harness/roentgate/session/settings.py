"""The settings of one run, read from the command line.

They say which models are judged on which data, by which policy, and where reports are written.
"""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roentgate.candidates import Options
from roentgate.errors import ArgumentError
from roentgate.stats import Gate

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one run.

    Args:
        models: The values of ``--model``, each once.
        data: The value of ``--data``.
        root: The project folder with ``models/``, ``data/``, ``reports/`` and the store.
        policy: The policy file.
        gate: The decision rule.
        reports: The folder of the scorecards.
        options: The options of the models.
        figures: Whether to draw figures.
        seeds: How many replicates of each model are trained, with seeds that follow the first.
        reference: The model or scorecard to compare with, or None.
        claims: The file of published figures, or None.
        robustness: Whether to run the robustness suite.
    """

    models: tuple[str, ...]
    data: str
    root: Path
    policy: Path
    gate: Gate
    reports: Path
    options: Options
    figures: bool = True
    seeds: int = 1
    reference: str | None = None
    claims: Path | None = None
    robustness: bool = False


def read_settings(config: "pytest.Config") -> Settings:
    """Return the settings that a command line asks for.

    Paths are relative to the folder in which pytest was called.

    Raises:
        ArgumentError: An option is malformed, or does not go with another.
    """

    def path(name: str, default: Path) -> Path:
        value = config.getoption(name)
        return Path(config.invocation_params.dir, value) if value else default

    root = config.rootpath
    classes = config.getoption("classes")
    weights = config.getoption("weights")
    worker = getattr(config, "workerinput", {})
    references = list(dict.fromkeys(config.getoption("reference") or [None]))
    if len(references) > 1:
        named = " and ".join(f"--reference {name}" for name in references)
        raise ArgumentError(f"{named}: a run compares with one reference; leave one, or judge in two runs")
    seed, seeds = config.getoption("seed"), config.getoption("seeds")
    check_seeds(seed, seeds)
    return Settings(
        models=tuple(dict.fromkeys(config.getoption("model"))),
        data=config.getoption("data"),
        root=root,
        policy=path("policy", root / "suites" / "policy.toml"),
        gate=config.getoption("gate"),
        reports=path("report_dir", root / "reports"),
        figures=not config.getoption("no_figures"),
        seeds=seeds,
        reference=references[0],
        claims=path("claims", root) if config.getoption("claims") else None,
        robustness=config.getoption("robustness"),
        options=Options(
            models=root / "models",
            seed=seed,
            image_size=parse_size(config.getoption("image_size")),
            weights=Path(config.invocation_params.dir, weights) if weights else None,
            epochs=config.getoption("epochs"),
            classes=tuple(classes.split(",")) if classes else None,
            trust=config.getoption("trust_model_file"),
            run_id=worker.get("roentgate_run") or new_run_id(),
        ),
    )


def folder_name(model: str) -> str:
    """Return the name of the folder of a model's reports.

    It is the model's name, or the stem of its file.
    """
    stem = Path(model).stem if "/" in model or os.sep in model or model.endswith((".py", ".keras")) else model
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in stem)


def check_seeds(first: int, count: int) -> None:
    """Raise `ArgumentError` unless the seeds are valid and at least one.

    The seeds are ``count`` numbers from ``first`` on. NumPy and Keras accept seeds below 2**32.
    """
    if count < 1:
        raise ArgumentError(f"--seeds {count}: give 1 or more")
    if first + count > 2**32:
        raise ArgumentError(
            f"--seed {first} --seeds {count}: the last seed would be {first + count - 1}, above 2**32 - 1; give less"
        )


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return (height, width) from ``96`` or ``96x128``.

    Raises:
        ArgumentError: It is neither.
    """
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) <= 2 and all(part.isdecimal() and 8 <= int(part) <= 4096 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise ArgumentError(f"--image-size {text}: must be N or HxW, in pixels from 8 to 4096")


def new_run_id() -> str:
    """Return an id that no other run has."""
    return uuid.uuid4().hex
