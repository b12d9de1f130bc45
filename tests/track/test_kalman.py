from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter as Reference

from reidpipe.track.kalman import DEEPSORT_MOTION, SIZE_MOTION, KalmanFilter, MotionModel, States

MOTIONS = pytest.mark.parametrize("motion", [DEEPSORT_MOTION, SIZE_MOTION], ids=["aspect", "width"])


def random_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corner = rng.uniform(0, 900, (n, 2))
    return np.concatenate((corner, corner + rng.uniform(20, 200, (n, 2))), axis=1).astype(np.float32)


def reference_for(z: np.ndarray, motion: MotionModel) -> Reference:
    kf = Reference(dim_x=8, dim_z=4)
    kf.x = np.concatenate((z, np.zeros(4)))
    kf.H = np.eye(4, 8)
    unit = unit_of(z[3], motion)
    kf.P = np.diag(np.concatenate((unit * motion.start, unit * motion.start_speed)) ** 2)
    return kf


def unit_of(height: float, motion: MotionModel) -> np.ndarray:
    return np.array([height, height, 1.0 if motion.shape == "aspect" else height, height])


def step_reference(kf: Reference, dt: float, motion: MotionModel) -> None:
    unit = unit_of(kf.x[3], motion)
    drift, change = np.diag((unit * motion.drift) ** 2), np.diag((unit * motion.change) ** 2)
    zero = np.zeros((4, 4))
    kf.F = np.block([[np.eye(4), dt * np.eye(4)], [zero, np.eye(4)]])
    kf.Q = np.block([[drift * dt + change * dt**3 / 3, change * dt**2 / 2], [change * dt**2 / 2, change * dt]])
    kf.predict()


def assert_same(states: States, column: int, kf: Reference) -> None:
    place, speed, var, cov, speed_var = states[:, :, column]
    assert np.allclose(kf.x, np.concatenate((place, speed)), rtol=1e-9, atol=1e-9)
    full = np.block([[np.diag(var), np.diag(cov)], [np.diag(cov), np.diag(speed_var)]])
    assert np.allclose(kf.P, full, rtol=1e-9, atol=1e-9)


@MOTIONS
def test_kalman_equals_filterpy_for_every_track(motion: MotionModel) -> None:
    rng = np.random.default_rng(3)
    ours = KalmanFilter(motion)
    z = ours.measure(random_boxes(rng, 5))
    states = ours.start(z)
    theirs = [reference_for(z[:, i], motion) for i in range(5)]
    for dt in (1 / 30, 0.2, 1 / 30, 0.5, 0.01):
        states = ours.predict(states, dt)
        z = z + rng.normal(0, 2, z.shape) * np.array([[1.0], [1.0], [0.01], [1.0]])
        noise = rng.uniform(0.2, 1.0, 5)
        for i, kf in enumerate(theirs):
            step_reference(kf, dt, motion)
            assert_same(states, i, kf)
            kf.R = np.diag((unit_of(kf.x[3], motion) * motion.measured) ** 2) * noise[i]
            kf.update(z[:, i])
        states = ours.update(states, z, noise=noise)
        for i, kf in enumerate(theirs):
            assert_same(states, i, kf)


@MOTIONS
def test_kalman_two_half_steps_equal_one_step(motion: MotionModel) -> None:
    ours = KalmanFilter(motion)
    states = ours.start(ours.measure(random_boxes(np.random.default_rng(1), 3)))
    states[1, :3] = 7.0  # the height stays, because the noise is measured in it
    once, twice = ours.predict(states, 0.4), ours.predict(ours.predict(states, 0.1), 0.3)
    assert np.allclose(once, twice, rtol=1e-12, atol=1e-12)


@MOTIONS
def test_kalman_boxes_come_back(motion: MotionModel) -> None:
    ours = KalmanFilter(motion)
    boxes = random_boxes(np.random.default_rng(2), 50)
    assert np.abs(ours.boxes(ours.start(ours.measure(boxes))) - boxes).max() < 1e-3


@MOTIONS
def test_kalman_distances_equal_filterpy(motion: MotionModel) -> None:
    rng = np.random.default_rng(4)
    ours = KalmanFilter(motion)
    z = ours.measure(random_boxes(rng, 3))
    states = ours.predict(ours.start(z), 0.1)
    seen = ours.measure(random_boxes(rng, 4))
    got = ours.distances(states, seen)
    for i in range(3):
        kf = reference_for(z[:, i], motion)
        step_reference(kf, 0.1, motion)
        s = kf.P[:4, :4] + np.diag((unit_of(kf.x[3], motion) * motion.measured) ** 2)
        for j in range(4):
            d = seen[:, j] - kf.x[:4]
            assert got[i, j] == pytest.approx(d @ np.linalg.inv(s) @ d, rel=1e-9)


def test_kalman_shrinking_box_keeps_a_side() -> None:
    ours = KalmanFilter(SIZE_MOTION)
    states = ours.start(ours.measure(np.array([[0, 0, 4, 9]], np.float32)))
    states[1, 2:] = -100.0
    states = ours.predict(states, 10.0)
    box = ours.boxes(states)[0]
    assert box[2] - box[0] == 1.0
    assert box[3] - box[1] == 1.0
    assert np.isfinite(ours.update(states, ours.measure(np.array([[0, 0, 4, 9]], np.float32)))).all()


@MOTIONS
def test_kalman_no_track(motion: MotionModel) -> None:
    ours = KalmanFilter(motion)
    states = ours.start(ours.measure(np.zeros((0, 4), np.float32)))
    assert ours.predict(states, 0.1).shape == (5, 4, 0)
    assert ours.update(states, np.zeros((4, 0))).shape == (5, 4, 0)
    assert ours.boxes(states).shape == (0, 4)
    assert ours.distances(states, np.zeros((4, 6))).shape == (0, 6)


def test_kalman_tracks_do_not_see_each_other() -> None:
    rng = np.random.default_rng(5)
    ours = KalmanFilter(DEEPSORT_MOTION)
    z = ours.measure(random_boxes(rng, 4))
    together = ours.update(ours.predict(ours.start(z), 0.1), z + 1)
    alone = ours.update(ours.predict(ours.start(z[:, 2:3]), 0.1), z[:, 2:3] + 1)
    assert np.array_equal(together[:, :, 2:3], alone)


@MOTIONS
def test_kalman_within_is_the_table_without_what_is_too_far(motion: MotionModel) -> None:
    kalman, rng = KalmanFilter(motion), np.random.default_rng(4)
    corner = rng.uniform(0, 400, (40, 2))
    boxes = np.concatenate((corner, corner + rng.uniform((20, 60), (60, 160), (40, 2))), axis=1).astype(np.float32)
    states = kalman.predict(kalman.start(kalman.measure(boxes)), 0.3)
    z = kalman.measure(boxes[::-1] + np.float32(7))
    table = kalman.distances(states, z, slack=0.06)
    for limit in (0.0, 3.0, 13.3):
        rows, columns, far = kalman.within(states, z, limit, slack=0.06)
        assert np.stack((rows, columns), axis=1).tolist() == np.argwhere(table <= limit).tolist()
        np.testing.assert_allclose(far, table[rows, columns], rtol=1e-12)


@MOTIONS
def test_kalman_doubt_is_the_spread_of_a_likelihood(motion: MotionModel) -> None:
    from scipy.stats import multivariate_normal

    kalman = KalmanFilter(motion)
    boxes = np.array([[100, 100, 150, 250]], np.float32)
    z = kalman.measure(boxes)
    sure, unsure = kalman.start(z), kalman.predict(kalman.start(z), 0.5)
    sure[2] = 0.0  # known exactly
    assert kalman.doubt(sure).tolist() == [0.0]
    at = z + np.array([[3.0], [2.0], [0.01], [1.0]])
    logs = []
    for states in (sure, unsure):
        spread = kalman._spread(states, 0.0)[:, 0]
        logs.append(-2 * multivariate_normal(states[0, :, 0], np.diag(spread)).logpdf(at[:, 0]))
    costs = [float((kalman.distances(s, at)[0] + kalman.doubt(s))[0]) for s in (sure, unsure)]
    np.testing.assert_allclose(costs[1] - costs[0], logs[1] - logs[0], rtol=1e-9)
