"""Meshes of tubes: closed rings of vertices joined into triangles, with texture coordinates and bone weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.skeleton import BONES

__all__ = ["Mesh", "Rect", "Shape", "Weigh", "bone_shares", "join", "smoothstep", "tube"]

Array: TypeAlias = NDArray[np.float64]
Rect: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height of a part's picture inside the person's atlas, texels."""
Weigh: TypeAlias = Callable[[Array], Array]
"""Vertices (N, 3) to bone weights (N, 17), rows summing to 1."""
Shape: TypeAlias = Callable[[Array, Array], Array]
"""Angle and height of every vertex, (R, S+1) each, to metres to push it outwards."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles of one person at rest.

    Attributes:
        vertices: float64 (N, 3), metres, body frame.
        normals: float64 (N, 3), unit, outwards.
        faces: int64 (F, 3), counter-clockwise seen from outside.
        texels: float32 (N, 2), x y in the atlas.
        weights: float64 (N, 17), share of each bone.
        open_air: float32 (N,), 0..1, how much of the sky a vertex sees (ambient occlusion).
    """

    vertices: Array
    normals: Array
    faces: NDArray[np.int64]
    texels: NDArray[np.float32]
    weights: Array
    open_air: NDArray[np.float32]


def smoothstep(low: float, high: float, x: Array | float) -> Array:
    """0 at ``low``, 1 at ``high``, a smooth ramp between; ``low`` may be the larger one."""
    t = np.clip((np.asarray(x, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def bone_shares(**shares: Array) -> Array:
    """Bone weights, float64 (N, 17), rows summing to 1, from shares by bone name, float64 (N,) each."""
    first = next(iter(shares.values()))
    weights = np.zeros((len(first), len(BONES)))
    for bone, share in shares.items():
        weights[:, BONES.index(bone)] = share
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9))


def tube(
    rows: Array | Sequence[Sequence[float]],
    *,
    rings: int,
    segments: int,
    rect: Rect,
    weigh: Weigh | str,
    exponent: float = 2.0,
    along: str = "z",
    shape: Shape | None = None,
    open_air: float = 1.0,
) -> Mesh:
    """A closed tube through elliptic rings.

    Args:
        rows: Per control ring ``position along the axis, forward centre, sideways centre, side radius, front radius,
            back radius``, metres. With ``along="x"`` front means up and back means down.
        rings: Number of rings after interpolation (control rings are kept).
        segments: Facets around.
        rect: Place of the picture in the atlas; left to right runs back, right side, front (middle), left side, back;
            top is the first row.
        weigh: Bone weights, or the name of the one bone that carries the tube.
        exponent: 2 = ellipse, larger = boxier.
        along: ``"z"`` or ``"x"``, the axis.
        shape: Extra outward push.
        open_air: Ambient light factor of all vertices.
    """
    ring = _between(np.asarray(rows, dtype=np.float64), rings)
    grid = _surface(ring, segments, exponent, along, shape)
    count, columns = grid.shape[:2]
    index = np.arange(count * columns).reshape(count, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    vertices = grid.reshape(-1, 3)
    corners = vertices[faces] - vertices.mean(axis=0)
    if np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() < 0:
        faces = faces[:, ::-1]
    span = (ring[:, 0] - ring[0, 0]) / (ring[-1, 0] - ring[0, 0])
    texels = np.empty((count, columns, 2), dtype=np.float32)
    texels[..., 0] = rect[0] + 1 + (rect[2] - 3) * np.linspace(0, 1, columns)[None]
    texels[..., 1] = rect[1] + 1 + (rect[3] - 3) * span[:, None]
    if isinstance(weigh, str):
        weights = np.zeros((len(vertices), len(BONES)))
        weights[:, BONES.index(weigh)] = 1.0
    else:
        weights = weigh(vertices)
    air = np.full(len(vertices), open_air, dtype=np.float32)
    return Mesh(vertices, _normals(vertices, faces, index), faces, texels.reshape(-1, 2), weights, air)


def _between(control: Array, rings: int) -> Array:
    """Control rings and, evenly among them, interpolated ones."""
    knots = np.arange(len(control), dtype=np.float64)
    extra = np.linspace(0, len(control) - 1, max(rings - len(control), 0) + 2)[1:-1]
    order = np.unique(np.concatenate([np.round(extra, 3), knots]))
    return np.stack([np.interp(order, knots, column) for column in control.T], axis=1)


def _surface(ring: Array, segments: int, exponent: float, along: str, shape: Shape | None) -> Array:
    """Vertices of superellipses, float64 (R, S + 1, 3); the last column repeats the first."""
    position, centre, sideways, side, front, back = (column[:, None] for column in ring.T)
    angle = np.linspace(-np.pi, np.pi, segments + 1)[None]
    power = 2.0 / exponent
    cos, sin = (np.sign(value) * np.abs(value) ** power for value in (np.cos(angle), np.sin(angle)))
    whole = (len(ring), segments + 1)
    push = shape(np.broadcast_to(angle, whole), np.broadcast_to(position, whole)) if shape else np.zeros(whole)
    push = push * (np.minimum(side, np.maximum(front, back)) > 1e-4)
    ahead = centre + cos * (np.where(cos > 0, front, back) + push)
    across = sideways + sin * (side + push)
    axis = np.broadcast_to(position, whole)
    return np.stack([ahead, across, axis] if along == "z" else [axis, across, ahead], axis=-1)


def _normals(vertices: Array, faces: NDArray[np.int64], index: NDArray[np.int64]) -> Array:
    """Mean of the normals of the facets around each vertex; the seam's two columns share theirs."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    facet = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], facet)
    seam = normals[index[:, 0]] + normals[index[:, -1]]
    normals[index[:, 0]] = seam
    normals[index[:, -1]] = seam
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-12, normals / np.maximum(length, 1e-12), (0.0, 0.0, 1.0))


def join(parts: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts[:-1], strict=True)]),
        np.concatenate([part.texels for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.open_air for part in parts]),
    )
