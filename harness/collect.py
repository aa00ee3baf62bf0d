"""Evidence that needs the live model: what its streams deliver, and how it answers the same films again and again."""

import dataclasses
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.candidate import Candidate, load_weights
from harness.dataset import Dataset
from harness.diagnosis import StreamRecord
from harness.errors import ModelError
from harness.inference import BATCHINGS
from harness.matching import Matched, Matcher, Observer, Pass, fit_affine, near, thumbnails
from harness.model import Images, Probabilities, Task
from harness.modelfile import ModelFile
from harness.source import find_model
from harness.store import Arrays, pack

PASSES = 3
REPEATS = 5
SPLITS = ("train", "validation", "test")

_RELOAD_TIMEOUT_S = 900
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


def stream_record(
    candidate: Candidate, data: Dataset, arrays: Mapping[str, NDArray[Any]], probabilities: Probabilities
) -> StreamRecord:
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

    def _drive(self, stream: object) -> None:
        if self._candidate.has_layers:
            from harness import keras_model  # noqa: PLC0415

            keras_model.observe(stream, self._see_or_stop, labelled=self._labelled)
        else:
            for images, labels in limited(stream, len(self._data)):
                self.see(images, labels if self._labelled else None)

    def _see_or_stop(self, images: NDArray[Any], labels: NDArray[Any] | None) -> None:
        from harness import keras_model  # noqa: PLC0415

        try:
            self.see(images, labels)
        except Exception as error:
            self._own_error = error
            raise keras_model.StopObserving from error
        if self.observer.full:
            raise keras_model.StopObserving

    def see(self, images: NDArray[Any], labels: NDArray[Any] | None) -> None:
        """Take one batch: images [N, H, W, C], and labels in a labelled pass."""
        if images.ndim != 4:
            raise ModelError(
                f"model '{self._candidate.name}': the {self._data.name} stream gave {images.shape}, not [N, H, W, C]"
            )
        matched = self.observer.see(images)
        self._first = self._first or len(images)
        if self._labelled:
            self._fits.append(self._fit(images, matched))
            self._labels.append(self._class_indices(labels, len(images)))
            self._extent = (min(self._extent[0], float(images.min())), max(self._extent[1], float(images.max())))
        self._seen += len(images)

    def _class_indices(self, labels: NDArray[Any] | None, rows: int) -> NDArray[np.int64]:
        """Return class indices (n,); in the harness's streams of a single sigmoid, 1 means its positive class."""
        found = class_indices(labels, rows, len(self._data.classes))
        facts = self._candidate.facts
        if facts.positive is None or facts.has_streams or self._data.classes.index(facts.positive) == 1:
            return found
        return np.where(found < 0, found, 1 - found)

    def _fit(self, images: NDArray[Any], matched: Matched) -> tuple[NDArray[np.float32], ...]:
        position = np.arange(self._seen, self._seen + len(images))
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


def class_indices(labels: NDArray[Any] | None, rows: int, classes: int) -> NDArray[np.int64]:
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
    if not candidate.has_layers:
        answers = [
            candidate.answer(candidate.model.predict, images) for images, _ in limited(stream, len(seen) - batch_size)
        ]
        return np.concatenate(answers)
    from harness import keras_model  # noqa: PLC0415

    steps = math.ceil(len(seen) / batch_size) if seen.endless else None
    outputs = keras_model.predict_stream(candidate.network, stream, steps)
    candidate.passes += len(outputs)
    return candidate.columns(outputs, len(outputs))


def _whole_batch(candidate: Candidate) -> Callable[[Images], NDArray[Any]]:
    """Return what sends a batch through the model in one forward pass."""
    whole: Callable[[Images], NDArray[Any]] = getattr(candidate.model, "predict_batch", candidate.model.predict)
    return whole


def limited(stream: Any, rows: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:  # noqa: ANN401 - any iterable of pairs
    """Yield (images, labels) from a plain stream until it ends, or has gone one batch past ``rows``."""
    seen, first = 0, 0
    for images, labels in stream:
        yield np.asarray(images), np.asarray(labels)
        first = first or len(images)
        seen += len(images)
        if seen >= rows + first:
            return


def probe(candidate: Candidate, rows: NDArray[np.int64]) -> Arrays:
    """Answer the same test films five times, in other batches, and after reloading in a fresh process; look at layers.

    Args:
        candidate: The model.
        rows: Test rows to ask.
    """
    films = candidate.splits.test.take(rows)
    whole = _whole_batch(candidate)

    def answer(batch: Images) -> Probabilities:
        return candidate.answer(whole, candidate.to_input(batch))  # prepared anew: it may depend on its company

    arrays: Arrays = {"repeats": np.stack([answer(films) for _ in range(REPEATS)])}
    for name, size in zip(BATCHINGS, (1, 2, 32, 32), strict=True):
        given = films[::-1] if name == "reversed" else films
        answers = np.concatenate([answer(given[i : i + size]) for i in range(0, len(given), size)])
        arrays[f"batching {name}"] = answers[::-1] if name == "reversed" else answers
    arrays["before saving"] = arrays["repeats"][0] if candidate.probe is None else candidate.probe
    words: dict[str, Any] = {"layers": None, "displacement": "", "reload_error": ""}
    if candidate.has_layers:
        from harness.displacement import probe_images  # noqa: PLC0415
        from harness.layers import examine  # noqa: PLC0415

        words["layers"], words["displacement"] = examine(candidate.network, candidate.to_input(probe_images(films[:4])))
    try:
        arrays["reloaded"] = _reload(candidate, candidate.to_input(films))
    except ModelError as error:
        words["reload_error"] = str(error)
    return arrays | {"words": pack(words)}


def _reload(candidate: Candidate, inputs: Images) -> Probabilities:
    """Answer ``inputs`` in a fresh process, which loads the model from its files alone."""
    with tempfile.TemporaryDirectory(prefix="roentgate-") as name:
        folder = Path(name)
        np.save(folder / "inputs.npy", inputs)
        job = {
            "model": str(candidate.source.path),
            "models": str(candidate.options.models),
            "weights": str(candidate.weights) if candidate.weights else None,
            "trust": candidate.options.trust,
            "task": dataclasses.asdict(candidate.task),
        }
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        command = [
            sys.executable,
            "-c",
            "import sys; from harness.collect import answer_afresh; answer_afresh(sys.argv[1])",
        ]
        try:
            done = subprocess.run(
                [*command, str(folder)], check=False, capture_output=True, text=True, timeout=_RELOAD_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise ModelError(f"a fresh process did not answer within {_RELOAD_TIMEOUT_S} s") from None
        if done.returncode or not (folder / "answers.npy").is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelError(f"a fresh process could not load it: {last[:300]}")
        return candidate.columns(np.load(folder / "answers.npy", allow_pickle=False), len(inputs))


def answer_afresh(folder_name: str) -> None:
    """Do the job that `_reload` left in a folder: load a model, answer the inputs, leave the answers."""
    folder = Path(folder_name)
    job = json.loads((folder / "job.json").read_text("utf-8"))
    task = job["task"]
    source = find_model(job["model"], Path(job["models"]), trust=job["trust"])
    file = None if source.is_keras_file else ModelFile(source)
    if job["weights"]:
        from harness import keras_model  # noqa: PLC0415

        network = load_weights(file, Path(job["weights"]), trust=job["trust"])
        model: Any = keras_model.KerasModel(network, source.name)
    elif file is not None:
        model = file.call("load", Task(tuple(task["classes"]), tuple(task["image_shape"]), task["seed"]))
    else:
        raise ModelError(f"{source.path}: nothing to load")
    inputs = np.load(folder / "inputs.npy", allow_pickle=False)
    np.save(folder / "answers.npy", np.asarray(model.predict(inputs), dtype=np.float32))
