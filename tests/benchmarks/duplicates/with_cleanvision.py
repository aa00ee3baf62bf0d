"""Run CleanVision on the trees of `inputs.py`.

``python with_cleanvision.py FOLDER`` prints one JSON line. Exact and near duplicates are searched with default
settings. All pairs of a set of duplicates count as found.
"""

import contextlib
import importlib.metadata
import io
import json
import resource
import sys
import time
from itertools import combinations
from pathlib import Path

from cleanvision import Imagelab

KINDS = ("exact_duplicates", "near_duplicates")


def spent() -> float:
    """Return the processor seconds of this process and its workers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def judge(tree: Path) -> dict[str, object]:
    """Return the pairs found in a tree, and the time it took."""
    wall, before = time.perf_counter(), spent()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(data_path=str(tree))
        lab.find_issues({kind: {} for kind in KINDS})
    wall, used = time.perf_counter() - wall, spent() - before
    sets = [each for kind in KINDS for each in lab.info[kind]["sets"]]
    named = [sorted(str(Path(image).relative_to(tree)) for image in each) for each in sets]
    pairs = sorted({pair for each in named for pair in combinations(each, 2)})
    return {"pairs": {"CleanVision": pairs}, "wall": {"CleanVision": wall}, "cpu": {"CleanVision": used}}


def main(folder: Path) -> None:
    """Judge all trees."""
    trees = {
        str(tree.relative_to(folder)): judge(tree) for tree in sorted(folder.glob("*/*")) if (tree / "train").is_dir()
    }
    metadata = importlib.metadata.metadata("cleanvision")
    license_name = metadata["License-Expression"] or metadata["License"]
    print(json.dumps({"version": metadata["Version"], "license": license_name, "trees": trees}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
