"""The still part of the world: textured rectangles in space, seen by a camera as light and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.camera import Camera

__all__ = ["Rectangle", "Sun", "Surfaces", "View", "find_surfaces", "light_surfaces"]

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sun:
    """The world's light: one sun and a sky.

    Attributes:
        direction: Unit vector towards the sun.
        strength: Light of the sun on a surface that faces it.
        sky: Light from above; surfaces that look down get ``0.45`` of it.
    """

    direction: tuple[float, float, float]
    strength: float
    sky: float

    def on(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Light on surfaces, float32 (...), from unit normals, float32 (..., 3)."""
        x, y, z = (np.float32(value) for value in self.direction)
        facing = np.maximum(normals[..., 0] * x + normals[..., 1] * y + normals[..., 2] * z, 0)
        return np.asarray(self.strength * facing + self.sky * (0.725 + 0.275 * normals[..., 2]), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A textured rectangle in space.

    Attributes:
        corner: World position of the texture's first texel, metres.
        across: Vector along the texture's rows, metres.
        down: Vector along the texture's columns, metres.
        texture: float32 (H, W, 3) BGR display values 0..1.
        floor: Whether people's shadows fall on it.
        glow: Factor on its light.
    """

    corner: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    texture: NDArray[np.float32]
    floor: bool = False
    glow: float = 1.0


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Which surface a camera sees where; S samples a pixel each way.

    Attributes:
        depth: float32 (S*H, S*W), metres along the optical axis; inf = sky.
        which: int16 (S*H, S*W), row of the rectangle; -1 = sky.
    """

    depth: NDArray[np.float32]
    which: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class View:
    """What a camera sees without people.

    Attributes:
        light: float32 (H, W, 3), linear BGR.
        floor: float32 (H, W), 0..1, share of the pixel that is lit ground.
    """

    light: NDArray[np.float32]
    floor: NDArray[np.float32]


def _pyramid(texture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    levels = [texture]
    while min(levels[-1].shape[:2]) > 8 and len(levels) < 6:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return levels


def _span(camera: Camera, rectangle: Rectangle, supersample: int) -> tuple[int, int, int, int] | None:
    """Sample columns and rows that may see the rectangle; None where it is wholly behind the camera."""
    corner, across, down = (np.asarray(v) for v in (rectangle.corner, rectangle.across, rectangle.down))
    steps = np.linspace(0, 1, 9)
    points = corner + steps[:, None, None] * across + steps[None, :, None] * down
    xy, depth = camera.project(points.reshape(-1, 3))
    width, height = camera.size[0] * supersample, camera.size[1] * supersample
    if (depth < 0.1).all():
        return None
    if (depth < 0.3).any():
        return (0, width, 0, height)
    low, high = xy.min(axis=0) * supersample, xy.max(axis=0) * supersample
    x0, y0 = np.maximum(np.floor(low) - 1, 0).astype(int)
    x1, y1 = np.minimum(np.ceil(high) + 1, (width, height)).astype(int)
    return (int(x0), int(x1), int(y0), int(y1)) if x1 > x0 and y1 > y0 else None


def _plane(rectangle: Rectangle, eye: Array) -> tuple[Array, Array, Array, Array]:
    """Corner, row vector, column vector and unit normal towards the eye."""
    corner, across, down = (
        np.asarray(v, dtype=np.float64) for v in (rectangle.corner, rectangle.across, rectangle.down)
    )
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    return corner, across, down, normal if (eye - corner) @ normal >= 0 else -normal


def _directions(camera: Camera, supersample: int) -> tuple[Array, Array]:
    """Sideways and downwards part of the ray through every sample column and row, for a forward part of 1."""
    columns = (np.arange(camera.size[0] * supersample) + 0.5) / supersample
    rows = (np.arange(camera.size[1] * supersample) + 0.5) / supersample
    return (columns - camera.size[0] / 2) / camera.focal_px, (rows - camera.size[1] / 2) / camera.focal_px


def find_surfaces(camera: Camera, rectangles: Sequence[Rectangle], supersample: int) -> Surfaces:
    """Casts a ray through every sample and finds the nearest rectangle; no light yet."""
    sideways, downwards = _directions(camera, supersample)
    depth = np.full((len(downwards), len(sideways)), np.inf, dtype=np.float32)
    which = np.full(depth.shape, -1, dtype=np.int16)
    eye, axes = np.asarray(camera.position), camera.axes()
    for index, rectangle in enumerate(rectangles):
        span = _span(camera, rectangle, supersample)
        if span is None:
            continue
        x0, x1, y0, y1 = span
        corner, across, down, normal = _plane(rectangle, eye)
        a, b = sideways[None, x0:x1], downwards[y0:y1, None]

        def along(vector: Array, a: Array = a, b: Array = b) -> Array:
            right, low, forward = axes @ vector
            return np.asarray(forward + a * right + b * low)

        slope = along(normal)
        distance = np.where(slope < -1e-9, ((corner - eye) @ normal) / np.minimum(slope, -1e-9), -1.0)
        u = ((eye - corner) @ across + distance * along(across)) / (across @ across)
        v = ((eye - corner) @ down + distance * along(down)) / (down @ down)
        near = (distance > 0.1) & (u >= 0) & (u < 1) & (v >= 0) & (v < 1) & (distance < depth[y0:y1, x0:x1])
        depth[y0:y1, x0:x1][near] = distance[near]
        which[y0:y1, x0:x1][near] = index
    return Surfaces(depth, which)


def light_surfaces(
    camera: Camera,
    surfaces: Surfaces,
    rectangles: Sequence[Rectangle],
    sun: Sun,
    shadows: Sequence[Array],
    supersample: int,
) -> View:
    """Lights what ``find_surfaces`` found.

    Args:
        camera: Who looks.
        surfaces: What he sees where.
        rectangles: Everything that stands, as given to ``find_surfaces``.
        sun: Light.
        shadows: Convex outlines on the ground, float64 (K, 2) world x y each, that the sun does not reach.
        supersample: Samples per pixel and axis.
    """
    sideways, downwards = _directions(camera, supersample)
    shape = surfaces.depth.shape
    right, low, forward = camera.axes()
    up = forward[2] + sideways[None] * right[2] + downwards[:, None] * low[2]
    up = np.clip(up / np.sqrt(1 + sideways[None] ** 2 + downwards[:, None] ** 2), 0, 1).astype(np.float32)[..., None]
    horizon, zenith = np.array([0.85, 0.80, 0.76], np.float32), np.array([0.80, 0.55, 0.38], np.float32)
    light = ((horizon * (1 - up) + zenith * up) * np.float32(sun.sky * 1.3)).reshape(-1, 3)
    floor = np.zeros(light.shape[0], dtype=np.float32)
    depth, which = surfaces.depth.ravel(), surfaces.which.ravel()
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(len(rectangles) + 1))
    for index, rectangle in enumerate(rectangles):
        cells = order[bounds[index] : bounds[index + 1]]
        if len(cells) == 0:
            continue
        row, column = np.divmod(cells, shape[1])
        rays = forward + sideways[column, None] * right + downwards[row, None] * low
        colour, ground = _lit(camera, rectangle, sun, shadows, rays, depth[cells].astype(np.float64), supersample)
        light[cells] = colour
        floor[cells] = ground
    small = cv2.resize(light.reshape(*shape, 3), camera.size, interpolation=cv2.INTER_AREA)
    ground = cv2.resize(floor.reshape(shape), camera.size, interpolation=cv2.INTER_AREA)
    return View(np.asarray(small, dtype=np.float32), np.asarray(ground, dtype=np.float32))


def _lit(
    camera: Camera,
    rectangle: Rectangle,
    sun: Sun,
    shadows: Sequence[Array],
    rays: Array,
    distance: Array,
    supersample: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light, float32 (N, 3), and share of lit ground, float32 (N,), where rays (N, 3) meet a rectangle."""
    eye = np.asarray(camera.position)
    corner, across, down, normal = _plane(rectangle, eye)
    hit = eye + distance[:, None] * rays
    u, v = (hit - corner) @ across / (across @ across), (hit - corner) @ down / (down @ down)
    texels_m = rectangle.texture.shape[1] / np.linalg.norm(across)
    steep = np.maximum(-(rays @ normal) / np.linalg.norm(rays, axis=1), 0.08)
    footprint = distance / (camera.focal_px * supersample) * texels_m / np.sqrt(steep)
    colour = _sample(_pyramid(rectangle.texture), u, v, np.log2(np.maximum(footprint, 1e-6))) ** 2
    bright = np.full(len(distance), float(sun.on(normal.astype(np.float32)[None])[0]), dtype=np.float32)
    ground = np.zeros(len(distance), dtype=np.float32)
    if rectangle.floor:
        sunny = np.ones(len(distance), dtype=np.float32)
        for outline in shadows:
            sunny *= 1 - _inside(hit[:, :2], outline, 0.06)
        bright -= np.float32(sun.strength * max(normal @ np.asarray(sun.direction), 0)) * (1 - sunny)
        ground = rectangle.glow * (0.35 + 0.65 * sunny)
    else:
        # Less sky reaches the foot of a wall.
        bright = bright * (0.72 + 0.28 * np.clip(hit[:, 2] / 0.7, 0, 1)).astype(np.float32)
    return colour * (bright * np.float32(rectangle.glow))[:, None], ground


def _sample(levels: list[NDArray[np.float32]], u: Array, v: Array, level: Array) -> NDArray[np.float32]:
    """Bilinear colours, float32 (N, 3), each from the level of the pyramid whose texels are as large as the sample."""
    out = np.zeros((len(u), 3), dtype=np.float32)
    chosen = np.clip(np.round(level), 0, len(levels) - 1).astype(np.int64)
    wide = 1024  # OpenCV maps have to be pictures with fewer than 32768 rows.
    for index, picture in enumerate(levels):
        here = np.flatnonzero(chosen == index)
        if len(here) == 0:
            continue
        height, width = picture.shape[:2]
        padded = -(-len(here) // wide) * wide
        maps = np.zeros((2, padded), dtype=np.float32)
        maps[0, : len(here)] = u[here] * width - 0.5
        maps[1, : len(here)] = v[here] * height - 0.5
        seen = cv2.remap(
            picture,
            maps[0].reshape(-1, wide),
            maps[1].reshape(-1, wide),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        out[here] = seen.reshape(-1, 3)[: len(here)]
    return out


def _inside(place: Array, outline: Array, soft: float) -> NDArray[np.float32]:
    """1 inside a convex counter-clockwise outline, 0 outside, with a soft edge (metres); places (N, 2)."""
    share = np.ones(len(place), dtype=np.float32)
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        edge = end - start
        length = float(np.hypot(*edge))
        if length < 1e-9:
            continue
        away = (edge[0] * (place[:, 1] - start[1]) - edge[1] * (place[:, 0] - start[0])) / length
        share = np.minimum(share, np.clip(away / soft + 0.5, 0, 1).astype(np.float32))
    return share
