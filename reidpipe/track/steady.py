"""The default tracker: two passes by score, motion in real units, and a camera that may move. See docs/tracker.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.assignment import Candidates
from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.camera import camera_shift
from reidpipe.track.kalman import PEOPLE_MOTION, KalmanFilter
from reidpipe.track.overlap import overlapping
from reidpipe.track.passes import Pairs
from reidpipe.track.picture import Picture
from reidpipe.types import Detections, Ids, Mask, Scores, Tracks

__all__ = ["Steady"]

SCORE_WEIGHT = 0.2
"""Cost of a change of score: a person half hidden (low score) and the one before them (high) rarely swap."""
SURPRISE_WEIGHT, MAX_SURPRISE = 0.3, 25.0
"""Cost of a squared Mahalanobis distance of 25 or more; smaller ones in proportion."""
SLACK = 0.06
"""Box heights: what a detector's box may be off while somebody is half hidden, on top of the filter's noise."""
MEASURED_SHARE = 0.3
"""Share of the detection in the box that is shown; the filter's box alone lags a little."""


def _noise(scores: Scores) -> NDArray[np.float64]:
    """A detection of score 0.8 is measured as the model says, one of 0.2 with half as much variance again."""
    return (1 - 0.5 * scores.astype(np.float64)) / 0.6


class Steady:
    """Follows people inside one camera.

    Like ByteTrack, detections with a high score are matched first with all tracks, then those with a low score with the
    tracks that are left. What a pair costs is overlap weighted by the score, a change of score, and how much the place
    and size surprise a motion filter that knows how people move; a third pass goes by that surprise alone, and finds
    people again that moved too far to overlap. Before that, the jump that all people have in common is taken as the
    camera's. All limits are in seconds and box heights, so 2 and 30 pictures a second behave alike.

    Args:
        high_score: detections from here on are trusted, 0..1.
        low_score: detections from here on can continue a track, 0..1; those below are not used.
        new_score: detections from here on can begin a track, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds; a later return gets a new id.
        min_hits: pictures in a row that a new person must be found in before it gets an id; people in the very first
            picture get theirs at once.
        high_limit: highest cost of a pair in the first pass, 0..1.
        low_limit: highest cost (1 - overlap) of a pair in the second pass, 0..1.
        surprise_limit: highest squared Mahalanobis distance of a pair in the third pass; four degrees of freedom.
        duplicate_overlap: of two tracks that overlap by more than this, one seen and one lost, the younger ends, 0..1.
        moving_camera: correct for a camera that pans, shakes or drives.
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
        max_age_s: float = 1.0,
        min_hits: int = 2,
        high_limit: float = 0.8,
        low_limit: float = 0.5,
        surprise_limit: float = 9.0,
        duplicate_overlap: float = 0.85,
        moving_camera: bool = True,
        coast_s: float = 0.04,
    ) -> None:
        check_limits(
            high_score=(high_score, low_score, 1),
            low_score=(low_score, 0, 1),
            new_score=(new_score, 0, 1),
            high_limit=(high_limit, 0, 2),
            low_limit=(low_limit, 0, 2),
            surprise_limit=(surprise_limit, 0, 1e9),
            duplicate_overlap=(duplicate_overlap, 0, 1),
            coast_s=(coast_s, 0, 1e9),
        )
        self._high, self._low, self._new = high_score, low_score, new_score
        self._high_limit, self._low_limit, self._surprise_limit = high_limit, low_limit, surprise_limit
        self._duplicate = duplicate_overlap
        self._moving_camera = moving_camera
        self._coast_s = coast_s
        self._book = TrackBook(KalmanFilter(PEOPLE_MOTION), max_age_s=max_age_s, min_hits=min_hits)

    def wants(self, detections: Detections, time_s: float) -> Ids:  # noqa: ARG002
        """No row: motion decides."""
        return np.zeros(0, np.int64)

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
        is_first = book.time_s == -np.inf
        book.turn_page(time_s)
        high = picture.scores >= self._high
        if self._moving_camera:
            shift = camera_shift(book.boxes[book.followed], picture.boxes[high])
            if shift is not None:
                book.shift(shift)
        pairs = self._associate(picture, high)
        book.feed(picture, pairs, noise=_noise, measured=MEASURED_SHARE)
        book.remove(~book.confirmed & (book.rows < 0))
        book.remove(book.duplicates(above=self._duplicate))
        book.begin(picture, (pairs.free & (picture.scores >= self._new)).nonzero()[0], confirmed=is_first)
        return book.shown(coast_s=self._coast_s)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        return self._book.close()

    def _associate(self, picture: Picture, high: Mask) -> Pairs:
        book, pairs = self._book, Pairs(len(self._book), len(picture))
        kalman, measures = book.kalman, picture.measures(book.kalman)

        def likely(tracks: Ids, detections: Ids) -> Candidates:
            rows, columns, share = overlapping(book.boxes[tracks], picture.boxes[detections])
            scores = picture.scores[detections][columns]
            surprise = kalman.pair_distances(
                book.states[:, :, tracks], measures[:, detections], rows, columns, slack=SLACK
            )
            cost = 1 - share * scores + SCORE_WEIGHT * np.abs(book.scores[tracks][rows] - scores)
            return Candidates(rows, columns, cost + SURPRISE_WEIGHT / MAX_SURPRISE * np.minimum(surprise, MAX_SURPRISE))

        def overlap(tracks: Ids, detections: Ids) -> Candidates:
            rows, columns, share = overlapping(book.boxes[tracks], picture.boxes[detections])
            return Candidates(rows, columns, 1 - share)

        def surprise(tracks: Ids, detections: Ids) -> Candidates:
            far = kalman.distances(book.states[:, :, tracks], measures[:, detections], slack=SLACK)
            return Candidates.dense(far)

        confirmed = book.confirmed
        low = (picture.scores >= self._low) & ~high
        pairs.run(confirmed, high, cost=likely, limit=self._high_limit)
        pairs.run(confirmed & book.followed, low, cost=overlap, limit=self._low_limit)
        pairs.run(~confirmed, high, cost=likely, limit=self._high_limit)
        pairs.run(np.ones(len(book), np.bool_), high, cost=surprise, limit=self._surprise_limit)
        return pairs
