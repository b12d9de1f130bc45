"""Groups of tracklets: what is known before looking counts once, whatever the number of pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reidpipe.associate import cluster as clustering
from reidpipe.associate.cluster import Graph, cluster, independent

APART = [("a", 10.0 * i, 10.0 * i + 5) for i in range(12)]


def graph(groups: list[int], inside: float, between: float, *, prior: float) -> Graph:
    """Tracklets of some groups, the same odds for all pairs inside and for all between."""
    pairs = np.asarray(list(itertools.combinations(range(len(groups)), 2)))
    same = np.asarray([groups[i] == groups[j] for i, j in pairs])
    odds = np.where(same, inside, between)
    return Graph(len(groups), pairs, odds, -2.0, np.full(len(groups), 0.8), prior)


def test_cluster_needs_more_of_two_single_tracks_than_of_two_groups() -> None:
    alone = graph([0, 1], 8.0, 1.0, prior=-2.0)
    assert cluster(alone, APART[:2]).tolist() == [0, 1]
    three_each = graph([0, 0, 0, 1, 1, 1], 8.0, 1.0, prior=-2.0)
    assert cluster(three_each, APART[:6]).tolist() == [0] * 6


@pytest.mark.parametrize(("between", "groups"), [(0.6, 2), (0.7, 1)])
def test_cluster_of_three_and_three_decides_where_three_independent_pairs_do(between: float, groups: int) -> None:
    assert independent(3, 3) == 3.0
    found = cluster(graph([0, 0, 0, 1, 1, 1], 8.0, between, prior=-2.0), APART[:6])
    assert len(set(found.tolist())) == groups


def test_cluster_hears_a_bad_crop_hardly_as_evidence_for_many() -> None:
    # Two tracklets of which one is worth nothing are one tracklet: the prior counts as for a single pair.
    pairs, odds = np.array([[0, 1], [0, 2], [1, 2]]), np.array([8.0, 1.5, 1.5])
    weights = np.array([1.0, 1e-6, 1.0])
    assert cluster(Graph(3, pairs, odds, -2.0, weights, -2.0), APART[:3]).tolist() == [0, 0, 1]
    assert cluster(Graph(3, pairs, odds, -2.0, np.ones(3), -1.9), APART[:3]).tolist() == [0, 0, 0]


def test_cluster_exchanges_two_that_stand_in_each_others_way() -> None:
    # 2 and 3 were seen together; 2 came first to the group of 0 and 1, where 3 belongs.
    spans = [("a", 0.0, 5.0), ("a", 10.0, 15.0), ("b", 0.0, 9.0), ("b", 5.0, 9.0), ("a", 30.0, 35.0)]
    pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 4]])
    odds = np.array([5.0, 6.0, 5.0, 0.5, 5.0, 4.0])
    found = cluster(Graph(5, pairs, odds, -3.0, np.ones(5), -1.0), spans).tolist()
    assert found == [0, 0, 1, 0, 1]


def test_cluster_never_joins_what_one_camera_saw_together() -> None:
    spans = [("a", 0.0, 5.0)] * 3
    assert cluster(graph([0, 0, 0], 8.0, 8.0, prior=0.0), spans).tolist() == [0, 1, 2]


def test_cluster_keeps_known_identities() -> None:
    scene = graph([0, 0, 0, 0], 8.0, 8.0, prior=-1.0)
    owners = np.array([1, 2, 1, -1])
    found = cluster(scene, APART[:4], owners=owners).tolist()
    assert found[0] == found[2] != found[1]


def crowd(seed: int, n: int) -> tuple[Graph, list[tuple[str, float, float]]]:
    """People in three cameras, some tracklets at the same time, evidence with much noise."""
    rng = np.random.default_rng(seed)
    who = rng.integers(n // 5, size=n)
    pairs = np.stack(np.triu_indices(n, 1), axis=1)
    pairs = pairs[rng.random(len(pairs)) < (0.4, 1.0)[seed % 2]]
    odds = np.where(who[pairs[:, 0]] == who[pairs[:, 1]], 2.5, -1.5) + 2.0 * rng.normal(size=len(pairs))
    starts = rng.uniform(0, 5 * n, size=n).tolist()
    spans = [(f"c{rng.integers(3)}", start, start + 10.0) for start in starts]
    return Graph(n, pairs, odds, -2.0, rng.uniform(0.05, 1.0, size=n), float(-rng.uniform(0, 3))), spans


def mean_odds(graph: Graph, known: dict[tuple[int, int], float], one: list[int], other: list[int]) -> float:
    """The definition, pair by pair."""
    w = graph.weights.tolist()
    pairs = [(w[i] * w[j], known.get((min(i, j), max(i, j)), graph.floor)) for i in one for j in other]
    mean = sum(weight * odds for weight, odds in pairs) / sum(weight for weight, _ in pairs)
    worth = [sum(w[i] for i in group) ** 2 / sum(w[i] ** 2 for i in group) for group in (one, other)]
    return float(mean + graph.prior / independent(*worth))


@pytest.mark.parametrize("seed", range(3))
def test_cluster_merges_the_likeliest_two_groups_first(seed: int) -> None:
    graph, spans = crowd(seed, 20 + seed)
    near = {(i, j): odds for (i, j), odds in zip(graph.pairs.tolist(), graph.odds.tolist(), strict=True)}
    groups = [[i] for i in range(graph.size)]
    while True:
        best, chosen = 0.0, None
        for one, other in itertools.combinations(groups, 2):
            apart = all(
                spans[i][0] != spans[j][0] or spans[i][2] < spans[j][1] or spans[j][2] < spans[i][1]
                for i in one
                for j in other
            )
            if apart and any((min(i, j), max(i, j)) in near for i in one for j in other):
                odds = mean_odds(graph, near, one, other)
                best, chosen = (odds, (one, other)) if odds > best else (best, chosen)
        if chosen is None:
            break
        groups = [group for group in groups if group not in chosen] + [chosen[0] + chosen[1]]
    found = cluster(graph, spans, passes=0)
    assert {tuple(np.flatnonzero(found == k).tolist()) for k in found.tolist()} == {tuple(sorted(g)) for g in groups}


def test_cluster_asks_again_whoever_could_move(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [crowd(seed, 60 + seed) for seed in range(6)]
    found = [cluster(*scene) for scene in scenes]
    merged = [cluster(*scene, passes=0) for scene in scenes]
    assert sum(not np.array_equal(a, b) for a, b in zip(found, merged, strict=True)) >= 3
    monkeypatch.setattr(clustering._State, "unsettled", lambda state: np.ones(len(state.label), np.bool_))
    monkeypatch.setattr(clustering._State, "beside_changed", lambda state: np.arange(len(state.label)))
    for scene, said in zip(scenes, found, strict=True):
        assert np.array_equal(said, cluster(*scene))
