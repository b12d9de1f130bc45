"""BoT-SORT: ByteTrack with camera motion and appearance (Aharon, Orfaig, Bobrovsky 2022, arXiv 2206.14651)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.assignment import Candidates
from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.camera import camera_shift
from reidpipe.track.kalman import SIZE_MOTION, KalmanFilter
from reidpipe.track.looks import Looks
from reidpipe.track.overlap import overlapping
from reidpipe.track.passes import Pairs, overlap_cost
from reidpipe.track.picture import Picture
from reidpipe.types import Detections, Ids, Mask, Tracks

__all__ = ["BoTSort"]


class BoTSort:
    """Follows people inside one camera by overlap, corrected for the camera's motion, or by appearance if it is surer.

    The paper reads the camera's motion from the picture. A tracker gets no pixels here: whoever has them says how the
    camera moved (``camera_moved``), and what is left is read from the people (``reidpipe.track.camera``).

    Args:
        high_score: detections from here on take part in the first pass, 0..1.
        low_score: detections from here on take part in the second pass, 0..1.
        new_score: detections from here on can begin a track, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds; a later return gets a new id.
        min_hits: pictures in a row that a new person must be found in before it gets an id; people in the very first
            picture get theirs at once.
        first_limit: highest cost of the first pass, 0..1: the lower one of 1 - overlap * score and of appearance.
        second_limit: highest cost of the second pass: 1 - overlap, 0..1.
        near_overlap: appearance counts only for pairs that overlap by more than 1 minus this, 0..1 (theta_iou).
        appearance_limit: and whose half cosine distance is under this, 0..1 (theta_emb).
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
        first_limit: float = 0.8,
        second_limit: float = 0.5,
        near_overlap: float = 0.5,
        appearance_limit: float = 0.25,
        duplicate_overlap: float = 0.85,
        coast_s: float = 0.0,
    ) -> None:
        check_limits(
            high_score=(high_score, low_score, 1),
            low_score=(low_score, 0, 1),
            new_score=(new_score, 0, 1),
            first_limit=(first_limit, 0, 1),
            second_limit=(second_limit, 0, 1),
            near_overlap=(near_overlap, 0, 1),
            appearance_limit=(appearance_limit, 0, 1),
            duplicate_overlap=(duplicate_overlap, 0, 1),
            coast_s=(coast_s, 0, 1e9),
        )
        self._high, self._low, self._new = high_score, low_score, new_score
        self._first_limit, self._second_limit = first_limit, second_limit
        self._near, self._appearance_limit = near_overlap, appearance_limit
        self._duplicate = duplicate_overlap
        self._coast_s = coast_s
        self._book = TrackBook(KalmanFilter(SIZE_MOTION), max_age_s=max_age_s, min_hits=min_hits)
        self._looks = Looks()

    def wants(self, detections: Detections, time_s: float) -> Ids:  # noqa: ARG002
        """Every detection with a high score."""
        return (detections.scores >= self._high).nonzero()[0]

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections; ``time_s`` must grow (else ValueError). See ``ByteTrack.update``."""
        book, picture = self._book, Picture.of(detections)
        is_first = book.time_s == -np.inf
        book.turn_page(time_s)
        high = picture.scores >= self._high
        shift = camera_shift(book.boxes[book.followed], picture.boxes[high])
        if shift is not None:
            book.shift(shift)
        pairs = self._associate(picture, high)
        fed = book.feed(picture, pairs)
        self._learn(book.keys[fed], picture, pairs.detection_of[fed], high)
        book.tidy(duplicates_above=self._duplicate)
        new = (pairs.free & (picture.scores >= self._new)).nonzero()[0]
        book.begin(picture, new, confirmed=is_first)
        self._learn(book.keys[len(book) - len(new) :], picture, new, high)
        return book.shown(coast_s=self._coast_s)

    def camera_moved(self, warp: NDArray[np.float64]) -> None:
        """The camera moved since the last picture; call before ``wants`` and ``update`` of the next.

        Args:
            warp: float64 ``(2, 3)``: a point ``(x, y)`` of the picture before is now at ``warp @ (x, y, 1)``, pixels.
        """
        self._book.move_camera(warp)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        self._looks.keep(np.zeros(0, np.int64))
        return self._book.close()

    def _associate(self, picture: Picture, high: Mask) -> Pairs:
        book, pairs = self._book, Pairs(len(self._book), len(picture))
        confirmed = book.confirmed

        def fused(tracks: Ids, detections: Ids) -> Candidates:
            rows, columns, share = overlapping(book.boxes[tracks], picture.boxes[detections])
            cost = 1 - share * picture.scores[detections][columns]
            one, other = tracks[rows], detections[columns]
            near = (1 - share < self._near) & picture.embedded[other]
            near &= self._looks.known(book.keys[one])
            if near.any():  # eq. 12 and 13
                cosine = (self._looks.of(book.keys[one[near]]) * picture.vectors(other[near])).sum(axis=1)
                look = (1 - cosine) / 2
                cost[near] = np.where(look < self._appearance_limit, np.minimum(cost[near], look), cost[near])
            return Candidates(rows, columns, cost)

        overlap = overlap_cost(book.boxes, picture.boxes)
        pairs.run(confirmed, high, cost=fused, limit=self._first_limit)
        low = (picture.scores >= self._low) & ~high
        pairs.run(confirmed & book.followed, low, cost=overlap, limit=self._second_limit)
        pairs.run(~confirmed, high, cost=fused, limit=self._first_limit)
        return pairs

    def _learn(self, keys: Ids, picture: Picture, chosen: Ids, high: Mask) -> None:
        has = picture.embedded[chosen] & high[chosen]
        self._looks.learn(keys[has], picture.vectors(chosen[has]), self._book.time_s)
        if len(self._looks) > 2 * len(self._book):
            self._looks.keep(self._book.keys)
