"""Where the tracks of one camera were, all of them in one piece, so that many are looked at with one operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids, Tracklet

__all__ = ["Paths", "Search", "spread_out"]

Wide = NDArray[np.float64]

EDGE = 3.0
"""Pixels: a box that comes this close to the edge of the picture may go on beyond it."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one camera's tracklets, without the moments at which the edge of the picture cuts off the point that
    is looked at.

    Attributes:
        which: int64 ``(K,)``: row in the list of each tracklet that has such moments, ascending.
        first_s: float64 ``(K,)``: first picture of its track, seconds.
        last_s: float64 ``(K,)``: last one.
        begins: int64 ``(K + 1,)``: where the moments of each begin.
        times: float64 ``(M,)``: of all moments, one track after the other, seconds.
        points: float64 ``(M, 3)``: x y of the feet (or of the top of the head) and the height of the box, pixels.
    """

    which: Ids
    first_s: Wide
    last_s: Wide
    begins: Ids
    times: Wide
    points: Wide

    @classmethod
    def of(cls, tracklets: Sequence[Tracklet], *, head: bool = False) -> Paths:
        """Those of all tracklets that have one.

        Args:
            tracklets: of one camera.
            head: look at the top of the head (all heads are at nearly one height, and seldom hidden), not the feet.
        """
        known = [(i, t.path) for i, t in enumerate(tracklets) if t.path is not None and len(t.path)]
        moments = np.concatenate([path for _, path in known]) if known else np.zeros((0, 5))
        owner = np.repeat(np.asarray([i for i, _ in known], dtype=np.int64), [len(path) for _, path in known])
        inside = _inside(owner, moments, head=head)
        owner, moments = owner[inside], moments[inside]
        which, begins = np.unique(owner, return_index=True)
        spans = np.asarray([(tracklets[i].first_s, tracklets[i].last_s) for i in which.tolist()]).reshape(-1, 2)
        middle, tall = (moments[:, 1] + moments[:, 3]) / 2, moments[:, 4] - moments[:, 2]
        points = np.stack([middle, moments[:, 2] if head else moments[:, 4], tall], axis=1)
        return cls(which, spans[:, 0], spans[:, 1], np.append(begins, len(owner)), moments[:, 0], points)

    def __len__(self) -> int:
        return len(self.which)

    def shifted(self, offset_s: float) -> Paths:
        """The same with so many seconds added to all times."""
        first_s, last_s, times = (column + offset_s for column in (self.first_s, self.last_s, self.times))
        return replace(self, first_s=first_s, last_s=last_s, times=times)

    def only(self, rows: Ids) -> Paths:
        """Some of them, rows ascending."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.begins))
        kept = np.isin(owner, rows)
        begins = np.append(0, np.cumsum(np.diff(self.begins)[rows]))
        return Paths(
            self.which[rows], self.first_s[rows], self.last_s[rows], begins, self.times[kept], self.points[kept]
        )

    def gaps(self, longest_s: float) -> NDArray[np.bool_]:
        """Which have two moments further apart than this, or one moment only, ``(K,)``."""
        far = np.append(np.cumsum(np.diff(self.times) > longest_s), 0)
        first, last = self.begins[:-1], self.begins[1:] - 1
        before = np.where(first > 0, far[first - 1], 0)
        return np.asarray((first == last) | (far[last - 1] > before))


class Search:
    """Binary search in each of many paths, exact: times are compared by their rank.

    Args:
        paths: where to look.
    """

    def __init__(self, paths: Paths) -> None:
        self._known, ranks = np.unique(paths.times, return_inverse=True)
        owner = np.repeat(np.arange(len(paths)), np.diff(paths.begins))
        self._codes = owner * (len(self._known) + 1) + ranks

    def first(self, rows: Ids, times: Wide, *, after: bool = False) -> Ids:
        """Where the first moment at a time or later (``after``: only later) is, in all moments ``(M,)``.

        Args:
            rows: ``(N,)`` of the paths.
            times: ``(N,)`` seconds.
            after: not at the time itself.
        """
        ranks = np.searchsorted(self._known, times, side="right" if after else "left")
        return np.asarray(np.searchsorted(self._codes, rows * (len(self._known) + 1) + ranks), dtype=np.int64)


def spread_out(counts: Ids) -> tuple[Ids, Ids]:
    """So many of each: whose each one is, and the how manieth of its own, both ``(sum,)``."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _inside(owner: Ids, moments: Wide, *, head: bool) -> NDArray[np.bool_]:
    """Moments at which the point is inside the picture, ``(M,)``.

    The size of the picture is not known here; no box reaches further than the ones that the edge has cut.
    """
    if not len(owner):
        return np.zeros(0, np.bool_)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    inside = (moments[:, 1] > -_edge(-moments[:, 1], starts) + EDGE) & (
        moments[:, 3] < _edge(moments[:, 3], starts) - EDGE
    )
    return inside & (moments[:, 2] > EDGE if head else moments[:, 4] < _edge(moments[:, 4], starts) - EDGE)


def _edge(reach: Wide, starts: Ids) -> float:
    """The coordinate that two tracks at least reach and none exceeds; else infinite."""
    most = np.maximum.reduceat(reach, starts)
    return float(most.max()) if (most > most.max() - EDGE).sum() > 1 else np.inf
