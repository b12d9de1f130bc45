"""What a synthetic person looks like: build, skin, hair, clothes, bag, gait; drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

__all__ = ["Colour", "Look", "sample_look"]

Colour: TypeAlias = tuple[float, float, float]
"""Blue, green, red in 0..1, display (gamma) values."""


@dataclass(frozen=True, slots=True)
class Look:
    """One person's looks. Lengths in metres, colours BGR in 0..1."""

    seed: int
    height_m: float
    girth: float
    shoulders: float
    hips: float
    bust: float
    belly: float
    skin: Colour
    hair: str
    hair_colour: Colour
    beard: bool
    glasses: bool
    hat: str
    hat_colour: Colour
    top: str
    top_colour: Colour
    second_colour: Colour
    inner_colour: Colour
    pattern: str
    bottom: str
    bottom_colour: Colour
    shoe: str
    shoe_colour: Colour
    bag: str
    bag_colour: Colour
    style: tuple[float, float, float, float, float, float]
    """Gait style, see ``skeleton.gait_angles``."""
    pace_m_s: float

    @property
    def long_sleeves(self) -> bool:
        """Whether the sleeves reach the wrists."""
        return self.top not in ("tshirt", "summer_dress", "vest")


def _bgr(code: str) -> Colour:
    red, green, blue = (int(code[i : i + 2], 16) / 255.0 for i in (0, 2, 4))
    return (blue, green, red)


SKINS = ("e8c6af", "deb396", "d29f7d", "c98f68", "a9714b", "8a5a3a", "66412a", "4a2f20")
SKIN_ODDS = (3.0, 3.0, 2.5, 2.0, 1.5, 1.2, 1.0, 0.8)
HAIRS = ("17130f", "2a1d14", "1d1a1a", "3d2817", "5b3a1e", "7d5a33", "a57c46", "c9a66b", "8b3a1c", "8e8c8a", "c9c7c4")
HAIR_ODDS = (4.0, 3.0, 3.0, 3.0, 2.0, 1.5, 1.0, 1.0, 0.6, 1.0, 0.7)
NEUTRALS = (
    "1a1b1e", "26282d", "3a3d43", "5a5e66", "8b9097", "b9bcc0", "e6e6e3", "f4f3ef", "1d2740", "27365c", "4b3f33",
    "c3b299",
)  # fmt: skip
BRIGHTS = (
    "b3202c", "d8423a", "8c1f3c", "e07a2c", "e9b83a", "f0d95a", "2f7a3f", "5ba55a", "1f5f52", "2b6ea8", "4f9bd6",
    "16479a", "6a3f93", "a46bbf", "d96a9c", "f0a8bf", "36b0ab", "7c8a3a", "a0522d", "e4572e",
)  # fmt: skip
TROUSERS = (
    "20242e", "2c3a55", "3c5279", "5f7ba3", "1b1b1d", "2b2b2e", "55585d", "7d7464", "b5a585", "4a3c2e", "4b553c",
    "8a8f96", "e5e2da",
)  # fmt: skip
SHOES = ("16161a", "2a2320", "4a3425", "f0f0ee", "e8e8e8", "7a7d82", "27365c", "9c2b2b", "8a6a44")
BAGS = ("1a1b1e", "2a2d33", "5b3a22", "8b2330", "27365c", "3f5d3a", "9a9da2", "c98a3a", "7a3f93")


class _Draw:
    """Draws of one person's seed."""

    def __init__(self, seed: int, index: int) -> None:
        self.rng = np.random.default_rng([seed, index, 0x10C])

    def pick(self, options: tuple[str, ...], odds: tuple[float, ...] | None = None) -> str:
        """One of the options; ``odds`` need not sum to 1."""
        chance = None if odds is None else np.array(odds) / sum(odds)
        return str(options[int(self.rng.choice(len(options), p=chance))])

    def colour(self, codes: tuple[str, ...]) -> Colour:
        """A shade of one of the colours."""
        pure = np.array(_bgr(self.pick(codes)))
        blue, green, red = np.clip(pure * self.rng.uniform(0.85, 1.12) + self.rng.normal(0, 0.015, 3), 0.02, 0.97)
        return (float(blue), float(green), float(red))

    def chance(self, share: float) -> bool:
        """True for that share of people."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """Evenly spread."""
        return float(self.rng.uniform(low, high))

    def around(self, mean: float, spread: float, low: float, high: float) -> float:
        """Bell-shaped, cut at both ends."""
        return float(np.clip(self.rng.normal(mean, spread), low, high))


class _Clothes(NamedTuple):
    """What a person wears."""

    hair: str
    top: str
    bottom: str
    top_colour: Colour
    second_colour: Colour
    pattern: str
    bottom_colour: Colour


def _clothes(draw: _Draw, womanly: bool) -> _Clothes:
    if womanly:
        hair = draw.pick(("long", "ponytail", "bob", "bun", "short", "scarf"), (4, 3, 2.5, 1.5, 0.7, 0.8))
        top = draw.pick(
            ("tshirt", "shirt", "sweater", "hoodie", "jacket", "open_jacket", "coat", "dress", "summer_dress", "vest"),
            (2, 1.5, 2, 1.5, 2, 1.5, 2, 1, 1, 0.7),
        )
        bottom = draw.pick(("slim", "leggings", "straight", "wide", "skirt", "shorts"), (3, 2, 2, 1, 1.7, 0.6))
    else:
        hair = draw.pick(("short", "buzz", "medium", "bald", "afro", "long"), (6, 2, 2, 1, 0.6, 0.4))
        top = draw.pick(
            ("tshirt", "shirt", "sweater", "hoodie", "jacket", "open_jacket", "blazer", "coat", "vest"),
            (2.5, 2, 2, 2, 2.5, 1.5, 1.2, 1.2, 0.7),
        )
        bottom = draw.pick(("straight", "slim", "wide", "shorts"), (4, 2.5, 1, 0.9))
    one_piece = top in ("dress", "summer_dress")
    bottom = "skirt" if one_piece else bottom
    bright = draw.chance(0.55)
    top_colour = draw.colour(BRIGHTS if bright else NEUTRALS)
    second = draw.colour(NEUTRALS if bright or draw.chance(0.5) else BRIGHTS)
    pattern = "plain"
    if top in ("tshirt", "sweater", "hoodie", "vest", "dress", "summer_dress"):
        pattern = draw.pick(("plain", "stripes", "logo", "block", "chest_band", "dots"), (4, 2, 2, 1.5, 1, 0.7))
    elif top in ("shirt", "jacket", "coat"):
        pattern = draw.pick(("plain", "check", "pinstripe", "block", "yoke"), (4.5, 1.6, 1, 0.8, 0.9))
    if one_piece:
        bottom_colour = top_colour
    else:
        bottom_colour = draw.colour(BRIGHTS if bottom == "skirt" and draw.chance(0.5) else TROUSERS)
    return _Clothes(hair, top, bottom, top_colour, second, pattern, bottom_colour)


def sample_look(seed: int, index: int) -> Look:
    """The look of person ``index`` of the world ``seed``; independent of how many people there are."""
    draw = _Draw(seed, index)
    womanly = draw.chance(0.5)
    child = draw.chance(0.04)
    height = draw.between(1.2, 1.45) if child else draw.around(1.655 if womanly else 1.775, 0.065, 1.5, 1.98)
    girth = draw.around(0.96 if womanly else 1.03, 0.085, 0.82, 1.32)
    skin = int(draw.rng.choice(len(SKINS), p=np.array(SKIN_ODDS) / sum(SKIN_ODDS)))
    hair_code = draw.pick(HAIRS, HAIR_ODDS) if skin < 4 else draw.pick(HAIRS[:4])
    wears = _clothes(draw, womanly)
    raised_l = draw.chance(0.10) * draw.between(1.2, 1.7)
    raised_r = draw.chance(0.12) * draw.between(1.2, 1.7)
    return Look(
        seed=int(draw.rng.integers(2**31)),
        height_m=height,
        girth=girth,
        shoulders=draw.around(0.93 if womanly else 1.05, 0.035, 0.85, 1.15),
        hips=draw.around(1.06 if womanly else 0.97, 0.035, 0.9, 1.18),
        bust=draw.between(0.015, 0.035) if womanly and not child else 0.0,
        belly=max(0.0, float(draw.rng.normal(0.0, 0.025)) + 0.15 * (girth - 1.0)),
        skin=_bgr(SKINS[skin]),
        hair=wears.hair,
        hair_colour=draw.colour(BRIGHTS + NEUTRALS) if wears.hair == "scarf" else _bgr(hair_code),
        beard=not womanly and not child and draw.chance(0.3),
        glasses=draw.chance(0.2),
        hat="none" if wears.hair == "scarf" else draw.pick(("none", "cap", "beanie"), (8.2, 1.0, 0.8)),
        hat_colour=draw.colour(NEUTRALS + BRIGHTS),
        top=wears.top,
        top_colour=wears.top_colour,
        second_colour=wears.second_colour,
        inner_colour=draw.colour(NEUTRALS if draw.chance(0.6) else BRIGHTS),
        pattern=wears.pattern,
        bottom=wears.bottom,
        bottom_colour=wears.bottom_colour,
        shoe=draw.pick(("low", "boot"), (4, 1)),
        shoe_colour=draw.colour(SHOES),
        bag=draw.pick(("none", "backpack", "shoulder", "hand"), (5, 2, 1.6, 1.2)),
        bag_colour=draw.colour(BAGS),
        style=(
            draw.between(0.55, 1.25),
            draw.between(0.10, 0.45),
            draw.between(0.0, 0.09),
            draw.between(0.02, 0.12) + 0.25 * max(0.0, girth - 1.0),
            raised_l,
            raised_r,
        ),
        pace_m_s=draw.around(1.32, 0.13, 1.0, 1.65),
    )
