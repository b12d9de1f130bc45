"""What the camera adds to a feature, taken away again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Ids, Vectors

__all__ = ["camera_means", "remove_bias", "unit_rows"]


SPREAD_PULL = 150.0
"""Rows; a variance needs more data than a mean."""


def unit_rows(rows: NDArray[np.float64]) -> Vectors:
    """Each row at length 1, float32; a row without length becomes the first axis."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-12)
    unit[norms[:, 0] <= 1e-12, 0] = 1.0
    return np.asarray(unit, dtype=np.float32)


def remove_bias(
    vectors: Vectors,
    cameras: Ids,
    weights: NDArray[np.float64],
    *,
    centre: NDArray[np.float64] | None = None,
    people: float = 4.0,
) -> Vectors:
    """Features without the mean and the spread of their camera, float32 ``(N, D)`` unit rows.

    The mean of a camera holds its light and colours, but with few people also their looks: it is pulled towards the
    mean over all cameras, and that towards ``centre``, as if each had ``people`` more tracklets there. The spread of
    each coordinate is evened out in the same way, where there are enough tracklets to know it.

    Args:
        vectors: ``(N, D)``.
        cameras: ``(N,)`` number of the camera of each row.
        weights: ``(N,)`` above 0.
        centre: ``(D,)`` mean feature of the net over people at large; zero when unknown.
        people: strength of the pull, in tracklets.
    """
    # Camera by camera, so that no second copy of all vectors is needed.
    means = camera_means(vectors, cameras, weights, centre=centre, people=people)
    chosen = {camera: cameras == camera for camera in means}
    squares = {camera: ((vectors[here] - means[camera]) ** 2).sum(axis=0) for camera, here in chosen.items()}
    total = np.sum(list(squares.values()), axis=0)
    everywhere = _pulled_variance(total, len(vectors), total.mean() / len(vectors))
    clean = np.empty_like(vectors)
    for camera, here in chosen.items():
        spread = np.sqrt(_pulled_variance(squares[camera], int(here.sum()), everywhere)) + 1e-9
        clean[here] = unit_rows((vectors[here] - means[camera]) / spread)
    return clean


def camera_means(
    vectors: Vectors,
    cameras: Ids,
    weights: NDArray[np.float64],
    *,
    centre: NDArray[np.float64] | None = None,
    people: float = 4.0,
) -> dict[int, NDArray[np.float64]]:
    """What ``remove_bias`` takes off the vectors of each camera: number of the camera -> float64 ``(D,)``."""
    chosen = {int(camera): cameras == camera for camera in np.unique(cameras)}
    sums = {camera: weights[here] @ vectors[here].astype(np.float64) for camera, here in chosen.items()}
    start = np.zeros(vectors.shape[1]) if centre is None else centre
    everywhere = np.sum(list(sums.values()), axis=0) / weights.sum()
    overall = _pulled(everywhere, len(vectors), start, people if centre is not None else 0.0)
    return {
        c: _pulled(total / weights[chosen[c]].sum(), int(chosen[c].sum()), overall, people) for c, total in sums.items()
    }


def _pulled_variance(
    squares: NDArray[np.float64], count: int, towards: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Variance of each coordinate, as if there were ``SPREAD_PULL`` more rows of variance ``towards``."""
    return np.asarray((squares + SPREAD_PULL * towards) / (count + SPREAD_PULL))


def _pulled(mean: NDArray[np.float64], count: int, towards: NDArray[np.float64], pull: float) -> NDArray[np.float64]:
    return np.asarray((count * mean + pull * towards) / (count + pull))
