from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from reidpipe.track.assignment import Candidates
from reidpipe.track.assignment import assign as assign_candidates


def assign(cost: np.ndarray, *, limit: float) -> tuple[np.ndarray, np.ndarray]:
    return assign_candidates(Candidates.dense(cost), limit=limit)


def value(cost: np.ndarray, rows: np.ndarray, columns: np.ndarray, limit: float) -> float:
    return float((cost[rows, columns] - limit).sum())


def best_value(cost: np.ndarray, limit: float) -> float:
    """By a solver that knows no limit: every row and column may also stay alone, at half the limit each."""
    n, m = cost.shape
    full = np.full((n + m, n + m), limit / 2)
    full[:n, :m] = np.where(np.isfinite(cost), cost, 1e6)
    full[n:, m:] = 0.0
    rows, columns = linear_sum_assignment(full)
    real = (rows < n) & (columns < m)
    return value(full, rows[real], columns[real], limit)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.05, 1.2), st.integers(0, 10_000))
def test_assign_reaches_the_least_cost(n: int, m: int, limit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.random((n, m))
    cost[rng.random((n, m)) < 0.3] = np.inf
    rows, columns = assign(cost, limit=limit)
    assert (cost[rows, columns] <= limit).all()
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))
    assert value(cost, rows, columns, limit) == pytest.approx(best_value(cost, limit), abs=1e-9)


@pytest.mark.parametrize("density", [0.005, 0.02, 0.2])
def test_assign_splits_a_crowd_without_loss(density: float) -> None:
    rng = np.random.default_rng(7)
    cost = rng.random((150, 130))
    cost[rng.random(cost.shape) > density] = np.inf
    rows, columns = assign(cost, limit=0.7)
    assert value(cost, rows, columns, 0.7) == pytest.approx(best_value(cost, 0.7), abs=1e-9)
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))


def test_assign_hand_table() -> None:
    cost = np.array([[0.1, 0.2], [0.15, 0.9]], np.float32)
    rows, columns = assign(cost, limit=0.5)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_assign_empty(shape: tuple[int, int]) -> None:
    rows, columns = assign(np.zeros(shape), limit=1.0)
    assert rows.dtype == columns.dtype == np.int64
    assert len(rows) == len(columns) == 0


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_assign_refuses_what_a_solver_would_swallow(bad: float) -> None:
    cost = np.full((3, 3), 0.5)
    cost[1, 2] = bad
    with pytest.raises(ValueError, match="NaN"):
        assign(cost, limit=1.0)


def test_assign_forbidden_everywhere() -> None:
    rows, _ = assign(np.full((4, 4), np.inf), limit=1.0)
    assert len(rows) == 0
