"""Pairs of boxes that overlap, without the large majority that do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Boxes, Ids

__all__ = ["overlapping"]


def overlapping(a: Boxes, b: Boxes) -> tuple[Ids, Ids, NDArray[np.float32]]:
    """The pairs of boxes that share an area.

    In a crowd everybody meets few: only the comparison of edges is done for all pairs, the arithmetic for those few.

    Args:
        a: float32 ``(N, 4)``.
        b: float32 ``(M, 4)``.

    Returns:
        Rows of ``a`` and of ``b``, int64 ``(K,)`` each, and their intersection over union, float32 ``(K,)``, above 0.
    """
    left, top, right, bottom = np.ascontiguousarray(b.T)
    touching = a[:, 0, None] < right
    touching &= a[:, 2, None] > left
    touching &= a[:, 1, None] < bottom
    touching &= a[:, 3, None] > top
    place = touching.ravel().nonzero()[0]  # four times as fast as in two dimensions
    rows = place // max(1, len(b))
    columns = place - rows * len(b)
    one, other = a[rows], b[columns]
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    both = sides[:, 0] * sides[:, 1]
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    union = (size_a[:, 0] * size_a[:, 1])[rows] + (size_b[:, 0] * size_b[:, 1])[columns] - both
    return rows, columns, both / union
