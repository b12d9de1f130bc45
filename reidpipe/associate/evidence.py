"""Everything that speaks for or against two tracklets being one person, as one sum of log-odds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration, Scale
from reidpipe.associate.meetings import Meetings, meet
from reidpipe.associate.overlap import Overlap, find_overlap, given_overlap, refit
from reidpipe.associate.rerank import shared_neighbours
from reidpipe.associate.scene import Scene
from reidpipe.types import Ids

__all__ = ["Looks", "Places", "Shared", "Views", "compare_looks", "find_places"]

Wide = NDArray[np.float64]

NEIGHBOURHOODS = ((3.0, 2, 1), (5.5, 4, 2), (8.0, 5, 2), (np.inf, 8, 3))
"""Up to so many tracklets for each person: k1, k2 of ``shared_neighbours``."""


CLOCK_STEPS_S = (0.8, 0.4, 0.2, 0.1)
MOST_SKEW_S = 4.0
SEARCHED_OFFSETS_S = (0.0, -1.0, 1.0, -2.0, 2.0)

SKEWED_EVIDENCE = 15.0
"""Evidence that an overlap needs when it is seen only with another clock offset."""

CLOCK_GAIN = 2.0
"""Evidence that another clock offset has to add."""


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


def compare_looks(scene: Scene, pairs: Ids, cosines: tuple[Wide, Wide], scale: Scale, *, size: float) -> Looks:
    """Similarity of each pair.

    Args:
        scene: the tracklets.
        pairs: ``(E, 2)``, sorted.
        cosines: of the pairs and of those seen together, on the common scale.
        scale: of this footage.
        size: about how many tracklets each person has: the size of a neighbourhood follows it.
    """
    k1, k2 = next((k1, k2) for most, k1, k2 in NEIGHBOURHOODS if size < most)
    parts = []
    for chosen, cosine in zip((pairs, scene.together), cosines, strict=True):
        shared = shared_neighbours(scene.near, scene.near_cosine, chosen, k1=k1, k2=k2)
        parts.append(0.5 * cosine + 0.5 * shared)
    return Looks(parts[0], parts[1], scene.likeness.shared[min(k2, 2) - 1].eased(scale.ease))


@dataclass(frozen=True, slots=True)
class Shared:
    """How two views overlap.

    Attributes:
        overlap: the map between them.
        head: it maps the tops of heads, not feet.
        offset_s: added to the second camera's times to get the first one's, seconds.
    """

    overlap: Overlap
    head: bool
    offset_s: float

    @property
    def fit(self) -> float:
        """How well the tracks fit: the evidence, which is bounded for each pair, and how little they scatter."""
        return self.overlap.evidence - 8.0 * self.overlap.pairs * float(np.log(self.overlap.noise))


@dataclass(frozen=True, slots=True)
class Places:
    """What is known from where people stood in views that overlap.

    Attributes:
        overlaps: for each pair of cameras (rows of ``Scene.names``) whose views overlap.
        pairs: int64 ``(Q, 2)`` i < j, sorted, pairs of tracklets that were in overlapping views at the same time.
        odds: float64 ``(Q,)`` log-odds of each.
    """

    overlaps: dict[tuple[int, int], Shared]
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

    Args:
        planes: camera -> homography ``(3, 3)`` from its picture to a floor in metres, where somebody measured it.
    """

    def __init__(self, planes: Mapping[str, Wide] | None = None) -> None:
        self.planes = dict(planes or {})
        self.known: dict[tuple[str, str], Shared | None] = {}
        self.looked: dict[tuple[str, str], int] = {}

    def due(self, names: tuple[str, str], met: int) -> bool:
        """True when enough has changed to search."""
        found = self.known.get(names) is not None
        return met >= (2.0 if found else 1.5) * self.looked.get(names, 0) and met > 0

    def note(self, names: tuple[str, str], met: int, found: Shared | None) -> None:
        """Remember what a search brought."""
        self.looked[names] = met
        if found is not None or names not in self.known:
            self.known[names] = found


def find_places(scene: Scene, scale: Scale, views: Views) -> Places:
    """What places say, with overlapping views looked for where that is due."""
    overlaps: dict[tuple[int, int], Shared] = {}
    codes: list[Ids] = []
    odds: list[Wide] = []
    for a in range(len(scene.names)):
        for b in range(a + 1, len(scene.names)):
            shared = _shared(scene, scale, (a, b), views)
            if shared is not None:
                rows, moments = _meet(scene, (a, b), head=shared.head, offset_s=shared.offset_s)
                overlaps[a, b] = shared
                codes.append(scene.codes(np.sort(rows, axis=1)))
                odds.append(shared.overlap.log_odds(moments))
    if not codes:
        return Places({}, np.zeros((0, 2), np.int64), np.zeros(0))
    joined, order = np.unique(np.concatenate(codes), return_index=True)
    pairs = np.stack(np.divmod(joined, len(scene)), axis=1).astype(np.int64)
    return Places(overlaps, pairs, np.concatenate(odds)[order])


def _meet(scene: Scene, cameras: tuple[int, int], *, head: bool, offset_s: float) -> tuple[Ids, Meetings]:
    """Pairs of rows of the scene ``(P, 2)`` seen at the same time by two cameras, and when and where."""
    rows_a, rows_b = (np.flatnonzero(scene.cameras == camera) for camera in cameras)
    tracklets_a, tracklets_b = [scene.tracklets[i] for i in rows_a], [scene.tracklets[j] for j in rows_b]
    met = meet(tracklets_a, tracklets_b, head=head, offset_s=offset_s)
    return np.stack([rows_a[met.pairs[:, 0]], rows_b[met.pairs[:, 1]]], axis=1).astype(np.int64), met


def _shared(scene: Scene, scale: Scale, cameras: tuple[int, int], views: Views) -> Shared | None:
    """How two views overlap, searched for when that is due."""
    names = (scene.names[cameras[0]], scene.names[cameras[1]])
    size = len(_meet(scene, cameras, head=True, offset_s=0.0)[0])
    if views.due(names, size):
        measured = [views.planes.get(name) for name in names]
        if measured[0] is not None and measured[1] is not None:
            matrix = np.asarray(np.linalg.inv(measured[1]) @ measured[0])
            views.note(names, size, _set_clock(scene, scale, cameras, _measured(scene, scale, cameras, matrix)))
            return views.known.get(names)
        best = None
        for offset_s in SEARCHED_OFFSETS_S:
            found = [_search(scene, scale, cameras, head=head, offset_s=offset_s) for head in (False, True)]
            best = max((f for f in found if f is not None), key=lambda f: f.overlap.evidence, default=None)
            if best is not None:
                break
        views.note(names, size, _set_clock(scene, scale, cameras, best))
    return views.known.get(names)


def _measured(scene: Scene, scale: Scale, cameras: tuple[int, int], matrix: Wide) -> Shared | None:
    """The overlap of two cameras whose floors were measured; None when nobody was in both at once."""
    rows, met = _meet(scene, cameras, head=False, offset_s=0.0)
    overlap = given_overlap(matrix, met, _likely(scene, scale, rows))
    return None if overlap is None else Shared(overlap, head=False, offset_s=0.0)


def _likely(scene: Scene, scale: Scale, rows: Ids) -> Wide:
    prior = -float(np.log(np.clip(len(scene) / len(scene.names), 2, 10)))
    return scene.likeness.cosine.eased(scale.ease).log_odds(scale.apply(scene.cosine(rows))) + prior


def _search(scene: Scene, scale: Scale, cameras: tuple[int, int], *, head: bool, offset_s: float) -> Shared | None:
    rows, met = _meet(scene, cameras, head=head, offset_s=offset_s)
    # Each further clock offset that is tried is one more chance to be fooled, and costs as much: fewer tries there.
    tries = 1500 if offset_s == 0 else 400
    overlap = find_overlap(met, _likely(scene, scale, rows), tries=tries)
    if overlap is None or (offset_s and overlap.evidence < SKEWED_EVIDENCE):
        return None
    return Shared(overlap, head, offset_s)


def _set_clock(scene: Scene, scale: Scale, cameras: tuple[int, int], shared: Shared | None) -> Shared | None:
    """Walk the clock offset uphill from 0, in smaller and smaller steps, as long as the tracks fit better."""
    for step in CLOCK_STEPS_S:
        while shared is not None:
            tries = []
            for offset_s in (shared.offset_s - step, shared.offset_s + step):
                rows, met = _meet(scene, cameras, head=shared.head, offset_s=offset_s)
                again = refit(shared.overlap, met, _likely(scene, scale, rows))
                if again is not None and abs(offset_s) <= MOST_SKEW_S:
                    tries.append(Shared(again, shared.head, offset_s))
            best = max(tries, key=lambda t: t.fit, default=shared)
            if best.fit < shared.fit + CLOCK_GAIN:
                break
            shared = best
    return shared
