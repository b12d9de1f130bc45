"""Video that plays, with the times it was given, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from reidpipe.errors import ConfigError, SinkError
from reidpipe.sinks.mp4 import cut_to_whole_fragments
from reidpipe.sinks.video import VideoSink, VideoWriter
from reidpipe.source.file import FileSource
from reidpipe.stages import Sink
from tests.sinks.results import result


def grey(value: int, width: int = 64, height: int = 48) -> Any:
    return np.full((height, width, 3), value, np.uint8)


def noise(seed: int, width: int = 128, height: int = 96) -> Any:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def record(path: Path, times: list[float], *, width: int = 64, height: int = 48, **options: Any) -> Path:
    writer = VideoWriter(path, **options)
    for number, time_s in enumerate(times):
        writer.write(grey(10 * number % 250, width, height), time_s)
    writer.close()
    return path


def times_of(path: Path) -> list[float]:
    return [frame.time_s for frame in FileSource(path).frames()]


def test_video_plays_in_a_browser(tmp_path: Path) -> None:
    """H.264, yuv420p, colours named, index before the data, one plain mp4 and nothing beside it."""
    path = record(tmp_path / "a.mp4", [i / 10 for i in range(30)], fps=10)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.frames, float(stream.duration * stream.time_base)) == (30, 3.0)
        assert stream.start_time == 0
        assert stream.codec_context.colorspace == 6
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    assert b"moof" not in data
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("fps", [7.0, 10.0, 25.0, 30000 / 1001, 0.5])
def test_video_has_the_real_rate(tmp_path: Path, fps: float) -> None:
    path = record(tmp_path / "a.mp4", [5 + i / fps for i in range(20)], fps=fps)
    source = FileSource(path)
    assert source.info.fps == pytest.approx(fps, rel=1e-4)
    np.testing.assert_allclose([f.time_s for f in source.frames()], np.arange(20) / fps, atol=1e-4)


def test_video_keeps_a_variable_rate(tmp_path: Path) -> None:
    times = [100.0, 100.04, 100.05, 100.5, 103.0, 103.001]
    assert times_of(record(tmp_path / "a.mp4", times)) == pytest.approx([t - 100 for t in times], abs=1e-4)


def test_video_times_that_do_not_grow_are_moved(tmp_path: Path) -> None:
    times = times_of(record(tmp_path / "a.mp4", [0.0, 0.1, 0.1, 0.05, 0.2]))
    assert times == sorted(set(times))
    assert times[-1] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(
    ("width", "height", "padded"),
    [(1, 1, (2, 2)), (2, 2, (2, 2)), (16, 16, (16, 16)), (33, 47, (34, 48)), (64, 47, (64, 48)), (641, 8, (642, 8))],
)
def test_video_any_size_becomes_even(tmp_path: Path, width: int, height: int, padded: tuple[int, int]) -> None:
    path = record(tmp_path / "a.mp4", [0, 0.1, 0.2], width=width, height=height)
    frames = list(FileSource(path).frames())
    assert len(frames) == 3
    assert frames[0].image.shape[1::-1] == padded
    assert abs(float(frames[2].image.mean()) - 20) < 3


def test_video_pictures_keep_their_colour(tmp_path: Path) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (0, 0, 255), (255, 128, 0)
    writer = VideoWriter(tmp_path / "a.mp4", crf=10)
    writer.write(image, 0)
    writer.close()
    got = next(FileSource(tmp_path / "a.mp4").frames()).image.astype(int)
    assert np.abs(got[24, 16] - (0, 0, 255)).max() <= 6
    assert np.abs(got[24, 48] - (255, 128, 0)).max() <= 6


def test_video_a_change_of_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4")
    for number, (width, height) in enumerate([(64, 48), (128, 96), (48, 96), (63, 47)]):
        writer.write(grey(200, width, height), number / 10)
    writer.close()
    images = [frame.image for frame in FileSource(tmp_path / "a.mp4").frames()]
    assert {image.shape for image in images} == {(48, 64, 3)}
    assert images[1].mean() > 190  # same shape: fills it
    assert images[2][24, 2].mean() < 20  # narrower: black beside it
    assert images[2][24, 32].mean() > 190


def test_video_without_a_picture_leaves_no_file(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.close()
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_video_refuses_existing_files_and_bad_numbers(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", [0.0])
    with pytest.raises(SinkError, match="exists already"):
        VideoWriter(path)
    assert len(times_of(record(path, [0.0, 0.1], overwrite=True))) == 2
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SinkError, match="cannot write"):
        VideoWriter(tmp_path / "file" / "a.mp4")
    with pytest.raises(ConfigError, match="crf"):
        VideoWriter(tmp_path / "b.mp4", crf=99)


@pytest.mark.parametrize("threads", [1, 2])
def test_video_is_the_same_bytes_every_time(tmp_path: Path, threads: int) -> None:
    for name in ("a", "b"):
        record(tmp_path / f"{name}.mp4", [i / 10 for i in range(12)], threads=threads)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_video_sink_one_file_for_each_camera(tmp_path: Path) -> None:
    annotated: list[str] = []

    def annotate(camera: str) -> Any:
        annotated.append(camera)
        return lambda one: one.frame.image + np.uint8(100)

    sink = VideoSink(tmp_path / "video", fps={"a": 10.0, "b/1": 5.0}, annotate=annotate)
    assert isinstance(sink, Sink)
    for index in range(4):
        sink.write(result("a", index, fps=10, fill=20))
        sink.write(result("b/1", index, fps=5, fill=40, size=(31, 33)))
    sink.close_camera("a")
    assert (tmp_path / "video" / "a.mp4").exists()
    sink.close()
    sink.close()
    assert annotated == ["a", "b/1"]
    assert sink.warnings == ()
    assert sorted(file.name for file in (tmp_path / "video").iterdir()) == ["a.mp4", "b%2F1.mp4"]
    assert FileSource(tmp_path / "video" / "b%2F1.mp4").info.fps == pytest.approx(5, abs=1e-3)
    assert next(FileSource(tmp_path / "video" / "a.mp4").frames()).image.mean() == pytest.approx(120, abs=2)


def test_video_sink_closes_every_file_when_the_drawing_fails(tmp_path: Path) -> None:
    def annotate(camera: str) -> Any:
        def draw(one: Any) -> Any:
            if camera == "b" and one.frame.index == 3:
                raise RuntimeError("drawing broke")
            return one.frame.image

        return draw

    sink = VideoSink(tmp_path, fps={}, annotate=annotate)

    def run() -> None:
        for index in range(9):
            sink.write(result("a", index))
            sink.write(result("b", index))

    with pytest.raises(RuntimeError, match="drawing broke"):
        run()
    sink.close()
    assert len(times_of(tmp_path / "a.mp4")) == 4
    assert len(times_of(tmp_path / "b.mp4")) == 3


def test_video_on_a_full_disk_plays_up_to_there(small_disk: Path) -> None:
    path = small_disk / "a.mp4"
    writer = VideoWriter(path, fps=10)
    written = []

    def fill() -> None:
        for index in range(2000):
            writer.write(noise(index), index / 10)
            written.append(index)

    with pytest.raises(SinkError, match="the disk is full"):
        fill()
    with pytest.raises(SinkError, match="earlier write failed"):
        writer.write(noise(0), 999.0)
    writer.close()
    assert [file.name for file in small_disk.iterdir()] == ["a.mp4"]
    times = times_of(path)
    assert 10 <= len(times) <= len(written)
    np.testing.assert_allclose(times, np.arange(len(times)) / 10, atol=1e-3)


def test_video_without_room_for_a_second_copy_stays_in_fragments(small_disk: Path) -> None:
    """More than half of the disk: complete, but it cannot be rewritten."""
    writer = VideoWriter(small_disk / "a.mp4", fps=2)
    index = 0
    while (small_disk / "a.mp4.part").stat().st_size < 140_000:
        writer.write(noise(index, 96, 64), index / 2)
        index += 1
    writer.close()
    assert writer.warning is not None
    assert "fragments" in writer.warning
    assert [file.name for file in small_disk.iterdir()] == ["a.mp4"]
    assert len(times_of(small_disk / "a.mp4")) == index


def test_video_fragments_are_cut_where_they_are_whole(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", fps=5)
    for index in range(35):
        writer.write(noise(index), index / 5)
    part = tmp_path / "a.mp4.part"
    whole = part.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) - 100])
    fragments = whole.count(b"moof")
    assert fragments >= 2
    assert cut_to_whole_fragments(tmp_path / "cut.mp4") == fragments - 1
    assert 8 * (fragments - 1) <= len(times_of(tmp_path / "cut.mp4")) <= 10 * (fragments - 1)
    (tmp_path / "none.mp4").write_bytes(whole[:20])
    assert cut_to_whole_fragments(tmp_path / "none.mp4") == 0
    writer.close()


SCRIPT = """
import sys, time
import numpy as np
from reidpipe.sinks.video import VideoWriter
rng = np.random.default_rng(0)
writer = VideoWriter(sys.argv[1], fps=5)
try:
    for index in range(10_000):
        writer.write(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8), index / 5)
        if index == 40:
            print("ready", flush=True)
        if index > 40:
            time.sleep(0.005)
finally:
    writer.close()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_video_is_valid_after_ctrl_c_and_playable_after_a_kill(tmp_path: Path, repo_root: Path, name: str) -> None:
    path = tmp_path / "a.mp4"
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        process.wait(30)
    if name == "SIGINT":
        assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
        assert len(times_of(path)) > 40
    else:
        assert [file.name for file in tmp_path.iterdir()] == ["a.mp4.part"]
        assert len(times_of(tmp_path / "a.mp4.part")) >= 20
