"""Roentgate: acceptance tests for medical image classifiers. Suites and model files import from here only.

Names are looked up on first use, so that importing the package (as pytest does, for the plugin) costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import (  # noqa: F401
        alignment,
        audit,
        border,
        calibration,
        consistency,
        drop,
        explanations,
        inference,
        looks,
        metrics,
        probes,
        readings,
        reproduction,
    )
    from harness import invariance as invariance
    from harness import smallest as smallest
    from harness.bounds import Table as Table
    from harness.checks import Verdict as Verdict
    from harness.checks import at_least as at_least
    from harness.checks import at_most as at_most
    from harness.checks import informs as informs
    from harness.checks import skipped as skipped
    from harness.dataset import Dataset as Dataset
    from harness.dataset import Splits as Splits
    from harness.estimate import Estimate as Estimate
    from harness.model import Recipe as Recipe
    from harness.model import Streams as Streams
    from harness.model import Task as Task
    from harness.predictions import Predictions as Predictions

_HOMES = {
    "Dataset": "dataset",
    "Estimate": "estimate",
    "Predictions": "predictions",
    "Recipe": "model",
    "Splits": "dataset",
    "Streams": "model",
    "Table": "bounds",
    "Task": "model",
    "Verdict": "checks",
    "alignment": "alignment",
    "audit": "audit",
    "at_least": "checks",
    "attention": "attention",
    "at_most": "checks",
    "border": "border",
    "calibration": "calibration",
    "comparison": "comparison",
    "consistency": "consistency",
    "drop": "drop",
    "explanations": "explanations",
    "inference": "inference",
    "informs": "checks",
    "invariance": "invariance",
    "looks": "looks",
    "metrics": "metrics",
    "probes": "probes",
    "readings": "readings",
    "reproduction": "reproduction",
    "skipped": "checks",
    "smallest": "smallest",
}

__all__ = [  # noqa: PLE0604 - the names above, listed once
    *_HOMES
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    module = importlib.import_module(f"harness.{_HOMES[name]}")
    return module if name == _HOMES[name] else getattr(module, name)
