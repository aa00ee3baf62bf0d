"""A model is a file: find it, read what it declares, and know every source its behaviour depends on."""

import ast
import dataclasses
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import ArgumentError, ModelError, did_you_mean
from harness.store import digest, file_digest

Images = NDArray[np.float32]
Probabilities = NDArray[np.float32]

UNSAFE_SUFFIXES = {
    ".h5": "HDF5", ".hdf5": "HDF5", ".pkl": "pickle", ".pickle": "pickle", ".joblib": "pickle", ".pt": "pickle", ".pth": "pickle",
}  # fmt: skip


class Model(Protocol):
    """Anything that answers: what ``load(task)`` returns and what the checks ask."""

    def predict(self, images: Images, /) -> NDArray[np.floating[Any]]:
        """Return probabilities (n, K) for float32 images (n, H, W, C) in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is built for: class names in index order, image shape (H, W, C), and the seed."""

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained; the defaults are the baseline's.

    Args:
        batch_size: Films a step.
        epochs: Most passes over the training films.
        patience: Epochs without a better validation loss before training stops; the best weights are restored.
        plateau_patience: Epochs without a better validation loss before the learning rate is reduced.
        plateau_factor: What the learning rate is then multiplied by.
    """

    batch_size: int = 8
    epochs: int = 50
    patience: int = 20
    plateau_patience: int = 10
    plateau_factor: float = 0.1

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience", "plateau_patience"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"recipe: {name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.plateau_factor < 1:
            raise ArgumentError(f"recipe: plateau_factor must lie between 0 and 1, not {self.plateau_factor}")

    def replace(self, **changes: Any) -> "Recipe":  # noqa: ANN401 - each field has its own type
        """Return a copy with some fields changed; an unknown field is an `ArgumentError`."""
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ArgumentError(f"recipe: unknown field '{name}'; {did_you_mean(name, known)}")
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Streams:
    """The pipeline a model actually trains and is evaluated with.

    Each is whatever ``keras.Model.fit`` and ``predict`` accept, and yields ``(images, labels)``.
    """

    train: Any
    validation: Any
    test: Any


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model file declares; stored, so that an unchanged file need not be imported again.

    Args:
        kind: ``build`` (a network to train here), ``load`` (a ready model of any framework) or ``keras`` (a ``.keras`` file).
        recipe: Fields of its `Recipe`.
        image_shape: Shape (H, W, C) it asks for, or None.
        input_range: Range its streams deliver.
        positive: The class of a single sigmoid output, or None.
        files: Files its ``load`` or ``build`` reads, as declared.
        has_streams: It brings its own pipeline.
        undeclared: Local inputs it used without declaring them; such a model is never cached.
    """

    kind: Literal["build", "load", "keras"]
    recipe: dict[str, Any]
    image_shape: tuple[int, int, int] | None
    input_range: tuple[float, float]
    positive: str | None
    files: tuple[str, ...]
    has_streams: bool
    undeclared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from, found without executing anything.

    Args:
        name: What the scorecard calls it.
        path: The model file.
        roots: Folders its local imports are looked up in.
        sources: The model file and every local source it imports, in a fixed order.
    """

    name: str
    path: Path
    roots: tuple[Path, ...]
    sources: tuple[Path, ...]

    @property
    def is_keras_file(self) -> bool:
        """Whether this is a trained model rather than a Python file."""
        return self.path.suffix != ".py"

    @property
    def fingerprint(self) -> str:
        """Digest of the content of all its sources; independent of where they lie."""
        return digest([(path.name, file_digest(path)) for path in self.sources])


def find_model(name: str, models: Path, *, trust: bool = False) -> Source:
    """Find a model by name or path; nothing is executed.

    Args:
        name: ``baseline``, ``known_bad.shuffled``, ``path/to/file.py`` or ``path/to/model.keras``.
        models: The folder of named models.
        trust: Accept formats that can execute code when they are read.

    Raises:
        ModelError: No such model (the close names are listed), or a format that can carry code.
    """
    if name.endswith(".py") or Path(name).suffix in {".keras", *UNSAFE_SUFFIXES} or "/" in name or os.sep in name:
        return _from_path(Path(name), trust=trust)
    path = models.joinpath(*name.split(".")).with_suffix(".py") if _is_dotted_name(name) else models / "\0"
    if not _is_dotted_name(name) or not path.is_file():
        known = model_names(models)
        raise ModelError(f"model '{name}': no file {name.replace('.', '/')}.py in {models}; {did_you_mean(name, known)}")
    return _python_source(name, path)


def model_names(models: Path) -> list[str]:
    """Return the names of all model files below a folder, sorted, the faulty ones as ``known_bad.NAME``."""
    paths = sorted(models.rglob("*.py"))
    return [
        ".".join(path.relative_to(models).with_suffix("").parts)
        for path in paths
        if not path.name.startswith("_") and "__pycache__" not in path.parts
    ]


def _is_dotted_name(name: str) -> bool:
    return bool(name) and all(part.isidentifier() for part in name.split("."))


def _from_path(path: Path, *, trust: bool) -> Source:
    if not path.is_file():
        raise ModelError(f"model '{path}': no such file")
    if path.suffix in UNSAFE_SUFFIXES and not trust:
        raise ModelError(
            f"model '{path}': {UNSAFE_SUFFIXES[path.suffix]} files can execute code past Keras' safe mode; "
            "save it as .keras, or pass --trust-model-file if you trust its author as you trust your own code"
        )
    if path.suffix in UNSAFE_SUFFIXES and UNSAFE_SUFFIXES[path.suffix] == "pickle":
        raise ModelError(f"model '{path}': not a Keras model; wrap it in a model file whose load(task) reads it")
    if path.suffix == ".py":
        return _python_source(path.stem, path)
    if path.suffix != ".keras" and path.suffix not in UNSAFE_SUFFIXES:
        raise ModelError(f"model '{path}': neither a Python model file (.py) nor a Keras model (.keras)")
    return Source(path.stem, path.resolve(), (), (path.resolve(),))


def _python_source(name: str, path: Path) -> Source:
    path = path.resolve()
    roots = [path.parent]
    for parent in path.parents:
        if parent.name == "models":
            roots.append(parent.parent)
            break
    return Source(name, path, tuple(roots), tuple(_closure(path, roots)))


def _closure(path: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield a file and all local files it imports, however deep, each once, by reading them, not by running them."""
    pending, seen = [path], {path}
    while pending:
        current = pending.pop(0)
        yield current
        try:
            tree = ast.parse(current.read_bytes(), str(current))
        except (SyntaxError, ValueError) as error:
            raise ModelError(f"model file {current}: not valid Python ({error})") from None
        for found in sorted(_imported(tree, roots)):
            if found not in seen:
                seen.add(found)
                pending.append(found)


def _imported(tree: ast.AST, roots: Sequence[Path]) -> set[Path]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    found: set[Path] = set()
    for name in names:
        parts = name.split(".")
        for root in roots:
            for depth in range(1, len(parts) + 1):
                stem = root.joinpath(*parts[:depth])
                found.update(path.resolve() for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file())
    return {path for path in found if path.parent != Path(__file__).parent.resolve()}


def check_columns(shape: Sequence[int | None], label: str, task: Task, positive: str | None) -> None:
    """Refuse outputs that are not one column a class (or one, with a positive class).

    Raises:
        ModelError: The sentence names the shape and the classes.
    """
    wanted = len(task.classes)
    if len(shape) == 2 and shape[1] == wanted and positive is None:
        return
    if len(shape) == 2 and shape[1] == 1 and positive is not None and wanted == 2:
        return
    hint = "a single sigmoid needs POSITIVE and two classes" if len(shape) == 2 and shape[1] == 1 else "build for task.classes"
    raise ModelError(
        f"model '{label}': gives outputs of shape {tuple(shape)}, but there are {wanted} classes "
        f"({', '.join(task.classes)}); {hint}"
    )


class ModelFile:
    """An imported model file: what it declares, and its functions.

    Args:
        source: From `find_model`.
        allowed: Folders it may read from without declaring a file (the data, the store).

    Raises:
        ModelError: It cannot be imported, or offers neither ``build`` nor ``load``.
    """

    def __init__(self, source: Source, allowed: Sequence[Path] = ()) -> None:
        self.source = source
        self._watch = _Watch(source, allowed)
        with self._watch:
            self.module = _import(source)
        self.facts = self._read_facts()

    def call(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the file's function returns
        """Call a function of the model file; what it raises becomes a `ModelError` that names file and function."""
        function: Callable[..., Any] = getattr(self.module, name)
        with self._watch:
            try:
                return function(*arguments)
            except (KeyboardInterrupt, ModelError):
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a model file may raise anything, even an exit with 0
                kind = type(error).__name__
                raise ModelError(f"model file {self.source.path}: {name}() raised {kind}: {error}") from error

    def prepare(self, images: Images) -> Images:
        """Apply the model's own fixed preprocessing; images pass unchanged where it declares none."""
        if not hasattr(self.module, "prepare"):
            return images
        prepared = np.asarray(self.call("prepare", images), dtype=np.float32)
        if prepared.ndim != 4 or len(prepared) != len(images):
            raise ModelError(
                f"model file {self.source.path}: prepare() must return (n, H, W, C) for {images.shape}, not {prepared.shape}"
            )
        return prepared

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Local files read so far that are neither imported sources nor in ``FILES``."""
        declared = {Path(name) for name in declared_files(self.source, self.facts.files)}
        return tuple(sorted(str(path) for path in self._watch.seen if path not in declared))

    def _read_facts(self) -> Facts:
        module, path = self.module, self.source.path
        if not hasattr(module, "build") and not hasattr(module, "load"):
            offered = [name for name in vars(module) if not name.startswith("_")]
            hint = did_you_mean("build", [name for name in offered if name in {"built", "make", "model", "get_model"}])
            raise ModelError(f"model file {path}: offers neither build(task) nor load(task) ({hint}); see README, Plugging in")
        recipe = getattr(module, "RECIPE", Recipe())
        if not isinstance(recipe, Recipe):
            raise ModelError(f"model file {path}: RECIPE must be a harness.Recipe, not {type(recipe).__name__}")
        return Facts(
            kind="load" if hasattr(module, "load") else "build",
            recipe=dataclasses.asdict(recipe),
            image_shape=_shape(path, getattr(module, "IMAGE_SHAPE", None)),
            input_range=_range(path, getattr(module, "INPUT_RANGE", (0.0, 1.0))),
            positive=getattr(module, "POSITIVE", None),
            files=_files(path, getattr(module, "FILES", ())),
            has_streams=hasattr(module, "streams"),
            undeclared=(),
        )


def declared_files(source: Source, files: Sequence[str]) -> tuple[Path, ...]:
    """Return the declared ``FILES`` as absolute paths, relative ones seen from the model file.

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
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model file may raise anything, even an exit with 0
        del sys.modules[name]
        raise ModelError(f"model file {source.path}: importing it raised {type(error).__name__}: {error}") from error
    return module


def _shape(path: Path, value: object) -> tuple[int, int, int] | None:
    if value is None:
        return None
    if isinstance(value, (tuple, list)) and len(value) == 3 and all(isinstance(side, int) and side > 0 for side in value):
        if value[2] not in {1, 3}:
            raise ModelError(f"model file {path}: IMAGE_SHAPE asks for {value[2]} channels; films are read with 1 or 3")
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


_SYSTEM = tuple(
    Path(folder).resolve()
    for folder in {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/proc", "/sys", "/dev", "/etc", "/usr"}
)


class _Watch:
    """Notes which local files are opened while a model file runs; an audit hook sees Python's own ``open``.

    Files opened by compiled code alone (TensorFlow's readers) are not seen: such inputs must be declared.
    """

    _active: "list[_Watch]" = []  # noqa: RUF012 - one hook for the whole process: audit hooks cannot be removed
    _installed = False

    def __init__(self, source: Source, allowed: Sequence[Path]) -> None:
        self.seen: set[Path] = set()
        self._known = {path.resolve() for path in source.sources}
        self._allowed = (*_SYSTEM, Path(__file__).parent.resolve(), *(folder.resolve() for folder in allowed))

    def __enter__(self) -> None:
        if not _Watch._installed:
            sys.addaudithook(_Watch._hook)
            _Watch._installed = True
        _Watch._active.append(self)

    def __exit__(self, *_: object) -> None:
        _Watch._active.remove(self)

    @staticmethod
    def _hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not _Watch._active or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        mode = arguments[1]
        flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
        writes = bool(flags & (os.O_WRONLY | os.O_CREAT)) if mode is None else any(sign in str(mode) for sign in "wax")
        if not writes:
            for watch in _Watch._active:
                watch._note(Path(os.fsdecode(arguments[0])))

    def _note(self, path: Path) -> None:
        path = Path(os.path.realpath(path))
        inside = any(folder == path or folder in path.parents for folder in self._allowed)
        if not inside and path not in self._known and path.suffix != ".pyc" and path.is_file():
            self.seen.add(path)
