"""Tracklets -> people: agglomeration over a sparse graph of log-odds, with hard constraints, then local improvement.

Whether two groups are one person is one question, however many pairs of tracklets there are between them: what is known
before looking counts once, and the evidence as often as it is independent. What makes two pictures of one person differ
is mostly in the one or the other (half hidden, the light), so the mean over the pairs of ``a`` and ``b`` tracklets is
known as well as that of ``2 a b / (a + b)`` independent pairs. Pairs that are not in the graph count ``floor``.
Deterministic: ties go to the lower index.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.constraints import Presence
from reidpipe.types import Ids

__all__ = ["Graph", "cluster"]

Span = tuple[str, float, float]
Counts = TypeVar("Counts", float, NDArray[np.float64])

SPARE = 1e-6
"""More than rounding changes log-odds."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Evidence between tracklets.

    Attributes:
        size: number of tracklets N.
        pairs: int64 ``(E, 2)``, i < j, each pair once.
        odds: float64 ``(E,)``: natural log of how much likelier each pair is of one person than of two.
        floor: the same for every pair that is not listed; with the prior below 0.
        weights: float64 ``(N,)`` above 0: how much each tracklet's word counts.
        prior: log-odds before looking that two are one person.
    """

    size: int
    pairs: Ids
    odds: NDArray[np.float64]
    floor: float
    weights: NDArray[np.float64]
    prior: float = 0.0


def independent(a: Counts, b: Counts) -> Counts:
    """How many independent pairs the pairs between ``a`` and ``b`` tracklets are worth; 1 for one and one."""
    return 2.0 * a * b / (a + b)


def cluster(
    graph: Graph,
    spans: Sequence[Span],
    *,
    passes: int = 10,
    alone: NDArray[np.float64] | None = None,
    owners: Ids | None = None,
) -> Ids:
    """Group numbers, int64 ``(N,)``, numbered from 0 by their lowest member.

    Args:
        graph: the evidence.
        spans: ``(N,)`` camera, first and last second of each tracklet; two of one camera that overlap never share a
            group.
        passes: most rounds of local improvement.
        alone: ``(N,)`` at least 0: log-odds against each tracklet being alone in its group. Those that end up alone
            join the group of the highest log-odds, if they are above minus this, and nothing forbids it.
        owners: ``(N,)`` identity of those that are known already, -1 for the others: those of one identity share a
            group, those of two never do.
    """
    fixed: list[int] = [-1] * graph.size if owners is None else owners.tolist()
    labels = _improve(graph, spans, _agglomerate(graph, spans, fixed), passes, fixed)
    if alone is not None and (alone > 0).any():
        labels = _house(graph, spans, labels, np.where(np.asarray(fixed) < 0, alone, 0.0))
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return np.asarray(order[inverse], dtype=np.int64)


class _Groups:
    """Groups under agglomeration: for each pair of neighbours the sum of weighted odds and the weight seen so far."""

    def __init__(self, graph: Graph, spans: Sequence[Span]) -> None:
        self.floor = graph.floor
        self.prior = graph.prior
        self.weight: list[float] = graph.weights.tolist()
        self.square = [weight * weight for weight in self.weight]
        # Of weights w, the mean is as good as that of (sum w)^2 / sum w^2 equal ones (Kish 1965).
        self.worth = [weight * weight / square for weight, square in zip(self.weight, self.square, strict=True)]
        self.presence = [Presence() for _ in spans]
        for presence, span in zip(self.presence, spans, strict=True):
            presence.add(*span)
        self.near: list[dict[int, tuple[float, float]]] = [{} for _ in spans]
        both = graph.weights[graph.pairs[:, 0]] * graph.weights[graph.pairs[:, 1]]
        edges = zip(graph.pairs.tolist(), (graph.odds * both).tolist(), both.tolist(), strict=True)
        for (i, j), total, seen in edges:
            self.near[i][j] = self.near[j][i] = (total, seen)

    def likely(self, i: int) -> list[tuple[int, float]]:
        """Neighbours of a group that are likelier one person with it than not, and the mean log-odds of each.

        For each independent pair; pairs outside the graph count at the floor.
        """
        weight, worth, floor, prior = self.weight, self.worth, self.floor, self.prior
        own, a = weight[i], worth[i]
        out = []
        for k, (total, seen) in self.near[i].items():
            both, b = own * weight[k], worth[k]
            # ``independent`` written out: this is the innermost loop.
            mean = (total + (both - seen) * floor) / both + prior / (2.0 * a * b / (a + b))
            if mean > 0:
                out.append((k, mean))
        return out

    def merge(self, i: int, j: int) -> None:
        """Group j goes into group i."""
        self.near[i].pop(j, None)
        self.near[j].pop(i, None)
        near, own = self.near, self.near[i]
        for k, (total, seen) in near[j].items():
            other = near[k]
            del other[j]
            mine = own.get(k)
            own[k] = other[i] = (total, seen) if mine is None else (mine[0] + total, mine[1] + seen)
        near[j] = {}
        self.weight[i] += self.weight[j]
        self.square[i] += self.square[j]
        self.worth[i] = self.weight[i] * self.weight[i] / self.square[i]
        self.presence[i].merge(self.presence[j])

    def part(self, i: int, j: int) -> None:
        """The two can never be one: forget the edge. Whatever either grows into conflicts as well."""
        del self.near[i][j], self.near[j][i]


def _likely_pairs(graph: Graph) -> Iterator[tuple[int, int, float]]:
    """Pairs of single tracklets that are likelier one person than not, and their log-odds."""
    mean = graph.odds + graph.prior
    chosen = mean > 0
    i, j = np.sort(graph.pairs[chosen], axis=1).T
    return zip(i.tolist(), j.tolist(), mean[chosen].tolist(), strict=True)


def _agglomerate(graph: Graph, spans: Sequence[Span], fixed: Sequence[int]) -> Ids:
    """Average linkage: always merge the two groups of the highest log-odds, while they are above 0."""
    groups = _Groups(graph, spans)
    version = [0] * graph.size
    parent = np.arange(graph.size)
    owner = list(fixed)
    first: dict[int, int] = {}
    for i in [i for i in range(graph.size) if fixed[i] >= 0]:
        root = first.setdefault(fixed[i], i)
        if root != i:
            groups.merge(root, i)
            version[i] = -1
            parent[i] = root
    likely = _likely_pairs(graph)
    if first:
        likely = ((i, j, mean) for i in range(graph.size) for j, mean in groups.likely(i) if i < j)
    heap = [(-mean, i, j, 0, 0) for i, j, mean in likely]
    heapq.heapify(heap)
    while heap:
        _, i, j, version_i, version_j = heapq.heappop(heap)
        if version[i] != version_i or version[j] != version_j or j not in groups.near[i]:
            continue
        if min(owner[i], owner[j]) >= 0 or groups.presence[i].conflicts(groups.presence[j]):
            groups.part(i, j)
            continue
        groups.merge(i, j)
        owner[i] = max(owner[i], owner[j])
        version[i] += 1
        version[j] = -1
        parent[j] = i
        for k, mean in groups.likely(i):
            a, b = (i, k) if i < k else (k, i)
            heapq.heappush(heap, (-mean, a, b, version[a], version[b]))
    for i in range(graph.size):
        root = i
        while parent[root] != root:
            root = int(parent[root])
        parent[i] = root
    return np.asarray(parent, dtype=np.int64)


def _improve(graph: Graph, spans: Sequence[Span], labels: Ids, passes: int, fixed: Sequence[int]) -> Ids:
    """Move single tracklets, or exchange two that stand in each other's way, while that fits better."""
    state = _State(graph, spans, labels)
    # Who goes where depends on the groups next to him and on his own: nobody is asked again until one of them changed.
    ask = state.unsettled()
    for _ in range(passes):
        moved = False
        for i in range(graph.size):
            if ask[i] and fixed[i] < 0:
                ask[i] = False
                state.changed.clear()
                if state.better_place(i):
                    moved = True
                    ask[state.beside_changed()] = True
        if not moved:
            break
    return np.asarray(state.label, dtype=np.int64)


def _house(graph: Graph, spans: Sequence[Span], labels: Ids, alone: NDArray[np.float64]) -> Ids:
    """Doubtful ones that are alone join a group, the least doubtful first."""
    state = _State(graph, spans, labels)
    for i in sorted(np.flatnonzero(alone > 0).tolist(), key=lambda i: (alone[i], i)):
        if len(state.members[state.label[i]]) == 1:
            state.join_if(i, -float(alone[i]))
    return np.asarray(state.label, dtype=np.int64)


class _State:
    """A grouping under local improvement."""

    def __init__(self, graph: Graph, spans: Sequence[Span], labels: Ids) -> None:
        self.floor = graph.floor
        self.prior = graph.prior
        self.spans = spans
        self.weight: list[float] = graph.weights.tolist()
        self.label: list[int] = labels.tolist()
        both = np.concatenate([graph.pairs, graph.pairs[:, ::-1]])
        order = np.lexsort((both[:, 1], both[:, 0]))
        self.owner, self.near = both[order].T
        self.odds = np.concatenate([graph.odds, graph.odds])[order]
        self.begins: list[int] = np.searchsorted(self.owner, np.arange(graph.size + 1)).tolist()
        self.changed: set[int] = set()
        self.members: dict[int, set[int]] = {}
        self.mass: dict[int, float] = {}
        self.square: dict[int, float] = {}
        self.presence: dict[int, Presence] = {}
        for i, group in enumerate(self.label):
            self._put(i, group)

    def _put(self, i: int, group: int) -> None:
        self.label[i] = group
        self.changed.add(group)
        self.members.setdefault(group, set()).add(i)
        self.mass[group] = self.mass.get(group, 0.0) + self.weight[i]
        self.square[group] = self.square.get(group, 0.0) + self.weight[i] ** 2
        self.presence.setdefault(group, Presence()).add(*self.spans[i])

    def _take(self, i: int) -> None:
        group = self.label[i]
        self.changed.add(group)
        self.members[group].remove(i)
        self.mass[group] -= self.weight[i]
        self.square[group] -= self.weight[i] ** 2
        self.presence[group].remove(*self.spans[i])
        if not self.members[group]:
            del self.members[group], self.mass[group], self.square[group], self.presence[group]

    def edges(self, i: int) -> Iterator[tuple[int, float]]:
        """Neighbours of a tracklet and the log-odds of each pair."""
        some = slice(self.begins[i], self.begins[i + 1])
        return zip(self.near[some].tolist(), self.odds[some].tolist(), strict=True)

    def beside_changed(self) -> Ids:
        """Members of the groups that changed, and all neighbours of theirs."""
        members = [i for group in self.changed for i in self.members.get(group, ())]
        return np.concatenate([members, *(self.near[self.begins[i] : self.begins[i + 1]] for i in members)])

    def unsettled(self) -> NDArray[np.bool_]:
        """Who may have a better place, ``(N,)``: ``better_place`` for all at once, with a little to spare."""
        label, weight = np.asarray(self.label), np.asarray(self.weight)
        n, rows = len(label), np.arange(len(label))
        codes = np.concatenate([self.owner * n + label[self.near], rows * n + label])
        above = np.concatenate([weight[self.near] * (self.odds - self.floor), np.zeros(n)])
        codes, where = np.unique(codes, return_inverse=True)
        i, group = np.divmod(codes, n)
        own = group == label[i]
        mass = np.bincount(label, weight, n)[group] - own * weight[i]
        square = np.bincount(label, weight**2, n)[group] - own * weight[i] ** 2
        single = own & (np.bincount(label, minlength=n)[group] == 1)
        mass, square = np.where(single, 1.0, mass), np.where(single, 1.0, square)
        worth = mass * mass / square
        gain = 2.0 * worth / (1.0 + worth) * (np.bincount(where, above) / mass + self.floor) + self.prior
        gain[single] = 0.0
        here, best = np.zeros(n), np.full(n, -np.inf)
        here[i[own]] = gain[own]
        np.maximum.at(best, i[~own], gain[~own])
        split = (here < SPARE) & (np.bincount(label, minlength=n)[label] > 1)
        return np.asarray((best > np.maximum(here, 0.0) - SPARE) | split)

    def gains(self, i: int) -> dict[int, float]:
        """Log-odds that tracklet i belongs to each group it has an edge into (its own: to the others in it)."""
        above: dict[int, float] = {}
        label, weight, floor = self.label, self.weight, self.floor
        for j, odds in self.edges(i):
            group = label[j]
            above[group] = above.get(group, 0.0) + weight[j] * (odds - floor)
        above.setdefault(self.label[i], 0.0)
        own, out = self.label[i], {}
        for group, extra in above.items():
            if group == own:
                out[group] = self._odds(extra, group, i)
            else:  # ``_odds`` written out: most time goes here
                mass = self.mass[group]
                worth = mass * mass / self.square[group]
                out[group] = 2.0 * worth / (1.0 + worth) * (extra / mass + self.floor) + self.prior
        return out

    def _odds(self, extra: float, group: int, *without: int) -> float:
        """Log-odds of one tracklet to a group; ``extra``: the sum of its odds above the floor, times weights."""
        gone = [self.weight[k] for k in without if self.label[k] == group]
        mass = self.mass[group] - sum(gone)
        if len(gone) == len(self.members[group]):
            return 0.0
        square = self.square[group] - sum(weight * weight for weight in gone)
        return independent(1.0, mass * mass / square) * (extra / mass + self.floor) + self.prior

    def _without(self, i: int, group: int, j: int) -> float:
        """Log-odds that tracklet i belongs to a group that j has left."""
        known = dict(self.edges(i))
        others = ((k, known.get(k, self.floor)) for k in self.members.get(group, ()) if k not in (i, j))
        extra = sum(self.weight[k] * (odds - self.floor) for k, odds in others)
        return self._odds(extra, group, i, j) if group in self.members else 0.0

    def better_place(self, i: int) -> bool:
        """Move tracklet i where it fits best; True when it moved."""
        gains = self.gains(i)
        own = self.label[i]
        here = gains.pop(own)
        for group, gain in sorted(gains.items(), key=lambda item: (-item[1], item[0])):
            if gain <= max(here, 0.0) + 1e-9:
                break
            if self.presence[group].free(*self.spans[i]):
                self._take(i)
                self._put(i, group)
                return True
            if self._exchange(i, group, here):
                return True
        if here < -1e-9 and len(self.members[own]) > 1:
            self._take(i)
            self._put(i, self._unused())
            return True
        return False

    def join_if(self, i: int, limit: float) -> None:
        """Tracklet i, which is alone, joins the group of the highest log-odds above a limit that has room."""
        gains = self.gains(i)
        del gains[self.label[i]]
        for group, gain in sorted(gains.items(), key=lambda item: (-item[1], item[0])):
            if gain <= limit:
                return
            if self.presence[group].free(*self.spans[i]):
                self._take(i)
                self._put(i, group)
                return

    def _exchange(self, i: int, group: int, here: float) -> bool:
        """Put i into a group by taking out the one member that is in its way, if that pays."""
        camera, first_s, last_s = self.spans[i]
        blocking = [
            j
            for j in self.members[group]
            if self.spans[j][0] == camera and self.spans[j][1] <= last_s and first_s <= self.spans[j][2]
        ]
        if len(blocking) != 1:
            return False
        (j,) = blocking
        own = self.label[i]
        gain, loss = self._without(i, group, j), self.gains(j)[group]
        # j goes where i leaves, when it fits there, or else stands alone.
        there = self._without(j, own, i)
        better = there > 0 and len(self.members[own]) > 1 and self._fits_without(j, own, i)
        if gain - here - loss + (there if better else 0.0) <= 1e-9:
            return False
        self._take(j)
        self._take(i)
        self._put(i, group)
        self._put(j, own if better else self._unused())
        return True

    def _fits_without(self, j: int, group: int, leaving: int) -> bool:
        presence = self.presence[group]
        presence.remove(*self.spans[leaving])
        fits = presence.free(*self.spans[j])
        presence.add(*self.spans[leaving])
        return fits

    def _unused(self) -> int:
        number = len(self.label)
        while number in self.members:
            number += 1
        return number
