"""Does something grow? The slope of a noisy series, and how sure that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Slope", "slope"]

BATCHES = 10


class Slope(NamedTuple):
    """Change for each unit of x, and the limits between which it lies with 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def slope(x: list[float], y: list[float], *, level: float = 0.5) -> Slope:
    """A line through ten batches, and Student's limits for it.

    Memory of a process jumps, and neighbours in time are alike: a point tells much less than its share. A batch that is
    longer than such a spell is nearly independent of the next one (batch means, Conway 1963); so the limits are those
    of ten points, however many were measured.

    Args:
        x: growing.
        y: as many, at least ten.
        level: what stands for a batch: its median, past which single jumps go; or a low quantile, the low water, over
            which memory rises for moments, and which only something that is kept can raise.

    Raises:
        ValueError: too few points.
    """
    if len(x) != len(y) or len(x) < BATCHES:
        raise ValueError(f"a slope needs {BATCHES} points at least, got {len(x)} and {len(y)}")
    parts = np.array_split(np.arange(len(x)), BATCHES)
    at = [float(np.mean(np.asarray(x)[part])) for part in parts]
    heights = [float(np.quantile(np.asarray(y)[part], level)) for part in parts]
    if len(set(heights)) == 1:
        return Slope(0.0, 0.0, 0.0)
    line = stats.linregress(at, heights)
    reach = float(stats.t.ppf(0.975, BATCHES - 2)) * float(line.stderr)
    return Slope(float(line.slope), float(line.slope) - reach, float(line.slope) + reach)
