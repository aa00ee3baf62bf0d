"""Run Roentgate on the trees of `inputs.py`.

``python with_roentgate.py FOLDER`` prints one JSON line. As in the audit, all images are surveyed and then searched, in
an empty store.
"""

import tempfile
from pathlib import Path

from roentgate.arrays import IntArray
from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np
from searching import main, spent, timed  # type: ignore[import-not-found]  # beside this file

from roentgate.audit import near_duplicates
from roentgate.audit.scan import Survey, survey
from roentgate.data.card import Card
from roentgate.data.dataset import read_splits
from roentgate.store import Store

_compared = near_duplicates._compared


def judge_tree(tree: Path) -> dict[str, object]:
    """Return the pairs found, the most similar others, and the time.

    Also returned are all pairs that were registered and compared (``laid over``).
    """
    card, laid = Card(name="planted", root=tree), []

    def compared(seen: Survey, rows: IntArray, candidates: IntArray) -> object:
        laid.append(np.unique(np.sort(rows[candidates[:, :2]], axis=1), axis=0))
        return _compared(seen, rows, candidates)

    def search() -> tuple[Survey, near_duplicates.Duplicates, float]:
        with tempfile.TemporaryDirectory() as folder:
            store, started = Store(Path(folder)), spent()
            seen = survey(read_splits(card, image_shape=(256, 256, 1), cache=None), store)
            survey_time = spent() - started
            return seen, near_duplicates.find_duplicates(seen, store), survey_time

    near_duplicates._compared = compared  # type: ignore[assignment]
    (seen, found, survey_time), cpu = timed(search)
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
        "laid over": [[ids[a], ids[b]] for pairs in laid for a, b in pairs.tolist()],
        "images": len(ids),
        "cpu": {"Roentgate": cpu},
        "survey": survey_time,
    }


if __name__ == "__main__":
    main("roentgate", judge_tree)
