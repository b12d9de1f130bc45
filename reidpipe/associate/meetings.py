"""Where tracks of two cameras were at the same moments: all that is learned about shared views comes from this."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids, Tracklet

__all__ = ["Meetings", "meet", "thin"]

Wide = NDArray[np.float64]

EDGE = 3.0
"""Pixels: a box that comes this close to the edge of the picture may go on beyond it."""

GAP_S = 2.5
"""A box is interpolated between two moments of a path that are at most this far apart."""


@dataclass(frozen=True, slots=True)
class Meetings:
    """All pairs of tracklets of camera A and camera B that were seen at the same time.

    Attributes:
        pairs: int64 ``(P, 2)``: row of the tracklet in A's list, row in B's list.
        pair_of: int64 ``(S,)``: which pair each sample belongs to, ascending.
        a: float64 ``(S, 2)``: where the feet (or the top of the head) are in A's picture, pixels.
        b: float64 ``(S, 2)``: in B's.
        tall_a: float64 ``(S,)``: height of the box in A, pixels.
        tall_b: float64 ``(S,)``: in B.
        independent: float64 ``(P,)``: how many of a pair's samples say something new (people standing still do not).
        first_s: float64 ``(P,)``: first common moment, by A's clock.
        last_s: float64 ``(P,)``: last one.
    """

    pairs: Ids
    pair_of: Ids
    a: Wide
    b: Wide
    tall_a: Wide
    tall_b: Wide
    independent: Wide
    first_s: Wide
    last_s: Wide


def meet(
    in_a: list[Tracklet], in_b: list[Tracklet], *, head: bool = False, offset_s: float = 0.0, samples: int = 12
) -> Meetings:
    """Moments that tracklets of two cameras share.

    Args:
        in_a: tracklets of camera A with a ``path``.
        in_b: the same of camera B.
        head: look at the top of the head (all heads are at nearly one height, and seldom hidden) instead of the feet.
        offset_s: added to B's times, seconds: B's clock is behind A's by this much.
        samples: most moments of one pair, spread evenly.
    """
    pairs: list[tuple[int, int]] = []
    found: list[Wide] = []
    independent: list[float] = []
    in_a, in_b = _whole(in_a, head=head), _whole(in_b, head=head)
    starts = np.asarray([t.first_s for t in in_b]) + offset_s
    ends = np.asarray([t.last_s for t in in_b]) + offset_s
    for i, tracklet in enumerate(in_a):
        if tracklet.path is None:
            continue
        for j in np.flatnonzero((starts <= tracklet.last_s) & (ends >= tracklet.first_s)).tolist():
            path = in_b[j].path
            both = None if path is None else _common(tracklet.path, path, offset_s, samples, head=head)
            if both is not None:
                pairs.append((i, j))
                found.append(both)
                independent.append(_independent(both))
    pair_of = np.repeat(np.arange(len(found)), [len(f) for f in found]).astype(np.int64)
    rows = np.concatenate(found) if found else np.zeros((0, 7))
    return Meetings(
        pairs=np.asarray(pairs, dtype=np.int64).reshape(-1, 2),
        pair_of=pair_of,
        a=rows[:, 1:3],
        b=rows[:, 4:6],
        tall_a=rows[:, 3],
        tall_b=rows[:, 6],
        independent=np.asarray(independent),
        first_s=np.asarray([f[0, 0] for f in found]),
        last_s=np.asarray([f[-1, 0] for f in found]),
    )


def thin(met: Meetings, rows: Ids) -> tuple[Meetings, Ids]:
    """Only some of the pairs, in ascending order, and which ones they are.

    Args:
        met: all pairs.
        rows: ``(K,)`` of the pairs to keep, any order.
    """
    rows = np.sort(rows)
    kept = np.isin(met.pair_of, rows)
    smaller = Meetings(
        pairs=met.pairs[rows],
        pair_of=np.searchsorted(rows, met.pair_of[kept]).astype(np.int64),
        a=met.a[kept],
        b=met.b[kept],
        tall_a=met.tall_a[kept],
        tall_b=met.tall_b[kept],
        independent=met.independent[rows],
        first_s=met.first_s[rows],
        last_s=met.last_s[rows],
    )
    return smaller, rows


def _common(path_a: Wide, path_b: Wide, offset_s: float, samples: int, *, head: bool) -> Wide | None:
    """Common moments, ``(S, 7)``: time, x y of the point and height in A, the same in B; None when there are none."""
    times_b = path_b[:, 0] + offset_s
    times = path_a[:, 0]
    at = np.clip(np.searchsorted(times_b, times, side="left"), 1, max(len(times_b) - 1, 1))
    if len(times_b) == 1:
        rows = np.flatnonzero(np.abs(times - times_b[0]) < 0.1)
        boxes_b = np.repeat(path_b[:, 1:], len(rows), axis=0)
    else:
        near = np.minimum(np.abs(times - times_b[at - 1]), np.abs(times - times_b[at]))
        inside = (times >= times_b[0] - 0.1) & (times <= times_b[-1] + 0.1)
        rows = np.flatnonzero(inside & ((times_b[at] - times_b[at - 1] <= GAP_S) | (near < 0.1)))
        step = np.maximum(times_b[at] - times_b[at - 1], 1e-9)
        share = np.clip((times - times_b[at - 1]) / step, 0, 1)[rows, None]
        boxes_b = (1 - share) * path_b[at[rows] - 1, 1:] + share * path_b[at[rows], 1:]
    if not len(rows):
        return None
    if len(rows) > samples:
        keep = np.linspace(0, len(rows) - 1, samples).round().astype(np.int64)
        rows, boxes_b = rows[keep], boxes_b[keep]
    return np.concatenate([path_a[rows, :1], _point(path_a[rows, 1:], head), _point(boxes_b, head)], axis=1)


def _point(boxes: Wide, head: bool) -> Wide:
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    return np.stack([middle, boxes[:, 1] if head else boxes[:, 3], boxes[:, 3] - boxes[:, 1]], axis=1)


def _whole(tracklets: list[Tracklet], *, head: bool) -> list[Tracklet]:
    """Tracklets with only those moments of their paths at which the point is inside the picture, not cut by its edge.

    The size of the picture is not known here; no box reaches further than the ones that the edge has cut.
    """
    boxes = [t.path[:, 1:] for t in tracklets if t.path is not None and len(t.path)]
    if not boxes:
        return tracklets
    left, right, bottom = (_edge(boxes, column) for column in (0, 2, 3))
    out = []
    for tracklet in tracklets:
        path = tracklet.path
        if path is None:
            continue
        inside = (path[:, 1] > -left + EDGE) & (path[:, 3] < right - EDGE)
        inside &= (path[:, 2] > EDGE) if head else (path[:, 4] < bottom - EDGE)
        out.append(replace(tracklet, path=path[inside] if inside.any() else None))
    return out


def _edge(boxes: list[Wide], column: int) -> float:
    """The coordinate (mirrored on the left) that two tracks at least reach and none exceeds; else infinite."""
    sign = -1.0 if column == 0 else 1.0
    reach = [float((sign * b[:, column]).max()) for b in boxes]
    return max(reach) if sum(r > max(reach) - EDGE for r in reach) > 1 else np.inf


def _independent(both: Wide) -> float:
    """One, and one more for each 0.6 of a body height that the shorter of the two paths goes on; 8 at most."""
    walked = [
        float((np.linalg.norm(np.diff(both[:, k : k + 2], axis=0), axis=1) / both[1:, k + 2]).sum()) for k in (1, 4)
    ]
    return min(1.0 + min(walked) / 0.6, float(len(both)), 8.0)
