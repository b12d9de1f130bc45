"""OC-SORT: trust observations over estimates (Cao et al. 2023, arXiv 2203.14360)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.assignment import Candidates
from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.kalman import SIZE_MOTION, KalmanFilter, States
from reidpipe.track.overlap import overlapping
from reidpipe.track.passes import Pairs, overlap_cost
from reidpipe.track.picture import Picture
from reidpipe.types import Boxes, Detections, Ids, Tracks

__all__ = ["OCSort"]

VIRTUAL_STEPS = 30
"""A gap is walked through in at most so many steps."""


class OCSort:
    """Follows people inside one camera by overlap and by the direction that their own detections took.

    Observation-centric momentum (OCM) adds the angle between a track's direction and the way to the detection to the
    cost; recovery (OCR) gives tracks without a partner a second chance against their last detection; re-update (ORU)
    replaces what the filter imagined while a person was lost by a straight way between the two detections.

    Args:
        min_score: detections under this are not used in the first pass, 0..1.
        low_score: detections from here on take part in a second pass, as in ByteTrack; 1 switches it off, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds.
        min_hits: pictures in a row that a new person must be found in before it gets an id.
        overlap_limit: highest cost of a pair without the direction's share: 1 - overlap, 0..1.
        direction_weight: cost of walking the opposite way (the paper's lambda), 0 or more.
        direction_s: a direction is taken over this time, seconds (the paper's delta t, three pictures).
        coast_s: also return people that were not found in this picture, but up to this many seconds ago, where they are
            predicted to be (``det_rows`` -1).

    Raises:
        ConfigError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        min_score: float = 0.6,
        low_score: float = 1.0,
        max_age_s: float = 1.0,
        min_hits: int = 3,
        overlap_limit: float = 0.7,
        direction_weight: float = 0.2,
        direction_s: float = 0.1,
        coast_s: float = 0.0,
    ) -> None:
        check_limits(
            min_score=(min_score, 0, 1),
            low_score=(low_score, 0, 1),
            overlap_limit=(overlap_limit, 0, 1),
            direction_weight=(direction_weight, 0, 10),
            direction_s=(direction_s, 0, 1e9),
            coast_s=(coast_s, 0, 1e9),
        )
        self._min_score, self._low, self._overlap_limit = min_score, low_score, overlap_limit
        self._weight, self._direction_s = direction_weight, direction_s
        self._coast_s = coast_s
        self._book = TrackBook(KalmanFilter(SIZE_MOTION), max_age_s=max_age_s, min_hits=min_hits)
        self._past: dict[int, _Past] = {}

    def wants(self, detections: Detections, time_s: float) -> Ids:  # noqa: ARG002
        """No row: OC-SORT uses no appearance."""
        return np.zeros(0, np.int64)

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections; ``time_s`` must grow (else ValueError). See ``ByteTrack.update``."""
        book, picture = self._book, Picture.of(detections)
        book.turn_page(time_s)
        pairs = self._associate(picture)
        self._walk_again(picture, pairs)
        fed = book.feed(picture, pairs)
        self._note(fed, picture, pairs.detection_of[fed])
        book.tidy()
        new = (pairs.free & (picture.scores >= self._min_score)).nonzero()[0]
        book.begin(picture, new)
        self._note(np.arange(len(book) - len(new), len(book)), picture, new)
        self._past = {key: self._past[key] for key in book.keys.tolist()}
        return book.shown(coast_s=self._coast_s)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        self._past.clear()
        return self._book.close()

    def _associate(self, picture: Picture) -> Pairs:
        book, pairs = self._book, Pairs(len(self._book), len(picture))
        past = [self._past[key] for key in book.keys.tolist()]

        def momentum(tracks: Ids, detections: Ids) -> Candidates:
            rows, columns, share = overlapping(book.boxes[tracks], picture.boxes[detections])
            near = 1 - share <= self._overlap_limit
            rows, columns, share = rows[near], columns[near], share[near]
            mine = [past[track] for track in tracks.tolist()]
            turn = _turn(mine, rows, picture.boxes[detections][columns])
            return Candidates(rows, columns, 1 - share + self._weight * picture.scores[detections][columns] * turn)

        overlap = overlap_cost(book.boxes, picture.boxes)
        last = np.array([one.boxes[-1] for one in past], np.float32).reshape(-1, 4)
        everybody = np.ones(len(book), np.bool_)
        high = picture.scores >= self._min_score
        pairs.run(everybody, high, cost=momentum, limit=self._overlap_limit + self._weight)
        low = (picture.scores >= self._low) & ~high
        pairs.run(book.confirmed & book.followed, low, cost=overlap, limit=0.5)
        pairs.run(everybody, high, cost=overlap_cost(last, picture.boxes), limit=self._overlap_limit)
        return pairs

    def _walk_again(self, picture: Picture, pairs: Pairs) -> None:
        """ORU: tracks that were lost and are found now go from their last detection straight to this one."""
        book = self._book
        kalman = book.kalman
        for track in ((pairs.detection_of >= 0) & ~book.followed).nonzero()[0].tolist():
            past = self._past[int(book.keys[track])]
            away_s = book.time_s - past.times_s[-1]
            steps = min(VIRTUAL_STEPS, max(1, round(away_s / max(book.time_s - book.before_s, 1e-6))))
            start, end = (
                kalman.measure(box[None]) for box in (past.boxes[-1], picture.boxes[pairs.detection_of[track]])
            )
            state = past.state
            for step in range(1, steps):
                state = kalman.update(kalman.predict(state, away_s / steps), start + (end - start) * (step / steps))
            book.states[:, :, track : track + 1] = kalman.predict(state, away_s / steps)

    def _note(self, tracks: Ids, picture: Picture, chosen: Ids) -> None:
        """Remember the detections that tracks got, ``(K,)`` each, and the states after them."""
        book = self._book
        for track, row in zip(tracks.tolist(), chosen.tolist(), strict=True):
            past = self._past.setdefault(int(book.keys[track]), _Past())
            past.add(book.time_s, picture.boxes[row], book.states[:, :, track : track + 1].copy(), self._direction_s)


class _Past:
    """The last detections of one track, as far back as a direction needs, and the state after the last."""

    __slots__ = ("boxes", "state", "times_s")

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.boxes: list[Boxes] = []
        self.state: States = np.zeros((5, 4, 1))

    def add(self, time_s: float, box: Boxes, state: States, direction_s: float) -> None:
        self.times_s.append(time_s)
        self.boxes.append(box)
        self.state = state
        while len(self.times_s) > 2 and time_s - self.times_s[1] >= direction_s - 1e-6:
            del self.times_s[0], self.boxes[0]


def _turn(past: list[_Past], rows: Ids, boxes: Boxes) -> NDArray[np.float64]:
    """Angle between the way a track came and the way to a detection, as a share of a half turn, float64 ``(K,)``."""
    came = np.array([_centre(p.boxes[-1]) - _centre(p.boxes[0]) for p in past]).reshape(-1, 2)[rows]
    first = np.array([_centre(p.boxes[0]) for p in past]).reshape(-1, 2)[rows]
    goes = (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2 - first
    lengths = np.hypot(*came.T) * np.hypot(*goes.T)
    cosine = np.divide((came * goes).sum(axis=1), lengths, out=np.ones(len(rows)), where=lengths > 0)
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)) / np.pi)


def _centre(box: Boxes) -> NDArray[np.float64]:
    return (box[:2].astype(np.float64) + box[2:]) / 2
