"""Observation of what a model's streams deliver.

Each pass is observed as Keras sees it. Its images are matched to rows and not kept.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Array, Images, Probabilities
from roentgate.candidates import Candidate
from roentgate.data import SPLITS, Dataset
from roentgate.errors import ModelError
from roentgate.evidence.records import StreamRecord, TrainingRecord
from roentgate.evidence.streams import resizing_kernels
from roentgate.evidence.streams.image_matching import (
    SURE,
    Matched,
    Matcher,
    fit_affine,
    near,
    same_images,
    thumbnails,
)
from roentgate.evidence.streams.passes import Observer, Pass, class_indices
from roentgate.store import Arrays

PASSES = 3
HELD_OUT: tuple[str, ...] = SPLITS[1:]

_KERNEL_TRIES = 3  # batches by which a kernel is looked for
_LARGEST_FOREIGN = 2000
"""Most rows of another split that a stream is compared with. It bounds the memory."""


def observe_stream(candidate: Candidate, data: Dataset) -> Arrays:
    """Observe an evaluation stream and predict through it.

    The stream is observed as Keras sees it, twice without labels and once with labels.

    Returns:
        The arrays that `stream_record` reads.

    Raises:
        ModelError: The stream does not deliver batches of images and labels.
    """
    stream = getattr(candidate.streams, data.name)
    others = {
        name: _split_thumbnails(candidate, getattr(candidate.splits, name), _LARGEST_FOREIGN) for name in _others(data)
    }
    matcher = Matcher(_split_thumbnails(candidate, data, len(data)), others)
    arrays: Arrays = {}
    for index in range(PASSES):
        watch = _Watch(candidate, data, matcher, labelled=index == PASSES - 1)
        watch.run(stream)
        seen = watch.observer.finish()
        for field in dataclasses.fields(Pass):
            arrays[f"pass {index} {field.name}"] = np.asarray(getattr(seen, field.name))
    arrays |= watch.arrays()
    arrays["training kernels"] = _names(_training_kernels(candidate) if candidate.facts.has_streams else [])
    if watch.resizes:
        arrays["by kernel"] = _predict_resized(candidate, data, watch.shape, watch.kernels[0])
    arrays["stream probabilities"] = _predict_stream(candidate, stream, seen, int(arrays["batch size"]))
    return arrays


def stream_record(candidate: Candidate, data: Dataset, arrays: Arrays, probabilities: Probabilities) -> StreamRecord:
    """Return the record of an evaluation stream.

    Args:
        candidate: The model.
        data: The split.
        arrays: Result of `observe_stream`.
        probabilities: Answers row by row, (n, K).
    """
    passes = []
    for index in range(PASSES):
        fields: dict[str, Any] = {
            field.name: arrays[f"pass {index} {field.name}"] for field in dataclasses.fields(Pass)
        }
        passes.append(Pass(**fields | {"endless": bool(fields["endless"])}))
    lowest, highest = arrays["extent"].tolist()
    return StreamRecord(
        split=data.name,
        ids=data.ids,
        classes=candidate.task.classes,
        labels=data.labels,
        batch_size=int(arrays["batch size"]),
        other_splits=tuple(_others(data)),
        passes=tuple(passes),
        stream_labels=arrays["labels"],
        gain=arrays["gain"],
        offset=arrays["offset"],
        residual=arrays["residual"],
        lowest=lowest,
        highest=highest,
        input_range=candidate.facts.input_range,
        probabilities=probabilities,
        stream_probabilities=arrays["stream probabilities"],
        kernels=tuple(arrays["kernels"].tolist()),
        training_kernels=tuple(arrays["training kernels"].tolist()),
        by_kernel=arrays.get("by kernel"),
    )


def observe_training(candidate: Candidate) -> Arrays:
    """Observe which held-out images one pass of the training stream delivers.

    Returns:
        The arrays that `training_record` reads.

    Raises:
        ModelError: As `observe_stream`.
    """
    train = candidate.splits.train
    held_out = {
        name: _split_thumbnails(candidate, getattr(candidate.splits, name), _LARGEST_FOREIGN) for name in HELD_OUT
    }
    matcher = Matcher(_split_thumbnails(candidate, train, len(train)), held_out)
    watch = _TrainingWatch(candidate, train, matcher, held_out)
    watch.run(candidate.streams.train)
    return {"seen": np.array(watch.seen), **{f"delivered {name}": rows for name, rows in watch.delivered.items()}}


def training_record(candidate: Candidate, arrays: Arrays) -> TrainingRecord:
    """Return the record of the training stream from `observe_training`'s arrays."""
    return TrainingRecord(
        seen=int(arrays["seen"]),
        ids={name: getattr(candidate.splits, name).ids for name in HELD_OUT},
        delivered={name: arrays[f"delivered {name}"] for name in HELD_OUT},
    )


class _Watch:
    """Observer of one pass over a stream.

    It assembles the `Pass`. In a labelled pass it also fits each image to its row and reads the labels.
    """

    def __init__(self, candidate: Candidate, data: Dataset, matcher: Matcher, *, labelled: bool) -> None:
        self.observer = Observer(matcher)
        self._candidate, self._data, self._labelled = candidate, data, labelled
        self._labels: list[NDArray[np.int64]] = []
        self._fits: list[tuple[NDArray[np.float32], ...]] = []
        self._extent = (math.inf, -math.inf)
        self._seen = 0
        self._first = 0
        self._most = len(data)
        self._own_error: Exception | None = None
        self._tries = _KERNEL_TRIES if labelled and candidate.facts.has_streams else 0
        self.kernels: list[str] = []
        self.shape = data.image_shape

    def run(self, stream: object) -> None:
        """Run the pass.

        A Keras model's stream passes through Keras, any other is iterated over.

        Raises:
            ModelError: The stream raises an error, delivers nothing, or delivers something other than images.
        """
        name = f"model '{self._candidate.name}': the {self._data.name} stream"
        try:
            with self._candidate.watched():
                self._drive(stream)
        except (KeyboardInterrupt, MemoryError, ModelError):
            raise
        except Exception as error:
            message = " ".join(str(error).split())[:300]
            raise ModelError(f"{name} raised {type(error).__name__}: {message}") from error
        if self._own_error is not None:
            raise self._own_error
        if not self._seen:
            raise ModelError(f"{name} delivered nothing; streams() must yield (images, labels)")

    @property
    def seen(self) -> int:
        """Number of images received."""
        return self._seen

    def _drive(self, stream: object) -> None:
        backend = self._candidate.backend
        if not backend.lacks("streams"):
            backend.observe(stream, self._wants_more, labelled=self._labelled)
        else:
            for images, labels in limited(stream, self._most):
                self.see(images, labels if self._labelled else None)

    def _wants_more(self, images: Array, labels: Array | None) -> bool:
        """Take one batch and return whether more are wanted."""
        try:
            self.see(images, labels)
        except Exception as error:  # noqa: BLE001 - raised again in `run`
            self._own_error = error
            return False
        return self._seen < self._most + self._first

    def see(self, images: Array, labels: Array | None) -> None:
        """Take one batch.

        Args:
            images: Images [N, H, W, C].
            labels: Their labels in a labelled pass.
        """
        position = self._seen
        matched = self._take(images)
        if self._labelled:
            self._fits.append(self._fit(images, matched, position))
            self._labels.append(self._class_indices(labels, len(images)))
            self._extent = (min(self._extent[0], float(images.min())), max(self._extent[1], float(images.max())))

    def _take(self, images: Array) -> Matched:
        """Return the matches of the next images of the pass."""
        if images.ndim != 4:
            raise ModelError(
                f"model '{self._candidate.name}': the {self._data.name} stream gave {images.shape}, not [N, H, W, C]"
            )
        self._seen += len(images)
        self._first = self._first or len(images)
        return self.observer.see(images)

    def _class_indices(self, labels: Array | None, rows: int) -> NDArray[np.int64]:
        """Return the class index of each label, int64 (n,).

        In the harness's own streams for a model with a single sigmoid, label 1 means the model's positive class.
        """
        found = class_indices(labels, rows, len(self._data.classes))
        facts = self._candidate.facts
        if facts.positive is None or facts.has_streams or self._data.classes.index(facts.positive) == 1:
            return found
        return np.where(found < 0, found, 1 - found)

    def _fit(self, images: Array, matched: Matched, first: int) -> tuple[NDArray[np.float32], ...]:
        position = np.arange(first, first + len(images))
        in_place = near(matched.own, matched.correlation) & (position < len(self._data))
        rows = np.where(in_place, position, matched.best)
        known = np.flatnonzero(rows >= 0)
        fits = tuple(np.full(len(images), np.nan, dtype=np.float32) for _ in range(3))
        if len(known):
            canonical = self._candidate.prepared(self._data.take(rows[known]))
            found: tuple[NDArray[np.float32], ...] = fit_affine(images[known], canonical)
            resized = self._resized(images[known], rows[known])
            if resized is not None:
                again = fit_affine(images[known], resized)
                better = again[2] < found[2]
                found = tuple(np.where(better, new, old) for new, old in zip(again, found, strict=True))
            for target, values in zip(fits, found, strict=True):
                target[known] = values
        return fits

    @property
    def resizes(self) -> bool:
        """Whether the stream resizes by another kernel than the data card."""
        return bool(self.kernels) and self.kernels[0] != resizing_kernels.card_kernel(self._data.interpolation)

    def _resized(self, images: Array, rows: NDArray[np.int64]) -> Images | None:
        """Return the rows as the stream's kernel resizes them, or None if that of the card will do.

        The kernel is found by the first images that do not keep their size.
        """
        paths = [self._data.paths[row] for row in rows]
        shape = (images.shape[1], images.shape[2], self._data.image_shape[2])
        if self._tries and not self.kernels:
            found = resizing_kernels.fitting(images, paths, shape[2], self._candidate.prepared)
            card = resizing_kernels.card_kernel(self._data.interpolation)
            self.kernels, self.shape = sorted(found, key=lambda name: name != card), shape
            self._tries -= 1
        if not self.resizes:
            return None
        return self._candidate.prepared(resizing_kernels.resized_rows(paths, shape, self.kernels[0]))

    def arrays(self) -> Arrays:
        """Return fits, labels, range and batch size of the labelled pass."""
        gain, offset, residual = (np.concatenate(parts) for parts in zip(*self._fits, strict=True))
        return {
            "gain": gain,
            "offset": offset,
            "residual": residual,
            "labels": np.concatenate(self._labels),
            "extent": np.array(self._extent),
            "batch size": np.array(self._first),
            "kernels": _names(self.kernels),
        }


class _TrainingWatch(_Watch):
    """Observer of the held-out images in one pass over the training stream.

    The images may come in any order.
    """

    def __init__(
        self, candidate: Candidate, train: Dataset, matcher: Matcher, held_out: Mapping[str, NDArray[np.float32]]
    ) -> None:
        super().__init__(candidate, train, matcher, labelled=False)
        self._held_out = {name: Matcher(rows) for name, rows in held_out.items()}
        self._most += sum(len(rows) for rows in held_out.values())
        self.delivered = {name: np.zeros(len(getattr(candidate.splits, name)), dtype=bool) for name in held_out}

    def see(self, images: Array, labels: Array | None) -> None:
        """Take one batch and note the held-out images in it."""
        del labels
        foreign = self._take(images).foreign
        for index, (name, matcher) in enumerate(self._held_out.items()):
            suspects = images[foreign == index]
            if len(suspects):
                rows = matcher.match(suspects, start=len(matcher)).best
                known, data = rows >= 0, getattr(self._candidate.splits, name)
                same = same_images(suspects[known], self._candidate.prepared(data.take(rows[known])))
                self.delivered[name][rows[known][same]] = True


class _KernelWatch(_Watch):
    """Observer of the first images of the training stream, which finds how they were resized."""

    def __init__(self, candidate: Candidate, matcher: Matcher) -> None:
        super().__init__(candidate, candidate.splits.train, matcher, labelled=False)
        self._most = 0
        self.found: list[str] = []

    def see(self, images: Array, labels: Array | None) -> None:
        """Take one batch and find the kernel of the images that are recognised for sure."""
        del labels
        matched = self._take(images)
        sure = np.flatnonzero((matched.best >= 0) & (matched.correlation >= SURE))
        if len(sure) and not self.found:
            paths = [self._data.paths[row] for row in matched.best[sure]]
            channels = self._data.image_shape[2]
            self.found = resizing_kernels.fitting(images[sure], paths, channels, self._candidate.prepared)


def _training_kernels(candidate: Candidate) -> list[str]:
    """Return the kernels that fit the first batch of the training stream."""
    train = candidate.splits.train
    watch = _KernelWatch(candidate, Matcher(_split_thumbnails(candidate, train, len(train))))
    watch.run(candidate.streams.train)
    return watch.found


def _predict_resized(candidate: Candidate, data: Dataset, shape: tuple[int, int, int], kernel: str) -> Probabilities:
    """Return answers (n, K) to the rows as a kernel resizes them."""
    parts = []
    for start in range(0, len(data), 64):
        images = resizing_kernels.resized_rows(data.paths[start : start + 64], shape, kernel)
        parts.append(candidate.predict(images))
    return np.concatenate(parts)


def _names(kernels: list[str]) -> NDArray[np.str_]:
    return np.array(kernels, dtype=np.str_)


def _others(data: Dataset) -> list[str]:
    return [name for name in SPLITS if name != data.name]


def _split_thumbnails(candidate: Candidate, data: Dataset, most: int) -> NDArray[np.float32]:
    parts = []
    for start in range(0, min(len(data), most), 64):
        rows = np.arange(start, min(start + 64, len(data), most))
        parts.append(thumbnails(candidate.prepared(data.take(rows))))
    return np.concatenate(parts) if parts else np.zeros((0, 1024), np.float32)


def _predict_stream(candidate: Candidate, stream: object, seen: Pass, batch_size: int) -> Probabilities:
    """Return raw answers (m, K) through the stream by the model's ``predict``.

    An endless stream is cut off at the length of the pass.
    """
    if candidate.backend.lacks("streams"):
        return candidate.predict_batches(images for images, _ in limited(stream, len(seen) - batch_size))
    steps = math.ceil(len(seen) / batch_size) if seen.endless else None
    return candidate.predict_stream(stream, steps)


def limited(stream: Any, rows: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:  # noqa: ANN401 - any iterable of pairs
    """Yield (images, labels) of a stream, at most one batch past ``rows``."""
    seen, first = 0, 0
    for images, labels in stream:
        yield np.asarray(images), np.asarray(labels)
        first = first or len(images)
        seen += len(images)
        if seen >= rows + first:
            return
