"""Everything that speaks for or against two tracklets being one person, as one sum of log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration, Sample
from reidpipe.associate.constraints import together
from reidpipe.associate.features import remove_bias
from reidpipe.associate.meetings import Meetings, meet
from reidpipe.associate.overlap import Overlap, find_overlap
from reidpipe.types import Ids, Tracklet, Vectors

__all__ = ["Evidence", "Scene", "gather", "see"]

Wide = NDArray[np.float64]

NEIGHBOURS = 50
ALL_PAIRS = 400
LEAST_QUALITY = 0.05


@dataclass(frozen=True, slots=True)
class Scene:
    """The tracklets as arrays.

    Attributes:
        tracklets: in order of first appearance.
        names: of the cameras, sorted.
        cameras: int64 ``(N,)`` rows of ``names``.
        vectors: float32 ``(N, D)`` unit rows, camera bias removed.
        quality: float64 ``(N,)`` in ``LEAST_QUALITY``..1.
        together: int64 ``(P, 2)`` pairs that one camera saw at the same time.
    """

    tracklets: list[Tracklet]
    names: list[str]
    cameras: Ids
    vectors: Vectors
    quality: Wide
    together: Ids

    def similarity(self, pairs: Ids) -> Wide:
        """Cosine of each pair of rows, ``(P,)``."""
        out = np.empty(len(pairs))
        for start in range(0, len(pairs), 65536):
            i, j = pairs[start : start + 65536].T
            out[start : start + 65536] = np.einsum("ij,ij->i", self.vectors[i], self.vectors[j])
        return out

    def trust(self, pairs: Ids) -> Wide:
        """Root of the product of both qualities, ``(P,)``."""
        return np.asarray(np.sqrt(self.quality[pairs[:, 0]] * self.quality[pairs[:, 1]]))


def see(tracklets: Sequence[Tracklet]) -> Scene:
    """Arrays of tracklets, sorted by first appearance, then camera and track id."""
    known = sorted(tracklets, key=lambda t: (t.first_s, t.key))
    names = sorted({t.key.camera for t in known})
    cameras = np.asarray([names.index(t.key.camera) for t in known], dtype=np.int64)
    quality = np.asarray([max(t.quality, LEAST_QUALITY) for t in known])
    vectors = remove_bias(np.stack([t.vector for t in known]), cameras, quality, people=2.0)
    times = np.asarray([(t.first_s, t.last_s) for t in known])
    return Scene(known, names, cameras, vectors, quality, together(cameras, times[:, 0], times[:, 1]))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about pairs besides looks.

    Attributes:
        pairs: int64 ``(E, 2)`` i < j, each once, none of them seen together in one camera.
        similarity: float64 ``(E,)``.
        trust: float64 ``(E,)``.
        places: float64 ``(E,)`` log-odds from where the two stood in overlapping views; 0 where that says nothing.
        overlaps: of each pair of cameras (rows of ``Scene.names``) whose views overlap.
    """

    pairs: Ids
    similarity: Wide
    trust: Wide
    places: Wide
    overlaps: dict[tuple[int, int], Overlap]

    def sample(self, scene: Scene, prior: float) -> Sample:
        """For fitting a calibration: all pairs here, and those seen together as certain strangers."""
        known = np.full(len(scene.together), -np.inf)
        return Sample(
            np.concatenate([self.similarity, scene.similarity(scene.together)]),
            np.concatenate([self.trust, scene.trust(scene.together)]),
            np.concatenate([self.places + prior, known]),
        )


def gather(scene: Scene, calibration: Calibration, *, overlap: bool = True) -> Evidence:
    """Pairs worth looking at and what speaks for them.

    Args:
        scene: the tracklets.
        calibration: to guess likely pairs, which the search for overlapping views begins with.
        overlap: look for overlapping views.
    """
    pairs = _worth(scene)
    met = _overlaps(scene, calibration) if overlap else {}
    for (a, b), (_, meetings) in met.items():
        rows_a, rows_b = np.flatnonzero(scene.cameras == a), np.flatnonzero(scene.cameras == b)
        both = np.stack([rows_a[meetings.pairs[:, 0]], rows_b[meetings.pairs[:, 1]]], axis=1)
        pairs = np.concatenate([pairs, np.sort(both, axis=1)])
    codes = np.unique(pairs[:, 0] * len(scene.tracklets) + pairs[:, 1])
    forbidden = scene.together[:, 0] * len(scene.tracklets) + scene.together[:, 1]
    codes = np.setdiff1d(codes, forbidden, assume_unique=True)
    pairs = np.stack(np.divmod(codes, len(scene.tracklets)), axis=1).astype(np.int64)
    places = np.zeros(len(pairs))
    for (a, b), (found, meetings) in met.items():
        rows_a, rows_b = np.flatnonzero(scene.cameras == a), np.flatnonzero(scene.cameras == b)
        both = np.sort(np.stack([rows_a[meetings.pairs[:, 0]], rows_b[meetings.pairs[:, 1]]], axis=1), axis=1)
        places[np.searchsorted(codes, both[:, 0] * len(scene.tracklets) + both[:, 1])] = found.log_odds(meetings)
    overlaps = {cameras: found for cameras, (found, _) in met.items()}
    return Evidence(pairs, scene.similarity(pairs), scene.trust(pairs), places, overlaps)


def _overlaps(scene: Scene, calibration: Calibration) -> dict[tuple[int, int], tuple[Overlap, Meetings]]:
    found = {}
    prior = -float(np.log(max(2, min(10, len(scene.tracklets) // max(len(scene.names), 1)))))
    for a in range(len(scene.names)):
        for b in range(a + 1, len(scene.names)):
            rows_a, rows_b = np.flatnonzero(scene.cameras == a), np.flatnonzero(scene.cameras == b)
            met = meet([scene.tracklets[i] for i in rows_a], [scene.tracklets[j] for j in rows_b])
            both = np.stack([rows_a[met.pairs[:, 0]], rows_b[met.pairs[:, 1]]], axis=1)
            likely = calibration.log_odds(scene.similarity(both), scene.trust(both)) + prior
            overlap = find_overlap(met, likely)
            if overlap is not None:
                found[a, b] = (overlap, met)
    return found


def _worth(scene: Scene) -> Ids:
    """Pairs to look at, ``(E, 2)`` with i < j: all when few, else the nearest neighbours of each tracklet."""
    vectors, n = scene.vectors, len(scene.tracklets)
    if n <= ALL_PAIRS:
        return np.stack(np.triu_indices(n, 1), axis=1).astype(np.int64)
    found: list[Ids] = []
    for start in range(0, n, 1024):
        near = vectors[start : start + 1024] @ vectors.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        best = np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS].astype(np.int64)
        rows = np.repeat(np.arange(start, start + len(near)), NEIGHBOURS)
        found.append(np.stack([np.minimum(rows, best.ravel()), np.maximum(rows, best.ravel())], axis=1))
    return np.concatenate(found)
