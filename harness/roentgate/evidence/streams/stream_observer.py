"""What a model's streams deliver: each pass watched as Keras will see it, its images matched to rows, none kept."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Array, Images, Probabilities
from roentgate.candidates import Candidate
from roentgate.data import COPY, SPLITS, Dataset, registration
from roentgate.errors import ModelError
from roentgate.evidence.records import StreamRecord, TrainingRecord
from roentgate.evidence.streams.image_matching import (
    RECOGNISED,
    Matched,
    Matcher,
    Observer,
    Pass,
    fit_affine,
    near,
    thumbnails,
)
from roentgate.store import Arrays

PASSES = 3
HELD_OUT: tuple[str, ...] = SPLITS[1:]

_LARGEST_FOREIGN = 2000
"""Rows of another split that a stream is compared with: enough to recognise it, flat in memory."""


def observe_stream(candidate: Candidate, data: Dataset) -> Arrays:
    """Watch an evaluation stream as Keras will see it, twice unlabelled and once labelled, and predict through it.

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
    arrays["stream probabilities"] = _predict_stream(candidate, stream, seen, int(arrays["batch size"]))
    return arrays


def stream_record(candidate: Candidate, data: Dataset, arrays: Arrays, probabilities: Probabilities) -> StreamRecord:
    """Return the record of a stream from the arrays of `observe_stream` and the canonical answers (n, K)."""
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
    )


def observe_training(candidate: Candidate) -> Arrays:
    """Watch one pass of the training stream for images of the held-out splits.

    Returns:
        The arrays that `training_record` reads.

    Raises:
        ModelError: As `observe_stream`.
    """
    train = candidate.splits.train
    held = {name: _split_thumbnails(candidate, getattr(candidate.splits, name), _LARGEST_FOREIGN) for name in HELD_OUT}
    watch = _TrainingWatch(candidate, train, Matcher(_split_thumbnails(candidate, train, len(train)), held), held)
    watch.run(candidate.streams.train)
    return {"seen": np.array(watch.seen), **{f"delivered {name}": rows for name, rows in watch.delivered.items()}}


def training_record(candidate: Candidate, arrays: Arrays) -> TrainingRecord:
    """Return the record of the training stream from the arrays of `observe_training`."""
    return TrainingRecord(
        seen=int(arrays["seen"]),
        ids={name: getattr(candidate.splits, name).ids for name in HELD_OUT},
        delivered={name: arrays[f"delivered {name}"] for name in HELD_OUT},
    )


class _Watch:
    """Receives one pass over a stream: assembles the `Pass`, fits each image to its row, reads the labels."""

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

    def run(self, stream: object) -> None:
        """Drive the pass: through Keras for a Keras model, by plain iteration for any other."""
        name = f"model '{self._candidate.name}': the {self._data.name} stream"
        try:
            with self._candidate.watched():
                self._drive(stream)
        except (KeyboardInterrupt, MemoryError, ModelError):
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:300]
            raise ModelError(f"{name} raised {type(error).__name__}: {words}") from error
        if self._own_error is not None:
            raise self._own_error
        if not self._seen:
            raise ModelError(f"{name} delivered nothing; streams() must yield (images, labels)")

    @property
    def seen(self) -> int:
        """Images received."""
        return self._seen

    def _drive(self, stream: object) -> None:
        backend = self._candidate.backend
        if not backend.lacks("streams"):
            backend.observe(stream, self._goes_on, labelled=self._labelled)
        else:
            for images, labels in limited(stream, self._most):
                self.see(images, labels if self._labelled else None)

    def _goes_on(self, images: Array, labels: Array | None) -> bool:
        """Take one batch; return whether more are wanted."""
        try:
            self.see(images, labels)
        except Exception as error:  # noqa: BLE001 - raised again where the pass was begun
            self._own_error = error
            return False
        return self._seen < self._most + self._first

    def see(self, images: Array, labels: Array | None) -> None:
        """Take one batch: images [N, H, W, C], and labels in a labelled pass."""
        position = self._seen
        matched = self._take(images)
        if self._labelled:
            self._fits.append(self._fit(images, matched, position))
            self._labels.append(self._class_indices(labels, len(images)))
            self._extent = (min(self._extent[0], float(images.min())), max(self._extent[1], float(images.max())))

    def _take(self, images: Array) -> Matched:
        """Return what the next images of the pass are."""
        if images.ndim != 4:
            raise ModelError(
                f"model '{self._candidate.name}': the {self._data.name} stream gave {images.shape}, not [N, H, W, C]"
            )
        self._seen += len(images)
        self._first = self._first or len(images)
        return self.observer.see(images)

    def _class_indices(self, labels: Array | None, rows: int) -> NDArray[np.int64]:
        """Return class indices (n,); in the harness's streams of a single sigmoid, 1 means its positive class."""
        found = class_indices(labels, rows, len(self._data.classes))
        facts = self._candidate.facts
        if facts.positive is None or facts.has_streams or self._data.classes.index(facts.positive) == 1:
            return found
        return np.where(found < 0, found, 1 - found)

    def _fit(self, images: Array, matched: Matched, first: int) -> tuple[NDArray[np.float32], ...]:
        position = np.arange(first, first + len(images))
        here = near(matched.own, matched.correlation) & (position < len(self._data))
        rows = np.where(here, position, matched.best)
        known = np.flatnonzero(rows >= 0)
        fits = tuple(np.full(len(images), np.nan, dtype=np.float32) for _ in range(3))
        if len(known):
            canonical = self._candidate.prepared(self._data.take(rows[known]))
            for target, values in zip(fits, fit_affine(images[known], canonical), strict=True):
                target[known] = values
        return fits

    def arrays(self) -> Arrays:
        """Return what the labelled pass found."""
        gain, offset, residual = (np.concatenate(parts) for parts in zip(*self._fits, strict=True))
        return {
            "gain": gain,
            "offset": offset,
            "residual": residual,
            "labels": np.concatenate(self._labels),
            "extent": np.array(self._extent),
            "batch size": np.array(self._first),
        }


class _TrainingWatch(_Watch):
    """Receives one pass over the training stream, in any order and to its end: which held-out images are in it?"""

    def __init__(
        self, candidate: Candidate, train: Dataset, matcher: Matcher, held: Mapping[str, NDArray[np.float32]]
    ) -> None:
        super().__init__(candidate, train, matcher, labelled=False)
        self._held = {name: Matcher(rows) for name, rows in held.items()}
        self._most += sum(len(rows) for rows in held.values())
        self.delivered = {name: np.zeros(len(getattr(candidate.splits, name)), dtype=bool) for name in held}

    def see(self, images: Array, labels: Array | None) -> None:
        """Take one batch, and note the held-out images in it."""
        del labels
        foreign = self._take(images).foreign
        for index, (name, matcher) in enumerate(self._held.items()):
            strangers = images[foreign == index]
            if len(strangers):
                rows = matcher.match(strangers, start=len(matcher)).best
                known, data = rows >= 0, getattr(self._candidate.splits, name)
                same = _same_images(strangers[known], self._candidate.prepared(data.take(rows[known])))
                self.delivered[name][rows[known][same]] = True


def _same_images(images: Array, films: Images) -> NDArray[np.bool_]:
    """Whether each streamed image [n, H, W, C] shows its image [n, H', W', C'], mirrored or not: bool (n,)."""
    pair: tuple[Array, Array] = images, films
    seen, image = (registration.standard_size(each) for each in pair)
    details = [
        registration.align(seen, each, np.ones(len(seen), np.float32), at_least=RECOGNISED).detail
        for each in (image, image[:, :, ::-1])
    ]
    same: NDArray[np.bool_] = np.nan_to_num(np.max(details, axis=0), nan=-1) >= COPY
    return same


def class_indices(labels: Array | None, rows: int, classes: int) -> NDArray[np.int64]:
    """Return class indices (n,) from one-hot (n, K), integer (n,) or binary (n, 1) labels; -1 for no class."""
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


def _others(data: Dataset) -> list[str]:
    return [name for name in SPLITS if name != data.name]


def _split_thumbnails(candidate: Candidate, data: Dataset, most: int) -> NDArray[np.float32]:
    parts = []
    for start in range(0, min(len(data), most), 64):
        rows = np.arange(start, min(start + 64, len(data), most))
        parts.append(thumbnails(candidate.prepared(data.take(rows))))
    return np.concatenate(parts) if parts else np.zeros((0, 1024), np.float32)


def _predict_stream(candidate: Candidate, stream: object, seen: Pass, batch_size: int) -> Probabilities:
    """Return raw answers (m, K) through the stream, by the model's own ``predict``; an endless one is cut off."""
    if candidate.backend.lacks("streams"):
        return candidate.predict_batches(images for images, _ in limited(stream, len(seen) - batch_size))
    steps = math.ceil(len(seen) / batch_size) if seen.endless else None
    return candidate.predict_stream(stream, steps)


def limited(stream: Any, rows: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:  # noqa: ANN401 - any iterable of pairs
    """Yield (images, labels) from a plain stream until it ends, or has gone one batch past ``rows``."""
    seen, first = 0, 0
    for images, labels in stream:
        yield np.asarray(images), np.asarray(labels)
        first = first or len(images)
        seen += len(images)
        if seen >= rows + first:
            return
