"""Load, wrap, train and save Keras networks, and read their streams."""

import logging
import math
import os
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
logging.getLogger("tensorflow").setLevel(logging.ERROR)

# Keras 3.15 on NumPy 2 emits this for every variable that it reads, and a user of either cannot act on it.
warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy", category=DeprecationWarning)

import keras  # noqa: E402 - after the log level is set
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from tqdm import tqdm  # noqa: E402

from roentgate.arrays import Array, Images, Probabilities  # noqa: E402
from roentgate.candidates.backends import keras_archive as archive  # noqa: E402
from roentgate.candidates.backends.backend import History, See  # noqa: E402
from roentgate.candidates.protocols import Recipe, Streams, Task, check_columns, check_images  # noqa: E402
from roentgate.data import Dataset, Splits  # noqa: E402
from roentgate.errors import ArgumentError, HarnessError, ModelError  # noqa: E402
from roentgate.process import keep_freed_memory  # noqa: E402
from roentgate.store import DAMAGE, atomic, pack, unpack  # noqa: E402

PREDICT_BATCH = 32
"""Images in a forward pass: on two cores within 3 % as fast as any of 8 to 64, and half the memory of 64."""

BACKUP_EVERY_S = 20.0
"""Least time between two backups of a training, in seconds."""


class KerasModel:
    """A Keras network with the interface of `Model`.

    Args:
        network: The network, trained or not.
        label: Name of the model in messages.
    """

    def __init__(self, network: keras.Model, label: str) -> None:
        self.network = network
        self.label = label

    def predict(self, images: Images) -> Probabilities:
        """Return the raw outputs (n, columns), computed in batches of `PREDICT_BATCH`."""
        parts = [self.predict_batch(images[i : i + PREDICT_BATCH]) for i in range(0, len(images), PREDICT_BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)

    def predict_batch(self, images: Images) -> Probabilities:
        """Return the raw outputs for all images as a single batch."""
        outputs = self.network.predict_on_batch(images)
        if not isinstance(outputs, np.ndarray):
            raise ModelError(f"model '{self.label}': must have one output, not {type(outputs).__name__}")
        return np.asarray(outputs, dtype=np.float32)


class ImageSequence(keras.utils.PyDataset):  # type: ignore[misc]
    """The stream of the harness, in the order of ``flow_from_directory``.

    Args:
        data: The rows, decoded once.
        batch_size: Number of images in a batch. The last one may be smaller.
        transform: Applied to float32 images in [0, 1] before the network.
        seed: Shuffles the rows in each epoch, for training. None keeps their order.
        positive: The class of a single sigmoid, for labels 1 and 0 (n, 1). None gives one-hot labels (n, K).
    """

    def __init__(
        self,
        data: Dataset,
        batch_size: int,
        transform: Callable[[Images], Images],
        *,
        seed: int | None = None,
        positive: str | None = None,
    ) -> None:
        super().__init__()
        self._data, self._batch_size, self._transform, self._seed = data, batch_size, transform, seed
        codes = np.eye(len(data.classes), dtype=np.float32)
        self._codes = codes if positive is None else codes[:, [data.classes.index(positive)]]
        self.start_at(0)

    def __len__(self) -> int:
        return math.ceil(len(self._data) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Images, NDArray[np.float32]]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._transform(self._data.take(rows)), self._codes[self._data.labels[rows]]

    def on_epoch_end(self) -> None:
        """Go on to the order of the next epoch."""
        self.start_at(self._epoch + 1)

    def start_at(self, epoch: int) -> None:
        """Use the order of an epoch, which for epoch 0 is that of the iterators of Keras."""
        self._epoch = epoch
        self._order = np.arange(len(self._data))
        if self._seed is not None:
            shuffler = np.random.RandomState(self._seed + self._epoch * len(self))
            self._order = shuffler.permutation(len(self._data))


def default_streams(
    data: Splits, recipe: Recipe, task: Task, transform: Callable[[Images], Images], *, positive: str | None = None
) -> Streams:
    """Return the streams of the harness: shuffled for training, in row order for evaluation."""

    def stream(split: Dataset, seed: int | None = None) -> ImageSequence:
        return ImageSequence(split, recipe.batch_size, transform, seed=seed, positive=positive)

    return Streams(train=stream(data.train, task.seed), validation=stream(data.validation), test=stream(data.test))


set_seed = keras.utils.set_random_seed


def start_anew(seed: int) -> None:
    """Seed Keras and reset its layer names, so that earlier networks have no influence."""
    keras.utils.clear_session()
    set_seed(seed)


def load_network(path: Path, module: ModuleType | None = None, *, trust: bool = False) -> keras.Model:
    """Return the network of a ``.keras`` file, uncompiled.

    Args:
        path: The file.
        module: The module of the model file, which provides custom layers and functions, or None.
        trust: Whether to leave the safe mode of Keras.

    Raises:
        ModelError: The file is damaged, needs a class that is not registered, or holds code.
    """
    if not zipfile.is_zipfile(path) and path.suffix == ".keras":
        raise ModelError(f"model '{path}': not a Keras archive (damaged, cut short, or another format); save it again")
    custom = {} if module is None else {name: value for name, value in vars(module).items() if _is_own(value, module)}
    try:
        return keras.saving.load_model(path, custom_objects=custom, compile=False, safe_mode=not trust)
    except (*DAMAGE, TypeError, AttributeError, ImportError, RecursionError, NotImplementedError) as error:
        message = " ".join(str(error).split())
        shortened = message if len(message) <= 400 else f"{message[:200]} ... {message[-200:]}"
        if "lambda" in str(error).lower() or "safe_mode" in str(error):
            raise ModelError(
                f"model '{path}': it holds code (a Lambda layer) that Keras' safe mode refuses; "
                f"replace the layer, or pass --trust-model-file if you trust its author ({shortened})"
            ) from None
        raise ModelError(f"model '{path}': not loadable as a Keras model ({shortened})") from None


def _is_own(value: object, module: ModuleType) -> bool:
    """Return whether this is a layer, a model, or a callable that the model file defines."""
    if isinstance(value, type) and issubclass(value, (keras.Layer, keras.Model)):
        return True
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def save_network(network: keras.Model, path: Path, noted: Mapping[str, object]) -> None:
    """Save a network atomically, with equal bytes for equal networks and notes."""
    with atomic(path) as temporary:
        raw = temporary.with_name(f"{temporary.stem}-raw.keras")
        try:
            network.save(raw)
            archive.copy_timeless(raw, temporary, noted)
        finally:
            raw.unlink(missing_ok=True)


def check_network(network: object, label: str, task: Task, positive: str | None) -> None:
    """Refuse a network whose input or output does not fit the task.

    Raises:
        ModelError: This is not a Keras model, or its input or output shape is wrong.
    """
    if not isinstance(network, keras.Model):
        raise ModelError(f"model '{label}': build(task) must return a keras.Model, not {type(network).__name__}")
    images, columns = (
        getattr(network, name, None) if network.built else None for name in ("input_shape", "output_shape")
    )
    if isinstance(images, tuple):
        check_images(images, label, task)
    if isinstance(columns, tuple):
        check_columns(columns, label, task, positive)


class _Observer(keras.Model):  # type: ignore[misc]
    """Passes each batch that Keras would predict or evaluate on to a function."""

    def __init__(self, see: Callable[[object], None]) -> None:
        super().__init__()
        self._see = see

    def predict_step(self, data: object) -> object:
        self._see(data)
        return keras.ops.zeros((1, 1))

    def test_step(self, data: object) -> dict[str, float]:
        self._see(data)
        return {"batches": 0.0}


class _StopObserving(Exception):  # noqa: N818 - control flow, not an error
    """Raised within `observe` to end the pass."""


def observe(stream: object, see: See, *, labelled: bool) -> None:
    """Pass each batch of a stream to ``see``, as Keras would receive it.

    The pass is exactly that of ``predict`` or, with ``labelled``, of ``evaluate``.

    Args:
        stream: Anything that ``keras.Model.predict`` accepts.
        see: Receives images (n, H, W, C) and, in a labelled pass, labels. It returns whether to go on.
        labelled: Whether to run as ``evaluate``.
    """

    def receive(data: object) -> None:
        parts = data if isinstance(data, (tuple, list)) else (data,)
        if not see(np.asarray(parts[0]), np.asarray(parts[1]) if labelled and len(parts) > 1 else None):
            raise _StopObserving

    observer = _Observer(receive)
    observer.compile(run_eagerly=True)
    try:
        observer.evaluate(stream, verbose=0) if labelled else observer.predict(stream, verbose=0)
    except _StopObserving:
        return


def predict_stream(network: keras.Model, stream: object, steps: int | None) -> Array:
    """Return the outputs of ``predict`` for a stream, of which ``steps`` limits the batches."""
    return np.asarray(network.predict(stream, steps=steps, verbose=0))


def train(network: keras.Model, streams: Streams, recipe: Recipe, *, backup: Path, title: str) -> History:
    """Train a compiled network and return its curves.

    Args:
        network: Compiled. It holds the best weights afterwards.
        streams: Its training and validation streams.
        recipe: Epochs, patience and the learning-rate plateau.
        backup: A file from which an interrupted training is resumed. It is replaced at the end of an epoch, at most
            every `BACKUP_EVERY_S`, and removed by the caller.
        title: Title of the progress bar.

    Returns:
        For each metric of ``fit`` one number an epoch.

    Raises:
        ModelError: The network is not compiled, or ``fit`` raises.
    """
    if not getattr(network, "compiled", False):
        raise ModelError(f"model '{title}': build(task) must return a compiled network (call compile before returning)")
    stopper = keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.patience, restore_best_weights=True)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", patience=recipe.plateau_patience, factor=recipe.plateau_factor
    )
    keeper = _Backup(backup, stopper, plateau)
    start = keeper.restore(network)
    if isinstance(streams.train, ImageSequence):
        streams.train.start_at(start)
    bar = _Progress(recipe.epochs, start, title)
    finished = start >= recipe.epochs or keeper.stopped
    if not finished:
        try:
            network.fit(
                streams.train,
                validation_data=streams.validation,
                epochs=recipe.epochs,
                initial_epoch=start,
                callbacks=[stopper, plateau, keeper, bar],
                verbose=0,
            )
        except (KeyboardInterrupt, MemoryError, HarnessError):
            raise
        except (Exception, SystemExit) as error:
            message = " ".join(str(error).split())[:400]
            raise ModelError(
                f"model '{title}': training failed with {type(error).__name__}: {message} (labels come one-hot, or 0 "
                "and 1 where POSITIVE is named, unless streams() brings others)"
            ) from error
        finally:
            bar.close()
    elif stopper.best_weights is not None:
        network.set_weights(stopper.best_weights)
    return keeper.history


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, epochs: int, start: int, title: str) -> None:
        super().__init__()
        self._bar = tqdm(
            total=epochs, initial=start, desc=f"training {title}", unit="epoch", mininterval=1.0, leave=True
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        self._bar.set_postfix(
            {name: f"{logs[name]:.3f}" for name in ("loss", "val_loss") if name in logs}, refresh=False
        )
        self._bar.update(epoch + 1 - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Backup(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes one file with weights, optimizer state, best weights, counters and history."""

    def __init__(
        self, path: Path, stopper: keras.callbacks.EarlyStopping, plateau: keras.callbacks.ReduceLROnPlateau
    ) -> None:
        super().__init__()
        self._path, self._stopper, self._plateau = path, stopper, plateau
        self._state: dict[str, Any] = {}
        self._best: list[Array] | None = None
        self._saved = time.monotonic()
        self.history: History = {}
        self.stopped = False

    def restore(self, network: keras.Model) -> int:
        """Load a backup, unless it is damaged, and return the epoch to continue from."""
        if not self._path.exists():
            return 0
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                state = unpack(archive["state"])
                variables = [archive[f"variable{i}"] for i in range(state["variables"])]
                best = [archive[f"best{i}"] for i in range(state["best"])]
            network.optimizer.build(network.trainable_variables)
            targets = [*network.variables, *network.optimizer.variables]
            if [tuple(v.shape) for v in targets] != [v.shape for v in variables]:
                raise ValueError("it belongs to another network")
        except DAMAGE as error:
            warnings.warn(f"{self._path}: the backup is discarded, training starts anew ({error})", stacklevel=2)
            self._path.unlink(missing_ok=True)
            return 0
        for target, value in zip(targets, variables, strict=True):
            target.assign(value)
        self._state, self._best = state, best or None
        self.history, self.stopped = state["history"], state["stopped"]
        self._stopper.best_weights = self._best
        return int(state["epoch"])

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == 0:
            keep_freed_memory()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._state:
            for name, value in self._state["stopper"].items():
                setattr(self._stopper, name, value)
            for name, value in self._state["plateau"].items():
                setattr(self._plateau, name, value)
            self._stopper.best_weights = self._best

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        if time.monotonic() - self._saved >= BACKUP_EVERY_S or self.model.stop_training:
            self._save(epoch + 1)
            self._saved = time.monotonic()

    def _save(self, epoch: int) -> None:
        variables = [np.asarray(v) for v in (*self.model.variables, *self.model.optimizer.variables)]
        best = self._stopper.best_weights or []
        state = {
            "epoch": epoch,
            "history": self.history,
            "stopped": bool(self.model.stop_training),
            "variables": len(variables),
            "best": len(best),
            "stopper": {name: _plain(getattr(self._stopper, name)) for name in ("wait", "best", "best_epoch")},
            "plateau": {name: _plain(getattr(self._plateau, name)) for name in ("wait", "best", "cooldown_counter")},
        }
        arrays = {f"variable{i}": value for i, value in enumerate(variables)}
        arrays |= {f"best{i}": np.asarray(value) for i, value in enumerate(best)}
        try:
            with atomic(self._path) as temporary, temporary.open("wb") as file:
                np.savez(file, state=pack(state), **arrays)  # type: ignore[arg-type]  # as in roentgate.store
        except (OSError, ArgumentError) as error:
            warnings.warn(f"{self._path}: no backup of epoch {epoch}, training goes on ({error})", stacklevel=2)


def _plain(value: object) -> float | int | None:
    return value if value is None or isinstance(value, int) else float(np.asarray(value))
