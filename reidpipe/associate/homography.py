"""Plane to plane: homographies fitted to weighted point pairs, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["carry", "fit", "misses", "normal_of", "rows_of", "spread"]

Wide = NDArray[np.float64]

FLAT = 1e-3
"""Pull of the two perspective terms towards 0, so that few points give an affine map and not nonsense."""


def spread(points: Wide) -> Wide:
    """The matrix ``(3, 3)`` that moves points ``(S, 2)`` to mean 0 and mean distance sqrt(2) (Hartley, 1997)."""
    centre = points.mean(axis=0)
    scale = np.sqrt(2) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-9)
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])


def rows_of(a: Wide, b: Wide) -> tuple[Wide, Wide]:
    """The two rows ``(S, 9)`` that each point pair adds to the system whose null space is H (DLT)."""
    one, zero = np.ones(len(a)), np.zeros((len(a), 3))
    point = np.stack([a[:, 0], a[:, 1], one], axis=1)
    first = np.concatenate([point, zero, -b[:, :1] * point], axis=1)
    second = np.concatenate([zero, point, -b[:, 1:] * point], axis=1)
    return first, second


def normal_of(a: Wide, b: Wide, weights: Wide) -> Wide:
    """The normal matrix ``(9, 9)`` of weighted point pairs: its least eigenvector is H."""
    first, second = rows_of(a, b)
    return np.asarray((first * weights[:, None]).T @ first + (second * weights[:, None]).T @ second)


def fit(normal: Wide) -> Wide:
    """Homographies from summed normal matrices, ``(..., 9, 9)`` -> ``(..., 3, 3)``, in normalised coordinates."""
    pull = np.zeros((9, 9))
    pull[6, 6] = pull[7, 7] = FLAT
    weight = np.trace(normal, axis1=-2, axis2=-1)[..., None, None] / 9
    _, vectors = np.linalg.eigh(normal + pull * weight)
    matrix = vectors[..., :, 0].reshape(*normal.shape[:-2], 3, 3)
    return np.asarray(matrix)


def misses(matrices: Wide, points: Wide, targets: Wide, tall: Wide) -> tuple[Wide, Wide]:
    """How far homographies carry points from where they should be.

    Args:
        matrices: ``(T, 3, 3)``.
        points: ``(S, 2)``.
        targets: ``(S, 2)``.
        tall: ``(S,)`` unit of length at each target.

    Returns:
        Squared distances ``(T, S)`` and the depth of each, see ``carry``.
    """
    flat = np.concatenate([points.T, np.ones((1, len(points)))])
    moved = (matrices.reshape(-1, 3) @ flat).reshape(-1, 3, len(points))
    depth = moved[:, 2]
    inverse = 1.0 / _safe(depth)
    squares = np.zeros_like(depth)
    for axis in (0, 1):
        off = moved[:, axis] * inverse
        off -= targets[:, axis]
        off *= off
        squares += off
    squares *= 1.0 / tall**2
    return squares, depth


def carry(matrix: Wide, points: Wide) -> tuple[Wide, Wide]:
    """Points under one homography.

    Args:
        matrix: ``(3, 3)``.
        points: ``(S, 2)``.

    Returns:
        The images ``(S, 2)`` and the third homogeneous coordinate ``(S,)``: where its sign differs, a point lies beyond
        the horizon.
    """
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[:, :2] / _safe(moved[:, 2:]), moved[:, 2]


def _safe(depth: Wide) -> Wide:
    tiny = np.abs(depth) < 1e-9
    return np.where(tiny, 1e-9, depth) if tiny.any() else depth
