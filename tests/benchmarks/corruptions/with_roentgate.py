"""Print images a second of Roentgate's corruptions as one JSON line."""

import json
import time

from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np

from roentgate.perturbations.corruptions import KINDS, Corruption

IMAGES, SIDE = 64, 256


def main() -> None:
    """Measure each corruption on batches of 32 images."""
    images = np.random.default_rng(0).random((32, SIDE, SIDE, 1), dtype=np.float32)
    speed = {}
    for kind in KINDS:
        corruption = Corruption(kind, 3)
        corruption(images[:2], np.arange(2), seed=0)
        started = time.process_time()
        for first in range(0, IMAGES, 32):
            corruption(images, np.arange(first, first + 32), seed=0)
        speed[kind] = IMAGES / (time.process_time() - started)
    print(json.dumps(speed))


if __name__ == "__main__":
    main()
