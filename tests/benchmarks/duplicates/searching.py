"""What the scripts of all tools share: the trees, the clock and the line of JSON."""

import importlib.metadata
import json
import resource
import sys
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Pairs = list[tuple[str, str]]
Found = dict[str, dict[str, Any]]
"""What is found in a tree: pairs and processor time, by column."""


def files_of(tree: Path) -> list[str]:
    """Return the images of a tree, relative to it."""
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())


def within(sets: Iterable[Iterable[str]]) -> Pairs:
    """Return all pairs of images that are in one set."""
    return sorted({pair for each in sets for pair in combinations(sorted(each), 2)})


def timed(search: Callable[[], T]) -> tuple[T, float]:
    """Return what a search returns, and its processor time (s)."""
    before = spent()
    return search(), spent() - before


def spent() -> float:
    """Return the processor time (s) of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def judge(columns: dict[str, Callable[[], Pairs]]) -> Found:
    """Return the pairs and the time of each search, by column."""
    found = {column: timed(search) for column, search in columns.items()}
    pairs = {column: pairs for column, (pairs, _) in found.items()}
    return {"pairs": pairs, "cpu": {column: cpu for column, (_, cpu) in found.items()}}


def main(package: str, judge_tree: Callable[[Path], Found]) -> None:
    """Judge all trees of the folder on the command line, and print JSON.

    It stands on a line of its own, whatever the tool printed before it.
    """
    folder = Path(sys.argv[1]).resolve()
    trees = {
        str(tree.relative_to(folder)): judge_tree(tree)
        for tree in sorted(folder.glob("*/*"))
        if (tree / "train").is_dir()
    }
    metadata = importlib.metadata.metadata(package)
    license_name = metadata["License-Expression"] or metadata["License"]
    print("\n" + json.dumps({"version": metadata["Version"], "license": license_name, "trees": trees}))
