"""One picture's detections, prepared for a tracker: in an order of their own, unusable rows left out, measured once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.kalman import KalmanFilter
from reidpipe.types import Boxes, Detections, Ids, Mask, Scores, Vectors

__all__ = ["Picture"]

MAX_PIXEL = 1e6
"""A box with a corner farther out than this is no box of a picture; trackers leave it out."""
MIN_SIDE = 1e-3
"""Pixels; nor is one with a side shorter than this."""


@dataclass(frozen=True)
class Picture:
    """Detections sorted by score and place, so that their order in the input decides nothing.

    Attributes:
        boxes: float32 ``(N, 4)``.
        scores: float32 ``(N,)``, falling.
        rows: int64 ``(N,)``, the row in the ``Detections`` that came in.
        source: the ``Detections`` that came in.
    """

    boxes: Boxes
    scores: Scores
    rows: Ids
    source: Detections

    @classmethod
    def of(cls, detections: Detections) -> Self:
        """Sort and leave out what cannot be tracked."""
        boxes, scores = detections.boxes, detections.scores
        order = (-scores).argsort(kind="stable")
        ranked = scores[order]
        if np.count_nonzero(ranked[1:] == ranked[:-1]):  # the place decides between equals
            order = np.lexsort((boxes[:, 1], boxes[:, 0], boxes[:, 3], boxes[:, 2], -scores))
        boxes = boxes.take(order, axis=0)
        sides = boxes[:, 2:] - boxes[:, :2]
        if boxes.size and not (_least(boxes) > -MAX_PIXEL and _least(-boxes) > -MAX_PIXEL and _least(sides) > MIN_SIDE):
            sound = (np.abs(boxes) < MAX_PIXEL).all(axis=1) & (sides > MIN_SIDE).all(axis=1)
            order, boxes = order[sound], boxes[sound]
        return cls(boxes, scores[order], order, detections)

    def __len__(self) -> int:
        return len(self.rows)

    def measures(self, kalman: KalmanFilter) -> NDArray[np.float64]:
        """The boxes as the filter measures them, float64 ``(4, N)``."""
        return kalman.measure(self.boxes)

    @cached_property
    def embedded(self) -> Mask:
        """Which rows have an embedding, bool ``(N,)``."""
        if self.source.embedded is None:
            return np.zeros(len(self), np.bool_)
        return self.source.embedded[self.rows]

    def vectors(self, chosen: Ids) -> Vectors:
        """Embeddings of the chosen rows of this picture, ``(K, D)``; only for rows in ``embedded``."""
        if self.source.embeddings is None:
            return np.zeros((0, 0), np.float32)
        return self.source.embeddings[self.rows[chosen]]


def _least(values: NDArray[np.float32]) -> np.float32:
    """The smallest; for a few people ``min()`` takes three times as long."""
    flat = values.ravel()
    least: np.float32 = flat[flat.argmin()]
    return least
