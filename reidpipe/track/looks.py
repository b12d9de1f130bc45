"""What the tracks of one camera look like: one running mean for each, and when it was last renewed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.overlap import overlapping
from reidpipe.types import Boxes, Ids, Mask, Vectors

__all__ = ["Looks", "covered"]

MEMORY = 0.9
"""Weight of what is known against one more crop, once there are ten."""


class Looks:
    """Unit vectors by track key. Memory is one vector for each living track.

    A track without a vector has no look; nothing is guessed for it.
    """

    __slots__ = ("_counts", "_learnt_s", "_vectors")

    def __init__(self) -> None:
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._counts: dict[int, int] = {}
        self._learnt_s: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._vectors)

    def known(self, keys: Ids) -> Mask:
        """Which tracks have a look, bool ``(K,)``."""
        return np.array([key in self._vectors for key in keys.tolist()], np.bool_)

    def age_s(self, keys: Ids, time_s: float) -> NDArray[np.float64]:
        """Seconds since each look was renewed, float64 ``(K,)``; ``inf`` where there is none."""
        return np.array([time_s - self._learnt_s.get(key, -math.inf) for key in keys.tolist()])

    def of(self, keys: Ids) -> Vectors:
        """The looks of tracks that have one, float32 ``(K, D)``."""
        return np.stack([self._vectors[key] for key in keys.tolist()])

    def learn(self, keys: Ids, vectors: Vectors, time_s: float) -> None:
        """Add one crop to each track, ``(K,)`` and ``(K, D)``: the mean of the first ten, then a fading one."""
        for key, vector in zip(keys.tolist(), vectors, strict=True):
            count = self._counts.get(key, 0)
            share = max(1 / (count + 1), 1 - MEMORY)
            mixed = vector if count == 0 else (1 - share) * self._vectors[key] + share * vector
            self._vectors[key] = np.asarray(mixed / max(float(np.linalg.norm(mixed)), 1e-12), dtype=np.float32)
            self._counts[key] = count + 1
            self._learnt_s[key] = time_s

    def keep(self, keys: Ids) -> None:
        """Forget all other tracks."""
        living = set(keys.tolist())
        for key in [key for key in self._vectors if key not in living]:
            del self._vectors[key], self._counts[key], self._learnt_s[key]


def covered(boxes: Boxes) -> NDArray[np.float32]:
    """Share of each box that the worst one standing before it (lower feet) hides, float32 ``(N,)``, 0..1."""
    share = np.zeros(len(boxes), np.float32)
    rows, columns, _ = overlapping(boxes, boxes)
    before = boxes[columns, 3] > boxes[rows, 3]
    rows, columns = rows[before], columns[before]
    one, other = boxes[rows], boxes[columns]
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    size = one[:, 2:] - one[:, :2]
    np.maximum.at(share, rows, sides[:, 0] * sides[:, 1] / (size[:, 0] * size[:, 1]))
    return share
