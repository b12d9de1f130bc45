"""Better tracks of a camera that has ended: fragments joined, gaps filled, boxes smoothed. Online output is untouched.

history = History.collect((time_s, detections, tracks), ...)     while the camera runs
refined = refine(history, picture_times_s)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.assignment import Candidates, assign
from reidpipe.track.book import check_limits
from reidpipe.track.kalman import PEOPLE_MOTION, POSITION, KalmanFilter, States
from reidpipe.track.smooth import run_filter, smooth
from reidpipe.types import Boxes, Detections, Ids, Mask, Scores, Tracks, Vectors

__all__ = ["History", "Refined", "refine"]

Times = NDArray[np.float64]

MEASURED_SHARE = 0.2
"""Share of the detection in a smoothed box."""
SLACK = 0.06
"""Box heights, as online: what a detector's box may be off on top of the filter's noise."""
LEAD_PICTURES = 4
"""Over how many pictures the way is taken that leads back before the first row."""
END_PICTURES = 40
"""How many pictures of a track's beginning and end say how it moves there."""


@dataclass(frozen=True, slots=True)
class History:
    """All boxes of all tracks of one camera, in order of time and then of id.

    Attributes:
        times_s: float64 ``(N,)``, seconds.
        track_ids: int64 ``(N,)``.
        boxes: float32 ``(N, 4)``.
        scores: float32 ``(N,)``.
        measured: bool ``(N,)``: the row comes from a detection, not from a prediction or from between two.
    """

    times_s: Times
    track_ids: Ids
    boxes: Boxes
    scores: Scores
    measured: Mask

    def __len__(self) -> int:
        return len(self.times_s)

    def __getitem__(self, rows: Ids | Mask) -> History:
        """The chosen rows."""
        return History(
            self.times_s[rows], self.track_ids[rows], self.boxes[rows], self.scores[rows], self.measured[rows]
        )

    @classmethod
    def collect(cls, pictures: Iterable[tuple[float, Detections, Tracks]]) -> Self:
        """From what a tracker got and gave, picture by picture; the boxes are the detections' where there is one."""
        parts = [cls._of_picture(*picture) for picture in pictures]
        return cls._joined(parts)

    @classmethod
    def _of_picture(cls, time_s: float, detections: Detections, tracks: Tracks) -> History:
        measured = tracks.det_rows >= 0
        boxes = tracks.boxes.copy()
        boxes[measured] = detections.boxes[tracks.det_rows[measured]]
        return History(np.full(len(tracks), time_s), tracks.track_ids, boxes, tracks.scores, measured)

    @classmethod
    def _joined(cls, parts: list[History]) -> Self:
        empty = History(
            np.zeros(0),
            np.zeros(0, np.int64),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.bool_),
        )
        parts = [empty, *parts]
        order = np.lexsort((np.concatenate([p.track_ids for p in parts]), np.concatenate([p.times_s for p in parts])))
        return cls(
            np.concatenate([p.times_s for p in parts])[order],
            np.concatenate([p.track_ids for p in parts])[order],
            np.concatenate([p.boxes for p in parts])[order],
            np.concatenate([p.scores for p in parts])[order],
            np.concatenate([p.measured for p in parts])[order],
        )


@dataclass(frozen=True, slots=True)
class Refined:
    """What refining gave.

    Attributes:
        history: the better rows.
        joined: track id -> the earlier track that it goes on from (its first fragment's id).
        dropped: ids of tracks that were too short to be a person.
    """

    history: History
    joined: Mapping[int, int]
    dropped: tuple[int, ...]


def refine(
    history: History,
    picture_times_s: Times,
    *,
    fill_gap_s: float = 0.85,
    join_gap_s: float = 1.5,
    join_limit: float = 3.0,
    min_length_s: float = 0.6,
    lead_in: int = 2,
    vectors: Mapping[int, Vectors] | None = None,
    min_similarity: float = 0.5,
) -> Refined:
    """Join, fill and smooth the tracks of one camera.

    Args:
        history: rows of the online tracker; rows that were only predicted are replaced.
        picture_times_s: float64, times of all pictures of the camera, growing; gaps are filled at these.
        fill_gap_s: gaps up to this long are filled, seconds; a person hidden for longer is not guessed.
        join_gap_s: a track can be the continuation of one that ended at most so long before, seconds; 0: never.
        join_limit: highest squared Mahalanobis distance (mean of forward and backward) between the two ends.
        min_length_s: tracks that live for less than this are dropped, seconds; they are mostly false alarms.
        lead_in: pictures before a track's first row that are added, the way it moves there; a tracker that gives an id
            at the second detection has seen the person once before, and people mostly were there a little earlier.
        vectors: track id -> its appearance, float32 ``(D,)`` of unit length, where known; two known appearances that
            differ are not joined.
        min_similarity: cosine that two appearances need for that, -1..1.

    Raises:
        ConfigError: a value is out of its range.
    """
    check_limits(
        fill_gap_s=(fill_gap_s, 0, 1e9),
        join_gap_s=(join_gap_s, 0, 1e9),
        join_limit=(join_limit, 0, 1e9),
        min_length_s=(min_length_s, 0, 1e9),
        lead_in=(lead_in, 0, 1000),
        min_similarity=(min_similarity, -1, 1),
    )
    kalman = KalmanFilter(PEOPLE_MOTION)
    tracks = _by_track(history[history.measured])
    joined = _joins(tracks, kalman, join_gap_s, join_limit, vectors or {}, min_similarity)
    tracks = _by_track(_renamed(history[history.measured], joined))
    short = [one for one, rows in tracks.items() if rows.times_s[-1] - rows.times_s[0] < min_length_s]
    kept = [rows for one, rows in tracks.items() if one not in set(short)]
    parts = [_filled(rows, picture_times_s, kalman, fill_gap_s) for rows in kept]
    parts = [_led_in(rows, picture_times_s, lead_in) for rows in parts]
    return Refined(History._joined(parts), joined, tuple(short))


def _by_track(history: History) -> dict[int, History]:
    order = np.lexsort((history.times_s, history.track_ids))
    ids, starts = np.unique(history.track_ids[order], return_index=True)
    return (
        {int(one): history[rows] for one, rows in zip(ids, np.split(order, starts[1:]), strict=True)}
        if len(ids)
        else {}
    )


def _renamed(history: History, joined: Mapping[int, int]) -> History:
    ids = np.array([joined.get(one, one) for one in history.track_ids.tolist()], np.int64)
    return History(history.times_s, ids, history.boxes, history.scores, history.measured)


def _joins(
    tracks: Mapping[int, History],
    kalman: KalmanFilter,
    gap_s: float,
    limit: float,
    vectors: Mapping[int, Vectors],
    min_similarity: float,
) -> dict[int, int]:
    """Which track goes on from which: every end with at most one beginning, over all at the lowest cost."""
    ids = list(tracks)
    first_s = np.array([rows.times_s[0] for rows in tracks.values()])
    last_s = np.array([rows.times_s[-1] for rows in tracks.values()])
    gaps = first_s[None, :] - last_s[:, None]
    ends, starts = np.nonzero((gaps > 0) & (gaps <= gap_s))
    forward: dict[int, States] = {}
    backward: dict[int, States] = {}
    kept: list[int] = []
    costs: list[float] = []
    for k, (end, start) in enumerate(zip(ends.tolist(), starts.tolist(), strict=True)):
        one, other = ids[end], ids[start]
        if one in vectors and other in vectors and float(vectors[one] @ vectors[other]) < min_similarity:
            continue
        if end not in forward:
            forward[end] = _end_state(tracks[one], kalman)
        if start not in backward:
            backward[start] = _start_state(tracks[other], kalman)
        kept.append(k)
        costs.append(_distance(forward[end], backward[start], float(gaps[end, start]), kalman))
    chosen_ends, chosen_starts = assign(Candidates(ends[kept], starts[kept], np.array(costs)), limit=limit)
    roots: dict[int, int] = {}
    for k in np.argsort(first_s[chosen_starts], kind="stable").tolist():
        end, start = ids[chosen_ends[k]], ids[chosen_starts[k]]
        roots[start] = roots.get(end, end)
    return roots


def _end_state(rows: History, kalman: KalmanFilter) -> States:
    times_s, boxes = rows.times_s[-END_PICTURES:], rows.boxes[-END_PICTURES:]
    return run_filter(kalman, times_s, boxes)[1][:, :, -1:]


def _start_state(rows: History, kalman: KalmanFilter) -> States:
    """As if time ran backwards."""
    times_s, boxes = rows.times_s[:END_PICTURES][::-1], rows.boxes[:END_PICTURES][::-1]
    return run_filter(kalman, -times_s, boxes)[1][:, :, -1:]


def _distance(out: States, into: States, gap_s: float, kalman: KalmanFilter) -> float:
    """How far each end, moved over the gap, is from the other; the mean of both ways."""
    ways = ((out, into), (into, out))
    both = [kalman.distances(kalman.predict(a, gap_s), b[POSITION], slack=SLACK)[0, 0] for a, b in ways]
    return float(np.mean(both))


def _filled(rows: History, picture_times_s: Times, kalman: KalmanFilter, fill_gap_s: float) -> History:
    """One track, smoothed, with a row for every picture of its short gaps."""
    first, last = np.searchsorted(picture_times_s, rows.times_s[[0, -1]])
    times_s = np.union1d(picture_times_s[first : last + 1], rows.times_s)
    at = np.searchsorted(times_s, rows.times_s)
    seen = np.zeros(len(times_s), np.bool_)
    seen[at] = True
    boxes = np.zeros((len(times_s), 4), np.float32)
    boxes[:] = rows.boxes[0]
    boxes[at] = rows.boxes
    shown = smooth(kalman, times_s, boxes, seen)
    shown[at] += np.float32(MEASURED_SHARE) * (rows.boxes - shown[at])
    before = np.maximum.accumulate(np.where(seen, np.arange(len(times_s)), 0))
    after = np.minimum.accumulate(np.where(seen, np.arange(len(times_s)), len(times_s) - 1)[::-1])[::-1]
    near = seen | (times_s[after] - times_s[before] <= fill_gap_s + 1e-6)
    scores = np.interp(times_s, rows.times_s, rows.scores).astype(np.float32)
    ids = np.full(len(times_s), rows.track_ids[0])
    return History(times_s, ids, shown, scores, seen)[near]


def _led_in(rows: History, picture_times_s: Times, count: int) -> History:
    """One track with the pictures before its first row, going back as it moves from there on."""
    first = int(np.searchsorted(picture_times_s, rows.times_s[0]))
    times_s = picture_times_s[max(0, first - count) : first]
    if len(times_s) == 0 or len(rows) < 2:
        return rows
    far = min(len(rows) - 1, LEAD_PICTURES)
    speed = (rows.boxes[far] - rows.boxes[0]) / np.float32(rows.times_s[far] - rows.times_s[0])
    boxes = rows.boxes[0] + (times_s - rows.times_s[0]).astype(np.float32)[:, None] * speed
    size = rows.boxes[0, 2:] - rows.boxes[0, :2]
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + size / 2)
    ids, none = np.full(len(times_s), rows.track_ids[0]), np.zeros(len(times_s), np.bool_)
    before = History(times_s, ids, boxes, np.full(len(times_s), rows.scores[0]), none)
    return History._joined([before, rows])
