"""Recording: segments that play, a quota, a disk that fails, and nobody who waits."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import SinkError
from reidpipe.live import recorder as recorder_module
from reidpipe.live.recorder import Recorder
from reidpipe.sinks.video import VideoWriter
from reidpipe.types import Frame, FrameResult, Tracks
from tests.live.watch import until
from tests.videos import read_video

START_S = 1_700_000_000.0


def result(index: int, *, camera: str = "gate", fps: float = 10.0, size: tuple[int, int] = (48, 64)) -> FrameResult:
    image = np.full((*size, 3), index % 200, np.uint8)
    return FrameResult(Frame(camera, index, START_S + index / fps, image), Tracks.empty(), np.zeros(0, np.int64))


def feed(recorder: Recorder, *results: FrameResult) -> None:
    """No faster than it records."""
    for one in results:
        recorder.write(one)
        until(lambda: not any(vars(recorder)["_queues"].values()))


def make(folder: Path, **options: Any) -> Recorder:
    return Recorder(folder, fps=lambda _: 10.0, **options)


def test_recorder_writes_segments_that_play(tmp_path: Path) -> None:
    recorder = make(tmp_path, segment_s=1.0)
    for index in range(25):
        feed(recorder, result(index), result(index, camera="yard/1"))
    recorder.close()
    recorder.close()
    segments = sorted((tmp_path / "gate").iterdir())
    names = ["20231114T221320.000Z.mp4", "20231114T221321.000Z.mp4", "20231114T221322.000Z.mp4"]
    assert [path.name for path in segments] == names
    assert [len(read_video(path)) for path in segments] == [10, 10, 5]
    assert [path.name for path in sorted((tmp_path / "yard%2F1").iterdir())] == names
    assert recorder.lost == 0


def test_recorder_finishes_the_file_of_a_camera_that_is_taken_out_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    recorder = make(tmp_path)
    feed(recorder, *(result(index) for index in range(3)), result(0, camera="yard"))
    recorder.end_camera("gate")
    recorder.end_camera("never")
    until(lambda: [path.suffix for path in (tmp_path / "gate").iterdir()] == [".mp4"])
    until(lambda: "gate" not in vars(recorder)["_annotators"])
    for kept in ("_queues", "_segments", "_annotators", "_retry_at"):
        assert set(vars(recorder)[kept]) <= {"yard"}
    assert not vars(recorder)["_ended"]
    feed(recorder, result(3), result(1, camera="yard"))  # it comes back
    recorder.close()
    assert [len(read_video(path)) for path in sorted((tmp_path / "gate").iterdir())] == [3, 1]
    assert [len(read_video(path)) for path in (tmp_path / "yard").iterdir()] == [2]
    assert recorder.lost == 0


def test_recorder_begins_anew_when_the_size_changes(tmp_path: Path) -> None:
    recorder = make(tmp_path)
    feed(recorder, *(result(index) for index in range(3)))
    feed(recorder, *(result(index, size=(32, 40)) for index in range(3, 6)))
    recorder.close()
    shapes = [read_video(path)[0].shape for path in sorted((tmp_path / "gate").iterdir())]
    assert shapes == [(48, 64, 3), (32, 40, 3)]


def test_recorder_keeps_its_quota_by_dropping_the_oldest(tmp_path: Path) -> None:
    old = tmp_path / "yard%2F1" / "20200101T000000.000Z.mp4"
    old.parent.mkdir()
    old.write_bytes(b"x" * 1_000_000)
    newer = tmp_path / "gate" / "20210101T000000.000Z.mp4"
    newer.parent.mkdir()
    newer.write_bytes(b"x" * 1_000_000)
    (tmp_path / "notes.txt").write_text("not a segment")
    recorder = make(tmp_path, quota_bytes=1_500_000)
    feed(recorder, result(0))
    recorder.close()
    assert not old.exists()
    assert newer.exists()
    assert (tmp_path / "notes.txt").exists()


def test_recorder_that_is_slow_drops_the_oldest_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    class Slow:
        def __init__(self, *_: object, **__: object) -> None: ...

        def annotate(self, one: FrameResult) -> Any:
            go.wait(30)
            return one.frame.image

    monkeypatch.setattr(recorder_module, "Annotator", Slow)
    recorder = make(tmp_path)
    for index in range(100):
        recorder.write(result(index))
    assert recorder.lost >= 90
    go.set()
    recorder.close()
    pictures = read_video(next((tmp_path / "gate").iterdir()))
    assert len(pictures) == 100 - recorder.lost
    assert abs(int(pictures[-1][0, 0, 0]) - 99) < 6


def test_recorder_with_a_full_disk_goes_on_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = [True]

    class Writer(VideoWriter):
        def write(self, image: Any, time_s: float) -> None:
            if full[0]:
                raise SinkError("the disk is full")
            super().write(image, time_s)

    monkeypatch.setattr(recorder_module, "VideoWriter", Writer)
    monkeypatch.setattr(recorder_module, "_RETRY_S", 0.05)
    recorder = make(tmp_path)
    feed(recorder, result(0))
    until(lambda: recorder.error is not None)
    full[0] = False
    for index in range(1, 5):
        time.sleep(0.06)
        feed(recorder, result(index))
    recorder.close()
    assert recorder.lost >= 1
    assert vars(recorder)["error"] is None
    assert sum(len(read_video(path)) for path in (tmp_path / "gate").iterdir()) == 5 - recorder.lost
