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
from tests.live.test_server import CAMERA, PHOTO, SNAPSHOT, Cameras, Now, Somebody, result
from tests.live.watch import until

Open = Callable[..., Page]
PICTURED = 'document.querySelector(".tile canvas")?.width > 0'
FOCUSED = 'document.activeElement.textContent.trim() + "|" + (document.activeElement.id || "")'


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

        def begin(
            board: Board,
            *,
            now: Now | None = None,
            people: Somebody | None = None,
            cameras: Cameras | None = None,
            **options: Any,
        ) -> Page:
            now = now or Now()
            parts: dict[str, Any] = {"board": board, "people": people, "cameras": cameras}
            server = StatusServer("127.0.0.1:0", snapshot=lambda: now.value, token=None, **parts)
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


def insist(page: Page, key: str, done: Callable[[], bool]) -> None:
    """Press again until it is done: the page asks first, and on a busy machine its five seconds may be over by then."""

    def pressed() -> bool:
        page.press(key)
        return done()

    until(pressed)


def test_page_shows_cameras_and_people(shown: Open, tmp_path: Path) -> None:
    board = Board()
    board.see(result(0, [3, 8, -1]))
    page = shown(board)
    page.wait(PICTURED)
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
    focused = FOCUSED
    for stop in ("Pause|", "Remove|", "Add a camera|", "|photo"):
        page.press("Tab")
        assert page.run(focused).endswith(stop)
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
    insist(page, " ", lambda: somebody.forgotten == [3])
    page.wait('document.getElementById("found").textContent == "Person 3 is forgotten."')
    until(lambda: people(page) == ["Person 8"])


def test_page_cameras_are_paused_removed_and_added_with_the_keyboard_alone(shown: Open, tmp_path: Path) -> None:
    board, now, asked = Board(), Now(), Cameras()
    board.see(result(0, [3]))
    page = shown(board, now=now, cameras=asked)
    page.wait(PICTURED)
    said = 'document.getElementById("camera-said").textContent'
    page.press("Tab")
    now.value = replace(SNAPSHOT, cameras=(replace(CAMERA, state="paused", people=0, fps=0.0, age_s=None),))
    board.remove("gate")  # as a run would
    page.press("Enter")
    page.wait(f'{said} == "gate is paused."')
    page.wait('document.querySelector(".tile .state").textContent == "paused"')
    assert page.run(FOCUSED).startswith("Resume|")
    assert page.run('document.activeElement.getAttribute("aria-label")') == "Resume gate"
    assert page.run('document.querySelector(".tile canvas").width') == 0
    page.screenshot(tmp_path / "paused.png")
    now.value = SNAPSHOT
    board.see(result(1, [3]))
    page.press("Enter")
    page.wait(f'{said} == "gate goes on."')
    page.wait(PICTURED)
    assert page.run(FOCUSED).startswith("Pause|")
    page.press("Tab")
    page.press("Tab")
    page.press("Enter")  # opens what holds the form
    page.press("Tab")
    page.type("yard")
    page.press("Tab")
    page.type("rtsp://me:hunter2@10.0.0.8/s")
    yard = replace(CAMERA, camera="yard", state="connecting", age_s=None)
    now.value = replace(SNAPSHOT, cameras=(CAMERA, yard))
    page.press("Enter")
    page.wait(f'{said} == "yard is added."')
    asked.forgotten = "there is no file"
    page.wait('document.querySelectorAll(".tile").length == 2')
    page.wait('document.getElementById("add-uri").value == ""')  # the password does not stay there
    page.run('document.querySelectorAll(".tile .danger")[1].focus()')
    page.press("Enter")
    assert page.run(FOCUSED).startswith("Remove yard?|")
    now.value = SNAPSHOT
    insist(page, "Enter", lambda: asked.asked[-1][0] == "remove")
    page.wait(f'{said} == "yard is removed, until reidpipe is started anew: there is no file."')
    page.wait('document.querySelectorAll(".tile").length == 1')
    wanted = [("pause", "gate", ""), ("resume", "gate", ""), ("add", "yard", "rtsp://me:hunter2@10.0.0.8/s")]
    assert [(verb, one.name, one.uri) for verb, one in asked.asked] == [*wanted, ("remove", "yard", "")]
    # The picture of a camera that is taken out at this very moment.
    page.complaints[:] = [one for one in page.complaints if "status of 404" not in one]


def test_page_says_why_a_camera_is_not_added(shown: Open) -> None:
    board = Board()
    board.see(result(0, []))
    page = shown(board, cameras=Cameras())
    page.wait('document.querySelectorAll(".tile").length == 1')
    page.run('document.getElementById("add").open = true')
    page.run('document.getElementById("add-name").value = "gate"')
    page.run('document.getElementById("add-uri").value = "rtsp://h/s"')
    page.run('document.querySelector("#add-camera button").click()')
    page.wait("document.getElementById('camera-said').textContent == \"there is a camera called 'gate' already\"")
    assert page.run('document.getElementById("add-uri").value') == "rtsp://h/s"  # so that it can be put right
    page.complaints[:] = [one for one in page.complaints if "status of 400" not in one]


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
    # What is still on its way when memory is measured would count as growth.
    page.run(
        "window.underway = 0; const plain = window.fetch;"
        "window.fetch = (...asked) => { underway += 1; return plain(...asked).finally(() => { underway -= 1; }); }; 0"
    )
    hours, per_hour = 8, 3600

    def feed(first: int, count: int) -> int:
        states = []
        for number in range(first, first + count, 120):
            for person in range(4):
                board.see(result(number, [number // 120 * 2 + person + 1], camera=f"cam{person}", time_s=float(number)))
            states.append(board.state(SNAPSHOT))
        script = f"(() => {{ for (const state of {json.dumps(states)}) show(state); return cards.size; }})()"
        cards = int(page.run(script))
        page.wait("underway == 0")
        return cards

    feed(0, per_hour)
    heaps, nodes = [], []
    for hour in range(1, hours):
        assert feed(hour * per_hour, per_hour) <= 200
        # The least of three: the page asks for a state of its own once a second, and one may be just arriving.
        heaps.append(min(page.heap_bytes() for _ in range(3)))
        nodes.append(page.run("document.querySelectorAll('*').length"))
    assert len(vars(board)["_people"]) <= 200
    # The list is full after the fourth hour.
    assert nodes[-1] <= nodes[3] + 10
    assert heaps[-1] < 1.1 * heaps[3] + 200_000
    # Who was shown has left the list before the browser asked for a picture: faster than any run.
    page.complaints[:] = [one for one in page.complaints if "status of 404" not in one]
