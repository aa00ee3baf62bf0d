"""Run TensorFlow Model Analysis on the inputs of `inputs.py`.

``python with_tfma.py FOLDER`` prints one JSON line. The tool itself validates the floor of the recall of each class,
with confidence intervals.
"""

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
import tensorflow_model_analysis as tfma
from cases import FLOORS, SMALL  # type: ignore[import-not-found]  # beside this file
from google.protobuf import text_format
from tensorflow_model_analysis.proto import config_pb2

CONFIG = """
model_specs {{ label_key: "label" prediction_key: "prediction" }}
slicing_specs {{}}
metrics_specs {{
  metrics {{
    class_name: "Recall" config: '{{"name": "recall"}}'
    threshold {{ value_threshold {{ lower_bound {{ value: {floor} }} }} }}
  }}
}}
options {{ compute_confidence_intervals {{ value: true }} }}
"""


def judge(table: pd.DataFrame, label: str, floor: float) -> tuple[bool, str]:
    """Return whether the recall of a class is accepted, and its interval."""
    table_of_class = pd.DataFrame(
        {"label": (table["label"] == label).astype(float), "prediction": (table["answer"] == label).astype(float)}
    )
    config = text_format.Parse(CONFIG.format(floor=floor), config_pb2.EvalConfig())
    with tempfile.TemporaryDirectory() as folder:
        result = tfma.analyze_raw_data(table_of_class, config, output_path=folder)
        accepted = bool(tfma.load_validation_result(folder).validation_ok)
    recall = result.slicing_metrics[0][1][""][""]["recall"]
    if "boundedValue" not in recall:
        return accepted, f"{recall['doubleValue']:.2f}"
    bounds = recall["boundedValue"]
    return accepted, f"{bounds['value']:.2f} [{bounds['lowerBound']:.2f}, {bounds['upperBound']:.2f}]"


def main(folder: Path) -> None:
    """Judge all inputs."""
    outcome: dict[str, object] = {"version": tfma.__version__}
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
