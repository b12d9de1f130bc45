"""Person retrieval: CMC and mAP of query embeddings against a gallery, in bounded memory, numpy only.

Protocol of Market-1501 (Zheng et al., ICCV 2015): for each query, gallery images of the same person *and* the same
camera are left out; average precision is the area under the precision-recall steps, `mean(k / rank_k)`.
All scores are fractions in 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids, Vectors

Distances = NDArray[np.float32]
Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """What a retrieval test found.

    Attributes:
        cmc: float64 `(R,)`; `cmc[k]` is the part of the queries with a correct match within the first `k + 1`.
        mean_ap: Mean average precision over the valid queries.
        queries: Number of valid queries (those with a correct match in their gallery).
        skipped: Queries without one; they do not count.
    """

    cmc: NDArray[np.float64]
    mean_ap: float
    queries: int
    skipped: int

    def rank(self, k: int) -> float:
        """CMC at rank `k` (1-based); beyond the gallery it stays at its last value."""
        return float(self.cmc[min(k, len(self.cmc)) - 1])


def pairwise_distances(queries: Vectors, gallery: Vectors, *, metric: Metric = "cosine") -> Distances:
    """Distances `(Q, G)`: `1 - cosine`, or squared euclidean."""
    if metric == "cosine":
        return np.asarray(np.maximum(1 - _unit(queries) @ _unit(gallery).T, 0), dtype=np.float32)
    squares = (queries**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1)[None, :]
    return np.asarray(np.maximum(squares - 2 * queries @ gallery.T, 0), dtype=np.float32)


def score_retrieval(
    queries: Vectors,
    query_persons: Ids,
    query_cameras: Ids,
    gallery: Vectors,
    gallery_persons: Ids,
    gallery_cameras: Ids,
    *,
    metric: Metric = "cosine",
    max_rank: int = 50,
    exclude_same_camera: bool = True,
    chunk: int = 256,
) -> RetrievalScores:
    """Rank the gallery for every query.

    Args:
        queries: float32 `(Q, D)`.
        query_persons: int64 `(Q,)`.
        query_cameras: int64 `(Q,)`.
        gallery: float32 `(G, D)`.
        gallery_persons: int64 `(G,)`.
        gallery_cameras: int64 `(G,)`.
        metric: `cosine` or `euclidean`.
        max_rank: Length of the CMC curve.
        exclude_same_camera: Leave out gallery images of the query's person taken by the query's camera (-1 = unknown
            never counts as the same camera).
        chunk: Queries ranked at a time: memory is `chunk * G`.

    Raises:
        ValueError: Shapes do not fit, or no query has a correct match.
    """
    _check(queries, query_persons, query_cameras, "query")
    _check(gallery, gallery_persons, gallery_cameras, "gallery")
    gallery = _unit(gallery) if metric == "cosine" else gallery
    starts = range(0, len(queries), chunk)
    return score_blocks(
        (pairwise_distances(queries[start : start + chunk], gallery, metric=metric) for start in starts),
        query_persons,
        query_cameras,
        gallery_persons,
        gallery_cameras,
        max_rank=max_rank,
        exclude_same_camera=exclude_same_camera,
    )


def score_distances(
    distances: Distances,
    query_persons: Ids,
    query_cameras: Ids,
    gallery_persons: Ids,
    gallery_cameras: Ids,
    *,
    max_rank: int = 50,
    exclude_same_camera: bool = True,
    chunk: int = 256,
) -> RetrievalScores:
    """The same as :func:`score_retrieval` from a matrix `(Q, G)`."""
    return score_blocks(
        (distances[start : start + chunk] for start in range(0, len(distances), chunk)),
        query_persons,
        query_cameras,
        gallery_persons,
        gallery_cameras,
        max_rank=max_rank,
        exclude_same_camera=exclude_same_camera,
    )


def score_blocks(
    blocks: Iterable[Distances],
    query_persons: Ids,
    query_cameras: Ids,
    gallery_persons: Ids,
    gallery_cameras: Ids,
    *,
    max_rank: int = 50,
    exclude_same_camera: bool = True,
) -> RetrievalScores:
    """The same from the rows of that matrix in order, some at a time, for instance as they are re-ranked."""
    cmc = np.zeros(min(max_rank, len(gallery_persons)))
    precisions: list[NDArray[np.float64]] = []
    start = 0
    for distances in blocks:
        rows = slice(start, start + len(distances))
        start = rows.stop
        same_person = query_persons[rows, None] == gallery_persons[None, :]
        out = same_person & (query_cameras[rows, None] == gallery_cameras[None, :]) & (query_cameras[rows, None] >= 0)
        hits, ap = _rank_rows(distances, same_person, out if exclude_same_camera else np.zeros_like(out), len(cmc))
        cmc += hits
        precisions.append(ap)
    return _summary(cmc, np.concatenate(precisions) if precisions else np.zeros(0))


def score_single_shot(
    distances: Distances,
    query_persons: Ids,
    query_cameras: Ids,
    gallery_persons: Ids,
    gallery_cameras: Ids,
    *,
    repeats: int = 10,
    max_rank: int = 50,
    seed: int = 0,
) -> RetrievalScores:
    """Single-gallery-shot protocol of CUHK03 (Li et al., CVPR 2014), averaged over `repeats` draws.

    For each query every person keeps one random gallery image, the query's own person one from another camera. Mean
    average precision is computed on these galleries, so it is a mean reciprocal rank.
    """
    rng = np.random.default_rng(seed)
    same_person = query_persons[:, None] == gallery_persons[None, :]
    same_camera = (query_cameras[:, None] == gallery_cameras[None, :]) & (query_cameras[:, None] >= 0)
    candidates = same_person & ~same_camera
    ranks = min(max_rank, len(np.unique(gallery_persons)))
    runs = []
    for _ in range(repeats):
        order = rng.permutation(len(gallery_persons))
        kept = _one_per_person(order, gallery_persons)[None, :] & ~same_person
        own = order[np.argmax(candidates[:, order], axis=1)]
        kept[np.arange(len(kept)), own] = candidates[np.arange(len(kept)), own]
        runs.append(_summary(*_rank_rows(distances, same_person, ~kept, ranks)))
    cmc = np.mean([run.cmc for run in runs], axis=0)
    return RetrievalScores(cmc, float(np.mean([run.mean_ap for run in runs])), runs[0].queries, runs[0].skipped)


def _one_per_person(order: Ids, persons: Ids) -> NDArray[np.bool_]:
    """Mark the gallery image of each person that comes first in `order`."""
    _, first = np.unique(persons[order], return_index=True)
    marked = np.zeros(len(persons), dtype=bool)
    marked[order[first]] = True
    return marked


def _rank_rows(
    distances: Distances, same_person: NDArray[np.bool_], left_out: NDArray[np.bool_], ranks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Summed CMC hits `(ranks,)` and the average precision of each query `(Q,)`, NaN where it has no match."""
    order = np.argsort(np.where(left_out, np.inf, distances), axis=1, kind="stable")
    correct = np.take_along_axis(same_person & ~left_out, order, axis=1)
    found = correct.cumsum(axis=1)
    total = found[:, -1]
    positions = np.arange(1, correct.shape[1] + 1)
    with np.errstate(invalid="ignore"):
        precision = (correct * (found / positions)).sum(axis=1) / np.where(total > 0, total, np.nan)
    hits = (found[total > 0, :ranks] > 0).sum(axis=0).astype(np.float64)
    return hits, precision


def _summary(hits: NDArray[np.float64], precisions: NDArray[np.float64]) -> RetrievalScores:
    valid = ~np.isnan(precisions)
    if not valid.any():
        raise ValueError("no query has a correct match in the gallery: check person and camera numbers")
    count = int(valid.sum())
    return RetrievalScores(hits / count, float(precisions[valid].mean()), count, len(precisions) - count)


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def _check(vectors: Vectors, persons: Ids, cameras: Ids, side: str) -> None:
    if vectors.ndim != 2 or persons.shape != (len(vectors),) or cameras.shape != (len(vectors),):
        raise ValueError(
            f"{side}: need (N, D) vectors with (N,) persons and cameras, "
            f"got {vectors.shape}, {persons.shape}, {cameras.shape}"
        )
    if not np.isfinite(vectors).all():
        raise ValueError(f"{side}: embeddings must be finite")
