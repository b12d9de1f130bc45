"""How far somebody can get while nobody sees them, and how much their box can grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Mask

__all__ = ["reachable"]

STEP, FASTEST = 0.5, 2.0
"""Body heights at once, and per second."""
JUMP, GROWTH = 0.2, 0.3
"""Of the box's height: natural logarithm at once, and per second."""


def reachable(lost: NDArray[np.float64], found: NDArray[np.float64], away_s: NDArray[np.float64] | float) -> Mask:
    """Whether somebody lost could be somebody found, by place and size.

    Args:
        lost: float64 ``(4, T)``: centre x, centre y, width, height where they were last, as the filter measures boxes.
        found: float64 ``(4, D)``.
        away_s: for how long they were not seen, seconds, for all or ``(T,)``.

    Returns:
        bool ``(T, D)``.
    """
    one, other = lost[:, :, None], found[:, None, :]
    away_s = np.broadcast_to(away_s, lost.shape[1])[:, None]
    way = np.hypot(one[0] - other[0], one[1] - other[1])
    growth = np.abs(np.log(one[3] / other[3]))
    return np.asarray((way <= one[3] * (STEP + FASTEST * away_s)) & (growth <= JUMP + GROWTH * away_s))
