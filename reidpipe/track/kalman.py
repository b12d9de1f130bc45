"""A constant-velocity Kalman filter for boxes, all tracks in one array, time in seconds.

The state is the papers' (SORT, DeepSORT, ByteTrack, BoT-SORT): four numbers that a box has and how fast each changes.
Motion, noise and measurement of one number never touch another, so the textbook's 8x8 covariance is block diagonal and
each number is a filter of its own with a 2x2 covariance: five values in all, kept as five planes. This is the same
filter, exactly (a test compares it with filterpy), for a small part of the work.

A state is float64 ``(5, 4, N)``: planes POSITION, VELOCITY (per second), VARIANCE, COVARIANCE, VELOCITY_VARIANCE; rows
centre x, centre y, shape, height; one column for each track. The shape is the width, or width / height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.overlap import places
from reidpipe.types import Boxes, Ids

__all__ = ["DEEPSORT_MOTION", "PEOPLE_MOTION", "SIZE_MOTION", "KalmanFilter", "MotionModel", "States"]

States: TypeAlias = NDArray[np.float64]
Measures: TypeAlias = NDArray[np.float64]

POSITION, VELOCITY, VARIANCE, COVARIANCE, VELOCITY_VARIANCE = range(5)
MIN_SIDE = 1.0
"""Pixels. A predicted box never gets thinner or lower than this."""

Four: TypeAlias = tuple[float, float, float, float]
PAPER_RATE_HZ = 30.0


@dataclass(frozen=True, slots=True)
class MotionModel:
    """How boxes move and how well they are measured. Four values each: centre x, centre y, shape, height.

    Lengths are in box heights, so that near and far people behave alike; the shape is absolute when it is a ratio.

    Attributes:
        shape: what the third number is: ``"width"`` in pixels or ``"aspect"``, width / height.
        measured: standard deviation of a detection.
        drift: standard deviation that the position gains on its own in one second (grows with the root of time).
        change: standard deviation that the velocity (per second) gains in one second (grows with the root of time).
        start: standard deviation of the position of a new track.
        start_speed: standard deviation of the velocity of a new track, per second.
    """

    shape: Literal["width", "aspect"]
    measured: Four
    drift: Four
    change: Four
    start: Four
    start_speed: Four


def _from_frames(*, shape: Literal["width", "aspect"], third: tuple[float, float, float, float, float]) -> MotionModel:
    """DeepSORT's noise, published for one frame of 30 Hz video, in seconds; ``third`` in MotionModel's order."""
    root, rate = PAPER_RATE_HZ**0.5, PAPER_RATE_HZ
    place, speed = 1 / 20, 1 / 160
    measured, drift, change, start, start_speed = third

    def four(value: float, other: float) -> Four:
        return (value, value, other, value)

    return MotionModel(
        shape=shape,
        measured=four(place, measured),
        drift=four(place * root, drift * root),
        change=four(speed * rate * root, change * rate * root),
        start=four(2 * place, start),
        start_speed=four(10 * speed * rate, start_speed * rate),
    )


DEEPSORT_MOTION = _from_frames(shape="aspect", third=(1e-1, 1e-2, 1e-5, 1e-2, 1e-5))
"""DeepSORT's and ByteTrack's: aspect and height; the aspect hardly changes."""

SIZE_MOTION = _from_frames(shape="width", third=(1 / 20, 1 / 20, 1 / 160, 2 / 20, 10 / 160))
"""BoT-SORT's: width and height, the same noise for all four."""

PEOPLE_MOTION = MotionModel(
    shape="width",
    measured=(0.03, 0.03, 0.04, 0.04),
    drift=(0.05, 0.05, 0.05, 0.05),
    change=(0.4, 0.1, 0.1, 0.15),
    start=(0.03, 0.03, 0.04, 0.04),
    start_speed=(0.6, 0.3, 0.15, 0.2),
)
"""How people really move: mostly sideways, seldom faster than one body height per second, and their boxes change size
slowly. Rounded from the second differences of annotated boxes at 30, 10, 5, 2 and 1 Hz (MOT17, both kinds of camera);
far tighter than the papers' noise, which is what makes a detection after a gap, or at two pictures a second, tell."""


class KalmanFilter:
    """Predicts and corrects the states of all tracks at once. Keeps no state of its own.

    Args:
        motion: noise of the motion and of the measurement.
    """

    def __init__(self, motion: MotionModel) -> None:
        self.motion = motion
        self._is_ratio = motion.shape == "aspect"
        self._measured, self._drift, self._change, self._start, self._start_speed = (
            np.square(np.array(values, np.float64))[:, None]
            for values in (motion.measured, motion.drift, motion.change, motion.start, motion.start_speed)
        )

    def measure(self, boxes: Boxes) -> Measures:
        """Boxes ``(N, 4)`` as float64 ``(4, N)``: centre x, centre y, shape, height."""
        corners = boxes.T.astype(np.float64, order="C")
        z = np.empty_like(corners)
        np.add(corners[:2], corners[2:], out=z[:2])
        z[:2] *= 0.5
        np.subtract(corners[2:], corners[:2], out=z[2:])
        if self._is_ratio:
            z[2] /= z[3]
        return z

    def boxes(self, states: States) -> Boxes:
        """Where the tracks are, float32 ``(N, 4)`` x1 y1 x2 y2, pixels; no side under one pixel."""
        z = states[POSITION]
        half = np.maximum(z[2:], MIN_SIDE)
        if self._is_ratio:
            half[0] = np.maximum(z[2] * half[1], MIN_SIDE)
        half *= 0.5
        corners = np.empty_like(z)
        np.subtract(z[:2], half, out=corners[:2])
        np.add(z[:2], half, out=corners[2:])
        return np.ascontiguousarray(corners.T, dtype=np.float32)

    def start(self, z: Measures) -> States:
        """States of new tracks, at rest, from their first measurement ``(4, N)``."""
        states = np.zeros((5, *z.shape))
        states[POSITION] = z
        states[VARIANCE] = self._in_pixels(self._start, z)
        states[VELOCITY_VARIANCE] = self._in_pixels(self._start_speed, z)
        return states

    def predict(self, states: States, dt_s: float) -> States:
        """The states ``dt_s`` seconds later.

        White noise drives position (a random walk) and velocity (white acceleration) in continuous time, so that two
        steps of half the time give the same as one whole step and no frame rate is special: for one number,
        ``Q = drift^2 [[dt, 0], [0, 0]] + change^2 [[dt^3/3, dt^2/2], [dt^2/2, dt]]``
        (Bar-Shalom, Li, Kirubarajan 2001, eq. 6.2.2-7).
        """
        after = states.copy()
        place, speed, _, cov, speed_var = states
        noise = np.array((dt_s**3 / 3, dt_s**2 / 2, dt_s))[:, None, None] * self._change
        noise[0] += self._drift * dt_s
        grown = self._in_pixels(noise, place)  # of variance, covariance, velocity variance: (3, 4, N)
        carried = dt_s * speed_var
        grown[1] += carried
        carried += cov + cov
        carried *= dt_s
        grown[0] += carried
        after[VARIANCE:] += grown
        after[POSITION] += speed * dt_s
        return after

    def update(self, states: States, z: Measures, *, noise: float | NDArray[np.float64] = 1.0) -> States:
        """The states after their measurements ``(4, N)``.

        Args:
            states: predicted, ``(5, 4, N)``.
            z: one measurement for each.
            noise: factor on the measurement's variance, one for all or ``(N,)``.
        """
        place, speed, var, cov, speed_var = states
        after = np.empty_like(states)
        total = self._in_pixels(self._measured, place)
        total *= noise
        total += var
        gain, speed_gain = var / total, cov / total
        surprise = z - place
        np.add(place, gain * surprise, out=after[POSITION])
        np.add(speed, speed_gain * surprise, out=after[VELOCITY])
        np.subtract(var, gain * var, out=after[VARIANCE])
        np.subtract(cov, gain * cov, out=after[COVARIANCE])
        np.subtract(speed_var, speed_gain * cov, out=after[VELOCITY_VARIANCE])
        return after

    def distances(self, states: States, z: Measures, *, slack: float = 0.0) -> NDArray[np.float64]:
        """Squared Mahalanobis distance of each measurement from each predicted track (DeepSORT eq. 1).

        Args:
            states: predicted, ``(5, 4, T)``.
            z: ``(4, D)``.
            slack: standard deviation to allow on top of the model's, in its unit.

        Returns:
            float64 ``(T, D)``; chi-square with four degrees of freedom when the detection is the track's.
        """
        spread = self._spread(states, slack)
        surprise = states[POSITION][:, :, None] - z[:, None, :]
        return np.asarray((surprise * surprise / spread[:, :, None]).sum(axis=0))

    def pair_distances(
        self, states: States, z: Measures, rows: Ids, columns: Ids, *, slack: float = 0.0
    ) -> NDArray[np.float64]:
        """The same for the pairs ``(rows[k], columns[k])`` only, float64 ``(K,)``."""
        surprise = states[POSITION].take(rows, axis=1)
        surprise -= z.take(columns, axis=1)
        surprise *= surprise
        surprise /= self._spread(states, slack).take(rows, axis=1)
        return np.asarray(surprise.sum(axis=0))

    def within(
        self, states: States, z: Measures, limit: float, *, slack: float = 0.0
    ) -> tuple[Ids, Ids, NDArray[np.float64]]:
        """The pairs of a predicted track and a measurement that are no farther apart than ``limit``.

        In a crowd everybody is near few: only centres are compared for all pairs, the arithmetic is for those few.

        Args:
            states: predicted, ``(5, 4, T)``.
            z: ``(4, D)``.
            limit: highest squared Mahalanobis distance.
            slack: as in ``distances``.

        Returns:
            Rows of ``states`` and of ``z``, int64 ``(K,)`` each, and their distances, float64 ``(K,)``.
        """
        x, y = states[POSITION, :2]
        reach_x, reach_y = np.sqrt(limit * self._spread(states, slack)[:2])
        near = np.abs(x[:, None] - z[0]) <= reach_x[:, None]
        near &= np.abs(y[:, None] - z[1]) <= reach_y[:, None]
        rows, columns = places(near)
        far = self.pair_distances(states, z, rows, columns, slack=slack)
        good = far <= limit
        return rows[good], columns[good], far[good]

    def doubt(self, states: States, *, slack: float = 0.0) -> NDArray[np.float64]:
        """How widely a track's next measurement may lie, against one whose place is known exactly; natural logarithm.

        Minus twice the logarithm of a measurement's likelihood is its squared Mahalanobis distance plus this, up to a
        number that is the same for all pairs. A track of which little is known is near to everything; this keeps it
        from taking what clearly belongs to another.

        Returns:
            float64 ``(T,)``, 0 or more; no unit, as sizes cancel.
        """
        known = self._in_pixels(self._measured + slack * slack, states[POSITION])
        return np.asarray(np.log1p(states[VARIANCE] / known).sum(axis=0))

    def _spread(self, states: States, slack: float) -> NDArray[np.float64]:
        return np.asarray(states[VARIANCE] + self._in_pixels(self._measured + slack * slack, states[POSITION]))

    def _in_pixels(self, variances: NDArray[np.float64], z: Measures) -> NDArray[np.float64]:
        """Variances in squared box heights ``(..., 4, 1)`` for the boxes ``z``, ``(..., 4, N)``; a ratio's stays."""
        height = np.maximum(z[3], MIN_SIDE)
        height *= height
        result = variances * height
        if self._is_ratio:
            result[..., 2, :] = variances[..., 2, :]
        return np.asarray(result)
