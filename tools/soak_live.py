"""Weeks of a live run in minutes: cameras as fast as the run takes them, people who come and go, what grows?

    python tools/soak_live.py --frames 200000 --out /tmp/soak

Detections and vectors are made up, everything else is real: mailboxes, scheduler, tracker, pooler, online association,
sinks with rotation. All that is remembered has a bound, and those bounds are reached in the first tenth. Prints memory,
open files, threads and milliseconds per picture (of the clock, and of the processor) for each tenth, the latter also by
stage, and as a multiple of a small fixed task (``yards``) that is timed again and again between the pictures: what else
the machine does slows both alike. ``yards_trend`` is how much they grow from the second tenth to the last, with 95 %
limits, by a line through all samples. At the end it prints how steeply memory grew over the second half, in MB for an
hour of the cameras' time, with the limits between which that lies with 95 %, and the same for all but the first tenth.
The samples are written to ``memory.jsonl`` as they come: hours of the cameras, MB. With ``--calls`` it counts the calls
of functions for each picture instead, Python's and those in C: what the machine does has no part in that, so a few
pictures tell what many would cost. It prints the functions that are called more often in the last tenth than in the
second, and times are then those of the profiler.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.associate.online import OnlineAssociator
from reidpipe.config import Config
from reidpipe.live.job import LiveRun
from reidpipe.live.lineup import Lineup
from reidpipe.live.overload import Governor, Level
from reidpipe.live.snapshot import resident_bytes
from reidpipe.live.stages import RationedPooler, RenumberedTracker
from reidpipe.live.trim import give_back_memory, settle_allocator
from reidpipe.pipeline import Pipeline
from reidpipe.pool import QualityPooler
from reidpipe.progress import Silent
from reidpipe.source.mailbox import Mailbox
from reidpipe.source.wallclock import RunClock
from reidpipe.stages import SourceInfo
from reidpipe.track.bytetrack import ByteTrack
from reidpipe.types import Boxes, Detections, Frame, Image, Vectors
from tools.slopes import Slope, slope

FPS = 10.0
STAY_S = 6.0
PEOPLE = 300
"""Who comes again and again; a second camera sees them at another time."""
SAMPLES = 400
YARDS_EACH = 3
"""The yardstick is laid so often for each sample."""
DIM = 64
IMAGE = np.zeros((240, 320, 3), np.uint8)
LOOKS = np.random.default_rng(0).normal(size=(PEOPLE, DIM)).astype(np.float32)
LOOKS /= np.linalg.norm(LOOKS, axis=1, keepdims=True)


class FastCamera:
    """Puts the next picture as soon as the last one was taken; goes down for a moment now and then."""

    reconnects = 0
    stalls = 0

    def __init__(self, name: str, frames: int, clock: RunClock) -> None:
        self.camera = name
        self.box = Mailbox(name)
        self.info = SourceInfo(name, 320, 240, FPS, None, live=True)
        self._left = frames
        self._number = 0
        self._start = clock.now()

    def start(self) -> None:
        self.box.change("up", self._start)

    def close(self) -> None: ...

    def feed(self) -> bool:
        """False when it is over."""
        if self.box.waiting_s is not None:
            return True
        if self._number == self._left:
            self.box.change("ended", self._start + self._number / FPS)
            return False
        if self._number % 5000 == 4999:
            self.box.change("down", self._start + self._number / FPS, "soak")
            self.box.change("up", self._start + self._number / FPS)
            self.reconnects += 1
        self.box.put(self._start + self._number / FPS, lambda: IMAGE)
        self._number += 1
        return True


class Visitors:
    """In each camera somebody every two seconds, who walks through in six. A vector for each, known by the height."""

    dim = DIM

    def detect_frames(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._seen(frame.index / FPS, 77 * int(frame.camera.removeprefix("cam"))) for frame in frames]

    def _seen(self, time_s: float, others: int) -> Detections:
        first = max(0, int((time_s - STAY_S) / 2) + 1)
        boxes = []
        for person in range(first, int(time_s / 2) + 1):
            x = 10 + (time_s - 2 * person) / STAY_S * 260
            y = 20 + 60 * (person % 3)
            boxes.append((x, y, x + 24, y + 50 + (person + others) % PEOPLE / 10))
        return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))

    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]:  # noqa: ARG002
        return [LOOKS[np.rint(10 * (one[:, 3] - one[:, 1] - 50)).astype(int)] for one in boxes]


class Calm(Governor):
    """Never sheds load: the soak is always busy, and every picture shall be worked on."""

    def worked(self, seconds: float, now: float) -> bool:  # noqa: ARG002
        return False

    @property
    def level(self) -> Level:
        return Level()


class Clocked(Pipeline):
    """Knows what each stage took of the processor, too."""

    cpu: defaultdict[str, float]

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begun = time.thread_time()
        with super().timed(name):
            yield
        self.cpu[name] += time.thread_time() - begun


class Soak(LiveRun):
    """A run that feeds its own cameras before each step, in its own thread, and measures."""

    tenths: list[dict[str, float]]
    memory: list[tuple[float, float]]
    costs: list[tuple[float, float]]
    calls: list[dict[str, float]]
    clocked: Clocked
    profile: cProfile.Profile | None = None
    sizes: dict[str, int]
    telling = False

    def measure(self, cameras: list[FastCamera], frames: int) -> None:
        self.fast, self.total, self.tenths, self.memory, self.costs, self.calls = cameras, frames, [], [], [], []
        self._last = (time.perf_counter(), time.process_time(), 0)
        self._sampled = self._last[1:]
        self._yards: list[float] = []
        self._stages = defaultdict[str, float](float)

    def _housekeeping(self, now: float, outputs: Any) -> None:
        for camera in self.fast:
            camera.feed()
        done = self._pipeline.counts["frames"]
        simulated_h = done / (FPS * len(self.fast) * 3600)
        if done >= (len(self.memory) + 1) * self.total // SAMPLES:
            give_back_memory()  # as the run does every half minute of its time
            self.memory.append((simulated_h, resident_bytes() / 1e6))
            if self.telling:
                with (self._folder / "memory.jsonl").open("a") as samples:
                    samples.write(json.dumps(self.memory[-1]) + "\n")
            if self.profile is None:  # whose counts it would be in
                self._cost(simulated_h, done)
        if done >= (len(self.tenths) + 1) * self.total // 10 and len(self.tenths) < 10:
            wall, cpu, before = self._last
            self._last = (time.perf_counter(), time.process_time(), done)
            each = 1000 / max(done - before, 1)
            cpu_ms = (self._last[1] - cpu - sum(self._yards)) * each
            yards = cpu_ms / max(1000 * float(np.mean(self._yards)), 1e-9) if self._yards else 0.0
            self._yards.clear()
            spent = {"ms": (self._last[0] - wall) * each, "cpu_ms": cpu_ms, "yards": yards}
            stages, self._stages = self._stages, self.clocked.cpu.copy()
            spent |= {f"{name}_ms": (total - stages[name]) * each for name, total in self._stages.items()}
            if self.profile is not None:
                self.calls.append(called(self.profile, done - before))
                spent["calls"] = sum(self.calls[-1].values())
            self.tenths.append({"frames": done, "hours": simulated_h, **spent, **resources()})
            if self.telling:
                print(json.dumps(self.tenths[-1]), flush=True)
        super()._housekeeping(now, outputs)

    def _cost(self, simulated_h: float, done: int) -> None:
        """What a picture took since the last sample, in yards."""
        cpu, (before_s, before) = time.process_time(), self._sampled
        laid = [yardstick() for _ in range(YARDS_EACH)]
        self._yards += laid
        if done > before:
            self.costs.append((simulated_h, (cpu - before_s) / (done - before) / float(np.mean(laid))))
        self._sampled = (time.process_time(), done)

    def _finish(self, outputs: Any) -> None:
        self.sizes = sizes(self._pipeline, outputs)
        super()._finish(outputs)


def called(profile: cProfile.Profile, pictures: int) -> dict[str, float]:
    """Function -> how often it was called for each picture since this was last asked."""
    profile.disable()
    found = defaultdict[str, float](float)
    for entry in profile.getstats():
        code = entry.code
        place = code if isinstance(code, str) else f"{Path(code.co_filename).name}:{code.co_firstlineno} {code.co_name}"
        found[place] += entry.callcount / pictures
    profile.clear()
    profile.enable()
    return found


def yardstick() -> float:
    """Processor seconds for a fixed task, of the kind that a picture is: some Python, some numpy."""
    begun, table = time.thread_time(), np.arange(4096, dtype=np.float32).reshape(64, 64)
    total = 0.0
    for number in range(400):
        total += float((table @ table[:, number % 64]).sum()) + sum(value * number for value in range(200))
    return time.thread_time() - begun if total else 0.0


def sizes(pipeline: Any, outputs: Any) -> dict[str, int]:
    """Entries of everything that is kept from picture to picture."""
    associator, memory = pipeline._associator, outputs.memory
    return {
        "pipeline.alive": len(pipeline._alive),
        "pipeline.global_ids": len(pipeline._global_ids),
        "pipeline.closed": len(pipeline._closed),
        "pooler.tracks": len(pipeline._pooler._pooler),
        "associator.tracks": len(associator._tracks),
        "review.recent": len(associator._review.recent),
        "gallery.people": len(associator._gallery.people),
        "gallery.members": sum(len(person.members) for person in associator._gallery.people.values()),
        "trackers.ids": sum(len(tracker._ids) for tracker in pipeline._trackers.values()),
        "events.visits": len(outputs.events._visits),
        "memory.tracklets": len(memory._tracklets),
        "memory.links": len(memory._links),
        "thumbnails.live": len(memory._thumbnails._live),
        "thumbnails.stored": len(memory._thumbnails._stored),
    }


def resources() -> dict[str, float]:
    """Memory in MB, open files, threads of this process."""
    return {
        "rss_mb": round(resident_bytes() / 1e6, 2),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
    }


def soak(
    frames: int,
    out: Path,
    *,
    cameras: int = 4,
    identities: int = 50,
    tracks: int = 100,
    reviews: bool = True,
    calls: bool = False,
    telling: bool = False,
) -> Soak:
    """Run it; ``frames`` over all cameras; without ``reviews`` the associator thinks about nobody twice."""
    clock = RunClock()
    names = [f"cam{number}" for number in range(cameras)]
    fast = [FastCamera(name, frames // cameras, clock) for name in names]
    ids = itertools.count(1)
    visitors = Visitors()
    pooler = RationedPooler(QualityPooler())
    make: Callable[..., OnlineAssociator] = OnlineAssociator if reviews else partial(OnlineAssociator, review_s=0.0)
    pipeline = Clocked(
        detector=visitors,
        embedder=visitors,
        tracker=lambda: RenumberedTracker(ByteTrack(), partial(next, ids)),
        pooler=pooler,
        associator=make(max_identities=identities, review_tracklets=tracks),
    )
    pipeline.cpu = defaultdict(float)
    config = Config.load(
        overrides=[f"live.max_tracks={tracks}", "live.rotate_mb=2", "live.keep_files=3", "live.report_s=0.5"]
    )
    out.mkdir(parents=True, exist_ok=True)
    run = Soak(config, Lineup(fast), pipeline, pooler, out, clock, Silent(), None, governor=Calm())
    run.measure(fast, frames)
    run.clocked = pipeline
    run.telling = telling
    if calls:
        run.profile = cProfile.Profile()
        run.profile.enable()
    run.run()
    if run.profile is not None:
        run.profile.disable()
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--tracks", type=int, default=100, help="remembered")
    parser.add_argument("--identities", type=int, default=50, help="remembered")
    parser.add_argument("--no-reviews", action="store_true", help="the associator thinks about nobody twice")
    parser.add_argument("--calls", action="store_true", help="count calls of functions, not time")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    settle_allocator()  # as the command does
    bounds = {"tracks": arguments.tracks, "identities": arguments.identities}
    more = {"reviews": not arguments.no_reviews, "calls": arguments.calls}
    run = soak(arguments.frames, arguments.out, **bounds, **more, telling=True)
    print(json.dumps(run.sizes))
    print(json.dumps(verdict(run.tenths)))
    if arguments.calls:
        before, after = run.calls[1], run.calls[-1]
        grown = {name: count - before.get(name, 0.0) for name, count in after.items()}
        for name in sorted(grown, key=lambda one: -grown[one])[:10]:
            print(f"{grown[name]:+.3f} calls a picture, of {before.get(name, 0.0):.3f}: {name}")
    if run.costs:
        print(f"yards_trend, last to second tenth: {trend(run.costs)}")
    for part, late in (
        ("the second half", run.memory[SAMPLES // 2 :]),
        ("all but the first tenth", run.memory[SAMPLES // 10 :]),
    ):
        hours, megabytes = map(list, zip(*late, strict=True))
        print(f"memory, MB an hour over {part}, with 95 % limits: {slope(hours, megabytes)}")


def trend(costs: list[tuple[float, float]]) -> Slope:
    """Last to second tenth, by a line through what each picture after the first tenth took, in yards."""
    late = costs[len(costs) // 10 :]
    hours, yards = map(list, zip(*late, strict=True))
    grown, reach = slope(hours, yards), 8 / 9 * (hours[-1] - hours[0])  # from the middle of one to that of the other
    begin = float(np.median(yards)) - grown.value * reach / 2
    return Slope(*(1 + one * reach / begin for one in grown))


def verdict(tenths: list[dict[str, float]]) -> dict[str, float]:
    """What the tenths after the first (the warm-up) say."""
    late = tenths[1:]
    ratios = {
        f"{name}_last_to_second": round(late[-1][name] / late[0][name], 4)
        for name in ("yards", "calls")
        if late[0].get(name)  # the one or the other
    }
    return {
        **ratios,
        "cpu_ms_last_to_second": round(late[-1]["cpu_ms"] / late[0]["cpu_ms"], 3),
        "ms_last_to_second": round(late[-1]["ms"] / late[0]["ms"], 3),
        "more_files": late[-1]["files"] - late[0]["files"],
        "more_threads": late[-1]["threads"] - late[0]["threads"],
    }


if __name__ == "__main__":
    main()
