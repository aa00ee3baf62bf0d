"""The statistics report: markdown, numbers and figures."""

import json
import statistics
from pathlib import Path
from typing import Final

from scipy import stats

from roentgate.report import fenced
from roentgate.scorecard import DISCLAIMER
from roentgate.stats import TAIL
from roentgate.store import atomic
from tests.validation import study_figures, study_sections
from tests.validation.exact import Entry
from tests.validation.study import SHARES, Tables
from tests.validation.study_sections import FOLDER, percent, sides, table

SCHEMA: Final = "roentgate.statistics/1"
MARKDOWN: Final = "statistics.md"
RECORD: Final = "statistics.json"

NOISE: Final = 0.001
"""A drawn setting is beyond 2.5 % if a true 2.5 % would show as many misses in less than one of 1,000 runs."""

_INTERVALS: Final = (
    ("share", "", "**share of images: Clopper-Pearson**", "exact"),
    ("areas", "macro", "**AUROC: logit DeLong, Newcombe's where separated**", "drawn"),
    ("areas", "bootstrap", "AUROC: percentile bootstrap", "drawn"),
    ("grouped_areas", "macro", "**AUROC over patients: the same on patients**", "drawn"),
    ("grouped_areas", "naive", "AUROC over patients: images as if independent", "drawn"),
    ("grouped_areas", "bootstrap", "AUROC over patients: cluster bootstrap", "drawn"),
    ("grouped", "grouped", "**share over patients: Korn-Graubard**", "drawn"),
    ("grouped", "naive", "share over patients: Clopper-Pearson on images", "drawn"),
    ("grouped", "bootstrap", "share over patients: cluster bootstrap", "drawn"),
    ("difference", "", "**paired difference: Tango**", "exact"),
    ("grouped_difference", "grouped", "**paired difference over patients: Tango, effective size**", "drawn"),
    ("grouped_difference", "naive", "paired difference over patients: Tango on images", "drawn"),
    ("grouped_difference", "bootstrap", "paired difference over patients: cluster bootstrap", "drawn"),
    ("balanced", "", "**balanced accuracy: MOVER**", "exact"),
    ("skill", "kept", "**retained skill: MOVER-R, recovered correlation**", "drawn"),
    ("paired_skill", "kept", "**retained skill of nearly equal answers: the same**", "drawn"),
    ("area_changes", "change", "**change of AUROC: MOVER with DeLong's correlation**", "drawn"),
    ("follow_changes", "change", "**change of what follows a donor: MOVER of Tango, independent**", "drawn"),
    ("drops", "drop", "**balanced accuracy lost: MOVER of Tango**", "drawn"),
    ("probes", "folds", "**model against the probe chosen on folds: MOVER of Tango**", "drawn"),
    ("probes", "test", "model against the best of ten equal probes on the test images", "drawn"),
    ("gains", "studentised", "**mean gain in log loss: bootstrap-t**", "drawn"),
    ("gains", "bootstrap", "mean gain in log loss: percentile bootstrap", "drawn"),
)
"""(table, method, title, exact or drawn). Intervals in bold decide verdicts."""

_MEANS: Final = {
    "grouped": "If a few patients have most errors, their spread is underestimated: a floor met on such patients "
    "is somewhat less certain than the interval says.",
    "difference": "A score interval has its level on average only. A table below shows its misses at the shipped "
    "ceiling.",
    "gains": "Losses are skewed, so an interval from few images does not reflect rare large losses. Below 30 images or "
    "patients no interval is given.",
    "balanced": "The shipped floor, `beats_majority`, rests on the misses over.",
}
"""What misses beyond 2.5 % mean for a verdict, by table."""


def write(tables: Tables, folder: Path, *, draws: int, seed: int, command: str) -> list[Path]:
    """Write the report, its numbers and its figures, and return their paths.

    Each file is written whole or not at all.

    Args:
        tables: From `tests.validation.study.run`.
        folder: The folder of ``statistics.md`` and ``statistics.json``. The figures go into its ``statistics/``.
        draws: Draws of each drawn setting.
        seed: Seed of the draws.
        command: The command that makes the report.
    """
    pictures = folder / FOLDER
    figures = [
        study_figures.coverage(tables, pictures / "coverage.png"),
        study_figures.decisions(tables, pictures / "decisions.png"),
    ]
    texts = {
        RECORD: _json(tables, draws=draws, seed=seed),
        MARKDOWN: markdown(tables, draws=draws, seed=seed, command=command),
    }
    for name, text in texts.items():
        with atomic(folder / name) as temporary:
            temporary.write_text(text, "utf-8")
    return [*(folder / name for name in texts), *figures]


def markdown(tables: Tables, *, draws: int, seed: int, command: str) -> str:
    """Return the report as markdown.

    Arguments as for `write`.
    """
    noise = stats.binom.isf(0.01, draws, TAIL) / draws
    parts = [
        "# Do the intervals and the decision rules hold what they say?",
        "A verdict rests on a 95 % interval. Here each kind is tried on samples with a known truth. A miss **over** is "
        "an interval wholly above the truth (it would pass a floor that is not reached), a miss **under** wholly below "
        f"it. Either should come up in {percent(TAIL)} of test sets at most. *Exact* tables sum over every possible "
        f"sample. *Drawn* ones rest on {draws:,} draws a setting from seed {seed}: there a true "
        f"{percent(TAIL)} shows as more than {percent(noise)} in one of 100 settings.",
        "## In short",
        _overview(tables, draws),
        "Bold: intervals that decide verdicts. The others are alternatives on the same draws. *Worst* is the largest "
        "figure of all settings. *Settings beyond* are those whose misses on either side exceed "
        f"{percent(TAIL)} by more than the noise of the draws (1 in 1,000).",
        f"![How often intervals miss the truth, by setting.]({FOLDER}/coverage.png)",
        *_found(tables, draws),
        "## Areas under the curve",
        *study_sections.areas(tables),
        "## Several images of a patient",
        *study_sections.grouped(tables),
        "## Differences, balanced accuracy, retained skill, losses",
        *study_sections.differences(tables),
        "## A model against cheap probes",
        *study_sections.probes(tables["probes"]),
        "## Further images",
        *study_sections.further(tables["further"]),
        *study_sections.added(tables["added"]),
        "## What the two decision rules accept",
        *study_sections.gates(tables["gates"]),
        "## Families of infills",
        *study_sections.families(tables),
        "## Many bounds at once",
        *study_sections.many(tables),
        "## Made by",
        fenced([command]),
        f"All numbers, unrounded: [{RECORD}]({RECORD}).",
        f"*{DISCLAIMER}*",
    ]
    return "\n\n".join(parts) + "\n"


def beyond(line: Entry, method: str, draws: int) -> bool:
    """Whether a setting misses on either side in more than 2.5 %.

    If it was drawn, it must do so by more than noise.
    """
    worst = max(sides(line, method))
    if not draws:
        return worst > TAIL + 1e-9
    return worst > TAIL and bool(stats.binom.sf(round(worst * draws) - 1, draws, TAIL) < NOISE)


def _overview(tables: Tables, draws: int) -> str:
    lines = []
    for section, method, title, how in _INTERVALS:
        found = tables[section]
        over, under = zip(*(sides(line, method) for line in found), strict=True)
        totals = [sum(sides) for sides in zip(over, under, strict=True)]
        outside = sum(beyond(line, method, draws if how == "drawn" else 0) for line in found)
        # a line of shares holds the worst true share on each side, which may be two different ones
        total = (
            f"≤ {percent(max(over) + max(under))}"
            if section == "share"
            else f"{percent(statistics.median(totals))}, {percent(max(totals))}"
        )
        tried = f"{len(found) * len(SHARES):,}" if section == "share" else str(len(found))
        lines.append([title, how, tried, percent(max(over)), percent(max(under)), total, str(outside)])
    header = ["interval", "", "settings", "worst over", "worst under", "both: median, worst", "settings beyond"]
    return table(header, lines)


def _found(tables: Tables, draws: int) -> list[str]:
    """Return the intervals that decide verdicts and miss too often.

    Each is listed with its worst setting. If there is none, a sentence says so.
    """
    found = []
    for section, method, title, how in _INTERVALS:
        if "**" not in title:
            continue
        outside = [line for line in tables[section] if beyond(line, method, draws if how == "drawn" else 0)]
        if outside:
            worst = max(outside, key=lambda line: max(sides(line, method)))
            over, under = sides(worst, method)
            found.append(
                f"- {title.strip('*')}: in {len(outside)} of {len(tables[section])} settings; worst {percent(over)} "
                f"over and {percent(under)} under ({_setting(worst)}). {_MEANS.get(section, '')}".rstrip()
            )
    if not found:
        return ["No interval that decides verdicts misses more than 2.5 % on a side, in any setting tried."]
    return ["**Where an interval that decides verdicts misses more than 2.5 % on a side:**", "\n".join(found)]


def _setting(line: Entry) -> str:
    names = {
        "truth": "truth",
        "counts": "images a class",
        "recalls": "recalls",
        "n": "n",
        "discordant": "discordant",
        "groups": "patients",
        "images": "images of each",
        "icc": "correlation",
        "shape": "scores",
        "clean": "recall on whole images",
        "rows": "rows",
        "units": "images or patients",
        "shared": "correlation",
        "one_patient": "images of one patient in each class",
        "sharpened": "scores multiplied by",
        "area": "area",
        "lost": "lost",
    }
    dull = {"images": 1, "shape": "normal", "icc": 0.0 if "groups" not in line else None}
    return ", ".join(
        f"{name} {_plain(line[key])}" for key, name in names.items() if key in line and line[key] != dull.get(key)
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _json(tables: Tables, *, draws: int, seed: int) -> str:
    """Return the numbers as JSON, one line of text for each line of a table.

    Numbers have six significant digits.
    """
    head = json.dumps({"schema": SCHEMA, "draws": draws, "seed": seed})[:-1]
    sections = []
    for name, lines in tables.items():
        body = ",\n  ".join(json.dumps(dict(zip(line, map(_rounded, line.values()), strict=True))) for line in lines)
        sections.append(f'"{name}": [\n  {body}\n ]')
    return f'{head}, "tables": {{\n ' + ",\n ".join(sections) + "\n}}\n"


def _rounded(value: float | int | str | None) -> float | int | str | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value
