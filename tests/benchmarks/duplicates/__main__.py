"""How many planted copies three tools find.

``python tests/benchmarks/duplicates`` writes ``reports/duplicates.md``. `inputs.py` plants the copies, and each
``with_NAME.py`` searches for them with its tool. CleanVision and ImageHash run in their own environments below
``.roentgate/duplicates``. Neither is a dependency. A run takes about 1.5 GB of disk and five minutes.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from roentgate.data.registration import COPY
from roentgate.report.style import FAINT, INK, sheet
from roentgate.stats.estimate import proportion

sys.path.insert(0, str(Path(__file__).resolve().parent))

from inputs import ASKED, COPIES, DATA, TRAIN, TRANSFORMS, slug  # type: ignore[import-not-found]  # beside this file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WORK = ROOT / ".roentgate" / "duplicates"
REPORT = ROOT / "reports" / "duplicates.md"
NEEDS = {"roentgate": (), "cleanvision": ("cleanvision==0.3.7",), "imagehash": ("imagehash==4.3.2",)}
TITLES = {"roentgate": "Roentgate", "cleanvision": "CleanVision", "imagehash": "ImageHash"}
COLUMNS = (
    "Roentgate",
    "CleanVision",
    "phash <= 0",
    "phash <= 4",
    "phash <= 10",
    "dhash <= 0",
    "dhash <= 4",
    "dhash <= 10",
)

Results = dict[str, dict[str, Any]]


def interpreter(name: str) -> Path:
    """Return the Python of a tool's environment, which is made if missing.

    Raises:
        CalledProcessError: pip could not install what the tool needs.
    """
    if not NEEDS[name]:
        return Path(sys.executable)
    folder, python = WORK / name, WORK / name / "bin" / "python"
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text("utf-8") != "\n".join(NEEDS[name]):
        print(f"{name}: installing {', '.join(NEEDS[name])}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDS[name]], check=True)
        stamp.write_text("\n".join(NEEDS[name]), "utf-8")
    return python


def run_tools() -> Results:
    """Return the results of each tool on all trees."""
    results = {}
    for name in NEEDS:
        command = [str(interpreter(name)), "-W", "ignore", str(HERE / f"with_{name}.py"), str(WORK / "inputs")]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        results[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name} {results[name]['version']}: done", flush=True)
    return results


def counted(results: Results) -> dict[str, dict[str, dict[str, tuple[int, int]]]]:
    """Return (copies found, wrong pairs) by data set, column and transform.

    A wrong pair is two different images that a tool takes for the same.
    """
    counts: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
    for data in (each for each in DATA if (WORK / "inputs" / each).is_dir()):
        columns = counts.setdefault(data, {column: {} for column in COLUMNS})
        for transform in TRANSFORMS:
            tree = f"{data}/{slug(transform)}"
            true = {frozenset(pair) for pair in json.loads((WORK / "inputs" / f"{tree}.json").read_text()).items()}
            for tool in results.values():
                for column, pairs in tool["trees"][tree]["pairs"].items():
                    predicted = {frozenset(pair) for pair in pairs}
                    columns[column][transform] = len(predicted & true), len(predicted - true)
    return counts


def report(results: Results) -> str:
    """Return the report as markdown."""
    counts = counted(results)
    lines = [INTRODUCTION, "![Share of the copies found](duplicates.png)", ""]
    versions = [f"{TITLES[name]} {each['version']} ({each['license']})" for name, each in results.items()]
    lines += [f"{', '.join(versions)}; licences as their package metadata name them.", ""]
    for data, columns in counts.items():
        lines += [f"## `{data}`: copies found of {COPIES}, and different images called the same", ""]
        lines += _table(columns)
        for title, chosen in (("asked", slice(ASKED)), ("stretch", slice(ASKED, None))):
            lines += ["", f"Over the {title} transforms:", "", *_summary(columns, list(TRANSFORMS)[chosen])]
        lines += ["", *_nearest(results, data), ""]
    return "\n".join([*lines, *_times(results), ""])


def _table(columns: dict[str, dict[str, tuple[int, int]]]) -> Iterator[str]:
    yield "| transform | Roentgate, exact 95 % interval | " + " | ".join(COLUMNS[1:]) + " |"
    yield "| --- |" + " --- |" * len(COLUMNS)
    for number, transform in enumerate(TRANSFORMS):
        cells = []
        for column in COLUMNS:
            hits, wrong = columns[column][transform]
            share = proportion(hits, COPIES)
            interval = f" [{share.low:.2f}, {share.high:.2f}]" if column == "Roentgate" else ""
            cells.append(f"{hits}{interval}" + (f" / {wrong:,} wrong" if wrong else ""))
        yield f"| {transform}{' (stretch)' if number >= ASKED else ''} | " + " | ".join(cells) + " |"


def _summary(columns: dict[str, dict[str, tuple[int, int]]], transforms: Sequence[str]) -> Iterator[str]:
    yield "| | recall, exact 95 % interval | precision, exact 95 % interval |"
    yield "| --- | --- | --- |"
    for column in COLUMNS:
        hits, wrong = (sum(columns[column][transform][place] for transform in transforms) for place in (0, 1))
        recall, precision = proportion(hits, COPIES * len(transforms)), proportion(hits, hits + wrong)
        cells = [f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in (recall, precision)]
        yield f"| {column} | {cells[0]} | {cells[1]} |"


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


def _times(results: Results) -> Iterator[str]:
    """Yield the cost of each tool as a multiple of ImageHash's phash."""
    spent: dict[str, dict[str, float]] = {kind: dict.fromkeys(COLUMNS, 0.0) for kind in ("wall", "cpu")}
    for tool in results.values():
        for tree in tool["trees"].values():
            for kind, column in [(each, column) for each in spent for column in tree[each]]:
                spent[kind][column] += tree[kind][column]
    survey = sum(tree["survey"] for tree in results["roentgate"]["trees"].values())
    images = sum(tree["images"] for tree in results["roentgate"]["trees"].values())
    yield "## Cost"
    yield ""
    yield (
        f"Over all trees, {images:,} images, from one run on a shared machine: multiples of phash. CleanVision works in"
    )
    yield "several processes, Roentgate in threads, ImageHash in one; none was tuned."
    yield ""
    yield "| | processor time | wall time |"
    yield "| --- | --- | --- |"
    for column in ("Roentgate", "CleanVision", "phash <= 0", "dhash <= 0"):
        ratios = [spent[kind][column] / spent[kind]["phash <= 0"] for kind in ("cpu", "wall")]
        yield f"| {column.removesuffix(' <= 0')} | {ratios[0]:.1f} | {ratios[1]:.1f} |"
    yield ""
    share = survey / spent["wall"]["Roentgate"]
    yield f"{share:.0%} of Roentgate's time is the survey, whose facts the rest of the audit uses too; the search"
    yield "pays for laying candidates over each other, which the hashes do not."


def draw(counts: dict[str, dict[str, dict[str, tuple[int, int]]]], path: Path) -> None:
    """Draw the copies found by transform and column.

    The last row shows the wrong pairs.
    """
    height = 1.4 + 0.25 * (len(TRANSFORMS) + 2)
    with sheet(path, height=height) as figure:
        for place, (data, columns) in enumerate(counts.items()):
            axes = figure.add_axes((0.185 + 0.41 * place, 0.03, 0.395, 1 - 1.4 / height))
            for row, transform in enumerate(TRANSFORMS):
                for column, name in enumerate(COLUMNS):
                    hits = columns[name][transform][0]
                    axes.fill_between(
                        [column, column + 0.94], row, row + 0.92, color="#0072B2", alpha=hits / COPIES, linewidth=0
                    )
                    axes.text(
                        column + 0.47,
                        row + 0.48,
                        str(hits),
                        ha="center",
                        va="center",
                        fontsize=7.5,
                        color="white" if hits > 60 else INK,
                    )
            for column, name in enumerate(COLUMNS):
                wrong = max(columns[name][transform][1] for transform in TRANSFORMS)
                text = f"{wrong / 1000:.1f}k" if wrong >= 1000 else str(wrong)
                axes.text(
                    column + 0.47,
                    len(TRANSFORMS) + 1.0,
                    text,
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="#A50026" if wrong else INK,
                    fontweight="bold" if wrong else "normal",
                )
            axes.set(xlim=(0, len(COLUMNS)), ylim=(len(TRANSFORMS) + 1.6, 0))
            axes.xaxis.tick_top()
            axes.set_xticks([column + 0.47 for column in range(len(COLUMNS))], [_short(name) for name in COLUMNS])
            axes.set_yticks([row + 0.48 for row in range(len(TRANSFORMS))] + [len(TRANSFORMS) + 1.0])
            axes.set_yticklabels([*TRANSFORMS, "wrong pairs, at most"] if place == 0 else [])
            axes.tick_params(length=0, labelsize=7.5)
            axes.spines[:].set_visible(False)
            figure.text(0.185 + 0.41 * place, 1 - 0.72 / height, data, fontsize=9.5, fontweight="bold", va="top")
        title = f"Copies found of {COPIES}, and different images called the same"
        subtitle = (
            "p, d: ImageHash's phash and dhash, differing in at most so many of 64 bits. "
            f"The last {len(TRANSFORMS) - ASKED} transforms are a stretch."
        )
        figure.text(0.01, 1 - 0.08 / height, title, va="top", fontsize=12.5, fontweight="bold")
        figure.text(0.01, 1 - 0.42 / height, subtitle, va="top", fontsize=8.5, color=FAINT)


def _short(name: str) -> str:
    return {"Roentgate": "Roent-\ngate", "CleanVision": "Clean-\nVision"}.get(name, name.replace("hash <= ", " ≤ "))


INTRODUCTION = f"""# Duplicates: planted copies, found or not

Made by `make duplicates`. A tree for each transform holds {TRAIN} images in train; altered copies of {COPIES} of them,
the same for each transform, and all other images of the data set are in test. All tools are given the same files. A
pair counts as called the same where a tool says so directly. Roentgate runs as the audit does, at its shipped
threshold, which was not tuned to this table; CleanVision with the default settings of its exact and near duplicates;
ImageHash with 64 bits at three usual distances.

Each copy of a tree is of another image, so an interval over one transform takes them as independent. Those over several
transforms do too, though the images are the same, and are narrower than they should be. So are those of precision: many
wrong pairs share an image, and come again in each tree. The number of wrong pairs grows with the square of the images,
that of the copies does not: precision holds for trees of this size and share of copies.
"""


def main(arguments: list[str]) -> int:
    """Plant the copies, run all tools, and write the report.

    ``--again`` only writes the report, from the last run.
    """
    last = WORK / "outcomes.json"
    if arguments != ["--again"]:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        subprocess.run([sys.executable, str(HERE / "inputs.py"), str(WORK / "inputs")], check=True, cwd=ROOT)
        last.write_text(json.dumps(run_tools()), "utf-8")
    results = json.loads(last.read_text("utf-8"))
    draw(counted(results), REPORT.with_suffix(".png"))
    REPORT.write_text(report(results), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
