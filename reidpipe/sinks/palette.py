"""A colour for every identity: always the same one, and far from those of its neighbours in number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNKNOWN_COLOUR", "identity_colours"]

UNKNOWN_COLOUR = (150, 150, 150)
"""RGB of a person without identity."""


def identity_colours(count: int) -> list[tuple[int, int, int]]:
    """``count`` RGB colours, each as far as can be from all before it.

    Farthest-point order over a grid of vivid colours, by Euclidean distance in CIELAB, starting far from grey (which
    means "not known"). The first n colours do not depend on ``count``.

    Args:
        count: 1 to 250.
    """
    rgb = _vivid_colours()
    lab = _lab(rgb)
    # Nearness to grey counts from the start, so that nobody looks unknown.
    nearest = np.linalg.norm(lab - _lab(np.array([UNKNOWN_COLOUR], np.float64)), axis=1)
    chosen = []
    for _ in range(min(count, len(rgb))):
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[best], axis=1))
    return [(int(r), int(g), int(b)) for r, g, b in rgb[chosen]]


def _vivid_colours() -> NDArray[np.float64]:
    """RGB grid without the dark and the pale, which are hard to see on video."""
    levels = np.linspace(0, 255, 9)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3).round()
    high, low = grid.max(axis=1), grid.min(axis=1)
    return np.asarray(grid[(high >= 190) & (high - low >= 125)], dtype=np.float64)


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """From sRGB 0..255 ``(N, 3)`` to CIELAB, D65 (CIE 15:2004, equations 8.3 to 8.5)."""
    linear = np.where(rgb / 255 <= 0.04045, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
