"""The last appearances of one track, in a ring of fixed size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Vectors

__all__ = ["Gallery"]


class Gallery:
    """Keeps the newest ``size`` vectors of a track (DeepSORT's R_k); memory grows up to that and no further.

    Args:
        size: how many vectors to keep.
    """

    __slots__ = ("_count", "_kept", "_size")

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._kept: Vectors | None = None
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, self._size)

    def add(self, vector: NDArray[np.float32]) -> None:
        """Add a unit vector ``(D,)``; over the size, the oldest goes."""
        place = self._count % self._size
        if self._kept is None:
            self._kept = np.empty((1, len(vector)), np.float32)
        elif place >= len(self._kept):  # doubles, so that short tracks stay small
            grown = np.empty((min(self._size, 2 * len(self._kept)), len(vector)), np.float32)
            grown[: len(self._kept)] = self._kept
            self._kept = grown
        self._kept[place] = vector
        self._count += 1

    def distance(self, vectors: Vectors) -> NDArray[np.float32]:
        """Smallest cosine distance of each vector ``(D, dim)`` from a kept one, 0..2; 2 while empty (eq. 2)."""
        if self._kept is None:
            return np.full(len(vectors), 2.0, np.float32)
        return np.asarray(1 - (self._kept[: len(self)] @ vectors.T).max(axis=0))
