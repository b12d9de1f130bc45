"""Everything that speaks for or against two tracklets being one person, as one sum of log-odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration, Scale
from reidpipe.associate.meetings import Meetings, meet
from reidpipe.associate.overlap import Overlap, find_overlap
from reidpipe.associate.rerank import shared_neighbours
from reidpipe.associate.scene import Scene
from reidpipe.types import Ids

__all__ = ["COSINE", "SHARED", "Looks", "Places", "Views", "compare_looks", "find_places"]

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


class Views:
    """Which views overlap, remembered from one look to the next, so that a live run does not search again and again.

    A pair of cameras without an overlap is searched again when half as many tracks more have met; a found one is kept,
    and fitted anew when twice as many have.
    """

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[Overlap, bool] | None] = {}
        self.looked: dict[tuple[str, str], int] = {}

    def due(self, names: tuple[str, str], met: int) -> bool:
        """True when enough has changed to search."""
        found = self.known.get(names) is not None
        return met >= (2.0 if found else 1.5) * self.looked.get(names, 0) and met > 0

    def note(self, names: tuple[str, str], met: int, found: tuple[Overlap, bool] | None) -> None:
        """Remember what a search brought."""
        self.looked[names] = met
        if found is not None or names not in self.known:
            self.known[names] = found


def find_places(scene: Scene, scale: Scale, views: Views) -> Places:
    """What places say, with overlapping views looked for where that is due."""
    overlaps: dict[tuple[int, int], Overlap] = {}
    codes: list[Ids] = []
    odds: list[Wide] = []
    for a in range(len(scene.names)):
        for b in range(a + 1, len(scene.names)):
            met = _met_of(scene, (a, b))
            overlap = _overlap_of(scene, scale, (a, b), met, views)
            if overlap is not None:
                rows, moments = met[overlap[1]]
                overlaps[a, b] = overlap[0]
                codes.append(scene.codes(np.sort(rows, axis=1)))
                odds.append(overlap[0].log_odds(moments))
    if not codes:
        return Places({}, np.zeros((0, 2), np.int64), np.zeros(0))
    joined, order = np.unique(np.concatenate(codes), return_index=True)
    pairs = np.stack(np.divmod(joined, len(scene)), axis=1).astype(np.int64)
    return Places(overlaps, pairs, np.concatenate(odds)[order])


Met = dict[bool, tuple[Ids, Meetings]]


def _met_of(scene: Scene, cameras: tuple[int, int]) -> Met:
    """By feet and by heads: pairs of rows of the scene ``(P, 2)`` seen at the same time, and when and where."""
    out: Met = {}
    rows_a, rows_b = (np.flatnonzero(scene.cameras == camera) for camera in cameras)
    for head in (False, True):
        met = meet([scene.tracklets[i] for i in rows_a], [scene.tracklets[j] for j in rows_b], head=head)
        out[head] = (np.stack([rows_a[met.pairs[:, 0]], rows_b[met.pairs[:, 1]]], axis=1).astype(np.int64), met)
    return out


def _overlap_of(
    scene: Scene, scale: Scale, cameras: tuple[int, int], met: Met, views: Views
) -> tuple[Overlap, bool] | None:
    """The overlap of two views, and whether heads show it better than feet."""
    names = (scene.names[cameras[0]], scene.names[cameras[1]])
    size = len(met[True][0])
    if views.due(names, size):
        prior = -float(np.log(np.clip(len(scene) / len(scene.names), 2, 10)))
        found: list[tuple[Overlap, bool]] = []
        for head, (rows, moments) in met.items():
            overlap = find_overlap(moments, COSINE.log_odds(scale.apply(scene.cosine(rows))) + prior)
            if overlap is not None:
                found.append((overlap, head))
        views.note(names, size, max(found, key=lambda f: f[0].evidence, default=None))
    return views.known.get(names)
