"""k-reciprocal re-ranking (Zhong et al., CVPR 2017, arXiv 1701.08398), sparse and in blocks of rows.

With N = Q + G images the paper's matrices are N x N. Here distances exist for a block of rows at a time, and the
neighbourhoods, of which a row has some dozens, are sparse: memory is `O(block * N + N * k1)`, time `O(N * N)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reidpipe.evaluate.retrieval import Distances, Metric, pairwise_distances
from reidpipe.types import Ids, Vectors

Sparse: TypeAlias = Any
"""`scipy.sparse.csr_array` `(N, N)`; scipy has no types."""

_PAIRS = 8192


def rerank_distances(
    queries: Vectors,
    gallery: Vectors,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    metric: Metric = "cosine",
) -> Distances:
    """Distances `(Q, G)` after re-ranking: `(1 - weight) * Jaccard + weight * original` (equation 12).

    Args:
        queries: float32 `(Q, D)`.
        gallery: float32 `(G, D)`.
        k1: Size of the reciprocal neighbourhoods.
        k2: Neighbours that a feature is averaged over (local query expansion, equation 11).
        weight: Part of the original distance, lambda in the paper.
        metric: Of the original distance.
    """
    blocks = list(rerank_blocks(queries, gallery, k1=k1, k2=k2, weight=weight, metric=metric))
    return np.concatenate(blocks) if blocks else np.zeros((0, len(gallery)), dtype=np.float32)


def rerank_blocks(
    queries: Vectors,
    gallery: Vectors,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    metric: Metric = "cosine",
    block: int = 256,
) -> Iterator[Distances]:
    """The rows of :func:`rerank_distances`, `block` queries at a time, for galleries whose matrix has no room."""
    everyone = np.concatenate([queries, gallery])
    order, largest = _neighbours(everyone, max(k1, k2) + 1, metric, block)
    members = _expanded(order, k1)
    features = _weighted(members, everyone, largest, metric)
    if k2 > 1:
        features = _ones(order[:, :k2]) @ features / np.float32(k2)
    split = len(queries)
    by_member = features[split:].T.tocsr()
    for start in range(0, split, block):
        rows = slice(start, min(start + block, split))
        original = pairwise_distances(queries[rows], gallery, metric=metric) / largest[rows, None]
        jaccard = np.stack([_jaccard(features, row, by_member) for row in range(rows.start, rows.stop)])
        yield np.asarray((1 - weight) * jaccard + weight * original, dtype=np.float32)


def _neighbours(everyone: Vectors, count: int, metric: Metric, block: int) -> tuple[Ids, NDArray[np.float32]]:
    """The `count` nearest of each row, itself among them, int64 `(N, count)`, and its largest distance `(N,)`."""
    count = min(count, len(everyone))
    order = np.empty((len(everyone), count), dtype=np.int64)
    largest = np.empty(len(everyone), dtype=np.float32)
    for start in range(0, len(everyone), block):
        rows = slice(start, min(start + block, len(everyone)))
        distances = pairwise_distances(everyone[rows], everyone, metric=metric)
        place = np.arange(len(distances))
        distances[place, start + place] = -1.0  # an image is its own nearest, whatever copies of it there are
        largest[rows] = np.maximum(distances.max(axis=1), 1e-12)
        order[rows] = _smallest(distances / largest[rows, None], count)
    return order, largest


def _smallest(values: Distances, count: int) -> Ids:
    """What a stable sort of each row begins with: the `count` smallest, of equal ones the first."""
    found = np.argpartition(values, count - 1, axis=1)[:, :count]
    last = np.take_along_axis(values, found, axis=1).max(axis=1, keepdims=True)
    for row in np.flatnonzero((values <= last).sum(axis=1) > count):  # more equal ones than there is room for
        found[row] = np.argsort(values[row], kind="stable")[:count]
    found.sort(axis=1)
    best = np.argsort(np.take_along_axis(values, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, best, axis=1)


def _expanded(order: Ids, k1: int) -> Sparse:
    """Equations 3 to 5: ones at the k-reciprocal neighbours, and at theirs where two thirds of these are shared."""
    near, near_half = _ones(order[:, : k1 + 1]), _ones(order[:, : round(k1 / 2) + 1])
    mutual, mutual_half = near.multiply(near.T).tocsr(), near_half.multiply(near_half.T).tocsr()
    shared = (mutual @ mutual_half.T).multiply(mutual).tocoo()
    enough = shared.data > 2 / 3 * mutual_half.sum(axis=1)[shared.col]
    ones = np.ones(int(enough.sum()), dtype=np.float32)
    taken = sparse.csr_array((ones, (shared.row[enough], shared.col[enough])), shape=shared.shape)
    return (mutual + taken @ mutual_half).tocsr()


def _weighted(members: Sparse, everyone: Vectors, largest: NDArray[np.float32], metric: Metric) -> Sparse:
    """Equation 7: row i holds `exp(-d)` over its members, summing to 1."""
    pairs = members.tocoo()
    values = np.empty(pairs.nnz, dtype=np.float32)
    for start in range(0, pairs.nnz, _PAIRS):
        part = slice(start, start + _PAIRS)
        one, two = pairs.row[part], pairs.col[part]
        distances = np.where(one == two, 0, _row_distances(everyone[one], everyone[two], metric))
        values[part] = np.exp(-distances / largest[one])
    sums = np.bincount(pairs.row, weights=values, minlength=len(everyone))
    return sparse.csr_array(((values / sums[pairs.row]).astype(np.float32), (pairs.row, pairs.col)), shape=pairs.shape)


def _row_distances(one: Vectors, two: Vectors, metric: Metric) -> NDArray[np.float32]:
    """`pairwise_distances` of row i with row i, float32 `(M,)`."""
    if metric == "euclidean":
        return np.asarray(((one - two) ** 2).sum(axis=1), dtype=np.float32)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return np.asarray(np.maximum(1 - (one * two).sum(axis=1) / np.maximum(lengths, 1e-12), 0), dtype=np.float32)


def _ones(columns: Ids) -> Sparse:
    """float32 `(N, N)` with a one at each row's columns, `(N, k)`."""
    count, per_row = columns.shape
    starts = np.arange(0, count * per_row + 1, per_row)
    ones = np.ones(columns.size, dtype=np.float32)
    return sparse.csr_array((ones, columns.ravel(), starts), shape=(count, count))


def _jaccard(features: Sparse, row: int, by_member: Sparse) -> NDArray[np.float64]:
    """Equation 10 on rows that sum to 1, `(G,)`: `1 - sum(min) / sum(max)`, and `sum(max) = 2 - sum(min)`.

    Only gallery images that share a member are looked at (the paper's inverted index).
    """
    part = slice(features.indptr[row], features.indptr[row + 1])
    theirs = by_member[features.indices[part]]
    mine = np.repeat(features.data[part], np.diff(theirs.indptr))
    weights = np.minimum(mine, theirs.data)
    overlap = np.bincount(theirs.indices, weights=weights, minlength=by_member.shape[1])
    return np.asarray(1 - overlap / (2 - overlap))
