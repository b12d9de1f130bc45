"""Who belongs to whom at the lowest total cost, under a limit for each pair."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids

__all__ = ["Costs", "assign"]

Costs: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

FEW = 24
"""Up to this many rows or columns one call of the solver is cheaper than splitting the problem."""


def assign(cost: Costs, *, limit: float) -> tuple[Ids, Ids]:
    """Match rows with columns so that the sum of ``cost - limit`` over the pairs is least.

    Pairs above the limit are never made; set a cost to ``inf`` to forbid a pair. A row and a column that can go only
    with each other are paired without asking the solver, and what remains is split where no candidate connects it, so
    that the effort follows the ambiguity and not the square of the crowd.

    Args:
        cost: float ``(T, D)``; ``cost[i, j]`` of row i and column j.
        limit: the highest cost of a pair.

    Returns:
        Rows (ascending) and their columns, int64 ``(K,)`` each.

    Raises:
        ValueError: a cost is NaN or minus infinity (a solver would match it with anything).
    """
    none = np.zeros(0, np.int64)
    if cost.size == 0:
        return none, none
    if not cost.min() > -np.inf:  # NaN wins every minimum, and no comparison with it holds
        raise ValueError("a cost of the assignment is NaN or -inf: check the boxes and embeddings it was made from")
    rows, columns = np.nonzero(cost <= limit)
    if len(rows) == 0:
        return none, none
    row_choices = np.bincount(rows, minlength=cost.shape[0])
    column_choices = np.bincount(columns, minlength=cost.shape[1])
    alone = (row_choices[rows] == 1) & (column_choices[columns] == 1)
    if alone.all():
        return rows, columns
    some_rows, some_columns = _solve(cost, rows[~alone], columns[~alone], limit)
    all_rows = np.concatenate((rows[alone], some_rows))
    order = np.argsort(all_rows, kind="stable")
    return all_rows[order], np.concatenate((columns[alone], some_columns))[order]


def _solve(cost: Costs, rows: Ids, columns: Ids, limit: float) -> tuple[Ids, Ids]:
    """Solve for the candidates ``(rows[k], columns[k])``, each group that hangs together by itself."""
    part_rows, part_columns = np.unique(rows), np.unique(columns)
    if min(len(part_rows), len(part_columns)) <= FEW:
        return _solve_dense(cost, part_rows, part_columns, limit)
    matched = [_solve_dense(cost, *group, limit) for group in _groups(rows, columns, cost.shape)]
    return np.concatenate([m[0] for m in matched]), np.concatenate([m[1] for m in matched])


def _groups(rows: Ids, columns: Ids, shape: tuple[int, ...]) -> list[tuple[Ids, Ids]]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = shape[0] + shape[1]
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns + shape[0])), shape=(size, size))
    label = connected_components(graph, directed=False)[1]
    nodes = np.unique(np.concatenate((rows, columns + shape[0])))
    nodes = nodes[np.argsort(label[nodes], kind="stable")]
    starts = np.flatnonzero(np.diff(label[nodes])) + 1
    parts = np.split(nodes, starts)
    return [(part[part < shape[0]], part[part >= shape[0]] - shape[0]) for part in parts]


def _solve_dense(cost: Costs, rows: Ids, columns: Ids, limit: float) -> tuple[Ids, Ids]:
    import lap

    part = cost[np.ix_(rows, columns)].astype(np.float64)
    # A pair at the limit is worth as much as no pair: clipped, a full matching is the wanted partial one.
    _, choice, _ = lap.lapjv(np.minimum(part, limit), extend_cost=True)
    chosen = np.flatnonzero(choice >= 0)
    picked = choice[chosen]
    good = part[chosen, picked] <= limit
    return rows[chosen[good]], columns[picked[good]]
