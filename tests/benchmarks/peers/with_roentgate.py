"""Roentgate on the same inputs: ``python with_roentgate.py FOLDER`` prints one JSON line.

The small recall goes through `at_least`; the models that `inputs.py` trained are judged by the suites as they stand.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from harness.checks import at_least
from harness.estimate import proportion

ROOT = Path(__file__).resolve().parents[3]
FLOOR = 0.80


def judge_recall() -> dict[str, object]:
    """Return what becomes of 17 of 20 at either gate."""
    estimate = proportion(17, 20)
    verdict = at_least(estimate, FLOOR)
    proven = "accepted" if verdict.accepted("proven") else "refused"
    return {
        "accepted": verdict.accepted("point"),
        "cell": f"{verdict.outcome}: accepted and said to be not proven; {proven} at `--gate proven`",
        "words": f"recall Covid {estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]: {verdict.outcome}; "
        f"--gate point accepts it as not proven, --gate proven: {proven}",
    }


def judge_model(model: str, data: str, *options: str) -> dict[str, object]:
    """Return whether the suites accept a model, and the checks that refuse it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "suites", "-q", "--model", model, "--data", data, *options]
        subprocess.run([*command, "--report-dir", folder], cwd=ROOT, check=False, capture_output=True)
        record = json.loads(next(Path(folder).rglob("scorecard.json")).read_text("utf-8"))
    gating = [row for row in record["verdicts"] if row["gates"]]
    refused = [row for row in gating if not row["accepted"]]
    named = sorted({f"{row['suite']}/{row['check']}" for row in refused})
    words = f"{len(refused)} of {len(gating)} gating rows not accepted" + (f" ({', '.join(named)})" if named else "")
    return {"accepted": record["accepted"], "words": words}


def main(folder: Path) -> None:
    """Judge all inputs."""
    size = ("--image-size", "96", "--epochs", "20")
    outcome = {
        "version": version("roentgate"),
        "recall": judge_recall(),
        "phantom": judge_model("baseline", "phantom"),
        "phantom-shortcut": judge_model("baseline", "phantom-shortcut"),
        "marker": judge_model("known_bad.corner_reader", str(folder.resolve() / "marker"), *size),
    }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
