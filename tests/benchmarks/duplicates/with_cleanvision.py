"""Run CleanVision on the trees of `inputs.py`.

``python with_cleanvision.py FOLDER`` prints one JSON line. Exact and near duplicates are searched with default
settings. All pairs of a set of duplicates count as found.
"""

import contextlib
import io
from pathlib import Path

from cleanvision import Imagelab
from searching import Found, Pairs, judge, main, within  # type: ignore[import-not-found]  # beside this file

KINDS = ("exact_duplicates", "near_duplicates")


def search(tree: Path) -> Pairs:
    """Return the pairs found in a tree."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(data_path=str(tree))
        lab.find_issues({kind: {} for kind in KINDS})
    sets = [each for kind in KINDS for each in lab.info[kind]["sets"]]
    return within([str(Path(image).relative_to(tree)) for image in each] for each in sets)


def judge_tree(tree: Path) -> Found:
    """Return the pairs found in a tree, and the time."""
    found: Found = judge({"CleanVision": lambda: search(tree)})
    return found


if __name__ == "__main__":
    main("cleanvision", judge_tree)
