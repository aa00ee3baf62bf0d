"""A summary of a scorecard in two sentences.

One says how well the data predict the label without the lungs, the other whether the model uses that.
"""

from roentgate.scorecard.replicates import replicates_of
from roentgate.scorecard.shape import Record, Row
from roentgate.scorecard.wording import measured


def sentences(record: Record) -> list[str]:
    """Return one sentence on the data and one on the model.

    Return [] if the border of the data, or the model on the border, was not judged. A row that refuses because it is
    missing
    or crashed does not count as judged.

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
    changes = f"it changes {measured(worst)} of its answers when the border is masked ({worst['subject']})"
    model = f"This model{_of(record)}: {keeps}, and {changes}."
    return [data, " ".join([model, *_lungs(record)])]


def _of(record: Record) -> str:
    """Return which seed the figures belong to, or "" for a single training."""
    several = replicates_of(record)
    if several is None:
        return ""
    return f", {'in each figure ' * (several.deciding == 'worst')}the {several.deciding} of {len(several.seeds)} seeds"


def _lungs(record: Record) -> list[str]:
    """Return a sentence on the lungs, in a list.

    The list is empty if the attention suite was not run or found no lung fields.
    """
    without = [row for row in _rows(record, "attention", "skill_without_lungs") if row["gates"]]
    follows = _rows(record, "attention", "lung_background_conflict")
    if not (without and follows) or without[0]["value"] is None or follows[0]["value"] is None:
        return []
    kept, row = measured(without[0]), follows[0]
    low, high = (-1.0 if row["low"] is None else row["low"]), (1.0 if row["high"] is None else row["high"])
    if low > 0:
        finding = "the answer follows the lungs"
    elif high < 0:
        finding = "the answer follows the background"
    else:
        finding = "these images do not show which of the two the answer follows"
    return [
        f"Without the lungs it keeps {kept} of its skill. Where lungs are set into the background of another class, "
        f"{finding} (share that follows the lungs, less the background: {measured(row)})."
    ]


def _rows(record: Record, suite: str, check: str) -> list[Row]:
    """Return the rows of a check that were judged.

    Rows that were skipped, missing or crashed are left out.
    """
    rows = [row for row in record["rows"] if (row["suite"], row["check"]) == (suite, check)]
    return [row for row in rows if row["outcome"] != "skipped" and not (row["gates"] and row["direction"] is None)]
