"""Decisions of other tools on the same inputs.

``python tests/benchmarks/peers [NAME ...]`` writes ``reports/peers.md``. Each peer is installed into its own
environment below ``.roentgate/peers``. None is a dependency. Without names all peers are run. A peer that is not named
keeps the row of its last run, if that was on the same tables. The environments need about 12 GB of disk and, the first
time, a quarter of an hour.

`inputs.py` makes the inputs anew, with trained models from the store. Each ``with_NAME.py`` judges them in its peer's
environment and prints a JSON line.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT))

from roentgate.store import digest, file_digest
from tests.benchmarks.tools import Cost, cost_table, outcome

WORK = ROOT / ".roentgate" / "peers"
REPORT = ROOT / "reports" / "peers.md"
Case = Literal["recall", "perfect", "phantom", "phantom-shortcut", "marker"]
CASES: dict[Case, str] = {
    "recall": "17 of 20, floor 0.80",
    "perfect": "12 of 12, floor 0.90",
    "phantom": "`phantom`",
    "phantom-shortcut": "`phantom-shortcut`",
    "marker": "`marker`",
}


class Decision(TypedDict):
    """A tool's decision on a case.

    ``words``: its own figures. ``cell``: the table cell, if accepted or refused does not say it all.
    """

    accepted: bool
    words: str
    cell: NotRequired[str]


Decisions = TypedDict(
    "Decisions",
    {
        "version": str,
        "error": str,
        "cost": Cost,
        "asked": str,
        "recall": Decision,
        "perfect": Decision,
        "phantom": Decision,
        "phantom-shortcut": Decision,
        "marker": Decision,
    },
    total=False,
)
"""A tool's decisions on all cases, or the error that prevented them. ``asked``: a digest of the tables."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool, the packages it needs, and its description in the table.

    Attributes:
        title: Its name.
        needs: Packages that pip installs. Empty for this project's own environment.
        measures: What it measures on these inputs.
        intervals: Whether it shows intervals.
        decides: What its decision rests on.
        beyond: What it does that Roentgate does not.
    """

    title: str
    needs: tuple[str, ...] = ()
    measures: str
    intervals: str
    decides: str
    beyond: str = ""


PEERS = {
    "roentgate": Peer(
        title="Roentgate",
        measures="streams, inference, recall, the border, the data, attention, calibration",
        intervals="exact, shown",
        decides="`--gate simple`: the point, as a conditional pass; `--gate guarded`: the interval",
    ),
    "tfma": Peer(
        title="TensorFlow Model Analysis",
        needs=("tensorflow-model-analysis==0.52.0",),
        measures="metrics of the answers, by slice",
        intervals="jackknife, shown; drawn at random, they differ from run to run and may leave [0, 1]",
        decides="the point",
        beyond="slices by any feature of the data and holds each to its own threshold; runs on Beam over data that no "
        "machine holds; compares a candidate with a baseline; plots, fairness indicators, metrics for ranking and "
        "regression. Who knows of a marker can slice by it and see what the average hides.",
    ),
    "mlflow": Peer(
        title="MLflow",
        needs=("mlflow==3.17.2",),
        measures="metrics of the answers",
        intervals="none",
        decides="the point",
        beyond="keeps runs, parameters, artefacts and models of a whole team in one registry and serves them; takes "
        "any metric as a function; thresholds against a baseline model; evaluates text and agents.",
    ),
    "evidently": Peer(
        title="Evidently",
        needs=("pandas==2.3.3", "evidently==0.7.23"),  # with pandas 3: "cannot import name 'infer_dtype_from_object'"
        measures="metrics of the answers",
        intervals="none",
        decides="the point",
        beyond="drift of columns and answers in production, monitored over time; data quality; text and agents; a "
        "dashboard over many reports.",
    ),
    "parity": Peer(
        title="illate-parity",
        needs=("illate-parity==0.1.0",),
        measures="accuracy, or agreement of two models' answers",
        intervals="percentile bootstrap, shown; no width where every answer is right",
        decides="the interval: PASS, FAIL or INCONCLUSIVE",
        beyond="three verdicts with one dependency; refuses by default what its interval does not settle; compares any "
        "two files of answers, their latency and tokens as well; counts answers that are no class.",
    ),
    "deepchecks": Peer(
        title="deepchecks, vision",
        needs=(
            "setuptools<81",  # it imports pkg_resources
            "wheel",
            "torch==2.0.1",
            "torchvision==0.15.2",
            "scikit-learn==1.5.2",  # from 1.6 on: "'max_error' is not a valid scoring value" at import
            "pandas==2.2.3",
            "numpy==1.26.4",
            "deepchecks[vision]==0.19.1",
        ),
        measures="metrics of the answers, drift, properties of the images and what they tell of the class",
        intervals="none",
        decides="the point",
        beyond="drift between train and test, outliers, weak segments, new labels, what brightness or contrast tell of "
        "the class; object detection and segmentation; tables and text in sister packages. It ran on pinned older "
        "versions only, and its licence is the AGPL.",
    ),
}


def report(found: dict[str, Decisions]) -> str:
    """Return the report as markdown."""
    decided, rests, details, costs = [], [], [], {}
    in_table = {True: "accepted", False: "**refused**"}
    for name, peer in PEERS.items():
        decisions: Decisions = found.get(name, {"error": "not run on these inputs"})
        title = f"{peer.title} {decisions.get('version', '')}".strip()
        rests.append(f"| {title} | {peer.measures} | {peer.intervals} | {peer.decides} |")
        if "error" in decisions:
            decided.append(f"| {title}, could not be run: {decisions['error']} |" + " |" * len(CASES))
            continue
        cells = [decisions[case].get("cell") or in_table[decisions[case]["accepted"]] for case in CASES]
        decided.append("| " + " | ".join([title, *cells]) + " |")
        details += ["", f"**{title}**", "", *(f"- `{case}`: {decisions[case]['words']}" for case in CASES)]
        costs[title] = decisions["cost"]
    lines = [INTRODUCTION, "| tool | " + " | ".join(CASES.values()) + " |", "| --- |" + " --- |" * len(CASES), *decided]
    lines += ["", "## What the decisions rest on", "", "| tool | measures | intervals | decides on |"]
    lines += ["| --- | --- | --- | --- |", *rests, "", COSTS, *cost_table(costs, next(iter(costs)))]
    beyond = [f"- **{peer.title}**: {peer.beyond}" for peer in PEERS.values() if peer.beyond]
    return "\n".join([*lines, "", "## In their own numbers", *details, "", BEYOND, *beyond, ""])


INTRODUCTION = """# Peers: what other tools decide on the same inputs

Made by `python tests/benchmarks/peers`, each tool in an environment of its own. All are given the same tables
and images:

- *17 of 20*: a recall of 0.85 on 20 images, where 0.80 is wanted. The exact 95 % interval is [0.62, 0.97]: these
  images do not settle that the recall is 0.80.
- *12 of 12*: a recall of 1 on 12 images, where 0.90 is wanted. The exact 95 % interval is [0.74, 1]: these images do
  not settle it either.
- `phantom`: the baseline, trained and tested on images with nothing planted. The sound control: it should be accepted.
- `phantom-shortcut`: the same network, trained and tested on images whose corner marker and border predict the
  label.
- `marker`: a network that sees the four corners of an image and nothing of the patient, on images with a planted
  marker.

Each tool holds the models to what it offers for this without further code: a recall of 0.80 for each class (TensorFlow
Model Analysis, MLflow, Evidently, illate-parity), the full vision suite with its default conditions (deepchecks), the
suites with the default policy (Roentgate). A warning counts as accepted. The first four are given answers only, and
cannot know of the images: that is what they are built for.

illate-parity knows three verdicts, as Roentgate does: PASS, FAIL, and INCONCLUSIVE where its interval holds the
bound. Its command exits with 0 on PASS alone, which is stricter than Roentgate's default gate. It asks whether one
model is within a margin of another and has no floor, so the truth stands in for the other model, and the margin is one
minus the floor.
"""

COSTS = """## What it costs

The whole work above, from the start of each tool to its end, as multiples of Roentgate: one run on a shared machine.
The models were trained before, and nothing else was in Roentgate's store, so these are first runs. Peak memory is that
of the largest process. Roentgate asks each model again on thousands of altered images. Only deepchecks reads the images
as well, and the others read the table of the answers.
"""

BEYOND = """## What they do that Roentgate does not
"""


def main(names: list[str]) -> int:
    """Run the named peers, or all, and write the report."""
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(PEERS)}", file=sys.stderr)
        return 2
    subprocess.run([sys.executable, str(HERE / "inputs.py"), str(WORK / "inputs")], check=True, cwd=ROOT)
    tables = [file_digest(WORK / "inputs" / f"{case}.csv") for case in CASES]
    last, asked = WORK / "outcomes.json", digest(tables)
    found: dict[str, Decisions] = json.loads(last.read_text("utf-8")) if last.is_file() else {}
    for name in names or PEERS:
        script = HERE / f"with_{name}.py"
        answer = outcome(WORK / name, PEERS[name].needs, script, WORK / "inputs")
        found[name] = cast(Decisions, {**answer, "asked": asked})
        print(f"{name}: {json.dumps(found[name])}", flush=True)
        last.write_text(json.dumps(found, indent=1), "utf-8")
    same = {name: decisions for name, decisions in found.items() if decisions["asked"] == asked}
    REPORT.write_text(report(same), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
