"""Mutation testing of the modules that decide verdicts.

Run ``python tests/benchmarks/mutation.py [MODULE ...]``. All modules take about 40 minutes.

mutmut changes one operator, number or word of a module at a time and runs the tests that reach it. A change that no
test notices has survived. It needs a test, or an entry in ``survivors.toml`` with the reason why the change has no
visible effect. The exit status is 1 if a survivor is not in that list.

mutmut runs in its own environment below ``.roentgate/mutation``, on a copy of the project.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".roentgate" / "mutation"
REVIEWED = HERE / "survivors.toml"
NEEDS = "mutmut==3.8.1"
COPIED = ("harness", "tests", "models", "suites", "data", "README.md")

NUMBERS = (
    "stats/test_estimate",
    "stats/test_sample_size",
    "stats/test_intervals",
    "checks/test_metrics",
    "stats/test_verdict",
    "checks/test_contracts",
)
TESTS: dict[str, tuple[str, ...]] = {
    "stats/intervals": NUMBERS,
    "stats/estimate": NUMBERS,
    "stats/differences": NUMBERS,
    "stats/sample_size": NUMBERS,
    "stats/verdict": NUMBERS,
    "checks/metrics": (*NUMBERS, "checks/test_claim_reproduction"),
    "checks/border": NUMBERS,
    "checks/comparison": ("checks/test_comparison",),
    "checks/calibration": ("checks/test_calibration",),
    "checks/stream_diagnosis": ("checks/test_stream_diagnosis", "checks/test_alignment"),
    "checks/alignment": ("checks/test_alignment", "evidence/test_stream_observer"),
}
"""Test files of each module. Of these mutmut runs the tests that reach the changed function."""

SLOW = "not augmented_and_shuffled and not are_no_images"
"""Leaves out tests of ten seconds each that quicker tests repeat."""


@dataclass(frozen=True)
class Survivor:
    """A change that no test noticed.

    Attributes:
        function: Module and function, as ``intervals.tango``.
        before: The line as it is, stripped.
        after: The line as changed.
    """

    function: str
    before: str
    after: str


def main(modules: list[str]) -> int:
    """Run the named modules, or all, and print new survivors.

    A change that makes a test run into its time limit counts as killed.
    """
    unknown = [name for name in modules if name not in TESTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(TESTS)}", file=sys.stderr)
        return 2
    mutmut, failed = install(), False
    reviewed = {
        Survivor(entry["function"], entry["before"], after)
        for entry in tomllib.loads(REVIEWED.read_text("utf-8"))["survivor"]
        for after in entry["after"]
    }
    for module in modules or TESTS:
        results = run(mutmut, module)
        counts = Counter(status for status, _ in results)
        survivors = [survivor(mutmut, module, name) for status, name in results if status not in {"killed", "timeout"}]
        fresh = [each for each in survivors if each not in reviewed]
        total = sum(counts.values())
        killed = counts["killed"] + counts["timeout"]
        print(f"{module}: {killed} of {total} killed, {len(survivors) - len(fresh)} reviewed", flush=True)
        for each in fresh:
            print(f"  survived in {each.function}:\n    - {each.before}\n    + {each.after}", flush=True)
        failed = failed or bool(fresh)
    return int(failed)


def install() -> Path:
    """Return the path of mutmut, installed together with this interpreter's packages."""
    python, program = WORK / "env" / "bin" / "python", WORK / "env" / "bin" / "mutmut"
    if not program.is_file():
        venv.create(WORK / "env", clear=True, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", NEEDS], check=True)
        site = next((WORK / "env" / "lib").glob("python*/site-packages"))
        ours = [path for path in sys.path if path.endswith("site-packages")]
        (site / "zz_roentgate.pth").write_text("\n".join(ours), "utf-8")
    return program


def run(mutmut: Path, module: str) -> list[tuple[str, str]]:
    """Return (status, name) of every mutant of a module."""
    copy = WORK / module
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "benchmarks"))
        else:
            shutil.copy(source, copy / name)
    table = {
        "source_paths": ["harness"],
        "only_mutate": [f"harness/roentgate/{module}.py"],
        "also_copy": ["models", "suites", "data"],
        "pytest_add_cli_args_test_selection": [f"tests/{name}.py" for name in TESTS[module]],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-k", SLOW],
    }
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    (copy / "pyproject.toml").write_text(f"{settings}\n[tool.mutmut]\n{lines}\n", "utf-8")
    with (copy / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run([str(mutmut), "run", "--max-children", "1"], cwd=copy, check=True, stdout=log, stderr=log)
    shown = subprocess.run(
        [str(mutmut), "results", "--all", "true"], cwd=copy, check=True, capture_output=True, text=True
    )
    found = re.findall(r"^\s*((?:harness\.)?roentgate\.\S+): (.+)$", shown.stdout, re.MULTILINE)
    return [(status, name) for name, status in found]


def survivor(mutmut: Path, module: str, name: str) -> Survivor:
    """Return the changed lines of a mutant, joined to one line each."""
    shown = subprocess.run([str(mutmut), "show", name], cwd=WORK / module, check=True, capture_output=True, text=True)
    lines = [line for line in shown.stdout.splitlines() if not line.startswith(("---", "+++"))]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+"))
    function = re.sub(r"__mutmut_\d+$", "", name).replace("xǁ", "").replace("ǁ", ".")
    function = re.sub(r"^(?:harness\.)?roentgate\.\w+\.", "", function)
    return Survivor(re.sub(r"\.x_", ".", function), before, after)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
