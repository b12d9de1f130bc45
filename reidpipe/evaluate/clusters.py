"""How well tracklets were grouped into people: pairwise scores, purity, completeness and IDF1 of a labelling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids

__all__ = ["ClusterScores", "score_clusters"]


@dataclass(frozen=True, slots=True)
class ClusterScores:
    """Scores of a grouping against the truth, fractions 0..1.

    Attributes:
        pair_precision: of all pairs put together, the share that belongs together. 1 when no pair was put together.
        pair_recall: of all pairs that belong together, the share put together. 1 when there is none.
        pair_f1: harmonic mean of both.
        purity: share (by weight) of tracklets that belong to the commonest person of their group.
        completeness: share (by weight) of tracklets that are in the commonest group of their person.
        idf1: weight in common under the best one-to-one match of groups and people, over all weight (Ristani et al.,
            ECCV 2016, with every box found).
        groups: how many groups.
        people: how many people.
    """

    pair_precision: float
    pair_recall: float
    pair_f1: float
    purity: float
    completeness: float
    idf1: float
    groups: int
    people: int


def score_clusters(truth: Ids, labels: Ids, weights: NDArray[np.float64] | None = None) -> ClusterScores:
    """Compare a grouping with the truth.

    Args:
        truth: int64 ``(N,)`` person of each tracklet.
        labels: int64 ``(N,)`` group of each tracklet.
        weights: ``(N,)`` number of boxes of each; default 1. Pairwise scores count tracklets, not boxes.
    """
    if len(truth) != len(labels):
        raise ValueError(f"truth has {len(truth)} rows, labels {len(labels)}")
    if not len(truth):
        return ClusterScores(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0, 0)
    from scipy.optimize import linear_sum_assignment

    mass = np.ones(len(truth)) if weights is None else weights
    people, person = np.unique(truth, return_inverse=True)
    groups, group = np.unique(labels, return_inverse=True)
    both, where = np.unique(person * len(groups) + group, return_inverse=True)
    together = _pairs(np.bincount(where))
    precision = _ratio(together, _pairs(np.bincount(group)))
    recall = _ratio(together, _pairs(np.bincount(person)))
    shared = np.zeros((len(people), len(groups)))
    shared[np.divmod(both, len(groups))] = np.bincount(where, weights=mass)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    total = float(mass.sum())
    return ClusterScores(
        pair_precision=precision,
        pair_recall=recall,
        pair_f1=2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0,
        purity=float(shared.max(axis=0).sum()) / total,
        completeness=float(shared.max(axis=1).sum()) / total,
        idf1=float(shared[rows, columns].sum()) / total,
        groups=len(groups),
        people=len(people),
    )


def _pairs(counts: NDArray[np.int64]) -> float:
    return float((counts * (counts - 1) // 2).sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
