"""k-reciprocal re-ranking (Zhong et al., CVPR 2017, arXiv 1701.08398), numpy only, row by row in sparse form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.evaluate.retrieval import Distances, Metric, pairwise_distances
from reidpipe.types import Ids, Vectors


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
    everyone = np.concatenate([queries, gallery])
    original = pairwise_distances(everyone, everyone, metric=metric)
    np.fill_diagonal(original, 0.0)
    original /= np.maximum(original.max(axis=1, keepdims=True), 1e-12)
    order = np.argsort(original, axis=1, kind="stable")[:, : max(k1, k2) + 1]
    features = _reciprocal_features(original, order, k1)
    if k2 > 1:
        features = np.stack([features[neighbours].mean(axis=0) for neighbours in order[:, :k2]])
    split = len(queries)
    jaccard = _jaccard(features[:split], features[split:])
    return np.asarray((1 - weight) * jaccard + weight * original[:split, split:], dtype=np.float32)


def _reciprocal_features(original: Distances, order: Ids, k1: int) -> NDArray[np.float32]:
    """Equations 3 to 7: row i holds `exp(-d)` over the expanded k-reciprocal neighbours of i, summing to 1."""
    count = len(original)
    near = _membership(order[:, : k1 + 1], count)
    near_half = _membership(order[:, : round(k1 / 2) + 1], count)
    reciprocal, reciprocal_half = near & near.T, near_half & near_half.T
    features = np.zeros((count, count), dtype=np.float32)
    for row in range(count):
        members = reciprocal[row].copy()
        for candidate in np.flatnonzero(reciprocal[row]):
            theirs = reciprocal_half[candidate]
            if (theirs & reciprocal[row]).sum() > 2 / 3 * theirs.sum():
                members |= theirs
        values = np.exp(-original[row, members])
        features[row, members] = values / values.sum()
    return features


def _membership(neighbours: Ids, count: int) -> NDArray[np.bool_]:
    member = np.zeros((count, count), dtype=bool)
    np.put_along_axis(member, neighbours, True, axis=1)
    return member


def _jaccard(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Distances:
    """Equation 10 on rows that sum to 1: `1 - sum(min) / sum(max)`, and `sum(max) = 2 - sum(min)`."""
    distances = np.empty((len(queries), len(gallery)), dtype=np.float32)
    for row, feature in enumerate(queries):
        used = np.flatnonzero(feature)
        overlap = np.minimum(feature[used], gallery[:, used]).sum(axis=1)
        distances[row] = 1 - overlap / (2 - overlap)
    return distances
