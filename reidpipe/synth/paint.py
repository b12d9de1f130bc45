"""The picture that is wrapped around a person: cloth, skin, face, hair, shoes, bag."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.anatomy import (
    ARM_Z,
    ATLAS,
    ATLAS_SIZE,
    HEAD_Z,
    LEG_Z,
    SHELL_TOP_M,
    TORSO_Z,
    hairline,
    hem_height,
    shell_bottom,
    sleeve_end,
)
from reidpipe.synth.noise import cloudy
from reidpipe.synth.wardrobe import Colour, Look

__all__ = ["paint_atlas"]

Picture: TypeAlias = NDArray[np.float32]


class _Canvas:
    """One part's picture: colours (h, w, 3), and the metric coordinates of its texels."""

    def __init__(self, part: str, top: float, bottom: float, round_m: float) -> None:
        _, _, width, height = ATLAS[part]
        self.part = part
        self.colour = np.zeros((height, width, 3), dtype=np.float32)
        self.turn = np.broadcast_to(np.linspace(-np.pi, np.pi, width, dtype=np.float32)[None], (height, width))
        self.z = np.broadcast_to(np.linspace(top, bottom, height, dtype=np.float32)[:, None], (height, width))
        self.around = self.turn * np.float32(round_m / (2 * np.pi))

    def fill(self, colour: Colour, where: NDArray[np.bool_] | Picture | None = None) -> None:
        """Paints, where a mask (0..1) says."""
        if where is None:
            self.colour[:] = colour
            return
        share = np.asarray(where, dtype=np.float32)[..., None]
        self.colour[:] = self.colour * (1 - share) + np.asarray(colour, dtype=np.float32) * share

    def shade(self, factor: Picture) -> None:
        """Multiplies by a factor per texel."""
        self.colour *= factor[..., None]


def _edge(distance: NDArray[np.floating[Any]], soft: float) -> Picture:
    """1 inside (negative distance), 0 outside, a ramp of width ``soft`` between."""
    return np.asarray(np.clip(0.5 - distance / soft, 0.0, 1.0), dtype=np.float32)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    blue, green, red = (float(a * (1 - share) + b * share) for a, b in zip(one, other, strict=True))
    return (blue, green, red)


def _pattern(canvas: _Canvas, look: Look, where: Picture, rng: np.random.Generator, sleeve: bool = False) -> None:
    """Paints the upper garment's colour and pattern where the mask says."""
    cloth = np.empty_like(canvas.colour)
    cloth[:] = look.top_colour
    second = np.asarray(look.second_colour, dtype=np.float32)
    around, z = canvas.around, canvas.z
    size = 0.03 + 0.05 * (look.seed % 97) / 96

    def lay(mask: NDArray[np.bool_] | Picture, strength: float = 1.0) -> None:
        share = np.asarray(mask, dtype=np.float32)[..., None] * np.float32(strength)
        cloth[:] = cloth * (1 - share) + second * share

    if look.pattern == "stripes":
        lay(np.mod(z, size) < 0.45 * size)
    elif look.pattern == "pinstripe":
        lay(np.mod(around, 0.045) < 0.007, 0.6)
    elif look.pattern == "check":
        lay(np.mod(around, size * 1.3) < 0.5 * size, 0.5)
        lay(np.mod(z, size * 1.3) < 0.5 * size, 0.5)
    elif look.pattern == "dots":
        row = np.floor(z / size)
        lay(
            np.hypot(np.mod(around + 0.5 * size * np.mod(row, 2), size) - size / 2, np.mod(z, size) - size / 2)
            < 0.25 * size
        )
    elif look.pattern == "block":
        lay(z < 1.10 + 0.12 * (look.seed % 5) / 4)
    elif look.pattern == "chest_band":
        lay((z > 1.20) & (z < 1.29))
    elif look.pattern == "yoke":
        lay(z > 1.31)
    elif look.pattern == "logo" and not sleeve:
        lay(_logo(canvas, rng))
    share = where[..., None]
    canvas.colour[:] = canvas.colour * (1 - share) + cloth * share


def _logo(canvas: _Canvas, rng: np.random.Generator) -> Picture:
    """A print of a few random bars and a disc on the chest."""
    mask = np.zeros(canvas.z.shape, dtype=np.float32)
    wide, tall = rng.uniform(0.05, 0.12), rng.uniform(0.03, 0.10)
    centre = rng.uniform(1.20, 1.28)
    inside = (np.abs(canvas.around) < wide) & (np.abs(canvas.z - centre) < tall)
    if rng.random() < 0.4:
        return np.asarray(np.hypot(canvas.around, canvas.z - centre) < wide, dtype=np.float32)
    bars = np.sin(canvas.around * rng.uniform(80, 200) + rng.uniform(0, 6)) * np.sin(
        canvas.z * rng.uniform(90, 180)
    ) > rng.uniform(-0.4, 0.2)
    mask[inside & bars] = 1.0
    return mask


def _creases(rng: np.random.Generator, shape: tuple[int, int], strength: float, stretch: float = 2.2) -> Picture:
    """Light and dark of cloth folds, around 1."""
    broad = cloudy(rng, shape[0], shape[1], cell=34, octaves=3, stretch=stretch)
    weave = cloudy(rng, shape[0], shape[1], cell=3, octaves=1)
    return np.asarray(np.clip(1 + strength * broad + 0.03 * weave, 0.5, 1.45), dtype=np.float32)


def _torso(look: Look, rng: np.random.Generator) -> _Canvas:
    canvas = _Canvas("torso", *TORSO_Z, 0.98)
    hem = hem_height(look)
    z, around, turn = canvas.z, canvas.around, canvas.turn
    front = np.abs(turn) < 1.7
    canvas.fill(look.bottom_colour)
    canvas.fill((0.10, 0.12, 0.16), (z > hem - 0.035) & (z < hem + 0.01) & (look.bottom != "skirt"))
    whole = _edge(hem - z, 0.006)
    _pattern(canvas, look, whole, rng)
    neck = {"tshirt": 1.468, "summer_dress": 1.42, "dress": 1.44, "vest": 1.46, "shirt": 1.480}.get(look.top, 1.492)
    neck_line = neck - np.where(front, 0.05 * np.clip(1 - np.abs(around) / 0.10, 0, 1), 0.0)
    canvas.fill(look.skin, _edge(neck_line - z, 0.008))
    if look.top in ("summer_dress",):
        canvas.fill(
            look.skin,
            ((z > 1.36) & (np.abs(np.abs(around) - 0.10) > 0.018) & (np.abs(around) < 0.3)).astype(np.float32),
        )
    if look.top in ("shirt", "blazer", "jacket", "coat", "vest"):
        canvas.fill(_mixed(look.top_colour, (0.05, 0.05, 0.05), 0.55), (np.abs(around) < 0.005) & (z > hem) & front)
    if look.top in ("jacket", "vest", "coat"):
        for height in (1.02, 1.0):
            pocket = (np.abs(np.abs(around) - 0.12) < 0.05) & (np.abs(z - height) < 0.004) & front
            canvas.fill(_mixed(look.top_colour, (0.03, 0.03, 0.03), 0.6), pocket)
    if look.top == "vest":
        canvas.shade(
            np.asarray(1 - 0.22 * np.exp(-(((np.mod(z, 0.07) - 0.035) / 0.008) ** 2)) * (z > hem), dtype=np.float32)
        )
    if look.top in ("open_jacket", "blazer"):
        opening = {"open_jacket": 0.075, "blazer": 0.012}[look.top] + np.clip(z - 1.15, 0, 1) * (
            0.22 if look.top == "blazer" else 0.05
        )
        inside = _edge(np.abs(around) - opening, 0.008) * _edge(hem - z, 0.004) * front * (z < 1.475)
        canvas.fill(look.inner_colour, inside)
        rim = np.exp(-(((np.abs(around) - opening) / 0.008) ** 2)) * (z > hem) * front * (z < 1.475)
        canvas.shade(np.asarray(1 - 0.45 * rim, dtype=np.float32))
    if look.top in ("shirt", "blazer"):
        collar = (np.abs(z - 1.478 + 0.25 * np.abs(around)) < 0.016) & front & (np.abs(around) < 0.12)
        canvas.fill(_mixed(look.top_colour, (0.95, 0.95, 0.95), 0.15), collar.astype(np.float32))
    canvas.shade(_creases(rng, (z.shape[0], z.shape[1]), 0.085))
    canvas.shade(np.asarray(1 - 0.30 * np.exp(-(((z - hem + 0.012) / 0.014) ** 2)), dtype=np.float32))
    canvas.shade(np.asarray(1 - 0.16 * np.exp(-(((np.abs(turn) - 1.45) / 0.22) ** 2)) * (z < 1.38), dtype=np.float32))
    if look.bag == "backpack":
        strap = (np.abs(np.abs(around) - 0.115) < 0.018) & front & (z > 1.08) & (z < 1.45)
        canvas.fill(look.bag_colour, strap.astype(np.float32) * 0.95)
    if look.bag == "shoulder":
        line = (
            np.abs(around - (0.13 - (1.46 - z) * 0.75)) if look.seed % 2 else np.abs(around + 0.14 + (1.42 - z) * 0.1)
        )
        canvas.fill(look.bag_colour, ((line < 0.014) & front & (z > 1.0) & (z < 1.47)).astype(np.float32))
    return canvas


def _arm(look: Look, rng: np.random.Generator) -> _Canvas:
    canvas = _Canvas("arm", *ARM_Z, 0.34)
    z = canvas.z
    canvas.fill(look.skin)
    end = sleeve_end(look)
    if look.top == "vest":
        canvas.fill(look.inner_colour)
    sleeve = _edge(end - z, 0.006)
    _pattern(canvas, look, sleeve, rng, sleeve=True)
    if look.top in ("hoodie", "sweater", "jacket") and look.pattern in ("block",):
        canvas.fill(look.second_colour, _edge(np.abs(z - 0.91) - 0.03, 0.004))
    folds = 1 + 0.05 * np.sin(z * 160 + 2.2 * np.sin(canvas.turn)) * np.exp(-(((z - 1.12) / 0.09) ** 2)) * (end < 1.0)
    canvas.shade(np.asarray(folds, dtype=np.float32))
    canvas.shade(_creases(rng, (z.shape[0], z.shape[1]), 0.09 if look.long_sleeves else 0.045))
    canvas.shade(np.asarray(1 - 0.35 * np.exp(-(((z - end + 0.006) / 0.008) ** 2)), dtype=np.float32))
    return canvas


def _leg(look: Look, rng: np.random.Generator) -> _Canvas:
    canvas = _Canvas("leg", *LEG_Z, 0.50)
    z, turn = canvas.z, canvas.turn
    if look.bottom == "skirt":
        canvas.fill(look.skin if look.seed % 3 else (0.06, 0.06, 0.07))
        strength = 0.03
    elif look.bottom == "shorts":
        canvas.fill(look.skin)
        canvas.fill(look.bottom_colour, _edge(0.53 - z, 0.004))
        strength = 0.05
    else:
        canvas.fill(look.bottom_colour)
        blue, _, red = look.bottom_colour
        if blue > red + 0.06:
            fade = np.exp(-((turn / 0.9) ** 2)) * (0.4 + 0.6 * np.exp(-(((z - 0.62) / 0.16) ** 2)))
            canvas.shade(np.asarray(1 + 0.22 * fade, dtype=np.float32))
        strength = 0.10 if look.bottom != "leggings" else 0.03
        behind = 0.07 * np.sin(z * 150 + turn) * np.exp(-(((z - 0.50) / 0.06) ** 2)) + 0.06 * np.sin(z * 120) * (
            z < 0.18
        )
        canvas.shade(np.asarray(1 + behind, dtype=np.float32))
        canvas.shade(np.asarray(1 - 0.22 * np.exp(-(((np.abs(turn) - 1.57) / 0.05) ** 2)), dtype=np.float32))
    canvas.shade(_creases(rng, (z.shape[0], z.shape[1]), strength, stretch=1.3))
    return canvas


def _head(look: Look, rng: np.random.Generator) -> _Canvas:
    canvas = _Canvas("head", *HEAD_Z, 0.56)
    z, turn = canvas.z, canvas.turn
    side = np.abs(turn)
    canvas.fill(look.skin)

    def spot(at: float, height: float, wide: float, tall: float) -> Picture:
        return np.asarray(np.exp(-(((side - at) / wide) ** 2) - (((z - height) / tall) ** 2)), dtype=np.float32)

    canvas.shade(np.asarray(1 + 0.05 * cloudy(rng, z.shape[0], z.shape[1], cell=20, octaves=2), dtype=np.float32))
    flush = _mixed(look.skin, (0.30, 0.28, 0.70), 0.45)
    canvas.fill(flush, 0.35 * spot(0.55, 1.600, 0.28, 0.020))
    canvas.shade(1 - 0.30 * spot(0.36, 1.640, 0.24, 0.016))
    canvas.shade(1 - 0.18 * spot(0.16, 1.612, 0.07, 0.030))
    canvas.shade(1 - 0.40 * spot(0.05, 1.592, 0.11, 0.006))
    canvas.shade(1 - 0.15 * spot(0.0, 1.550, 0.30, 0.008))
    lips = _mixed(look.skin, (0.25, 0.22, 0.55), 0.75)
    canvas.fill(lips, _edge(side - 0.27, 0.08) * np.exp(-(((z - 1.572) / 0.0075) ** 2)))
    canvas.shade(1 - 0.45 * _edge(side - 0.25, 0.08) * np.exp(-(((z - 1.573) / 0.0022) ** 2)).astype(np.float32))
    canvas.fill((0.82, 0.85, 0.86), 0.8 * _edge(np.hypot((side - 0.36) / 0.14, (z - 1.638) / 0.0065) - 1, 0.3))
    canvas.fill((0.07, 0.08, 0.10), _edge(np.hypot((side - 0.35) / 0.065, (z - 1.638) / 0.0072) - 1, 0.3))
    canvas.fill(
        _mixed(look.skin, (0.05, 0.05, 0.06), 0.7),
        np.exp(-(((z - 1.6455) / 0.0022) ** 2)) * _edge(np.abs(side - 0.36) - 0.15, 0.05),
    )
    brow = _mixed(look.hair_colour, (0.05, 0.05, 0.06), 0.5)
    canvas.fill(
        brow,
        0.85
        * _edge(np.abs(side - 0.38) - 0.19, 0.06)
        * np.exp(-(((z - 1.660 + 0.012 * np.abs(side - 0.38)) / 0.0048) ** 2)),
    )
    if look.beard:
        line = 1.598 - 0.03 * np.exp(-((side / 0.5) ** 2)) + 0.035 * np.clip(side - 0.9, 0, 0.6)
        beard = _edge(z - line, 0.014) * (side < 1.5) * (1 - np.exp(-(((z - 1.572) / 0.007) ** 2)) * (side < 0.25))
        canvas.fill(look.hair_colour, 0.8 * beard)
        canvas.fill(look.hair_colour, 0.8 * _edge(np.abs(z - 1.585) - 0.004, 0.004) * _edge(side - 0.28, 0.06))
    if look.glasses:
        ring = np.abs(np.hypot((side - 0.37) / 0.24, (z - 1.637) / 0.018) - 1) < 0.16
        canvas.fill(
            (0.08, 0.08, 0.09), (ring | ((np.abs(z - 1.644) < 0.0025) & (side > 0.6) & (side < 1.6))).astype(np.float32)
        )
    _hair_and_hat(canvas, look, rng)
    return canvas


def _hair_and_hat(canvas: _Canvas, look: Look, rng: np.random.Generator) -> None:
    z, turn = canvas.z, canvas.turn
    side = np.abs(turn)
    hair = np.asarray(_edge(hairline(turn.astype(np.float64)) - z, 0.012), dtype=np.float32)
    strands = 1 + 0.12 * cloudy(rng, z.shape[0], z.shape[1], cell=12, octaves=3, stretch=0.2)
    if look.hair == "scarf":
        hair = _edge(np.interp(side, (0.0, 0.8, 1.0, np.pi), (1.70, 1.66, 1.5, 1.4)).astype(np.float32) - z, 0.01)
        strands = 1 + 0.1 * cloudy(rng, z.shape[0], z.shape[1], cell=30, octaves=2)
    if look.hair == "bald":
        hair = hair * _edge(z - 1.665, 0.03) * 0.75
    elif look.hair == "buzz":
        hair = hair * 0.85
    share = hair[..., None]
    canvas.colour[:] = (
        canvas.colour * (1 - share)
        + np.asarray(look.hair_colour, dtype=np.float32) * np.clip(strands, 0.4, 1.7)[..., None] * share
    )
    if look.hat == "beanie":
        line = np.interp(side, (0, 1.2, np.pi), (1.680, 1.640, 1.615)).astype(np.float32)
        canvas.fill(look.hat_colour, _edge(line - z, 0.006))
        canvas.shade(
            np.asarray(
                1 - 0.15 * (np.mod(turn, 0.12) < 0.04) * (z > line) - 0.2 * (np.abs(z - line - 0.035) < 0.002),
                dtype=np.float32,
            )
        )
    elif look.hat == "cap":
        canvas.fill(
            look.hat_colour,
            _edge(np.interp(side, (0, 1.2, np.pi), (1.690, 1.665, 1.645)).astype(np.float32) - z, 0.006),
        )


def _shell(look: Look, rng: np.random.Generator) -> _Canvas:
    bottom = shell_bottom(look)
    canvas = _Canvas("shell", SHELL_TOP_M, bottom if bottom is not None else 0.6, 1.15)
    z = canvas.z
    front = np.abs(canvas.turn) < 1.7
    if look.top == "coat" or look.bottom_colour == look.top_colour:
        _pattern(canvas, look, np.ones(z.shape, dtype=np.float32), rng)
    else:
        canvas.fill(look.bottom_colour)
    if look.top == "coat":
        canvas.fill(_mixed(look.top_colour, (0.05, 0.05, 0.05), 0.6), (np.abs(canvas.around) < 0.006) & front)
        canvas.fill(
            _mixed(look.top_colour, (0.03, 0.03, 0.03), 0.35),
            np.abs(z - 1.06) < 0.014 if look.seed % 2 else np.zeros(z.shape, dtype=np.bool_),
        )
    canvas.shade(_creases(rng, (z.shape[0], z.shape[1]), 0.10, stretch=0.4))
    if bottom is None:
        canvas.fill(look.top_colour)
    return canvas


def _small(look: Look, rng: np.random.Generator) -> list[_Canvas]:
    bag = _Canvas("bag", 1.0, 0.0, 1.0)
    bag.fill(look.bag_colour)
    bag.fill(_mixed(look.bag_colour, (0.02, 0.02, 0.02), 0.5), np.abs(bag.z - 0.55) < 0.012)
    bag.fill(
        _mixed(look.bag_colour, (0.9, 0.9, 0.9), 0.18),
        (np.abs(bag.z - 0.3) < 0.18) & (np.abs(np.abs(bag.turn) - np.pi) < 0.7),
    )
    bag.shade(_creases(rng, (bag.z.shape[0], bag.z.shape[1]), 0.08))
    shoe = _Canvas("shoe", 1.0, 0.0, 1.0)
    shoe.fill(look.shoe_colour)
    sole = np.abs(np.abs(shoe.turn) - np.pi) < 1.0
    shoe.fill(_mixed(look.shoe_colour, (0.92, 0.92, 0.92), 0.8) if look.seed % 3 == 0 else (0.12, 0.12, 0.13), sole)
    hand = _Canvas("hand", 1.0, 0.0, 1.0)
    hand.fill(look.skin)
    hand.shade(np.asarray(1 - 0.12 * (np.sin(hand.turn * 4) > 0.3) * (hand.z < 0.5), dtype=np.float32))
    hair = _Canvas("hair", 1.0, 0.0, 1.0)
    hair.fill(look.hair_colour)
    hair.shade(
        np.asarray(
            np.clip(1 + 0.13 * cloudy(rng, *hair.z.shape, cell=12, octaves=3, stretch=0.15), 0.4, 1.7), dtype=np.float32
        )
    )
    hat = _Canvas("hat", 1.0, 0.0, 1.0)
    hat.fill(look.hat_colour)
    return [bag, shoe, hand, hair, hat]


def paint_atlas(look: Look) -> NDArray[np.float32]:
    """The person's texture: float32 (512, 512, 3), BGR reflectance in 0..1, linear light."""
    rng = np.random.default_rng([look.seed, 0xA71])
    atlas = np.full((ATLAS_SIZE, ATLAS_SIZE, 3), 0.5, dtype=np.float32)
    for canvas in (
        _torso(look, rng),
        _arm(look, rng),
        _leg(look, rng),
        _head(look, rng),
        _shell(look, rng),
        *_small(look, rng),
    ):
        x, y, width, height = ATLAS[canvas.part]
        atlas[y : y + height, x : x + width] = canvas.colour
    atlas = np.clip(cv2.GaussianBlur(atlas, (3, 3), 0.6), 0.008, 0.98)
    return np.asarray(atlas * atlas, dtype=np.float32)
