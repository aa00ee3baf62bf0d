"""Two sentences kept apart: what a data set gives away, and whether the model that was judged on it uses it."""

from roentgate.scorecard.record import Record, Row
from roentgate.scorecard.replicates import replicates_of
from roentgate.scorecard.wording import measured


def sentences(record: Record) -> list[str]:
    """Return what the record says of the data, then of the model; [] where border or border were not judged.

    A row that refuses because it is missing or crashed says nothing of either.

    Examples:
        "The data: a linear model that sees the 5 % border alone tells a class from the others by 0.93 [0.71, 0.98] ..."
        "This model: with the 5% border alone it keeps 0.669 [0.344, 0.991] of its own skill."
    """
    borders, kept = _rows(record, "data", "border_probe"), _rows(record, "border", "border_only_skill")
    flips = [row for row in _rows(record, "border", "border_mask_flips") if row["gates"]]
    if not (borders and kept and flips):
        return []
    probe = next((row for row in borders if not row["accepted"]), borders[0])
    only = kept[0]
    worst = max(flips, key=lambda row: row["value"] or 0.0)
    if probe["value"] is None or worst["value"] is None:
        return []
    near_duplicates = [
        row for row in _rows(record, "data", "images_in_two_splits") if row["subject"] == "test in train"
    ]
    leaked = near_duplicates[0]["failing_total"] if near_duplicates else 0
    data = (
        f"The data: a linear model that sees the {probe['subject']} tells a class from the others by {measured(probe)} "
        "(recall + specificity - 1), so a good score on these images does not show that a model looks at the lungs."
        if not probe["accepted"]
        else f"The data: a linear model that sees the {probe['subject']} tells no class from the others by more than "
        f"{measured(probe)} (recall + specificity - 1), within the bound."
    )
    if leaked:
        data += f" {leaked} of {near_duplicates[0]['n']} test images are also in train (see recall_on_all_images)."
    keeps = (
        f"with the {only['subject']} alone it keeps {measured(only)} of its own skill"
        if only["value"] is not None
        else f"it has too little skill for any to be kept with the {only['subject']} alone"
    )
    changes = f"it changes {measured(worst)} of its answers when the border is hidden ({worst['subject']})"
    model = f"This model{_of(record)}: {keeps}, and {changes}."
    return [data, " ".join([model, *_lungs(record)])]


def _of(record: Record) -> str:
    """Say which seed's the figures are, where there are several; else ""."""
    several = replicates_of(record)
    if several is None:
        return ""
    return f", {'in each figure ' * (several.deciding == 'worst')}the {several.deciding} of {len(several.seeds)} seeds"


def _lungs(record: Record) -> list[str]:
    """Return what the record says of the lungs; [] where the attention suite found no lung fields or was not run."""
    without = [row for row in _rows(record, "attention", "skill_without_lungs") if row["subject"] == "without lungs"]
    follows = _rows(record, "attention", "lung_background_conflict")
    if not (without and follows) or without[0]["value"] is None or follows[0]["value"] is None:
        return []
    kept, row = measured(without[0]), follows[0]
    low, high = (-1.0 if row["low"] is None else row["low"]), (1.0 if row["high"] is None else row["high"])
    told = (
        "the answer follows the lungs" if low > 0
        else "the answer follows the border" if high < 0
        else "these images do not tell which of the two the answer follows"
    )  # fmt: skip
    return [
        f"Without the lungs it keeps {kept} of its skill. Where lungs are set into the border of another class, {told} "
        f"(share that follows the lungs, less the border: {measured(row)})."
    ]


def _rows(record: Record, suite: str, check: str) -> list[Row]:
    """Return the rows of a check that were judged: neither skipped, nor refused for a gap or a crash."""
    rows = [row for row in record["rows"] if (row["suite"], row["check"]) == (suite, check)]
    return [row for row in rows if row["outcome"] != "skipped" and not (row["gates"] and row["direction"] is None)]
