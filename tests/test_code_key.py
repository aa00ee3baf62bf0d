"""A code digest follows what the code and its imports do."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roentgate import code_key
from roentgate.code_key import closure, code_digest

SOURCE = '"""Says."""\n\n\ndef f(x):\n    """Adds."""\n    return x + 1  # one\n'
NUMBERS = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an empty, importable package with a unique name."""
    folder = tmp_path / f"toy{next(NUMBERS)}"
    folder.mkdir()
    folder.joinpath("__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def write(package: Path, **sources: str) -> None:
    """Write modules of the package.

    ``PKG`` in a source is replaced by the package's name, and ``__`` in a module's name separates folders.
    """
    for name, source in sources.items():
        path = package.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source.replace("PKG", package.name), "utf-8")
        if path.parent != package:
            path.parent.joinpath("__init__.py").touch()
    for function in (code_digest, closure, code_key._read, code_key._door, code_key._is_package):
        function.cache_clear()


def of_source(package: Path, source: str) -> str:
    write(package, only=source)
    return code_digest(f"{package.name}.only")


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ('"""Says otherwise."""\n\ndef f(x):\n    return (x\n            + 1)\n', True),
        (SOURCE.replace('    """Adds."""\n', ""), True),
        (f"import os\n{SOURCE}", True),
        (f"{SOURCE}\n\nif TYPE_CHECKING:\n    import os\n", True),
        (SOURCE.replace("x + 1", "x + 2"), False),
        (SOURCE.replace("f(x)", "f(x, y=0)"), False),
    ],
)
def test_code_counts_by_what_it_does_not_by_how_it_is_laid_out(package: Path, *, changed: str, same: bool) -> None:
    assert (of_source(package, changed) == of_source(package, SOURCE)) is same


def test_a_string_that_is_no_docstring_counts(package: Path) -> None:
    assert of_source(package, "x = 'a'\n") != of_source(package, "x = 'b'\n")


CHAIN = {
    "top": "from PKG.middle import half\n\ndef f(x):\n    return half(x) + 1\n",
    "middle": "def half(x):\n    from PKG import low\n    return x / low.TWO\n",
    "low": "TWO = 2\n",
}


def test_moving_a_module_changes_no_key(package: Path) -> None:
    write(package, **CHAIN)
    before = code_digest(f"{package.name}.top")
    package.joinpath("middle.py").unlink()
    moved = CHAIN["middle"].replace("from PKG import low", "from PKG.cellar import low")
    write(package, top=CHAIN["top"].replace("PKG.middle", "PKG.upstairs.half"), upstairs__half=moved)
    package.joinpath("low.py").unlink()
    write(package, cellar__low=CHAIN["low"])
    assert closure(f"{package.name}.top") >= {f"{package.name}.{name}" for name in ("upstairs.half", "cellar.low")}
    package.joinpath("upstairs", "__init__.py").write_text('"""A room."""\n')
    assert code_digest(f"{package.name}.top") == before


@pytest.mark.parametrize("module", CHAIN)
def test_a_constant_anywhere_in_the_closure_changes_the_key(package: Path, module: str) -> None:
    write(package, **CHAIN)
    before = code_digest(f"{package.name}.top")
    write(package, **{module: f"{CHAIN[module]}\nMORE = 3\n"})
    assert code_digest(f"{package.name}.top") != before


def test_a_module_outside_the_closure_changes_nothing(package: Path) -> None:
    write(package, **CHAIN, other="A = 1\n")
    before = code_digest(f"{package.name}.top")
    write(package, other="A = 2\n")
    assert code_digest(f"{package.name}.top") == before


def test_a_name_offered_by_a_door_leads_to_the_module_behind_it(package: Path) -> None:
    write(package, user="from PKG.room import thing\n", room__inner="thing = 1\n", room__other="x = 2\n")
    package.joinpath("room", "__init__.pyi").write_text("from .inner import thing as thing\n", "utf-8")
    assert closure(f"{package.name}.user") == {f"{package.name}.user", f"{package.name}.room.inner"}


def test_modules_that_are_found_at_run_time_count(package: Path) -> None:
    finder = "import pkgutil\n\ndef find(path):\n    return list(pkgutil.iter_modules(path))\n"
    write(package, user="from PKG.plugins import find\n", plugins__finder=finder, plugins__one="from PKG import low\n")
    write(package, low="A = 1\n", other="A = 1\n")
    package.joinpath("plugins", "__init__.pyi").write_text("from .finder import find as find\n", "utf-8")
    user = f"{package.name}.user"
    names = {name.removeprefix(f"{package.name}.") for name in closure(user)}
    assert names == {"user", "plugins.finder", "plugins.one", "low"}
    before = code_digest(user)
    write(package, plugins__two="B = 1\n")
    added = code_digest(user)
    write(package, low="A = 2\n")
    assert len({before, added, code_digest(user)}) == 3


def test_every_module_of_the_library_has_a_key() -> None:
    folder = Path(code_key.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(("roentgate", *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
        assert name in closure(name)
        assert len(code_digest(name)) == 64


def test_evidence_is_keyed_by_what_draws_the_perturbations_and_reads_the_weights() -> None:
    found = closure("roentgate.evidence.evidence")
    assert found >= {
        f"roentgate.{name}" for name in ("perturbations.border", "candidates.backends.keras_archive", "data.images")
    }
