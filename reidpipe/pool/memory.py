"""What is kept of one track: bounded, spread over its life."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Vectors

__all__ = ["POOLING", "Path", "Prototypes", "unit"]

Wide = NDArray[np.float64]


def unit(vector: Wide) -> NDArray[np.float32]:
    """The vector at length 1, float32. A zero vector cannot be scaled and raises ``ValueError``."""
    length = float(np.linalg.norm(vector))
    if not length > 0:
        raise ValueError("a vector without length has no direction")
    return np.asarray(vector / length, dtype=np.float32)


class Prototypes:
    """Some of a track's crops, at most ``limit``, in order of time.

    When full, the crop goes whose neighbours in time are closest together, a better crop staying longer: what remains
    covers the whole life of the track evenly. First and last are never dropped.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.times: list[float] = []
        self.weights: list[float] = []
        self.vectors: list[NDArray[np.float32]] = []

    def add(self, time_s: float, weight: float, vector: NDArray[np.float32]) -> None:
        """Take one crop; ``time_s`` does not go back."""
        self.times.append(time_s)
        self.weights.append(weight)
        self.vectors.append(vector.copy())
        if len(self.times) > self.limit:
            self._drop(self._least())

    def _least(self) -> int:
        times, weights = np.asarray(self.times), np.asarray(self.weights)
        if len(times) == 2:
            return int(np.argmin(weights))
        return 1 + int(np.argmin((times[2:] - times[:-2]) * (0.1 + weights[1:-1])))

    def _drop(self, i: int) -> None:
        del self.times[i], self.weights[i], self.vectors[i]

    def stacked(self) -> Vectors:
        """Float32 ``(K, D)``."""
        return np.stack(self.vectors)


class Path:
    """Where a track was, at most ``limit`` moments on a time grid that all cameras share.

    A moment is the first picture at or after a multiple of ``step_s``; when full, the step doubles and every moment
    that does not begin a cell of the coarser grid goes.
    """

    def __init__(self, limit: int, step_s: float) -> None:
        self.limit = limit
        self.step_s = step_s
        self.rows: list[tuple[float, float, float, float, float]] = []

    def add(self, time_s: float, box: NDArray[np.float32]) -> None:
        """Take one picture's box, ``(4,)``; ``time_s`` does not go back."""
        if self.rows and self._cell(time_s) == self._cell(self.rows[-1][0]):
            return
        self.rows.append((time_s, float(box[0]), float(box[1]), float(box[2]), float(box[3])))
        if len(self.rows) > self.limit:
            self.step_s *= 2
            cells = [self._cell(row[0]) for row in self.rows]
            self.rows = [row for i, row in enumerate(self.rows) if i == 0 or cells[i] != cells[i - 1]]

    def _cell(self, time_s: float) -> int:
        return int(np.floor(time_s / self.step_s + 1e-6))

    def stacked(self) -> Wide:
        """Float64 ``(T, 5)``: time, x1 y1 x2 y2."""
        return np.asarray(self.rows, dtype=np.float64).reshape(-1, 5)


def pool_mean(vectors: Wide, weights: Wide) -> Wide:
    """Every kept crop alike."""
    del weights
    return np.asarray(vectors.mean(axis=0))


def pool_quality(vectors: Wide, weights: Wide) -> Wide:
    """Each crop as much as its quality."""
    return np.asarray(weights @ vectors / weights.sum())


def pool_median(vectors: Wide, weights: Wide) -> Wide:
    """Median of each coordinate: deaf to a few crops of somebody else."""
    del weights
    return np.asarray(np.median(vectors, axis=0))


def pool_gem(vectors: Wide, weights: Wide) -> Wide:
    """Generalised mean with p = 3, sign kept (Radenovic et al., TPAMI 2019, eq. 3)."""
    cubes = weights @ vectors**3 / weights.sum()
    return np.asarray(np.cbrt(cubes))


def pool_medoid(vectors: Wide, weights: Wide) -> Wide:
    """The one crop that is most like the others."""
    return np.asarray(vectors[int(np.argmax(vectors @ (weights @ vectors)))])


def pool_attention(vectors: Wide, weights: Wide, *, temperature: float = 0.1) -> Wide:
    """Crops that agree with the quality-weighted mean count more: one step of attention with that mean as the query."""
    query = weights @ vectors
    scores = vectors @ (query / np.linalg.norm(query)) / temperature
    attention = weights * np.exp(scores - scores.max())
    return np.asarray(attention @ vectors / attention.sum())


POOLING: dict[str, Callable[[Wide, Wide], Wide]] = {
    "attention": pool_attention,
    "gem": pool_gem,
    "mean": pool_mean,
    "median": pool_median,
    "medoid": pool_medoid,
    "quality": pool_quality,
}
"""Name -> function of (crops float64 ``(K, D)``, quality ``(K,)``) -> ``(D,)``, any length."""
