"""Groups of tracklets: what is known before looking counts once, whatever the number of pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

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
