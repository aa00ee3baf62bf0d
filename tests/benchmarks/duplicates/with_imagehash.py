"""Run ImageHash on the trees of `inputs.py`.

``python with_imagehash.py FOLDER`` prints one JSON line. Perceptual and difference hashes have 64 bits. A pair counts
as found if its hashes differ in at most a given number of bits.
"""

from functools import partial
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from searching import Found, files_of, main, timed  # type: ignore[import-not-found]  # beside this file

HASHES = {"phash": imagehash.phash, "dhash": imagehash.dhash}
BITS = (0, 4, 10)


def judge_tree(tree: Path) -> Found:
    """Return the pairs that each hash finds at each distance, and the time."""
    names = files_of(tree)
    result: Found = {"pairs": {}, "cpu": {}}

    def differing(title: str) -> NDArray[np.int64]:
        bits = np.array([HASHES[title](Image.open(tree / name)).hash.reshape(-1) for name in names])
        counts: NDArray[np.int64] = (bits[:, None] != bits[None]).sum(axis=2)
        return counts

    for title in HASHES:
        distances, cpu = timed(partial(differing, title))
        for most in BITS:
            first, second = np.nonzero(np.triu(distances <= most, 1))
            key = f"{title} <= {most}"
            result["pairs"][key] = [(names[a], names[b]) for a, b in zip(first, second, strict=True)]
            result["cpu"][key] = cpu
    return result


if __name__ == "__main__":
    main("imagehash", judge_tree)
