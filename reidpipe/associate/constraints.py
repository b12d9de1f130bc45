"""Who cannot be whom: tracks of one camera that are seen at the same time are different people."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids, Tracklet

__all__ = ["Presence", "together"]


def together(cameras: Ids, first_s: NDArray[np.float64], last_s: NDArray[np.float64]) -> Ids:
    """All pairs that one camera saw at the same time, int64 ``(P, 2)`` with i < j, sorted.

    Args:
        cameras: ``(N,)`` number of the camera of each tracklet.
        first_s: ``(N,)`` first picture, seconds.
        last_s: ``(N,)`` last picture; touching at one picture is overlap (both were in it).
    """
    pairs: list[tuple[int, int]] = []
    for camera in np.unique(cameras):
        rows = np.flatnonzero(cameras == camera)
        rows = rows[np.argsort(first_s[rows], kind="stable")]
        open_rows: list[int] = []
        for row in rows.tolist():
            open_rows = [other for other in open_rows if last_s[other] >= first_s[row]]
            pairs += [(min(row, other), max(row, other)) for other in open_rows]
            open_rows.append(row)
    return np.asarray(sorted(pairs), dtype=np.int64).reshape(-1, 2)


class Presence:
    """When a group of tracklets was seen, by camera: disjoint intervals, sorted. Small, so that two merge quickly."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[float, float]]] = {}

    @classmethod
    def of(cls, tracklets: Sequence[Tracklet]) -> Presence:
        """Of tracklets that do not conflict with each other."""
        presence = cls()
        for tracklet in tracklets:
            presence.add(tracklet.key.camera, tracklet.first_s, tracklet.last_s)
        return presence

    def add(self, camera: str, first_s: float, last_s: float) -> None:
        """One more interval, seconds."""
        bisect.insort(self.spans.setdefault(camera, []), (first_s, last_s))

    def remove(self, camera: str, first_s: float, last_s: float) -> None:
        """Take out an interval that was added."""
        self.spans[camera].remove((first_s, last_s))

    def free(self, camera: str, first_s: float, last_s: float) -> bool:
        """True when the interval overlaps none that is here."""
        spans = self.spans.get(camera)
        if not spans:
            return True
        i = bisect.bisect_right(spans, (last_s, float("inf")))
        return i == 0 or spans[i - 1][1] < first_s

    def conflicts(self, other: Presence) -> bool:
        """True when some camera saw both at the same time."""
        small, large = (self, other) if self.size() <= other.size() else (other, self)
        for camera, spans in small.spans.items():
            if camera in large.spans and not all(large.free(camera, first, last) for first, last in spans):
                return True
        return False

    def merge(self, other: Presence) -> None:
        """Take in another that does not conflict."""
        for camera, spans in other.spans.items():
            if camera in self.spans:
                self.spans[camera] = sorted(self.spans[camera] + spans)
            else:
                self.spans[camera] = list(spans)

    def size(self) -> int:
        """How many intervals."""
        return sum(map(len, self.spans.values()))
