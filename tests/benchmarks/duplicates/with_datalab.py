"""Run cleanlab's Datalab on the trees of `inputs.py`.

``python with_datalab.py FOLDER`` prints one JSON line. Datalab looks for near duplicates among features that it is
given. Here they are those of `features.py`. Default settings; all of an image's near duplicates count as found.
"""

import contextlib
import io
from pathlib import Path

import torch
from cleanlab import Datalab
from features import features, network  # type: ignore[import-not-found]  # beside this file
from searching import Found, Pairs, files_of, judge, main  # type: ignore[import-not-found]  # beside this file


def search(tree: Path, model: torch.nn.Module) -> Pairs:
    """Return the pairs found in a tree."""
    names = files_of(tree)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Datalab({"file": names})
        lab.find_issues(features=features(model, [tree / name for name in names]), issue_types={"near_duplicate": {}})
    issues = lab.get_issues("near_duplicate")
    alike = issues[issues["is_near_duplicate_issue"]]["near_duplicate_sets"]
    pairs = ((names[row], names[other]) for row, others in alike.items() for other in others)
    return sorted({(min(pair), max(pair)) for pair in pairs})


def main_with_network() -> None:
    """Judge all trees with one network."""
    model = network()

    def judge_tree(tree: Path) -> Found:
        found: Found = judge({"Datalab": lambda: search(tree, model)})
        return found

    main("cleanlab", judge_tree)


if __name__ == "__main__":
    main_with_network()
