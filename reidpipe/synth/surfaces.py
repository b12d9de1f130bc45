"""Pictures of ground and walls: paving, asphalt, brick, plaster with windows, hedge, metal."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.noise import cloudy

__all__ = ["TEXELS_PER_M", "ground", "panel", "wall"]

Picture: TypeAlias = NDArray[np.float32]
TEXELS_PER_M = 48


def _plain(
    rng: np.random.Generator, width_m: float, height_m: float, grey: float, tint: float, rough: float
) -> Picture:
    height, width = max(8, round(height_m * TEXELS_PER_M)), max(8, round(width_m * TEXELS_PER_M))
    colour = grey * (1 + tint * rng.uniform(-1, 1, 3))
    field = (
        1
        + rough * cloudy(rng, height, width, cell=90, octaves=4)
        + 0.5 * rough * cloudy(rng, height, width, cell=4, octaves=2)
    )
    return np.asarray(np.clip(field[..., None] * colour, 0.03, 0.95), dtype=np.float32)


def _grooves(
    picture: Picture, step_x_m: float, step_y_m: float, *, shift: float, depth: float, line_m: float = 0.02
) -> Picture:
    """Draws joints between stones in place; ``shift`` moves every other row by that share of a stone."""
    height, width = picture.shape[:2]
    y = np.arange(height, dtype=np.float32)[:, None] / TEXELS_PER_M
    x = np.arange(width, dtype=np.float32)[None] / TEXELS_PER_M
    row = np.floor(y / step_y_m)
    x = x + shift * step_x_m * np.mod(row, 2)
    joint = (np.mod(x, step_x_m) < line_m) | (np.mod(y, step_y_m) < line_m)
    stone = np.sin(np.floor(x / step_x_m) * 12.9898 + row * 78.233) * 43758.5453
    vary = 1 + 0.10 * (stone - np.floor(stone) - 0.5)
    picture *= (vary * np.where(joint, 1 - depth, 1.0))[..., None].astype(np.float32)
    return picture


def ground(rng: np.random.Generator, width_m: float, height_m: float, style: str) -> Picture:
    """A floor, float32 (H, W, 3) BGR display values; styles: pavers, asphalt, slabs, tiles."""
    if style == "asphalt":
        picture = _plain(rng, width_m, height_m, 0.36, 0.03, 0.05)
    elif style == "tiles":
        picture = _grooves(_plain(rng, width_m, height_m, 0.60, 0.05, 0.02), 0.6, 0.6, shift=0.0, depth=0.18)
    elif style == "slabs":
        picture = _grooves(_plain(rng, width_m, height_m, 0.52, 0.05, 0.05), 1.2, 0.8, shift=0.5, depth=0.25)
    else:
        picture = _grooves(_plain(rng, width_m, height_m, 0.47, 0.09, 0.05), 0.4, 0.2, shift=0.5, depth=0.22)
    for _ in range(int(width_m * height_m / 6)):
        place = (int(rng.integers(picture.shape[1])), int(rng.integers(picture.shape[0])))
        radius = int(rng.integers(2, 10))
        cv2.ellipse(
            picture,
            place,
            (radius, max(1, radius // 2)),
            float(rng.uniform(0, 180)),
            0,
            360,
            [float(v) for v in picture[place[1], place[0]] * rng.uniform(0.75, 0.93)],
            -1,
        )
    return picture


def wall(rng: np.random.Generator, width_m: float, height_m: float, style: str) -> Picture:
    """A house wall, first row = top; styles: brick, plaster, concrete, shop."""
    if style == "brick":
        picture = (
            _plain(rng, width_m, height_m, 1.0, 0.0, 0.05)
            * np.array([0.30, 0.36, 0.55], dtype=np.float32)
            * rng.uniform(0.8, 1.15)
        )
        picture = _grooves(picture.astype(np.float32), 0.44, 0.15, shift=0.5, depth=-0.22)
    elif style == "concrete":
        picture = _grooves(_plain(rng, width_m, height_m, 0.55, 0.04, 0.05), 2.4, 1.5, shift=0.0, depth=0.3)
    else:
        picture = _plain(rng, width_m, height_m, float(rng.uniform(0.55, 0.78)), 0.12, 0.03)
    base = round(0.4 * TEXELS_PER_M)
    picture[-base:] *= np.linspace(0.85, 0.6, base, dtype=np.float32)[:, None, None]
    _windows(picture, rng, width_m, height_m, shop=style == "shop")
    return np.clip(picture, 0.03, 0.95)


def _windows(picture: Picture, rng: np.random.Generator, width_m: float, height_m: float, shop: bool) -> None:
    wide, tall, sill = (2.6, 2.0, 0.6) if shop else (1.3, 1.3, 1.9)
    step = wide + (0.8 if shop else float(rng.uniform(1.4, 2.2)))
    frame = tuple(float(v) for v in rng.uniform(0.12, 0.75) * np.ones(3))
    per = TEXELS_PER_M
    x = 0.9
    while x + wide < width_m - 0.5:
        left, right = round(x * per), round((x + wide) * per)
        bottom = round((height_m - sill) * per)
        top = max(2, round((height_m - sill - tall) * per))
        glass = np.linspace(0.42, 0.16, bottom - top, dtype=np.float32)[:, None, None] * np.array(
            [1.12, 1.0, 0.9], dtype=np.float32
        )
        shine = 1 + 0.25 * cloudy(rng, bottom - top, right - left, cell=70, octaves=2)
        picture[top:bottom, left:right] = np.clip(glass * shine[..., None], 0.05, 0.8)
        cv2.rectangle(picture, (left, top), (right, bottom), frame, 4)
        for k in range(1, 3 if shop else 2):
            middle = left + (right - left) * k // (3 if shop else 2)
            cv2.line(picture, (middle, top), (middle, bottom), frame, 3)
        x += step


def panel(rng: np.random.Generator, width_m: float, height_m: float, style: str) -> Picture:
    """A side of a street object; styles: stone, hedge, metal, wood, dark, van."""
    if style == "hedge":
        leaves = _plain(rng, width_m, height_m, 1.0, 0.0, 0.25)
        return np.asarray(np.clip(leaves * np.array([0.16, 0.36, 0.24], dtype=np.float32), 0.02, 0.9), dtype=np.float32)
    if style == "wood":
        picture = _plain(rng, width_m, height_m, 1.0, 0.0, 0.05) * np.array([0.28, 0.40, 0.52], dtype=np.float32)
        return _grooves(picture.astype(np.float32), 9.0, 0.12, shift=0.0, depth=0.35)
    if style == "dark":
        return _plain(rng, width_m, height_m, 0.16, 0.05, 0.05)
    if style == "van":
        picture = _plain(rng, width_m, height_m, 0.72, 0.06, 0.01)
        height, width = picture.shape[:2]
        picture[int(0.18 * height) : int(0.48 * height), int(0.08 * width) : int(0.92 * width)] = (0.20, 0.18, 0.17)
        picture[int(0.80 * height) :] *= 0.45
        return picture
    if style == "metal":
        return _plain(rng, width_m, height_m, 0.40, 0.15, 0.02)
    return _grooves(_plain(rng, width_m, height_m, 0.56, 0.05, 0.05), 3.0, 0.8, shift=0.0, depth=0.2)
