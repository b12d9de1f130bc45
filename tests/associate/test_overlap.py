from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reidpipe.associate.meetings import Meetings, meet
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.overlap import find_overlap
from reidpipe.associate.paths import Paths
from reidpipe.types import TrackKey, Tracklet


def camera(
    place: tuple[float, float], look_at: tuple[float, float]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Projection ``(3, 4)`` of a camera 3 m above the floor, 640 x 480, metres to pixels."""
    eye = np.array([*place, 3.0])
    forward = np.array([*look_at, 1.0]) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    rotation = np.stack([right, down, forward])
    inner = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])
    return np.asarray(inner @ np.concatenate([rotation, (-rotation @ eye)[:, None]], axis=1))


def walk(seed: int, people: int, *, noise: float = 2.0, alike: bool = True) -> list[tuple[int, Tracklet]]:
    """People on a 6 x 6 m floor for 20 s, seen by two cameras; all dressed alike."""
    rng = np.random.default_rng(seed)
    views = [camera((-5.0, -5.0), (0.0, 0.0)), camera((6.0, -4.0), (0.0, 0.0))]
    times = np.arange(0, 20, 0.2)
    out: list[tuple[int, Tracklet]] = []
    for person in range(people):
        corners = rng.uniform(-3, 3, size=(6, 2))
        knots = np.linspace(0, 20, 6)
        x, y = (np.interp(times, knots, corners[:, k]) for k in (0, 1))
        for number, view in enumerate(views):
            ground = np.stack([x, y, np.zeros_like(x), np.ones_like(x)])
            head = np.stack([x, y, np.full_like(x, 1.75), np.ones_like(x)])
            feet, top = (p[:2] / p[2] for p in (view @ ground, view @ head))
            tall = np.abs(feet[1] - top[1])
            feet = feet + rng.normal(size=feet.shape) * noise
            path = np.stack([times, feet[0] - tall / 5, feet[1] - tall, feet[0] + tall / 5, feet[1]], axis=1)
            vector = rng.normal(size=32) + (0 if alike else 3 * np.eye(32)[person])
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            key = TrackKey(f"cam{number}", person)
            out.append((person, Tracklet(key, unit, 5, 0.8, 0.0, float(times[-1]), True, None, path)))
    return out


def split(truth: list[tuple[int, Tracklet]]) -> tuple[Meetings, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    in_a = [t for t in truth if t[1].key.camera == "cam0"]
    in_b = [t for t in truth if t[1].key.camera == "cam1"]
    met = meet(Paths.of([t for _, t in in_a]), Paths.of([t for _, t in in_b]))
    same = np.array([in_a[i][0] == in_b[j][0] for i, j in met.pairs.tolist()])
    return met, same


def test_overlap_tells_people_in_the_same_clothes_apart_by_where_they_stand() -> None:
    met, same = split(walk(0, 6))
    found = find_overlap(met, np.zeros(len(met.pairs)))
    assert found is not None
    odds = found.log_odds(met)
    assert (odds[same] > 3).all()
    assert (odds[~same] < -3).all()


def test_overlap_is_the_same_when_asked_twice() -> None:
    met, _ = split(walk(1, 5))
    one, two = (find_overlap(met, np.zeros(len(met.pairs))) for _ in range(2))
    assert one is not None
    assert two is not None
    assert np.array_equal(one.matrix, two.matrix)


def test_overlap_is_not_seen_between_rooms_that_share_nobody() -> None:
    for seed in range(3):
        here = [t for t in walk(seed, 5) if t[1].key.camera == "cam0"]
        there = [t for t in walk(seed + 100, 5) if t[1].key.camera == "cam1"]
        met, _ = split(here + there)
        assert len(met.pairs) == 25
        assert find_overlap(met, np.zeros(len(met.pairs))) is None


def test_offline_uses_overlapping_views_when_looks_say_nothing() -> None:
    truth = walk(3, 6)
    offline = OfflineAssociator()
    offline.update([t for _, t in truth], 0.0)
    ids = {link.key: link.global_id for link in offline.close()}
    assert offline.report["overlapping_views"] == [["cam0", "cam1"]]
    assert all(ids[TrackKey("cam0", p)] == ids[TrackKey("cam1", p)] for p in range(6))
    assert len(set(ids.values())) == 6


def test_meetings_interpolate_and_honour_the_clock_offset() -> None:
    path = np.array([[0.0, 0, 0, 10, 20], [1.0, 10, 0, 20, 20], [2.0, 20, 0, 30, 20]])
    vector = np.eye(1, 4, dtype=np.float32)[0]
    a = Tracklet(TrackKey("a", 1), vector, 1, 0.5, 0.0, 2.0, True, None, path)
    late = path.copy()
    late[:, 0] += 1.5
    b = Tracklet(TrackKey("b", 1), vector, 1, 0.5, 1.5, 3.5, True, None, late)
    in_a, in_b = Paths.of([a]), Paths.of([b])
    met = meet(in_a, in_b, offset_s=-1.5)
    assert np.allclose(met.a, met.b)
    assert len(met.a) == 3
    shifted = meet(in_a, in_b)
    assert np.allclose(shifted.a - shifted.b, [[15.0, 0.0]])
    assert meet(in_a, in_b, offset_s=50.0).pairs.shape == (0, 2)


@pytest.mark.parametrize("skew", [-0.8, 1.7])
def test_offline_finds_the_offset_of_a_wrong_clock(skew: float) -> None:
    truth = []
    for person, tracklet in walk(3, 6, alike=False):
        moved = tracklet
        if tracklet.key.camera == "cam1" and tracklet.path is not None:
            path = tracklet.path + np.array([skew, 0, 0, 0, 0])
            moved = replace(tracklet, path=path, first_s=tracklet.first_s + skew, last_s=tracklet.last_s + skew)
        truth.append((person, moved))
    offline = OfflineAssociator()
    offline.update([t for _, t in truth], 0.0)
    ids = {link.key: link.global_id for link in offline.close()}
    ((first, second, offset),) = offline.report["clock_offsets_s"]
    assert (first, second) == ("cam0", "cam1")
    assert abs(offset + skew) <= 0.2
    assert all(ids[TrackKey("cam0", p)] == ids[TrackKey("cam1", p)] for p in range(6))


def test_offline_sees_no_overlap_between_rooms_whatever_the_clock() -> None:
    for seed in range(2):
        here = [t for t in walk(seed, 5, alike=False) if t[1].key.camera == "cam0"]
        there = [t for t in walk(seed + 100, 5, alike=False) if t[1].key.camera == "cam1"]
        offline = OfflineAssociator()
        offline.update([t for _, t in here + there], 0.0)
        offline.close()
        assert offline.report["overlapping_views"] == []
