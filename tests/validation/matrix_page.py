"""The page of the detection matrix: markdown and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roentgate.data import CLASSES, COUNTS
from roentgate.report import FAINT, INK, fenced, sheet, table
from roentgate.scorecard import escape
from roentgate.stats import Estimate, proportion
from roentgate.store import atomic
from tests.validation import dose_page
from tests.validation.detection_matrix import (
    JUDGED,
    Entry,
    Matrix,
    able,
    accuracies,
    caught,
    false_alarms,
    settled_alarms,
    shortcomings,
    write,
)
from tests.validation.planted_data import SPOILED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE, RECORD = "detection_matrix.md", "detection_matrix.json"
PICTURE = "detection_matrix.png"

_ASKED = (
    "All suites judge them on the drawn images. A check has caught a training if one of its gating rows was not "
    "accepted (`--gate simple`). Required: each planted-fault model is refused by every check that its file names, "
    "with the diagnosis it names, in every training. No sound model is refused by alignment or inference in any. (If a "
    "check says the same words of every fault, the diagnosis says no more than its refusal.)"
)
_DATA_ASKED = (
    "Drawn data sets with one planted fault, judged by the checks of the data suite that need no model. Required: each "
    "is refused by its check in every drawing, and sound data sets, however unusual, are refused by none."
)
_ONE_SET = (
    "All of them are trained on the same drawn images and judged on the same "
    f"{len(CLASSES) * COUNTS['test']} test images. An interval here is about further trainings on these images, "
    "counted as if each were independent. Those of one model are more alike, so it is rather too narrow. It says "
    "nothing of other test sets. Whether the intervals of the rows hold over those is tried on draws with a known "
    "truth ([statistics.md](statistics.md))."
)
_ALARMS = (
    "For the border suite, only trainings that reach the recall floors on whole images count: one that misses them "
    "there cannot reach them under a mask. The policy claims of a row that a sound model fails it *by its whole "
    "interval* in 2.5 % of test sets at most (`border_swap`, whose interval is not exact, in 4 %). This is "
    "one test set, so the count below is no rate to compare with that claim, only how many trainings fail on it. The "
    "simple rule refuses more often the closer a model is to a bound."
)
_KEY = "dark: named by\nthe fault's file\nlight: other checks\nred: a sound model refused\nby alignment or inference"
_SOUND_DATA = {each.name for each in SPOILED if not each.check}
_PROMISED, _OTHER, _ALARM = "#0072B2", "#9CC7E3", "#A50026"


def markdown(matrix: Matrix) -> str:
    """Return the page as markdown.

    It shows what was required and found, each model and data set, false alarms, doses, and faults that are known to be
    missed.
    """
    faulty = [entry for entry in matrix["models"] if entry["promised"]]
    unseen = [entry for entry in matrix["models"] if not (entry["sound"] or entry["promised"])]
    sound = [entry for entry in matrix["models"] if entry["sound"]]
    missed = shortcomings(matrix)
    verdict = "Nothing missing." if not missed else f"**{len(missed)} missing:**"
    text = [
        "# Detection matrix",
        f"{len(faulty)} planted-fault models (positive controls) and {len(sound)} sound models (negative controls). "
        f"{_trainings(matrix)}",
        f"{_ASKED} {verdict}",
        *(["\n".join(f"- {escape(line)}" for line in missed)] if missed else []),
        *map(escape, matrix["remarks"]),
        f"![Faults and sound models in rows, checks in columns, trainings caught in the cells]({PICTURE})",
        "## What each fault was caught by",
        *(_faults(matrix, faulty) if faulty else ["No planted-fault model was judged."]),
        *_data(matrix),
        "## False alarms on sound models",
        *(_sound(matrix, sound) if sound else ["No sound model was judged."]),
        *(dose_page.section(matrix) if matrix["doses"] else []),
        *(_unseen(unseen) if unseen else []),
        "Made by:",
        fenced([matrix["command"]]),
        "Research software, not a medical device.",
    ]
    return "\n\n".join(text) + "\n"


def _faults(matrix: Matrix, entries: Sequence[Entry]) -> list[str]:
    lines = [_fault_line(entry) for entry in entries]
    return [table(["fault", "must be caught by", "caught", "also caught by"], lines), _intervals(matrix)]


def _sound(matrix: Matrix, entries: Sequence[Entry]) -> list[str]:
    columns = ["sound model", "what is particular", "accuracy", "refused by, times"]
    return [
        _ONE_SET,
        _ALARMS,
        table(["suite", "refused", "which"], [_alarm_line(matrix, suite) for suite in JUDGED]),
        f"Refused by the whole interval of a border row: {_counted(settled_alarms(matrix))}.",
        table(columns, [_sound_line(each) for each in entries]),
    ]


def _unseen(entries: Sequence[Entry]) -> list[str]:
    lines = [[f"{_name(each)}: {_says(each)}", escape(each["diagnosis"]), _refusals(each)] for each in entries]
    return ["## Faults that are known to be missed", table(["fault", "why", "refused by, of trainings"], lines)]


def publish(matrix: Matrix, folder: Path) -> Path:
    """Write record, page and figures into a folder, and return the page."""
    page = markdown(matrix)  # before anything is replaced
    write(matrix, folder / RECORD)
    picture(matrix, folder / PICTURE)
    if dose_page.drawn(matrix):
        dose_page.curves(matrix, folder / dose_page.CURVES)
    with atomic(folder / PAGE) as draft:
        draft.write_text(page, "utf-8")
    return folder / PAGE


def picture(matrix: Matrix, path: Path) -> Path:
    """Draw the matrix: models and data sets in rows, checks in columns.

    A cell shows how many trainings the check refused.
    """
    planted_models = sorted(
        matrix["models"], key=lambda entry: (entry["sound"], not entry["promised"], _column(matrix, entry))
    )
    planted_models += matrix["data"]
    used = {check for entry in planted_models for check in entry["promised"]}
    used |= {check for entry in planted_models for outcome in entry["outcomes"] for check in outcome["refused"]}
    checks = [check for check in matrix["checks"] if check in used] or matrix["checks"]
    with sheet(path, height=1.9 + 0.19 * len(planted_models), width=9.5) as figure:
        axes = figure.add_axes((0.25, 0.02, 0.66, 0.98 - 1.75 / (1.9 + 0.19 * len(planted_models))))
        for row, entry in enumerate(planted_models):
            for column, check in enumerate(checks):
                _cell(axes, row, column, entry, check)
        axes.set_xlim(-0.5, len(checks) - 0.5)
        axes.set_ylim(len(planted_models) - 0.5, -0.5)
        names = [check.split("/")[1] for check in checks]
        axes.set_xticks(range(len(checks)), names, rotation=50, ha="left", fontsize=7)
        axes.xaxis.tick_top()
        axes.set_yticks(
            range(len(planted_models)), [entry["name"].split(".")[-1] for entry in planted_models], fontsize=7
        )
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for column in range(1, len(checks)):
            if checks[column].split("/")[0] != checks[column - 1].split("/")[0]:
                axes.axvline(column - 0.5, color=FAINT, linewidth=0.8)
        for row in range(1, len(planted_models)):
            if _kind(planted_models[row]) != _kind(planted_models[row - 1]):
                axes.axhline(row - 0.5, color=FAINT, linewidth=0.8)
        for kind in dict.fromkeys(map(_kind, planted_models)):
            rows = [row for row, entry in enumerate(planted_models) if _kind(entry) == kind]
            place = (-0.325, sum(rows) / len(rows))
            axes.annotate(
                kind, place, xycoords=("axes fraction", "data"), rotation=90, va="center", ha="center", fontsize=8.5
            )
        figure.text(0.01, 0.995, _KEY, va="top", fontsize=7.5)
    return path


def _data(matrix: Matrix) -> list[str]:
    """Return the section on data sets; [] if none was judged."""
    if not matrix["data"]:
        return []
    spoiled = [entry for entry in matrix["data"] if entry["promised"]]
    sound = [entry for entry in matrix["data"] if entry["sound"]]
    lines = [[_name(each), _says(each), str(len(each["outcomes"])), _refusals(each)] for each in sound]
    return [
        "## Data sets",
        _DATA_ASKED,
        table(["fault of the data", "must be caught by", "caught", "also caught by"], map(_fault_line, spoiled)),
        table(["sound data", "what is unusual", "drawings", "refused by"], lines),
    ]


def _cell(axes: "Axes", row: int, column: int, entry: Entry, check: str) -> None:
    from matplotlib.patches import Rectangle

    share, promised = caught(entry, check), check in entry["promised"]
    if not share.n:
        return
    suite = check.split("/", maxsplit=1)[0]
    alarm = entry["sound"] and suite in {"alignment", "inference"}
    if not (share.hits or promised):
        axes.plot(column, row, marker=".", color="#D5DADF", markersize=2)
        return
    colour = _ALARM if alarm else _PROMISED if promised else _OTHER
    strength = 0.25 + 0.75 * share.value
    edge = INK if promised else "none"
    axes.add_patch(
        Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, facecolor=colour, alpha=strength, edgecolor="none")
    )
    axes.add_patch(Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, facecolor="none", edgecolor=edge, linewidth=0.7))
    light = (promised or alarm) and share.value > 0.4
    ink = "white" if light else INK
    axes.text(column, row + 0.03, f"{share.hits}/{share.n}", ha="center", va="center", fontsize=5.8, color=ink)


def _kind(entry: Entry) -> str:
    if any(check.startswith("data/") for check in entry["promised"]) or entry["name"] in _SOUND_DATA:
        return "sound data" if entry["sound"] else "data"
    return "sound models" if entry["sound"] else "faults" if entry["promised"] else "unseen"


def _column(matrix: Matrix, entry: Entry) -> tuple[int, str]:
    places = [matrix["checks"].index(check) for check in entry["promised"] if check in matrix["checks"]]
    return (min(places, default=0), entry["name"])


def _name(entry: Entry) -> str:
    return f"`{entry['name'].split('.')[-1]}`"


def _says(entry: Entry) -> str:
    return escape(entry["says"].replace("``", ""))  # docstring markup


def _fault_line(entry: Entry) -> list[str]:
    named = ", ".join(check.split("/")[1] for check in entry["promised"])
    found = [caught(entry, check) for check in entry["promised"]] if entry["outcomes"] else []
    counts = ", ".join(f"{share.hits} of {share.n}" for share in found) or "not judged"
    others = _refusals(entry, excluding=entry["promised"])
    return [f"{_name(entry)}: {_says(entry)}", named, counts, others]


def _refusals(entry: Entry, excluding: Sequence[str] = ()) -> str:
    checks = sorted({check for outcome in entry["outcomes"] for check in outcome["refused"]} - set(excluding))
    return ", ".join(f"{check.split('/')[1]} {caught(entry, check).hits}" for check in checks) or "none"


def _sound_line(entry: Entry) -> list[str]:
    values = accuracies(entry)
    below = sum(not able(outcome) for outcome in entry["outcomes"])
    accuracy = " to ".join(dict.fromkeys(f"{end:.2f}" for end in (min(values), max(values)))) if values else ""
    note = f"{accuracy} ({below} below a recall floor)" if below else accuracy
    return [_name(entry), _says(entry), note, _refusals(entry)]


def _alarm_line(matrix: Matrix, suite: str) -> list[str]:
    share, alarms = false_alarms(matrix, suite)
    return [suite, _counted(share), "; ".join(escape(alarm) for alarm in alarms) or "none"]


def _counted(share: Estimate) -> str:
    if not share.n:
        return "none was judged"
    return f"{share.hits} of {share.n} [{share.low:.3f}, {share.high:.3f}]"


def _trainings(matrix: Matrix) -> str:
    n, loaded = len(matrix["seeds"]), [_name(entry) for entry in matrix["models"] if entry["loaded"]]
    once = " is loaded, not trained, and counts once: another seed would be the same model again."
    fixed = "".join(f" {name}{once}" for name in loaded)
    return f"{n} training{'s' * (n != 1)} of each.{fixed}"


def _intervals(matrix: Matrix) -> str:
    """Return a sentence with the exact interval of every possible count."""
    numbers = sorted({len(entry["outcomes"]) for entry in matrix["models"]} - {0})
    cells = [(hits, n, proportion(hits, n)) for n in numbers for hits in range(n + 1)]
    texts = [f"{hits} of {n}: [{cell.low:.2f}, {cell.high:.2f}]" for hits, n, cell in cells]
    return "Exact 95 % intervals of the counts, over trainings on the same images: " + "; ".join(texts) + "."
