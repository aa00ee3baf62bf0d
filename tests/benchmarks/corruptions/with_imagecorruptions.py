"""Images a second of imagecorruptions, in its environment: prints one JSON line, by Roentgate's names."""

import json
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from imagecorruptions import corrupt

FILMS, SIDE = 64, 256
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
    images = np.random.default_rng(0).integers(0, 256, (FILMS, SIDE, SIDE), dtype=np.uint8)
    speed = {}
    for ours, theirs in NAMES.items():
        try:
            corrupt(images[0], corruption_name=theirs, severity=3)
        except (TypeError, ValueError, AttributeError):
            continue  # does not run with the libraries that it draws in today
        started = time.process_time()
        for image in images:
            corrupt(image, corruption_name=theirs, severity=3)
        speed[ours] = FILMS / (time.process_time() - started)
    print(json.dumps(speed))


if __name__ == "__main__":
    main()
