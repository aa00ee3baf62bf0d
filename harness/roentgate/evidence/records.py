"""What a candidate answered and what its streams delivered, as the checks read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import BoolArray, FloatArray, IntArray
from roentgate.candidates import Predictions
from roentgate.evidence.layer_trace import LayerReport
from roentgate.evidence.streams.image_matching import Pass


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What one pass of the training stream delivered of the images that are held out.

    Attributes:
        seen: Images looked at.
        ids: Row ids of each held-out split, by its name.
        delivered: Of each split the rows that training is given, bool (n,).
    """

    seen: int
    ids: Mapping[str, tuple[str, ...]]
    delivered: Mapping[str, BoolArray]


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamRecord:
    """What one evaluation stream delivered, and what the model answered through it and row by row.

    Attributes:
        split: Name of the split.
        ids: Row ids in canonical order (n).
        classes: Class names (K).
        labels: Canonical class of each row, int64 [n].
        batch_size: Images a batch.
        other_splits: Names that ``foreign`` of a pass refers to.
        passes: At least three: as ``predict`` sees the stream, twice, and last as labelled pairs.
        stream_labels: Class given in the labelled pass, int64 [m]; -1 where it is not one-hot or no class.
        gain: `fit_affine` of each image of the labelled pass to its best row, float32 [m].
        offset: As ``gain``.
        residual: As ``gain``; NaN for an image without a best row.
        lowest: Smallest pixel of the labelled pass.
        highest: Largest pixel of the labelled pass.
        input_range: The range that the model declares for its streams.
        probabilities: Answers row by row, [n, K].
        stream_probabilities: Answers through the stream, [m, K].
    """

    split: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: IntArray
    batch_size: int
    other_splits: tuple[str, ...]
    passes: tuple[Pass, ...]
    stream_labels: IntArray
    gain: FloatArray
    offset: FloatArray
    residual: FloatArray
    lowest: float
    highest: float
    input_range: tuple[float, float]
    probabilities: FloatArray
    stream_probabilities: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def labelled(self) -> int:
        """Images of the labelled pass that count: of an endless one (plain iteration may never end) the first n."""
        last = self.passes[-1]
        return min(len(last), len(self)) if last.endless else len(last)

    @cached_property
    def sequences(self) -> tuple[IntArray, ...]:
        """The row at each position, pass by pass: int64 [m], -1 for an image that is no image of the split."""
        return (*(each.rows for each in self.passes[:-1]), self.passes[-1].rows[: self.labelled])


BATCHINGS = ("alone", "pairs", "batches of 32", "reversed")


@dataclass(frozen=True)
class InferenceRecord:
    """What a model did on the same probe rows, again and again.

    Args:
        ids: Probe rows.
        repeats: Probabilities (5, n, K) of five predictions of the same batch.
        batchings: Probabilities (n, K) for each of `BATCHINGS`, in row order.
        before_saving: Probabilities (n, K) of the network as it was trained, where it was trained here.
        reloaded: Probabilities (n, K) after saving and loading in a fresh process, or None.
        reload_error: Why it could not be loaded there, or "".
        layers: One report a layer; None for a model without layers.
        displacement: A sentence on operations outside layers that move the image, or "".
    """

    ids: tuple[str, ...]
    repeats: NDArray[np.float32]
    batchings: Mapping[str, NDArray[np.float32]]
    before_saving: NDArray[np.float32]
    reloaded: NDArray[np.float32] | None
    reload_error: str
    layers: tuple[LayerReport, ...] | None
    displacement: str


@dataclass(frozen=True)
class BorderRecord:
    """Answers on the test images whole, and with border or interior hidden or exchanged.

    Args:
        clean: Answers on whole images.
        masked: With the border hidden, by (width, infill).
        only: With everything but the border hidden, by (width, infill).
        interior: With as much hidden in the middle as the border of this width has.
        other: With the border of an image of another class, by width.
        same: With the border of another image of the same class, by width.
        donor_labels: int64 (n,) class of each row's other-class donor.
    """

    clean: Predictions
    masked: Mapping[tuple[float, str], Predictions]
    only: Mapping[tuple[float, str], Predictions]
    interior: Mapping[float, Predictions]
    other: Mapping[float, Predictions]
    same: Mapping[float, Predictions]
    donor_labels: NDArray[np.int64]
