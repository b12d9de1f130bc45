from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter as Reference

from reidpipe.track.kalman import DEEPSORT_MOTION, PEOPLE_MOTION, KalmanFilter, MotionModel
from reidpipe.track.smooth import run_filter, smooth


def walk(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times with jitter and gaps, noisy boxes, which were seen."""
    times_s = np.cumsum(rng.choice([1 / 30, 1 / 15, 0.3], count))
    centre = np.stack((100 + 60 * times_s, 200 + 5 * np.sin(times_s)), axis=1)
    half = np.array([20.0, 50.0])
    boxes = np.concatenate((centre - half, centre + half), axis=1) + rng.normal(0, 2, (count, 4))
    seen = rng.random(count) > 0.3
    seen[0] = True
    return times_s, boxes.astype(np.float32), seen


@pytest.mark.parametrize("motion", [DEEPSORT_MOTION, PEOPLE_MOTION], ids=["aspect", "width"])
def test_smooth_equals_filterpy(motion: MotionModel) -> None:
    times_s, boxes, seen = walk(np.random.default_rng(1), 40)
    ours = KalmanFilter(motion)
    z = ours.measure(boxes)
    before, after = run_filter(ours, times_s, boxes, seen)
    got = smooth(ours, times_s, boxes, seen)
    for number in range(4):  # each number of the box is a filter of its own
        kf = Reference(dim_x=2, dim_z=1)
        kf.H = np.array([[1.0, 0.0]])
        ratio = motion.shape == "aspect" and number == 2
        unit_before = np.ones(len(z[3])) if ratio else before[0, 3]
        unit_after = np.ones(len(z[3])) if ratio else after[0, 3]
        kf.x = np.array([z[number, 0], 0.0])
        kf.P = np.diag((unit_after[0] * np.array([motion.start[number], motion.start_speed[number]])) ** 2)
        means, covariances, moves, noises = [kf.x.copy()], [kf.P.copy()], [np.eye(2)], [np.zeros((2, 2))]
        for k in range(1, len(times_s)):
            dt = times_s[k] - times_s[k - 1]
            drift, change = (
                (unit_after[k - 1] * motion.drift[number]) ** 2,
                (unit_after[k - 1] * motion.change[number]) ** 2,
            )
            kf.F = np.array([[1, dt], [0, 1]])
            kf.Q = np.array([[drift * dt + change * dt**3 / 3, change * dt**2 / 2], [change * dt**2 / 2, change * dt]])
            kf.predict()
            if seen[k]:
                kf.R = np.array([[(unit_before[k] * motion.measured[number]) ** 2]])
                kf.update(z[number, k : k + 1])
            means.append(kf.x.copy())
            covariances.append(kf.P.copy())
            moves.append(kf.F.copy())
            noises.append(kf.Q.copy())
        # filterpy's smoother takes F[k + 1] and Q[k + 1] for the step from k to k + 1
        expected = kf.rts_smoother(np.array(means), np.array(covariances), moves, noises)[0][:, 0]
        assert np.allclose(ours.measure(got)[number], expected, rtol=1e-5, atol=1e-3)


def test_smooth_fills_gaps_on_the_line() -> None:
    times_s = np.arange(60) / 30
    boxes = (np.array([[0, 0, 40, 100]]) + 3.0 * np.arange(60)[:, None] * np.array([1, 0, 1, 0])).astype(np.float32)
    seen = np.ones(60, np.bool_)
    seen[20:40] = False
    got = smooth(KalmanFilter(PEOPLE_MOTION), times_s, np.where(seen[:, None], boxes, boxes[:1]), seen)
    assert np.abs(got - boxes)[10:50].max() < 1.0


def test_smooth_one_picture() -> None:
    box = np.array([[0, 0, 40, 100]], np.float32)
    assert np.abs(smooth(KalmanFilter(PEOPLE_MOTION), np.zeros(1), box) - box).max() < 1e-4
