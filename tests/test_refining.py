"""Tracks of a finished run: gaps filled, glimpses dropped, nothing invented beyond the limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reidpipe.refining import refine_frames
from reidpipe.settings import RefineSettings
from reidpipe.sinks.jsonl import FramesSink, read_frames
from reidpipe.types import Frame, FrameResult, Tracks

FPS = 10.0


def write(path: Path, rows: dict[int, list[tuple[int, int]]], *, frames: int = 40) -> None:
    """Frame -> (track, global id) of people that walk to the right, 2 pixels a picture, each in a lane of its own."""
    sink = FramesSink(path)
    for index in range(frames):
        here = rows.get(index, [])
        x = np.float32(10 + 2 * index)
        boxes = np.array([[x, 20 + 100 * g, x + 20, 80 + 100 * g] for _, g in here], np.float32).reshape(-1, 4)
        ids = np.array([track for track, _ in here], np.int64)
        tracks = Tracks(ids, boxes, np.full(len(here), 0.9, np.float32), np.arange(len(here)))
        global_ids = np.array([g if g else -1 for _, g in here], np.int64)
        sink.write(FrameResult(Frame.without_image("a", index, index / FPS), tracks, global_ids))
    sink.close()


def seen(path: Path, global_id: int) -> list[int]:
    return [r.frame.index for r in read_frames(path) if global_id in r.global_ids]


def test_refining_fills_a_short_gap_where_the_person_was(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    write(path, {i: [(1, 1)] for i in range(40) if i not in range(15, 20)})
    refine_frames(path, RefineSettings())
    assert seen(path, 1) == list(range(40))
    for result in read_frames(path):
        expected = 10 + 2 * result.frame.index
        assert abs(result.tracks.boxes[0, 0] - expected) < 1.5
        assert (result.tracks.det_rows[0] == -1) == (15 <= result.frame.index < 20)


def test_refining_leaves_a_long_gap_open(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    write(path, {i: [(1, 1)] for i in range(40) if i not in range(12, 28)})
    refine_frames(path, RefineSettings())
    assert seen(path, 1) == [*range(12), *range(28, 40)]


def test_refining_leaves_two_tracks_of_one_identity_apart(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    write(path, {**{i: [(1, 1)] for i in range(15)}, **{i: [(7, 1)] for i in range(18, 40)}})
    refine_frames(path, RefineSettings())
    ids = [int(result.tracks.track_ids[0]) for result in read_frames(path) if len(result.tracks)]
    assert ids == [1] * 15 + [7] * 24  # a track also gets the two pictures before it was sure


def test_refining_never_shows_a_person_twice(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    write(path, {**{i: [(1, 1)] for i in range(15)}, **{i: [(7, 1)] for i in range(15, 40)}})
    refine_frames(path, RefineSettings())
    assert seen(path, 1) == list(range(40))
    assert all(len(result.tracks) == 1 for result in read_frames(path))


def test_refining_drops_people_seen_for_a_moment_and_keeps_those_without_identity_apart(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    write(path, {i: [(1, 1), (2, 0)] + ([(3, 3)] if i in (5, 6) else []) for i in range(20)})
    refine_frames(path, RefineSettings())
    assert seen(path, 3) == []
    assert all(sorted(r.global_ids.tolist()) == [-1, 1] for r in read_frames(path) if r.frame.index < 20)


def test_refining_an_empty_run_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    write(path, {})
    before = path.read_bytes()
    refine_frames(path, RefineSettings())
    assert path.read_bytes() == before
