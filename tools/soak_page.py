"""The status page open for hours, in minutes: does the browser grow, does the server?

    python -m tools.soak_page --minutes 10
    nice -n 19 python -m tools.soak_page --minutes 60 --pace 3 --warm-up 20

Four cameras and people who come and go, served by a real server to a real Chromium: the page asks for states and
pictures as it always does, only more often (as often as it can, or ``--pace`` times its own), and every picture it asks
for is a new one. Its own pace is a state a second and five pictures a second of each camera; an hour below is that many
pictures (160 x 90, to get through them), in which 720 people come. Prints how steeply grew after the warm-up (half of
the time unless told): memory of the server, of all processes of the browser together and of the page's own (the
renderer), the JavaScript heap, nodes and listeners, with the limits between which that lies with 95 %.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import tempfile
import time
from collections import Counter
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
EVERY_S = 5.0
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


def browser_bytes(root: int) -> dict[str, int]:
    """Memory of a process and of all that it began, shared parts counted once: kind of process -> bytes."""
    parents = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    family, found = {root}, Counter[str]()
    for pid in sorted(parents):
        if pid in family or parents[pid] in family:
            family.add(pid)
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                command = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            kind = re.search(r"--type=([\w-]+)", command)
            size = sum(1024 * int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            found["main" if kind is None else kind[1]] += size
    return dict(found)


def reading(page: Page) -> dict[str, float]:
    """What is watched, at this moment."""
    give_back_memory()  # as a run does
    loaded = int(page.run("[...tiles.values()].reduce((sum, tile) => sum + tile.pictures, 0)"))
    heap, kinds = page.heap_bytes(), browser_bytes(page.process_id)
    counters = page.call("Memory.getDOMCounters")
    return {
        "hours": loaded / (5 * 3600 * len(CAMERAS)),
        "server_mb": resident_bytes() / 1e6,
        "browser_mb": sum(kinds.values()) / 1e6,
        "renderer_mb": kinds.get("renderer", 0) / 1e6,
        "heap_mb": heap / 1e6,
        "nodes": counters["nodes"],
        "listeners": counters["jsEventListeners"],
    }


def soak(minutes: float, pace: float, folder: Path) -> list[dict[str, float]]:
    """A row every few seconds, each with the minute."""
    server = StatusServer("127.0.0.1:0", snapshot=snapshot, board=Endless(), token=None)
    samples = folder / "samples.jsonl"  # not in memory: it is what is measured
    pictures_ms, state_ms = (0.0, 50.0) if pace == 0 else (200 / pace, 1000 / pace)
    try:
        with Page(folder / "profile", size=(400, 300)) as page:
            page.open(server.url)
            page.wait('document.querySelectorAll(".tile canvas").length == 4')
            page.call("Network.disable")  # which would keep what was loaded, for whoever debugs the page
            page.run(f"setInterval(refreshPictures, {pictures_ms}); setInterval(refresh, {state_ms});")
            begun = time.monotonic()
            for number in itertools.count(1):
                time.sleep(EVERY_S)
                minute = (time.monotonic() - begun) / 60
                row = {"minute": minute, **reading(page)}
                with samples.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                if number % 10 == 0:
                    print(json.dumps({name: round(value, 2) for name, value in row.items()}), flush=True)
                if minute >= minutes:
                    break
            if page.complaints:
                print(page.complaints[:3])
    finally:
        server.close()
    return [json.loads(line) for line in samples.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--pace", type=float, default=0.0, help="times the page's own; 0: as fast as it takes them")
    parser.add_argument("--warm-up", type=float, default=None, help="minutes that are not judged; half of all")
    settle_allocator()
    arguments = parser.parse_args()
    warm_up = arguments.minutes / 2 if arguments.warm_up is None else arguments.warm_up
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = soak(arguments.minutes, arguments.pace, Path(folder))
    late = [row for row in rows if row["minute"] >= warm_up]
    hours = [row["hours"] for row in late]
    print(f"{hours[-1] - hours[0]:.2f} hours of the page after the warm-up")
    for name in ("server_mb", "browser_mb", "renderer_mb", "heap_mb", "nodes", "listeners"):
        values = [row[name] for row in late]
        print(f"{name} an hour of the page: {slope(hours, values)}, low water {slope(hours, values, level=0.1)}")


if __name__ == "__main__":
    main()
