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
    rows = vectors.astype(np.float64)
    means = camera_means(vectors, cameras, weights, centre=centre, people=people)
    clean = np.empty_like(rows)
    for camera, mean in means.items():
        clean[cameras == camera] = rows[cameras == camera] - mean
    everywhere = _pulled_variance(clean, np.full(rows.shape[1], float((clean**2).mean())))
    for camera in np.unique(cameras):
        here = cameras == camera
        clean[here] /= np.sqrt(_pulled_variance(clean[here], everywhere)) + 1e-9
    return unit_rows(clean)


def camera_means(
    vectors: Vectors,
    cameras: Ids,
    weights: NDArray[np.float64],
    *,
    centre: NDArray[np.float64] | None = None,
    people: float = 4.0,
) -> dict[int, NDArray[np.float64]]:
    """What ``remove_bias`` takes off the vectors of each camera: number of the camera -> float64 ``(D,)``."""
    rows = vectors.astype(np.float64)
    start = np.zeros(rows.shape[1]) if centre is None else centre
    overall = _pulled_mean(rows, weights, start, people if centre is not None else 0.0)
    chosen = {int(camera): cameras == camera for camera in np.unique(cameras)}
    return {camera: _pulled_mean(rows[here], weights[here], overall, people) for camera, here in chosen.items()}


def _pulled_variance(rows: NDArray[np.float64], towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of each coordinate, as if there were ``SPREAD_PULL`` more rows of variance ``towards``."""
    return np.asarray(((rows**2).sum(axis=0) + SPREAD_PULL * towards) / (len(rows) + SPREAD_PULL))


def _pulled_mean(
    rows: NDArray[np.float64], weights: NDArray[np.float64], towards: NDArray[np.float64], pull: float
) -> NDArray[np.float64]:
    mean = weights @ rows / weights.sum()
    return np.asarray((len(rows) * mean + pull * towards) / (len(rows) + pull))
