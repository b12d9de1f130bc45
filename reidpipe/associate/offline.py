"""Association after the fact: all tracklets are known, so identities are decided all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration
from reidpipe.associate.cluster import Graph, cluster
from reidpipe.associate.constraints import together
from reidpipe.associate.features import remove_bias
from reidpipe.errors import ConfigError
from reidpipe.types import Ids, Link, TrackKey, Tracklet, Vectors

__all__ = ["OfflineAssociator"]

NEIGHBOURS = 50
ALL_PAIRS = 300


class OfflineAssociator:
    """Collects tracklets and resolves them at ``close``. Global ids count from 1 in order of first appearance.

    Args:
        threshold: similarity above which two tracklets are one person; None (default) sets itself.
        calibration: how similar people are to themselves and to others with this embedder.
        false_match_rate: largest share of wrong pairs to accept, 0..1.
    """

    def __init__(
        self,
        *,
        threshold: float | None = None,
        calibration: Calibration | None = None,
        false_match_rate: float = 0.01,
    ) -> None:
        if threshold is not None and not -1.0 <= threshold <= 1.0:
            raise ConfigError(f"associate.threshold must be in -1..1, got {threshold}")
        if not 0.0 < false_match_rate < 1.0:
            raise ConfigError(f"associate.false_match_rate must be between 0 and 1, got {false_match_rate}")
        self._threshold = threshold
        self._calibration = calibration or Calibration()
        self._rate = false_match_rate
        self._tracklets: dict[TrackKey, Tracklet] = {}
        self._next_id = 1
        self.report: dict[str, Any] = {}

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        """Keep them (a later one of the same key replaces the earlier); nothing is decided before ``close``."""
        del time_s
        for tracklet in tracklets:
            self._tracklets[tracklet.key] = tracklet
        return []

    def close(self) -> list[Link]:
        """One link for each tracklet ever given, in order of first appearance."""
        known = sorted(self._tracklets.values(), key=lambda t: (t.first_s, t.key))
        self._tracklets = {}
        if not known:
            return []
        vectors, labels = self._resolve(known)
        return self._links(known, vectors, labels)

    def adopt(self, keys: Sequence[TrackKey], time_s: float) -> list[Link]:
        """Give each of these tracks, which never had a tracklet, an identity of its own. Call after ``close``."""
        links = [Link(key, self._next_id + i, 1.0, time_s) for i, key in enumerate(keys)]
        self._next_id += len(links)
        return links

    def _resolve(self, known: list[Tracklet]) -> tuple[Vectors, Ids]:
        names = sorted({t.key.camera for t in known})
        cameras = np.asarray([names.index(t.key.camera) for t in known], dtype=np.int64)
        weights = np.asarray([max(t.quality, 0.05) for t in known])
        vectors = remove_bias(np.stack([t.vector for t in known]), cameras, weights)
        spans = [(t.key.camera, t.first_s, t.last_s) for t in known]
        times = np.asarray([(t.first_s, t.last_s) for t in known])
        pairs, similarity = _neighbours(vectors)
        forbidden = together(cameras, times[:, 0], times[:, 1])
        possible = len(known) * (len(known) - 1) / 2 - len(forbidden)
        prior = float(np.log(1.0 / max(len(known), 2)))
        labels = np.arange(len(known))
        for _ in range(3):
            limit = self._calibration.limit(prior) if self._threshold is None else self._threshold
            odds = self._odds(similarity, limit)
            floor = float(self._odds(np.array([self._calibration.other_mean]), limit)[0])
            labels = cluster(Graph(len(known), pairs, odds, min(floor, -0.1), weights), spans)
            if self._threshold is not None:
                break
            sizes = np.bincount(labels).astype(float)
            share = min(0.5, (1.0 + (sizes * (sizes - 1) / 2).sum()) / (len(known) + possible))
            prior = float(np.log(share / (1 - share)))
        self.report = {"threshold": limit, "identities": int(labels.max()) + 1, "tracklets": len(known)}
        return vectors, labels

    def _odds(self, similarity: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
        calibration = self._calibration
        slope = (calibration.same_mean - calibration.other_mean) / calibration.std**2
        return np.asarray(slope * (similarity - limit))

    def _links(self, known: list[Tracklet], vectors: Vectors, labels: Ids) -> list[Link]:
        sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]))
        np.add.at(sums, labels, vectors.astype(np.float64))
        end = max(t.last_s for t in known)
        links = []
        for i, tracklet in enumerate(known):
            rest = sums[labels[i]] - vectors[i]
            length = float(np.linalg.norm(rest))
            similarity = float(vectors[i] @ rest / length) if length > 1e-6 else 1.0
            links.append(Link(tracklet.key, self._next_id + int(labels[i]), similarity, end))
        self._next_id += len(sums)
        return links


def _neighbours(vectors: Vectors) -> tuple[Ids, NDArray[np.float64]]:
    """Pairs worth looking at, ``(E, 2)`` with i < j, and their cosines: all when few, else nearest neighbours."""
    n = len(vectors)
    if n <= ALL_PAIRS:
        i, j = np.triu_indices(n, 1)
        return np.stack([i, j], axis=1).astype(np.int64), (vectors @ vectors.T)[i, j].astype(np.float64)
    found: list[Ids] = []
    for start in range(0, n, 1024):
        near = vectors[start : start + 1024] @ vectors.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        best = np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        rows = np.repeat(np.arange(start, start + len(near)), NEIGHBOURS)
        found.append(np.stack([np.minimum(rows, best.ravel()), np.maximum(rows, best.ravel())], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0).astype(np.int64)
    cosine = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    return pairs, cosine.astype(np.float64)
