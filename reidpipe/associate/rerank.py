"""k-reciprocal re-ranking over a sparse graph: two are alike when they have the same neighbours.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, equations 3 to 10, for the
pairs of a nearest-neighbour graph only, so that memory grows with the number of tracklets and not with its square.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.paths import spread_out
from reidpipe.types import Ids, Vectors

__all__ = ["nearest", "shared_neighbours"]

Wide = NDArray[np.float64]

BLOCK = 64
"""First tracklets of pairs that are compared at once: their neighbourhoods are written out over all tracklets."""


def nearest(vectors: Vectors, count: int, *, block: int = 256) -> tuple[Ids, Wide]:
    """The ``count`` nearest other rows of each row, nearest first: rows ``(N, K)`` and cosines ``(N, K)``."""
    n = len(vectors)
    count = min(count, n - 1)
    rows, cosines = np.empty((n, count), np.int64), np.empty((n, count))
    for start in range(0, n, block):
        near = vectors[start : start + block] @ vectors.T
        here = np.arange(len(near))
        near[here, start + here] = -2.0
        best = np.argpartition(-near, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(near, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        rows[start : start + block] = np.take_along_axis(best, order, axis=1)
        cosines[start : start + block] = np.take_along_axis(values, order, axis=1)
    return rows, cosines


def shared_neighbours(rows: Ids, cosines: Wide, pairs: Ids, *, k1: int = 8, k2: int = 3) -> Wide:
    """Jaccard similarity of the k-reciprocal neighbourhoods of each pair, ``(P,)`` in 0..1.

    Args:
        rows: ``(N, K)`` nearest neighbours, nearest first, as from ``nearest``.
        cosines: ``(N, K)``.
        pairs: ``(P, 2)`` rows to compare, grouped by their first column for speed.
        k1: size of a neighbourhood: about the number of tracklets that one person has.
        k2: how many neighbours are averaged (local query expansion).
    """
    if not len(pairs):
        return np.zeros(0)
    n = len(rows)
    codes, value = _encode(rows, cosines, min(k1, rows.shape[1]))
    if k2 > 1:
        codes, value = _expand(codes, value, rows, k2)
    owner, member = np.divmod(codes, n)
    starts = np.searchsorted(owner, np.arange(n + 1))
    at = np.arange(len(codes)) - starts[owner]
    width = int(at.max()) + 1
    index, weight = np.full((n, width), n, dtype=np.int64), np.zeros((n, width))
    index[owner, at], weight[owner, at] = member, value
    out = np.zeros(len(pairs))
    firsts, begins = np.unique(pairs[:, 0], return_index=True)
    ends = np.append(begins[1:], len(pairs))
    scratch = np.zeros((BLOCK, n + 1))
    for block in range(0, len(firsts), BLOCK):
        some = firsts[block : block + BLOCK]
        chosen = slice(int(begins[block]), int(ends[block + len(some) - 1]))
        local, others = np.searchsorted(some, pairs[chosen, 0]), pairs[chosen, 1]
        here = np.arange(len(some))[:, None]
        scratch[here, index[some]] = weight[some]
        shared = np.minimum(scratch[local[:, None], index[others]], weight[others]).sum(axis=1)
        out[chosen] = shared / (2.0 - shared)
        scratch[here, index[some]] = 0.0
    return out


def _encode(rows: Ids, cosines: Wide, k1: int) -> tuple[Ids, Wide]:
    """Each row's neighbourhood as weights that sum to 1: reciprocal neighbours, and theirs where most are shared.

    Returns:
        ``row * N + member`` of each, int64 ``(S,)`` ascending, and its weight.
    """
    n = len(rows)
    own = np.arange(n, dtype=np.int64)[:, None]
    mutual, mutual_half = _reciprocal(rows[:, :k1]), _reciprocal(rows[:, : max(1, round(k1 / 2))])
    inside = np.sort((own * n + mutual)[mutual >= 0])
    further = np.where(mutual[:, :, None] >= 0, mutual_half[mutual], -1)
    there = own[:, :, None] * n + further
    hits = (further >= 0) & _among(inside, there)
    taken = 3 * hits.sum(axis=2) > 2 * (further >= 0).sum(axis=2)
    codes = np.union1d(inside, there[(further >= 0) & taken[:, :, None]])
    row, member = np.divmod(codes, n)
    known = (own * n + rows).ravel()
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)]
    cosine = np.where(known[at] == codes, cosines.ravel()[at], cosines[row, -1])
    value = np.exp(2.0 * np.where(row == member, 1.0, cosine) - 2.0)
    return codes, value / np.bincount(row, value, minlength=n)[row]


def _reciprocal(near: Ids) -> Ids:
    """Each row itself and those of its neighbours whose neighbour it is, ``(N, K + 1)``; -1 in the place of others."""
    n = len(near)
    own = np.arange(n, dtype=np.int64)[:, None]
    back = _among(np.sort((own * n + near).ravel()), near * n + own)
    return np.concatenate([own, np.where(back, near, -1)], axis=1)


def _among(known: Ids, codes: Ids) -> NDArray[np.bool_]:
    """Which of ``codes`` are in ``known``, which is sorted and not empty."""
    return np.asarray(known[np.minimum(np.searchsorted(known, codes), len(known) - 1)] == codes)


def _expand(codes: Ids, value: Wide, rows: Ids, k2: int) -> tuple[Ids, Wide]:
    """Each encoding averaged with those of the ``k2 - 1`` nearest neighbours (equation 11)."""
    n = len(rows)
    group = np.concatenate([np.arange(n, dtype=np.int64)[:, None], rows[:, : k2 - 1]], axis=1)
    starts = np.searchsorted(codes, np.arange(n + 1) * n)
    sizes = np.diff(starts)[group]
    first = np.repeat(starts[group].ravel(), sizes.ravel())
    parts = first + spread_out(sizes.ravel())[1]
    owner = np.repeat(np.arange(n), sizes.sum(axis=1))
    wide, where = np.unique(owner * n + codes[parts] % n, return_inverse=True)
    return wide.astype(np.int64), np.bincount(where, value[parts]) / group.shape[1]
