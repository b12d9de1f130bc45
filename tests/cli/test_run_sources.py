"""`reidpipe run` with unusual and broken sources: one clear line and exit 2, or results that say what was odd."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.command import complaint, frame_lines, reidpipe, run_info
from tests.videos import noise, read_video, write_audio, write_video


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mp4", None, "no such file"),
        ("text.mp4", b"this is no video\n" * 40, "text.mp4"),
        ("empty.mp4", b"", "empty"),
    ],
)
def test_run_refuses_what_is_no_video(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert message in complaint(reidpipe("run", path, "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_run_refuses_a_file_with_sound_only(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "sound.mp4")
    assert "sound" in complaint(reidpipe("run", path, "-o", tmp_path / "out"))


def test_run_refuses_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "folder" in complaint(reidpipe("run", tmp_path / "folder", "-o", tmp_path / "out"))


def test_run_one_bad_source_of_two_starts_nothing(tmp_path: Path) -> None:
    good = write_video(tmp_path / "good.mp4")
    assert "gone" in complaint(reidpipe("run", good, tmp_path / "gone.mp4", "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_run_processes_what_is_there_of_a_truncated_file_and_says_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", frames=60, width=320, height=240, movflags="+faststart").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    result = reidpipe("run", path, "-o", tmp_path / "out", "--no-save-video")
    assert result.exit_code == 0
    info = run_info(tmp_path / "out")
    assert info["status"] == "complete"
    assert 0 < info["sources"][0]["frames"] < 60
    assert any("truncated" in warning for warning in info["warnings"])
    assert "truncated" in result.stderr


@pytest.mark.parametrize(
    ("width", "height", "codec", "pix_fmt"),
    [
        (1, 1, "ffv1", "bgr0"),
        (16, 16, "libx264", "yuv420p"),
        (65, 47, "ffv1", "yuv444p"),
        (64, 48, "ffv1", "gray"),
        (64, 48, "libx264", "yuv420p10le"),
    ],
)
def test_run_takes_any_size_and_pixel_format(tmp_path: Path, width: int, height: int, codec: str, pix_fmt: str) -> None:
    suffix = ".mkv" if codec == "ffv1" else ".mp4"
    path = write_video(tmp_path / f"odd{suffix}", frames=3, width=width, height=height, codec=codec, pix_fmt=pix_fmt)
    assert reidpipe("run", path, "-o", tmp_path / "out").exit_code == 0
    assert len(frame_lines(tmp_path / "out")) == 3
    pictures = read_video(tmp_path / "out" / "video" / "odd.mp4")
    assert len(pictures) == 3
    assert pictures[0].shape == (height + height % 2, width + width % 2, 3)


def test_run_takes_one_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", frames=1)
    assert reidpipe("run", path, "-o", tmp_path / "out").exit_code == 0
    assert len(frame_lines(tmp_path / "out")) == 1
    assert len(read_video(tmp_path / "out" / "video" / "one.mp4")) == 1


def test_run_without_any_person_says_so_and_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "grey"
    path.mkdir()
    for index in range(3):
        cv2.imwrite(str(path / f"{index}.png"), np.full((96, 128, 3), 127, np.uint8))
    result = reidpipe("run", path, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert run_info(tmp_path / "out")["counts"]["identities"] == 0
    assert "no person was found" in result.stderr


def test_run_gives_two_sources_of_one_name_their_own(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "cam.mp4", frames=2)
    assert reidpipe("run", tmp_path / "x/cam.mp4", tmp_path / "y/cam.mp4", "-o", tmp_path / "out").exit_code == 0
    assert {line["camera"] for line in frame_lines(tmp_path / "out")} == {"cam", "cam-2"}


def test_run_takes_the_same_file_twice(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=2)
    assert reidpipe("run", path, path, "-o", tmp_path / "out").exit_code == 0
    assert len(run_info(tmp_path / "out")["sources"]) == 2


def test_run_refuses_one_name_given_twice(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=2)
    assert "gate" in complaint(reidpipe("run", f"gate={path}", f"gate={path}", "-o", tmp_path / "out"))


def test_run_reads_cameras_of_different_rate_and_length(tmp_path: Path) -> None:
    slow = write_video(tmp_path / "slow.mp4", frames=4, fps=5)
    fast = write_video(tmp_path / "fast.mp4", frames=25, fps=25)
    assert reidpipe("run", slow, fast, "-o", tmp_path / "out", "--no-save-video").exit_code == 0
    lines = frame_lines(tmp_path / "out")
    assert [sum(line["camera"] == name for line in lines) for name in ("slow", "fast")] == [4, 25]
    times = [line["time_s"] for line in lines]
    assert all(later >= earlier - 0.5 / 25 for earlier, later in pairwise(times))


def test_run_start_and_duration_choose_the_part(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=30, fps=10)
    options = ("--start", "1", "--duration", "0.5", "--no-save-video")
    assert reidpipe("run", path, "-o", tmp_path / "out", *options).exit_code == 0
    assert [line["frame"] for line in frame_lines(tmp_path / "out")] == [10, 11, 12, 13, 14]


def test_run_refuses_a_start_after_the_end(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam.mp4", frames=5)
    assert "start" in complaint(reidpipe("run", path, "-o", tmp_path / "out", "--start", "99"))


def test_run_takes_an_image_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in (1, 2, 10):
        cv2.imwrite(str(folder / f"{index}.png"), noise(index, width=64, height=48))
    assert reidpipe("run", folder, "-o", tmp_path / "out").exit_code == 0
    assert len(frame_lines(tmp_path / "out")) == 3


def test_run_gives_up_a_live_camera_without_showing_the_password(tmp_path: Path) -> None:
    options = ("--max-retries", "0", "-o", tmp_path / "out")
    line = complaint(reidpipe("run", "-q", "rtsp://admin:s3cret@127.0.0.1:9/stream", *options))
    assert "connection refused" in line
    assert "s3cret" not in line


def test_run_takes_200_people_in_a_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "crowd.mp4", frames=6, width=640, height=360)
    boxes = [(32 * (i % 20), 36 * (i // 20)) for i in range(200)]
    rows = [f"{frame},-1,{x + frame},{y},24,32,0.9,-1,-1,-1" for frame in range(1, 7) for x, y in boxes]
    (tmp_path / "det.txt").write_text("\n".join(rows))
    options = ("--detections", f"crowd={tmp_path / 'det.txt'}", "--no-refine")
    assert reidpipe("run", path, "-o", tmp_path / "out", *options).exit_code == 0
    assert len(frame_lines(tmp_path / "out")[-1]["people"]) == 200
    assert len(read_video(tmp_path / "out" / "video" / "crowd.mp4")) == 6
