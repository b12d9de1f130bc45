"""Second thoughts of the online association: the recent past decided all at once, as if the run had ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reidpipe.associate.decide import Rules, decide
from reidpipe.associate.evidence import Views
from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.scene import see
from reidpipe.types import Ids, TrackKey, Tracklet

__all__ = ["Review"]

ELDERS = 2
"""Older tracks of each identity that are looked at again together with the recent ones."""


class Review:
    """Keeps the last tracklets and says now and then who they are in the light of everything.

    Args:
        limit: most tracklets to keep; the ones that ended first go.
        rules: what the user asked for.
        views: which views overlap, as far as it is known.
    """

    def __init__(self, *, limit: int, rules: Rules, views: Views) -> None:
        self.limit = limit
        self.recent: dict[TrackKey, Tracklet] = {}
        self._rules = rules
        self._views = views
        self._news = 0
        self.report: dict[str, Any] = {}

    @property
    def due(self) -> bool:
        """True when a quarter as many tracklets came or changed since the last review as there are to look at."""
        return self._news > 0 and self._news >= 0.25 * len(self.recent)

    def note(self, tracklet: Tracklet) -> None:
        """Take a new or changed tracklet."""
        self._news += 1
        self.recent.pop(tracklet.key, None)
        self.recent[tracklet.key] = tracklet
        if len(self.recent) > self.limit:
            ended = [key for key, t in self.recent.items() if t.closed]
            del self.recent[ended[0] if ended else next(iter(self.recent))]

    def second_thoughts(self, ids: dict[TrackKey, int], gallery: Gallery) -> dict[TrackKey, tuple[int, int]]:
        """Tracks of this run whose identity should change: from, to. Numbers below 0 stand for identities to be made.

        Args:
            ids: the identity of each recent track that has one.
            gallery: identities known, with their older tracks.
        """
        self._news = 0
        known = [t for key, t in self.recent.items() if key in ids]
        older = _elders({ids[t.key] for t in known}, gallery, set(self.recent))
        if len(known) < 2:
            return {}
        own = {t.key: ids[t.key] for t in known} | {key: g for key, (g, _) in older.items()}
        scene = see([*known, *(t for _, t in older.values())])
        decision = decide(scene, rules=self._rules, views=self._views)
        labels, self.report = decision.labels, decision.report
        names = _names(labels, [own[t.key] for t in scene.tracklets], scene.quality.tolist())
        return {
            t.key: (own[t.key], names[label])
            for t, label in zip(scene.tracklets, labels.tolist(), strict=True)
            if names[label] != own[t.key] and t.key.track_id >= 0
        }


def _elders(identities: set[int], gallery: Gallery, recent: set[TrackKey]) -> dict[TrackKey, tuple[int, Tracklet]]:
    out: dict[TrackKey, tuple[int, Tracklet]] = {}
    for global_id in sorted(identities & set(gallery.people)):
        members = [m for m in gallery.people[global_id].members.values() if m.key not in recent]
        for member in sorted(members, key=lambda m: (-m.weight, m.key))[:ELDERS]:
            out[member.key] = (global_id, _tracklet(member))
    return out


def _tracklet(member: Member) -> Tracklet:
    quality = min(member.weight, 1.0)
    return Tracklet(member.key, member.vector, 1, quality, member.first_s, member.last_s, not member.live)


def _names(labels: Ids, own: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Identity of each group: the one most of its weight has, each given once, heaviest claim first; else below 0."""
    claims: dict[tuple[int, int], float] = {}
    for label, global_id, weight in zip(labels.tolist(), own, weights, strict=True):
        claims[label, global_id] = claims.get((label, global_id), 0.0) + weight
    names = [-1 - label for label in range(int(np.max(labels)) + 1)]
    given: set[int] = set()
    for (label, global_id), _ in sorted(claims.items(), key=lambda item: (-item[1], item[0][1])):
        if names[label] < 0 and global_id not in given:
            names[label] = global_id
            given.add(global_id)
    return names
