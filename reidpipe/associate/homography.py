"""Plane to plane: homographies fitted to weighted point pairs, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["carry", "fit", "spread"]

Wide = NDArray[np.float64]

FLAT = 1e-3
"""Pull of the two perspective terms towards 0, so that few points give an affine map and not nonsense."""


def spread(points: Wide) -> Wide:
    """The matrix ``(3, 3)`` that moves points ``(S, 2)`` to mean 0 and mean distance sqrt(2) (Hartley, 1997)."""
    centre = points.mean(axis=0)
    scale = np.sqrt(2) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-9)
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])


def rows_of(a: Wide, b: Wide) -> Wide:
    """The normal matrix of each point pair, ``(S, 9, 9)``: summed over pairs, its least eigenvector is H (DLT)."""
    one, zero = np.ones(len(a)), np.zeros((len(a), 3))
    point = np.stack([a[:, 0], a[:, 1], one], axis=1)
    first = np.concatenate([point, zero, -b[:, :1] * point], axis=1)
    second = np.concatenate([zero, point, -b[:, 1:] * point], axis=1)
    return np.asarray(first[:, :, None] * first[:, None, :] + second[:, :, None] * second[:, None, :])


def fit(normal: Wide) -> Wide:
    """Homographies from summed normal matrices, ``(..., 9, 9)`` -> ``(..., 3, 3)``, in normalised coordinates."""
    pull = np.zeros((9, 9))
    pull[6, 6] = pull[7, 7] = FLAT
    weight = np.trace(normal, axis1=-2, axis2=-1)[..., None, None] / 9
    _, vectors = np.linalg.eigh(normal + pull * weight)
    matrix = vectors[..., :, 0].reshape(*normal.shape[:-2], 3, 3)
    return np.asarray(matrix)


def carry(matrix: Wide, points: Wide) -> tuple[Wide, Wide]:
    """Points under homographies.

    Args:
        matrix: ``(..., 3, 3)``.
        points: ``(S, 2)``.

    Returns:
        The images ``(..., S, 2)`` and the third homogeneous coordinate ``(..., S)``: where its sign differs, a point
        lies beyond the horizon.
    """
    moved = points @ np.swapaxes(matrix[..., :, :2], -1, -2) + matrix[..., None, :, 2]
    depth = moved[..., 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    return np.asarray(moved[..., :2] / safe[..., None]), np.asarray(depth)
