"""k-reciprocal re-ranking over a sparse graph: two are alike when they have the same neighbours.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, equations 3 to 10, for the
pairs of a nearest-neighbour graph only, so that memory grows with the number of tracklets and not with its square.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids, Vectors

__all__ = ["nearest", "shared_neighbours"]

Wide = NDArray[np.float64]
Sparse = tuple[list[Ids], list[Wide]]


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
    index, value = _encode(rows, cosines, min(k1, rows.shape[1]))
    if k2 > 1:
        index, value = _expand(index, value, rows, k2)
    out = np.zeros(len(pairs))
    scratch = np.zeros(len(rows))
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(pairs)], strict=True):
        i = int(pairs[start, 0])
        others = pairs[start:end, 1].tolist()
        sizes = [len(index[j]) for j in others]
        scratch[index[i]] = value[i]
        low = np.minimum(
            scratch[np.concatenate([index[j] for j in others])], np.concatenate([value[j] for j in others])
        )
        shared = np.bincount(np.repeat(np.arange(len(others)), sizes), weights=low, minlength=len(others))
        out[start:end] = shared / (2.0 - shared)
        scratch[index[i]] = 0.0
    return out


def _encode(rows: Ids, cosines: Wide, k1: int) -> Sparse:
    """Each row's neighbourhood as weights that sum to 1: reciprocal neighbours, and theirs where most are shared."""
    n = len(rows)
    half = max(1, round(k1 / 2))
    sets = [set(near) for near in rows[:, :k1].tolist()]
    halves = [set(near) for near in rows[:, :half].tolist()]
    mutual = [{j for j in sets[i] if i in sets[j]} | {i} for i in range(n)]
    mutual_half = [{j for j in halves[i] if i in halves[j]} | {i} for i in range(n)]
    index: list[Ids] = []
    value: list[Wide] = []
    known = [dict(zip(near, cosine, strict=True)) for near, cosine in zip(rows.tolist(), cosines.tolist(), strict=True)]
    for i in range(n):
        wider = set(mutual[i])
        for j in mutual[i]:
            if 3 * len(mutual_half[j] & mutual[i]) > 2 * len(mutual_half[j]):
                wider |= mutual_half[j]
        members = sorted(wider)
        floor = float(cosines[i, -1])
        cosine = np.asarray([1.0 if j == i else known[i].get(j, floor) for j in members])
        weight = np.exp(2.0 * cosine - 2.0)
        index.append(np.asarray(members, dtype=np.int64))
        value.append(weight / weight.sum())
    return index, value


def _expand(index: list[Ids], value: list[Wide], rows: Ids, k2: int) -> Sparse:
    """Each encoding averaged with those of the ``k2 - 1`` nearest neighbours (equation 11)."""
    wide_index: list[Ids] = []
    wide_value: list[Wide] = []
    for i in range(len(rows)):
        group = [i, *rows[i, : k2 - 1].tolist()]
        members, where = np.unique(np.concatenate([index[j] for j in group]), return_inverse=True)
        weights = np.concatenate([value[j] for j in group]) / len(group)
        wide_index.append(members.astype(np.int64))
        wide_value.append(np.asarray(np.bincount(where, weights=weights), dtype=np.float64))
    return wide_index, wide_value
