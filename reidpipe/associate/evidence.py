"""Everything that speaks for or against two tracklets being one person, as one sum of log-odds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration, Scale
from reidpipe.associate.meetings import Meetings, meet, middle_of, most_met
from reidpipe.associate.overlap import Overlap, find_overlap, given_overlap, refit
from reidpipe.associate.paths import Paths
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

MOST_SEARCHED = 10_000
"""Pairs of tracks in view of two cameras at once from which on an overlap is looked for in a part of the time only."""


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
    watched = _Watched(scene, scale)
    for a in range(len(scene.names)):
        for b in range(a + 1, len(scene.names)):
            two = _Two(watched, (a, b))
            shared = _shared(two, views)
            if shared is not None:
                met = two.meet(head=shared.head, offset_s=shared.offset_s)
                overlaps[a, b] = shared
                codes.append(scene.codes(np.sort(two.rows(met), axis=1)))
                odds.append(shared.overlap.log_odds(met))
    if not codes:
        return Places({}, np.zeros((0, 2), np.int64), np.zeros(0))
    joined, order = np.unique(np.concatenate(codes), return_index=True)
    pairs = np.stack(np.divmod(joined, len(scene)), axis=1).astype(np.int64)
    return Places(overlaps, pairs, np.concatenate(odds)[order])


class _Watched:
    """A scene and the paths of each camera in it, put together once for all pairs of cameras."""

    def __init__(self, scene: Scene, scale: Scale) -> None:
        self.scene = scene
        self.scale = scale
        self.rows = [np.flatnonzero(scene.cameras == camera) for camera in range(len(scene.names))]
        self._paths: dict[tuple[int, bool], Paths] = {}

    def paths(self, camera: int, *, head: bool) -> Paths:
        """Of all tracklets of a camera."""
        if (camera, head) not in self._paths:
            tracklets = [self.scene.tracklets[i] for i in self.rows[camera].tolist()]
            self._paths[camera, head] = Paths.of(tracklets, head=head)
        return self._paths[camera, head]


class _Two:
    """Two cameras, and when and where their tracklets met. What is asked of them twice is worked out once.

    Args:
        watched: the scene.
        cameras: which two.
        most: pairs from which on only a stretch of time in the middle is looked at.
    """

    def __init__(self, watched: _Watched, cameras: tuple[int, int], *, most: int | None = None) -> None:
        self.watched = watched
        self.cameras = cameras
        self.names = watched.scene.names[cameras[0]], watched.scene.names[cameras[1]]
        self._most = most
        self._met: dict[tuple[bool, float], Meetings] = {}

    def bound(self) -> int:
        """Most pairs that can meet."""
        a, b = (self.watched.paths(camera, head=True) for camera in self.cameras)
        return most_met(a, b)

    def meet(self, *, head: bool, offset_s: float) -> Meetings:
        """See ``meetings.meet``."""
        if (head, offset_s) not in self._met:
            a, b = (self.watched.paths(camera, head=head) for camera in self.cameras)
            if self._most is not None:
                a, b = middle_of(a, b, self._most)
            self._met[head, offset_s] = meet(a, b, offset_s=offset_s)
        return self._met[head, offset_s]

    def rows(self, met: Meetings) -> Ids:
        """The rows of the scene that the pairs are, ``(P, 2)``."""
        a, b = (self.watched.rows[camera] for camera in self.cameras)
        return np.stack([a[met.pairs[:, 0]], b[met.pairs[:, 1]]], axis=1).astype(np.int64)

    def likely(self, met: Meetings) -> Wide:
        """Log-odds of each pair from looks alone, ``(P,)``."""
        scene, scale = self.watched.scene, self.watched.scale
        prior = -float(np.log(np.clip(len(scene) / len(scene.names), 2, 10)))
        cosines = scale.apply(scene.cosine(self.rows(met)))
        return scene.likeness.cosine.eased(scale.ease).log_odds(cosines) + prior


def _shared(two: _Two, views: Views) -> Shared | None:
    """How two views overlap, searched for when that is due."""
    size = two.bound()
    if views.due(two.names, size):
        if size > MOST_SEARCHED:
            two = _Two(two.watched, two.cameras, most=MOST_SEARCHED)
        else:
            size = len(two.meet(head=True, offset_s=0.0).pairs)
        if views.due(two.names, size):
            views.note(two.names, size, _set_clock(two, _found(two, views)))
    return views.known.get(two.names)


def _found(two: _Two, views: Views) -> Shared | None:
    """How two views overlap, as far as can be seen before the clocks are set."""
    measured = [views.planes.get(name) for name in two.names]
    if measured[0] is not None and measured[1] is not None:
        met = two.meet(head=False, offset_s=0.0)
        overlap = given_overlap(np.asarray(np.linalg.inv(measured[1]) @ measured[0]), met, two.likely(met))
        return None if overlap is None else Shared(overlap, head=False, offset_s=0.0)
    for offset_s in SEARCHED_OFFSETS_S:
        found = [_search(two, head=head, offset_s=offset_s) for head in (False, True)]
        best = max((f for f in found if f is not None), key=lambda f: f.overlap.evidence, default=None)
        if best is not None:
            return best
    return None


def _search(two: _Two, *, head: bool, offset_s: float) -> Shared | None:
    met = two.meet(head=head, offset_s=offset_s)
    # Each further clock offset that is tried is one more chance to be fooled, and costs as much: fewer tries there.
    overlap = find_overlap(met, two.likely(met), tries=1500 if offset_s == 0 else 400)
    if overlap is None or (offset_s and overlap.evidence < SKEWED_EVIDENCE):
        return None
    return Shared(overlap, head, offset_s)


def _set_clock(two: _Two, shared: Shared | None) -> Shared | None:
    """Walk the clock offset uphill from 0, in smaller and smaller steps, as long as the tracks fit better."""
    for step in CLOCK_STEPS_S:
        while shared is not None:
            tries = []
            for offset_s in (shared.offset_s - step, shared.offset_s + step):
                met = two.meet(head=shared.head, offset_s=offset_s)
                again = refit(shared.overlap, met, two.likely(met))
                if again is not None and abs(offset_s) <= MOST_SKEW_S:
                    tries.append(Shared(again, shared.head, offset_s))
            best = max(tries, key=lambda t: t.fit, default=shared)
            if best.fit < shared.fit + CLOCK_GAIN:
                break
            shared = best
    return shared
