"""Run ImageHash on the trees of `inputs.py`.

``python with_imagehash.py FOLDER`` prints one JSON line. Perceptual and difference hashes have 64 bits. A pair counts
as found if its hashes differ in at most a given number of bits.
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
    """Return the pairs that each hash finds at each distance, and the time."""
    images = sorted(path for path in tree.rglob("*") if path.is_file())
    names = [str(path.relative_to(tree)) for path in images]
    result: dict[str, dict[str, object]] = {"pairs": {}, "wall": {}, "cpu": {}}
    for title, compute in HASHES.items():
        wall, spent = time.perf_counter(), time.process_time()
        bits = np.array([compute(Image.open(path)).hash.reshape(-1) for path in images])
        differing = (bits[:, None] != bits[None]).sum(axis=2)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        for most in BITS:
            first, second = np.nonzero(np.triu(differing <= most, 1))
            key = f"{title} <= {most}"
            result["pairs"][key] = [[names[a], names[b]] for a, b in zip(first, second, strict=True)]
            result["wall"][key], result["cpu"][key] = wall, spent
    return dict(result)


def main(folder: Path) -> None:
    """Judge all trees."""
    trees = {
        str(tree.relative_to(folder)): judge(tree) for tree in sorted(folder.glob("*/*")) if (tree / "train").is_dir()
    }
    metadata = importlib.metadata.metadata("imagehash")
    license_name = metadata["License-Expression"] or metadata["License"]
    print(json.dumps({"version": metadata["Version"], "license": license_name, "trees": trees}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
