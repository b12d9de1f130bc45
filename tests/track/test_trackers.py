"""What every tracker has to keep, whatever it matches by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.stages import Tracker
from reidpipe.track.botsort import BoTSort
from reidpipe.track.bytetrack import ByteTrack
from reidpipe.track.deepsort import DeepSORT
from reidpipe.track.ocsort import OCSort
from reidpipe.track.sort import Sort
from reidpipe.track.steady import Steady
from reidpipe.types import Detections, Tracks
from tests.track.scene import Scene

TRACKERS: list[Callable[[], Tracker]] = [BoTSort, ByteTrack, DeepSORT, OCSort, Sort, Steady]
EVERY = pytest.mark.parametrize("make", TRACKERS, ids=lambda make: make.__name__)


def same(a: Tracks, b: Tracks) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in a.__slots__)


@EVERY
def test_trackers_fit_the_protocol(make: Callable[[], Tracker]) -> None:
    assert isinstance(make(), Tracker)


@EVERY
def test_trackers_interleaved_behave_as_alone(make: Callable[[], Tracker]) -> None:
    scenes = [Scene(people=6, seed=seed) for seed in (1, 2)]
    alone = []
    for scene in scenes:
        tracker = make()
        alone.append([tracker.update(d, t) for t, d in scene.pictures(60)] + [tracker.close()])
    a, b = make(), make()
    mixed: list[list[Tracks]] = [[], []]
    for (t, one), (_, two) in zip(scenes[0].pictures(60), scenes[1].pictures(60), strict=True):
        mixed[0].append(a.update(one, t))
        mixed[1].append(b.update(two, t))
    mixed[0].append(a.close())
    mixed[1].append(b.close())
    for want, got in zip(alone, mixed, strict=True):
        assert all(same(x, y) for x, y in zip(want, got, strict=True))
    assert max(int(x.track_ids.max(initial=0)) for x in alone[0]) >= 6


@EVERY
def test_trackers_follow_easy_people_with_one_id_each(make: Callable[[], Tracker]) -> None:
    scene = Scene(people=8, seed=3, miss=0.0, clutter=0.0)
    tracker = make()
    owners: dict[int, set[int]] = {}
    for t, d, who in scene.pictures_with_truth(90):
        tracks = tracker.update(d, t)
        for track_id, row in zip(tracks.track_ids.tolist(), tracks.det_rows.tolist(), strict=True):
            owners.setdefault(track_id, set()).add(int(who[row]))
    assert sorted(owners) == list(range(1, 9))
    assert all(len(people) == 1 for people in owners.values())


@EVERY
def test_trackers_do_not_see_the_order_of_detections(make: Callable[[], Tracker]) -> None:
    scene, rng = Scene(people=10, seed=4), np.random.default_rng(0)
    plain, shuffled = make(), make()
    for t, d in scene.pictures(60):
        order = rng.permutation(len(d))
        a, b = plain.update(d, t), shuffled.update(d[order], t)
        assert np.array_equal(a.track_ids, b.track_ids)
        assert np.array_equal(a.boxes, b.boxes)
        back = np.where(b.det_rows >= 0, order[b.det_rows], -1) if len(order) else b.det_rows
        assert np.array_equal(a.det_rows, back)


@EVERY
def test_trackers_never_use_an_id_again(make: Callable[[], Tracker]) -> None:
    tracker = make()
    ended: list[int] = []
    shown: set[int] = set()
    for round_ in range(4):  # everybody leaves for longer than max_age_s between the rounds
        for t, d in Scene(people=5, seed=round_).pictures(30):
            tracks = tracker.update(d, t + 100.0 * round_)
            assert not set(tracks.track_ids.tolist()) & set(ended)
            shown |= set(tracks.track_ids.tolist())
            ended += tracks.ended.tolist()
    ended += tracker.close().ended.tolist()
    assert len(ended) == len(set(ended))
    assert set(ended) == shown


@EVERY
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_trackers_take_any_number_of_detections(make: Callable[[], Tracker], count: int) -> None:
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 3000, (count, 2))
    size = rng.uniform(20, 60, (count, 2))
    tracker = make()
    for k in range(4):
        boxes = np.concatenate((corner + k, corner + k + size), axis=1).astype(np.float32)
        tracks = tracker.update(Detections(boxes, np.full(count, 0.9, np.float32)), k / 30)
    assert len(tracks) == len(np.unique(tracks.det_rows))
    assert len(tracks) >= 0.95 * count


@EVERY
def test_trackers_survive_absurd_boxes(make: Callable[[], Tracker]) -> None:
    absurd = np.array(
        [[0, 0, 3e38, 3e38], [-3e38, 0, 1, 1e30], [5, 5, 5.00001, 5.00001], [0, 0, 1e-30, 1e-30], [0, 0, 9e5, 9e5]],
        np.float32,
    )
    person = np.array([[100, 100, 150, 250]], np.float32)
    tracker, seen = make(), []
    for k in range(20):
        extra = absurd if k % 3 else absurd[:0]
        boxes = np.concatenate((extra, person))
        tracks = tracker.update(Detections(boxes, np.full(len(boxes), 0.9, np.float32)), k / 10)
        assert np.isfinite(tracks.boxes).all()
        seen += tracks.track_ids[tracks.det_rows == len(boxes) - 1].tolist()
    assert len(seen) >= 17
    assert len(set(seen)) == 1


@EVERY
def test_trackers_go_on_after_minutes_of_nothing(make: Callable[[], Tracker]) -> None:
    tracker, scene = make(), Scene(people=4, seed=6, miss=0.0, clutter=0.0)
    for t, d in scene.pictures(20):
        first = tracker.update(d, t)
    ended: list[int] = []
    for k in range(600):
        ended += tracker.update(Detections.empty(), 1.0 + k * 0.3).ended.tolist()
    assert sorted(ended) == sorted(first.track_ids.tolist())
    for t, d in scene.pictures(20):
        later = tracker.update(d, 500 + t)
    assert len(later) == 4
    assert later.track_ids.min() > first.track_ids.max()


@EVERY
def test_trackers_refuse_time_that_does_not_grow(make: Callable[[], Tracker]) -> None:
    tracker = make()
    tracker.update(Detections.empty(), 1.0)
    for time_s in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="time_s must grow"):
            tracker.update(Detections.empty(), time_s)


@EVERY
def test_trackers_predict_without_changing_anything(make: Callable[[], Tracker]) -> None:
    scene = Scene(people=5, seed=7)
    plain, asked = make(), make()
    for t, d in scene.pictures(40):
        a, b = plain.update(d, t), asked.update(d, t)
        assert same(a, b)
        for step in (0.0, 0.01, 5.0):
            moved = asked.predict(t + step)
            assert np.array_equal(moved.track_ids, b.track_ids)
            assert (moved.det_rows == -1).all()
        with pytest.raises(ValueError, match="before the last picture"):
            asked.predict(t - 0.01)


def test_trackers_prediction_follows_the_motion() -> None:
    tracker = ByteTrack()
    for k in range(60):
        box = np.array([[10 + 6 * k, 50, 50 + 6 * k, 150]], np.float32)
        tracker.update(Detections(box, np.ones(1, np.float32)), k / 30)
    moved = tracker.predict(59 / 30 + 0.1).boxes[0]
    assert np.abs(moved - (box[0] + [18, 0, 18, 0])).max() < 2.0


@EVERY
@pytest.mark.parametrize("bad", [{"max_age_s": -1.0}, {"min_hits": 0}, {"coast_s": -5.0}, {"max_age_s": float("nan")}])
def test_trackers_refuse_limits_out_of_range(make: Callable[..., Tracker], bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        make(**bad)


@EVERY
def test_trackers_keep_a_person_through_a_gap(make: Callable[..., Tracker]) -> None:
    still = Detections(np.array([[100, 100, 150, 250]], np.float32), np.array([0.9], np.float32))
    for gap_s, kept in ((0.8, True), (1.2, False)):
        tracker = make(min_hits=1, max_age_s=1.0, **({"memory_s": 0.0} if make is Steady else {}))
        tracker.update(with_look(still), 0.0)
        before = tracker.update(with_look(still), 0.1)
        tracker.update(Detections.empty(), 0.2)
        after = tracker.update(with_look(still), 0.1 + gap_s)
        assert (after.track_ids.tolist() == before.track_ids.tolist()) is kept
        assert (after.ended.tolist() == before.track_ids.tolist()) is not kept


def with_look(d: Detections) -> Detections:
    return d.with_embeddings(np.arange(len(d)), np.tile(np.eye(1, 8, dtype=np.float32), (len(d), 1)))
