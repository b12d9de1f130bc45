"""Where tracks of two cameras were at the same moments: all that is learned about shared views comes from this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.paths import Paths, Search, spread_out
from reidpipe.types import Ids

__all__ = ["Meetings", "meet", "middle_of", "most_met", "thin"]

Wide = NDArray[np.float64]

GAP_S = 2.5
"""A box is interpolated between two moments of a path that are at most this far apart."""

NEAR_S = 0.1
"""A moment this close to one of a path needs no interpolation."""

BLOCK = 200_000
"""Pairs that are looked at at once."""


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


def meet(a: Paths, b: Paths, *, offset_s: float = 0.0, samples: int = 12) -> Meetings:
    """Moments that tracklets of two cameras share.

    Args:
        a: of camera A.
        b: of camera B, the same points.
        offset_s: added to B's times, seconds: B's clock is behind A's by this much.
        samples: most moments of one pair, spread evenly.
    """
    b = b.shifted(offset_s)
    in_a, in_b = Search(a), Search(b)
    found = [_common(a, b, in_a, in_b, pairs, samples) for pairs in _in_view(a, b)]
    pairs, counts, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
    ends = np.cumsum(counts)
    return Meetings(
        pairs=np.stack([a.which[pairs[:, 0]], b.which[pairs[:, 1]]], axis=1),
        pair_of=np.repeat(np.arange(len(counts)), counts),
        a=rows[:, 1:3],
        b=rows[:, 4:6],
        tall_a=rows[:, 3],
        tall_b=rows[:, 6],
        independent=_independent(rows, counts),
        first_s=rows[ends - counts, 0],
        last_s=rows[ends - 1, 0],
    )


def most_met(a: Paths, b: Paths) -> int:
    """How many pairs are in view at the same time: no more can meet."""
    begun = np.searchsorted(np.sort(b.first_s), a.last_s, side="right")
    return int((begun - np.searchsorted(np.sort(b.last_s), a.first_s, side="left")).sum())


def middle_of(a: Paths, b: Paths, most: int) -> tuple[Paths, Paths]:
    """A stretch from the middle of the time, in which about so many pairs are in view at once.

    Args:
        a: of camera A.
        b: of camera B.
        most: pairs; more when one track alone is in view together with more.
    """
    order = np.argsort(a.first_s, kind="stable")
    begun = np.searchsorted(np.sort(b.first_s), a.last_s[order], side="right")
    total = np.cumsum(begun - np.searchsorted(np.sort(b.last_s), a.first_s[order], side="left"))
    ends = (total[-1] + np.array([-most, most])) / 2
    start, stop = np.searchsorted(total, ends)
    rows = np.sort(order[start : max(stop, start + 1)])
    a = a.only(rows)
    return a, b.only(np.flatnonzero((b.first_s <= a.last_s.max()) & (b.last_s >= a.first_s.min())))


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


def _in_view(a: Paths, b: Paths) -> Iterator[Ids]:
    """Pairs of rows ``(P, 2)`` that are in view at the same time, sorted, block after block; one at least."""
    order = np.argsort(b.first_s, kind="stable")
    # Those from the first on that has not ended (some after it may have), up to the last one that has begun.
    low = np.searchsorted(np.maximum.accumulate(b.last_s[order]), a.first_s, side="left")
    counts = np.maximum(np.searchsorted(b.first_s[order], a.last_s, side="right") - low, 0)
    cuts = np.flatnonzero(np.diff(np.cumsum(counts) // BLOCK)) + 1
    for rows in np.split(np.arange(len(counts)), cuts):
        own, at = spread_out(counts[rows])
        i, j = rows[own], order[low[rows][own] + at]
        pairs = np.stack([i, j], axis=1)[b.last_s[j] >= a.first_s[i]]
        yield pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _common(a: Paths, b: Paths, in_a: Search, in_b: Search, pairs: Ids, samples: int) -> tuple[Ids, Ids, Wide]:
    """Those of some pairs ``(P, 2)`` that have common moments, how many, and all of them ``(S, 7)``: time, x y of the
    point and height in A, and the same in B, interpolated."""
    i, j = pairs.T
    begin = in_a.first(i, b.times[b.begins[j]] - NEAR_S)
    counts = in_a.first(i, b.times[b.begins[j + 1] - 1] + NEAR_S, after=True) - begin
    # Most paths have no gap: then all of A's moments between the ends of B's count. In the others each is looked at.
    table = np.arange(len(a.times))
    gappy = np.flatnonzero(b.gaps(GAP_S)[j])
    own, at = spread_out(counts[gappy])
    rows = begin[gappy][own] + at
    known = _known(a.times[rows], b, in_b, j[gappy][own])
    counts[gappy] = np.bincount(own[known], minlength=len(gappy))
    begin[gappy] = len(table) + np.cumsum(counts[gappy]) - counts[gappy]
    table = np.concatenate([table, rows[known]])
    own, at = spread_out(np.minimum(counts, samples))
    evenly = np.rint(at * ((counts[own] - 1) / max(samples - 1, 1))).astype(np.int64)
    rows = table[begin[own] + np.where(counts[own] > samples, evenly, at)]
    times = a.times[rows]
    lower, upper = _around(b, in_b, j[own], times)
    step = np.maximum(b.times[upper] - b.times[lower], 1e-9)
    share = np.clip((times - b.times[lower]) / step, 0, 1)[:, None]
    points = (1 - share) * b.points[lower] + share * b.points[upper]
    met = counts > 0
    return (
        pairs[met],
        np.minimum(counts, samples)[met],
        np.concatenate([times[:, None], a.points[rows], points], axis=1),
    )


def _around(paths: Paths, search: Search, rows: Ids, times: Wide) -> tuple[Ids, Ids]:
    """The moments of paths before and after (or the two nearest to) times that lie between their ends."""
    first, last = paths.begins[rows], paths.begins[rows + 1] - 1
    upper = np.minimum(np.maximum(search.first(rows, times), first + 1), last)
    return np.maximum(upper - 1, first), upper


def _known(times: Wide, paths: Paths, search: Search, rows: Ids) -> NDArray[np.bool_]:
    """Whether it is known where paths were at times between their ends: no gap there, or a moment close by."""
    lower, upper = _around(paths, search, rows, times)
    near = np.minimum(np.abs(times - paths.times[lower]), np.abs(times - paths.times[upper])) < NEAR_S
    return np.asarray(near | ((lower < upper) & (paths.times[upper] - paths.times[lower] <= GAP_S)))


def _independent(rows: Wide, counts: Ids) -> Wide:
    """One, and one more for each 0.6 of a body height that the shorter of the two paths goes on; 8 at most."""
    pair_of = np.repeat(np.arange(len(counts)), counts)
    same = np.diff(pair_of) == 0
    before, after = rows[:-1][same], rows[1:][same]
    steps = [np.hypot(*(after[:, k : k + 2] - before[:, k : k + 2]).T) / after[:, k + 2] for k in (1, 4)]
    walked = [np.bincount(pair_of[1:][same], step, minlength=len(counts)) for step in steps]
    return np.minimum(np.minimum(1.0 + np.minimum(*walked) / 0.6, counts), 8.0)
