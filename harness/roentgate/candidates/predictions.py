"""The answers of a model, keyed by row id, as metrics read them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roentgate.errors import ArgumentError, ModelError


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities of n rows over K classes, with the true labels.

    Attributes:
        ids: n row ids.
        classes: K class names.
        labels: int64 (n,) true class indices, 0 to K - 1.
        probabilities: float32 (n, K), as the model gave them. They may hold NaN or logits, which are never repaired.
        groups: n names of the group that each row belongs to, or None if rows are independent.
        grouped_by: What one group is, ``patient`` or `roentgate.stats.CLUSTER`.
        model: Fingerprint of the model that answered, or None if unknown. Only by this are two models known to be one.

    Raises:
        ModelError: The probabilities are not (n, K).
        ArgumentError: The labels or groups are not n, or a label is not a class index.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    groups: tuple[str, ...] | None = None
    grouped_by: str = "patient"
    model: str | None = None

    def __post_init__(self) -> None:
        n, expected = len(self.ids), (len(self.ids), len(self.classes))
        if self.probabilities.shape != expected:
            raise ModelError(
                f"the model answered with shape {self.probabilities.shape} where {expected} was expected "
                f"({n} rows, {len(self.classes)} classes); give it one output a class"
            )
        if len(self.labels) != n or (self.groups is not None and len(self.groups) != n):
            raise ArgumentError(f"predictions: {n} ids, but labels or groups of another number; give one to each row")
        if n and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise ArgumentError(f"predictions: a label is not among 0..{len(self.classes) - 1}; give class indices")

    @property
    def unit(self) -> str:
        """What one independent unit of these rows is."""
        return "image" if self.groups is None else self.grouped_by

    @property
    def one_answer(self) -> bool:
        """Whether there are rows, and all get the same answer.

        What does not change such an answer says nothing of the model.
        """
        return bool(len(self)) and bool((self.answers == self.answers[0]).all())

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """Class index of the largest entry of each row: int64 (n,).

        Of equal entries the first counts. A row with a NaN or infinite entry has -1.
        """
        finite = np.isfinite(self.probabilities).all(axis=1)
        return np.where(finite, np.argmax(self.probabilities, axis=1), -1).astype(np.int64)


def taken(predictions: Predictions, rows: NDArray[np.int64]) -> Predictions:
    """Return the predictions of the given rows, in the order given."""
    groups = predictions.groups
    return replace(
        predictions,
        ids=tuple(predictions.ids[row] for row in rows),
        labels=predictions.labels[rows],
        probabilities=predictions.probabilities[rows],
        groups=None if groups is None else tuple(groups[row] for row in rows),
    )
