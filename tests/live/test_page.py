"""The status page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe.live.board import Board
from reidpipe.live.server import StatusServer
from tests.live.browser import Page, find_browser
from tests.live.test_server import PHOTO, SNAPSHOT, Now, Somebody, result
from tests.live.watch import until

Open = Callable[..., Page]


class Finds(Somebody):
    """Also tells what it found."""

    def find(self, image: Any, *, person: int | None = None) -> dict[str, Any]:
        seen = {"camera": "gate", "first_s": 1.7e9, "last_s": 1.7e9 + 60}
        match = {"global_id": 8, "name": "<b>Ada</b>", "probability": 0.93, "picture": None, "sightings": [seen]}
        return {**super().find(image, person=person), "people": 2, "person": person or 1, "matches": [match]}


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Open]:
    """``shown(board)``: the page of a server, in a browser that has not complained when the test is over."""
    find_browser()
    with ExitStack() as stack:
        pages: list[Page] = []

        def begin(board: Board, *, now: Now | None = None, people: Somebody | None = None, **options: Any) -> Page:
            now = now or Now()
            server = StatusServer("127.0.0.1:0", snapshot=lambda: now.value, board=board, token=None, people=people)
            stack.callback(server.close)
            page = stack.enter_context(Page(tmp_path / f"profile{len(pages)}", **options))
            pages.append(page)
            page.open(server.url)
            return page

        yield begin
        assert [complaint for page in pages for complaint in page.complaints] == []


def people(page: Page) -> list[str]:
    names: list[str] = page.run('[...document.querySelectorAll("#people .who")].map((one) => one.textContent)')
    return names


def test_page_shows_cameras_and_people(shown: Open, tmp_path: Path) -> None:
    board = Board()
    board.see(result(0, [3, 8, -1]))
    page = shown(board)
    page.wait('document.querySelector(".tile img")?.naturalWidth > 0')
    assert people(page) == ["Person 3", "Person 8"]
    text = page.run("document.body.innerText")
    for part in ("2 present, 7 known", "reduced to load level 2", "gate", "up", "20 of 100 dropped"):
        assert part in text
    picture = np.asarray(cv2.imread(str(page.screenshot(tmp_path / "shot.png"))), np.uint8)
    tile = picture[120:260, 40:300]
    assert (np.abs(tile.astype(int) - 50).max(axis=2) < 8).mean() > 0.3  # the camera's picture, grey 50, is there


@pytest.mark.parametrize("dark", [False, True])
def test_page_is_light_or_dark_as_the_user_wishes_and_fits_narrow_screens(
    shown: Open, tmp_path: Path, dark: bool
) -> None:
    board = Board()
    board.see(result(0, [3, 8]))
    page = shown(board, dark=dark, size=(340, 900))
    page.wait('document.querySelectorAll("#people details").length == 2')
    picture = np.asarray(cv2.imread(str(page.screenshot(tmp_path / "shot.png"))), np.uint8)
    ground = int(np.median(picture[:, :10]))
    assert ground < 40 if dark else ground > 230
    assert page.run("document.documentElement.scrollWidth") <= 340


def test_page_is_used_with_the_keyboard_alone(shown: Open, tmp_path: Path) -> None:
    board, somebody = Board(), Finds()
    board.see(result(0, [3, 8]))
    board.see(result(20, [3], camera="yard"))
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    page = shown(board, people=somebody)
    page.wait('document.querySelectorAll("#people details").length == 2')
    focused = 'document.activeElement.textContent.trim() + "|" + (document.activeElement.id || "")'
    page.press("Tab")
    assert page.run(focused).endswith("|photo")
    page.choose_file("#photo", tmp_path / "photo.jpg")
    page.press("Tab")
    assert page.run(focused).startswith("Find|")
    page.press("Enter")
    page.wait('document.querySelectorAll("#matches li").length == 1')
    assert "<b>Ada</b> (person 8): 93 %" in page.run('document.getElementById("matches").innerText')
    page.press("Tab", shift=True)  # two people on the photo: there is a choice now
    assert page.run(focused).endswith("|which")
    page.press("Tab")
    page.press("Tab")
    assert "Person 3" in page.run(focused)
    page.press("Enter")
    page.wait('document.querySelector("#people details").open')
    history = page.run('document.querySelector("#people details ol").innerText')
    assert history.index("yard:") < history.index("gate:")  # where the person was, the newest first
    page.press("Tab")
    assert page.run(focused).startswith("Forget this person")
    page.press(" ")
    assert page.run(focused).startswith("Forget person 3 for good?")
    assert somebody.forgotten == []
    board.forget(3)  # as a run would
    page.press(" ")
    until(lambda: somebody.forgotten == [3])
    page.wait('document.getElementById("found").textContent == "Person 3 is forgotten."')
    until(lambda: people(page) == ["Person 8"])


def test_page_says_why_a_photo_is_refused(shown: Open, tmp_path: Path) -> None:
    board = Board()
    board.see(result(0, []))
    page = shown(board, people=Somebody())
    (tmp_path / "photo.jpg").write_text("no picture")
    page.wait('document.querySelectorAll(".tile").length == 1')
    page.choose_file("#photo", tmp_path / "photo.jpg")
    page.run('document.querySelector("#find button").click()')
    page.wait('document.getElementById("found").textContent.includes("no picture that can be read")')
    page.complaints[:] = [one for one in page.complaints if "status of 400" not in one]


def test_page_name_of_a_camera_is_text_and_nothing_else(shown: Open) -> None:
    name = "<img src=x onerror=alert(1)>&\"'"
    now, board = Now(), Board()
    now.value = replace(SNAPSHOT, cameras=(replace(SNAPSHOT.cameras[0], camera=name),))
    board.see(result(0, [3], camera=name))
    page = shown(board, now=now)
    page.wait('document.querySelectorAll("#people details").length == 1')
    assert page.run('document.querySelectorAll("img[src=x]").length') == 0
    assert name in page.run("document.body.innerText")


def test_page_that_is_open_for_hours_grows_on_neither_side(shown: Open) -> None:
    """Eight hours of a state a second, people coming and going, fed as fast as the page takes them."""
    board = Board()
    board.see(result(0, []))
    page = shown(board)
    page.wait('document.querySelectorAll(".tile").length == 1')
    hours, per_hour = 8, 3600

    def feed(first: int, count: int) -> int:
        states = []
        for number in range(first, first + count, 120):
            for person in range(4):
                board.see(result(number, [number // 120 * 2 + person + 1], camera=f"cam{person}", time_s=float(number)))
            states.append(board.state(SNAPSHOT))
        script = f"(() => {{ for (const state of {json.dumps(states)}) show(state); return cards.size; }})()"
        return int(page.run(script))

    feed(0, per_hour)
    heaps, nodes = [], []
    for hour in range(1, hours):
        assert feed(hour * per_hour, per_hour) <= 200
        heaps.append(page.heap_bytes())
        nodes.append(page.run("document.querySelectorAll('*').length"))
    assert len(vars(board)["_people"]) <= 200
    # The list is full after the fourth hour.
    assert nodes[-1] <= nodes[3] + 10
    assert heaps[-1] < 1.1 * heaps[3] + 200_000
    # Who was shown has left the list before the browser asked for a picture: faster than any run.
    page.complaints[:] = [one for one in page.complaints if "status of 404" not in one]
