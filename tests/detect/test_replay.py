from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from reidpipe.detect.replay import ReplayDetector, read_mot_detections
from reidpipe.errors import ConfigError
from reidpipe.types import Frame

LINES = "2,-1,10,20,30,40,0.9,-1,-1,-1\n1,-1,0,0,5,5,0.8\n\n2 -1 1 2 3 4 0.2\n3,-1,5,5,0,9,0.7\n"


@pytest.fixture(params=["det.txt", "det.txt.gz"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    path.write_bytes(gzip.compress(LINES.encode()) if path.suffix == ".gz" else LINES.encode())
    return path


def frame(index: int, camera: str = "a", size: tuple[int, int] | None = None) -> Frame:
    if size is None:
        return Frame.without_image(camera, index, index / 10)
    return Frame(camera, index, index / 10, np.zeros((size[1], size[0], 3), np.uint8))


def test_replay_finds_boxes_by_camera_and_index_from_any_order_of_lines(file: Path) -> None:
    detector = ReplayDetector({"a": file})
    first, second, third, fourth = detector.detect_frames([frame(0), frame(1), frame(2), frame(3)])
    np.testing.assert_array_equal(first.boxes, [[0, 0, 5, 5]])
    np.testing.assert_array_equal(second.boxes, [[10, 20, 40, 60], [1, 2, 4, 6]])
    np.testing.assert_allclose(second.scores, [0.9, 0.2])
    assert len(third) == len(fourth) == 0


def test_replay_drops_low_scores_and_clips_to_the_picture(file: Path) -> None:
    (found,) = ReplayDetector({"a": file}, min_score=0.5).detect_frames([frame(1, size=(20, 50))])
    np.testing.assert_array_equal(found.boxes, [[10, 20, 20, 50]])


def test_replay_needs_a_file_for_each_camera(file: Path) -> None:
    with pytest.raises(ConfigError, match="no detection file for the camera 'b': it has a"):
        ReplayDetector({"a": file}).detect_frames([frame(0, "b")])
    with pytest.raises(ConfigError, match="one detection file for each camera"):
        ReplayDetector({})


def test_replay_cannot_work_on_pictures_alone(file: Path) -> None:
    with pytest.raises(ConfigError, match="call detect_frames"):
        ReplayDetector({"a": file}).detect([np.zeros((4, 4, 3), np.uint8)])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,-1,0,0,5", "line 2: 5 columns"),
        ("1,-1,0,x,5,5,1", "line 2: not a number"),
        ("1,-1,0,nan,5,5,1", "line 2: NaN or infinite"),
        ("1,-1,0,0,inf,5,1", "line 2: NaN or infinite"),
        ("0,-1,0,0,5,5,1", "line 2: frame 0, wants a whole number from 1"),
        ("1.5,-1,0,0,5,5,1", "line 2: frame 1.5"),
    ],
)
def test_replay_names_the_line_that_is_wrong(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "det.txt"
    path.write_text(f"1,-1,0,0,5,5,1\n{line}\n")
    with pytest.raises(ConfigError, match=words):
        read_mot_detections(path)


@pytest.mark.parametrize(("name", "content"), [("no.txt", None), ("a.txt.gz", b"plain"), ("b.txt", b"\xff\xfe\x00")])
def test_replay_says_why_a_file_cannot_be_read(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match="cannot read the detections") as caught:
        read_mot_detections(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_replay_of_an_empty_file_sees_nobody(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("")
    assert read_mot_detections(path) == {}


@pytest.mark.parametrize(("name", "count"), [("det.txt", 5578), ("det_SORT_FRCNN.txt", 4359)])
def test_replay_reads_public_detections(shared_data: Path, name: str, count: int) -> None:
    found = read_mot_detections(shared_data / "mot/PETS09-S2L1/det" / name)
    assert sum(map(len, found.values())) == count
    assert max(found) < 795
