"""Redress the people of a recipe's training crops: new clothes for the teacher to describe, no identity.

    python tools/recolour_crops.py configs/reid/osnet_x0_25.yaml runs/reid/recoloured --seed 1

A distilled net can only learn what its teacher was asked. The sets here show some 2,400 people; a coat of another
colour is, to a teacher, another person. Upper and lower body are recoloured each by itself in CIE L*a*b* (rotation
around the grey axis, a tint, lightness), under soft masks, so that head, feet and most of the background stay as they
were. Whether the result looks real matters little: teacher and student see the same picture.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.reid.cache import read_image, resize
from reidpipe.reid.config import load_train_config
from reidpipe.reid.datasets import hold_out, read_set
from reidpipe.types import Image

HEIGHT, WIDTH = 192, 96
UPPER, LOWER = (0.17, 0.52), (0.50, 0.92)  # of the height
TINT = 35.0  # a*, b* units either way
LIGHTNESS_GAIN = (0.45, 1.5)
LIGHTNESS_SHIFT = 50.0  # of 255, either way


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="its sources are recoloured, held-out people are left out")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    config = load_train_config(arguments.recipe)
    rng = np.random.default_rng(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)
    count = 0
    for source in config.data.sources:
        if (config.data.root / source.path).resolve() == arguments.output.resolve():
            continue
        found = read_set(source.name, config.data.root / source.path, source.part)
        if source.hold_out:
            found, _ = hold_out(found, identities=source.hold_out)
        for path in found.paths:
            crop = resize(read_image(path), height=HEIGHT, width=WIDTH)
            file = arguments.output / f"{arguments.seed}_{count:06d}.jpg"
            cv2.imwrite(str(file), recolour(crop, rng), [cv2.IMWRITE_JPEG_QUALITY, 93])
            count += 1
    print(f"{count} crops in {arguments.output}")


def recolour(crop: Image, rng: np.random.Generator) -> Image:
    """New colours for upper and lower body of one crop; uint8 `(H, W, 3)` BGR in and out."""
    lab = np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2LAB), dtype=np.float32)
    for band in (UPPER, LOWER):
        mask = soft_mask(lab.shape[0], lab.shape[1], band)[:, :, None]
        lab += mask * (shifted(lab, rng) - lab)
    return np.asarray(cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR), dtype=np.uint8)


def shifted(lab: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A random recolouring of a whole picture in 8-bit L*a*b* (a*, b* around 128)."""
    angle = rng.uniform(-math.pi, math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=np.float32)
    out = np.empty_like(lab)
    middle = float(lab[..., 0].mean())
    out[..., 0] = middle + (lab[..., 0] - middle) * rng.uniform(*LIGHTNESS_GAIN)
    out[..., 0] += rng.uniform(-LIGHTNESS_SHIFT, LIGHTNESS_SHIFT)
    out[..., 1:] = (lab[..., 1:] - 128) @ turn.T + 128 + rng.uniform(-TINT, TINT, 2) * (rng.random() < 0.7)
    return out


def soft_mask(height: int, width: int, band: tuple[float, float]) -> NDArray[np.float32]:
    """1 inside the band and near the middle column, falling off smoothly: float32 `(height, width)`."""
    rows = np.linspace(0, 1, height, dtype=np.float32)
    edge = 0.025
    inside = 1 / (1 + np.exp(-(rows - band[0]) / edge)) - 1 / (1 + np.exp(-(rows - band[1]) / edge))
    columns = np.linspace(-1, 1, width, dtype=np.float32)
    across = np.exp(-((np.abs(columns) / 0.75) ** 4))
    return np.asarray(inside[:, None] * across[None, :], dtype=np.float32)


if __name__ == "__main__":
    main()
