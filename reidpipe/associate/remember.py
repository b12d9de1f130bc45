"""Ids of earlier runs, continued: what a store holds joins the scene, and a group takes the identity it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.constraints import Presence
from reidpipe.associate.store import Store
from reidpipe.associate.store_types import Kept
from reidpipe.errors import SinkError
from reidpipe.types import Ids, TrackKey, Tracklet, Vectors

__all__ = ["Numbers", "name_groups", "recall"]

EACH = 4
"""Tracklets of each known person that join a new run's scene."""

CANDIDATES = 20
"""Known people that may be one new tracklet: those most like it."""

MOST_PEOPLE = 500
"""Known people in one scene; with fewer in the store all of them are."""

SLOT_S = 1e6
"""Time between two recalled tracklets, seconds: nobody walks on from one into the other."""


def recall(store: Store, like: Sequence[Tracklet] | None = None) -> list[tuple[int, Tracklet]]:
    """Known people as tracklets that ended long before this run: global id and tracklet, keys below 0.

    No two of them are at the same time; who was kept last is last.

    Args:
        store: where they are kept.
        like: tracklets of this run; only people who may be one of them are recalled. None: everybody.
    """
    chosen = None if like is None else _candidates(store, like)
    kept = store.kept(each=EACH, people=chosen, prototypes=False)
    kept.sort(key=lambda k: (k.kept_s, k.run, k.tracklet.key), reverse=True)
    return [(k.global_id, _long_ago(k, number)) for number, k in enumerate(kept)]


def _candidates(store: Store, like: Sequence[Tracklet]) -> list[int] | None:
    """People most like the tracklets of a run, a fixed random choice among the others; None: all, they are few."""
    owners, vectors = store.vectors(each=EACH)
    people = np.unique(owners)
    if len(people) <= MOST_PEOPLE:
        return None
    best = _likeness(np.stack([t.vector for t in like]), owners, vectors, people)
    order = np.argsort(-best, kind="stable")[:MOST_PEOPLE]
    chosen = order[np.isfinite(best[order])]
    spare = np.setdiff1d(np.arange(len(people)), chosen)
    others = np.random.default_rng(0).permutation(spare)[: min(MOST_PEOPLE - len(chosen), MOST_PEOPLE // 5)]
    return sorted(people[np.concatenate([chosen, others])].tolist())


def _likeness(queries: Vectors, owners: Ids, vectors: Vectors, people: Ids) -> NDArray[np.float64]:
    """For each of ``people`` the highest cosine to a query that has it among its nearest; minus infinity: to none."""
    rows = np.searchsorted(people, owners)
    centre = vectors.mean(axis=0)
    known = vectors - centre
    known /= np.linalg.norm(known, axis=1, keepdims=True) + 1e-9
    out = np.full(len(people), -np.inf)
    for query in queries - centre:
        own = np.full(len(people), -np.inf)
        np.maximum.at(own, rows, known @ (query / (np.linalg.norm(query) + 1e-9)))
        near = np.argpartition(-own, CANDIDATES)[:CANDIDATES]
        out[near] = np.maximum(out[near], own[near])
    return out


def _long_ago(kept: Kept, number: int) -> Tracklet:
    # Live runs count seconds since 1970, files from 0: both are after any of these.
    start = -SLOT_S * (number + 2)
    key = TrackKey(kept.tracklet.key.camera, -1 - number)
    return replace(kept.tracklet, key=key, first_s=start, last_s=start + 1.0)


class Numbers:
    """Gives new identities their numbers: from 1, or those that a store has never given.

    Args:
        store: takes part, so that two runs on one store never give the same number. None: counts alone.
        block: at least so many are taken from the store at a time.

    Attributes:
        given: how many were given.
    """

    def __init__(self, store: Store | None = None, *, block: int = 16) -> None:
        self._store = store
        self._block = block
        self._next = 1
        self._end = 1
        self.given = 0

    def take(self, count: int = 1) -> int:
        """So many numbers in a row; returns the first."""
        if self._store is not None and self._next + count > self._end:
            self.close()
            self._extend(self._store, max(count, self._block))
        first = self._next
        self._next += count
        self.given += count
        return first

    def close(self) -> None:
        """Give back what was taken and not given."""
        if self._store is not None and self._next < self._end:
            with suppress(SinkError):  # then these numbers are lost, nothing else
                self._store.give_back(self._next, self._end)
            self._end = self._next

    def _extend(self, store: Store, count: int) -> None:
        try:
            self._next = store.take_ids(count)
        except SinkError:
            # Locked or full just now. Whoever could give the same numbers cannot write either; ours are reserved
            # when they are written.
            self._next = max(self._next, self._end)
        self._end = self._next + count


def name_groups(
    labels: Ids, known: Sequence[int | None], tracklets: Sequence[Tracklet], weights: Sequence[float]
) -> list[int | None]:
    """The global id of each group; None: somebody new.

    An identity goes to the group with the most of it, and to every other group that has a part of it and more of it
    than of anybody else, unless the two were seen by one camera at the same time: then they are two people.

    Args:
        labels: int64 ``(N,)`` group of each tracklet, groups numbered from 0.
        known: ``(N,)`` identity that a recalled tracklet has; None for one of this run.
        tracklets: ``(N,)``.
        weights: ``(N,)`` how much each one's claim counts.
    """
    claims: dict[tuple[int, int], float] = {}
    fresh: defaultdict[int, list[Tracklet]] = defaultdict(list)
    for label, identity, tracklet, weight in zip(labels.tolist(), known, tracklets, weights, strict=True):
        if identity is None:
            fresh[label].append(tracklet)
        else:
            claims[label, identity] = claims.get((label, identity), 0.0) + weight
    names: list[int | None] = [None] * (int(labels.max()) + 1)
    seen: dict[int, Presence] = {}
    for (label, identity), _ in sorted(claims.items(), key=lambda item: (-item[1], item[0][1], item[0][0])):
        own = Presence.of(fresh[label])
        if names[label] is None and (identity not in seen or not seen[identity].conflicts(own)):
            names[label] = identity
            seen.setdefault(identity, Presence()).merge(own)
    return names
