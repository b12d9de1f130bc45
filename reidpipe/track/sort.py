"""SORT: a Kalman filter and overlap, nothing else (Bewley et al. 2016, arXiv 1602.00763)."""

from __future__ import annotations

import numpy as np

from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.kalman import SIZE_MOTION, KalmanFilter
from reidpipe.track.passes import Pairs, overlap_cost
from reidpipe.track.picture import Picture
from reidpipe.types import Detections, Ids, Tracks

__all__ = ["Sort"]


class Sort:
    """Follows people inside one camera by overlap with where the filter expects them.

    The paper's state is area and aspect ratio; here it is width and height, with noise in box heights, as others do.

    Args:
        min_score: detections under this are not used, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds (the paper's T_lost, one picture).
        min_hits: pictures in a row that a new person must be found in before it gets an id.
        overlap_limit: highest cost of a pair: 1 - overlap, 0..1.
        coast_s: also return people that were not found in this picture, but up to this many seconds ago, where they are
            predicted to be (``det_rows`` -1).

    Raises:
        ConfigError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        min_score: float = 0.6,
        max_age_s: float = 0.2,
        min_hits: int = 3,
        overlap_limit: float = 0.7,
        coast_s: float = 0.0,
    ) -> None:
        check_limits(min_score=(min_score, 0, 1), overlap_limit=(overlap_limit, 0, 1), coast_s=(coast_s, 0, 1e9))
        self._min_score, self._overlap_limit, self._coast_s = min_score, overlap_limit, coast_s
        self._book = TrackBook(KalmanFilter(SIZE_MOTION), max_age_s=max_age_s, min_hits=min_hits)

    def wants(self, detections: Detections, time_s: float) -> Ids:  # noqa: ARG002
        """No row: SORT uses no appearance."""
        return np.zeros(0, np.int64)

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections; ``time_s`` must grow (else ValueError). See ``ByteTrack.update``."""
        book, picture = self._book, Picture.of(detections)
        book.turn_page(time_s)
        pairs = Pairs(len(book), len(picture))
        usable = picture.scores >= self._min_score

        overlap = overlap_cost(book.boxes, picture.boxes)
        pairs.run(np.ones(len(book), np.bool_), usable, cost=overlap, limit=self._overlap_limit)
        book.feed(picture, pairs)
        book.tidy()
        book.begin(picture, (pairs.free & usable).nonzero()[0])
        return book.shown(coast_s=self._coast_s)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        return self._book.close()
