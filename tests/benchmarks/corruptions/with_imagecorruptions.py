"""Print images a second of imagecorruptions as one JSON line.

Keys are Roentgate's names of the corruptions.
"""

import json
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from imagecorruptions import corrupt

IMAGES, SIDE = 64, 256
NAMES = {
    "pixelate": "pixelate",
    "blur": "gaussian_blur",
    "JPEG": "jpeg_compression",
    "gaussian noise": "gaussian_noise",
    "speckle noise": "speckle_noise",
    "impulse noise": "impulse_noise",
    "shot noise": "shot_noise",
    "brightness up": "brightness",
    "contrast down": "contrast",
}


def main() -> None:
    """Measure each corruption, image by image."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE), dtype=np.uint8)
    speed = {}
    for ours, theirs in NAMES.items():
        try:
            corrupt(images[0], corruption_name=theirs, severity=3)
        except (TypeError, ValueError, AttributeError):
            continue  # does not run with current versions of its dependencies
        started = time.process_time()
        for image in images:
            corrupt(image, corruption_name=theirs, severity=3)
        speed[ours] = IMAGES / (time.process_time() - started)
    print(json.dumps(speed))


if __name__ == "__main__":
    main()
