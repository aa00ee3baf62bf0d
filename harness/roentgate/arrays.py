"""Type aliases of the arrays that modules exchange."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
"""An array of any type, such as a stored item or the output of a model."""
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
RealArray = NDArray[np.floating[Any]]
"""Floating-point numbers of any width."""
Images = NDArray[np.float32]
"""Images (n, H, W, C); those of a `Dataset` are in [0, 1]."""
Probabilities = NDArray[np.float32]
"""Probabilities (n, K): one row per image, one column per class."""
