"""Run fastdup on the trees of `inputs.py`.

``python with_fastdup.py FOLDER`` prints one JSON line. It runs with default settings and its own network, and reports
nothing to its makers. A pair counts as found if it is in the table of similar images, at its default threshold or from
the 0.98 on that it calls nearly identical.
"""

import contextlib
import io
import os
import tempfile
from pathlib import Path

os.environ["SENTRY_OPT_OUT"] = "1"  # before it is imported

import fastdup
from searching import Found, main, timed  # type: ignore[import-not-found]  # beside this file

THRESHOLDS = (0.90, 0.98)


def search(tree: Path) -> list[tuple[str, str, float]]:
    """Return the similar pairs of a tree, and how similar they are."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run = fastdup.create(work_dir=folder, input_dir=str(tree))
        run.run(overwrite=True)
        table = run.similarity()
    names = [
        [str(Path(name).absolute().relative_to(tree)) for name in table[f"filename_{end}"]] for end in ("from", "to")
    ]
    return list(zip(*names, table["distance"].tolist(), strict=True))


def judge_tree(tree: Path) -> Found:
    """Return the pairs found in a tree, and the time."""
    similar, cpu = timed(lambda: search(tree))
    columns = {f"fastdup >= {threshold:.2f}": threshold for threshold in THRESHOLDS}
    pairs = {
        column: sorted({(min(a, b), max(a, b)) for a, b, alike in similar if alike >= threshold})
        for column, threshold in columns.items()
    }
    return {"pairs": pairs, "cpu": dict.fromkeys(columns, cpu)}


if __name__ == "__main__":
    main("fastdup", judge_tree)
