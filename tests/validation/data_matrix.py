"""Data part of the detection matrix: which data faults are refused.

Every spoiled and every sound data set is drawn with several seeds and judged by the data suite.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from roentgate.audit import DataRecord
from roentgate.data import CLASSES, read_splits
from roentgate.policy import Policy, load_policy
from roentgate.report import audit_report
from roentgate.store import Store
from tests.validation.detection_matrix import Entry, Outcome
from tests.validation.planted_data import SPOILED, Spoiled, write

CALM_SEEDS = 20
"""Drawings of each sound set, more than of the spoiled ones, as false alarms are rare."""
SUITE = "test_data.py"


def work(seeds: Sequence[int]) -> int:
    """Return how many data sets `judge` judges."""
    return sum(len(_seeds(each, seeds)) for each in SPOILED)


def judge(root: Path, seeds: Sequence[int], store: Store, step: Callable[[str, int], None]) -> list[Entry]:
    """Draw, spoil and judge each data set by checks that need no model.

    Args:
        root: The project folder.
        seeds: Seeds of drawing of the spoiled sets. With five seeds or more, sound sets are drawn `CALM_SEEDS` times.
        store: Holds the images and the audit's results.
        step: Called with (what is judged now, data sets finished since the last call).
    """
    policy = load_policy(root / "suites" / "policy.toml", data="phantom", classes=CLASSES)
    entries = []
    for each in SPOILED:
        entry = _entry(each)
        for seed in _seeds(each, seeds):
            step(f"data {each.name}, seed {seed}", 0)
            entry["outcomes"].append(_outcome(each, seed, root / "suites" / SUITE, policy, store))
            step(f"data {each.name}, seed {seed}", 1)
        entries.append(entry)
    return entries


def _seeds(each: Spoiled, seeds: Sequence[int]) -> Sequence[int]:
    return seeds if each.check or len(seeds) < _FULL else range(seeds[0], seeds[0] + CALM_SEEDS)


_FULL = 5


def _entry(each: Spoiled) -> Entry:
    return {
        "name": each.name,
        "says": each.says,
        "sound": not each.check,
        "loaded": False,
        "data": each.variant,
        "promised": [f"data/{each.check}"] if each.check else [],
        "diagnosis": each.diagnosis,
        "outcomes": [],
    }


def _outcome(each: Spoiled, seed: int, suite: Path, policy: Policy, store: Store) -> Outcome:
    card = write(each.name, seed, store)
    splits = read_splits(card, image_shape=(*card.image_size, 1), cache=None, store=store)
    rows = audit_report.judge(DataRecord(splits, store), policy, suite)
    not_accepted = [row for row in rows if row["gates"] and not row["accepted"]]
    diagnosed = any(row["check"] == each.check and each.diagnosis in row["detail"] for row in not_accepted)
    return {
        "seed": seed,
        "refused": sorted({f"data/{row['check']}" for row in not_accepted}),
        "failed": sorted({f"data/{row['check']}" for row in not_accepted if row["outcome"] == "fail"}),
        "diagnosed": diagnosed,
        "accuracy": None,
    }
