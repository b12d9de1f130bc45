"""Outputs that fail under a live run: does the run notice? What share of the pictures that came was worked on, a table.

    python -m tools.faults_sinks                # needs root for a small disk, and mosquitto

Two cameras of 15 pictures a second with made-up stages, everything else is real: files on a disk of 6 MB that is full
for a while, recording included; a webhook that answers 500, or not at all; a Mosquitto killed and started again.

The output fails and works by turns, so that what else the machine does touches both alike. Each window in which it
fails is held against the two around it in which it works: pictures worked on, as a share of those that came, and
processor time for each of them. The table has the median of these ratios, and the least and the largest one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from reidpipe.config import Config
from reidpipe.live import run as live_run
from reidpipe.live import run_live
from reidpipe.live.rtsp import free_port
from reidpipe.live.scheduler import LiveCamera
from reidpipe.live.setup import open_cameras
from reidpipe.live.stages import RationedPooler
from reidpipe.pipeline import Pipeline
from reidpipe.types import Detections, Tracks
from tests.disks import small_disk
from tests.fakes import NONE, OneIdentity, OnePerson, RowTracker, UnitVectors
from tests.live.test_run_live import LiveVector
from tests.live.watch import until
from tests.videos import write_video
from tools.soak_rtsp import lengthened

FPS = 15
CAMERAS = ("gate", "yard")
TROUBLE = ("cannot", "answers", "did not")


class Window(NamedTuple):
    """A few seconds of a run.

    Attributes:
        received: pictures that came.
        processed: pictures that were worked on.
        cpu_s: processor time of the whole process, seconds.
    """

    received: int
    processed: int
    cpu_s: float

    @property
    def share(self) -> float:
        """Of the pictures that came, those that were worked on."""
        return self.processed / max(self.received, 1)

    @property
    def cpu_each_s(self) -> float:
        """Processor time for each picture that was worked on."""
        return self.cpu_s / max(self.processed, 1)


class Rates(NamedTuple):
    """What a fault cost, and what came of it.

    Attributes:
        working: windows in which the output worked, one more than of the others.
        failing: windows in which it failed, each between two of those.
        told: what the run said about it.
        lost_lines: of files or events.
        lost_pictures: of recorded video.
        in_order: what was delivered is what the run wrote, in its order, each line once.
    """

    working: list[Window]
    failing: list[Window]
    told: str
    lost_lines: int
    lost_pictures: int
    in_order: bool

    def ratios(self, value: Callable[[Window], float]) -> list[float]:
        """Of each failing window to the mean of its neighbours."""
        around = [(value(a) + value(b)) / 2 for a, b in itertools.pairwise(self.working)]
        return [value(one) / usual for one, usual in zip(self.failing, around, strict=True)]


class Restless(RowTracker):
    """Somebody new every ten pictures, so that there are events all the time."""

    def update(self, detections: Detections, time_s: float) -> Tracks:
        tracks = super().update(detections, time_s)
        shown = np.array([1 + self.updates // 10], np.int64)
        ended = shown[shown > 1] - 1 if self.updates % 10 == 0 else NONE
        self._last = Tracks(shown, tracks.boxes, tracks.scores, tracks.det_rows, ended)
        return self._last


def stages() -> tuple[Pipeline, RationedPooler]:
    """Made up, and as quick as can be."""
    pooler = RationedPooler(LiveVector())
    pipeline = Pipeline(
        detector=OnePerson(), embedder=UnitVectors(), tracker=Restless, pooler=pooler, associator=OneIdentity()
    )
    return pipeline, pooler


class Counting:
    """Counts pictures, remembers notes."""

    def __init__(self) -> None:
        self.pictures = 0
        self.notes: list[str] = []

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None: ...

    def frame(self, camera: str, *, people: int) -> None:  # noqa: ARG002
        self.pictures += 1

    def note(self, message: str) -> None:
        self.notes.append(message)

    @property
    def is_well(self) -> bool:
        """The last thing that was said about an output is that it works again."""
        return any("again" in note for note in self.notes[-1:])


class Fault(NamedTuple):
    """How an output is made to fail and to work again.

    Attributes:
        out: folder of the run.
        settings: of the run.
        begin: makes it fail.
        end: makes it work.
        delivered: lines of events that came out, in the order in which they came.
    """

    out: Path
    settings: dict[str, Any]
    begin: Callable[[], None]
    end: Callable[[], None]
    delivered: Callable[[], list[str]]


def measure(fault: Fault, clips: list[Path], seconds: float, *, rounds: int = 1) -> Rates:
    """A run with ``2 * rounds + 1`` windows of so many seconds, the output failing in every second one."""
    progress, stop, cameras = Counting(), threading.Event(), list[LiveCamera]()
    config = Config.load(values={"live.report_s": 0.2, "output.report": False, **fault.settings})

    def opened(*arguments: Any, **options: Any) -> list[LiveCamera]:
        cameras.extend(open_cameras(*arguments, **options))
        return list(cameras)

    def run() -> None:
        sources = [f"{name}={clip}" for name, clip in zip(CAMERAS, clips, strict=True)]
        options: dict[str, Any] = {"realtime": True, "force": True, "progress": progress, "stop": stop}
        run_live(sources, fault.out, config=config, **options)

    runner = threading.Thread(target=run)
    told = ""
    with (
        patch.object(live_run, "build_stages", lambda *_, **__: stages()),
        patch.object(live_run, "open_cameras", opened),
    ):
        runner.start()
        try:
            until(lambda: progress.pictures > 2 * FPS)
            working, failing = [window(progress, cameras, seconds)], list[Window]()
            for _ in range(rounds):
                fault.begin()
                failing.append(window(progress, cameras, seconds))
                troubles = (one for one in progress.notes if any(word in one for word in TROUBLE))
                told = told or next(troubles, "")
                fault.end()
                # What waited goes out now; that is neither of the two.
                until(lambda: progress.is_well, patience_s=60)
                working.append(window(progress, cameras, seconds))
            happened = len((fault.out / "events.jsonl").read_text().splitlines())
            until(lambda: len(fault.delivered()) >= happened, patience_s=60)  # what waited is delivered, all of it
        finally:
            stop.set()
            runner.join()
    live = json.loads((fault.out / "run.json").read_text())
    lost = next((int(w.split()[0]) for w in live["warnings"] if "missing in the recorded" in w), 0)
    wanted = iter((fault.out / "events.jsonl").read_text().splitlines())
    delivered = fault.delivered()
    in_order = len(delivered) > 10 and all(line in wanted for line in delivered)  # a subsequence, each line once
    return Rates(working, failing, told, live["live"]["lost_lines"], lost, in_order)


def window(progress: Counting, cameras: Sequence[LiveCamera], seconds: float) -> Window:
    """So many seconds of the run."""

    def now() -> tuple[int, int, float]:
        return sum(one.box.counts.received for one in cameras), progress.pictures, time.process_time()

    received, processed, cpu_s = now()
    time.sleep(seconds)
    later = now()
    return Window(later[0] - received, later[1] - processed, later[2] - cpu_s)


def disk_full(stack: ExitStack, folder: Path) -> Fault:
    """Files and video on a disk that something else fills to the last byte."""
    disk = stack.enter_context(small_disk(folder / "disk", "6m"))
    filler = disk / "filler"

    def fill() -> None:
        try:
            with filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1024))
        except OSError:
            return

    def lines() -> list[str]:
        """Pictures of a camera follow each other; the whole file is what was delivered."""
        records = [json.loads(line) for line in (disk / "out" / "frames.jsonl").read_text().splitlines()]
        own = [record["time_s"] for record in records if record["camera"] == CAMERAS[0]]
        whole = (disk / "out" / "events.jsonl").read_text().splitlines()
        return whole if own == sorted(set(own)) else []

    settings = {"live.record": True, "live.record_s": 2, "live.record_gb": 0.002}
    return Fault(disk / "out", settings, fill, filler.unlink, lines)


class Hook(ThreadingHTTPServer):
    """A webhook that does as it is told: a status, or no answer at all."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status: int | None = 200
        self.got: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        line = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = self.server.status
        if status is None:
            time.sleep(30)
            return
        if status == 200:
            self.server.got.append(line)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def hook(folder: Path, status: int | None) -> Fault:
    server = Hook()

    def answer(wanted: int | None) -> None:
        server.status = wanted

    send = [f"http://127.0.0.1:{server.server_address[1]}/hook"]
    return Fault(
        folder / "out", {"live.send": send}, lambda: answer(status), lambda: answer(200), lambda: list(server.got)
    )


def broker(stack: ExitStack, folder: Path) -> Fault:
    """Mosquitto, killed and started again."""
    from paho.mqtt import client
    from paho.mqtt.enums import CallbackAPIVersion

    port, got = free_port(), list[str]()
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        quiet = subprocess.DEVNULL
        running.append(subprocess.Popen([program, "-p", str(port)], stdout=quiet, stderr=quiet))
        until(lambda: _listens(port))

    def kill() -> None:
        running[-1].kill()
        running[-1].wait()

    start()
    stack.callback(kill)
    reader: Any = client.Client(CallbackAPIVersion.VERSION2)
    reader.on_connect = lambda *_: reader.subscribe("site", qos=1)
    reader.on_message = lambda _, __, message: got.append(message.payload.decode())
    reader.reconnect_delay_set(1, 1)
    reader.connect("127.0.0.1", port)
    reader.loop_start()
    stack.callback(reader.loop_stop)
    return Fault(folder / "out", {"live.send": [f"mqtt://127.0.0.1:{port}/site"]}, kill, start, lambda: list(got))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


FAULTS: dict[str, Callable[[ExitStack, Path], Fault]] = {
    "disk full": disk_full,
    "webhook 500": lambda _, folder: hook(folder, 500),
    "webhook hangs": lambda _, folder: hook(folder, None),
    "mosquitto killed": broker,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help=f"default: all of {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each window")
    parser.add_argument("--rounds", type=int, default=6, help="windows in which the output fails")
    arguments = parser.parse_args()
    seconds, rounds = arguments.seconds, arguments.rounds
    print(f"{'fault':<17}{'share':>7}{'failing/working':>26}{'cpu each':>24}  lost lines, pictures, order")
    with tempfile.TemporaryDirectory() as made:
        short = write_video(Path(made) / "short.mp4", frames=2 * FPS, fps=FPS)
        length_s = 4 * rounds * seconds + 120
        clips = [lengthened(short, Path(made) / f"{name}.mp4", length_s) for name in CAMERAS]
        for number, name in enumerate(arguments.faults or FAULTS):
            folder = Path(made) / str(number)
            folder.mkdir()
            with ExitStack() as stack:
                rates = measure(FAULTS[name](stack, folder), clips, seconds, rounds=rounds)
            usual = float(np.median([one.share for one in rates.working]))
            shares, costs = (middle(rates.ratios(of)) for of in (lambda w: w.share, lambda w: w.cpu_each_s))
            print(
                f"{name:<17}{usual:7.3f}{shares:>26}{costs:>24}  {rates.lost_lines}, {rates.lost_pictures}, "
                f"{'kept' if rates.in_order else 'BROKEN'}: {rates.told}",
                flush=True,
            )


def middle(ratios: list[float]) -> str:
    """Median, least and largest."""
    return f"{np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


if __name__ == "__main__":
    main()
