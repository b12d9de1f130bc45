"""Passes of the association: who takes part, what a pair costs, and the highest cost of a pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reidpipe.track.assignment import Candidates, assign
from reidpipe.track.overlap import overlapping
from reidpipe.types import Boxes, Ids, Mask

__all__ = ["CostFunction", "Pairs", "overlap_cost"]

CostFunction = Callable[[Ids, Ids], Candidates]
"""``(T,)`` tracks and ``(D,)`` detections that take part -> the pairs inside the gate, counted in these two lists."""


def overlap_cost(tracked: Boxes, found: Boxes) -> CostFunction:
    """1 - overlap of the boxes of all tracks, float32 ``(N, 4)``, with those of all detections, ``(M, 4)``."""

    def cost(tracks: Ids, detections: Ids) -> Candidates:
        rows, columns, share = overlapping(tracked.take(tracks, axis=0), found.take(detections, axis=0))
        return Candidates(rows, columns, 1 - share)

    return cost


class Pairs:
    """Who has found whom in this picture, filled pass by pass.

    Args:
        tracks: number of tracks.
        detections: number of detections.

    Attributes:
        detection_of: int64 ``(tracks,)``: the track's detection, -1 while it has none.
        free: bool ``(detections,)``: no track has it.
    """

    __slots__ = ("detection_of", "free")

    def __init__(self, tracks: int, detections: int) -> None:
        self.detection_of: Ids = np.empty(tracks, np.int64)
        self.detection_of.fill(-1)
        self.free: Mask = np.empty(detections, np.bool_)
        self.free.fill(True)

    def run(self, tracks: Mask, detections: Mask, *, cost: CostFunction, limit: float) -> None:
        """One pass: those of the chosen tracks and detections that are still without a partner are matched.

        Args:
            tracks: bool ``(tracks,)``, who takes part.
            detections: bool ``(detections,)``, who takes part.
            cost: of the pairs; called only when both sides have somebody.
            limit: the highest cost of a pair.
        """
        columns = (detections & self.free).nonzero()[0]
        if len(columns) == 0:
            return
        rows = (tracks & (self.detection_of < 0)).nonzero()[0]
        if len(rows):
            found, with_whom = assign(cost(rows, columns), limit=limit)
            self.join(rows[found], columns[with_whom])

    def join(self, tracks: Ids, detections: Ids) -> None:
        """Make pairs, ``(K,)`` each."""
        self.detection_of[tracks] = detections
        self.free[detections] = False

    @property
    def matched(self) -> Ids:
        """The tracks that have a detection, ascending."""
        return (self.detection_of >= 0).nonzero()[0]
