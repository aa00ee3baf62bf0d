"""The markdown of a scorecard is short enough to be read."""

from pathlib import Path

import pytest

from roentgate.report import render
from roentgate.scorecard import record as scorecard

REPORTS = Path(__file__).resolve().parents[2] / "reports"
PUBLISHED = ["covid19/baseline", "covid19/lung_swap", "phantom/baseline", "phantom-shortcut/baseline"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_scorecard_is_short_and_tells_no_fact_twice(name: str) -> None:
    folder = REPORTS / name
    record = scorecard.read(folder / scorecard.SCORECARD_FILE)
    text = render.markdown(record, scorecard.read_evidence(folder / scorecard.EVIDENCE_FILE))
    assert text.count("\n") <= 250
    assert len(text.split()) <= 3000
    assert "&#91;" not in text
    cells = [cell.strip() for line in text.split("\n") if line.startswith("|") for cell in line.split("|")]
    assert max(map(len, cells)) <= 80
    failing = {image for row in record["rows"] for image in row["failing"]}
    assert not [image for image in failing if image in text]
    details = [row["detail"] for row in record["rows"] if len(row["detail"]) > 30]
    assert max((text.count(detail) for detail in details), default=0) <= 1
