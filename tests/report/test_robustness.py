"""Pictures of robustness are the same each time, for any policy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roentgate.policy.bounds import RobustnessBounds
from roentgate.report import robustness as robustness_figures
from tests.evidence.test_acquisition import record
from tests.report.test_figures import size
from tests.runs.test_suites import answered


def test_curves_are_the_same_bytes_each_time_and_grow_with_the_corruptions(tmp_path: Path) -> None:
    bounds = RobustnessBounds()
    first = robustness_figures.curves(record(), bounds, tmp_path / "one.png")
    again = robustness_figures.curves(record(), bounds, tmp_path / "two.png")
    assert first.read_bytes() == again.read_bytes()
    few = robustness_figures.curves(record(), RobustnessBounds(corruptions=["JPEG"]), tmp_path / "few.png")
    assert size(few)[1] < size(first)[1]


def test_another_answer_is_another_picture(tmp_path: Path) -> None:
    bounds = RobustnessBounds()
    poor = record(corrupted={**record().corrupted, ("JPEG", 4): answered(50, 50)})
    pictures = [robustness_figures.curves(each, bounds, tmp_path / "c.png").read_bytes() for each in (record(), poor)]
    assert pictures[0] != pictures[1]


def test_a_class_without_images_leaves_gaps(tmp_path: Path) -> None:
    half = record().seen_by(
        lambda answers: replace(
            answers, ids=answers.ids[:100], labels=answers.labels[:100], probabilities=answers.probabilities[:100]
        )
    )
    assert robustness_figures.curves(half, RobustnessBounds(), tmp_path / "c.png").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_one_image_is_shown_under_each_corruption(tmp_path: Path, channels: int) -> None:
    image = np.random.default_rng(0).random((1, 40, 32, channels), dtype=np.float32)
    sheets = [
        robustness_figures.image_sheet(image, row, RobustnessBounds(), tmp_path / "f.png", title="test/Covid/1.png")
        for row in (3, 3, 4)
    ]
    assert size(sheets[0])[0] == 1440
    before = image.copy()
    pictures = [
        robustness_figures.image_sheet(image, row, RobustnessBounds(), tmp_path / f"{row}.png", title="x").read_bytes()
        for row in (3, 4)
    ]
    assert pictures[0] != pictures[1], "the noise is that of the row"
    np.testing.assert_array_equal(image, before)
