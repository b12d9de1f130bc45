"""The report in a real browser: it is rendered, clicked, and read with the keyboard; it never leaves its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.report import build_report
from tests.report.browser import Browser, chromium, find_chromium
from tests.report.runs import crowd, write_run

STAYS = [
    (1, "gate", 0.0, 30.0),
    (2, "gate", 5.0, 20.0),
    (1, "lobby", 40.0, 70.0),
    (3, "lobby", 45.0, 100.0),
    (2, "<script>alert(1)</script>", 110.0, 130.0),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("needs a Chromium to open the report in (Debian: apt-get install chromium)")
    with chromium(executable, tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(write_run(tmp_path_factory.mktemp("run") / "out", STAYS))


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The report on a desk; afterwards: nothing was asked of the network, nothing went wrong in the page."""
    browser.requests.clear()
    browser.complaints.clear()
    browser.look()
    browser.open(page)
    yield browser
    assert browser.complaints == []
    assert all(url.startswith(("data:", "file:", "about:")) for url in browser.requests)


def visible_cards(browser: Browser) -> list[int]:
    ids = browser.js("[...document.querySelectorAll('.card')].filter(c => !c.hidden).map(c => Number(c.dataset.id))")
    return [int(i) for i in ids]


def choose(browser: Browser, selector: str, value: str, event: str) -> None:
    """Give a field a value, and tell the page as the browser would."""
    browser.js(
        f"(() => {{ const field = document.querySelector('{selector}'); field.value = '{value}';"
        f"field.dispatchEvent(new Event('{event}', {{bubbles: true}})) }})()"
    )


def title(browser: Browser) -> str | None:
    """Of the open dialog."""
    found = browser.js("document.querySelector('dialog[open] h2')?.textContent")
    return None if found is None else str(found)


def test_browser_shows_everybody_with_pictures(opened: Browser) -> None:
    assert visible_cards(opened) == [1, 2, 3]
    assert opened.js("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert opened.js("document.images.length") >= 6
    assert opened.js("document.querySelector('#chart').dataset.painted") == "5"


def test_browser_draws_the_timeline_in_the_colours_of_the_people(opened: Browser, tmp_path: Path) -> None:
    opened.js("document.querySelector('#timeline').scrollIntoView({behavior: 'instant'})")
    x, y = opened.js(
        "(() => { const c = document.querySelector('#chart'), b = c.getBoundingClientRect(), [x, y] = c.barCentre(3);"
        "return [b.x + x, b.y + y] })()"
    )
    opened.screenshot(tmp_path / "page.png")
    blue, green, red = np.asarray(cv2.imread(str(tmp_path / "page.png")))[int(y), int(x) + 12].tolist()
    wanted = opened.js("JSON.parse(document.querySelector('#data').textContent).people[2].colour")
    r, g, b = (int(wanted[i : i + 2], 16) for i in (1, 3, 5))
    assert abs(red - r) + abs(green - g) + abs(blue - b) < 150  # softened towards the background


def test_browser_click_on_a_bar_opens_the_person(opened: Browser) -> None:
    opened.js("document.querySelector('#timeline').scrollIntoView({behavior: 'instant'})")
    x, y = opened.js(
        "(() => { const c = document.querySelector('#chart'), b = c.getBoundingClientRect(), [x, y] = c.barCentre(3);"
        "return [b.x + x, b.y + y] })()"
    )
    opened.click_at(x, y)
    assert title(opened) == "Person 3"
    assert opened.js("location.hash") == "#person-3"
    opened.key("Escape")
    opened.wait("!document.querySelector('dialog[open]')")
    assert opened.js("location.hash") == ""


def test_browser_click_on_a_card_opens_the_person_and_arrows_turn(opened: Browser) -> None:
    opened.click("#card-1 .open")
    assert title(opened) == "Person 1"
    assert opened.js("document.querySelectorAll('#person-body .gallery img').length") == 2
    assert opened.js("document.querySelectorAll('#person-body tbody tr').length") == 2
    opened.key("ArrowRight")
    assert title(opened) == "Person 2"
    assert "<script>alert(1)</script>" in opened.js("document.querySelector('#person-body').textContent")
    opened.key("ArrowLeft")
    assert title(opened) == "Person 1"
    opened.click("#person-close")
    opened.wait("!document.querySelector('dialog[open]')")
    assert opened.js("document.activeElement.closest('.card')?.id") == "card-1"


def test_browser_link_to_a_person_opens_it(browser: Browser, page: Path) -> None:
    browser.open(page, hash_="#person-2")
    assert title(browser) == "Person 2"
    browser.open(page, hash_="#person-99")
    assert title(browser) is None


def test_browser_filters_and_sorts(opened: Browser) -> None:
    opened.js("document.querySelector('#f-id').focus()")
    opened.type("3, 1")
    assert visible_cards(opened) == [1, 3]
    assert opened.js("document.querySelector('#shown').textContent") == "2 of 3"
    opened.click("#f-reset")
    opened.wait("document.querySelector('#shown').textContent === '3 of 3'")
    choose(opened, "#f-several", "2", "input")
    assert visible_cards(opened) == [1, 2]
    choose(opened, "#f-order", "long", "change")
    assert visible_cards(opened) == [1, 2]
    choose(opened, "#f-order", "first", "change")
    choose(opened, "#f-id", "77", "input")
    assert visible_cards(opened) == []
    assert not opened.js("document.querySelector('#none').hidden")


def test_browser_click_on_a_movement_shows_who_made_it(opened: Browser) -> None:
    opened.click("[data-way='gate → lobby']")
    assert visible_cards(opened) == [1]
    assert opened.js("document.querySelector('#f-way').textContent") == "gate → lobby"


def test_browser_zooms_and_walks_with_keys_only(opened: Browser) -> None:
    for _ in range(40):
        opened.key("Tab")
        if opened.js("document.activeElement.id") == "chart":
            break
    assert opened.js("document.activeElement.id") == "chart"
    opened.key("ArrowRight")
    assert opened.js("document.querySelector('#chart-status').textContent").startswith("Person 1: gate")
    opened.key("ArrowDown")
    assert "lobby" in opened.js("document.querySelector('#chart-status').textContent")
    for _ in range(6):
        opened.key("+", text="+")
    assert int(opened.js("document.querySelector('#chart').dataset.painted")) < 5
    opened.key("0", text="0")
    assert opened.js("document.querySelector('#chart').dataset.painted") == "5"
    opened.key("Enter")
    assert title(opened) == "Person 1"
    opened.key("Escape")
    opened.wait("document.activeElement.id === 'chart'")


def test_browser_fits_a_phone(opened: Browser) -> None:
    opened.look(width=360, height=740, phone=True)
    opened.reload()
    assert opened.js("document.documentElement.scrollWidth") <= 360
    small = opened.js(
        "[...document.querySelectorAll('button, select, input')]"
        ".filter(field => field.offsetParent && field.offsetHeight < 40).length"
    )
    assert small == 0  # fingers are not pointers
    opened.click("#card-2 .open")
    assert opened.js("document.querySelector('dialog').getBoundingClientRect().width") <= 360


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours such as #fff or #16191f (WCAG 2.2)."""
    lights = []
    for colour in (one, other):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        values = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_browser_has_enough_contrast_in_both_themes(opened: Browser, dark: bool) -> None:
    opened.look(dark=dark)
    colours = {
        name: opened.js(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')").strip()
        for name in ("ink", "soft", "accent", "bad", "good", "card", "bg")
    }
    for ink, paper in (("ink", "card"), ("soft", "card"), ("soft", "bg"), ("accent", "card"), ("good", "bg")):
        ratio = contrast(colours[ink], colours[paper])
        assert ratio >= 4.5, (ink, paper, ratio)  # WCAG 2.2, 1.4.3
    background = opened.js("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(14, 17, 22)") == dark


def test_browser_runs_no_script_of_a_camera_name(opened: Browser) -> None:
    assert opened.js("document.querySelectorAll('script').length") == 2
    blocked = opened.js(
        "(() => { window.hacked = 0; const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
        "document.body.append(s); return window.hacked })()"
    )
    assert blocked == 0  # the content security policy lets the report's own script run and no other
    opened.complaints[:] = [text for text in opened.complaints if "Content Security Policy" not in text]


def test_browser_opens_five_hundred_people_without_laying_all_of_them_out(browser: Browser, tmp_path: Path) -> None:
    page = build_report(write_run(tmp_path / "out", crowd(500)))
    assert page.stat().st_size < 16_000_000
    browser.look()
    browser.complaints.clear()
    browser.open(page)
    assert browser.js("document.querySelectorAll('.card').length") == 500
    assert browser.js("getComputedStyle(document.querySelector('.card')).contentVisibility") == "auto"
    # What is far below has not been rendered: that is what keeps a long page quick.
    assert browser.js("!document.querySelector('#card-500 .shot').checkVisibility({contentVisibilityAuto: true})")
    browser.click("#card-500 .open")
    assert title(browser) == "Person 500"
    assert browser.complaints == []
