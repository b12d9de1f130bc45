"""The book of a tracker: all its tracks as a struct of arrays, its clock and its ids.

Every tracker keeps one and works on it; what differs between trackers is only which detection goes to which track.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.track.kalman import POSITION, VELOCITY, KalmanFilter, States
from reidpipe.track.overlap import overlapping
from reidpipe.track.passes import Pairs
from reidpipe.track.picture import Picture
from reidpipe.types import Boxes, Ids, Mask, Scores, Tracks

__all__ = ["TrackBook", "check_limits"]

NO_ID = 0
Noise = Callable[[Scores], NDArray[np.float64] | float]
CLOCK_SLACK_S = 1e-6
"""Ages are compared with this tolerance, so that 30 frames of 1/30 s are one second."""


def check_limits(**limits: tuple[float, float, float]) -> None:
    """Check a tracker's numbers: ``name=(value, lowest, highest)``, bounds allowed.

    Raises:
        ConfigError: the first one that is out of range or NaN.
    """
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ConfigError(f"{name} must be between {low:g} and {high:g}, got {value:g}")


def no_extra_noise(scores: Scores) -> float:  # noqa: ARG001
    """Every detection is measured as well as the model says."""
    return 1.0


class TrackBook:
    """Tracks in the order of their birth, one column of every array each.

    A track is *new* until it has been seen often enough; then it is confirmed and gets an id, the next whole number. An
    id is never used again. Nothing is shared between books.

    Args:
        kalman: the motion filter.
        max_age_s: a confirmed track that was not seen for longer than this ends, seconds.
        min_hits: detections that confirm a track.

    Attributes:
        ids: int64 ``(N,)``, 0 while new.
        keys: int64 ``(N,)``, 1, 2, 3... in the order of birth, also for tracks that are never confirmed.
        states: float64 ``(5, 4, N)``, at ``time_s``.
        boxes: float32 ``(N, 4)``: where the tracks are now; measured or predicted.
        scores: float32 ``(N,)``, of the last detection.
        seen_s: float64 ``(N,)``, time of the last detection.
        hits: int64 ``(N,)``, number of detections so far.
        rows: int64 ``(N,)``, row of this picture's detection, -1 when there is none.
        time_s: of the last picture, seconds; minus infinity before the first.
        before_s: of the picture before it.
    """

    COLUMNS = ("ids", "keys", "boxes", "scores", "seen_s", "hits", "rows")

    def __init__(self, kalman: KalmanFilter, *, max_age_s: float, min_hits: int) -> None:
        check_limits(max_age_s=(max_age_s, 0, 1e9), min_hits=(min_hits, 1, 1_000_000))
        self.kalman = kalman
        self.max_age_s = max_age_s
        self.min_hits = min_hits
        self.time_s = -math.inf
        self.before_s = -math.inf
        self.ids: Ids = np.zeros(0, np.int64)
        self.keys: Ids = np.zeros(0, np.int64)
        self.states: States = np.zeros((5, 4, 0))
        self.boxes: Boxes = np.zeros((0, 4), np.float32)
        self.scores: Scores = np.zeros(0, np.float32)
        self.seen_s: NDArray[np.float64] = np.zeros(0)
        self.hits: Ids = np.zeros(0, np.int64)
        self.rows: Ids = np.zeros(0, np.int64)
        self._last_id = 0
        self._last_key = 0
        self._ended: list[Ids] = []

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def confirmed(self) -> Mask:
        """Tracks that have an id, bool ``(N,)``."""
        return np.asarray(self.ids != NO_ID)

    @property
    def followed(self) -> Mask:
        """Tracks that had a detection in the picture before this one (while a picture is worked on), bool ``(N,)``."""
        return np.asarray(self.seen_s == self.before_s)

    @property
    def awake(self) -> Mask:
        """Tracks that motion can still say something about, seen in the last ``max_age_s``, bool ``(N,)``."""
        return np.asarray(self.time_s - self.seen_s <= self.max_age_s + CLOCK_SLACK_S)

    def turn_page(self, time_s: float, *, keep: Mask | None = None) -> None:
        """Begin a picture: end the tracks that are too old, move the others to ``time_s``.

        Args:
            time_s: of the picture, seconds.
            keep: bool ``(N,)``, tracks that do not end yet, however old.

        Raises:
            ValueError: time is not finite or does not grow.
        """
        if not self.time_s < time_s < math.inf:
            raise ValueError(f"time_s must grow from picture to picture, got {time_s} after {self.time_s}")
        self.before_s, self.time_s = self.time_s, time_s
        if len(self) == 0:
            return
        oldest_s = self.seen_s[self.seen_s.argmin()]
        if time_s - oldest_s > self.max_age_s + CLOCK_SLACK_S:
            self.remove(self.confirmed & ~self.awake & (True if keep is None else ~keep))
        if oldest_s < self.before_s:
            self.states[VELOCITY, 2:, self.seen_s < self.before_s] = 0.0  # somebody unseen keeps their size
        self.states = self.kalman.predict(self.states, time_s - self.before_s)
        self.boxes = self.kalman.boxes(self.states)
        self.rows = np.empty(len(self), np.int64)
        self.rows.fill(-1)

    def expected(self, time_s: float) -> Boxes:
        """Where the tracks will be at ``time_s``, float32 ``(N, 4)``; changes nothing."""
        if len(self) == 0 or time_s <= self.time_s:
            return self.boxes
        return self.kalman.boxes(self.kalman.predict(self.states, time_s - self.time_s))

    def shift(self, by: NDArray[np.float64], *, tracks: Ids | None = None) -> None:
        """Move all tracks, or some, by ``(2,)`` pixels: the camera moved."""
        if tracks is None:
            self.states[POSITION, :2] += by[:, None]
            self.boxes = self.kalman.boxes(self.states)
        else:
            self.states[POSITION, :2, tracks] += by

    def move_camera(self, warp: NDArray[np.float64]) -> None:
        """The camera moved since the last picture: put everybody where they are in the new one.

        Args:
            warp: float64 ``(2, 3)``: a point ``(x, y)`` of the picture before is now at ``warp @ (x, y, 1)``.
        """
        if len(self) == 0:
            return
        turn, zoom = warp[:, :2], abs(float(np.linalg.det(warp[:, :2]))) ** 0.5
        self.states[POSITION, :2] = turn @ self.states[POSITION, :2] + warp[:, 2:]
        self.states[VELOCITY, :2] = turn @ self.states[VELOCITY, :2]
        lengths = [3] if self.kalman.motion.shape == "aspect" else [2, 3]
        self.states[POSITION, lengths] *= zoom
        self.boxes = self.kalman.boxes(self.states)

    def restart(self, tracks: Ids, boxes: Boxes) -> None:
        """Put tracks where they were found again, ``(K,)`` and ``(K, 4)``; what their motion was is over."""
        if len(tracks):
            self.states[:, :, tracks] = self.kalman.start(self.kalman.measure(boxes))

    def feed(self, picture: Picture, pairs: Pairs, *, noise: Noise = no_extra_noise, measured: float = 0.0) -> Ids:
        """Give each matched track its detection; confirms those that have enough.

        Args:
            picture: the detections.
            pairs: who belongs to whom.
            noise: factor on the variance of a measurement from its score, float32 ``(K,)`` to ``(K,)``.
            measured: share of the detection in the box that is shown, the rest is the filter's, 0..1.

        Returns:
            The matched tracks, ascending.
        """
        tracks = pairs.matched
        if len(tracks) == 0:
            return tracks
        chosen = pairs.detection_of[tracks]
        boxes, scores, rows = picture.boxes.take(chosen, axis=0), picture.scores[chosen], picture.rows[chosen]
        everybody = len(tracks) == len(self)
        states = self.states if everybody else self.states.take(tracks, axis=2)
        states = self.kalman.update(states, self.kalman.measure(boxes), noise=noise(scores))
        shown = self.kalman.boxes(states)
        if measured:
            shown += np.float32(measured) * (boxes - shown)
        if everybody:  # no picking and putting back
            self.states, self.boxes, self.scores, self.rows = states, shown, scores, rows
            self.seen_s.fill(self.time_s)
            self.hits += 1
        else:
            self.states[:, :, tracks] = states
            self.boxes[tracks], self.scores[tracks], self.rows[tracks] = shown, scores, rows
            self.seen_s[tracks] = self.time_s
            self.hits[tracks] += 1
        new = self.ids == NO_ID
        if np.count_nonzero(new):
            self._confirm((new & (self.hits >= self.min_hits) & (self.rows >= 0)).nonzero()[0])
        return tracks

    def begin(self, picture: Picture, chosen: Ids, *, confirmed: bool = False) -> None:
        """New tracks from the chosen detections; ``confirmed``: at once, whatever ``min_hits`` says."""
        count = len(chosen)
        if count == 0:
            return
        boxes = picture.boxes[chosen]
        self.states = np.concatenate((self.states, self.kalman.start(self.kalman.measure(boxes))), axis=2)
        self.ids = np.concatenate((self.ids, np.full(count, NO_ID, np.int64)))
        self.keys = np.concatenate((self.keys, np.arange(self._last_key + 1, self._last_key + 1 + count)))
        self.boxes = np.concatenate((self.boxes, boxes))
        self.scores = np.concatenate((self.scores, picture.scores[chosen]))
        self.seen_s = np.concatenate((self.seen_s, np.full(count, self.time_s)))
        self.hits = np.concatenate((self.hits, np.ones(count, np.int64)))
        self.rows = np.concatenate((self.rows, picture.rows[chosen]))
        self._last_key += count
        if confirmed or self.min_hits == 1:
            self._confirm(np.arange(len(self) - count, len(self)))

    def remove(self, which: Mask) -> None:
        """End tracks, bool ``(N,)``."""
        if not np.count_nonzero(which):
            return
        ended = self.ids[which & self.confirmed]
        if len(ended):
            self._ended.append(ended)
        keep = ~which
        self.states = self.states.compress(keep, axis=2)
        for name in self.COLUMNS:
            setattr(self, name, getattr(self, name)[keep])

    def tidy(self, *, duplicates_above: float = 1.0) -> None:
        """After ``feed``: end the new tracks that were not found again, and of two tracks on one person one.

        Args:
            duplicates_above: a lost track and a seen one that overlap by more than this are one person, 0..1; the one
                with fewer detections ends.
        """
        missed = self.rows < 0
        if not np.count_nonzero(missed):
            return
        self.remove(missed & ~self.confirmed)
        if duplicates_above < 1:
            self.remove(self._duplicates(above=duplicates_above))

    def _duplicates(self, *, above: float) -> Mask:
        """The tracks to end, bool ``(N,)``."""
        gone = np.zeros(len(self), np.bool_)
        lost = (self.confirmed & (self.rows < 0) & self.awake).nonzero()[0]
        if len(lost) == 0:
            return gone
        seen = (self.confirmed & (self.rows >= 0)).nonzero()[0]
        one, other, share = overlapping(self.boxes[lost], self.boxes[seen])
        one, other = lost[one[share > above]], seen[other[share > above]]
        gone[np.where(self.hits[one] > self.hits[other], other, one)] = True
        return gone

    def shown(self, *, coast_s: float = 0.0) -> Tracks:
        """The confirmed tracks of this picture, and what ended with it.

        Args:
            coast_s: also those last seen up to this many seconds ago, where they are predicted to be.
        """
        rows = self._visible(coast_s)
        boxes = self.boxes.take(rows, axis=0)
        return Tracks(self.ids[rows], boxes, self.scores[rows], self.rows[rows], self._take_ended())

    def predicted(self, time_s: float, *, coast_s: float = 0.0) -> Tracks:
        """The tracks that the last picture showed, moved to ``time_s``; changes nothing.

        Raises:
            ValueError: ``time_s`` lies before the last picture.
        """
        if not self.time_s <= time_s < math.inf:
            raise ValueError(f"time_s must not lie before the last picture ({self.time_s}), got {time_s}")
        rows = self._visible(coast_s)
        if len(rows) == 0:
            return Tracks.empty()
        boxes = self.kalman.boxes(self.kalman.predict(self.states[:, :, rows], time_s - self.time_s))
        return Tracks(self.ids[rows], boxes, self.scores[rows], np.full(len(rows), -1, np.int64))

    def close(self) -> Tracks:
        """End every track."""
        self.remove(np.ones(len(self), np.bool_))
        return Tracks.empty(self._take_ended())

    def _visible(self, coast_s: float) -> Ids:
        since_s = self.time_s - coast_s - (CLOCK_SLACK_S if coast_s else 0.0)
        return ((self.seen_s >= since_s) & self.confirmed).nonzero()[0]

    def _confirm(self, tracks: Ids) -> None:
        if len(tracks):
            self.ids[tracks] = np.arange(self._last_id + 1, self._last_id + 1 + len(tracks))
            self._last_id += len(tracks)

    def _take_ended(self) -> Ids:
        ended = np.sort(np.concatenate(self._ended)) if self._ended else np.zeros(0, np.int64)
        self._ended = []
        return ended
