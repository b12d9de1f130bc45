"""The still part of the world: textured rectangles in space, seen by a camera as light and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.camera import Camera

__all__ = ["Backdrop", "Rectangle", "Sun", "draw_backdrop"]

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
class Backdrop:
    """What a camera sees without people.

    Attributes:
        light: float32 (H, W, 3), linear BGR.
        depth: float32 (S*H, S*W), metres along the optical axis, S samples a pixel each way; inf = sky.
        floor: float32 (H, W), 0..1, share of the pixel that is lit ground.
    """

    light: NDArray[np.float32]
    depth: NDArray[np.float32]
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


def _sample(levels: list[NDArray[np.float32]], u: Array, v: Array, level: NDArray[np.int64]) -> NDArray[np.float32]:
    out = np.zeros((*u.shape, 3), dtype=np.float32)
    for index in np.unique(level):
        here = level == index
        picture = levels[int(index)]
        height, width = picture.shape[:2]
        map_x = np.where(here, u * width - 0.5, 0).astype(np.float32)
        map_y = np.where(here, v * height - 0.5, 0).astype(np.float32)
        seen = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out[here] = seen[here]
    return out


def draw_backdrop(camera: Camera, rectangles: Sequence[Rectangle], sun: Sun, shadows: Sequence[Array], supersample: int) -> Backdrop:
    """Ray-casts the still scene.

    Args:
        camera: Who looks.
        rectangles: Everything that stands.
        sun: Light.
        shadows: Convex outlines on the ground, float64 (K, 2) world x y each, that the sun does not reach.
        supersample: Samples per pixel and axis.
    """
    width, height = camera.size[0] * supersample, camera.size[1] * supersample
    columns, rows = (np.arange(width) + 0.5) / supersample, (np.arange(height) + 0.5) / supersample
    light = np.zeros((height, width, 3), dtype=np.float32)
    rays = camera.rays(columns, rows)
    up = np.clip(rays[..., 2] / np.linalg.norm(rays, axis=2), 0, 1).astype(np.float32)[..., None]
    light[:] = (np.array([0.85, 0.80, 0.76], np.float32) * (1 - up) + np.array([0.80, 0.55, 0.38], np.float32) * up) * np.float32(sun.sky * 1.3)
    depth = np.full((height, width), np.inf, dtype=np.float32)
    floor = np.zeros((height, width), dtype=np.float32)
    for rectangle in rectangles:
        span = _span(camera, rectangle, supersample)
        if span is not None:
            _draw_rectangle(camera, rectangle, sun, shadows, rays, span, supersample, light, depth, floor)
    size = camera.size
    return Backdrop(
        np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), dtype=np.float32),
        depth,
        np.asarray(cv2.resize(floor, size, interpolation=cv2.INTER_AREA), dtype=np.float32),
    )


def _draw_rectangle(
    camera: Camera, rectangle: Rectangle, sun: Sun, shadows: Sequence[Array], all_rays: Array, span: tuple[int, int, int, int],
    supersample: int, light: NDArray[np.float32], depth: NDArray[np.float32], floor: NDArray[np.float32],
) -> None:  # fmt: skip
    x0, x1, y0, y1 = span
    rays = all_rays[y0:y1, x0:x1]
    corner, across, down = (np.asarray(v, dtype=np.float64) for v in (rectangle.corner, rectangle.across, rectangle.down))
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    eye = np.asarray(camera.position)
    if (eye - corner) @ normal < 0:
        normal = -normal
    slope = rays @ normal
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = ((corner - eye) @ normal) / slope
    distance = np.where(np.isfinite(distance) & (slope < 0), distance, -1.0)
    hit = eye + distance[..., None] * rays - corner
    u, v = hit @ across / (across @ across), hit @ down / (down @ down)
    front = (distance > 0.1) & (u >= 0) & (u < 1) & (v >= 0) & (v < 1) & (distance < depth[y0:y1, x0:x1])
    if not front.any():
        return
    levels = _pyramid(rectangle.texture)
    texels_m = rectangle.texture.shape[1] / np.linalg.norm(across)
    steep = np.maximum(-slope / np.linalg.norm(rays, axis=2), 0.08)
    footprint = np.maximum(distance, 0.1) / (camera.focal_px * supersample) * texels_m / np.sqrt(steep)
    level = np.clip(np.round(np.log2(np.maximum(footprint, 1e-6))), 0, len(levels) - 1).astype(np.int64)
    colour = _sample(levels, np.where(front, u, 0), np.where(front, v, 0), np.where(front, level, 0)) ** 2
    bright = np.full(distance.shape, float(sun.on(normal.astype(np.float32)[None])[0]), dtype=np.float32)
    if rectangle.floor:
        sunny = np.ones(distance.shape, dtype=np.float32)
        place = hit[..., :2] + corner[:2]
        for outline in shadows:
            sunny *= 1 - _inside(place, outline, 0.06)
        bright -= np.float32(sun.strength * max(normal @ np.asarray(sun.direction), 0)) * (1 - sunny)
        floor[y0:y1, x0:x1][front] = (rectangle.glow * (0.35 + 0.65 * sunny))[front]
    else:
        floor[y0:y1, x0:x1][front] = 0.0
        # Less sky reaches the foot of a wall.
        height = eye[2] + distance * rays[..., 2]
        bright = bright * (0.72 + 0.28 * np.clip(height / 0.7, 0, 1)).astype(np.float32)
    light[y0:y1, x0:x1][front] = (colour * (bright * np.float32(rectangle.glow))[..., None])[front]
    depth[y0:y1, x0:x1][front] = distance[front]


def _inside(place: Array, outline: Array, soft: float) -> NDArray[np.float32]:
    """1 inside a convex counter-clockwise outline, 0 outside, with a soft edge (metres)."""
    share = np.ones(place.shape[:2], dtype=np.float32)
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        edge = end - start
        length = float(np.hypot(*edge))
        if length < 1e-9:
            continue
        away = (edge[0] * (place[..., 1] - start[1]) - edge[1] * (place[..., 0] - start[0])) / length
        share = np.minimum(share, np.clip(away / soft + 0.5, 0, 1).astype(np.float32))
    return share
