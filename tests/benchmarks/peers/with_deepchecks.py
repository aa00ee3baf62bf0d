"""Deepchecks on the inputs of `inputs.py`: ``python with_deepchecks.py FOLDER`` prints one JSON line.

The small recall is held to a condition of 0.80 by `SingleDatasetPerformance`. The three models, with their train and
test films and probabilities, go through the full vision suite with its own default conditions.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import deepchecks
import numpy as np
import pandas as pd
from deepchecks.core import CheckResult
from deepchecks.vision import BatchOutputFormat, VisionData
from deepchecks.vision.checks import PropertyLabelCorrelation, SingleDatasetPerformance
from deepchecks.vision.suites import full_suite
from PIL import Image

FLOOR = 0.80
SEED = 0


class Batches:
    """Batches of films with labels and probabilities, in a fixed shuffled order."""

    def __init__(self, table: pd.DataFrame, *, films: bool) -> None:
        self._table = table.sample(frac=1.0, random_state=SEED)
        self._classes = sorted(table["label"].unique())
        self._films = films

    def __iter__(self) -> Iterator[BatchOutputFormat]:
        for start in range(0, len(self._table), 50):
            yield self._batch(self._table.iloc[start : start + 50])

    def _batch(self, rows: pd.DataFrame) -> BatchOutputFormat:
        named = [f"p {name}" for name in self._classes]
        if self._films:
            answers = rows[named].to_numpy(float)
        else:
            answers = np.array([[float(answer == name) for name in self._classes] for answer in rows["answer"]])
        answers = answers / answers.sum(axis=1, keepdims=True)
        batch = {"labels": [self._classes.index(label) for label in rows["label"]], "predictions": list(answers)}
        if self._films:
            batch["images"] = [np.repeat(np.array(Image.open(path))[:, :, None], 3, axis=2) for path in rows["file"]]
        return BatchOutputFormat(**batch)


def data(table: pd.DataFrame, *, films: bool) -> VisionData:
    """Return a table as deepchecks wants it."""
    names = dict(enumerate(sorted(table["label"].unique())))
    return VisionData(Batches(table, films=films), task_type="classification", label_map=names, reshuffle_data=False)


def judge_recall(table: pd.DataFrame) -> dict[str, object]:
    """Return whether the small recall is accepted; the other class of that table is called right throughout."""
    check = SingleDatasetPerformance(scorers=["recall_per_class"]).add_condition_greater_than(FLOOR)
    result = check.run(data(table, films=False))
    value = result.value.set_index("Class Name").loc["Covid", "Value"]
    return {"accepted": result.passed_conditions(), "words": f"recall Covid {value:.2f}"}


def judge_model(table: pd.DataFrame) -> dict[str, object]:
    """Return how the conditions of the full suite came out, and what its images' properties tell of the class."""
    train, test = (data(table.loc[table["split"] == split], films=True) for split in ("train", "test"))
    done = full_suite().run(train, test, with_display=False, random_state=SEED)
    checks = [result for result in done.results if isinstance(result, CheckResult)]
    held = [(check.get_header(), kept) for check in checks for kept in check.conditions_results]
    count = Counter(kept.category.value for _, kept in held)
    warned = sorted({check for check, kept in held if kept.category.value != "PASS"})
    told = max(PropertyLabelCorrelation().run(test, with_display=False).value.items(), key=lambda item: item[1])
    words = f"conditions: {', '.join(f'{n} {name}' for name, n in sorted(count.items()))} ({', '.join(warned)})"
    return {
        "cell": f"accepted, {count['WARN']} warnings" if done.passed(fail_if_warning=False) and count["WARN"] else "",
        "accepted": done.passed(fail_if_warning=False, fail_if_check_not_run=False),
        "words": f"{words}; most telling property {told[0]}, predictive power {told[1]:.2f}",
    }


def main(folder: Path) -> None:
    """Judge all inputs."""
    outcome: dict[str, object] = {"version": deepchecks.__version__}
    outcome["recall"] = judge_recall(pd.read_csv(folder / "recall.csv"))
    for name in ("phantom", "phantom-shortcut", "marker"):
        outcome[name] = judge_model(pd.read_csv(folder / f"{name}.csv"))
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
