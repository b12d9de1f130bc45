"""Ids that are never used twice, rationed embeddings, bounded memory."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reidpipe.live.memory import Memory
from reidpipe.live.stages import RationedPooler, RenumberedTracker
from reidpipe.stages import Pooler, Tracker
from reidpipe.track.bytetrack import ByteTrack
from reidpipe.types import Detections, Frame, Ids, Link, TrackKey, Tracklet, Tracks
from tests.fakes import FirstVector, detections, frame


def test_renumbered_trackers_never_share_an_id() -> None:
    next_id = partial(next, itertools.count(1))
    seen: list[int] = []
    for _ in range(3):  # a camera that comes back twice
        tracker = RenumberedTracker(ByteTrack(), next_id)
        assert isinstance(tracker, Tracker)
        shown: set[int] = set()
        for number in range(3):
            tracks = tracker.update(detections((10, 10, 30, 60), (100, 10, 120, 60)), number / 10)
            shown.update(tracks.track_ids.tolist())
        assert tracker.predict(0.35).track_ids.tolist() == tracks.track_ids.tolist()
        assert set(tracker.close().ended.tolist()) == shown
        seen += sorted(shown)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_renumbered_tracker_is_the_tracker_but_for_its_ids() -> None:
    plain, renumbered = ByteTrack(), RenumberedTracker(ByteTrack(), partial(next, itertools.count(100)))
    rng = np.random.default_rng(0)
    for number in range(60):
        rows = [(x, 10.0, x + 20.0, 60.0) for x in (10.0 + number, 100.0 - number / 2) if rng.random() > 0.2]
        one, other = (t.update(detections(*rows), number / 5) for t in (plain, renumbered))
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.track_ids + 99, other.track_ids)
        np.testing.assert_array_equal(one.det_rows, other.det_rows)
        assert len(one.ended) == len(other.ended)
    assert len(vars(renumbered)["_ids"]) <= 2  # ended ids are let go of


def test_rationed_pooler_asks_every_so_many_seconds_on_each_camera() -> None:
    pooler = RationedPooler(FirstVector())
    assert isinstance(pooler, Pooler)
    tracks = Tracks(np.array([1]), np.array([[0, 0, 5, 5]], np.float32), np.ones(1, np.float32), np.array([0]))

    def asked(camera: str, seconds: int) -> int:
        return sum(
            len(pooler.wants(frame(camera, number), detections((0, 0, 5, 5)), tracks)) for number in range(10 * seconds)
        )

    assert asked("a", 3) == 30
    pooler.gap_s = 0.5
    assert [asked(camera, 3) for camera in ("b", "c")] == [6, 6]
    pooler.gap_s = 0.0
    assert asked("d", 3) == 30


def test_rationed_pooler_nothing_to_ask_costs_no_ration() -> None:
    class Late:
        def wants(self, frame: Frame, detections: Detections, tracks: Tracks) -> Ids:
            return np.arange(frame.index >= 2, dtype=np.int64)

        def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
            return []

    pooler = RationedPooler(Late())
    pooler.gap_s = 10.0
    asked = [len(pooler.wants(frame("a", number), Detections.empty(), Tracks.empty())) for number in range(4)]
    assert asked == [0, 0, 1, 0]


def tracklet(number: int) -> Tracklet:
    vector = np.array([1, 0], np.float32)
    path = np.zeros((1, 5))
    return Tracklet(TrackKey("a", number), vector, 1, 0.5, 0.0, 1.0, True, vector[None], path)


@pytest.mark.parametrize("linked_first", [True, False])
def test_memory_is_bounded_and_keeps_the_newest(tmp_path: Path, linked_first: bool) -> None:
    memory = Memory(10, None)
    for number in range(1000):
        link, closed = [Link(TrackKey("a", number), number + 1, 1.0, 0.0)], [tracklet(number)]
        if linked_first:
            memory.links(link)
            memory.closed(closed)
        else:
            memory.closed(closed)
            memory.links(link)
    assert len(memory) == 10
    assert len(vars(memory)["_links"]) <= 20
    assert memory.write(tmp_path) == 10
    assert memory.forgotten >= 980
    kept = next(iter(vars(memory)["_tracklets"].values()))
    assert kept.path is None
    assert kept.prototypes is None
