"""Images a second under each corruption, here and elsewhere: ``python tests/benchmarks/corruptions [PEER ...]``.

Each peer is installed into an environment of its own, ``.roentgate/corruptions/NAME``; none is a dependency. Grey
images of 256 x 256, one core, the third severity; peers change one image at a time, as they are made to. Nothing here
is asserted by a test.
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
"""What pip installs; the second for ``pkg_resources``, which newer ones lack."""


def python_of(name: str) -> str:
    """Return the Python of a peer's environment, made where it is missing."""
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
    """Print a table: corruption, images a second here, images a second of each peer."""
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
