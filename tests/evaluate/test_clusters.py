from __future__ import annotations

import numpy as np
import pytest

from reidpipe.evaluate.clusters import score_clusters


def test_clusters_of_a_hand_made_table() -> None:
    truth = np.array([1, 1, 1, 2, 2, 3])
    labels = np.array([5, 5, 6, 6, 6, 7])
    # together: 11 in 5, 22 in 6 -> 2 pairs right of 1 + 3 put together and of 3 + 1 that belong together
    scores = score_clusters(truth, labels)
    assert scores.pair_precision == 2 / 4
    assert scores.pair_recall == 2 / 4
    assert scores.pair_f1 == 0.5
    assert scores.purity == 5 / 6
    assert scores.completeness == 5 / 6
    assert scores.idf1 == 5 / 6
    assert (scores.groups, scores.people) == (3, 3)


def test_clusters_weights_count_boxes() -> None:
    scores = score_clusters(np.array([1, 1, 2]), np.array([1, 2, 2]), np.array([10.0, 1.0, 5.0]))
    assert scores.idf1 == pytest.approx(15 / 16, abs=1e-12)
    assert scores.pair_f1 == 0.0


@pytest.mark.parametrize(
    ("labels", "f1", "idf1"), [([0, 0, 1, 1], 1.0, 1.0), ([0, 0, 0, 0], 0.5, 0.5), ([0, 1, 2, 3], 0.0, 0.5)]
)
def test_clusters_perfect_everything_together_and_everything_apart(labels: list[int], f1: float, idf1: float) -> None:
    scores = score_clusters(np.array([7, 7, 8, 8]), np.asarray(labels))
    assert scores.pair_f1 == pytest.approx(f1, abs=1e-12)
    assert scores.idf1 == idf1


def test_clusters_of_nothing_and_of_unequal_length() -> None:
    none = np.zeros(0, np.int64)
    assert score_clusters(none, none).idf1 == 1.0
    with pytest.raises(ValueError, match="2 rows"):
        score_clusters(np.array([1, 2]), none)
