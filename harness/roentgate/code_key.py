"""Digests of the code that made a stored item.

A digest covers a module and all modules of its package that it imports. It is computed from their syntax trees without
imports, comments, docstrings and file names, so that a module may move and stored evidence stays valid.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from roentgate.store import digest, versions

PACKAGE = __name__.partition(".")[0]


@functools.cache
def code_digest(module: str) -> str:
    """Return the digest of a module and of everything it imports.

    It covers the modules of its `closure`, the versions of the libraries and the Keras backend.

    Args:
        module: The dotted name of a module of this package, or of one that imports this package.
    """
    return digest(sorted(_read(name)[0] for name in closure(module)), versions(), os.environ.get("KERAS_BACKEND", ""))


@functools.cache
def closure(module: str) -> frozenset[str]:
    """Return a module and all modules of its package that it imports.

    Imports are followed to any depth. A module that calls ``pkgutil.iter_modules`` finds modules at run time, so it
    counts as importing its whole folder.

    Returns:
        Dotted names.
    """
    pending, seen = [module], {module}
    while pending:
        found = _read(pending.pop())[1] - seen
        seen |= found
        pending.extend(found)
    return frozenset(seen)


@functools.cache
def _read(module: str) -> tuple[str, frozenset[str]]:
    """Return a module's digest and the modules that it imports."""
    tree = ast.parse(_path(module).read_bytes())
    imported = frozenset(_imported(tree, module))
    return hashlib.sha256(ast.dump(_Bare().visit(tree)).encode()).hexdigest(), imported


def _path(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"module '{module}' has no source", name=module)
    return Path(spec.origin)


class _Bare(ast.NodeTransformer):
    """Removes imports, docstrings and other constant statements from a syntax tree."""

    def visit_Import(self, _: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, _: ast.ImportFrom) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if _is_for_types(node) else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _is_for_types(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imported(tree: ast.AST, module: str) -> Iterator[str]:
    """Yield the modules of the package that a tree imports.

    Imports below ``if TYPE_CHECKING:`` are left out.
    """
    packages = {PACKAGE, module.partition(".")[0]}
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and _is_for_types(node):
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in packages)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in packages:
            for alias in node.names:
                yield _home(node.module, alias.name)
        elif isinstance(node, ast.Call) and _function_name(node) == "iter_modules":
            yield from _siblings(module)


def _function_name(node: ast.Call) -> str:
    """Return the last part of the name of the called function, or ""."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _siblings(module: str) -> Iterator[str]:
    """Yield the modules in the same folder as a module."""
    package = module if _is_package(module) else module.rpartition(".")[0]
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    yield from (f"{package}.{found.name}" for found in pkgutil.iter_modules(places or []))


def _home(module: str, name: str) -> str:
    """Return the module that ``from module import name`` imports from.

    Names that a package offers in its stub are followed to the module that defines them.
    """
    if not _is_package(module):
        return module
    below = _door(module).get(name, "")
    if below:
        return _home(f"{module}.{below}", name)
    submodule = f"{module}.{name}"
    return submodule if importlib.util.find_spec(submodule) else module


@functools.cache
def _is_package(module: str) -> bool:
    return _path(module).name == "__init__.py"


@functools.cache
def _door(package: str) -> dict[str, str]:
    """Return the submodule that each name in a package's stub comes from.

    The submodule is "" if the name is itself a submodule.
    """
    stub = _path(package).with_suffix(".pyi")
    if not stub.is_file():
        return {}
    statements = ast.parse(stub.read_bytes()).body
    return {
        alias.name: node.module or "" for node in statements if isinstance(node, ast.ImportFrom) for alias in node.names
    }
