"""The status page in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.live.board import Board
from reidpipe.live.server import StatusServer
from tests.live.test_server import SNAPSHOT, result


@pytest.fixture
def browse(tmp_path: Path) -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip("needs a real browser: apt-get install chromium")


def chromium(program: str, folder: Path, *options: str) -> str:
    command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=4000", "--window-size=1000,700", "--enable-logging=stderr", "--v=0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    problems = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert problems == []  # no script error, nothing that the content policy refused
    return done.stdout


def test_page_shows_cameras_and_people_and_says_nothing_unsafe(browse: str, tmp_path: Path) -> None:
    board = Board()
    board.see(result(0, [3, 8, -1]))
    server = StatusServer("127.0.0.1:0", snapshot=lambda: SNAPSHOT, board=board, token=None)
    try:
        dom = chromium(browse, tmp_path, "--dump-dom", server.url)
        shot = tmp_path / "shot.png"
        chromium(browse, tmp_path, f"--screenshot={shot}", server.url)
    finally:
        server.close()
    assert "2 present, 7 known" in dom
    assert "reduced to load level 2" in dom
    assert re.findall(r"Person (\d+)", dom) == ["3", "8"]
    assert '<span class="state" data-state="up">up</span>' in dom
    assert "20 of 100 dropped" in dom
    assert dom.count("<details>") == 2  # reachable and opened by keyboard
    picture = np.asarray(cv2.imread(str(shot)), np.uint8)
    assert picture.shape[:2] == (700, 1000)
    tile = picture[120:260, 40:300]
    assert (np.abs(tile.astype(int) - 50).max(axis=2) < 8).mean() > 0.3  # the camera's picture, grey 50, is there


def test_page_name_of_a_camera_is_text_and_nothing_else(browse: str, tmp_path: Path) -> None:
    from dataclasses import replace

    name = "<img src=x onerror=alert(1)>&\"'"
    snapshot = replace(SNAPSHOT, cameras=(replace(SNAPSHOT.cameras[0], camera=name),))
    board = Board()
    board.see(result(0, [3], camera=name))
    server = StatusServer("127.0.0.1:0", snapshot=lambda: snapshot, board=board, token=None)
    try:
        dom = chromium(browse, tmp_path, "--dump-dom", server.url)
    finally:
        server.close()
    assert "<img src=x" not in dom
    assert "&lt;img src=x onerror=alert(1)&gt;" in dom
