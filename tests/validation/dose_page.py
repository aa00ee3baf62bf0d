"""The page section on dose and response: markdown and curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roentgate.data import DOSES
from roentgate.report import SPLIT_COLOURS, sheet, table
from roentgate.stats import Estimate, proportion
from tests.validation.detection_matrix import Entry, Matrix, accuracies
from tests.validation.dose_response import dose_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = "dose_response.png"
RESPONSES: Final = {
    "any border check": (),
    "border_mask_flips": ("border/border_mask_flips",),
    "border_swap": ("border/border_swap",),
    "border_only_skill": ("border/border_only_skill",),
    "skill_without_lungs": ("attention/skill_without_lungs",),
    "lung_background_conflict": ("attention/lung_background_conflict",),
}
"""Checks of each response; the first is any border check.

Masked recall is no response, as it repeats a miss on whole images.
"""

_SIDES = (
    "Left: `shortcut_learner` sees the whole image. It is trained and judged on images of which a growing share has "
    "the border of its class. Right: both parts are trained on clear lesions in images with such borders, and the "
    "answer is a weighted mean of theirs."
)
_READ_OFF = (
    "A reading is interpolated between the two judged doses in brackets, after the responses were made to rise with "
    "the dose. It is no more exact than the distance of these doses, and rests on as few trainings as the table below "
    "says."
)
_NO_SHORTCUT = (
    "At dose 0 `shortcut_learner` has no shortcut to rely on, only faint lesions{accuracy}, so what "
    "refuses it there is no reliance on the shortcut. `border_mask_flips` counts answers that change when the border "
    "is masked, in whichever direction, and a network unsure of its answers changes them easily. `border_swap` and "
    "`border_only_skill` ask whether answers follow the border. A curve begins at its count at dose 0, which may be "
    "above 0, and a reading between dose 0 and the next dose is no dose from which the shortcut is relied on."
)
_AT_DOSE_0 = (
    "Readers of the border alone have no skill at dose 0, because borders there are independent of the class. Masking "
    "the border still changes their answers there, as it should: they depend on the border alone. Retained skill has "
    "no value if there is no skill to retain, and the gate accepts no row without a value."
)


def section(matrix: Matrix) -> list[str]:
    """Return the section on doses and blends, as paragraphs.

    It shows the curves, the doses at which they reach 50 and 95 %, and each reader at each dose.
    """
    names = list(dict.fromkeys(entry["name"] for entry in matrix["doses"]))
    lines = []
    for name in names:
        cells = []
        for data in DOSES.values():
            found = [entry for entry in matrix["doses"] if (entry["name"], entry["data"]) == (name, data)]
            cells.append(_cell(found[0]) if found else "")
        lines.append([f"`{name.split('.')[-1]}`", *cells])
    return [
        "## Dose and response",
        *(_curves_section(matrix) if drawn(matrix) else []),
        "Each reader at each dose, trainings refused by any border check but masked recall, and the mean accuracy:",
        table(["reader", *(f"{dose} %" for dose in DOSES)], lines),
        _AT_DOSE_0,
    ]


def drawn(matrix: Matrix) -> bool:
    """Whether there is a curve to draw, of the free network or of blends."""
    return bool(_learner(matrix, ())[0] or matrix["reliance"])


def _curves_section(matrix: Matrix) -> list[str]:
    columns = ["refused by", "at dose 0", "50 % at dose", "95 % at dose", "50 % at share", "95 % at share"]
    first = [entry for entry in _learners(matrix) if entry["data"] == DOSES[0]]
    refused = any(_share([outcome["refused"] for outcome in entry["outcomes"]], ()).hits for entry in first)
    return [
        f"![Share of trainings refused, by dose of the shortcut and by share of a border reader in a blend]({CURVES})",
        _SIDES,
        table(columns, responses(matrix)),
        _READ_OFF,
        *([_NO_SHORTCUT.format(accuracy=_mean_accuracy(" (accuracy {:.2f})", first[0]))] if refused else []),
    ]


def curves(matrix: Matrix, path: Path) -> Path:
    """Draw the share of trainings refused.

    Left by dose of the shortcut, right by share of a border reader in a blend.
    """
    with sheet(path, height=3.4, width=9.0) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        figure.subplots_adjust(left=0.07, right=0.99, bottom=0.16, top=0.88, wspace=0.06)
        for colour, (label, checks) in zip((*SPLIT_COLOURS, "#D55E00"), RESPONSES.items(), strict=True):
            doses, found = _learner(matrix, checks)
            _curve(left, doses, found, label, colour)
            if not _blended(checks):
                continue
            shares = [each["share"] for each in matrix["reliance"]]
            _curve(right, shares, [_share(each["refused"], checks) for each in matrix["reliance"]], label, colour)
        left.set_title("a free network, by dose of the shortcut")
        left.set_xlabel("images whose border agrees with the class, % (0: dealt evenly)")
        left.set_ylabel("share of trainings refused")
        right.set_title("a blend of a sound model and a border reader")
        right.set_xlabel("share of the border reader in the answer")
        right.legend(handles=left.get_lines(), fontsize=7.5, loc="upper left")
        left.set_ylim(-0.03, 1.03)
    return path


def responses(matrix: Matrix) -> list[list[str]]:
    """Return a table line for each response.

    It holds what was refused at dose 0, and the doses and shares at which 50 % and 95 % of trainings are refused.
    """
    lines = []
    for label, checks in RESPONSES.items():
        doses, found = _learner(matrix, checks)
        values = [each.value for each in found]
        shares = [each["share"] for each in matrix["reliance"]]
        blends = [_share(each["refused"], checks).value for each in matrix["reliance"]]
        cells = [f"{found[0].hits} of {found[0].n}" if doses[:1] == [0] else "not judged"]
        cells += [_read_off(doses, values, level) for level in (0.5, 0.95)]
        read = [_read_off([100 * share for share in shares], blends, level) for level in (0.5, 0.95)]
        cells += read if _blended(checks) else ["not asked"] * 2
        lines.append([label, *cells])
    return lines


def _blended(checks: Sequence[str]) -> bool:
    """Whether these checks judge blends.

    The answers of blends are known only on images with a changed border.
    """
    return all(check.startswith("border/") for check in checks)


def _read_off(doses: Sequence[float], shares: Sequence[float], level: float) -> str:
    if not doses:
        return "not judged"
    found = dose_at(doses, shares, level)
    if found is None:
        return "never"
    between = f" ({found.low:.0f} to {found.high:.0f})" if found.low < found.high else ""
    return f"{found.dose:.0f} %{between}"


def _cell(entry: Entry) -> str:
    if not entry["outcomes"]:
        return "not judged"
    found = _share([outcome["refused"] for outcome in entry["outcomes"]], ())
    return f"{found.hits} of {found.n}{_mean_accuracy(', accuracy {:.2f}', entry)}"


def _mean_accuracy(template: str, entry: Entry) -> str:
    """Return the template filled with the mean accuracy of the trainings.

    "" if no training has an accuracy.
    """
    values = accuracies(entry)
    return template.format(sum(values) / len(values)) if values else ""


def _learner(matrix: Matrix, checks: Sequence[str]) -> tuple[list[float], list[Estimate]]:
    """Return the doses of the free network and the refused share at each."""
    found = [
        (float(dose), _share([outcome["refused"] for outcome in entry["outcomes"]], checks))
        for dose, data in DOSES.items()
        for entry in _learners(matrix)
        if entry["data"] == data
    ]
    return [dose for dose, _ in found], [share for _, share in found]


def _learners(matrix: Matrix) -> list[Entry]:
    found = [entry for entry in matrix["doses"] if entry["name"].endswith("shortcut_learner")]
    return [entry for entry in found if entry["outcomes"]]


def _share(refused: Sequence[Sequence[str]], checks: Sequence[str]) -> Estimate:
    counted = checks or [check for named in RESPONSES.values() for check in named if check.startswith("border/")]
    return proportion(sum(bool(set(counted) & set(each)) for each in refused), len(refused))


def _curve(axes: "Axes", doses: Sequence[float], found: Sequence[Estimate], label: str, colour: str) -> None:
    values = [each.value for each in found]
    axes.plot(doses, values, color=colour, label=label, marker="o", markersize=3.5, linewidth=1.4)
    axes.fill_between(doses, [each.low for each in found], [each.high for each in found], color=colour, alpha=0.08)
