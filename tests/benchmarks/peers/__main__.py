"""What other tools decide on the same inputs: ``python tests/benchmarks/peers [NAME ...]`` writes ``reports/peers.md``.

Each peer is installed into an environment of its own, ``.roentgate/peers/NAME``; none is a dependency. Without names
all are run; who is left out keeps the row of the last run. Some 12 GB of disk; a quarter of an hour the first time.
`inputs.py` makes the inputs anew (what it has trained is in the store); each ``with_NAME.py`` judges them in its
peer's environment and prints a JSON line.
"""

import json
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WORK = ROOT / ".roentgate" / "peers"
REPORT = ROOT / "reports" / "peers.md"
Case = Literal["recall", "phantom", "phantom-shortcut", "marker"]
MODELS: tuple[Case, ...] = ("phantom", "phantom-shortcut", "marker")


class Decision(TypedDict):
    """What a tool decides on a case, in its own words; ``cell`` where that is neither yes nor no."""

    accepted: bool
    words: str
    cell: NotRequired[str]


Said = TypedDict(
    "Said",
    {
        "version": str,
        "error": str,
        "recall": Decision,
        "phantom": Decision,
        "phantom-shortcut": Decision,
        "marker": Decision,
    },
    total=False,
)
"""What a tool says of all cases, or why it could not be asked."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool, what it needs, and what is said of it in the table.

    Args:
        title: Its name.
        needs: What pip installs; empty for this project's own environment.
        measures: What it measures on these inputs.
        intervals: Whether it shows them.
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


def interpreter(name: str) -> Path:
    """Return the Python of a peer's environment, which is made where it is missing.

    Raises:
        CalledProcessError: pip could not install what the peer needs.
    """
    needs = PEERS[name].needs
    if not needs:
        return Path(sys.executable)
    folder, python = WORK / name, WORK / name / "bin" / "python"
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text("utf-8") != "\n".join(needs):
        print(f"{name}: installing {', '.join(needs)}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *needs]
        subprocess.run(command, check=True, capture_output=True, text=True)
        stamp.write_text("\n".join(needs), "utf-8")
    return python


def outcome(name: str) -> Said:
    """Return what a peer said of the inputs, or why it could not be asked."""
    try:
        command = [str(interpreter(name)), "-W", "ignore", str(HERE / f"with_{name}.py"), str(WORK / "inputs")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if "rror" in line] or ["no message"]
        return {"error": f"{PEERS[name].needs[-1:]}: {lines[-1][:300]}"}
    said: Said = json.loads(done.stdout.splitlines()[-1])
    return said


def report(found: dict[str, Said]) -> str:
    """Return the report as markdown."""
    head = ("tool", "measures", "intervals", "decides on", "17 of 20, floor 0.80", *(f"`{name}`" for name in MODELS))
    rows, words = [], []
    for name, peer in PEERS.items():
        said: Said = found.get(name, {"error": "not run"})
        title = f"{peer.title} {said.get('version', '')}".strip()
        cells = [title, peer.measures, peer.intervals, peer.decides]
        if "error" in said:
            rows.append([*cells, f"could not be run: {said['error']}", *("" for _ in MODELS)])
            continue
        judged: tuple[Case, ...] = ("recall", *MODELS)
        words_of = {True: "accepted", False: "**refused**"}
        rows.append([*cells, *(said[key].get("cell") or words_of[said[key]["accepted"]] for key in judged)])
        words += ["", f"**{title}**", "", *(f"- `{key}`: {said[key]['words']}" for key in judged)]
    table = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    beyond = [f"- **{peer.title}**: {peer.beyond}" for peer in PEERS.values() if peer.beyond]
    return "\n".join([INTRODUCTION, *table, "", "## In their own numbers", *words, "", BEYOND, *beyond, ""])


INTRODUCTION = """# Peers: what other tools decide on the same inputs

Made by `python tests/benchmarks/peers`, each tool in an environment of its own. All are given the same tables
and films:

- *17 of 20*: a recall of 0.85 on 20 films, where 0.80 is wanted. The exact 95 % interval is [0.62, 0.97]: these films
  do not prove that the recall is 0.80.
- `phantom`: the baseline, trained and tested on films with nothing planted. The sound control: it should be accepted.
- `phantom-shortcut`: the same network, trained and tested on films whose corner marker and border give the class away.
- `marker`: a network that sees the four corners of a film and nothing of the patient, on films with a planted marker.

Each tool holds the models to what it offers for this without further code: a recall of 0.80 for each class (TensorFlow
Model Analysis, MLflow, Evidently), the full vision suite with its default conditions (deepchecks), the suites with the
default policy (Roentgate). A warning counts as accepted. The first three are given answers only, and cannot know of the
films: that is what they are built for.
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
    last = WORK / "outcomes.json"
    found: dict[str, Said] = json.loads(last.read_text("utf-8")) if last.is_file() else {}
    for name in names or PEERS:
        found[name] = outcome(name)
        print(f"{name}: {json.dumps(found[name])}", flush=True)
        last.write_text(json.dumps(found, indent=1), "utf-8")
    REPORT.write_text(report(found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
