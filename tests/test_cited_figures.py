"""Figures in the documents are those of the published records."""

import json
from pathlib import Path

import numpy as np
import pytest

from roentgate import Store, find_card, lung_fields, read_splits
from roentgate.stats import macro_auroc
from tests.support.cited_figures import ROOT, cited, renewed
from tests.support.rows import FAILED, row

SOURCE = "d/m | recall/recall_floor | Covid | interval (black)"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A folder with one scorecard of two rows."""
    rows = [row("Covid", value=0.95, low=-0.75131, high=-0.004, n=20, detail="19 of 20 (black)"), row("B", **FAILED)]
    folder = tmp_path / "d" / "m"
    folder.mkdir(parents=True)
    (folder / "scorecard.json").write_text(json.dumps({"rows": rows}), "utf-8")
    (folder / "evidence.json").write_text(json.dumps({"confusion": {"counts": [[19, 1], [3, 17]]}}), "utf-8")
    return tmp_path


def written(source: str, figure: str) -> str:
    return f"It is <!-- figure: {source} -->{figure}<!-- / -->."


@pytest.mark.parametrize(
    ("source", "figure"),
    [
        (SOURCE, "0.95 [\N{MINUS SIGN}0.75, 0.00] (n = 20)"),
        ("d/m | recall/recall_floor | Covid | count", "19 of 20"),
        ("d/m | recall/recall_floor | Covid | value", "0.95"),
        ("d/m | refused", "1 of 2"),
        ("d/m | settled", "1 of 1"),
        ("d/m | right", "36 of 40"),
    ],
)
def test_a_figure_is_written_anew_from_its_record(reports: Path, source: str, figure: str) -> None:
    assert renewed(written(source, "0.5"), reports) == written(source, figure)
    assert renewed(written(source, figure), reports) == written(source, figure)
    assert cited(written(source, figure)) == [(source, figure)]


def test_a_right_figure_keeps_its_line_break(reports: Path) -> None:
    text = written("d/m | right", "36 of\n40")
    assert renewed(text, reports) == text


@pytest.mark.parametrize(
    "source",
    [
        SOURCE.replace("black", "edge"),
        SOURCE.replace("Covid", "Other"),
        SOURCE.replace("interval", "mean"),
        SOURCE.replace("d/m", "d/other"),
    ],
)
def test_a_figure_without_a_source_is_an_error(reports: Path, source: str) -> None:
    with pytest.raises(LookupError, match="correct"):
        renewed(written(source, "0.95"), reports)


def test_the_readme_cites_the_published_records() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(cited(text)) >= 20
    assert renewed(text) == text


@pytest.mark.real_data("covid19-dataset")
def test_the_shape_of_the_lungs_tells_covid_as_the_readme_says(real_data: Path, tmp_path: Path) -> None:
    card = find_card(f"covid19={real_data / 'covid19-dataset'}", ROOT / "data")
    splits = read_splits(card, image_shape=(256, 256, 1), cache=None)
    ratios: list[float] = []
    covid: list[bool] = []
    for split in (splits.train, splits.validation, splits.test):
        fields = lung_fields(split, Store(tmp_path))
        rows = np.flatnonzero(fields.trusted)
        for mask, label in zip(fields.take(rows), split.labels[rows], strict=True):
            height, width = (float(np.ptp(np.flatnonzero(mask.any(axis=axis))) + 1) for axis in (1, 0))
            ratios.append(width / height)
            covid.append(split.classes[label] == "Covid")
    scores = np.stack([-np.array(ratios), np.array(ratios)], axis=1)
    found = macro_auroc(np.array(covid, dtype=np.int64), scores)
    assert f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] ({len(ratios)} images)" == (
        "0.88 [0.83, 0.91] (305 images)"
    )
