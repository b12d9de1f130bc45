"""How old a line of JSON is when it is out: from the moment a camera sees a picture, stage by stage.

A real RTSP server on this machine plays a clip as a camera would, each picture stamped with a number that can be read
from its pixels, and notes when it gave it to its encoder. The whole live run works on it; whoever reads its lines notes
when they come.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.build import fitted
from reidpipe.config import Config
from reidpipe.errors import ConfigError, SourceError
from reidpipe.live.job import LiveRun
from reidpipe.live.lineup import Lineup
from reidpipe.live.outputs import Outputs
from reidpipe.live.rtsp import RtspServer, stamped, why_not
from reidpipe.live.rtsp_script import BITS, CELL
from reidpipe.live.scheduler import Step
from reidpipe.live.setup import build_stages, live_config
from reidpipe.progress import Silent
from reidpipe.source import open_source
from reidpipe.source.live import LiveSource
from reidpipe.source.stream import LiveStream, RawPicture, Stream, Transport, open_container
from reidpipe.source.wallclock import RunClock
from reidpipe.types import Image

__all__ = ["Latency", "measure_latency", "read_stamp"]

_CLIP_S = 20.0
_HALF = 128
_SETTLE_S = 5.0
_WORK = ("detect", "embed", "track", "pool", "associate")
STAGES = ("camera", "decode", "wait", "convert", *_WORK, "write")
"""In order: until the packet is here (encoder and network), decoded, taken by the run, made BGR, the stages of the run,
until the line is out."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From glass to JSON.

    Attributes:
        pictures: measured.
        shown: by the camera in that time.
        fps: of the camera.
        p50_s: median age of a line when it is out, seconds.
        p99_s: the age that 99 in 100 are not above, seconds.
        stages_s: stage -> mean seconds of it, in the order of ``STAGES``; their sum is the mean age.
        level: of load at the end; 0: everything was done for each picture.
    """

    pictures: int
    shown: int
    fps: int
    p50_s: float
    p99_s: float
    stages_s: Mapping[str, float]
    level: int


def measure_latency(
    source: str | Path,
    *,
    config: Config | None = None,
    fps: int = 15,
    seconds: float = 60.0,
    transport: Transport = "tcp",
) -> Latency:
    """Play a clip through a real RTSP server and run on it; the first five seconds are not counted.

    Args:
        source: video file; its first 20 seconds are played again and again.
        config: settings of the run; the defaults when None.
        fps: pictures per second.
        seconds: how long.
        transport: of RTSP.

    Raises:
        ConfigError: ``fps`` or ``seconds`` is out of range, or this machine has no GStreamer RTSP server.
        SourceError: the clip cannot be read, or nothing came through.
    """
    if not (1 <= fps <= 120 and seconds > _SETTLE_S):
        raise ConfigError(f"fps must be 1 to 120 and the time over {_SETTLE_S:g} s, got {fps} and {seconds:g}")
    reason = why_not()
    if reason is not None:
        raise ConfigError(f"bench live {reason}")
    given = live_config(config or Config.load())
    live = given.live.model_copy(update={"transport": transport})
    given = fitted(given.model_copy(update={"live": live}))
    given = given.model_copy(update={"source": given.source.model_copy(update={"duration_s": seconds})})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        width, height = _raw_pictures(source, path / "raw", fps)
        log = path / "shown"
        mounts = {"/cam": stamped(path / "raw", log, width=width, height=height, fps=fps)}
        with RtspServer(mounts) as server:
            trial = _trial(server.url("/cam"), given, path / "out")
            trial.run()
        shown = dict(_shown(line) for line in log.read_text().splitlines())
        return _latency(trial, shown, fps)


def read_stamp(image: Image) -> int | None:
    """The number in a picture, see ``rtsp_script.stamp``; None when it cannot be read.

    Args:
        image: uint8 ``(H, W, 3)`` BGR.
    """
    height = image.shape[0]
    inside = slice(CELL // 4, -(CELL // 4))
    numbers = []
    for row in range(2):
        top = height - (2 - row) * CELL
        strip = image[top : top + CELL, : BITS * CELL].mean(axis=2).reshape(CELL, BITS, CELL)[inside, :, inside]
        bits = strip.mean(axis=(0, 2)) > _HALF
        numbers.append(int((bits * (1 << np.arange(BITS))).sum()))
    number, inverted = numbers
    return number if number ^ inverted == (1 << BITS) - 1 else None


def _raw_pictures(source: str | Path, raw: Path, fps: int) -> tuple[int, int]:
    """The clip as I420, in even numbers of pixels and wide enough for the stamp; returns width and height."""
    import cv2

    opened = open_source(str(source), camera="clip")
    try:
        size: tuple[int, int] | None = None
        due_s = 0.0
        with raw.open("wb") as file:
            for frame in opened.frames():
                if frame.time_s > _CLIP_S:
                    break
                if frame.time_s + 1e-6 < due_s:
                    continue
                image = frame.image
                if size is None:
                    size = (max(BITS * CELL, image.shape[1] & ~1), max(4 * CELL, image.shape[0] & ~1))
                if size != (image.shape[1], image.shape[0]):
                    image = np.asarray(cv2.resize(image, size), np.uint8)
                while due_s <= frame.time_s + 1e-6:  # a slower clip is shown as slowly, its pictures twice
                    file.write(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())
                    due_s += 1.0 / fps
    finally:
        opened.close()
    if size is None:
        raise SourceError("it holds no picture", camera="clip")
    return size


def _shown(line: str) -> tuple[int, float]:
    number, moment = line.split()
    return int(number), float(moment)


class _TimedStream(LiveStream):
    """Notes when a packet came, when its picture was decoded, when it was taken and when it was BGR."""

    packet = 0.0
    note: Callable[[Image, dict[str, float]], None]

    def _decode(self, packet: Any) -> list[Any]:
        self.packet = time.monotonic()
        return super()._decode(packet)

    def _raw(self, picture: Any) -> RawPicture:
        raw = super()._raw(picture)
        moments = {"packet": self.packet, "decoded": time.monotonic()}

        def make() -> Image:
            moments["taken"] = time.monotonic()
            image = raw.make()
            moments["ready"] = time.monotonic()
            self.note(image, moments)
            return image

        return raw._replace(make=make)


class _Trial(LiveRun):
    """A run that notes, for each picture, when it was where."""

    def begin(self) -> None:
        self.moments: dict[int, dict[str, float]] = {}
        self._numbers: dict[int, int] = {}
        self._newest: int | None = None

    def note(self, image: Image, moments: dict[str, float]) -> None:
        """In the run's thread, right before the picture is worked on."""
        self._newest = read_stamp(image)
        if self._newest is not None:
            self.moments[self._newest] = moments

    def _work(self, step: Step, outputs: Outputs) -> None:
        number, before = self._newest, dict(self._pipeline.seconds)
        if number is not None:
            self._numbers[step.frames[0].index] = number
        super()._work(step, outputs)
        if number is not None:
            spent = self._pipeline.seconds
            self.moments[number] |= {name: spent[name] - before.get(name, 0.0) for name in _WORK}

    def read(self, line: bytes) -> None:
        """A line is out."""
        record = json.loads(line)
        if "frame" in record and (number := self._numbers.get(record["frame"])) is not None:
            self.moments[number]["out"] = time.monotonic()

    @property
    def level(self) -> int:
        return self._governor.number


def _trial(url: str, config: Config, folder: Path) -> _Trial:
    clock = RunClock()

    def opener(address: str, *, transport: Transport, open_s: float, read_s: float) -> Stream:
        container = open_container(address, transport=transport, open_s=open_s, read_s=read_s)
        stream = _TimedStream(container, read_s=read_s)
        stream.note = trial.note
        return stream

    camera = LiveSource(url, camera="cam", transport=config.live.transport, clock=clock, opener=opener)
    pipeline, rations = build_stages(config, ["cam"])
    folder.mkdir()
    reader = _Reader()
    trial = _Trial(config, Lineup([camera]), pipeline, rations, folder, clock, Silent(), None, stream=reader)
    trial.begin()
    reader.trial = trial
    return trial


class _Reader:
    """Whoever reads the lines."""

    trial: _Trial

    def write(self, line: bytes) -> None:
        self.trial.read(line)

    def close(self) -> None: ...


def _latency(trial: _Trial, shown: Mapping[int, float], fps: int) -> Latency:
    whole = {number: m for number, m in trial.moments.items() if "out" in m and "detect" in m and number in shown}
    if not whole:
        raise SourceError("no picture came through", camera="cam")
    first_s = min(m["out"] for m in whole.values()) + _SETTLE_S
    last_s = max(m["out"] for m in whole.values())
    rows = [_stages(shown[number], m) for number, m in sorted(whole.items()) if shown[number] >= first_s]
    if not rows:
        raise SourceError("too few pictures came through to measure", camera="cam")
    ages = [sum(row.values()) for row in rows]
    p50_s, p99_s = np.percentile(ages, [50, 99]).tolist()
    means = {name: float(np.mean([row[name] for row in rows])) for name in STAGES}
    count = sum(first_s <= moment <= last_s for moment in shown.values())
    return Latency(len(rows), count, fps, p50_s, p99_s, means, trial.level)


def _stages(shown_s: float, m: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each stage; they add up to the age of the line."""
    work = {name: m[name] for name in _WORK}
    return {
        "camera": m["packet"] - shown_s,
        "decode": m["decoded"] - m["packet"],
        "wait": m["taken"] - m["decoded"],
        "convert": m["ready"] - m["taken"],
        **work,
        "write": m["out"] - m["ready"] - sum(work.values()),
    }
