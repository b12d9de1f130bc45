"""Association after the fact: all tracklets are known, so identities are decided all at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reidpipe.associate.decide import Decision, decide
from reidpipe.associate.evidence import Views
from reidpipe.associate.likeness import UNKNOWN, Likeness
from reidpipe.associate.options import read_planes, read_rules, set_clocks
from reidpipe.associate.remember import Numbers, name_groups, recall
from reidpipe.associate.scene import Scene, see
from reidpipe.associate.store import Store
from reidpipe.associate.uncertainty import shift_std
from reidpipe.associate.weigh import probability
from reidpipe.types import Link, TrackKey, Tracklet

__all__ = ["OfflineAssociator"]


class OfflineAssociator:
    """Collects tracklets and resolves them at ``close``. Global ids count from 1 in order of first appearance.

    Args:
        threshold: similarity above which two tracklets are one person; None (default) sets itself.
        false_match_rate: largest share of wrong pairs to accept, 0..1.
        likeness: what the cosines of the embedder mean.
        overlap: let overlapping views find themselves, and use where people stand.
        transits: ``{"gate -> lobby": "5-40 s"}``: how long people take from one camera to another, where that is known.
        offsets: camera -> seconds to add to its clock.
        planes: camera -> four points ``[x, y, metres, metres]`` of one floor, where somebody measured them; two cameras
            that have them need not find out how they overlap.
        store: people of earlier runs, whose ids are continued, and where this run's are kept.
        note: what the store calls this run.
        write: False: ids are continued, but whoever made this writes the store.
    """

    def __init__(
        self,
        *,
        threshold: float | None = None,
        false_match_rate: float = 0.01,
        likeness: Likeness = UNKNOWN,
        overlap: bool = True,
        transits: Mapping[str, object] | None = None,
        offsets: Mapping[str, float] | None = None,
        planes: Mapping[str, Sequence[Sequence[float]]] | None = None,
        store: Store | None = None,
        note: str = "",
        write: bool = True,
    ) -> None:
        self._rules = read_rules(threshold=threshold, false_match_rate=false_match_rate, transits=transits)
        self._offsets = dict(offsets or {})
        self._planes = read_planes(planes)
        self._overlap = overlap
        self._likeness = likeness
        self._store = store
        self._note = note
        self._write = write
        self._tracklets: dict[TrackKey, Tracklet] = {}
        self._numbers = Numbers(store, block=1)
        self.report: dict[str, Any] = {}

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        """Keep them (a later one of the same key replaces the earlier); nothing is decided before ``close``."""
        del time_s
        for tracklet in set_clocks(tracklets, self._offsets):
            self._tracklets[tracklet.key] = tracklet
        return []

    def replace(self, tracklets: Sequence[Tracklet]) -> None:
        """These in the place of all that were given: tracks were cut or joined after the end."""
        self._tracklets = {tracklet.key: tracklet for tracklet in set_clocks(tracklets, self._offsets)}

    def close(self) -> list[Link]:
        """One link for each tracklet ever given, in order of first appearance. Writes the store, where there is one."""
        if not self._tracklets:
            return []
        recalled = recall(self._store, list(self._tracklets.values())) if self._store is not None else []
        identity = {tracklet.key: global_id for global_id, tracklet in recalled}
        everybody = [*self._tracklets.values(), *(tracklet for _, tracklet in recalled)]
        scene = see(everybody, owners=identity, likeness=self._likeness)
        views = Views(self._planes) if self._overlap or self._planes else None
        decision = decide(scene, rules=self._rules, views=views)
        known = [identity.get(t.key) for t in scene.tracklets]
        found = name_groups(decision.labels, known, scene.tracklets, scene.quality.tolist())
        mine = dict.fromkeys(x for x, old in zip(decision.labels.tolist(), known, strict=True) if old is None)
        fresh = [label for label in mine if found[label] is None]
        first = self._numbers.take(len(fresh)) if fresh else 0
        new = {label: first + i for i, label in enumerate(fresh)}
        names = [new.get(label, name or 0) for label, name in enumerate(found)]
        links = [link for link, old in zip(_links(scene, decision, names), known, strict=True) if old is None]
        identities = {link.global_id for link in links}
        self.report = decision.report | {"identities": len(identities), "tracklets": len(links)}
        if self._rules.threshold is None:
            slope = decision.weighed.looks.calibration.slope
            self.report["threshold_std"] = round(shift_std(scene, decision.labels, decision.weighed) / slope, 4)
        if self._store is not None:
            self.report["identities_known_before"] = len(identities & set(identity.values()))
            if self._write:
                decided = [(link.global_id, self._tracklets[link.key]) for link in links]
                self._store.write(decided, now_s=time.time(), note=self._note)
        self._tracklets = {}
        return links


def _links(scene: Scene, decision: Decision, names: Sequence[int]) -> list[Link]:
    """A link for each tracklet of the scene: similarity is the cosine to the rest of its group."""
    labels = decision.labels
    vectors = scene.vectors.astype(np.float64)
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    end = max(t.last_s for t in scene.tracklets)
    links = []
    for i, tracklet in enumerate(scene.tracklets):
        rest = sums[labels[i]] - vectors[i]
        length = float(np.linalg.norm(rest))
        similarity = float(vectors[i] @ rest / length) if length > 1e-6 else 1.0
        chance = probability(decision.links[i])
        links.append(Link(tracklet.key, names[int(labels[i])], similarity, end, probability=chance))
    return links
