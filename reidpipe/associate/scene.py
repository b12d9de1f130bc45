"""The tracklets of a run as arrays, and the pairs of them worth looking at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.constraints import together
from reidpipe.associate.features import remove_bias
from reidpipe.associate.likeness import UNKNOWN, Likeness
from reidpipe.associate.rerank import nearest
from reidpipe.types import Ids, TrackKey, Tracklet, Vectors

__all__ = ["Scene", "see"]

Wide = NDArray[np.float64]

NEIGHBOURS = 50
ALL_PAIRS = 300
LEAST_QUALITY = 0.05

ENOUGH = 0.45
"""Quality of a tracklet (one good crop has 0.5) whose looks count in full."""

LEAST_TRUST = 0.25

MOST_PRODUCT, GATHERING = 2048, 24
"""Up to so many rows all cosines at once are cheaper than some, where there are more than one in so many to know: a
pair that is gathered costs as much as so many in one product of matrices."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to decide about.

    Attributes:
        tracklets: in order of first appearance.
        names: of the cameras, sorted.
        cameras: int64 ``(N,)`` rows of ``names``.
        vectors: float32 ``(N, D)`` unit rows, camera bias removed.
        quality: float64 ``(N,)`` in ``LEAST_QUALITY``..1.
        together: int64 ``(P, 2)`` pairs, i < j, that one camera saw at the same time.
        near: int64 ``(N, K)`` nearest neighbours, nearest first.
        near_cosine: float64 ``(N, K)``.
        owners: int64 ``(N,)`` identity of those that are known already, at least 1; else -1.
        likeness: what the cosines of the embedder mean.
    """

    tracklets: list[Tracklet]
    names: list[str]
    cameras: Ids
    vectors: Vectors
    quality: Wide
    together: Ids
    near: Ids
    near_cosine: Wide
    owners: Ids
    likeness: Likeness

    def __len__(self) -> int:
        return len(self.tracklets)

    def codes(self, pairs: Ids) -> Ids:
        """One number for each pair ``(P, 2)``, ascending when the pairs are sorted."""
        return np.asarray(pairs[:, 0] * len(self) + pairs[:, 1], dtype=np.int64)

    def cosine(self, pairs: Ids) -> Wide:
        """Cosine of each pair of rows, ``(P,)``."""
        n = len(self)
        if n <= MOST_PRODUCT and len(pairs) * GATHERING > n * n:
            product = self.vectors @ self.vectors.T
            return np.asarray(product[pairs[:, 0], pairs[:, 1]], dtype=np.float64)
        out = np.empty(len(pairs))
        for start in range(0, len(pairs), 32768):
            i, j = pairs[start : start + 32768].T
            out[start : start + 32768] = np.einsum("ij,ij->i", self.vectors[i], self.vectors[j])
        return out

    def trust(self, pairs: Ids) -> Wide:
        """How much the looks of each pair count, ``(P,)`` 0..1: all, unless the crops are few and bad."""
        both = np.sqrt(self.quality[pairs[:, 0]] * self.quality[pairs[:, 1]])
        return np.clip(both / ENOUGH, LEAST_TRUST, 1.0)

    def strangers(self, *, most: int = 20_000) -> Wide:
        """Cosines of pairs that are nearly all of different people: all pairs, or a fixed random choice of many."""
        n = len(self)
        if n * (n - 1) // 2 <= most:
            pairs = np.stack(np.triu_indices(n, 1), axis=1)
        else:
            pairs = np.random.default_rng(0).integers(0, n, size=(most, 2))
            pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return self.cosine(pairs.astype(np.int64))

    def worth(self) -> Ids:
        """Pairs to look at, ``(E, 2)`` with i < j, sorted: all when few, else near neighbours; none in ``together``."""
        n = len(self)
        if n <= ALL_PAIRS:
            pairs = np.stack(np.triu_indices(n, 1), axis=1).astype(np.int64)
            codes = self.codes(pairs)
        else:
            rows, others = np.repeat(np.arange(n), self.near.shape[1]), self.near.ravel()
            codes = np.unique(np.minimum(rows, others) * n + np.maximum(rows, others))
        codes = np.setdiff1d(codes, self.codes(self.together), assume_unique=True)
        return np.stack(np.divmod(codes, n), axis=1).astype(np.int64)


def see(
    tracklets: Sequence[Tracklet], *, owners: Mapping[TrackKey, int] | None = None, likeness: Likeness = UNKNOWN
) -> Scene:
    """Arrays of tracklets, sorted by first appearance, then camera and track id.

    Args:
        tracklets: at least one.
        owners: identities that are known already and stay as they are.
        likeness: of the embedder that made the vectors.
    """
    known = sorted(tracklets, key=lambda t: (t.first_s, t.key))
    names = sorted({t.key.camera for t in known})
    number = {name: i for i, name in enumerate(names)}
    cameras = np.asarray([number[t.key.camera] for t in known], dtype=np.int64)
    quality = np.asarray([max(t.quality, LEAST_QUALITY) for t in known])
    vectors = remove_bias(np.stack([t.vector for t in known]), cameras, quality, centre=likeness.centre)
    times = np.asarray([(t.first_s, t.last_s) for t in known])
    near, cosine = nearest(vectors, NEIGHBOURS)
    pairs = together(cameras, times[:, 0], times[:, 1])
    own = np.asarray([(owners or {}).get(t.key, -1) for t in known], dtype=np.int64)
    return Scene(known, names, cameras, vectors, quality, pairs, near, cosine, own, likeness)
