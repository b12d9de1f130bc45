"""Ids of earlier runs, continued: what a store holds joins the scene, and a group takes the identity most of it had."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.store import Kept, Store
from reidpipe.types import Ids, Link, TrackKey, Tracklet

__all__ = ["Diary", "name_groups", "recall"]

EACH = 4
"""Tracklets of each known person that join a new run's scene."""

APART_S = 1e8
"""Runs lie this far apart in time, seconds: whoever was in two of them was in no two places at once."""


REMEMBERED = 1000
"""Written tracks that a correction can still reach."""


def recall(store: Store) -> list[tuple[int, Tracklet]]:
    """Known people as tracklets that ended long before this run: global id and tracklet, keys below 0."""
    kept = store.kept(each=EACH)
    last = max((k.run for k in kept), default=0)
    return [(k.global_id, _long_ago(k, i, last)) for i, k in enumerate(kept)]


def _long_ago(kept: Kept, number: int, last_run: int) -> Tracklet:
    shift = APART_S * (last_run + 1 - kept.run)
    tracklet = kept.tracklet
    # Live runs count seconds since 1970, files from 0: only the order inside a run matters here.
    key = TrackKey(tracklet.key.camera, -1 - number)
    return replace(tracklet, key=key, first_s=tracklet.first_s - shift, last_s=tracklet.last_s - shift)


class Diary:
    """Keeps a live run in a store as it goes: people known before enter the gallery, closed tracks are written down.

    Args:
        store: where.
        gallery: gets everybody the store knows.
    """

    def __init__(self, store: Store, gallery: Gallery) -> None:
        self._store = store
        self._run: int | None = None
        self._closed: dict[TrackKey, Tracklet] = {}
        self._ids: dict[TrackKey, int] = {}
        self._written: set[TrackKey] = set()
        for global_id, t in recall(store):
            gallery.means.add(t.key.camera, t.vector)
            weight = max(t.quality, 0.05)
            gallery.put(global_id, Member(t.key, t.vector, weight, t.first_s, t.last_s, live=False))

    def note(self, tracklet: Tracklet) -> None:
        """Take a tracklet; only closed ones are written."""
        if tracklet.closed:
            self._closed[tracklet.key] = tracklet

    def write(self, links: Sequence[Link]) -> None:
        """Write what is decided now, in one transaction; a correction too, of the last ``REMEMBERED`` tracks."""
        due = {link.key for link in links}
        self._ids |= {link.key: link.global_id for link in links}
        ready = [key for key in self._closed if key in self._ids and (key in due or key not in self._written)]
        if not ready:
            return
        known = [(self._ids[key], self._closed[key]) for key in ready]
        self._run = self._store.write(known, now_s=time.time(), note="live", run=self._run)
        self._written |= set(ready)
        while len(self._closed) > REMEMBERED:
            oldest = next(iter(self._closed))
            if oldest not in self._written:
                break
            del self._closed[oldest]
            del self._ids[oldest]
            self._written.discard(oldest)


def name_groups(labels: Ids, known: Sequence[int | None], weights: Sequence[float], *, next_id: int) -> list[int]:
    """The global id of each group.

    Args:
        labels: int64 ``(N,)`` group of each tracklet, groups numbered by first appearance.
        known: ``(N,)`` identity that a recalled tracklet has; None for one of this run.
        weights: ``(N,)`` how much each one's claim counts.
        next_id: the first number that is free.

    Returns:
        One id for each group. An identity goes to the group with the most of it; other groups with a part of it, and
        those without any, get new numbers in order of first appearance.
    """
    claims: dict[tuple[int, int], float] = {}
    for label, identity, weight in zip(labels.tolist(), known, weights, strict=True):
        if identity is not None:
            claims[label, identity] = claims.get((label, identity), 0.0) + weight
    named: dict[int, int] = {}
    for (label, identity), _ in sorted(claims.items(), key=lambda item: (-item[1], item[0][1])):
        if label not in named and identity not in named.values():
            named[label] = identity
    ids = []
    fresh = [label for label, identity in zip(labels.tolist(), known, strict=True) if identity is None]
    order = {label: i for i, label in enumerate(dict.fromkeys(x for x in fresh if x not in named))}
    for label in range(int(labels.max()) + 1):
        ids.append(named.get(label, next_id + order.get(label, len(order))))
    return ids
