"""Records of answers and streams that the checks read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import BoolArray, FloatArray, IntArray
from roentgate.candidates import Predictions
from roentgate.evidence.layer_trace import LayerReport
from roentgate.evidence.streams.passes import Pass


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """Held-out images that one pass of the training stream delivered.

    Attributes:
        seen: Number of images in the pass.
        ids: Row ids of each held-out split, by its name.
        delivered: Whether training receives each row of a split, bool (n,), by the split's name.
    """

    seen: int
    ids: Mapping[str, tuple[str, ...]]
    delivered: Mapping[str, BoolArray]


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamRecord:
    """What one evaluation stream delivered, and the answers with and without it.

    Attributes:
        split: Name of the split.
        ids: Row ids in canonical order (n).
        classes: Class names (K).
        labels: Canonical class of each row, int64 [n].
        batch_size: Images per batch.
        other_splits: Names that ``foreign`` of a pass refers to.
        passes: At least three. The first ones show the stream as ``predict`` sees it, the last one as labelled pairs.
        stream_labels: Class given in the labelled pass, int64 [m]. -1 for a label that is not one-hot or no class.
        gain: Gain of each image of the labelled pass to its best row, by `fit_affine`, float32 [m].
        offset: Offset of the same fit, float32 [m].
        residual: Residual of the same fit, float32 [m]. All three are NaN for an image without a best row.
        lowest: Smallest pixel of the labelled pass.
        highest: Largest pixel of the labelled pass.
        input_range: The range that the model declares for its streams.
        probabilities: Answers row by row, [n, K].
        stream_probabilities: Answers through the stream, [m, K].
        kernels: Resizing kernels by which the stream's images are as they are, the best first. Gain, offset and
            residual are those of the first. Empty if the images keep their size, if no kernel fits, or if the model
            brings no streams of its own.
        training_kernels: The same of the training stream.
        by_kernel: Answers row by row to images that the first kernel resized, [n, K]. None if it is that of
            the data card.
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
    kernels: tuple[str, ...] = ()
    training_kernels: tuple[str, ...] = ()
    by_kernel: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def other_kernel(self) -> bool:
        """Whether the stream's images are resized by another kernel than those of training."""
        return bool(self.kernels and self.training_kernels) and not set(self.kernels) & set(self.training_kernels)

    @cached_property
    def labelled(self) -> int:
        """Number of images of the labelled pass that count.

        Plain iteration over a stream may never end. Of an endless pass the first n images count.
        """
        last = self.passes[-1]
        return min(len(last), len(self)) if last.endless else len(last)

    @cached_property
    def sequences(self) -> tuple[IntArray, ...]:
        """Row at each position of each pass, int64 [m].

        -1 stands for an image that is not of the split.
        """
        *unlabelled, last = self.passes
        return (*(seen.rows for seen in unlabelled), last.rows[: self.labelled])


BATCHINGS = ("alone", "pairs", "batches of 32", "reversed")


@dataclass(frozen=True)
class InferenceRecord:
    """Repeated answers of a model on the same probe rows.

    Attributes:
        ids: Row ids of the n probe rows.
        repeats: Probabilities (5, n, K) of five predictions of the same batch.
        batchings: Probabilities (n, K) for each of `BATCHINGS`, in row order.
        before_saving: Probabilities (n, K) of the network before it was saved, if it was trained in this run.
            Otherwise those of the first repeat.
        reloaded: Probabilities (n, K) after saving and loading in a fresh process, or None.
        reload_error: Why it could not be loaded there, or "".
        layers: One report per layer, or None for a model without layers.
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
    """Answers on the test images with border or interior masked or swapped.

    Attributes:
        clean: Answers on unchanged images.
        masked: Answers with the border masked, by (width, infill).
        only: Answers with everything but the border masked, by (width, infill).
        interior: Answers with an area as large as the border masked in the middle, by width of that border.
        other: Answers with the border of an image of another class, by width.
        same: Answers with the border of another image of the same class, by width.
        donor_labels: Class of each row's donor of another class, int64 (n,). -1 for none.
        donor_rows: The row that is this donor, int64 (n,). -1 for none. None for answers stored before it was kept.
    """

    clean: Predictions
    masked: Mapping[tuple[float, str], Predictions]
    only: Mapping[tuple[float, str], Predictions]
    interior: Mapping[float, Predictions]
    other: Mapping[float, Predictions]
    same: Mapping[float, Predictions]
    donor_labels: NDArray[np.int64]
    donor_rows: NDArray[np.int64] | None = None

    @property
    def donors(self) -> tuple[str, ...] | None:
        """The unit that each row's donor belongs to, or its id if rows are independent.

        The entry of a row without a donor means nothing. None if the donors are not known.
        """
        units = self.clean.groups or self.clean.ids
        return None if self.donor_rows is None else tuple(units[row] for row in self.donor_rows)
