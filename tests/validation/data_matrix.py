"""Which faults of a data set the data suite catches: every spoiled and every sound drawn set, over seeds of drawing."""

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
"""Drawings of the sound sets: how often a check is alarmed by images with nothing wrong."""
SUITE = "test_data.py"


def work(seeds: Sequence[int]) -> int:
    """Return how many data sets `judge` looks at."""
    return sum(len(_seeds(each, seeds)) for each in SPOILED)


def judge(root: Path, seeds: Sequence[int], store: Store, step: Callable[[str, int], None]) -> list[Entry]:
    """Draw, spoil and judge each data set by the checks of the data suite that ask for no model.

    Args:
        root: The project folder.
        seeds: Seeds of drawing of the spoiled sets; sound ones are drawn `CALM_SEEDS` times where all seeds are asked.
        store: Where images and what is found of them are kept.
        step: Called with (what is judged now, how many were finished since the last call).
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
    against = [row for row in rows if row["gates"] and not row["accepted"]]
    diagnosed = any(row["check"] == each.check and each.diagnosis in row["detail"] for row in against)
    return {
        "seed": seed,
        "refused": sorted({f"data/{row['check']}" for row in against}),
        "failed": sorted({f"data/{row['check']}" for row in against if row["outcome"] == "fail"}),
        "diagnosed": diagnosed,
        "accuracy": None,
    }
