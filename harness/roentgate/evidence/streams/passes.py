"""One pass over a stream, put together from its batches."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Array, BoolArray, FloatArray, IntArray
from roentgate.evidence.streams.image_matching import NEAR_DUPLICATE, Matched, Matcher, near

_Kind = TypeVar("_Kind", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over a stream of m images.

    Attributes:
        best: As in `Matched`. Near-duplicates are exchanged so that no row is left out.
        correlation: As in `Matched`.
        own: As in `Matched`.
        near_duplicate: As in `Matched`.
        foreign: As in `Matched`.
        digest: Hash of each streamed image's content, uint64 [m].
        brightness: Mean of each streamed image, float32 [m].
        endless: Whether the pass was stopped one batch past the split's end.
    """

    best: IntArray
    correlation: FloatArray
    own: FloatArray
    near_duplicate: FloatArray
    foreign: IntArray
    digest: NDArray[np.uint64]
    brightness: FloatArray
    endless: bool

    def __len__(self) -> int:
        return len(self.best)

    @cached_property
    def placed(self) -> BoolArray:
        """Whether each image matches the row of its position, bool [m].

        An image that cannot be distinguished from that row matches it too.
        """
        exact = self.best == np.arange(len(self))
        same = exact | (self.near_duplicate >= NEAR_DUPLICATE) | near(self.own, self.correlation)
        placed: BoolArray = same & (self.best >= 0) & (self.foreign < 0)
        return placed

    @cached_property
    def rows(self) -> IntArray:
        """Row that each image is taken for, int64 [m].

        It is the row of the image's position if that is as good as any, else the best row.
        """
        rows: IntArray = np.where(self.placed, np.arange(len(self)), self.best)
        return rows


class Observer:
    """Assembles a `Pass` from batches of streamed images.

    The images themselves are not kept.

    Args:
        matcher: Matcher of the stream's split.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._matched: list[Matched] = []
        self._digests: list[int] = []
        self._brightness: list[FloatArray] = []

    @property
    def full(self) -> bool:
        """Whether one batch more than the split's rows has been seen.

        A stream that still continues is treated as endless.
        """
        return bool(self._matched) and len(self._digests) >= len(self._matcher) + len(self._matched[0].best)

    def see(self, images: NDArray[np.generic]) -> Matched:
        """Take the next batch and return its matches.

        Args:
            images: Images [N, H, W, C] as the stream delivered them.

        Raises:
            ArgumentError: As `thumbnails`.
        """
        matched = self._matcher.match(images, start=len(self._digests))
        self._matched.append(matched)
        self._digests += [_digest(image) for image in images]
        self._brightness.append(images.mean(axis=(1, 2, 3), dtype=np.float32))
        return matched

    def finish(self) -> Pass:
        """Return the pass, of length 0 if no batch was seen."""
        count = len(self._digests)
        best = self._joined("best", np.int64)
        first_round = min(count, len(self._matcher))  # past its rows an endless stream repeats them
        settled = np.concatenate([self._matcher.settle(best[:first_round]), best[first_round:]])
        return Pass(
            best=settled,
            correlation=self._joined("correlation", np.float32),
            own=self._joined("own", np.float32),
            near_duplicate=self._matcher.near_duplicates(settled, np.arange(count)),
            foreign=self._joined("foreign", np.int64),
            digest=np.array(self._digests, dtype=np.uint64),
            brightness=np.concatenate([np.zeros(0, np.float32), *self._brightness]),
            endless=self.full,
        )

    def _joined(self, name: str, kind: type[_Kind]) -> NDArray[_Kind]:
        return np.concatenate([np.zeros(0, dtype=kind), *(getattr(part, name) for part in self._matched)])


def observe_pass(matcher: Matcher, batches: Iterable[NDArray[np.generic]]) -> Pass:
    """Return the pass over batches of images [N, H, W, C].

    An endless stream is stopped one batch past the split's rows.

    Raises:
        ArgumentError: As `thumbnails`.
    """
    observer = Observer(matcher)
    for images in batches:
        observer.see(images)
        if observer.full:
            break
    return observer.finish()


def class_indices(labels: Array | None, rows: int, classes: int) -> NDArray[np.int64]:
    """Return the class index of each label, int64 (n,).

    -1 stands for a label that is no class.

    Args:
        labels: One-hot (n, K), integer (n,) or binary (n, 1) labels, or None.
        rows: Number of images n.
        classes: Number of classes K.
    """
    unknown = np.full(rows, -1, dtype=np.int64)
    if labels is None or len(labels) != rows:
        return unknown
    if labels.ndim == 2 and labels.shape[1] == classes and classes > 1:
        one_hot = ((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1)
        return np.where(one_hot, labels.argmax(axis=1), unknown)
    flat = labels.reshape(rows, -1)
    if flat.shape[1] != 1:
        return unknown
    values = flat[:, 0].astype(np.float64)
    valid = (values == np.round(values)) & (values >= 0) & (values < classes)
    return np.where(valid, values, -1).astype(np.int64)


def _digest(image: NDArray[np.generic]) -> int:
    """Return a 64-bit hash of an image's content."""
    return int.from_bytes(hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest(), "little")
