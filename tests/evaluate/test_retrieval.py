from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from reidpipe.evaluate.rerank import rerank_blocks, rerank_distances
from reidpipe.evaluate.retrieval import (
    Metric,
    RetrievalScores,
    pairwise_distances,
    score_distances,
    score_retrieval,
    score_single_shot,
)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def table(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_retrieval_hand_table() -> None:
    # query 0: order g1 (wrong), g0 (right), g3 (right) -> AP (1/2 + 2/3) / 2; query 1: order g2 right first -> AP 1
    distances = table([[0.2, 0.1, 0.9, 0.3], [0.8, 0.5, 0.1, 0.7]])
    scores = score_distances(distances, ids(1, 2), ids(0, 0), ids(1, 3, 2, 1), ids(1, 1, 1, 1))
    assert scores.mean_ap == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2, abs=1e-12)
    np.testing.assert_allclose(scores.cmc, [0.5, 1.0, 1.0, 1.0])
    assert (scores.queries, scores.skipped) == (2, 0)
    assert scores.rank(1) == 0.5
    assert scores.rank(99) == 1.0


def test_retrieval_same_camera_matches_do_not_count() -> None:
    distances = table([[0.0, 0.2, 0.1]])  # nearest: the query's person in the query's camera
    labels = (ids(1), ids(5), ids(1, 1, 2), ids(5, 6, 5))
    assert score_distances(distances, *labels).cmc.tolist() == [0.0, 1.0, 1.0]
    assert score_distances(distances, *labels, exclude_same_camera=False).rank(1) == 1.0


def test_retrieval_unknown_camera_is_no_camera() -> None:
    assert score_distances(table([[0.0, 0.2]]), ids(1), ids(-1), ids(1, 2), ids(-1, -1)).rank(1) == 1.0


def test_retrieval_query_without_match_is_skipped() -> None:
    scores = score_distances(table([[0.1, 0.2], [0.1, 0.2]]), ids(1, 9), ids(0, 0), ids(1, 2), ids(1, 1))
    assert (scores.queries, scores.skipped, scores.rank(1)) == (1, 1, 1.0)


def test_retrieval_without_any_match_is_an_error() -> None:
    with pytest.raises(ValueError, match="no query has a correct match"):
        score_distances(table([[0.1]]), ids(1), ids(0), ids(2), ids(1))


def slow_scores(
    distances: np.ndarray, qp: np.ndarray, qc: np.ndarray, gp: np.ndarray, gc: np.ndarray
) -> RetrievalScores:
    """The protocol query by query, in plain Python."""
    cmc, precisions = np.zeros(len(gp)), []
    for row, (person, camera) in enumerate(zip(qp, qc, strict=True)):
        keep = [g for g in range(len(gp)) if not (gp[g] == person and gc[g] == camera)]
        order = sorted(keep, key=lambda g: distances[row, g])
        right = [gp[g] == person for g in order]
        if not any(right):
            continue
        places = [place for place, hit in enumerate(right, start=1) if hit]
        precisions.append(float(np.mean([(k + 1) / place for k, place in enumerate(places)])))
        cmc[places[0] - 1 :] += 1
    return RetrievalScores(
        cmc / len(precisions), float(np.mean(precisions)), len(precisions), len(qp) - len(precisions)
    )


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_retrieval_equals_the_slow_loop(metric: Metric, chunk: int) -> None:
    rng = np.random.default_rng(3)
    queries, gallery = rng.standard_normal((40, 8), dtype=np.float32), rng.standard_normal((90, 8), dtype=np.float32)
    labels = [rng.integers(0, high, size).astype(np.int64) for high, size in ((12, 40), (3, 40), (12, 90), (3, 90))]
    fast = score_retrieval(
        queries,
        labels[0],
        labels[1],
        gallery,
        labels[2],
        labels[3],
        metric=metric,
        max_rank=90,
        chunk=chunk,
    )
    slow = slow_scores(pairwise_distances(queries, gallery, metric=metric), *labels)
    assert fast.mean_ap == pytest.approx(slow.mean_ap, abs=1e-9)
    np.testing.assert_allclose(fast.cmc, slow.cmc, atol=1e-12)
    assert (fast.queries, fast.skipped) == (slow.queries, slow.skipped)


def test_retrieval_distances() -> None:
    a, b = table([[3.0, 4.0]]), table([[6.0, 8.0], [4.0, -3.0]])
    np.testing.assert_allclose(pairwise_distances(a, b), [[0.0, 1.0]], atol=1e-6)
    np.testing.assert_allclose(pairwise_distances(a, b, metric="euclidean"), [[25.0, 50.0]], atol=1e-4)


def test_retrieval_not_finite_embedding_is_refused() -> None:
    bad = table([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="finite"):
        score_retrieval(bad, ids(1), ids(0), table([[1.0, 1.0]]), ids(1), ids(1))


def test_retrieval_single_shot_keeps_one_image_per_person() -> None:
    # person 1 has a near and a far gallery image, person 2 lies between: the result depends on which one is kept;
    # the image in the query's own camera is nearest but never drawn
    distances = table([[0.1, 0.9, 0.5, 0.0]])
    scores = score_single_shot(distances, ids(1), ids(0), ids(1, 1, 2, 1), ids(1, 1, 1, 0), repeats=200)
    assert (scores.queries, scores.skipped) == (1, 0)
    assert len(scores.cmc) == 2
    assert 0.35 < scores.rank(1) < 0.65
    assert scores.rank(2) == 1.0


def slow_rerank(queries: np.ndarray, gallery: np.ndarray, k1: int, k2: int, weight: float) -> np.ndarray:
    """Re-ranking as the paper writes it, with sets."""
    everyone = np.concatenate([queries, gallery])
    count = len(everyone)
    d = pairwise_distances(everyone, everyone)
    np.fill_diagonal(d, 0.0)
    d = d / d.max(axis=1, keepdims=True)
    order = np.argsort(d, axis=1, kind="stable")

    def reciprocal(p: int, k: int) -> set[int]:
        return {int(g) for g in order[p, : k + 1] if p in order[g, : k + 1]}

    v = np.zeros((count, count))
    for p in range(count):
        members = set(reciprocal(p, k1))
        for q in reciprocal(p, k1):
            theirs = reciprocal(q, round(k1 / 2))
            if len(theirs & reciprocal(p, k1)) > 2 / 3 * len(theirs):
                members |= theirs
        for g in members:
            v[p, g] = np.exp(-d[p, g])
        v[p] /= v[p].sum()
    v = np.stack([v[order[p, :k2]].mean(axis=0) for p in range(count)])
    split = len(queries)

    def overlap(p: int, g: int) -> float:
        return float(np.minimum(v[p], v[g]).sum() / np.maximum(v[p], v[g]).sum())

    jaccard = np.array([[1 - overlap(p, g) for g in range(split, count)] for p in range(split)])
    final: np.ndarray = (1 - weight) * jaccard + weight * d[:split, split:]
    return final


def test_rerank_equals_the_paper_with_sets() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((6, 16))
    vectors = (centres[rng.integers(0, 6, 40)] + 0.7 * rng.standard_normal((40, 16))).astype(np.float32)
    fast = rerank_distances(vectors[:10], vectors[10:], k1=8, k2=3)
    np.testing.assert_allclose(fast, slow_rerank(vectors[:10], vectors[10:], 8, 3, 0.3), atol=1e-5)


def dense_rerank(queries: np.ndarray, gallery: np.ndarray, k1: int, k2: int, metric: Metric) -> np.ndarray:
    """The same with whole matrices, as most code of the field has it."""
    everyone = np.concatenate([queries, gallery])
    split, count = len(queries), len(everyone)
    d = pairwise_distances(everyone, everyone, metric=metric)
    np.fill_diagonal(d, 0.0)
    d /= d.max(axis=1, keepdims=True)
    order = np.argsort(d - np.eye(count), axis=1, kind="stable")  # itself first, also among its copies

    def mutual(k: int) -> np.ndarray:
        near = np.zeros((count, count), dtype=bool)
        np.put_along_axis(near, order[:, : k + 1], True, axis=1)
        return near & near.T

    own, half = mutual(k1), mutual(round(k1 / 2))
    shared = own.astype(np.int64) @ half.T
    taken = own & (shared > 2 / 3 * half.sum(axis=1))
    members = own | (taken.astype(np.int64) @ half > 0)
    v = np.where(members, np.exp(-d), 0)
    v /= v.sum(axis=1, keepdims=True)
    v = v[order[:, :k2]].mean(axis=1)
    overlap = np.array([np.minimum(row, v[split:]).sum(axis=1) for row in v[:split]])
    final: np.ndarray = 0.7 * (1 - overlap / (2 - overlap)) + 0.3 * d[:split, split:]
    return final


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("k1", "k2", "copies"), [(20, 6, 1), (7, 1, 1), (20, 6, 30), (400, 3, 1)])
def test_rerank_in_blocks_equals_the_dense_formula(metric: Metric, k1: int, k2: int, copies: int) -> None:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((40, 32))
    vectors = centres[rng.integers(0, 40, 240)] + 0.8 * rng.standard_normal((240, 32))
    copied = vectors[np.arange(240) // copies].astype(np.float32)  # more equal distances than neighbours
    asked = np.arange(240) % 4 == 0
    queries, gallery = copied[asked], copied[~asked]
    wanted = dense_rerank(queries, gallery, k1, k2, metric)
    found = rerank_distances(queries, gallery, k1=k1, k2=k2, metric=metric)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    for block in (1, 13, 1000):
        parts = list(rerank_blocks(queries, gallery, k1=k1, k2=k2, metric=metric, block=block))
        assert [len(part) for part in parts[:-1]] == [block] * (len(parts) - 1)
        np.testing.assert_allclose(np.concatenate(parts), wanted, atol=2e-6)


def test_rerank_memory_does_not_grow_with_the_square() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((6000, 16), dtype=np.float32)
    tracemalloc.start()
    rows = sum(len(part) for part in rerank_blocks(vectors[:200], vectors[200:], block=32))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 200
    assert peak < 6000 * 6000  # a quarter of one float32 matrix (N, N)


def test_rerank_without_queries() -> None:
    assert rerank_distances(np.zeros((0, 4), np.float32), np.ones((3, 4), np.float32)).shape == (0, 3)


def test_retrieval_score_from_a_matrix_does_not_depend_on_the_chunk() -> None:
    rng = np.random.default_rng(5)
    distances = rng.random((50, 70), dtype=np.float32)
    labels = [rng.integers(0, high, size) for high, size in ((9, 50), (3, 50), (9, 70), (3, 70))]
    one, many = (score_distances(distances, *labels, chunk=chunk) for chunk in (7, 1000))
    np.testing.assert_array_equal(one.cmc, many.cmc)
    assert one.mean_ap == pytest.approx(many.mean_ap, abs=1e-12)
