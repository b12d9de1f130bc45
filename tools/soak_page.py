"""The status page open for hours, in minutes: does the browser grow, does the server?

    python -m tools.soak_page --minutes 10

Four cameras and people who come and go, served by a real server to a real Chromium as fast as it takes them: the page
asks for states and pictures as it always does, only without its pauses, and every picture it asks for is a new one. Its
own pace is a state a second and five pictures a second of each camera; an hour below is that many pictures (160 x 90,
to get through them), in which 720 people come. Prints how steeply grew over the second half: memory of the server,
of all processes of the browser together, and the JavaScript heap, with the limits between which that lies with 95 %.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from reidpipe.live.board import Board
from reidpipe.live.server import StatusServer
from reidpipe.live.snapshot import CameraSnapshot, Snapshot, resident_bytes
from reidpipe.live.trim import give_back_memory, settle_allocator
from reidpipe.types import Frame, FrameResult, Tracks
from tests.live.browser import Page
from tools.slopes import slope

CAMERAS = tuple(f"cam{number}" for number in range(4))
EVERY_S = 3.0
FASTER = """
setInterval(refreshPictures, 0);
setInterval(refresh, 50);
"""
RNG = np.random.default_rng(0)
IMAGES = [np.kron(RNG.integers(0, 255, (9, 16, 3), np.uint8), np.ones((10, 10, 1), np.uint8)) for _ in range(9)]


class Endless(Board):
    """Whoever asks for a picture is given a new one: with two people, of whom one is new every 25 pictures.

    The list of people is full from the start: until then it grows, and is meant to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._numbers = {camera: itertools.count() for camera in CAMERAS}
        for camera in 250 * 25 * CAMERAS:
            self._feed(camera)

    def picture(self, camera: str) -> bytes | None:
        """See ``Board``."""
        self._feed(camera)
        return super().picture(camera)

    def _feed(self, camera: str) -> None:
        index = next(self._numbers[camera])
        boxes = np.array([[5 + index % 60, 15, 25 + index % 60, 75], [100, 15, 120, 75]], np.float32)
        ids = np.array([1 + index // 25, 2 + index // 25], np.int64)
        tracks = Tracks(ids, boxes, np.full(2, 0.9, np.float32), np.arange(2))
        self.see(FrameResult(Frame(camera, index, time.time(), IMAGES[index % len(IMAGES)]), tracks, ids))


def snapshot() -> Snapshot:
    """Four cameras that work."""
    cameras = tuple(CameraSnapshot(name, "up", 15.0, 100, 80, 40, 20, 1, 2, 3, 2, 0.1) for name in CAMERAS)
    return Snapshot(cameras, 0, 0.5, 0.1, 0.2, 7, {}, 0, 0, 0.1, 60.0)


def browser_bytes(root: int) -> int:
    """Memory of a process and all that it began, shared parts counted once."""
    parents = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    family, total = {root}, 0
    for pid in sorted(parents):
        if pid in family or parents[pid] in family:
            family.add(pid)
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(1024 * int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total


def soak(minutes: float, folder: Path) -> list[dict[str, float]]:
    """A row every few seconds."""
    rows = list[dict[str, float]]()
    server = StatusServer("127.0.0.1:0", snapshot=snapshot, board=Endless(), token=None)
    try:
        with Page(folder / "profile", size=(400, 300)) as page:
            page.open(server.url)
            page.wait('document.querySelectorAll(".tile canvas").length == 4')
            page.call("Network.disable")  # which would keep what was loaded, for whoever debugs the page
            page.run(FASTER)
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                time.sleep(EVERY_S)
                give_back_memory()  # as a run does
                heap, loaded = (
                    page.heap_bytes(),
                    int(page.run("[...tiles.values()].reduce((sum, tile) => sum + tile.pictures, 0)")),
                )
                row = {"server_mb": resident_bytes() / 1e6, "browser_mb": browser_bytes(page.process_id) / 1e6}
                rows.append({"hours": loaded / (5 * 3600 * len(CAMERAS)), **row, "heap_mb": heap / 1e6})
                if len(rows) % 10 == 0:
                    print(json.dumps({name: round(value, 2) for name, value in rows[-1].items()}), flush=True)
            if page.complaints:
                print(page.complaints[:3])
    finally:
        server.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    settle_allocator()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = soak(parser.parse_args().minutes, Path(folder))
    late = rows[len(rows) // 2 :]
    hours = [row["hours"] for row in late]
    for name in ("server_mb", "browser_mb", "heap_mb"):
        values = [row[name] for row in late]
        print(f"{name} an hour of the page: {slope(hours, values)}, low water {slope(hours, values, level=0.1)}")


if __name__ == "__main__":
    main()
