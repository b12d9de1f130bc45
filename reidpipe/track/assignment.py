"""Who belongs to whom at the lowest total cost, under a limit for each pair."""

from __future__ import annotations

from typing import NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids

__all__ = ["Candidates", "Costs", "assign"]

Costs: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

FEW = 40
"""Up to this many rows or columns the dense solver is the faster one."""


class Candidates(NamedTuple):
    """Pairs that may be made, each with its cost; all others are forbidden. Everybody is near few, so lists are short.

    Attributes:
        rows: int64 ``(K,)``; a pair appears once.
        columns: int64 ``(K,)``.
        costs: float ``(K,)``.
    """

    rows: Ids
    columns: Ids
    costs: Costs

    @classmethod
    def dense(cls, costs: Costs) -> Self:
        """All pairs of a matrix ``(T, D)`` but those at ``inf``."""
        rows, columns = np.nonzero(costs != np.inf)
        return cls(rows, columns, costs[rows, columns])


def assign(candidates: Candidates, *, limit: float) -> tuple[Ids, Ids]:
    """Match rows with columns so that the sum of ``cost - limit`` over the pairs is least.

    Pairs above the limit are never made. A row and a column that can go only with each other are paired without asking
    a solver, and a crowd goes to a sparse one, so that the effort follows the ambiguity, not the square of the crowd.

    Args:
        candidates: the pairs that may be made.
        limit: the highest cost of a pair.

    Returns:
        Rows and their columns, int64 ``(K,)`` each.

    Raises:
        ValueError: a cost is NaN or minus infinity (a solver would match it with anything).
    """
    rows, columns, costs = candidates
    if len(rows) == 0:
        return rows, columns
    if not costs[costs.argmin()] > -np.inf:  # NaN wins every minimum, and no comparison with it holds
        raise ValueError("a cost of the assignment is NaN or -inf: check the boxes and embeddings it was made from")
    good = costs <= limit
    if np.count_nonzero(good) < len(good):
        rows, columns, costs = rows[good], columns[good], costs[good]
    if len(rows) == 0:
        return rows, columns
    alone = np.bincount(rows)[rows] + np.bincount(columns)[columns] == 2  # each is in one pair, this one
    if np.count_nonzero(alone) == len(alone):
        return rows, columns
    open_ = ~alone
    chosen = _solve(Candidates(rows[open_], columns[open_], costs[open_]), limit)
    return np.concatenate((rows[alone], chosen[0])), np.concatenate((columns[alone], chosen[1]))


def _solve(candidates: Candidates, limit: float) -> tuple[Ids, Ids]:
    if candidates.rows.max() < FEW and candidates.columns.max() < FEW:
        return _solve_dense(candidates, limit)  # a few rows without a candidate cost less than leaving them out
    row_ids, row = np.unique(candidates.rows, return_inverse=True)
    column_ids, column = np.unique(candidates.columns, return_inverse=True)
    solve = _solve_dense if min(len(row_ids), len(column_ids)) <= FEW else _solve_sparse
    rows, columns = solve(Candidates(row, column, candidates.costs), limit)
    return row_ids[rows], column_ids[columns]


def _solve_sparse(candidates: Candidates, limit: float) -> tuple[Ids, Ids]:
    """For a crowd, where most pairs are none: every row may also go with a column of its own, at the limit."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rows, columns, costs = candidates
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    own = np.arange(height)
    shift = 1 - float(costs.min())  # the solver takes a weight of zero for no pair; all weights move alike
    weights = np.concatenate((costs + shift, np.full(height, limit + shift)))
    places = np.concatenate((rows, own)), np.concatenate((columns, width + own))
    graph = csr_array((weights.astype(np.float64), places), shape=(height, width + height))
    chosen, picked = min_weight_full_bipartite_matching(graph)
    real = picked < width
    return chosen[real].astype(np.int64), picked[real].astype(np.int64)


def _solve_dense(candidates: Candidates, limit: float) -> tuple[Ids, Ids]:
    import lap

    rows, columns, costs = candidates
    # No pair is worth as much as a pair at the limit: filled with it, a full matching is the wanted partial one.
    table = np.full((int(rows.max()) + 1, int(columns.max()) + 1), limit, np.float64)
    table[rows, columns] = costs
    allowed = np.zeros(table.shape, np.bool_)
    allowed[rows, columns] = True
    _, choice, _ = lap.lapjv(table, extend_cost=True)
    chosen = np.flatnonzero(choice >= 0)
    picked = choice[chosen]
    good = allowed[chosen, picked]
    return chosen[good], picked[good].astype(np.int64)
