"""ImageHash on the trees of `inputs.py`: ``python with_imagehash.py FOLDER`` prints one JSON line.

Perceptual and difference hashes of 64 bits; all pairs whose hashes differ in at most so many bits count as called the
same.
"""

import importlib.metadata
import json
import sys
import time
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

HASHES = {"phash": imagehash.phash, "dhash": imagehash.dhash}
BITS = (0, 4, 10)


def judge(tree: Path) -> dict[str, object]:
    """Return the pairs that each hash calls the same at each distance."""
    images = sorted(path for path in tree.rglob("*") if path.is_file())
    names = [str(path.relative_to(tree)) for path in images]
    said: dict[str, dict[str, object]] = {"pairs": {}, "wall": {}, "cpu": {}}
    for title, compute in HASHES.items():
        wall, spent = time.perf_counter(), time.process_time()
        bits = np.array([compute(Image.open(path)).hash.reshape(-1) for path in images])
        differing = (bits[:, None] != bits[None]).sum(axis=2)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        for most in BITS:
            first, second = np.nonzero(np.triu(differing <= most, 1))
            key = f"{title} <= {most}"
            said["pairs"][key] = [[names[a], names[b]] for a, b in zip(first, second, strict=True)]
            said["wall"][key], said["cpu"][key] = wall, spent
    return dict(said)


def main(folder: Path) -> None:
    """Judge all trees."""
    trees = {
        str(tree.relative_to(folder)): judge(tree) for tree in sorted(folder.glob("*/*")) if (tree / "train").is_dir()
    }
    metadata = importlib.metadata.metadata("imagehash")
    sanity_check = metadata["License-Expression"] or metadata["License"]
    print(json.dumps({"version": metadata["Version"], "sanity_check": sanity_check, "trees": trees}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
