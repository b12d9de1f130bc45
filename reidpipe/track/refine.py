"""Better tracks of a camera that has ended: exchanged, cut, joined, filled, smoothed. Online output is untouched.

history = History.collect((time_s, detections, tracks), ...)     while the camera runs
refined = refine(history, picture_times_s)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reidpipe.track.book import check_limits
from reidpipe.track.exchange import Turn, exchange, find_turns, spans
from reidpipe.track.history import Crops, History, Times, by_track
from reidpipe.track.kalman import PEOPLE_MOTION, KalmanFilter
from reidpipe.track.mend import Scale, find_cuts, find_joins
from reidpipe.track.smooth import smooth
from reidpipe.types import Ids

__all__ = ["Crops", "History", "Piece", "Refined", "refine"]

MEASURED_SHARE = 0.2
"""Share of the detection in a smoothed box."""
LEAD_PICTURES = 4
"""Over how many pictures the way is taken that leads back before the first row."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an online track.

    Attributes:
        track_id: of the online track.
        first_s: first detection of the part, seconds.
        last_s: last detection of the part.
        became: the id it has now.
    """

    track_id: int
    first_s: float
    last_s: float
    became: int


@dataclass(frozen=True, slots=True)
class Refined:
    """What refining gave.

    Attributes:
        history: the better rows.
        pieces: what became of the online tracks, in order of ``became`` and time; those dropped are not among them.
        joined: track id -> the earlier track that it goes on from (its first fragment's id).
        cut: track id -> the first second of each further part; these have new ids, above all others.
        exchanged: tracks that met and went on with each other's person -> which online tracks they are made of now.
        dropped: ids of tracks that were too short to be a person.
    """

    history: History
    pieces: tuple[Piece, ...]
    joined: Mapping[int, int]
    cut: Mapping[int, tuple[float, ...]]
    exchanged: Mapping[int, tuple[Turn, ...]]
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
    looks: Mapping[int, Crops] | None = None,
    split: bool = True,
) -> Refined:
    """Exchange, cut, join, fill and smooth the tracks of one camera.

    Args:
        history: rows of the online tracker; rows that were only predicted are replaced.
        picture_times_s: float64, times of all pictures of the camera, growing; gaps are filled at these.
        fill_gap_s: gaps up to this long are filled, seconds; a person hidden for longer is not guessed.
        join_gap_s: a track can be the continuation of one that ended at most so long before, seconds; 0: never.
        join_limit: highest squared Mahalanobis distance (mean of forward and backward) between the two ends, where
            motion alone joins.
        min_length_s: tracks that live for less than this are dropped, seconds; they are mostly false alarms.
        lead_in: pictures before a track's first row that are added, the way it moves there; a tracker that gives an id
            at the second detection has seen the person once before, and people mostly were there a little earlier.
        looks: track id -> some of its crops; with enough people in the picture at the same time they say which
            tracks are two people and which fragments are one.
        split: give tracks that exchanged their people back, and cut those whose look changes to that of a stranger.

    Raises:
        ConfigError: a value is out of its range.
    """
    check_limits(
        fill_gap_s=(fill_gap_s, 0, 1e9),
        join_gap_s=(join_gap_s, 0, 1e9),
        join_limit=(join_limit, 0, 1e9),
        min_length_s=(min_length_s, 0, 1e9),
        lead_in=(lead_in, 0, 1000),
    )
    kalman = KalmanFilter(PEOPLE_MOTION)
    tracks, seen = by_track(history[history.measured]), dict(looks or {})
    scale = Scale.of(tracks, seen)
    turns = find_turns(tracks, seen, scale, kalman) if split else {}
    tracks, seen = exchange(tracks, seen, turns)
    cuts = find_cuts(tracks, seen, scale, kalman) if split else {}
    parts, origin = _cut(tracks, seen, cuts)
    joined = find_joins(parts, seen, scale, kalman, gap_s=join_gap_s, limit=join_limit)
    parts = _taking_turns(parts, joined)
    whole = by_track(History.joined([rows.renamed(_same(rows, joined.get(one, one))) for one, rows in parts.items()]))
    short = {one for one, rows in whole.items() if rows.times_s[-1] - rows.times_s[0] < min_length_s}
    filled = [_filled(rows, picture_times_s, kalman, fill_gap_s) for one, rows in whole.items() if one not in short]
    pieces = list(_pieces(parts, origin, turns, joined))
    return Refined(
        History.joined([_led_in(rows, picture_times_s, lead_in) for rows in filled]),
        tuple(sorted((p for p in pieces if p.became not in short), key=lambda p: (p.became, p.first_s))),
        joined,
        {one: tuple(times_s) for one, times_s in cuts.items()},
        {one: tuple(own) for one, own in turns.items()},
        tuple(sorted({p.track_id for p in pieces if p.became in short})),
    )


def _pieces(
    parts: Mapping[int, History],
    origin: Mapping[int, int],
    turns: Mapping[int, Sequence[Turn]],
    joined: Mapping[int, int],
) -> Iterator[Piece]:
    """What each part is made of, online track by online track."""
    for one, rows in parts.items():
        for source, start_s, end_s in spans(turns.get(origin[one], [Turn(-np.inf, origin[one])])):
            own = rows.between(start_s, end_s)
            if len(own):
                yield Piece(source, float(own.times_s[0]), float(own.times_s[-1]), joined.get(one, one))


def _same(rows: History, track_id: int) -> Ids:
    return np.full(len(rows), track_id, np.int64)


def _cut(
    tracks: Mapping[int, History], looks: dict[int, Crops], cuts: Mapping[int, list[float]]
) -> tuple[dict[int, History], dict[int, int]]:
    """The parts of the tracks, the first under the old id, and which track each is of; ``looks`` is cut alike."""
    parts, origin, unused = dict(tracks), {one: one for one in tracks}, max(tracks, default=0) + 1
    for one, times_s in cuts.items():
        seen = looks[one]
        for k, (start_s, end_s) in enumerate(zip([-np.inf, *times_s], [*times_s, np.inf], strict=True)):
            own = one if k == 0 else unused
            unused += k > 0
            rows = tracks[one]
            parts[own] = rows[(rows.times_s >= start_s) & (rows.times_s < end_s)]
            looks[own] = seen.between(start_s, np.nextafter(end_s, -np.inf))
            origin[own] = one
    return parts, origin


def _taking_turns(parts: Mapping[int, History], joined: Mapping[int, int]) -> dict[int, History]:
    """The parts, each up to where the next one of the same person begins: a second box is the better one."""
    ends_s: dict[int, float] = {}
    turns = dict(parts)
    for one in sorted(parts, key=lambda one: float(parts[one].times_s[0]), reverse=True):
        root, rows = joined.get(one, one), parts[one]
        turns[one] = rows[rows.times_s < ends_s.get(root, np.inf)]
        ends_s[root] = float(rows.times_s[0])
    return turns


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
    return History.joined([before, rows])
