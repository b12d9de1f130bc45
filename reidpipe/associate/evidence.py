"""Everything that speaks for or against two tracklets being one person, as one sum of log-odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration, Scale
from reidpipe.associate.meetings import meet
from reidpipe.associate.overlap import Overlap, find_overlap
from reidpipe.associate.rerank import shared_neighbours
from reidpipe.associate.scene import Scene
from reidpipe.types import Ids

__all__ = ["COSINE", "SHARED", "Looks", "Places", "compare_looks", "find_places"]

Wide = NDArray[np.float64]

COSINE = Calibration(slope=14.0, even=0.22)
"""Shipped calibration of the cosine alone, on the common scale of ``Scale``."""

SHARED = (Calibration(slope=20.0, even=0.13), Calibration(slope=20.0, even=0.16))
"""Shipped calibrations of cosine and shared neighbours, half and half: without and with local query expansion."""

NEIGHBOURHOODS = ((3.0, 2, 1), (5.5, 4, 2), (8.0, 5, 2), (np.inf, 8, 3))
"""Up to so many tracklets for each person: k1, k2 of ``shared_neighbours``."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How alike pairs look.

    Attributes:
        similarity: float64 ``(E,)`` of the pairs, on the common scale: half cosine, half shared neighbours.
        together: float64 ``(P,)`` the same for the pairs seen together, who are strangers for certain.
        calibration: what it means.
    """

    similarity: Wide
    together: Wide
    calibration: Calibration


def compare_looks(scene: Scene, pairs: Ids, scale: Scale, *, size: float) -> Looks:
    """Similarity of each pair.

    Args:
        scene: the tracklets.
        pairs: ``(E, 2)``, sorted.
        scale: of this footage.
        size: about how many tracklets each person has: the size of a neighbourhood follows it.
    """
    k1, k2 = next((k1, k2) for most, k1, k2 in NEIGHBOURHOODS if size < most)
    parts = []
    for chosen in (pairs, scene.together):
        shared = shared_neighbours(scene.near, scene.near_cosine, chosen, k1=k1, k2=k2)
        parts.append(0.5 * scale.apply(scene.cosine(chosen)) + 0.5 * shared)
    return Looks(parts[0], parts[1], SHARED[min(k2, 2) - 1])


@dataclass(frozen=True, slots=True)
class Places:
    """What is known from where people stood in views that overlap.

    Attributes:
        overlaps: for each pair of cameras (rows of ``Scene.names``) whose views overlap.
        pairs: int64 ``(Q, 2)`` i < j, sorted, pairs of tracklets that were in overlapping views at the same time.
        odds: float64 ``(Q,)`` log-odds of each.
    """

    overlaps: dict[tuple[int, int], Overlap]
    pairs: Ids
    odds: Wide

    def of(self, scene: Scene, pairs: Ids) -> Wide:
        """Log-odds of sorted ``pairs`` ``(E, 2)``; 0 where places say nothing."""
        out = np.zeros(len(pairs))
        if not len(self.pairs):
            return out
        codes, known = scene.codes(pairs), scene.codes(self.pairs)
        at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        hit = known[at] == codes
        out[hit] = self.odds[at[hit]]
        return out


def find_places(scene: Scene, scale: Scale) -> Places:
    """Look for overlapping views between all cameras."""
    overlaps: dict[tuple[int, int], Overlap] = {}
    codes: list[Ids] = []
    odds: list[Wide] = []
    per_camera = len(scene) / max(len(scene.names), 1)
    prior = -float(np.log(np.clip(per_camera, 2, 10)))
    for a in range(len(scene.names)):
        for b in range(a + 1, len(scene.names)):
            found = [_search(scene, scale, (a, b), prior, head=head) for head in (False, True)]
            best = max((f for f in found if f is not None), key=lambda f: f[0].evidence, default=None)
            if best is not None:
                overlaps[a, b] = best[0]
                codes.append(scene.codes(np.sort(best[1], axis=1)))
                odds.append(best[2])
    if not codes:
        return Places({}, np.zeros((0, 2), np.int64), np.zeros(0))
    joined, order = np.unique(np.concatenate(codes), return_index=True)
    pairs = np.stack(np.divmod(joined, len(scene)), axis=1).astype(np.int64)
    return Places(overlaps, pairs, np.concatenate(odds)[order])


def _search(
    scene: Scene, scale: Scale, cameras: tuple[int, int], prior: float, *, head: bool
) -> tuple[Overlap, Ids, Wide] | None:
    """The overlap of two views, pairs of rows of the scene ``(P, 2)`` that met, and their log-odds."""
    rows_a, rows_b = (np.flatnonzero(scene.cameras == camera) for camera in cameras)
    met = meet([scene.tracklets[i] for i in rows_a], [scene.tracklets[j] for j in rows_b], head=head)
    both = np.stack([rows_a[met.pairs[:, 0]], rows_b[met.pairs[:, 1]]], axis=1).astype(np.int64)
    overlap = find_overlap(met, COSINE.log_odds(scale.apply(scene.cosine(both))) + prior)
    return None if overlap is None else (overlap, both, overlap.log_odds(met))
