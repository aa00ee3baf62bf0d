"""The A/A test draws equally good candidates and counts refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roentgate.__main__ import main
from roentgate.candidates.predictions import Predictions
from roentgate.entry import aa_test
from roentgate.errors import ArgumentError
from roentgate.session.session import open_session
from tests.support.toy import Project

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).resolve().parents[2]
LABELS = np.repeat(np.arange(3), 12)


@pytest.fixture
def real(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with the real suites, set as the working folder."""
    project.use_real_suites()
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("ROENTGATE_STORE", str(project.store))
    return project


def test_a_drawn_candidate_answers_as_on_an_image_of_the_same_class() -> None:
    taken = aa_test.draw(LABELS, None, np.random.default_rng(0))
    assert (LABELS[taken] == LABELS).all()
    assert len(set(taken)) < len(taken)
    np.testing.assert_array_equal(aa_test.draw(LABELS, None, np.random.default_rng(0)), taken)


def test_an_image_that_is_in_train_too_is_answered_as_another_such() -> None:
    """Half of the images are leaked and right, the others wrong.

    Images that count must stay wrong in each draw.
    """
    ids = tuple(map(str, range(36)))
    leaked = np.arange(36) % 2 == 0
    test = Predictions(ids, ("A", "B", "C"), LABELS, np.eye(3, dtype=np.float32)[(LABELS + ~leaked) % 3])
    counted = Predictions(ids[1::2], test.classes, LABELS[1::2], test.probabilities[1::2])
    strata = aa_test.strata_of(test, counted)
    assert len(set(strata)) == 6
    for seed in range(20):
        taken = aa_test.draw(strata, None, np.random.default_rng(seed))
        assert (LABELS[taken] == LABELS).all()
        assert (leaked[taken] == leaked).all()


def test_images_of_a_patient_are_drawn_together() -> None:
    groups = [f"patient {row // 4}" for row in range(36)]
    taken = aa_test.draw(LABELS, groups, np.random.default_rng(0))
    for first in range(0, 36, 4):
        assert len({groups[row] for row in taken[first : first + 4]}) == 1


def test_a_drawn_candidate_is_as_good_on_average() -> None:
    right, rng = np.arange(36) % 4 > 0, np.random.default_rng(1)
    shares = [right[aa_test.draw(LABELS, None, rng)].mean() for _ in range(300)]
    assert np.mean(shares) == pytest.approx(0.75, abs=0.015)


def test_a_perfect_model_is_refused_by_nothing_under_the_simple_rule_and_often_under_the_guarded(real: Project) -> None:
    steps: list[int] = []
    counts = aa_test.false_alarms(
        open_session(real.settings("nearest")), "nearest", draws=3, seed=0, step=lambda: steps.append(1)
    )
    found = {count.check: (count.simple, count.guarded) for count in counts}
    assert found["recall/recall_floor"] == (0, 3)  # 12 images cannot settle 0.80
    assert found["comparison/recall_noninferiority"] == (0, 3)
    assert found[""][1] == 3
    assert len(steps) == 3
    assert counts[-1].check == ""


def test_the_guarded_rule_becomes_usable_with_more_images(real: Project) -> None:
    """36 images without a miss settle a recall of 0.80, and 73 a margin of 0.05. The toy has 12 of each class."""
    session = open_session(real.settings("nearest"))
    sizes = aa_test.by_size(session, "nearest", draws=2, seed=0, step=lambda: None)
    guarded = {size.images: size.count.guarded for size in sizes}
    assert guarded[12] == guarded[48] == guarded[72] == 2
    last = sizes[-1]
    assert (last.images, last.count.guarded) == (96, 0)
    assert aa_test.usable_words(sizes) == [
        "The simple rule refuses an equally good candidate in at most 20 % of draws from 12 images of each class on.",
        "The guarded rule refuses an equally good candidate in at most 20 % of draws from 96 images of each class on.",
    ]


def test_a_rule_that_no_number_of_images_makes_usable_says_so() -> None:
    sizes = [aa_test.Size(80, aa_test.Count("", 0, 9, 10)), aa_test.Size(160, aa_test.Count("", 3, 8, 10))]
    assert aa_test.usable_words(sizes)[1] == (
        "The guarded rule refuses an equally good candidate in 80 % of draws with 160 images of each class, the most "
        "that were tried: the model misses a bound itself, or is next to one."
    )
    page = aa_test.page("m", "d", [sizes[0].count], "command", sizes=sizes)
    assert "from 80 images of each class on" in page
    assert "| 160 " in page


def test_copies_of_the_images_are_further_images_with_the_same_answers(real: Project) -> None:
    session = open_session(real.settings("nearest"))
    evidence = session.evidence("nearest")
    border = evidence.border(session.policy.border)
    test = replace(evidence.test, groups=tuple(f"p{row // 2}" for row in range(len(evidence.test))))
    larger, masked, rows = aa_test.enlarged(test, border, 3)
    assert len(set(larger.ids)) == 3 * len(test)
    assert larger.groups is not None
    assert len(set(larger.groups)) == 3 * len(set(test.groups or ()))
    np.testing.assert_array_equal(larger.answers, test.answers[rows])
    infill = next(iter(masked.masked))
    np.testing.assert_array_equal(masked.masked[infill].answers, border.masked[infill].answers[rows])
    assert masked.masked[infill].ids == larger.ids
    np.testing.assert_array_equal(masked.donor_labels, border.donor_labels[rows])


def test_a_weak_reference_is_refused_by_its_own_bounds(real: Project) -> None:
    text = (real.folder / "models" / "nearest.py").read_text("utf-8")
    real.write(
        "models/nearest.py", text.replace('archive["means"])', 'archive["means"] - (np.arange(3) == 1)[:, None, None])')
    )
    counts = aa_test.false_alarms(open_session(real.settings("nearest")), "nearest", draws=2, seed=0, step=lambda: None)
    found = {count.check: count.simple for count in counts}
    assert found["recall/recall_floor"] == found[""] == 2


def test_a_class_of_one_patient_cannot_answer_as_another(real: Project) -> None:
    session = open_session(real.settings("nearest"))
    test = session.evidence("nearest").test
    for groups in (tuple("p" for _ in range(len(test))), tuple(map(str, test.labels))):
        with pytest.raises(ArgumentError, match=r"'[A-Za-z]+' has fewer than two test patients"):
            aa_test._several(replace(test, groups=groups))
    rows = np.r_[0, np.arange(12, 36)]
    alone = Predictions(
        tuple(test.ids[row] for row in rows), test.classes, test.labels[rows], test.probabilities[rows], None
    )
    with pytest.raises(ArgumentError, match="has fewer than two test images"):
        aa_test._several(alone)
    aa_test._several(replace(test, groups=tuple(f"{label} {row % 2}" for row, label in enumerate(test.labels))))


def test_a_class_without_a_miss_is_named_with_the_recall_that_it_may_have(real: Project) -> None:
    test = open_session(real.settings("nearest")).evidence("nearest").test
    warnings = aa_test.blind_spots(test)
    assert len(warnings) == len(test.classes)  # the toy images are all answered rightly, 12 of each class
    assert warnings[0].startswith("**Bottom: no miss on 12 images**")
    assert "Its recall may be as low as 0.74" in warnings[0]  # 0.025 ** (1 / 12)
    missed = test.probabilities.copy()
    missed[0] = missed[0][::-1]
    assert len(aa_test.blind_spots(replace(test, probabilities=missed))) == len(test.classes) - 1
    alone = replace(test, groups=tuple(map(str, range(len(test)))))
    assert aa_test.blind_spots(alone)[0].startswith("**Bottom: no miss on 12 patients**")


def test_a_folder_for_the_page_is_refused_before_anything_is_drawn(
    real: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["aa-test", "--model", "none.such", "--data", "toy", "--out", str(real.folder)]) == 2
    assert "is a folder; name the file to write" in capsys.readouterr().err


def test_no_draws_are_an_error(real: Project) -> None:
    with pytest.raises(ArgumentError, match="0 draws; give 1 or more"):
        aa_test.false_alarms(open_session(real.settings("nearest")), "nearest", draws=0, seed=0, step=lambda: None)


def test_the_command_writes_the_same_page_twice(real: Project, capsys: pytest.CaptureFixture[str]) -> None:
    pages = []
    for _ in range(2):
        assert main(["aa-test", "--model", "nearest", "--data", "toy", "--draws", "2"]) == 0
        pages.append((real.folder / "reports" / "toy" / "nearest" / "aa-test.md").read_text("utf-8"))
    assert pages[0] == pages[1]
    assert "Counted are the suites recall, border and comparison; what the others ask" in pages[0]
    assert "roentgate aa-test --model nearest --data toy --draws 2 --seed 0" in pages[0]
    out = capsys.readouterr().out
    assert "is refused in 0 of 2 draws under the simple rule, in 2 under the guarded rule" in out
    assert "The guarded rule refuses an equally good candidate in at most 20 % of draws from 96 images" in out
    assert "## With more images" in pages[0]
    assert "Bottom: no miss on 12 images, so no drawn model has one" in out
    assert "**Bottom: no miss on 12 images**" in pages[0]
