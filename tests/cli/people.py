"""A small set of people that can be learnt, and a recipe for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml


def write_people(folder: Path, *, people: int = 6, images: int = 4) -> None:
    """Market-1501 names; every person has a colour of clothes, every camera a brightness."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for person in range(people):
        colour = rng.integers(0, 256, (2, 3))
        for image in range(images):
            picture = np.repeat(colour, 32, axis=0)[:, None, :].repeat(32, axis=1) * (1 - 0.15 * (image % 2))
            name = f"{person:04d}_c{image % 2}s1_{image:06d}_00.png"
            cv2.imwrite(str(folder / name), np.clip(picture, 0, 255).astype(np.uint8))


def write_recipe(root: Path, **changes: Any) -> Path:
    """A net of one stream and an eighth of the width, a few steps on tiny pictures."""
    (root / "small.yaml").write_text("{width: 0.125, streams: 1, embedding: 32}")
    content = {
        "model": str(root / "small.yaml"),
        "output": str(root / "out"),
        "data": {
            "root": str(root),
            "cache": str(root / "cache"),
            "height": 32,
            "width": 16,
            "sources": [{"name": "market1501", "path": "people"}],
        },
        "batch": {"identities": 4, "images": 2},
        "stages": [{"height": 32, "width": 16}],
        "budget": {"images": 16},
        "precision": "fp32",
        **changes,
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(content))
    return root / "recipe.yaml"
