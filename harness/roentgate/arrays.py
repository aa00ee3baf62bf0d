"""Names for the arrays that travel between modules, each defined once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
"""Whatever is in it: what a model answers, a stream gives, or the store holds."""
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
RealArray = NDArray[np.floating[Any]]
"""Floating-point numbers of any width."""
Images = NDArray[np.float32]
"""Images [n, H, W, C], canonical ones in [0, 1]."""
Probabilities = NDArray[np.float32]
"""One row an image, one column a class [n, K]."""
