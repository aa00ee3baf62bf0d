"""Run Roentgate on the trees of `inputs.py`.

``python with_roentgate.py FOLDER`` prints one JSON line. As in the audit, all images are surveyed and then searched, in
an empty store.
"""

import importlib.metadata
import json
import sys
import tempfile
import time
from pathlib import Path

from roentgate.arrays import IntArray
from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np

from roentgate.audit import near_duplicates
from roentgate.audit.scan import Survey, survey
from roentgate.data.card import Card
from roentgate.data.dataset import read_splits
from roentgate.store import Store

_compared = near_duplicates._compared


def judge(tree: Path) -> dict[str, object]:
    """Return the pairs found, the most similar others, and the time.

    Also returned are all pairs that were registered and compared (``laid over``).
    """
    card, laid = Card(name="planted", root=tree), []

    def compared(seen: Survey, rows: IntArray, candidates: IntArray) -> object:
        laid.append(np.unique(np.sort(rows[candidates[:, :2]], axis=1), axis=0))
        return _compared(seen, rows, candidates)

    near_duplicates._compared = compared  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        wall, spent = time.perf_counter(), time.process_time()
        seen = survey(read_splits(card, image_shape=(256, 256, 1), cache=None), store)
        survey_time = time.perf_counter() - wall
        found = near_duplicates.find_duplicates(seen, store)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
    ids = seen.ids
    return {
        "pairs": {
            "Roentgate": [[ids[a], ids[b]] for a, b in zip(found.first.tolist(), found.second.tolist(), strict=True)]
        },
        "similarity": found.similarity.tolist(),
        "almost": [
            [ids[a], ids[b], float(alike)]
            for (a, b), alike in zip(found.almost.tolist(), found.almost_similarity, strict=True)
        ],
        "laid over": [[ids[a], ids[b]] for a, b in laid[0].tolist()],
        "images": len(ids),
        "wall": {"Roentgate": wall},
        "cpu": {"Roentgate": spent},
        "survey": survey_time,
    }


def main(folder: Path) -> None:
    """Judge all trees."""
    trees = {
        str(tree.relative_to(folder)): judge(tree) for tree in sorted(folder.glob("*/*")) if (tree / "train").is_dir()
    }
    metadata = importlib.metadata.metadata("roentgate")
    result = {"version": metadata["Version"], "license": metadata["License-Expression"], "trees": trees}
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
