"""A live camera against scripted streams: no network, no waiting for clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source.backoff import Backoff
from reidpipe.source.live import LiveSource
from reidpipe.source.mailbox import Change
from reidpipe.source.stream import RawPicture, StreamError
from reidpipe.source.wallclock import RunClock
from reidpipe.stages import Source
from reidpipe.types import Frame

SECRET = "hunter2"
URI = f"rtsp://me:{SECRET}@10.0.0.7/s"


def picture(pts_s: float | None = 0.0, *, width: int = 8, height: int = 6) -> RawPicture:
    return RawPicture(pts_s, lambda: np.zeros((height, width, 3), np.uint8), width, height)


class Script:
    """Opens one session after the other; each is a list of pictures, None, calls, and perhaps an error at its end."""

    def __init__(self, *sessions: list[Any] | Exception) -> None:
        self.sessions = list(sessions)
        self.opened: list[tuple[str, float]] = []
        self.closed = 0
        self.hurried: list[int] = []
        self.over = threading.Event()

    def __call__(self, address: str, *, transport: str, open_s: float, read_s: float) -> Any:
        self.opened.append((address, read_s))
        if not self.sessions:
            self.over.set()
            raise StreamError("nothing left")
        session = self.sessions.pop(0)
        if isinstance(session, Exception):
            raise session
        return ScriptedStream(self, session)


class ScriptedStream:
    fps = 10.0
    damaged = 0

    def __init__(self, script: Script, items: list[Any]) -> None:
        self._script, self._items = script, items

    def pictures(self) -> Iterator[RawPicture | None]:
        for item in self._items:
            if isinstance(item, Exception):
                raise item
            if callable(item) and not isinstance(item, RawPicture):
                item()
            else:
                yield item

    def hurry(self, level: int) -> None:
        self._script.hurried.append(level)

    def close(self) -> None:
        self._script.closed += 1


def camera(script: Script, **options: Any) -> LiveSource:
    options = {"backoff": Backoff(first_s=1e-3, longest_s=2e-3)} | options
    return LiveSource(URI, camera="gate", opener=script, **options)


def run_to_end(source: LiveSource) -> list[Change]:
    changes: list[Change] = []
    source.start()
    deadline = time.monotonic() + 20
    while source.box.state != "ended" and time.monotonic() < deadline:
        source.box.wait(0.05)
        source.box.drop()
        changes += source.box.changes()
    source.close()
    return changes + source.box.changes()


def test_live_is_a_source_that_shows_no_credentials() -> None:
    source = camera(Script())
    assert isinstance(source, Source)
    assert source.info.uri == "rtsp://10.0.0.7/s"
    assert source.info.live
    assert SECRET not in repr(vars(source)["_info"])


def test_live_connects_anew_after_every_kind_of_fault() -> None:
    script = Script(
        StreamError("connection refused"),
        [picture(0.0), picture(0.1), StreamError("the stream ended")],
        [None, None, picture(5.0), StreamError("no data for 2 s")],
        RuntimeError(f"bug in rtsp://me:{SECRET}@10.0.0.7/s: {SECRET}"),
        [picture(None)],
    )
    source = camera(script, max_retries=2)
    changes = run_to_end(source)
    assert [change.state for change in changes] == ["down", "up", "down", "up", "down", "up", "down", "ended"]
    reasons = [change.reason for change in changes if change.state == "down"]
    assert reasons == ["connection refused", "the stream ended", "no data for 2 s", "the stream ended"]
    assert changes[-1].reason == "nothing left; given up after 2 retries"
    assert script.closed == 3
    assert (source.reconnects, source.stalls) == (2, 1)
    assert source.box.counts.received == 4
    assert not any(SECRET in change.reason for change in changes)
    assert {address for address, _ in script.opened} == {URI}


def test_live_reason_of_a_bug_is_told_without_secrets() -> None:
    source = camera(Script(RuntimeError(f"{URI} says {SECRET}\nsecond line")), max_retries=0)
    changes = run_to_end(source)
    assert changes[0].reason == "reading failed: RuntimeError: rtsp://10.0.0.7/s says *** second line"


def test_live_retries_start_anew_once_pictures_came() -> None:
    sessions: list[Any] = []
    for _ in range(4):
        sessions += [StreamError("away"), StreamError("away"), [picture()]]
    source = camera(Script(*sessions), max_retries=3)
    changes = run_to_end(source)
    assert [change.state for change in changes].count("up") == 4  # twelve failures in all, never four in a row


def test_live_size_may_change_on_reconnect_and_times_grow() -> None:
    script = Script([picture(100.0, width=8, height=6)], [picture(0.0, width=16, height=12)])
    source = camera(script, max_retries=0, backoff=Backoff(first_s=1e-3, longest_s=1e-3))
    done = threading.Event()
    frames: list[Frame] = []

    def read() -> None:
        with pytest.raises(SourceError, match="gate: nothing left"):
            frames.extend(source.frames())
        done.set()

    script.sessions[0].insert(0, lambda: _wait(lambda: source.box.waiting_s is None))  # type: ignore[union-attr]
    script.sessions[0].append(lambda: _wait(lambda: source.box.waiting_s is None))  # type: ignore[union-attr]
    script.sessions[1].append(lambda: _wait(lambda: source.box.waiting_s is None))  # type: ignore[union-attr]
    source._max_retries = 1
    threading.Thread(target=read, daemon=True).start()
    assert done.wait(20)
    assert [frame.image.shape for frame in frames] == [(6, 8, 3), (12, 16, 3)]
    assert frames[0].time_s < frames[1].time_s
    assert (source.info.width, source.info.height) == (16, 12)
    source.close()


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.001)


class HandClock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def later(self) -> None:
        self.now_s += 0.5

    def run(self) -> RunClock:
        return RunClock(lambda: 1e9 + self(), self)


def test_live_waits_longer_for_the_first_picture_of_a_connection() -> None:
    clock = HandClock()
    between_key_pictures = [item for _ in range(20) for item in (clock.later, None)]  # 10 s
    script = Script([*between_key_pictures, picture(0.0)], [*between_key_pictures * 4, picture(0.0)])
    source = camera(script, max_retries=1, clock=clock.run())
    changes = run_to_end(source)
    assert [change.state for change in changes] == ["up", "down", "ended"]
    assert changes[-1].reason == "data, but no picture for 30.5 s; given up after 1 retries"
    assert source.stalls == 1  # 40 s are too long
    assert clock.now_s == 10 + 30.5


def test_live_data_without_pictures_is_a_stall() -> None:
    clock = HandClock()
    garbage = [item for _ in range(20) for item in (clock.later, None)]
    source = camera(Script([picture(0.0), *garbage]), max_retries=0, clock=clock.run())
    changes = run_to_end(source)
    assert [change.state for change in changes[:2]] == ["up", "down"]
    assert changes[1].reason == "data, but no picture for 2.5 s"
    assert changes[1].time_s == pytest.approx(1e9)  # down since the last picture
    assert source.stalls == 1


def test_live_slow_camera_is_given_five_intervals() -> None:
    script = Script([picture(0.0)], [picture(0.0)])
    script_fps = ScriptedStream.fps
    source = camera(script, max_retries=1)
    assert source.stall_s == 2.0
    try:
        ScriptedStream.fps = 0.5
        run_to_end(source)
    finally:
        ScriptedStream.fps = script_fps
    assert source.stall_s == 10.0
    assert [read_s for _, read_s in script.opened][:2] == [2.0, 10.0]


def test_live_close_returns_at_once_while_a_stream_hangs() -> None:
    release = threading.Event()
    source = camera(Script([picture(), lambda: release.wait(30)]))
    source.start()
    assert source.box.wait(10)
    started = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - started < 5  # two joins of half a second, on a busy machine
    release.set()


def test_live_close_before_start_and_during_a_wait() -> None:
    camera(Script()).close()
    script = Script(StreamError("away"))
    source = camera(script, backoff=Backoff(first_s=3600, longest_s=3600))
    source.start()
    _wait(lambda: source.box.state == "down")
    source.close()
    _wait(lambda: source.box.state == "ended")
    assert source.box.state == "ended"
    assert [change.reason for change in source.box.changes()] == ["away", ""]


@pytest.mark.parametrize("bad", [{"stall_s": 0}, {"open_timeout_s": -1}, {"max_retries": -1}])
def test_live_refuses_numbers_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        camera(Script(), **bad)
