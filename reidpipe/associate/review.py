"""Second thoughts of the online association: the recent past decided all at once, as if the run had ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.decide import Rules, decide
from reidpipe.associate.evidence import Views
from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.likeness import UNKNOWN, Likeness
from reidpipe.associate.scene import see
from reidpipe.associate.weigh import Weighed
from reidpipe.types import Ids, TrackKey, Tracklet

__all__ = ["Review"]

Wide = NDArray[np.float64]

ELDERS = 2
"""Older tracks of each identity that are looked at again together with the recent ones."""


class Review:
    """Keeps the last tracklets and says now and then who they are in the light of everything.

    Args:
        limit: most tracklets to keep; the ones that ended first go.
        rules: what the user asked for.
        margin: log-odds by which another identity has to be better before a track changes.
        views: which views overlap, as far as it is known.
        likeness: what the cosines of the embedder mean.
    """

    def __init__(
        self, *, limit: int, rules: Rules, views: Views, margin: float = 0.0, likeness: Likeness = UNKNOWN
    ) -> None:
        self.limit = limit
        self.recent: dict[TrackKey, Tracklet] = {}
        self._rules = rules
        self._margin = margin
        self._views = views
        self._likeness = likeness
        self._news = 0
        self.report: dict[str, Any] = {}
        self.ease = 1.0

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
        # Whom earlier runs told apart in the store stays apart.
        kept = {key: g for key, (g, _) in older.items() if key.track_id < 0}
        scene = see([*known, *(t for _, t in older.values())], owners=kept, likeness=self._likeness)
        decision = decide(scene, rules=self._rules, views=self._views)
        labels, self.report = decision.labels, decision.report
        self.ease = decision.weighed.scale.ease
        before = np.asarray([own[t.key] for t in scene.tracklets])
        names = _names(labels, before.tolist(), scene.quality.tolist())
        gains = _gains(scene.quality, labels, before, decision.weighed)
        beside = scene.together[before[scene.together[:, 0]] == before[scene.together[:, 1]]]
        gains[beside.ravel()] = np.inf  # seen beside who they were taken for: they have to part
        return {
            t.key: (own[t.key], names[label])
            for t, label, gain in zip(scene.tracklets, labels.tolist(), gains.tolist(), strict=True)
            if names[label] != own[t.key] and t.key.track_id >= 0 and gain >= self._margin
        }


def _gains(weights: Wide, labels: Ids, before: Ids, weighed: Weighed) -> Wide:
    """By how much each track fits those it is with now better than those it was with and leaves, log-odds ``(N,)``.

    Those who go together do not leave each other. Nobody on one side counts as even odds.
    """
    i, j = np.concatenate([weighed.pairs, weighed.pairs[:, ::-1]]).T
    odds = np.concatenate([weighed.odds, weighed.odds])
    here, there = np.zeros(len(labels)), np.zeros(len(labels))
    for out, chosen in ((here, labels[i] == labels[j]), (there, (before[i] == before[j]) & (labels[i] != labels[j]))):
        total = np.bincount(i[chosen], odds[chosen] * weights[j[chosen]], minlength=len(labels))
        mass = np.bincount(i[chosen], weights[j[chosen]], minlength=len(labels))
        out[:] = np.divide(total, mass, out=np.zeros(len(labels)), where=mass > 0)
    return here - there


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
