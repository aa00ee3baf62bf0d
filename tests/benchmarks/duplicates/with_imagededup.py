"""Run imagededup on the trees of `inputs.py`.

``python with_imagededup.py FOLDER`` prints one JSON line. Its perceptual hash and its network run with default
thresholds. The network that it would download is replaced by that of `features.py`.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from features import network, prepared  # type: ignore[import-not-found]  # beside this file
from imagededup.methods import CNN, PHash
from imagededup.utils import CustomModel
from searching import Found, Pairs, judge, main  # type: ignore[import-not-found]  # beside this file


def pairs_of(found: Mapping[str, list[str]]) -> Pairs:
    """Return the pairs of images and their duplicates."""
    return sorted({(min(name, other), max(name, other)) for name, others in found.items() for other in others})


def main_with_network() -> None:
    """Judge all trees with one network."""
    methods = {
        "imagededup PHash": PHash(verbose=False),
        "imagededup CNN": CNN(verbose=False, model_config=CustomModel("EfficientNet-Lite0", network(), prepared)),
    }

    def search(tree: Path, column: str) -> Pairs:
        return pairs_of(methods[column].find_duplicates(image_dir=str(tree), recursive=True))

    def judge_tree(tree: Path) -> Found:
        found: Found = judge({column: partial(search, tree, column) for column in methods})
        return found

    main("imagededup", judge_tree)


if __name__ == "__main__":
    main_with_network()
