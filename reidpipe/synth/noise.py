"""Smooth noise pictures: the raw material of cloth, plaster and asphalt."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["cloudy"]


def cloudy(
    rng: np.random.Generator, height: int, width: int, *, cell: float, octaves: int = 3, stretch: float = 1.0
) -> NDArray[np.float32]:
    """Fractal noise, float32 (height, width), mean 0, standard deviation 1.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        cell: Size of the largest blobs, pixels.
        octaves: How often finer noise of half the size and strength is added.
        stretch: Blobs are this much wider than tall.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        rows = max(2, round(height / size) + 2)
        columns = max(2, round(width / size / stretch) + 2)
        coarse = rng.standard_normal((rows, columns)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.55**octave)
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), dtype=np.float32)
