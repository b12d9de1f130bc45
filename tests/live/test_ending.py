"""A run that is told to stop is over in time, and says what it left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from reidpipe.config import Config
from reidpipe.live import closing, run_live
from reidpipe.live import run as live_run
from reidpipe.live.background import BackgroundAssociator
from reidpipe.live.ending import Ending
from reidpipe.live.memory import Memory
from reidpipe.live.stages import RationedPooler
from reidpipe.pipeline import Pipeline
from reidpipe.schemas import load_schema
from reidpipe.sinks.identities import write_identities
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.types import Frame, FrameResult, Link, TrackKey, Tracklet, Tracks
from tests.fakes import OnePerson, RowTracker, UnitVectors
from tests.live.conftest import Serve
from tests.live.server import pattern
from tests.live.test_run_live import Long, Run, info, read
from tests.live.watch import until
from tests.videos import write_video
from tools.soak_rtsp import lengthened

QUICK = Config.load(overrides=["live.report_s=0.1", "output.report=false"])
LATE_S = 2.0
"""Added to what must be over in time, for a machine that does other things."""


def told() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_ending_gives_all_the_time_until_the_run_is_told_to_stop() -> None:
    stop = threading.Event()
    ending = Ending(stop, print)
    assert ending.seconds(30.0, by=2.0) == 30.0
    assert not ending.is_too_late("pictures", by=0.0)
    stop.set()
    assert 1.0 < ending.seconds(30.0, by=2.0) <= 2.0
    assert ending.seconds(0.1, by=2.0) == 0.1
    assert ending.seconds(30.0, by=0.0) == 0.0
    assert ending.is_too_late("pictures", by=0.0)
    assert ending.is_too_late("pictures", by=0.0)
    assert ending.left_out == ["pictures"]


def test_ending_that_is_over_in_time_cuts_nothing() -> None:
    stop, cut, began = threading.Event(), threading.Event(), threading.Event()
    said: list[str] = []
    with Ending(stop, said.append, cut=cut.set, limit_s=0.3) as ending:
        ending.at_once = began.set
        stop.set()
        assert began.wait(30)
    assert not cut.wait(0.6)
    assert not said


def test_ending_that_takes_too_long_says_what_is_missing_and_cuts() -> None:
    stop, cut, last = threading.Event(), threading.Event(), threading.Event()
    said: list[str] = []
    with Ending(stop, said.append, cut=cut.set, limit_s=0.1) as ending:
        ending.doing, ending.at_last = "identities.json", last.set
        ending.leave_out("who is who")
        stop.set()
        assert cut.wait(30)
        assert last.is_set()
    assert said == ["cut off 0.1 s after it was told to stop; left out: who is who, all from identities.json on"]


def test_ending_cuts_though_the_log_hangs() -> None:
    cut, hangs = threading.Event(), threading.Event()

    def say(_: str) -> None:
        hangs.wait(60)

    with Ending(told(), say, cut=cut.set, limit_s=0.05):
        assert cut.wait(30)
    hangs.set()


def test_ending_without_a_cut_waits_and_says_for_what() -> None:
    said: list[str] = []
    with Ending(told(), said.append, limit_s=0.05) as ending:
        ending.doing = "identities.json"
        until(lambda: bool(said))
    assert said == ["told to stop 0.05 s ago, and not over yet: identities.json"]
    assert ending.left_out == []


class Hanging:
    """Decides at once while the run goes on, and never at its end."""

    over = threading.Event()

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        return [Link(t.key, 1, 1.0, time_s) for t in tracklets]

    def close(self) -> list[Link]:
        self.over.wait(60)
        return []


def hanging_stages(_config: Config, _names: Any, *, ending: Ending, **_: Any) -> tuple[Any, RationedPooler]:
    pooler = RationedPooler(Long())
    associator = BackgroundAssociator(Hanging(), ending=ending)
    stages: dict[str, Any] = {"detector": OnePerson(), "embedder": UnitVectors(), "tracker": RowTracker}
    return Pipeline(**stages, pooler=pooler, associator=associator), pooler


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return lengthened(write_video(tmp_path / "short.mp4", frames=20, fps=10), tmp_path / "a.mp4", 120.0)


def test_run_told_to_stop_while_nobody_can_be_decided_ends_in_time(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "build_stages", hanging_stages)
    run = Run([str(clip)], tmp_path / "out", config=QUICK, realtime=True)
    until(lambda: bool(run.events("link", "a")))
    begun = time.monotonic()
    run.end()
    assert time.monotonic() - begun < 4.0 + LATE_S
    Hanging.over.set()
    warnings = info(run.out)["warnings"]
    assert "left out, there was no time at the end: who is who of some tracks" in warnings
    assert [one["global_id"] for one in json.loads((run.out / "identities.json").read_text())["identities"]] == [1]
    assert run.events("leave", "a")


def test_run_that_cannot_end_is_cut_off_and_leaves_valid_files(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "build_stages", hanging_stages)
    hangs, cut, lines = threading.Event(), threading.Event(), []

    class Notes:
        def phase(self, name: str, totals: Any) -> None: ...
        def frame(self, camera: str, *, people: int) -> None: ...
        def note(self, message: str) -> None:
            lines.append(message)

    def write(*_: Any, **__: Any) -> int:
        hangs.wait(60)
        return 0

    monkeypatch.setattr(Memory, "write", write)
    Hanging.over.set()
    run = Run([str(clip)], tmp_path / "out", config=QUICK, realtime=True, cut=cut.set, progress=Notes())
    until(lambda: bool(run.events("link", "a")))
    begun = time.monotonic()
    run.stop.set()
    assert cut.wait(30)
    assert 3.0 < time.monotonic() - begun < 4.0 + LATE_S
    record = info(run.out)
    assert record["status"] == "interrupted"
    assert "left out, there was no time at the end: all from identities.json on" in record["warnings"]
    assert any(line.startswith("cut off 3.5 s after") and "identities.json" in line for line in lines)
    assert read(run.out, "frames.jsonl", "frame")
    assert read(run.out, "events.jsonl", "event")
    hangs.set()
    run.end()


def test_identities_are_written_without_pictures_when_time_runs_out(tmp_path: Path) -> None:
    tracks = Tracks(
        np.array([1, 2], np.int64),
        np.array([[0, 0, 20, 40], [40, 0, 60, 40]], np.float32),
        np.full(2, 0.9, np.float32),
        np.arange(2),
    )
    keeper = ThumbnailKeeper(tmp_path)
    image = np.full((64, 64, 3), 99, np.uint8)
    keeper.update(FrameResult(Frame("a", 0, 1.0, image), tracks, np.array([1, 2], np.int64)))
    vector = np.array([1, 0], np.float32)
    keys = [TrackKey("a", 1), TrackKey("a", 2)]
    asked: list[int] = []

    def hurried() -> bool:
        asked.append(1)
        return len(asked) == 2

    tracklets = [Tracklet(key, vector, 1, 0.5, 0.0, 1.0, closed=True) for key in keys]
    links = [Link(key, key.track_id, 1.0, 0.0) for key in keys]
    assert write_identities(tmp_path, tracklets, links, thumbnails=keeper, hurried=hurried) == 2
    keeper.close()
    record = json.loads((tmp_path / "identities.json").read_text())
    jsonschema.Draft202012Validator(load_schema("identities")).validate(record)
    assert [one["thumbnail"] for one in record["identities"]] == ["thumbnails/1.jpg", None]
    assert [path.name for path in (tmp_path / "thumbnails").iterdir()] == ["1.jpg"]


def test_report_that_takes_long_is_left_for_later_when_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        live_run, "build_stages", lambda config, names, **more: hanging_stages(config, names, ending=more["ending"])
    )
    Hanging.over.set()
    out = tmp_path / "out"
    run_live([write_video(tmp_path / "a.mp4", frames=10, fps=20)], out, config=QUICK, realtime=True)
    calm, hurried = Ending(threading.Event(), print), Ending(told(), print)
    late = Ending(told(), print)
    assert late.seconds(60.0, by=0.0) == 0.0  # its time begins to run
    with monkeypatch.context() as slow:
        slow.setattr(closing, "_READY_BY_S", 60.0)
        assert closing.report_at_end(out, tracks=1, ending=hurried, patience_s=60.0) is None
        (out / "report.html").unlink()
        over = threading.Event()
        slow.setattr(closing, "build_report", lambda _: over.wait(60))
        assert "reidpipe report" in str(closing.report_at_end(out, tracks=1, ending=hurried, patience_s=0.3))
        over.set()
        assert "reidpipe report" in str(closing.report_at_end(out, tracks=10_000, ending=hurried))
        slow.setattr(closing, "_READY_BY_S", 0.0)
        assert "reidpipe report" in str(closing.report_at_end(out, tracks=1, ending=late))
    monkeypatch.setattr(closing, "_MOST_BYTES", 10)
    assert "reidpipe report" in str(closing.report_at_end(out, tracks=1, ending=hurried))
    assert not (out / "report.html").exists()
    assert closing.report_at_end(out, tracks=1, ending=calm) is None
    (out / "run.json").write_text("{")
    assert "no report" in str(closing.report_at_end(out, tracks=1, ending=calm))


@pytest.fixture
def busy_machine() -> Iterator[Callable[[], None]]:
    """Begins twice as many processes as there are cores that do nothing but count, and let nobody else do much."""
    others: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        counting = [sys.executable, "-c", "while True: pass"]
        others.extend(subprocess.Popen(counting) for _ in range(2 * (os.cpu_count() or 1)))

    yield begin
    for other in others:
        other.kill()
        other.wait()


def test_live_command_ends_in_time_on_a_machine_with_too_much_to_do(
    tmp_path: Path, serve: Serve, busy_machine: Callable[[], None]
) -> None:
    server = serve({"/a": {"launch": pattern()}})
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "reidpipe", "run", f"a={server.url('/a')}", "-o", str(out), "--log", "json"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        frames = out / "frames.jsonl"
        until(lambda: process.poll() is not None or (frames.exists() and frames.stat().st_size > 1000), patience_s=120)
        busy_machine()
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        took_s = time.monotonic() - begun
    finally:
        process.kill()
    assert took_s < 5.0 + LATE_S, errors
    assert process.returncode in (0, 130), errors
    assert info(out)["status"] == ("complete" if process.returncode == 0 else "interrupted")
    assert read(out, "frames.jsonl", "frame")
