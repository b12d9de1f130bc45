"""Pairs of boxes that overlap, without the large majority that do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.boxes import area
from reidpipe.types import Boxes, Ids

__all__ = ["each_overlap", "overlapping", "places"]


def overlapping(a: Boxes, b: Boxes) -> tuple[Ids, Ids, NDArray[np.float32]]:
    """The pairs of boxes that share an area.

    In a crowd everybody meets few: only the comparison of edges is done for all pairs, the arithmetic for those few.

    Args:
        a: float32 ``(N, 4)``.
        b: float32 ``(M, 4)``.

    Returns:
        Rows of ``a`` and of ``b``, int64 ``(K,)`` each, and their intersection over union, float32 ``(K,)``, above 0.
    """
    a_, b_ = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)  # (4, N): numpy is fastest on whole rows
    left, top, right, bottom = a_[:, :, None]
    touching = left < b_[2]
    touching &= right > b_[0]
    touching &= top < b_[3]
    touching &= bottom > b_[1]
    rows, columns = places(touching)
    one, other = a_.take(rows, axis=1), b_.take(columns, axis=1)
    sides = np.minimum(one[2:], other[2:])
    sides -= np.maximum(one[:2], other[:2])
    both = sides[0] * sides[1]
    union = _areas(a_).take(rows)
    union += _areas(b_).take(columns)
    union -= both
    return rows, columns, both / union


def each_overlap(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each row with the same row of the other, ``(N, 4)`` both, float32 ``(N,)``."""
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    both = sides[:, 0] * sides[:, 1]
    return np.asarray(both / np.maximum(area(a) + area(b) - both, 1e-9), dtype=np.float32)


def places(table: NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """Rows and columns of what is true in ``(N, M)``, row by row, int64 ``(K,)`` each: ``table.nonzero()``, faster."""
    place = table.ravel().nonzero()[0]  # four times as fast as in two dimensions
    rows = place // max(1, table.shape[1])
    return rows, place - rows * table.shape[1]


def _areas(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    sides = corners[2:] - corners[:2]
    return np.asarray(sides[0] * sides[1])
