"""Renderings keep tables whole and let no tag in."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roentgate.report import html_page, render
from roentgate.scorecard import record as scorecard
from roentgate.scorecard import wording
from roentgate.scorecard.shape import EvidenceRecord, Record, Row
from tests.support.rows import CONDITIONAL, FAILED, row

SETTLING = CONDITIONAL | {"detail": "about 54 further images"}
HOSTILE = "a|b <script>alert(1)</script>\n# x `y` ](z) &lt; \u202e é 肺 ```"
NAMES = st.text(st.one_of(st.sampled_from("|<>`*_[]()\\&~\n\r#!:/ ab"), st.characters(codec="utf-8")), max_size=30)
TAGS = re.compile(r"</?[a-zA-Z!?]")
OWN_TAGS = {"<details>", "</details>", "<summary>", "</summary>", "<b>", "</b>"}


def build(
    *rows: Row, name: str = "baseline", classes: tuple[str, ...] = ("Covid", "Normal"), **changes: object
) -> Record:
    parts: dict[str, Any] = {
        "model": {"name": name, "source": f"models/{name}.py", "fingerprint": "ab" * 32, "weights": "loaded"},
        "dataset": {
            "name": "phantom",
            "fingerprint": "cd" * 32,
            "classes": classes,
            "counts": {"test": dict.fromkeys(classes, 20)},
        },
        "task": {"image_shape": (96, 96, 1), "seed": 7},
        "gate": "simple",
        "policy": {"fingerprint": "ef" * 32},
        "required": [],
        "complete": True,
    }
    parts.update(changes)
    return scorecard.build(rows=rows, **parts)


def evidence(classes: tuple[str, ...] = ("Covid", "Normal"), report: str = "precision recall") -> EvidenceRecord:
    return {
        "confusion": {"classes": list(classes), "counts": [[16, 4], [0, 20]]},
        "report": report,
        "history": None,
        "layers": None,
        "figures": [{"file": "verdicts.png", "title": "Verdicts", "alt": f"rows of {classes[0]}"}],
        "notes": [f"never beat {classes[1]}"],
    }


def outside_fences(text: str) -> str:
    return re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def tables(text: str) -> list[list[str]]:
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", outside_fences(text), flags=re.MULTILINE)
    return [block.strip().split("\n") for block in blocks]


def assert_sound(text: str) -> None:
    for lines in tables(text):
        assert len({line.count("|") for line in lines}) == 1, lines
        assert not TAGS.search("\n".join(lines))
    prose = outside_fences(text)
    for tag in OWN_TAGS:
        prose = prose.replace(tag, "")
    assert "<" not in prose


# Names


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(NAMES, NAMES, NAMES, NAMES)
def test_whatever_the_names_tables_keep_their_columns_and_no_tag_gets_in(
    first: str, second: str, detail: str, failing: str
) -> None:
    classes = (f"A{first}", f"B{second}")
    rows = [row(first, detail=detail, failing=[failing, first]), row(f"-{second}", **(FAILED | {"detail": detail}))]
    record = build(*rows, name=f"m{second}", classes=classes)
    text = render.markdown(record, evidence(classes, report=f"{first}\n{second}"))
    assert_sound(text)
    performance, *_, judged = tables(text)
    assert len(performance) == 2 + len(rows)
    assert any("phantom" in line for line in judged)
    assert_sound(render.summary_markdown(record))
    assert_sound(render.comparison_markdown([record, build(row(), name=first or "x")]))


def test_lines_cannot_close_their_fence() -> None:
    text = render.fenced(["```", "# not a heading", "````"])
    assert text == "`````text\n```\n# not a heading\n````\n`````"


def test_a_page_shows_hostile_names_as_text(tmp_path: Path) -> None:
    record = build(row(HOSTILE, detail=HOSTILE, failing=[HOSTILE]), name=HOSTILE, classes=(HOSTILE, "Normal"))
    page = render.html(record, evidence((HOSTILE, "Normal"), report=HOSTILE), tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page


# What a reader finds


@pytest.fixture
def refused() -> Record:
    rows = [row(), row("Normal", **SETTLING), row("Viral Pneumonia", **FAILED)]
    return build(*rows, required=[("recall", "recall_floor"), ("border", "border_swap"), ("border", "gone")])


def test_what_decided_it_comes_before_the_suites(refused: Record) -> None:
    text = render.markdown(refused, evidence())
    verdict = "**FAIL**: 3 criteria failed, 2 met (1 on the estimate only)."
    gaps = "1. **Required evidence is missing.** Required, but not recorded: border / border_swap, border / gone."
    reason = "2. **Sensitivity is too low for Viral Pneumonia.** Viral Pneumonia: 20 of 40 images, 0.50 [0.40, 0.60]"
    assert text.index(verdict) < text.index(gaps) < text.index(reason) < text.index("## Suites")


def test_an_accepted_scorecard_has_no_findings(tmp_path: Path) -> None:
    record = build(row(), row("Normal", **CONDITIONAL))
    assert "What decided it" not in render.markdown(record, evidence())
    assert "What decided it" not in render.html(record, evidence(), tmp_path)
    assert render.decided_lines(record) == []


def test_a_value_that_meets_its_bound_is_said_to_be_refused_where_the_whole_interval_must() -> None:
    text = render.markdown(build(row(**(CONDITIONAL | {"accepted": False})), gate="guarded"), evidence())
    assert "1 criterion met on the estimate only, which the guarded rule refuses" in text


def test_the_terminal_says_the_same_in_at_most_five_lines() -> None:
    rows = [row(f"{index}", suite=f"toy{index}", **(FAILED | {"check": f"c{index}"})) for index in range(9)]
    few, many = render.decided_lines(build(*rows[:5])), render.decided_lines(build(*rows))
    assert (len(few), len(many)) == (5, 5)
    assert many[-1] == "… 5 more in the scorecard, 0 of them not settled by these images"
    assert few[0] == "✗ A criterion of toy0 is not met. C0, 0: 20 of 40 images, 0.50 [0.40, 0.60], floor 0.80."
    assert "**A criterion of toy0 is not met.** C0, 0: 20 of 40 images" in render.markdown(build(*rows), evidence())


def test_failing_images_are_named_on_the_page_and_not_in_markdown(tmp_path: Path) -> None:
    failing = [f"test/{index:04d}.png" for index in range(25)]
    record = build(row("Normal", **(FAILED | {"failing": failing, "detail": f"one of them is {failing[3]}"})))
    assert "test/00" not in render.markdown(record, evidence())
    page = render.html(record, evidence(), tmp_path)
    assert "25 failing images, the first 10" in page
    assert "test/0009.png" in page
    assert "test/0010.png" not in page


def test_a_detail_that_many_rows_share_is_told_once_on_the_page(tmp_path: Path) -> None:
    rows = [row(f"c{index}", detail=f"own {index}; 5 images left out") for index in range(4)]
    page = render.html(build(*rows), evidence(), tmp_path)
    assert page.count("5 images left out") == 1
    assert all(f"own {index}" in page for index in range(4))


def test_rows_have_anchors_that_do_not_depend_on_other_rows() -> None:
    first, other = (
        row("5% border", suite="border", check="border_swap"),
        row("肺 |", suite="border", check="border_swap"),
    )
    alone, both = html_page.anchors_of(build(first)), html_page.anchors_of(build(other, first))
    assert list(alone.values()) == ["border-border-swap-5-border"]
    assert alone.items() <= both.items()
    assert len(set(both.values())) == 2
    assert all(re.fullmatch("[a-z0-9-]+", anchor) for anchor in both.values())


@pytest.mark.parametrize(
    "text",
    [
        "baseline (models/baseline.py)",
        "loaded, fingerprint abababababab",
        "phantom, fingerprint cdcdcdcdcdcd",
        "40: Covid 20, Normal 20",
        "96 \u00d7 96 \u00d7 1",
        "fingerprint efefefefefef",
        "of 20 Covid",
        "16 caught, 4 predicted as Normal",
        "never beat Normal",
        "Research software, not a medical device.",
        "Verdicts",
    ],
)
def test_both_renderings_hold_what_a_reviewer_asks_for(refused: Record, tmp_path: Path, text: str) -> None:
    (tmp_path / "verdicts.png").write_bytes(b"\x89PNG")
    assert text in render.markdown(refused, evidence())
    assert text in render.html(refused, evidence(), tmp_path)


def test_a_figure_is_linked_in_markdown_and_embedded_in_the_page(tmp_path: Path) -> None:
    (tmp_path / "verdicts.png").write_bytes(b"\x89PNG")
    assert "![Verdicts](verdicts.png)" in render.markdown(build(row()), evidence())
    page = render.html(build(row()), evidence(), tmp_path)
    assert 'src="data:image/png;base64,iVBORw=="' in page
    assert 'alt="rows of Covid"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_alone_has_the_classification_report(tmp_path: Path) -> None:
    assert "precision recall" in render.html(build(row()), evidence(), tmp_path)
    assert "precision recall" not in render.markdown(build(row()), evidence())


def test_a_missing_figure_is_named_on_the_page(tmp_path: Path) -> None:
    assert "verdicts.png is missing" in render.html(build(row()), evidence(), tmp_path)


def test_a_scorecard_without_evidence_still_renders(tmp_path: Path) -> None:
    nothing: EvidenceRecord = {
        "confusion": None,
        "report": "",
        "history": None,
        "layers": None,
        "figures": [],
        "notes": [],
    }
    record = build(complete=False)
    assert "partial run, not a gate" in render.markdown(record, nothing)
    assert "partial run, not a gate" in render.html(record, nothing, tmp_path)


# Summary and comparison


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(1000, 20_000), st.integers(0, 120), NAMES)
def test_a_summary_stays_within_its_bound(limit: int, count: int, name: str) -> None:
    rows = [row(f"{index} {name}" * 20, **(FAILED if index % 3 else {})) for index in range(count)]
    record = build(*rows, name=f"m{name}" * 200)
    text = render.summary_markdown(record, limit)
    assert len(text.encode()) <= limit
    assert scorecard.headline(record).split(" · ")[0] in text


def test_a_summary_says_how_many_rows_it_leaves_out() -> None:
    record = build(*(row(f"class {index}") for index in range(400)))
    text = render.summary_markdown(record, 5000)
    shown = len(tables(text)[0]) - 2
    assert 0 < shown < 400
    assert f"… {400 - shown} more rows in the scorecard." in text


def test_a_summary_shows_refused_rows_first() -> None:
    record = build(row(), row("Normal", **CONDITIONAL), row("Viral Pneumonia", **FAILED))
    subjects = [line.split("|")[3].strip() for line in tables(render.summary_markdown(record))[0][2:]]
    assert subjects == ["Viral Pneumonia", "Normal", "Covid"]


def test_records_that_disagree_are_told_apart_first() -> None:
    accepted, refused = build(row(), row("Normal")), build(row(), row("Normal", **FAILED), name="other")
    text = render.comparison_markdown([accepted, refused])
    overview, rows = tables(text)
    assert "**PASS**" in overview[2]
    assert "**FAIL**" in overview[3]
    assert [cell.strip() for cell in rows[2].split("|")[1:5]] == ["≠", "recall", "recall_floor", "Normal"]
    assert "✓ pass, 0.950 [0.850, 0.990]" in rows[2]
    assert "✗ fail, 0.500 [0.400, 0.600]" in rows[2]


def test_a_row_that_one_record_lacks_is_said_to_be_missing() -> None:
    assert "not recorded" in render.comparison_markdown([build(row()), build(row(), row("Normal"), name="other")])


def test_the_terminal_table_counts_rows_by_suite() -> None:
    lines = render.terminal_table([build(row(), row("Normal", **CONDITIONAL), row("N", suite="border"))]).splitlines()
    assert lines[2].split() == ["baseline", "on", "phantom", "recall", "1", "1"]
    assert lines[3].split() == ["baseline", "on", "phantom", "border", "1"]


@pytest.mark.parametrize(
    ("several", "seeds"),
    [
        ({"seeds": [7, 8, 9], "deciding": "worst"}, "7, 8, 9; of each row the worst decides"),
        ({"seeds": [7, 8], "deciding": "first"}, "7, 8; the first decides"),
    ],
)
def test_a_scorecard_of_several_seeds_names_them_and_says_whose_answers_it_shows(
    several: Mapping[str, Sequence[int] | str], seeds: str, tmp_path: Path
) -> None:
    record = build(row(), task={"image_shape": (96, 96, 1), "seed": 7, **several})
    judged = dict(wording.judged(record))
    assert judged["seeds"] == seeds
    assert "seed" not in judged
    assert judged["weights"] == f"loaded, fingerprint abababababab (of all {len(several['seeds'])} seeds together)"
    assert "<b>Answers, class by class</b>, seed 7" in render.markdown(record, evidence())
    assert "<summary>Answers, class by class, seed 7, all test images</summary>" in render.html(
        record, evidence(), tmp_path
    )


def test_a_scorecard_of_one_seed_names_it_once(tmp_path: Path) -> None:
    judged = dict(wording.judged(build(row())))
    assert (judged["seed"], judged["weights"]) == ("7", "loaded, fingerprint abababababab")
    assert "<b>Answers, class by class</b></summary>" in render.markdown(build(row()), evidence())
    assert "<summary>Answers, class by class, all test images</summary>" in render.html(
        build(row()), evidence(), tmp_path
    )
