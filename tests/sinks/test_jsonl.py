"""frames.jsonl: valid by its schema at any moment, and read back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from reidpipe.errors import ReidpipeError, SinkError
from reidpipe.schemas import load_schema
from reidpipe.sinks.jsonl import FramesSink, assign_global_ids, read_frames
from reidpipe.stages import Sink
from reidpipe.types import FrameResult, TrackKey
from tests.sinks.results import result

SOME = [
    result("a", 0, [(1, 3, (1.0, 2.0, 11.126, 22.5)), (2, -1, (-4.5, 0.0, 3.0, 9.0))], scores=[0.98765, 1.0]),
    result("b", 0, []),
    result("a", 3, [(1, 3, (1.5, 2.0, 12.0, 22.0))], predicted=[1]),
]


def write(path: Path, results: list[FrameResult]) -> list[dict[str, Any]]:
    sink = FramesSink(path)
    for one in results:
        sink.write(one)
    sink.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_writes_what_was_seen(tmp_path: Path) -> None:
    lines = write(tmp_path / "f", SOME)
    assert lines[0] == {
        "schema": "reidpipe.frame/1",
        "camera": "a",
        "frame": 0,
        "time_s": 0.0,
        "people": [
            {"track_id": 1, "global_id": 3, "box": [1.0, 2.0, 11.13, 22.5], "score": 0.9876},
            {"track_id": 2, "global_id": None, "box": [-4.5, 0.0, 3.0, 9.0], "score": 1.0},
        ],
    }
    assert lines[1]["people"] == []
    assert lines[2]["people"] == [
        {"track_id": 1, "global_id": 3, "box": [1.5, 2.0, 12.0, 22.0], "score": 0.9, "predicted": True}
    ]


def test_jsonl_fits_its_schema(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(load_schema("frame"))
    for line in write(tmp_path / "f", SOME):
        validator.validate(line)


def test_jsonl_sink_is_a_sink(tmp_path: Path) -> None:
    sink = FramesSink(tmp_path / "f")
    assert isinstance(sink, Sink)
    sink.close()


def test_jsonl_every_picture_is_on_disk_at_once(tmp_path: Path) -> None:
    sink = FramesSink(tmp_path / "f")
    for number, one in enumerate(SOME, 1):
        sink.write(one)
        assert len((tmp_path / "f").read_text().splitlines()) == number
    sink.close()
    sink.close()


def test_jsonl_reads_back_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "f", SOME)
    back = list(read_frames(tmp_path / "f"))
    assert [(r.frame.camera, r.frame.index, r.frame.time_s) for r in back] == [
        ("a", 0, 0.0),
        ("b", 0, 0.0),
        ("a", 3, 0.3),
    ]
    assert not any(r.frame.has_image for r in back)
    for one, other in zip(SOME, back, strict=True):
        assert np.array_equal(one.tracks.track_ids, other.tracks.track_ids)
        assert np.array_equal(one.global_ids, other.global_ids)
        assert np.array_equal(one.tracks.det_rows, other.tracks.det_rows)
        np.testing.assert_allclose(one.tracks.boxes, other.tracks.boxes, atol=0.0051)
        np.testing.assert_allclose(one.tracks.scores, other.tracks.scores, atol=0.00006)


def test_jsonl_round_trip_is_exact_after_rounding(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    results = []
    for index in range(50):
        corner = rng.uniform(-50, 3800, (6, 2))
        boxes = np.hstack([corner, corner + rng.uniform(1e-4, 500, (6, 2))]).tolist()
        results.append(result("cam ü", index, [(k, k or -1, tuple(box)) for k, box in enumerate(boxes)], fps=29.97))
    write(tmp_path / "f", results)
    write(tmp_path / "g", list(read_frames(tmp_path / "f")))
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes()
    first, second = list(read_frames(tmp_path / "f")), list(read_frames(tmp_path / "g"))
    assert all(np.array_equal(a.tracks.boxes, b.tracks.boxes) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("x", [0.0, 7.003, 3839.996])
def test_jsonl_a_sliver_of_a_box_stays_a_box(tmp_path: Path, x: float) -> None:
    write(tmp_path / "f", [result("a", 0, [(1, 1, (x, x, x + 0.002, x + 0.002))])])
    box = next(read_frames(tmp_path / "f")).tracks.boxes[0]
    assert box[2] > box[0]
    assert box[3] > box[1]


def test_jsonl_reads_one_camera(tmp_path: Path) -> None:
    tricky = [result(name, 0) for name in ("a", "ab", 'a", "frame": 1', "a")]
    write(tmp_path / "f", tricky)
    for name, count in (("a", 2), ("ab", 1), ('a", "frame": 1', 1), ("none", 0)):
        assert [r.frame.camera for r in read_frames(tmp_path / "f", camera=name)] == [name] * count


def test_jsonl_reads_one_camera_of_a_file_written_by_others(tmp_path: Path) -> None:
    lines = write(tmp_path / "f", SOME)
    (tmp_path / "g").write_text("".join(json.dumps(dict(reversed(line.items()))) + "\n" for line in lines))
    assert [r.frame.index for r in read_frames(tmp_path / "g", camera="a")] == [0, 3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON"),
        ("[]", "line 2: not an object"),
        ("{}", "line 2: not a picture"),
        ('{"schema": "reidpipe.frame/2", "camera": "a", "frame": 0, "time_s": 0, "people": []}', "line 2: .*frame/2"),
    ],
)
def test_jsonl_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "f", SOME[:1])
    with (tmp_path / "f").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ReidpipeError, match=message):
        list(read_frames(tmp_path / "f"))
    with pytest.raises(ReidpipeError, match="cannot read"):
        list(read_frames(tmp_path / "none"))


def test_jsonl_final_identities_are_written_in(tmp_path: Path) -> None:
    write(tmp_path / "f", SOME)
    assign_global_ids(tmp_path / "f", {TrackKey("a", 2): 7, TrackKey("b", 1): 8})
    back = list(read_frames(tmp_path / "f"))
    assert [r.global_ids.tolist() for r in back] == [[3, 7], [], [3]]
    assert len(list(tmp_path.iterdir())) == 1


def test_jsonl_a_full_disk_ends_with_a_whole_picture(small_disk: Path) -> None:
    sink = FramesSink(small_disk / "frames.jsonl")
    people = [(k, k, (1.0, 2.0, 30.0, 40.0)) for k in range(1, 20)]
    written = []

    def fill() -> None:
        for index in range(10_000):
            sink.write(result("a", index, people))
            written.append(index)

    with pytest.raises(SinkError, match="the disk is full"):
        fill()
    sink.close()
    assert len(written) > 50
    assert [r.frame.index for r in read_frames(small_disk / "frames.jsonl")] == written


def test_jsonl_identities_on_a_full_disk_leave_the_file_as_it_was(small_disk: Path) -> None:
    path = small_disk / "frames.jsonl"
    people = [(k, -1, (1.0, 2.0, 30.0, 40.0)) for k in range(1, 20)]
    write(path, [result("a", index, people) for index in range(110)])
    before = path.read_bytes()
    assert len(before) > 128 * 1024  # two of them do not fit
    with pytest.raises(SinkError, match="the disk is full"):
        assign_global_ids(path, {TrackKey("a", 1): 1})
    assert path.read_bytes() == before
    assert [file.name for file in small_disk.iterdir()] == ["frames.jsonl"]
