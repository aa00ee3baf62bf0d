"""Run MLflow's evaluation on the inputs of `inputs.py`.

``python with_mlflow.py FOLDER`` prints one JSON line. MLflow itself validates the floor as a threshold on the recall of
each class.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from cases import FLOORS, SMALL  # type: ignore[import-not-found]  # beside this file
from mlflow.models import MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException


def judge(table: pd.DataFrame, label: str, floor: float) -> tuple[bool, str]:
    """Return whether the recall of a class is accepted, and its value."""
    table_of_class = pd.DataFrame(
        {"label": (table["label"] == label).astype(int), "prediction": (table["answer"] == label).astype(int)}
    )
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            data=table_of_class,
            targets="label",
            predictions="prediction",
            model_type="classifier",
            evaluator_config={"log_explainer": False},
        )
    threshold = MetricThreshold(threshold=floor, greater_is_better=True)
    words = f"{result.metrics['recall_score']:.2f}"
    try:
        mlflow.validate_evaluation_results({"recall_score": threshold}, result)
    except ModelValidationFailedException:
        return False, words
    return True, words


def main(folder: Path) -> None:
    """Judge all inputs."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    outcome: dict[str, object] = {"version": mlflow.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        mlflow.set_tracking_uri(f"sqlite:///{scratch}/runs.db")
        mlflow.create_experiment("peers", artifact_location=f"{scratch}/artifacts")
        mlflow.set_experiment("peers")
        for name, floor in FLOORS.items():
            table = pd.read_csv(folder / f"{name}.csv").query("split == 'test'")
            labels = ["Covid"] if name in SMALL else sorted(table["label"].unique())
            judged = {label: judge(table, label, floor) for label in labels}
            outcome[name] = {
                "accepted": all(accepted for accepted, _ in judged.values()),
                "words": "recall " + ", ".join(f"{label} {words}" for label, (_, words) in judged.items()),
            }
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
