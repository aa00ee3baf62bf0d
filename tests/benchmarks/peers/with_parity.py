"""Run illate-parity on the inputs of `inputs.py`.

``python with_parity.py FOLDER`` prints one JSON line. The tool asks whether a model is within a margin of another. It
has no floor, so it is given its comparison without gold labels, in which the current model scores 1.0: the truth stands
in for the current model, and the margin is one minus the floor.
"""

import csv
import importlib.metadata
import json
import sys
from pathlib import Path

from cases import FLOORS, SMALL  # type: ignore[import-not-found]  # beside this file
from illate_parity.parity import check


def judge(table: list[dict[str, str]], label: str, floor: float) -> tuple[bool, str]:
    """Return whether the recall of a class is accepted, and its interval."""
    of_class = [row for row in table if row["label"] == label]
    truth, answers = (
        [{"id": number, "label": row[column]} for number, row in enumerate(of_class)] for column in ("label", "answer")
    )
    result = check(None, truth, answers, margin=1 - floor)
    recall, verdict = result["agreement"], result["verdict"]
    words = f"{label} {recall['value']:.2f} [{recall['low']:.2f}, {recall['high']:.2f}] {verdict}"
    return verdict == "PASS", words  # its command exits with 0 in this case only


def main(folder: Path) -> None:
    """Judge all inputs."""
    outcome: dict[str, object] = {"version": importlib.metadata.version("illate-parity")}
    for name, floor in FLOORS.items():
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            table = [row for row in csv.DictReader(file) if row["split"] == "test"]
        labels = ["Covid"] if name in SMALL else sorted({row["label"] for row in table})
        judged = [judge(table, label, floor) for label in labels]
        outcome[name] = {
            "accepted": all(accepted for accepted, _ in judged),
            "words": "recall " + ", ".join(words for _, words in judged),
        }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
