"""Candidates: models made ready to be judged."""

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Array, Images, Probabilities
from roentgate.candidates.backends import Backend, KerasBackend, Network, PlainBackend, load_fitting
from roentgate.candidates.discovery import Source
from roentgate.candidates.model_file import Facts, ModelFile, declared_files
from roentgate.candidates.protocols import Model, Recipe, Streams, Task, check_columns
from roentgate.data import Splits
from roentgate.errors import ArgumentError, ModelError
from roentgate.store import Store, digest, file_digest

PROBE_ROWS = 32
"""Number of rows on which inference is probed, the first of each class in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of the command line about the models of a run.

    Args:
        models: Folder of the named models.
        seed: Seed of the task.
        image_size: Height and width, instead of those of the model and the card.
        weights: A stored ``.keras`` artefact to judge instead of training.
        epochs: Number of epochs, instead of that of the recipe.
        classes: Class order of a bare ``.keras`` file, instead of that of the data card.
        trust: Accept formats that can carry code.
        run_id: Part of the keys of an uncacheable model, so that no other run uses its results.
    """

    models: Path
    seed: int = 0
    image_size: tuple[int, int] | None = None
    weights: Path | None = None
    epochs: int | None = None
    classes: tuple[str, ...] | None = None
    trust: bool = False
    run_id: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ArgumentError(f"--seed {self.seed}: must lie between 0 and 2**32 - 1")
        if self.epochs is not None and self.epochs < 1:
            raise ArgumentError(f"--epochs {self.epochs}: must be at least 1")


@dataclass
class Candidate:
    """One model on one data set, made by `training.ready`.

    Heavy parts are loaded on first use.

    Args:
        source: Origin of the model.
        facts: What its file declares.
        task: Classes, image shape and seed.
        recipe: How it is trained here.
        splits: The data.
        store: Keeps weights and evidence.
        options: Of the command line.
        salt: Empty, or a text that makes the keys of an uncacheable model unique to this run.
        weights: Its ``.keras`` weights, None for a ready model of another framework.
        origin: ``trained here`` or ``loaded``.
        history: Training curves, one list for each metric. None unless the model was trained here.
        seconds: Durations, such as that of the training.
        passes: Number of images sent through the model so far.
        unanswered: Number of these whose answer is not finite.
        probe: Answers on the `probe_rows` before the weights were saved. None unless the model was trained here.
    """

    source: Source
    facts: Facts
    task: Task
    recipe: Recipe
    splits: Splits
    store: Store
    options: Options
    salt: str = ""
    weights: Path | None = None
    origin: Literal["trained here", "loaded"] = "loaded"
    history: dict[str, list[float]] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    passes: int = 0
    unanswered: int = 0
    probe: Probabilities | None = None
    _file: ModelFile | None = None

    @property
    def name(self) -> str:
        """Name of the model in the scorecard."""
        return self.source.name

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the sources, declared files, task and weights."""
        weights = file_digest(self.weights) if self.weights else ""
        return digest(self._declared, dataclasses.asdict(self.task), weights, self.salt)

    @property
    def pixels_fingerprint(self) -> str:
        """Digest of the images that reach the model.

        With streams of its own, it also covers the other files in the folders of the images.
        """
        surroundings = self.splits.surroundings if self.facts.has_streams else ""
        return digest(self.splits.fingerprint, surroundings)

    @cached_property
    def _declared(self) -> str:
        files = [file_digest(path) for path in declared_files(self.source, self.facts.files)]
        parts = [] if self.source.is_keras_file else [self.source.fingerprint, files]
        return digest(self.facts.kind, parts, self.facts.positive, self.facts.input_range, self.options.classes)

    @property
    def file(self) -> ModelFile | None:
        """The imported model file, None for a bare ``.keras`` file."""
        if self._file is None and not self.source.is_keras_file:
            self._file = open_file(self.source, self.splits.root, self.store)
            self._file.allow(self.splits.places)
        return self._file

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the files that the model file reads are noted."""
        return contextlib.nullcontext() if self._file is None else self._file.watched()

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Files that the model file has read without declaring them.

        Those noted in an earlier run are included.
        """
        seen = () if self._file is None else self._file.undeclared
        return tuple(sorted({*self.facts.undeclared, *seen}))

    @property
    def has_layers(self) -> bool:
        """Whether the layers of the model can be inspected."""
        return not self.backend.lacks("layers")

    @cached_property
    def backend(self) -> Backend:
        """The backend that runs the model.

        Asking the backend what it lacks does not load the model.
        """
        kind = PlainBackend if self.facts.kind == "load" else KerasBackend
        return kind(self.name, lambda: self.model)

    @property
    def loaded(self) -> Backend:
        """The backend after the model is loaded, so that loading is no part of an answer."""
        _ = self.model
        return self.backend

    @cached_property
    def model(self) -> Model:
        """The loaded model. Loading it imports its framework."""
        if self.weights is not None:
            module = None if self.file is None else self.file.module
            return load_fitting(
                self.weights,
                module,
                self.name,
                trust=self.options.trust,
                task=self.task,
                positive=self._positive,
                build=None if self.file is None else self.file.builder(self.task),
            )
        if self.file is None:
            raise ModelError(f"model '{self.name}': has no weights")
        return self.file.load(self.task)

    @cached_property
    def network(self) -> Network:
        """The Keras network.

        Raises:
            ModelError: The model is of another framework and has none.
        """
        network: Network | None = getattr(self.model, "network", None)
        if network is None:
            raise ModelError(f"model '{self.name}': has no Keras layers")
        return network

    @cached_property
    def streams(self) -> Streams:
        """The pipeline of the model for training and evaluation.

        It is that of the model file or, if it brings none, that of the harness.
        """
        if self.facts.has_streams and self.file is not None:
            with contextlib.redirect_stdout(io.StringIO()):  # Keras' iterators print the number of images
                streams = self.file.call("streams", self.splits, self.recipe, self.task)
            if not isinstance(streams, Streams):
                raise ModelError(f"model file {self.source.path}: streams() must return a roentgate.Streams")
            return streams
        return self.backend.default_streams(
            self.splits, self.recipe, self.task, self.to_input, positive=self.facts.positive
        )

    def prepared(self, images: Images) -> Images:
        """Return canonical images after ``prepare`` of the model file."""
        return images if self.file is None else self.file.prepare(images)

    def to_input(self, images: Images) -> Images:
        """Return the inputs of the network for canonical images.

        They are prepared and in the input range of the model.
        """
        low, high = self.facts.input_range
        prepared = self.prepared(images)
        return prepared if (low, high) == (0.0, 1.0) else prepared * np.float32(high - low) + np.float32(low)

    def predict(self, images: Images, *, together: bool = False) -> Probabilities:
        """Return the raw probabilities (n, K) of canonical images.

        Args:
            images: float32 (n, H, W, C) in [0, 1].
            together: Whether all images form a single batch.
        """
        backend = self.loaded
        return self.answer(backend.predict_together if together else backend.predict, self.to_input(images))

    def predict_batches(self, batches: Iterable[Images]) -> Probabilities:
        """Return the probabilities of batches of network inputs."""
        return np.concatenate([self.answer(self.loaded.predict, inputs) for inputs in batches])

    def predict_stream(self, stream: object, steps: int | None) -> Probabilities:
        """Return the probabilities of a stream that the framework reads itself.

        Args:
            stream: Batches of network inputs.
            steps: Number of batches, None for a stream that ends by itself.
        """
        outputs = self.loaded.predict_stream(stream, steps)
        self.passes += len(outputs)
        return self.columns(outputs, len(outputs))

    def answer(self, predict: Callable[[Images], Array], inputs: Images) -> Probabilities:
        """Return the outputs of ``predict`` on network inputs, as one column a class.

        Raises:
            ModelError: ``predict`` raised, or did not return one row for each image and one column for each class.
        """
        try:
            with self.watched():
                outputs = np.asarray(predict(inputs))
        except (KeyboardInterrupt, MemoryError, ModelError):
            raise
        except (Exception, SystemExit) as error:
            message = " ".join(str(error).split())[:300]
            raise ModelError(f"model '{self.name}': predict raised {type(error).__name__}: {message}") from error
        self.passes += len(inputs)
        return self.columns(outputs, len(inputs))

    def columns(self, outputs: Array, rows: int) -> Probabilities:
        """Return outputs as one column for each class.

        The single column of a sigmoid becomes two.

        Raises:
            ModelError: The shape is not (rows, K).
        """
        if outputs.ndim != 2 or len(outputs) != rows or not np.issubdtype(outputs.dtype, np.number):
            raise ModelError(f"model '{self.name}': predict gave {outputs.shape} {outputs.dtype} for {rows} images")
        positive = self._positive(outputs.shape)
        check_columns(outputs.shape, self.name, self.task, positive)
        named = outputs.astype(np.float32)
        self.unanswered += int((~np.isfinite(named).all(axis=1)).sum())
        if positive is None:
            order = self.options.classes
            return named if order is None else named[:, [order.index(label) for label in self.task.classes]]
        sigmoid = named[:, 0]
        pair = (1 - sigmoid, sigmoid) if self.task.classes.index(positive) == 1 else (sigmoid, 1 - sigmoid)
        return np.stack(pair, axis=1)

    def _positive(self, shape: object) -> str | None:
        """Return the positive class of a single sigmoid.

        The model file declares it. For a bare file it is the second of two classes, as in Keras.
        """
        order = self.options.classes or self.task.classes
        one_column = isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 1
        return order[1] if self.source.is_keras_file and one_column and len(order) == 2 else self.facts.positive

    def probe_rows(self) -> NDArray[np.int64]:
        """Return the test rows on which inference is probed.

        They are up to `PROBE_ROWS` rows, taken from the classes in turn.
        """
        labels = self.splits.test.labels
        by_class = [np.flatnonzero(labels == index) for index in range(len(self.task.classes))]
        interleaved = [rows[i] for i in range(max(map(len, by_class))) for rows in by_class if i < len(rows)]
        return np.sort(np.array(interleaved[:PROBE_ROWS], dtype=np.int64))


def open_file(source: Source, root: Path | None, store: Store) -> ModelFile:
    """Return an imported model file, which may read images and decoded pixels undeclared.

    Args:
        source: From `find_model`.
        root: The data root. The files in its ``train``, ``validation`` and ``test`` are already part of the key.
        store: Its pixels and weights are addressed by content.
    """
    images = [] if root is None else [root / name for name in ("train", "validation", "test")]
    return ModelFile(source, [store.root / "pixels", store.root / "weights", *images])
