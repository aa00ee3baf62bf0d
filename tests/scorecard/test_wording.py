"""Tests of the wording.

No invisible character reaches a reader, no name brings markup, and no number seems to meet a bound that it misses.
"""

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.scorecard import text as text_module
from roentgate.scorecard import wording
from roentgate.scorecard.text import escape, shorten, visible
from tests.support.rows import row

MARKUP = "|<>`*[]\\~$"


def test_the_examples_hold() -> None:
    assert doctest.testmod(text_module).failed == 0


@given(st.text())
def test_whatever_is_visible_is_on_one_line_and_printed(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1


@given(st.text(), st.text())
def test_two_names_that_differ_do_not_read_the_same(first: str, second: str) -> None:
    plain = "⟨" not in first + second and not any("\u2400" <= char <= "\u2421" for char in first + second)
    assert first == second or not plain or visible(first) != visible(second)


@given(st.text(alphabet=st.one_of(st.sampled_from("_a |<>`*[]\\~$&\n#"), st.characters())))
def test_no_markup_survives_escaping(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & set(MARKUP)
    assert not set(escaped.replace("&#", "")) & {"&"}
    assert "\n" not in escaped


@pytest.mark.parametrize("name", ["recall_floor", "Covid-19 (severe), stage 2", "Lungenentzündung", "肺炎", "a.b/c"])
def test_an_ordinary_name_stays_readable_in_the_source(name: str) -> None:
    assert escape(name) == name


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("https://x.org", "https&#58;//x.org"),
        ("www.x.org", "www&#46;x.org"),
        ("_private_", "&#95;private&#95;"),
        ("&lt;", "&#38;lt;"),
    ],
)
def test_what_markdown_would_make_of_it_is_not_made(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_shortened_name_keeps_both_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text if len(text) <= limit else text.startswith(short.split("…")[0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"value": 0.961538, "low": 0.80363, "high": 0.99903}, "0.962 [0.804, 0.999]"),
        ({"value": 0.9, "low": 0.79996, "high": 0.96}, "0.90000 [0.79996, 0.96000]"),
        ({"value": 0.0005, "low": 0.0, "high": 0.01}, "0.0005 [0.0000, 0.0100]"),
        ({"value": 0.99996, "low": 0.9, "high": 1.0}, "0.99996 [0.90000, 1.00000]"),
        ({"value": None, "low": 0.0, "high": 1.0}, "undefined [0.000, 1.000]"),
        ({"value": None, "low": None, "high": None}, "undefined"),
        ({"value": None, "low": None, "high": None, "n": 0}, "—"),
        ({"value": 0.4, "low": None, "high": None}, "0.400 [-∞, ∞]"),
    ],
)
def test_a_number_carries_its_interval(changes: dict[str, object], text: str) -> None:
    assert wording.measured(row(**changes)) == text


@given(st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.2, 1 / 3, 0.8, 0.9]))
def test_no_number_seems_to_reach_a_bound_it_misses(number: float, bound: float) -> None:
    number = float(f"{number:.6g}")
    made = row(value=number, low=number, high=number, bound=bound)
    shown, wanted = float(wording.measured(made).split()[0]), float(wording.bound(made).split()[1])
    if abs(number - bound) > 1e-5:
        assert (shown >= wanted) == (number >= bound)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "✓ pass"),
        ({"outcome": "conditional_pass"}, "? conditional pass"),
        ({"outcome": "conditional_pass", "accepted": False}, "✗ conditional pass, not accepted"),
        ({"outcome": "conditional_fail", "accepted": False}, "✗ conditional fail"),
        ({"outcome": "fail", "accepted": False}, "✗ fail"),
        ({"outcome": "descriptive", "gates": False}, "· descriptive"),
        ({"outcome": "descriptive", "gates": False, "state": None}, "· descriptive"),
        ({"outcome": "descriptive", "gates": False, "state": "undefined"}, "· descriptive, undefined"),
        ({"outcome": "descriptive", "gates": False, "state": "uninformative"}, "· descriptive, uninformative"),
        ({"outcome": "skipped", "gates": False}, "— skipped"),
        ({"outcome": "skipped", "accepted": False}, "✗ skipped"),
    ],
)
def test_an_outcome_reads_without_its_colour(changes: dict[str, object], text: str) -> None:
    assert wording.outcome(row(**changes)) == text


def test_the_confusion_reads_row_by_row_with_the_commonest_error_first() -> None:
    lines = wording.confusion_lines(["Covid", "Normal", "Viral Pneumonia"], [[0, 0, 0], [1, 18, 3], [0, 4, 16]])
    assert lines == [
        ("of 0 Covid", "no image"),
        ("of 22 Normal", "18 caught, 3 predicted as Viral Pneumonia, 1 predicted as Covid"),
        ("of 20 Viral Pneumonia", "16 caught, 4 predicted as Normal"),
    ]
