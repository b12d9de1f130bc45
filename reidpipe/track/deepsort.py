"""DeepSORT: motion and appearance in a matching cascade (Wojke, Bewley, Paulus 2017, arXiv 1703.07402)."""

from __future__ import annotations

import numpy as np

from reidpipe.track.assignment import Candidates
from reidpipe.track.book import TrackBook, check_limits
from reidpipe.track.gallery import Gallery
from reidpipe.track.kalman import DEEPSORT_MOTION, KalmanFilter
from reidpipe.track.passes import Pairs, overlap_cost
from reidpipe.track.picture import Picture
from reidpipe.types import Detections, Ids, Tracks

__all__ = ["DeepSORT"]

CHI_SQUARE_95 = 9.4877
"""Squared Mahalanobis distance that 95 % of true pairs stay under, four degrees of freedom (the paper's t1)."""


class DeepSORT:
    """Follows people inside one camera by appearance, where motion says that it is possible.

    Confirmed tracks are matched by appearance, those seen last first (the cascade, listing 1 of the paper); what is
    left and was seen in the picture before is matched by overlap, as are new tracks. A detection without an embedding
    can be matched by overlap only.

    Args:
        min_score: detections under this are not used, 0..1.
        max_age_s: a person not seen for longer than this has left, seconds; a later return gets a new id (A_max).
        min_hits: pictures in a row that a new person must be found in before it gets an id.
        appearance_limit: highest cosine distance between a detection and the track's gallery, 0..2 (t2).
        motion_limit: highest squared Mahalanobis distance between a detection and the predicted track (t1).
        overlap_limit: highest cost of the passes by overlap: 1 - overlap, 0..1.
        gallery_size: appearances kept for each track (L_k).
        coast_s: also return people that were not found in this picture, but up to this many seconds ago, where they are
            predicted to be (``det_rows`` -1).

    Raises:
        ConfigError: a value is out of its range.
    """

    needs_appearance = True
    """A pipeline without an embedder refuses this tracker."""

    def __init__(
        self,
        *,
        min_score: float = 0.5,
        max_age_s: float = 1.0,
        min_hits: int = 3,
        appearance_limit: float = 0.3,
        motion_limit: float = CHI_SQUARE_95,
        overlap_limit: float = 0.7,
        gallery_size: int = 100,
        coast_s: float = 0.0,
    ) -> None:
        check_limits(
            min_score=(min_score, 0, 1),
            appearance_limit=(appearance_limit, 0, 2),
            motion_limit=(motion_limit, 0, 1e9),
            overlap_limit=(overlap_limit, 0, 1),
            gallery_size=(gallery_size, 1, 100_000),
            coast_s=(coast_s, 0, 1e9),
        )
        self._min_score = min_score
        self._appearance_limit, self._motion_limit = appearance_limit, motion_limit
        self._overlap_limit = overlap_limit
        self._gallery_size = gallery_size
        self._coast_s = coast_s
        self._book = TrackBook(KalmanFilter(DEEPSORT_MOTION), max_age_s=max_age_s, min_hits=min_hits)
        self._galleries: dict[int, Gallery] = {}

    def wants(self, detections: Detections, time_s: float) -> Ids:  # noqa: ARG002
        """Every detection that is good enough to be used."""
        return np.flatnonzero(detections.scores >= self._min_score)

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections.

        Args:
            detections: ``N`` rows, in any order; the order changes nothing. Rows with an embedding can be matched by
                appearance.
            time_s: of the picture, seconds; must grow.

        Returns:
            The people of this picture in the order of their birth, with filtered boxes, and the ids that ended.

        Raises:
            ValueError: time does not grow.
        """
        book, picture = self._book, Picture.of(detections)
        book.turn_page(time_s)
        pairs = self._associate(picture)
        usable = picture.scores >= self._min_score
        fed = book.feed(picture, pairs)
        self._remember(book.keys[fed], picture, pairs.detection_of[fed])
        book.tidy()
        chosen = np.flatnonzero(pairs.free & usable)
        book.begin(picture, chosen)
        self._remember(book.keys[len(book) - len(chosen) :], picture, chosen)
        living = set(book.keys.tolist())
        self._galleries = {key: gallery for key, gallery in self._galleries.items() if key in living}
        return book.shown(coast_s=self._coast_s)

    def predict(self, time_s: float) -> Tracks:
        """Where the people of the last picture are at ``time_s``, without detections; changes no state."""
        return self._book.predicted(time_s, coast_s=self._coast_s)

    def close(self) -> Tracks:
        """End of the camera: no rows, every living id in ``ended``."""
        self._galleries.clear()
        return self._book.close()

    def _associate(self, picture: Picture) -> Pairs:
        book, pairs = self._book, Pairs(len(self._book), len(picture))
        usable = picture.scores >= self._min_score
        measures = picture.measures(book.kalman)

        def appearance(tracks: Ids, detections: Ids) -> Candidates:
            vectors = picture.vectors(detections)
            cost = np.stack([self._galleries[key].distance(vectors) for key in book.keys[tracks].tolist()])
            far = book.kalman.distances(book.states[:, :, tracks], measures[:, detections]) > self._motion_limit
            cost[far] = np.inf
            return Candidates.dense(cost)

        overlap = overlap_cost(book.boxes, picture.boxes)
        known = np.array([key in self._galleries for key in book.keys.tolist()], np.bool_) & book.confirmed
        seen = usable & picture.embedded
        for last_s in np.unique(book.seen_s[known])[::-1]:
            pairs.run(known & (book.seen_s == last_s), seen, cost=appearance, limit=self._appearance_limit)
        pairs.run(~book.confirmed | book.followed, usable, cost=overlap, limit=self._overlap_limit)
        return pairs

    def _remember(self, keys: Ids, picture: Picture, chosen: Ids) -> None:
        """Add the appearances of detections to the galleries of their tracks, ``(K,)`` each."""
        has = picture.embedded[chosen]
        for key, vector in zip(keys[has].tolist(), picture.vectors(chosen[has]), strict=True):
            self._galleries.setdefault(key, Gallery(size=self._gallery_size)).add(vector)
