"""Triangles to pixels: a z-buffer rasteriser in numpy, all triangles at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fragments", "rasterise"]


@dataclass(frozen=True, slots=True)
class Fragments:
    """The frontmost surface at every covered sample.

    Attributes:
        samples: int64 (M,), ``row * width + column`` of the sample, ascending.
        faces: int64 (M,), which triangle is seen there.
        shares: float32 (M, 3), barycentric coordinates in it.
        depth: float32 (M,), distance along the optical axis, metres.
    """

    samples: NDArray[np.int64]
    faces: NDArray[np.int64]
    shares: NDArray[np.float32]
    depth: NDArray[np.float32]


def rasterise(
    points: NDArray[np.float64], depth: NDArray[np.float64], faces: NDArray[np.int64], width: int, height: int
) -> Fragments:
    """Draws the triangles that face the camera.

    Samples sit at the centres of cells: column c, row r at ``(c + 0.5, r + 0.5)``. Edge functions after Pineda,
    *A Parallel Algorithm for Polygon Rasterization* (SIGGRAPH 1988).

    Args:
        points: float64 (N, 2), x y of the vertices in samples.
        depth: float64 (N,), metres, positive.
        faces: int64 (F, 3), counter-clockwise seen from outside the body.
        width: Columns of samples.
        height: Rows of samples.
    """
    corner = points[faces]
    (ax, ay), (bx, by), (cx, cy) = (np.moveaxis(corner[:, k], -1, 0) for k in range(3))
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    # The image's y axis points down: counter-clockwise from outside is a negative area here.
    left = np.ceil(np.maximum(np.minimum(np.minimum(ax, bx), cx), 0.5) - 0.5).astype(np.int64)
    right = np.floor(np.minimum(np.maximum(np.maximum(ax, bx), cx), width - 0.5) - 0.5).astype(np.int64)
    top = np.ceil(np.maximum(np.minimum(np.minimum(ay, by), cy), 0.5) - 0.5).astype(np.int64)
    bottom = np.floor(np.minimum(np.maximum(np.maximum(ay, by), cy), height - 0.5) - 0.5).astype(np.int64)
    wide, tall = right - left + 1, bottom - top + 1
    keep = np.flatnonzero((twice < -1e-9) & (wide > 0) & (tall > 0))
    counts = (wide * tall)[keep]
    total = int(counts.sum())
    if total == 0:
        none = np.zeros(0, dtype=np.int64)
        return Fragments(none, none, np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    table = _planes(points, depth, faces[keep], 1.0 / twice[keep], left[keep] + 0.5, top[keep] + 0.5)
    which = np.repeat(np.arange(len(keep)), counts)
    local = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    row = local // wide[keep][which]
    column = local - row * wide[keep][which]
    fact = table[which]
    row_f, column_f = row.astype(np.float32), column.astype(np.float32)
    share_b = fact[:, 0] + column_f * fact[:, 1] + row_f * fact[:, 2]
    share_c = fact[:, 3] + column_f * fact[:, 4] + row_f * fact[:, 5]
    slack = np.float32(-1e-5)
    inside = np.flatnonzero((share_b >= slack) & (share_c >= slack) & (share_b + share_c <= 1 - slack))
    which, share_b, share_c = which[inside], share_b[inside], share_c[inside]
    sample = (top[keep][which] + row[inside]) * width + left[keep][which] + column[inside]
    distance = fact[inside, 6] + share_b * fact[inside, 7] + share_c * fact[inside, 8]
    nearest = np.full(width * height, np.inf, dtype=np.float32)
    np.minimum.at(nearest, sample, distance)
    winner = np.full(width * height, -1, dtype=np.int64)
    front = np.flatnonzero(distance <= nearest[sample])
    winner[sample[front[::-1]]] = front[::-1]
    samples = np.flatnonzero(winner >= 0)
    rows = winner[samples]
    shares = np.stack([1 - share_b[rows] - share_c[rows], share_b[rows], share_c[rows]], axis=1)
    return Fragments(samples, keep[which[rows]], shares.astype(np.float32), distance[rows])


def _planes(
    points: NDArray[np.float64], depth: NDArray[np.float64], faces: NDArray[np.int64], inverse: NDArray[np.float64],
    x0: NDArray[np.float64], y0: NDArray[np.float64],
) -> NDArray[np.float32]:  # fmt: skip
    """Per triangle, float32 (F, 9): share of corner b at the first sample and its slopes, the same of c, depths."""
    a, b, c = (points[faces[:, corner]].T for corner in range(3))
    b_dx, b_dy = (c[1] - a[1]) * inverse, -(c[0] - a[0]) * inverse
    c_dx, c_dy = -(b[1] - a[1]) * inverse, (b[0] - a[0]) * inverse
    b_0 = (x0 - a[0]) * b_dx + (y0 - a[1]) * b_dy
    c_0 = (x0 - a[0]) * c_dx + (y0 - a[1]) * c_dy
    z = depth[faces].T
    return np.stack([b_0, b_dx, b_dy, c_0, c_dx, c_dy, z[0], z[1] - z[0], z[2] - z[0]], axis=1).astype(np.float32)
