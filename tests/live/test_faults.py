"""Outputs that fail for real, and a clock that is set, under a whole run; ``tools/faults_*`` print what it costs."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from reidpipe.live import run as live_run
from reidpipe.source.wallclock import RunClock
from tests.live.test_run_live import Run, fake_stages, info, read
from tests.live.watch import until
from tests.videos import write_video
from tools.faults_sinks import CAMERAS, FPS, disk_full, hook, measure
from tools.soak_rtsp import lengthened


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Two minutes each."""
    short = write_video(tmp_path / "short.mp4", frames=2 * FPS, fps=FPS)
    return [lengthened(short, tmp_path / f"{name}.mp4", 120.0) for name in CAMERAS]


def test_faults_disk_full_while_recording_stops_nothing_and_recovers(tmp_path: Path, clips: list[Path]) -> None:
    with ExitStack() as stack:
        try:
            fault = disk_full(stack, tmp_path)
        except OSError as error:
            pytest.skip(str(error))
        rates = measure(fault, clips, 3.0)
    assert "the disk is full" in rates.told
    assert rates.lost_pictures > 0  # of the video; lines waited
    assert rates.lost_lines == 0
    assert rates.in_order
    assert rates.failing[0].processed > 0  # how many is for tools/faults_sinks to say: it depends on the machine


def test_faults_webhook_that_refuses_gets_all_events_in_order_later(tmp_path: Path, clips: list[Path]) -> None:
    rates = measure(hook(tmp_path, 500), clips, 3.0)
    assert "webhook" in rates.told
    assert rates.in_order
    assert rates.failing[0].processed > 0  # how many is for tools/faults_sinks to say: it depends on the machine


def test_faults_clock_set_by_an_hour_is_told_and_moves_no_picture(
    tmp_path: Path, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = [0.0]
    monkeypatch.setattr(live_run, "RunClock", partial(RunClock, wall=lambda: time.time() + shift[0]))
    monkeypatch.setattr(live_run, "build_stages", lambda *_, **__: fake_stages())
    run = Run([f"a={clips[0]}"], tmp_path / "out", realtime=True)
    until(lambda: bool(run.events("link", "a")))
    shift[0] = 3600.0
    until(lambda: bool(run.events("clock", "*")))
    told = time.time()
    until(lambda: time.time() > told + 2)
    run.end()
    (event,) = run.events("clock", "*")
    assert 3590 < event["offset_s"] <= 3600
    assert not run.events("camera_down", "a")
    assert not run.events("leave", "a")[:-1]  # nobody left before the end
    times = [record["time_s"] for record in read(run.out, "frames.jsonl", "frame")]
    assert max(later - sooner for sooner, later in itertools.pairwise(times)) < 1.5
    assert times == sorted(set(times))
    assert info(run.out)["status"] == "interrupted"
