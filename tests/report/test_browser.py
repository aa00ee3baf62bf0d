"""The HTML scorecard in a browser, at the width of a desk and of a phone, in light, in dark and in print.

The page is that of the published Covid baseline, which misses more than most, with a thumbnail for each image that can
have one.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pytest
from PIL import Image

from roentgate.report import render, thumbnails
from roentgate.scorecard import record as scorecard
from tests.support import browser as support
from tests.support.browser import DESKTOP, PHONE, Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "covid19" / "baseline"
REQUEST: Final = "Network.requestWillBeSent"
NARROWEST = 120
MOST_SCREENS = 15


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the published scorecard, with its figures and with thumbnails."""
    folder = tmp_path_factory.mktemp("page") / "baseline"
    shutil.copytree(PUBLISHED, folder)
    record = scorecard.read(folder / scorecard.SCORECARD_FILE)
    grey, stream = np.random.default_rng(0).integers(0, 256, (72, 72), np.uint8), io.BytesIO()
    Image.fromarray(grey).save(stream, format="JPEG", quality=60)
    thumbnails.write(dict.fromkeys(thumbnails.wanted(record["rows"]), stream.getvalue()), folder)
    path = folder / "scorecard.html"
    path.write_text(render.html(record, scorecard.read_evidence(folder / scorecard.EVIDENCE_FILE), folder), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A running browser. Without one these tests are skipped, except in CI."""
    support.skip_or_fail()
    with support.running(tmp_path_factory.mktemp("profile")) as running:
        yield running


def named(browser: Browser, method: str) -> list[str]:
    return [str(event["params"]) for event in browser.events if event["method"] == method]


def asked_for(browser: Browser) -> list[str]:
    """The addresses of all requests, data in the page left out."""
    events = [cast("dict[str, dict[str, str]]", each["params"]) for each in browser.events if each["method"] == REQUEST]
    return [url for event in events if not (url := event["request"]["url"]).startswith("data:")]


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_asks_for_nothing_and_reports_no_error(browser: Browser, page: Path, size: tuple[int, int]) -> None:
    browser.open(page, size)
    browser.unfold()
    browser.picture()
    assert asked_for(browser) == [page.as_uri()]
    assert named(browser, "Runtime.exceptionThrown") + named(browser, "Log.entryAdded") == []
    assert browser.value("document.scripts.length", int) == 0
    assert browser.value("[...document.images].every(each => each.complete && each.naturalWidth > 0)", bool)


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")])
def test_axe_finds_nothing_serious(browser: Browser, page: Path, size: tuple[int, int], scheme: str) -> None:
    browser.open(page, size, scheme=scheme)
    browser.unfold()
    assert browser.violations() == []


def test_axe_is_asked_at_all(browser: Browser, tmp_path: Path) -> None:
    """A page with faults is found out, so that the silence above means something."""
    faulty = tmp_path / "faulty.html"
    faulty.write_text("<p style='color:#ccc;background:#fff'>pale</p><img src='data:,'>", "utf-8")
    browser.open(faulty, DESKTOP)
    rules = {each.split(":")[0] for each in browser.violations()}
    assert {"color-contrast", "image-alt", "document-title"} <= rules


def test_a_request_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    asking = tmp_path / "asking.html"
    asking.write_text("<img src='http://127.0.0.1:9/pixel.png' alt=''>", "utf-8")
    browser.open(asking, DESKTOP)
    assert "http://127.0.0.1:9/pixel.png" in asked_for(browser)


def test_a_phone_shows_no_narrow_column_and_few_screens(browser: Browser, page: Path) -> None:
    browser.open(page, PHONE)
    assert browser.value("document.documentElement.scrollWidth", int) == PHONE[0]
    assert browser.value("document.documentElement.scrollHeight", int) <= MOST_SCREENS * PHONE[1]
    browser.unfold()
    cells = browser.value(
        "[...document.querySelectorAll('th, td, .tiles li, .card, .failing li')]"
        ".map(each => [each.getBoundingClientRect().width, each.outerHTML.slice(0, 90)]).filter(each => each[0] > 0)",
        list,
    )
    assert [cell for cell in cells if cell[0] < NARROWEST] == []
    assert browser.value("document.documentElement.scrollWidth", int) == PHONE[0]


def test_the_first_screen_says_what_was_decided_and_why(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    inside = browser.value(
        "[...document.querySelectorAll('.verdict, .measures, .decided li')].filter("
        f"each => each.getBoundingClientRect().bottom <= {DESKTOP[1]}).map(each => each.textContent.trim())",
        list,
    )
    text = " ".join(inside)
    for words in ("FAIL", "9 criteria failed", "Sensitivity, Covid", "The test set is contaminated.", "need the lungs"):
        assert words in text


def test_dark_is_dark_and_light_is_light(browser: Browser, page: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.open(page, DESKTOP, scheme=scheme)
        picture = Image.open(io.BytesIO(browser.picture())).convert("L")
        seen[scheme] = float(np.asarray(picture).mean())
    assert seen["light"] > 200
    assert seen["dark"] < 60


def test_a_tile_leads_to_one_suite_and_a_link_to_a_row_opens_its_fold(browser: Browser, page: Path) -> None:
    shown = "[...document.querySelectorAll('#suites > section')].filter(each => each.offsetHeight).map(each => each.id)"
    browser.open(page, DESKTOP, fragment="#only-border")
    assert browser.value(shown, list) == ["border"]
    browser.open(page, DESKTOP, fragment="#suites")
    assert len(browser.value(shown, list)) > 5
    row = "#border-border-invariance-5-border"
    browser.open(page, DESKTOP, fragment=row)
    assert browser.value(f"document.querySelector('{row}').getBoundingClientRect().height > 0", bool)


def test_print_leaves_out_what_is_folded_and_repeats_the_heads(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    browser.unfold()
    browser.command("Emulation.setEmulatedMedia", media="print", features=[])
    assert browser.value("[...document.querySelectorAll('details')].every(each => each.offsetHeight == 0)", bool)
    heads = "[...document.querySelectorAll('.rows thead')].map(each => getComputedStyle(each).display)"
    assert set(browser.value(heads, list)) == {"table-header-group"}
    assert browser.value("getComputedStyle(document.querySelector('header nav')).display", str) == "none"
    printed = browser.pdf()
    browser.command("Emulation.setEmulatedMedia", media="")
    assert 2 <= printed.count(b"/Type /Page\n") <= 8
