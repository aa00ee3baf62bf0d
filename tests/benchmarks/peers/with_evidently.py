"""Run Evidently on the inputs of `inputs.py`.

``python with_evidently.py FOLDER`` prints one JSON line. A report of Evidently tests that the recall of each class
reaches the floor.
"""

import json
import sys
from pathlib import Path

import evidently
import pandas as pd
from cases import FLOORS, SMALL  # type: ignore[import-not-found]  # beside this file
from evidently import DataDefinition, Dataset, MulticlassClassification, Report
from evidently.metrics import RecallByLabel
from evidently.tests import gte


def judge(table: pd.DataFrame, labels: list[str], floor: float) -> dict[str, object]:
    """Return whether the recalls of these classes are accepted."""
    roles = MulticlassClassification(target="label", prediction_labels="answer")
    data = Dataset.from_pandas(table[["label", "answer"]], DataDefinition(classification=[roles]))
    report = Report([RecallByLabel(tests={label: [gte(floor)] for label in labels})])
    done = report.run(data, None).dict()
    tests = [(test["metric_config"]["params"], test["status"]) for test in done["tests"]]
    values = done["metrics"][0]["value"]
    words = ", ".join(f"{label} {values[label]:.2f}" for label in labels)
    return {"accepted": all(str(getattr(s, "value", s)) == "SUCCESS" for _, s in tests), "words": f"recall {words}"}


def main(folder: Path) -> None:
    """Judge all inputs."""
    outcome: dict[str, object] = {"version": evidently.__version__}
    for name, floor in FLOORS.items():
        table = pd.read_csv(folder / f"{name}.csv").query("split == 'test'").reset_index(drop=True)
        outcome[name] = judge(table, ["Covid"] if name in SMALL else sorted(table["label"].unique()), floor)
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
