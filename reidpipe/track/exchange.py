"""Two people met, and each track went on with the other's person: told by the looks of all four halves, and put right.

Where two people cover each other a detector sees one box, and a tracker may give it, and the next one, to the wrong
track. The look of one track alone hardly shows that: people are as unlike themselves in another light as they are like
a stranger in like clothes. But each half can be held against both others, and two right pairs are more alike than two
wrong ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reidpipe.track.history import Crops, History, boxes_at
from reidpipe.track.kalman import KalmanFilter
from reidpipe.track.mend import Scale, surprise
from reidpipe.track.overlap import each_overlap

__all__ = ["Turn", "exchange", "find_turns", "spans"]

NEAR = 0.2
"""Overlap from which two people meet; where one of them is not seen for a moment, of where they should be."""
PARTED_S = 1.0
"""Who parts for less than this has not parted."""
NEAREST = 6
"""Crops before and after a meeting, the nearest in time, that say how somebody looks."""
LEAST_TRACKS = 3
"""Tracks with crops enough that say how alike one person is to himself."""
ODD_ONES, MOST = 0.1, 8.0
"""As for tracklets (``associate.calibrate``): so many halves of one person look like strangers, half hidden or with
somebody else in the crop; and no pair gives more than so many log-odds."""
RARE = 0.02
"""Share of meetings after which the tracks are exchanged: 8 of 349 whose people the truth knows, in the five clips of
../shared/data/mot and the samples, tracked in three ways at up to three frame rates."""


@dataclass(frozen=True, slots=True)
class Turn:
    """From ``start_s`` on a track is what the tracker called ``source``."""

    start_s: float
    source: int


Turns = Mapping[int, Sequence[Turn]]


def find_turns(
    tracks: Mapping[int, History], looks: Mapping[int, Crops], scale: Scale, kalman: KalmanFilter
) -> dict[int, list[Turn]]:
    """Which tracks went on with each other's people, and when: track -> what it should be made of, in order of time.

    Both hypotheses are weighed by the log-odds that two halves are one person: of the two crossed pairs, less those of
    the two straight ones. What a cosine means is read from the camera: people there together are strangers, and nearly
    all tracks are one person from end to end; both are taken for normal with the width of the strangers. Of the moments
    at which the two are close, they change places where motion was most surprised.

    Args:
        tracks: id -> rows.
        looks: id -> crops, of some.
        scale: how alike strangers are.
        kalman: how people move.

    Returns:
        Only tracks that change.
    """
    odds = _Odds.of(looks, scale)
    if odds is None:
        return {}
    known = {one: rows for one, rows in tracks.items() if one in looks}
    turns = {one: [Turn(-np.inf, one)] for one in known}
    now = {one: one for one in known}
    for first_s, last_s, one, other in sorted(_meetings(known)):
        mine, theirs = now[one], now[other]
        early = [_crops(turns[track], looks).before(first_s, NEAREST) for track in (mine, theirs)]
        late = [looks[source].after(last_s, NEAREST) for source in (one, other)]
        if not all(map(len, (*early, *late))):
            continue
        crossed = odds(early[0], late[1]) + odds(early[1], late[0])
        if crossed - odds(early[0], late[0]) - odds(early[1], late[1]) <= np.log((1 - RARE) / RARE):
            continue
        time_s = _moment((known[one], known[other]), first_s, last_s, kalman)
        turns[mine].append(Turn(time_s, other))
        turns[theirs].append(Turn(time_s, one))
        now[one], now[other] = theirs, mine
    return {one: own for one, own in turns.items() if len(own) > 1}


def exchange(
    tracks: Mapping[int, History], looks: Mapping[int, Crops], turns: Turns
) -> tuple[dict[int, History], dict[int, Crops]]:
    """The tracks and their crops as the turns say; a track that is left without a row is gone."""
    rows, seen = dict(tracks), dict(looks)
    for one, own in turns.items():
        parts = [tracks[source].between(start_s, end_s) for source, start_s, end_s in spans(own)]
        whole = History.joined(parts)
        rows[one], seen[one] = whole.renamed(np.full(len(whole), one, np.int64)), _crops(own, looks)
    return {one: own for one, own in rows.items() if len(own)}, seen


def spans(turns: Sequence[Turn]) -> Iterator[tuple[int, float, float]]:
    """Source, first and last second of each turn; it ends just before the next one begins."""
    ends_s = [*(float(np.nextafter(turn.start_s, -np.inf)) for turn in turns[1:]), np.inf]
    for turn, end_s in zip(turns, ends_s, strict=True):
        yield turn.source, turn.start_s, end_s


def _crops(turns: Sequence[Turn], looks: Mapping[int, Crops]) -> Crops:
    parts = [looks[source].between(start_s, end_s) for source, start_s, end_s in spans(turns)]
    return Crops(np.concatenate([p.times_s for p in parts]), np.concatenate([p.vectors for p in parts]))


@dataclass(frozen=True, slots=True)
class _Odds:
    """Log-odds that two sets of crops of one camera are of one person, from their cosine."""

    slope: float
    even: float

    @classmethod
    def of(cls, looks: Mapping[int, Crops], scale: Scale) -> _Odds | None:
        """None where there are too few people to tell, or they are no more like themselves than like each other."""
        halves = [(own[: len(own) // 2], own[len(own) // 2 :]) for own in looks.values()]
        own = [float(a.mean() @ b.mean()) for a, b in halves if len(a) > 1 and len(b) > 1]
        if not scale.tells or len(own) < LEAST_TRACKS:
            return None
        apart = float(np.median(own)) - scale.middle
        return cls(apart / scale.spread**2, scale.middle + apart / 2) if apart > 0 else None

    def __call__(self, one: Crops, other: Crops) -> float:
        plain = np.clip(self.slope * (float(one.mean() @ other.mean()) - self.even), -MOST, MOST)
        return float(np.log((1 - ODD_ONES) * np.exp(plain) + ODD_ONES))


def _meetings(tracks: Mapping[int, History]) -> Iterator[tuple[float, float, int, int]]:
    """First and last moment at which two tracks are close, and which two; some meet several times."""
    present: list[int] = []
    for one in sorted(tracks, key=lambda one: (float(tracks[one].times_s[0]), one)):
        present = [other for other in present if tracks[other].times_s[-1] > tracks[one].times_s[0]]
        for other in present:
            for first_s, last_s in _close(tracks[other], tracks[one]):
                yield first_s, last_s, other, one
        present.append(one)


def _close(one: History, other: History) -> Iterator[tuple[float, float]]:
    """Spans of time in which two tracks that are there together are close."""
    first_s, last_s = max(one.times_s[0], other.times_s[0]), min(one.times_s[-1], other.times_s[-1])
    times_s = np.union1d(one.times_s, other.times_s)
    times_s = times_s[(times_s >= first_s) & (times_s <= last_s)]
    near_s = times_s[each_overlap(boxes_at(one, times_s), boxes_at(other, times_s)) > NEAR]
    for span_s in np.split(near_s, np.flatnonzero(np.diff(near_s) > PARTED_S) + 1):
        if len(span_s):
            yield float(span_s[0]), float(span_s[-1])


def _moment(pair: tuple[History, History], first_s: float, last_s: float, kalman: KalmanFilter) -> float:
    """When two tracks change places: the most surprising of their rows while they are close, and of the next after."""
    times_s, far = (
        np.concatenate(parts) for parts in zip(*((r.times_s, surprise(r, kalman)) for r in pair), strict=True)
    )
    later_s = times_s[times_s > last_s]
    inside = (times_s >= first_s) & (times_s <= (later_s.min() if len(later_s) else last_s))
    return float(times_s[inside][far[inside].argmax()])
