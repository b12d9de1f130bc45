"""The best estimate of a finished track: forward through time, then back (Rauch, Tung, Striebel 1965)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.kalman import KalmanFilter, States
from reidpipe.types import Boxes, Mask

__all__ = ["run_filter", "smooth"]


def run_filter(
    kalman: KalmanFilter, times_s: NDArray[np.float64], boxes: Boxes, seen: Mask | None = None
) -> tuple[States, States]:
    """Filter one track over its pictures.

    Args:
        kalman: the motion model.
        times_s: float64 ``(N,)``, seconds, growing.
        boxes: float32 ``(N, 4)``; rows that were not seen are not looked at.
        seen: bool ``(N,)``; the first must be. All when None.

    Returns:
        States before and after each measurement, float64 ``(5, 4, N)`` each.
    """
    measures = kalman.measure(boxes)
    before, after = np.empty((5, 4, len(boxes))), np.empty((5, 4, len(boxes)))
    state = kalman.start(measures[:, :1])
    before[:, :, :1] = after[:, :, :1] = state
    for k in range(1, len(boxes)):
        state = kalman.predict(state, float(times_s[k] - times_s[k - 1]))
        before[:, :, k : k + 1] = state
        if seen is None or seen[k]:
            state = kalman.update(state, measures[:, k : k + 1])
        after[:, :, k : k + 1] = state
    return before, after


def smooth(kalman: KalmanFilter, times_s: NDArray[np.float64], boxes: Boxes, seen: Mask | None = None) -> Boxes:
    """Where the person was in every picture, given all of them, before and after; fills pictures without a detection.

    The smoother's gain is the usual ``C = P F' (P-)^-1``, written out for the 2x2 blocks of this filter.

    Args and shapes as in ``run_filter``; returns float32 ``(N, 4)``.
    """
    before, after = run_filter(kalman, times_s, boxes, seen)
    steps = np.diff(times_s)
    _, _, var, cov, speed_var = after[:, :, :-1]
    _, _, var_, cov_, speed_var_ = before[:, :, 1:]
    det = var_ * speed_var_ - cov_ * cov_
    ahead_var, ahead_cov = var + steps * cov, cov + steps * speed_var  # first column of P F'
    gain = np.array(
        [
            [ahead_var * speed_var_ - cov * cov_, cov * var_ - ahead_var * cov_],
            [ahead_cov * speed_var_ - speed_var * cov_, speed_var * var_ - ahead_cov * cov_],
        ]
    )
    gain /= det
    moments = after[:2].copy()
    for k in range(len(steps) - 1, -1, -1):
        change = moments[:, :, k + 1] - before[:2, :, k + 1]
        moments[:, :, k] += (gain[:, :, :, k] * change[None]).sum(axis=1)
    smoothed = after.copy()
    smoothed[:2] = moments
    return kalman.boxes(smoothed)
