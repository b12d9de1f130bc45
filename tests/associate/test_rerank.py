"""k-reciprocal neighbourhoods: the arrays say what the sets of the paper say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reidpipe.associate.rerank import nearest, shared_neighbours
from reidpipe.types import Ids

Wide = NDArray[np.float64]


def encodings(rows: Ids, cosines: Wide, k1: int, k2: int) -> list[dict[int, float]]:
    """Zhong et al. 2017, equations 3 to 7 and 11, word by word."""
    half = max(1, round(k1 / 2))

    def mutual(i: int, k: int) -> set[int]:
        return {j for j in rows[i, :k].tolist() if i in rows[j, :k]} | {i}

    plain: list[dict[int, float]] = []
    for i in range(len(rows)):
        wider = set(mutual(i, k1))
        for j in mutual(i, k1):
            if 3 * len(mutual(j, half) & mutual(i, k1)) > 2 * len(mutual(j, half)):
                wider |= mutual(j, half)
        known = dict(zip(rows[i].tolist(), cosines[i].tolist(), strict=True)) | {i: 1.0}
        weights = {j: float(np.exp(2 * known.get(j, float(cosines[i, -1])) - 2)) for j in wider}
        plain.append({j: weight / sum(weights.values()) for j, weight in weights.items()})
    if k2 == 1:
        return plain
    out: list[dict[int, float]] = []
    for i in range(len(rows)):
        group = [plain[j] for j in (i, *rows[i, : k2 - 1].tolist())]
        members = {j for one in group for j in one}
        out.append({j: sum(one.get(j, 0.0) for one in group) / len(group) for j in members})
    return out


@pytest.mark.parametrize(("n", "k1", "k2"), [(2, 2, 1), (3, 8, 3), (40, 2, 1), (40, 4, 2), (150, 5, 2), (150, 8, 3)])
def test_shared_neighbours_is_the_jaccard_similarity_of_the_sets(n: int, k1: int, k2: int) -> None:
    rng = np.random.default_rng(n + k1)
    people = rng.normal(size=(max(n // 5, 1), 16))
    vectors = people[rng.integers(len(people), size=n)] + 0.6 * rng.normal(size=(n, 16))
    rows, cosines = nearest((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), 50)
    every = np.stack(np.triu_indices(n, 1), axis=1)
    pairs = every[np.sort(rng.permutation(len(every))[: 4 * n])].astype(np.int64)
    said = encodings(rows, cosines, min(k1, rows.shape[1]), k2)
    wanted = []
    for i, j in pairs.tolist():
        low = sum(min(weight, said[j].get(k, 0.0)) for k, weight in said[i].items())
        high = sum(max(said[i].get(k, 0.0), said[j].get(k, 0.0)) for k in said[i].keys() | said[j].keys())
        wanted.append(low / high)
    assert shared_neighbours(rows, cosines, pairs, k1=k1, k2=k2) == pytest.approx(wanted, abs=1e-12)


def test_shared_neighbours_of_no_pairs_is_nothing() -> None:
    rows, cosines = np.array([[1], [0]]), np.ones((2, 1))
    assert shared_neighbours(rows, cosines, np.zeros((0, 2), np.int64)).shape == (0,)
