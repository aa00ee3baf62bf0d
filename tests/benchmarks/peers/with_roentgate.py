"""Run Roentgate on the inputs of `inputs.py`.

``python with_roentgate.py FOLDER`` prints one JSON line. `at_least` judges the small recalls, and the suites judge the
models that `inputs.py` trained. Their answers in this run must be those that the other tools are given. The store holds
the trained weights and the drawn data and nothing else, as for a first run.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from cases import FLOORS, SMALL  # type: ignore[import-not-found]  # beside this file

from roentgate.data.locate import open_store
from roentgate.evidence.stored_predictions import read_predictions
from roentgate.scorecard.record import in_words
from roentgate.stats.estimate import proportion
from roentgate.stats.verdict import at_least

ROOT = Path(__file__).resolve().parents[3]


def rows_of(table: Path) -> list[dict[str, str]]:
    """Return the test rows of a table of `inputs.py`."""
    with table.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "test"]


def judge_recall(table: Path, floor: float) -> dict[str, object]:
    """Return the decision of both rules on a small recall."""
    right = [row["answer"] == "Covid" for row in rows_of(table) if row["label"] == "Covid"]
    estimate = proportion(sum(right), len(right))
    verdict = at_least(estimate, floor)
    guarded = "accepted" if verdict.accepted("guarded") else "refused"
    return {
        "accepted": verdict.accepted("simple"),
        "cell": f"{in_words(verdict.outcome)}: accepted; {guarded} with `--gate guarded`",
        "words": f"recall Covid {estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]: "
        f"{in_words(verdict.outcome)}, which --gate simple accepts; --gate guarded: {guarded}",
    }


def check_same(table: Path, answered: Path) -> None:
    """Compare the answers that the suites judged with those in a table.

    Raises:
        ValueError: An image, its class or an answer differs.
    """
    given, judged = rows_of(table), read_predictions(answered).test
    images = [(Path(row["file"]).name, row["label"]) for row in given]
    labels = [judged.classes[label] for label in judged.labels]
    if images != [(Path(name).name, label) for name, label in zip(judged.ids, labels, strict=True)]:
        raise ValueError(f"{table.name} holds other images than the suites judged; delete it and run again")
    answers = [[float(row[f"p {name}"]) for name in judged.classes] for row in given]
    if not np.allclose(answers, judged.probabilities, atol=1e-5):
        raise ValueError(f"{table.name} holds other answers than the suites judged; delete it and run again")


def judge_model(table: Path, model: str, data: str, *options: str) -> dict[str, object]:
    """Return whether the suites accept a model, and the checks that refuse it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "suites", "-q", "--model", model, "--data", data, *options]
        subprocess.run([*command, "--report-dir", folder], cwd=ROOT, check=False, capture_output=True)
        path = next(Path(folder).rglob("scorecard.json"))
        record = json.loads(path.read_text("utf-8"))
        check_same(table, path.with_name("predictions.json"))
    gating = [row for row in record["rows"] if row["gates"]]
    refused = [row for row in gating if not row["accepted"]]
    named = sorted({f"{row['suite']}/{row['check']}" for row in refused})
    words = f"{len(refused)} of {len(gating)} gating rows not accepted" + (f" ({', '.join(named)})" if named else "")
    return {"accepted": record["outcome"] != "fail", "words": words}


def main(folder: Path) -> None:
    """Judge all inputs."""
    outcome: dict[str, object] = {"version": version("roentgate")}
    outcome |= {name: judge_recall(folder / f"{name}.csv", FLOORS[name]) for name in SMALL}
    models = {
        "phantom": ("baseline", "phantom"),
        "phantom-shortcut": ("baseline", "phantom-shortcut"),
        "marker": ("known_bad.corner_reader", str(folder.resolve() / "marker"), "--image-size", "96", "--epochs", "20"),
    }
    with tempfile.TemporaryDirectory() as store:
        for kept in ("weights", "data"):
            os.symlink(open_store(ROOT).root / kept, Path(store) / kept)
        os.environ["ROENTGATE_STORE"] = store
        outcome |= {name: judge_model(folder / f"{name}.csv", *options) for name, options in models.items()}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
