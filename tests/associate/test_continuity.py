"""A track that breaks off and one that begins: how likely they are one person."""

from __future__ import annotations

import numpy as np

from reidpipe.associate.continuity import follow_on
from reidpipe.associate.scene import see
from reidpipe.types import TrackKey, Tracklet


def walker(number: int, start_s: float, end_s: float, *, x: float, tall: float = 100.0, speed: float = 0.0) -> Tracklet:
    times = np.arange(start_s, end_s + 1e-6, 0.2)
    path = np.stack([times, *(np.zeros((4, len(times))))], axis=1)
    path[:, 1] = x + speed * (times - start_s)
    path[:, 3] = path[:, 1] + 40
    path[:, 2], path[:, 4] = 50.0, 50.0 + tall
    vector = np.eye(1, 8, number, dtype=np.float32)[0]
    return Tracklet(TrackKey("cam", number), vector, 5, 0.8, start_s, end_s, closed=True, path=path)


def odds(*tracklets: Tracklet) -> dict[tuple[int, int], float]:
    scene = see(tracklets)
    pairs, values = follow_on(scene)
    names = [t.key.track_id for t in scene.tracklets]
    return {(names[i], names[j]): float(v) for (i, j), v in zip(pairs.tolist(), values.tolist(), strict=True)}


def test_follow_on_believes_the_near_one() -> None:
    found = odds(walker(0, 0, 4, x=100), walker(1, 4.2, 8, x=102), walker(2, 4.2, 8, x=600))
    assert found[0, 1] > 1.0
    assert found[0, 2] < 0.0


def test_follow_on_knows_the_head_of_somebody_who_is_half_covered() -> None:
    whole = odds(walker(0, 0, 4, x=100), walker(1, 4.2, 8, x=100), walker(2, 0, 60, x=600))[0, 1]
    half = odds(walker(0, 0, 4, x=100), walker(1, 4.2, 8, x=100, tall=40), walker(2, 0, 60, x=600))[0, 1]
    assert half > whole - 0.5


def test_follow_on_says_more_the_longer_a_camera_watched() -> None:
    short = odds(walker(0, 0, 4, x=100), walker(1, 4.2, 8, x=100))[0, 1]
    long = odds(walker(0, 0, 4, x=100), walker(1, 4.2, 8, x=100), walker(2, 100, 120, x=100))[0, 1]
    assert long > short + 0.5


def test_follow_on_is_silent_after_five_seconds() -> None:
    assert odds(walker(0, 0, 4, x=100), walker(1, 9.5, 12, x=100)) == {}
