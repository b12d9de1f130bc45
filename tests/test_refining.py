"""Tracks of a finished run: cut, joined, gaps filled, glimpses dropped, nothing invented beyond the limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reidpipe.refining import Refining
from reidpipe.settings import RefineSettings
from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.jsonl import FramesSink, read_frames
from reidpipe.types import Detections, Frame, FrameResult, Link, TrackKey, Tracklet, Tracks

FPS = 10.0
AXES = np.eye(16, dtype=np.float32)
Rows = dict[int, list[tuple[int, int]]]


def refined(
    folder: Path,
    rows: Rows,
    *,
    frames: int = 40,
    looks: dict[int, list[tuple[int, int]]] | None = None,
    regroup: bool = True,
    settings: RefineSettings | None = None,
    people: dict[int, int] | None = None,
) -> list[Tracklet]:
    """A run of one camera ``a`` to its end.

    Args:
        folder: of the run.
        rows: frame -> (track, lane) of people that walk to the right, 2 pixels a picture, each in a lane of its own.
        frames: pictures.
        looks: track -> (frame, axis) of its crops.
        regroup: cut and join.
        settings: the defaults when None.
        people: track -> identity at the end; by default each track is a person of its own number.
    """
    sink, events = FramesSink(folder / "frames.jsonl"), EventsSink(folder / "events.jsonl")
    refining = Refining(folder, ["a"], settings or RefineSettings())
    spans: dict[int, list[int]] = {}
    for index in range(frames):
        here = rows.get(index, [])
        x = np.float32(10 + 2 * index)
        boxes = np.array([[x, 20 + 100 * g, x + 20, 80 + 100 * g] for _, g in here], np.float32).reshape(-1, 4)
        scores = np.full(len(here), 0.9, np.float32)
        ids = np.array([track for track, _ in here], np.int64)
        shown = boxes - np.float32(5)  # what a tracker shows lags; refining must not work on that
        tracks = Tracks(ids, shown, scores, np.arange(len(here))[::-1].copy())
        result = FrameResult(Frame.without_image("a", index, index / FPS), tracks, np.full(len(here), -1, np.int64))
        sink.write(result)
        events.write(result)
        refining.note(result, Detections(boxes[::-1].copy(), scores))
        for track in ids.tolist():
            spans.setdefault(track, []).append(index)
    events.camera_down("a", 1.05, "cable")
    events.end_camera("a", frames / FPS)
    sink.close()
    events.close()
    tracklets = [tracklet(track, span, (looks or {}).get(track, [])) for track, span in spans.items()]
    mended = refining.mend(tracklets, regroup=regroup)
    given = people or {t.key.track_id: t.key.track_id for t in mended}
    refining.write([Link(TrackKey("a", track), person, 1.0, 9.0) for track, person in given.items()])
    refining.close()
    return mended


def tracklet(track: int, span: list[int], crops: list[tuple[int, int]]) -> Tracklet:
    """Crops on axes from 8 on are like nobody else's; the others share a little."""
    axes = [axis for _, axis in crops or [(span[0], 15)]]
    rows = np.stack(
        [AXES[k] if k >= 8 else np.float32(0.1**0.5) * AXES[14] + np.float32(0.9**0.5) * AXES[k] for k in axes]
    )
    times_s = np.array([frame / FPS for frame, _ in crops or [(span[0], 15)]])
    mean = rows.mean(axis=0)
    vector = (mean / np.linalg.norm(mean)).astype(np.float32)
    first_s, last_s = span[0] / FPS, span[-1] / FPS
    return Tracklet(TrackKey("a", track), vector, 6, 0.8, first_s, last_s, True, rows, None, times_s)


def seen(folder: Path, global_id: int) -> list[int]:
    return [r.frame.index for r in read_frames(folder / "frames.jsonl") if global_id in r.global_ids]


def told(folder: Path) -> list[tuple[str, int, float]]:
    """Events about tracks: name, track, time."""
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [(e["event"], e.get("track_id", 0), e["time_s"]) for e in events]


def test_refining_fills_a_short_gap_where_the_person_was(tmp_path: Path) -> None:
    refined(tmp_path, {i: [(1, 1)] for i in range(40) if i not in range(15, 20)})
    assert seen(tmp_path, 1) == list(range(40))
    for result in read_frames(tmp_path / "frames.jsonl"):
        expected = 10 + 2 * result.frame.index
        assert abs(result.tracks.boxes[0, 0] - expected) < 1.5
        assert (result.tracks.det_rows[0] == -1) == (15 <= result.frame.index < 20)


def test_refining_leaves_a_long_gap_open(tmp_path: Path) -> None:
    refined(tmp_path, {i: [(1, 1)] for i in range(40) if i not in range(12, 28)})
    assert seen(tmp_path, 1) == [*range(12), *range(28, 40)]


BROKEN: Rows = {**{i: [(1, 1)] for i in range(15)}, **{i: [(7, 1)] for i in range(18, 40)}}


def test_refining_joins_the_fragments_of_one_walk_and_tells_one_visit(tmp_path: Path) -> None:
    (whole,) = refined(tmp_path, BROKEN)
    assert (whole.key, whole.count, whole.first_s, whole.last_s) == (TrackKey("a", 1), 12, 0.0, 3.9)
    assert seen(tmp_path, 1) == list(range(40))
    assert {int(r.tracks.track_ids[0]) for r in read_frames(tmp_path / "frames.jsonl")} == {1}
    assert told(tmp_path) == [("enter", 1, 0.0), ("camera_down", 0, 1.05), ("leave", 1, 3.9), ("link", 1, 9.0)]


@pytest.mark.parametrize("settings", [RefineSettings(), RefineSettings(join_gap_s=0)])
def test_refining_keeps_tracks_whose_identity_was_decided_on_the_way(tmp_path: Path, settings: RefineSettings) -> None:
    mended = refined(tmp_path, BROKEN, regroup=settings.join_gap_s == 0, settings=settings, people={1: 1, 7: 1})
    assert [t.key.track_id for t in mended] == [1, 7]
    ids = [int(result.tracks.track_ids[0]) for result in read_frames(tmp_path / "frames.jsonl") if len(result.tracks)]
    assert ids == [1] * 15 + [7] * 24  # a track also gets the two pictures before it was sure
    if settings.join_gap_s:  # the events are those of the run, not of hindsight
        assert told(tmp_path)[:2] == [("enter", 1, 0.0), ("enter", 7, 1.8)]


def test_refining_cuts_a_track_that_went_over_to_somebody_else(tmp_path: Path) -> None:
    """Track 1 looks like another person from picture 20 on; five others, there all the time, are the scale."""
    rows: Rows = {i: [(track, track) for track in range(1, 7)] for i in range(40)}
    looks = {track: [(frame, track) for frame in range(0, 40, 6)] for track in range(2, 7)}
    looks[1] = [(0, 8), (6, 8), (12, 8), (18, 8), (24, 9), (30, 9), (36, 9)]
    mended = {t.key.track_id: t for t in refined(tmp_path, rows, looks=looks)}
    assert sorted(mended) == [1, 2, 3, 4, 5, 6, 7]
    assert abs(mended[1].vector @ AXES[8] - 1) < 1e-6
    assert abs(mended[7].vector @ AXES[9] - 1) < 1e-6
    assert 18 <= round(mended[1].last_s * FPS) + 1 == round(mended[7].first_s * FPS) <= 24
    assert (mended[1].count, mended[7].count) == (3, 3)
    assert mended[7].quality < 0.8
    assert set(seen(tmp_path, 1)) | set(seen(tmp_path, 7)) == set(range(40))
    uncut = tmp_path / "uncut"
    uncut.mkdir()
    assert len(refined(uncut, rows, looks=looks, settings=RefineSettings(split=False))) == 6


def test_refining_never_shows_a_person_twice(tmp_path: Path) -> None:
    rows: Rows = {**{i: [(1, 1)] for i in range(15)}, **{i: [(7, 1)] for i in range(15, 40)}}
    refined(tmp_path, rows, settings=RefineSettings(join_gap_s=0), people={1: 1, 7: 1})
    assert seen(tmp_path, 1) == list(range(40))
    assert all(len(result.tracks) == 1 for result in read_frames(tmp_path / "frames.jsonl"))


def test_refining_drops_people_seen_for_a_moment_and_keeps_those_without_identity_apart(tmp_path: Path) -> None:
    mended = refined(
        tmp_path,
        {i: [(1, 1), (2, 2)] + ([(3, 3)] if i in (5, 6) else []) for i in range(20)},
        people={1: 1},
    )
    assert [t.key.track_id for t in mended] == [1, 2]
    pictures = [r for r in read_frames(tmp_path / "frames.jsonl") if r.frame.index < 20]
    assert all(sorted(r.global_ids.tolist()) == [-1, 1] for r in pictures)
    assert not [event for event in told(tmp_path) if event[1] == 3]


def test_refining_an_empty_run_changes_nothing(tmp_path: Path) -> None:
    assert refined(tmp_path, {}) == []
    assert len(list(read_frames(tmp_path / "frames.jsonl"))) == 40
    assert told(tmp_path) == [("camera_down", 0, 1.05)]
