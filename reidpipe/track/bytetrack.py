"""ByteTrack: associate every detection box, also those with a low score (Zhang et al. 2022, arXiv 2110.06864)."""

from __future__ import annotations

import numpy as np

from reidpipe.track.assignment import Candidates
from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.kalman import DEEPSORT_MOTION, KalmanFilter
from reidpipe.track.overlap import overlapping
from reidpipe.track.passes import Pairs, overlap_cost
from reidpipe.track.picture import Picture
from reidpipe.types import Detections, Ids, Tracks

__all__ = ["ByteTrack"]


class ByteTrack:
    """Follows people inside one camera by overlap alone; occluded people are kept by their low scores.

    First the detections with a high score are matched with all tracks, then those with a low score with the tracks that
    are still without a partner and were seen in the picture before; new people begin only from high scores. Detections
    under ``low_score`` and boxes more than a million pixels out are not used.

    Args:
        high_score: detections from here on take part in the first pass, 0..1 (the paper's tau_high).
        low_score: detections from here on take part in the second pass, 0..1.
        new_score: detections from here on can begin a track, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds; a later return gets a new id.
        min_hits: pictures in a row that a new person must be found in before it gets an id; people in the very first
            picture get theirs at once.
        first_limit: highest cost of the first pass: 1 - overlap * score, 0..1.
        second_limit: highest cost of the second pass: 1 - overlap, 0..1.
        new_limit: highest cost between a new track and its second detection: 1 - overlap * score, 0..1.
        duplicate_overlap: of two tracks that overlap by more than this, one seen and one lost, the younger ends, 0..1.
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
        first_limit: float = 0.9,
        second_limit: float = 0.5,
        new_limit: float = 0.7,
        duplicate_overlap: float = 0.85,
        coast_s: float = 0.0,
    ) -> None:
        check_limits(
            high_score=(high_score, low_score, 1),
            low_score=(low_score, 0, 1),
            new_score=(new_score, 0, 1),
            first_limit=(first_limit, 0, 1),
            second_limit=(second_limit, 0, 1),
            new_limit=(new_limit, 0, 1),
            duplicate_overlap=(duplicate_overlap, 0, 1),
            coast_s=(coast_s, 0, 1e9),
        )
        self._high, self._low, self._new = high_score, low_score, new_score
        self._first_limit, self._second_limit, self._new_limit = first_limit, second_limit, new_limit
        self._duplicate = duplicate_overlap
        self._coast_s = coast_s
        self._book = TrackBook(KalmanFilter(DEEPSORT_MOTION), max_age_s=max_age_s, min_hits=min_hits)

    def wants(self, detections: Detections, time_s: float) -> Ids:  # noqa: ARG002
        """No row: ByteTrack uses no appearance."""
        return np.zeros(0, np.int64)

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections.

        Args:
            detections: ``N`` rows, in any order; the order changes nothing.
            time_s: of the picture, seconds; must grow.

        Returns:
            The people of this picture in the order of their ids' birth, with filtered boxes, and the ids that ended.

        Raises:
            ValueError: time does not grow.
        """
        book, picture = self._book, Picture.of(detections)
        is_first = book.time_s == -np.inf
        book.turn_page(time_s)
        pairs = self._associate(picture)
        high = picture.scores >= self._new
        book.feed(picture, pairs)
        book.tidy(duplicates_above=self._duplicate)
        book.begin(picture, (pairs.free & high).nonzero()[0], confirmed=is_first)
        return book.shown(coast_s=self._coast_s)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        return self._book.close()

    def _associate(self, picture: Picture) -> Pairs:
        book, pairs = self._book, Pairs(len(self._book), len(picture))
        confirmed = book.confirmed
        high = picture.scores >= self._high

        def scored(tracks: Ids, detections: Ids) -> Candidates:
            rows, columns, share = overlapping(book.boxes.take(tracks, axis=0), picture.boxes.take(detections, axis=0))
            return Candidates(rows, columns, 1 - share * picture.scores[detections[columns]])

        pairs.run(confirmed, high, cost=scored, limit=self._first_limit)
        if np.count_nonzero(high) < len(high):
            low = (picture.scores >= self._low) & ~high
            pairs.run(
                confirmed & book.followed, low, cost=overlap_cost(book.boxes, picture.boxes), limit=self._second_limit
            )
        if np.count_nonzero(confirmed) < len(confirmed):
            pairs.run(~confirmed, high, cost=scored, limit=self._new_limit)
        return pairs
