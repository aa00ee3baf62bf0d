"""Lung fields that come with the data: one mask file a film, named by the card or the manifest."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness import films
from harness.dataset import Dataset
from harness.errors import DataError


class LungFields(Protocol):
    """Where the lungs are on the films of one split; `trusted` is bool (n,), rows without a mask to rely on False."""

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """Whether the mask of each row may be relied on: bool (n,)."""
        ...

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the masks of these rows, in the order given: bool (k, H, W)."""
        ...


class OwnMasks:
    """The masks of a data set that has them, at the size of its films; one that is empty or full is not trusted.

    Args:
        data: A split with masks.

    Raises:
        DataError: It has none.
    """

    def __init__(self, data: Dataset) -> None:
        if data.masks is None:
            raise DataError(f"split '{data.name}': no masks; name them in the card ('masks') or in the manifest")
        height, width, _ = data.image_shape
        read = films.read_each(data.masks, (height, width, 1), "nearest")
        self._masks = np.stack([films.unit(mask)[:, :, 0] > 0.5 for mask in read])
        share = self._masks.mean(axis=(1, 2))
        self.trusted: NDArray[np.bool_] = np.asarray((share > 0) & (share < 1))

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the masks of these rows, in the order given: bool (k, H, W)."""
        return self._masks[np.asarray(rows, dtype=np.int64)]
