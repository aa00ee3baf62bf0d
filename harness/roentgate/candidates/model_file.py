"""Imported model files: declarations, functions, and undeclared inputs."""

import contextlib
import dataclasses
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeGuard

import numpy as np

from roentgate.arrays import Images
from roentgate.candidates.discovery import Source
from roentgate.candidates.protocols import Model, Recipe, Task
from roentgate.errors import ModelError, did_you_mean
from roentgate.store import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a model file declares.

    The facts are stored, so that an unchanged file need not be imported again.

    Args:
        kind: ``build`` (a network to train here), ``load`` (ready, of any framework) or ``keras`` (a trained file).
        recipe: Fields of its `Recipe`.
        image_shape: Shape (H, W, C) that it asks for, or None.
        input_range: Range of the pixels that its streams deliver.
        positive: The class of a single sigmoid output, or None.
        files: Files that its ``load`` or ``build`` reads, as declared.
        has_streams: Whether it brings its own pipeline.
        undeclared: Local files that it read without declaring them. Such a model is never cached.
    """

    kind: Literal["build", "load", "keras"]
    recipe: dict[str, Any]
    image_shape: tuple[int, int, int] | None = None
    input_range: tuple[float, float] = (0.0, 1.0)
    positive: str | None = None
    files: tuple[str, ...] = ()
    has_streams: bool = False
    undeclared: tuple[str, ...] = ()


class ModelFile:
    """An imported model file with its declarations and functions.

    Args:
        source: From `find_model`.
        allowed: Folders and files that it may read undeclared (the images, the store).

    Raises:
        ModelError: The file cannot be imported, or offers neither ``build`` nor ``load``.
    """

    def __init__(self, source: Source, allowed: Sequence[Path] = ()) -> None:
        self.source = source
        self._watch = _Watch(source, allowed)
        self._named = set(source.named_files)
        with self._watch:
            self.module = _import(source)
        self.facts = self._read_facts()

    def call(self, name: str, *arguments: object) -> object:
        """Call a function of the model file and return its result.

        Raises:
            ModelError: The function raised. The message names file and function.
        """
        function: Callable[..., object] = getattr(self.module, name)
        with self._watch:
            try:
                return function(*arguments)
            except (KeyboardInterrupt, ModelError):
                raise
            except (Exception, SystemExit) as error:
                kind = type(error).__name__
                raise ModelError(f"model file {self.source.path}: {name}() raised {kind}: {error}") from error

    def builder(self, task: Task) -> Callable[[], object] | None:
        """Return a function that builds the network, or None for a model file that loads itself."""
        return (lambda: self.call("build", task)) if hasattr(self.module, "build") else None

    def load(self, task: Task) -> Model:
        """Return the model that ``load(task)`` of the model file returns.

        Raises:
            ModelError: The function raised, or its result has no ``predict``.
        """
        loaded = self.call("load", task)
        if not _can_answer(loaded):
            raise ModelError(f"model file {self.source.path}: load(task) must return an object with predict(images)")
        return loaded

    def prepare(self, images: Images) -> Images:
        """Return images after the fixed preprocessing of the model file.

        They are unchanged if it declares none.

        Raises:
            ModelError: ``prepare`` raised, or did not return (n, H, W, C).
        """
        if not hasattr(self.module, "prepare"):
            return images
        prepared = np.asarray(self.call("prepare", images), dtype=np.float32)
        if prepared.ndim != 4 or len(prepared) != len(images):
            raise ModelError(
                f"model file {self.source.path}: prepare() gave {prepared.shape} for {images.shape}, not (n, H, W, C)"
            )
        return prepared

    def allow(self, places: Sequence[Path]) -> None:
        """Allow the model file to read these folders and files undeclared."""
        self._watch.allow(places)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Return a context in which the local files that are read are noted."""
        with self._watch:
            yield

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Local inputs that are neither sources nor declared in ``FILES``.

        They are files that were read or imported so far, and existing files that a source names.
        """
        declared = {*self.source.sources, *declared_files(self.source, self.facts.files)}
        seen = self._watch.seen | {path for path in self._named if not self._watch.allows(path)}
        return tuple(sorted(map(str, seen - declared)))

    def _read_facts(self) -> Facts:
        module, path = self.module, self.source.path
        if not hasattr(module, "build") and not hasattr(module, "load"):
            offered = [name for name in vars(module) if not name.startswith("_")]
            hint = did_you_mean("build", [name for name in offered if name in {"built", "make", "model", "get_model"}])
            raise ModelError(
                f"model file {path}: offers neither build(task) nor load(task) ({hint}); see the README on models"
            )
        recipe = getattr(module, "RECIPE", Recipe())
        if not isinstance(recipe, Recipe):
            raise ModelError(f"model file {path}: RECIPE must be a roentgate.Recipe, not {type(recipe).__name__}")
        return Facts(
            kind="load" if hasattr(module, "load") else "build",
            recipe=dataclasses.asdict(recipe),
            image_shape=_shape(path, getattr(module, "IMAGE_SHAPE", None)),
            input_range=_range(path, getattr(module, "INPUT_RANGE", (0.0, 1.0))),
            positive=getattr(module, "POSITIVE", None),
            files=_files(path, getattr(module, "FILES", ())),
            has_streams=hasattr(module, "streams"),
        )


def declared_files(source: Source, files: Sequence[str]) -> tuple[Path, ...]:
    """Return the declared ``FILES`` as absolute paths.

    Relative paths start at the folder of the model file.

    Raises:
        ModelError: One of them does not exist.
    """
    paths = tuple((source.path.parent / name).resolve() for name in files)
    for path in paths:
        if not path.is_file():
            raise ModelError(f"model file {source.path}: FILES names {path}, which does not exist")
    return paths


def _import(source: Source) -> ModuleType:
    for root in reversed(source.roots):
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
    name = "roentgate_model_" + digest(str(source.path))[:12]
    spec = importlib.util.spec_from_file_location(name, source.path)
    if spec is None or spec.loader is None:
        raise ModelError(f"model file {source.path}: cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ModelError(f"model file {source.path}: importing it raised {type(error).__name__}: {error}") from error
    return module


def _shape(path: Path, value: object) -> tuple[int, int, int] | None:
    if value is None:
        return None
    if (
        isinstance(value, (tuple, list))
        and len(value) == 3
        and all(isinstance(side, int) and side > 0 for side in value)
    ):
        if value[2] not in {1, 3}:
            raise ModelError(
                f"model file {path}: IMAGE_SHAPE asks for {value[2]} channels; images are read with 1 or 3"
            )
        return (value[0], value[1], value[2])
    raise ModelError(f"model file {path}: IMAGE_SHAPE must be three positive integers (H, W, C), not {value!r}")


def _range(path: Path, value: object) -> tuple[float, float]:
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(end, (int, float)) for end in value):
        low, high = float(value[0]), float(value[1])
        if np.isfinite([low, high]).all() and low < high:
            return low, high
    raise ModelError(f"model file {path}: INPUT_RANGE must be (low, high) with low < high, not {value!r}")


def _files(path: Path, value: object) -> tuple[str, ...]:
    if isinstance(value, (tuple, list)) and all(isinstance(name, (str, Path)) for name in value):
        return tuple(str(name) for name in value)
    raise ModelError(f"model file {path}: FILES must be a tuple of paths, not {value!r}")


_SETTINGS = (".keras/keras.json", ".cache/matplotlib", ".config/matplotlib")
"""Files and folders in a user's home that libraries read when they are imported."""

_SYSTEM = tuple(
    Path(folder).resolve()
    for folder in {
        sys.prefix,
        sys.base_prefix,
        site.getusersitepackages(),
        *(str(Path.home() / name) for name in _SETTINGS),
        os.environ.get("MPLCONFIGDIR", sys.prefix),
        *sysconfig.get_paths().values(),
        "/proc",
        "/sys",
        "/dev",
        "/etc",
        "/usr/lib",
        "/usr/lib64",
        "/usr/share/fonts",
        "/usr/share/locale",
        "/usr/share/zoneinfo",
    }
)


def _can_answer(loaded: object) -> TypeGuard[Model]:
    return callable(getattr(loaded, "predict", None))


class _Watch:
    """Notes the local files that are opened while a model file runs.

    An audit hook sees files that Python's own ``open`` opens. Every imported module counts as well. Files that only
    compiled code opens (HDF5, the readers of TensorFlow) are not seen. `ModelFile.undeclared` finds those that a
    source names, and the others must be declared.
    """

    _active: "list[_Watch]" = []  # noqa: RUF012 - one hook for the whole process, because audit hooks cannot be removed
    _installed = False

    def __init__(self, source: Source, allowed: Sequence[Path]) -> None:
        self.seen: set[Path] = set()
        self._modules: list[set[str]] = []
        self._known = {path.resolve() for path in source.sources}
        self._allowed = {*_SYSTEM, Path(__file__).resolve().parents[1]}
        self.allow(allowed)

    def __enter__(self) -> None:
        if not _Watch._installed:
            sys.addaudithook(_Watch._hook)
            _Watch._installed = True
        _Watch._active.append(self)
        self._modules.append(set(sys.modules))

    def __exit__(self, *_: object) -> None:
        _Watch._active.remove(self)
        for name in sys.modules.keys() - self._modules.pop():
            file = getattr(sys.modules[name], "__file__", None)
            if file:
                self._note(Path(file))

    @staticmethod
    def _hook(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not _Watch._active or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        mode = arguments[1]
        flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
        writes = bool(flags & (os.O_WRONLY | os.O_CREAT)) if mode is None else any(sign in str(mode) for sign in "wax")
        if not writes:
            for watch in _Watch._active:
                watch._note(Path(os.fsdecode(arguments[0])))

    def allow(self, places: Sequence[Path]) -> None:
        """Allow folders and files to be read undeclared."""
        self._allowed |= {place.resolve() for place in places}

    def allows(self, path: Path) -> bool:
        """Return whether a file may be read undeclared."""
        return not self._allowed.isdisjoint((path, *path.parents))

    def _note(self, path: Path) -> None:
        path = Path(os.path.realpath(path))
        if not self.allows(path) and path not in self._known and path.suffix != ".pyc" and path.is_file():
            self.seen.add(path)
