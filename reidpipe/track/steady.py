"""The default tracker: whoever is likely, two passes by score, and a camera that may move. See docs/tracker.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.assignment import Candidates
from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.camera import camera_shift
from reidpipe.track.kalman import PEOPLE_MOTION, KalmanFilter
from reidpipe.track.looks import Looks, covered
from reidpipe.track.overlap import overlapping
from reidpipe.track.passes import Pairs
from reidpipe.track.picture import Picture
from reidpipe.track.reach import reachable
from reidpipe.types import Boxes, Detections, Ids, Mask, Scores, Tracks

__all__ = ["Steady"]

SCORE_WEIGHT = 5.0
"""Cost of a change of score by 1: a person half hidden (low score) and the one before them (high) rarely swap. This and
the next are in the unit of ``surprise_limit``."""
LOOK_WEIGHT = 20.0
"""Cost of a difference of 1 in cosine."""
STRANGER = 0.15
"""Cosine under ``same_look`` by more than this: no match by overlap alone."""
LEARNT_SHARE = 0.5
"""Share of the common jump that the tracks learn as their own motion, so that a crowd that walks one way, or a camera
that keeps panning, becomes speed and not a new jump in every picture."""
NEAR_OVERLAP = 0.1
"""Overlap from which a detection could be a track's."""
MAX_COVERED = 0.4
"""A crop is clean when nobody before it hides more of it than this share."""
LEAST_HEIGHT = 32.0
"""Pixels: and when it is not lower than this."""
SLACK = 0.06
"""Box heights: what a detector's box may be off while somebody is half hidden, on top of the filter's noise."""
MEASURED_SHARE = 0.3
"""Share of the detection in the box that is shown; the filter's box alone lags a little."""


def _noise(scores: Scores) -> NDArray[np.float64]:
    """A detection of score 0.8 is measured as the model says, one of 0.2 with half as much variance again."""
    return (1 - 0.5 * scores.astype(np.float64)) / 0.6


def _clean(boxes: Boxes) -> Mask:
    """Crops that may renew a look, bool ``(N,)``."""
    return np.asarray((covered(boxes) < MAX_COVERED) & (boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT))


class Steady:
    """Follows people inside one camera.

    Like ByteTrack, detections with a high score are matched first with all tracks, then those with a low score with the
    tracks that are left. What a pair costs is how unlikely it is: how much place and size surprise a motion filter that
    knows how people move, how little is known of the track, a change of score, and looks. Nobody needs to overlap, so
    that one cost serves at 30 and at 2 pictures a second; those left over are matched by overlap. Before that, the jump
    that all people have in common is taken as the camera's. All limits are in seconds and box heights.

    Args:
        high_score: detections from here on are trusted, 0..1.
        low_score: detections from here on can continue a track, 0..1; those below are not used.
        new_score: detections from here on can begin a track, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds; a later return gets a new id, unless their
            look is known.
        min_hits: pictures in a row that a new person must be found in before it gets an id; people in the very first
            picture get theirs at once.
        wait_s: where pictures come slower than this, seconds, a new person does not wait for a second one: at five
            pictures a second that would hide everybody for a fifth of a second, at two for half of one.
        low_limit: highest cost (1 - overlap) of a pair in the passes by overlap, 0..1.
        surprise_limit: highest cost of a pair in the first pass, minus twice a logarithm of likelihood; a squared
            Mahalanobis distance with four degrees of freedom is above 13.3 once in a hundred.
        duplicate_overlap: of two tracks that overlap by more than this, one seen and one lost, the younger ends, 0..1.
        moving_camera: correct for a camera that pans, shakes or drives.
        appearance: ask for embeddings where they would decide; without any, motion alone decides.
        same_look: cosine from which two crops are rather the same person than two, -1..1; a fact of the embedder.
        refresh_s: ask for a person's appearance again after this time, seconds.
        memory_s: a person whose look is known can come back under the same id for so long, seconds.
        return_look: cosine that a return needs, -1..1; stricter than ``same_look``, as nothing else speaks for it.
        coast_s: also return people that were not found in this picture, but up to this many seconds ago, where they are
            predicted to be (``det_rows`` -1).

    Raises:
        ConfigError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        high_score: float = 0.6,
        low_score: float = 0.1,
        new_score: float = 0.7,
        max_age_s: float = 1.5,
        min_hits: int = 2,
        wait_s: float = 0.15,
        low_limit: float = 0.5,
        surprise_limit: float = 13.3,
        duplicate_overlap: float = 0.85,
        moving_camera: bool = True,
        appearance: bool = True,
        same_look: float = 0.55,
        refresh_s: float = 1.0,
        memory_s: float = 10.0,
        return_look: float = 0.8,
        coast_s: float = 0.04,
    ) -> None:
        check_limits(
            high_score=(high_score, low_score, 1),
            low_score=(low_score, 0, 1),
            new_score=(new_score, 0, 1),
            wait_s=(wait_s, 0, 1e9),
            low_limit=(low_limit, 0, 1),
            surprise_limit=(surprise_limit, 0, 1e9),
            duplicate_overlap=(duplicate_overlap, 0, 1),
            same_look=(same_look, -1, 1),
            refresh_s=(refresh_s, 0, 1e9),
            memory_s=(memory_s, 0, 1e9),
            return_look=(return_look, -1, 1),
            coast_s=(coast_s, 0, 1e9),
        )
        self._high, self._low, self._new = high_score, low_score, new_score
        self._low_limit, self._surprise_limit = low_limit, surprise_limit
        self._wait_s, self._duplicate = wait_s, duplicate_overlap
        self._moving_camera = moving_camera
        self._appearance, self._same_look, self._refresh_s = appearance, same_look, refresh_s
        self._memory_s, self._return_look = memory_s, return_look
        self._looks = Looks()
        self._coast_s = coast_s
        self._book = TrackBook(KalmanFilter(PEOPLE_MOTION), max_age_s=max_age_s, min_hits=min_hits)

    def wants(self, detections: Detections, time_s: float) -> Ids:
        """Rows whose appearance would decide something: who could be confused, who is new, whose look is old.

        Only trusted detections. A crop that only renews a look must be clean; one that tells two people apart is taken
        as it comes, for people are hardest to tell apart where they cover each other.
        """
        if not self._appearance or len(detections) == 0:
            return np.zeros(0, np.int64)
        book, picture = self._book, Picture.of(detections)
        tracks = (book.confirmed & (time_s - book.seen_s <= book.max_age_s)).nonzero()[0]
        rows, columns, share = overlapping(book.expected(time_s)[tracks], picture.boxes)
        near = share > NEAR_OVERLAP
        rows, columns = rows[near], columns[near]
        choices = np.bincount(rows, minlength=len(tracks))
        old = self._looks.age_s(book.keys[tracks], time_s) >= self._refresh_s
        sure, stale = np.zeros(len(picture), np.bool_), np.zeros(len(picture), np.bool_)
        sure[columns[choices[rows] == 1]] = True
        sure &= np.bincount(columns, minlength=len(picture)) == 1
        stale[columns[old[rows]]] = True
        wanted = (picture.scores >= self._high) & (~sure | (stale & _clean(picture.boxes)))
        return np.sort(picture.rows[wanted])

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections.

        Args:
            detections: ``N`` rows, in any order; the order changes nothing.
            time_s: of the picture, seconds; must grow.

        Returns:
            The people of this picture in the order of their birth, and the ids that ended.

        Raises:
            ValueError: time does not grow.
        """
        book, picture = self._book, Picture.of(detections)
        at_once = time_s - book.time_s > self._wait_s  # and in the very first picture
        book.turn_page(time_s, keep=self._remembered(time_s))
        high = picture.scores >= self._high
        shift = camera_shift(book.boxes[book.followed], picture.boxes[high]) if self._moving_camera else None
        if shift is not None:
            book.shift(shift)
        pairs = self._associate(picture, high)
        self._return(picture, pairs, high)
        if shift is not None:
            book.shift(-LEARNT_SHARE * shift, tracks=pairs.matched)
        fed = book.feed(picture, pairs, noise=_noise, measured=MEASURED_SHARE)
        self._learn(book.keys[fed], picture, pairs.detection_of[fed])
        book.tidy(duplicates_above=self._duplicate)
        new = (pairs.free & (picture.scores >= self._new)).nonzero()[0]
        book.begin(picture, new, confirmed=at_once)
        self._learn(book.keys[len(book) - len(new) :], picture, new)
        return book.shown(coast_s=self._coast_s)

    def camera_moved(self, warp: NDArray[np.float64]) -> None:
        """The camera moved since the last picture; call before ``wants`` and ``update`` of the next.

        Args:
            warp: float64 ``(2, 3)``: a point ``(x, y)`` of the picture before is now at ``warp @ (x, y, 1)``, pixels.
        """
        if self._moving_camera:
            self._book.move_camera(warp)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        self._looks.keep(np.zeros(0, np.int64))
        return self._book.close()

    def _remembered(self, time_s: float) -> Mask | None:
        """People who left, but would be known again by their look, bool ``(N,)``."""
        if len(self._looks) == 0:
            return None
        book = self._book
        return np.asarray(book.confirmed & (time_s - book.seen_s <= self._memory_s) & self._looks.known(book.keys))

    def _return(self, picture: Picture, pairs: Pairs, high: Mask) -> None:
        """Somebody turns up where motion does not expect them: known again by the look alone, with a stricter limit."""
        if picture.source.embedded is None or len(self._looks) == 0:
            return
        book = self._book
        lost = book.confirmed & ~book.followed & (pairs.detection_of < 0) & self._looks.known(book.keys)
        clean = high & picture.embedded & _clean(picture.boxes)
        measures = picture.measures(book.kalman)

        def unlike(tracks: Ids, detections: Ids) -> Candidates:
            cost = 1 - self._looks.of(book.keys[tracks]) @ picture.vectors(detections).T
            away_s = book.time_s - book.seen_s[tracks]
            cost[~reachable(book.kalman.measure(book.boxes[tracks]), measures[:, detections], away_s)] = np.inf
            return Candidates.dense(cost)

        pairs.run(lost, clean, cost=unlike, limit=1 - self._return_look)
        back = (lost & (pairs.detection_of >= 0)).nonzero()[0]
        book.restart(back, picture.boxes[pairs.detection_of[back]])

    def _learn(self, keys: Ids, picture: Picture, chosen: Ids) -> None:
        """Renew the looks of tracks from their detections, ``(K,)`` each, where these have a clean crop."""
        if picture.source.embedded is not None:
            clean = picture.embedded[chosen] & _clean(picture.boxes)[chosen]
            self._looks.learn(keys[clean], picture.vectors(chosen[clean]), self._book.time_s)
        if len(self._looks) > 2 * len(self._book):
            self._looks.keep(self._book.keys)

    def _strangeness(self, tracks: Ids, picture: Picture, detections: Ids) -> NDArray[np.float32] | None:
        """How much less alike than two crops of one person each pair ``(K,)`` is, in cosine; 0 where not known."""
        if picture.source.embedded is None or len(self._looks) == 0:
            return None
        known = self._looks.known(self._book.keys[tracks]) & picture.embedded[detections]
        result = np.zeros(len(tracks), np.float32)
        if known.any():
            one, other = self._looks.of(self._book.keys[tracks[known]]), picture.vectors(detections[known])
            result[known] = self._same_look - (one * other).sum(axis=1)
        return result

    def _associate(self, picture: Picture, high: Mask) -> Pairs:
        book, pairs = self._book, Pairs(len(self._book), len(picture))
        kalman, measures = book.kalman, picture.measures(book.kalman)

        def unlikeliness(tracks: Ids, detections: Ids) -> Candidates:
            states = book.states.take(tracks, axis=2)
            rows, columns, cost = kalman.within(
                states, measures.take(detections, axis=1), self._surprise_limit, slack=SLACK
            )
            who, whom = tracks[rows], detections[columns]
            cost += kalman.doubt(states, slack=SLACK)[rows]
            cost += SCORE_WEIGHT * np.abs(book.scores[who] - picture.scores[whom])
            strange = self._strangeness(who, picture, whom)
            return Candidates(rows, columns, cost if strange is None else cost + LOOK_WEIGHT * strange)

        def overlap(tracks: Ids, detections: Ids) -> Candidates:
            rows, columns, share = overlapping(book.boxes.take(tracks, axis=0), picture.boxes.take(detections, axis=0))
            strange = self._strangeness(tracks[rows], picture, detections[columns])
            return Candidates(rows, columns, 1 - share if strange is None else 1 - share + (strange > STRANGER))

        low = (picture.scores >= self._low) & ~high
        pairs.run(book.confirmed & book.awake, high, cost=unlikeliness, limit=self._surprise_limit)
        pairs.run(book.confirmed & book.followed, low, cost=overlap, limit=self._low_limit)
        pairs.run(~book.confirmed, high, cost=unlikeliness, limit=self._surprise_limit)
        pairs.run(book.awake, high, cost=overlap, limit=self._low_limit)  # whom the filter expected elsewhere
        return pairs
