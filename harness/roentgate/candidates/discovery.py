"""The file of a model and the local sources that it imports.

The file is found by name or path. Sources are read, never executed.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from roentgate.errors import ModelError, did_you_mean
from roentgate.store import LIBRARIES, digest, file_digest

UNSAFE_SUFFIXES = {
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".joblib": "pickle",
    ".pickle": "pickle",
    ".pkl": "pickle",
    ".pt": "pickle",
    ".pth": "pickle",
}

_LIBRARY = Path(__file__).resolve().parents[1]
"""The folder of this library, whose code does not count as a source of a model."""


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of a model, found without executing anything.

    Args:
        name: Name of the model in the scorecard.
        path: The model file.
        roots: Folders in which its local imports are looked up.
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
        """Digest of the content of all its sources, independent of their folders."""
        return digest([(path.name, file_digest(path)) for path in self.sources])

    @property
    def libraries(self) -> dict[str, str]:
        """Installed versions of the other distributions that its sources import.

        The standard library and the dependencies of this library are left out.
        """
        if self.is_keras_file:
            return {}
        trees = [ast.parse(path.read_bytes(), str(path)) for path in self.sources]
        names = {name.partition(".")[0] for tree in trees for level, name in _names(tree) if not level}
        local = {
            name for name in names for root in self.roots if (root / name).is_dir() or (root / f"{name}.py").is_file()
        }
        foreign = sorted(names - local - set(sys.stdlib_module_names) - {"roentgate", *LIBRARIES})
        owners = metadata.packages_distributions() if foreign else {}
        return {owner: metadata.version(owner) for name in foreign for owner in owners.get(name, ())}

    @property
    def named_files(self) -> tuple[Path, ...]:
        """Existing files whose path occurs as a string in its sources.

        The path may be relative to the source or to the working folder. The model may read such a file.
        """
        if self.is_keras_file:
            return ()
        found: set[Path] = set()
        for source in self.sources:
            for node in ast.walk(ast.parse(source.read_bytes(), str(source))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and _may_be_a_path(node.value):
                    found.update(path for root in (source.parent, Path.cwd()) if (path := root / node.value).is_file())
        return tuple(sorted({path.resolve() for path in found} - set(self.sources)))

    @property
    def reads_seed(self) -> bool:
        """Whether any source reads an attribute ``seed``.

        The decision is made from the syntax. Reading it by a string counts (``getattr(task, "seed")``), setting it
        (``self.seed = 0``) or calling it (``numpy.random.seed(0)``) does not.
        """
        if self.is_keras_file:
            return False
        nodes = [node for path in self.sources for node in ast.walk(ast.parse(path.read_bytes(), str(path)))]
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        read = any(
            isinstance(node, ast.Attribute)
            and node.attr == "seed"
            and isinstance(node.ctx, ast.Load)
            and id(node) not in called
            for node in nodes
        )
        strings = [string for node in nodes for string in _strings(node)]
        return read or any(string == "seed" or ".seed}" in string for string in strings)

    @property
    def modules(self) -> dict[str, Path]:
        """The local sources that it imports, by their module names."""
        return {
            ".".join(path.relative_to(root).with_suffix("").parts): path
            for path in self.sources[1:]
            for root in self.roots
            if path.is_relative_to(root)
        }


def _may_be_a_path(text: str) -> bool:
    return 0 < len(text) < 256 and "\n" not in text and "\0" not in text


def find_model(name: str, models: Path, *, trust: bool = False) -> Source:
    """Return the origin of a model given by name or path.

    Nothing is executed.

    Args:
        name: ``baseline``, ``known_bad.shuffled``, ``path/to/file.py`` or ``path/to/model.keras``.
        models: The folder of named models.
        trust: Accept formats that can execute code when they are read.

    Raises:
        ModelError: There is no such model, and the message lists similar names. Or the format can carry code.
    """
    if _is_path(name):
        return _from_path(Path(name), trust=trust)
    path = _named(name, models)
    if path is None or not path.is_file():
        dotted = models / f"{name}.py"
        hint = (
            f": a dot stands for a folder; pass {dotted}"
            if "." in name and dotted.is_file()
            else f"; {did_you_mean(name, model_names(models))}"
        )
        raise ModelError(f"model '{name}': no file {name.replace('.', '/')}.py in {models}{hint}")
    return _python_source(name, path)


def model_names(models: Path) -> list[str]:
    """Return the names of all model files below a folder, sorted.

    A dot stands for a folder, as in ``known_bad.NAME``. Left out are:

    * files whose name begins with ``_``,
    * programs, that is, files with a ``__main__`` block that offer neither ``build`` nor ``load``,
    * files that can only be given by path, because the file or a folder has a dot or an unprintable character in its
      name, or because the name ends like a path (``.py``, ``.keras``, ``.h5``, ...).
    """
    names = {path: ".".join(path.relative_to(models).with_suffix("").parts) for path in sorted(models.rglob("*.py"))}
    return [
        name
        for path, name in names.items()
        if not path.name.startswith("_")
        and "__pycache__" not in path.parts
        and path.is_file()
        and _named(name, models) == path
        and not _is_program(path)
    ]


def _is_program(path: Path) -> bool:
    source = path.read_bytes()
    runs, offers = rb"^if __name__ == ", rb"^(def )?(build|load)\b"
    return bool(re.search(runs, source, re.MULTILINE)) and not re.search(offers, source, re.MULTILINE)


def _strings(node: ast.AST) -> list[str]:
    """Return the strings by which a syntax node may name an attribute.

    They are the arguments of a call, the string whose method is called, a subscript, or the names in a class pattern.
    """
    if isinstance(node, ast.Call):
        parts = [*node.args, node.func.value if isinstance(node.func, ast.Attribute) else None]
    elif isinstance(node, ast.Subscript):
        parts = [node.slice]
    else:
        return list(node.kwd_attrs) if isinstance(node, ast.MatchClass) else []
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _is_path(name: str) -> bool:
    return name.endswith(".py") or Path(name).suffix in {".keras", *UNSAFE_SUFFIXES} or "/" in name or os.sep in name


def _named(name: str, models: Path) -> Path | None:
    """Return the file that a name stands for, which need not exist.

    None stands for a path, and for what cannot be a name.
    """
    parts = name.split(".")
    if _is_path(name) or name.startswith("-") or not all(part and part.isprintable() for part in parts):
        return None
    return models.joinpath(*parts).with_suffix(".py")


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
    """Yield a file and all local files that it imports, directly or not.

    Each file comes once. The files are read, not executed.
    """
    pending, seen = [path], {path}
    while pending:
        current = pending.pop(0)
        yield current
        try:
            tree = ast.parse(current.read_bytes(), str(current))
        except (SyntaxError, ValueError) as error:
            raise ModelError(f"model file {current}: not valid Python ({error})") from None
        for found in sorted(_imported(tree, current, roots)):
            if found not in seen:
                seen.add(found)
                pending.append(found)


def _imported(tree: ast.AST, file: Path, roots: Sequence[Path]) -> set[Path]:
    """Return the local files to which the imports of a file may refer.

    Relative imports are included.
    """
    found: set[Path] = set()
    for level, name in _names(tree):
        parts = name.split(".") if name else []
        for root in roots if not level else file.parents[level - 1 : level]:
            for depth in range(1, len(parts) + 1):
                stem = root.joinpath(*parts[:depth])
                found.update(
                    path.resolve() for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()
                )
    return {path for path in found if _LIBRARY not in path.parents}


def _names(tree: ast.AST) -> set[tuple[int, str]]:
    """Return the imported names, each with its number of leading dots (0 if absolute)."""
    names: set[tuple[int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = f"{node.module}." if node.module else ""
            names.update(
                (node.level, name) for name in (node.module, *(stem + alias.name for alias in node.names)) if name
            )
    return names
