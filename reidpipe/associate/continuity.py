"""A track that ends and one that begins nearby a moment later, in the same camera, are often one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.scene import Scene
from reidpipe.types import Ids, Tracklet

__all__ = ["follow_on"]

Wide = NDArray[np.float64]

LONGEST_GAP_S = 5.0
PACE = 0.6
"""How fast a guess of where somebody is gets worse, body heights each second."""

SOON_S = 1.5
RETURNS = 4.0
"""Somebody who is lost is found again after ``SOON_S`` on the mean, and is so about ``RETURNS`` times in a camera."""

LOST = 0.3
"""Share of breaks after which the person comes back somewhere else, or which the motion does not explain."""


def follow_on(scene: Scene) -> tuple[Ids, Wide]:
    """Pairs of one camera that may follow on each other, ``(Q, 2)`` i < j sorted, and log-odds from motion alone.

    The end of the first path is carried on at its last speed through the gap; the distance to where the second begins,
    in body heights, is normal with a width that grows with the gap, against anywhere in the part of the picture where
    people walk. And that somebody appears just then is likely of the one who was lost, and as likely at any other
    moment of anybody else.
    """
    pairs: list[tuple[int, int]] = []
    odds: list[float] = []
    for camera in range(len(scene.names)):
        rows = [i for i in np.flatnonzero(scene.cameras == camera).tolist() if _moments(scene.tracklets[i]) is not None]
        if len(rows) < 2:
            continue
        area = _area([scene.tracklets[i] for i in rows])
        starts = np.asarray([scene.tracklets[i].first_s for i in rows])
        watched = max(max(scene.tracklets[i].last_s for i in rows) - float(starts.min()), LONGEST_GAP_S)
        for i in rows:
            end = scene.tracklets[i].last_s
            for k in np.flatnonzero((starts > end) & (starts <= end + LONGEST_GAP_S)).tolist():
                pairs.append((min(i, rows[k]), max(i, rows[k])))
                odds.append(_odds(scene.tracklets[i], scene.tracklets[rows[k]], area, watched))
    order = sorted(range(len(pairs)), key=lambda p: pairs[p])
    return np.asarray([pairs[p] for p in order], dtype=np.int64).reshape(-1, 2), np.asarray([odds[p] for p in order])


def _moments(tracklet: Tracklet) -> Wide | None:
    """Time, centre x y and height of each moment, ``(T, 4)``."""
    path = tracklet.path
    if path is None or not len(path):
        return None
    middle = (path[:, 1:3] + path[:, 3:5]) / 2
    return np.column_stack([path[:, 0], middle, path[:, 4] - path[:, 2]])


def _area(tracklets: list[Tracklet]) -> float:
    """Where people walk in the picture, squared body heights."""
    moments = np.concatenate([m for m in map(_moments, tracklets) if m is not None])
    if len(moments) < 3:
        return 4.0
    spread = np.cov((moments[:, 1:3] / np.median(moments[:, 3])).T)
    return max(12.0 * float(np.sqrt(max(np.linalg.det(spread), 0.0))), 4.0)


def _odds(before: Tracklet, after: Tracklet, area: float, watched: float) -> float:
    end, start = _moments(before), _moments(after)
    if end is None or start is None:
        return 0.0
    gap = after.first_s - before.last_s
    recent = end[end[:, 0] >= end[-1, 0] - 1.0]
    speed = np.zeros(2)
    if len(recent) > 1 and recent[-1, 0] > recent[0, 0]:
        speed = (recent[-1, 1:3] - recent[0, 1:3]) / (recent[-1, 0] - recent[0, 0])
    # People who are lost often stop or turn: the speed is believed for one second.
    move = start[0, 1:3] - end[-1, 1:3] - speed * min(gap, 1.0)
    # Where only a part of somebody is seen before or after, the middle jumps but the head stays.
    head = move - np.array([0.0, (start[0, 3] - end[-1, 3]) / 2])
    tall = float(max(end[-1, 3], start[0, 3]))
    distance = min(float(np.linalg.norm(move)), float(np.linalg.norm(head))) / tall
    width = 0.25 + PACE * gap
    place = area / (2 * np.pi * width**2) * np.exp(-0.5 * (distance / width) ** 2)
    moment = watched / (RETURNS * SOON_S) * float(np.exp(-gap / SOON_S))
    return float(np.log((1 - LOST) * place * max(moment, 1.0) + LOST))
