"""Other tools, each in its own environment, and what a run of them costs.

As a program, ``python tools.py COMMAND...`` runs a command and prints its `Cost` as the last line. It is started as a
small process of its own: the peak memory that the system counts for a process begins with that of its parent.
"""

import json
import resource
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict


class Cost(TypedDict):
    """Processor time (s), and peak memory (KiB) of the largest process.

    Child processes are included. Wall time is left out: on a shared machine it tells who else was there.
    """

    cpu: float
    memory: int


Answer = dict[str, Any]
"""What a tool's script prints as JSON."""


def interpreter(folder: Path, needs: Sequence[str]) -> Path:
    """Return the Python of a tool's environment, which is made if missing.

    A tool that needs nothing runs in this environment.

    Raises:
        CalledProcessError: pip could not install what the tool needs.
    """
    if not needs:
        return Path(sys.executable)
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text("utf-8") != "\n".join(needs):
        print(f"{folder.name}: installing {', '.join(needs)}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *needs]
        subprocess.run(command, check=True, capture_output=True, text=True)
        stamp.write_text("\n".join(needs), "utf-8")
    return python


def outcome(folder: Path, needs: Sequence[str], script: Path, inputs: Path) -> Answer:
    """Return what a tool's script prints as JSON, with its cost, or its error."""
    try:
        command = [sys.executable, "-I", "-S", __file__, str(interpreter(folder, needs)), "-W", "ignore"]
        done = subprocess.run([*command, str(script), str(inputs)], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if "rror" in line] or ["no message"]
        return {"error": f"{', '.join(needs[-1:])}: {lines[-1][:300]}"}
    *_, answer, cost = (line for line in done.stdout.splitlines() if line.startswith("{"))
    return {**json.loads(answer), "cost": json.loads(cost)}


def cost_table(costs: dict[str, Cost], unit: str) -> list[str]:
    """Return a table of costs as multiples of those of ``unit``."""
    one = costs[unit]
    rows = [
        f"| {title} | {cost['cpu'] / one['cpu']:.3f} | {cost['memory'] / one['memory']:.2f} |"
        for title, cost in costs.items()
    ]
    return ["| | processor time | peak memory |", "| --- | --- | --- |", *rows]


def _measure(command: list[str]) -> int:
    status = subprocess.run(command, check=False).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps(Cost(cpu=used.ru_utime + used.ru_stime, memory=used.ru_maxrss)), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(_measure(sys.argv[1:]))
