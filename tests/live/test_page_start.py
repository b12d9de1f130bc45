"""How soon the status page shows something: what it waits for, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from reidpipe.live.board import Board
from reidpipe.live.server import StatusServer
from reidpipe.live.site import Answer, Site
from reidpipe.live.snapshot import Snapshot
from tests.live.browser import Page, find_browser
from tests.live.test_server import CAMERA, SNAPSHOT, result

NAMES = ("gate", "yard", "hall", "desk")
STATE = replace(SNAPSHOT, cameras=tuple(replace(CAMERA, camera=name) for name in NAMES))
SHOWN = "[...tiles.values()].filter((tile) => tile.firstMs !== null).length"


class Slow(Site):
    """Answers the state not before it is told to, and no picture before those of all cameras are asked for."""

    def begin(self) -> None:
        self.asked: list[str] = []
        self.pictures_asked = threading.Barrier(len(NAMES))
        self.over = threading.Event()
        self.first = set[str]()

    def answer(self, path: str) -> Answer:
        self.asked.append(path)
        if path == "/api/state":
            self.over.wait()
        elif path.startswith("/camera/") and path not in self.first:
            self.first.add(path)
            self.pictures_asked.wait(60)
        return super().answer(path)


def test_page_start_takes_three_journeys_and_asks_for_all_pictures_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_browser()
    sites: list[Slow] = []

    def made(*parts: object, **options: object) -> Slow:
        site = Slow(*parts, **options)  # type: ignore[arg-type]
        site.begin()
        sites.append(site)
        return site

    monkeypatch.setattr("reidpipe.live.server.Site", made)
    board = Board()
    for name in NAMES:
        board.see(result(0, [3, 8], camera=name))
    server = StatusServer("127.0.0.1:0", snapshot=lambda: STATE, board=board, token=None)
    try:
        with Page(tmp_path / "profile") as page:
            page.open(server.url)
            page.wait('typeof tiles !== "undefined"')
            page.wait(f"{SHOWN} == {len(NAMES)}")
            (site,) = sites
            needed = site.asked[: [path.startswith("/camera/") for path in site.asked].index(True)]
            sites[0].over.set()
    finally:
        sites[0].over.set()
        server.close()
    # The page; then what it needs, together; then the pictures.
    assert needed[0] == "/"
    assert set(needed[1:]) <= {"/status.js", "/status.css"}


def test_page_first_state_holds_no_markup() -> None:
    name = "</script><script>alert(1)</script>"
    snapshot: Snapshot = replace(SNAPSHOT, cameras=(replace(CAMERA, camera=name),))
    site = Site(lambda: snapshot, Board(), None, None, None, loopback=True)
    page = site.answer("/").body.decode()
    assert page.count("</script>") == 2
    text = page.partition('type="application/json">')[2].partition("</script>")[0]
    assert json.loads(text)["cameras"][0]["camera"] == name


def test_board_is_warm_before_anybody_looks() -> None:
    # In a process of its own: here it may be loaded already.
    code = "import sys; from reidpipe.live.board import Board; Board.warm(); assert 'supervision' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
