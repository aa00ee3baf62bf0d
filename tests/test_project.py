"""The project's own rules: imports, decisions, types and dependencies."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "harness" / "roentgate"
ROOMS = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIREMENTS = [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]

FRAMEWORKS = {"keras", "tensorflow"}
HEAVY = ("keras", "tensorflow", "matplotlib", "scipy", "sklearn", "pandas")
SUITES = sorted((ROOT / "suites").glob("*.py"))
MODEL_FILES = sorted(path for path in (ROOT / "models").rglob("*.py") if path.name != "__init__.py")
PYTHON = sorted(
    path
    for part in ("harness", "models", "suites", "tests")
    for kind in ("py", "pyi")
    for path in (ROOT / part).rglob(f"*.{kind}")
)


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of everything that a file imports.

    ``from a import b`` counts as ``a.b``.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below_the_door(path: Path) -> set[str]:
    """Return the submodules of ``roentgate`` that a file imports directly."""
    tree = ast.parse(path.read_text("utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in modules if name.startswith("roentgate.")}


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def python(*arguments: str) -> str:
    """Return what this Python prints when run in the project's folder."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked_files() -> list[Path]:
    """Return the files that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git repository, so there is no list of its files")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pins() -> dict[NormalizedName, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


# Decisions


TEXT_METHODS = {"startswith", "endswith", "replace", "removeprefix", "removesuffix", "split", "partition", "rpartition"}
PATTERN_METHODS = {"match", "search", "fullmatch", "findall", "finditer", "sub", "split"}


def is_detail(node: ast.AST) -> bool:
    """Whether an expression is an attribute or key named ``detail``."""
    if isinstance(node, ast.Attribute):
        return node.attr == "detail"
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "detail"


def decisions_by_detail(tree: ast.AST) -> list[int]:
    """Return the lines that compare, match or rewrite a ``detail``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            asked = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
        elif isinstance(node, ast.Match):
            asked = [node.subject]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = [node.func.value] if node.func.attr in TEXT_METHODS else []
            asked += node.args if node.func.attr in PATTERN_METHODS else []
        elif isinstance(node, ast.AugAssign):
            asked = [node.target]
        else:
            continue
        found += [node.lineno] * any(map(is_detail, asked))
    return found


@pytest.mark.parametrize(
    ("line", "decides"),
    [
        ("row['detail'] == 'gone'", True),
        ("estimate.detail.startswith('uninformative')", True),
        ("'text' in row['detail']", True),
        ("(row['detail'], row['n']) != (other['detail'], other['n'])", True),
        ("pattern.match(row['detail'])", True),
        ("text = found.detail.replace('a', 'b')", True),
        ("row['detail'] += '; more'", True),
        ("print(f'{row[\"detail\"]}; more', row['detail'] or 'nothing')", False),
        ("np.nan_to_num(found.detail)", False),
    ],
)
def test_a_decision_by_a_detail_is_seen(line: str, *, decides: bool) -> None:
    assert bool(decisions_by_detail(ast.parse(line))) == decides


def test_no_decision_is_taken_from_the_text_of_a_detail() -> None:
    """What a program needs to know is a field of the row.

    Only the detection matrix reads details, to see whether a fault is named.
    """
    files = [*LIBRARY.rglob("*.py"), *SUITES, *MODEL_FILES, *(ROOT / "tests" / "validation").glob("[!t]*.py")]
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in files
        for line in decisions_by_detail(ast.parse(path.read_text("utf-8")))
    }
    matrix = ("tests/validation/detection_matrix", "tests/validation/data_")
    allowed = {name for name in found if name.startswith(matrix)}
    assert found - allowed == set()
    assert len(allowed) <= 2


# Words

OLD_WORDS = re.compile(
    r"\b(films?|rings?|twins?|offenders?|transplants?|burn-?ins?|inconclusive|unproven|licensed|newly wrong)\b",
    re.IGNORECASE,
)
OLD_KEYS = ('"films"', "``films``")
"""What readers of older ledgers, predictions and records still have to name."""


def test_the_words_that_the_project_has_left_behind_stay_away() -> None:
    """One word a thing: image, border, infill, near-duplicate, failing, conditional."""
    code = [*LIBRARY.rglob("*.py*"), *LIBRARY.rglob("*.html"), *SUITES, *MODEL_FILES, *(ROOT / "suites").glob("*.toml")]
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "suites/README.md", "data/README.md")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*code, *pages]
        if path.name != "schema_1.py" and path.suffix != ".pyc"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if OLD_WORDS.search(line) and not any(key in line for key in OLD_KEYS)
    ]
    assert found == []


# Layers


def test_rooms_and_doors_hold() -> None:
    """`lint-imports` checks the contracts in pyproject.toml.

    Rooms import in one direction only, and only through the `__init__.py` of other rooms.
    """
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or "lint-imports"
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_offers_what_is_there(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((LIBRARY / room / "__init__.py").read_text("utf-8"))) or ""
    assert 2 <= len([line for line in docstring.splitlines() if line]) <= 3
    script = f"import roentgate.{room} as room; print(*(name for name in room.__all__ if not hasattr(room, name)))"
    assert python("-c", script).split() == []


def test_only_the_two_keras_modules_and_the_models_know_the_framework() -> None:
    sources = [*LIBRARY.rglob("*.py"), *(ROOT / "suites").rglob("*.py")]
    importing = {path.relative_to(ROOT).as_posix() for path in sources if packages(path) & FRAMEWORKS}
    assert importing == {
        "harness/roentgate/candidates/backends/keras_backend.py",
        "harness/roentgate/candidates/backends/keras_gradients.py",
    }


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in [*SUITES, *MODEL_FILES]]
)
def test_suites_and_models_import_from_the_door_only(path: Path) -> None:
    assert below_the_door(path) == set()
    if path in SUITES:
        assert packages(path) <= {"roentgate", "pytest"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.relative_to(LIBRARY).as_posix()) for path in sorted(LIBRARY.rglob("*.py"))]
)
def test_a_module_is_read_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= 400


@pytest.mark.parametrize("module", ["roentgate", "roentgate.entry.plugin", "roentgate.__main__"])
def test_importing_costs_nothing_heavy(module: str) -> None:
    loaded = python("-c", f"import sys, {module}; print(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in MODEL_FILES])
def test_a_model_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path.name} has no docstring"


# What is left unsaid to the type checker and to ruff


def signatures_with_any(source: str) -> list[str]:
    """Return the names of functions with ``Any`` in their signature."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            annotations = [node.returns, *(argument.annotation for argument in arguments if argument is not None)]
            if any(annotation and re.search(r"\bAny\b", ast.unparse(annotation)) for annotation in annotations):
                found.append(node.name)
    return found


def test_any_is_found_wherever_it_stands_in_a_signature() -> None:
    arguments = ("x: Any", "*x: Any", "**x: Any", "*, x: Any", "x: Callable[..., Any]", "x: 'Any'", "x: typing.Any")
    signatures = (*(f"({argument})" for argument in arguments), "() -> Any")
    assert [signatures_with_any(f"def f{each}: ...") for each in signatures] == [["f"]] * len(signatures)
    assert signatures_with_any("def f(x: Anything) -> int:\n    y: Any = x\n    return y") == []


def test_few_signatures_say_any() -> None:
    """All others name a protocol, a typed dictionary or an object."""
    found = {path: signatures_with_any(path.read_text("utf-8")) for path in PYTHON}
    lines = [f"{path.relative_to(ROOT).as_posix()}: {name}" for path, names in found.items() for name in names]
    assert len(lines) <= 20, "\n".join(lines)


def test_no_other_name_stands_for_any() -> None:
    lines = [line for path in PYTHON for line in path.read_text("utf-8").splitlines()]
    assert [line for line in lines if re.fullmatch(r"\s*(type )?\w+(: TypeAlias)? = Any", line)] == []


def test_few_lines_are_excused_from_a_rule() -> None:
    """Exceptions for a whole folder stand in pyproject.toml with their reason."""
    lines = [
        f"{path.relative_to(ROOT).as_posix()}: {line.strip()}"
        for path in PYTHON
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"#\s*noqa", line)
    ]
    assert len(lines) <= 80, "\n".join(lines)


# What users meet


def test_pytests_help_lists_the_options() -> None:
    text = python("-m", "pytest", "--help")
    for option in ("model", "data", "policy", "gate", "report-dir", "seed", "image-size", "weights"):
        assert f"--{option}=" in text


def test_the_console_script_answers() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="roentgate")
    assert script.load()([]) == 2  # no command: help, and a usage error's status


def test_the_workflow_is_valid() -> None:
    python("-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/gate.yml")


def test_the_workflow_may_only_read() -> None:
    workflow = (ROOT / ".github" / "workflows" / "gate.yml").read_text("utf-8")
    assert re.findall(r"permissions:\s+(.*)\n\n", workflow) == ["contents: read"]


def test_relative_links_of_the_documents_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"):
        document = ROOT / name
        targets = re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8"))
        missing = [link for link in targets if "://" not in link and not (document.parent / link).exists()]
        assert not missing, f"{name}: {missing}"


def test_the_table_of_tasks_names_files_that_are_there() -> None:
    """Ten tasks, each with three files or fewer."""
    part = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## I want to …")[2].partition("\n## ")[0]
    tasks = [line for line in part.splitlines() if line.startswith("|")][2:]
    assert len(tasks) == 10
    for task in tasks:
        paths = [name for name in re.findall(r"`([^`]+)`", task) if "/" in name]
        assert 1 <= len(paths) <= 3, task
        assert [name for name in paths if not (ROOT / name).exists()] == [], task


def test_commits_that_blame_passes_over_are_full_hashes() -> None:
    lines = (ROOT / ".git-blame-ignore-revs").read_text("utf-8").splitlines()
    revisions = [line for line in lines if line and not line.startswith("#")]
    assert revisions
    assert [line for line in revisions if not re.fullmatch("[0-9a-f]{40}", line)] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    private = re.compile(rb"/(work|root|home/\w+|Users/\w+)/")
    found = [path.relative_to(ROOT).as_posix() for path in tracked_files() if private.search(path.read_bytes())]
    assert not found


# Dependencies


def test_constraints_are_pins_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert lines == sorted(set(lines), key=lambda line: line.split("=="))
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_constraints_fit_what_is_asked_for() -> None:
    pinned = pins()
    unfit = [
        str(requirement)
        for requirement in REQUIREMENTS
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert not unfit


def test_constraints_pin_everything_that_is_installed_for_it() -> None:
    """All direct and indirect requirements are pinned.

    The message of a failure holds the lines to add.
    """
    found: dict[NormalizedName, str] = {}
    pending = list(REQUIREMENTS)
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = metadata.version(requirement.name)
        pending += [Requirement(line) for line in metadata.requires(requirement.name) or ()]
    pinned = pins()
    assert [f"{name}=={version}" for name, version in sorted(found.items()) if name not in pinned] == []


def test_what_is_imported_is_declared() -> None:
    homes = metadata.packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    ours = {"roentgate", "models", *sys.stdlib_module_names}
    for path in [*LIBRARY.rglob("*.py"), *MODEL_FILES]:
        for package in packages(path) - ours:
            owners = {canonicalize_name(name) for name in homes.get(package, [package])}
            assert owners & declared, f"{path.name} imports {package}, which pyproject.toml does not name"


def test_changes_reviewed_as_changing_nothing_are_of_lines_that_are_there() -> None:
    entries = tomllib.loads((ROOT / "tests" / "benchmarks" / "survivors.toml").read_text("utf-8"))["survivor"]
    modules = {entry["function"].split(".")[0] for entry in entries}
    lines = {
        name: [line.strip() for path in LIBRARY.rglob(f"{name}.py") for line in path.read_text("utf-8").splitlines()]
        for name in modules
    }
    gone = [entry for entry in entries if entry["before"] not in " ".join(lines[entry["function"].split(".")[0]])]
    assert gone == []
    assert all(entry["reason"] and entry["after"] for entry in entries)
