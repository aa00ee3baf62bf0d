"""Speed of each corruption, here and in other libraries.

Run ``python tests/benchmarks/corruptions [PEER ...]``. Each peer is installed into its own environment below
``.roentgate/corruptions``. None is a dependency. Measured are grey images of 256 x 256 pixels on one core at severity
3. Peers change one image at a time, as their interface requires. No test asserts these figures.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WORK = ROOT / ".roentgate" / "corruptions"
PEERS = {"imagecorruptions": ("imagecorruptions==1.1.2", "setuptools<81")}
"""Packages that pip installs. Newer setuptools lack ``pkg_resources``."""


def python_of(name: str) -> str:
    """Return the Python of a peer's environment, which is made if missing."""
    folder = WORK / name
    python = folder / "bin" / "python"
    if not python.is_file():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)
    return str(python)


def measured(python: str, name: str) -> dict[str, float]:
    """Return images a second by corruption, as ``with_NAME.py`` prints them."""
    done = subprocess.run([python, HERE / f"with_{name}.py"], check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(names: list[str]) -> None:
    """Print a table of images a second, here and for each peer."""
    ours = measured(sys.executable, "roentgate")
    theirs = {name: measured(python_of(name), name) for name in names}
    print("| corruption | Roentgate |", *(f"{name} |" for name in theirs))
    print("|---|---:|" + "---:|" * len(theirs))
    for kind, speed in ours.items():
        print(
            f"| {kind} | {speed:,.0f} |",
            *(f"{found[kind]:,.0f} |" if kind in found else "— |" for found in theirs.values()),
        )


if __name__ == "__main__":
    main(sys.argv[1:] or list(PEERS))
