"""Run deepchecks on the inputs of `inputs.py`.

``python with_deepchecks.py FOLDER`` prints one JSON line. `SingleDatasetPerformance` holds the small recalls to
their floors. The full vision suite judges the three models by its default conditions, with their train and test
images and probabilities.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import deepchecks
import numpy as np
import pandas as pd
from cases import FLOORS, MODELS, SMALL  # type: ignore[import-not-found]  # beside this file
from deepchecks.core import CheckResult
from deepchecks.vision import BatchOutputFormat, VisionData
from deepchecks.vision.checks import PropertyLabelCorrelation, SingleDatasetPerformance
from deepchecks.vision.suites import full_suite
from PIL import Image

SEED = 0


class Batches:
    """Batches of images with labels and probabilities, in a fixed shuffled order."""

    def __init__(self, table: pd.DataFrame, *, with_images: bool) -> None:
        self._table = table.sample(frac=1.0, random_state=SEED)
        self._classes = sorted(table["label"].unique())
        self._with_images = with_images

    def __iter__(self) -> Iterator[BatchOutputFormat]:
        for start in range(0, len(self._table), 50):
            yield self._batch(self._table.iloc[start : start + 50])

    def _batch(self, rows: pd.DataFrame) -> BatchOutputFormat:
        named = [f"p {name}" for name in self._classes]
        if self._with_images:
            answers = rows[named].to_numpy(float)
        else:
            answers = np.array([[float(answer == name) for name in self._classes] for answer in rows["answer"]])
        answers = answers / answers.sum(axis=1, keepdims=True)
        batch = {"labels": [self._classes.index(label) for label in rows["label"]], "predictions": list(answers)}
        if self._with_images:
            batch["images"] = [np.repeat(np.array(Image.open(path))[:, :, None], 3, axis=2) for path in rows["file"]]
        return BatchOutputFormat(**batch)


def data(table: pd.DataFrame, *, with_images: bool) -> VisionData:
    """Return a table in the format of deepchecks."""
    names = dict(enumerate(sorted(table["label"].unique())))
    return VisionData(
        Batches(table, with_images=with_images), task_type="classification", label_map=names, reshuffle_data=False
    )


def judge_recall(table: pd.DataFrame, floor: float) -> dict[str, object]:
    """Return the decision on a small recall.

    All images of the other class in that table are predicted right.
    """
    check = SingleDatasetPerformance(scorers=["recall_per_class"]).add_condition_greater_than(floor)
    result = check.run(data(table, with_images=False))
    value = result.value.set_index("Class Name").loc["Covid", "Value"]
    return {"accepted": result.passed_conditions(), "words": f"recall Covid {value:.2f}"}


def judge_model(table: pd.DataFrame) -> dict[str, object]:
    """Return the decision of the full suite on a model.

    It names the image property that predicts the label best.
    """
    train, test = (data(table.loc[table["split"] == split], with_images=True) for split in ("train", "test"))
    done = full_suite().run(train, test, with_display=False, random_state=SEED)
    checks = [result for result in done.results if isinstance(result, CheckResult)]
    conditions = [(check.get_header(), result) for check in checks for result in check.conditions_results]
    count = Counter(result.category.value for _, result in conditions)
    warned = sorted({check for check, result in conditions if result.category.value != "PASS"})
    name, power = max(PropertyLabelCorrelation().run(test, with_display=False).value.items(), key=lambda item: item[1])
    words = f"conditions: {', '.join(f'{n} {name}' for name, n in sorted(count.items()))} ({', '.join(warned)})"
    return {
        "cell": f"accepted, {count['WARN']} warnings" if done.passed(fail_if_warning=False) and count["WARN"] else "",
        "accepted": done.passed(fail_if_warning=False, fail_if_check_not_run=False),
        "words": f"{words}; most telling property {name}, predictive power {power:.2f}",
    }


def main(folder: Path) -> None:
    """Judge all inputs."""
    outcome: dict[str, object] = {"version": deepchecks.__version__}
    for name in SMALL:
        outcome[name] = judge_recall(pd.read_csv(folder / f"{name}.csv"), FLOORS[name])
    for name in MODELS:
        outcome[name] = judge_model(pd.read_csv(folder / f"{name}.csv"))
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
